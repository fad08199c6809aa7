/** Yield the data of each server-sent event. Leaving the loop cancels the body, and so the call. */
export declare function eventData(body: ReadableStream<Uint8Array>): AsyncGenerator<string, void, undefined>;
