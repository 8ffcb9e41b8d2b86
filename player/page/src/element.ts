// <layer-cast src="photo.lcast">: a stream as an image that sharpens while it arrives. The stream's caption is its text
// for those who do not see it. Decoding and painting happen in a worker.
//
// Attributes: src; weights, the folder of the files of weights (default: weights/ beside this module); alt, instead of
// the caption; upto: "shown" (default) stops where the residual begins if the picture is shown at half its size or less,
// "latent" does so in any case, "residual" fetches all. Events: layercast-size, layercast-caption, layercast-preview,
// layercast-progress (detail: bytes, total, exact), layercast-moment, load, error.

import type { Chunk, Header } from "./container";
import type { ChunkArea, Picture } from "./decoder";
import type { Answers, Asked, Fetching, Layer, Progress, Question, Told } from "./messages";
import type { Region } from "./regions";

declare const WORKER: string; // its file, beside this one; put in when building

const elements = new Map<number, LayerCast>();
let next = 1;
let worker: Worker | undefined;

let waiting: [Asked, Transferable[]][] | null = null;

/** Lets the worker wait, whose code takes the link too; what is asked of it until then, it gets in order. */
export function holdWorker(hold: boolean): void {
  if (hold) waiting ??= worker ? null : [];
  if (hold || !waiting) return;
  const messages = waiting;
  waiting = null;
  for (const message of messages) ask(...message);
}

function ask(message: Asked, transfer: Transferable[] = []): void {
  if (waiting) {
    waiting.push([message, transfer]);
    return;
  }
  if (!worker) {
    worker = new Worker(new URL(WORKER, import.meta.url), { type: "module" });
    worker.addEventListener("message", ({ data }: MessageEvent<Told>) => {
      if (data.tell === "weights") for (const listener of listeners) listener(data);
      else elements.get(data.id)?.hear(data);
    });
  }
  worker.postMessage(message, transfer);
}

const listeners = new Set<(fetching: Fetching) => void>();

/** Lets files of weights wait, all but those of thumbnails: the link has better to do. kept: but take what is cached. */
export function holdWeights(folder: string, hold: boolean, kept = false): void {
  ask({ ask: "hold", weights: folderOf(folder), hold, kept });
}

/** Hear how the fetching of weights goes. */
export function onFetching(listener: (fetching: Fetching) => void): void {
  listeners.add(listener);
}

function folderOf(weights: string | null): string {
  return weights ? new URL(`${weights.replace(/\/$/, "")}/`, document.baseURI).href : new URL("weights/", import.meta.url).href;
}

let sheet: CSSStyleSheet | undefined;

function style(): CSSStyleSheet {
  if (!sheet) {
    sheet = new CSSStyleSheet(); // no inline style: a strict content-security policy allows this
    sheet.replaceSync(
      ":host { display: inline-block; max-width: 100% } :host([hidden]) { display: none } " +
        "canvas { display: block; width: 100%; height: 100%; object-fit: contain }",
    );
  }
  return sheet;
}

/** The picture's own size, unless the page says something else: its place is kept before it is painted. */
function sizeStyle(width: number, height: number): CSSStyleSheet {
  const own = new CSSStyleSheet();
  own.replaceSync(`:host { width: ${width}px; aspect-ratio: ${width} / ${height} }`);
  return own;
}

/** The element. */
export class LayerCast extends HTMLElement {
  static readonly observedAttributes = ["src", "weights", "alt", "upto"];
  #id = 0;
  #root: ShadowRoot;
  #caption: string | null = null;
  #verified: boolean | null = null;
  #progress: Progress = { bytes: 0, total: null, exact: 0 };
  #size = { width: 0, height: 0 };
  #fetches = false; // from src
  #described = false; // the role is ours
  #questions = new Map<number, (answer: Answers[Question] | null) => void>();

  constructor() {
    super();
    this.#root = this.attachShadow({ mode: "open" });
    this.#root.adoptedStyleSheets = [style()];
  }

  /** The stream's own caption; null before it came. */
  get caption(): string | null {
    return this.#caption;
  }

  /** Whether the pixels are the source's to the last bit and their check says so; null without a check. */
  get verified(): boolean | null {
    return this.#verified;
  }

  get progress(): Progress {
    return this.#progress;
  }

  /** Pixels of the picture; 0 before its header came. */
  get naturalWidth(): number {
    return this.#size.width;
  }

  get naturalHeight(): number {
    return this.#size.height;
  }

  /** The picture as it is now, RGBA; null before its header came. */
  pixels(): Promise<Picture | null> {
    return this.#question("pixels");
  }

  /** The picture as it is now as a PNG file, to the last bit; null before its header came. */
  png(): Promise<Uint8Array | null> {
    return this.#question("png");
  }

