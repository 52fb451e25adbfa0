// Long tables: only the rows that are seen are there.

const ROW = 24;

class Table {
  /** `columns`: [head, width, cell(row), class]; `takes(row, word)`: whether a word of the filter fits. */
  constructor(box, { rows, times, columns, takes, filter, zoomed, said, name }) {
    Object.assign(this, { rows, times, columns, takes, filter, zoomed, said });
    this.template = columns.map(([, width]) => width).join(" ");
    const head = element("div", { class: "head", role: "row" }, ...columns.map(([title, , , kind]) =>
      element("div", { class: `cell ${kind === "num" ? "num" : ""}`, role: "columnheader" }, title)));
    head.style.gridTemplateColumns = this.template;
    this.body = element("div", { role: "rowgroup" });
    this.body.style.position = "relative";
    this.grid = element("div", { class: "grid", tabindex: 0, role: "table", "aria-label": name, "aria-rowcount": rows }, head, this.body);
    box.append(this.grid);
    this.grid.addEventListener("scroll", () => this.draw());
    filter.addEventListener("input", () => this.choose());
    zoomed.addEventListener("change", () => this.choose());
    time.drawn.push(() => { if (zoomed.checked) this.choose(); });
    this.choose();
  }

  /** Which rows the filter takes. */
  choose() {
    const words = this.filter.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const inside = this.zoomed.checked;
    this.taken = [];
    for (let row = 0; row < this.rows; row += 1) {
      if (inside && (this.times[row] < time.from || this.times[row] > time.to)) continue;
      if (this.takes(row, words)) this.taken.push(row);
    }
    this.said.textContent = `${count(this.taken.length)} of ${count(this.rows)}`;
    this.body.style.height = `${Math.max(1, this.taken.length) * ROW}px`;
    this.draw();
  }

  draw() {
    const first = Math.max(0, Math.floor(this.grid.scrollTop / ROW) - 4);
    const last = Math.min(this.taken.length, first + Math.ceil(this.grid.clientHeight / ROW) + 8);
    const made = [];
    for (let index = first; index < last; index += 1) {
      const row = this.taken[index];
      const line = element("div", { class: row === this.hit ? "row hit" : "row", role: "row", "aria-rowindex": index + 2 },
        ...this.columns.map(([, , cell, kind]) => {
          const [text, more] = [cell(row)].flat();
          return element("div", { class: `cell ${kind ?? ""} ${more ?? ""}`, role: "cell", title: kind === "words" ? text : null }, text ?? "");
        }));
      line.style.top = `${index * ROW}px`;
      line.style.gridTemplateColumns = this.template;
      line.addEventListener("pointerenter", () => time.point(this.times[row]));
      made.push(line);
    }
    if (!this.taken.length) made.push(element("div", { class: "empty" }, this.rows ? "Nothing fits the filter." : "There is none."));
    this.body.replaceChildren(...made);
  }

  /** Shows a row, whatever the filter said. */
  reveal(row) {
    this.hit = row;
    if (!this.taken.includes(row)) {
      this.filter.value = "";
      this.zoomed.checked = false;
      this.choose();
    }
    this.grid.scrollTop = this.taken.indexOf(row) * ROW - this.grid.clientHeight / 2;
    this.draw();
    this.grid.scrollIntoView({ block: "nearest", behavior: "smooth" });
  }
}

/** A connection, with its node where there are several. */
function id(index, node) {
  const name = index == null ? "–" : data.connections[index].id;
  const of = index == null ? node : data.connections[index].node;
  return several && of != null ? `${cut(nodeName(of), 14)} ${name}` : name;
}
const byId = (name) => document.getElementById(name);

/** A word that asks for more than a part of the text. */
function packetWord(row, word) {
  const [, sign, number] = /^size([<>])(\d+)$/.exec(word) ?? [];
  if (sign) return sign === ">" ? packets.size[row] > +number : packets.size[row] < +number;
  if (/^#\d+$/.test(word)) return packets.number[row] === +word.slice(1);
  switch (word) {
    case "sent": return packets.sent[row] === 1;
    case "received": return packets.sent[row] === 0;
    case "lost": return packets.fate[row] === 3;
    case "acknowledged": case "acked": return packets.fate[row] === 2;
    case "late": return packets.fate[row] === 4;
    case "again": return packets.again[row] === 1;
    default: return packets.words[row].toLowerCase().includes(word) || id(packets.connection[row], packets.node[row]).toLowerCase().split(" ").includes(word);
  }
}

function packetFate(row) {
  const said = [];
  if (packets.again[row]) said.push("sent again");
  const fate = packets.fate[row];
  if (fate === 2) said.push(`acknowledged +${span(packets.settled[row])}`);
  if (fate === 3) said.push(`lost +${span(packets.settled[row])}`);
  if (fate === 4) said.push("taken for lost, arrived");
  if (fate === 1) said.push("not known");
  const colour = fate === 3 ? "fate-lost" : fate === 4 ? "fate-late" : packets.again[row] ? "fate-again" : fate === 2 ? "fate-acked" : "";
  return [said.join(", "), colour];
}

let packetTable;
const connectionWidth = several ? "150px" : "86px";
function makeTables() {
  packetTable = new Table(byId("packets"), {
    name: "Packets", rows: total, times: packets.at,
    filter: byId("packets-filter"), zoomed: byId("packets-zoomed"), said: byId("packets-count"),
    takes: (row, words) => words.every((word) => packetWord(row, word)),
    columns: [
      ["Time, s", "96px", (row) => moment(packets.at[row]), "num"],
      ["Connection", connectionWidth, (row) => id(packets.connection[row], packets.node[row])],
      ["Way", "76px", (row) => (packets.sent[row] ? ["sent", "way-sent"] : ["received", "way-came"])],
      ["Number", "74px", (row) => (packets.number[row] == null ? "–" : `#${packets.number[row]}`), "num"],
      ["Bytes", "64px", (row) => packets.size[row], "num"],
      ["What became of it", "210px", packetFate],
      ["Content", "minmax(280px, 1fr)", (row) => packets.words[row], "words"],
      ["Record", "76px", (row) => packets.step[row], "num"],
    ],
  });
  const lines = data.lines;
  const text = (row) => `${lines.op[row]} ${lines.stream[row] ?? ""} ${lines.words[row]} ${id(lines.connection[row], lines.node[row])}`.toLowerCase();
  new Table(byId("lines"), {
    name: "Events and calls", rows: lines.at.length, times: lines.at,
    filter: byId("lines-filter"), zoomed: byId("lines-zoomed"), said: byId("lines-count"),
    takes: (row, words) => words.every((word) => text(row).includes(word)),
    columns: [
      ["Time, s", "96px", (row) => moment(lines.at[row]), "num"],
      ["Connection", connectionWidth, (row) => id(lines.connection[row], lines.node[row])],
      ["Stream", "86px", (row) => lines.stream[row] ?? "–"],
      ["What", "130px", (row) => lines.op[row]],
      ["", "minmax(320px, 1fr)", (row) => lines.words[row], "words"],
      ["Record", "76px", (row) => lines.step[row], "num"],
    ],
  });
}
