// The lanes: nodes, links, and every datagram where it is at this moment.

const FATE = { arrived: 0, lost: 1, overflowed: 2, cut: 3 };
const KIND = ["hello", "data", "small"];
const NODE = { width: 132, height: 74 };
const QUEUE = 0.16; // of a lane's length, for what waits
const GAP = 9; // between a link's two lanes
/** How long a lost datagram is shown, of its link's delay. */
const FADE = 0.5;

/** Where the nodes are, of the canvas: source, relay, B, C; from left to right, or downwards. */
const WIDE = [[0.09, 0.5], [0.47, 0.5], [0.9, 0.2], [0.9, 0.8]];
const HIGH = [[0.5, 0.1], [0.5, 0.49], [0.2, 0.89], [0.8, 0.89]];
/** Narrower than this, in pixels, it goes downwards. */
const NARROW = 760;
const ENDS = [[0, 1], [1, 2], [1, 3]];

export const LEGEND = [
  ["data", "data"], ["small", "small: acknowledgements"], ["hello", "handshake"], ["lost", "lost, or the queue was full"],
];

export class Scene {
  constructor(canvas, colours) {
    Object.assign(this, { canvas, colours, flights: [] });
  }

  clear() {
    this.flights = [];
  }

  add(flights) {
    this.flights.push(...flights);
  }

