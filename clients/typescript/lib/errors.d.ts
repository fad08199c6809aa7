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
export declare class LimnerError extends Error {
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
    constructor(message: string, failure?: Failure);
}
/** The request has wrong fields: see `violations`. */
export declare class InvalidRequestError extends LimnerError {
}
/** The provider refuses the prompt or a picture. Asking again does not help. */
export declare class ContentRejectedError extends InvalidRequestError {
}
/** The access token is missing or not accepted. */
export declare class UnauthenticatedError extends LimnerError {
}
/** The caller may not do this. */
export declare class PermissionDeniedError extends LimnerError {
}
/** There is no such image or generation in this workspace. */
export declare class NotFoundError extends LimnerError {
}
/** The request contradicts what is there already, such as another request under the same key. */
export declare class ConflictError extends LimnerError {
}
/** Too much is in flight; nothing was done. */
export declare class OverloadedError extends LimnerError {
}
/** The workspace's quota is used up. */
export declare class QuotaExceededError extends LimnerError {
}
/** The service, or something that it needs, is down, or was not reached. */
export declare class UnavailableError extends LimnerError {
}
/** The call took longer than its deadline. */
export declare class DeadlineExceededError extends LimnerError {
}
/** Return the error that the service's JSON stands for. */
export declare function errorOf(answer: Partial<Status>, failure: Failure): LimnerError;
