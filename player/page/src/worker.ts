// The worker behind <layer-cast>: fetches streams or takes their chunks, decodes and paints them, away from the page's own
// thread.
//
// What arrives while a picture is made waits for the next one, so a slow machine draws fewer pictures, not later ones.
// Weights are fetched one file after the other: thumbnail, caption, network, residual. Until the network's are there the
// thumbnail is shown alone, and the caption is read meanwhile; where they come at once the picture goes first.

import {
  baseSize, Decoder, encodePng, isCoded, Kind, StreamReader, type Caption, type Chunk, type Header, type Picture,
  type Rectangle, type Weights,
} from "./index";
import type { Answers, Asked, Layer, Question, Told } from "./messages";
import { Past } from "./past";
import { Shelf } from "./shelf";

const FIRST_PART = 4096; // bytes of the first request, where not all of a stream is wanted
const THUMBNAIL = 320; // pixels of the longer side of one that is shown small
const PATIENCE = 300; // milliseconds that the caption waits for the network's weights

const pause = (time: number) => new Promise<false>((done) => setTimeout(done, time, false));
const tell = (message: Told, transfer: Transferable[] = []) => postMessage(message, { transfer });
const shelves = new Map<string, Shelf>();
const streams = new Map<number, Stream>();

function shelfBelow(url: string): Shelf {
  let found = shelves.get(url);
  if (!found) shelves.set(url, (found = new Shelf(url, (fetching) => tell({ tell: "weights", id: 0, ...fetching }))));
  return found;
}

/** Bytes of the whole stream, if the server says so. */
function totalOf(answer: Response): number | null {
  const part = /\/(\d+)$/.exec(answer.headers.get("Content-Range") ?? "");
  if (part) return Number(part[1]);
  const length = answer.headers.get("Content-Length");
  return length && answer.status === 200 && !answer.headers.get("Content-Encoding") ? Number(length) : null;
}

/** One stream on its way onto a canvas. */
class Stream {
  #id: number;
  #weights: Weights;
  #canvas: OffscreenCanvas;
  #upto: Layer = "residual";
  #decided: () => void = () => undefined;
  #abort = new AbortController();
  #decoder: Decoder | null = null;
  #came: Chunk[] = [];
  #past: Past | null = null;
  #moment: number | null = null; // that is shown; null: what is there now
  #wanted: number | null = null;
  #visiting = false;
  #away = false; // a moment of the past is shown, or about to be
  #bytes = 0;
  #total: number | null = null;
  #kinds = new Set<number>();
  #sizes = new Map<number, number>(); // bytes of each chunk that the page handed over
  #coded = false; // whether the caption needs weights
  #failed = false;
  #fresh = false; // something came that is not shown yet
  #painting: Promise<void> | null = null;
  #caption: Caption | null = null;

  constructor(id: number, weights: Weights, canvas: OffscreenCanvas) {
    this.#id = id;
    this.#weights = weights;
    this.#canvas = canvas;
  }

  /** Fetches and paints the stream at `url`. */
  async fetch(url: string, upto: Layer): Promise<void> {
    this.#upto = upto;
    await this.#telling(() => this.#fetch(url));
    await this.finish();
  }

  /** Begins a stream whose chunks the page hands over. */
  begin(header: Header): Promise<void> {
    return this.#telling(() => this.#open(header));
  }

  push(chunk: Chunk): void {
    const before = this.#sizes.get(8 * chunk.index + chunk.kind) ?? 0;
    this.#bytes += Math.max(0, chunk.payload.length - before);
    this.#sizes.set(8 * chunk.index + chunk.kind, Math.max(before, chunk.payload.length));
    this.#push([chunk]);
  }

