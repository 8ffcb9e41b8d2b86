// The bytes of one item: pieces in any order, doubled or overlapping, give a prefix that only grows.

/** Bytes of bookkeeping charged for a piece that waits, so that a flood of tiny pieces is bounded too. */
const PIECE_COST = 64;

interface Piece {
  readonly offset: number;
  readonly payload: Uint8Array;
}

/** `prefix` is what is contiguous from the start; pieces behind a gap wait. The first to arrive wins. */
export class Assembly {
  length: number | null = null;
  private buffer = new Uint8Array();
  private held = 0;
  private waiting: Piece[] = [];
  private waitingCost = 0;

  /** A view that stays as it is. */
  get prefix(): Uint8Array {
    return this.buffer.subarray(0, this.held);
  }

  get complete(): boolean {
    return this.length !== null && this.held >= this.length;
  }

  /** Bytes of memory held, about. */
  get cost(): number {
    return this.held + this.waitingCost;
  }

  /** Put a piece in; true if the prefix grew or the item is now complete. */
  add(offset: number, payload: Uint8Array, final: boolean): boolean {
    const stop = offset + payload.length;
    if (this.complete || this.contradicts(stop, final)) return false;
    if (final) this.length = stop;
    if (offset > this.held) {
      this.wait(offset, payload);
      return false;
    }
    let grew = this.extend(offset, payload);
    while (this.waiting.length > 0 && this.waiting[0]!.offset <= this.held) {
      const piece = this.waiting.shift()!;
      this.waitingCost -= piece.payload.length + PIECE_COST;
      grew = this.extend(piece.offset, piece.payload) || grew;
    }
    return grew || this.complete;
  }

  private contradicts(stop: number, final: boolean): boolean {
    if (this.length !== null) return stop > this.length || (final && stop !== this.length);
    const last = this.waiting.at(-1);
    return final && stop < (last === undefined ? this.held : last.offset + last.payload.length);
  }

  private extend(offset: number, payload: Uint8Array): boolean {
    const fresh = payload.subarray(Math.min(this.held - offset, payload.length));
    if (fresh.length === 0) return false;
    if (this.held + fresh.length > this.buffer.length) {
      const larger = new Uint8Array(Math.max(this.held + fresh.length, this.held ? 2 * this.buffer.length : 0));
      larger.set(this.prefix);
      this.buffer = larger;
    }
    this.buffer.set(fresh, this.held);
    this.held += fresh.length;
    return true;
  }

  /** Keep, as copies, the parts of a piece that no waiting piece has. */
  private wait(offset: number, payload: Uint8Array): void {
    let place = this.placeBehind(offset);
    const before = this.waiting[place - 1];
    const covered = before === undefined ? 0 : Math.max(before.offset + before.payload.length - offset, 0);
    [offset, payload] = [offset + covered, payload.subarray(Math.min(covered, payload.length))];
    while (payload.length > 0) {
      const next = this.waiting[place];
      const room = next === undefined ? payload.length : next.offset - offset;
      if (room > 0) {
        const piece = { offset, payload: payload.slice(0, room) };
        this.waiting.splice(place, 0, piece);
        this.waitingCost += piece.payload.length + PIECE_COST;
        place += 1;
      }
      if (next === undefined) return;
      const skip = Math.max(next.offset + next.payload.length - offset, 0);
      [offset, payload, place] = [offset + skip, payload.subarray(Math.min(skip, payload.length)), place + 1];
    }
  }

  private placeBehind(offset: number): number {
    let low = 0;
    let high = this.waiting.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.waiting[middle]!.offset <= offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
