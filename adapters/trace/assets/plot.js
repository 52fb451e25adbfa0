// One plot: axes, what is drawn between them, and the hand on it.

const LEFT = 78;
const RIGHT = 78;
const BELOW = 24;
const ABOVE = 8;
const FONT = '11px ui-sans-serif, system-ui, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif';

/** A canvas that is as sharp as the screen. */
function paint(canvas, height) {
  const width = canvas.clientWidth || 900;
  const tall = height ?? canvas.clientHeight;
  const sharp = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * sharp) || canvas.height !== Math.round(tall * sharp)) {
    canvas.width = Math.round(width * sharp);
    canvas.height = Math.round(tall * sharp);
  }
  const on = canvas.getContext("2d");
  on.setTransform(sharp, 0, 0, sharp, 0, 0);
  on.clearRect(0, 0, width, tall);
  on.font = FONT;
  return { on, width, tall };
}

/** A small picture of how something is drawn. */
function swatch(layer) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 16 10");
  svg.setAttribute("class", "swatch");
  svg.setAttribute("aria-hidden", "true");
  const shape = document.createElementNS(space, "path");
  const colour = `var(--${layer.colour})`;
  const shapes = {
    line: ["M0 5H16", 2], dashed: ["M0 5H4M6 5H10M12 5H16", 1.6], area: ["M0 9V4H16V9Z", 0],
    dot: ["M8 5m-2.4 0a2.4 2.4 0 1 0 4.8 0a2.4 2.4 0 1 0 -4.8 0", 0],
    cross: ["M4.5 1.5L11.5 8.5M11.5 1.5L4.5 8.5", 1.8], diamond: ["M8 .6L12.4 5L8 9.4L3.6 5Z", 0],
    ring: ["M8 5m-3 0a3 3 0 1 0 6 0a3 3 0 1 0 -6 0", 1.6],
  };
  const [path, width] = shapes[layer.shape];
  shape.setAttribute("d", path);
  shape.setAttribute("style", width
    ? `stroke:${colour};stroke-width:${width};fill:none`
    : `fill:${colour};${layer.shape === "area" ? "opacity:.6" : ""}`);
  svg.append(shape);
  return svg;
}

class Plot {
  /**
   * `layers()`: what is drawn now, each {name, colour, shape, at: 0 left or 1 right, times, values,
   * read}. `units`: of the two axes. `words`: what the axes are of.
   */
  constructor(parent, { title, height, units, words, layers, hover, empty, floor }) {
    Object.assign(this, { height, units, words, layers, hover, empty, floor });
    this.canvas = element("canvas", { tabindex: 0, role: "img", "aria-label": `${title}. ${words.join(", ")}` });
    this.canvas.style.height = `${height}px`;
    this.legend = element("span", { class: "legend" });
    parent.append(element("figure", {},
      element("figcaption", {}, element("b", {}, title), this.legend), this.canvas));
    this.back = document.createElement("canvas");
    time.drawn.push(() => this.draw());
    time.read.push(() => this.readOut());
    this.listen();
  }

  x(at) { return LEFT + ((at - time.from) / (time.to - time.from)) * (this.width - LEFT - RIGHT); }
  at(x) { return time.from + ((x - LEFT) / (this.width - LEFT - RIGHT)) * (time.to - time.from); }
  y(value, side) {
    const [from, to] = this.ranges[side];
    return this.height - BELOW - ((value - from) / (to - from)) * (this.height - BELOW - ABOVE);
  }

  draw() {
    const { on, width } = paint(this.canvas, this.height);
    this.width = width;
    this.shown = this.layers(this);
    this.ranges = [0, 1].map((side) => this.range(side));
    this.axes(on);
    on.save();
    on.beginPath();
    on.rect(LEFT, ABOVE - 4, width - LEFT - RIGHT, this.height - BELOW - ABOVE + 8);
    on.clip();
    this.shown.forEach((layer) => this.layer(on, layer));
    on.restore();
    if (!this.shown.some((layer) => layer.times.length)) {
      on.fillStyle = colours.soft;
      on.textAlign = "center";
      on.fillText(this.empty, width / 2, this.height / 2);
    }
    // What is drawn stays while the line moves over it.
    this.back.width = this.canvas.width;
    this.back.height = this.canvas.height;
    this.back.getContext("2d").drawImage(this.canvas, 0, 0);
    this.legend.replaceChildren(...this.shown.map((layer) => {
      layer.said = element("output", {});
      return element("span", {}, swatch(layer), layer.name, layer.said);
    }));
  }

