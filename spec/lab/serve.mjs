// Serves this folder on loopback, and nothing else. `node spec/lab/serve.mjs [PORT]`

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";

const TYPES = { html: "text/html", css: "text/css", mjs: "text/javascript", wasm: "application/wasm" };
const HERE = new URL("./", import.meta.url);

export async function serve(port = 0) {
  const server = createServer(async (request, response) => {
    const name = new URL(request.url, "http://localhost").pathname.slice(1) || "index.html";
    const type = TYPES[name.split(".").pop()];
    // One folder, plain names: no way leads out of it.
    const body = /^[a-z_]+\.[a-z]+$/.test(name) && type && await readFile(new URL(name, HERE)).catch(() => null);
    response.writeHead(body ? 200 : 404, { "content-type": type ?? "text/plain", "cache-control": "no-store" });
    response.end(body || "not found");
  });
  await new Promise((ready) => server.listen(port, "127.0.0.1", ready));
  return { server, url: `http://127.0.0.1:${server.address().port}/` };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { url } = await serve(Number(process.argv[2] ?? 8080));
  console.log(`the lab: ${url}`);
}
