// The functions of include/aqueduct.h, of a module that was compiled for WebAssembly, as a class.
// It knows no socket and no clock: it runs in Node and in a page alike.

const STATUS = ["ok", "nothing", "end"];
export const EVENTS = [
    "", "connected", "stream", "readable", "writable", "delivered", "stopped", "openable", "closed",
    "drained", "stuck",
];
const WAY = 28; // bytes of an aqueduct_way, which begins with an aqueduct_address of 20
const EVENT = 24; // bytes of an aqueduct_event
const CHUNK = 65536;

export class Aqueduct {
    /** A module without imports: all that it needs comes in by its functions. */
    static async load(bytes) {
        const { instance } = await WebAssembly.instantiate(bytes, {});
        return new Aqueduct(instance.exports);
    }

    constructor(exports) {
        this.exports = exports;
        // Room for what goes in and out: bytes, then a way, of which only the address is used, for Node
        // sends no batches and sees no marks; then numbers.
        this.chunk = exports.aqueduct_alloc(CHUNK);
        this.address = exports.aqueduct_alloc(WAY);
        this.out = exports.aqueduct_alloc(EVENT);
    }

    /** A node; `key` and `seed` are 32 random bytes each. */
    node(key, seed) {
        const pointer = this.exports.aqueduct_node_new(this.put(key), this.put(seed, 32));
        if (pointer === 0) throw new Error("no node");
        return new Node(this, pointer);
    }

    /** The same, recorded: its tape holds its keys. */
    recordedNode(key, seed) {
        const { exports } = this;
        const pointer = exports.aqueduct_node_new_recorded(this.put(key), this.put(seed, 32), 0);
        if (pointer === 0) throw new Error("no node");
        return new Node(this, pointer);
    }

    // Memory moves when it grows: views are made anew each time.
    view() {
        return new DataView(this.exports.memory.buffer);
    }

    put(bytes, at = 0) {
        new Uint8Array(this.exports.memory.buffer, this.chunk + at, bytes.length).set(bytes);
        return this.chunk + at;
    }

    get(pointer, length) {
        return new Uint8Array(this.exports.memory.buffer, pointer, length).slice();
    }

    putAddress({ address, port }) {
        const view = this.view();
        address.split(".").forEach((part, at) => view.setUint8(this.address + at, Number(part)));
        view.setUint16(this.address + 16, port, true);
        view.setUint8(this.address + 18, 4);
        view.setUint32(this.address + 20, 0);
        view.setUint32(this.address + 24, 0);
        return this.address;
    }

    getAddress() {
        const port = this.view().getUint16(this.address + 16, true);
        return { address: this.get(this.address, 4).join("."), port };
    }

    number() {
        return this.view().getBigUint64(this.out, true);
    }

    length() {
        return this.view().getUint32(this.out, true);
    }
}

export class Node {
    constructor(module, pointer) {
        this.module = module;
        this.pointer = pointer;
    }

    /** Calls a function of the header; what failed is thrown, in its own words. */
    call(name, ...rest) {
        const status = this.module.exports[`aqueduct_${name}`](this.pointer, ...rest);
        if (status < 0) throw new Error(`${name}: ${this.error() || status}`);
        return STATUS[status];
    }

    error() {
        const memory = new Uint8Array(this.module.exports.memory.buffer);
        const from = this.module.exports.aqueduct_error(this.pointer);
        return new TextDecoder().decode(memory.slice(from, memory.indexOf(0, from)));
    }

    id() {
        this.call("node_id", this.module.chunk);
        return this.module.get(this.module.chunk, 32);
    }

    connect(id, to, now) {
        const { module } = this;
        this.call("connect", module.put(id), module.putAddress(to), now, module.out);
        return module.number();
    }

    feed(datagram, from, now) {
        const { module } = this;
        this.call("feed", module.put(datagram), datagram.length, module.putAddress(from), now);
    }

    /** The next event, or nothing. */
    event(now) {
        const { module } = this;
        if (this.call("poll_event", now, module.out) !== "ok") return undefined;
        const view = module.view();
        return {
            kind: EVENTS[view.getUint32(module.out, true)],
            connection: view.getBigUint64(module.out + 8, true),
            stream: view.getBigUint64(module.out + 16, true),
        };
    }

    /** The next datagram to send, or nothing. */
    transmit(now) {
        const { module } = this;
        const args = [now, module.chunk, CHUNK, module.out, module.address];
        if (this.call("poll_transmit", ...args) !== "ok") return undefined;
        return { bytes: module.get(module.chunk, module.length()), to: module.getAddress() };
    }

    /** When to call again at the latest, in nanoseconds. */
    timeout(now) {
        this.call("next_timeout", now, this.module.out);
        return this.module.number();
    }

    open(connection, protocol, bothWays = false) {
        const { module } = this;
        const name = module.put(new TextEncoder().encode(`${protocol}\0`));
        this.call("open_stream", connection, name, bothWays ? 1 : 0, module.out);
        return module.number();
    }

    accept(connection) {
        const status = this.call("accept_stream", connection, this.module.out);
        return status === "ok" ? this.module.number() : undefined;
    }

    /** Bytes that were taken; zero if there was no room. */
    write(connection, stream, bytes) {
        const { module } = this;
        const part = bytes.subarray(0, CHUNK);
        this.call("write", connection, stream, module.put(part), part.length, module.out);
        return module.length();
    }

    finish(connection, stream) {
        this.call("finish", connection, stream);
    }

    /** The next bytes; "nothing" if none are here, "end" behind the last. */
    read(connection, stream) {
        const { module } = this;
        const status = this.call("read", connection, stream, module.chunk, CHUNK, module.out);
        return status === "ok" ? module.get(module.chunk, module.length()) : status;
    }

    close(connection, code, why) {
        const bytes = new TextEncoder().encode(why);
        this.call("close", connection, BigInt(code), this.module.put(bytes), bytes.length);
    }

    closeReason(connection) {
        const { module } = this;
        this.call("close_reason", connection, module.chunk, CHUNK, module.out);
        return new TextDecoder().decode(module.get(module.chunk, module.length()));
    }

    /** The next bytes of the tape; "nothing" if none are here, "end" behind the last. */
    takeTape() {
        const { module } = this;
        const status = this.call("take_tape", module.chunk, CHUNK, module.out);
        return status === "ok" ? module.get(module.chunk, module.length()) : status;
    }

    endTape() {
        this.call("end_tape");
    }

    free() {
        this.module.exports.aqueduct_node_free(this.pointer);
    }
}
