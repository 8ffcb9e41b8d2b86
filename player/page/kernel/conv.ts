// Layers of the networks in whole numbers: exact sums of 16-bit products, eight at once.
//
// An activation lies within +-1023 and takes 16 bits. A state of height x width positions with c channels (rounded up
// to a multiple of 4) is i16[height + 2][width + 2][c], zeros all around: a row of three positions is a run of memory.

// Weights i16 in blocks of two vectors (the last block of an odd number: one) of four outputs: row, pair of inputs,
// vector, output, input of the pair. bias i32 and scale f32 (2^-shift) of each output, zeros for the padding.
@unmanaged export class Layer {
  weights: usize;
  bias: usize;
  scale: usize;
  size: i32; // 3 or 1
  inputs: i32; // a multiple of 4
  vectors: i32; // of four outputs
  scratch: usize; // i32[widest row][vectors][4]
}

// floor((sum + bias) / 2^shift): sums stay below 2^24, so float32 holds them
// @ts-ignore: decorator
@inline function scaled(sum: v128, bias: usize, scale: usize): v128 {
  const total = f32x4.convert_i32x4_s(i32x4.add(sum, v128.load(bias)));
  return i32x4.trunc_sat_f32x4_s(f32x4.floor(f32x4.mul(total, v128.load(scale))));
}

// @ts-ignore: decorator
@inline function plus(sum: v128, x: v128, w: v128): v128 {
  return i32x4.add(sum, i32x4.dot_i16x8_s(x, w));
}

function four_two(src: usize, step: usize, stride: usize, rows: i32, run: usize, w: usize, bias: usize, scale: usize, out: usize, outStep: usize): void {
  let a0 = i32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, b0 = a0, b1 = a0, b2 = a0, b3 = a0;
  for (let r = 0; r < rows; r++) {
    let p = src;
    const p1 = step, p2 = step << 1, p3 = step * 3, end = src + run;
    while (p < end) {
      const u = v128.load(w), v = v128.load(w, 16);
      w += 32;
      let x = v128.load_splat<u32>(p);
      a0 = plus(a0, x, u); b0 = plus(b0, x, v);
      x = v128.load_splat<u32>(p + p1);
      a1 = plus(a1, x, u); b1 = plus(b1, x, v);
      x = v128.load_splat<u32>(p + p2);
      a2 = plus(a2, x, u); b2 = plus(b2, x, v);
      x = v128.load_splat<u32>(p + p3);
      a3 = plus(a3, x, u); b3 = plus(b3, x, v);
      p += 4;
    }
    src += stride;
  }
  v128.store(out, scaled(a0, bias, scale)); v128.store(out, scaled(b0, bias + 16, scale + 16), 16);
  out += outStep;
  v128.store(out, scaled(a1, bias, scale)); v128.store(out, scaled(b1, bias + 16, scale + 16), 16);
  out += outStep;
  v128.store(out, scaled(a2, bias, scale)); v128.store(out, scaled(b2, bias + 16, scale + 16), 16);
  out += outStep;
  v128.store(out, scaled(a3, bias, scale)); v128.store(out, scaled(b3, bias + 16, scale + 16), 16);
}

function four_one(src: usize, step: usize, stride: usize, rows: i32, run: usize, w: usize, bias: usize, scale: usize, out: usize, outStep: usize): void {
  let a0 = i32x4.splat(0), a1 = a0, a2 = a0, a3 = a0;
  for (let r = 0; r < rows; r++) {
    const end = src + run;
    for (let p = src; p < end; p += 4) {
      const u = v128.load(w);
      w += 16;
      a0 = plus(a0, v128.load_splat<u32>(p), u);
      a1 = plus(a1, v128.load_splat<u32>(p + step), u);
      a2 = plus(a2, v128.load_splat<u32>(p + (step << 1)), u);
      a3 = plus(a3, v128.load_splat<u32>(p + step * 3), u);
    }
    src += stride;
  }
  v128.store(out, scaled(a0, bias, scale));
  v128.store(out + outStep, scaled(a1, bias, scale));
  v128.store(out + (outStep << 1), scaled(a2, bias, scale));
  v128.store(out + outStep * 3, scaled(a3, bias, scale));
}

function one(src: usize, stride: usize, rows: i32, run: usize, w: usize, wStep: usize, bias: usize, scale: usize, out: usize): void {
  let a = i32x4.splat(0);
  for (let r = 0; r < rows; r++) {
    for (let p = src, end = src + run; p < end; p += 4) {
      a = plus(a, v128.load_splat<u32>(p), v128.load(w));
      w += wStep;
    }
    src += stride;
  }
  v128.store(out, scaled(a, bias, scale));
}

// One row of outputs, i32[width][vectors][4]; `src`: its first input, of the row above and one to the left for 3x3.
function row(layer: Layer, src: usize, stride: usize, width: i32, out: usize): void {
  const step = <usize>layer.inputs << 1, rows = layer.size, run = step * rows;
  const vectors = layer.vectors, outStep = <usize>vectors << 4;
  let w = layer.weights, bias = layer.bias, scale = layer.scale;
  for (let v = 0; v < vectors; v += 2) {
    const both = v + 1 < vectors;
    let x = 0, p = src, o = out + (<usize>v << 4);
    for (; x + 4 <= width; x += 4, p += step << 2, o += outStep << 2) {
      if (both) four_two(p, step, stride, rows, run, w, bias, scale, o, outStep);
      else four_one(p, step, stride, rows, run, w, bias, scale, o, outStep);
    }
    for (; x < width; x++, p += step, o += outStep) {
      one(p, stride, rows, run, w, both ? 32 : 16, bias, scale, o);
      if (both) one(p, stride, rows, run, w + 16, 32, bias + 16, scale + 16, o + 16);
    }
    w += (<usize>rows * (run >> 2)) << 5;
    bias += 32;
    scale += 32;
  }
}