  /** What stands where, as far as it came. Fetches the weights of captions. */
  async regions(): Promise<readonly Region[]> {
    return (await this.#question("regions")) ?? [];
  }

  /** Which pixels each chunk can change. */
  async areas(): Promise<readonly ChunkArea[]> {
    return (await this.#question("areas")) ?? [];
  }

  /** Shows the picture as it was after so many pushed chunks; null: as it is now. `layercast-moment` follows. */
  show(moment: number | null): void {
    if (this.#id) ask({ ask: "moment", id: this.#id, moment });
  }

  connectedCallback(): void {
    if (!this.#id && this.hasAttribute("src")) this.#open();
  }

  disconnectedCallback(): void {
    if (!this.isConnected) this.#close();
  }

  attributeChangedCallback(name: string, before: string | null, after: string | null): void {
    if (before === after) return;
    if (name === "alt") this.#describe();
    else if (this.isConnected) this.#open();
  }

  /** What the worker tells. */
  hear(told: Told): void {
    switch (told.tell) {
      case "size":
        this.#size = { width: told.width, height: told.height };
        this.#root.adoptedStyleSheets = [style(), sizeStyle(told.width, told.height)];
        if (this.#fetches && this.#upto() === "shown") ask({ ask: "upto", id: this.#id, upto: this.#isSmall() ? "latent" : "residual" });
        this.#send("layercast-size", this.#size);
        break;
      case "caption":
        this.#caption = told.text;
        this.#describe();
        this.#send("layercast-caption", { text: told.text, guessed: told.guessed });
        break;
      case "painted":
        this.#progress = { bytes: told.bytes, total: told.total, exact: told.exact };
        this.#send("layercast-progress", this.#progress);
        break;
      case "preview":
        this.#send("layercast-preview", null);
        break;
      case "moment":
        this.#send("layercast-moment", { moment: told.moment });
        break;
      case "answer":
        this.#questions.get(told.question)?.(told.answer);
        this.#questions.delete(told.question);
        break;
      case "end":
        this.#verified = told.verified;
        this.#busy(false);
        this.#send("load", { verified: told.verified });
        break;
      case "error":
        this.#busy(false);
        this.#send("error", { message: told.message });
        break;
    }
  }

  /** Begins a picture whose chunks come by `push`, from wherever they are received; `src` is left alone. */
  begin(header: Header): void {
    const opened = this.#start();
    ask({ ask: "begin", header, ...opened }, [opened.canvas]);
  }

  /** Shows a thumbnail (the payload of latent chunk 0) and nothing more, small. */
  thumbnail(header: Header, payload: Uint8Array): void {
    const opened = this.#start();
    this.#busy(false);
    ask({ ask: "thumbnail", header, payload, ...opened }, [opened.canvas]);
  }

  /** Paints a chunk, whole or cut, new or grown. */
  push(chunk: Chunk): void {
    if (this.#id) ask({ ask: "chunk", id: this.#id, chunk });
  }

  /** No more chunks come: `load` follows. */
  finish(): void {
    if (this.#id) ask({ ask: "finish", id: this.#id });
  }

  #open(): void {
    const source = this.getAttribute("src");
    if (!source) return this.#close();
    const opened = this.#start();
    this.#fetches = true;
    ask({ ask: "fetch", url: new URL(source, document.baseURI).href, upto: this.#upto(), ...opened }, [opened.canvas]);
  }

  /** A fresh canvas for the worker. */
  #start(): { id: number; weights: string; canvas: OffscreenCanvas } {
    this.#close();
    const canvas = document.createElement("canvas");
    this.#root.replaceChildren(canvas);
    this.#id = next++;
    elements.set(this.#id, this);
    this.#describe();
    this.#busy(true);
    return { id: this.#id, weights: folderOf(this.getAttribute("weights")), canvas: canvas.transferControlToOffscreen() };
  }

  #close(): void {
    if (!this.#id) return;
    ask({ ask: "close", id: this.#id });
    elements.delete(this.#id);
    for (const resolve of this.#questions.values()) resolve(null);
    this.#questions.clear();
    this.#id = 0;
    this.#fetches = false;
    this.#caption = null;
    this.#verified = null;
    this.#size = { width: 0, height: 0 };
    this.#progress = { bytes: 0, total: null, exact: 0 };
  }

  #question<Q extends Question>(what: Q): Promise<Answers[Q] | null> {
    if (!this.#id) return Promise.resolve(null);
    return new Promise((resolve) => {
      const question = next++;
      this.#questions.set(question, resolve as (answer: Answers[Question] | null) => void);
      ask({ ask: what, id: this.#id, question });
    });
  }

  #upto(): Layer {
    const upto = this.getAttribute("upto");
    return upto === "latent" || upto === "residual" ? upto : "shown";
  }

  /** Whether the picture is shown at half its size or less: its residual would not be seen. */
  #isSmall(): boolean {
    const shown = this.clientWidth * devicePixelRatio;
    return shown > 0 && 2 * shown <= this.#size.width;
  }

  /** Text, never HTML. */
  #describe(): void {
    const text = this.getAttribute("alt") ?? this.#caption ?? "a picture that is still arriving";
    this.#described ||= !this.hasAttribute("role");
    if (this.#described) this.setAttribute("role", text ? "img" : "presentation");
    if (text) this.setAttribute("aria-label", text);
    else this.removeAttribute("aria-label");
  }

  #busy(busy: boolean): void {
    this.setAttribute("aria-busy", String(busy));
  }

  #send(type: string, detail: unknown): void {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

if (!customElements.get("layer-cast")) customElements.define("layer-cast", LayerCast);
