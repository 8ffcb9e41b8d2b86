// node tests/page/hostile.mjs FOLDER [--inputs N] [--seed S]: hostile inputs to the decoder, as files and as single chunks: each
// gives a picture or a FormatError. Also says how long the slowest took and how much memory there was. Exit 1 otherwise.

import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { decode, Decoder, FormatError, read } from "../../player/page/bundle/layercast.js";
import { localWeights } from "./local.mjs";

const { values: options, positionals: [folder] } = parseArgs({
  allowPositionals: true,
  options: { inputs: { type: "string", default: "200000" }, seed: { type: "string", default: "1" } },
});
const inputs = Number(options.inputs);
const LIMIT = 40_000; // pixels: a hostile header may ask for so many
const EDGES = [0x00, 0x01, 0x3f, 0x40, 0x7f, 0x80, 0xc1, 0xfe, 0xff]; // values at which parsers change their mind
const MOST_BYTES = 400e6; // of memory, node's own 100 MB among them

const weights = localWeights();
const honest = JSON.parse(readFileSync(`${folder}/honest.json`)).map((text) => Uint8Array.from(Buffer.from(text, "base64")));

/** Numbers in 0..n - 1, the same in every run (mulberry32). */
function drawing(seed) {
  let state = seed >>> 0;
  return (n) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * n);
  };
}

const draw = drawing(Number(options.seed));
const noise = (n) => Array.from({ length: n }, () => draw(256));

const CHANGES = [
  (data) => (data[draw(data.length)] ^= 1 << draw(8)),
  (data) => (data[draw(data.length)] ^= 1 << draw(8)),
  (data) => (data[draw(data.length)] = EDGES[draw(EDGES.length)]),
  (data) => data.splice(draw(data.length), 1 + draw(16), ...noise(1 + draw(16))),
  (data) => data.splice(draw(data.length)),
  (data) => data.splice(draw(data.length), 1 + draw(16)),
  (data) => data.splice(draw(data.length + 1), 0, ...noise(1 + draw(16))),
  (data) => data.splice(draw(data.length + 1), 0, ...data.slice(draw(data.length)).slice(0, 64)),
];

function damaged(bytes) {
  const data = bytes.length ? [...bytes] : noise(draw(40));
  for (let i = draw(4); i >= 0 && data.length; i--) CHANGES[draw(CHANGES.length)](data);
  return Uint8Array.from(data);
}

async function feedFile(data) {
  const { picture } = await decode(data, { weights, limit: LIMIT });
  if (picture.data.length !== 4 * picture.width * picture.height) throw new Error("no picture");
}

/** Chunks of an honest stream, some damaged, cut or given other names, and looks in between. */
async function feedChunks(data) {
  const { header, chunks } = read(data);
  const decoder = await Decoder.open(header, { weights, limit: LIMIT });
  try {
    for (const chunk of chunks) {
      const fate = draw(10);
      if (fate === 0) continue;
      const payload = fate < 3 ? damaged(chunk.payload) : fate < 4 ? chunk.payload.slice(0, draw(chunk.payload.length + 1)) : chunk.payload;
      const index = fate === 4 ? draw(300) : chunk.index;
      const kind = fate === 5 && draw(4) === 0 ? draw(7) : chunk.kind;
      decoder.push({ kind, index, payload, length: Math.max(payload.length, fate === 3 ? chunk.length : 0) });
      if (draw(12) === 0) await decoder.picture();
    }
    await decoder.picture();
    await decoder.caption();
    await decoder.regions();
    await decoder.edges();
    await decoder.exactArea();
    await decoder.profile();
  } finally {
    decoder.close();
  }
}

const failures = [];
let refused = 0;
let slowest = 0;
let largest = 0;
for (let number = 0; number < inputs; number++) {
  const stream = honest[draw(honest.length)];
  const asFile = number % 4 !== 3;
  const data = asFile ? damaged(stream) : stream;
  const start = performance.now();
  try {
    await (asFile ? feedFile(data) : feedChunks(data));
  } catch (error) {
    if (error instanceof FormatError) refused++;
    else failures.push(`input ${number} (${asFile ? Buffer.from(data).toString("base64").slice(0, 2000) : "chunks"}): ${error.stack}`);
  }
  slowest = Math.max(slowest, performance.now() - start);
  if (number % 500 === 0) largest = Math.max(largest, process.memoryUsage().rss);
}
for (const failure of failures.slice(0, 10)) console.log(failure);
console.log(
  `${inputs} inputs, ${refused} refused, ${failures.length} failures; slowest ${slowest.toFixed(0)} ms, memory ${(largest / 1e6).toFixed(0)} MB`,
);
process.exit(failures.length || largest > MOST_BYTES ? 1 : 0);
