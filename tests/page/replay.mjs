// node tests/page/replay.mjs FOLDER: replays the streams of streams.py and compares what they show. Exit 1 on a difference.

import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { Decoder, parseHeader } from "../../player/page/bundle/layercast.js";
import { localWeights } from "./local.mjs";

const sha256 = (data) => createHash("sha256").update(data).digest("hex");
const bytes = (hex) => new Uint8Array(Buffer.from(hex, "hex"));
const weights = localWeights();

async function look(decoder) {
  const { data } = await decoder.picture(decoder.header.channels);
  const edges = await decoder.edges();
  return {
    pixels: sha256(data),
    edges: edges && sha256(edges.data),
    caption: (await decoder.caption())?.text ?? null,
    facts: Object.fromEntries(await decoder.facts()),
    exact: Number((await decoder.exactArea()).toFixed(9)),
    verified: await decoder.verified(),
  };
}

async function replay({ name, header, events }) {
  const decoder = await Decoder.open(parseHeader(bytes(header)).header, { weights });
  const wrong = [];
  let looks = 0;
  for (const event of events) {
    if (event.chunk) {
      const [kind, index, payload, length] = event.chunk;
      decoder.push({ kind, index, payload: bytes(payload), length });
      continue;
    }
    const found = await look(decoder);
    const expected = { ...event.look, exact: Number(event.look.exact.toFixed(9)) };
    for (const key of Object.keys(expected)) {
      if (JSON.stringify(found[key]) !== JSON.stringify(expected[key])) {
        wrong.push(`${name}: look ${looks}: ${key} ${JSON.stringify(found[key])}, not ${JSON.stringify(expected[key])}`);
      }
    }
    looks++;
  }
  decoder.close();
  return { looks, wrong };
}

const total = { streams: 0, looks: 0, wrong: 0 };
for await (const line of createInterface({ input: createReadStream(`${process.argv[2]}/streams.jsonl`) })) {
  const { looks, wrong } = await replay(JSON.parse(line));
  total.streams++;
  total.looks += looks;
  total.wrong += wrong.length;
  for (const text of wrong) console.log(text);
}
console.log(`${total.streams} streams, ${total.looks} looks, ${total.wrong} differences`);
process.exit(total.wrong || !total.looks ? 1 : 0);
