// All parts by themselves, for tests.

export { glancesOf } from "./connect";
export { encode, parse } from "./wire";
export * from "./index";
