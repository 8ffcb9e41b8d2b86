// The worker behind <layer-cast>: fetches streams, decodes and paints them, away from the page's own thread.
//
// What arrives while a picture is made waits for the next one, so a slow machine draws fewer pictures, not later ones.
// Weights are fetched one file after the other: thumbnail, caption, network, residual. Until the network's are there the
// thumbnail is shown alone, and the caption is read meanwhile; where they come at once the picture goes first.

import { Decoder, isCoded, Kind, StreamReader, Weights, weightsAt, type Caption, type Chunk } from "./index";
import type { Asked, Told } from "./messages";

const PATIENCE = 300; // milliseconds that the caption waits for the network's weights

const pause = (time: number) => new Promise<false>((done) => setTimeout(done, time, false));
const tell = (message: Told, transfer: Transferable[] = []) => postMessage(message, { transfer });
const shelves = new Map<string, Weights>();
const streams = new Map<number, Stream>();

function weightsBelow(url: string): Weights {
  let found = shelves.get(url);
  if (!found) shelves.set(url, (found = new Weights(weightsAt(url))));
  return found;
}

/** One stream on its way from a URL onto a canvas. */
class Stream {
  #id: number;
  #url: string;
  #weights: Weights;
  #canvas: OffscreenCanvas;
  #abort = new AbortController();
  #decoder: Decoder | null = null;
  #bytes = 0;
  #total: number | null = null;
  #kinds = new Set<number>();
  #coded = false; // whether the caption needs weights
  #fresh = false; // something came that is not shown yet
  #painting: Promise<void> | null = null;
  #caption: Caption | null = null;

  constructor(id: number, url: string, weights: Weights, canvas: OffscreenCanvas) {
    this.#id = id;
    this.#url = url;
    this.#weights = weights;
    this.#canvas = canvas;
  }

  async run(): Promise<void> {
    try {
      await this.#fetch();
      await this.#paint();
      await this.#painting;
      if (!this.#decoder) return;
      tell({ tell: "end", id: this.#id, verified: await this.#decoder.verified() });
    } catch (error) {
      if (this.#abort.signal.aborted) return;
      tell({ tell: "error", id: this.#id, message: error instanceof Error ? error.message : String(error) });
    }
  }

  close(): void {
    this.#abort.abort();
    this.#decoder?.close();
  }

  async pixels(question: number): Promise<void> {
    const picture = (await this.#decoder?.picture()) ?? null;
    tell({ tell: "pixels", id: this.#id, question, picture }, picture ? [picture.data.buffer] : []);
  }

  async #fetch(): Promise<void> {
    const answer = await fetch(this.#url, { signal: this.#abort.signal });
    if (!answer.ok || !answer.body) throw new Error(`${this.#url}: ${answer.status} ${answer.statusText}`);
    const length = answer.headers.get("Content-Length");
    this.#total = length && !answer.headers.get("Content-Encoding") ? Number(length) : null;
    const reader = new StreamReader();
    const body = answer.body.getReader();
    for (;;) {
      const { done, value } = await body.read();
      if (done) break;
      this.#bytes += value.length;
      const chunks = reader.push(value);
      if (reader.header && !this.#decoder) await this.#open(reader.header);
      this.#push(chunks);
    }
    const rest = reader.rest();
    if (reader.header && !this.#decoder) await this.#open(reader.header);
    this.#push(rest ? [rest] : []);
  }

  async #open(header: Parameters<typeof Decoder.open>[0] & { width: number; height: number }): Promise<void> {
    this.#decoder = await Decoder.open(header, { weights: this.#weights });
    this.#canvas.width = header.width;
    this.#canvas.height = header.height;
    tell({ tell: "size", id: this.#id, width: header.width, height: header.height });
  }

  #push(chunks: readonly Chunk[]): void {
    for (const chunk of chunks) {
      this.#decoder!.push(chunk);
      this.#kinds.add(chunk.kind);
      this.#coded ||= chunk.kind === Kind.CAPTION && isCoded(chunk.payload);
      this.#fresh = true;
    }
    this.#paint().catch(() => undefined);
  }

  /** Paints until all that came is shown; one painter at a time. What fails is tried again at the end, by `run`. */
  async #paint(): Promise<void> {
    if (this.#painting || !this.#fresh) return this.#painting ?? undefined;
    this.#painting = this.#paintAll();
    this.#painting.catch(() => (this.#fresh = true));
    return this.#painting;
  }

  async #paintAll(): Promise<void> {
    try {
      while (this.#fresh && !this.#abort.signal.aborted) {
        this.#fresh = false;
        await this.#paintNow();
      }
    } finally {
      this.#painting = null; // at once: what comes from now on finds no painter
    }
  }

  async #paintNow(): Promise<void> {
    const decoder = this.#decoder!;
    const { weights } = decoder.header;
    if (this.#kinds.has(Kind.LATENT) && !this.#weights.has(weights, "latent")) {
      await this.#weights.need(weights, "thumbnail");
      const preview = await decoder.preview();
      if (preview) this.#draw(preview, { x0: 0, y0: 0, x1: preview.width, y1: preview.height });
      if (this.#coded) await this.#weights.need(weights, "caption");
      const ready = this.#weights.need(weights, "latent").then(() => true);
      if (!(await Promise.race([ready, pause(PATIENCE)]))) await this.#tellCaption(decoder);
      await ready;
    }
    const picture = await decoder.picture();
    const changed = decoder.takeChanged();
    if (changed) this.#draw(picture, changed);
    const exact = this.#kinds.has(Kind.RESIDUAL) ? await decoder.exactArea() : 0;
    tell({ tell: "painted", id: this.#id, bytes: this.#bytes, total: this.#total, exact });
    await this.#tellCaption(decoder);
  }

  async #tellCaption(decoder: Decoder): Promise<void> {
    const caption = await decoder.caption();
    if (!caption || (caption.text === this.#caption?.text && caption.guessed === this.#caption.guessed)) return;
    this.#caption = caption;
    tell({ tell: "caption", id: this.#id, text: caption.text, guessed: caption.guessed });
  }

  #draw(picture: Awaited<ReturnType<Decoder["picture"]>>, part: { x0: number; y0: number; x1: number; y1: number }): void {
    const image = new ImageData(picture.data, picture.width, picture.height);
    const brush = this.#canvas.getContext("2d")!;
    brush.putImageData(image, 0, 0, part.x0, part.y0, part.x1 - part.x0, part.y1 - part.y0);
  }
}

addEventListener("message", ({ data }: MessageEvent<Asked>) => {
  if (data.ask === "open") {
    const stream = new Stream(data.id, data.url, weightsBelow(data.weights), data.canvas);
    streams.set(data.id, stream);
    void stream.run();
    return;
  }
  const stream = streams.get(data.id);
  if (data.ask === "pixels") {
    void stream?.pixels(data.question);
    return;
  }
  stream?.close();
  streams.delete(data.id);
});
