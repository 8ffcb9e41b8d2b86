// The fields that packets are made of (WIRE.md): numbers of one to three bytes, a reader whose every shortage is an
// error, a writer.

export const MAX_VARINT = 2 ** 22 - 1;
export const CLASSES = 4;
/** The class that starts a group. */
export const BASE = 0;
/** Numbers of packets and requests travel by their low 16 bits. */
export const NUMBERS = 2 ** 16;

/** Bytes of the peer that are no packet; the message names the offset. */
export class WireError extends Error {
  override readonly name = "WireError";
}

/** Bytes that a varint takes. */
export function varintSize(value: number): number {
  if (!Number.isInteger(value) || value < 0 || value > MAX_VARINT) {
    throw new RangeError(`${value} is outside 0 .. ${MAX_VARINT}`);
  }
  return value < 2 ** 7 ? 1 : value < 2 ** 14 ? 2 : 3;
}

/** The remainder that is never negative. */
export function mod(value: number, by: number): number {
  return ((value % by) + by) % by;
}

/** To the nearest whole number, halves to the even one. */
export function roundEven(value: number): number {
  const down = Math.floor(value);
  const rest = value - down;
  return rest < 0.5 || (rest === 0.5 && down % 2 === 0) ? down : down + 1;
}

/** Takes fields off the front of a packet. */
export class Reader {
  at = 0;
  constructor(readonly data: Uint8Array) {}

  get left(): number {
    return this.data.length - this.at;
  }

  fail(what: string): WireError {
    return new WireError(`${what} at byte ${this.at}`);
  }

  /** A view of the packet's own bytes. */
  take(size: number): Uint8Array {
    if (size > this.left) throw this.fail(`${size} bytes wanted, ${this.left} left`);
    this.at += size;
    return this.data.subarray(this.at - size, this.at);
  }

  uint(size: number): number {
    return this.take(size).reduce((value, byte) => value * 256 + byte, 0);
  }

  varint(): number {
    const first = this.uint(1);
    if (first < 0x80) return first;
    const size = first < 0xc0 ? 2 : 3;
    const value = (first & 0x3f) * 256 ** (size - 1) + this.uint(size - 1);
    if (value > MAX_VARINT || varintSize(value) !== size) throw this.fail("a number that has a shorter form");
    return value;
  }
}

/** Puts fields one after the other. */
export class Writer {
  private readonly out: number[] = [];

  byte(...values: number[]): this {
    this.out.push(...values);
    return this;
  }

  uint(value: number, size: number): this {
    for (let shift = size - 1; shift >= 0; shift--) this.out.push(Math.floor(value / 256 ** shift) % 256);
    return this;
  }

  varint(value: number): this {
    const size = varintSize(value);
    return this.uint(value + [0, 0x80, 0xc0][size - 1]! * 256 ** (size - 1), size);
  }

  bytes(data: Uint8Array): this {
    for (const byte of data) this.out.push(byte);
    return this;
  }

  done(): Uint8Array {
    return Uint8Array.from(this.out);
  }
}
