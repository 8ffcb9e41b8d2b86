// What the element and its worker say to each other. Every message names the picture it is about.

import type { Chunk, Header } from "./container";
import type { ChunkArea, Picture } from "./decoder";
import type { Region } from "./regions";

/**
 * How much of a stream is fetched: all of it, or, as files are ordered, what stands before the residual. "shown": in
 * parts, until the page has said which.
 */
export type Layer = "latent" | "residual" | "shown";

/** A picture to be painted onto `canvas`. */
interface Opened {
  readonly id: number;
  readonly weights: string;
  readonly canvas: OffscreenCanvas;
}

/** What the page can ask about a picture; each has one answer. */
export interface Answers {
  /** The picture as it is now, RGBA; null before its header came. */
  readonly pixels: Picture | null;
  /** The picture as it is now as a PNG file, to the last bit, its colour profile within. */
  readonly png: Uint8Array | null;
  readonly regions: readonly Region[];
  /** Which pixels each chunk can change; of latents once the network's weights are there. */
  readonly areas: readonly ChunkArea[];
}

export type Question = keyof Answers;

/** From the page: fetch a stream and paint it, or paint chunks that the page hands over; what else it wants. */
export type Asked =
  | (Opened & { readonly ask: "fetch"; readonly url: string; readonly upto: Layer })
  | (Opened & { readonly ask: "begin"; readonly header: Header })
  | (Opened & { readonly ask: "thumbnail"; readonly header: Header; readonly payload: Uint8Array })
  | { readonly ask: "chunk"; readonly id: number; readonly chunk: Chunk }
  | { readonly ask: "finish"; readonly id: number }
  | { readonly ask: "upto"; readonly id: number; readonly upto: Layer }
  /** Show the picture as it was after so many chunks; null: as it is. */
  | { readonly ask: "moment"; readonly id: number; readonly moment: number | null }
  | { readonly ask: "close"; readonly id: number }
  | { readonly ask: Question; readonly id: number; readonly question: number }
  /** Whether files of weights below this address wait; the thumbnail's never do, nor those in the cache if some are kept. */
  | { readonly ask: "hold"; readonly weights: string; readonly hold: boolean; readonly kept: boolean };

/** What is to be seen now. `exact`: the share of the pixels that are the source's to the last bit. */
export interface Progress {
  readonly bytes: number;
  readonly total: number | null;
  readonly exact: number;
}

/** How far the fetching of weights is: files, and bytes of the one on its way. */
export interface Fetching {
  readonly file: string;
  readonly bytes: number;
  readonly total: number | null;
}

/** From the worker. `end`: the stream has come to its end, or broken off with an error. */
export type Told =
  | { readonly tell: "size"; readonly id: number; readonly width: number; readonly height: number }
  | { readonly tell: "caption"; readonly id: number; readonly text: string; readonly guessed: boolean }
  | { readonly tell: "preview"; readonly id: number }
  | ({ readonly tell: "painted"; readonly id: number } & Progress)
  | { readonly tell: "moment"; readonly id: number; readonly moment: number | null }
  | { readonly tell: "answer"; readonly id: number; readonly question: number; readonly answer: Answers[Question] | null }
  | { readonly tell: "end"; readonly id: number; readonly verified: boolean | null }
  | { readonly tell: "error"; readonly id: number; readonly message: string }
  | ({ readonly tell: "weights"; readonly id: 0 } & Fetching);
