// The receiver of WIRE.md in JavaScript against Python's.
//
//   node tests/page/transport.mjs vectors          tests/vectors/transport/receiver.json, packet by packet, call by call
//   node tests/page/transport.mjs hostile [COUNT]  mutated packets: nothing thrown, memory bounded
//   node tests/page/transport.mjs peer             a receiver driven by lines of JSON on stdin (test_transport.py)

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { encode, parse, Receiver, WireError } from "../../player/page/build/transport.js";

const bytes = (hex) => new Uint8Array(Buffer.from(hex, "hex"));
const hex = (data) => (data === null ? null : Buffer.from(data).toString("hex"));
const vectors = JSON.parse(readFileSync(new URL("../vectors/transport/receiver.json", import.meta.url)));

function told(event) {
  if (event === null) return null;
  switch (event.type) {
    case "started":
      return ["started", event.group, hex(event.preamble)];
    case "item":
      return ["item", event.group, event.cls, event.index, hex(event.payload), event.complete];
    case "named":
      return ["named", event.name];
    case "ended":
      return ["ended", event.why];
  }
}

/** One call of a receiver: [its result] where it has one. */
function call(receiver, [what, ...given]) {
  switch (what) {
    case "ask":
      return receiver.askFor(given[0]), [];
    case "want":
      return receiver.want(...given), [];
    case "resume": {
      const [group, preamble, items] = given;
      const held = items.map(([cls, index, payload, complete]) => ({ cls, index, payload: bytes(payload), complete }));
      return receiver.resume(group, bytes(preamble), held), [];
    }
    case "close":
      return receiver.close(given[0]), [];
    case "in":
      return receiver.handleDatagram(bytes(given[1]), given[0]), [];
    case "timer": {
      const timer = receiver.nextTimer();
      return [timer === null ? null : Math.max(timer, -1)];
    }
    case "out":
      return [hex(receiver.pollTransmit(given[0]))];
    case "event":
      return [told(receiver.nextEvent())];
    case "stats":
      return [{ ...receiver.stats, ...receiver.size }];
    default:
      throw new Error(`no call ${what}`);
  }
}

function replayVectors() {
  for (const text of vectors.packets) assert.equal(hex(encode(parse(bytes(text)))), text);
  for (const text of vectors.refused) assert.throws(() => parse(bytes(text)), WireError, text);
  let calls = 0;
  for (const conversation of vectors.conversations) {
    const receiver = new Receiver();
    for (const [place, made] of conversation.entries()) {
      const [result] = call(receiver, made);
      if (result !== undefined) assert.deepEqual(result, made.at(-1), `call ${place}, ${made[0]}`);
      calls += 1;
    }
  }
  console.log(`transport: ${vectors.packets.length} packets, ${vectors.refused.length} refused, ${calls} calls as in Python`);
}

/** Numbers from 0 to below 1, the same ones each time. */
function random(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function hostile(count) {
  const draw = random(7);
  const below = (most) => Math.floor(draw() * most);
  const came = vectors.conversations.flat().filter(([what]) => what === "in").map(([, , text]) => text);
  const valid = [...vectors.packets, ...came].map(bytes);
  const limits = { maxGroups: 20, maxItems: 500, maxBytes: 20_000 };
  const sums = { malformed: 0, refused: 0 };
  let receiver = null;
  for (let round = 0; round < count; round++) {
    if (round % 2000 === 0) {
      if (receiver !== null) for (const name in sums) sums[name] += receiver.stats[name];
      receiver = new Receiver(limits); // the old one is at its limits
    }
    const data = valid[below(valid.length)].slice();
    for (let change = below(5); change >= 0; change--) data[below(data.length)] = below(256);
    const noise = () => Uint8Array.from({ length: below(80) }, () => below(256));
    const now = round / 1000;
    receiver.handleDatagram(round % 4 ? data.subarray(0, 1 + below(data.length)) : noise(), now);
    const { bytes: held, items } = receiver.size;
    assert.ok(held <= limits.maxBytes + 200 && items <= limits.maxItems + 10);
    if (round % 10) continue;
    receiver.pollTransmit(now);
    receiver.nextEvent();
  }
  const heap = process.memoryUsage().heapUsed / 1e6;
  assert.ok(sums.malformed > count / 20 && sums.refused > count / 50 && heap < 100, "the limits were met, and kept");
  const { malformed, refused } = sums;
  console.log(`transport: ${count} hostile packets, ${malformed} malformed, ${refused} refused, heap ${heap.toFixed()} MB`);
}

function peer() {
  const receiver = new Receiver();
  createInterface({ input: process.stdin }).on("line", (line) => {
    const results = JSON.parse(line).flatMap((made) => call(receiver, made));
    process.stdout.write(`${JSON.stringify(results)}\n`);
  });
}

const [mode, count] = process.argv.slice(2);
if (mode === "vectors") replayVectors();
else if (mode === "hostile") hostile(Number(count ?? 200_000));
else if (mode === "peer") peer();
else throw new Error("vectors, hostile or peer?");
