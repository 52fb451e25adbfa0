// The plots: packets over time, window and flight, round trips, rates, what is held.

const packets = data.packets;
const total = packets.at.length;

/** Whether any packet was opened: a tape without keys has only their sizes. */
const opened = packets.number.some((number) => number != null);

const sampled = total < data.sums.packets[0] + data.sums.packets[1];

/** What is looked at; `stream` is an id, "size" or null, and then packets are drawn by number. */
const chosen = { connection: 0, sent: 1, stream: null };

/** The packets that a plot is of, by what became of them. Made anew when the choice changes. */
let groups = null;
function choose(change) {
  Object.assign(chosen, change);
  groups = null;
  time.later();
}

function grouped() {
  if (groups) return groups;
  const group = () => ({ times: [], values: [], rows: [] });
  groups = { plain: group(), acked: group(), lost: group(), again: group(), late: group(), there: group() };
  const other = data.connections[chosen.connection]?.other;
  const value = chosen.stream == null ? (row) => packets.number[row]
    : chosen.stream === "size" ? (row) => packets.size[row]
    : (row) => (packets.stream[row] === chosen.stream ? packets.offset[row] : null);
  const put = (name, row, at, value) => {
    groups[name].times.push(at);
    groups[name].values.push(value);
    groups[name].rows.push(row);
  };
  for (let row = 0; row < total; row += 1) {
    const at = packets.at[row];
    if (other != null && chosen.sent && packets.connection[row] === other && !packets.sent[row]) {
      const y = value(row);
      if (y != null && chosen.stream !== "size") put("there", row, at, y);
      continue;
    }
    if (packets.connection[row] !== chosen.connection || packets.sent[row] !== chosen.sent) continue;
    const y = value(row);
    if (y == null) continue;
    const fate = packets.fate[row];
    if (fate === 3) put("lost", row, at, y);
    else if (fate === 4) put("late", row, at, y);
    if (packets.again[row]) put("again", row, at, y);
    if (fate !== 3 && fate !== 4 && !packets.again[row]) put("plain", row, at, y);
    if (fate === 2 && chosen.stream !== "size") put("acked", row, at + packets.settled[row], y);
  }
  return groups;
}

const connection = () => data.connections[chosen.connection];
const curve = (name) => {
  const [times, values] = connection() ? connection().curves[name] : [[], []];
  return { times, values, until: connection()?.until };
};
const nanos = (value) => span(value / 1000);
const until = (times) => (at) => count(before(times, at ?? time.to) + 1);

function packetLayers(plot) {
  const made = grouped();
  plot.units = chosen.stream == null ? [count, count] : [size, size];
  const bySize = chosen.stream === "size";
  plot.words = [bySize ? "bytes of the packet" : chosen.stream == null ? "packet number" : "offset in the stream", ""];
  plot.floor = bySize ? 0 : null;
  const layer = (name, shape, colour, group) => ({
    name, shape, colour, sorted: false, ...made[group],
    read: (at) => {
      const edge = at ?? time.to;
      let some = 0;
      for (const when of made[group].times) if (when <= edge) some += 1;
      return sampled ? `${count(some)} drawn` : count(some);
    },
  });
  if (!chosen.sent) return [layer("received", "dot", "came", "plain")];
  if (!opened) return [layer("sent", "dot", "sent", "plain")];
  const there = made.there.times.length ? [layer("came there", "dot", "came", "there")] : [];
  return [
    layer("acknowledged", "dot", "acked", "acked"),
    ...there,
    layer("sent", "dot", "sent", "plain"),
    layer("sent again", "diamond", "again", "again"),
    layer("lost", "cross", "lost", "lost"),
    layer("taken for lost, arrived", "ring", "late", "late"),
  ];
}

/** Bytes of each slice of the run, as a rate. */
function rateCurve(side) {
  const one = connection();
  const bytes = one ? one.rate[side] : [];
  const { shift, length } = one ? data.nodes[one.node] : { shift: 0, length: whole };
  const slice = length / Math.max(1, bytes.length);
  const from = one ? Math.floor((one.from - shift) / slice) : 0;
  const to = one ? Math.floor((one.until - shift) / slice) : 0;
  const times = [];
  const values = [];
  for (let at = from; at <= to && at < bytes.length; at += 1) {
    times.push(shift + at * slice);
    values.push(bytes[at] / (slice / 1e6));
  }
  return { times, values, until: one?.until };
}

/** The packet next to the hand. */
function nearest(plot, x, y) {
  let [best, least] = [null, 14 * 14];
  for (const layer of plot.shown) {
    for (let index = 0; index < layer.times.length; index += 1) {
      if (layer.times[index] < time.from || layer.times[index] > time.to) continue;
      const away = (plot.x(layer.times[index]) - x) ** 2 + (plot.y(layer.values[index], 0) - y) ** 2;
      if (away < least) [best, least] = [layer.rows[index], away];
    }
  }
  return best;
}

const fates = ["", "not known at the end", "acknowledged", "lost", "taken for lost, but arrived"];
function packetTip(event, row) {
  const number = packets.number[row] == null ? "" : ` #${packets.number[row]}`;
  const way = packets.sent[row] ? "sent" : "received";
  const fate = packets.fate[row] > 1 ? `${fates[packets.fate[row]]} after ${span(packets.settled[row])}` : fates[packets.fate[row]];
  showTip(event,
    element("b", {}, `Packet${number}, ${way} at ${moment(packets.at[row])} s`),
    element("span", {}, [size(packets.size[row]), packets.again[row] ? "with bytes sent before" : "", fate].filter(Boolean).join(" · ")),
    element("div", { class: "mono" }, packets.words[row]));
}

