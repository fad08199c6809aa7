import { DeadlineExceededError, errorOf, LimnerError, UnavailableError } from "./errors.js";
import { eventData } from "./events.js";
import { DEFAULT_RETRIES, delayAfter, type RetryBudget, sleep } from "./retries.js";
import type {
  EditImagesRequest,
  EditImagesResponse,
  GenerateImagesRequest,
  GenerateImagesResponse,
  Generation,
  Image,
  ListImagesResponse,
  ListModelsResponse,
  Model,
  Provenance,
  RunTaskEvent,
  RunTaskRequest,
  SignContentUrlRequest,
  SignContentUrlResponse,
  UpscaleImageRequest,
  UpscaleImageResponse,
  Usage,
} from "./types.js";

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

interface Request {
  method: string;
  path: string;
  query?: Record<string, string | number | undefined>;
  body?: BodyInit;
  contentType?: string;
  key?: string;
}

interface Deadline {
  signal: AbortSignal;
  left(): number;
  end(): void;
}

/** Calls the service in one workspace. Failures are `LimnerError`; an ended `signal` throws its own reason. */
export class Client {
  readonly #options: ClientOptions;
  readonly #base: string;
  readonly #retries: RetryBudget;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#base = options.baseUrl.replace(/\/+$/, "");
    this.#retries = { ...DEFAULT_RETRIES, ...options.retries };
  }

  /** Make pictures from a prompt, and wait for them. */
  generate(request: GenerateImagesRequest, options: TaskCallOptions = {}): Promise<GenerateImagesResponse> {
    return this.#task("image-generation-tasks", request, options);
  }

  /** Make pictures from the caller's own ones and a prompt, and wait for them. */
  edit(request: EditImagesRequest, options: TaskCallOptions = {}): Promise<EditImagesResponse> {
    return this.#task("image-edit-tasks", request, options);
  }

  /** Make one of the caller's own pictures larger, and wait for it. */
  upscale(request: UpscaleImageRequest, options: TaskCallOptions = {}): Promise<UpscaleImageResponse> {
    return this.#task("image-upscale-tasks", request, options);
  }

  /**
   * Run a task and yield what happens to it. Leaving the loop cancels the call.
   *
   * The last event is `completed`; a task that failed throws its error after it. A stream that breaks is taken up
   * again under the same key, within the retry budget; `queued` and images that were told already are not told twice.
   */
  async *run(task: RunTaskRequest, options: TaskCallOptions = {}): AsyncGenerator<RunTaskEvent, void, undefined> {
    const [operation, given] = Object.entries(task)[0] ?? ["", {}];
    const key = options.idempotencyKey || given.requestId || crypto.randomUUID();
    const request = this.#json("image-tasks:stream", { [operation]: { ...given, requestId: key } }, key);
    const deadline = deadlineOf(options.signal, options.timeout ?? this.#options.taskTimeout ?? 330);
    const told = new Set<string>();
    let generationId = "";
    try {
      for (let made = 1; ; made++) {
        try {
          const response = await this.#attempt(request, deadline, "text/event-stream");
          for await (const event of eventsOf(response, deadline)) {
            if ("queued" in event) generationId = event.queued.generationId;
            const name = "queued" in event ? generationId : "image" in event ? event.image.id : "";
            if (name && told.has(name)) continue;
            if (name) told.add(name);
            const failure = "completed" in event ? failureOfTask(event.completed, request, response) : undefined;
            // An end that is tried again is no end, and is not told.
            if (failure && this.#delayAfter(failure, made, deadline) !== undefined) throw failure;
            yield event;
            if (failure) throw new Ended(failure);
            if ("completed" in event) return;
          }
          throw lost(request, response);
        } catch (error) {
          if (error instanceof Ended) throw error.failure;
          if (error instanceof LimnerError) {
            error.generationId ||= generationId;
            error.idempotencyKey ||= key;
          }
          await this.#waitAfter(error, made, deadline);
        }
      }
    } finally {
      deadline.end();
    }
  }

  /** Return a generation: its state, its images, its error. */
  generation(id: string, options: CallOptions = {}): Promise<Generation> {
    return this.#answer(this.#get(`generations/${encodeURIComponent(id)}`), options);
  }

  /** Cancel a generation, and return it; one that has ended is returned as it is. */
  cancel(id: string, options: CallOptions = {}): Promise<Generation> {
    return this.#answer(this.#json(`generations/${encodeURIComponent(id)}:cancel`, {}), options);
  }

  /** Keep a picture of at most 20 MiB. It is not repeated by itself: each upload is an image of its own. */
  upload(picture: Picture, options: CallOptions = {}): Promise<Image> {
    return this.#answer(this.#picture("images", picture), this.#long(options), { tries: 1 });
  }

  /** Return what the marks of any picture say; the service keeps nothing of it. */
  verify(picture: Picture, options: CallOptions = {}): Promise<Provenance> {
    return this.#answer(this.#picture("images:verify", picture), this.#long(options));
  }

  /** Return what the marks of an image say. */
  provenance(imageId: string, options: CallOptions = {}): Promise<Provenance> {
    return this.#answer(this.#get(`images/${encodeURIComponent(imageId)}/provenance`), options);
  }

  /** Return the facts about an image. */
  image(id: string, options: CallOptions = {}): Promise<Image> {
    return this.#answer(this.#get(`images/${encodeURIComponent(id)}`), options);
  }

  /** Yield the workspace's images, newest first, fetching page after page as they are taken. */
  async *images(options: ListOptions = {}): AsyncGenerator<Image, void, undefined> {
    const { generationId, createdByUserId, pageSize } = options;
    let pageToken: string | undefined;
    do {
      const query = { generationId, createdByUserId, pageSize, pageToken };
      const page: ListImagesResponse = await this.#answer(this.#get("images", query), options);
      yield* page.images;
      pageToken = page.nextPageToken;
    } while (pageToken);
  }

  /** Delete an image. */
  async delete(id: string, options: CallOptions = {}): Promise<void> {
    await this.#answer({ method: "DELETE", path: this.#inWorkspace(`images/${encodeURIComponent(id)}`) }, options);
  }

  /** Return the bytes of an image as they are stored, or of a derivative of it. */
  content(imageId: string, options: ContentOptions = {}): Promise<Blob> {
    const { width, format } = options;
    const request = this.#get(`images/${encodeURIComponent(imageId)}/content`, { width, format });
    return this.#repeated(request, this.#long(options), (response) => response.blob());
  }

  /** Return an address under which a browser gets an image, or a derivative of it, without a token. */
  async signedUrl(
    imageId: string,
    wanted: Omit<SignContentUrlRequest, "imageId"> = {},
    options: CallOptions = {},
  ): Promise<SignContentUrlResponse> {
    const request = this.#json(`images/${encodeURIComponent(imageId)}:signContentUrl`, wanted);
    const signed = await this.#answer<SignContentUrlResponse>(request, options);
    return { ...signed, url: new URL(signed.url, `${this.#base}/`).href };
  }

  /** Return the models of the catalogue, and what each can do. */
  async models(options: CallOptions = {}): Promise<Model[]> {
    return (await this.#answer<ListModelsResponse>({ method: "GET", path: "/v1/models" }, options)).models;
  }

  /** Return what the workspace used this month. */
  usage(options: CallOptions = {}): Promise<Usage> {
    return this.#answer(this.#get("usage"), options);
  }

  #task<T>(path: string, task: { requestId?: string }, options: TaskCallOptions): Promise<T> {
    const key = options.idempotencyKey || task.requestId || crypto.randomUUID();
    return this.#answer(this.#json(path, { ...task, requestId: key }, key), this.#long(options));
  }

  #inWorkspace(path: string): string {
    return `/v1/workspaces/${encodeURIComponent(this.#options.workspace)}/${path}`;
  }

  #get(path: string, query: Request["query"] = {}): Request {
    return { method: "GET", path: this.#inWorkspace(path), query };
  }

  #json(path: string, body: unknown, key = ""): Request {
    const contentType = "application/json";
    return { method: "POST", path: this.#inWorkspace(path), body: JSON.stringify(body), contentType, key };
  }

  #picture(path: string, picture: Picture): Request {
    const contentType = (picture instanceof Blob && picture.type) || "application/octet-stream";
    return { method: "POST", path: this.#inWorkspace(path), body: picture, contentType };
  }

  #long<T extends CallOptions>(options: T): T {
    return { ...options, timeout: options.timeout ?? this.#options.taskTimeout ?? 330 };
  }

  #answer<T>(request: Request, options: CallOptions, retries: Partial<RetryBudget> = {}): Promise<T> {
    return this.#repeated(request, options, (response) => response.json() as Promise<T>, retries);
  }

  async #repeated<T>(
    request: Request,
    options: CallOptions,
    read: (response: Response) => Promise<T>,
    retries: Partial<RetryBudget> = {},
  ): Promise<T> {
    const deadline = deadlineOf(options.signal, options.timeout ?? this.#options.timeout ?? 30);
    try {
      for (let made = 1; ; made++) {
        try {
          const response = await this.#attempt(request, deadline);
          return await read(response).catch((error) => Promise.reject(unreached(error, request, deadline, response)));
        } catch (error) {
          await this.#waitAfter(error, made, deadline, retries);
        }
      }
    } finally {
      deadline.end();
    }
  }

  async #attempt(request: Request, deadline: Deadline, accept = "application/json"): Promise<Response> {
    const url = new URL(this.#base + request.path);
    for (const [name, value] of Object.entries(request.query ?? {})) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    const token = typeof this.#options.token === "string" ? this.#options.token : await this.#options.token();
    const headers: Record<string, string> = { authorization: `Bearer ${token}`, accept };
    if (request.contentType) headers["content-type"] = request.contentType;
    if (request.key) headers["idempotency-key"] = request.key;
    const init: RequestInit = { method: request.method, headers, signal: deadline.signal, redirect: "error" };
    if (request.body !== undefined) init.body = request.body;
    const send = this.#options.fetch ?? fetch;
    const response = await send(url, init).catch((error) => Promise.reject(unreached(error, request, deadline)));
    if (response.ok) return response;
    const answer = await response.json().catch(() => ({ code: codeOf(response.status) }));
    throw errorOf(answer, failureOf(request, response));
  }

  #delayAfter(error: unknown, made: number, deadline: Deadline, retries: Partial<RetryBudget> = {}): number | undefined {
    return delayAfter(error, made, { ...this.#retries, ...retries }, deadline.left());
  }

  async #waitAfter(error: unknown, made: number, deadline: Deadline, retries: Partial<RetryBudget> = {}): Promise<void> {
    const delay = this.#delayAfter(error, made, deadline, retries);
    if (delay === undefined) throw error;
    await sleep(delay, deadline.signal);
  }
}

