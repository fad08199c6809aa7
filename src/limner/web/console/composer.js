// The form of a new task: it offers what the chosen model can, and nothing else.

import { button, byId, dollars, element, fillSelect } from "/console/elements.js";

const VERBS = { generate: "Generate", edit: "Edit", upscale: "Upscale" };

export class Composer {
  /** `submit` is given a task as the service takes it, and a title; `thumbnail` gives a picture of an image. */
  constructor(models, { submit, thumbnail }) {
    this.models = models;
    this.submit = submit;
    this.thumbnail = thumbnail;
    this.inputs = [];
    this.form = byId("composer");
    this.listeners = new AbortController();
    const { signal } = this.listeners;
    this.form.addEventListener("submit", (event) => this.#submitted(event), { signal });
    byId("prompt").addEventListener("keydown", (event) => this.#keyed(event), { signal });
    byId("model").addEventListener("change", () => this.#showModel(), { signal });
    byId("count").addEventListener("input", () => this.#showPrice(), { signal });
    for (const radio of this.form.elements.operation) radio.addEventListener("change", () => this.#showOperation(), { signal });
    this.#showOperation();
  }

  close() {
    this.listeners.abort();
  }

  get operation() {
    return this.form.elements.operation.value;
  }

  get model() {
    return this.models.find(({ id }) => id === byId("model").value);
  }

  /** Whether pictures are taken as inputs now. */
  get takesInputs() {
    return this.operation !== "generate";
  }

  /** Begins an edit or an upscale of a picture. */
  begin(operation, image) {
    this.form.elements.operation.value = operation;
    this.inputs = this.inputs.filter(({ id }) => id !== image.id);
    this.inputs = operation === "upscale" ? [image] : [...this.inputs, image];
    this.#showOperation();
    this.form.scrollIntoView({ block: "nearest" });
    (operation === "edit" ? byId("prompt") : byId("run")).focus();
  }

  /** Takes a picture as a further input. */
  add(image) {
    if (this.takesInputs) this.begin(this.operation, image);
  }

  drop(imageId) {
    this.inputs = this.inputs.filter(({ id }) => id !== imageId);
    this.#showInputs();
  }

  #showOperation() {
    const { operation } = this;
    const able = this.models.filter((model) => model.operations.includes(operation));
    const usual = able.find((model) => model.defaultFor.includes(operation) && model.ready) ?? able.find((model) => model.ready);
    const before = this.model;
    fillSelect(byId("model"), able.map((model) => [model.id, model.ready ? model.id : `${model.id} (not ready)`]));
    for (const option of byId("model").options) option.disabled = !able.find(({ id }) => id === option.value).ready;
    if (!able.includes(before) && usual) byId("model").value = usual.id;
    byId("prompt-part").hidden = operation === "upscale";
    byId("inputs-part").hidden = !this.takesInputs;
    byId("prompt").required = operation !== "upscale";
    byId("run").textContent = VERBS[operation];
    this.#showModel();
    if (this.shown !== operation) byId("aspect").selectedIndex = 0; // an edit keeps its first picture's shape
    this.shown = operation;
  }

  #showModel() {
    const { model, operation } = this;
    byId("run").disabled = !model?.ready;
    if (!model) {
      byId("model-note").textContent = `No model can ${operation}.`;
      return;
    }
    const ratios = operation === "edit" ? [["", "like the first"], ...model.aspectRatios.map(same)] : model.aspectRatios.map(same);
    fillSelect(byId("aspect"), ratios.filter(([value]) => value !== "auto"));
    fillSelect(byId("format"), [["", "as made"], ...model.outputFormats.map(same)]);
    fillSelect(byId("factor"), model.upscaleFactors.map((factor) => [factor, `${factor} ×`]));
    byId("count").max = model.maxImages;
    byId("count").value = Math.min(Math.max(1, byId("count").value), Math.max(1, model.maxImages));
    if (model.maxPromptChars) byId("prompt").maxLength = model.maxPromptChars;
    const upscales = operation === "upscale";
    byId("aspect-part").hidden = upscales || model.aspectRatios.length === 0;
    byId("factor-part").hidden = !upscales;
    byId("count-part").hidden = upscales || model.maxImages < 2;
    byId("seed-part").hidden = upscales || !model.seeds;
    byId("model-note").textContent = model.ready ? model.description : model.unreadyReason;
    this.#showInputs();
    this.#showPrice();
  }

  #showInputs() {
    const { model, operation } = this;
    const most = operation === "upscale" ? 1 : Math.max(1, model?.maxInputImages ?? 1);
    this.inputs = this.inputs.slice(-most);
    const rows = this.inputs.map((image) =>
      element("li", {}, this.thumbnail(image), button("×", () => this.drop(image.id), { "aria-label": "Take this picture out", class: "quiet" })));
    const room = most - this.inputs.length;
    if (room > 0) {
      const text = this.inputs.length ? `up to ${room} more` : "Choose a picture in the gallery, or drop one anywhere.";
      rows.push(element("li", { class: "note" }, text));
    }
    byId("inputs").replaceChildren(...rows);
  }

  #showPrice() {
    const price = this.model?.priceUsd;
    const count = byId("count-part").hidden ? 1 : Number(byId("count").value);
    byId("price").textContent = price ? `${dollars(price * count)} for ${count === 1 ? "one picture" : `${count} pictures`}` : "";
  }

  #keyed(event) {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    this.form.requestSubmit();
  }

  #submitted(event) {
    event.preventDefault();
    if (this.takesInputs && this.inputs.length === 0) {
      byId("inputs").querySelector(".note").classList.add("wanted");
      return;
    }
    const { operation } = this;
    const prompt = byId("prompt").value.trim();
    this.submit({ [operation]: this.#request(prompt) }, operation === "upscale" ? `Upscale by ${byId("factor").value}` : prompt);
  }

  #request(prompt) {
    const chosen = (id) => (byId(`${id}-part`).hidden ? "" : byId(id).value);
    const request = { modelId: this.model.id };
    if (this.operation !== "upscale") request.prompt = prompt;
    if (this.operation === "edit") request.imageIds = this.inputs.map(({ id }) => id);
    if (this.operation === "upscale") request.imageId = this.inputs[0].id;
    if (chosen("factor")) request.upscaleFactor = Number(chosen("factor"));
    if (chosen("count")) request.numImages = Number(chosen("count"));
    if (chosen("aspect")) request.aspectRatio = chosen("aspect");
    if (chosen("format")) request.outputFormat = chosen("format");
    if (chosen("seed")) request.seed = Number(chosen("seed"));
    return request;
  }
}

const same = (value) => [value, value];
