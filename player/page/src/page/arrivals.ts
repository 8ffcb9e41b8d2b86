// What came of one stream, in order: the page's record, from which any earlier moment can be had again.

import { Kind, parseHeader, write, type Chunk, type Header } from "../container";

/** Names of layers, in the order in which they are of use. */
export const LAYERS = ["caption", "facts", "structure", "thumbnail", "latent", "residual", "check"] as const;
export type Layer = (typeof LAYERS)[number];

/** A chunk came or grew. Bytes: of the stream, that were there then; time: seconds since the page was opened. */
export interface Moment {
  readonly kind: number;
  readonly index: number;
  readonly length: number;
  readonly complete: boolean;
  readonly bytes: number;
  readonly time: number;
}

export function layerOf({ kind, index }: { readonly kind: number; readonly index: number }): Layer {
  switch (kind) {
    case Kind.CAPTION:
      return "caption";
    case Kind.META:
      return "facts";
    case Kind.LATENT:
      return index ? "latent" : "thumbnail";
    case Kind.RESIDUAL:
      return "residual";
    case Kind.CHECK:
      return "check";
    default:
      return "structure";
  }
}

const keyOf = (kind: number, index: number) => 8 * index + kind;

export class Arrivals {
  name = "";
  size: number | null = null;
  bytes = 0;
  complete = false;
  caption: string | null = null;
  /** Whether a program found the caption; null if that is not known. */
  guessed: boolean | null = null;
  readonly header: Header;
  readonly moments: Moment[] = [];
  private readonly payloads = new Map<number, { payload: Uint8Array; complete: boolean }>();
  private held = 0;

  constructor(
    readonly group: number,
    private readonly head: Uint8Array,
  ) {
    this.header = parseHeader(head).header;
    this.held = head.length;
  }

  /** Notes a chunk, from its start; gives it as a decoder takes it. */
  add(kind: number, index: number, payload: Uint8Array, complete: boolean): Chunk {
    const key = keyOf(kind, index);
    this.held += payload.length - (this.payloads.get(key)?.payload.length ?? 0);
    this.payloads.set(key, { payload, complete });
    const time = performance.now() / 1000;
    this.moments.push({ kind, index, length: payload.length, complete, bytes: this.held, time });
    return chunkOf(kind, index, payload, complete);
  }

  /** All that came, in order, a chunk that grew as often as it did. */
  *chunks(): Generator<Chunk> {
    for (const { kind, index, length, complete } of this.moments) {
      yield chunkOf(kind, index, this.payloads.get(keyOf(kind, index))!.payload.subarray(0, length), complete);
    }
  }

  /** The payload of a chunk that is here whole. */
  payload(kind: number, index: number): Uint8Array | null {
    const found = this.payloads.get(keyOf(kind, index));
    return found?.complete ? found.payload : null;
  }

  has(layer: Layer): boolean {
    return this.moments.some((moment) => layerOf(moment) === layer);
  }

  /** Whether everything that the residual builds on is here. */
  get hasBase(): boolean {
    const { base } = this.header;
    for (let i = 0; i < base; i++) if (!this.payloads.get(keyOf(Kind.LATENT, i))?.complete) return false;
    return base > 0;
  }

  /** A file of what is here, in the order of the sender's file where that is known; of chunks cut short, one at its end. */
  file(order: readonly { readonly kind: number; readonly index: number }[]): Uint8Array {
    const keys = new Set([...order.map(({ kind, index }) => keyOf(kind, index)), ...this.payloads.keys()]);
    const whole: Chunk[] = [];
    const cut: Chunk[] = [];
    for (const key of keys) {
      const found = this.payloads.get(key);
      if (found) (found.complete ? whole : cut).push(chunkOf(key % 8, key >> 3, found.payload, found.complete));
    }
    return write(this.head, [...whole, ...cut.filter(({ payload }) => payload.length).slice(0, 1)]);
  }
}

function chunkOf(kind: number, index: number, payload: Uint8Array, complete: boolean): Chunk {
  return { kind, index, payload, length: payload.length + (complete ? 0 : 1) };
}
