// The WebAssembly kernel: its memory, and what is called in it. One instance serves one picture at a time.

import binary from "../build/kernel.wasm";
import { FormatError } from "./container";

type Call = (...numbers: number[]) => number;

const LARGEST_KEPT = 64 << 20; // bytes of memory of an instance that is kept for the next picture
const MOST_KEPT = 2;

let module: Promise<WebAssembly.Module> | undefined;
const kept: Kernel[] = [];

/** A place in the kernel's memory that is written at `weights` and read ever after. */
export class Kernel {
  readonly call: Record<string, Call>;
  #memory: WebAssembly.Memory;
  #places = new Set<number>();
  #lasting = new Map<string, unknown>();

  private constructor(instance: WebAssembly.Instance) {
    this.call = instance.exports as unknown as Record<string, Call>;
    this.#memory = instance.exports.memory as WebAssembly.Memory;
  }

  /** A fresh instance, or one that was released. */
  static async open(): Promise<Kernel> {
    const free = kept.pop();
    if (free) return free;
    module ??= WebAssembly.compile(binary as BufferSource);
    return new Kernel(await WebAssembly.instantiate(await module));
  }

  /** Gives all places back and keeps the instance for another picture. */
  release(): void {
    for (const place of this.#places) this.call.give!(place);
    this.#places.clear();
    if (kept.length < MOST_KEPT && this.#memory.buffer.byteLength <= LARGEST_KEPT) kept.push(this);
  }

  /** A place for so many bytes, not cleared; FormatError where the memory has no more. */
  take(bytes: number): number {
    const place = this.#take(bytes);
    this.#places.add(place);
    return place;
  }

  #take(bytes: number): number {
    if (bytes > 0x3ffffff0) throw new FormatError("this picture is too large for the memory of a page");
    try {
      return this.call.take!(Math.max(16, bytes));
    } catch (error) {
      if (error instanceof WebAssembly.RuntimeError) {
        throw new FormatError("this picture is too large for the memory of a page");
      }
      throw error;
    }
  }

  /** A place of zeros. */
  zeros(bytes: number): number {
    const place = this.take(bytes);
    this.call.fill!(place, 0, bytes);
    return place;
  }

  give(place: number): void {
    if (this.#places.delete(place)) this.call.give!(place);
  }

  /** What `make` puts into memory for good, under a name: weights. `make` gets a function that takes places. */
  lasting<T>(name: string, make: (take: (bytes: number) => number) => T): T {
    if (!this.#lasting.has(name)) this.#lasting.set(name, make((bytes) => this.#take(bytes)));
    return this.#lasting.get(name) as T;
  }

  /** A place that holds a copy of `data`. */
  put(data: ArrayBufferView, take = (bytes: number) => this.take(bytes)): number {
    const place = take(data.byteLength);
    this.u8(place, data.byteLength).set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    return place;
  }

  // Views: valid until the next `take`.
  u8 = (place: number, count: number) => new Uint8Array(this.#memory.buffer, place, count);
  i8 = (place: number, count: number) => new Int8Array(this.#memory.buffer, place, count);
  u16 = (place: number, count: number) => new Uint16Array(this.#memory.buffer, place, count);
  i16 = (place: number, count: number) => new Int16Array(this.#memory.buffer, place, count);
  i32 = (place: number, count: number) => new Int32Array(this.#memory.buffer, place, count);
  f32 = (place: number, count: number) => new Float32Array(this.#memory.buffer, place, count);
  f64 = (place: number, count: number) => new Float64Array(this.#memory.buffer, place, count);

  /** Bytes of memory held. */
  get size(): number {
    return this.#memory.buffer.byteLength;
  }
}

const READER_BYTES = 64;

/** Decisions out of one payload. */
export class BitReader {
  readonly place: number;
  #kernel: Kernel;

  constructor(kernel: Kernel, payload: Uint8Array, whole = true) {
    this.#kernel = kernel;
    this.place = kernel.take(READER_BYTES + payload.length);
    kernel.u8(this.place + READER_BYTES, payload.length).set(payload);
    kernel.call.reader_open!(this.place, this.place + READER_BYTES, payload.length, whole ? 0 : 1);
  }

  /** One decision of probability p / 2^16; -1 where a cut payload holds no further certain one. */
  bit(p: number): number {
    return this.#kernel.call.reader_bit!(this.place, p);
  }

  /** Decisions of so many probabilities; fewer where a cut payload runs dry. */
  bits(chances: Uint16Array): Uint8Array {
    const kernel = this.#kernel;
    const from = kernel.put(chances);
    const to = kernel.take(chances.length);
    const count = kernel.call.reader_bits!(this.place, from, chances.length, to);
    const found = kernel.u8(to, count).slice();
    kernel.give(from);
    kernel.give(to);
    return found;
  }

  close(): void {
    this.#kernel.give(this.place);
  }
}
