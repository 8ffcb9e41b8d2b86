// The thumbnail: at most 19 bytes of colour and light for a whole picture (FORMAT.md, section 8, "Latent: thumbnail").

import { BitReader, type Kernel } from "./kernel";
import type { Tensors } from "./weights";

const CELL = 32;
const PAD = 2; // zero coefficients around the known ones: neighbours beyond the edge
const RADIUS = [13, 5, 4]; // highest frequency of each plane
const LARGEST = 15;
const LARGEST_MEAN = 80;
const OUTPUTS = 5;
const INPUTS = 41;
const COSINE_ONE = 2 ** 14;
const TO_RGB = [2365, 2896, 1672, 2365, 0, -3344, 2365, -2896, 1672];
const ABSENT: readonly [number, number] = [-1, -1];

const clamp = (x: number, low: number, high: number) => (x < low ? low : x > high ? high : x);

/** Values of 2^14 sqrt(2) cos(pi u (2x + 1) / (2 period)) at x < length, 2^14 for u = 0: [u][x]. */
function waves(orders: number, length: number, period: number): Float64Array[] {
  return Array.from({ length: orders }, (_, u) =>
    Float64Array.from({ length }, (_, x) =>
      u ? Math.round(Math.sqrt(2) * Math.cos((Math.PI * u * (2 * x + 1)) / (2 * period)) * COSINE_ONE) : COSINE_ONE,
    ),
  );
}

/** 16 log2(n), linear between powers of two, rounded down. */
function logarithm(n: number): number {
  const top = 31 - Math.clz32(n);
  return 16 * top + Math.floor((n * 16) / 2 ** top) - 16;
}

const LOGISTIC = Uint16Array.from({ length: 1024 }, (_, i) =>
  clamp(Math.round(65536 / (1 + Math.exp((512 - i) / 64))), 1, 65535),
);

/** Coefficients of one picture in the planes' padded layout, and what the network sees of them. */
class State {
  readonly values: Int32Array[];
  readonly stride: number;
  #gh: number;
  #gw: number;
  #scale: number;
  #sums = [0, 0, 0, 0, 0]; // last pass, the one before, the plane so far, luma, first difference
  #follow = [0, 0]; // how the plane went with luma, and with the first difference
  #plane = 0;

  constructor(gh: number, gw: number, scale: number) {
    this.#gh = gh;
    this.#gw = gw;
    this.#scale = scale;
    this.stride = gw + 2 * PAD;
    this.values = RADIUS.map(() => new Int32Array((gh + 2 * PAD) * this.stride));
  }

  place(v: number, u: number): number {
    return (v + PAD) * this.stride + u + PAD;
  }

  inside(plane: number, v: number, u: number): boolean {
    const square = u * u * this.#gh ** 2 + v * v * this.#gw ** 2;
    return u >= 0 && u < this.#gw && v >= 0 && v < this.#gh && square <= RADIUS[plane]! ** 2 * this.#gh * this.#gw;
  }

  at(plane: number, v: number, u: number): number {
    return plane >= 0 && this.inside(plane, v, u) ? this.values[plane]![this.place(v, u)]! : 0;
  }

