// The passes over the residual's coefficients (FORMAT.md, section 9): which decisions are made about a cell, in which
// order, with which probabilities. A chunk's cells are worked on together, item by item (pass, plane, group).

import { Reader, reader_bit } from "./bits";
import {
  block_place_of, blocks_of, count_of, FEATURES, FINE, GROUPS, LIMIT, place_of, side_of, SIGN_FEATURES, Tables, top_of,
} from "./tables";

// A plane of a cell: low i16[16384], high i16[16384], sign i8[16384], open u8[259] (blocks). Coefficients and blocks by
// group, orientation, row, column.
const HIGH: usize = 32768;
const SIGN: usize = 65536;
export const OPEN: usize = 81920;
const PLANE_BYTES: i32 = 82192;

// A cell: the places of its planes (4), then rows and columns of the picture's coefficients by group and orientation.
// @ts-ignore: decorator
@inline export function plane_of(cell: usize, plane: i32): usize {
  return load<usize>(cell + (<usize>plane << 2));
}

// @ts-ignore: decorator
@inline export function rows_of(cell: usize, group: i32, orientation: i32): i32 {
  return load<i32>(cell + (<usize>(group * 3 + orientation) << 3), 16);
}

// @ts-ignore: decorator
@inline export function columns_of(cell: usize, group: i32, orientation: i32): i32 {
  return load<i32>(cell + (<usize>(group * 3 + orientation) << 3), 20);
}

/** Bytes of a plane of a cell. */
export function cell_plane_bytes(): i32 {
  return PLANE_BYTES;
}

/** Makes a plane of a cell one of which nothing is known. */
export function cell_plane_clear(place: usize): void {
  memory.fill(place, 0, PLANE_BYTES);
  for (let at = place + HIGH, end = place + SIGN; at < end; at += 16) v128.store(at, i16x8.splat(1));
}

// What is prepared for one cell of a unit, bands of a group one behind the other. Frames have a margin of 2.
const FRAME: usize = 68 * 68 * 3 * 2;
const BANDS: usize = 64 * 64 * 3 * 2;
const LOGS: usize = 0;
const SIGNED: usize = LOGS + FRAME;
const RING: usize = SIGNED + FRAME; // 5x5 less its inner 3x3
const SQUARE: usize = RING + BANDS; // 3x3
const PARENT: usize = SQUARE + BANDS; // logs, 3x3, signed: a quarter of the size each
const PARENT_STEP: usize = BANDS >> 2;
const OTHERS: usize = PARENT + 3 * PARENT_STEP; // two planes: logs, 3x3, signed
const FRESH: usize = OTHERS + 6 * BANDS;
const BORN: usize = FRESH + 192; // i32 places (orientation, row, column) of the phase's new coefficients
const MOVED: usize = BORN + 4 * 3072; // and of all whose interval it halved
const COUNTS: usize = MOVED + 4 * 3072; // how many of each; whether any interval is open
const ROOM: usize = COUNTS + 16;
const SPARE: usize = 4096 * 4; // rows, a frame of other bands

/** Bytes of scratch for chunks of up to 4 cells. */
export function passes_scratch(): i32 {
  const bytes: usize = 4 * ROOM + SPARE + FRAME;
  return <i32>bytes;
}

const PHASE_ROWS: StaticArray<i32> = [0, 1, 0, 1];
const PHASE_COLUMNS: StaticArray<i32> = [0, 1, 1, 0];

// The unit that is being worked on; nothing here outlives a call of `run_items`.
let tables: Tables = changetype<Tables>(0);
let reader: Reader = changetype<Reader>(0);
let scratch: usize = 0;
let spare: usize = 0;
let raw: i32 = 0;
let number: i32 = 0;
let plane: i32 = 0;
let group: i32 = 0;
let role: i32 = 0;
let others: i32 = 0; // planes before this one that contexts may see: bits 0 and 1
let parent: i32 = 0; // whether they may see the parent's group

// @ts-ignore: decorator
@inline function ask(p: u32): i32 {
  return reader_bit(reader, raw ? 32768 : p);
}

/**
 * Makes the decisions of `count` items (u8 pass, plane, group) for `n` cells at `cells`. colour: the first three planes
 * are Y, Co, Cg. links: bit 6 plane + group for each that contexts may see. plain: all probabilities are 32768.
 */
