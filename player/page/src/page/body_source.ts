// A stream that the page's own server gives as the body of a file, which may still be growing while it is read.
//
//   GET src                    the stream; broken off, it is gone on with by a range request
//   GET play.json              {"name", "wants", "bytes", "rate", "loss", "eta", "state", "text"}, where there is a player
//   POST want                  {"region": [x, y, w, h]} (shares), {"stop": true} or {"lossless": true}, if "wants" says so
//
// All with the query of the page's own address but `src`.

import { parseHeader, StreamReader, type Chunk } from "../container";
import type { Figures, Source, SourceEvents, Want } from "./source";

const GROUP = 0;
const LOOK_AFTER = 1_000; // ms between two looks at play.json
const PAUSES = [1, 2, 4, 8]; // s before the next try
const RATE_SECONDS = 5;
const STATES = ["connecting", "connected", "silent", "stopped", "waiting"] as const; // of a player; "ended" its file says

interface PlayState {
  readonly name?: unknown;
  readonly wants?: unknown;
  readonly bytes?: unknown;
  readonly rate?: unknown;
  readonly loss?: unknown;
  readonly eta?: unknown;
  readonly state?: unknown;
  readonly text?: unknown;
}

type Listeners = { [Type in keyof SourceEvents]?: ((event: SourceEvents[Type]) => void)[] };

export class BodySource implements Source {
  private readonly listeners: Listeners = {};
  private readonly reader = new StreamReader();
  private readonly came: { kind: number; index: number }[] = [];
  private readonly ending = new AbortController();
  private readonly url: URL;
  private known: PlayState | null = null;
  private bytes = 0;
  private size: number | null = null;
  private head: number[] = [];
  private begun = false;
  private whole = false;
  private said: (typeof STATES)[number] | null = null;
  private arrivals: { at: number; bytes: number }[] = [];

  /** Throws an Error, for people, if `src` is not of this page's own server. */
  constructor(src: string) {
    this.url = this.beside(src);
    if (this.url.origin !== location.origin) throw new Error("the picture is not on this page's own server; open it there");
  }

  get canAsk(): boolean {
    return this.known?.wants === true;
  }

  on<Type extends keyof SourceEvents>(type: Type, listener: (event: SourceEvents[Type]) => void): void {
    ((this.listeners[type] ??= []) as ((event: SourceEvents[Type]) => void)[]).push(listener);
  }

  async start(): Promise<void> {
    this.emit("state", { state: "connecting", text: "opening", seconds: 0 });
    await this.look();
    const watch = this.known ? setInterval(() => void this.look(), LOOK_AFTER) : undefined;
    try {
      await this.readAll();
    } finally {
      clearInterval(watch);
      await this.look();
    }
  }

  open(): void {}

  leave(): void {}

  want(_group: number, want: Want): void {
    const headers = { "Content-Type": "application/json" };
    fetch(this.beside("want"), { method: "POST", headers, body: JSON.stringify(want) })
      .then((answer) => {
        if (!answer.ok) throw new Error(String(answer.status));
      })
      .catch(() => this.emit("error", { text: "the player did not take that wish", final: false }));
  }

  order(): readonly { kind: number; index: number }[] {
    return this.came;
  }

  figures(): Figures {
    const { rate, loss, eta } = this.known ?? {};
    const own = this.rate();
    const left = this.size !== null && this.size > this.bytes && own > 0 ? (this.size - this.bytes) / own : null;
    return { rate: this.whole ? null : (number(rate) ?? own), packets: null, loss: number(loss), eta: number(eta) ?? left };
  }

  async close(): Promise<void> {
    this.ending.abort();
  }

  /** All of it; where it breaks off, from there on, until too many tries bring nothing. */
  private async readAll(): Promise<void> {
    for (let tries = 0; ; ) {
      const before = this.bytes;
      try {
        await this.readOnce();
        return this.finish();
      } catch (error) {
        if (this.ending.signal.aborted) return;
        if (error instanceof Refused) return this.give(error.message);
        if (this.bytes > before) tries = 0;
        const seconds = PAUSES[tries++];
        if (seconds === undefined) return this.give("the picture's server does not answer; what came is kept");
        this.emit("state", { state: "waiting", text: `broken off; what came is kept, the next try in ${seconds} s`, seconds });
        await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
      }
    }
  }

