// The page: a clock that drives the machine, and what people set and see.

import { STEPS, SPEEDS, UNIT, change, format, fresh, parse } from "./address.mjs";
import { LINKS, Machine } from "./machine.mjs";
import { Plot, SPAN } from "./plots.mjs";
import { LEGEND, Scene } from "./scene.mjs";

const TITLES = ["Source to relay", "Relay to B", "Relay to C"];
const NODES = ["Source", "Relay", "B", "C"];
/** Real milliseconds of a frame that may go into the machine. */
const WORK = 12;
const PIECE = 5; // milliseconds of virtual time at once
const MOST_LINES = 200;
const WORDS = { delay: "Delay", loss: "Loss", rate: "Rate", queue: "Queue" };

const find = (id) => document.getElementById(id);
const make = (tag, of = {}, ...inside) => {
  const made = Object.assign(document.createElement(tag), of);
  made.append(...inside);
  return made;
};
const kib = (bytes) => (bytes >= 1 << 20 ? `${(bytes / (1 << 20)).toFixed(1)} MiB` : `${(bytes / 1024).toFixed(0)} KiB`);

/** The colours of the sheet, for the canvases. */
const colours = {};
function readColours() {
  const style = getComputedStyle(document.documentElement);
  const names = ["card", "ink", "soft", "line", "faint", "link0", "link1", "link2", "data", "small", "hello", "lost"];
  for (const name of names) colours[name] = style.getPropertyValue(`--${name}`).trim();
  colours.font = style.fontFamily;
}

class Page {
  constructor(machine) {
    this.machine = machine;
    this.scene = new Scene(find("scene"), colours);
    this.plots = [
      { title: "Congestion window, and bytes in flight (thin)", unit: "KiB, at the sender of each link", least: 10,
        lines: LINKS.flatMap((_, link) => [
          { colour: `link${link}`, value: (s) => s.links[link].flight / 1024, thin: true },
          { name: ["up", "to B", "to C"][link], colour: `link${link}`, value: (s) => s.links[link].window / 1024 },
        ]) },
      { title: "Bytes held", unit: "KiB, received and not passed on or read", least: 10,
        lines: [["relay", "link0"], ["B", "link1"], ["C", "link2"]].map(([name, colour], at) => (
          { name, colour, value: (s) => s.held[at] / 1024 })) },
      { title: "Arrived", unit: "Mbit/s, over the last half second", least: 1,
        lines: [["B", "link1"], ["C", "link2"]].map(([name, colour], at) => (
          { name, colour, value: (s) => s.pace[at] })) },
      { title: "Round trip", unit: "ms, as the sender of each link sees it", least: 10,
        lines: ["up", "to B", "to C"].map((name, link) => (
          { name, colour: `link${link}`, value: (s) => s.links[link].rtt })) },
    ].map((of) => new Plot(find("plots"), of, colours));
    this.controls();
  }

  /** A run from its address, or the same from its beginning. */
  begin(run) {
    this.run = run;
    this.playing = run.at === undefined;
    Object.assign(this, { now: 0, done: 0, next: 0, samples: [], last: undefined, lagging: 0 });
    // What the sliders show: what was set at first, and then what changed.
    this.links = structuredClone(run.links);
    for (const link of LINKS) this.links[link].cut = 0;
    this.scene.clear();
    find("diary").replaceChildren();
    find("fault").hidden = true;
    find("fault").textContent = "";
    this.broken = false;
    this.work(() => this.machine.begin(run));
    this.show();
    this.address();
  }

  /** Does something that may find a fault: then the page stands still and shows it. */
  work(what) {
    if (this.broken) return undefined;
    try {
      return what();
    } catch (error) {
      this.broken = true;
      this.playing = false;
      find("fault").textContent = `The harness stopped: ${error.message}`;
      find("fault").hidden = false;
      return undefined;
    }
  }

  /** Lets the machine come to `until`, whole milliseconds, with the changes on the way. */
  advance(until) {
    while (this.done < until && !this.broken) {
      const next = this.run.changes[this.next];
      if (next && next.at <= this.done) {
        this.next += 1;
        this.apply(next);
        continue;
      }
      const to = Math.min(until, this.done + PIECE, next ? next.at : Infinity);
      const news = this.work(() => this.machine.advance(to));
      if (!news) return;
      this.done = to;
      this.take(news);
    }
  }

