// Counts of word sequences, as the weights pack them (FORMAT.md, section 4, "Weights"): level n holds the sequences of
// n words, ordered by their first n - 1 words (their parent, a node of the level before) and then by the last.

import { BitReader, type Kernel } from "./kernel";
import type { Tensors } from "./weights";

const STEPS = 20; // numbers stay below 2^20
const CLASSES = 21; // of a number, by bit length
const PAIRS = CLASSES * CLASSES;
const END = 0; // the word that nothing follows

/** `suffix`: the node of the level before with the same words but the first. Children of node i: start[i]..start[i+1]. */
export interface Level {
  readonly word: Int32Array;
  readonly count: Int32Array;
  readonly suffix: Int32Array;
  readonly start: Int32Array;
}

/** Node of the sequence `parent` + `word`; -1 if there is none. */
export function child(level: Level, parent: number, word: number): number {
  let low = level.start[parent]!;
  let high = level.start[parent + 1]!;
  const end = high;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (level.word[middle]! < word) low = middle + 1;
    else high = middle;
  }
  return low < end && level.word[low] === word ? low : -1;
}

/** 0, 1, ... n - 1. */
function upTo(n: number): Int32Array {
  const numbers = new Int32Array(n);
  for (let i = 0; i < n; i++) numbers[i] = i;
  return numbers;
}

const bitLength = (x: number) => 32 - Math.clz32(x);

/** Reads numbers, each in a class that shapes its probabilities. */
class Unpacker {
  #reader: BitReader;
  #shapes: Uint16Array;
  #plain: Uint8Array;
  #row = 0;
  #at = 0;

  constructor(kernel: Kernel, arrays: Tensors) {
    this.#reader = new BitReader(kernel, arrays.coded!.data as Uint8Array);
    const shapes = arrays.shapes!.data as Uint8Array;
    this.#shapes = new Uint16Array(shapes.slice().buffer);
    this.#plain = arrays.plain!.data as Uint8Array;
  }

  /** The numbers of these classes (below `count`), which are renumbered to those that occur. */
  get(classes: Int32Array, count: number): Int32Array {
    const row = new Int32Array(count);
    for (const c of classes) row[c] = 1;
    let rows = 0;
    for (let c = 0; c < count; c++) if (row[c]) row[c] = this.#row + rows++;
    this.#row += rows;
    return this.#numbers(classes, row);
  }

