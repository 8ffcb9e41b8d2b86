// Layers in whole numbers, put into the kernel's memory as it wants them (kernel/conv.ts).

import type { Kernel } from "./kernel";
import type { Tensors } from "./weights";

/** Rounded up to a multiple of four: channels as a state holds them. */
export const four = (n: number) => (n + 3) & ~3;

/** A layer's place in the kernel, its true outputs, and whether it is 3x3. */
export interface Conv {
  readonly place: number;
  readonly outputs: number;
}

const WIDEST = 256; // positions in a row of the finest state: the base picture has at most 1024 pixels a side

/** Puts layers of a file of weights into `kernel` for good. `take`: gives places. */
export class Layers {
  #kernel: Kernel;
  #take: (bytes: number) => number;
  #arrays: Tensors;
  #scratch: number;

  constructor(kernel: Kernel, take: (bytes: number) => number, arrays: Tensors, scratch: number) {
    this.#kernel = kernel;
    this.#take = take;
    this.#arrays = arrays;
    this.#scratch = scratch;
  }

  /** The layer `name`. */
  conv(name: string): Conv {
    const weight = this.#arrays[`${name}.weight`]!;
    const size = this.#arrays[`${name}.size`]!.data[0]!;
    const outputs = weight.shape[1]!;
    const inputs = weight.shape[0]! / size ** 2;
    const vectors = four(outputs) / 4;
    const kernel = this.#kernel;
    const bias = new Int32Array(vectors * 4);
    bias.set(this.#arrays[`${name}.bias`]!.data as Int32Array);
    const scale = new Float32Array(vectors * 4);
    this.#arrays[`${name}.shift`]!.data.forEach((shift, i) => (scale[i] = 2 ** -shift));
    const packed = pack(weight.data as Int16Array, size, inputs, outputs);
    const place = this.#take(32);
    const fields = [
      kernel.put(packed, this.#take),
      kernel.put(bias, this.#take),
      kernel.put(scale, this.#take),
      size,
      four(inputs),
      vectors,
      this.#scratch,
    ];
    kernel.i32(place, fields.length).set(fields);
    return { place, outputs };
  }
}

/** Room for a row of outputs of the widest layer. */
export function rowScratch(take: (bytes: number) => number, width = WIDEST): number {
  return take(width * 256 * 4);
}

/** Weights [tap][input][output] as kernel/conv.ts wants them. */
function pack(weight: Int16Array, size: number, inputs: number, outputs: number): Int16Array {
  const wide = four(inputs);
  const vectors = four(outputs) / 4;
  const packed = new Int16Array(size * size * wide * vectors * 4);
  let at = 0;
  for (let v = 0; v < vectors; v += 2) {
    const lanes = v + 1 < vectors ? 8 : 4;
    for (let tap = 0; tap < size * size; tap++) {
      for (let pair = 0; pair < wide; pair += 2) {
        for (let lane = 0; lane < lanes; lane++) {
          const output = 4 * v + lane;
          for (let i = pair; i < pair + 2; i++, at++) {
            if (i < inputs && output < outputs) packed[at] = weight[(tap * inputs + i) * outputs + output]!;
          }
        }
      }
    }
  }
  return packed;
}