export function run_items(
  from: Reader, learned: Tables, room: usize, cells: usize, n: i32, items: usize, count: i32, colour: i32, links: i32,
  plain: i32,
): void {
  reader = from;
  tables = learned;
  scratch = room;
  spare = room + 4 * ROOM;
  raw = plain;
  for (let i = 0; i < count && !from.dry; i++, items += 3) {
    number = load<u8>(items);
    plane = load<u8>(items, 1);
    group = load<u8>(items, 2);
    role = colour && plane < 3 ? plane : 0;
    parent = group >= 2 ? (links >> (plane * GROUPS + group - 1)) & 1 : 0;
    others = 0;
    for (let other = 0; other < role; other++) others |= ((links >> (other * GROUPS + group)) & 1) << other;
    run_unit(cells, n);
  }
}

// @ts-ignore: decorator
@inline function cell_at(cells: usize, i: i32): usize {
  return load<usize>(cells + (<usize>i << 2));
}

function run_unit(cells: usize, n: i32): void {
  for (let i = 0; i < n; i++) {
    if (!open_blocks(cell_at(cells, i), scratch + <usize>i * ROOM)) return;
  }
  let any = false;
  for (let i = 0; i < n; i++) {
    const room = scratch + <usize>i * ROOM, halving = any_open(plane_of(cell_at(cells, i), plane));
    store<i32>(room + COUNTS, halving, 8);
    if (!halving) continue;
    look_around(cell_at(cells, i), room);
    any = true;
  }
  if (!any) return;
  for (let phase = 0; phase < 4; phase++) {
    for (let i = 0; i < n; i++) {
      const room = scratch + <usize>i * ROOM;
      store<i64>(room + COUNTS, 0);
      if (load<i32>(room + COUNTS, 8)) halve(plane_of(cell_at(cells, i), plane), room, phase);
    }
    for (let i = 0; i < n && !reader.dry; i++) {
      tell_signs(plane_of(cell_at(cells, i), plane), scratch + <usize>i * ROOM, phase);
    }
    if (reader.dry) return;
    for (let i = 0; i < n; i++) refresh(plane_of(cell_at(cells, i), plane), scratch + <usize>i * ROOM);
  }
}

// -- blocks -------------------------------------------------------------------------------------------------------

// Asks of closed blocks whether they open, and gives the coefficients of those that do their first interval. False
// where nothing more can be told.
function open_blocks(cell: usize, room: usize): bool {
  const side = side_of(group), blocks = blocks_of(group), size = side / blocks, count = count_of(group);
  const own = plane_of(cell, plane), open = own + OPEN + <usize>block_place_of(group);
  const square = blocks * blocks, fresh = room + FRESH;
  memory.fill(fresh, 0, <usize>(count * square));
  let more = true;
  for (let o = 0; o < count && more; o++) {
    const top = top_of(role, group, o) >> number;
    if (top < 1 || top >= LIMIT) continue;
    const rows = rows_of(cell, group, o), columns = columns_of(cell, group, o);
    const chances = tables.blocks + <usize>((((number * 3 + role) * GROUPS + group) * 3 + o) * 18 * 2);
    for (let y = 0; y < blocks && more && y * size < rows; y++) {
      for (let x = 0; x < blocks && x * size < columns; x++) {
        const at = o * square + y * blocks + x;
        if (load<u8>(open + at)) continue;
        const bit = ask(load<u16>(chances + (<usize>block_context(cell, open, o, y, x, blocks, count) << 1)));
        if (bit < 0) {
          more = false;
          break;
        }
        store<u8>(fresh + at, <u8>bit);
      }
    }
  }
  for (let o = 0; o < count; o++) {
    const top = <i16>((top_of(role, group, o) >> number) + 1);
    const high = own + HIGH + (<usize>(place_of(group) + o * side * side) << 1);
    const rows = rows_of(cell, group, o), columns = columns_of(cell, group, o);
    for (let at = 0; at < square; at++) {
      if (!load<u8>(fresh + <usize>(o * square + at))) continue;
      store<u8>(open + <usize>(o * square + at), 1);
      const y0 = at / blocks * size, x0 = at % blocks * size;
      for (let y = y0; y < min(y0 + size, rows); y++) {
        for (let x = x0; x < min(x0 + size, columns); x++) store<i16>(high + (<usize>(y * side + x) << 1), top);
      }
    }
  }
  return more;
}

