// The files of weights of this repository, for programs in node.

import { readFile } from "node:fs/promises";
import { Weights } from "../../player/page/bundle/layercast.js";

const FOLDER = new URL("../../codec/weights/", import.meta.url);

export function localWeights() {
  return new Weights(async (path) => new Uint8Array(await readFile(new URL(path, FOLDER))));
}
