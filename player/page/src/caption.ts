// Captions: words under a language model, or UTF-8 behind a mark (FORMAT.md, section 4).

import { FormatError } from "./container";
import { BitReader, type Kernel } from "./kernel";
import type { Tensors } from "./weights";
import { FIRST_CONTROL, FIRST_WORD, LetterModel, STOP, UNKNOWN, WordModel } from "./words";

const P_RAW = 512;
const P_GUESSED = 4096;
const MAX_WORDS = 1024;
const MAX_SPELLED = 4096;
const CONTROLS = FIRST_WORD - FIRST_CONTROL;
const END = 0;
const [CAPITAL, UPPER, LOWER, PLAIN, JOIN] = [2, 3, 4, 5, 6];

const ENDS = ["", ".", "!", "?", " .", "..", "...", " "];
const LOWER_STYLE = 0;
const TITLE_STYLE = 2;
const UPPER_STYLE = 3;
const LEFT = new Set(".,;:!?)%'-/]}"); // no space before a word that begins so
const RIGHT = new Set("([{-/$#"); // no space after a word that ends so
const APART = new Set("-/"); // both, in texts whose punctuation stands apart
const WHITE = new Set(" \t\n\r\v\f");
const SENTENCE_ENDS = new Set(".!?");

/** guessed: a program found it, no person gave it. complete: false if the payload was cut short. */
export interface Caption {
  readonly text: string;
  readonly guessed: boolean;
  readonly complete: boolean;
}

const upper = (text: string) => text.replace(/[a-z]/g, (letter) => letter.toUpperCase());
const lower = (text: string) => text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
const capital = (text: string) => upper(text.slice(0, 1)) + text.slice(1);

function flip(text: string): string {
  const first = upper(text.slice(0, 1));
  return (first !== text.slice(0, 1) ? first : lower(first)) + text.slice(1);
}

/** Puts words together: letter case, spaces, the end. */
class Joiner {
  text = "";
  #case: number;
  #apart: boolean;
  #end: string;
  #sentenceStart = true;
  #quoted = false;
  #last = "";

  constructor(style: number) {
    this.#case = style >> 4;
    this.#apart = Boolean((style >> 3) & 1);
    this.#end = ENDS[style & 7]!;
  }

