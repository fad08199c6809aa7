/** The most characters that one event may have: a preview is a picture in base64. */
const MAX_EVENT_CHARS = 64 * 1024 * 1024;
/** Yield the data of each server-sent event. Leaving the loop cancels the body, and so the call. */
export async function* eventData(body) {
    const reader = body.getReader();
    const decoder = new TextDecoder();
    let parts = [];
    let data = [];
    let size = 0;
    try {
        for (;;) {
            const { done, value } = await reader.read();
            if (done)
                return;
            const text = decoder.decode(value, { stream: true });
            size += text.length;
            if (size > MAX_EVENT_CHARS)
                throw new RangeError("An event of the stream is too large.");
            const lines = text.split("\n");
            for (const [place, end] of lines.entries()) {
                parts.push(end);
                if (place === lines.length - 1)
                    break;
                const line = parts.join("").replace(/\r$/, "");
                parts = [];
                if (line.startsWith("data:"))
                    data.push(line.slice(5).replace(/^ /, ""));
                if (line === "" && data.length) {
                    yield data.join("\n");
                    data = [];
                    size = 0;
                }
            }
        }
    }
    finally {
        // Without an await: a body that is lost already may never answer, and who leaves need not wait for it.
        reader.cancel().catch(() => undefined);
    }
}
