// Which steps, chunks and cells a picture's residual has, and which chunk needs which (FORMAT.md, section 9): pure
// functions of the header.

import type { Header } from "./container";

export const CELL = 128;
export const GROUPS = 6;
export const PASSES = 18;
const LEVELS = 5;
const LUMA = 1;
const COLOUR = 2;
const ALPHA = 4;
const SPARE = 6;

interface Step {
  readonly stop: number; // the pass behind the last; what earlier chunks left of those before comes first
  readonly parts: number;
  readonly groups: readonly [number, number];
  readonly across: number; // cells a side of a chunk
  readonly late: boolean; // part of the one chain at the end, whose contexts may see all colour planes
}

const EVERY = [0, 6] as const;
const COARSE = [0, 5] as const;
const FINE = [5, 6] as const;
const step = (stop: number, parts: number, groups: readonly [number, number], across = 1, late = false): Step => {
  return { stop, parts, groups, across, late };
};

const STEPS: readonly Step[] = [
  step(9, LUMA | COLOUR | ALPHA, EVERY, 2),
  step(10, COLOUR, EVERY, 2),
  step(10, LUMA, COARSE, 2),
  step(11, ALPHA, EVERY),
  step(11, LUMA, FINE, 2),
  step(11, COLOUR, EVERY, 2),
  step(11, LUMA, COARSE),
  step(12, COLOUR, EVERY),
  step(12, LUMA, FINE, 2),
  step(12, LUMA, COARSE),
  step(13, ALPHA, EVERY),
  step(13, COLOUR, EVERY),
  step(13, LUMA, FINE),
  step(13, LUMA, COARSE),
  step(14, LUMA, EVERY, 1, true),
  step(14, COLOUR, EVERY, 1, true),
  step(18, LUMA, EVERY, 1, true),
  step(15, COLOUR, EVERY, 1, true),
  step(18, COLOUR, EVERY, 1, true),
  step(18, ALPHA, EVERY, 1, true),
  ...new Array<Step>(SPARE).fill(step(18, LUMA | COLOUR | ALPHA, EVERY, 1, true)),
];

/** A step of a picture: its units [plane, group] in order, what its contexts may see, which steps it needs. */
export interface Placed {
  readonly stop: number;
  readonly units: readonly (readonly [number, number])[];
  readonly links: number; // bit 6 plane + group
  readonly needs: readonly number[]; // places in Layout.steps
  readonly first: number; // index of its first chunk
  readonly across: number; // cells a side of a chunk
  readonly columns: number; // chunks in a row
}


/** The role of a plane: 0 luma, grey and alpha, 1 Co, 2 Cg. */
export function roleOf(channels: number, plane: number): number {
  return channels >= 3 && plane < 3 ? plane : 0;
}

function unitsOf(parts: number, groups: readonly [number, number], channels: number): [number, number][] {
  const planes: number[] = [];
  if (parts & LUMA) planes.push(0);
  if (parts & COLOUR && channels >= 3) planes.push(1, 2);
  if (parts & ALPHA && channels % 2 === 0) planes.push(channels - 1);
  const units: [number, number][] = [];
  for (let group = groups[0]; group < groups[1]; group++) for (const plane of planes) units.push([plane, group]);
  return units;
}

const bitOf = ([plane, group]: readonly [number, number]) => GROUPS * plane + group;

/** Rows or columns of a band: `length` after so many splits, all of them low but the last one if `high`. */
function halved(length: number, levels: number, high: boolean): number {
  for (let i = 1; i < levels; i++) length = (length + 1) >> 1;
  return high ? length >> 1 : (length + 1) >> 1;
}

/** Rows and columns of one band of a plane. */
export function bandShape(height: number, width: number, group: number, orientation: number): [number, number] {
  const levels = LEVELS - Math.max(group - 1, 0);
  const highX = group > 0 && orientation !== 1;
  const highY = group > 0 && orientation !== 0;
  return [halved(height, levels, highY), halved(width, levels, highX)];
}

/** Rows and columns of the plane that the bands of a group and the low band below them make. */
export function levelShape(height: number, width: number, group: number): [number, number] {
  let shape: [number, number] = [height, width];
  for (let i = group; i < GROUPS - 1; i++) shape = [(shape[0] + 1) >> 1, (shape[1] + 1) >> 1];
  return shape;
}

/** Coefficients a side of a cell's band. */
export function sideOf(group: number): number {
  return group < 2 ? 4 : 2 << group;
}