function makePanels(parent) {
  const unknown = "nothing of that on this connection";
  const plot = new Plot(parent, {
    title: "Packets", height: 340, units: [count, count], words: ["packet number", ""], layers: packetLayers,
    empty: unknown,
    hover: (self, x, y, event) => {
      const row = nearest(self, x, y);
      if (row == null) hideTip(); else packetTip(event, row);
    },
  });
  plot.click = (x, y) => {
    const row = nearest(plot, x, y);
    if (row != null) packetTable.reveal(row);
  };
  const measured = data.connections.some((one) => one.curves.window[0].length);
  if (!measured) {
    parent.append(element("p", { class: "unknown" }, "Window, flight, pacing and round-trip times are not known: no packet of this tape was opened."));
  }
  if (measured) new Plot(parent, {
    title: "Window, flight, pacing", height: 230, units: [size, rate], words: ["bytes", "bits a second"], floor: 0, empty: unknown,
    layers: () => [
      { name: "pacing rate (right)", shape: "line", faint: true, colour: "pacing", at: 1, ...curve("pacing") },
      { name: "in flight", shape: "area", colour: "sent", ...curve("flight") },
      { name: "congestion window", shape: "line", colour: "window", ...curve("window") },
      { name: "slow start ends at", shape: "dashed", colour: "threshold", ...curve("threshold") },
    ],
  });
  if (measured) new Plot(parent, {
    title: "Round-trip time", height: 180, units: [nanos, nanos], words: ["time", ""], floor: 0, empty: unknown,
    layers: () => [
      { name: "sample", shape: "dot", colour: "latest", ...curve("latest") },
      { name: "smoothed", shape: "line", colour: "sent", ...curve("smoothed") },
      { name: "least", shape: "dashed", colour: "least", ...curve("least") },
    ],
  });
  new Plot(parent, {
    title: "Rate on the wire", height: 150, units: [rate, rate], words: ["bits a second", ""], floor: 0, empty: "nothing moved",
    layers: () => [
      { name: "sent", shape: "area", colour: "sent", ...rateCurve("out") },
      { name: "received", shape: "line", colour: "came", ...rateCurve("in") },
    ],
  });
  const piped = () => (connection() ? data.nodes[connection().node].piped : [[], []]);
  const held = data.nodes.some((node) => node.piped[1].some(Boolean)) || data.connections.some((one) => one.curves.held[1].some(Boolean));
  if (held) new Plot(parent, {
    title: "Held", height: 130, units: [size, size], words: ["bytes", ""], floor: 0, empty: unknown,
    layers: () => [
      { name: "received and not yet released, on this connection", shape: "area", colour: "held", ...curve("held") },
      ...(piped()[0].length ? [{ name: "in the pipes of the node", shape: "line", colour: "window", times: piped()[0], values: piped()[1] }] : []),
    ],
  });
}

/** The whole run, small: where things moved, and which part is shown. */
function makeOverview(canvas) {
  const column = (x, width) => (x / width) * whole;
  let drag = null;
  time.drawn.push(() => {
    const { on, width, tall } = paint(canvas);
    const one = connection();
    if (one) {
      const most = Math.max(1, ...one.rate.out, ...one.rate.in);
      const { shift, length } = data.nodes[one.node];
      const left = (shift / whole) * width;
      const wide = ((length / whole) * width) / Math.max(1, one.rate.out.length);
      const middle = Math.round(tall / 2);
      for (const [side, colour, up] of [["out", "sent", -1], ["in", "came", 1]]) {
        on.fillStyle = colours[colour];
        one.rate[side].forEach((bytes, index) => {
          const high = (bytes / most) ** 0.5 * (middle - 4);
          if (high) on.fillRect(left + index * wide, up < 0 ? middle - high : middle, Math.max(1, wide - 0.3), high);
        });
      }
      on.fillStyle = colours.lost;
      for (let row = 0; row < total; row += 1) {
        if (packets.fate[row] === 3 && packets.connection[row] === chosen.connection) {
          on.fillRect((packets.at[row] / whole) * width - 0.5, tall - 4, 1.2, 4);
        }
      }
    }
    const [from, to] = [time.from, time.to].map((at) => (at / whole) * width);
    on.globalAlpha = 0.72;
    on.fillStyle = colours.page;
    on.fillRect(0, 0, from, tall);
    on.fillRect(to, 0, width - to, tall);
    on.globalAlpha = 1;
    on.strokeStyle = colours.focus;
    on.strokeRect(from + 0.75, 0.75, Math.max(2, to - from - 1.5), tall - 1.5);
  });
  const at = (event) => column(event.clientX - canvas.getBoundingClientRect().left, canvas.clientWidth);
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    const here = at(event);
    const full = time.to - time.from >= whole * 0.999;
    drag = !full && here > time.from && here < time.to ? { move: here - time.from } : { from: here };
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const here = at(event);
    if (drag.move != null) time.show(here - drag.move, here - drag.move + time.to - time.from);
    else if (Math.abs(here - drag.from) > whole / 500) time.show(Math.min(here, drag.from), Math.max(here, drag.from));
  });
  canvas.addEventListener("pointerup", () => { drag = null; });
  canvas.addEventListener("dblclick", () => time.show(0, whole));
  canvas.addEventListener("keydown", (event) => time.key(event));
}
