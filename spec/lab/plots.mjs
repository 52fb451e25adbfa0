// Curves over the last ten seconds of virtual time. Each names its lines at their ends.

export const SPAN = 10_000;
/** At least so much of it is shown. */
const LEAST_SPAN = 2_000;
const LEFT = 54;
const RIGHT = 64;
const BOTTOM = 20;
const TOP = 8;

/** The least round number that is not below `value`. */
function round(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1e-9)));
  return [1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10].map((step) => step * power).find((step) => step >= value);
}

const figure = (value) => String(Number(value.toPrecision(3)));

export class Plot {
  /** `lines`: name, colour, what of a sample, and whether it is thin. */
  constructor(parent, { title, unit, lines, least }, colours) {
    const made = document.createElement("figure");
    const caption = document.createElement("figcaption");
    caption.innerHTML = "<b></b><span></span>";
    caption.firstChild.textContent = title;
    caption.lastChild.textContent = unit;
    this.canvas = document.createElement("canvas");
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", `${title}, ${unit}`);
    made.append(caption, this.canvas);
    parent.append(made);
    Object.assign(this, { lines, least, colours });
  }

  draw(now, samples) {
    const { canvas, colours } = this;
    const scale = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
      [canvas.width, canvas.height] = [Math.round(width * scale), Math.round(height * scale)];
    }
    const on = canvas.getContext("2d");
    on.setTransform(scale, 0, 0, scale, 0, 0);
    on.clearRect(0, 0, width, height);
    const until = Math.max(now, LEAST_SPAN);
    const since = Math.max(0, until - SPAN);
    const seen = samples.filter((sample) => sample.at >= since && sample.at <= now);
    let most = this.least;
    for (const { value } of this.lines) for (const sample of seen) most = Math.max(most, value(sample));
    const top = round(most * 1.05);
    const x = (at) => LEFT + ((at - since) / (until - since)) * (width - LEFT - RIGHT);
    const y = (value) => height - BOTTOM - (value / top) * (height - BOTTOM - TOP);
    this.axes(on, { since, until, top, x, y, width, height });
    const ends = this.lines.map((line) => this.line(on, line, seen, x, y));
    this.names(on, ends.filter(Boolean), width, height);
  }

  axes(on, { since, until, top, x, y, width, height }) {
    const { colours } = this;
    on.font = `11.5px ${colours.font}`;
    on.lineWidth = 1;
    on.strokeStyle = colours.faint;
    on.fillStyle = colours.soft;
    on.textAlign = "right";
    on.textBaseline = "middle";
    for (const part of [0, 0.5, 1]) {
      const at = Math.round(y(top * part)) + 0.5;
      on.beginPath();
      on.moveTo(LEFT, at);
      on.lineTo(width - RIGHT, at);
      on.stroke();
      on.fillText(figure(top * part), LEFT - 8, at);
    }
    on.textAlign = "center";
    on.textBaseline = "alphabetic";
    const step = until - since > 5_000 ? 2_000 : until - since > 2_500 ? 1_000 : 500;
    for (let at = Math.ceil(since / step) * step; at <= until; at += step) {
      on.fillText(`${at / 1000} s`, x(at), height - 4);
    }
  }

  line(on, { name, colour, value, thin }, seen, x, y) {
    if (seen.length === 0) return undefined;
    const { colours } = this;
    on.strokeStyle = colours[colour];
    on.globalAlpha = thin ? 0.55 : 1;
    on.lineWidth = thin ? 1 : 2;
    on.lineJoin = "round";
    on.beginPath();
    for (const sample of seen) on.lineTo(x(sample.at), y(value(sample)));
    on.stroke();
    on.globalAlpha = 1;
    const last = seen.at(-1);
    return name && { name, colour, x: x(last.at), y: y(value(last)) };
  }

  /** Names beside the lines' ends, apart from each other. */
  names(on, ends, width, height) {
    const { colours } = this;
    const space = 14;
    ends.sort((one, other) => one.y - other.y);
    ends.forEach((end, at) => {
      end.y = Math.max(end.y, at ? ends[at - 1].y + space : TOP + 4);
    });
    for (let at = ends.length - 1, most = height - BOTTOM - 4; at >= 0; at -= 1, most -= space) {
      ends[at].y = Math.min(ends[at].y, most);
    }
    on.font = `600 12px ${colours.font}`;
    on.textAlign = "left";
    on.textBaseline = "middle";
    for (const { name, colour, x, y } of ends) {
      on.fillStyle = colours[colour];
      on.fillText(name, Math.min(x + 6, width - RIGHT + 6), y);
    }
  }
}
