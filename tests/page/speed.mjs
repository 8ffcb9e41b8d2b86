// node tests/page/speed.mjs FILE.lcast: how long the decoder takes for it. In Chromium: python -m tests.browser.speed FILE.

import { readFile } from "node:fs/promises";
import * as page from "../../player/page/bundle/layercast.js";
import { localWeights } from "./local.mjs";
import { timings } from "./timing.mjs";

const data = new Uint8Array(await readFile(process.argv[2]));
for (const [what, figure] of await timings(page, data, localWeights())) console.log(`${what.padEnd(56)} ${figure}`);
