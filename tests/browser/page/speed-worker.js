import * as page from "/bundle/layercast.js";
import { timings } from "/timing.mjs";

const data = new Uint8Array(await (await fetch("/stream")).arrayBuffer());
postMessage(await timings(page, data, new page.Weights(page.weightsAt(new URL("/weights/", location.href)))));
