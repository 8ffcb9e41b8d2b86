// All parts by themselves, for tests.

export { encode, parse } from "./wire";
export * from "./index";
