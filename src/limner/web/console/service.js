// The calls of the service, as a browser makes them.

const BASE = "/v1";
const MOST_TRIES = 4;
const LONGEST_WAIT_MS = 30_000;

/** How long a key is surely remembered. Asked again later, by a tab that slept or was restored, it would buy anew. */
const KEY_HOLDS_MS = 12 * 3600 * 1000;

export class ServiceError extends Error {
  constructor(message, { status = 0, reason = "", requestId = "", violations = [], metadata = {}, retryAfterMs } = {}) {
    super(message);
    Object.assign(this, { status, reason, requestId, violations, metadata, retryAfterMs });
  }

  /** Whether asking again may help. A key that goes along makes it safe. */
  get mayPass() {
    return this.status === 0 || this.status === 502 || this.status === 503 || this.status === 504 || this.reason === "OVERLOADED";
  }
}

export class Service {
  constructor(token, workspace) {
    this.token = token;
    this.workspace = workspace;
    this.root = `${BASE}/workspaces/${encodeURIComponent(workspace)}`;
  }

  async models() {
    return (await this.#json(`${BASE}/models`)).models;
  }

  usage() {
    return this.#json(`${this.root}/usage`);
  }

  images({ pageToken = "", user = "", pageSize = 24 } = {}) {
    const query = new URLSearchParams({ pageSize });
    if (pageToken) query.set("pageToken", pageToken);
    if (user) query.set("createdByUserId", user);
    return this.#json(`${this.root}/images?${query}`);
  }

  image(id) {
    return this.#json(`${this.root}/images/${encodeURIComponent(id)}`);
  }

  generation(id) {
    return this.#json(`${this.root}/generations/${encodeURIComponent(id)}`);
  }

  provenance(id) {
    return this.#json(`${this.root}/images/${encodeURIComponent(id)}/provenance`);
  }

  upload(file) {
    const headers = { "content-type": file.type || "application/octet-stream" };
    return this.#json(`${this.root}/images`, { method: "POST", headers, body: file });
  }

  remove(id) {
    return this.#json(`${this.root}/images/${encodeURIComponent(id)}`, { method: "DELETE" });
  }

  cancel(generationId) {
    return this.#post(`${this.root}/generations/${encodeURIComponent(generationId)}:cancel`, {});
  }

  /** An address that opens without a token for as many seconds. */
  share(id, ttlSeconds) {
    return this.#post(`${this.root}/images/${encodeURIComponent(id)}:signContentUrl`, { ttlSeconds });
  }

  /** A picture's bytes: as stored, or at most `width` pixels wide. `path` is what `_links.content` says. */
  async content(path, { width, signal } = {}) {
    const query = width ? `?width=${width}&format=webp` : "";
    return (await this.#fetch(path + query, { signal })).blob();
  }

  /**
   * Runs a task and gives its events. When the connection or the service fails on the way, it asks again with the same
   * key: the service then gives what the first request bought, and buys nothing twice. `begunAt` is when a person asked.
   */
  async *run(task, key, begunAt, signal) {
    for (let tries = 1; ; tries += 1) {
      if (Date.now() - begunAt > KEY_HOLDS_MS) {
        throw new ServiceError("This was begun too long ago to be asked for again safely. What it made is in the gallery.");
      }
      try {
        for await (const event of this.#events(task, key, signal)) {
          yield event;
          if (event.completed) return;
        }
        throw new ServiceError("The connection ended before the task did.");
      } catch (error) {
        const fault = asServiceError(error);
        if (signal?.aborted || !fault.mayPass || tries === MOST_TRIES) throw fault;
        await wait(fault.retryAfterMs ?? 1000 * 2 ** (tries - 1), signal);
        yield { repeated: { tries } };
      }
    }
  }

  async *#events(task, key, signal) {
    const headers = { "content-type": "application/json", accept: "text/event-stream", "idempotency-key": key };
    const body = JSON.stringify(task);
    const response = await this.#fetch(`${this.root}/image-tasks:stream`, { method: "POST", headers, body, signal });
    yield* parsedEvents(response.body);
  }

  #post(path, body) {
    return this.#json(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  }

  async #json(path, options) {
    return (await this.#fetch(path, options)).json();
  }

  async #fetch(path, { headers = {}, ...options } = {}) {
    let response;
    try {
      response = await fetch(path, { ...options, headers: { ...headers, authorization: `Bearer ${this.token}` } });
    } catch (error) {
      throw asServiceError(error);
    }
    if (!response.ok) throw await refusal(response);
    return response;
  }
}

/** Server-sent events, each of whose data is JSON. */
export async function* parsedEvents(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  const parts = [];
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      // An event may be megabytes long and come in many parts: they are joined once, when its line ends.
      const lines = value.split("\n");
      for (const line of lines.slice(0, -1)) {
        parts.push(line);
        const whole = parts.join("").replace(/\r$/, "");
        parts.length = 0;
        if (whole.startsWith("data:")) yield JSON.parse(whole.slice(5));
      }
      parts.push(lines.at(-1));
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

async function refusal(response) {
  const requestId = response.headers.get("x-request-id") ?? "";
  const body = await response.json().catch(() => ({}));
  const error = statusError(body, { status: response.status, requestId });
  const seconds = Number(response.headers.get("retry-after"));
  if (seconds > 0) error.retryAfterMs = Math.min(seconds * 1000, LONGEST_WAIT_MS);
  return error;
}

/** What an error's JSON says: that of an answer, or that of a generation that failed. */
export function statusError({ message, details = [] }, { status = 0, requestId = "" } = {}) {
  const detail = (name) => details.find((each) => String(each["@type"]).endsWith(name)) ?? {};
  const { reason = "", metadata = {} } = detail(".ErrorInfo");
  const violations = detail(".BadRequest").fieldViolations ?? [];
  return new ServiceError(message || `The service answered ${status}.`, {
    status,
    reason,
    metadata,
    requestId: requestId || metadata.requestId || "",
    violations: violations.filter(({ description }) => !message?.includes(description)),
  });
}

function asServiceError(error) {
  if (error instanceof ServiceError) return error;
  if (error.name === "AbortError") return new ServiceError("Stopped.", { reason: "CANCELLED" });
  return new ServiceError("The service cannot be reached. Is it running, and is the network there?");
}

function wait(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
  });
}
