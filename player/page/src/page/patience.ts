// When the decoder and its weights may be fetched: not while the link carries what a person waits for.
//
// At a first visit the decoder waits for the channel: on a thin link both at once take several times as long as one after
// the other, for what opens the channel is repeated each second.
//
// Over a thin link the network's weights take many minutes, a caption and the latents seconds. So they wait until the
// latents are here or nothing comes any more; and until they are here no residual is asked for, which could not be shown.
// What the browser keeps from an earlier visit is taken at once.

import { holdWeights, holdWorker, onFetching } from "../element";
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
  private isAsked = false;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private isReady: boolean;

  constructor(private readonly folder: string) {
    this.isReady = this.note() === folder;
    holdWorker(!this.isReady);
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
    this.isAsked = false;
    holdWeights(this.folder, true, this.isReady);
    this.wait();
  }

  /** The picture has been asked for. */
  asked(): void {
    this.isAsked = true;
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
    if (this.connected || QUIET.has(state)) holdWorker(false);
    if (!this.held) return;
    if (QUIET.has(state) && (this.isAsked || state !== "ended")) this.end();
    else this.wait();
  }

  /** The link is idle when it is open and brings nothing. */
  private wait(): void {
    clearTimeout(this.timer);
    if (this.held && this.connected && this.isAsked) this.timer = setTimeout(() => this.end(), IDLE);
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
