// What has arrived, kept over a reload of the tab: in IndexedDB, or in memory where there is none.

import type { HeldItem } from "./receive";

/** A stream as it is kept: what it belongs to, its header, name and size, and its items. */
export interface Kept {
  readonly group: number;
  readonly topic: string;
  readonly header: Uint8Array;
  readonly items: readonly HeldItem[];
}

/** Where streams are kept. Nothing here throws: what cannot be kept is fetched again. */
export interface Store {
  /** The streams of a topic, "" for all. */
  load(topic: string): Promise<Kept[]>;
  /** A stream has begun. */
  begin(group: number, topic: string, header: Uint8Array): void;
  put(group: number, item: HeldItem): void;
  /** Until what was put is kept. */
  flush(): Promise<void>;
}

/** Keeps nothing: the session itself has in memory what came. */
export class NoStore implements Store {
  async load(): Promise<Kept[]> {
    return [];
  }
  begin(): void {}
  put(): void {}
  async flush(): Promise<void> {}
}

const VERSION = 1;
const STREAMS = "streams";
const ITEMS = "items";
/** Milliseconds for which items are gathered before they are written. */
const GATHER = 250;
/** Bytes of all payloads; beyond them the streams that were begun first go. */
const MOST_BYTES = 256 * 2 ** 20;

interface StreamRow {
  readonly group: number;
  readonly topic: string;
  readonly header: Uint8Array;
  readonly begun: number;
}

interface ItemRow extends HeldItem {
  readonly group: number;
}

/** One database a page; `open` gives a NoStore where the browser has none. */
export class IdbStore implements Store {
  private waiting = new Map<string, ItemRow>();
  private begun: StreamRow[] = [];
  private timer: ReturnType<typeof setTimeout> | null = null;
  private writing: Promise<void> = Promise.resolve();

  private constructor(private readonly db: IDBDatabase) {}

  static async open(name = "layercast"): Promise<Store> {
    try {
      const request = indexedDB.open(name, VERSION);
      request.onupgradeneeded = () => {
        request.result.createObjectStore(STREAMS, { keyPath: "group" });
        request.result.createObjectStore(ITEMS, { keyPath: ["group", "cls", "index"] });
      };
      return new IdbStore(await settled(request));
    } catch {
      return new NoStore();
    }
  }

  async load(topic: string): Promise<Kept[]> {
    await this.makeRoom();
    try {
      const streams = this.db.transaction([STREAMS, ITEMS]);
      const rows: StreamRow[] = await settled(streams.objectStore(STREAMS).getAll());
      const wanted = rows.filter((row) => topic === "" || row.topic === topic);
      const items = streams.objectStore(ITEMS);
      return await Promise.all(
        wanted.map(async ({ group, topic: of, header }) => {
          const found: ItemRow[] = await settled(items.getAll(rangeOf(group)));
          return { group, topic: of, header, items: found };
        }),
      );
    } catch {
      return [];
    }
  }

  begin(group: number, topic: string, header: Uint8Array): void {
    this.begun.push({ group, topic, header: header.slice(), begun: Date.now() });
    this.soon();
  }

  put(group: number, item: HeldItem): void {
    this.waiting.set(`${group}/${item.cls}/${item.index}`, { ...item, group });
    this.soon();
  }

  async flush(): Promise<void> {
    if (this.timer !== null) this.write();
    await this.writing;
  }

  private soon(): void {
    this.timer ??= setTimeout(() => this.write(), GATHER);
  }

  private write(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    const [streams, items] = [this.begun, [...this.waiting.values()]];
    [this.begun, this.waiting] = [[], new Map()];
    this.writing = this.writing.then(() => this.commit(streams, items)).catch(() => this.makeRoom());
  }

  private async commit(streams: readonly StreamRow[], items: readonly ItemRow[]): Promise<void> {
    const transaction = this.db.transaction([STREAMS, ITEMS], "readwrite");
    for (const row of streams) transaction.objectStore(STREAMS).put(row);
    // A view would take its whole buffer along.
    for (const row of items) transaction.objectStore(ITEMS).put({ ...row, payload: row.payload.slice() });
    await ended(transaction);
  }

  /** Let the oldest streams go until the rest is small enough; the newest stays. */
  private async makeRoom(): Promise<void> {
    try {
      const transaction = this.db.transaction([STREAMS, ITEMS], "readwrite");
      const rows: StreamRow[] = await settled(transaction.objectStore(STREAMS).getAll());
      rows.sort((one, other) => other.begun - one.begun);
      let bytes = 0;
      for (const [place, { group }] of rows.entries()) {
        const found: ItemRow[] = await settled(transaction.objectStore(ITEMS).getAll(rangeOf(group)));
        bytes += found.reduce((sum, { payload }) => sum + payload.length, 0);
        if (place === 0 || bytes <= MOST_BYTES) continue;
        transaction.objectStore(ITEMS).delete(rangeOf(group));
        transaction.objectStore(STREAMS).delete(group);
      }
      await ended(transaction);
    } catch {
      // the disk is full or the database gone: what comes stays in memory alone
    }
  }
}

function rangeOf(group: number): IDBKeyRange {
  return IDBKeyRange.bound([group], [group, []]);
}

function settled<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function ended(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onerror = transaction.onabort = () => reject(transaction.error);
  });
}