/** Pixels beyond its own 2^level that a coefficient can change; filtered: luma, whose filter spreads it further. */
export function reachOf(group: number, filtered: boolean): number {
  const own = GROUPS - Math.max(group, 1);
  let pixels = 0;
  for (let level = own; level > 0; level--) {
    const seen = filtered && level <= 3;
    pixels += seen ? 4 << level : 0;
    pixels += (seen || level === own ? 6 : 3) << (level - 1);
  }
  return pixels;
}

/** How far a pixel of the base can change the corrected picture. */
export const BASE_REACH = 6 * (2 ** LEVELS - 1) + reachOf(1, true);

/** The cells, steps and chunks of a picture. */
export class Layout {
  readonly rows: number;
  readonly columns: number;
  readonly steps: readonly Placed[];
  readonly count: number;

  constructor(readonly header: Header) {
    this.columns = Math.ceil(header.width / CELL);
    this.rows = Math.ceil(header.height / CELL);
    const placed: Placed[] = [];
    const latest = new Map<number, number>();
    let chain = -1;
    let first = 0;
    for (const each of STEPS) {
      const units = unitsOf(each.parts, each.groups, header.channels);
      if (!units.length) continue;
      const linked = new Set(units.map(bitOf));
      const chained = each.late && each.parts !== ALPHA;
      if (chained) for (const unit of unitsOf(LUMA | COLOUR, EVERY, header.channels)) linked.add(bitOf(unit));
      const needs = new Set<number>();
      for (const bit of linked) if (latest.has(bit)) needs.add(latest.get(bit)!);
      if (chained && chain >= 0) needs.add(chain);
      if (chained) chain = placed.length;
      for (const unit of units) latest.set(bitOf(unit), placed.length);
      const columns = Math.ceil(this.columns / each.across);
      placed.push({
        stop: each.stop,
        units,
        links: [...linked].reduce((bits, bit) => bits | (1 << bit), 0),
        needs: [...needs],
        first,
        across: each.across,
        columns,
      });
      first += columns * Math.ceil(this.rows / each.across);
    }
    this.steps = placed;
    this.count = first;
  }

  /** Number of the step of a chunk 0..count - 1. */
  step(index: number): number {
    let number = 0;
    while (number + 1 < this.steps.length && this.steps[number + 1]!.first <= index) number++;
    return number;
  }

  /** The cells of a chunk: first column and row, the column and row behind the last. */
  box(index: number): { x0: number; y0: number; x1: number; y1: number } {
    const { first, across, columns } = this.steps[this.step(index)]!;
    const row = Math.floor((index - first) / columns);
    const x = (index - first - row * columns) * across;
    const y = row * across;
    return { x0: x, y0: y, x1: Math.min(x + across, this.columns), y1: Math.min(y + across, this.rows) };
  }

  /** The numbers of a chunk's cells, by rows. */
  cells(index: number): number[] {
    const { x0, y0, x1, y1 } = this.box(index);
    const found: number[] = [];
    for (let y = y0; y < y1; y++) for (let x = x0; x < x1; x++) found.push(y * this.columns + x);
    return found;
  }

  /** The chunks that a chunk builds on directly; none for one that there is not. */
  needs(index: number): number[] {
    if (index < 0 || index >= this.count) return [];
    const { x0, y0, x1, y1 } = this.box(index);
    const found: number[] = [];
    for (const needed of this.steps[this.step(index)]!.needs) {
      const { first, across, columns } = this.steps[needed]!;
      for (let row = Math.floor(y0 / across); row <= Math.floor((y1 - 1) / across); row++) {
        for (let column = Math.floor(x0 / across); column <= Math.floor((x1 - 1) / across); column++) {
          found.push(first + row * columns + column);
        }
      }
    }
    return found;
  }

  /** The pixels that a chunk can change. */
  area(index: number): { x0: number; y0: number; x1: number; y1: number } {
    const far = Math.max(...this.steps[this.step(index)]!.units.map(([plane, group]) => reachOf(group, plane === 0)));
    const { x0, y0, x1, y1 } = this.box(index);
    return {
      x0: Math.max(0, x0 * CELL - far),
      y0: Math.max(0, y0 * CELL - far),
      x1: Math.min(this.header.width, x1 * CELL + far),
      y1: Math.min(this.header.height, y1 * CELL + far),
    };
  }
}
