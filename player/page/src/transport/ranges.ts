// A set of whole numbers as sorted half-open ranges: packet numbers seen.

export type Range = readonly [start: number, stop: number];

/** Disjoint ranges, kept sorted and apart: touching ones are joined. */
export class Ranges {
  private ranges: Range[] = [];

  get size(): number {
    return this.ranges.length;
  }

  /** The highest range. */
  get last(): Range | undefined {
    return this.ranges.at(-1);
  }

  /** Put start .. stop-1 in. */
  add(start: number, stop: number): void {
    const first = this.place(start - 1);
    let behind = first;
    while (behind < this.ranges.length && this.ranges[behind]![0] <= stop) behind += 1;
    if (behind > first) {
      start = Math.min(start, this.ranges[first]![0]);
      stop = Math.max(stop, this.ranges[behind - 1]![1]);
    }
    this.ranges.splice(first, behind - first, [start, stop]);
  }

  has(number: number): boolean {
    const found = this.ranges[this.place(number)];
    return found !== undefined && found[0] <= number;
  }

  /** Drop everything below `number`. */
  forgetBelow(number: number): void {
    const kept = this.ranges.slice(this.place(number));
    const lowest = kept[0];
    if (lowest !== undefined && lowest[0] < number) kept[0] = [number, lowest[1]];
    this.ranges = kept;
  }

  /** The newest `most` ranges, the highest first. */
  newest(most: number): Range[] {
    return this.ranges.slice(-most).reverse();
  }

  /** Where the first range is that ends behind `number`. */
  private place(number: number): number {
    let low = 0;
    let high = this.ranges.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.ranges[middle]![1] > number) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
