// Memory of the kernel, as its caller asks for it. Everything else takes places in it.

/** A place for so many bytes, a multiple of 16. */
export function take(bytes: usize): usize {
  return heap.alloc(bytes);
}

/** Gives a place back. */
export function give(place: usize): void {
  heap.free(place);
}

export function fill(place: usize, value: i32, bytes: usize): void {
  memory.fill(place, <u8>value, bytes);
}
