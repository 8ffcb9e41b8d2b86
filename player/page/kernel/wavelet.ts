// The 13/7-T wavelet (FORMAT.md, section 9), one level at a time: a plane to its low band and details, and back.
//
// A level of height x width has bands LL (rows and columns rounded up), HL (fewer columns), LH (fewer rows), HH, each
// i32 by rows. Samples at even rows and columns are E, at odd columns F, at odd rows G, at both D.

// -a + 9 b + 9 c - d of four places, n numbers
// @ts-ignore: decorator
@inline function taps(a: usize, b: usize, c: usize, d: usize): v128 {
  const near = i32x4.add(v128.load(b), v128.load(c)), far = i32x4.add(v128.load(a), v128.load(d));
  return i32x4.sub(i32x4.add(i32x4.shl(near, 3), near), far);
}

// the entry of a half (samples at even or odd positions of a signal of `length`) that stands at entry i, mirrored
function mirrored(i: i32, odd: i32, length: i32): i32 {
  if (length == 1) return 0;
  const period = 2 * (length - 1);
  let position = abs(2 * i + odd) % period;
  if (position >= length) position = period - position;
  return position >> 1;
}

// A row's half with what lies beyond its ends: entries start..start + n + 3 at `to`.
function framed(from: usize, count: i32, start: i32, n: i32, odd: i32, length: i32, to: usize): void {
  for (let i = 0; i < n + 3; ) {
    const entry = start + i;
    if (entry >= 0 && entry < count) {
      const run = min(count - entry, n + 3 - i);
      memory.copy(to + (<usize>i << 2), from + (<usize>entry << 2), <usize>run << 2);
      i += run;
    } else {
      store<i32>(to + (<usize>i << 2), load<i32>(from + (<usize>mirrored(entry, odd, length) << 2)));
      i++;
    }
  }
}

// The row of sums along a row: of `odd` entries towards even ones (update: n rounded up) or of even ones towards odd ones
// (predict). The result is valid for n numbers; scratch: two rows.
function along(from: usize, length: i32, odd: i32, scratch: usize, to: usize): void {
  const n = odd ? (length + 1) >> 1 : length >> 1, count = odd ? length >> 1 : (length + 1) >> 1;
  if (length == 1) {
    memory.fill(to, 0, <usize>n << 2);
    return;
  }
  framed(from, count, odd ? -2 : -1, n, odd, length, scratch);
  for (let i: usize = 0, end = <usize>n << 2; i < end; i += 16) {
    v128.store(to + i, taps(scratch + i, scratch + i + 4, scratch + i + 8, scratch + i + 12));
  }
}

// The same down the columns: towards line y of the other half, of a band whose lines are `stride` bytes apart.
function down(from: usize, stride: usize, y: i32, length: i32, odd: i32, n: i32, to: usize): void {
  if (length == 1) {
    memory.fill(to, 0, <usize>n << 2);
    return;
  }
  const start = y + (odd ? -2 : -1);
  const a = from + <usize>mirrored(start, odd, length) * stride, b = from + <usize>mirrored(start + 1, odd, length) * stride;
  const c = from + <usize>mirrored(start + 2, odd, length) * stride, d = from + <usize>mirrored(start + 3, odd, length) * stride;
  for (let i: usize = 0, end = <usize>n << 2; i < end; i += 16) v128.store(to + i, taps(a + i, b + i, c + i, d + i));
}

/** Bytes of scratch for a level of height x width. */
export function level_scratch(height: i32, width: i32): i32 {
  const low = (height + 1) >> 1, wide = (width + 1) >> 1;
  return 3 * (wide + 16) * 4 + 5 * (low * wide + 16) * 4;
}

// Where the parts of a level lie while it is worked on.
let first: usize = 0; // three rows of scratch
let second: usize = 0;
let third: usize = 0;
let beside: usize = 0; // U_r K of each line of HH
let even: usize = 0; // E
let below: usize = 0; // G
let mixed: usize = 0; // 16 G - P_c E
let right: usize = 0; // F
let low: i32 = 0; // lines and columns of E, and of D
let wide: i32 = 0;
let high: i32 = 0;
let narrow: i32 = 0;
let line: usize = 0; // bytes of a line of E or G, and of one of F or D
let thin: usize = 0;

