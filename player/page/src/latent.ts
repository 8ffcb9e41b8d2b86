// Latent chunks in, the exact base picture out: incremental, from any set of chunks (FORMAT.md, section 8).
//
// States are kept: the one that enters each step is computed once, and again only when an earlier step has changed.

import type { Header } from "./container";
import { baseSize, GRID, gridSize, reduction } from "./geometry";
import { BitReader, type Kernel } from "./kernel";
import { latentNeeds, reach, shapeOf, tilesOf, type Shape, type Tile } from "./latent_layout";
import { four, Layers, rowScratch, type Conv } from "./network";
import { decodeThumbnail, enlargeThumbnail, type Thumbnail } from "./thumbnail";
import type { Tensors, Weights } from "./weights";

const LIMIT = 1023;
const NEUTRAL = 128;
const SPREADS = 32;

type Block = readonly [Conv, Conv];

interface Rung {
  readonly scale: number;
  readonly latents: number;
  readonly looks: readonly Block[];
  readonly prior: Conv;
  readonly contexts: readonly Conv[];
  readonly value: Conv;
  readonly first: Conv;
  readonly second: Conv;
  readonly table: number; // u16[spreads][15] in the kernel
}

interface Network {
  readonly shape: Shape;
  readonly stem: Conv;
  readonly blocks: ReadonlyMap<number, readonly Block[]>;
  readonly ups: ReadonlyMap<number, Conv>;
  readonly head: Conv;
  readonly rungs: readonly Rung[];
}

function networkOf(kernel: Kernel, weights: number, arrays: Tensors): Network {
  return kernel.lasting(`latent ${weights}`, (take) => {
    const layers = new Layers(kernel, take, arrays, rowScratch(take));
    const shape = shapeOf(arrays);
    const blocks = (name: string, count: number): Block[] =>
      Array.from({ length: count }, (_, i) => [layers.conv(`${name}.${i}.a`), layers.conv(`${name}.${i}.b`)]);
    const table = arrays.table!;
    const row = table.shape[1]! * table.shape[2]!;
    return {
      shape,
      stem: layers.conv("stem"),
      blocks: new Map([...shape.blocks].map(([scale, count]) => [scale, blocks(`block${scale}`, count)])),
      ups: new Map([32, 16, 8].map((scale) => [scale, layers.conv(`up${scale}.conv`)])),
      head: layers.conv("head"),
      rungs: shape.steps.map((step, i) => ({
        ...step,
        looks: blocks(`steps.${i}.look`, shape.looks),
        prior: layers.conv(`steps.${i}.prior`),
        contexts: [0, 1, 2].map((stage) => layers.conv(`steps.${i}.context.${stage}`)),
        value: layers.conv(`steps.${i}.value`),
        first: layers.conv(`steps.${i}.block.a`),
        second: layers.conv(`steps.${i}.block.b`),
        table: kernel.put((table.data as Uint16Array).subarray(i * row, (i + 1) * row), take),
      })),
    };
  });
}

/** i16[rows + 2][columns + 2][channels, padded] in the kernel, zeros all around. */
interface State {
  readonly place: number;
  readonly rows: number;
  readonly columns: number;
  readonly channels: number;
}

/** Decodes the latent chunks of one stream. `thumbnail` weights must be loaded for chunk 0, `latent` for all others. */
export class LatentDecoder {
  #header: Header;
  #kernel: Kernel;
  #weights: Weights;
  #have = new Set<number>();
  #thumbnail: Thumbnail | null = null;
  #net: Network | null = null;
  #tiles: Tile[] = [];
  #latents: Int16Array[] = []; // of each step: [rows][columns][latents], in 1/64
  #masks: Uint8Array[] = []; // where they are there
  #entering: State[] = []; // of step 1, 2, ..., as far as it is valid; see `#after` for the others
  #after: (State | null)[] = [];
  #priors = new Map<number, Int32Array>();
  #full = 0; // place of u8[height][width][3]

  constructor(header: Header, kernel: Kernel, weights: Weights) {
    this.#header = header;
    this.#kernel = kernel;
    this.#weights = weights;
  }