  /** Begins a plane. */
  enter(plane: number): void {
    if (plane === this.#plane) return;
    this.#sums[2 + plane] = this.#sums[2]!;
    this.#sums.fill(0, 0, 3);
    this.#follow.fill(0);
    this.#plane = plane;
  }

  /** The network's inputs for wave (v, u) of the plane entered. */
  inputs(v: number, u: number, x: Float64Array): void {
    const c = this.#plane;
    const [gh, gw] = [this.#gh, this.#gw];
    const square = u * u * gh * gh + v * v * gw * gw;
    x[0] = logarithm(Math.max(1, Math.floor((64 * square) / (gh * gw)))) - 96;
    x[1] = Math.floor((32 * u * u * gh * gh) / square);
    x[2] = u === 0 ? 32 : 0;
    x[3] = v === 0 ? 32 : 0;
    x[4] = u === 0 && v === 1 ? 32 : 0;
    x[5] = u === 1 && v === 0 ? 32 : 0;
    this.#sums.forEach((sum, i) => (x[6 + i] = logarithm(1 + Math.min(sum, 63))));
    x[11] = 8 * this.#scale - 28;
    const q = (dv: number, du: number) => this.at(c, v + dv, u + du);
    const luma = (dv: number, du: number) => (c ? this.at(0, v + dv, u + du) : 0);
    const other = c === 2 ? this.at(1, v, u) : 0;
    const seen = [
      q(0, -1), q(-1, 0), q(0, -2), q(-2, 0), q(-1, -1), q(-2, 1), q(1, -2),
      luma(0, 0), luma(0, 1), luma(1, 0), other,
    ]; // prettier-ignore
    seen.forEach((a, i) => {
      const small = clamp(a, -3, 3);
      x[12 + i] = 16 * Math.abs(small);
      if (i >= 2) x[21 + i] = 16 * small;
    });
    const means = [0, 1, 2].map((plane) => this.values[plane]![this.place(0, 0)]!);
    means.forEach((mean, i) => (x[32 + i] = 4 * clamp(mean, -12, 12)));
    const three = (a: number) => clamp(a, -3, 3);
    const axis = ([y, z]: readonly [number, number]) => (y + z < v + u ? this.at(c, y, z) : 0);
    const pairs = [
      means[c]! * three(luma(0, 0)),
      axis(u && v ? [0, u] : ABSENT) * three(axis(u && v ? [v, 0] : ABSENT)),
      axis([0, 1]) * three(q(0, -1)),
      axis([1, 0]) * three(q(-1, 0)),
    ];
    pairs.forEach((pair, i) => (x[35 + i] = 8 * clamp(pair, -6, 6)));
    x[39] = 4 * Math.sign(luma(0, 0)) * clamp(this.#follow[0]!, -8, 8);
    x[40] = 4 * Math.sign(other) * clamp(this.#follow[1]!, -8, 8);
  }

  /** The waves [v, u] of a pass of the plane entered become known. */
  fill(pass: readonly (readonly [number, number])[], values: Int32Array): void {
    const c = this.#plane;
    let sum = 0;
    pass.forEach(([v, u], i) => {
      const value = values[i]!;
      this.values[c]![this.place(v, u)] = value;
      sum += Math.min(Math.abs(value), 4);
    });
    this.#sums[1] = this.#sums[0]!;
    this.#sums[0] = sum;
    this.#sums[2]! += sum;
    if (!c) return;
    pass.forEach(([v, u], i) => {
      const sign = Math.sign(values[i]!);
      this.#follow[0]! += sign * Math.sign(this.at(0, v, u));
      if (c === 2) this.#follow[1]! += sign * Math.sign(this.at(1, v, u));
    });
  }
}

/** Probabilities of the decisions of one wave. */
function probabilities(x: Float64Array, plane: number, arrays: Tensors): Uint16Array {
  const bias = arrays.in_bias!;
  const units = bias.shape[1]!;
  const hidden = new Float64Array(units);
  for (let j = 0; j < units; j++) {
    let sum = bias.data[plane * units + j]!;
    for (let i = 0; i < INPUTS; i++) sum += x[i]! * arrays.in!.data[(plane * INPUTS + i) * units + j]!;
    hidden[j] = Math.max(0, Math.floor(sum / 256));
  }
  const found = new Uint16Array(OUTPUTS);
  for (let n = 0; n < OUTPUTS; n++) {
    let sum = arrays.out_bias!.data[plane * OUTPUTS + n]!;
    for (let j = 0; j < units; j++) sum += hidden[j]! * arrays.out!.data[(plane * units + j) * OUTPUTS + n]!;
    found[n] = LOGISTIC[clamp(Math.floor(sum / 1024), -512, 511) + 512]!;
  }
  return found;
}

function readMean(ask: (p: number) => number, table: (i: number) => number): number {
  if (!ask(table(0))) return 0;
  const negative = ask(table(1));
  let size = 1;
  while (size < LARGEST_MEAN && ask(table(1 + size))) size++;
  return negative ? -size : size;
}

function readPass(ask: (p: number) => number, chances: readonly Uint16Array[]): Int32Array {
  const sizes = Int32Array.from(chances, (p) => ask(p[0]!));
  const more = [...sizes.keys()].filter((i) => sizes[i]);
  const signs = more.map((i) => 1 - 2 * ask(chances[i]![1]!));
  let left = more;
  for (let size = 1; left.length && size < LARGEST; size++) {
    left = left.filter((i) => ask(chances[i]![Math.min(size + 1, OUTPUTS - 1)]!));
    for (const i of left) sizes[i]!++;
  }
  more.forEach((i, at) => (sizes[i]! *= signs[at]!));
  return sizes;
}

/** Of a payload: the scale and the state of all waves. What a cut payload no longer determines is 0. */
function readWaves(kernel: Kernel, payload: Uint8Array, gh: number, gw: number, planes: number, arrays: Tensors, whole: boolean) {
  const reader = new BitReader(kernel, payload, whole);
  const ask = (p: number) => Math.max(0, reader.bit(p));
  let scale = 0;
  for (const node of [1, 2, 4]) scale = 2 * scale + ask(arrays.scales!.data[node + scale]!);
  const state = new State(gh, gw, scale);
  const means = arrays.means!;
  for (let plane = 0; plane < planes; plane++) {
    const row = (plane * means.shape[1]! + scale) * means.shape[2]!;
    state.values[plane]![state.place(0, 0)] = readMean(ask, (i) => means.data[row + i]!);
  }
  const x = new Float64Array(INPUTS);
  for (let plane = 0; plane < planes; plane++) {
    for (let d = 1; d < gh + gw - 1; d++) {
      const pass: [number, number][] = [];
      for (let v = 0; v <= d; v++) if (state.inside(plane, v, d - v)) pass.push([v, d - v]);
      if (!pass.length) continue;
      state.enter(plane);
      const chances = pass.map(([v, u]) => {
        state.inputs(v, u, x);
        return probabilities(x, plane, arrays);
      });
      state.fill(pass, readPass(ask, chances));
    }
  }
  reader.close();
  return { scale, state };
}

/** A thumbnail: RGB planes of gh x gw values in 1/16 grey levels, 0..4080. */
export interface Thumbnail {
  readonly rows: number;
  readonly columns: number;
  readonly values: Int32Array;
}

/** The thumbnail of any payload. channels below 3: grey, three equal planes. */
export function decodeThumbnail(
  kernel: Kernel,
  payload: Uint8Array,
  rows: number,
  columns: number,
  channels: number,
  arrays: Tensors,
  whole: boolean,
): Thumbnail {
  const planes = channels < 3 ? 1 : 3;
  const { scale, state } = readWaves(kernel, payload, rows, columns, planes, arrays, whole);
  const down = waves(rows, rows, rows);
  const across = waves(columns, columns, columns);
  const light = RADIUS.map((_, plane) =>
    plane < planes ? planeOf(state, plane, scale, arrays, down, across) : new Float64Array(rows * columns),
  );
  const values = new Int32Array(3 * rows * columns);
  for (let i = 0; i < rows * columns; i++) {
    for (let c = 0; c < 3; c++) {
      const sum = light.reduce((total, plane, p) => total + TO_RGB[3 * c + p]! * plane[i]!, 0);
      values[c * rows * columns + i] = clamp(Math.floor((sum + 2 ** 23) / 2 ** 24), 0, 4080);
    }
  }
  return { rows, columns, values };
}

/** One plane from its waves. Every number stays whole and below 2^53. */
function planeOf(state: State, plane: number, scale: number, arrays: Tensors, down: Float64Array[], across: Float64Array[]) {
  const rows = down.length;
  const columns = across.length;
  const step = arrays.steps!.data[scale]!;
  const mixed = new Float64Array(rows * columns); // [v][x]
  for (let v = 0; v < rows; v++) {
    for (let u = 0; u < columns; u++) {
      const q = state.at(plane, v, u);
      let wave = Math.sign(q) * arrays.levels!.data[16 * plane + Math.min(Math.abs(q), LARGEST)]! * step;
      if (!v && !u) wave = 64 * (q * step + arrays.centres!.data[plane]!);
      if (wave) for (let x = 0; x < columns; x++) mixed[v * columns + x]! += wave * across[u]![x]!;
    }
  }
  const found = new Float64Array(rows * columns);
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      let sum = 0;
      for (let v = 0; v < rows; v++) sum += down[v]![y]! * mixed[v * columns + x]!;
      found[y * columns + x] = Math.floor((sum + 2 ** 23) / 2 ** 24);
    }
  }
  return found;
}

const between = new Map<number, Float64Array>();

/** Weights of one axis in 2^-18, [32 cells][cells]: how much of each cell every pixel takes. */
function enlarging(cells: number): Float64Array {
  let found = between.get(cells);
  if (found) return found;
  const fine = waves(cells, CELL * cells, CELL * cells);
  const own = waves(cells, cells, cells);
  found = new Float64Array(CELL * cells * cells);
  for (let pixel = 0; pixel < CELL * cells; pixel++) {
    for (let x = 0; x < cells; x++) {
      let sum = cells * 2 ** 9;
      for (let u = 0; u < cells; u++) sum += fine[u]![pixel]! * own[u]![x]!;
      found[pixel * cells + x] = Math.floor(sum / (cells * 2 ** 10));
    }
  }
  between.set(cells, found);
  return found;
}

/** The thumbnail enlarged to the padded base picture: u8[32 rows][32 columns][3] at a place of the kernel. */
export function enlargeThumbnail(kernel: Kernel, thumbnail: Thumbnail): number {
  const { rows, columns, values } = thumbnail;
  const width = CELL * columns;
  const across = enlarging(columns);
  const wide = new Float64Array(rows * width * 3); // [y][pixel][colour]
  for (let c = 0; c < 3; c++) {
    for (let y = 0; y < rows; y++) {
      for (let pixel = 0; pixel < width; pixel++) {
        let sum = 0;
        for (let x = 0; x < columns; x++) sum += values[(c * rows + y) * columns + x]! * across[pixel * columns + x]!;
        wide[(y * width + pixel) * 3 + c] = sum;
      }
    }
  }
  const field = kernel.take(CELL * rows * width * 3);
  const from = kernel.put(wide);
  const down = kernel.put(enlarging(rows));
  kernel.call.thumbnail_field!(from, down, rows, 3 * width, field);
  kernel.give(from);
  kernel.give(down);
  return field;
}