async function* eventsOf(response: Response, deadline: Deadline): AsyncGenerator<RunTaskEvent, void, undefined> {
  if (!response.body) return;
  try {
    for await (const data of eventData(response.body)) yield JSON.parse(data) as RunTaskEvent;
  } catch (error) {
    throw unreached(error, { method: "POST", path: "" }, deadline, response);
  }
}

/** Leads a failure out of the loop that tries again. */
class Ended {
  constructor(readonly failure: LimnerError) {}
}

function failureOfTask(generation: Generation, request: Request, response: Response): LimnerError | undefined {
  if (generation.state === "SUCCEEDED") return undefined;
  const answer = generation.error ?? { code: 1, message: `The generation is ${generation.state}.` };
  return errorOf(answer, { ...failureOf(request, response), generationId: generation.generationId });
}

function deadlineOf(outer: AbortSignal | undefined, seconds: number): Deadline {
  const controller = new AbortController();
  const ends = Date.now() + seconds * 1000;
  const late = () => controller.abort(new DeadlineExceededError(`No answer within ${seconds} s.`));
  const stop = () => controller.abort(outer?.reason);
  const timer = setTimeout(late, seconds * 1000);
  outer?.addEventListener("abort", stop, { once: true });
  if (outer?.aborted) stop();
  const end = () => {
    clearTimeout(timer);
    outer?.removeEventListener("abort", stop);
  };
  return { signal: controller.signal, left: () => (ends - Date.now()) / 1000, end };
}

