// Residual chunks in, a corrected picture out (FORMAT.md, section 9). The state of all cells is kept, in the kernel, so
// a new chunk never decodes old ones again.

import { MAX_LENGTH, type Header } from "./container";
import { BitReader, type Kernel } from "./kernel";
import { four, Layers, rowScratch, type Conv } from "./network";
import { bandShape, CELL, GROUPS, Layout, levelShape, PASSES, reachOf, roleOf, sideOf, type Placed } from "./residual_layout";
import type { Tensor, Tensors, Weights } from "./weights";

const CELL_BYTES = 16 + 36 * 4;
const SHORT = 16; // P(a chunk holds only the beginning of its step), in 2^-16
const COUNT_BITS = 9;
const HALF = 32768;
const FIRST_FILTERED = 3;
const DOUBLED = 4; // groups from here on: the two finest levels
const LUMA_TOPS = [2072, 3923, 9012, 24581, 31751, 43090];

const SHAPES: Record<string, readonly number[]> = {
  blocks: [18, 3, 6, 3, 18],
  weights: [18, 3, 6, 3, 4, 16],
  cuts: [18, 3, 6, 3, 31],
  zero: [18, 3, 6, 3, 2, 32],
  refine: [3, 6, 3, 15, 32],
  sign_weights: [3, 6, 3, 4, 9],
  sign: [3, 6, 3, 16],
};

/** An array of 16-bit numbers with its axes of length 1 repeated to `shape`. */
function spread(data: Tensor["data"], from: readonly number[], shape: readonly number[]): Tensor["data"] {
  const out = new Int16Array(shape.reduce((a, b) => a * b, 1));
  if (data.length === out.length) return data;
  const steps = from.map((size, axis) => (size === 1 ? 0 : from.slice(axis + 1).reduce((a, b) => a * b, 1)));
  const place = shape.map(() => 0);
  for (let at = 0; at < out.length; at++) {
    let source = 0;
    for (let axis = 0; axis < shape.length; axis++) source += place[axis]! * steps[axis]!;
    out[at] = data[source]!;
    for (let axis = shape.length - 1; axis >= 0 && ++place[axis]! === shape[axis]; axis--) place[axis] = 0;
  }
  return out;
}

interface Learned {
  readonly tables: number;
  readonly scratch: number;
  readonly layers: readonly (readonly [Conv, Conv, Conv])[]; // of groups 3, 4, 5
}

function learnedOf(kernel: Kernel, weights: number, residual: Tensors, filter: Tensors): Learned {
  return kernel.lasting(`residual ${weights}`, (take) => {
    const fields = Object.entries(SHAPES).map(([name, shape]) => {
      return kernel.put(spread(residual[name]!.data, residual[name]!.shape, shape), take);
    });
    const tables = take(64);
    fields.push(take(18 * 3 * 6 * 3 * 1024), take(1024));
    kernel.i32(tables, fields.length).set(fields);
    kernel.call.tables_prepare!(tables);
    const layers = new Layers(kernel, take, filter, rowScratch(take, 32));
    return {
      tables,
      scratch: take(kernel.call.passes_scratch!()),
      layers: [3, 4, 5].map((g) => [layers.conv(`${g}.a`), layers.conv(`${g}.b`), layers.conv(`${g}.c`)] as const),
    };
  });
}

interface Job {
  readonly index: number;
  readonly cells: readonly number[];
  readonly reader: BitReader;
  readonly items: readonly (readonly [number, number, number])[]; // pass, plane, group
  readonly raw: boolean;
}

/** What brings a step's units to its last pass: pass by pass. */
function schedule(placed: Placed, done: readonly number[]): [number, number, number][] {
  const items: [number, number, number][] = [];
  for (let number = Math.min(...done); number < placed.stop; number++) {
    placed.units.forEach(([plane, group], i) => {
      if (done[i]! <= number) items.push([number, plane, group]);
    });
  }
  return items;
}

interface Band {
  readonly rows: number;
  readonly columns: number;
  readonly base: number; // i16 in the kernel
}

