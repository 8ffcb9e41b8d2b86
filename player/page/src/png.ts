// A picture as a PNG file (RFC 2083), every sample as it is: a canvas would round colours under alpha.

import { joined } from "./bytes";

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const COLOUR_TYPE = [0, 4, 2, 6]; // of 1, 2, 3, 4 channels
const SUB = 1; // each sample minus the one of the pixel before it
const UP = 2; // minus the one above

/** `data`: u8[height][width][channels]. `profile`: ICC, of the colours. */
export async function encodePng(
  data: Uint8Array | Uint8ClampedArray,
  width: number,
  height: number,
  channels: number,
  profile: Uint8Array | null = null,
): Promise<Uint8Array> {
  const head = new Uint8Array(13);
  const view = new DataView(head.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  head.set([8, COLOUR_TYPE[channels - 1]!], 8);
  const parts = [Uint8Array.from(SIGNATURE), chunk("IHDR", head)];
  if (profile) parts.push(chunk("iCCP", joined([Uint8Array.of(0x69, 0x63, 0x63, 0, 0), await packed(profile)]))); // "icc"
  parts.push(chunk("IDAT", await packed(filtered(data, width, height, channels))), chunk("IEND", new Uint8Array()));
  return joined(parts);
}

/** Lines, each behind the name of the filter that leaves the smaller sum of differences. */
function filtered(data: Uint8Array | Uint8ClampedArray, width: number, height: number, channels: number): Uint8Array {
  const size = width * channels;
  const lines = new Uint8Array(height * (size + 1));
  for (let y = 0; y < height; y++) {
    const from = y * size;
    let [across, down] = [0, 0];
    for (let i = 0; i < size; i++) {
      const sample = data[from + i]!;
      across += distance(sample, i < channels ? 0 : data[from + i - channels]!);
      down += distance(sample, y ? data[from + i - size]! : 0);
    }
    const filter = across <= down ? SUB : UP;
    const to = y * (size + 1);
    lines[to] = filter;
    for (let i = 0; i < size; i++) {
      const near = filter === SUB ? (i < channels ? 0 : data[from + i - channels]!) : y ? data[from + i - size]! : 0;
      lines[to + 1 + i] = data[from + i]! - near;
    }
  }
  return lines;
}

function distance(one: number, other: number): number {
  const difference = (one - other) & 255;
  return difference < 128 ? difference : 256 - difference;
}

async function packed(data: Uint8Array): Promise<Uint8Array> {
  const stream = new Blob([data as BlobPart]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function chunk(name: string, data: Uint8Array): Uint8Array {
  const whole = new Uint8Array(12 + data.length);
  const view = new DataView(whole.buffer);
  view.setUint32(0, data.length);
  whole.set(new TextEncoder().encode(name), 4);
  whole.set(data, 8);
  view.setUint32(8 + data.length, crc(whole.subarray(4, 8 + data.length)));
  return whole;
}

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let rest = byte;
  for (let bit = 0; bit < 8; bit++) rest = rest & 1 ? (rest >>> 1) ^ 0xedb88320 : rest >>> 1;
  return rest;
});

function crc(data: Uint8Array): number {
  let rest = 0xffffffff;
  for (const byte of data) rest = TABLE[(rest ^ byte) & 255]! ^ (rest >>> 8);
  return ~rest >>> 0;
}