  /** The least and the greatest value that is shown. */
  range(side) {
    let [low, high] = [Infinity, -Infinity];
    for (const layer of this.shown) {
      if ((layer.at || 0) !== side) continue;
      const { times, values } = layer;
      const sorted = layer.sorted !== false;
      const first = sorted ? Math.max(0, before(times, time.from)) : 0;
      for (let index = first; index < times.length; index += 1) {
        if (sorted && times[index] > time.to) break;
        if (!sorted && (times[index] < time.from || times[index] > time.to)) continue;
        if (values[index] < low) low = values[index];
        if (values[index] > high) high = values[index];
      }
    }
    if (low > high) return [0, 1];
    if (this.floor === 0) low = 0;
    if (low === high) high = low + 1;
    const room = (high - low) * 0.06;
    return [this.floor === 0 ? 0 : Math.max(0, low - room), high + room];
  }

  axes(on) {
    const { width, height } = this;
    const right = width - RIGHT;
    on.lineWidth = 1;
    on.textBaseline = "middle";
    const sides = [0, 1].filter((side) => this.shown.some((layer) => (layer.at || 0) === side && layer.times.length));
    for (const side of sides) {
      const [from, to] = this.ranges[side];
      const { marks } = ticks(from, to, Math.max(2, (height - BELOW) / 38), this.units[side]);
      on.textAlign = side ? "left" : "right";
      for (const mark of marks) {
        const y = Math.round(this.y(mark, side)) + 0.5;
        if (y < ABOVE - 2 || y > height - BELOW + 1) continue;
        if (side === sides[0]) {
          on.strokeStyle = colours.grid;
          on.beginPath(); on.moveTo(LEFT, y); on.lineTo(right, y); on.stroke();
        }
        on.fillStyle = colours.soft;
        on.fillText(this.units[side](mark), side ? right + 8 : LEFT - 8, y);
      }
      on.save();
      on.fillStyle = colours.soft;
      on.textAlign = "center";
      on.translate(side ? width - 6 : 8, (height - BELOW + ABOVE) / 2);
      on.rotate(side ? Math.PI / 2 : -Math.PI / 2);
      on.fillText(this.words[side], 0, 0);
      on.restore();
    }
    const { marks, step } = ticks(time.from, time.to, (right - LEFT) / 96, span);
    const label = timeLabel(step, time.to);
    on.textAlign = "center";
    for (const mark of marks) {
      const x = Math.round(this.x(mark)) + 0.5;
      on.strokeStyle = colours.grid;
      on.beginPath(); on.moveTo(x, ABOVE); on.lineTo(x, height - BELOW); on.stroke();
      on.fillStyle = colours.soft;
      on.fillText(label(mark), x, height - BELOW + 13);
    }
    on.strokeStyle = colours.line;
    on.strokeRect(LEFT + 0.5, ABOVE + 0.5, right - LEFT - 1, height - BELOW - ABOVE - 1);
  }

  layer(on, layer) {
    const colour = colours[layer.colour];
    on.strokeStyle = colour;
    on.fillStyle = colour;
    on.setLineDash(layer.shape === "dashed" ? [5, 4] : []);
    on.globalAlpha = layer.faint ? 0.55 : 1;
    if (["line", "dashed", "area"].includes(layer.shape)) this.stroke(on, layer);
    else this.marks(on, layer);
    on.setLineDash([]);
    on.globalAlpha = 1;
  }

  /** A value that holds until it has another. */
  stroke(on, layer) {
    const { times, values } = layer;
    if (!times.length) return;
    const side = layer.at || 0;
    const first = Math.max(0, before(times, time.from));
    on.lineWidth = layer.shape === "area" ? 1 : 1.6;
    on.beginPath();
    let y = this.y(values[first], side);
    const begin = Math.max(this.x(times[first]), LEFT);
    on.moveTo(begin, y);
    let last = begin;
    for (let index = first + 1; index < times.length && times[index] <= time.to; index += 1) {
      const x = this.x(times[index]);
      on.lineTo(x, y);
      y = this.y(values[index], side);
      on.lineTo(x, y);
      last = x;
    }
    const end = Math.max(last, Math.min(this.x(layer.until ?? whole), this.width - RIGHT));
    on.lineTo(end, y);
    on.stroke();
    if (layer.shape !== "area") return;
    on.lineTo(end, this.y(Math.max(0, this.ranges[side][0]), side));
    on.lineTo(begin, this.y(Math.max(0, this.ranges[side][0]), side));
    on.globalAlpha = 0.18;
    on.fill();
    on.globalAlpha = 1;
  }

