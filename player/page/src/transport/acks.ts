// What a receiver reports of the packets that came, and when (WIRE.md, kind 1; `transport/acks.py` says why).

import { mod, NUMBERS, roundEven } from "./fields";
import { Ranges } from "./ranges";
import { encode, MAX_SPAN } from "./wire";

const ACK_RUNS = 16;
/** Packets back from the newest that acknowledgements still speak of. */
const ACK_MEMORY = 1024;
/** Seconds between packets from which each is reported, if it is large enough. */
const SPARSE = 0.05;
const PATIENCE = 1.5;

/** Notes numbered packets and says when a report of them is due. Times in seconds. */
export class Acknowledger {
  /** When the next report is due; null if none is. */
  due: number | null = null;
  private readonly numbers = new Ranges();
  private received = 0;
  private first = 0;
  private different = 0;
  private largestTime = 0;
  private before: number | null = null;
  private lastTime: number;
  private oldest = 0;
  private waiting = 0;
  private waitingBytes = 0;

  /** A report is due when `packets` have come that hold `enough` bytes, or after `longest` seconds. */
  constructor(
    private readonly packets: number,
    private readonly enough: number,
    private readonly longest: number,
  ) {
    this.lastTime = -longest;
  }

  /** Of the packets that were numbered since the first that came, the share that did not come. */
  get loss(): number {
    const last = this.numbers.last;
    return last === undefined ? 0 : 1 - this.different / (last[1] - this.first);
  }

  /** A packet of `size` bytes whose number has these low 16 bits came at `now`; whether it had come before. */
  handleNumber(low: number, urgent: boolean, size: number, now: number): boolean {
    this.received += size;
    const last = this.numbers.last;
    const largest = last === undefined ? low : last[1] - 1;
    const number = largest + mod(low - largest + MAX_SPAN, NUMBERS) - MAX_SPAN;
    const inOrder = number === largest + 1;
    const seen = this.numbers.has(number);
    if (last === undefined) this.first = number;
    if (!seen && number >= this.first) this.different += 1;
    if (last === undefined || number > largest) {
      this.before = inOrder ? this.largestTime : null;
      this.largestTime = now;
    }
    this.numbers.add(number, number + 1);
    this.numbers.forgetBelow(Math.max(number, largest) - ACK_MEMORY);
    this.plan(urgent || !inOrder || seen, size, now);
    return seen;
  }

  /** The report, if one is due. */
  pollTransmit(now: number): Uint8Array | null {
    if (this.due === null || now < this.due) return null;
    this.due = null;
    this.waiting = this.waitingBytes = 0;
    const largest = this.numbers.last![1] - 1;
    const ranges = this.numbers.newest(ACK_RUNS).map(([start, stop]) => [largest - (stop - 1), largest - start] as const);
    const arrived = roundEven(this.largestTime * 1000);
    const spacing = this.before === null ? 0 : arrived - roundEven(this.before * 1000);
    const [number, delay] = [mod(largest, NUMBERS), roundEven((now - this.largestTime) * 1000) / 1000];
    return encode({ kind: "ack", largest: number, ranges, delay, received: this.received, arrived, spacing });
  }

  private plan(atOnce: boolean, size: number, now: number): void {
    const took = now - this.lastTime;
    this.lastTime = now;
    if (this.waiting === 0) this.oldest = now;
    this.waiting += 1;
    this.waitingBytes += size;
    const many = this.waiting >= this.packets || took >= SPARSE;
    if (atOnce || took >= this.longest || (many && this.waitingBytes >= this.enough)) {
      this.due = now;
    } else {
      const patience = Math.min(Math.max(PATIENCE * took, SPARSE), this.longest);
      this.due = Math.min(now + patience, this.oldest + this.longest);
    }
  }
}
