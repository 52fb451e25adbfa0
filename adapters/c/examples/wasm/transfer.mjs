// Two nodes in WebAssembly, each a module of its own behind a real UDP socket of Node: the first
// sends a file to the second, and the digests of what was sent and of what came must be equal.
//
//     cargo build -p aqueduct-c --target wasm32-unknown-unknown --profile wasm
//     node adapters/c/examples/wasm/transfer.mjs target/wasm32-unknown-unknown/wasm/aqueduct_c.wasm

import { createHash, randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { Aqueduct } from "./aqueduct.mjs";

const SIZE = 8 << 20;
const PATIENCE = 60_000;
const now = () => process.hrtime.bigint();

/** A node, its socket, and the loop that joins them. */
class Side {
    static async open(name, wasm, onEvent) {
        const module = await Aqueduct.load(wasm);
        const socket = createSocket("udp4");
        socket.bind(0, "127.0.0.1");
        await once(socket, "listening");
        return new Side(name, module.node(randomBytes(32), randomBytes(32)), socket, onEvent);
    }

    constructor(name, node, socket, onEvent) {
        Object.assign(this, { name, node, socket, onEvent, timer: undefined });
        this.drained = new Promise((resolve) => {
            this.resolve = resolve;
        });
        socket.on("message", (bytes, { address, port }) => {
            this.node.feed(bytes, { address, port }, now());
            this.turn();
        });
    }

    /** All that the node has to say; then the timer stands at what it asked for. */
    turn() {
        const time = now();
        for (let moved = true; moved; ) {
            moved = false;
            for (let event; (event = this.node.event(time)); moved = true) {
                if (event.kind === "closed") {
                    console.log(`${this.name}: ${this.node.closeReason(event.connection)}`);
                }
                if (event.kind === "drained") return this.end();
                this.onEvent(this.node, event);
            }
            for (let datagram; (datagram = this.node.transmit(time)); moved = true) {
                this.socket.send(datagram.bytes, datagram.to.port, datagram.to.address);
            }
        }
        const wait = Number(this.node.timeout(time) - time) / 1e6;
        clearTimeout(this.timer);
        if (wait < 2 ** 31) this.timer = setTimeout(() => this.turn(), Math.ceil(wait));
    }

    end() {
        clearTimeout(this.timer);
        this.socket.close();
        this.node.free();
        this.resolve();
    }
}

const wasm = await readFile(process.argv[2]);
const file = randomBytes(SIZE);
const received = createHash("sha256");
let [written, read, stream] = [0, 0, undefined];

function send(node, { kind, connection }) {
    if (kind === "connected") stream = node.open(connection, "file");
    if (kind === "connected" || kind === "writable") {
        for (let taken = 1; taken > 0 && written < SIZE; written += taken) {
            taken = node.write(connection, stream, file.subarray(written));
        }
        if (written === SIZE) node.finish(connection, stream);
    }
    if (kind === "delivered") node.close(connection, 0, "thank you");
}

function receive(node, { kind, connection, stream }) {
    const from = kind === "stream" ? node.accept(connection) : stream;
    if (kind !== "stream" && kind !== "readable") return;
    for (let data; from !== undefined && typeof (data = node.read(connection, from)) !== "string"; ) {
        received.update(data);
        read += data.length;
    }
}

const receiver = await Side.open("receiver", wasm, receive);
const sender = await Side.open("sender", wasm, send);
const began = now();
sender.node.connect(receiver.node.id(), receiver.socket.address(), began);
sender.turn();
const giveUp = setTimeout(() => {
    console.error(`nothing after ${PATIENCE} ms: ${written} written, ${read} read`);
    process.exit(1);
}, PATIENCE);
await Promise.all([sender.drained, receiver.drained]);
clearTimeout(giveUp);

const digests = [createHash("sha256").update(file).digest("hex"), received.digest("hex")];
console.log(`sent      ${written} bytes, SHA-256 ${digests[0]}`);
console.log(`received  ${read} bytes, SHA-256 ${digests[1]}`);
console.log(`${Number(now() - began) / 1e6} ms, between two modules over UDP`);
if (digests[0] !== digests[1]) {
    console.error("the digests differ");
    process.exit(1);
}
console.log("equal digests");
