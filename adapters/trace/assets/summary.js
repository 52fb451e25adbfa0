// What was recorded, what is missing, and the sums.

function makeSummary() {
  const { nodes, sums } = data;
  const [tape] = nodes;
  const name = nodes.map((node) => node.name).join(" · ");
  document.title = `${name} – Aqueduct report`;
  byId("name").textContent = name;
  byId("facts").textContent = (several ? [
    `${nodes.length} nodes`, `${size(nodes.reduce((all, node) => all + node.bytes, 0))} of tape`,
    `${count(nodes.reduce((all, node) => all + node.records, 0))} records`,
  ] : [
    tape.label, `recorded by ${tape.version}`, `payload ${tape.payload}`, `${size(tape.bytes)} of tape`,
    `${count(tape.records)} records`,
  ]).filter(Boolean).join(" · ");
  byId("notes").replaceChildren(...data.notes.map((note) => element("p", { class: "note" }, note)));

  const tile = (title, value, more, bad) => element("dl", { class: bad ? "tile bad" : "tile" },
    element("dt", {}, title), element("dd", {}, value), element("dd", { class: "sub" }, more));
  const seconds = whole / 1e6;
  const main = [...data.connections].sort((a, b) => b.rtt.samples - a.rtt.samples)[0];
  const settled = sums.acked + sums.lost;
  byId("tiles").replaceChildren(
    tile("Duration", span(whole), `${count(sums.connections)} connection${sums.connections === 1 ? "" : "s"}, ${count(sums.events)} events`),
    tile("Sent", size(sums.bytes[0]), `${count(sums.packets[0])} packets, ${rate(sums.bytes[0] / seconds)}`),
    tile("Received", size(sums.bytes[1]), `${count(sums.packets[1])} packets, ${rate(sums.bytes[1] / seconds)}`),
    tile("Of streams", size(sums.moved[0] + sums.moved[1]), `${size(sums.moved[0])} out, ${size(sums.moved[1])} in, each byte once`),
    opened ? tile("Lost", share(sums.lost, settled), `${count(sums.lost)} packets, ${count(sums.late)} of them arrived after all`, sums.lost > 0)
      : tile("Lost", "–", "not known from this tape"),
    opened ? tile("Sent again", share(sums.repeated[0], sums.moved[0]), `${size(sums.repeated[0])} in ${count(sums.again)} packets, ${count(sums.timeouts)} probe timeouts`)
      : tile("Sent again", "–", "not known from this tape"),
    main && main.rtt.samples ? tile("Round trip", span(main.rtt.median / 1000), `median; least ${span(main.rtt.least / 1000)}, 99 % within ${span(main.rtt.p99 / 1000)} on ${id(data.connections.indexOf(main))}`)
      : tile("Round trip", "–", "not known from this tape"),
  );
  makeNodes();
  makeHops();
  byId("foot").textContent = `Times are seconds since ${several ? "the first recording began; clocks of nodes were set by the packets between them, as if both ways took equally long" : `the recording began, at ${moment(tape.began)} s of the node's own clock`}. No key and no payload is in this page; ids, addresses, sizes and times are.`;
}

/** A line for each tape, where there are several. */
function makeNodes() {
  if (!several) { byId("nodes").remove(); return; }
  const head = ["Node", "Began at", "Clock", "Recorded for", "Sent", "Received", "Lost", "Sent again", "Most in pipes", "Tape"];
  const left = (at) => (at === 0 || at === 9 ? { class: "left" } : {});
  const rows = data.nodes.map((node) => {
    const { sums } = node;
    const cells = [
      element("b", {}, node.name),
      `${moment(node.shift)} s`,
      node.within == null ? "not known" : node.within === 0 ? "the page's" : `± ${span(node.within)}`,
      span(node.length),
      element("span", {}, size(sums.bytes[0]), element("small", {}, `${count(sums.packets[0])} packets`)),
      element("span", {}, size(sums.bytes[1]), element("small", {}, `${count(sums.packets[1])} packets`)),
      element("span", {}, sums.acked + sums.lost ? share(sums.lost, sums.acked + sums.lost) : "–", element("small", {}, sums.lost ? `${count(sums.lost)} packets` : "")),
      size(sums.repeated[0]),
      size(node.piped[1].reduce((most, held) => Math.max(most, held), 0)),
      element("span", {}, `payload ${node.payload}`, element("small", {}, `${size(node.bytes)}, ${count(node.records)} records, ${node.version}`)),
    ];
    return element("tr", {}, ...cells.map((cell, at) => element("td", left(at), cell)));
  });
  byId("nodes-table").replaceChildren(
    element("thead", {}, element("tr", {}, ...head.map((title, at) => element("th", { scope: "col", ...left(at) }, title)))),
    element("tbody", {}, ...rows));
}

function makeHops() {
  const head = ["Connection", "Peer", "Handshake", "Lasted", "Sent", "Received", "Lost", "Sent again", "Round trip", "Kept from sending by", "End"];
  const limits = (one) => {
    const all = Object.values(one.limits).reduce((sum, part) => sum + part, 0);
    const named = Object.entries(one.limits).filter(([, part]) => part / all >= 0.01).sort((a, b) => b[1] - a[1]);
    return named.slice(0, 3).map(([name, part]) => `${name} ${Math.round((100 * part) / all)} %`).join(", ") || "–";
  };
  const left = (index) => (index < 2 ? { class: "left" } : index > 8 ? { class: "left wrap" } : {});
  const rows = data.connections.map((one, index) => {
    const cells = [
      element("button", { class: "link", type: "button", onclick: () => select(index, null) }, `${id(index)} ${one.dialled ? "→" : "←"}`),
      element("span", { title: one.peer ?? "" }, leadsTo(one), element("small", { class: "mono" }, cut(one.peer, 18) || "id not on the tape")),
      one.connected == null ? "–" : span(one.connected - one.from),
      span(one.until - one.from),
      element("span", {}, size(one.bytes[0]), element("small", {}, `${count(one.packets[0])} packets`)),
      element("span", {}, size(one.bytes[1]), element("small", {}, `${count(one.packets[1])} packets`)),
      element("span", {}, one.acked + one.lost ? share(one.lost, one.acked + one.lost) : "–", element("small", {}, one.lost ? `${count(one.lost)} packets` : "")),
      element("span", {}, opened ? size(one.repeated[0]) : "–", element("small", {}, one.timeouts ? `${count(one.timeouts)} timeouts` : "")),
      element("span", {}, one.rtt.samples ? span(one.rtt.median / 1000) : "–", element("small", {}, one.rtt.samples ? `${span(one.rtt.least / 1000)} – ${span(one.rtt.p99 / 1000)}` : "")),
      limits(one),
      one.closed == null ? "open at the end" : element("span", { class: "end", title: one.closed }, one.closed.replace(/^\(kind \d+, code \d+\) (?=.)/, "")),
    ];
    return element("tr", { "data-connection": index }, ...cells.map((cell, at) => element("td", left(at), cell)));
  });
  byId("hops").replaceChildren(
    element("thead", {}, element("tr", {}, ...head.map((title, at) => element("th", { scope: "col", ...left(at) }, title)))),
    element("tbody", {}, ...(rows.length ? rows : [element("tr", {}, element("td", { colspan: head.length }, "There was none."))])));
}
