// Does what a user of OpenAI's SDK for Node does, and prints what came of it as JSON.
// Usage: node images.mjs BASE_URL TOKEN ACTION [PICTURE]
import fs from "node:fs";
import OpenAI, { toFile } from "openai";

const [baseURL, apiKey, action, picture] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey });

const shown = (answer) => ({ size: answer.size, ids: answer.data.map((each) => each.id), kinds: answer.data.map((each) => each.b64_json.slice(0, 5)) });

const actions = {
  models: async () => (await client.models.list()).data.map((model) => model.id),
  generate: async () => shown(await client.images.generate({ prompt: "a fox", size: "1536x1024", n: 2 })),
  edit: async () => shown(await client.images.edit({ image: fs.createReadStream(picture), prompt: "warmer" })),
  editSeveral: async () =>
    shown(
      await client.images.edit({
        image: [await toFile(fs.readFileSync(picture), "a.png"), await toFile(fs.readFileSync(picture), "b.png")],
        prompt: "black and white",
        n: 1,
      }),
    ),
  stream: async () => {
    const events = [];
    for await (const event of await client.images.generate({ prompt: "a fox", stream: true, partial_images: 1 })) {
      events.push([event.type, event.b64_json.length > 0]);
    }
    return events;
  },
  fail: async () => client.images.generate({ prompt: process.env.PROMPT ?? "" }),
  failStream: async () => {
    for await (const event of await client.images.generate({ prompt: process.env.PROMPT ?? "", stream: true })) {
      return event;
    }
  },
};

try {
  console.log(JSON.stringify(await actions[action]()));
} catch (error) {
  console.log(JSON.stringify({ status: error.status, code: error.code, param: error.param, type: error.type, message: error.message, requestID: error.requestID }));
}
