// Tasks at work: their progress, their pictures while they come, and what became of them.

import { button, byId, complaint, confirmed, element } from "/console/elements.js";
import { ServiceError, statusError } from "/console/service.js";

const PENDING = "limner.pending";

export class Tasks {
  /** `made` is told of each new image, `ended` when a task is over, `thumbnail` gives a picture of an image. */
  constructor(service, { made, ended, thumbnail, open }) {
    Object.assign(this, { service, made, ended, thumbnail, open });
    this.running = new Set();
    byId("tasks").replaceChildren();
  }

  /** Goes on with what ran when the page was left: by the same keys, so nothing is bought again. */
  resume() {
    for (const order of pending(this.service.workspace)) this.#show(order);
  }

  start(task, title) {
    this.#begin({ key: crypto.randomUUID?.() ?? randomKey(), task, title });
  }

  close() {
    for (const run of this.running) run.leave();
  }

  #begin(order) {
    const begun = { ...order, begunAt: Date.now() };
    keep(this.service.workspace, [...pending(this.service.workspace), begun]);
    this.#show(begun);
  }

  #show(order) {
    const card = new Card(order.title);
    byId("tasks").prepend(card.element);
    this.#run(card, order);
  }

  async #run(card, { key, task, title, begunAt }) {
    const leaving = new AbortController();
    const run = { leave: () => leaving.abort() };
    this.running.add(run);
    try {
      for await (const event of this.service.run(task, key, begunAt, leaving.signal)) this.#heard(card, event);
      this.#over(key);
    } catch (error) {
      if (leaving.signal.aborted) return;
      this.#over(key);
      card.fail(error, () => {
        card.element.remove();
        this.#begin({ key, task, title }); // by the same key: what was bought after all is what comes
      });
    } finally {
      this.running.delete(run);
    }
    this.ended();
  }

  #over(key) {
    keep(this.service.workspace, pending(this.service.workspace).filter((each) => each.key !== key));
  }

  #heard(card, { queued, progress, preview, image, completed, repeated }) {
    if (queued) card.queued(() => this.#cancel(card, queued.generationId));
    if (progress) card.progress(progress.fraction);
    if (preview) card.preview(preview);
    if (repeated) card.tell("The connection was lost. Asking again; nothing is bought twice.");
    if (image) {
      card.picture(image, this.thumbnail(image), () => this.open(image));
      this.made(image);
    }
    if (!completed) return;
    for (const each of completed.images) {
      card.picture(each, this.thumbnail(each), () => this.open(each));
      this.made(each);
    }
    if (completed.state === "CANCELLED") throw new ServiceError("Cancelled.", { reason: "GENERATION_CANCELLED" });
    if (completed.state === "FAILED") throw statusError(completed.error ?? {});
    card.complete(completed);
  }

  async #cancel(card, generationId) {
    if (!(await confirmed("Cancel this task? What its model has begun may be billed all the same.", "Cancel the task"))) return;
    try {
      const generation = await this.service.cancel(generationId);
      if (generation.mayBill) card.tell("Cancelled; its provider may bill it all the same.");
    } catch (error) {
      card.tell(error.message);
    }
  }
}

class Card {
  constructor(title) {
    this.bar = element("progress", { max: 1, "aria-label": "Progress" });
    this.status = element("span", { class: "note" }, "Sending…");
    this.action = element("span");
    this.pictures = element("div", { class: "pictures" });
    this.notes = element("div");
    this.shown = new Set();
    this.previews = new Map();
    const heading = element("p", { class: "title", title }, title);
    this.element = element("article", { class: "task panel", dataset: { state: "running" } },
      heading, this.bar, element("div", { class: "row spread" }, this.status, this.action), this.pictures, this.notes);
  }

  queued(cancel) {
    this.status.textContent = "Queued";
    this.action.replaceChildren(button("Cancel", cancel, { class: "quiet" }));
  }

  progress(fraction) {
    this.bar.value = fraction;
    this.status.textContent = `${Math.round(fraction * 100)} %`;
  }

  preview({ index, contentType, data }) {
    const address = URL.createObjectURL(new Blob([Uint8Array.from(atob(data), (char) => char.charCodeAt(0))], { type: contentType }));
    const shown = this.previews.get(index) ?? element("img", { class: "preview", alt: `Preview of picture ${index + 1}` });
    shown.onload = () => URL.revokeObjectURL(address);
    shown.src = address;
    if (!this.previews.has(index)) this.pictures.append(shown);
    this.previews.set(index, shown);
  }

  picture(image, thumbnail, open) {
    if (this.shown.has(image.id)) return;
    this.shown.add(image.id);
    const [index] = this.previews.keys();
    this.previews.get(index)?.remove();
    this.previews.delete(index);
    this.pictures.append(element("button", { type: "button", class: "open", "aria-label": "Details of the new picture", on: { click: open } }, thumbnail));
  }

  tell(text) {
    this.notes.append(element("p", { class: "note" }, text));
  }

  complete({ description, detail }) {
    this.#end("done", "Done");
    if (description) this.tell(description);
    if (!detail) return;
    this.tell(detail.message);
    for (const { message } of [...detail.missingImages, ...(detail.unmarkedImages ?? [])]) this.tell(message);
  }

  fail(error, again) {
    this.#end("failed", error.reason === "GENERATION_CANCELLED" ? "Cancelled" : "Failed");
    this.notes.append(complaint(error), button("Try again", again));
  }

  #end(state, text) {
    this.element.dataset.state = state;
    this.status.textContent = text;
    this.bar.remove();
    for (const preview of this.previews.values()) preview.remove();
    this.action.replaceChildren(button("Dismiss", () => this.element.remove(), { class: "quiet" }));
  }
}

function pending(workspace) {
  return JSON.parse(sessionStorage.getItem(`${PENDING}.${workspace}`) ?? "[]");
}

function keep(workspace, tasks) {
  sessionStorage.setItem(`${PENDING}.${workspace}`, JSON.stringify(tasks));
}

/** A key where the page has no secure context: plain http from another machine. */
function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
