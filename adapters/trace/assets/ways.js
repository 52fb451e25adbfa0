// The ways of streams: the bytes that went by each point, from the first sender to the last reader.

const wayColours = ["sent", "came", "pacing", "window", "again", "acked", "lost", "late"];

/** What is followed. */
let followed = 0;

const pointName = (point) => {
  const other = data.connections[point.connection]?.other;
  const to = other == null ? "" : ` to ${nodeName(data.connections[other].node)}`;
  return `${nodeName(point.node)} ${point.sent ? `sends${to}` : "receives"}`;
};

/** A point's colour is its node's; what it receives is dashed. */
const pointColour = (point) => wayColours[(several ? point.node : point.sent * 1) % wayColours.length];

function wayTitle(way) {
  const [first] = way;
  const ends = way.filter((point, at) => !way.some((other) => other.before === at));
  const to = ends.map((point) => nodeName(point.node)).join(", ");
  return `${first.name}${first.protocol ? ` ${first.protocol}` : ""}, ${size(first.moved)}: ${nodeName(first.node)} → ${several ? to : `${ends.length} leg${ends.length === 1 ? "" : "s"}`}`;
}

/** How much had gone by a point at a time. */
function gone(point, at) {
  const [times, values] = point.path;
  const index = before(times, at);
  return index < 0 ? 0 : values[index];
}

/** The most bytes that had gone by a point and not yet by the next. */
function widest(from, to) {
  return Math.max(0, ...from.path[0].map((at, index) => from.path[1][index] - gone(to, at)));
}

function wayRows(way) {
  return way.map((point) => {
    const past = point.before == null ? null : way[point.before];
    const later = (at, edge) => (past && at != null ? `+${span(Math.max(0, at - past[edge]))}` : "");
    const connection = data.connections[point.connection];
    const lasted = point.last - point.first;
    const cells = [
      element("span", {}, swatch({ colour: pointColour(point), shape: point.sent ? "line" : "dashed" }), ` ${pointName(point)}`),
      connection ? element("button", { class: "link", type: "button", onclick: () => select(point.connection, point.stream) }, `${connection.id} ${point.name}`) : point.name,
      element("span", {}, `${moment(point.first)}`, element("small", {}, later(point.first, "first"))),
      element("span", {}, `${moment(point.last)}`, element("small", {}, later(point.last, "last"))),
      size(point.moved),
      lasted > 0 ? rate(point.moved / (lasted / 1e6)) : "–",
      size(point.again),
      past ? size(widest(past, point)) : "–",
    ];
    return element("tr", {}, ...cells.map((cell, at) => element("td", at < 2 ? { class: "left" } : {}, cell)));
  });
}

function makeWays(section) {
  if (!data.ways.length) { section.remove(); return; }
  const choice = byId("ways-which");
  choice.replaceChildren(...data.ways.map((way, at) => element("option", { value: at }, wayTitle(way))));
  const head = ["Point", "Stream", "First byte, s", "Last byte, s", "Bytes", "Rate", "Again", "Most behind the point before"];
  const fill = () => {
    byId("ways").replaceChildren(
      element("thead", {}, element("tr", {}, ...head.map((title, at) => element("th", { scope: "col", ...(at < 2 ? { class: "left" } : {}) }, title)))),
      element("tbody", {}, ...wayRows(data.ways[followed])));
    time.later();
  };
  choice.addEventListener("change", () => { followed = +choice.value; fill(); });
  new Plot(byId("ways-plot"), {
    title: "Bytes that have gone by", height: 300, units: [size, size], words: ["new bytes of the stream", ""], floor: 0, empty: "nothing moved",
    layers: () => data.ways[followed].map((point) => ({
      name: pointName(point), shape: point.sent ? "line" : "dashed", colour: pointColour(point),
      times: point.path[0], values: point.path[1], until: point.last,
    })),
  });
  byId("ways-fit").addEventListener("click", () => {
    const way = data.ways[followed];
    const [from, to] = [Math.min(...way.map((point) => point.first)), Math.max(...way.map((point) => point.last))];
    time.show(from - (to - from) * 0.02, to + (to - from) * 0.02);
  });
  fill();
}