  /** The chunks that chunk `index` needs. Needs the weights `latent` for all but the first. */
  needs(index: number): number[] {
    if (!index) return [];
    this.#network();
    return latentNeeds(this.#tiles, this.#net!.shape, index);
  }

  get hasThumbnail(): boolean {
    return this.#thumbnail !== null;
  }

  /** The pixels of the picture that a chunk of step 1.. can change; null for others. */
  area(index: number): { x0: number; y0: number; x1: number; y1: number } | null {
    const tile = this.#tiles[index];
    if (!tile?.step) return null;
    const k = reduction(this.#header);
    const { shape, rungs } = this.#network();
    const far = reach(shape, tile.step, rungs.length + 1) + (k ? 2 : 0);
    return {
      x0: Math.max(0, (tile.x0 - far) * 2 ** k),
      y0: Math.max(0, (tile.y0 - far) * 2 ** k),
      x1: Math.min(this.#header.width, (tile.x1 + far) * 2 ** k),
      y1: Math.min(this.#header.height, (tile.y1 + far) * 2 ** k),
    };
  }

  /** Takes a chunk. False (and nothing changed) when it is impossible, repeated or what it needs is missing. */
  push(index: number, payload: Uint8Array, whole: boolean): boolean {
    if (this.#have.has(index)) return false;
    if (index === 0) {
      const { columns, rows } = gridSize(this.#header);
      const arrays = this.#weights.get(this.#header.weights, "thumbnail");
      this.#thumbnail = decodeThumbnail(
        this.#kernel, payload, rows, columns, this.#header.channels, arrays, whole,
      ); // prettier-ignore
      this.#forgetAfter(0);
    } else {
      const needs = this.needs(index);
      const tile = this.#tiles[index];
      if (!tile || needs.some((need) => !this.#have.has(need))) return false;
      this.#walk(tile, payload, whole);
      this.#forgetAfter(tile.step);
    }
    if (whole) this.#have.add(index);
    return true;
  }

  /** The exact picture of the latents so far, u8[height][width][3] at a place of the kernel that stays the decoder's. */
  picture(): number {
    if (!this.#full) this.#full = this.#render();
    return this.#full;
  }

  /** As `picture`, of the thumbnail alone, which needs no network; the caller gives the place back. 0 without one. */
  preview(): number {
    return this.#thumbnail ? this.#enlarge(enlargeThumbnail(this.#kernel, this.#thumbnail)) : 0;
  }

  #network(): Network {
    if (!this.#net) {
      const { weights } = this.#header;
      this.#net = networkOf(this.#kernel, weights, this.#weights.get(weights, "latent"));
      this.#tiles = tilesOf(this.#header, this.#net.shape);
      for (const rung of this.#net.rungs) {
        const { columns, rows } = gridSize(this.#header, rung.scale);
        this.#latents.push(new Int16Array(rows * columns * rung.latents));
        this.#masks.push(new Uint8Array(rows * columns));
      }
    }
    return this.#net;
  }

  #forgetAfter(step: number): void {
    for (const state of [...this.#entering.splice(step), ...this.#after.splice(Math.max(0, step - 1))]) {
      if (state) this.#kernel.give(state.place);
    }
    for (const later of [...this.#priors.keys()]) if (later > step) this.#priors.delete(later);
    if (this.#full) this.#kernel.give(this.#full);
    this.#full = 0;
  }

  // -- states -------------------------------------------------------------------------------------------------------

  #state(rows: number, columns: number, channels: number): State {
    const padded = four(channels);
    return { place: this.#kernel.zeros((rows + 2) * (columns + 2) * padded * 2), rows, columns, channels: padded };
  }

  #copy(state: State): State {
    const copy = this.#state(state.rows, state.columns, state.channels);
    const count = (state.rows + 2) * (state.columns + 2) * state.channels;
    this.#kernel.i16(copy.place, count).set(this.#kernel.i16(state.place, count));
    return copy;
  }

  /** A state of `values` [rows][columns][channels]. */
  #stateOf(rows: number, columns: number, channels: number, values: Int16Array): State {
    const state = this.#state(rows, columns, channels);
    const into = this.#kernel.i16(state.place, (rows + 2) * (columns + 2) * state.channels);
    for (let y = 0, from = 0; y < rows; y++) {
      let to = ((y + 1) * (columns + 2) + 1) * state.channels;
      for (let x = 0; x < columns; x++, to += state.channels) {
        for (let c = 0; c < channels; c++) into[to + c] = values[from++]!;
      }
    }
    return state;
  }

  #store(conv: Conv, from: State, low = -LIMIT): State {
    const into = this.#state(from.rows, from.columns, conv.outputs);
    this.#kernel.call.conv_store!(conv.place, from.place, from.rows, from.columns, into.place, low, LIMIT);
    return into;
  }

  #add(conv: Conv, from: State, state: State, mask = 0): void {
    this.#kernel.call.conv_add!(conv.place, from.place, from.rows, from.columns, state.place, mask);
  }

  #raw(conv: Conv, from: State): Int32Array {
    const count = from.rows * from.columns * four(conv.outputs);
    const place = this.#kernel.take(4 * count);
    this.#kernel.call.conv_raw!(conv.place, from.place, from.rows, from.columns, place);
    const values = this.#kernel.i32(place, count).slice();
    this.#kernel.give(place);
    return values;
  }

  /** Passes `state` through blocks, in place. */
  #pass(blocks: readonly Block[], state: State): State {
    for (const [first, second] of blocks) {
      const hidden = this.#store(first, state, 0);
      this.#add(second, hidden, state);
      this.#kernel.give(hidden.place);
    }
    return state;
  }

  /** The state at scale `to` from the one at `scale`, which stays as it is. */
  #rise(state: State, scale: number, to: number): State {
    let risen = state;
    while (scale > to) {
      const up = this.#network().ups.get(scale)!;
      const next = this.#state(2 * risen.rows, 2 * risen.columns, up.outputs / 4);
      this.#kernel.call.conv_up!(up.place, risen.place, risen.rows, risen.columns, next.place, next.channels);
      if (risen !== state) this.#kernel.give(risen.place);
      scale /= 2;
      risen = this.#pass(this.#network().blocks.get(scale)!, next);
    }
    return risen === state ? this.#copy(state) : risen;
  }

  #start(): State {
    const { rows, columns, values } = this.#thumbnail!;
    const levels = new Int16Array(rows * columns * 3);
    for (let i = 0; i < rows * columns; i++) {
      for (let c = 0; c < 3; c++) levels[3 * i + c] = (values[c * rows * columns + i]! >> 4) - 128;
    }
    const input = this.#stateOf(rows, columns, 3, levels);
    const state = this.#store(this.#network().stem, input);
    this.#kernel.give(input.place);
    return this.#pass(this.#network().blocks.get(32)!, state);
  }

  /** The state that enters `step` (1..). */
  #enteringStep(step: number): State {
    const { rungs } = this.#network();
    while (this.#entering.length < step) {
      const at = this.#entering.length;
      this.#entering.push(
        at ? this.#rise(this.#afterStep(at), rungs[at - 1]!.scale, rungs[at]!.scale) : this.#start(),
      );
    }
    return this.#entering[step - 1]!;
  }

  /** The state behind `step` (1..): with its latents, where they are there. */
  #afterStep(step: number): State {
    const entering = this.#enteringStep(step);
    const mask = this.#masks[step - 1]!;
    if (!mask.includes(1)) return entering;
    const found = this.#after[step - 1];
    if (found) return found;
    const rung = this.#network().rungs[step - 1]!;
    const state = this.#copy(entering);
    const latents = this.#stateOf(state.rows, state.columns, rung.latents, this.#latents[step - 1]!);
    const where = this.#kernel.put(mask);
    this.#add(rung.value, latents, state, where);
    const hidden = this.#store(rung.first, state, 0);
    this.#add(rung.second, hidden, state, where);
    for (const place of [latents.place, where, hidden.place]) this.#kernel.give(place);
    while (this.#after.length < step) this.#after.push(null);
    this.#after[step - 1] = state;
    return state;
  }

  // -- chunks -------------------------------------------------------------------------------------------------------

  /** Sets the latents of a tile to what a payload says: four stages, each predicted by those before it too. */
  #walk(tile: Tile, payload: Uint8Array, whole: boolean): void {
    const rung = this.#network().rungs[tile.step - 1]!;
    const { columns } = gridSize(this.#header, rung.scale);
    let prior = this.#priors.get(tile.step);
    if (!prior) this.#priors.set(tile.step, (prior = this.#predict(rung, this.#enteringStep(tile.step))));
    const n = rung.latents;
    const half = n / 2;
    const [row, column] = [tile.y0 / rung.scale, tile.x0 / rung.scale];
    const [high, wide] = [(tile.y1 - tile.y0) / rung.scale, (tile.x1 - tile.x0) / rung.scale];
    const told = new Int16Array(high * wide * 2 * n); // what earlier stages told, then its magnitude
    const latents = this.#latents[tile.step - 1]!;
    const reader = new BitReader(this.#kernel, payload, whole);
    for (let stage = 0; stage < 4; stage++) {
      const from = stage < 2 ? 0 : half;
      const moved = stage ? this.#context(rung.contexts[stage - 1]!, told, high, wide, 2 * n) : null;
      const places: number[] = [];
      for (let y = 0; y < high; y++) {
        for (let x = 0; x < wide; x++) if (((row + y + column + x) & 1) === stage % 2) places.push(y * wide + x);
      }
      const means = new Int16Array(half * places.length);
      const spreads = new Uint8Array(half * places.length);
      places.forEach((place, i) => {
        const y = Math.floor(place / wide);
        const at = ((row + y) * columns + column + (place - y * wide)) * four(2 * n);
        for (let c = 0; c < half; c++) {
          let mean = prior[at + from + c]!;
          let spread = prior[at + n + from + c]!;
          if (moved) {
            mean += moved[place * four(n) + c]!;
            spread += moved[place * four(n) + half + c]!;
          }
          means[c * places.length + i] = Math.min(Math.max(mean, -LIMIT), LIMIT);
          spreads[c * places.length + i] = Math.min(Math.max((spread + 32) >> 6, 0), SPREADS - 1);
        }
      });
      const values = this.#symbols(reader, spreads, places.length, rung.table);
      places.forEach((place, i) => {
        const y = Math.floor(place / wide);
        const at = ((row + y) * columns + column + (place - y * wide)) * n + from;
        for (let c = 0; c < half; c++) {
          const value = values[c * places.length + i]! * 64;
          told[place * 2 * n + from + c] = value;
          told[place * 2 * n + n + from + c] = Math.abs(value);
          latents[at + c] = Math.min(Math.max(value + means[c * places.length + i]!, -LIMIT), LIMIT);
        }
      });
    }
    reader.close();
    const mask = this.#masks[tile.step - 1]!;
    for (let y = 0; y < high; y++) mask.fill(1, (row + y) * columns + column, (row + y) * columns + column + wide);
  }

  /** Means and spreads of a step's latents, i32[rows][columns][2 latents, padded], before any of them is told. */
  #predict(rung: Rung, entering: State): Int32Array {
    const state = this.#pass(rung.looks, this.#copy(entering));
    const prior = this.#raw(rung.prior, state);
    this.#kernel.give(state.place);
    return prior;
  }

  #context(conv: Conv, told: Int16Array, rows: number, columns: number, channels: number): Int32Array {
    const state = this.#stateOf(rows, columns, channels, told);
    const moved = this.#raw(conv, state);
    this.#kernel.give(state.place);
    return moved;
  }

