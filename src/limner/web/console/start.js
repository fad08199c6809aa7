// The page: lets a user in, and puts its parts together.

import { showModels, showUsage } from "/console/account.js";
import { Composer } from "/console/composer.js";
import { Details } from "/console/details.js";
import { byId, complaint, element, say } from "/console/elements.js";
import { Gallery } from "/console/gallery.js";
import { Service } from "/console/service.js";
import { claimsOf, forget, remember, remembered, takeFromAddress } from "/console/session.js";
import { Tasks } from "/console/tasks.js";

let studio;

class Studio {
  constructor(service, models, user) {
    this.service = service;
    this.models = models;
    const open = (image) => this.details.open(image);
    const thumbnail = (image) => this.gallery.thumbnail(image);
    this.gallery = new Gallery(service, { open, user });
    this.composer = new Composer(models, { submit: (task, title) => this.tasks.start(task, title), thumbnail });
    this.tasks = new Tasks(service, { made: (image) => this.gallery.show(image), ended: () => this.refreshUsage(), thumbnail, open });
    this.details = new Details(service, {
      begin: (operation, image) => this.composer.begin(operation, image),
      removed: (id) => this.#removed(id),
      thumbnail,
    });
    this.tasks.resume();
    this.refreshUsage();
  }

  close() {
    for (const part of [this.tasks, this.composer, this.details, this.gallery]) part.close();
  }

  async refreshUsage() {
    await this.service.usage().then(showUsage, (error) => byId("usage").replaceChildren(error.message));
  }

  async refresh() {
    this.gallery.reload();
    await this.refreshUsage();
  }

  async upload(files) {
    for (const file of files) {
      const saying = element("span", {}, `Uploading ${file.name}…`);
      say(saying);
      try {
        const image = await this.service.upload(file);
        this.gallery.show(image);
        this.composer.add(image);
        saying.textContent = `${file.name} is kept.`;
      } catch (error) {
        saying.replaceChildren(`${file.name}: `, complaint(error));
      }
    }
    await this.refreshUsage();
  }

  #removed(id) {
    this.gallery.remove(id);
    this.composer.drop(id);
  }
}

async function enter() {
  studio?.close();
  studio = undefined;
  const { token, workspace, workspaces, user } = remembered();
  if (!token || !workspace) return showDoor();
  const service = new Service(token, workspace);
  try {
    const [models, usage] = await Promise.all([service.models(), service.usage()]);
    showUsage(usage);
    byId("door").hidden = true;
    byId("studio").hidden = byId("account").hidden = false;
    byId("workspace").value = workspace;
    byId("workspaces").replaceChildren(...workspaces.map((value) => element("option", { value })));
    byId("user").textContent = user;
    byId("mine").parentElement.hidden = !user; // whose they are, only the token could tell
    studio = new Studio(service, models, user);
  } catch (error) {
    showDoor(error);
  }
}

function showDoor(error) {
  byId("studio").hidden = byId("account").hidden = true;
  byId("door").hidden = false;
  const { token, workspace } = remembered();
  byId("token").value = error ? token : "";
  byId("token-workspace").value = workspace;
  byId("token-problem").replaceChildren(error ? complaint(error) : "");
  byId("token").focus();
}

byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const token = byId("token").value.trim().replace(/^Bearer\s+/i, "");
  const workspace = byId("token-workspace").value.trim() || (claimsOf(token).workspaces[0] ?? "");
  if (!workspace) {
    byId("token-problem").replaceChildren(complaint({ message: "This token names no workspace: say which one." }));
    byId("token-workspace").focus();
    return;
  }
  remember(token, workspace);
  enter();
});

byId("workspace-form").addEventListener("submit", (event) => {
  event.preventDefault();
  byId("workspace").blur(); // which is a change, when it changed
});

byId("workspace").addEventListener("change", () => {
  const workspace = byId("workspace").value.trim();
  if (!workspace) return;
  remember(remembered().token, workspace);
  enter();
});

byId("sign-out").addEventListener("click", () => {
  studio?.close();
  studio = undefined;
  forget();
  showDoor();
});

byId("show-models").addEventListener("click", () => showModels(studio.models));
byId("refresh").addEventListener("click", () => studio.refresh());
byId("mine").addEventListener("change", () => studio.gallery.reload());
byId("files").addEventListener("change", (event) => {
  studio.upload([...event.target.files]);
  event.target.value = "";
});

let inside = 0;

function dragged(event, by) {
  if (!studio || !event.dataTransfer?.types.includes("Files")) return false;
  event.preventDefault();
  inside = Math.max(0, inside + by);
  byId("drop").hidden = inside === 0;
  return true;
}

addEventListener("dragenter", (event) => dragged(event, 1));
addEventListener("dragover", (event) => dragged(event, 0));
addEventListener("dragleave", (event) => dragged(event, -1));
addEventListener("drop", (event) => {
  if (!dragged(event, -inside)) return;
  studio.upload([...event.dataTransfer.files]);
});
for (const dialog of [byId("details"), byId("models")]) {
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close()); // beside what it holds
}
addEventListener("hashchange", () => {
  if (new URLSearchParams(location.hash.slice(1)).has("token")) {
    takeFromAddress();
    enter();
  }
});

takeFromAddress();
enter();
