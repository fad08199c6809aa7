// The workspace's pictures, newest first: pages and thumbnails come as one scrolls.

import { byId, complaint, element } from "/console/elements.js";

const THUMBNAIL_WIDTH = 256;
const AHEAD = "600px";

export class Gallery {
  /** `open` is given the image of a tile that was chosen, `user` whose images "Only mine" are. */
  constructor(service, { open, user }) {
    Object.assign(this, { service, open, user });
    this.tiles = new Map();
    this.addresses = new Map();
    this.seen = new IntersectionObserver((entries) => this.#seen(entries), { rootMargin: AHEAD });
    this.end = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && this.#more(), { rootMargin: AHEAD });
    this.closing = new AbortController();
    this.reload();
  }

  close() {
    this.closing.abort();
    this.seen.disconnect();
    this.end.disconnect();
    for (const address of this.addresses.values()) address.then(URL.revokeObjectURL, () => {});
  }

  /** Begins again with the newest page. */
  reload() {
    this.round = (this.round ?? 0) + 1;
    this.tiles.clear();
    byId("tiles").replaceChildren();
    this.pageToken = "";
    this.loading = false;
    this.#await();
  }

  /** Shows a new image first, unless it is there. */
  show(image) {
    if (!this.tiles.has(image.id)) byId("tiles").prepend(this.#tile(image));
    byId("more").textContent = "";
  }

  remove(imageId) {
    this.tiles.get(imageId)?.remove();
    this.tiles.delete(imageId);
    this.addresses.get(imageId)?.then(URL.revokeObjectURL, () => {});
    this.addresses.delete(imageId);
  }

  /** A picture of an image that loads when it comes into sight. */
  thumbnail(image) {
    const shown = element("img", { class: "thumbnail", alt: image.prompt || "A picture without a prompt", width: THUMBNAIL_WIDTH, height: THUMBNAIL_WIDTH });
    shown.image = image;
    this.seen.observe(shown);
    return shown;
  }

  #tile(image) {
    const tile = element("li", { dataset: { image: image.id } },
      element("button", { type: "button", class: "tile", title: image.prompt, on: { click: () => this.open(image) } }, this.thumbnail(image)));
    this.tiles.set(image.id, tile);
    return tile;
  }

  #await() {
    this.end.unobserve(byId("more"));
    this.end.observe(byId("more")); // tells at once where it is, so a page that fills no screen is followed by the next
  }

  async #more() {
    if (this.loading || this.closing.signal.aborted) return;
    const { round } = this;
    this.loading = true;
    byId("more").textContent = "Loading…";
    try {
      const user = byId("mine").checked ? this.user : "";
      const page = await this.service.images({ pageToken: this.pageToken, user });
      if (round !== this.round || this.closing.signal.aborted) return;
      byId("tiles").append(...page.images.filter(({ id }) => !this.tiles.has(id)).map((image) => this.#tile(image)));
      this.pageToken = page.nextPageToken;
      byId("more").textContent = this.tiles.size ? "" : "No pictures yet. Generate one, or drop one here.";
      if (this.pageToken) {
        this.loading = false;
        this.#await();
      } // else it stays as if loading: there is no further page
    } catch (error) {
      if (round === this.round) byId("more").replaceChildren(complaint(error));
    }
  }

  #seen(entries) {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      this.seen.unobserve(target);
      this.#load(target);
    }
  }

  async #load(shown) {
    const { id, _links: links } = shown.image;
    if (!this.addresses.has(id)) {
      const { signal } = this.closing;
      const address = this.service.content(links.content, { width: THUMBNAIL_WIDTH, signal }).then(URL.createObjectURL);
      this.addresses.set(id, address);
    }
    try {
      shown.src = await this.addresses.get(id);
      shown.classList.add("loaded");
    } catch (error) {
      this.addresses.delete(id);
      shown.alt = `${error.message} ${shown.alt}`;
      shown.classList.add("broken");
    }
  }
}