  /** Whole values, channel by channel of `count`, of their spreads. */
  #symbols(reader: BitReader, spreads: Uint8Array, count: number, table: number): Int8Array {
    if (!count) return new Int8Array(0);
    const kernel = this.#kernel;
    const from = kernel.put(spreads);
    const scratch = kernel.take(8 * count);
    const to = kernel.take(spreads.length);
    for (let at = 0; at < spreads.length; at += count) {
      kernel.call.latent_symbols!(reader.place, from + at, count, table, scratch, to + at);
    }
    const values = kernel.i8(to, spreads.length).slice();
    for (const place of [from, scratch, to]) kernel.give(place);
    return values;
  }

  // -- the picture --------------------------------------------------------------------------------------------------

  #render(): number {
    if (!this.#thumbnail) {
      const { width, height } = this.#header;
      const full = this.#kernel.take(3 * width * height);
      this.#kernel.call.fill!(full, NEUTRAL, 3 * width * height);
      return full;
    }
    const field = enlargeThumbnail(this.#kernel, this.#thumbnail);
    this.#paint(field);
    return this.#enlarge(field);
  }

  /** The photo's picture u8[height][width][3] of the padded base picture, whose place is given back. */
  #enlarge(field: number): number {
    const { width, height, channels } = this.#header;
    const { call } = this.#kernel;
    const { rows, columns } = this.#thumbnail!;
    const padded = GRID * columns;
    if (channels < 3) call.grey!(field, GRID * rows * padded);
    let size = baseSize(this.#header);
    field = this.#cut(field, padded, size.width, size.height);
    for (let k = reduction(this.#header); k > 0; k--) {
      const lines = this.#kernel.take(6 * size.width * size.height);
      const doubled = this.#kernel.take(12 * size.width * size.height);
      call.double!(field, size.height, size.width, lines, doubled);
      this.#kernel.give(lines);
      this.#kernel.give(field);
      field = doubled;
      size = { width: 2 * size.width, height: 2 * size.height };
    }
    return this.#cut(field, size.width, width, height);
  }

  /** Adds the network's picture to the enlarged thumbnail. */
  #paint(field: number): void {
    const { rungs, head } = this.#network();
    const steps = rungs.length;
    const fine = this.#rise(this.#afterStep(steps), rungs[steps - 1]!.scale, 4);
    this.#kernel.call.conv_head!(head.place, fine.place, fine.rows, fine.columns, field);
    this.#kernel.give(fine.place);
  }

  #cut(from: number, stride: number, width: number, height: number): number {
    if (stride === width) return from;
    const to = this.#kernel.take(3 * width * height);
    this.#kernel.call.copy_rows!(from, 3 * stride, to, 3 * width, height, 3 * width);
    this.#kernel.give(from);
    return to;
  }
}