  marks(on, layer) {
    const { times, values, shape } = layer;
    const side = layer.at || 0;
    on.lineWidth = 1.7;
    const many = times.length * ((time.to - time.from) / whole) > 3000;
    // The nearer one looks, the larger the marks.
    const near = times.length && (time.to - time.from) < whole / 4;
    const half = shape === "dot" ? (many ? 1 : near ? 2 : 1.5) : near ? 4 : 3;
    for (let index = 0; index < times.length; index += 1) {
      if (times[index] < time.from || times[index] > time.to) continue;
      const x = this.x(times[index]);
      const y = this.y(values[index], side);
      if (shape === "dot") {
        on.fillRect(x - half, y - half, 2 * half, 2 * half);
        continue;
      }
      on.beginPath();
      if (shape === "cross") {
        on.moveTo(x - half, y - half); on.lineTo(x + half, y + half);
        on.moveTo(x + half, y - half); on.lineTo(x - half, y + half);
        on.stroke();
      } else if (shape === "ring") {
        on.arc(x, y, half, 0, 2 * Math.PI);
        on.stroke();
      } else {
        on.moveTo(x, y - half); on.lineTo(x + half, y); on.lineTo(x, y + half); on.lineTo(x - half, y);
        on.fill();
      }
    }
  }

  /** The line, and the values under it. */
  readOut() {
    if (!this.shown) return;
    const on = this.canvas.getContext("2d");
    on.save();
    on.setTransform(1, 0, 0, 1, 0, 0);
    on.clearRect(0, 0, this.canvas.width, this.canvas.height);
    on.drawImage(this.back, 0, 0);
    on.restore();
    const at = time.cursor;
    if (at != null && at >= time.from && at <= time.to) {
      const x = Math.round(this.x(at)) + 0.5;
      on.strokeStyle = colours.soft;
      on.lineWidth = 1;
      on.setLineDash([2, 3]);
      on.beginPath(); on.moveTo(x, ABOVE); on.lineTo(x, this.height - BELOW); on.stroke();
      on.setLineDash([]);
    }
    if (this.drag) {
      const [from, to] = [this.drag.from, this.drag.to].map((when) => this.x(when));
      on.fillStyle = colours.shade;
      on.fillRect(Math.min(from, to), ABOVE, Math.abs(to - from), this.height - BELOW - ABOVE);
    }
    for (const layer of this.shown) {
      const said = layer.read ? layer.read(at) : this.value(layer, at);
      layer.said.textContent = said ?? "";
    }
  }

  value(layer, at) {
    if (!layer.times.length) return "";
    const index = before(layer.times, at ?? time.to);
    return index < 0 ? "" : this.units[layer.at || 0](layer.values[index]);
  }

  listen() {
    const { canvas } = this;
    const place = (event) => {
      const box = canvas.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    canvas.addEventListener("pointermove", (event) => {
      const [x, y] = place(event);
      const at = this.at(Math.min(Math.max(x, LEFT), this.width - RIGHT));
      if (this.pan) {
        const by = this.pan.at - this.at(x);
        time.show(time.from + by, time.to + by);
        return;
      }
      if (this.drag) this.drag.to = at;
      time.point(at);
      if (this.hover) this.hover(this, x, y, event);
    });
    canvas.addEventListener("pointerleave", () => { time.point(null); hideTip(); });
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      canvas.setPointerCapture(event.pointerId);
      const at = this.at(place(event)[0]);
      if (event.shiftKey) this.pan = { at };
      else this.drag = { from: at, to: at };
    });
    canvas.addEventListener("pointerup", (event) => {
      const { drag } = this;
      this.drag = this.pan = null;
      if (!drag) return;
      const [from, to] = [Math.min(drag.from, drag.to), Math.max(drag.from, drag.to)];
      if (this.x(to) - this.x(from) > 6) time.show(from, to);
      else if (this.click) this.click(...place(event));
    });
    canvas.addEventListener("dblclick", () => time.show(0, whole));
    canvas.addEventListener("keydown", (event) => time.key(event));
    canvas.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      time.zoom(event.deltaY > 0 ? 1.2 : 1 / 1.2, this.at(place(event)[0]));
    }, { passive: false });
  }
}

const tip = document.getElementById("tip");
function showTip(event, ...children) {
  tip.replaceChildren(...children);
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  const x = Math.min(event.clientX + 14, window.innerWidth - box.width - 8);
  const y = event.clientY + 16 + box.height > window.innerHeight ? event.clientY - box.height - 12 : event.clientY + 16;
  tip.style.left = `${Math.max(4, x)}px`;
  tip.style.top = `${Math.max(4, y)}px`;
}
function hideTip() { tip.hidden = true; }
