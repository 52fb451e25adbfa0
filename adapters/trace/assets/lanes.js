// A lane for each connection, which is a hop, and below it one for each of its streams.

const LANE = 24;
const NAME = 250;
const END = 92;

const lanes = data.nodes.flatMap((node, number) => [
  ...(several ? [{ node }] : []),
  ...data.connections.flatMap((one, index) => (one.node !== number ? [] : [
    { hop: true, index, of: one },
    ...one.streams.map((stream) => ({ index, of: stream })),
  ])),
]);

/** Where a connection leads: to a node of the page, or to an address. */
const leadsTo = (one) => (one.other == null ? one.remote ?? "?" : `${nodeName(data.connections[one.other].node)} ${data.connections[one.other].id}`);

const markColours = { open: "soft", delivered: "acked", reset: "lost", stop: "lost", stopped: "lost", stuck: "lost", pressure: "again" };

function makeLanes(box, legend) {
  const canvas = element("canvas", {});
  const high = Math.min(lanes.length * LANE, 460);
  canvas.style.height = `${high}px`;
  const spacer = element("div", {});
  spacer.style.height = `${Math.max(0, lanes.length * LANE - high)}px`;
  box.append(canvas, spacer);
  for (const [name, colour, shape] of [["sent", "sent", "area"], ["received", "came", "area"], ["opened", "soft", "dot"],
    ["delivered", "acked", "dot"], ["reset, stopped or stuck", "lost", "dot"], ["held up behind a gap", "again", "dot"]]) {
    legend.append(element("span", {}, swatch({ colour, shape }), name));
  }
  legend.append(element("span", {}, "the darker, the more bytes in that moment"));
  const x = (at, width) => NAME + ((at - time.from) / (time.to - time.from)) * (width - NAME - END);

  const draw = () => {
    const { on, width } = paint(canvas, high);
    const first = Math.floor(box.scrollTop / LANE);
    const away = box.scrollTop - first * LANE;
    on.textBaseline = "middle";
    for (let row = first; row < lanes.length && (row - first) * LANE - away < high; row += 1) {
      lane(on, lanes[row], (row - first) * LANE - away, width);
    }
    if (time.cursor != null && time.cursor >= time.from && time.cursor <= time.to) {
      on.strokeStyle = colours.soft;
      on.setLineDash([2, 3]);
      const at = Math.round(x(time.cursor, width)) + 0.5;
      on.beginPath(); on.moveTo(at, 0); on.lineTo(at, high); on.stroke();
      on.setLineDash([]);
    }
  };

  function lane(on, { node, hop, index, of }, top, width) {
    if (node) { banner(on, node, top, width); return; }
    const picked = index === chosen.connection && (hop ? chosen.stream == null : chosen.stream === of.id);
    if (picked) { on.fillStyle = colours.shade; on.fillRect(0, top, width, LANE); }
    on.fillStyle = colours.grid;
    on.fillRect(0, top + LANE - 1, width, 1);
    on.textAlign = "left";
    on.fillStyle = hop ? colours.ink : colours.soft;
    on.font = hop ? `600 ${FONT}` : FONT;
    const name = hop ? `${of.id}  ${of.dialled ? "→" : "←"}  ${leadsTo(of)}` : `     ${of.name}  ${of.protocol ?? ""}`;
    on.fillText(clip(on, name, NAME - 16), 6, top + LANE / 2);
    on.font = FONT;
    on.textAlign = "right";
    const moved = hop ? of.bytes : of.moved;
    on.fillStyle = colours.soft;
    on.fillText(size(moved[0] + moved[1]), width - 6, top + LANE / 2);
    on.save();
    on.beginPath();
    on.rect(NAME, top, width - NAME - END, LANE);
    on.clip();
    const [from, to] = [x(of.from, width), x(of.until, width)];
    on.fillStyle = colours.grid;
    on.fillRect(from, top + 4, Math.max(2, to - from), LANE - 9);
    strip(on, of.lane.out, "sent", top + 4, of.lane.in ? (LANE - 9) / 2 : LANE - 9, width, data.connections[index], of);
    strip(on, of.lane.in, "came", of.lane.out ? top + 4 + (LANE - 9) / 2 : top + 4, of.lane.out ? (LANE - 9) / 2 : LANE - 9, width, data.connections[index], of);
    for (const [at, what] of of.marks ?? []) {
      on.fillStyle = colours[markColours[what] ?? "soft"];
      on.beginPath();
      on.arc(x(at, width), top + LANE / 2, 3.4, 0, 2 * Math.PI);
      on.fill();
      on.strokeStyle = colours.card;
      on.lineWidth = 1;
      on.stroke();
    }
    on.restore();
  }

  /** Whose lanes follow, and for how long it was recorded. */
  function banner(on, node, top, width) {
    on.fillStyle = colours.page;
    on.fillRect(0, top, width, LANE - 1);
    on.textAlign = "left";
    on.fillStyle = colours.ink;
    on.font = `700 ${FONT}`;
    on.fillText(clip(on, node.name, NAME - 16), 6, top + LANE / 2);
    on.font = FONT;
    const [from, to] = [node.shift, node.shift + node.length].map((at) => Math.min(Math.max(x(at, width), NAME), width - END));
    on.fillStyle = colours.line;
    on.fillRect(from, top + LANE / 2 - 1, Math.max(0, to - from), 2);
  }

  function strip(on, shades, colour, top, high, width, one, of) {
    if (!shades) return;
    on.fillStyle = colours[colour];
    const { shift, length } = data.nodes[one.node];
    const slice = length / shades.length;
    const first = Math.max(0, Math.floor((time.from - shift) / slice));
    for (let index = first; index < shades.length && shift + index * slice < time.to; index += 1) {
      const shade = shades.charCodeAt(index) - 48;
      if (!shade) continue;
      on.globalAlpha = 0.2 + (0.8 * shade) / 9;
      // A slice is coarse: what is not yet or no longer there is not drawn.
      const from = x(Math.max(shift + index * slice, of.from), width);
      const to = x(Math.min(shift + (index + 1) * slice, of.until), width);
      on.fillRect(from, top, Math.max(1.2, to - from + 0.4), high);
    }
    on.globalAlpha = 1;
  }

  const at = (event) => lanes[Math.floor((event.clientY - canvas.getBoundingClientRect().top + box.scrollTop) / LANE)];
  canvas.addEventListener("pointermove", (event) => {
    const found = at(event);
    const wide = canvas.clientWidth;
    const place = event.clientX - canvas.getBoundingClientRect().left;
    time.point(place > NAME && place < wide - END ? time.from + ((place - NAME) / (wide - NAME - END)) * (time.to - time.from) : null);
    if (!found || found.node) return hideTip();
    const { of, hop } = found;
    const moved = hop ? of.bytes : of.moved;
    showTip(event,
      element("b", {}, hop ? `Connection ${id(found.index)}` : `Stream ${of.name} of ${id(found.index)}`),
      element("div", {}, `${span(of.from)} to ${span(of.until)}, ${size(moved[0])} out, ${size(moved[1])} in`),
      hop ? null : element("div", {}, `${of.protocol ?? "no protocol seen"}${of.size ? `, of ${size(of.size)}` : ""}; ${size(of.again[0])} sent again, ${size(of.again[1])} came again`),
      ...(of.marks ?? []).map(([when, what]) => element("div", { class: "mono" }, `${moment(when)} s ${what}`)));
  });
  canvas.addEventListener("pointerleave", () => { time.point(null); hideTip(); });
  canvas.addEventListener("click", (event) => {
    const found = at(event);
    if (found && !found.node) select(found.index, found.hop ? null : found.of.id);
  });
  box.addEventListener("scroll", draw);
  box.addEventListener("keydown", (event) => {
    if (!["ArrowUp", "ArrowDown"].includes(event.key)) time.key(event);
  });
  time.drawn.push(draw);
  time.read.push(draw);
}

function clip(on, text, width) {
  if (on.measureText(text).width <= width) return text;
  let end = text.length;
  while (end > 4 && on.measureText(`${text.slice(0, end)}…`).width > width) end -= 1;
  return `${text.slice(0, end)}…`;
}
