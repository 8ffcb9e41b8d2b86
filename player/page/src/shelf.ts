// Files of weights for the worker: fetched when they are needed, unless the page says that the link has better to do.

import { Weights } from "./index";
import type { Fetching } from "./messages";

const FIRST = "thumbnail"; // small, and shows the first picture: it is never held

/** The files below one address. */
export class Shelf {
  readonly weights: Weights;
  #free: Promise<void> = Promise.resolve();
  #release: (() => void) | null = null;
  #kept = false;

  constructor(
    private readonly base: string,
    private readonly told: (fetching: Fetching) => void,
  ) {
    this.weights = new Weights((path) => this.#load(path));
  }

  /** Fetches nothing more, until told otherwise; kept: what the browser's cache has may be taken from there. */
  hold(held: boolean, kept: boolean): void {
    this.#kept = kept;
    if (held && !this.#release) this.#free = new Promise((done) => (this.#release = done));
    if (held) return;
    this.#release?.();
    this.#release = null;
  }

  async #load(path: string): Promise<Uint8Array> {
    if (this.#release && !path.includes(FIRST)) {
      const found = await this.#cached(path);
      if (found) return found;
      await this.#free;
    }
    const url = this.#url(path);
    const answer = await fetch(url);
    if (!answer.ok || !answer.body) throw new Error(`${url}: ${answer.status} ${answer.statusText}`);
    return this.#read(path, answer);
  }

  async #cached(path: string): Promise<Uint8Array | null> {
    if (!this.#kept) return null;
    try {
      const answer = await fetch(this.#url(path), { cache: "only-if-cached", mode: "same-origin" });
      return answer.ok ? new Uint8Array(await answer.arrayBuffer()) : null;
    } catch {
      return null;
    }
  }

  async #read(path: string, answer: Response): Promise<Uint8Array> {
    const total = Number(answer.headers.get("Content-Length")) || null;
    const parts: BlobPart[] = [];
    let bytes = 0;
    const reader = answer.body!.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      parts.push(value);
      bytes += value.length;
      this.told({ file: path, bytes, total });
    }
    this.told({ file: path, bytes, total: bytes });
    return new Uint8Array(await new Blob(parts).arrayBuffer());
  }

  #url(path: string): string {
    return new URL(`${path}.gz`, this.base).href;
  }
}
