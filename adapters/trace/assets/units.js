// Numbers for people: sizes, rates, times, and the marks of axes.

const trim = (value, digits) => {
  const text = value.toFixed(digits);
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
};
const three = (value) => trim(value, value >= 100 ? 0 : value >= 10 ? 1 : 2);

/** Bytes. */
function size(bytes) {
  if (bytes == null) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  while (bytes >= 1024 && at < units.length - 1) { bytes /= 1024; at += 1; }
  return `${at ? three(bytes) : Math.round(bytes)} ${units[at]}`;
}

/** Bytes a second, told in bits. */
function rate(bytes) {
  if (bytes == null) return "–";
  let bits = bytes * 8;
  const units = ["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"];
  let at = 0;
  while (bits >= 1000 && at < units.length - 1) { bits /= 1000; at += 1; }
  return `${three(bits)} ${units[at]}`;
}

/** A length of time in microseconds. */
function span(micros) {
  if (micros == null) return "–";
  if (micros < 1) return `${trim(micros * 1000, 0)} ns`;
  if (micros < 1000) return `${three(micros)} µs`;
  if (micros < 1e6) return `${three(micros / 1000)} ms`;
  if (micros < 120e6) return `${three(micros / 1e6)} s`;
  return `${Math.floor(micros / 60e6)} min ${Math.round(micros / 1e6) % 60} s`;
}

/** A moment, as exactly as a table has it. */
const moment = (micros) => (micros / 1e6).toFixed(6);

const count = (number) => (number == null ? "–" : number.toLocaleString("en"));
const share = (part, all) => (all ? `${trim((100 * part) / all, 2)} %` : "–");

/** Marks of an axis: values, and how to write them alike. */
function ticks(from, to, most, kind) {
  const need = (to - from) / Math.max(1, most);
  let step;
  if (kind === size) {
    step = Math.max(1, 2 ** Math.ceil(Math.log2(need)));
  } else {
    const unit = kind === rate ? 1 / 8 : 1;
    const power = 10 ** Math.floor(Math.log10(need / unit));
    step = unit * power * [1, 2, 5, 10].find((factor) => factor * power * unit >= need * 0.9999);
  }
  if (kind === count) step = Math.max(1, Math.round(step));
  const marks = [];
  for (let at = Math.ceil(from / step) * step; at <= to + step * 1e-6; at += step) marks.push(at);
  return { marks, step };
}

/** Marks of the time axis share a unit, and have as many digits as they differ by. */
function timeLabel(step, top) {
  const [unit, word] = top >= 1e6 && step >= 1000 ? [1e6, "s"] : top >= 1000 && step >= 1 ? [1000, "ms"] : [1, "µs"];
  const digits = Math.max(0, Math.ceil(-Math.log10(step / unit) - 1e-9));
  return (micros) => `${(micros / unit).toFixed(digits)} ${word}`;
}

/** The last index whose time is not behind `at`; -1 if there is none. */
function before(times, at) {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] <= at) low = middle + 1; else high = middle;
  }
  return low - 1;
}

function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key === "class") made.className = value;
    else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value != null) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
}
