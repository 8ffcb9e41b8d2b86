// The container: a header of 4 or 8 bytes and the chunks behind it (FORMAT.md, sections 1 and 2).

import { joined } from "./bytes";

const MAGIC = 0xc1;
const EXPLICIT_SIZE = 0xff;
const MAX_INDEX = 2 ** 24 - 1;
const SEEK = 7;
export const MAX_LENGTH = 2 ** 14 - 1; // bytes of one payload

/** The bytes are no stream, or a damaged one. The message names the byte offset where that showed. */
export class FormatError extends Error {
  override readonly name = "FormatError";
}

/** What a chunk's payload is. */
export const Kind = { CAPTION: 0, META: 1, REGIONS: 2, EDGES: 3, LATENT: 4, RESIDUAL: 5, CHECK: 6 } as const;
export const KIND_NAMES = Object.keys(Kind);

/** What must be known before the first chunk. channels: 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA. */
export interface Header {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  /** The set of weights: 0 tiny, 1 base. */
  readonly weights: number;
  /** How many latent chunks, counted from index 0, form the base that the residual corrects. */
  readonly base: number;
}

/** A piece of one layer. `length`: what the framing declared; more than the payload has if it was cut. */
export interface Chunk {
  readonly kind: number;
  readonly index: number;
  readonly payload: Uint8Array;
  readonly length: number;
}

// Landscape or square; each that is not square stands in the table a second time, turned, right behind.
const LANDSCAPE =
  "768x512 480x320 480x360 480x270 640x480 500x375 500x333 500x334 500x332 640x427 640x426 640x428 640x425 640x424 " +
  "640x360 481x321 480x321 480x319 " +
  "64x64 96x96 128x128 224x224 256x256 320x320 384x384 480x480 500x500 512x512 640x640 768x768 800x800 1000x1000 " +
  "1024x1024 1080x1080 1200x1200 1536x1536 2048x2048 3024x3024 " +
  "160x120 176x144 320x180 320x240 352x288 426x240 512x288 720x480 720x576 768x576 854x480 960x540 1024x576 1280x720 " +
  "1280x800 1366x768 1440x900 1600x900 1920x1080 1920x1200 2560x1440 2560x1600 3840x2160 7680x4320 " +
  "128x96 240x180 256x192 400x300 512x384 800x600 960x720 1024x768 1152x864 1280x960 1280x1024 1400x1050 1600x1200 " +
  "2048x1536 2560x1920 2592x1944 3264x2448 3648x2736 4000x3000 4032x3024 4608x3456 5184x3888 8000x6000 8064x6048 " +
  "9248x6936 " +
  "240x160 300x200 384x256 600x400 720x482 800x533 900x600 960x640 1024x683 1024x682 1080x720 1200x800 1280x853 " +
  "1280x854 1500x1000 1536x1024 1600x1067 1620x1080 1920x1280 2048x1365 3000x2000 3072x2048 3888x2592 4272x2848 " +
  "4608x3072 4752x3168 4928x3264 5184x3456 5472x3648 5616x3744 6000x4000 6240x4160 6720x4480 7008x4672 8192x5464 " +
  "8256x5504 " +
  "4000x2250 4032x2268 4128x3096 4160x3120 4624x3468 5312x2988 2400x1080 2340x1080";

/** Every size with a one-byte code, [width, height], in the order of its code. */
export const SIZES: readonly (readonly [number, number])[] = LANDSCAPE.split(" ").flatMap((text) => {
  const [width, height] = text.split("x").map(Number) as [number, number];
  return width === height ? [[width, height] as const] : [[width, height] as const, [height, width] as const];
});

/** The header and the offset behind it; null where more bytes are needed to tell. Throws FormatError. */
function headerOf(data: Uint8Array): { header: Header; end: number } | null {
  if (!data.length) return null;
  if (data[0] !== MAGIC) {
    throw new FormatError("offset 0: not a layercast stream (this version reads draft 0 of the format)");
  }
  if (data.length < 4) return null;
  const [, first, code, base] = data as unknown as [number, number, number, number];
  if (first & 3) throw new FormatError(`offset 1: reserved flags ${first & 3} are set; a later version may read this`);
  let size = SIZES[code];
  if (code === EXPLICIT_SIZE) {
    if (data.length < 8) return null;
    size = [((data[4]! << 8) | data[5]!) + 1, ((data[6]! << 8) | data[7]!) + 1];
  } else if (!size) {
    throw new FormatError(`offset 2: unknown size code ${code}; a later version may read this`);
  }
  const channels = ((first >> 2) & 3) + 1;
  const header = { width: size[0], height: size[1], channels, weights: first >> 4, base };
  return { header, end: code === EXPLICIT_SIZE ? 8 : 4 };
}

/** The header and the offset behind it. Throws FormatError. */
export function parseHeader(data: Uint8Array): { header: Header; end: number } {
  const found = headerOf(data);
  if (found) return found;
  if (!data.length) throw new FormatError("offset 0: empty, not a layercast stream");
  throw new FormatError(`offset ${data.length}: ends inside the header`);
}

function signed(field: number, bits: number): number {
  return (field << (32 - bits)) >> (32 - bits);
}

interface Framing {
  kind: number;
  skip: number; // of a seek: the kind that it is for
  length: number;
  body: number;
}

