// The residual's coefficients as they are known, put together for the wavelet; the filter that places them; colours.

import { Layer, conv_part } from "./conv";
import { columns_of, OPEN, plane_of, rows_of } from "./passes";
import { block_place_of, blocks_of, LIMIT, place_of, side_of, top_of } from "./tables";

const HIGH: usize = 32768;
const SIGN: usize = 65536;
const LARGEST: i32 = 7000;

// What the base tells of a coefficient counts beyond so much to either side of zero.
const CORES: StaticArray<i32> = [
  0, 0, 0, 0, 0, 1, 1, 1, 2, 4, 3, 7, 4, 3, 8, 4, 4, LARGEST,
  0, 0, 0, 4, 2, 6, 7, 5, 16, 14, 12, 28, 9, 9, LARGEST, LARGEST, LARGEST, LARGEST,
  0, 0, 0, 6, 3, 11, 9, 7, 16, 16, 12, LARGEST, LARGEST, LARGEST, LARGEST, LARGEST, LARGEST, LARGEST,
];

function told(value: i32, role: i32, group: i32, orientation: i32): i32 {
  const core = unchecked(CORES[(role * 6 + group) * 3 + orientation]);
  return value - min(max(value, -core), core);
}

/** i32[n] as i16[n] at `to`, clamped into +-7000; whether it had to be. */
export function keep_band(band: usize, n: i32, to: usize): i32 {
  let beyond = 0;
  for (let i = 0; i < n; i++, band += 4, to += 2) {
    const value = load<i32>(band), kept = min(max(value, -LARGEST), LARGEST);
    if (kept != value) beyond = 1;
    store<i16>(to, <i16>kept);
  }
  return beyond;
}

// whether a pass has asked about a band
// @ts-ignore: decorator
@inline function is_begun(passes: i32, role: i32, group: i32, o: i32): bool {
  return passes > 0 && (top_of(role, group, o) >> (passes - 1)) < LIMIT;
}

/**
 * Writes one cell's share of a band (i32, lines of `stride` numbers, the cell's first at `to`): the likeliest values in
 * eighths, the base's at `base` (i16, likewise placed) added. passes: those made over the group. cell: 0 if there is none yet.
 */
export function cell_band(
  cell: usize, plane: i32, role: i32, group: i32, o: i32, passes: i32, rows: i32, columns: i32, base: usize, stride: i32, to: usize,
): void {
  const side = side_of(group), begun = is_begun(passes, role, group, o);
  const core = begun ? unchecked(CORES[(role * 6 + group) * 3 + o]) : 0;
  const least = i32x4.splat(-core), most = i32x4.splat(core);
  const first = place_of(group) + o * side * side, step = <usize>stride << 2;
  let at = cell ? plane_of(cell, plane) + (<usize>first << 1) : 0;
  let signs = cell ? plane_of(cell, plane) + SIGN + <usize>first : 0;
  for (let y = 0; y < rows; y++, base += step >> 1, to += step, at += <usize>side << 1, signs += side) {
    let x = 0;
    for (; x + 4 <= columns; x += 4) {
      const theirs = v128.load16x4_s(base + (<usize>x << 1));
      let value = i32x4.shl(i32x4.sub(theirs, i32x4.max_s(i32x4.min_s(theirs, most), least)), 3);
      if (cell && load<u64>(at + (<usize>x << 1))) {
        const low = v128.load16x4_s(at + (<usize>x << 1)), high = v128.load16x4_s(at + (<usize>x << 1), HIGH);
        const sign = i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(v128.load32_zero(signs + x)));
        value = i32x4.add(value, i32x4.mul(guessed(low, high), sign));
      }
      v128.store(to + (<usize>x << 2), value);
    }
    for (; x < columns; x++) {
      const theirs = <i32>load<i16>(base + (<usize>x << 1));
      let value = (theirs - limited(theirs, core)) << 3;
      if (cell) {
        const low = i32x4.splat(<i32>load<i16>(at + (<usize>x << 1)));
        const magnitude = guessed(low, i32x4.splat(<i32>load<i16>(at + (<usize>x << 1), HIGH)));
        value += i32x4.extract_lane(magnitude, 0) * <i32>load<i8>(signs + x);
      }
      store<i32>(to + (<usize>x << 2), value);
    }
  }
}

