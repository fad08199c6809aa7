// Does what a user of our own client does, and prints what came of it as JSON.
// Usage: node client.mjs BASE_URL TOKEN ACTION [PICTURE]
import fs from "node:fs";
import * as limner from "../../clients/typescript/lib/index.js";

const [baseUrl, token, action, picture] = process.argv.slice(2);
const retries = { firstDelay: 0.05 };
const client = new limner.Client({ baseUrl, token: async () => token, workspace: "acme", retries });
const file = () => new Blob([fs.readFileSync(picture)], { type: "image/png" });

const actions = {
  generate: async () => {
    const { images } = await client.generate({ prompt: "a fox", numImages: 2 });
    return images.map((image) => [image.imageWidth > 0, image.prompt]);
  },
  sameKey: async () => {
    const both = [1, 2].map(() => client.generate({ prompt: "a fox" }, { idempotencyKey: "order-17" }));
    return (await Promise.all(both)).map(({ generationId }) => generationId);
  },
  run: async () => {
    const events = [];
    for await (const event of client.run({ generate: { prompt: "a fox" } })) events.push(Object.keys(event)[0]);
    return events;
  },
  leave: async () => {
    for await (const event of client.run({ generate: { prompt: "a fox" } })) if ("queued" in event) break;
    // While this process lives: only the client can have closed the connection.
    return await (await fetch(`${baseUrl}/left`)).json();
  },
  pictures: async () => {
    const image = await client.upload(file());
    const edited = await client.edit({ imageIds: [image.id], prompt: "warmer" });
    const small = await client.content(image.id, { width: 128, format: "webp" });
    const signed = await client.signedUrl(image.id, { ttlSeconds: 60 });
    const opened = await (await fetch(signed.url)).arrayBuffer();
    const ids = [];
    for await (const each of client.images({ pageSize: 1 })) ids.push(each.id);
    await client.delete(image.id);
    return {
      stored: (await client.content(edited.images[0].id)).size === edited.images[0].imageSize,
      small: small.type,
      opened: opened.byteLength === image.imageSize,
      listed: ids.includes(image.id) && ids.includes(edited.images[0].id),
      gone: await client.image(image.id).catch((error) => [error.name, error.reason, error.status]),
      models: (await client.models()).map((model) => model.id).includes("sketch"),
      used: (await client.usage()).images.used,
    };
  },
  fail: async () => client.generate({ prompt: process.env.PROMPT ?? "" }),
  failRun: async () => {
    for await (const event of client.run({ generate: { prompt: process.env.PROMPT ?? "" } })) void event;
  },
  late: async () => {
    for await (const event of client.run({ generate: { prompt: "a fox" } }, { timeout: 0.5 })) void event;
  },
  stopped: async () => client.generate({ prompt: "a fox" }, { signal: AbortSignal.abort(new Error("stopped by us")) }),
};

try {
  console.log(JSON.stringify(await actions[action]()));
} catch (error) {
  const { name, message, reason, status, requestId, generationId, idempotencyKey, retryAfter, violations } = error;
  console.log(
    JSON.stringify({ name, message, reason, status, requestId, generationId, idempotencyKey, retryAfter, violations }),
  );
}