  private async readOnce(): Promise<void> {
    const headers: Record<string, string> = this.bytes ? { Range: `bytes=${this.bytes}-` } : {};
    const answer = await fetch(this.url, { headers, signal: this.ending.signal });
    if (answer.status === 416) return; // it ended where it broke off
    if (!answer.ok || !answer.body) throw new Refused(`${this.url.pathname}: ${answer.status} ${answer.statusText}`);
    const part = /\/(\d+)$/.exec(answer.headers.get("Content-Range") ?? "");
    const length = Number(answer.headers.get("Content-Length"));
    this.size = part ? Number(part[1]) : answer.status === 200 && length ? length : (number(this.known?.bytes) ?? this.size);
    this.emit("state", { state: "connected", text: "arriving", seconds: 0 });
    let skip = answer.status === 206 ? 0 : this.bytes; // a server without ranges sends all again
    const body = answer.body.getReader();
    for (;;) {
      const { done, value } = await body.read();
      if (done) return;
      const fresh = value.subarray(Math.min(skip, value.length));
      skip -= value.length - fresh.length;
      if (fresh.length) this.take(fresh);
    }
  }

  private take(bytes: Uint8Array): void {
    this.bytes += bytes.length;
    this.arrivals.push({ at: performance.now() / 1000, bytes: bytes.length });
    if (this.head.length < 8) this.head.push(...bytes.subarray(0, 8 - this.head.length));
    try {
      const chunks = this.reader.push(bytes);
      this.begin();
      for (const chunk of chunks) this.tell(chunk);
    } catch (error) {
      throw new Refused((error as Error).message);
    }
    this.progress(false);
  }

  private begin(): void {
    if (this.begun || !this.reader.header) return;
    this.begun = true;
    const header = Uint8Array.from(this.head);
    const name = typeof this.known?.name === "string" ? this.known.name : decodeURIComponent(this.url.pathname.split("/").pop()!);
    const { end } = parseHeader(header);
    this.emit("stream", { group: GROUP, header: header.subarray(0, end), name, size: this.size });
  }

  private tell({ kind, index, payload, length }: Chunk): void {
    this.came.push({ kind, index });
    this.emit("chunk", { group: GROUP, kind, index, payload, complete: payload.length === length, held: false });
  }

  private progress(complete: boolean): void {
    if (this.begun) this.emit("progress", { group: GROUP, bytes: this.bytes, size: this.size, complete });
  }

  private finish(): void {
    if (!this.begun) return this.give("the file is empty, or no layercast stream");
    const rest = this.reader.rest();
    if (rest) this.tell(rest);
    this.size = this.bytes;
    this.whole = true;
    this.progress(true);
    this.emit("state", { state: "ended", text: "all is here", seconds: 0 });
  }

  private give(text: string): void {
    this.emit("error", { text, final: true });
    this.emit("state", { state: "closed", text, seconds: 0 });
  }

  private async look(): Promise<void> {
    try {
      const answer = await fetch(this.beside("play.json"), { cache: "no-store", signal: this.ending.signal });
      if (answer.ok) this.known = (await answer.json()) as PlayState;
      this.tellState();
    } catch {
      // there is no player behind this page, or it has gone
    }
  }

  /** How the player's own sender is doing, while the picture is not here. */
  private tellState(): void {
    const { state, text } = this.known ?? {};
    const known = STATES.find((each) => each === state);
    if (this.whole || !known || known === this.said || typeof text !== "string") return;
    this.said = known;
    this.emit("state", { state: known === "stopped" ? "ended" : known, text, seconds: 0 });
  }

  private rate(): number {
    const since = performance.now() / 1000 - RATE_SECONDS;
    this.arrivals = this.arrivals.filter(({ at }) => at >= since);
    return this.arrivals.reduce((sum, { bytes }) => sum + bytes, 0) / RATE_SECONDS;
  }

  /** An address beside the page, with its query. */
  private beside(path: string): URL {
    const url = new URL(path, location.href);
    for (const [key, value] of new URLSearchParams(location.search)) {
      if (key !== "src" && !url.searchParams.has(key)) url.searchParams.set(key, value);
    }
    url.hash = "";
    return url;
  }

  private emit<Type extends keyof SourceEvents>(type: Type, event: SourceEvents[Type]): void {
    for (const listener of this.listeners[type] ?? []) listener(event);
  }
}

/** Trying again would not help. */
class Refused extends Error {}

function number(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}
