// Packets to bytes and back (WIRE.md). Of what a receiver sends, both; of what a sender sends, reading alone, and
// writing what tests need. Any bytes give a packet or WireError.

import { type Control, encodeEnd, encodeHeard, encodeRequest, parseControl, utf8 } from "./control";
import { BASE, CLASSES, MAX_VARINT, NUMBERS, Reader, WireError, Writer } from "./fields";

export const MAX_RUNS = 64;
/** An acknowledgement reaches back less than this many packets. */
export const MAX_SPAN = NUMBERS / 2;
const MAX_PREAMBLE = 8;
const MAX_NAME = 32;
const MAX_BLOCK = 4095;
const MAX_SOURCES = 255;
const MAX_REBUILT = 16;
const CLOCK = 2 ** 16;

const DATA = 0x80, SPECIAL = 0x40, NUMBER = 0x20, OFFSET = 0x04, FINAL = 0x02, MORE = 0x01;
const ACK = 0x01, REPAIR = 0x02, NUMBERED = 0x03, NAME = 0x04, REBUILT = 0x05;
const PRINTABLE = /^(?: |[^\p{C}\p{Z}])*$/u;

/** Bytes `offset` .. of the item (`cls`, `index`); `final`: the item ends here. */
export interface Segment {
  readonly cls: number;
  readonly index: number;
  readonly offset: number;
  readonly payload: Uint8Array;
  readonly final: boolean;
}

/** Segments of one group. `number` (mod 2^16) asks for an acknowledgement; `coded`: block and place. */
export interface Data {
  readonly kind: "data";
  readonly group: number;
  readonly number: number | null;
  readonly preamble: Uint8Array;
  readonly coded: readonly [block: number, place: number] | null;
  readonly segments: readonly Segment[];
}

/** A repair symbol of a block. */
export interface Repair {
  readonly kind: "repair";
  readonly group: number;
  readonly number: number | null;
  readonly cls: number;
  readonly block: number;
  readonly sources: number;
  readonly place: number;
  readonly check: number;
  readonly symbol: Uint8Array;
}

/** A receiver's report; `delay` in seconds, `ranges` as distances below `largest`, nearest first. */
export interface Ack {
  readonly kind: "ack";
  readonly largest: number;
  readonly ranges: readonly (readonly [near: number, far: number])[];
  readonly delay: number;
  readonly received: number;
  readonly arrived: number;
  readonly spacing: number;
}

export type Packet =
  | Data
  | Repair
  | Ack
  | Control
  | { readonly kind: "name"; readonly name: string }
  | { readonly kind: "rebuilt"; readonly blocks: readonly (readonly [group: number, cls: number, block: number])[] };

/** The packet that these bytes are; payloads are views of them. Throws WireError, nothing else. */
export function parse(data: Uint8Array): Packet {
  if (data.length === 0) throw new WireError("an empty packet");
  const reader = new Reader(data);
  const kind = data[0]!;
  if (kind & DATA) return parseData(reader);
  if (kind === REPAIR || kind === NUMBERED) return parseRepair(reader);
  if (kind === REBUILT) return parseRebuilt(reader);
  if (kind === NAME) return parseName(data);
  return kind === ACK ? parseAck(reader) : parseControl(reader);
}

/** A packet's bytes. Throws RangeError for fields that the wire cannot carry. */
export function encode(packet: Packet): Uint8Array {
  switch (packet.kind) {
    case "data":
      return encodeData(packet);
    case "repair":
      return encodeRepair(packet);
    case "ack":
      return encodeAck(packet);
    case "name":
      return new Writer().byte(NAME).bytes(new TextEncoder().encode(packet.name)).done();
    case "rebuilt":
      return packet.blocks
        .reduce((out, [group, cls, block]) => out.uint(group, 4).varint(block * CLASSES + cls), new Writer().byte(REBUILT))
        .done();
    case "request":
      return encodeRequest(packet.number, packet.entries);
    case "heard":
      return encodeHeard(packet.numbers);
    case "end":
      return encodeEnd(packet.why);
  }
}

function encodeData(packet: Data): Uint8Array {
  const special = packet.preamble.length > 0 || packet.coded !== null ? SPECIAL : 0;
  const out = new Writer();
  packet.segments.forEach((segment, place) => {
    const last = place === packet.segments.length - 1;
    const flags = (segment.cls << 3) | (segment.offset ? OFFSET : 0) | (segment.final ? FINAL : 0) | (last ? 0 : MORE);
    if (place === 0) {
      out.byte(flags | DATA | special | (packet.number === null ? 0 : NUMBER)).uint(packet.group, 4);
      if (packet.number !== null) out.uint(packet.number, 2);
      if (packet.preamble.length > 0) out.byte(packet.preamble.length).bytes(packet.preamble);
      if (packet.coded !== null) out.varint(packet.coded[0]).byte(packet.coded[1]);
    } else {
      out.byte(flags);
    }
    out.varint(segment.index);
    if (segment.offset) out.varint(segment.offset);
    if (!last) out.varint(segment.payload.length);
    out.bytes(segment.payload);
  });
  return out.done();
}

function encodeRepair(packet: Repair): Uint8Array {
  const out = new Writer().byte(packet.number === null ? REPAIR : NUMBERED).uint(packet.group, 4);
  if (packet.number !== null) out.uint(packet.number, 2);
  out.varint(packet.block * CLASSES + packet.cls).byte(packet.sources, packet.place).uint(packet.check, 2);
  return out.bytes(packet.symbol).done();
}