/** Collects the residual chunks of one picture. Needs the weights `residual` and `residual_filter`. */
export class ResidualDecoder {
  readonly layout: Layout;
  #kernel: Kernel;
  #weights: Weights;
  #learned: Learned | null = null;
  #cells: number[]; // places in the kernel, 0 as long as nothing is known
  #done: Int8Array; // passes made: [cells][planes][groups]
  #whole = new Set<number>();
  #before = new Map<number, Uint8Array[]>(); // of cut chunks: what their cells were, as far as they change it
  #bands: Band[][][] = []; // by plane, group, orientation
  #beyond = false; // whether a coefficient of the base had to be clamped
  #base = 0;
  #planes: number[]; // of the corrected picture, i32 in eighths
  #stale: boolean[];
  #masks: number[]; // where they are exact: 0 nowhere, 1 everywhere, or u8[height][width]
  #filters = new Map<number, Filter>();
  #out = 0;

  constructor(header: Header, kernel: Kernel, weights: Weights) {
    this.layout = new Layout(header);
    this.#kernel = kernel;
    this.#weights = weights;
    const { rows, columns } = this.layout;
    this.#cells = new Array<number>(rows * columns).fill(0);
    this.#done = new Int8Array(rows * columns * header.channels * GROUPS);
    this.#planes = new Array<number>(header.channels).fill(0);
    this.#stale = new Array<boolean>(header.channels).fill(true);
    this.#masks = new Array<number>(header.channels).fill(0);
  }

  /** Takes chunks, those of a step together; whether each was taken. Those that were not change nothing. */
  push(chunks: readonly { index: number; payload: Uint8Array; whole: boolean }[]): boolean[] {
    const taken = chunks.map(() => false);
    const order = [...chunks.keys()].filter((i) => {
      const { index, payload } = chunks[i]!;
      return index >= 0 && index < this.layout.count && payload.length <= MAX_LENGTH;
    });
    order.sort((a, b) => chunks[a]!.index - chunks[b]!.index || Number(chunks[b]!.whole) - Number(chunks[a]!.whole));
    const seen = new Set<number>();
    for (const place of order) {
      const { index, payload, whole } = chunks[place]!;
      if (this.#whole.has(index) || seen.has(index)) {
        taken[place] = true;
        continue;
      }
      if (!this.layout.needs(index).every((need) => this.#whole.has(need))) continue;
      const placed = this.layout.steps[this.layout.step(index)]!;
      const job = this.#open(placed, index, payload, whole);
      if (!job) continue;
      taken[place] = true;
      seen.add(index);
      this.#run(placed, job, whole);
      job.reader.close();
    }
    return taken;
  }

  #doneOf(cell: number, plane: number, group: number): number {
    return this.#done[(cell * this.layout.header.channels + plane) * GROUPS + group]!;
  }

  /** Reads a chunk's first decisions: does it hold its whole step? */
  #open(placed: Placed, index: number, payload: Uint8Array, whole: boolean): Job | null {
    const cells = this.layout.cells(index);
    const items = schedule(placed, placed.units.map(([plane, group]) => this.#doneOf(cells[0]!, plane, group)));
    const reader = new BitReader(this.#kernel, payload, whole);
    if (reader.bit(SHORT) !== 1) return { index, cells, reader, items, raw: false };
    const raw = reader.bit(HALF);
    let count = 0;
    let last = raw;
    for (let i = 0; i < COUNT_BITS && last >= 0; i++) {
      last = reader.bit(HALF);
      count |= last << i;
    }
    if (last < 0) return { index, cells, reader, items: [], raw: false }; // cut within its own head
    if (count < 1 || count >= items.length) {
      reader.close();
      return null;
    }
    return { index, cells, reader, items: items.slice(0, count), raw: raw === 1 };
  }

  #run(placed: Placed, job: Job, whole: boolean): void {
    const kernel = this.#kernel;
    const { channels } = this.layout.header;
    for (const cell of job.cells) this.#cells[cell] ||= this.#newCell(cell);
    const before = this.#before.get(job.index); // came before, cut
    if (before) this.#restore(placed, job, before);
    this.#before.delete(job.index);
    if (!whole) this.#before.set(job.index, this.#saved(placed, job));
    if (job.items.length) {
      this.#learned ??= this.#learn();
      const cells = kernel.put(Int32Array.from(job.cells, (cell) => this.#cells[cell]!));
      const items = kernel.put(Uint8Array.from(job.items.flat()));
      kernel.call.run_items!(
        job.reader.place, this.#learned.tables, this.#learned.scratch, cells, job.cells.length, items, job.items.length,
        channels >= 3 ? 1 : 0, placed.links, job.raw ? 1 : 0,
      ); // prettier-ignore
      kernel.give(cells);
      kernel.give(items);
    }
    for (const [plane] of placed.units) this.#stale[plane] = true;
    if (!whole) return;
    for (const cell of job.cells) {
      for (const [number, plane, group] of job.items) this.#done[(cell * channels + plane) * GROUPS + group] = number + 1;
    }
    this.#whole.add(job.index);
  }

  #learn(): Learned {
    const { weights } = this.layout.header;
    const get = (name: string) => this.#weights.get(weights, name);
    return learnedOf(this.#kernel, weights, get("residual"), get("residual_filter"));
  }

  #newCell(cell: number): number {
    const kernel = this.#kernel;
    const { columns, header } = this.layout;
    const row = Math.floor(cell / columns);
    const place = kernel.zeros(CELL_BYTES);
    const planes = Array.from({ length: header.channels }, () => kernel.take(kernel.call.cell_plane_bytes!()));
    for (const plane of planes) kernel.call.cell_plane_clear!(plane);
    const fields = kernel.i32(place, CELL_BYTES / 4);
    fields.set(planes);
    for (let group = 0; group < GROUPS; group++) {
      for (let o = 0; o < (group ? 3 : 1); o++) {
        const [rows, wide] = this.#share(row, cell - row * columns, group, o);
        fields.set([rows, wide], 4 + (group * 3 + o) * 2);
      }
    }
    return place;
  }

  /** Rows and columns of the picture's coefficients in a band of a cell. */
  #share(row: number, column: number, group: number, orientation: number): [number, number] {
    const { width, height } = this.layout.header;
    const side = sideOf(group);
    const [rows, columns] = bandShape(height, width, group, orientation);
    const part = (length: number, at: number) => Math.min(Math.max(length - at * side, 0), side);
    return [part(rows, row), part(columns, column)];
  }

  /** The places of the parts of a job's cells that its units change. */
  #parts(placed: Placed, job: Job): [number, number][] {
    const parts: [number, number][] = [];
    for (const cell of job.cells) {
      const planes = this.#kernel.i32(this.#cells[cell]!, 4).slice();
      for (const [plane, group] of placed.units) {
        const side = sideOf(group);
        const count = (group ? 3 : 1) * side * side;
        const first = group ? (group === 1 ? 16 : 4 ** (group + 1)) : 0;
        const blocks = group < 3 ? 1 : 2 ** (group - 2);
        const firstBlock = group < 3 ? (group ? 3 * group - 2 : 0) : 3 + 4 ** (group - 2);
        const own = planes[plane]!;
        parts.push([own + 2 * first, 2 * count], [own + 32768 + 2 * first, 2 * count], [own + 65536 + first, count]);
        parts.push([own + 81920 + firstBlock, (group ? 3 : 1) * blocks * blocks]);
      }
    }
    return parts;
  }

  #saved(placed: Placed, job: Job): Uint8Array[] {
    return this.#parts(placed, job).map(([place, bytes]) => this.#kernel.u8(place, bytes).slice());
  }

