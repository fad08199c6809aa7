import type { Error as Status } from "./types.js";

/** One wrong field, by its JSON name, and what is wrong with it. */
export interface FieldViolation {
  field: string;
  description: string;
}

export interface Failure {
  /** The HTTP status; 0 when no answer came. */
  status?: number;
  /** The name of an `ErrorReason`; empty when the service was not reached. */
  reason?: string;
  metadata?: Record<string, string>;
  violations?: FieldViolation[];
  /** When to try again, in seconds, as the service says. */
  retryAfter?: number | undefined;
  requestId?: string;
  generationId?: string;
  idempotencyKey?: string;
}

/** A call failed. Branch on `reason`, or on the class. */
export class LimnerError extends Error {
  readonly status: number;
  readonly reason: string;
  readonly metadata: Record<string, string>;
  readonly violations: FieldViolation[];
  readonly retryAfter: number | undefined;
  /** Finds the call in the service's log. */
  readonly requestId: string;
  /** Where the pictures of a task are, if any were made: ask `generation(id)`. Empty when none began. */
  generationId: string;
  /** Repeating the task under this key never buys twice. Empty for calls that buy nothing. */
  idempotencyKey: string;

  constructor(message: string, failure: Failure = {}) {
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
export class InvalidRequestError extends LimnerError {}
/** The provider refuses the prompt or a picture. Asking again does not help. */
export class ContentRejectedError extends InvalidRequestError {}
/** The access token is missing or not accepted. */
export class UnauthenticatedError extends LimnerError {}
/** The caller may not do this. */
export class PermissionDeniedError extends LimnerError {}
/** There is no such image or generation in this workspace. */
export class NotFoundError extends LimnerError {}
/** The request contradicts what is there already, such as another request under the same key. */
export class ConflictError extends LimnerError {}
/** Too much is in flight; nothing was done. */
export class OverloadedError extends LimnerError {}
/** The workspace's quota is used up. */
export class QuotaExceededError extends LimnerError {}
/** The service, or something that it needs, is down, or was not reached. */
export class UnavailableError extends LimnerError {}
/** The call took longer than its deadline. */
export class DeadlineExceededError extends LimnerError {}

type Kind = new (message: string, failure?: Failure) => LimnerError;

const BY_REASON: Record<string, Kind> = {
  CONTENT_REJECTED: ContentRejectedError,
  OVERLOADED: OverloadedError,
  QUOTA_EXCEEDED: QuotaExceededError,
};
const BY_CODE: Record<number, Kind> = {
  3: InvalidRequestError,
  4: DeadlineExceededError,
  5: NotFoundError,
  6: ConflictError,
  7: PermissionDeniedError,
  14: UnavailableError,
  16: UnauthenticatedError,
};

/** Return the error that the service's JSON stands for. */
export function errorOf(answer: Partial<Status>, failure: Failure): LimnerError {
  const details = Array.isArray(answer.details) ? answer.details : [];
  const detail = (name: string) => details.find((each) => String(each["@type"]).endsWith(`.${name}`));
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
