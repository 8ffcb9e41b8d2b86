// Streams from `layercast serve` into a page: connects, receives, keeps, and connects again where that breaks.
//
//   Session ─ on(...) ─► state, stream, caption, chunk, progress, error
//      ▲
//      └─ want, region, lossless, stop
//
// The picture's decoder is no affair of this: it gets chunks, in any order, each from its start whenever it grew.

import { connectWebRtc, type Channel, type Connect, ConnectError, type Glance } from "./connect";
import { type ItemName, NOTHING } from "./control";
import { CLASSES } from "./fields";
import { type HeldItem, Receiver } from "./receive";
import { IdbStore, NoStore, type Store } from "./store";
import { chunkOf, StreamState } from "./stream";

/** A rectangle of the picture in pixels. */
export interface Area {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** The rectangle of pixels that a chunk can change; null if that is none. */
export type AreaOf = (group: number, kind: number, index: number) => Area | null;

/**
 * connecting, connected; silent: nothing comes; waiting: for the next try, after `seconds`; ended: all that is wanted is
 * here; closed: no try follows.
 */
export type State = "connecting" | "connected" | "silent" | "waiting" | "ended" | "closed";

export interface Events {
  /** The sender has answered: of so many streams that it has, these are told of at once. Before anything of them. */
  glance: { groups: readonly number[]; count: number };
  /** `text` says it to a person. */
  state: { state: State; text: string; seconds: number };
  /** A stream has begun, or its name came; size in bytes of its file, once known. */
  stream: { group: number; header: Uint8Array; name: string; size: number | null };
  /** A caption as text, from a sender that was asked for that; it is text and never HTML. guessed: a program found it. */
  caption: { group: number; text: string; guessed: boolean | null };
  /** A chunk came or grew: all its bytes from the start; complete: there are no more. `held`: it was here before. */
  chunk: { group: number; kind: number; index: number; payload: Uint8Array; complete: boolean; held: boolean };
  /** bytes: of the file, that are here; complete: all of them. */
  progress: { group: number; bytes: number; size: number | null; complete: boolean };
  /** Something that a person should know; final: the session is over. */
  error: { text: string; final: boolean };
}

export interface SessionOptions {
  /** http(s)://HOST:PORT of `layercast serve`; where the page came from, if left out. */
  readonly server?: string;
  readonly token?: string;
  /** Which stream; "" for all. */
  readonly name?: string;
  /** The last class wanted, 0 (caption and thumbnail) .. 3 (everything). */
  readonly upto?: number;
  /** Ask for captions as text: the page cannot read coded ones yet. */
  readonly captionText?: boolean;
  readonly iceServers?: readonly RTCIceServer[];
  /** Where streams are kept over a reload; the browser's database, if left out. */
  readonly store?: Store;
  /** Which pixels a chunk can change: without it `region` can choose nothing. */
  readonly areaOf?: AreaOf;
  readonly connect?: Connect;
}

/** What is known of the link: datagrams and bytes since the page was opened, bytes a second of late. */
export interface Statistics {
  readonly packets: number;
  readonly bytes: number;
  readonly rate: number;
  /** Packets of this connection that did not come, of all that its sender numbered; 0 .. 1. */
  readonly loss: number;
}

const PATIENCE = 6_000; // ms of silence before a new connection is tried
const FIRST_PAUSE = 1; // s between two tries, then twice as long
const LONGEST_PAUSE = 16;
const RATE_SECONDS = 5;
const AT_ONCE = 64; // items told in one go when a stream is taken up again
const RECEIVER = { maxGroups: 2 ** 12, maxItems: 2 ** 19, maxBytes: 2 ** 26, packetSize: 200 };

type Listeners = { [Type in keyof Events]: Set<(event: Events[Type]) => void> };

/** One sender's streams. `start` it once the listeners are there; `close` it when the page goes. */
export class Session {
  private readonly listeners: Listeners = {
    glance: new Set(), state: new Set(), stream: new Set(), caption: new Set(), chunk: new Set(), progress: new Set(), error: new Set(),
  };
  private readonly streams = new Map<number, StreamState>();
  private readonly captions = new Set<number>();
  private readonly levels = new Map<number, number>();
  private readonly areas = new Map<number, Area>();
  private readonly topic: string;
  private readonly ending = new AbortController();
  private store: Store = new NoStore();
  private level: number;
  private receiver: Receiver | null = null;
  private channel: Channel | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private awaken: () => void = () => undefined;
  private ended = false;
  private before = { packets: 0, bytes: 0 };
  private arrivals: { at: number; bytes: number }[] = [];

