// How likely each word, or byte of an unknown word, is after what went before (FORMAT.md, section 4). Whole numbers
// below 2^53 throughout, so a quotient rounded to the nearest double never passes the next whole number.

import { child, unpackLevels, type Level } from "./levels";
import type { Kernel } from "./kernel";
import type { Tensors } from "./weights";

const ORDER = 4;
const SCALE = 2 ** 32; // about the sum of all frequencies
export const UNKNOWN = 1;
export const FIRST_CONTROL = 2;
export const FIRST_WORD = 7;
export const STOP = 256; // ends a spelled word

/** Frequencies of the next word. Words are numbers: END, UNKNOWN, the controls, then the vocabulary; START last. */
export class WordModel {
  readonly start: number;
  #levels: Level[];
  #counts: Int32Array[];
  #skips: Pick<Level, "word" | "count" | "start">;
  #discounts: readonly number[];
  #controls: readonly number[];
  #lowest: Float64Array;

  constructor(kernel: Kernel, arrays: Tensors) {
    this.#levels = unpackLevels(kernel, arrays);
    this.#discounts = Array.from(arrays.discounts!.data);
    this.#controls = Array.from(arrays.controls!.data);
    this.start = this.#levels[0]!.word.length - 1;
    this.#counts = novelties(this.#levels, this.start);
    this.#skips = skipping(this.#levels, this.start);
    this.#lowest = this.#unigrams();
  }

  #unigrams(): Float64Array {
    const flat = new Float64Array(this.start).fill(Math.floor(SCALE / this.start));
    const seen = new Int32Array(this.start + 1);
    for (const suffix of this.#levels[1]!.suffix) seen[suffix]!++;
    const words = this.#levels[0]!.word.subarray(0, this.start).filter((word) => seen[word]! > 0);
    return this.#mix(flat, words, words.map((word) => seen[word]!), 0);
  }

  /** What `counts` of `words` say, the discounted rest as `lower` says. */
  #mix(lower: Float64Array, words: Int32Array, counts: Int32Array, order: number): Float64Array {
    const own = this.#discounts.slice(3 * order, 3 * order + 3);
    let total = 0;
    let discounted = 0;
    for (const count of counts) {
      total += count;
      discounted += own[Math.min(count, 3) - 1]!;
    }
    const rest = Math.floor((discounted * 256) / total);
    const mixed = lower.map((f) => Math.floor((f * rest) / 65536));
    for (let i = 0; i < words.length; i++) {
      const discount = own[Math.min(counts[i]!, 3) - 1]!;
      mixed[words[i]!]! += Math.floor(((counts[i]! * 256 - discount) * 2 ** 24) / total);
    }
    return mixed;
  }

  /** Of the next word after `history` (START first). */
  frequencies(history: readonly number[]): Float64Array {
    let result = this.#lowest;
    if (history.length > 1) {
      const before = history[history.length - 2]!;
      const first = this.#skips.start[before]!;
      const end = this.#skips.start[before + 1]!;
      if (first < end) {
        result = this.#mix(result, this.#skips.word.subarray(first, end), this.#skips.count.subarray(first, end), 1);
      }
    }
    for (let order = 1; order < ORDER; order++) {
      const node = history.length >= order ? this.#find(history.slice(-order)) : -1;
      if (node < 0) break;
      const level = this.#levels[order]!;
      const first = level.start[node]!;
      const end = level.start[node + 1]!;
      if (first === end) break;
      const counts = this.#counts[order]!.subarray(first, end);
      result = this.#mix(result, level.word.subarray(first, end), counts, order + 1);
    }
    result = result.map((f) => Math.max(f, 1));
    result.set(this.#controls, FIRST_CONTROL);
    return result;
  }

  #find(sequence: readonly number[]): number {
    let node = sequence[0]!;
    for (let i = 1; i < sequence.length && node >= 0; i++) node = child(this.#levels[i]!, node, sequence[i]!);
    return node;
  }
}

