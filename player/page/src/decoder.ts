// Chunks in, the exact picture out: incremental, in any order, from any set of chunks, always a picture.
//
// A chunk waits until what it needs is there; a cut one counts as far as it goes and is replaced when more of it
// arrives. `push` only notes a chunk: work is done when a picture is asked for, and weights are fetched when the first
// chunk that needs them is decoded.

import { CaptionModel, isCoded, plainCaption, type Caption } from "./caption";
import { FormatError, Kind, KIND_NAMES, MAX_LENGTH, parseHeader, read, type Chunk, type Header } from "./container";
import { decodeEdges, type EdgeMap } from "./edges";
import { Kernel } from "./kernel";
import { LatentDecoder } from "./latent";
import { decodeFacts, decodeProfile } from "./meta";
import { decodeRegions, type Region } from "./regions";
import { ResidualDecoder } from "./residual";
import { BASE_REACH, CELL } from "./residual_layout";
import { setName, type Weights } from "./weights";

const DEFAULT_LIMIT = 64_000_000; // pixels

/** Pixels, x1 and y1 excluded. */
export interface Rectangle {
  readonly x0: number;
  readonly y0: number;
  readonly x1: number;
  readonly y1: number;
}

/** The pixels that a chunk can change. */
export interface ChunkArea extends Rectangle {
  readonly kind: number;
  readonly index: number;
}

/** A picture by rows. `data`: RGBA, or with `channels` as the stream has them. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly data: Uint8ClampedArray<ArrayBuffer>;
}

export interface Options {
  /** Where the files of weights come from. */
  readonly weights: Weights;
  /** The most pixels that a header may ask for. */
  readonly limit?: number;
}

type Waiting = Chunk & { readonly key: number };

const keyOf = (kind: number, index: number) => index * 8 + kind;
const isCut = (chunk: Chunk) => chunk.payload.length < chunk.length;

/** The picture of one stream, growing chunk by chunk. Close it when it is no longer needed. */
export class Decoder {
  readonly header: Header;
  /** Chunks that could not be used, as "KIND index", with the reason. */
  readonly dropped = new Map<string, string>();
  #kernel: Kernel;
  #weights: Weights;
  #latent: LatentDecoder;
  #residual: ResidualDecoder;
  #inbox: Waiting[] = [];
  #whole = new Set<number>();
  #cut = new Map<number, Chunk>();
  #waiting = new Map<number, Waiting>();
  #corrections: Waiting[] = []; // residual chunks whose needs are met, decoded together when asked for
  #texts = new Map<number, Chunk>(); // of chunks that were taken and change no pixel
  #captions: Waiting[] = []; // not read yet
  #caption: Caption | null = null;
  #facts = new Map<string, string>();
  #crc: number | null = null;
  #base = 0; // place of the base's picture in the channels of the stream; 0: to be made
  #shown = 0;
  #changed: Rectangle | null;
  #turn: Promise<unknown> = Promise.resolve();
  #closed = false;

  private constructor(header: Header, kernel: Kernel, weights: Weights) {
    this.header = header;
    this.#kernel = kernel;
    this.#weights = weights;
    this.#latent = new LatentDecoder(header, kernel, weights);
    this.#residual = new ResidualDecoder(header, kernel, weights);
    this.#changed = { x0: 0, y0: 0, x1: header.width, y1: header.height };
  }

  /** A decoder for a header, or for the bytes that one is in. Throws FormatError. */
  static async open(header: Header | Uint8Array, { weights, limit = DEFAULT_LIMIT }: Options): Promise<Decoder> {
    const found = header instanceof Uint8Array ? parseHeader(header).header : header;
    const pixels = found.width * found.height;
    if (pixels > limit) {
      throw new FormatError(`offset 2: a picture of ${pixels} pixels is above the limit of ${limit}; raise it to read this`);
    }
    setName(found.weights);
    return new Decoder(found, await Kernel.open(), weights);
  }