// 0..17 by what is open around: neighbours (0, 1, more), sister bands (0, 1, 2), the parent's block
function block_context(cell: usize, open: usize, o: i32, y: i32, x: i32, blocks: i32, count: i32): i32 {
  const square = blocks * blocks, own = open + <usize>(o * square + y * blocks + x);
  let beside = 0;
  if (x > 0) beside += load<u8>(own - 1);
  if (x + 1 < blocks) beside += load<u8>(own + 1);
  if (y > 0) beside += load<u8>(own - blocks);
  if (y + 1 < blocks) beside += load<u8>(own + blocks);
  let sisters = 0;
  for (let other = 0; other < count; other++) {
    if (other != o) sisters += load<u8>(open + <usize>(other * square + y * blocks + x));
  }
  let context = (min(beside, 2) * 3 + sisters) * 2;
  if (parent) {
    const theirs = blocks_of(group - 1), half = theirs < blocks ? 1 : 0;
    const place = block_place_of(group - 1) + (o * theirs + (y >> half)) * theirs + (x >> half);
    context += load<u8>(plane_of(cell, plane) + OPEN + <usize>place);
  }
  return context;
}

function any_open(own: usize): i32 {
  const side = side_of(group);
  let low = own + (<usize>place_of(group) << 1);
  for (const end = low + (<usize>(count_of(group) * side * side) << 1); low < end; low += 16) {
    const size = i16x8.sub(v128.load(low + HIGH), v128.load(low));
    if (v128.any_true(i16x8.gt_s(size, i16x8.splat(1)))) return 1;
  }
  return 0;
}

// -- contexts -----------------------------------------------------------------------------------------------------

// the magnitude low..high - 1 on the logarithmic scale of this pass
// @ts-ignore: decorator
@inline function logarithm(low: i32, high: i32, scale: f64, top: f64): i32 {
  return load<u8>(tables.logs + <usize>min(1023, <i32>(<f64>((low + high) >> 1) * scale / top)));
}

// Logs of a group of a plane, [3][side + 2 margin]^2 at `logs`, and those with their signs, of the same shape or, where
// `tight`, without a margin, at `signed`. Their margins are mirrored, and 0.
function fill_logs(own: usize, its: i32, itsRole: i32, margin: i32, logs: usize, signed: usize, tight: bool): void {
  const side = side_of(its), width = side + 2 * margin, scale = <f64>(1 << (number + 4));
  const signedWidth = tight ? side : width, signedMargin = tight ? 0 : margin;
  for (let o = 0; o < count_of(its); o++) {
    const top = <f64>top_of(itsRole, its, o);
    const frame = logs + (<usize>(o * width * width) << 1);
    const other = signed + (<usize>(o * signedWidth * signedWidth) << 1);
    if (!tight) memory.fill(other, 0, <usize>(width * width) << 1);
    let at = <usize>(place_of(its) + o * side * side);
    for (let y = 0; y < side; y++) {
      let to = frame + (<usize>((y + margin) * width + margin) << 1);
      let signTo = other + (<usize>((y + signedMargin) * signedWidth + signedMargin) << 1);
      for (let x = 0; x < side; x += 4, at += 4, to += 8, signTo += 8) {
        const lows = load<u64>(own + (at << 1));
        if (!lows) {
          store<u64>(to, 0);
          store<u64>(signTo, 0);
          continue;
        }
        for (let i: usize = 0; i < 4; i++) {
          const low = <i32>load<i16>(own + ((at + i) << 1));
          const log = low ? logarithm(low, <i32>load<i16>(own + ((at + i) << 1), HIGH), scale, top) : 0;
          store<i16>(to + (i << 1), <i16>log);
          store<i16>(signTo + (i << 1), <i16>(log * <i32>load<i8>(own + at + i, SIGN)));
        }
      }
    }
    mirror(frame, width, margin);
  }
}