/** Of each node: in how many longer sequences it was seen; how often, where none can be longer. */
function novelties(levels: Level[], start: number): Int32Array[] {
  const result = [levels[0]!.count];
  let begins = levels[0]!.word.map((word) => (word === start ? 1 : 0));
  for (let n = 1; n < ORDER; n++) {
    const level = levels[n]!;
    const own = new Int32Array(level.word.length);
    for (let i = 0; i < begins.length; i++) if (begins[i]) own.fill(1, level.start[i], level.start[i + 1]);
    begins = own;
    if (n === ORDER - 1) {
      result.push(level.count);
      continue;
    }
    const longer = new Int32Array(level.word.length);
    for (const suffix of levels[n + 1]!.suffix) longer[suffix]!++;
    result.push(level.count.map((count, i) => (begins[i] ? count : longer[i]!)));
  }
  return result;
}

/** What follows a word with one other between; count: how many others. */
function skipping(levels: Level[], words: number): Pick<Level, "word" | "count" | "start"> {
  const [, second, third] = levels as [Level, Level, Level, Level];
  const keys = new Float64Array(third.word.length);
  for (let first = 0; first <= words; first++) {
    const from = third.start[second.start[first]!]!;
    const to = third.start[second.start[first + 1]!]!;
    for (let at = from; at < to; at++) keys[at] = first * words + third.word[at]!;
  }
  keys.sort();
  const word = new Int32Array(keys.length);
  const count = new Int32Array(keys.length);
  const start = new Int32Array(words + 2);
  let n = 0;
  for (let at = 0; at < keys.length; at++) {
    if (at && keys[at] === keys[at - 1]) {
      count[n - 1]!++;
      continue;
    }
    const first = Math.floor(keys[at]! / words);
    word[n] = keys[at]! - first * words;
    count[n++] = 1;
    start[first + 1] = n;
  }
  for (let i = 1; i < start.length; i++) start[i] = Math.max(start[i]!, start[i - 1]!);
  return { word: word.subarray(0, n), count: count.subarray(0, n), start };
}

/** Frequencies of the next byte of a word, counted in the words of the lexicon. */
export class LetterModel {
  #follow: Map<number, Map<number, number>>[] = [];

  constructor(lexicon: readonly string[]) {
    const encoder = new TextEncoder();
    for (let order = 0; order <= ORDER; order++) this.#follow.push(new Map());
    for (const word of lexicon) {
      const bytes = encoder.encode(word);
      for (let at = 0; at <= bytes.length; at++) this.#count(bytes, at, at < bytes.length ? bytes[at]! : STOP);
    }
  }

  #count(word: Uint8Array, at: number, symbol: number): void {
    for (let order = 0; order <= ORDER; order++) {
      const context = contextOf(word, at, order);
      let counts = this.#follow[order]!.get(context);
      if (!counts) this.#follow[order]!.set(context, (counts = new Map()));
      counts.set(symbol, (counts.get(symbol) ?? 0) + 1);
    }
  }

  /** Of the byte that follows the first `at` of `word`; STOP last. */
  frequencies(word: ArrayLike<number>, at: number): Float64Array {
    let result = new Float64Array(STOP + 1).fill(Math.floor(SCALE / (STOP + 1)));
    for (let order = 0; order <= ORDER; order++) {
      const counts = this.#follow[order]!.get(contextOf(word, at, order));
      if (!counts) break;
      let total = 0;
      for (const count of counts.values()) total += count;
      const rest = Math.floor((counts.size * 192 * 256) / total);
      result = result.map((f) => Math.floor((f * rest) / 65536));
      for (const [symbol, count] of counts) {
        result[symbol]! += Math.floor(((count * 256 - 192) * 2 ** 24) / total);
      }
    }
    return result.map((f) => f + 65536);
  }
}

function contextOf(word: ArrayLike<number>, at: number, order: number): number {
  let context = 0;
  for (let back = order; back >= 1; back--) context = context * 512 + (back <= at ? word[at - back]! : STOP);
  return context;
}
