// The receiving end of a transfer (WIRE.md), without sockets and without a clock: datagrams and the time in, datagrams,
// timers and events out. As `transport/receive.py`, but for coded repair, which a page does not rebuild: what is lost
// is sent to it again.
//
//   handleDatagram(bytes, now) for what came, then pollTransmit(now) until null, then nextEvent() until null;
//   again at nextTimer(). Times are seconds on any clock that never goes back.

import { Acknowledger } from "./acks";
import { Assembly } from "./assemble";
import { Asking } from "./asking";
import { type Entry, type ItemName, runsOf } from "./control";
import { BASE, WireError } from "./fields";
import { type Data, type Packet, parse, type Segment } from "./wire";

/** Closed groups remembered. */
const CLOSED = 2 ** 16;

/** Limits bound what a hostile sender can cost. */
export interface ReceiverConfig {
  /** Acknowledge when so many packets have come that hold so many bytes, and at the latest after so many seconds. */
  readonly ackEvery: number;
  readonly ackBytes: number;
  readonly ackDelay: number;
  /** Groups and items kept track of; bytes of unfinished and untaken items. Beyond them packets are dropped. */
  readonly maxGroups: number;
  readonly maxItems: number;
  readonly maxBytes: number;
  /** Largest packet of a request, bytes. */
  readonly packetSize: number;
}

export const DEFAULT_CONFIG: ReceiverConfig = {
  ackEvery: 2,
  ackBytes: 250,
  ackDelay: 1,
  maxGroups: 256,
  maxItems: 2 ** 17,
  maxBytes: 2 ** 24,
  packetSize: 200,
};

/** What is new, in `nextEvent`. Of an item: all its bytes from the start; complete: there are no more. */
export type Event =
  | { readonly type: "started"; readonly group: number; readonly preamble: Uint8Array }
  | { readonly type: "item"; readonly group: number; readonly cls: number; readonly index: number;
      readonly payload: Uint8Array; readonly complete: boolean }
  | { readonly type: "named"; readonly name: string }
  | { readonly type: "ended"; readonly why: string };

/** An item from an earlier session: its first bytes, and whether that is all. */
export interface HeldItem {
  readonly cls: number;
  readonly index: number;
  readonly payload: Uint8Array;
  readonly complete: boolean;
}

interface Open {
  readonly group: number;
  readonly cls: number;
  readonly index: number;
  readonly assembly: Assembly;
}

/** Puts items together from any packets of any groups, in any order, and acknowledges those that carry a number. */
export class Receiver {
  /** Of data and repair packets; refused: beyond a limit; repeated: numbers seen before. */
  readonly stats = { packets: 0, bytes: 0, repeated: 0, refused: 0, malformed: 0 };
  private readonly config: ReceiverConfig;
  private readonly preambles = new Map<number, Uint8Array | null>();
  private readonly closed = new Set<number>();
  private readonly items = new Map<string, Open>();
  private readonly done = new Set<string>();
  private readonly changed = new Set<string>();
  private readonly started: Event[] = [];
  private readonly acks: Acknowledger;
  private readonly asking: Asking;
  private held = 0;
  private ended: Event | null = null;
  private name = "";
  private named: Event | null = null;

  constructor(config: Partial<ReceiverConfig> = {}) {
    this.config = { ...DEFAULT_CONFIG, ...config };
    this.acks = new Acknowledger(this.config.ackEvery, this.config.ackBytes, this.config.ackDelay);
    this.asking = new Asking(this.config.packetSize);
  }

  /** Bytes of unfinished and untaken items, and how many items are known. */
  get size(): { bytes: number; items: number } {
    return { bytes: this.held, items: this.items.size + this.done.size };
  }

  /** The share of numbered packets that did not come, 0 .. 1. */
  get loss(): number {
    return this.acks.loss;
  }

  /**
   * Ask for classes up to `upto` (NOTHING: stop) of one group, or of all that are not asked for by themselves (null).
   * nowFirst: items of the group that are sent, with what they need, before the rest.
   */
  want(upto: number, group: number | null = null, nowFirst: Iterable<ItemName> = []): void {
    const runs = runsOf(nowFirst);
    const entries: Entry[] = runs.length > 0 && group !== null ? [{ kind: "first", group, runs }] : [];
    this.asking.ask([...entries, { kind: "level", group, upto }]);
  }

  /** Say what you came for (180 B of UTF-8 at most). Call it before `want`. */
  askFor(topic: string): void {
    this.asking.ask([{ kind: "topic", text: topic }]);
  }

  /** Go on with a group; `items` are here from before, are told to the sender and are no events. Before `want`. */
  resume(group: number, preamble: Uint8Array, items: Iterable<HeldItem>): void {
    this.preambles.set(group, preamble.length > 0 ? preamble : null);
    const whole: ItemName[] = [];
    const partial: Entry[] = [];
    for (const { cls, index, payload, complete } of items) {
      const key = keyOf(group, cls, index);
      if (complete) {
        this.done.add(key);
        whole.push([cls, index]);
      } else if (payload.length > 0) {
        const assembly = new Assembly();
        assembly.add(0, payload, false);
        this.items.set(key, { group, cls, index, assembly });
        this.held += assembly.cost;
        partial.push({ kind: "partial", group, cls, index, size: payload.length });
      }
    }
    const held: Entry[] = whole.length > 0 ? [{ kind: "held", group, runs: runsOf(whole) }] : [];
    this.asking.ask([...held, ...partial]);
  }

