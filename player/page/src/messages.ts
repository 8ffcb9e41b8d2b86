// What the element and its worker say to each other. Every message names the picture it is about.

import type { Chunk, Header } from "./container";
import type { Picture } from "./decoder";

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

/** From the page: fetch a stream and paint it, or paint chunks that the page hands over; close it; tell its pixels. */
export type Asked =
  | (Opened & { readonly ask: "fetch"; readonly url: string; readonly upto: Layer })
  | (Opened & { readonly ask: "begin"; readonly header: Header })
  | { readonly ask: "chunk"; readonly id: number; readonly chunk: Chunk }
  | { readonly ask: "finish"; readonly id: number }
  | { readonly ask: "upto"; readonly id: number; readonly upto: Layer }
  | { readonly ask: "close"; readonly id: number }
  | { readonly ask: "pixels"; readonly id: number; readonly question: number };

/** What is to be seen now. `exact`: the share of the pixels that are the source's to the last bit. */
export interface Progress {
  readonly bytes: number;
  readonly total: number | null;
  readonly exact: number;
}

/** From the worker. `end`: the stream has come to its end, or broken off with an error. */
export type Told =
  | { readonly tell: "size"; readonly id: number; readonly width: number; readonly height: number }
  | { readonly tell: "caption"; readonly id: number; readonly text: string; readonly guessed: boolean }
  | ({ readonly tell: "painted"; readonly id: number } & Progress)
  | { readonly tell: "pixels"; readonly id: number; readonly question: number; readonly picture: Picture | null }
  | { readonly tell: "end"; readonly id: number; readonly verified: boolean | null }
  | { readonly tell: "error"; readonly id: number; readonly message: string };
