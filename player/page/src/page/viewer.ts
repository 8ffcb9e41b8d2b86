// One picture, looked at: it sharpens; what is known of it, and what can be asked of its sender, stands around it.

import { Kind } from "../container";
import type { LayerCast } from "../element";
import type { Progress } from "../messages";
import type { State } from "../transport/session";
import { type Arrivals, type Layer, layerOf } from "./arrivals";
import { Boxes } from "./boxes";
import { byId, bytesText, put, save, say, secondsText } from "./dom";
import { RegionChooser } from "./region";
import type { Places } from "./session_source";
import { QUIET, type Source } from "./source";
import { Timeline } from "./timeline";

const TICK = 500; // ms between two looks at the figures
const MILESTONES: Partial<Record<Layer, string>> = { structure: "outlines have come", residual: "the exact picture is coming" };

export class Viewer {
  /** The picture's chunks' places, for regions; see `SessionSource`. */
  places: Places | null = null;
  private readonly section = byId("viewer");
  private readonly frame = byId("frame");
  private readonly ask = byId<HTMLButtonElement>("ask");
  private readonly boxes = new Boxes();
  private readonly timeline = new Timeline((moment) => this.picture?.show(moment));
  private readonly chooser: RegionChooser;
  private arrivals: Arrivals | null = null;
  private picture: LayerCast | null = null;
  private stopped = false;
  private finished = false;
  private state: State = "connecting";
  private exact = 0;
  private verified: boolean | null = null;
  private problem: string | null = null;
  private told = new Set<Layer>();
  private timer: ReturnType<typeof setInterval> | undefined;

  constructor(
    private readonly weights: string,
    private readonly source: Source,
  ) {
    this.chooser = new RegionChooser((region) => {
      this.stopped = false;
      if (this.arrivals) source.want(this.arrivals.group, { region });
      this.refresh();
    });
    this.ask.addEventListener("click", () => this.toggle());
    byId("save-png").addEventListener("click", () => void this.savePng());
    byId("save-lcast").addEventListener("click", () => this.saveStream());
  }

  /** The group of the picture that is looked at; null for none. */
  get group(): number | null {
    return this.arrivals?.group ?? null;
  }

  /** Whether the person has asked for no more of it. */
  get isStopped(): boolean {
    return this.stopped;
  }

  open(arrivals: Arrivals): void {
    this.close();
    this.arrivals = arrivals;
    const picture = (this.picture = document.createElement("layer-cast") as LayerCast);
    picture.setAttribute("weights", this.weights);
    picture.addEventListener("layercast-caption", ({ detail }: CustomEventInit<{ text: string; guessed: boolean }>) => {
      if (this.picture === picture) this.takeCaption(detail!.text, detail!.guessed);
    });
    picture.addEventListener("layercast-preview", () => this.milestone("thumbnail", "a first, coarse picture is shown"));
    picture.addEventListener("layercast-progress", ({ detail }: CustomEventInit<Progress>) => this.painted(picture, detail!));
    picture.addEventListener("load", ({ detail }: CustomEventInit<{ verified: boolean | null }>) => this.ended(picture, detail!.verified));
    picture.addEventListener("error", ({ detail }: CustomEventInit<{ message: string }>) => this.failed(picture, detail!.message));
    const { width, height } = arrivals.header;
    this.frame.style.setProperty("--shape", String(width / height));
    this.frame.style.setProperty("--width", `${width}px`);
    this.frame.prepend(picture);
    picture.begin(arrivals.header);
    this.section.hidden = false;
    put(byId("size"), `${width} × ${height} pixels`);
    this.rename();
    this.tellCaption();
    for (const chunk of arrivals.chunks()) if (this.isDecoded(chunk.kind)) picture.push(chunk);
    if (arrivals.complete) this.finish();
    this.timeline.open(arrivals);
    this.timer = setInterval(() => this.refresh(), TICK);
    this.refresh();
  }

  close(): void {
    clearInterval(this.timer);
    this.picture?.remove();
    this.picture = this.arrivals = this.places = null;
    this.stopped = this.finished = false;
    this.exact = 0;
    this.verified = null;
    this.problem = null;
    this.told.clear();
    this.boxes.clear();
    this.chooser.reset();
    this.section.hidden = true;
  }

  /** A chunk of this picture came. */
  push(chunk: Parameters<LayerCast["push"]>[0]): void {
    if (this.isDecoded(chunk.kind)) this.picture?.push(chunk);
    this.finished = false;
    const layer = layerOf(chunk);
    const text = MILESTONES[layer];
    if (text) this.milestone(layer, text);
  }

  /** All of it is here, or all that the sender has: a stream may itself have been cut. */
  finish(): void {
    this.finished = true;
    this.picture?.finish();
    this.refresh();
  }

  /** Its name or its size came. */
  rename(): void {
    put(byId("name"), this.arrivals?.name ?? "");
  }

  /** Its caption came as text. */
  tellCaption(): void {
    const { arrivals } = this;
    const text = arrivals?.caption ?? null;
    put(byId("caption"), text ?? "the caption has not come yet");
    byId("caption").classList.toggle("absent", text === null);
    if (text === null || !arrivals) return;
    this.picture?.setAttribute("alt", text);
    const { guessed } = arrivals;
    put(byId("origin"), guessed === null ? "" : guessed ? "words found by a program" : "words given with the picture");
  }

