import { OverloadedError, UnavailableError } from "./errors.js";
export const DEFAULT_RETRIES = { tries: 4, firstDelay: 0.25, longestDelay: 8, longestRetryAfter: 60 };
/** What the same key answers again, however often it is repeated. */
const DECIDED = ["unknown", "bought"];
/** Return how long to wait before the next try, in seconds; `undefined` when there is none. */
export function delayAfter(error, made, budget, left) {
    if (made >= budget.tries || !mayBeRepeated(error))
        return undefined;
    const backoff = Math.min(budget.firstDelay * 2 ** (made - 1), budget.longestDelay) * (0.5 + Math.random() / 2);
    const asked = error.retryAfter ?? 0;
    const delay = Math.max(backoff, asked);
    return asked <= budget.longestRetryAfter && delay < left ? delay : undefined;
}
function mayBeRepeated(error) {
    if (error instanceof OverloadedError)
        return true;
    return error instanceof UnavailableError && !DECIDED.includes(error.metadata["outcome"] ?? "");
}
/** Wait so many seconds, or until the signal says stop: then throw its reason. */
export function sleep(seconds, signal) {
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