  take({ flights, samples, words }) {
    this.scene.add(flights);
    for (const sample of samples) {
      const before = this.samples[this.samples.length - 50] ?? this.samples[0] ?? sample;
      const seconds = Math.max(sample.at - before.at, 10) / 1000;
      sample.pace = sample.arrived.map((bytes, at) => ((bytes - before.arrived[at]) * 8) / 1e6 / seconds);
      this.samples.push(sample);
    }
    while (this.samples.length > 60 && this.samples[51].at < this.done - SPAN) this.samples.shift();
    for (const { at, text } of words) {
      const line = make("li", {}, make("time", { textContent: `${(at / 1000).toFixed(3)} s` }), text);
      find("diary").prepend(line);
      if (find("diary").childElementCount > MOST_LINES) find("diary").lastChild.remove();
    }
  }

  apply({ link, what, value }) {
    this.links[link][what] = value;
    this.work(() => this.machine.set(link, what, value));
    this.show();
  }

  /** Somebody changes something: from this moment on, and in the address. */
  set(link, what, value) {
    const at = this.done;
    this.run.changes.length = this.next;
    const before = this.run.changes.length;
    change(this.run, { at, link, what, value });
    this.next = this.run.changes.length;
    if (at === 0 && what !== "cut" && before === 0) {
      // Nothing has happened yet: it is how the run begins.
      this.run.changes.length = this.next = 0;
      this.run.links[link][what] = value;
      this.begin({ ...this.run, at: this.playing ? undefined : 0 });
      return;
    }
    this.apply({ link, what, value });
    this.address();
  }

  frame(real) {
    const passed = Math.min(real - (this.last ?? real), 100);
    this.last = real;
    if (this.playing && !this.broken) {
      const wanted = this.now + passed * this.run.speed;
      const began = performance.now();
      let reached = this.now;
      do {
        reached = Math.min(wanted, reached + PIECE);
        this.advance(Math.ceil(reached));
      } while (reached < wanted && performance.now() - began < WORK && !this.broken);
      this.lagging = reached < wanted ? 30 : Math.max(0, this.lagging - 1);
      this.now = reached;
    }
    this.draw();
    requestAnimationFrame((next) => this.frame(next));
  }

  /** Runs to the moment that an address names, and stands there. */
  async jump() {
    const { at } = this.run;
    if (at === undefined) return;
    for (let to = 0; to < at && !this.broken; ) {
      to = Math.min(at, to + 200);
      this.advance(to);
      this.now = to;
      this.draw();
      await new Promise((resume) => setTimeout(resume));
    }
    this.pause(true);
  }

  pause(still) {
    this.playing = !still;
    find("play").textContent = still ? "Play" : "Pause";
    this.run.at = still ? this.done : undefined;
    const digest = still && this.work(() => this.machine.digest());
    find("digest").textContent = digest ? digest.slice(0, 32) : "not known while it runs";
    this.address();
  }

  address() {
    const { hash, whole } = format(this.run, this.playing ? undefined : this.done);
    history.replaceState(null, "", hash);
    find("copy").disabled = !whole;
    find("copy").title = whole ? "The address of this very moment" : "Too many changes for an address: begin again";
  }

  draw() {
    const { now } = this;
    const sample = this.samples.findLast((one) => one.at <= now) ?? this.samples[0];
    find("time").textContent = `${(now / 1000).toFixed(3)} s`;
    find("lag").hidden = this.lagging === 0;
    this.scene.draw(now, this.state(sample));
    for (const plot of this.plots) plot.draw(now, this.samples);
    if (!sample) return;
    sample.links.forEach(({ rtt, sent, lost }, at) => {
      const words = sent === 0 ? "not connected"
        : `${sent} packets sent, ${lost} lost, round trip ${rtt.toFixed(1)} ms`;
      const facts = this.facts[at];
      if (facts.textContent !== words) facts.textContent = words;
    });
  }

  state(sample) {
    const [relay, b, c] = sample?.held ?? [0, 0, 0];
    const pace = sample?.pace ?? [0, 0];
    const arrived = sample?.arrived ?? [0, 0];
    const up = sample?.links[0];
    return {
      links: LINKS.map((link) => {
        const { delay, loss, rate, cut } = this.links[link];
        const words = cut ? "cut" : `${delay} ms · ${rate} Mbit/s${loss ? ` · ${loss} % loss` : ""}`;
        return { cut, words };
      }),
      nodes: [
        { name: NODES[0], lines: up?.window ? [`window ${kib(up.window)}`, `in flight ${kib(up.flight)}`] : ["dials"] },
        { name: NODES[1], lines: [`holds ${kib(relay)}`], fill: relay / (1 << 20) },
        ...[0, 1].map((at) => ({
          name: NODES[at + 2], lines: [`${pace[at].toFixed(1)} Mbit/s`, `${kib(arrived[at])} arrived`],
          fill: [b, c][at] / (1 << 20),
        })),
      ],
    };
  }