// @ts-ignore: decorator
@inline function line(layer: Layer, src: usize, stride: usize, y: i32, x: i32, width: i32): usize {
  // position y, x of the state lies one row and one column in
  const step = <usize>layer.inputs << 1, inset = layer.size == 1 ? 1 : 0;
  row(layer, src + <usize>(y + inset) * stride + <usize>(x + inset) * step, stride, width, layer.scratch);
  return layer.scratch;
}

// @ts-ignore: decorator
@inline function put(to: usize, v: v128): void {
  v128.store64_lane(to, i16x8.narrow_i32x4_s(v, v), 0);
}

// @ts-ignore: decorator
@inline function clamped(v: v128, low: v128, high: v128): v128 {
  return i32x4.min_s(i32x4.max_s(v, low), high);
}

/** A rectangle of the layer's outputs, clamped into low..high, into the state `dst`. */
export function conv_part(layer: Layer, src: usize, width: i32, y0: i32, y1: i32, x0: i32, x1: i32, dst: usize, low: i32, high: i32): void {
  const stride = <usize>(width + 2) * (<usize>layer.inputs << 1), bytes = <usize>layer.vectors << 3;
  const least = i32x4.splat(low), most = i32x4.splat(high);
  for (let y = y0; y < y1; y++) {
    let from = line(layer, src, stride, y, x0, x1 - x0);
    let to = dst + (<usize>(y + 1) * <usize>(width + 2) + <usize>(x0 + 1)) * bytes;
    const end = to + <usize>(x1 - x0) * bytes;
    for (; to < end; to += 8, from += 16) put(to, clamped(v128.load(from), least, most));
  }
}

/** The layer's outputs, clamped into low..high, into the state `dst`. */
export function conv_store(layer: Layer, src: usize, height: i32, width: i32, dst: usize, low: i32, high: i32): void {
  conv_part(layer, src, width, 0, height, 0, width, dst, low, high);
}

/** Adds the layer's outputs to `state` where `mask` (u8[height][width]; 0: everywhere) is set, and clamps. */
export function conv_add(layer: Layer, src: usize, height: i32, width: i32, state: usize, mask: usize): void {
  const stride = <usize>(width + 2) * (<usize>layer.inputs << 1), bytes = <usize>layer.vectors << 3;
  const least = i32x4.splat(-1023), most = i32x4.splat(1023);
  for (let y = 0; y < height; y++) {
    let from = line(layer, src, stride, y, 0, width);
    let to = state + (<usize>(y + 1) * <usize>(width + 2) + 1) * bytes;
    for (let x = 0; x < width; x++) {
      if (mask && !load<u8>(mask + <usize>(y * width + x))) {
        to += bytes;
        from += bytes << 1;
        continue;
      }
      for (const end = to + bytes; to < end; to += 8, from += 16) {
        put(to, clamped(i32x4.add(v128.load16x4_s(to), v128.load(from)), least, most));
      }
    }
  }
}

/** The layer's outputs as they are, i32[height][width][4 vectors]. */
export function conv_raw(layer: Layer, src: usize, height: i32, width: i32, dst: usize): void {
  const stride = <usize>(width + 2) * (<usize>layer.inputs << 1), bytes = (<usize>layer.vectors << 4) * <usize>width;
  for (let y = 0; y < height; y++) memory.copy(dst + <usize>y * bytes, line(layer, src, stride, y, 0, width), bytes);
}

/** Into the state `dst` of twice the size: channel c, row 2y + i, column 2x + j from output 4c + 2i + j, clamped. */
export function conv_up(layer: Layer, src: usize, height: i32, width: i32, dst: usize, channels: i32): void {
  const stride = <usize>(width + 2) * (<usize>layer.inputs << 1);
  const wide = <usize>(2 * width + 2), bytes = <usize>channels << 1;
  const least = i32x4.splat(-1023), most = i32x4.splat(1023);
  for (let y = 0; y < height; y++) {
    let from = line(layer, src, stride, y, 0, width);
    for (let x = 0; x < width; x++) {
      const upper = dst + (<usize>(2 * y + 1) * wide + <usize>(2 * x + 1)) * bytes, under = upper + wide * bytes;
      for (let c = 0; c < layer.vectors; c++, from += 16) {
        const v = clamped(v128.load(from), least, most), at = <usize>c << 1;
        store<i16>(upper + at, <i16>i32x4.extract_lane(v, 0));
        store<i16>(upper + at + bytes, <i16>i32x4.extract_lane(v, 1));
        store<i16>(under + at, <i16>i32x4.extract_lane(v, 2));
        store<i16>(under + at + bytes, <i16>i32x4.extract_lane(v, 3));
      }
    }
  }
}

/** Adds the outputs to `field` u8[4 height][4 width][3], in place: channel c, row 4y + i, column 4x + j from 16c + 4i + j. */
export function conv_head(layer: Layer, src: usize, height: i32, width: i32, field: usize): void {
  const stride = <usize>(width + 2) * (<usize>layer.inputs << 1), wide = <usize>width * 12;
  for (let y = 0; y < height; y++) {
    let from = line(layer, src, stride, y, 0, width);
    for (let x = 0; x < width; x++) {
      for (let c: usize = 0; c < 3; c++) {
        for (let i = 0; i < 4; i++) {
          let to = field + <usize>(4 * y + i) * wide + <usize>x * 12 + c;
          for (let j = 0; j < 4; j++, from += 4, to += 3) {
            store<u8>(to, <u8>min(max(<i32>load<u8>(to) + load<i32>(from), 0), 255));
          }
        }
      }
      from += <usize>(layer.vectors - 12) << 4;
    }
  }
}
