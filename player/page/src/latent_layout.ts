// Which latent chunks a stream has, where they lie and what they need (FORMAT.md, section 8): pure functions of the
// header and of the shape of the network.

import type { Header } from "./container";
import { GRID, gridSize } from "./geometry";
import type { Tensors } from "./weights";

const TILE_PIXELS = [2 ** 20, 2 ** 19, 2 ** 18, 2 ** 17, 2 ** 16]; // base pixels that a chunk of each step covers at most

/**
 * What the weights say of the network: blocks at each scale, of each step its scale and number of latents, and how many
 * blocks look at the state before a step's prior.
 */
export interface Shape {
  readonly blocks: ReadonlyMap<number, number>;
  readonly looks: number;
  readonly steps: readonly { readonly scale: number; readonly latents: number }[];
}

/** A latent chunk: its step (0 is the thumbnail) and its rectangle of base pixels, x1 and y1 excluded. */
export interface Tile {
  readonly step: number;
  readonly x0: number;
  readonly y0: number;
  readonly x1: number;
  readonly y1: number;
}

export function shapeOf(arrays: Tensors): Shape {
  const steps = arrays.steps!;
  return {
    blocks: new Map([32, 16, 8, 4].map((scale, i) => [scale, arrays.blocks!.data[i]!])),
    looks: arrays.looks?.data[0] ?? 0,
    steps: Array.from({ length: steps.shape[0]! }, (_, i) => ({
      scale: steps.data[2 * i]!,
      latents: steps.data[2 * i + 1]!,
    })),
  };
}

/** Every latent chunk of a picture in the order of its index. */
export function tilesOf(header: Header, shape: Shape): Tile[] {
  const { columns, rows } = gridSize(header);
  const tiles: Tile[] = [{ step: 0, x0: 0, y0: 0, x1: GRID * columns, y1: GRID * rows }];
  shape.steps.forEach((_, i) => {
    let across = 1;
    let down = 1;
    while (Math.ceil(columns / across) * Math.ceil(rows / down) * GRID ** 2 > TILE_PIXELS[i]!) {
      if (columns / across >= rows / down) across++;
      else down++;
    }
    const cut = (cells: number, at: number, parts: number) => GRID * Math.floor((cells * at) / parts);
    for (let y = 0; y < down; y++) {
      for (let x = 0; x < across; x++) {
        tiles.push({
          step: i + 1,
          x0: cut(columns, x, across),
          y0: cut(rows, y, down),
          x1: cut(columns, x + 1, across),
          y1: cut(rows, y + 1, down),
        });
      }
    }
  });
  return tiles;
}

function descent(shape: Shape, scale: number, to: number): number {
  let distance = 0;
  while (scale > to) {
    scale /= 2;
    distance += 2 * scale * shape.blocks.get(scale)!;
  }
  return distance;
}

/** How far, in base pixels, latents of `step` change the state before step `until` (above the last: the picture). */
export function reach(shape: Shape, step: number, until: number): number {
  const scaleOf = (at: number) => shape.steps[at - 1]!.scale;
  let scale = scaleOf(step);
  let distance = 0;
  for (let at = step; at < until; at++) {
    distance += descent(shape, scale, scaleOf(at)) + 3 * scaleOf(at);
    scale = scaleOf(at);
  }
  const [last, looks] = until <= shape.steps.length ? [scaleOf(until), shape.looks] : [4, 0];
  return distance + descent(shape, scale, last) + (1 + 2 * looks) * last;
}

/** The latent chunks without which latent chunk `index` cannot be decoded; none for one that there is not. */
export function latentNeeds(tiles: readonly Tile[], shape: Shape, index: number): number[] {
  const own = tiles[index];
  if (!own || !index) return [];
  const needed: number[] = [];
  for (let i = 0; i < index; i++) {
    const other = tiles[i]!;
    if (other.step === 0) needed.push(i);
    if (other.step === 0 || other.step >= own.step) continue;
    const by = reach(shape, other.step, own.step);
    const meets =
      other.x0 - by < own.x1 && own.x0 < other.x1 + by && other.y0 - by < own.y1 && own.y0 < other.y1 + by;
    if (meets) needed.push(i);
  }
  return needed;
}