  /** All that can be set, made once. */
  controls() {
    const choice = (box, name, entries, pick) => {
      for (const [value, words] of entries) {
        const input = make("input", { type: "radio", name, value });
        input.addEventListener("change", () => pick(value));
        box.append(make("label", {}, input, words));
      }
    };
    choice(find("speed"), "speed", Object.entries(SPEEDS).sort(([a], [b]) => a - b), (value) => {
      this.run.speed = Number(value);
      this.address();
    });
    choice(find("policy"), "policy", [["wait", "the source waits"], ["detach", "is given up"]], (value) => {
      this.begin({ ...this.run, changes: [], detach: value === "detach", at: undefined });
    });
    find("play").addEventListener("click", () => this.pause(this.playing));
    find("again").addEventListener("click", () => this.again({}));
    find("dice").addEventListener("click", () => this.again({ seed: Math.floor(Math.random() * 2 ** 32) }));
    find("seed").addEventListener("change", () => {
      const seed = Math.min(Math.max(Math.floor(Number(find("seed").value)) || 0, 0), 2 ** 32 - 1);
      this.again({ seed });
    });
    find("copy").addEventListener("click", async () => {
      this.pause(true);
      await navigator.clipboard?.writeText(location.href).catch(() => {});
      find("copy").textContent = "Copied";
      setTimeout(() => { find("copy").textContent = "Copy link"; }, 1500);
    });
    document.addEventListener("keydown", (event) => {
      if (event.key === " " && !event.target.closest("button, input, label")) {
        event.preventDefault();
        this.pause(this.playing);
      }
    });
    window.addEventListener("hashchange", () => this.open(location.hash));
    for (const [colour, words] of LEGEND) {
      const dot = make("i");
      dot.style.background = `var(--${colour})`;
      find("legend").append(make("li", {}, dot, words));
    }
    this.sliders = {};
    this.cuts = {};
    this.facts = LINKS.map((link, at) => this.card(link, at));
  }

  /** The same links as they are now, from time zero. */
  again(other) {
    const links = structuredClone(this.links);
    for (const link of LINKS) delete links[link].cut;
    this.begin({ ...this.run, links, changes: [], at: undefined, ...other });
  }

  card(link, at) {
    const cut = make("button", { type: "button" });
    cut.addEventListener("click", () => this.set(link, "cut", this.links[link].cut ? 0 : 1));
    const card = make("article", {}, make("header", {}, make("h2", { textContent: TITLES[at] }), cut));
    card.style.borderTopColor = `var(--link${at})`;
    this.cuts[link] = cut;
    this.sliders[link] = {};
    for (const [what, words] of Object.entries(WORDS)) {
      const steps = STEPS[what];
      const input = make("input", { type: "range", min: 0, max: steps.length - 1, step: 1 });
      input.style.accentColor = `var(--link${at})`;
      input.setAttribute("aria-label", `${TITLES[at]}: ${words}`);
      const output = make("output");
      input.addEventListener("input", () => this.set(link, what, steps[input.value]));
      card.append(make("label", { className: "slider" }, make("span", { textContent: words }), input, output));
      this.sliders[link][what] = { input, output };
    }
    const facts = make("p", { className: "facts" });
    card.append(facts);
    find("links").append(card);
    return facts;
  }

  /** What is set now. */
  show() {
    for (const link of LINKS) {
      for (const [what, { input, output }] of Object.entries(this.sliders[link])) {
        const value = this.links[link][what];
        const nearest = STEPS[what].reduce((best, step, at) => (
          Math.abs(step - value) < Math.abs(STEPS[what][best] - value) ? at : best), 0);
        input.value = nearest;
        output.textContent = `${value} ${UNIT[what]}`;
        input.setAttribute("aria-valuetext", output.textContent);
      }
      const { cut } = this.links[link];
      this.cuts[link].textContent = cut ? "Mend it" : "Cut it";
      this.cuts[link].setAttribute("aria-pressed", String(Boolean(cut)));
    }
    find("seed").value = this.run.seed;
    find("play").textContent = this.playing ? "Pause" : "Play";
    if (this.playing) find("digest").textContent = "not known while it runs";
    for (const [name, value] of [["speed", String(this.run.speed)], ["policy", this.run.detach ? "detach" : "wait"]]) {
      const input = document.querySelector(`input[name=${name}][value="${value}"]`);
      if (input) input.checked = true;
    }
  }

  async open(hash) {
    this.begin(hash.length > 1 ? parse(hash) : fresh());
    await this.jump();
  }
}

readColours();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", readColours);
try {
  const page = new Page(await Machine.load("aqueduct_lab.wasm"));
  await page.open(location.hash);
  window.lab = page;
  requestAnimationFrame((real) => page.frame(real));
} catch (error) {
  find("fault").textContent = String(error.message ?? error);
  find("fault").hidden = false;
}
