// What the workspace used of its quota, and which models there are.

import { button, byId, dollars, element, facts } from "/console/elements.js";

/** Shows usage as short text with a meter where there is a limit. */
export function showUsage({ month, images, money }) {
  const parts = [];
  if (images) parts.push(...share("pictures", images, String));
  if (money && (money.used > 0 || money.limit !== undefined)) parts.push(...share("", money, dollars));
  byId("usage").replaceChildren(...parts);
  byId("usage").title = `Used in ${month}`;
}

function share(noun, { limit, used, reserved = 0 }, written) {
  const running = reserved > 0 ? ` (+${written(reserved)} running)` : "";
  if (limit === undefined || limit === null) return [element("span", {}, `${written(used)} ${noun}${running}`.replace("  ", " "))];
  const text = `${written(used)} of ${written(limit)} ${noun}${running}`.trim();
  const meter = element("meter", { min: 0, max: Math.max(limit, 1), high: limit * 0.9, value: used + reserved, "aria-label": text });
  return [element("span", {}, text), meter];
}

/** Shows all models in a dialog: what each can, and why one is not ready. */
export function showModels(models) {
  const dialog = byId("models");
  dialog.replaceChildren(
    element("div", { class: "row spread top" }, element("h2", { id: "models-title" }, "Models"), button("Close", () => dialog.close(), { class: "quiet" })),
    ...models.map(aboutModel),
  );
  dialog.showModal();
}

function aboutModel(model) {
  const upscales = model.upscaleFactors.length > 0;
  return element("article", { class: "model", dataset: { ready: model.ready } },
    element("h3", {}, element("code", {}, model.id), element("span", { class: "badge" }, model.ready ? "ready" : "not ready")),
    model.unreadyReason ? element("p", { class: "violation" }, model.unreadyReason) : "",
    model.description ? element("p", { class: "note" }, model.description) : "",
    facts([
      ["Can", model.operations.join(", ")],
      ["Default for", model.defaultFor.join(", ")],
      ["Aspect ratios", model.aspectRatios.join("  ")],
      ["Formats", model.outputFormats.join(", ")],
      ["Pictures", model.operations.includes("generate") || model.operations.includes("edit") ? `up to ${model.maxImages}` : ""],
      ["Inputs", model.operations.includes("edit") ? `up to ${model.maxInputImages}` : ""],
      ["Factors", upscales ? model.upscaleFactors.map((factor) => `${factor} ×`).join(", ") : ""],
      ["Seed", upscales ? "" : model.seeds ? "yes" : "no"],
      ["Price", price(model.priceUsd)],
    ]));
}

function price(usd) {
  if (usd === undefined || usd === null) return "";
  return usd === 0 ? "free" : `${dollars(usd)} a picture`;
}