  #restore(placed: Placed, job: Job, saved: readonly Uint8Array[]): void {
    this.#parts(placed, job).forEach(([place, bytes], i) => this.#kernel.u8(place, bytes).set(saved[i]!));
  }

  // -- the picture --------------------------------------------------------------------------------------------------

  /**
   * The picture that the chunks so far make of the base's exact one, u8[height][width][channels] both, at places of the
   * kernel. `changed`: the base is another one than last time.
   */
  correct(base: number, changed: boolean): number {
    const { header } = this.layout;
    const pixels = header.width * header.height;
    if (changed || this.#base !== base) {
      this.#base = base;
      this.#analyse(base);
      this.#stale.fill(true);
    }
    const untouched = !this.#beyond && this.#cells.every((cell) => !cell);
    if (untouched) return base;
    for (let plane = 0; plane < header.channels; plane++) {
      if (this.#stale[plane]) this.#plane(plane);
      this.#stale[plane] = false;
    }
    const kernel = this.#kernel;
    this.#out ||= kernel.take(pixels * header.channels);
    const planes = kernel.put(Int32Array.of(...this.#planes, 0, 0, 0));
    const masks = kernel.put(Int32Array.of(...this.#masks, 0, 0, 0));
    kernel.call.shown!(planes, masks, pixels, header.channels, this.#out);
    kernel.give(planes);
    kernel.give(masks);
    return this.#out;
  }

  /** The base's bands. */
  #analyse(base: number): void {
    const kernel = this.#kernel;
    const { width, height, channels } = this.layout.header;
    const pixels = width * height;
    const planes = kernel.take(4 * pixels * channels);
    kernel.call.forward_colour!(base, pixels, channels, planes, 4 * pixels);
    const scratch = kernel.take(kernel.call.level_scratch!(height, width));
    const bands = kernel.take(4 * pixels + 64);
    this.#beyond = false;
    for (let plane = 0; plane < channels; plane++) {
      this.#bands[plane] ??= this.#emptyBands();
      const from = planes + 4 * pixels * plane;
      for (let group = GROUPS - 1; group > 0; group--) {
        const [high, wide] = levelShape(height, width, group);
        const [low, narrow] = levelShape(height, width, group - 1);
        const hl = bands;
        const lh = hl + 4 * low * (wide - narrow);
        const hh = lh + 4 * (high - low) * narrow;
        kernel.call.level_analyse!(from, high, wide, group >= DOUBLED ? 1 : 0, scratch, from, hl, lh, hh);
        [hl, lh, hh].forEach((place, o) => this.#keep(plane, group, o, place));
      }
      this.#keep(plane, 0, 0, from);
    }
    for (const place of [planes, scratch, bands]) kernel.give(place);
  }

  #emptyBands(): Band[][] {
    const { width, height } = this.layout.header;
    return Array.from({ length: GROUPS }, (_, group) =>
      Array.from({ length: group ? 3 : 1 }, (_, o) => {
        const [rows, columns] = bandShape(height, width, group, o);
        return { rows, columns, base: this.#kernel.take(2 * rows * columns) };
      }),
    );
  }

  #keep(plane: number, group: number, orientation: number, from: number): void {
    const { rows, columns, base } = this.#bands[plane]![group]![orientation]!;
    if (this.#kernel.call.keep_band!(from, rows * columns, base)) this.#beyond = true;
  }

  /** Makes a plane of the corrected picture anew, and notes which of its pixels are exact. */
  #plane(plane: number): void {
    const kernel = this.#kernel;
    const { width, height } = this.layout.header;
    const pixels = width * height;
    this.#noteExact(plane);
    const mask = this.#masks[plane]!;
    this.#planes[plane] ||= kernel.take(4 * pixels + 64);
    const out = this.#planes[plane]!;
    if (mask === 1) {
      this.#synthesise(plane, out, false);
      kernel.call.shift_all!(out, pixels, 3);
      return;
    }
    this.#synthesise(plane, out, true);
    if (!mask) return;
    const exact = kernel.take(4 * pixels + 64);
    this.#synthesise(plane, exact, false);
    kernel.call.take_exact!(mask, pixels, exact, out);
    kernel.give(exact);
  }

  #isKnown(plane: number, group: number, cell: number): boolean {
    if (this.#doneOf(cell, plane, group) < PASSES) return false;
    return this.#kernel.call.group_known!(this.#cells[cell]!, plane, group) === 1;
  }

  #isBegun(plane: number, cell: number): boolean {
    if (!this.#cells[cell]) return false;
    for (let group = 0; group < GROUPS; group++) if (this.#doneOf(cell, plane, group)) return true;
    return this.#kernel.call.any_block!(this.#cells[cell]!, plane) === 1;
  }

  /** Pixels are exact that no coefficient reaches which is not known whole and whose cell is begun. */
  #noteExact(plane: number): void {
    const kernel = this.#kernel;
    const { width, height } = this.layout.header;
    if (this.#masks[plane]! > 1) kernel.give(this.#masks[plane]!);
    this.#masks[plane] = 1;
    let mask = 0;
    for (let cell = 0; cell < this.#cells.length; cell++) {
      if (!this.#isBegun(plane, cell)) continue;
      const row = Math.floor(cell / this.layout.columns);
      const column = cell - row * this.layout.columns;
      for (let group = 0; group < GROUPS; group++) {
        if (this.#isKnown(plane, group, cell)) continue;
        const far = reachOf(group, false);
        if (!mask) {
          mask = kernel.take(width * height);
          kernel.call.fill!(mask, 1, width * height);
        }
        const [y0, y1] = [Math.max(0, row * CELL - far), Math.min(height, (row + 1) * CELL + far)];
        const [x0, x1] = [Math.max(0, column * CELL - far), Math.min(width, (column + 1) * CELL + far)];
        kernel.call.fill_rectangle!(mask, width, y0, y1, x0, x1, 0);
        if (group < 2) break; // reaches as far as any
      }
    }
    if (!mask) return;
    this.#masks[plane] = mask;
    if (kernel.call.any_set!(mask, width * height)) return;
    kernel.give(mask);
    this.#masks[plane] = 0;
  }

  /** The plane of the coefficients as they are known: of all of them in eighths if `smooth`, else without those bits. */
  #synthesise(plane: number, out: number, smooth: boolean): void {
    const kernel = this.#kernel;
    const { width, height } = this.layout.header;
    const scratch = kernel.take(kernel.call.level_scratch!(height, width));
    const details = kernel.take(4 * width * height + 64);
    let low = kernel.take(4 * width * height + 64);
    let next = out;
    this.#band(plane, 0, 0, low, smooth);
    for (let group = 1; group < GROUPS; group++) {
      const [high, wide] = levelShape(height, width, group);
      const bands = this.#bands[plane]![group]!;
      const places: number[] = [];
      let at = details;
      for (const { rows, columns } of bands) {
        places.push(at);
        at += 4 * rows * columns;
      }
      places.forEach((place, o) => this.#band(plane, group, o, place, smooth));
      if (smooth && plane === 0 && group >= FIRST_FILTERED) this.#filter(group, low, places);
      kernel.call.level_synthesise!(
        low, ...places, high, wide, group >= DOUBLED ? 1 : 0, smooth ? 1 : 0, scratch, next,
      ); // prettier-ignore
      [low, next] = [next, low];
    }
    // five levels: the last one went to `out`
    for (const place of [scratch, details, next]) kernel.give(place);
  }

  #band(plane: number, group: number, orientation: number, to: number, smooth: boolean): void {
    const kernel = this.#kernel;
    const { rows, columns, base } = this.#bands[plane]![group]![orientation]!;
    const role = roleOf(this.layout.header.channels, plane);
    const side = sideOf(group);
    this.#cells.forEach((cell, i) => {
      const row = Math.floor(i / this.layout.columns);
      const first = row * side * columns + (i - row * this.layout.columns) * side;
      const [high, wide] = this.#share(row, i - row * this.layout.columns, group, orientation);
      if (!high || !wide) return;
      kernel.call.cell_band!(
        cell, plane, role, group, orientation, this.#doneOf(i, plane, group), high, wide, base + 2 * first, columns,
        to + 4 * first,
      ); // prettier-ignore
    });
    if (!smooth) kernel.call.shift_all!(to, rows * columns, -3);
  }

  // -- the filter ---------------------------------------------------------------------------------------------------

  /** Moves luma's bands of a group, at `places`, within what is known, given the low band. */
  #filter(group: number, low: number, places: readonly number[]): void {
    const active = this.#cells.map((cell, i) => {
      const passes = this.#doneOf(i, 0, group);
      const threshold = LUMA_TOPS[group]! >> passes;
      return cell > 0 && passes > 0 && threshold >= 4 && threshold < 256;
    });
    if (!active.includes(true)) return;
    this.#learned ??= this.#learn();
    let filter = this.#filters.get(group);
    if (!filter) {
      filter = new Filter(this.#kernel, this.layout, group, this.#learned.layers[group - FIRST_FILTERED]!);
      this.#filters.set(group, filter);
    }
    const base = this.#bands[0]![group]!.map((band) => band.base);
    filter.apply(low, [...places, ...base], this.#cells, active, (cell) => this.#doneOf(cell, 0, group));
  }

  /** bool[rows][columns] of the 128x128 squares: whether all pixels are exact, given the base. */
  exactCells(): boolean[] {
    const { rows, columns, header } = this.layout;
    const known = this.#cells.map((cell, i) => {
      if (!cell) return false;
      for (let plane = 0; plane < header.channels; plane++) {
        for (let group = 0; group < GROUPS; group++) if (!this.#isKnown(plane, group, i)) return false;
      }
      return true;
    });
    return known.map((_, i) => {
      const row = Math.floor(i / columns);
      const column = i - row * columns;
      for (let y = Math.max(0, row - 2); y <= Math.min(rows - 1, row + 2); y++) {
        for (let x = Math.max(0, column - 2); x <= Math.min(columns - 1, column + 2); x++) {
          if (!known[y * columns + x]) return false;
        }
      }
      return true;
    });
  }
}

/** Positions of a band: y0, y1, x0, x1, ends excluded. */
type Box = readonly [number, number, number, number];

const NOTHING: Box = [0, 0, 0, 0];
const isEmpty = ([y0, y1, x0, x1]: Box) => y0 >= y1 || x0 >= x1;
const meeting = (a: Box, b: Box): Box => [Math.max(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[2], b[2]), Math.min(a[3], b[3])];

function joined(a: Box, b: Box): Box {
  if (isEmpty(a)) return b;
  return [Math.min(a[0], b[0]), Math.max(a[1], b[1]), Math.min(a[2], b[2]), Math.max(a[3], b[3])];
}

/** The filter over one group of luma: computed again only where its inputs have changed. */
class Filter {
  #kernel: Kernel;
  #layout: Layout;
  #group: number;
  #layers: readonly [Conv, Conv, Conv];
  #rows: number;
  #columns: number;
  #inputs: number;
  #moves: number;
  #level: number;
  #stale: Box[]; // positions of each cell whose outcome is to be computed anew

  constructor(kernel: Kernel, layout: Layout, group: number, layers: readonly [Conv, Conv, Conv]) {
    this.#kernel = kernel;
    this.#layout = layout;
    this.#group = group;
    this.#layers = layers;
    [this.#rows, this.#columns] = levelShape(layout.header.height, layout.header.width, group - 1);
    this.#inputs = this.#state(7);
    this.#moves = this.#state(3);
    this.#level = kernel.take(48);
    this.#stale = Array.from({ length: layout.rows * layout.columns }, (_, cell) => this.#box(cell));
  }

  #state(channels: number): number {
    return this.#kernel.zeros((this.#rows + 2) * (this.#columns + 2) * four(channels) * 2);
  }

  /** bands: places of HL, LH, HH in eighths, then the base's. */
  apply(low: number, bands: number[], cells: number[], active: boolean[], passes: (cell: number) => number): void {
    const kernel = this.#kernel;
    const { call } = kernel;
    const group = this.#group;
    const [high, wide] = levelShape(this.#layout.header.height, this.#layout.header.width, group);
    const sums = kernel.take(4 * this.#rows * this.#columns);
    const scratch = kernel.take(4 * this.#columns);
    call.filter_sums!(low, this.#rows, this.#columns, scratch, sums);
    const places = kernel.put(Int32Array.from(bands));
    kernel
      .i32(this.#level, 8)
      .set([low, sums, places, this.#rows, this.#columns, high - this.#rows, wide - this.#columns, this.#inputs]);
    const boxes = cells.map((_, cell) => this.#box(cell));
    boxes.forEach((box, cell) => {
      if (!call.filter_inputs!(this.#level, group, passes(cell), ...box)) return;
      const changed = kernel.i32(this.#level, 12).subarray(8);
      this.#forget(cell, [changed[0]! - 2, changed[1]! + 2, changed[2]! - 2, changed[3]! + 2]);
    });
    const first = this.#state(this.#layers[0].outputs);
    const second = this.#state(this.#layers[1].outputs);
    const layers = this.#layers.map((layer) => layer.place);
    this.#stale.forEach((box, cell) => {
      if (!active[cell] || isEmpty(box)) return;
      call.filter_network!(this.#level, ...layers, ...box, first, second, this.#moves);
      this.#stale[cell] = NOTHING;
    });
    boxes.forEach(([y0, , x0], cell) => {
      if (active[cell]) call.filter_move!(this.#level, cells[cell]!, group, passes(cell), this.#moves, y0, x0);
    });
    for (const place of [sums, scratch, places, first, second]) kernel.give(place);
  }

  /** The positions of a cell: y0, y1, x0, x1. */
  #box(cell: number): Box {
    const side = sideOf(this.#group);
    const row = Math.floor(cell / this.#layout.columns);
    const column = cell - row * this.#layout.columns;
    const end = (at: number, size: number) => Math.min((at + 1) * side, size);
    const start = (at: number, size: number) => Math.min(at * side, size);
    return [start(row, this.#rows), end(row, this.#rows), start(column, this.#columns), end(column, this.#columns)];
  }

  /** Outcomes within `box` are to be computed anew: what changed in a cell reaches only into the next ones. */
  #forget(cell: number, box: Box): void {
    const { rows, columns } = this.#layout;
    const row = Math.floor(cell / columns);
    const column = cell - row * columns;
    for (let y = Math.max(0, row - 1); y <= Math.min(rows - 1, row + 1); y++) {
      for (let x = Math.max(0, column - 1); x <= Math.min(columns - 1, column + 1); x++) {
        const at = y * columns + x;
        const part = meeting(box, this.#box(at));
        if (!isEmpty(part)) this.#stale[at] = joined(this.#stale[at]!, part);
      }
    }
  }
}
