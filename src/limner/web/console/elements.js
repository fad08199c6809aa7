// Elements made of text and other elements. Text stays text: nothing here reads markup.

/** Makes an element. `properties`: `class`, `dataset`, `on` (handlers by event), attributes with "-" or `role`, else properties. */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined) continue;
    if (key === "class") made.className = value;
    else if (key === "dataset") Object.assign(made.dataset, value);
    else if (key === "on") for (const [event, handler] of Object.entries(value)) made.addEventListener(event, handler);
    else if (key.includes("-") || key === "role") made.setAttribute(key, value);
    else made[key] = value;
  }
  made.append(...children.filter((child) => child !== undefined && child !== ""));
  return made;
}

export const byId = (id) => document.getElementById(id);

export function button(text, onClick, properties = {}) {
  return element("button", { type: "button", ...properties, on: { click: onClick } }, text);
}

/** Rows of a name and what it is; those without a value are left out. */
export function facts(rows) {
  const kept = rows.filter(([, value]) => value !== undefined && value !== "" && value !== null);
  return element("dl", { class: "facts" }, ...kept.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
}

/** Fills a `<select>`, and keeps what was chosen when it is still there. */
export function fillSelect(select, options) {
  const before = select.value;
  select.replaceChildren(...options.map(([value, text]) => element("option", { value }, text)));
  if (options.some(([value]) => value === before)) select.value = before;
}

export function bytes(count) {
  return count < 1024 * 1024 ? `${Math.max(1, Math.round(count / 1024))} KiB` : `${(count / 1024 / 1024).toFixed(1)} MiB`;
}

export function moment(text) {
  return text ? new Date(text).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" }) : "";
}

export function dollars(amount) {
  return `$${amount.toFixed(amount > 0 && amount < 0.1 ? 3 : 2)}`;
}

/** An error in plain words, with what an operator needs to find it. */
export function complaint(error) {
  const notes = [error.reason, error.requestId && `request ${error.requestId}`].filter(Boolean).join(", ");
  return element(
    "div",
    { class: "complaint", role: "alert" },
    element("p", {}, error.message),
    ...(error.violations ?? []).map(({ field, description }) => element("p", { class: "violation" }, `${field} ${description}`)),
    notes ? element("p", { class: "note" }, notes) : "",
  );
}

/** Says something at the page's foot for a while, to those who listen to it too. */
export function say(content) {
  const line = element("div", { class: "toast" }, content);
  line.append(button("×", () => line.remove(), { "aria-label": "Dismiss", class: "quiet" }));
  byId("toasts").append(line);
  while (byId("toasts").children.length > 4) byId("toasts").firstChild.remove();
  setTimeout(() => line.remove(), 12_000);
}

/** Asks a question that has to be answered. Resolves to whether the answer was yes. */
export function confirmed(question, yes) {
  return new Promise((resolve) => {
    const dialog = element("dialog", { class: "question", "aria-label": question });
    const answer = (value) => () => dialog.close(value);
    dialog.append(
      element("p", {}, question),
      element("div", { class: "row end" }, button("Cancel", answer("no")), button(yes, answer("yes"), { class: "danger", dataset: { answer: "yes" } })),
    );
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