  /** Nothing more comes. */
  finish(): Promise<void> {
    return this.#telling(async () => {
      await this.#paint();
      if (!this.#decoder || this.#failed) return;
      tell({ tell: "end", id: this.#id, verified: await this.#decoder.verified() });
    });
  }

  /** What the page says where it was asked for as much as is "shown". */
  set upto(layer: Layer) {
    this.#upto = layer;
    this.#decided();
  }

  /** Shows the picture as it was after so many chunks, or (null) as it is; of many wishes the last one counts. */
  set moment(moment: number | null) {
    this.#wanted = moment;
    if (!this.#visiting) void this.#telling(() => this.#visit());
  }

  close(): void {
    this.#abort.abort();
    this.#past?.close();
    this.#decoder?.close();
  }

  async answer(what: Question, question: number): Promise<void> {
    const answer = await this.#find(what).catch(() => null);
    const transfer = what === "pixels" && answer ? [(answer as Picture).data.buffer] : [];
    tell({ tell: "answer", id: this.#id, question, answer }, transfer);
  }

  async #find(what: Question): Promise<Answers[Question] | null> {
    const decoder = this.#decoder;
    if (!decoder) return null;
    switch (what) {
      case "pixels":
        return decoder.picture();
      case "png": {
        const { data, width, height, channels } = await decoder.picture(decoder.header.channels);
        return encodePng(data, width, height, channels, await decoder.profile().catch(() => null));
      }
      case "regions":
        await this.#weights.need(decoder.header.weights, "caption"); // here, where no picture waits for it
        return decoder.regions();
      case "areas":
        return decoder.areas();
    }
  }

  /** Does work whose failure the page is to hear of. */
  async #telling(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (this.#abort.signal.aborted || this.#failed) return;
      this.#failed = true;
      tell({ tell: "error", id: this.#id, message: error instanceof Error ? error.message : String(error) });
    }
  }

  /** All of the stream; or parts of a size that grows, until the residual begins, where the server gives parts. */
  async #fetch(url: string): Promise<void> {
    const reader = new StreamReader();
    let size = this.#upto === "residual" ? Infinity : FIRST_PART;
    for (let more = true; more && !this.#isEnough(); size *= 2) {
      const range = size === Infinity ? undefined : { Range: `bytes=${this.#bytes}-${this.#bytes + size - 1}` };
      const answer = await fetch(url, { signal: this.#abort.signal, headers: range });
      if (answer.status === 416 && this.#bytes) break; // the stream ended where the last part did
      if (!answer.ok || !answer.body) throw new Error(`${url}: ${answer.status} ${answer.statusText}`);
      this.#total = totalOf(answer);
      more = answer.status === 206 && (this.#total === null || this.#bytes + size < this.#total);
      await this.#read(answer.body.getReader(), reader);
    }
    const rest = this.#isEnough() ? null : reader.rest();
    if (reader.header && !this.#decoder) await this.#open(reader.header);
    this.#push(rest ? [rest] : []);
  }

  async #read(body: ReadableStreamDefaultReader<Uint8Array>, reader: StreamReader): Promise<void> {
    for (;;) {
      const { done, value } = await body.read();
      if (done) return;
      this.#bytes += value.length;
      const chunks = reader.push(value);
      if (reader.header && !this.#decoder) await this.#open(reader.header);
      this.#push(chunks);
      if (this.#isEnough()) return body.cancel();
    }
  }

  #isEnough(): boolean {
    return this.#upto === "latent" && this.#kinds.has(Kind.RESIDUAL);
  }

  async #open(header: Header): Promise<void> {
    this.#decoder = await Decoder.open(header, { weights: this.#weights });
    this.#canvas.width = header.width;
    this.#canvas.height = header.height;
    const decided = new Promise<void>((done) => (this.#decided = done));
    tell({ tell: "size", id: this.#id, width: header.width, height: header.height });
    if (this.#upto === "shown") await decided;
  }

  #push(chunks: readonly Chunk[]): void {
    for (const chunk of chunks) {
      this.#kinds.add(chunk.kind);
      if (this.#isEnough()) break;
      this.#came.push(chunk);
      this.#decoder?.push(chunk);
      this.#coded ||= chunk.kind === Kind.CAPTION && isCoded(chunk.payload);
      this.#fresh = true;
    }
    if (this.#decoder) this.#paint().catch(() => undefined);
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
        await pause(0); // what has come and stands in the queue of messages goes into this picture
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
      if (preview) this.#draw(preview, whole(preview));
      if (preview) tell({ tell: "preview", id: this.#id });
      if (this.#coded) await this.#weights.need(weights, "caption");
      const ready = this.#weights.need(weights, "latent").then(() => true);
      if (!(await Promise.race([ready, pause(PATIENCE)]))) await this.#tellCaption(decoder);
      await ready;
    }
    const picture = await decoder.picture();
    const changed = decoder.takeChanged();
    if (changed) this.#draw(picture, changed);
    const exact = this.#upto !== "latent" && this.#kinds.has(Kind.RESIDUAL) ? await decoder.exactArea() : 0;
    tell({ tell: "painted", id: this.#id, bytes: this.#bytes, total: this.#total, exact });
    await this.#tellCaption(decoder);
  }

  async #tellCaption(decoder: Decoder): Promise<void> {
    const caption = await decoder.caption();
    if (!caption || (caption.text === this.#caption?.text && caption.guessed === this.#caption.guessed)) return;
    this.#caption = caption;
    tell({ tell: "caption", id: this.#id, text: caption.text, guessed: caption.guessed });
  }

  async #visit(): Promise<void> {
    this.#visiting = true;
    try {
      while (this.#decoder && this.#moment !== this.#wanted) {
        const moment = this.#wanted;
        this.#away = moment !== null;
        const picture = moment === null ? await this.#now() : await this.#pastOf(this.#decoder).picture(moment);
        if (this.#abort.signal.aborted) return;
        if (picture) this.#paintOver(picture);
        this.#moment = moment;
        tell({ tell: "moment", id: this.#id, moment });
      }
    } finally {
      this.#visiting = false;
    }
  }

  #pastOf({ header }: Decoder): Past {
    return (this.#past ??= new Past(header, this.#weights, this.#came));
  }

  /** Back from the past, whose memory is given back. */
  #now(): Promise<Picture | null> {
    this.#past?.close();
    const { weights } = this.#decoder!.header;
    return this.#weights.has(weights, "latent") ? this.#decoder!.picture() : this.#decoder!.preview();
  }

  /** What is there now is drawn only where it is to be seen. */
  #draw(picture: Picture, part: Rectangle): void {
    if (!this.#away) this.#paintOver(picture, part);
  }

  #paintOver(picture: Picture, part = whole(picture)): void {
    const image = new ImageData(picture.data, picture.width, picture.height);
    const brush = this.#canvas.getContext("2d")!;
    brush.putImageData(image, 0, 0, part.x0, part.y0, part.x1 - part.x0, part.y1 - part.y0);
  }
}

function whole({ width, height }: Picture): Rectangle {
  return { x0: 0, y0: 0, x1: width, y1: height };
}

function opened({ id, weights, canvas }: Extract<Asked, { canvas: OffscreenCanvas }>): Stream {
  const stream = new Stream(id, shelfBelow(weights).weights, canvas);
  streams.set(id, stream);
  return stream;
}

/** Paints a thumbnail small, and keeps nothing of it: a page may show hundreds. */
async function paintThumbnail({ id, weights: url, canvas, header, payload }: Extract<Asked, { ask: "thumbnail" }>): Promise<void> {
  const { weights } = shelfBelow(url);
  await weights.need(header.weights, "thumbnail");
  const decoder = await Decoder.open({ ...header, ...baseSize(header) }, { weights });
  try {
    decoder.push({ kind: Kind.LATENT, index: 0, payload, length: payload.length });
    const picture = await decoder.preview();
    if (!picture) return;
    const scale = Math.min(1, THUMBNAIL / Math.max(picture.width, picture.height));
    canvas.width = Math.max(1, Math.round(picture.width * scale));
    canvas.height = Math.max(1, Math.round(picture.height * scale));
    const image = new ImageData(picture.data, picture.width, picture.height);
    const bitmap = await createImageBitmap(image, { resizeWidth: canvas.width, resizeHeight: canvas.height, resizeQuality: "high" });
    canvas.getContext("2d")!.drawImage(bitmap, 0, 0);
    bitmap.close();
    tell({ tell: "preview", id });
  } finally {
    decoder.close();
  }
}

/** What the page asks of one picture, one after the other: a header before its chunks. */
const turns = new Map<number, Promise<void>>();

addEventListener("message", ({ data }: MessageEvent<Asked>) => {
  const stream = "id" in data ? streams.get(data.id) : undefined;
  switch (data.ask) {
    case "fetch":
      void opened(data).fetch(data.url, data.upto);
      break;
    case "begin":
      turns.set(data.id, opened(data).begin(data.header));
      break;
    case "chunk":
      turns.set(data.id, turns.get(data.id)!.then(() => stream?.push(data.chunk)));
      break;
    case "finish":
      turns.set(data.id, turns.get(data.id)!.then(() => stream?.finish()));
      break;
    case "upto":
      if (stream) stream.upto = data.upto;
      break;
    case "moment":
      if (stream) stream.moment = data.moment;
      break;
    case "pixels":
    case "png":
    case "regions":
    case "areas":
      void stream?.answer(data.ask, data.question);
      break;
    case "thumbnail":
      paintThumbnail(data).catch((error: Error) => tell({ tell: "error", id: data.id, message: error.message }));
      break;
    case "hold":
      shelfBelow(data.weights).hold(data.hold, data.kept);
      break;
    case "close":
      stream?.close();
      streams.delete(data.id);
      turns.delete(data.id);
  }
});