  #numbers(classes: Int32Array, row: Int32Array): Int32Array {
    const n = classes.length;
    const length = new Uint8Array(n);
    let alive = upTo(n);
    for (let step = 0; step < STEPS && alive.length; step++) {
      const chances = new Uint16Array(alive.length);
      for (let i = 0; i < alive.length; i++) chances[i] = this.#shapes[row[classes[alive[i]!]!]! * STEPS + step]!;
      const more = this.#reader.bits(chances);
      let kept = 0;
      for (let i = 0; i < more.length; i++) {
        if (!more[i]) continue;
        length[alive[i]!]!++;
        alive[kept++] = alive[i]!;
      }
      alive = alive.subarray(0, kept);
    }
    const numbers = new Int32Array(n).fill(1);
    let longest = 0;
    for (let i = 0; i < n; i++) longest = Math.max(longest, length[i]!);
    for (let bit = longest - 1; bit >= 0; bit--) {
      for (let i = 0; i < n; i++) {
        if (length[i]! <= bit) continue;
        numbers[i] = (numbers[i]! << 1) | ((this.#plain[this.#at >> 3]! >> (7 - (this.#at & 7))) & 1);
        this.#at++;
      }
    }
    for (let i = 0; i < n; i++) numbers[i]!--;
    return numbers;
  }

  close(): void {
    this.#reader.close();
  }
}

const PLACES = 2 ** 20; // more than a run has

/** Items 0, 1, ... ordered within each run start[i]..start[i+1] by `key` (whole, below 2^33), then by number. */
function sortedRuns(start: Int32Array, key: (item: number) => number): Int32Array {
  const items = new Int32Array(start[start.length - 1]!);
  const keys = new Float64Array(items.length);
  for (let run = 0; run + 1 < start.length; run++) {
    const first = start[run]!;
    const end = start[run + 1]!;
    for (let i = first; i < end; i++) keys[i] = key(i) * PLACES + (i - first);
    if (end - first > 16) keys.subarray(first, end).sort();
    else insertionSort(keys, first, end);
    for (let i = first; i < end; i++) items[i] = first + (keys[i]! % PLACES);
  }
  return items;
}

function insertionSort(keys: Float64Array, first: number, end: number): void {
  for (let i = first + 1; i < end; i++) {
    const own = keys[i]!;
    let at = i;
    for (; at > first && keys[at - 1]! > own; at--) keys[at] = keys[at - 1]!;
    keys[at] = own;
  }
}

/** The level whose parents are the nodes of `before`. */
function unpackLevel(unpacker: Unpacker, before: Level): Level {
  const nodes = before.word.length;
  const total = before.count.map((count, i) => (before.word[i] === END ? 0 : count));
  const family = before.suffix; // whose children alone may follow
  const candidates = family.map((f) => before.start[f + 1]! - before.start[f]!);

  const start = sizesOf(unpacker, total, candidates);
  const children = start[nodes]!;
  const owner = new Int32Array(children);
  for (let i = 0; i < nodes; i++) owner.fill(i, start[i], start[i + 1]);
  const size = (i: number) => start[i + 1]! - start[i]!;
  const classOf = (of: number, i: number, at: number) =>
    (bitLength(of) * CLASSES + bitLength(size(i))) * 4 + Math.min(at - start[i]!, 3);

  const gap = some(unpacker, owner, (i) => candidates[i]! > size(i), (i, at) => classOf(candidates[i]!, i, at));
  const ranked = sortedRuns(before.start, (node) => PLACES - before.count[node]!);
  const suffix = new Int32Array(children);
  for (let i = 0; i < nodes; i++) {
    let rank = -1;
    for (let at = start[i]!; at < start[i + 1]!; at++) {
      rank += gap[at]! + 1;
      suffix[at] = ranked[before.start[family[i]!]! + rank]!;
    }
  }

  const last = (i: number, at: number) => at === start[i + 1]! - 1;
  const open = (i: number, at: number) => total[i]! > size(i) && !last(i, at);
  const count = some(unpacker, owner, open, (i, at) => classOf(total[i]! - size(i), i, at));
  for (let i = 0; i < nodes; i++) {
    let left = total[i]!;
    for (let at = start[i]!; at < start[i + 1]!; at++) {
      count[at] = last(i, at) ? left : count[at]! + 1;
      left -= count[at]!;
    }
  }

  const order = sortedRuns(start, (at) => before.word[suffix[at]!]!);
  return {
    word: order.map((at) => before.word[suffix[at]!]!),
    count: order.map((at) => count[at]!),
    suffix: order.map((at) => suffix[at]!),
    start,
  };
}

/** Where the children of each node begin. */
function sizesOf(unpacker: Unpacker, total: Int32Array, candidates: Int32Array): Int32Array {
  const nodes = total.length;
  const open: number[] = [];
  const classes: number[] = [];
  for (let i = 0; i < nodes; i++) {
    if (Math.min(total[i]!, candidates[i]!) <= 1) continue;
    open.push(i);
    classes.push(bitLength(total[i]!) * CLASSES + bitLength(candidates[i]!));
  }
  const sizes = total.map((t, i) => (t > 0 && candidates[i]! > 0 ? 1 : 0));
  const more = unpacker.get(Int32Array.from(classes), PAIRS);
  open.forEach((i, at) => (sizes[i]! += more[at]!));
  const start = new Int32Array(nodes + 1);
  for (let i = 0; i < nodes; i++) start[i + 1] = start[i]! + sizes[i]!;
  return start;
}

/** Numbers of those children that are `open`, 0 for the others. */
function some(
  unpacker: Unpacker,
  owner: Int32Array,
  open: (owner: number, at: number) => boolean,
  classOf: (owner: number, at: number) => number,
): Int32Array {
  const asked = new Int32Array(owner.length);
  const classes = new Int32Array(owner.length);
  let n = 0;
  for (let at = 0; at < owner.length; at++) {
    if (!open(owner[at]!, at)) continue;
    asked[n] = at;
    classes[n++] = classOf(owner[at]!, at);
  }
  const numbers = unpacker.get(classes.subarray(0, n), PAIRS * 4);
  const result = new Int32Array(owner.length);
  for (let i = 0; i < n; i++) result[asked[i]!] = numbers[i]!;
  return result;
}

/** The four levels of a file of weights. */
export function unpackLevels(kernel: Kernel, arrays: Tensors): Level[] {
  const unpacker = new Unpacker(kernel, arrays);
  const words = arrays.words!.data[0]! + 1;
  const first: Level = {
    word: upTo(words),
    count: unpacker.get(new Int32Array(words), 1),
    suffix: new Int32Array(words),
    start: Int32Array.of(0, words),
  };
  const levels = [first];
  while (levels.length < 4) levels.push(unpackLevel(unpacker, levels[levels.length - 1]!));
  unpacker.close();
  return levels;
}
