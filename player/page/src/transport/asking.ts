// The receiver's end of its requests: each is repeated until the sender has heard it.

import { encodeRequest, type Entry, MAX_ENTRIES, MAX_RUNS } from "./control";
import { NUMBERS } from "./fields";

/** Seconds until a request goes again: the first time, and in the end (each time twice as long). */
const REPEAT_AFTER = 1;
const REPEAT_AT_MOST = 16;

interface Asked {
  readonly data: Uint8Array;
  due: number;
  wait: number;
}

/** Requests on their way to the sender, in packets of at most `size` bytes. */
export class Asking {
  private readonly open = new Map<number, Asked>();
  private count = 0;

  constructor(private readonly size: number) {}

  /** Queue entries, in as few packets as they fit in. */
  ask(entries: Iterable<Entry>): void {
    let packed: Entry[] = [];
    for (const entry of this.split(entries)) {
      const full = packed.length === MAX_ENTRIES || encodeRequest(0, [...packed, entry]).length > this.size;
      if (packed.length > 0 && full) {
        this.queue(packed);
        packed = [];
      }
      packed.push(entry);
    }
    if (packed.length > 0) this.queue(packed);
  }

  handleHeard(numbers: readonly number[]): void {
    for (const number of numbers) this.open.delete(number);
  }

  /** When the next request is due; null if none is. */
  get nextTimer(): number | null {
    let next: number | null = null;
    for (const { due } of this.open.values()) next = next === null ? due : Math.min(next, due);
    return next;
  }

  /** A request that is due at `now`. */
  pollTransmit(now: number): Uint8Array | null {
    for (const asked of this.open.values()) {
      if (asked.due > now) continue;
      asked.due = now + asked.wait;
      asked.wait = Math.min(2 * asked.wait, REPEAT_AT_MOST);
      return asked.data;
    }
    return null;
  }

  private queue(entries: readonly Entry[]): void {
    const number = this.count % NUMBERS;
    this.open.set(number, { data: encodeRequest(number, entries), due: -Infinity, wait: REPEAT_AFTER });
    this.count += 1;
  }

  /** Entries that fit in a packet each; a run takes up to 10 B, what stands around it up to 12. */
  private *split(entries: Iterable<Entry>): Generator<Entry> {
    const most = Math.max(1, Math.min(MAX_RUNS, Math.floor((this.size - 12) / 10)));
    for (const entry of entries) {
      if (entry.kind !== "first" && entry.kind !== "held") {
        yield entry;
        continue;
      }
      for (let at = 0; at < entry.runs.length; at += most) yield { ...entry, runs: entry.runs.slice(at, at + most) };
    }
  }
}
