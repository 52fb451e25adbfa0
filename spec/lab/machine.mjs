// The lab's module: numbers in by its functions, arrays out of its memory.

export const LINKS = ["up", "near", "far"];
const WHAT = { delay: 0, loss: 1, rate: 2, queue: 3, cut: 4 };
const FLIGHT = 32; // bytes of a flight
const PER_LINK = 5;
const PER_SAMPLE = 1 + LINKS.length * PER_LINK + 5;

/** What a link does, from units for people to those of the module. */
const UNITS = {
  delay: (ms) => ms * 1000,
  loss: (percent) => Math.round(percent * 10_000),
  rate: (mbit) => Math.round((mbit * 1e6) / 8),
  queue: (kib) => kib * 1024,
  cut: (cut) => (cut ? 1 : 0),
};

export class Machine {
  static async load(url) {
    const answer = await fetch(url);
    if (!answer.ok) throw new Error(`${url}: ${answer.status}. Build it: spec/lab/build`);
    return new Machine(await WebAssembly.compile(await answer.arrayBuffer()));
  }

  constructor(module) {
    this.module = module;
    this.restart();
  }

  /** The same module with a memory of its own, in which nothing has happened. */
  restart() {
    this.exports = new WebAssembly.Instance(this.module, {}).exports;
  }

  /** Calls a function; what the harness said when it found something wrong is thrown. */
  call(name, ...args) {
    try {
      return this.exports[`lab_${name}`](...args);
    } catch (error) {
      const said = this.said();
      // A call that trapped has let go of nothing that it held: that memory is not called again.
      this.restart();
      throw said ? new Error(said) : error;
    }
  }

  /** What the harness said, as far as the memory can be read after a trap. */
  said() {
    try {
      return this.text(this.exports.lab_fault(), this.exports.lab_fault_len());
    } catch {
      return "";
    }
  }

  text(from, length) {
    return new TextDecoder().decode(new Uint8Array(this.exports.memory.buffer, from, length));
  }

  set(link, what, value) {
    this.call("set", LINKS.indexOf(link), WHAT[what], UNITS[what](value));
  }

  /** Everything from time zero. */
  begin({ seed, links, detach }) {
    this.call("clear");
    for (const [link, settings] of Object.entries(links)) {
      for (const [what, value] of Object.entries(settings)) this.set(link, what, value);
    }
    this.call("begin", seed, detach ? 1 : 0);
  }

  /** Lets time pass, up to so many milliseconds after the beginning. */
  advance(millis) {
    this.call("advance", millis * 1000);
    return { flights: this.flights(), samples: this.samples(), words: this.words() };
  }

  flights() {
    const [from, count] = [this.exports.lab_flights(), this.exports.lab_flights_count()];
    const view = new DataView(this.exports.memory.buffer, from, count * FLIGHT);
    return Array.from({ length: count }, (_, index) => {
      const at = index * FLIGHT;
      return {
        sent: view.getFloat64(at, true),
        left: view.getFloat64(at + 8, true),
        there: view.getFloat64(at + 16, true),
        length: view.getUint32(at + 24, true),
        lane: view.getUint8(at + 28),
        fate: view.getUint8(at + 29),
        kind: view.getUint8(at + 30),
      };
    });
  }

  samples() {
    const [from, count] = [this.exports.lab_samples(), this.exports.lab_samples_count()];
    const all = new Float64Array(this.exports.memory.buffer, from, count);
    return Array.from({ length: count / PER_SAMPLE }, (_, index) => {
      const one = all.slice(index * PER_SAMPLE, (index + 1) * PER_SAMPLE);
      const links = LINKS.map((_, link) => {
        const [window, flight, rtt, sent, lost] = one.slice(1 + link * PER_LINK);
        return { window, flight, rtt, sent, lost };
      });
      const [relay, b, c, atB, atC] = one.slice(1 + LINKS.length * PER_LINK);
      return { at: one[0], links, held: [relay, b, c], arrived: [atB, atC] };
    });
  }

  words() {
    const all = this.text(this.exports.lab_words(), this.exports.lab_words_len());
    return all.split("\n").filter(Boolean).map((line) => {
      const gap = line.indexOf(" ");
      return { at: Number(line.slice(0, gap)), text: line.slice(gap + 1) };
    });
  }

  digest() {
    this.call("fingerprint");
    return this.text(this.exports.lab_words(), this.exports.lab_words_len());
  }
}
