// The edge map: tokens of a codebook of patches under a small network (FORMAT.md, section 7). No pixel depends on it.

import type { Header } from "./container";
import { baseSize } from "./geometry";
import { BitReader, type Kernel } from "./kernel";
import type { Tensors } from "./weights";

const UNKNOWN = -1;
const SEEN = 8;
const PHASES = [[0, 0], [1, 1], [0, 1], [1, 0]] as const; // prettier-ignore
const NEIGHBOURS = [[-1, -1], [-1, 0], [-1, 1], [0, -1], [0, 1], [1, -1], [1, 0], [1, 1]] as const; // prettier-ignore

const clamp = (x: number, low: number, high: number) => (x < low ? low : x > high ? high : x);

/** Strength of edges 0..255, by rows, at a quarter of the base picture. */
export interface EdgeMap {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** One of the two steps: its cells are 8 or 4 pixels of the map a side. */
class Step {
  #arrays: Tensors;
  #name: string;
  readonly cell: number;

  constructor(arrays: Tensors, name: "coarse" | "fine") {
    this.#arrays = arrays;
    this.#name = name;
    this.cell = name === "fine" ? 4 : 8;
  }

  #get(name: string) {
    return this.#arrays[`${this.#name}.${name}`]!;
  }

  /** Adds to `painted` (1/8 levels, rows x columns pixels) what a payload says. */
  paint(kernel: Kernel, payload: Uint8Array, whole: boolean, painted: Int32Array, rows: number, columns: number): void {
    const tokens = this.#tokens(kernel, payload, whole, painted, rows, columns);
    const atoms = this.#get("atoms");
    const reach = atoms.shape[1]!;
    const margin = (reach - this.cell) / 2;
    const wide = columns / this.cell;
    tokens.forEach((token, i) => {
      if (token === UNKNOWN) return;
      const y0 = Math.floor(i / wide) * this.cell - margin;
      const x0 = (i % wide) * this.cell - margin;
      for (let y = Math.max(0, -y0); y < reach && y0 + y < rows; y++) {
        for (let x = Math.max(0, -x0); x < reach && x0 + x < columns; x++) {
          painted[(y0 + y) * columns + x0 + x]! += atoms.data[(token * reach + y) * reach + x]!;
        }
      }
    });
  }

  #tokens(kernel: Kernel, payload: Uint8Array, whole: boolean, painted: Int32Array, rows: number, columns: number): Int32Array {
    const [high, wide] = [rows / this.cell, columns / this.cell];
    const tokens = new Int32Array(high * wide).fill(UNKNOWN);
    const tree = this.#get("tree").data;
    const reader = new BitReader(kernel, payload, whole);
    let dry = false;
    for (let phase = 0; phase < PHASES.length && !dry; phase++) {
      const [row, column] = PHASES[phase]!;
      let live: { place: number; node: number; chance: (node: number) => number }[] = [];
      for (let y = row; y < high; y += 2) {
        for (let x = column; x < wide; x += 2) {
          const hidden = this.#hidden(tokens, painted, high, wide, columns, y, x, phase);
          live.push({ place: y * wide + x, node: 0, chance: (node) => this.#chance(hidden, node) });
        }
      }
      const told: [number, number][] = [];
      while (live.length && !dry) {
        const next: typeof live = [];
        for (const walk of live) {
          const bit = reader.bit(walk.chance(walk.node));
          dry = bit < 0;
          if (dry) break;
          const child = tree[2 * walk.node + bit]!;
          if (child < 0) told.push([walk.place, -1 - child]);
          else next.push({ ...walk, node: child });
        }
        live = next;
      }
      for (const [place, token] of told) tokens[place] = token;
    }
    reader.close();
    return tokens;
  }

  #hidden(tokens: Int32Array, painted: Int32Array, high: number, wide: number, columns: number, y: number, x: number, phase: number) {
    const embedding = this.#get("embedding");
    const depth = embedding.shape[1]!;
    const inputs: number[] = [];
    for (const [dy, dx] of NEIGHBOURS) {
      const inside = y + dy >= 0 && y + dy < high && x + dx >= 0 && x + dx < wide;
      const token = inside ? tokens[(y + dy) * wide + x + dx]! : UNKNOWN;
      const row = token === UNKNOWN ? embedding.shape[0]! - 1 : token;
      for (let i = 0; i < depth; i++) inputs.push(embedding.data[row * depth + i]!);
    }
    if (this.#name === "fine") {
      const margin = (SEEN - this.cell) / 2;
      for (let dy = 0; dy < SEEN; dy++) {
        for (let dx = 0; dx < SEEN; dx++) {
          const py = y * this.cell + dy - margin;
          const px = x * this.cell + dx - margin;
          const inside = py >= 0 && py < high * this.cell && px >= 0 && px < columns;
          inputs.push(inside ? clamp((painted[py * columns + px]! + 4) >> 3, 0, 255) >> 1 : 0);
        }
      }
    }
    const weight = this.#get("hidden");
    const units = weight.shape[1]!;
    const bias = this.#get("hidden_bias").data;
    return Array.from({ length: units }, (_, j) => {
      let sum = bias[phase * units + j]!;
      inputs.forEach((input, i) => (sum += input * weight.data[i * units + j]!));
      return clamp(sum >> 6, 0, 1023);
    });
  }

  #chance(hidden: readonly number[], node: number): number {
    const output = this.#get("output");
    const nodes = output.shape[1]!;
    let sum = this.#get("output_bias").data[node]!;
    hidden.forEach((value, j) => (sum += value * output.data[j * nodes + node]!));
    return this.#arrays.sigmoid!.data[clamp(sum >> 6, -320, 319) + 320]!;
  }
}

/** The map of the coarse and the fine payload; either may be missing or cut, the fine one needs the coarse one whole. */
export function decodeEdges(
  kernel: Kernel,
  arrays: Tensors,
  header: Header,
  payloads: ReadonlyMap<number, { payload: Uint8Array; whole: boolean }>,
): EdgeMap {
  const base = baseSize(header);
  const [height, width] = [Math.ceil(base.height / 4), Math.ceil(base.width / 4)];
  const [rows, columns] = [Math.ceil(height / 8) * 8, Math.ceil(width / 8) * 8];
  const painted = new Int32Array(rows * columns);
  const coarse = payloads.get(0);
  const fine = payloads.get(1);
  if (coarse) new Step(arrays, "coarse").paint(kernel, coarse.payload, coarse.whole, painted, rows, columns);
  if (coarse?.whole && fine) new Step(arrays, "fine").paint(kernel, fine.payload, fine.whole, painted, rows, columns);
  const data = new Uint8Array(height * width);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) data[y * width + x] = clamp((painted[y * columns + x]! + 4) >> 3, 0, 255);
  }
  return { width, height, data };
}
