// What stands where: boxes on a 16x16 grid with a phrase or a texture code (FORMAT.md, section 6).

import type { Caption } from "./caption";
import { FormatError, type Header } from "./container";

const GRID = 16;
const MAX_ENTRIES = 64;
const LONG = 63;
const PHRASE = 0;
const TEXTURE = 1;

/** A phrase about what is in a box, or an opaque code of its surface. Pixels, the ends excluded. */
export interface Region {
  readonly x0: number;
  readonly y0: number;
  readonly x1: number;
  readonly y1: number;
  readonly phrase?: string;
  readonly texture?: Uint8Array;
}

/** The entries of a chunk; of a cut payload those that are complete. `phrase` reads a caption. Throws FormatError. */
export function decodeRegions(
  payload: Uint8Array,
  header: Header,
  whole: boolean,
  phrase: (payload: Uint8Array) => Caption,
): Region[] {
  if (!payload.length) {
    if (whole) throw new FormatError("regions offset 0: empty");
    return [];
  }
  if (payload[0] !== 0) throw new FormatError(`regions offset 0: version ${payload[0]}; a later layercast reads it`);
  const found: Region[] = [];
  let at = 1;
  for (let count = 1; at < payload.length; count++) {
    const kind = payload[at]! >> 6;
    let length = payload[at]! & LONG;
    let start = at + 1;
    let cut = false;
    if (length === LONG) {
      cut = start >= payload.length;
      length = LONG + (payload[start] ?? 0);
      start += 1;
    }
    const end = start + 2 + length;
    if (cut || end > payload.length) {
      if (!whole) break;
      throw new FormatError(`regions offset ${at}: the entry runs past the end`);
    }
    if (count > MAX_ENTRIES) throw new FormatError(`regions offset ${at}: more than ${MAX_ENTRIES} entries`);
    const box = boxAt(payload, start, header);
    const data = payload.slice(start + 2, end);
    if (kind === PHRASE) found.push({ ...box, phrase: phrase(data).text });
    else if (kind === TEXTURE) found.push({ ...box, texture: data });
    at = end;
  }
  return found;
}

function boxAt(payload: Uint8Array, at: number, header: Header): Region {
  const x0 = payload[at]! >> 4;
  const x1 = payload[at]! & 15;
  const y0 = payload[at + 1]! >> 4;
  const y1 = payload[at + 1]! & 15;
  if (x0 > x1 || y0 > y1) throw new FormatError(`regions offset ${at}: no box`);
  return {
    x0: Math.floor((x0 * header.width) / GRID),
    y0: Math.floor((y0 * header.height) / GRID),
    x1: Math.ceil(((x1 + 1) * header.width) / GRID),
    y1: Math.ceil(((y1 + 1) * header.height) / GRID),
  };
}
