// As much of msgpack as names and orders of streams are written in: arrays, texts and whole numbers.

import { utf8 } from "./control";

const MAX_LIST = 2 ** 19;

export type Value = number | string | readonly Value[];

/** The value that the bytes hold; null for anything else, or if bytes are left. */
export function unpack(data: Uint8Array): Value | null {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  let at = 0;
  const sized = (size: 1 | 2 | 4): number => {
    at += size;
    if (at > data.length) throw new RangeError("cut short");
    return size === 1 ? view.getUint8(at - 1) : size === 2 ? view.getUint16(at - 2) : view.getUint32(at - 4);
  };
  const text = (size: number): string => {
    const found = utf8(data.subarray(at, at + size));
    at += size;
    if (found === null || at > data.length) throw new RangeError("no text");
    return found;
  };
  const list = (count: number, deep: number): Value[] => {
    if (count > Math.min(MAX_LIST, data.length) || deep > 2) throw new RangeError("too large");
    return Array.from({ length: count }, () => next(deep + 1));
  };
  const next = (deep: number): Value => {
    const mark = sized(1);
    if (mark < 0x80) return mark;
    if (mark >= 0x90 && mark < 0xa0) return list(mark & 15, deep);
    if (mark >= 0xa0 && mark < 0xc0) return text(mark & 31);
    if (mark >= 0xcc && mark <= 0xce) return sized((1 << (mark - 0xcc)) as 1 | 2 | 4);
    if (mark === 0xcf) return sized(4) * 2 ** 32 + sized(4);
    if (mark === 0xd9 || mark === 0xda) return text(sized(mark === 0xd9 ? 1 : 2));
    if (mark === 0xdc || mark === 0xdd) return list(sized(mark === 0xdc ? 2 : 4), deep);
    throw new RangeError("no such value");
  };
  try {
    const value = next(0);
    return at === data.length ? value : null;
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}
