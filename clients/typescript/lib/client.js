import { DeadlineExceededError, errorOf, LimnerError, UnavailableError } from "./errors.js";
import { eventData } from "./events.js";
import { DEFAULT_RETRIES, delayAfter, sleep } from "./retries.js";
/** Calls the service in one workspace. Failures are `LimnerError`; an ended `signal` throws its own reason. */
export class Client {
    #options;
    #base;
    #retries;
    constructor(options) {
        this.#options = options;
        this.#base = options.baseUrl.replace(/\/+$/, "");
        this.#retries = { ...DEFAULT_RETRIES, ...options.retries };
    }
    /** Make pictures from a prompt, and wait for them. */
    generate(request, options = {}) {
        return this.#task("image-generation-tasks", request, options);
    }
    /** Make pictures from the caller's own ones and a prompt, and wait for them. */
    edit(request, options = {}) {
        return this.#task("image-edit-tasks", request, options);
    }
    /** Make one of the caller's own pictures larger, and wait for it. */
    upscale(request, options = {}) {
        return this.#task("image-upscale-tasks", request, options);
    }
    /**
     * Run a task and yield what happens to it. Leaving the loop cancels the call.
     *
     * The last event is `completed`; a task that failed throws its error after it. A stream that breaks is taken up
     * again under the same key, within the retry budget; `queued` and images that were told already are not told twice.
     */
    async *run(task, options = {}) {
        const [operation, given] = Object.entries(task)[0] ?? ["", {}];
        const key = options.idempotencyKey || given.requestId || crypto.randomUUID();
        const request = this.#json("image-tasks:stream", { [operation]: { ...given, requestId: key } }, key);
        const deadline = deadlineOf(options.signal, options.timeout ?? this.#options.taskTimeout ?? 330);
        const told = new Set();
        let generationId = "";
        try {
            for (let made = 1;; made++) {
                try {
                    const response = await this.#attempt(request, deadline, "text/event-stream");
                    for await (const event of eventsOf(response, deadline)) {
                        if ("queued" in event)
                            generationId = event.queued.generationId;
                        const name = "queued" in event ? generationId : "image" in event ? event.image.id : "";
                        if (name && told.has(name))
                            continue;
                        if (name)
                            told.add(name);
                        const failure = "completed" in event ? failureOfTask(event.completed, request, response) : undefined;
                        // An end that is tried again is no end, and is not told.
                        if (failure && this.#delayAfter(failure, made, deadline) !== undefined)
                            throw failure;
                        yield event;
                        if (failure)
                            throw new Ended(failure);
                        if ("completed" in event)
                            return;
                    }
                    throw lost(request, response);
                }
                catch (error) {
                    if (error instanceof Ended)
                        throw error.failure;
                    if (error instanceof LimnerError) {
                        error.generationId ||= generationId;
                        error.idempotencyKey ||= key;
                    }
                    await this.#waitAfter(error, made, deadline);
                }
            }
        }
        finally {
            deadline.end();
        }
    }
    /** Return a generation: its state, its images, its error. */
    generation(id, options = {}) {
        return this.#answer(this.#get(`generations/${encodeURIComponent(id)}`), options);
    }
    /** Cancel a generation, and return it; one that has ended is returned as it is. */
    cancel(id, options = {}) {
        return this.#answer(this.#json(`generations/${encodeURIComponent(id)}:cancel`, {}), options);
    }
    /** Keep a picture of at most 20 MiB. It is not repeated by itself: each upload is an image of its own. */
    upload(picture, options = {}) {
        return this.#answer(this.#picture("images", picture), this.#long(options), { tries: 1 });
    }
    /** Return what the marks of any picture say; the service keeps nothing of it. */
    verify(picture, options = {}) {
        return this.#answer(this.#picture("images:verify", picture), this.#long(options));
    }
    /** Return what the marks of an image say. */
    provenance(imageId, options = {}) {
        return this.#answer(this.#get(`images/${encodeURIComponent(imageId)}/provenance`), options);
    }
    /** Return the facts about an image. */
    image(id, options = {}) {
        return this.#answer(this.#get(`images/${encodeURIComponent(id)}`), options);
    }
    /** Yield the workspace's images, newest first, fetching page after page as they are taken. */
    async *images(options = {}) {
        const { generationId, createdByUserId, pageSize } = options;
        let pageToken;
        do {
            const query = { generationId, createdByUserId, pageSize, pageToken };
            const page = await this.#answer(this.#get("images", query), options);
            yield* page.images;
            pageToken = page.nextPageToken;
        } while (pageToken);
    }
    /** Delete an image. */
    async delete(id, options = {}) {
        await this.#answer({ method: "DELETE", path: this.#inWorkspace(`images/${encodeURIComponent(id)}`) }, options);
    }
    /** Return the bytes of an image as they are stored, or of a derivative of it. */
    content(imageId, options = {}) {
        const { width, format } = options;
        const request = this.#get(`images/${encodeURIComponent(imageId)}/content`, { width, format });
        return this.#repeated(request, this.#long(options), (response) => response.blob());
    }
    /** Return an address under which a browser gets an image, or a derivative of it, without a token. */
    async signedUrl(imageId, wanted = {}, options = {}) {
        const request = this.#json(`images/${encodeURIComponent(imageId)}:signContentUrl`, wanted);
        const signed = await this.#answer(request, options);
        return { ...signed, url: new URL(signed.url, `${this.#base}/`).href };
    }
    /** Return the models of the catalogue, and what each can do. */
    async models(options = {}) {
        return (await this.#answer({ method: "GET", path: "/v1/models" }, options)).models;
    }
    /** Return what the workspace used this month. */
    usage(options = {}) {
        return this.#answer(this.#get("usage"), options);
    }
    #task(path, task, options) {
        const key = options.idempotencyKey || task.requestId || crypto.randomUUID();
        return this.#answer(this.#json(path, { ...task, requestId: key }, key), this.#long(options));
    }
    #inWorkspace(path) {
        return `/v1/workspaces/${encodeURIComponent(this.#options.workspace)}/${path}`;
    }
    #get(path, query = {}) {
        return { method: "GET", path: this.#inWorkspace(path), query };
    }
    #json(path, body, key = "") {
        const contentType = "application/json";
        return { method: "POST", path: this.#inWorkspace(path), body: JSON.stringify(body), contentType, key };
    }
    #picture(path, picture) {
        const contentType = (picture instanceof Blob && picture.type) || "application/octet-stream";
        return { method: "POST", path: this.#inWorkspace(path), body: picture, contentType };
    }
    #long(options) {
        return { ...options, timeout: options.timeout ?? this.#options.taskTimeout ?? 330 };
    }
    #answer(request, options, retries = {}) {
        return this.#repeated(request, options, (response) => response.json(), retries);
    }
    async #repeated(request, options, read, retries = {}) {
        const deadline = deadlineOf(options.signal, options.timeout ?? this.#options.timeout ?? 30);
        try {
            for (let made = 1;; made++) {
                try {
                    const response = await this.#attempt(request, deadline);
                    return await read(response).catch((error) => Promise.reject(unreached(error, request, deadline, response)));
                }
                catch (error) {
                    await this.#waitAfter(error, made, deadline, retries);
                }
            }
        }
        finally {
            deadline.end();
        }
    }
    async #attempt(request, deadline, accept = "application/json") {
        const url = new URL(this.#base + request.path);
        for (const [name, value] of Object.entries(request.query ?? {})) {
            if (value !== undefined)
                url.searchParams.set(name, String(value));
        }
        const token = typeof this.#options.token === "string" ? this.#options.token : await this.#options.token();
        const headers = { authorization: `Bearer ${token}`, accept };
        if (request.contentType)
            headers["content-type"] = request.contentType;
        if (request.key)
            headers["idempotency-key"] = request.key;
        const init = { method: request.method, headers, signal: deadline.signal, redirect: "error" };
        if (request.body !== undefined)
            init.body = request.body;
        const send = this.#options.fetch ?? fetch;
        const response = await send(url, init).catch((error) => Promise.reject(unreached(error, request, deadline)));
        if (response.ok)
            return response;
        const answer = await response.json().catch(() => ({ code: codeOf(response.status) }));
        throw errorOf(answer, failureOf(request, response));
    }
    #delayAfter(error, made, deadline, retries = {}) {
        return delayAfter(error, made, { ...this.#retries, ...retries }, deadline.left());
    }
    async #waitAfter(error, made, deadline, retries = {}) {
        const delay = this.#delayAfter(error, made, deadline, retries);
        if (delay === undefined)
            throw error;
        await sleep(delay, deadline.signal);
    }
}
async function* eventsOf(response, deadline) {
    if (!response.body)
        return;
    try {
        for await (const data of eventData(response.body))
            yield JSON.parse(data);
    }
    catch (error) {
        throw unreached(error, { method: "POST", path: "" }, deadline, response);
    }
}
/** Leads a failure out of the loop that tries again. */
class Ended {
    failure;
    constructor(failure) {
        this.failure = failure;
    }
}
function failureOfTask(generation, request, response) {
    if (generation.state === "SUCCEEDED")
        return undefined;
    const answer = generation.error ?? { code: 1, message: `The generation is ${generation.state}.` };
    return errorOf(answer, { ...failureOf(request, response), generationId: generation.generationId });
}
function deadlineOf(outer, seconds) {
    const controller = new AbortController();
    const ends = Date.now() + seconds * 1000;
    const late = () => controller.abort(new DeadlineExceededError(`No answer within ${seconds} s.`));
    const stop = () => controller.abort(outer?.reason);
    const timer = setTimeout(late, seconds * 1000);
    outer?.addEventListener("abort", stop, { once: true });
    if (outer?.aborted)
        stop();
    const end = () => {
        clearTimeout(timer);
        outer?.removeEventListener("abort", stop);
    };
    return { signal: controller.signal, left: () => (ends - Date.now()) / 1000, end };
}
/** Return what a lost connection is thrown as; when the caller or the deadline ended it, their own reason. */
function unreached(error, request, deadline, response) {
    if (error instanceof LimnerError)
        return error;
    if (deadline.signal.aborted) {
        const reason = deadline.signal.reason;
        if (reason instanceof LimnerError)
            reason.idempotencyKey = request.key ?? "";
        return reason;
    }
    const why = error instanceof Error ? error.message : String(error);
    return new UnavailableError(`The connection was lost: ${why}`, failureOf(request, response));
}
function lost(request, response) {
    return new UnavailableError("The stream ended early.", failureOf(request, response));
}
function failureOf(request, response) {
    const wait = Number.parseFloat(response?.headers.get("retry-after") ?? "");
    return {
        status: response?.status ?? 0,
        requestId: response ? requestIdOf(response) : "",
        idempotencyKey: request.key ?? "",
        retryAfter: Number.isFinite(wait) ? wait : undefined,
    };
}
function requestIdOf(response) {
    return response.headers.get("x-request-id") ?? "";
}
/** Return the code of an answer that some proxy gave, and not the service. */
function codeOf(status) {
    return status === 502 || status === 503 || status === 504 ? 14 : status === 401 ? 16 : status === 403 ? 7 : 2;
}