function mirror(frame: usize, width: i32, margin: i32): void {
  const line = <usize>width << 1, last = width - 1;
  for (let m = 0; m < margin; m++) {
    memory.copy(frame + <usize>m * line, frame + <usize>(2 * margin - m) * line, line);
    memory.copy(frame + <usize>(last - m) * line, frame + <usize>(last - 2 * margin + m) * line, line);
  }
  for (let y = 0; y < width; y++) {
    const own = frame + <usize>y * line;
    for (let m = 0; m < margin; m++) {
      store<i16>(own + (<usize>m << 1), load<i16>(own + (<usize>(2 * margin - m) << 1)));
      store<i16>(own + (<usize>(last - m) << 1), load<i16>(own + (<usize>(last - 2 * margin + m) << 1)));
    }
  }
}

// @ts-ignore: decorator
@inline function sum3(at: usize, step: usize): v128 {
  return i16x8.add(i16x8.add(v128.load(at), v128.load(at + step)), v128.load(at + (step << 1)));
}

// 3x3 sums [side][side] of a frame with a margin of 1
function squares(frame: usize, side: i32, to: usize): void {
  const line = <usize>(side + 2) << 1;
  for (let y = 0; y < side; y++) {
    const rows = frame + <usize>y * line;
    for (let x = 0; x < side + 2; x += 8) v128.store(spare + (<usize>x << 1), sum3(rows + (<usize>x << 1), line));
    for (let x = 0; x < side; x += 8) {
      const sum = sum3(spare + (<usize>x << 1), 2), at = to + (<usize>(y * side + x) << 1);
      if (side < 8) v128.store64_lane(at, sum, 0);
      else v128.store(at, sum);
    }
  }
}

// 3x3 sums, and those of 5x5 less them, of a frame with a margin of 2
function squares_and_rings(frame: usize, side: i32, square: usize, ring: usize): void {
  const line = <usize>(side + 4) << 1, five = spare + 512;
  for (let y = 0; y < side; y++) {
    const rows = frame + <usize>y * line;
    for (let x = 0; x < side + 4; x += 8) {
      const at = <usize>x << 1, three = sum3(rows + line + at, line);
      v128.store(spare + at, three);
      v128.store(five + at, i16x8.add(three, i16x8.add(v128.load(rows + at), v128.load(rows + 4 * line + at))));
    }
    for (let x = 0; x < side; x += 8) {
      const at = <usize>x << 1, to = <usize>(y * side + x) << 1;
      const inner = sum3(spare + at + 2, 2);
      const outer = i16x8.add(sum3(five + at, 2), i16x8.add(v128.load(five + at + 6), v128.load(five + at + 8)));
      if (side < 8) {
        v128.store64_lane(square + to, inner, 0);
        v128.store64_lane(ring + to, i16x8.sub(outer, inner), 0);
      } else {
        v128.store(square + to, inner);
        v128.store(ring + to, i16x8.sub(outer, inner));
      }
    }
  }
}

// Of another group or plane: logs, 3x3 sums and signed logs, without margins, at `to`, `step` bytes apart.
function look_at(own: usize, its: i32, itsRole: i32, to: usize, step: usize): void {
  const side = side_of(its), width = side + 2, frame = spare + SPARE;
  fill_logs(own, its, itsRole, 1, frame, to + 2 * step, true);
  for (let o = 0; o < count_of(its); o++) {
    const bands = frame + (<usize>(o * width * width) << 1), at = <usize>(o * side * side) << 1;
    squares(bands, side, to + step + at);
    for (let y = 0; y < side; y++) {
      memory.copy(to + at + (<usize>(y * side) << 1), bands + (<usize>((y + 1) * width + 1) << 1), <usize>side << 1);
    }
  }
}

function look_around(cell: usize, room: usize): void {
  const side = side_of(group), width = side + 4;
  fill_logs(plane_of(cell, plane), group, role, 2, room + LOGS, room + SIGNED, false);
  for (let o = 0; o < count_of(group); o++) {
    const at = <usize>(o * side * side) << 1;
    squares_and_rings(room + LOGS + (<usize>(o * width * width) << 1), side, room + SQUARE + at, room + RING + at);
  }
  if (parent) look_at(plane_of(cell, plane), group - 1, role, room + PARENT, PARENT_STEP);
  for (let other = 0; other < 2; other++) {
    if ((others >> other) & 1) {
      look_at(plane_of(cell, other), group, other, room + OTHERS + <usize>other * 3 * BANDS, BANDS);
    }
  }
}