// The likeliest magnitudes of low..high - 1 in eighths; 0 where low is 0.
// @ts-ignore: decorator
@inline function guessed(low: v128, high: v128): v128 {
  const size = i32x4.sub(high, low), one = i32x4.splat(1);
  const deep = i32x4.ge_s(i32x4.shr_s(low, 1), size), deeper = i32x4.ge_s(i32x4.shr_s(low, 2), size);
  let point = v128.bitselect(i32x4.splat(118), i32x4.splat(108), deep);
  point = v128.bitselect(i32x4.splat(124), point, deeper);
  const above = i32x4.shr_s(i32x4.mul(i32x4.sub(size, one), point), 5);
  return v128.and(i32x4.add(i32x4.shl(low, 3), above), i32x4.ne(low, i32x4.splat(0)));
}

/** Whether everything is known of a group of a plane of a cell whose passes are all made. */
export function group_known(cell: usize, plane: i32, group: i32): i32 {
  const side = side_of(group), n = (group ? 3 : 1) * side * side;
  let at = plane_of(cell, plane) + (<usize>place_of(group) << 1);
  let sign = plane_of(cell, plane) + SIGN + <usize>place_of(group);
  for (let i = 0; i < n; i++, at += 2, sign++) {
    const low = <i32>load<i16>(at);
    if (<i32>load<i16>(at, HIGH) - low > 1 || (low && !load<i8>(sign))) return 0;
  }
  return 1;
}

/** Whether any block of a plane of a cell is open. */
export function any_block(cell: usize, plane: i32): i32 {
  for (let at = plane_of(cell, plane) + OPEN, end = at + 259; at < end; at++) if (load<u8>(at)) return 1;
  return 0;
}

// -- the filter ---------------------------------------------------------------------------------------------------

const RANGE: i32 = 512;
const FLAT: i32 = 51199;
const LARGEST_SEEN: i32 = 16383;

// 2^bits x 64 / (divisor x threshold), at most that of threshold 1
function rate(top: i32, divisor: i32, bits: i32, passes: i32): i32 {
  return <i32>(min((<i64>64 << (passes + bits)) / top, <i64>64 << bits) / divisor);
}

// @ts-ignore: decorator
@inline function limited(value: i32, limit: i32): i32 {
  return min(max(value, -limit), limit);
}

// @ts-ignore: decorator
@inline function rounded(value: i32): i32 {
  return (value + 4) >> 3;
}

/** Five by five sums of the low band i32[rows][columns] in eighths, rounded, its edge repeated: i32 at `to`; a row of scratch. */
export function filter_sums(low: usize, rows: i32, columns: i32, scratch: usize, to: usize): void {
  for (let y = 0; y < rows; y++) {
    memory.fill(scratch, 0, <usize>columns << 2);
    for (let i = -2; i <= 2; i++) {
      const line = low + (<usize>(min(max(y + i, 0), rows - 1) * columns) << 2);
      for (let x = 0; x < columns; x++) {
        store<i32>(scratch + (<usize>x << 2), load<i32>(scratch + (<usize>x << 2)) + rounded(load<i32>(line + (<usize>x << 2))));
      }
    }
    const own = to + (<usize>(y * columns) << 2);
    for (let x = 0; x < columns; x++) {
      let sum = 0;
      for (let i = -2; i <= 2; i++) sum += load<i32>(scratch + (<usize>min(max(x + i, 0), columns - 1) << 2));
      store<i32>(own + (<usize>x << 2), sum);
    }
  }
}

// Where the filter finds the bands of a level.
@unmanaged class Level {
  low: usize;
  sums: usize;
  bands: usize; // six places: i32 HL, LH, HH in eighths, then the base's in i16
  rows: i32; // of the low band
  columns: i32;
  high: i32; // rows of LH and HH
  narrow: i32; // columns of HL and HH
  inputs: usize; // i16[rows + 2][columns + 2][8]: a state
  top: i32; // of the positions whose inputs the last call of filter_inputs changed: y0, y1, x0, x1
  bottom: i32;
  left: i32;
  right: i32;
}