  /** Draws the moment `now`, in milliseconds; `state` is what stands beside the nodes. */
  draw(now, state) {
    const { canvas } = this;
    const scale = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
      [canvas.width, canvas.height] = [Math.round(width * scale), Math.round(height * scale)];
    }
    const on = canvas.getContext("2d");
    on.setTransform(scale, 0, 0, scale, 0, 0);
    on.clearRect(0, 0, width, height);
    const down = width < NARROW;
    const places = (down ? HIGH : WIDE).map(([x, y]) => [x * width, y * height]);
    const ways = ENDS.map(([from, to], link) => this.way(places[from], places[to], link, down));
    ways.forEach((way, link) => this.link(on, way, link, state));
    this.packets(on, ways, now);
    ways.forEach((way, link) => this.label(on, way, link, state));
    places.forEach((place, node) => this.node(on, place, node, state));
  }

  /** A link's ends at the borders of its nodes, and its direction. */
  way(from, to, link, down) {
    // The two that leave the relay leave it beside each other.
    const aside = [0, -1, 1][link];
    const [x0, y0] = down ? [from[0] + aside * 30, from[1] + NODE.height / 2 + 8]
      : [from[0] + NODE.width / 2 + 8, from[1] + aside * 17];
    const [x1, y1] = down ? [to[0], to[1] - NODE.height / 2 - 8] : [to[0] - NODE.width / 2 - 8, to[1]];
    const length = Math.hypot(x1 - x0, y1 - y0);
    const [dx, dy] = [(x1 - x0) / length, (y1 - y0) / length];
    // The normal points to the way back.
    return { from: [x0, y0], length, dx, dy, nx: -dy, ny: dx };
  }

  /** A point of a lane: `part` of its length, seen from where its datagrams come from. */
  point(way, back, part, aside = 0) {
    const along = (back ? 1 - part : part) * way.length;
    const off = (back ? GAP : -GAP) + (back ? aside : -aside);
    return [way.from[0] + way.dx * along + way.nx * off, way.from[1] + way.dy * along + way.ny * off];
  }

  link(on, way, link, state) {
    const { colours } = this;
    const cut = state.links[link].cut;
    for (const back of [false, true]) {
      on.strokeStyle = colours.faint;
      on.lineWidth = 11;
      on.lineCap = "round";
      this.stroke(on, way, back, cut ? [[0, 0.44], [0.56, 1]] : [[0, 1]]);
      // What waits for the rate stands in a darker piece at the beginning.
      on.strokeStyle = colours.line;
      this.stroke(on, way, back, [[0, QUEUE]]);
    }
    on.strokeStyle = colours[`link${link}`];
    on.lineWidth = 2;
    const aside = GAP + 9;
    const pieces = cut ? [[0, 0.44], [0.56, 1]] : [[0, 1]];
    for (const [from, to] of pieces) {
      on.beginPath();
      for (const [at, part] of [[0, from], [1, to]]) {
        const x = way.from[0] + way.dx * part * way.length - way.nx * aside;
        const y = way.from[1] + way.dy * part * way.length - way.ny * aside;
        if (at) on.lineTo(x, y); else on.moveTo(x, y);
      }
      on.stroke();
    }
    if (cut) {
      const [x, y] = [way.from[0] + way.dx * way.length / 2, way.from[1] + way.dy * way.length / 2];
      on.strokeStyle = colours.lost;
      on.lineWidth = 3;
      for (const turn of [1, -1]) {
        on.beginPath();
        on.moveTo(x - 8, y - 8 * turn);
        on.lineTo(x + 8, y + 8 * turn);
        on.stroke();
      }
    }
  }

  stroke(on, way, back, pieces) {
    for (const [from, to] of pieces) {
      on.beginPath();
      on.moveTo(...this.point(way, back, from));
      on.lineTo(...this.point(way, back, to));
      on.stroke();
    }
  }

  packets(on, ways, now) {
    const { colours } = this;
    this.flights = this.flights.filter((flight) => now < this.over(flight));
    for (const flight of this.flights) {
      if (flight.sent > now) continue;
      const [way, back] = [ways[flight.lane >> 1], flight.lane % 2 === 1];
      const { part, aside, faded } = this.place(flight, now);
      const [x, y] = this.point(way, back, part, aside);
      const gone = flight.fate !== FATE.arrived && (aside > 0 || faded < 1);
      on.globalAlpha = faded;
      on.fillStyle = gone ? colours.lost : colours[KIND[flight.kind]];
      const size = flight.kind === 2 ? 2 : 4;
      on.beginPath();
      on.arc(x, y, size, 0, 7);
      on.fill();
      on.globalAlpha = 1;
    }
  }

  delay(flight) {
    return Math.max(flight.there - flight.left, 1);
  }

  /** When nothing is to be seen of it any more. */
  over(flight) {
    switch (flight.fate) {
      case FATE.arrived: return flight.there;
      case FATE.overflowed: return flight.sent + this.delay(flight) * FADE;
      default: return flight.left + this.delay(flight) * (0.5 + FADE);
    }
  }

  place(flight, now) {
    const delay = this.delay(flight);
    if (flight.fate === FATE.overflowed) {
      const part = Math.min((now - flight.sent) / (delay * FADE), 1);
      return { part: 0.02, aside: 4 + part * 26, faded: 1 - part };
    }
    if (now < flight.left) {
      // In the queue: the later it leaves, the further back it stands.
      const waits = (flight.left - now) / Math.max(flight.left - flight.sent, 1e-9);
      return { part: QUEUE * (1 - waits), aside: 0, faded: 1 };
    }
    const flown = (now - flight.left) / delay;
    if (flight.fate === FATE.arrived) return { part: QUEUE + (1 - QUEUE) * flown, aside: 0, faded: 1 };
    const stops = flight.fate === FATE.cut ? 0.44 : 0.5;
    const reaches = (stops - QUEUE) / (1 - QUEUE);
    const part = QUEUE + (1 - QUEUE) * Math.min(flown, reaches);
    const lost = Math.max(0, flown - reaches) / FADE;
    return { part, aside: lost * 18, faded: Math.max(0, 1 - lost) };
  }

  label(on, way, link, state) {
    const { colours } = this;
    const { words } = state.links[link];
    const x = way.from[0] + way.dx * way.length * 0.5;
    const y = way.from[1] + way.dy * way.length * 0.5;
    on.save();
    on.translate(x, y);
    const angle = Math.atan2(way.dy, way.dx);
    const over = angle > Math.PI / 2 + 0.01;
    on.rotate(over ? angle - Math.PI : angle);
    on.font = `${way.length < 200 ? 11 : 13}px ${colours.font}`;
    on.textAlign = "center";
    on.textBaseline = "alphabetic";
    on.fillStyle = colours[`link${link}`];
    on.fillText(words, 0, over ? GAP + 27 : -GAP - 18);
    on.restore();
  }

  node(on, [x, y], node, state) {
    const { colours } = this;
    const { name, lines, fill } = state.nodes[node];
    const [left, top] = [x - NODE.width / 2, y - NODE.height / 2];
    on.beginPath();
    on.roundRect(left, top, NODE.width, NODE.height, 11);
    on.fillStyle = colours.card;
    on.fill();
    if (fill > 0) {
      on.save();
      on.clip();
      on.fillStyle = colours.link0;
      on.globalAlpha = 0.16;
      const high = Math.min(fill, 1) * NODE.height;
      on.fillRect(left, top + NODE.height - high, NODE.width, high);
      on.restore();
    }
    on.strokeStyle = colours.soft;
    on.lineWidth = 1.25;
    on.stroke();
    on.textAlign = "center";
    on.textBaseline = "middle";
    on.fillStyle = colours.ink;
    on.font = `650 15px ${colours.font}`;
    on.fillText(name, x, y - 19);
    on.font = `12.5px ${colours.font}`;
    on.fillStyle = colours.soft;
    lines.forEach((line, at) => on.fillText(line, x, y + 3 + at * 17));
  }
}
