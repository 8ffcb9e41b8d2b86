// What stands where: phrases as a list, their boxes over the picture. A box shows itself when the pointer is over it, or
// when its phrase has the focus or the pointer.

import type { Region } from "../regions";
import { byId, make } from "./dom";

export class Boxes {
  private readonly list = byId("phrases");
  private readonly section = byId("things");
  private readonly layer = byId("boxes");
  private shown: { region: Region; box: HTMLElement; phrase: HTMLElement }[] = [];

  constructor() {
    const frame = byId("frame");
    frame.addEventListener("pointermove", (event) => this.point(event, frame.getBoundingClientRect()));
    frame.addEventListener("pointerleave", () => this.light(null));
  }

  /** Shows the regions of a picture of so many pixels; those without a phrase have nothing to say to people. */
  show(regions: readonly Region[], width: number, height: number): void {
    this.clear();
    for (const region of regions) {
      if (!region.phrase) continue;
      const box = make("div", "box");
      box.append(make("span", "phrase", region.phrase)); // text, never HTML
      Object.assign(box.style, {
        left: `${(100 * region.x0) / width}%`, top: `${(100 * region.y0) / height}%`,
        width: `${(100 * (region.x1 - region.x0)) / width}%`, height: `${(100 * (region.y1 - region.y0)) / height}%`,
      }); // prettier-ignore
      const phrase = make("button", "phrase", region.phrase);
      phrase.type = "button";
      const entry = { region, box, phrase };
      for (const begin of ["focus", "pointerenter"]) phrase.addEventListener(begin, () => this.light(entry));
      for (const end of ["blur", "pointerleave"]) phrase.addEventListener(end, () => this.light(null));
      phrase.addEventListener("click", () => this.light(entry));
      const item = make("li", "");
      item.append(phrase);
      this.list.append(item);
      this.layer.append(box);
      this.shown.push(entry);
    }
    this.section.hidden = this.shown.length === 0;
    this.layer.dataset.width = String(width);
    this.layer.dataset.height = String(height);
  }

  clear(): void {
    this.list.replaceChildren();
    this.layer.replaceChildren();
    this.shown = [];
    this.section.hidden = true;
  }

  /** The smallest box under the pointer. */
  private point(event: PointerEvent, frame: DOMRect): void {
    if (!this.shown.length || event.buttons) return;
    const x = ((event.clientX - frame.left) / frame.width) * Number(this.layer.dataset.width);
    const y = ((event.clientY - frame.top) / frame.height) * Number(this.layer.dataset.height);
    const area = ({ region }: { region: Region }) => (region.x1 - region.x0) * (region.y1 - region.y0);
    const under = this.shown.filter(({ region }) => region.x0 <= x && x < region.x1 && region.y0 <= y && y < region.y1);
    this.light(under.sort((one, other) => area(one) - area(other))[0] ?? null);
  }

  private light(chosen: { box: HTMLElement } | null): void {
    for (const { box, phrase } of this.shown) {
      box.classList.toggle("lit", box === chosen?.box);
      phrase.classList.toggle("lit", box === chosen?.box);
    }
  }
}
