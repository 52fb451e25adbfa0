// Puts it together.

let errors = 0;
const failed = () => { errors += 1; document.documentElement.dataset.errors = errors; };
window.addEventListener("error", failed);
window.addEventListener("unhandledrejection", failed);
document.addEventListener("securitypolicyviolation", failed);

/** A connection, and one of its streams or all of it, is looked at. */
function select(index, stream) {
  const one = data.connections[index];
  if (!one) return;
  const fresh = index !== chosen.connection;
  const of = stream == null || !opened ? null : one.streams.find((each) => each.id === stream);
  // What moved more is what one wants to see.
  const sent = of ? Number(of.moved[0] >= of.moved[1]) : fresh ? Number(one.bytes[0] >= one.bytes[1]) : chosen.sent;
  choose({ connection: index, stream, sent });
  byId("which").value = index;
  byId("way").value = sent;
  fillAxes();
  for (const row of document.querySelectorAll("#hops tbody tr")) {
    row.classList.toggle("chosen", row.dataset.connection === String(index));
  }
}

const axisValue = (text) => (text === "" ? null : text === "size" ? text : +text);

/** By what packets can be drawn. */
function fillAxes() {
  const one = data.connections[chosen.connection];
  const side = chosen.sent ? 0 : 1;
  const streams = one && opened ? one.streams.filter((stream) => stream.moved[side] > 0) : [];
  byId("axis").replaceChildren(
    ...(opened ? [element("option", { value: "" }, "packet number")] : []),
    element("option", { value: "size" }, "size"),
    ...streams.map((stream) => element("option", { value: stream.id }, `offset in ${stream.name} (${size(stream.moved[side])})`)));
  byId("axis").value = chosen.stream ?? "";
  if (byId("axis").selectedIndex < 0) {
    byId("axis").selectedIndex = 0;
    choose({ stream: opened ? null : "size" });
  }
}

function makeBar() {
  byId("which").replaceChildren(...data.connections.map((one, index) =>
    element("option", { value: index }, `${id(index)} ${one.dialled ? "to" : "from"} ${leadsTo(one)}`)));
  byId("which").addEventListener("change", (event) => select(+event.target.value, null));
  byId("way").addEventListener("change", (event) => { choose({ sent: +event.target.value }); fillAxes(); });
  byId("axis").addEventListener("change", (event) => choose({ stream: axisValue(event.target.value) }));
  byId("zoom-in").addEventListener("click", () => time.zoom(0.5));
  byId("zoom-out").addEventListener("click", () => time.zoom(2));
  byId("zoom-all").addEventListener("click", () => time.show(0, whole));
  time.drawn.push(() => {
    byId("range").textContent = `${moment(time.from)} – ${moment(time.to)} s (${span(time.to - time.from)})`;
  });
}

function makeTheme() {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const names = ["system", "light", "dark"];
  let at = 0;
  const apply = () => {
    const theme = names[at] === "system" ? (dark.matches ? "dark" : "light") : names[at];
    document.documentElement.dataset.theme = theme;
    document.documentElement.style.colorScheme = theme;
    byId("theme").textContent = `Theme: ${names[at]}`;
    readColours();
    time.later();
  };
  byId("theme").addEventListener("click", () => { at = (at + 1) % names.length; apply(); });
  dark.addEventListener("change", apply);
  apply();
}

makeSummary();
makeTheme();
makeBar();
makeOverview(byId("overview"));
makePanels(byId("panels"));
makeLanes(byId("lanes"), byId("lanes-legend"));
makeWays(byId("ways-section"));
makeTables();
const busiest = data.connections.reduce((best, one, index) => {
  const bytes = (each) => each.bytes[0] + each.bytes[1];
  return bytes(one) > bytes(data.connections[best]) ? index : best;
}, 0);
chosen.connection = -1;
select(busiest, null);
// `#from-to` in microseconds shows that part.
const [, from, to] = /^#(\d+)-(\d+)$/.exec(location.hash) ?? [];
if (to) time.show(+from, +to);
new ResizeObserver(() => time.later()).observe(document.body);
time.waits = 2;
time.now();
document.documentElement.dataset.ready = "yes";
