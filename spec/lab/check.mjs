// Opens the lab in headless Chromium, uses it as a person would, and looks at what it did.
//
//     spec/lab/build && node spec/lab/check.mjs CHROMIUM [DIGEST] [FOLDER for screenshots]
//
// DIGEST is what `cargo run -p aqueduct-lab --example digest` prints: the page must send the same.

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { open } from "./browser.mjs";
import { serve } from "./serve.mjs";

const [program = "chromium", expected = "", folder = ""] = process.argv.slice(2);
const MOMENT = "#seed=7&up=20,0,8,64&near=20,0.5,8,64&far=40,0,5,64&slow=wait"
  + "&do=1500.near.loss.2_2000.far.cut.1_2600.far.cut.0&speed=0.05&at=4000";

const { server, url } = await serve();
const browser = await open(program);
const checks = [];
const check = (name, works) => checks.push([name, works]);

async function visit(hash) {
  await browser.call("Page.navigate", { url: "about:blank" });
  await browser.call("Page.navigate", { url: url + hash });
  await until("window.lab !== undefined");
}

async function until(expression) {
  for (const end = Date.now() + 60_000; Date.now() < end; ) {
    if (await browser.evaluate(expression)) return;
    const fault = await browser.evaluate("document.getElementById('fault')?.textContent");
    assert.equal(fault ?? "", "", "the page shows a fault");
    await new Promise((later) => setTimeout(later, 100));
  }
  assert.fail(`not in a minute: ${expression}`);
}

async function shoot(name, theme) {
  if (!folder) return;
  await browser.call("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: theme }] });
  await new Promise((later) => setTimeout(later, 300));
  const { data } = await browser.call("Page.captureScreenshot", { format: "png", captureBeyondViewport: true });
  await writeFile(join(folder, `${name}-${theme}.png`), Buffer.from(data, "base64"));
}

check("an address shows its moment, with the datagrams that the core sends anywhere", async () => {
  await visit(MOMENT);
  await until("!window.lab.playing");
  assert.equal(await browser.evaluate("document.getElementById('time').textContent"), "4.000 s");
  const digest = await browser.evaluate("window.lab.machine.digest()");
  if (expected) assert.equal(digest, expected);
  assert.equal(await browser.evaluate("location.hash"), MOMENT);
  for (const theme of ["light", "dark"]) await shoot("moment", theme);
});

check("it runs by itself, and shows packets, curves and news", async () => {
  await visit("#seed=3&speed=1");
  await until("window.lab.now > 1500");
  assert.ok(await browser.evaluate("window.lab.scene.flights.length > 10"));
  assert.ok(await browser.evaluate("document.querySelectorAll('#diary li').length > 3"));
  const drawn = `[...document.querySelectorAll("canvas")].every((canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return data.some((value, at) => at % 4 === 3 && value > 0);
  })`;
  assert.ok(await browser.evaluate(drawn), "a canvas is empty");
});

check("a click cuts a link, the diary and the address say so, and the receiver stands still", async () => {
  await browser.evaluate("document.querySelectorAll('.links button')[2].click()");
  await until("window.lab.now > 3500");
  const diary = await browser.evaluate("document.getElementById('diary').textContent");
  assert.match(diary, /the link from relay to C is cut/);
  assert.match(await browser.evaluate("location.hash"), /do=\d+\.far\.cut\.1/);
  assert.equal(await browser.evaluate("document.querySelectorAll('.links button')[2].textContent"), "Mend it");
  const [, c] = await browser.evaluate("window.lab.samples.at(-1).pace");
  assert.equal(c, 0);
  await shoot("cut", "light");
});

check("what was clicked is what the copied address shows again", async () => {
  await browser.evaluate("document.getElementById('play').click()");
  const [hash, digest] = await browser.evaluate("[location.hash, window.lab.machine.digest()]");
  await visit(hash);
  await until("!window.lab.playing");
  assert.equal(await browser.evaluate("window.lab.machine.digest()"), digest);
});

check("a slider changes its link, and another seed begins anew", async () => {
  await browser.evaluate(`(() => {
    const slider = document.querySelector("input[type=range]");
    slider.value = 0;
    slider.dispatchEvent(new Event("input"));
  })()`);
  assert.equal(await browser.evaluate("window.lab.links.up.delay"), 1);
  await browser.evaluate("document.getElementById('dice').click()");
  await until("window.lab.playing && window.lab.now < 2000");
  assert.equal(await browser.evaluate("window.lab.links.up.delay"), 1);
});

check("nobody's address breaks the page", async () => {
  for (const hash of ["#seed=-1&up=,,&do=x_1.y.z.w_9e99.up.cut.1&speed=7", "#at=NaN&near=1e9,2,3", "#%%%"]) {
    await visit(hash);
    await until("window.lab.now > 20");
  }
});

check("what the harness finds stops the page, and is shown", async () => {
  await browser.evaluate("window.lab.work(() => { throw new Error('bytes that are not right'); })");
  assert.equal(await browser.evaluate("window.lab.playing"), false);
  assert.match(await browser.evaluate("document.getElementById('fault').innerText"), /bytes that are not right/);
  await browser.evaluate("document.getElementById('again').click()");
  await until("window.lab.now > 20");
});

check("after a trap the page begins anew as if nothing had been", async () => {
  await visit("#seed=3&speed=1");
  await until("window.lab.now > 20");
  // Whatever the module looks at is nonsense from here on.
  await browser.evaluate("void new Uint8Array(window.lab.machine.exports.memory.buffer).fill(0xff)");
  await browser.evaluate("window.lab.advance(window.lab.done + 10)");
  assert.equal(await browser.evaluate("window.lab.broken"), true);
  await browser.evaluate("document.getElementById('again').click()");
  await until("window.lab.now > 500");
  assert.equal(await browser.evaluate("window.lab.broken"), false);
});

check("who waits for a browser that dies is told", async () => {
  const other = await open(program);
  const waiting = other.evaluate("new Promise(() => {})");
  const late = new Promise((later) => setTimeout(later, 20_000)).then(() => assert.fail("it waits still"));
  other.kill();
  await assert.rejects(Promise.race([waiting, late]), /the browser has ended/);
  await assert.rejects(Promise.race([other.evaluate("1"), late]), /the browser has ended/);
  await other.close();
});

check("narrow windows keep everything in sight", async () => {
  await browser.call("Emulation.setDeviceMetricsOverride", { width: 480, height: 900, deviceScaleFactor: 2, mobile: false });
  await visit(MOMENT);
  await until("!window.lab.playing");
  assert.ok(await browser.evaluate("document.documentElement.scrollWidth <= 480"), "it must be scrolled sideways");
  await shoot("narrow", "light");
});

check("no error on the console, and no request to anybody else", async () => {
  const wrong = browser.heard.filter(({ method, params }) => method === "Runtime.exceptionThrown"
    || (method === "Runtime.consoleAPICalled" && ["error", "warning", "assert"].includes(params.type))
    || (method === "Log.entryAdded" && ["error", "warning"].includes(params.entry.level)));
  assert.deepEqual(wrong, []);
  const asked = browser.heard.filter(({ method }) => method === "Network.requestWillBeSent")
    .map(({ params }) => params.request.url);
  assert.ok(asked.length > 5);
  assert.deepEqual(asked.filter((to) => !to.startsWith(url) && !to.startsWith("data:") && to !== "about:blank"), []);
});

let failed = 0;
for (const [name, works] of checks) {
  try {
    await works();
    console.log(`ok      ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${name}\n${error.stack}`);
  }
}
await browser.close();
server.close();
console.log(`the lab: ${checks.length - failed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