// @ts-ignore: decorator
@inline function band_of(level: Level, i: i32): usize {
  return load<usize>(level.bands + (<usize>i << 2));
}

/** The network's inputs at one cell's positions y0..y1, x0..x1; whether any differs from what was there before, and where. */
export function filter_inputs(level: Level, group: i32, passes: i32, y0: i32, y1: i32, x0: i32, x1: i32): i32 {
  const flat = rate(top_of(0, group, 0), 25, 14, passes), wide = level.columns;
  const steep0 = rate(top_of(0, group, 0), 1, 10, passes), steep1 = rate(top_of(0, group, 1), 1, 10, passes);
  const steep2 = rate(top_of(0, group, 2), 1, 10, passes);
  let top = y1, bottom = y0, left = x1, right = x0;
  for (let y = y0; y < y1; y++) {
    let to = level.inputs + (<usize>((y + 1) * (wide + 2) + x0 + 1) << 4);
    for (let x = x0; x < x1; x++, to += 16) {
      const at = <usize>(y * wide + x) << 2;
      const uneven = limited(25 * rounded(load<i32>(level.low + at)) - load<i32>(level.sums + at), FLAT);
      const old = v128.load(to);
      v128.store(to, i16x8.splat(0));
      store<i16>(to, <i16>limited((uneven * flat) >> 14, RANGE));
      if (x < level.narrow) seen(level, 0, y * level.narrow + x, steep0, to);
      if (y < level.high) seen(level, 1, y * wide + x, steep1, to);
      if (x < level.narrow && y < level.high) seen(level, 2, y * level.narrow + x, steep2, to);
      if (!v128.any_true(v128.xor(old, v128.load(to)))) continue;
      top = min(top, y);
      bottom = y + 1;
      left = min(left, x);
      right = max(right, x + 1);
    }
  }
  level.top = top;
  level.bottom = bottom;
  level.left = left;
  level.right = right;
  return bottom > top ? 1 : 0;
}

// @ts-ignore: decorator
@inline function seen(level: Level, o: i32, place: i32, steep: i32, to: usize): void {
  const own = limited(rounded(load<i32>(band_of(level, o) + (<usize>place << 2))), LARGEST_SEEN);
  const base = limited(<i32>load<i16>(band_of(level, 3 + o) + (<usize>place << 1)), LARGEST_SEEN);
  store<i16>(to + (<usize>(1 + o) << 1), <i16>limited((own * steep) >> 10, RANGE));
  store<i16>(to + (<usize>(4 + o) << 1), <i16>limited((base * steep) >> 10, RANGE));
}

/** The three layers over positions y0..y1, x0..x1 of a level; first, second: states as wide as the inputs; `out` too. */
export function filter_network(
  level: Level, a: Layer, b: Layer, c: Layer, y0: i32, y1: i32, x0: i32, x1: i32, first: usize, second: usize, out: usize,
): void {
  const top = max(y0 - 1, 0), bottom = min(y1 + 1, level.rows), left = max(x0 - 1, 0), right = min(x1 + 1, level.columns);
  conv_part(a, level.inputs, level.columns, top, bottom, left, right, first, 0, 1023);
  conv_part(b, first, level.columns, y0, y1, x0, x1, second, 0, 1023);
  conv_part(c, second, level.columns, y0, y1, x0, x1, out, -1023, 1023);
}

