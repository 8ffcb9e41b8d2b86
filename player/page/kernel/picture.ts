// Pixels: the thumbnail's field, enlarging, grey, channels, the check.

/** u8[32 cells][n] at `out`: floor((sum of down f64[32 cells][cells] x wide f64[cells][n] + 2^39) / 2^40) in 0..255. */
export function thumbnail_field(wide: usize, down: usize, cells: i32, n: i32, out: usize): void {
  const zero = f64x2.splat(0), half = f64x2.splat(0.5), unit = f64x2.splat(1.0 / <f64>(1 << 40)), most = f64x2.splat(255);
  for (let y = 0; y < 32 * cells; y++) {
    const weights = down + (<usize>(y * cells) << 3);
    for (let i = 0; i < n; i += 2) {
      let sum = zero, from = wide + (<usize>i << 3);
      for (let cell = 0; cell < cells; cell++, from += <usize>n << 3) {
        sum = f64x2.add(sum, f64x2.mul(v128.load_splat<u64>(weights + (<usize>cell << 3)), v128.load(from)));
      }
      const level = f64x2.min(f64x2.max(f64x2.floor(f64x2.add(f64x2.mul(sum, unit), half)), zero), most);
      store<u8>(out, <u8>f64x2.extract_lane(level, 0));
      store<u8>(out + 1, <u8>f64x2.extract_lane(level, 1));
      out += 2;
    }
  }
}

/** Grey of colour, in place: u8[n][3], each (R + 2 G + B + 2) >> 2. */
export function grey(pixels: usize, n: i32): void {
  for (let at = pixels, end = pixels + <usize>n * 3; at < end; at += 3) {
    const level = <u8>((<i32>load<u8>(at) + 2 * <i32>load<u8>(at, 1) + <i32>load<u8>(at, 2) + 2) >> 2);
    store<u8>(at, level);
    store<u8>(at, level, 1);
    store<u8>(at, level, 2);
  }
}

/** Rows of `bytes` from `src`, `from` bytes apart, to `dst`, `to` bytes apart. */
export function copy_rows(src: usize, from: i32, dst: usize, to: i32, rows: i32, bytes: i32): void {
  for (let y = 0; y < rows; y++) memory.copy(dst + <usize>y * <usize>to, src + <usize>y * <usize>from, bytes);
}

// @ts-ignore: decorator
@inline function blend(here: usize, there: usize): u8 {
  return <u8>((3 * <i32>load<u8>(here) + <i32>load<u8>(there) + 2) >> 2);
}

/** Twice as high and wide: u8[height][width][3] to u8[2 height][2 width][3]; rows u8[2 height][width][3] is scratch. */
export function double(src: usize, height: i32, width: i32, rows: usize, dst: usize): void {
  const line = <usize>width * 3;
  for (let y = 0; y < height; y++) {
    const own = src + <usize>y * line;
    const above = y ? own - line : own, under = y + 1 < height ? own + line : own;
    const first = rows + <usize>(2 * y) * line;
    for (let i: usize = 0; i < line; i++) {
      store<u8>(first + i, blend(own + i, above + i));
      store<u8>(first + line + i, blend(own + i, under + i));
    }
  }
  for (let y = 0; y < 2 * height; y++) {
    let to = dst + <usize>y * (line << 1);
    const own = rows + <usize>y * line;
    for (let x = 0; x < width; x++, to += 6) {
      const here = own + <usize>x * 3;
      const left = x ? here - 3 : here, right = x + 1 < width ? here + 3 : here;
      for (let c: usize = 0; c < 3; c++) {
        store<u8>(to + c, blend(here + c, left + c));
        store<u8>(to + 3 + c, blend(here + c, right + c));
      }
    }
  }
}

/** u8[n][3] (grey: three times the same) in so many channels, alpha 255. */
export function in_channels(src: usize, n: i32, channels: i32, dst: usize): void {
  if (channels == 3) {
    memory.copy(dst, src, <usize>n * 3);
    return;
  }
  const kept: usize = channels < 3 ? 1 : 3;
  for (let i = 0; i < n; i++, src += 3) {
    for (let c: usize = 0; c < kept; c++) store<u8>(dst++, load<u8>(src + c));
    if (!(channels & 1)) store<u8>(dst++, 255);
  }
}

/** u8[n][channels] as RGBA. */
export function to_rgba(src: usize, n: i32, channels: i32, dst: usize): void {
  const alpha = !(channels & 1), step = <usize>channels;
  for (let end = src + <usize>n * step; src < end; src += step, dst += 4) {
    const red = load<u8>(src);
    store<u8>(dst, red);
    store<u8>(dst, channels < 3 ? red : load<u8>(src, 1), 1);
    store<u8>(dst, channels < 3 ? red : load<u8>(src, 2), 2);
    store<u8>(dst, alpha ? load<u8>(src + step - 1) : <u8>255, 3);
  }
}

/** CRC-32 (PNG, zlib) of n bytes. table: u32[256], made by `crc_table`. */
export function crc(data: usize, n: i32, table: usize): u32 {
  let sum: u32 = ~0;
  for (let end = data + <usize>n; data < end; data++) {
    sum = load<u32>(table + (<usize>((sum ^ <u32>load<u8>(data)) & 255) << 2)) ^ (sum >> 8);
  }
  return ~sum;
}

export function crc_table(table: usize): void {
  for (let i: u32 = 0; i < 256; i++) {
    let value = i;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >> 1) ^ 0xedb88320 : value >> 1;
    store<u32>(table + (<usize>i << 2), value);
  }
}
