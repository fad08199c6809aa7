/** A call failed. Branch on `reason`, or on the class. */
export class LimnerError extends Error {
    status;
    reason;
    metadata;
    violations;
    retryAfter;
    /** Finds the call in the service's log. */
    requestId;
    /** Where the pictures of a task are, if any were made: ask `generation(id)`. Empty when none began. */
    generationId;
    /** Repeating the task under this key never buys twice. Empty for calls that buy nothing. */
    idempotencyKey;
    constructor(message, failure = {}) {
        super(message);
        this.name = new.target.name;
        this.status = failure.status ?? 0;
        this.reason = failure.reason ?? "";
        this.metadata = failure.metadata ?? {};
        this.violations = failure.violations ?? [];
        this.retryAfter = failure.retryAfter;
        this.requestId = failure.requestId ?? "";
        this.generationId = failure.generationId ?? this.metadata["generationId"] ?? "";
        this.idempotencyKey = failure.idempotencyKey ?? "";
    }
}
/** The request has wrong fields: see `violations`. */
export class InvalidRequestError extends LimnerError {
}
/** The provider refuses the prompt or a picture. Asking again does not help. */
export class ContentRejectedError extends InvalidRequestError {
}
/** The access token is missing or not accepted. */
export class UnauthenticatedError extends LimnerError {
}
/** The caller may not do this. */
export class PermissionDeniedError extends LimnerError {
}
/** There is no such image or generation in this workspace. */
export class NotFoundError extends LimnerError {
}
/** The request contradicts what is there already, such as another request under the same key. */
export class ConflictError extends LimnerError {
}
/** Too much is in flight; nothing was done. */
export class OverloadedError extends LimnerError {
}
/** The workspace's quota is used up. */
export class QuotaExceededError extends LimnerError {
}
/** The service, or something that it needs, is down, or was not reached. */
export class UnavailableError extends LimnerError {
}
/** The call took longer than its deadline. */
export class DeadlineExceededError extends LimnerError {
}
const BY_REASON = {
    CONTENT_REJECTED: ContentRejectedError,
    OVERLOADED: OverloadedError,
    QUOTA_EXCEEDED: QuotaExceededError,
};
const BY_CODE = {
    3: InvalidRequestError,
    4: DeadlineExceededError,
    5: NotFoundError,
    6: ConflictError,
    7: PermissionDeniedError,
    14: UnavailableError,
    16: UnauthenticatedError,
};
/** Return the error that the service's JSON stands for. */
export function errorOf(answer, failure) {
    const details = Array.isArray(answer.details) ? answer.details : [];
    const detail = (name) => details.find((each) => String(each["@type"]).endsWith(`.${name}`));
    const info = detail("ErrorInfo");
    const reason = info?.reason ?? "";
    const delay = Number.parseFloat(detail("RetryInfo")?.retryDelay ?? "");
    const kind = BY_REASON[reason] ?? BY_CODE[answer.code ?? 2] ?? LimnerError;
    return new kind(answer.message || `The service answered ${failure.status}.`, {
        ...failure,
        reason,
        metadata: info?.metadata ?? {},
        violations: detail("BadRequest")?.fieldViolations ?? [],
        retryAfter: Number.isFinite(delay) ? delay : failure.retryAfter,
    });
}
