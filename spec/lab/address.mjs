// The address bar: seed, settings, and every change with its time. Whoever opens it sees the same.
//
//     #seed=7&up=20,0,8,64&near=20,0.5,8,64&far=40,0,4,64&slow=wait&do=3200.far.cut.1&speed=0.05&at=5000

import { LINKS } from "./machine.mjs";

/** What the sliders offer. Values from an address may be others. */
export const STEPS = {
  delay: [1, 2, 5, 10, 15, 20, 30, 40, 50, 75, 100, 150, 200, 300],
  loss: [0, 0.1, 0.2, 0.5, 1, 2, 3, 5, 7.5, 10, 15, 20, 30],
  rate: [0.25, 0.5, 1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 50],
  queue: [2, 4, 8, 16, 32, 48, 64, 96, 128, 192, 256, 512, 1024],
};
export const UNIT = { delay: "ms", loss: "%", rate: "Mbit/s", queue: "KiB" };
export const SPEEDS = { "0.01": "1/100", "0.05": "1/20", "0.2": "1/5", 1: "1" };
const PARTS = ["delay", "loss", "rate", "queue"];
/** More changes than this are no address any more. */
const MOST_CHANGES = 300;
const LONGEST = 600_000;

export const fresh = () => ({
  seed: 7,
  links: {
    up: { delay: 20, loss: 0, rate: 8, queue: 64 },
    near: { delay: 20, loss: 0.5, rate: 8, queue: 64 },
    far: { delay: 40, loss: 0, rate: 5, queue: 64 },
  },
  detach: false,
  changes: [],
  speed: 0.05,
  at: undefined,
});

const within = (text, least, most) => {
  const value = Number(text);
  return text !== "" && Number.isFinite(value) && value >= least && value <= most ? value : undefined;
};

/** The value of a part, if it can be one. */
function value(what, text) {
  if (what === "cut") return text === "1" || text === "0" ? Number(text) : undefined;
  const steps = STEPS[what];
  return steps && within(text, steps[0], steps.at(-1));
}

export function parse(hash) {
  const run = fresh();
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const seed = within(given.get("seed") ?? "", 0, 2 ** 32 - 1);
  run.seed = Math.floor(seed ?? run.seed);
  for (const link of LINKS) {
    const parts = (given.get(link) ?? "").split(",");
    PARTS.forEach((what, at) => {
      run.links[link][what] = value(what, parts[at] ?? "") ?? run.links[link][what];
    });
  }
  run.detach = given.get("slow") === "detach";
  for (const change of (given.get("do") ?? "").split("_").slice(0, MOST_CHANGES)) {
    const [at, link, what, ...rest] = change.split(".");
    const [time, set] = [within(at, 0, LONGEST), value(what, rest.join("."))];
    if (time !== undefined && LINKS.includes(link) && set !== undefined) {
      run.changes.push({ at: Math.floor(time), link, what, value: set });
    }
  }
  run.changes.sort((one, other) => one.at - other.at);
  run.speed = given.get("speed") in SPEEDS ? Number(given.get("speed")) : run.speed;
  run.at = within(given.get("at") ?? "", 0, LONGEST);
  return run;
}

/** The address of a run; with `at`, of one moment of it. Too many changes are left out: `false`. */
export function format(run, at) {
  const parts = LINKS.map((link) => `${link}=${PARTS.map((what) => run.links[link][what]).join(",")}`);
  const changes = run.changes.map(({ at, link, what, value }) => `${at}.${link}.${what}.${value}`);
  const whole = changes.length <= MOST_CHANGES;
  const hash = [
    `seed=${run.seed}`, ...parts, `slow=${run.detach ? "detach" : "wait"}`,
    ...(changes.length && whole ? [`do=${changes.join("_")}`] : []),
    `speed=${run.speed}`, ...(at === undefined ? [] : [`at=${Math.floor(at)}`]),
  ].join("&");
  return { hash: `#${hash}`, whole };
}

/** Adds a change; one that follows closely on the same thing takes its place. */
export function change(run, next) {
  const last = run.changes.at(-1);
  const same = last && last.link === next.link && last.what === next.what && last.at === next.at;
  if (same) run.changes.pop();
  run.changes.push(next);
}
