// What a receiver asks of its sender, and the answers: control packets of kinds 8, 9 and 10 (WIRE.md).

import { CLASSES, MAX_VARINT, NUMBERS, Reader, WireError, Writer } from "./fields";

/** Level of a group of which nothing more is wanted; else the last class wanted, 0 .. 3. */
export const NOTHING = -1;
export const MAX_ENTRIES = 64;
export const MAX_RUNS = 64;
export const MAX_TEXT = 180;
export const REQUEST = 0x08;
export const HEARD = 0x09;
export const END = 0x0a;

const LEVEL = 0x00, FIRST = 0x10, HELD = 0x20, PARTIAL = 0x30, TOPIC = 0x40;
const OF_GROUP = 0x08;

/** Indices first, first + step ... of a class, `count` of them. */
export interface Run {
  readonly cls: number;
  readonly first: number;
  readonly step: number;
  readonly count: number;
}

/** (class, index) of an item within its group. */
export type ItemName = readonly [cls: number, index: number];

/** See WIRE.md for what each asks; a level without a group is for all groups not named. */
export type Entry =
  | { readonly kind: "level"; readonly group: number | null; readonly upto: number }
  | { readonly kind: "first" | "held"; readonly group: number; readonly runs: readonly Run[] }
  | { readonly kind: "partial"; readonly group: number; readonly cls: number; readonly index: number;
      readonly size: number }
  | { readonly kind: "topic"; readonly text: string };

export type Control =
  | { readonly kind: "request"; readonly number: number; readonly entries: readonly Entry[] }
  | { readonly kind: "heard"; readonly numbers: readonly number[] }
  | { readonly kind: "end"; readonly why: string };

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** UTF-8 to text; null where it is none. */
export function utf8(data: Uint8Array): string | null {
  try {
    return UTF8.decode(data);
  } catch {
    return null;
  }
}

/** The bytes of a request. Throws RangeError for fields that the wire cannot carry. */
export function encodeRequest(number: number, entries: readonly Entry[]): Uint8Array {
  if (entries.length < 1 || entries.length > MAX_ENTRIES) {
    throw new RangeError(`a request has 1 to ${MAX_ENTRIES} entries`);
  }
  const out = new Writer().byte(REQUEST).uint(number % NUMBERS, 2);
  for (const entry of entries) putEntry(out, entry);
  return out.done();
}

export function encodeHeard(numbers: readonly number[]): Uint8Array {
  const out = new Writer().byte(HEARD);
  for (const number of numbers) out.uint(number, 2);
  return out.done();
}

export function encodeEnd(why: string): Uint8Array {
  return new Writer().byte(END).bytes(textBytes(why)).done();
}

/** Items as few arithmetic runs, classes and indices ascending, repeats left out. */
export function runsOf(items: Iterable<ItemName>): Run[] {
  const byClass = new Map<number, Set<number>>();
  for (const [cls, index] of items) {
    const found = byClass.get(cls);
    if (found === undefined) byClass.set(cls, new Set([index]));
    else found.add(index);
  }
  const classes = [...byClass].sort(([one], [other]) => one - other);
  return classes.flatMap(([cls, indices]) => arithmetic(cls, [...indices].sort((one, other) => one - other)));
}

function arithmetic(cls: number, indices: readonly number[]): Run[] {
  const runs: Run[] = [];
  for (let at = 0; at < indices.length; ) {
    const first = indices[at]!;
    let stop = at + 1;
    let step = stop < indices.length ? indices[stop]! - first : 1;
    while (stop < indices.length && indices[stop]! - indices[stop - 1]! === step) stop += 1;
    if (stop - at === 2) [stop, step] = [at + 1, 1]; // the second may begin a better one
    runs.push({ cls, first, step, count: stop - at });
    at = stop;
  }
  return runs;
}

function textBytes(text: string): Uint8Array {
  const data = new TextEncoder().encode(text);
  if (data.length > MAX_TEXT) throw new RangeError(`a text has ${MAX_TEXT} B at most`);
  return data;
}