  constructor(private readonly options: SessionOptions = {}) {
    this.topic = options.name ?? "";
    this.level = options.upto ?? CLASSES - 1;
  }

  /** Listen to one kind of event; the result stops it. */
  on<Type extends keyof Events>(type: Type, listener: (event: Events[Type]) => void): () => void {
    this.listeners[type].add(listener);
    return () => this.listeners[type].delete(listener);
  }

  /** Take up what is kept and connect, again and again, until `close`. */
  async start(): Promise<void> {
    this.store = this.options.store ?? (await IdbStore.open());
    await this.restore();
    await this.stayConnected();
  }

  /** Want classes up to `upto` (NOTHING: stop) of one stream, or of all that are not wanted by themselves. */
  want(upto: number, group: number | null = null): void {
    if (group === null) this.level = upto;
    else this.levels.set(group, upto);
    if (this.ended && this.receiver !== null) this.tell("connected", "connected");
    this.ended = false;
    this.receiver?.want(upto, group, group === null ? [] : this.chosen(group));
    this.turn();
    this.awaken();
  }

  /** Everything, to the last bit. */
  lossless(group: number | null = null): void {
    this.want(CLASSES - 1, group);
  }

  /** Nothing more; what is here stays. */
  stop(group: number | null = null): void {
    this.want(NOTHING, group);
  }

  /** What can change the area's pixels, first; then the rest as before. */
  region(group: number, area: Area): void {
    this.areas.set(group, area);
    this.want(this.levels.get(group) ?? this.level, group);
  }

  statistics(): Statistics {
    const since = now() - RATE_SECONDS;
    this.arrivals = this.arrivals.filter(({ at }) => at >= since);
    const { packets, bytes } = this.receiver?.stats ?? { packets: 0, bytes: 0 };
    const rate = this.arrivals.reduce((sum, arrival) => sum + arrival.bytes, 0) / RATE_SECONDS;
    const loss = this.receiver?.loss ?? 0;
    return { packets: this.before.packets + packets, bytes: this.before.bytes + bytes, rate, loss };
  }

  /** The chunks of a stream in the order of its file; none before that order came, with the residual. */
  order(group: number): { kind: number; index: number }[] {
    return (this.streams.get(group)?.order ?? []).flatMap(([, index]) => chunkOf(index) ?? []);
  }

  /** Leave the sender and write down what is here. */
  async close(): Promise<void> {
    this.ending.abort();
    this.awaken();
    this.hangUp();
    await this.store.flush();
  }

  // --- connecting ---

  private async stayConnected(): Promise<void> {
    let pause = FIRST_PAUSE;
    while (!this.ending.signal.aborted) {
      this.tell("connecting", "connecting to the sender");
      const opened = now();
      const failure = await this.converse();
      if (this.ending.signal.aborted) break;
      if (failure.final) {
        this.emit("error", { text: failure.message, final: true });
        this.tell("closed", failure.message);
        return;
      }
      if (this.ended) {
        this.tell("ended", "all that is wanted is here; the sender has left");
        await this.wanted();
        continue;
      }
      pause = now() - opened > 2 * LONGEST_PAUSE ? FIRST_PAUSE : pause;
      this.tell("waiting", `${failure.message}; what came is kept, the next try in ${pause} s`, pause);
      await this.sleep(pause);
      pause = Math.min(2 * pause, LONGEST_PAUSE);
    }
    this.tell("closed", "closed");
  }