// @ts-ignore: decorator
@inline function at16(place: usize, index: i32): i32 {
  return <i32>load<i16>(place + (<usize>index << 1));
}

// the context sum of a coefficient's magnitude; 16-bit numbers that wrap
// @ts-ignore: decorator
@inline function energy(room: usize, weights: usize, o: i32, y: i32, x: i32, side: i32): i32 {
  const width = side + 4, line = <usize>width << 1, flat = y * side + x, bands = side * side;
  const here = room + LOGS + (<usize>((o * width + y + 2) * width + x + 2) << 1);
  let sum = at16(weights, 15);
  sum += (at16(here, -1) + at16(here, 1)) * at16(weights, 0);
  sum += (at16(here - line, 0) + at16(here + line, 0)) * at16(weights, 1);
  sum += (at16(here - line, -1) + at16(here - line, 1) + at16(here + line, -1) + at16(here + line, 1)) * at16(weights, 2);
  sum += (at16(here, -2) + at16(here, 2)) * at16(weights, 3);
  sum += (at16(here - (line << 1), 0) + at16(here + (line << 1), 0)) * at16(weights, 4);
  sum += at16(room + RING, o * bands + flat) * at16(weights, 5);
  if (parent) {
    const half = side >> 1, above = (o * half + (y >> 1)) * half + (x >> 1);
    sum += at16(room + PARENT, above) * at16(weights, 6);
    sum += at16(room + PARENT + PARENT_STEP, above) * at16(weights, 7);
  }
  if (group) {
    const second = o == 2 ? 0 : o + 1, third = o == 0 ? 2 : o - 1, frame = width * width;
    sum += at16(here, (second - o) * frame) * at16(weights, 8);
    sum += at16(here, (third - o) * frame) * at16(weights, 9);
    const sisters = at16(room + SQUARE, second * bands + flat) + at16(room + SQUARE, third * bands + flat);
    sum += sisters * at16(weights, 10);
  }
  if (others & 1) {
    sum += at16(room + OTHERS, o * bands + flat) * at16(weights, 11);
    sum += at16(room + OTHERS + BANDS, o * bands + flat) * at16(weights, 12);
  }
  if (others & 2) {
    sum += at16(room + OTHERS + 3 * BANDS, o * bands + flat) * at16(weights, 13);
    sum += at16(room + OTHERS + 4 * BANDS, o * bands + flat) * at16(weights, 14);
  }
  return (sum << 16) >> 16;
}

// -- coefficients -------------------------------------------------------------------------------------------------

// Halves the open intervals of a phase and lists them; `reader.dry` where a cut payload ends.
function halve(own: usize, room: usize, phase: i32): void {
  const side = side_of(group), blocks = blocks_of(group), size = side / blocks;
  const born = room + BORN, moved = room + MOVED;
  let births = 0, moves = 0;
  for (let o = 0; o < count_of(group); o++) {
    const band = ((number * 3 + role) * GROUPS + group) * 3 + o, fixed = (role * GROUPS + group) * 3 + o;
    const weights = tables.weights + <usize>((band * 4 + phase) * FEATURES * 2);
    const bins = tables.bins + <usize>(band * FINE);
    const zero = tables.zero + <usize>(band * 2 * 32 * 2), refine = tables.refine + <usize>(fixed * 15 * 32 * 2);
    const half = (top_of(role, group, o) >> (number + 1)) + 1;
    const first = place_of(group) + o * side * side;
    for (let y = unchecked(PHASE_ROWS[phase]); y < side; y += 2) {
      for (let x = unchecked(PHASE_COLUMNS[phase]); x < side; x += 2) {
        const at = own + (<usize>(first + y * side + x) << 1);
        const bottom = <i32>load<i16>(at), top = <i32>load<i16>(at, HIGH), open = top - bottom;
        if (open <= 1) continue;
        const sum = energy(room, weights, o, y, x, side);
        const bin = <i32>load<u8>(bins + <usize>min(max(sum >> 4, 0), FINE - 1));
        let chances: usize, middle: i32;
        if (bottom) {
          const depth = (bottom >> 1 >= open ? 1 : 0) + (bottom >> 2 >= open ? 1 : 0);
          chances = refine + <usize>((5 * depth + min(open, 6) - 2) * 64);
          middle = (bottom + top) >> 1;
        } else {
          const fresh = <i32>load<u8>(room + FRESH + <usize>((o * blocks + y / size) * blocks + x / size));
          chances = zero + <usize>(fresh * 64);
          middle = half;
        }
        const bit = ask(load<u16>(chances + (<usize>bin << 1)));
        if (bit < 0) {
          store<i32>(room + COUNTS, births);
          store<i32>(room + COUNTS, moves, 4);
          return;
        }
        const place = (o << 16) | (y << 8) | x;
        store<i32>(moved + (<usize>moves << 2), place);
        moves++;
        if (!bit) {
          store<i16>(at, <i16>middle, HIGH);
          continue;
        }
        store<i16>(at, <i16>middle);
        if (bottom) continue;
        store<i32>(born + (<usize>births << 2), place);
        births++;
      }
    }
  }
  store<i32>(room + COUNTS, births);
  store<i32>(room + COUNTS, moves, 4);
}

