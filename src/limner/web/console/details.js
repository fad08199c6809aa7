// All about one picture: the picture, how it was made, from what, its marks, and what can be done with it.

import { button, byId, bytes, complaint, confirmed, element, facts, moment, say } from "/console/elements.js";

const WIDTH = 1024;
const SHARED_S = 3600;
const SOURCES = {
  TRAINED_ALGORITHMIC_MEDIA: "Made by a generative model",
  COMPOSITE_WITH_TRAINED_ALGORITHMIC_MEDIA: "Partly made by a generative model",
  ALGORITHMIC_MEDIA: "Made by rules, not by a trained model",
  UNKNOWN: "Its marks do not tell how it was made",
};
const STATES = {
  TRUSTED: "valid, and its signer is trusted",
  VALID: "valid",
  INVALID: "not valid",
  DETECTED: "detected",
  ABSENT: "absent",
};
const KINDS = { C2PA: "Content credentials (C2PA)", WATERMARK: "Watermark" };

export class Details {
  /** `begin` starts an edit or an upscale, `removed` is told the id of a deleted image, `thumbnail` gives a picture. */
  constructor(service, { begin, removed, thumbnail }) {
    Object.assign(this, { service, begin, removed, thumbnail });
    this.dialog = byId("details");
  }

  close() {
    this.dialog.close();
  }

  open(image) {
    this.image = image;
    this.problem = element("div");
    const parts = { lineage: element("div"), marks: element("div", { class: "marks" }, element("p", { class: "note" }, "Reading the marks…")) };
    const picture = element("img", { class: "whole", alt: image.prompt || "A picture without a prompt" });
    const title = element("h2", { id: "details-title" }, image.prompt || (image.generationId ? "Picture" : "Uploaded picture"));
    this.dialog.replaceChildren(
      element("div", { class: "row spread top" }, title, button("Close", () => this.dialog.close(), { class: "quiet" })),
      element("div", { class: "sheet" },
        element("div", { class: "stage" }, picture),
        element("div", { class: "about" }, this.#actions(image), this.problem, this.#facts(image), parts.lineage,
          element("h3", {}, "Marks"), parts.marks)),
    );
    if (!this.dialog.open) this.dialog.showModal();
    this.dialog.scrollTop = 0;
    this.#fill(image, picture, parts);
  }

  #fill(image, picture, { lineage, marks }) {
    const unless = (part) => (error) => this.image === image && part.replaceChildren(complaint(error));
    this.service.content(image._links.content, { width: WIDTH }).then((blob) => {
      const address = URL.createObjectURL(blob);
      picture.onload = () => URL.revokeObjectURL(address);
      picture.src = address;
    }).catch(unless(this.problem));
    this.service.provenance(image.id).then((provenance) => marks.replaceChildren(...this.#marks(provenance))).catch(unless(marks));
    if (!image.generationId) return;
    this.service.generation(image.generationId)
      .then((generation) => lineage.replaceChildren(...this.#lineage(image, generation)))
      .catch(unless(lineage));
  }

  #actions(image) {
    const begin = (operation) => () => {
      this.dialog.close();
      this.begin(operation, image);
    };
    return element("div", { class: "row actions" },
      button("Edit", begin("edit"), { class: "primary" }),
      button("Upscale", begin("upscale")),
      button("Download", () => this.#try(() => this.#download(image))),
      button("Copy a link", () => this.#try(() => this.#share(image)), { title: "It opens without a token for an hour" }),
      button("Delete", () => this.#try(() => this.#delete(image)), { class: "danger" }));
  }

  async #try(action) {
    this.problem.replaceChildren();
    try {
      await action();
    } catch (error) {
      this.problem.replaceChildren(complaint(error));
    }
  }

  async #download(image) {
    const blob = await this.service.content(image._links.content);
    const address = URL.createObjectURL(blob);
    const ending = { "image/png": "png", "image/jpeg": "jpg", "image/webp": "webp" }[blob.type] ?? "bin";
    element("a", { href: address, download: `${image.id}.${ending}` }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
  }

  async #share(image) {
    const { url, expiresAt } = await this.service.share(image.id, SHARED_S);
    const address = new URL(url, location.href).href;
    const shown = element("input", { readOnly: true, value: address, "aria-label": "The link" });
    this.problem.replaceChildren(shown, element("p", { class: "note" }, `Opens without a token until ${moment(expiresAt)}.`));
    shown.select();
    await navigator.clipboard?.writeText(address).then(() => say("Link copied."), () => {});
  }

  async #delete(image) {
    if (!(await confirmed("Delete this picture for good?", "Delete"))) return;
    await this.service.remove(image.id);
    this.removed(image.id);
    this.dialog.close();
    say("Picture deleted.");
  }

  #facts(image) {
    const parameters = Object.entries(image.parameters ?? {}).map(([name, value]) => [spaced(name), String(value)]);
    return facts([
      ["Size", `${image.imageWidth} × ${image.imageHeight}, ${bytes(image.imageSize)}`],
      ["Model", image.model],
      ...parameters,
      ["By", image.createdByUserId],
      ["Made", moment(image.createdAt)],
      ["Image", element("code", {}, image.id)],
      ["Generation", image.generationId ? element("code", {}, image.generationId) : ""],
    ]);
  }

  #lineage(image, { inputImages = [], images = [], description }) {
    const others = images.filter(({ id }) => id !== image.id);
    const there = new Set(inputImages.map(({ id }) => id));
    const gone = image.inputImageIds.filter((id) => !there.has(id));
    return [
      description ? element("p", { class: "note" }, description) : "",
      ...this.#strip("Made from", inputImages),
      gone.length ? element("p", { class: "note" }, `${gone.length} of its inputs can no longer be read.`) : "",
      ...this.#strip("Made together with", others),
    ];
  }

  #strip(title, images) {
    if (images.length === 0) return [];
    const shown = images.map((each) =>
      element("button", { type: "button", class: "open", "aria-label": `Details: ${each.prompt || each.id}`, on: { click: () => this.open(each) } }, this.thumbnail(each)));
    return [element("h3", {}, title), element("div", { class: "pictures" }, ...shown)];
  }

  #marks({ marks, sourceType }) {
    const source = SOURCES[sourceType] ?? "";
    return [source ? element("p", {}, source) : "", ...marks.map((mark) => this.#mark(mark))];
  }

  #mark({ kind, state, by, issuer, time, actions = [], ingredients = [], problems = [] }) {
    return element("div", { class: "mark", dataset: { state } },
      element("p", {}, element("strong", {}, KINDS[kind] ?? kind), ` ${STATES[state] ?? state}`),
      state === "ABSENT" ? "" : facts([
        ["By", by],
        ["Issuer", issuer],
        ["Signed", moment(time)],
        ["Actions", actions.join(", ")],
        ["Ingredients", ingredients.map((each) => `${each.title || each.imageId} (${STATES[each.state] ?? each.state})`).join(", ")],
        ["Problems", problems.join(", ")],
      ]));
  }
}

/** "aspectRatio" becomes "Aspect ratio". */
function spaced(name) {
  if (name === "numImages") return "Pictures asked";
  const words = name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  return words[0].toUpperCase() + words.slice(1);
}
