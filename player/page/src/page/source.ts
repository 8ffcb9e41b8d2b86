// Where streams come from, as the page sees it: over a data channel, or as a file that grows.

import type { Events, State } from "../transport/session";

/** What the events of a source tell; see `Session`. */
export type SourceEvents = Pick<Events, "glance" | "state" | "stream" | "caption" | "chunk" | "progress" | "error">;

/** A rectangle as shares of the picture's width and height: left, top, width, height. */
export type Shares = readonly [number, number, number, number];

/** What a person can ask of the sender. */
export type Want = { readonly stop: true } | { readonly lossless: true } | { readonly region: Shares };

/** What is known of the link; null where it is not. Bytes a second, packets and their share that did not come, seconds. */
export interface Figures {
  readonly rate: number | null;
  readonly packets: number | null;
  readonly loss: number | null;
  readonly eta: number | null;
}

/** Streams that arrive. `start` it once the listeners are there. */
export interface Source {
  /** Whether wants reach the sender. */
  readonly canAsk: boolean;
  on<Type extends keyof SourceEvents>(type: Type, listener: (event: SourceEvents[Type]) => void): void;
  start(): Promise<void>;
  /** A picture is looked at: its latents are wanted, or all of it. */
  open(group: number, all: boolean): void;
  /** Nobody looks at it any more. */
  leave(group: number): void;
  want(group: number, want: Want): void;
  /** Chunks of a stream in the order of its file, as far as that is known. */
  order(group: number): readonly { readonly kind: number; readonly index: number }[];
  figures(group: number): Figures;
  close(): Promise<void>;
}

/** States in which the link carries nothing for us. */
export const QUIET: ReadonlySet<State> = new Set<State>(["ended", "waiting", "closed"]);