  /** Take a packet; what is none, or goes beyond a limit, is counted and dropped. Never throws. */
  handleDatagram(data: Uint8Array, now: number): void {
    const packet = this.parse(data);
    switch (packet?.kind) {
      case "heard":
        this.asking.handleHeard(packet.numbers);
        return;
      case "end":
        this.ended = { type: "ended", why: packet.why };
        return;
      case "name":
        if (packet.name !== this.name) this.named = { type: "named", name: (this.name = packet.name) };
        return;
      case "data":
      case "repair":
        this.handleNumbered(packet, data.length, now);
        return;
      default:
        this.stats.malformed += 1;
    }
  }

  /** When to call `pollTransmit` again if nothing comes before; null for never. */
  nextTimer(): number | null {
    const [report, request] = [this.acks.due, this.asking.nextTimer];
    return report === null ? request : request === null ? report : Math.min(report, request);
  }

  /** An acknowledgement or a request, if one is due at `now`. */
  pollTransmit(now: number): Uint8Array | null {
    return this.acks.pollTransmit(now) ?? this.asking.pollTransmit(now);
  }

  /** What is new: the sender's name, groups, then each item that grew, once, with all its bytes so far. */
  nextEvent(): Event | null {
    const { named } = this;
    this.named = null;
    return named ?? this.started.shift() ?? this.nextItem() ?? this.takeEnd();
  }

  /** All of a group that is wanted is here: what still comes of it is acknowledged and dropped. */
  close(group: number): void {
    for (const [key, open] of this.items) {
      if (open.group !== group) continue;
      this.held -= open.assembly.cost;
      this.items.delete(key);
      this.changed.delete(key);
    }
    for (const key of this.done) if (key.startsWith(`${group}/`)) this.done.delete(key);
    this.preambles.delete(group);
    this.closed.add(group);
    if (this.closed.size > CLOSED) this.closed.delete(this.closed.values().next().value!);
  }

  private parse(data: Uint8Array): Packet | null {
    try {
      return parse(data);
    } catch (error) {
      if (error instanceof WireError) return null;
      throw error;
    }
  }

  private handleNumbered(packet: Extract<Packet, { kind: "data" | "repair" }>, size: number, now: number): void {
    this.stats.packets += 1;
    this.stats.bytes += size;
    const segments = packet.kind === "data" ? packet.segments : [];
    const closed = this.closed.has(packet.group);
    if (!closed && this.beyondLimits(packet.group, segments.length, size)) {
      this.stats.refused += 1;
      return;
    }
    if (packet.number !== null) {
      const urgent = segments.some(({ cls }) => cls === BASE);
      if (this.acks.handleNumber(packet.number, urgent, size, now)) this.stats.repeated += 1;
    }
    if (closed) return;
    if (!this.preambles.has(packet.group)) this.preambles.set(packet.group, null);
    if (packet.kind === "data") this.handleData(packet);
  }

  private beyondLimits(group: number, segments: number, size: number): boolean {
    const { maxGroups, maxItems, maxBytes } = this.config;
    if (!this.preambles.has(group) && this.preambles.size >= maxGroups) return true;
    return this.items.size + this.done.size + segments > maxItems || this.held + size > maxBytes;
  }

  private handleData(packet: Data): void {
    const { group } = packet;
    if (packet.segments[0]!.cls === BASE && this.preambles.get(group) === null) {
      const preamble = packet.preamble.slice();
      this.preambles.set(group, preamble);
      this.started.push({ type: "started", group, preamble });
    }
    for (const segment of packet.segments) this.add(group, segment);
  }

  private add(group: number, { cls, index, offset, payload, final }: Segment): void {
    const key = keyOf(group, cls, index);
    if (this.done.has(key)) return;
    let open = this.items.get(key);
    if (open === undefined) this.items.set(key, (open = { group, cls, index, assembly: new Assembly() }));
    const before = open.assembly.cost;
    if (open.assembly.add(offset, payload, final)) this.changed.add(key);
    this.held += open.assembly.cost - before;
  }

  private nextItem(): Event | null {
    const next = this.changed.values().next();
    if (next.done) return null;
    const key = next.value;
    this.changed.delete(key);
    const { assembly, ...name } = this.items.get(key)!;
    const { prefix: payload, complete } = assembly;
    if (complete) {
      this.held -= assembly.cost;
      this.items.delete(key);
      this.done.add(key);
    }
    return { type: "item", ...name, payload, complete };
  }

  private takeEnd(): Event | null {
    const { ended } = this;
    this.ended = null;
    return ended;
  }
}

function keyOf(group: number, cls: number, index: number): string {
  return `${group}/${cls}/${index}`;
}
