// A rectangle of the picture that is asked for first: dragged over it, or set by four sliders.

import { byId, say } from "./dom";
import type { Shares } from "./source";

const SIDES = ["left", "top", "width", "height"] as const;
const LEAST = 0.02; // of a side: less is a click
const STEPS = 100;

export class RegionChooser {
  private readonly frame = byId("frame");
  private readonly form = byId<HTMLFormElement>("region");
  private readonly button = byId<HTMLButtonElement>("choose");
  private readonly mark = byId("mark");
  private readonly sliders = SIDES.map((side) => byId<HTMLInputElement>(`region-${side}`));
  private enabled = false;
  private from: { x: number; y: number } | null = null;

  constructor(private readonly chosen: (region: Shares) => void) {
    this.button.addEventListener("click", () => this.toggle(this.form.hidden === true));
    byId("region-cancel").addEventListener("click", () => this.cancel());
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.ask(this.slid());
    });
    this.form.addEventListener("input", () => this.draw(this.slid()));
    addEventListener("keydown", ({ key }) => key === "Escape" && !this.mark.hidden && this.cancel());
    this.frame.addEventListener("pointerdown", (event) => this.begin(event));
    this.frame.addEventListener("pointermove", (event) => this.from && this.draw(this.dragged(event)));
    this.frame.addEventListener("pointerup", (event) => this.end(event));
    this.frame.addEventListener("pointercancel", () => this.hide());
  }

  /** Whether there is a sender that can be asked. */
  enable(enabled: boolean): void {
    if (this.enabled === enabled) return;
    this.enabled = enabled;
    this.button.hidden = !enabled;
    if (!enabled) this.reset();
  }

  /** Nothing is chosen. */
  reset(): void {
    this.toggle(false);
    this.hide();
  }

  private cancel(): void {
    const inside = this.form.contains(document.activeElement);
    this.reset();
    if (inside) this.button.focus();
  }

  private toggle(open: boolean): void {
    this.form.hidden = !open;
    this.button.setAttribute("aria-expanded", String(open));
    this.frame.classList.toggle("choosing", open); // a finger then draws instead of scrolling
    if (!open) return;
    if (this.mark.hidden) this.draw([0.25, 0.25, 0.5, 0.5]);
    this.sliders[0]!.focus();
  }

  private slid(): Shares {
    const [left, top, width, height] = this.sliders.map(({ value }) => Number(value) / STEPS) as unknown as Shares;
    return [left, top, Math.min(width, 1 - left), Math.min(height, 1 - top)];
  }

  private begin(event: PointerEvent): void {
    const draws = event.pointerType === "mouse" ? event.button === 0 : !this.form.hidden;
    if (!this.enabled || !draws) return;
    this.from = this.shareOf(event);
    this.frame.setPointerCapture(event.pointerId);
    event.preventDefault();
  }

  private end(event: PointerEvent): void {
    if (!this.from) return;
    const region = this.dragged(event);
    this.from = null;
    if (region[2] < LEAST || region[3] < LEAST) this.hide();
    else this.ask(region);
  }

  private ask(region: Shares): void {
    if (region[2] <= 0 || region[3] <= 0) return;
    this.draw(region);
    this.chosen(region);
    const [left, top, width, height] = region.map((share) => Math.round(share * 100));
    say(`asked for this part first: ${width}% by ${height}% of the picture, from ${left}% left and ${top}% top`);
  }

  private dragged(event: PointerEvent): Shares {
    const [one, other] = [this.from!, this.shareOf(event)];
    const [x, y] = [Math.min(one.x, other.x), Math.min(one.y, other.y)];
    return [x, y, Math.abs(one.x - other.x), Math.abs(one.y - other.y)];
  }

  private shareOf({ clientX, clientY }: PointerEvent): { x: number; y: number } {
    const { left, top, width, height } = this.frame.getBoundingClientRect();
    const share = (at: number, size: number) => Math.min(Math.max(at / size, 0), 1);
    return { x: share(clientX - left, width), y: share(clientY - top, height) };
  }

  private draw(region: Shares): void {
    const [left, top, width, height] = region.map((share) => `${100 * share}%`) as [string, string, string, string];
    Object.assign(this.mark.style, { left, top, width, height });
    this.mark.hidden = false;
    if (!this.form.contains(document.activeElement)) {
      this.sliders.forEach((slider, i) => (slider.value = String(Math.round(region[i]! * STEPS))));
    }
  }

  private hide(): void {
    this.from = null;
    this.mark.hidden = true;
  }
}
