import { LimnerError, OverloadedError, UnavailableError } from "./errors.js";

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

export const DEFAULT_RETRIES: RetryBudget = { tries: 4, firstDelay: 0.25, longestDelay: 8, longestRetryAfter: 60 };

/** What the same key answers again, however often it is repeated. */
const DECIDED = ["unknown", "bought"];

/** Return how long to wait before the next try, in seconds; `undefined` when there is none. */
export function delayAfter(error: unknown, made: number, budget: RetryBudget, left: number): number | undefined {
  if (made >= budget.tries || !mayBeRepeated(error)) return undefined;
  const backoff = Math.min(budget.firstDelay * 2 ** (made - 1), budget.longestDelay) * (0.5 + Math.random() / 2);
  const asked = error.retryAfter ?? 0;
  const delay = Math.max(backoff, asked);
  return asked <= budget.longestRetryAfter && delay < left ? delay : undefined;
}

function mayBeRepeated(error: unknown): error is LimnerError {
  if (error instanceof OverloadedError) return true;
  return error instanceof UnavailableError && !DECIDED.includes(error.metadata["outcome"] ?? "");
}

/** Wait so many seconds, or until the signal says stop: then throw its reason. */
export function sleep(seconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, seconds * 1000);
    signal.addEventListener("abort", stop, { once: true });
  });
}