function prepare(scratch: usize, height: i32, width: i32): void {
  low = (height + 1) >> 1;
  wide = (width + 1) >> 1;
  high = height >> 1;
  narrow = width >> 1;
  line = <usize>wide << 2;
  thin = <usize>narrow << 2;
  const row = <usize>(wide + 16) << 2, band = <usize>(low * wide + 16) << 2;
  first = scratch;
  second = first + row;
  third = second + row;
  beside = third + row;
  even = beside + band;
  below = even + band;
  mixed = below + band;
  right = mixed + band;
}

// @ts-ignore: decorator
@inline function at32(place: usize, i: i32): i32 {
  return load<i32>(place + (<usize>i << 2));
}

// @ts-ignore: decorator
@inline function set32(place: usize, i: i32, value: i32): void {
  store<i32>(place + (<usize>i << 2), value);
}

// U_r of every line of K
function look_beside(k: usize, width: i32): void {
  for (let y = 0; y < high; y++) {
    along(k + <usize>y * thin, width, 1, first, second);
    memory.copy(beside + <usize>y * line, second, line);
  }
}

// Twice what the details add to low line y, at `first`.
function carry(hl: usize, lh: usize, height: i32, width: i32, y: i32): void {
  down(lh, line, y, height, 1, wide, first);
  along(hl + <usize>y * thin, width, 1, third, second);
  down(beside, line, y, height, 1, wide, third);
  for (let at: usize = 0; at < line; at += 16) {
    const single = i32x4.shl(i32x4.add(v128.load(first + at), v128.load(second + at)), 5);
    v128.store(first + at, i32x4.shr_s(i32x4.sub(single, v128.load(third + at)), 9));
  }
}

/**
 * A level of synthesis: plane i32[height][width] at `out` from its bands. doubled: one of the two finest levels. smooth:
 * of numbers in eighths, whose lowest bits carry nothing. `hh` is changed.
 */
export function level_synthesise(
  ll: usize, hl: usize, lh: usize, hh: usize, height: i32, width: i32, doubled: i32, smooth: i32, scratch: usize, out: usize,
): void {
  prepare(scratch, height, width);
  const lowest = doubled && !smooth; // those of the low band belong to HH
  const round = lowest ? 24 : 16;
  if (doubled) for (let i = 0, n = high * narrow; i < n; i++) set32(hh, i, at32(hh, i) << 1); // K
  look_beside(hh, width);
  for (let y = 0; y < low; y++) {
    carry(hl, lh, height, width, y);
    const from = ll + <usize>y * line, to = even + <usize>y * line;
    for (let x = 0; x < wide; x++) {
      const carried = at32(first, x);
      set32(to, x, at32(from, x) - (doubled ? carried : (carried + 1) >> 1));
    }
  }
  const bits = out; // K's lowest bits to be, kept where the plane will be written last
  if (doubled) {
    if (lowest) {
      for (let y = 0; y < high; y++) {
        for (let x = 0; x < narrow; x++) store<u8>(bits + <usize>(y * narrow + x), <u8>(at32(even, y * wide + x) & 1));
      }
    }
    for (let i = 0, n = low * wide; i < n; i++) set32(even, i, at32(even, i) >> 1);
  }
  for (let y = 0; y < high; y++) {
    down(even, line, y, height, 0, wide, first);
    const from = lh + <usize>y * line, add = beside + <usize>y * line;
    const to = below + <usize>y * line, mix = mixed + <usize>y * line;
    for (let x = 0; x < wide; x++) {
      const foretold = at32(first, x);
      const value = at32(from, x) - ((at32(add, x) - 2 * foretold + round) >> 5);
      set32(to, x, value);
      set32(mix, x, 16 * value - foretold);
    }
  }
  for (let y = 0; y < low; y++) {
    down(hh, thin, y, height, 1, narrow, first);
    along(even + <usize>y * line, width, 0, third, second);
    const from = hl + <usize>y * thin, to = right + <usize>y * thin;
    for (let x = 0; x < narrow; x++) {
      set32(to, x, at32(from, x) - ((at32(first, x) - 2 * at32(second, x) + round) >> 5));
    }
  }
  for (let y = 0; y < high; y++) {
    down(right, thin, y, height, 0, narrow, first);
    along(mixed + <usize>y * line, width, 0, third, second);
    const to = hh + <usize>y * thin;
    for (let x = 0; x < narrow; x++) {
      const half = at32(to, x) + (lowest ? <i32>load<u8>(bits + <usize>(y * narrow + x)) : 0);
      set32(to, x, half + ((16 * at32(first, x) + at32(second, x) + 128) >> 8));
    }
  }
  weave(hh, height, width, out);
}

