// What was recorded, what is missing, and the sums.

function makeSummary() {
  const { tape, sums } = data;
  document.title = `${tape.name} – Aqueduct report`;
  byId("name").textContent = tape.name;
  byId("facts").textContent = [
    tape.label, `recorded by ${tape.version}`, `payload ${tape.payload}`, `${size(tape.bytes)} of tape`,
    `${count(tape.records)} records`,
  ].filter(Boolean).join(" · ");
  byId("notes").replaceChildren(...data.notes.map((note) => element("p", { class: "note" }, note)));

  const tile = (title, value, more, bad) => element("dl", { class: bad ? "tile bad" : "tile" },
    element("dt", {}, title), element("dd", {}, value), element("dd", { class: "sub" }, more));
  const seconds = tape.length / 1e6;
  const main = [...data.connections].sort((a, b) => b.rtt.samples - a.rtt.samples)[0];
  const settled = sums.acked + sums.lost;
  byId("tiles").replaceChildren(
    tile("Duration", span(tape.length), `${count(sums.connections)} connection${sums.connections === 1 ? "" : "s"}, ${count(sums.events)} events`),
    tile("Sent", size(sums.bytes[0]), `${count(sums.packets[0])} packets, ${rate(sums.bytes[0] / seconds)}`),
    tile("Received", size(sums.bytes[1]), `${count(sums.packets[1])} packets, ${rate(sums.bytes[1] / seconds)}`),
    tile("Of streams", size(sums.moved[0] + sums.moved[1]), `${size(sums.moved[0])} out, ${size(sums.moved[1])} in, each byte once`),
    opened ? tile("Lost", share(sums.lost, settled), `${count(sums.lost)} packets, ${count(sums.late)} of them arrived after all`, sums.lost > 0)
      : tile("Lost", "–", "not known from this tape"),
    opened ? tile("Sent again", share(sums.repeated[0], sums.moved[0]), `${size(sums.repeated[0])} in ${count(sums.again)} packets, ${count(sums.timeouts)} probe timeouts`)
      : tile("Sent again", "–", "not known from this tape"),
    main && main.rtt.samples ? tile("Round trip", span(main.rtt.median / 1000), `median; least ${span(main.rtt.least / 1000)}, 99 % within ${span(main.rtt.p99 / 1000)} on ${main.id}`)
      : tile("Round trip", "–", "not known from this tape"),
  );
  makeHops();
  byId("foot").textContent = `Times are seconds since the recording began, at ${moment(tape.began)} s of the node's own clock. No key and no payload is in this page; ids, addresses, sizes and times are.`;
}

function makeHops() {
  const head = ["Connection", "Peer", "Handshake", "Lasted", "Sent", "Received", "Lost", "Sent again", "Round trip", "Kept from sending by", "End"];
  const cut = (text, most) => (text && text.length > most ? `${text.slice(0, most - 1)}…` : text ?? "");
  const limits = (one) => {
    const all = Object.values(one.limits).reduce((sum, part) => sum + part, 0);
    const named = Object.entries(one.limits).filter(([, part]) => part / all >= 0.01).sort((a, b) => b[1] - a[1]);
    return named.slice(0, 3).map(([name, part]) => `${name} ${Math.round((100 * part) / all)} %`).join(", ") || "–";
  };
  const left = (index) => (index < 2 ? { class: "left" } : index > 8 ? { class: "left wrap" } : {});
  const rows = data.connections.map((one, index) => {
    const cells = [
      element("button", { class: "link", type: "button", onclick: () => select(index, null) }, `${one.id} ${one.dialled ? "→" : "←"}`),
      element("span", { title: one.peer ?? "" }, one.remote ?? "?", element("small", { class: "mono" }, cut(one.peer, 18) || "id not on the tape")),
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