/** Return what a lost connection is thrown as; when the caller or the deadline ended it, their own reason. */
function unreached(error: unknown, request: Request, deadline: Deadline, response?: Response): unknown {
  if (error instanceof LimnerError) return error;
  if (deadline.signal.aborted) {
    const reason: unknown = deadline.signal.reason;
    if (reason instanceof LimnerError) reason.idempotencyKey = request.key ?? "";
    return reason;
  }
  const why = error instanceof Error ? error.message : String(error);
  return new UnavailableError(`The connection was lost: ${why}`, failureOf(request, response));
}

function lost(request: Request, response: Response): LimnerError {
  return new UnavailableError("The stream ended early.", failureOf(request, response));
}

function failureOf(request: Request, response?: Response) {
  const wait = Number.parseFloat(response?.headers.get("retry-after") ?? "");
  return {
    status: response?.status ?? 0,
    requestId: response ? requestIdOf(response) : "",
    idempotencyKey: request.key ?? "",
    retryAfter: Number.isFinite(wait) ? wait : undefined,
  };
}

function requestIdOf(response: Response): string {
  return response.headers.get("x-request-id") ?? "";
}

/** Return the code of an answer that some proxy gave, and not the service. */
function codeOf(status: number): number {
  return status === 502 || status === 503 || status === 504 ? 14 : status === 401 ? 16 : status === 403 ? 7 : 2;
}