function putEntry(out: Writer, entry: Entry): void {
  switch (entry.kind) {
    case "level":
      if (entry.upto < NOTHING || entry.upto >= CLASSES) throw new RangeError(`no level ${entry.upto}`);
      out.byte(LEVEL | (entry.group === null ? 0 : OF_GROUP) | (entry.upto + 1));
      if (entry.group !== null) out.uint(entry.group, 4);
      return;
    case "first":
    case "held":
      if (entry.runs.length < 1 || entry.runs.length > MAX_RUNS) throw new RangeError(`1 to ${MAX_RUNS} runs`);
      out.byte(entry.kind === "first" ? FIRST : HELD).uint(entry.group, 4).varint(entry.runs.length - 1);
      for (const run of entry.runs) putRun(out, run);
      return;
    case "partial":
      if (entry.cls < 0 || entry.cls >= CLASSES || entry.size < 1) throw new RangeError("no such partial item");
      out.byte(PARTIAL | entry.cls).uint(entry.group, 4).varint(entry.index).varint(entry.size);
      return;
    case "topic": {
      const data = textBytes(entry.text);
      out.byte(TOPIC, data.length).bytes(data);
    }
  }
}

function putRun(out: Writer, run: Run): void {
  const last = run.first + run.step * (run.count - 1);
  if (run.cls < 0 || run.cls >= CLASSES || run.count < 1 || run.step < 1 || last > MAX_VARINT) {
    throw new RangeError("a run has a class of 0-3 and ascending indices below 2^22");
  }
  const one = run.count === 1;
  out.byte((run.cls << 1) | (one ? 0 : 1)).varint(run.first);
  if (!one) out.varint(run.step - 1).varint(run.count - 2);
}

/** The request or answer whose kind byte is next. Throws WireError, nothing else. */
export function parseControl(reader: Reader): Control {
  const kind = reader.uint(1);
  if (kind === HEARD) return { kind: "heard", numbers: parseNumbers(reader) };
  if (kind === END) return { kind: "end", why: parseText(reader, reader.left) };
  if (kind !== REQUEST) throw reader.fail(`control packet of unknown kind ${kind}`);
  const number = reader.uint(2);
  const entries: Entry[] = [];
  do {
    if (entries.length === MAX_ENTRIES) throw reader.fail(`more than ${MAX_ENTRIES} entries`);
    entries.push(parseEntry(reader));
  } while (reader.left > 0);
  return { kind: "request", number, entries };
}

function parseNumbers(reader: Reader): number[] {
  const numbers: number[] = [];
  do {
    if (numbers.length === MAX_ENTRIES) throw reader.fail(`more than ${MAX_ENTRIES} numbers`);
    numbers.push(reader.uint(2));
  } while (reader.left > 0);
  return numbers;
}

function parseEntry(reader: Reader): Entry {
  const tag = reader.uint(1);
  const kind = tag & 0xf0;
  const low = tag & 0x0f;
  if (kind === LEVEL && (low & 0x07) <= CLASSES) {
    return { kind: "level", group: low & OF_GROUP ? reader.uint(4) : null, upto: (low & 0x07) - 1 };
  }
  if ((kind === FIRST || kind === HELD) && low === 0) {
    const group = reader.uint(4);
    const count = reader.varint() + 1;
    if (count > MAX_RUNS) throw reader.fail(`more than ${MAX_RUNS} runs`);
    const runs = Array.from({ length: count }, () => parseRun(reader));
    return { kind: kind === FIRST ? "first" : "held", group, runs };
  }
  if (kind === PARTIAL && low < CLASSES) {
    const [group, index, size] = [reader.uint(4), reader.varint(), reader.varint()];
    if (size === 0) throw reader.fail("a partial item of no bytes");
    return { kind: "partial", group, cls: low, index, size };
  }
  if (kind === TOPIC && low === 0) return { kind: "topic", text: parseText(reader, reader.uint(1)) };
  throw reader.fail(`an entry of unknown kind ${tag}`);
}

function parseText(reader: Reader, size: number): string {
  if (size > MAX_TEXT) throw reader.fail(`a text of ${size} bytes`);
  const text = utf8(reader.take(size));
  if (text === null) throw new WireError("a text that is no UTF-8");
  return text;
}

function parseRun(reader: Reader): Run {
  const flags = reader.uint(1);
  if (flags >= 2 * CLASSES) throw reader.fail("reserved bits");
  const first = reader.varint();
  if (!(flags & 1)) return { cls: flags >> 1, first, step: 1, count: 1 };
  const step = reader.varint() + 1;
  const count = reader.varint() + 2;
  if (first + step * (count - 1) > MAX_VARINT) throw reader.fail("a run beyond the largest index");
  return { cls: flags >> 1, first, step, count };
}