  /** Notes a chunk, whole or cut, new or repeated. */
  push(chunk: Chunk): void {
    this.#inbox.push({ ...chunk, key: keyOf(chunk.kind, chunk.index) });
  }

  /** The best exact picture now. channels: 4 for RGBA, or the stream's own. Throws FormatError where memory ends. */
  picture(channels: number = 4): Promise<Picture> {
    return this.#alone(async () => {
      await this.#work();
      const place = await this.#render();
      return this.#copy(place, channels);
    });
  }

  /** What the thumbnail alone shows, without the network's weights; null as long as there is none. Not exact. */
  preview(): Promise<Picture | null> {
    return this.#alone(async () => {
      await this.#workOf(Kind.LATENT, 0);
      const place = this.#latent.preview();
      if (!place) return null;
      const shown = this.#channels(place);
      const picture = this.#copy(shown, 4);
      this.#kernel.give(shown);
      this.#kernel.give(place);
      return picture;
    });
  }

  /** Of the pictures asked for so far and the last one: where they differ; null if nowhere. */
  takeChanged(): Rectangle | null {
    const changed = this.#changed;
    this.#changed = null;
    return changed;
  }

  /** The caption; null without one. Needs the caption's weights, unless it is plain. */
  caption(): Promise<Caption | null> {
    return this.#alone(async () => {
      await this.#workOf(Kind.CAPTION);
      for (let chunk = this.#captions.shift(); chunk; chunk = this.#captions.shift()) await this.#takeCaption(chunk);
      return this.#caption;
    });
  }

  /** Facts about the picture: time, place, sender, ... */
  facts(): Promise<ReadonlyMap<string, string>> {
    return this.#alone(async () => {
      await this.#workOf(Kind.META);
      return this.#facts;
    });
  }

  /** The colour profile (ICC) of the pixels; null without one. Throws FormatError if it is damaged. */
  profile(): Promise<Uint8Array | null> {
    return this.#alone(async () => {
      await this.#workOf(Kind.META);
      const parts = [...this.#texts].filter(([key]) => key % 8 === Kind.META && key > 8).sort(([a], [b]) => a - b);
      return parts.length ? decodeProfile(parts.map(([, chunk]) => chunk.payload)) : null;
    });
  }

  /** What stands where: phrases and texture codes with their boxes. Damaged ones are left out. */
  regions(): Promise<Region[]> {
    return this.#alone(async () => {
      await this.#workOf(Kind.REGIONS);
      const chunks = [...this.#texts].filter(([key]) => key % 8 === Kind.REGIONS).sort(([a], [b]) => a - b);
      if (chunks.length) await this.#weights.need(this.header.weights, "caption");
      return chunks.flatMap(([, chunk]) => {
        try {
          return decodeRegions(chunk.payload, this.header, !isCut(chunk), (payload) => this.#readCaption(payload, true));
        } catch (error) {
          this.#drop(chunk, error);
          return [];
        }
      });
    });
  }

  /** Strength of edges; null without EDGES chunks. */
  edges(): Promise<EdgeMap | null> {
    return this.#alone(async () => {
      await this.#workOf(Kind.EDGES);
      const payloads = new Map<number, { payload: Uint8Array; whole: boolean }>();
      for (const chunk of this.#texts.values()) {
        if (chunk.kind === Kind.EDGES) payloads.set(chunk.index, { payload: chunk.payload, whole: !isCut(chunk) });
      }
      if (!payloads.size) return null;
      await this.#weights.need(this.header.weights, "edge_vq");
      return decodeEdges(this.#kernel, this.#weights.get(this.header.weights, "edge_vq"), this.header, payloads);
    });
  }

  /** True when the CRC of the pixels agrees, false when it does not (yet), null when the stream brought none. */
  verified(): Promise<boolean | null> {
    return this.#alone(async () => {
      await this.#work();
      if (this.#crc === null) return null;
      const place = await this.#render();
      const { width, height, channels } = this.header;
      const table = this.#kernel.take(1024);
      this.#kernel.call.crc_table!(table);
      const sum = this.#kernel.call.crc!(place, width * height * channels, table) >>> 0;
      this.#kernel.give(table);
      return sum === this.#crc;
    });
  }

  /** Share of the picture whose pixels are the source's to the last bit. */
  exactArea(): Promise<number> {
    return this.#alone(async () => {
      await this.#work();
      const { width, height, base } = this.header;
      for (let i = 0; i < base; i++) if (!this.#whole.has(keyOf(Kind.LATENT, i))) return 0;
      await this.#correct();
      const { columns } = this.#residual.layout;
      let pixels = 0;
      this.#residual.exactCells().forEach((exact, i) => {
        const [row, column] = [Math.floor(i / columns), i % columns];
        if (exact) pixels += Math.min(CELL, height - CELL * row) * Math.min(CELL, width - CELL * column);
      });
      return pixels / (width * height);
    });
  }

  /** The pixels that chunks can change: those of the residual, and the base's latents once their weights are there. */
  areas(): Promise<ChunkArea[]> {
    return this.#alone(async () => {
      const { weights, base } = this.header;
      const area = (kind: number, index: number) => ({ kind, index, ...this.#areaOf({ kind, index }) });
      const numbers = (count: number) => Array.from({ length: count }, (_, index) => index);
      const corrections = numbers(this.#residual.layout.count).map((index) => area(Kind.RESIDUAL, index));
      if (!base || !this.#weights.has(weights, "latent")) return corrections;
      this.#latent.needs(1); // makes the network, which knows the tiles
      return [...numbers(base).map((index) => area(Kind.LATENT, index)), ...corrections];
    });
  }

  /** Gives the memory back. Nothing can be asked for afterwards. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    void this.#turn.then(() => this.#kernel.release(), () => this.#kernel.release());
  }

  // -- chunks -------------------------------------------------------------------------------------------------------

  /** One question at a time: each waits for those before it. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(() => {
      if (this.#closed) throw new Error("this decoder is closed");
      return work();
    });
    this.#turn = result.catch(() => undefined);
    return result;
  }

  async #work(): Promise<void> {
    for (let chunk = this.#inbox.shift(); chunk; chunk = this.#inbox.shift()) await this.#push(chunk);
  }

  /** As `#work`, of one kind of chunk, which waits for no other's weights. */
  async #workOf(kind: number, last = Infinity): Promise<void> {
    const own = (chunk: Waiting) => chunk.kind === kind && chunk.index <= last;
    const chunks = this.#inbox.filter(own);
    this.#inbox = this.#inbox.filter((chunk) => !own(chunk));
    for (const chunk of chunks) await this.#push(chunk);
  }

  async #push(chunk: Waiting): Promise<void> {
    const { key } = chunk;
    const known = this.#cut.get(key) ?? this.#waiting.get(key);
    if (this.#whole.has(key) || (known && known.payload.length >= chunk.payload.length)) return;
    if (chunk.kind === Kind.LATENT && chunk.index >= this.header.base) {
      this.#drop(chunk, "beyond the base");
      return;
    }
    if (await this.#isMissing(chunk)) {
      this.#waiting.set(key, chunk);
      return;
    }
    await this.#take(chunk);
    if (!isCut(chunk)) await this.#release();
  }

  async #isMissing(chunk: Chunk): Promise<boolean> {
    const needs = await this.#needsOf(chunk);
    return needs.some((index) => !this.#whole.has(keyOf(chunk.kind, index)));
  }

  /** The chunks of its own kind that a chunk builds on directly. */
  async #needsOf({ kind, index }: Chunk): Promise<number[]> {
    if (kind === Kind.EDGES) return index === 1 ? [0] : [];
    if (kind === Kind.RESIDUAL) return this.#residual.layout.needs(index);
    if (kind !== Kind.LATENT || index === 0) return [];
    await this.#weights.need(this.header.weights, "latent");
    return this.#latent.needs(index);
  }

  /** Takes what waited for nothing more. */
  async #release(): Promise<void> {
    for (;;) {
      const ready: Waiting[] = [];
      for (const chunk of this.#waiting.values()) if (!(await this.#isMissing(chunk))) ready.push(chunk);
      if (!ready.length) return;
      ready.sort((a, b) => a.kind - b.kind || a.index - b.index);
      for (const chunk of ready) {
        this.#waiting.delete(chunk.key);
        await this.#take(chunk);
      }
    }
  }

  async #take(chunk: Waiting): Promise<void> {
    try {
      if (!(await this.#decode(chunk))) {
        this.#drop(chunk, "impossible payload");
        return;
      }
    } catch (error) {
      this.#drop(chunk, error);
      return;
    }
    this.#cut.delete(chunk.key);
    if (isCut(chunk)) this.#cut.set(chunk.key, chunk);
    else this.#whole.add(chunk.key);
    if (chunk.kind === Kind.LATENT || chunk.kind === Kind.RESIDUAL) this.#note(chunk);
  }

  async #decode(chunk: Waiting): Promise<boolean> {
    const { kind, index, payload } = chunk;
    const whole = !isCut(chunk);
    const { weights } = this.header;
    switch (kind) {
      case Kind.LATENT:
        await this.#weights.need(weights, index ? "latent" : "thumbnail");
        if (!this.#latent.push(index, payload, whole)) return false;
        this.#forgetBase();
        return true;
      case Kind.RESIDUAL:
        this.#corrections.push(chunk);
        return true;
      case Kind.EDGES:
        if (index > 1 || payload.length > MAX_LENGTH) return false;
        break;
      case Kind.CAPTION:
        this.#captions.push(chunk); // read when asked for: its tables take longer than a picture
        return true;
      case Kind.META:
        if (!index) this.#facts = decodeFacts(payload, whole);
        break;
      case Kind.CHECK:
        if (!whole) return true;
        if (payload.length !== 4) return false;
        this.#crc = new DataView(payload.buffer, payload.byteOffset).getUint32(0);
        return true;
    }
    this.#texts.set(chunk.key, chunk);
    return true;
  }

  async #takeCaption(chunk: Waiting): Promise<void> {
    try {
      if (isCoded(chunk.payload)) await this.#weights.need(this.header.weights, "caption");
      this.#caption = this.#readCaption(chunk.payload, !isCut(chunk));
    } catch (error) {
      this.#whole.delete(chunk.key);
      this.#cut.delete(chunk.key);
      this.#drop(chunk, error);
    }
  }

  #readCaption(payload: Uint8Array, whole: boolean): Caption {
    if (!isCoded(payload)) return plainCaption(payload, whole);
    const { weights } = this.header;
    const make = () => new CaptionModel(this.#kernel, this.#weights.get(weights, "caption"));
    return this.#weights.built(weights, "caption", make).read(this.#kernel, payload, whole);
  }

  async #correct(): Promise<void> {
    if (!this.#corrections.length) return;
    const { weights } = this.header;
    await this.#weights.need(weights, "residual");
    await this.#weights.need(weights, "residual_filter");
    const chunks = this.#corrections;
    this.#corrections = [];
    const taken = this.#residual.push(
      chunks.map((chunk) => ({ index: chunk.index, payload: chunk.payload, whole: !isCut(chunk) })),
    );
    chunks.forEach((chunk, i) => {
      if (taken[i]) return;
      this.#whole.delete(chunk.key);
      this.#drop(chunk, "impossible payload");
    });
  }

  #drop(chunk: Chunk, reason: unknown): void {
    if (reason instanceof Error && !(reason instanceof FormatError)) throw reason;
    const why = reason instanceof FormatError ? reason.message : String(reason);
    this.dropped.set(`${KIND_NAMES[chunk.kind]} ${chunk.index}`, why);
  }

  // -- the picture --------------------------------------------------------------------------------------------------

  #forgetBase(): void {
    if (this.#base) this.#kernel.give(this.#base);
    this.#base = 0;
    this.#shown = 0;
  }

  /** Notes the pixels that a chunk can change. */
  #note(chunk: Chunk): void {
    this.#shown = 0;
    const area = this.#areaOf(chunk);
    const old = this.#changed;
    this.#changed = old
      ? {
          x0: Math.min(old.x0, area.x0),
          y0: Math.min(old.y0, area.y0),
          x1: Math.max(old.x1, area.x1),
          y1: Math.max(old.y1, area.y1),
        }
      : area;
  }

  #areaOf({ kind, index }: Pick<Chunk, "kind" | "index">): Rectangle {
    const { width, height } = this.header;
    const { layout } = this.#residual;
    if (kind === Kind.RESIDUAL && index < layout.count) return layout.area(index);
    const far = kind === Kind.LATENT ? this.#latent.area(index) : null;
    if (!far) return { x0: 0, y0: 0, x1: width, y1: height };
    return {
      x0: Math.max(0, far.x0 - BASE_REACH),
      y0: Math.max(0, far.y0 - BASE_REACH),
      x1: Math.min(width, far.x1 + BASE_REACH),
      y1: Math.min(height, far.y1 + BASE_REACH),
    };
  }

  async #render(): Promise<number> {
    await this.#correct();
    if (this.#shown) return this.#shown;
    if (this.#latent.hasThumbnail) await this.#weights.need(this.header.weights, "latent");
    const changed = !this.#base;
    if (changed) this.#base = this.#channels(this.#latent.picture());
    this.#shown = this.#residual.correct(this.#base, changed);
    return this.#shown;
  }

  /** A picture u8[height][width][3] in the channels of the stream. */
  #channels(from: number): number {
    const { width, height, channels } = this.header;
    const place = this.#kernel.take(width * height * channels);
    this.#kernel.call.in_channels!(from, width * height, channels, place);
    return place;
  }

  #copy(place: number, channels: number): Picture {
    const kernel = this.#kernel;
    const { width, height } = this.header;
    const count = width * height;
    if (channels === this.header.channels) {
      return { width, height, channels, data: new Uint8ClampedArray(kernel.u8(place, count * channels)) };
    }
    if (channels !== 4) throw new TypeError(`a picture of ${this.header.channels} channels cannot be had in ${channels}`);
    const wide = kernel.take(4 * count);
    kernel.call.to_rgba!(place, count, this.header.channels, wide);
    const data = new Uint8ClampedArray(kernel.u8(wide, 4 * count));
    kernel.give(wide);
    return { width, height, channels, data };
  }
}

/** What a stream gave: the picture in RGBA, the texts, whether the pixels are the source's, what was left out. */
export interface Decoded {
  readonly header: Header;
  readonly picture: Picture;
  readonly caption: Caption | null;
  readonly facts: ReadonlyMap<string, string>;
  readonly verified: boolean | null;
  readonly exactArea: number;
  readonly dropped: ReadonlyMap<string, string>;
}

/** The picture and the texts of a stream, or of as much of one as `data` holds. Throws FormatError. */
export async function decode(data: Uint8Array, options: Options & { readonly channels?: number }): Promise<Decoded> {
  const { header, chunks } = read(data);
  const decoder = await Decoder.open(header, options);
  try {
    for (const chunk of chunks) decoder.push(chunk);
    return {
      header,
      picture: await decoder.picture(options.channels),
      caption: await decoder.caption(),
      facts: await decoder.facts(),
      verified: await decoder.verified(),
      exactArea: await decoder.exactArea(),
      dropped: decoder.dropped,
    };
  } finally {
    decoder.close();
  }
}

