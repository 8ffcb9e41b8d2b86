// What the passes over the residual's coefficients look up (FORMAT.md, section 9): learned tables, and what follows
// from them. Roles: 0 luma, grey and alpha, 1 Co, 2 Cg.

export const PASSES: i32 = 18;
export const GROUPS: i32 = 6;
export const BINS: i32 = 32;
export const FINE: i32 = 1024; // steps in which context sums are cut into bins
export const FEATURES: i32 = 16;
export const SIGN_FEATURES: i32 = 9;
export const LIMIT: i32 = 32766; // a band takes part from the first pass on whose top + 1 is at most this
const LOG_SIZE: i32 = 1024;

const TOPS: StaticArray<i32> = [
  2072, 0, 0, 3923, 3923, 7427, 9012, 9012, 17059, 24581, 24581, 46460, 31751, 31751, 29423, 43090, 43090, 34101,
  10881, 0, 0, 22077, 22077, 41793, 50716, 50716, 96004, 133619, 133619, 252543, 150250, 150250, 139234, 139271, 139271,
  110218,
  7215, 0, 0, 13662, 13662, 25862, 34820, 34820, 65916, 82680, 82680, 156268, 99646, 99646, 92340, 95622, 95622, 75675,
];

/** Sides of a cell's bands, of its blocks in coefficients and in number, and where a group begins, by group. */
// @ts-ignore: decorator
@inline export function side_of(group: i32): i32 {
  return group < 2 ? 4 : 2 << group;
}

// @ts-ignore: decorator
@inline export function count_of(group: i32): i32 {
  return group ? 3 : 1;
}

/** First coefficient of a group in a cell's plane of 16384. */
// @ts-ignore: decorator
@inline export function place_of(group: i32): i32 {
  return group ? (group == 1 ? 16 : 1 << (2 * group + 2)) : 0;
}

/** Blocks on a side of a band. */
// @ts-ignore: decorator
@inline export function blocks_of(group: i32): i32 {
  return group < 3 ? 1 : 1 << (group - 2);
}

/** First block of a group in a cell's plane of 259. */
export function block_place_of(group: i32): i32 {
  if (group < 3) return group ? 3 * group - 2 : 0;
  return 3 + (1 << (2 * group - 4));
}

// @ts-ignore: decorator
@inline export function top_of(role: i32, group: i32, orientation: i32): i32 {
  return unchecked(TOPS[(role * GROUPS + group) * 3 + orientation]);
}

@unmanaged export class Tables {
  blocks: usize; // u16[passes][roles][groups][3][18]
  weights: usize; // i16[passes][roles][groups][3][4][16]
  cuts: usize; // i16[passes][roles][groups][3][31]
  zero: usize; // u16[passes][roles][groups][3][2][32]
  refine: usize; // u16[roles][groups][3][15][32]
  signWeights: usize; // i16[roles][groups][3][4][9]
  sign: usize; // u16[roles][groups][3][16]
  bins: usize; // u8[passes][roles][groups][3][FINE]: made here from `cuts`
  logs: usize; // u8[LOG_SIZE]
}

/** Fills `bins` and `logs`. */
export function tables_prepare(tables: Tables): void {
  const bands = PASSES * 3 * GROUPS * 3;
  for (let band = 0; band < bands; band++) {
    const cuts = tables.cuts + <usize>(band * (BINS - 1) * 2), bins = tables.bins + <usize>(band * FINE);
    let first = 0; // sums from here on are in `bin` or above
    for (let bin = 0; bin < BINS - 1; bin++) {
      const cut = min(max(<i32>load<i16>(cuts + (<usize>bin << 1)), first), FINE);
      memory.fill(bins + first, <u8>bin, cut - first);
      first = cut;
    }
    memory.fill(bins + first, <u8>(BINS - 1), FINE - first);
  }
  // the largest s <= 63 that has 2^(2s-1) 8^16 <= (8 + j)^16, or 0; no two sides come nearer than 1 in 610
  let next: f64 = 2; // 2^(2s+1)
  for (let j = 0, s = 0; j < LOG_SIZE; j++) {
    let power: f64 = 1.0 + <f64>j / 8;
    for (let i = 0; i < 4; i++) power *= power;
    for (; s < 63 && next <= power; s++) next *= 4;
    store<u8>(tables.logs + j, <u8>s);
  }
}
