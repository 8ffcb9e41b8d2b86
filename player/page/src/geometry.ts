// The base picture's shape: the photo reduced by a power of two until its longer side is at most 1024 (FORMAT.md, 8).

import type { Header } from "./container";

const MAX_BASE_SIDE = 1024;
export const GRID = 32; // base pixels a side of one position of the coarsest grid

/** k: the base picture is the photo reduced by 2^k. */
export function reduction(header: Header): number {
  let k = 0;
  while (Math.ceil(Math.max(header.width, header.height) / 2 ** k) > MAX_BASE_SIDE) k++;
  return k;
}

/** Pixels of the base picture. */
export function baseSize(header: Header): { width: number; height: number } {
  const part = 2 ** reduction(header);
  return { width: Math.ceil(header.width / part), height: Math.ceil(header.height / part) };
}

/** Positions `cell` base pixels apart, the base picture padded to multiples of 32. */
export function gridSize(header: Header, cell = GRID): { columns: number; rows: number } {
  const { width, height } = baseSize(header);
  return { columns: Math.ceil(width / GRID) * (GRID / cell), rows: Math.ceil(height / GRID) * (GRID / cell) };
}
