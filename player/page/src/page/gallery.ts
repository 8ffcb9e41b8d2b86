// Many pictures: each with its thumbnail, its caption and its name; a click opens it.

import { Kind } from "../container";
import type { LayerCast } from "../element";
import type { Arrivals } from "./arrivals";
import { byId, bytesText, make, put } from "./dom";

const ORDER = new Intl.Collator(undefined, { numeric: true });

interface Card {
  name: string | null; // by which it has its place in the list
  readonly item: HTMLElement;
  readonly button: HTMLButtonElement;
  readonly picture: LayerCast;
  readonly caption: HTMLElement;
  readonly about: HTMLElement;
  shown: boolean;
}

export class Gallery {
  private readonly section = byId("gallery");
  private readonly list = byId("cards");
  private readonly cards = new Map<number, Card>();

  constructor(
    private readonly weights: string,
    private readonly chosen: (group: number) => void,
  ) {}

  /** Shows these, or nothing; where it is not seen, no thumbnail is decoded for it. */
  show(streams: Iterable<Arrivals> | null): void {
    this.section.hidden = streams === null;
    for (const arrivals of streams ?? []) this.update(arrivals);
  }

  /** Something of a picture is new. */
  update(arrivals: Arrivals): void {
    if (this.section.hidden) return;
    const card = this.cardOf(arrivals.group);
    if (card.name !== arrivals.name) this.place(card, arrivals.name);
    put(card.caption, arrivals.caption ?? (arrivals.name || "a picture"));
    const state = arrivals.complete ? "complete" : arrivals.size === null ? "" : bytesText(arrivals.size);
    put(card.about, [arrivals.caption === null ? "" : arrivals.name, state].filter(Boolean).join(" · "));
    const payload = card.shown ? null : arrivals.payload(Kind.LATENT, 0);
    if (!payload) return;
    card.shown = true;
    card.picture.thumbnail(arrivals.header, payload);
    card.picture.style.aspectRatio = `${arrivals.header.width} / ${arrivals.header.height}`;
  }

  focus(group: number): void {
    this.cards.get(group)?.button.focus();
  }

  private cardOf(group: number): Card {
    let card = this.cards.get(group);
    if (card) return card;
    const [item, button] = [make("li", ""), make("button", "card")];
    const picture = document.createElement("layer-cast") as LayerCast;
    picture.setAttribute("weights", this.weights);
    picture.setAttribute("alt", ""); // the caption stands beside it
    const holder = make("span", "holder");
    holder.append(picture);
    const [caption, about] = [make("span", "caption"), make("span", "about")];
    button.type = "button";
    button.append(holder, caption, about);
    button.addEventListener("click", () => this.chosen(group));
    item.append(button);
    this.cards.set(group, (card = { name: null, item, button, picture, caption, about, shown: false }));
    return card;
  }

  /** By name, numbers by their value: a camera's series is in the order in which it was taken. */
  private place(card: Card, name: string): void {
    card.name = name;
    const others = [...this.cards.values()].filter((other) => other !== card && other.name !== null);
    const later = others.filter((other) => ORDER.compare(other.name!, name) > 0);
    const next = later.sort((one, other) => ORDER.compare(one.name!, other.name!))[0];
    this.list.insertBefore(card.item, next?.item ?? null);
  }
}
