// Streams over a data channel: everything's caption and thumbnail, and more of what is looked at.

import type { Area } from "../transport/session";
import { Session } from "../transport/session";
import type { Figures, Shares, Source, SourceEvents, Want } from "./source";

const FIRST = 0; // classes: caption and thumbnail; latents with what stands before them; everything
const LATENT = 2;
const ALL = 3;

/** Pixels of a picture, and which of them each of its chunks can change. */
export interface Places {
  readonly width: number;
  readonly height: number;
  readonly areas: ReadonlyMap<number, Area>;
}

export class SessionSource implements Source {
  readonly canAsk = true;
  private readonly session: Session;
  private readonly left = new Map<number, { bytes: number; size: number | null }>();

  /** `places`: of a stream, by its group, once known; without them no region can be chosen. */
  constructor(
    token: string,
    name: string,
    private readonly places: (group: number) => Places | null,
  ) {
    const areaOf = (group: number, kind: number, index: number) => this.areaOf(group, kind, index);
    this.session = new Session({ token, name, captionText: true, upto: FIRST, areaOf });
    this.session.on("progress", ({ group, bytes, size }) => this.left.set(group, { bytes, size }));
  }

  on<Type extends keyof SourceEvents>(type: Type, listener: (event: SourceEvents[Type]) => void): void {
    this.session.on(type, listener);
  }

  start(): Promise<void> {
    return this.session.start();
  }

  open(group: number, all: boolean): void {
    this.session.want(all ? ALL : LATENT, group);
  }

  leave(group: number): void {
    this.session.want(FIRST, group);
  }

  want(group: number, want: Want): void {
    if ("stop" in want) this.session.stop(group);
    else if ("lossless" in want) this.session.lossless(group);
    else this.wantRegion(group, want.region);
  }

  order(group: number): readonly { kind: number; index: number }[] {
    return this.session.order(group);
  }

  figures(group: number): Figures {
    const { rate, packets, loss } = this.session.statistics();
    const { bytes, size } = this.left.get(group) ?? { bytes: 0, size: null };
    const eta = rate > 0 && size !== null && size > bytes ? (size - bytes) / rate : null;
    return { rate, packets, loss: packets ? loss : null, eta };
  }

  close(): Promise<void> {
    return this.session.close();
  }

  private wantRegion(group: number, [x, y, width, height]: Shares): void {
    const places = this.places(group);
    if (places === null) return;
    const [wide, high] = [places.width, places.height];
    this.session.lossless(group);
    this.session.region(group, { x: x * wide, y: y * high, width: width * wide, height: height * high });
  }

  /** Of chunks whose place is not known, latents before their weights are here, the whole picture. */
  private areaOf(group: number, kind: number, index: number): Area | null {
    const places = this.places(group);
    if (places === null) return null;
    return places.areas.get(8 * index + kind) ?? (kind === LATENT_KIND ? { x: 0, y: 0, ...places } : null);
  }
}

const LATENT_KIND = 4;
