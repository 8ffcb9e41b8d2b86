// One stream as far as it is here: its items, and the two that say what no chunk says, its name and its order.

import type { ItemName } from "./control";
import { unpack } from "./msgpack";
import type { HeldItem } from "./receive";

const KINDS = 8;
const ABOUT = "0/7";
const ORDER = "3/15";
const MAX_ITEMS = 2 ** 17;
const MAX_NAME = 100;
const MAX_PLAIN = 63;

/** The chunk that an item carries; null for items that carry none. */
export function chunkOf(index: number): { kind: number; index: number } | null {
  const kind = index % KINDS;
  return kind === KINDS - 1 ? null : { kind, index: Math.floor(index / KINDS) };
}

/** What is known of a stream and what is here of it. */
export class StreamState {
  /** Its name where it comes from, and its size there in bytes, once known. */
  name = "";
  fileSize: number | null = null;
  /** Its items in the order of its file, once known. */
  order: readonly ItemName[] = [];
  readonly items = new Map<string, HeldItem>();
  private missing = new Set<string>();
  private payloads = 0;

  constructor(
    readonly group: number,
    public header: Uint8Array = new Uint8Array(),
  ) {}

  /** Take an item, from its start; false if nothing of it is new. */
  put(item: HeldItem): boolean {
    const key = `${item.cls}/${item.index}`;
    const before = this.items.get(key);
    if (before !== undefined && (before.complete || before.payload.length >= item.payload.length + (item.complete ? 1 : 0))) {
      return false;
    }
    this.items.set(key, item);
    if (item.complete) this.missing.delete(key);
    if (key === ABOUT && item.complete) this.readAbout(item.payload);
    else if (key === ORDER && item.complete) this.readOrder(item.payload);
    else if (key !== ABOUT && key !== ORDER) {
      this.payloads += cost(item.payload) - (before === undefined ? 0 : cost(before.payload));
    }
    return true;
  }

  /** Bytes of the file that are here: header, payloads and their framing. */
  get bytes(): number {
    return this.header.length + this.payloads;
  }

  /** Whether every item is here whole. */
  get complete(): boolean {
    return this.order.length > 0 && this.missing.size === 0;
  }

  private readAbout(payload: Uint8Array): void {
    const found = unpack(payload);
    if (!Array.isArray(found) || found.length !== 2) return;
    const [name, size] = found;
    if (typeof name !== "string" || typeof size !== "number") return;
    [this.name, this.fileSize] = [name.slice(0, MAX_NAME), size];
  }

  /** Runs of class, first index, stride, count. */
  private readOrder(payload: Uint8Array): void {
    const found = unpack(payload);
    if (!Array.isArray(found) || found.length % 4 || !found.every((n) => typeof n === "number")) return;
    const order: ItemName[] = [];
    for (let at = 0; at < found.length; at += 4) {
      const [cls, first, stride, count] = found.slice(at, at + 4) as [number, number, number, number];
      if (order.length + count > MAX_ITEMS) return;
      for (let n = 0; n < count; n++) order.push([cls, first + n * stride]);
    }
    this.order = order;
    this.missing = new Set(order.map(([cls, index]) => `${cls}/${index}`));
    for (const [key, item] of this.items) if (item.complete) this.missing.delete(key);
  }
}

function cost(payload: Uint8Array): number {
  return payload.length + (payload.length <= MAX_PLAIN ? 2 : 3);
}