  setState(state: State): void {
    this.state = state;
    this.refresh();
  }

  // The caption is known as text: its weights need not be fetched for it.
  private isDecoded(kind: number): boolean {
    return kind !== Kind.CAPTION || this.arrivals?.caption === null;
  }

  private takeCaption(text: string, guessed: boolean): void {
    if (!this.arrivals) return;
    const first = this.arrivals.caption === null;
    [this.arrivals.caption, this.arrivals.guessed] = [text, guessed];
    this.tellCaption();
    if (first) say(`caption: ${text}`);
  }

  private painted(picture: LayerCast, { exact }: Progress): void {
    if (this.picture !== picture) return;
    this.exact = exact;
    if (!this.told.has("latent")) void this.explore(picture);
    this.milestone("latent", "the picture has become sharper");
  }

  /** What takes weights that are here now. */
  private async explore(picture: LayerCast): Promise<void> {
    const areas = await picture.areas();
    if (this.picture !== picture) return;
    const rectangle = ({ x0, y0, x1, y1 }: (typeof areas)[number]) => ({ x: x0, y: y0, width: x1 - x0, height: y1 - y0 });
    const { width, height } = this.arrivals!.header;
    this.places = { width, height, areas: new Map(areas.map((area) => [8 * area.index + area.kind, rectangle(area)])) };
    await this.findRegions(picture);
  }

  private async findRegions(picture: LayerCast): Promise<void> {
    if (!this.arrivals?.has("structure")) return;
    const regions = await picture.regions();
    if (this.picture !== picture || !this.arrivals) return;
    this.boxes.show(regions, this.arrivals.header.width, this.arrivals.header.height);
  }

  private ended(picture: LayerCast, verified: boolean | null): void {
    if (this.picture !== picture) return;
    this.verified = verified;
    void this.findRegions(picture);
    if (verified) say("complete: every pixel is that of the source");
    this.refresh();
  }

  private failed(picture: LayerCast, message: string): void {
    if (this.picture !== picture) return;
    this.problem = message;
    this.refresh();
  }

  private milestone(layer: Layer, text: string): void {
    if (this.told.has(layer)) return;
    this.told.add(layer);
    say(text);
  }

  private toggle(): void {
    const { arrivals } = this;
    if (!arrivals) return;
    this.stopped = !this.stopped;
    this.source.want(arrivals.group, this.stopped ? { stop: true } : { lossless: true });
    say(this.stopped ? "stopped; what is here stays" : "going on, to the last bit");
    this.refresh();
  }

  /** Brings figures and buttons up to date. */
  private refresh(): void {
    const { arrivals } = this;
    if (!arrivals) return;
    this.timeline.update();
    const { rate, packets, loss, eta } = this.source.figures(arrivals.group);
    const moving = !this.finished && !this.stopped && !QUIET.has(this.state);
    const size = arrivals.size === null ? "" : ` of ${bytesText(arrivals.size)}`;
    const all = arrivals.complete ? ", all of it" : ", all that the sender has";
    put(byId("bytes"), `${bytesText(arrivals.bytes)}${this.finished ? all : size}`);
    put(byId("rate"), moving && rate !== null ? `${((8 * rate) / 1000).toFixed(1)} kbit/s` : "–");
    put(byId("loss"), loss === null ? "–" : `${(100 * loss).toFixed(1)}%${packets ? ` of ${packets} packets` : ""}`);
    put(byId("eta"), moving && eta !== null ? `about ${secondsText(eta)}` : "–");
    put(byId("truth"), this.truth(arrivals));
    const asks = this.source.canAsk && !this.finished;
    this.ask.hidden = !asks;
    put(this.ask, this.stopped ? "Go to lossless" : "Stop here");
    this.chooser.enable(asks);
  }

  /** What of the picture is measured, and what is not. */
  private truth(arrivals: Arrivals): string {
    if (this.problem !== null) return `It cannot be shown: ${this.problem}.`;
    if (this.verified) return "Exact: every pixel is the source's, to the last bit, and its check says so.";
    if (arrivals.complete && this.verified === false) return "All is here, and the check does not agree: the stream is damaged.";
    const share = this.exact > 0 ? ` ${Math.floor(100 * this.exact)}% of the pixels are the source's to the last bit.` : "";
    return `The exact picture: decoded from what came, nothing is made up.${share}`;
  }

  private async savePng(): Promise<void> {
    const data = await this.picture?.png();
    if (data) save(data, `${this.stem}.png`, "image/png");
    else say("there is no picture to save yet");
  }

  private saveStream(): void {
    const { arrivals } = this;
    if (arrivals) save(arrivals.file(this.source.order(arrivals.group)), `${this.stem}.lcast`, "application/octet-stream");
  }

  private get stem(): string {
    return (this.arrivals?.name ?? "").replace(/\.lcast$/, "").replace(/[^\p{L}\p{N}._ -]/gu, "_") || "picture";
  }
}