  /** One connection, from its offer to its end. */
  private async converse(): Promise<ConnectError> {
    const { server, token, captionText, iceServers, connect } = this.options;
    const where = {
      server: server ?? location.origin,
      token: token ?? "",
      name: this.topic,
      captionText: captionText ?? false,
      iceServers: iceServers ?? [],
    };
    try {
      const glanced = (glances: readonly Glance[], count: number) => {
        this.emit("glance", { groups: glances.map(({ group }) => group), count });
        for (const glance of glances) this.take(glance);
      };
      const channel = await (connect ?? connectWebRtc)(where, glanced, this.ending.signal);
      return new ConnectError(await this.receive(channel));
    } catch (error) {
      if (error instanceof ConnectError) return error;
      throw error;
    } finally {
      this.hangUp();
    }
  }

  /** Receive until the channel ends: why it did. */
  private receive(channel: Channel): Promise<string> {
    this.channel = channel;
    const receiver = (this.receiver = new Receiver(RECEIVER));
    this.ask(receiver);
    this.tell("connected", "connected");
    return new Promise((resolve) => {
      let patience: ReturnType<typeof setTimeout> | undefined;
      channel.onclose = resolve;
      channel.onmessage = (data) => {
        receiver.handleDatagram(data, now());
        this.arrivals.push({ at: now(), bytes: data.length });
        this.turn();
      };
      channel.onsilent = (silent) => {
        clearTimeout(patience);
        this.tell(silent ? "silent" : "connected", silent ? "nothing comes from the sender" : "connected again");
        if (silent) patience = setTimeout(() => resolve("nothing came from the sender any more"), PATIENCE);
      };
      this.ending.signal.addEventListener("abort", () => resolve("closed"));
      this.turn();
    });
  }

  /** Tell a new sender what is here and what is wanted: all groups' level last, for it waits for that. */
  private ask(receiver: Receiver): void {
    if (this.topic) receiver.askFor(this.topic);
    for (const stream of this.streams.values()) {
      receiver.resume(stream.group, stream.header, stream.items.values());
      if (stream.complete) receiver.close(stream.group);
    }
    for (const [group, upto] of this.levels) receiver.want(upto, group, this.chosen(group));
    receiver.want(this.level);
  }

  private hangUp(): void {
    clearTimeout(this.timer);
    if (this.receiver !== null) {
      this.before.packets += this.receiver.stats.packets;
      this.before.bytes += this.receiver.stats.bytes;
    }
    this.receiver = null;
    const { channel } = this;
    this.channel = null;
    if (channel === null) return;
    channel.onclose = () => undefined;
    channel.onsilent = () => undefined;
    channel.close();
  }

  private wanted(): Promise<void> {
    return new Promise((resolve) => {
      this.awaken = resolve;
    });
  }

  private sleep(seconds: number): Promise<void> {
    const woken = this.wanted();
    const timer = setTimeout(this.awaken, seconds * 1000);
    return woken.finally(() => clearTimeout(timer));
  }

  /** Give the receiver its turn: what it wants sent goes, what it has is told. */
  private turn(): void {
    const { receiver, channel } = this;
    if (receiver === null || channel === null) return;
    clearTimeout(this.timer);
    for (let data = receiver.pollTransmit(now()); data !== null; data = receiver.pollTransmit(now())) channel.send(data);
    for (let event = receiver.nextEvent(); event !== null; event = receiver.nextEvent()) {
      switch (event.type) {
        case "started":
          this.begin(event.group, event.preamble);
          break;
        case "item":
          this.keep(event.group, event);
          break;
        case "ended":
          this.end(event.why);
      }
    }
    const due = receiver.nextTimer();
    if (due !== null) this.timer = setTimeout(() => this.turn(), Math.max(due - now(), 0) * 1000);
  }

  private end(why: string): void {
    if (why) this.emit("error", { text: `the sender says: ${why}`, final: false });
    if (this.ended) return;
    this.ended = true;
    this.tell("ended", why || "all that is wanted is here");
  }

  // --- what comes ---