/** Moves the coefficients of one active cell, whose first is at y0, x0 of its bands, by the network's outcome at `moves`. */
export function filter_move(level: Level, cell: usize, group: i32, passes: i32, moves: usize, y0: i32, x0: i32): void {
  const side = side_of(group), blocks = blocks_of(group), size = side / blocks, shift = passes + 3;
  const own = plane_of(cell, 0);
  for (let o = 0; o < 3; o++) {
    const top = top_of(0, group, o), begun = is_begun(passes, 0, group, o);
    const columns = o == 1 ? level.columns : level.narrow, first = place_of(group) + o * side * side;
    const open = own + OPEN + <usize>(block_place_of(group) + o * blocks * blocks);
    const closed = begun ? top >> passes : 32767;
    const rows = rows_of(cell, group, o), wide = columns_of(cell, group, o);
    for (let y = 0; y < rows; y++) {
      let move = moves + (<usize>((y0 + y + 1) * (level.columns + 2) + x0 + 1) << 3) + (<usize>o << 1);
      for (let x = 0; x < wide; x++, move += 8) {
        const flat = <usize>(first + y * side + x), low = <i32>load<i16>(own + (flat << 1));
        const sign = low ? <i32>load<i8>(own + SIGN + flat) : 0;
        const opened = load<u8>(open + <usize>(y / size * blocks + x / size));
        const most = opened ? <i32>load<i16>(own + HIGH + (flat << 1)) - 1 : closed;
        const place = (y0 + y) * columns + x0 + x;
        const theirs = <i32>load<i16>(band_of(level, 3 + o) + (<usize>place << 1));
        const added = begun ? told(theirs, 0, group, o) : theirs;
        const least = (sign > 0 ? low : -most) + added, greatest = (sign < 0 ? -low : most) + added;
        const at = band_of(level, o) + (<usize>place << 2);
        const moved = load<i32>(at) + ((<i32>load<i16>(move) * top + (1 << (shift - 1))) >> shift);
        store<i32>(at, min(max(moved, least << 3), greatest << 3));
      }
    }
  }
}

// -- pixels -------------------------------------------------------------------------------------------------------

/** The planes of a picture u8[n][channels], i32[n] each, `bytes` apart at `planes`; alpha counts as 255. */
export function forward_colour(picture: usize, n: i32, channels: i32, planes: usize, bytes: usize): void {
  const step = <usize>channels;
  for (let i = 0; i < n; i++, picture += step) {
    const to = planes + (<usize>i << 2), red = <i32>load<u8>(picture);
    if (channels < 3) {
      store<i32>(to, red);
      if (channels == 2) store<i32>(to + bytes, 0);
      continue;
    }
    const blue = <i32>load<u8>(picture, 2), orange = red - blue, middle = blue + (orange >> 1);
    const violet = <i32>load<u8>(picture, 1) - middle;
    store<i32>(to, middle + (violet >> 1));
    store<i32>(to + bytes, orange);
    store<i32>(to + 2 * bytes, violet);
    if (channels == 4) store<i32>(to + 3 * bytes, 0);
  }
}

/** Shifts i32[n], left by `bits` or, if negative, right. */
export function shift_all(place: usize, n: i32, bits: i32): void {
  for (const end = place + (<usize>n << 2); place < end; place += 4) {
    store<i32>(place, bits < 0 ? load<i32>(place) >> -bits : load<i32>(place) << bits);
  }
}

/** Sets u8[..][width] to `value` in rows y0..y1, columns x0..x1. */
export function fill_rectangle(mask: usize, width: i32, y0: i32, y1: i32, x0: i32, x1: i32, value: i32): void {
  for (let y = y0; y < y1; y++) memory.fill(mask + <usize>(y * width + x0), <u8>value, <usize>(x1 - x0));
}

export function any_set(mask: usize, n: i32): i32 {
  for (let i: usize = 0; i < <usize>n; i++) if (load<u8>(mask + i)) return 1;
  return 0;
}

/** Where u8[n] is set, takes i32[n] `from`, in eighths then, over into `to`. */
export function take_exact(mask: usize, n: i32, from: usize, to: usize): void {
  for (let i: usize = 0; i < <usize>n; i++) {
    if (load<u8>(mask + i)) store<i32>(to + (i << 2), load<i32>(from + (i << 2)) << 3);
  }
}

// @ts-ignore: decorator
@inline function level8(eighths: i32): u8 {
  return <u8>min(max((eighths + 4) >> 3, 0), 255);
}

// @ts-ignore: decorator
@inline function whole8(value: i32): u8 {
  return <u8>min(max(value, 0), 255);
}

