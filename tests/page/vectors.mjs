// node tests/page/vectors.mjs: the golden vectors of tests/vectors, decoded in JavaScript. Exit 1 on a difference.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import * as page from "../../player/page/build/internals.js";
import { localWeights } from "./local.mjs";

const sha256 = (data) => createHash("sha256").update(data).digest("hex");
const bytes = (hex) => new Uint8Array(Buffer.from(hex, "hex"));
const hex = (data) => Buffer.from(data).toString("hex");
const vectors = (name) => JSON.parse(readFileSync(new URL(`../vectors/${name}`, import.meta.url)));
const weights = localWeights();
const kernel = await page.Kernel.open();
for (const set of [0, 1]) {
  for (const name of ["thumbnail", "caption", "edge_vq", "residual", "residual_filter"]) await weights.need(set, name);
}

function container() {
  const found = Object.fromEntries(Object.entries(vectors("container.json")).map(([name, data]) => [name, page.read(bytes(data))]));
  const chunks = (name) => found[name].chunks.map(({ kind, index, payload, length }) => [kind, index, payload.length, length]);
  assert.deepEqual(found["header alone"].header, { width: 768, height: 512, channels: 3, weights: 1, base: 0 });
  const grey = { width: 1, height: 65536, channels: 1, weights: 0, base: 3 };
  assert.deepEqual(found["explicit size, grey, tiny weights"].header, grey);
  assert.deepEqual(chunks("caption and thumbnail"), [[0, 0, 7, 7], [4, 0, 19, 19]]);
  const all = [[3, 15, 63, 63], [3, 16, 2047, 2047], [3, 17, 2048, 2048], [3, 2, 3, 3], [3, 3, 0, 0], [5, 31, 0, 0], [5, 0, 0, 0]];
  assert.deepEqual(chunks("skips, all forms of framing"), all);
  assert.deepEqual(chunks("seeks forward, backward, to 0"), [[5, 64, 1, 1], [5, 30, 1, 1], [5, 0, 1, 1], [5, 2 ** 24 - 1, 1, 1]]);
  assert.deepEqual(chunks("a cut chunk at the end"), [[6, 0, 4, 4], [4, 2, 2, 300]]);
  for (const [name, data] of Object.entries(vectors("container.json"))) {
    const header = bytes(data).slice(0, page.parseHeader(bytes(data)).end);
    const same = hex(page.write(header, found[name].chunks));
    assert.equal(same, data, `${name}, written again`);
  }
  return Object.keys(found).length;
}

function captions() {
  const models = [0, 1].map((set) => new page.CaptionModel(kernel, weights.get(set, "caption")));
  const all = vectors("caption/captions.json");
  for (const { text, guessed, weights: set, payload: data } of all) {
    const payload = bytes(data);
    const found = page.isCoded(payload) ? models[set].read(kernel, payload, true) : page.plainCaption(payload, true);
    assert.deepEqual([found.text, found.guessed], [text, guessed]);
  }
  return all.length;
}

async function meta() {
  const { facts, payload, profile_parts: parts } = vectors("structure/meta.json");
  assert.deepEqual(Object.fromEntries(page.decodeFacts(bytes(payload), true)), facts);
  const head = "0000020c41444245021000006d6e74725247422058595a20";
  const all = [...Array(512).keys()].map((i) => (i % 256).toString(16).padStart(2, "0")).join("");
  assert.equal(hex(await page.decodeProfile(parts.map(bytes))), head + all);
  return 2;
}

function edges() {
  const all = vectors("structure/edges.json");
  for (const { width, height, weights: set, payloads, maps } of all) {
    const arrays = weights.get(set, "edge_vq");
    const header = { width, height, channels: 3, weights: set, base: 0 };
    maps.forEach((map, last) => {
      const given = new Map(payloads.slice(0, last + 1).map((data, i) => [i, { payload: bytes(data), whole: true }]));
      assert.equal(sha256(page.decodeEdges(kernel, arrays, header, given).data), map);
    });
  }
  return all.length;
}

function thumbnails() {
  const all = vectors("thumbnail.json");
  for (const { weights: set, grid: [rows, columns], payload, hashes } of all) {
    const thumbnail = page.decodeThumbnail(kernel, bytes(payload), rows, columns, 3, weights.get(set, "thumbnail"), true);
    const place = page.enlargeThumbnail(kernel, thumbnail);
    const wide = 96 * columns;
    const field = kernel.u8(place, 32 * rows * wide);
    const lines = [...Array(32 * rows - 3).keys()].map((y) => [...field.subarray(y * wide, y * wide + wide - 15)]);
    kernel.give(place);
    const found = [thumbnail.values, Int32Array.from(lines.flat())].map((data) => sha256(data).slice(0, 16));
    assert.deepEqual(found, hashes);
  }
  return all.length;
}

function residual() {
  let count = 0;
  for (const set of [0, 1]) {
    for (const [name, { chunks, half }] of Object.entries(vectors(`residual/set${set}.json`))) {
      const [width, height, channels] = name.split("x").map(Number);
      const decoder = new page.ResidualDecoder({ width, height, channels, weights: set, base: 0 }, kernel, weights);
      const given = Object.entries(chunks).map(([index, data]) => ({ index: Number(index), payload: bytes(data), whole: true }));
      const base = kernel.put(new Uint8Array(width * height * channels).fill(100));
      const show = (some) => {
        assert.ok(decoder.push(some).every(Boolean));
        return kernel.u8(decoder.correct(base, false), width * height * channels).slice();
      };
      assert.equal(sha256(show(given.slice(0, given.length >> 1))), half);
      assert.equal(hex(show(given)), hex(ramp(width, height, channels)));
      count++;
    }
  }
  return count;
}

/** The picture that the vectors of the residual were made of. */
function ramp(width, height, channels) {
  const picture = new Uint8Array(width * height * channels);
  let at = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < channels; c++) {
        const noise = Number(((BigInt(x * y * (c + 1)) * 2654435761n) >> 7n) % 23n);
        picture[at++] = x * 3 + y * 2 + c * 40 + noise + ((x + 2 * y) % 50 < 20 ? 60 : 0);
      }
    }
  }
  return picture;
}

for (const group of [container, captions, meta, edges, thumbnails, residual]) console.log(`${group.name}: ${await group()} vectors`);