  private async restore(): Promise<void> {
    for (const { group, header, items } of await this.store.load(this.topic)) {
      const stream = new StreamState(group, header);
      this.streams.set(group, stream);
      for (const item of items) stream.put(item);
      this.announce(stream);
      let count = 0;
      for (const item of stream.items.values()) {
        this.show(stream, item, true);
        if (++count % AT_ONCE === 0) await new Promise((done) => setTimeout(done)); // the page has its turn
      }
      this.progress(stream); // last: whoever hears that it is complete has heard of all of it
    }
  }

  private take(glance: Glance): void {
    const stream = this.begin(glance.group, glance.header);
    if (stream.name === "") {
      [stream.name, stream.fileSize] = [glance.name, glance.size];
      this.announce(stream);
    }
    if (glance.caption !== null && !this.captions.has(glance.group)) {
      this.captions.add(glance.group);
      this.emit("caption", { group: glance.group, text: glance.caption, guessed: glance.guessed });
    }
    for (const item of glance.items) this.keep(glance.group, { ...item, complete: true });
  }

  private begin(group: number, header: Uint8Array): StreamState {
    const known = this.streams.get(group);
    if (known !== undefined && known.header.length > 0) return known;
    const stream = known ?? new StreamState(group);
    stream.header = header;
    this.streams.set(group, stream);
    if (header.length === 0) return stream;
    this.store.begin(group, this.topic, header);
    this.announce(stream);
    for (const item of stream.items.values()) this.show(stream, item, false);
    if (stream.items.size > 0) this.progress(stream);
    return stream;
  }

  private keep(group: number, { cls, index, payload, complete }: HeldItem): void {
    let stream = this.streams.get(group);
    if (stream === undefined) this.streams.set(group, (stream = new StreamState(group)));
    const item = { cls, index, payload, complete };
    const { name, order } = stream;
    if (!stream.put(item)) return;
    if (stream.name !== name) this.announce(stream);
    if (stream.order !== order && this.areas.has(group)) {
      this.receiver?.want(this.levels.get(group)!, group, this.chosen(group));
    }
    this.show(stream, item, false);
    this.progress(stream);
    if (stream.complete) this.receiver?.close(group);
  }

  private announce({ group, header, name, fileSize }: StreamState): void {
    if (header.length > 0) this.emit("stream", { group, header, name, size: fileSize });
  }

  /** Tell of an item that came or was here from before (held); nothing before the header, without which it says little. */
  private show(stream: StreamState, item: HeldItem, held: boolean): void {
    const { group, header } = stream;
    if (header.length === 0) return;
    if (!held) this.store.put(group, item);
    const chunk = chunkOf(item.index);
    if (chunk !== null) this.emit("chunk", { group, ...chunk, payload: item.payload, complete: item.complete, held });
  }

  private progress({ group, header, bytes, fileSize: size, complete }: StreamState): void {
    if (header.length > 0) this.emit("progress", { group, bytes, size, complete });
  }

  /** The items of a stream that can change a pixel of the area that is wanted first, and are not here. */
  private *chosen(group: number): Generator<ItemName> {
    const [stream, wanted] = [this.streams.get(group), this.areas.get(group)];
    if (stream === undefined || wanted === undefined || this.options.areaOf === undefined) return;
    for (const [cls, index] of stream.order) {
      const chunk = chunkOf(index);
      if (chunk === null || stream.items.get(`${cls}/${index}`)?.complete) continue;
      const area = this.options.areaOf(group, chunk.kind, chunk.index);
      if (area !== null && overlap(area, wanted)) yield [cls, index];
    }
  }

  private tell(state: State, text: string, seconds = 0): void {
    this.emit("state", { state, text, seconds });
  }

  private emit<Type extends keyof Events>(type: Type, event: Events[Type]): void {
    for (const listener of this.listeners[type]) listener(event);
  }
}

function overlap(one: Area, other: Area): boolean {
  const across = one.x < other.x + other.width && other.x < one.x + one.width;
  return across && one.y < other.y + other.height && other.y < one.y + one.height;
}

function now(): number {
  return performance.now() / 1000;
}
