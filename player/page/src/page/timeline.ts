// The way a picture came, to be gone back along: one step for each chunk that came or grew.

import { type Arrivals, LAYERS, layerOf } from "./arrivals";
import { byId, bytesText, make, put, secondsText } from "./dom";

export class Timeline {
  private readonly slider = byId<HTMLInputElement>("moment");
  private readonly output = byId("moment-text");
  private readonly back = byId<HTMLButtonElement>("now");
  private readonly strip = byId("strip");
  private arrivals: Arrivals | null = null;
  private drawn = 0;
  private live = true;

  /** `chosen`: a moment, as a number of chunks; null: now. */
  constructor(private readonly chosen: (moment: number | null) => void) {
    this.slider.addEventListener("input", () => this.go(Number(this.slider.value)));
    this.back.addEventListener("click", () => {
      this.go(this.arrivals?.moments.length ?? 0);
      this.slider.focus();
    });
  }

  open(arrivals: Arrivals): void {
    this.arrivals = arrivals;
    this.live = true;
    this.drawn = 0;
    this.drawStrip();
    this.update();
  }

  /** Something came. */
  update(): void {
    const count = this.arrivals?.moments.length ?? 0;
    if (count === this.drawn) return;
    this.drawn = count;
    this.slider.max = String(count);
    if (this.live) this.slider.value = String(count);
    this.tell();
    this.drawStrip();
  }

  private go(moment: number): void {
    const { length } = this.arrivals?.moments ?? [];
    this.live = moment >= length;
    this.slider.value = String(moment);
    this.tell();
    this.chosen(this.live ? null : moment);
  }

  private tell(): void {
    const { moments } = this.arrivals!;
    const at = moments[Number(this.slider.value) - 1];
    if (!at) return;
    const began = moments[0]!.time;
    const text = `${bytesText(at.bytes)}, ${layerOf(at)}, ${secondsText(at.time - began)} after the first`;
    put(this.output, this.live ? `now: ${text}` : `back then: ${text}`);
    this.slider.setAttribute("aria-valuetext", this.output.textContent!);
    this.back.disabled = this.live;
  }

  /** Which layer came when, as a coloured strip; the slider's text says the same. */
  private drawStrip(): void {
    const runs: { layer: string; count: number }[] = [];
    for (const moment of this.arrivals!.moments) {
      const layer = layerOf(moment);
      const last = runs.at(-1);
      if (last?.layer === layer) last.count++;
      else if (runs.length < MOST_RUNS) runs.push({ layer, count: 1 });
    }
    const parts = runs.map(({ layer, count }) => {
      const part = make("span", `layer ${layer}`);
      part.style.flexGrow = String(count);
      return part;
    });
    this.strip.replaceChildren(...parts);
    const here = new Set(runs.map(({ layer }) => layer));
    for (const layer of LAYERS) byId("legend").querySelector<HTMLElement>(`.${layer}`)!.hidden = !here.has(layer);
  }
}

const MOST_RUNS = 200;