// Four pixels of three bytes of their colours.
// @ts-ignore: decorator
@inline function interleaved(red: v128, green: v128, blue: v128): v128 {
  const two = i16x8.narrow_i32x4_s(red, green), third = i16x8.narrow_i32x4_s(blue, blue);
  const bytes = i8x16.narrow_i16x8_u(two, third); // R R R R G G G G B B B B
  return v128.shuffle<u8>(bytes, bytes, 0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11, 12, 13, 14, 15);
}

// @ts-ignore: decorator
@inline function smooth_pixels(a: usize, b: usize, c: usize): v128 {
  const luma = v128.load(a), orange = i32x4.shr_s(v128.load(b), 1), violet = i32x4.shr_s(v128.load(c), 1);
  const middle = i32x4.sub(luma, violet), eight = i32x4.splat(8);
  const red = i32x4.add(i32x4.add(middle, orange), eight), blue = i32x4.add(i32x4.sub(middle, orange), eight);
  const green = i32x4.add(i32x4.add(luma, violet), i32x4.splat(6));
  return interleaved(i32x4.shr_s(red, 3), i32x4.shr_s(green, 3), i32x4.shr_s(blue, 3));
}

// @ts-ignore: decorator
@inline function exact_pixels(a: usize, b: usize, c: usize): v128 {
  const orange = i32x4.shr_s(v128.load(b), 3), violet = i32x4.shr_s(v128.load(c), 3);
  const middle = i32x4.sub(i32x4.shr_s(v128.load(a), 3), i32x4.shr_s(violet, 1));
  const blue = i32x4.sub(middle, i32x4.shr_s(orange, 1));
  return interleaved(i32x4.add(blue, orange), i32x4.add(violet, middle), blue);
}

/**
 * The picture u8[n][channels] of planes in eighths (four places). masks: of each plane, where its pixels are exact: 0
 * nowhere, 1 everywhere, else the place of u8[n].
 */
export function shown(planes: usize, masks: usize, n: i32, channels: i32, out: usize): void {
  const count = channels == 1 ? 1 : channels;
  let none = false, all = true;
  for (let i = 0; i < count; i++) {
    const mask = load<usize>(masks + (<usize>i << 2));
    if (mask == 0) none = true;
    if (mask != 1) all = false;
  }
  const a = load<usize>(planes), b = load<usize>(planes, 4), c = load<usize>(planes, 8), d = load<usize>(planes, 12);
  const last = channels == 2 ? b : d;
  let start: usize = 0;
  if (channels == 3 && (all || none)) {
    for (; start + 8 <= <usize>n; start += 4, out += 12) {
      const at = start << 2;
      const pixels = all ? exact_pixels(a + at, b + at, c + at) : smooth_pixels(a + at, b + at, c + at);
      v128.store(out, pixels); // the last 4 bytes are written over
    }
  }
  for (let i = start; i < <usize>n; i++) {
    const at = i << 2;
    let exact = all;
    if (!all && !none) {
      exact = true;
      for (let plane = 0; plane < count; plane++) {
        const mask = load<usize>(masks + (<usize>plane << 2));
        if (mask != 1 && !load<u8>(mask + i)) exact = false;
      }
    }
    const luma = load<i32>(a + at);
    if (channels < 3) {
      store<u8>(out++, exact ? whole8(luma >> 3) : level8(luma));
    } else if (exact) {
      const orange = load<i32>(b + at) >> 3, violet = load<i32>(c + at) >> 3;
      const middle = (luma >> 3) - (violet >> 1), blue = middle - (orange >> 1);
      store<u8>(out, whole8(blue + orange));
      store<u8>(out, whole8(violet + middle), 1);
      store<u8>(out, whole8(blue), 2);
      out += 3;
    } else {
      const orange = load<i32>(b + at), violet = load<i32>(c + at), middle = luma - (violet >> 1);
      store<u8>(out, level8(middle + (orange >> 1) + 4));
      store<u8>(out, level8(luma + (violet >> 1) + 2), 1);
      store<u8>(out, level8(middle - (orange >> 1) + 4), 2);
      out += 3;
    }
    if (!(channels & 1)) {
      const alpha = load<i32>(last + at);
      store<u8>(out++, exact ? whole8((alpha >> 3) + 255) : level8(alpha + 2040));
    }
  }
}
