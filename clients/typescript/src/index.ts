export * from "./client.js";
export * from "./errors.js";
export { DEFAULT_RETRIES, type RetryBudget } from "./retries.js";
export type * from "./types.js";