function framingAt(data: Uint8Array, at: number): Framing | null {
  const size = 2 + (at < data.length ? data[at]! >> 7 : 0);
  if (at + size > data.length) return null;
  const body = at + size;
  if (size === 3) {
    const word = (data[at]! << 16) | (data[at + 1]! << 8) | data[at + 2]!;
    const kind = (word >> 20) & 7;
    return { kind, skip: signed(word >> 14, 6), length: word & MAX_LENGTH, body };
  }
  const word = (data[at]! << 8) | data[at + 1]!;
  const kind = word >> 12;
  if (kind === SEEK) return { kind, skip: (word >> 6) & 63, length: word & 63, body };
  if ((word >> 11) & 1) return { kind, skip: signed(word >> 6, 5), length: word & 63, body };
  return { kind, skip: 0, length: word & 2047, body };
}

/** Takes the bytes of a stream as they come and gives its chunks. A chunk grows: of one that is cut, more may follow. */
export class StreamReader {
  /** Known as soon as enough bytes are there. */
  header: Header | null = null;
  #data = new Uint8Array(1024);
  #size = 0;
  #at = 0;
  #next = new Array<number>(SEEK).fill(0);

  /** Adds bytes; the chunks that are whole now. Throws FormatError. */
  push(bytes: Uint8Array): Chunk[] {
    this.#add(bytes);
    const data = this.#data.subarray(0, this.#size);
    if (!this.header) {
      const found = headerOf(data);
      if (!found) return [];
      this.header = found.header;
      this.#at = found.end;
    }
    const chunks: Chunk[] = [];
    for (let chunk = this.#read(data, false); chunk; chunk = this.#read(data, false)) chunks.push(chunk);
    return chunks;
  }

  /** The chunk that the bytes so far end in, cut short; null if they end elsewhere. Throws FormatError. */
  rest(): Chunk | null {
    const data = this.#data.subarray(0, this.#size);
    if (!this.header) parseHeader(data);
    return this.#read(data, true);
  }

  #add(bytes: Uint8Array): void {
    if (this.#size + bytes.length > this.#data.length) {
      const larger = new Uint8Array(2 * (this.#size + bytes.length));
      larger.set(this.#data.subarray(0, this.#size));
      this.#data = larger;
    }
    this.#data.set(bytes, this.#size);
    this.#size += bytes.length;
  }

  #read(data: Uint8Array, cut: boolean): Chunk | null {
    for (;;) {
      const framing = framingAt(data, this.#at);
      if (!framing) return null;
      const { kind, skip, length, body } = framing;
      const whole = body + length <= data.length;
      if (kind === SEEK) {
        if (!whole) return null;
        this.#next[this.#target(skip, length)] = data.subarray(body, body + length).reduce((n, b) => n * 256 + b, 0);
        this.#at = body + length;
        continue;
      }
      const index = this.#next[kind]! + skip;
      if (index < 0 || index > MAX_INDEX) {
        throw new FormatError(`offset ${this.#at}: chunk index ${index} is not in 0..${MAX_INDEX}`);
      }
      if (!whole) return cut ? { kind, index, payload: data.slice(body), length } : null;
      this.#next[kind] = index + 1;
      this.#at = body + length;
      return { kind, index, payload: data.slice(body, body + length), length };
    }
  }

  #target(kind: number, length: number): number {
    if (kind >= SEEK) throw new FormatError(`offset ${this.#at}: seek for unknown kind ${kind}`);
    if (length > 3) throw new FormatError(`offset ${this.#at}: seek of ${length} bytes; at most 3`);
    return kind;
  }
}

/** Header and chunks in the order of the file; only the last chunk can be cut. Throws FormatError and nothing else. */
export function read(data: Uint8Array): { header: Header; chunks: Chunk[] } {
  parseHeader(data);
  const reader = new StreamReader();
  const chunks = reader.push(data);
  const rest = reader.rest();
  return { header: reader.header!, chunks: rest ? [...chunks, rest] : chunks };
}

/** The file of these chunks in this order behind a header's bytes. Only the last may be cut (Error otherwise). */
export function write(header: Uint8Array, chunks: Iterable<Chunk>): Uint8Array {
  const next = new Array<number>(SEEK).fill(0);
  const parts: Uint8Array[] = [header];
  let cut = false;
  for (const { kind, index, payload, length } of chunks) {
    if (cut) throw new Error("only the last chunk of a file can be a cut one");
    parts.push(Uint8Array.from(framing(kind, index, index - next[kind]!, length)), payload);
    next[kind] = index + 1;
    cut = payload.length < length;
  }
  return joined(parts);
}

const fits = (skip: number, bits: number) => -(1 << (bits - 1)) <= skip && skip < 1 << (bits - 1);
const big = (word: number, bytes: number) => Array.from({ length: bytes }, (_, i) => (word >> (8 * (bytes - 1 - i))) & 255);

/** The shortest framing, behind a seek where the index is too far from the expected one. */
function framing(kind: number, index: number, skip: number, length: number): number[] {
  if (!fits(skip, 6)) {
    const target = big(index, 3);
    while (target[0] === 0) target.shift();
    return [...big((SEEK << 12) | (kind << 6) | target.length, 2), ...target, ...framing(kind, index, 0, length)];
  }
  if (!skip && length < 2048) return big((kind << 12) | length, 2);
  if (fits(skip, 5) && length < 64) return big((kind << 12) | (1 << 11) | ((skip & 31) << 6) | length, 2);
  return big((1 << 23) | (kind << 20) | ((skip & 63) << 14) | length, 3);
}
