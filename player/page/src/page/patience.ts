// When the decoder's weights may be fetched: not while the link carries what a person waits for.
//
// Over a thin link the network's weights take many minutes, a caption and the latents seconds. So they wait until the
// latents are here or nothing comes any more; and until they are here no residual is asked for, which could not be shown.
// What the browser keeps from an earlier visit is taken at once.

import { holdWeights, onFetching } from "../element";
import type { State } from "../transport/session";
import type { Arrivals } from "./arrivals";
import { QUIET } from "./source";

const IDLE = 3_000; // ms without a chunk
const NOTE = "layercast weights";

export class Patience {
  /** Called when the network's weights are here. */
  onready: () => void = () => undefined;
  /** Called while they are fetched: what a person should know. */
  onfetching: (text: string) => void = () => undefined;
  private held = false;
  private connected = false;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private isReady: boolean;

  constructor(private readonly folder: string) {
    this.isReady = this.note() === folder;
    onFetching(({ file, bytes, total }) => {
      const name = file.split("/").pop()!.split(".")[0]!;
      if (name === "thumbnail") return;
      const done = bytes === total;
      const of = total === null ? "" : ` of ${Math.ceil(total / 1000)}`;
      this.onfetching(done ? "" : `fetching the decoder's tables, once: ${name}, ${Math.floor(bytes / 1000)}${of} kB`);
      if (done && name === "latent") this.ready();
    });
  }

  /** Whether weights are here, or were at an earlier visit. */
  get hasWeights(): boolean {
    return this.isReady;
  }

  /** A picture is waited for. */
  begin(): void {
    this.held = true;
    holdWeights(this.folder, true, this.isReady);
    this.wait();
  }

  /** Something came. */
  arrived(arrivals: Arrivals): void {
    if (!this.held) return;
    if (arrivals.hasBase || arrivals.has("residual")) this.end();
    else this.wait();
  }

  state(state: State): void {
    this.connected = state === "connected";
    if (!this.held) return;
    if (QUIET.has(state)) this.end();
    else this.wait();
  }

  /** The link is idle when it is open and brings nothing. */
  private wait(): void {
    clearTimeout(this.timer);
    if (this.connected) this.timer = setTimeout(() => this.end(), IDLE);
  }

  private end(): void {
    clearTimeout(this.timer);
    this.held = false;
    holdWeights(this.folder, false);
  }

  private ready(): void {
    this.isReady = true;
    try {
      localStorage.setItem(NOTE, this.folder);
    } catch {
      // the next visit looks for them anew
    }
    this.onready();
  }

  private note(): string | null {
    try {
      return localStorage.getItem(NOTE);
    } catch {
      return null;
    }
  }
}
