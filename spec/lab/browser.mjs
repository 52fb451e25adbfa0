// A headless Chromium and one page of it, spoken to over a pipe: no port, no package.

import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export async function open(program, { width = 1360, height = 1240 } = {}) {
  const profile = await mkdtemp(join(tmpdir(), "lab-"));
  const child = spawn(program, [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe",
    "--disable-background-networking", "--disable-component-update", "--no-first-run",
    `--user-data-dir=${profile}`, `--window-size=${width},${height}`, "about:blank",
  ], { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
  const [waiting, heard] = [new Map(), []];
  let [last, rest] = [0, ""];
  child.stdio[4].setEncoding("utf8").on("data", (text) => {
    const parts = (rest + text).split("\0");
    rest = parts.pop();
    for (const { id, result, error, method, params } of parts.map((part) => JSON.parse(part))) {
      const asked = waiting.get(id);
      waiting.delete(id);
      if (id === undefined) heard.push({ method, params });
      else if (error) asked?.reject(new Error(error.message));
      else asked?.resolve(result);
    }
  });
  // Nobody answers any more: whoever waits, and whoever asks from now on, is told.
  let over;
  const end = (why) => {
    over ??= new Error(`the browser has ended: ${why}`);
    for (const { reject } of waiting.values()) reject(over);
    waiting.clear();
  };
  child.once("exit", (code, signal) => end(signal ?? `code ${code}`));
  child.once("error", (error) => end(error.message));
  for (const pipe of [child.stdio[3], child.stdio[4]]) pipe.on("error", (error) => end(error.message));
  const send = (method, params = {}, sessionId = undefined) => new Promise((resolve, reject) => {
    if (over) {
      reject(over);
      return;
    }
    waiting.set(last += 1, { resolve, reject });
    child.stdio[3].write(`${JSON.stringify({ id: last, method, params, sessionId })}\0`);
  });
  const { targetId } = await send("Target.createTarget", { url: "about:blank", newWindow: true, width, height });
  const { sessionId } = await send("Target.attachToTarget", { targetId, flatten: true });
  const call = (method, params) => send(method, params, sessionId);
  for (const room of ["Page", "Runtime", "Log", "Network"]) await call(`${room}.enable`);
  return {
    call,
    /** Everything that was said since it was opened. */
    heard,
    async evaluate(expression) {
      const { result, exceptionDetails } = await call("Runtime.evaluate",
        { expression, awaitPromise: true, returnByValue: true });
      if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
      return result.value;
    },
    /** Ends it in the middle of its work. */
    kill() {
      child.kill("SIGKILL");
    },
    async close() {
      await send("Browser.close").catch(() => {});
      child.kill();
      const runs = child.exitCode === null && child.signalCode === null;
      if (runs) await new Promise((gone) => child.once("exit", gone));
      await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
