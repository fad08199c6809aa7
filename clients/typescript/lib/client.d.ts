import { type RetryBudget } from "./retries.js";
import type { EditImagesRequest, EditImagesResponse, GenerateImagesRequest, GenerateImagesResponse, Generation, Image, Model, Provenance, RunTaskEvent, RunTaskRequest, SignContentUrlRequest, SignContentUrlResponse, UpscaleImageRequest, UpscaleImageResponse, Usage } from "./types.js";
export type Token = string | (() => string | Promise<string>);
export type Picture = Blob | ArrayBuffer | Uint8Array<ArrayBuffer>;
export interface ClientOptions {
    /** Such as `http://127.0.0.1:8080`. */
    baseUrl: string;
    workspace: string;
    /** An access token, or what returns a fresh one before each try. */
    token: Token;
    retries?: Partial<RetryBudget>;
    /** The deadline of calls that look something up, in seconds. Default: 30. */
    timeout?: number;
    /** The deadline of tasks and of pictures on their way, in seconds. Default: 330. */
    taskTimeout?: number;
    fetch?: typeof fetch;
}
export interface CallOptions {
    /** Ends the call. What was bought before is kept: see `generation`. */
    signal?: AbortSignal;
    /** The deadline of all tries together, in seconds. */
    timeout?: number;
}
export interface TaskCallOptions extends CallOptions {
    /** Repeating a task under its key never buys twice. Default: a new one for each call. */
    idempotencyKey?: string;
}
export interface ListOptions extends CallOptions {
    generationId?: string;
    createdByUserId?: string;
    /** Images that one request fetches, at most 200. Default: 50. */
    pageSize?: number;
}
export interface ContentOptions extends CallOptions {
    /** The width of a derivative in pixels: 128, 256, 512, 1024 or 2048. */
    width?: number;
    /** The format of a derivative: `png`, `jpeg`, `webp` or `avif`. */
    format?: string;
}
/** Calls the service in one workspace. Failures are `LimnerError`; an ended `signal` throws its own reason. */
export declare class Client {
    #private;
    constructor(options: ClientOptions);
    /** Make pictures from a prompt, and wait for them. */
    generate(request: GenerateImagesRequest, options?: TaskCallOptions): Promise<GenerateImagesResponse>;
    /** Make pictures from the caller's own ones and a prompt, and wait for them. */
    edit(request: EditImagesRequest, options?: TaskCallOptions): Promise<EditImagesResponse>;
    /** Make one of the caller's own pictures larger, and wait for it. */
    upscale(request: UpscaleImageRequest, options?: TaskCallOptions): Promise<UpscaleImageResponse>;
    /**
     * Run a task and yield what happens to it. Leaving the loop cancels the call.
     *
     * The last event is `completed`; a task that failed throws its error after it. A stream that breaks is taken up
     * again under the same key, within the retry budget; `queued` and images that were told already are not told twice.
     */
    run(task: RunTaskRequest, options?: TaskCallOptions): AsyncGenerator<RunTaskEvent, void, undefined>;
    /** Return a generation: its state, its images, its error. */
    generation(id: string, options?: CallOptions): Promise<Generation>;
    /** Cancel a generation, and return it; one that has ended is returned as it is. */
    cancel(id: string, options?: CallOptions): Promise<Generation>;
    /** Keep a picture of at most 20 MiB. It is not repeated by itself: each upload is an image of its own. */
    upload(picture: Picture, options?: CallOptions): Promise<Image>;
    /** Return what the marks of any picture say; the service keeps nothing of it. */
    verify(picture: Picture, options?: CallOptions): Promise<Provenance>;
    /** Return what the marks of an image say. */
    provenance(imageId: string, options?: CallOptions): Promise<Provenance>;
    /** Return the facts about an image. */
    image(id: string, options?: CallOptions): Promise<Image>;
    /** Yield the workspace's images, newest first, fetching page after page as they are taken. */
    images(options?: ListOptions): AsyncGenerator<Image, void, undefined>;
    /** Delete an image. */
    delete(id: string, options?: CallOptions): Promise<void>;
    /** Return the bytes of an image as they are stored, or of a derivative of it. */
    content(imageId: string, options?: ContentOptions): Promise<Blob>;
    /** Return an address under which a browser gets an image, or a derivative of it, without a token. */
    signedUrl(imageId: string, wanted?: Omit<SignContentUrlRequest, "imageId">, options?: CallOptions): Promise<SignContentUrlResponse>;
    /** Return the models of the catalogue, and what each can do. */
    models(options?: CallOptions): Promise<Model[]>;
    /** Return what the workspace used this month. */
    usage(options?: CallOptions): Promise<Usage>;
}