// Asks for the signs of what a phase made significant.
function tell_signs(own: usize, room: usize, phase: i32): void {
  const side = side_of(group), births = load<i32>(room + COUNTS);
  for (let i = 0; i < births; i++) {
    const place = load<i32>(room + BORN + (<usize>i << 2)), o = place >> 16, y = (place >> 8) & 255, x = place & 255;
    const fixed = (role * GROUPS + group) * 3 + o;
    const weights = tables.signWeights + <usize>((fixed * 4 + phase) * SIGN_FEATURES * 2);
    const sum = tilt(room, weights, o, y, x, side);
    const sure = <u32>load<u16>(tables.sign + (<usize>(fixed * 16 + min(abs(sum) >> 6, 15)) << 1));
    const bit = ask(sum < 0 ? sure : 65536 - sure);
    if (bit < 0) return;
    store<i8>(own + SIGN + <usize>(place_of(group) + (o * side + y) * side + x), <i8>(1 - 2 * bit));
  }
}

// the context sum of a coefficient's sign
function tilt(room: usize, weights: usize, o: i32, y: i32, x: i32, side: i32): i32 {
  const width = side + 4, line = <usize>width << 1, flat = (o * side + y) * side + x;
  const here = room + SIGNED + (<usize>((o * width + y + 2) * width + x + 2) << 1);
  let sum = (at16(here, -1) + at16(here, 1)) * at16(weights, 0);
  sum += (at16(here - line, 0) + at16(here + line, 0)) * at16(weights, 1);
  sum += (at16(here - line, -1) + at16(here + line, 1)) * at16(weights, 2);
  sum += (at16(here - line, 1) + at16(here + line, -1)) * at16(weights, 3);
  if (parent) {
    const half = side >> 1;
    sum += at16(room + PARENT + 2 * PARENT_STEP, (o * half + (y >> 1)) * half + (x >> 1)) * at16(weights, 4);
  }
  if (group) {
    const second = o == 2 ? 0 : o + 1, third = o == 0 ? 2 : o - 1, frame = width * width;
    sum += at16(here, (second - o) * frame) * at16(weights, 5) + at16(here, (third - o) * frame) * at16(weights, 6);
  }
  if (others & 1) sum += at16(room + OTHERS + 2 * BANDS, flat) * at16(weights, 7);
  if (others & 2) sum += at16(room + OTHERS + 5 * BANDS, flat) * at16(weights, 8);
  return sum;
}

// Brings the logs of what a phase moved up to date.
function refresh(own: usize, room: usize): void {
  const side = side_of(group), width = side + 4, scale = <f64>(1 << (number + 4));
  for (let i = 0, moves = load<i32>(room + COUNTS, 4); i < moves; i++) {
    const place = load<i32>(room + MOVED + (<usize>i << 2)), o = place >> 16, y = (place >> 8) & 255, x = place & 255;
    const at = <usize>(place_of(group) + (o * side + y) * side + x);
    const low = <i32>load<i16>(own + (at << 1));
    if (!low) continue;
    const log = logarithm(low, <i32>load<i16>(own + (at << 1), HIGH), scale, <f64>top_of(role, group, o));
    const to = <usize>((o * width + y + 2) * width + x + 2) << 1;
    store<i16>(room + LOGS + to, <i16>log);
    store<i16>(room + SIGNED + to, <i16>(log * <i32>load<i8>(own + at, SIGN)));
  }
}