function weave(hh: usize, height: i32, width: i32, out: usize): void {
  const stride = <usize>width << 2;
  for (let y = 0; y < height; y++) {
    const half = <usize>(y >> 1);
    const a = (y & 1 ? below : even) + half * line, b = (y & 1 ? hh : right) + half * thin;
    const to = out + <usize>y * stride;
    let x = 0;
    for (; x + 4 <= narrow; x += 4) {
      const u = v128.load(a + (<usize>x << 2)), v = v128.load(b + (<usize>x << 2));
      v128.store(to + (<usize>x << 3), v128.shuffle<i32>(u, v, 0, 4, 1, 5));
      v128.store(to + (<usize>x << 3), v128.shuffle<i32>(u, v, 2, 6, 3, 7), 16);
    }
    for (; x < narrow; x++) {
      set32(to, 2 * x, at32(a, x));
      set32(to, 2 * x + 1, at32(b, x));
    }
    if (x < wide) set32(to, 2 * x, at32(a, x));
  }
}

/** A level of analysis: the bands of a plane i32[height][width]. */
export function level_analyse(
  plane: usize, height: i32, width: i32, doubled: i32, scratch: usize, ll: usize, hl: usize, lh: usize, hh: usize,
): void {
  prepare(scratch, height, width);
  unweave(plane, height, width, hl, lh, hh);
  for (let y = 0; y < high; y++) {
    down(even, line, y, height, 0, wide, first);
    const to = below + <usize>y * line, mix = mixed + <usize>y * line, from = lh + <usize>y * line;
    for (let x = 0; x < wide; x++) {
      set32(to, x, at32(first, x)); // P_c E, for now
      set32(mix, x, 16 * at32(from, x) - at32(first, x));
    }
  }
  for (let y = 0; y < high; y++) {
    down(hl, thin, y, height, 0, narrow, first);
    along(mixed + <usize>y * line, width, 0, third, second);
    const to = hh + <usize>y * thin, half = right + <usize>y * thin;
    for (let x = 0; x < narrow; x++) {
      const value = at32(to, x) - ((16 * at32(first, x) + at32(second, x) + 128) >> 8);
      set32(to, x, value);
      set32(half, x, doubled ? value & ~1 : value); // K
    }
  }
  look_beside(right, width);
  const round = doubled ? 24 : 16;
  for (let y = 0; y < high; y++) {
    const to = lh + <usize>y * line, foretold = below + <usize>y * line, add = beside + <usize>y * line;
    for (let x = 0; x < wide; x++) {
      set32(to, x, at32(to, x) + ((at32(add, x) - 2 * at32(foretold, x) + round) >> 5));
    }
  }
  for (let y = 0; y < low; y++) {
    down(right, thin, y, height, 1, narrow, first);
    along(even + <usize>y * line, width, 0, third, second);
    const to = hl + <usize>y * thin;
    for (let x = 0; x < narrow; x++) {
      set32(to, x, at32(to, x) + ((at32(first, x) - 2 * at32(second, x) + round) >> 5));
    }
  }
  for (let y = 0; y < low; y++) {
    carry(hl, lh, height, width, y);
    const from = even + <usize>y * line, to = ll + <usize>y * line, bits = hh + <usize>y * thin;
    for (let x = 0; x < wide; x++) {
      const carried = at32(first, x);
      if (!doubled) set32(to, x, at32(from, x) + ((carried + 1) >> 1));
      else set32(to, x, 2 * at32(from, x) + carried + (y < high && x < narrow ? at32(bits, x) & 1 : 0));
    }
  }
  if (doubled) for (let i = 0, n = high * narrow; i < n; i++) set32(hh, i, at32(hh, i) >> 1);
}

function unweave(plane: usize, height: i32, width: i32, hl: usize, lh: usize, hh: usize): void {
  const stride = <usize>width << 2;
  for (let y = 0; y < height; y++) {
    const half = <usize>(y >> 1), from = plane + <usize>y * stride;
    const a = (y & 1 ? lh : even) + half * line, b = (y & 1 ? hh : hl) + half * thin;
    for (let x = 0; x < narrow; x++) {
      set32(a, x, at32(from, 2 * x));
      set32(b, x, at32(from, 2 * x + 1));
    }
    if (narrow < wide) set32(a, narrow, at32(from, 2 * narrow));
  }
}