  add(surface: string, controls: ReadonlySet<number>): void {
    this.text += (this.#spaced(surface, controls) ? " " : "") + this.#cased(surface, controls);
    if (surface === '"') this.#quoted = !this.#quoted;
    this.#sentenceStart = SENTENCE_ENDS.has(surface);
    this.#last = surface;
  }

  ended(): string {
    return this.text + this.#end;
  }

  #cased(surface: string, controls: ReadonlySet<number>): string {
    let word = surface;
    if (controls.has(PLAIN!)) word = surface;
    else if (controls.has(UPPER!) || (this.#case === UPPER_STYLE && !controls.has(LOWER!))) word = upper(surface);
    else if (controls.has(LOWER!) || this.#case === LOWER_STYLE) word = lower(surface);
    else if (this.#case === TITLE_STYLE || this.#sentenceStart) word = capital(surface);
    return controls.has(CAPITAL!) ? flip(word) : word;
  }

  #spaced(surface: string, controls: ReadonlySet<number>): boolean {
    const [left, right] = this.#apart ? [APART, APART] : [LEFT, RIGHT];
    const ends = this.#last.slice(-1);
    const begins = surface.slice(0, 1);
    let tight = !this.text || right.has(ends) || left.has(begins) || WHITE.has(ends) || WHITE.has(begins);
    if (this.#quoted && !this.#apart) tight ||= ends === '"' || begins === '"';
    return tight === controls.has(JOIN!);
  }
}

/** A cut payload holds no further certain decision. */
class Dry extends Error {}

class Source {
  #reader: BitReader;

  constructor(reader: BitReader) {
    this.#reader = reader;
  }

  bit(p: number): number {
    const bit = this.#reader.bit(p);
    if (bit < 0) throw new Dry();
    return bit;
  }

  /** One symbol 0..n-1 of whole frequencies. */
  symbol(frequencies: ArrayLike<number>): number {
    const sums = new Float64Array(frequencies.length + 1);
    for (let i = 0; i < frequencies.length; i++) sums[i + 1] = sums[i]! + frequencies[i]!;
    let low = 0;
    let high = frequencies.length;
    while (high - low > 1) {
      const middle = parting(sums, low, high);
      const left = sums[middle]! - sums[low]!;
      const right = sums[high]! - sums[middle]!;
      const p = left + right ? Math.floor((right * 65536) / (left + right)) : 32768;
      if (this.bit(Math.min(Math.max(p, 1), 65535))) low = middle;
      else high = middle;
    }
    return low;
  }
}

/** The first place in low+1..high-1 with half of the frequency before it. */
function parting(sums: Float64Array, low: number, high: number): number {
  const half = Math.floor((sums[low]! + sums[high]!) / 2);
  let first = low + 1;
  let end = high;
  while (first < end) {
    const middle = (first + end) >> 1;
    if (sums[middle]! < half) first = middle + 1;
    else end = middle;
  }
  return Math.min(first, high - 1);
}

/** The tables of one set of weights. */
export class CaptionModel {
  #lexicon: string[];
  #known: number;
  #words: WordModel;
  #letters: LetterModel | undefined; // built when first needed
  #styles: ArrayLike<number>;
  #pRare: number;

  constructor(kernel: Kernel, arrays: Tensors) {
    this.#lexicon = new TextDecoder("utf-8", { ignoreBOM: true }).decode(arrays.lexicon!.data as Uint8Array).split("\n");
    this.#known = arrays.words!.data[0]! - FIRST_WORD;
    this.#words = new WordModel(kernel, arrays);
    this.#styles = arrays.styles!.data;
    this.#pRare = arrays.p_rare!.data[0]!;
  }

  /** The caption of a payload of coded words. Throws FormatError. */
  read(kernel: Kernel, payload: Uint8Array, whole: boolean): Caption {
    const reader = new BitReader(kernel, payload, whole);
    const source = new Source(reader);
    let guessed = false;
    let joiner = new Joiner(0);
    try {
      source.bit(P_RAW);
      guessed = Boolean(source.bit(P_GUESSED));
      joiner = new Joiner(source.symbol(this.#styles));
      this.#readWords(source, joiner);
      return { text: joiner.ended(), guessed, complete: true };
    } catch (error) {
      if (!(error instanceof Dry)) throw error;
      return { text: joiner.text, guessed, complete: false };
    } finally {
      reader.close();
    }
  }

  #readWords(source: Source, joiner: Joiner): void {
    const history = [this.#words.start];
    const controls = new Set<number>();
    let left = MAX_SPELLED;
    let frequencies = this.#words.frequencies(history);
    for (let i = 0; i < MAX_WORDS * (CONTROLS + 1) + 1; i++) {
      const number = source.symbol(frequencies);
      if (number === END) return;
      if (number >= FIRST_CONTROL && number < FIRST_WORD) {
        controls.add(number);
        continue;
      }
      let surface: string;
      if (number !== UNKNOWN) {
        surface = this.#lexicon[number - FIRST_WORD]!;
      } else if (source.bit(this.#pRare)) {
        surface = this.#lexicon[this.#known + source.symbol(new Uint8Array(this.#lexicon.length - this.#known).fill(1))]!;
      } else {
        const spelled = this.#readSpelled(source, left);
        left -= spelled.length;
        surface = utf8(spelled);
      }
      joiner.add(surface, controls);
      controls.clear();
      history.push(number);
      if (history.length > MAX_WORDS + 1) break;
      frequencies = this.#words.frequencies(history);
    }
    throw new FormatError(`offset 0: a caption of more than ${MAX_WORDS} words is damaged`);
  }

  #readSpelled(source: Source, most: number): Uint8Array {
    this.#letters ??= new LetterModel(this.#lexicon);
    const word: number[] = [];
    for (;;) {
      const symbol = source.symbol(this.#letters.frequencies(word, word.length));
      if (symbol === STOP) return Uint8Array.from(word);
      if (word.length === most) {
        throw new FormatError(`offset 0: a caption with more than ${MAX_SPELLED} bytes of unknown words is damaged`);
      }
      word.push(symbol);
    }
  }
}

function utf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new FormatError("offset 0: a word of this caption is not UTF-8: it is damaged");
  }
}

/** Whether a caption's payload is coded under the language model, whose weights it then needs. */
export function isCoded(payload: Uint8Array): boolean {
  return payload.length > 0 && payload[0]! > 1;
}

/** The caption of a payload that is not coded; of a cut one, as many characters as are whole. Throws FormatError. */
export function plainCaption(payload: Uint8Array, whole: boolean): Caption {
  if (!payload.length) return { text: "", guessed: false, complete: whole };
  try {
    const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    const text = decoder.decode(payload.subarray(1), { stream: !whole });
    return { text, guessed: payload[0] === 1, complete: whole };
  } catch {
    throw new FormatError("offset 1: this caption is not UTF-8: it is damaged");
  }
}
