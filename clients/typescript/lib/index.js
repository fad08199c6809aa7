export * from "./client.js";
export * from "./errors.js";
export { DEFAULT_RETRIES } from "./retries.js";
