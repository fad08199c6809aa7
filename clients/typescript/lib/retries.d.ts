/** What repeating may cost. The deadline of a call holds for all tries together. */
export interface RetryBudget {
    /** How often a call is made at most; 1 repeats nothing. Default: 4. */
    tries: number;
    /** The wait before the second try in seconds; each further one is twice as long. Default: 0.25. */
    firstDelay: number;
    /** In seconds. Default: 8. */
    longestDelay: number;
    /** A service that asks for a longer wait, in seconds, is not asked again. Default: 60. */
    longestRetryAfter: number;
}
export declare const DEFAULT_RETRIES: RetryBudget;
/** Return how long to wait before the next try, in seconds; `undefined` when there is none. */
export declare function delayAfter(error: unknown, made: number, budget: RetryBudget, left: number): number | undefined;
/** Wait so many seconds, or until the signal says stop: then throw its reason. */
export declare function sleep(seconds: number, signal: AbortSignal): Promise<void>;
