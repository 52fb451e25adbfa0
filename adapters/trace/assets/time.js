// The one time axis that everything shares: what part of the run is shown, and where the line is
// that reads out.

const data = JSON.parse(document.getElementById("data").textContent);
const whole = data.length;

/** Of what node something is, where there are several. */
const several = data.nodes.length > 1;
const nodeName = (node) => data.nodes[node].name;
const cut = (text, most) => (text && text.length > most ? `${text.slice(0, most - 1)}…` : text ?? "");

const time = {
  from: 0,
  to: whole,
  /** Where values are read out; null: at the end. */
  cursor: null,
  /** Who draws. */
  drawn: [],
  /** Who draws only what changes with the cursor. */
  read: [],

  show(from, to) {
    const least = Math.max(10, whole / 1e6);
    let length = Math.min(Math.max(to - from, least), whole);
    from = Math.min(Math.max(from, 0), whole - length);
    this.from = from;
    this.to = from + length;
    this.later();
  },
  zoom(factor, around) {
    const centre = around ?? this.cursor ?? (this.from + this.to) / 2;
    const inside = Math.min(Math.max(centre, this.from), this.to);
    this.show(inside - (inside - this.from) * factor, inside + (this.to - inside) * factor);
  },
  move(part) {
    const by = (this.to - this.from) * part;
    this.show(this.from + by, this.to + by);
  },
  point(at) {
    this.cursor = at == null ? null : Math.min(Math.max(at, 0), whole);
    this.later(true);
  },

  waits: 0,
  /** Draws once before the next frame, however much has changed. */
  later(cursorOnly) {
    this.waits = Math.max(this.waits, cursorOnly ? 1 : 2);
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => this.now());
  },
  now() {
    const all = this.waits === 2;
    this.frame = null;
    this.waits = 0;
    if (all) this.drawn.forEach((draw) => draw());
    this.read.forEach((draw) => draw());
  },

  /** What a key does to the axis; whether it was one. */
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return false;
    const step = (this.to - this.from) / 100;
    const at = this.cursor ?? (this.from + this.to) / 2;
    const keys = {
      ArrowLeft: () => (event.shiftKey ? this.point(at - step) : this.move(-0.1)),
      ArrowRight: () => (event.shiftKey ? this.point(at + step) : this.move(0.1)),
      "+": () => this.zoom(0.6), "=": () => this.zoom(0.6),
      "-": () => this.zoom(1 / 0.6), _: () => this.zoom(1 / 0.6),
      0: () => this.show(0, whole), Home: () => this.show(0, whole),
      Escape: () => this.point(null),
    };
    const wanted = keys[event.key];
    if (!wanted) return false;
    event.preventDefault();
    wanted();
    return true;
  },
};

/** Colours follow the theme. */
const colours = {};
function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["page", "card", "ink", "soft", "line", "grid", "focus", "shade", "sent", "acked",
    "lost", "again", "came", "late", "window", "threshold", "pacing", "latest", "least", "held"]) {
    colours[name] = style.getPropertyValue(`--${name}`).trim();
  }
}
