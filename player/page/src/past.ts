// A picture as it was: what had come by then, decoded once more.

import { Decoder, type Chunk, type Header, type Picture, type Weights } from "./index";

/** Goes back to any moment of one stream. `came`: its chunks as they came, of one that grew each state; it may grow. */
export class Past {
  #decoder: Decoder | null = null;
  #taken = 0;

  constructor(
    private readonly header: Header,
    private readonly weights: Weights,
    private readonly came: readonly Chunk[],
  ) {}

  /** The picture of the first `moment` chunks; null where there is nothing to be seen before the network's weights. */
  async picture(moment: number): Promise<Picture | null> {
    if (!this.#decoder || moment < this.#taken) {
      this.close();
      this.#decoder = await Decoder.open(this.header, { weights: this.weights });
    }
    const latest = new Map<number, Chunk>();
    for (const chunk of this.came.slice(this.#taken, moment)) latest.set(8 * chunk.index + chunk.kind, chunk);
    for (const chunk of latest.values()) this.#decoder.push(chunk);
    this.#taken = Math.max(this.#taken, moment);
    return this.weights.has(this.header.weights, "latent") ? this.#decoder.picture() : this.#decoder.preview();
  }

  close(): void {
    this.#decoder?.close();
    this.#decoder = null;
    this.#taken = 0;
  }
}
