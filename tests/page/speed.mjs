// node tests/page/speed.mjs FILE.lcast: how long the decoder takes for it, once its weights are loaded.

import { readFile } from "node:fs/promises";
import { decode, Decoder, Kind, read } from "../../player/page/bundle/layercast.js";
import { localWeights } from "./local.mjs";

const data = new Uint8Array(await readFile(process.argv[2]));
const weights = localWeights();

async function timed(work, times = 5) {
  const taken = [];
  for (let i = 0; i < times; i++) {
    const start = performance.now();
    await work();
    taken.push(performance.now() - start);
  }
  return Math.min(...taken);
}

const show = (what, ms) => console.log(`${what.padEnd(44)} ${ms.toFixed(0).padStart(6)} ms`);

const { header, chunks } = read(data);
const start = performance.now();
await decode(data, { weights });
show("first picture, all weights parsed", performance.now() - start);
show("to 600 bytes", await timed(() => decode(data.subarray(0, 600), { weights })));
show("to 3,000 bytes", await timed(() => decode(data.subarray(0, 3000), { weights })));
show("to the last latent", await timed(() => upTo(Kind.LATENT)));
show(`whole, ${data.length} bytes`, await timed(() => decode(data, { weights }), 2));

async function upTo(kind) {
  const decoder = await Decoder.open(header, { weights });
  for (const chunk of chunks) if (chunk.kind === kind) decoder.push(chunk);
  await decoder.picture();
  decoder.close();
}

// each chunk shown as it comes
const steps = { [Kind.LATENT]: [], [Kind.RESIDUAL]: [] };
const decoder = await Decoder.open(header, { weights });
for (const chunk of chunks) {
  if (!(chunk.kind in steps)) continue;
  decoder.push(chunk);
  const before = performance.now();
  await decoder.picture();
  steps[chunk.kind].push(performance.now() - before);
}
for (const [kind, name] of [[Kind.LATENT, "latent"], [Kind.RESIDUAL, "residual"]]) {
  const taken = steps[kind].sort((a, b) => a - b);
  if (!taken.length) continue;
  show(`a ${name} chunk shown: median of ${taken.length}`, taken[taken.length >> 1]);
  show(`a ${name} chunk shown: longest`, taken.at(-1));
}
show("a latent chunk before any residual: longest", await latents());

async function latents() {
  const fresh = await Decoder.open(header, { weights });
  let longest = 0;
  for (const chunk of chunks.filter(({ kind }) => kind === Kind.LATENT)) {
    fresh.push(chunk);
    const before = performance.now();
    await fresh.picture();
    longest = Math.max(longest, performance.now() - before);
  }
  return longest;
}
