// Binary decisions out of a payload (FORMAT.md, section 3): the range decoder, and what a cut payload still means.
//
// A payload is read as 32-bit words, most significant byte first, continued with a filler. A cut payload is decoded
// twice, continued with 00 and with FF; the first decision that differs ends it.

const RANGE_BYTES: usize = 24;
const FILLER: i32 = 64; // filler bytes behind the next whole word; zeros follow

@unmanaged class Range {
  size: u64;
  point: u64;
  place: i32;
  top: i32; // in the remainder above the 2^24 parts: every further decision is 0
}

@unmanaged export class Reader {
  size: u64;
  point: u64;
  place: i32;
  top: i32;
  lowerSize: u64; // the same of the payload continued with 00; see RANGE_BYTES
  lowerPoint: u64;
  lowerPlace: i32;
  lowerTop: i32;
  data: usize;
  length: i32;
  cut: i32;
  dry: i32;
}

function word(reader: Reader, range: Range, filler: u32): u64 {
  const place = range.place;
  range.place = place + 4;
  const data = reader.data, length = reader.length;
  if (place + 4 <= length) return <u64>bswap<u32>(load<u32>(data + place));
  if (place >= length) return place < ((length + 3) & ~3) + FILLER ? <u64>(filler * 0x01010101) : 0;
  let value: u32 = 0;
  for (let i = 0; i < 4; i++) value = (value << 8) | (place + i < length ? <u32>load<u8>(data + place + i) : filler);
  return <u64>value;
}

function start(reader: Reader, range: Range, filler: u32): void {
  range.place = 0;
  range.top = 0;
  range.size = u64.MAX_VALUE;
  const first = word(reader, range, filler);
  range.point = (first << 32) | word(reader, range, filler);
}

/** Makes `reader` (READER_BYTES) read `length` bytes at `data`, which stay where they are; `cut`: more had followed. */
export function reader_open(reader: Reader, data: usize, length: i32, cut: i32): void {
  reader.data = data;
  reader.length = length;
  reader.cut = cut;
  reader.dry = 0;
  start(reader, changetype<Range>(reader), 0xff);
  if (cut) start(reader, changetype<Range>(changetype<usize>(reader) + RANGE_BYTES), 0);
}

// @ts-ignore: decorator
@inline function decide(reader: Reader, range: Range, filler: u32, p: u32): i32 {
  if (range.top) return 0;
  const scale = range.size >> 24;
  const split = <u64>(p * 256 - (p > 32768 ? 1 : 0));
  const below = split * scale;
  let size: u64, bit: i32;
  if (range.point < below) {
    size = below;
    bit = 1;
  } else {
    range.point -= below;
    size = ((1 << 24) - split) * scale;
    bit = 0;
    if (range.point >= size) {
      range.top = 1;
      return 0;
    }
  }
  if (size < 1 << 32) {
    size <<= 32;
    range.point = (range.point << 32) | word(reader, range, filler);
  }
  range.size = size;
  return bit;
}

/** One decision of probability p / 2^16; -1 where a cut payload holds no further certain one. */
export function reader_bit(reader: Reader, p: u32): i32 {
  if (!reader.cut) return decide(reader, changetype<Range>(reader), 0xff, p);
  if (reader.dry) return -1;
  const bit = decide(reader, changetype<Range>(reader), 0xff, p);
  const lower = changetype<Range>(changetype<usize>(reader) + RANGE_BYTES);
  if (decide(reader, lower, 0, p) == bit) return bit;
  reader.dry = 1;
  return -1;
}

/** Decisions u8[n] at `out` of probabilities u16[n] at `chances`; how many there were. */
export function reader_bits(reader: Reader, chances: usize, n: i32, out: usize): i32 {
  for (let i = 0; i < n; i++) {
    const bit = reader_bit(reader, load<u16>(chances + (i << 1)));
    if (bit < 0) return i;
    store<u8>(out + i, <u8>bit);
  }
  return n;
}

const LARGEST: i32 = 15; // of a latent

/** Latents i8[n] at `out` of spreads u8[n]; table u16[spreads][15]; places i32[2n]: scratch. As latent/symbols.py. */
export function latent_symbols(reader: Reader, spreads: usize, n: i32, table: usize, places: usize, out: usize): void {
  memory.fill(out, 0, n);
  const signs = places + (<usize>n << 2);
  let alive = n;
  for (let i = 0; i < n; i++) store<i32>(places + (i << 2), i);
  for (let m = 0; m < LARGEST && alive; m++) {
    let kept = 0, asked = 0;
    for (; asked < alive; asked++) {
      const at = load<i32>(places + (asked << 2));
      const bit = reader_bit(reader, load<u16>(table + (<usize>(<i32>load<u8>(spreads + at) * LARGEST + m) << 1)));
      if (bit < 0) break;
      if (!bit) continue;
      store<i8>(out + at, load<i8>(out + at) + 1);
      store<i32>(places + (kept++ << 2), at);
    }
    alive = kept;
    if (m) continue;
    for (let i = 0; i < n; i++) store<i8>(signs + i, 0);
    for (let i = 0; i < alive; i++) {
      const bit = reader_bit(reader, 32768);
      if (bit < 0) break;
      store<i8>(signs + load<i32>(places + (i << 2)), <i8>(1 - 2 * bit));
    }
  }
  if (n) for (let i = 0; i < n; i++) store<i8>(out + i, load<i8>(out + i) * load<i8>(signs + i));
}