function encodeAck(packet: Ack): Uint8Array {
  const out = new Writer().byte(ACK).uint(packet.largest % NUMBERS, 2).uint(packet.received % 2 ** 32, 4);
  out.uint(packet.arrived % CLOCK, 2).varint(clamp(Math.round(packet.delay * 1000)));
  let expected = 0;
  packet.ranges.forEach(([near, far], place) => {
    const gap = near - expected;
    if (far < near || (place ? gap < 1 : gap !== 0)) throw new RangeError("ranges start at 0 and do not touch");
    if (place) out.varint(gap - 1);
    out.varint(far - near);
    if (!place && far) out.varint(clamp(packet.spacing));
    expected = far + 1;
  });
  if (packet.ranges.length < 1 || packet.ranges.length > MAX_RUNS || expected > MAX_SPAN) {
    throw new RangeError(`an acknowledgement has 1 to ${MAX_RUNS} ranges within 2^15 packets`);
  }
  return out.done();
}

function clamp(value: number): number {
  return Math.min(Math.max(value, 0), MAX_VARINT);
}

function parseData(reader: Reader): Data {
  const flags = reader.uint(1);
  const group = reader.uint(4);
  const number = flags & NUMBER ? reader.uint(2) : null;
  const coded = flags & SPECIAL && classOf(flags) !== BASE ? parseCoded(reader) : null;
  const preamble = flags & SPECIAL && coded === null ? parsePreamble(reader) : new Uint8Array();
  return { kind: "data", group, number, preamble, coded, segments: parseSegments(reader, flags, coded !== null) };
}

function parsePreamble(reader: Reader): Uint8Array {
  const size = reader.uint(1);
  if (size < 1 || size > MAX_PREAMBLE) throw reader.fail(`a preamble of ${size} bytes`);
  return reader.take(size);
}

function parseCoded(reader: Reader): [number, number] {
  const [block, place] = [reader.varint(), reader.uint(1)];
  if (block > MAX_BLOCK || place >= MAX_SOURCES) throw reader.fail("no such place in a block");
  return [block, place];
}

function parseSegments(reader: Reader, flags: number, coded: boolean): Segment[] {
  const segments = [parseSegment(reader, flags)];
  while (flags & MORE) {
    flags = reader.uint(1);
    if (flags & (DATA | SPECIAL | NUMBER)) throw reader.fail("reserved bits");
    segments.push(parseSegment(reader, flags));
  }
  const first = segments[0]!.cls;
  const together = segments.every(({ cls }) => (coded ? cls === first : first === BASE || cls !== BASE));
  if (!together) throw reader.fail("classes that do not stand together");
  return segments;
}

function parseSegment(reader: Reader, flags: number): Segment {
  const index = reader.varint();
  const offset = flags & OFFSET ? reader.varint() : 0;
  if (flags & OFFSET && offset === 0) throw reader.fail("an offset of 0 spelled out");
  const payload = reader.take(flags & MORE ? reader.varint() : reader.left);
  const final = (flags & FINAL) !== 0;
  if (payload.length === 0 && !final) throw reader.fail("an empty segment that ends nothing");
  if (offset + payload.length > MAX_VARINT) throw reader.fail("an item of 2^22 bytes or more");
  return { cls: classOf(flags), index, offset, payload, final };
}

function classOf(flags: number): number {
  return (flags >> 3) & 3;
}

function parseRepair(reader: Reader): Repair {
  const kind = reader.uint(1);
  const group = reader.uint(4);
  const number = kind === NUMBERED ? reader.uint(2) : null;
  const [cls, block] = parseWhich(reader);
  const [sources, place, check] = [reader.uint(1), reader.uint(1), reader.uint(2)];
  if (sources === 0) throw reader.fail("a block of no packets");
  const symbol = reader.take(reader.left);
  if (symbol.length === 0 || symbol.length % 8) throw reader.fail(`a symbol of ${symbol.length} bytes`);
  return { kind: "repair", group, number, cls, block, sources, place, check, symbol };
}

function parseWhich(reader: Reader): [cls: number, block: number] {
  const which = reader.varint();
  const [cls, block] = [which % CLASSES, Math.floor(which / CLASSES)];
  if (cls === 0 || block > MAX_BLOCK) throw reader.fail("no such block");
  return [cls, block];
}

function parseRebuilt(reader: Reader): Packet {
  reader.uint(1);
  const blocks: [number, number, number][] = [];
  do {
    if (blocks.length === MAX_REBUILT) throw reader.fail(`more than ${MAX_REBUILT} blocks`);
    blocks.push([reader.uint(4), ...parseWhich(reader)]);
  } while (reader.left > 0);
  return { kind: "rebuilt", blocks };
}

function parseName(data: Uint8Array): Packet {
  const name = utf8(data.subarray(1));
  if (name === null || data.length < 2 || data.length - 1 > MAX_NAME || !PRINTABLE.test(name)) {
    throw new WireError(`a name of ${data.length - 1} bytes, or one that cannot be printed`);
  }
  return { kind: "name", name };
}

function parseAck(reader: Reader): Ack {
  reader.uint(1);
  const [largest, received, arrived] = [reader.uint(2), reader.uint(4), reader.uint(2)];
  const delay = reader.varint() / 1000;
  const ranges: [number, number][] = [];
  let expected = 0;
  let spacing = 0;
  do {
    const near = expected + (ranges.length ? reader.varint() + 1 : 0);
    const far = near + reader.varint();
    if (far >= MAX_SPAN) throw reader.fail("an acknowledgement that reaches back 2^15 packets");
    if (ranges.length === MAX_RUNS) throw reader.fail(`more than ${MAX_RUNS} runs`);
    if (ranges.length === 0 && far) spacing = reader.varint();
    ranges.push([near, far]);
    expected = far + 1;
  } while (reader.left > 0);
  return { kind: "ack", largest, ranges, delay, received, arrived, spacing };
}
