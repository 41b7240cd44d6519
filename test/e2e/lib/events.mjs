// SPDX-License-Identifier: Apache-2.0
// Events from a seed: realistic ones mixed with the values that break exporters.

// mulberry32: small, fast, the same everywhere.
export function makeRandom(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(state ^ (state >>> 15), state | 1);
    value = (value + Math.imul(value ^ (value >>> 7), value | 61)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 4294967296;
  };
  const below = (limit) => Math.floor(next() * limit);
  return { next, below, pick: (list) => list[below(list.length)] };
}

export const hardStrings = [
  "", " ", "plain", 'say "hi"', '"', '""', "a,b", ",", "line\nbreak", "carriage\rreturn", "both\r\nof them", "\n", "\r",
  "tab\there", "Zürich", "東京", "עברית", "e\u0301", "\u00e9", "👩‍👩‍👧‍👦 family", "🦊", "\u2028\u2029", "\ufeffbom", "\u202eright to left",
  "=1+2", "+1", "-1", "@SUM(A1)", "null", "NULL", "true", "0", "1e999", "</script>", "back\\slash", "\\N", "\u0001\u001f",
  "';DROP TABLE x;--", "a".repeat(300), 'mix,"of"\r\n,all', "trailing ", " leading", "\u007f", "constructor", "__proto__",
];

export const hardIntegers = [0n, 1n, -1n, 42n, 9007199254740993n, -9007199254740993n, 9223372036854775807n,
  -9223372036854775808n, 1604015756n, 4294967296n];

export const hardDoubles = [0, 1, -1, 0.1, 0.30000000000000004, 1 / 3, 1e-7, 1e21, 123456789.125, 5e-324,
  1.7976931348623157e308, -2.5, 1e15, 1e16, 1e17, 9007199254740993, 100, 3.0e-5];

const hardDocuments = [{ a: 1, b: [1, 2, { c: 'x,y\n"z"' }] }, ["ADS", "SHARE"], [], {}, { städte: ["Zürich", null, true] }];

// The declared topic of most tests.
export const orderTypes = {
  id: "string", name: "string", city: "string", amount: "long", price: "double", flag: "boolean", placed: "timestamp", extra: "json",
  timestamp: "timestamp", app_id: "string",
};
export const orderFields = ["timestamp", "id", "name", "city", "amount", "price", "flag", "placed", "extra"];
export const declaredOrderTypes = Object.fromEntries(
  Object.entries(orderTypes).filter(([field]) => !["id", "timestamp", "app_id"].includes(field)));

let lastId = 0;

export function makeOrder(random, timestamp) {
  const event = { timestamp, id: `e${++lastId}` };
  const maybe = (field, make) => {
    const choice = random.below(10);
    if (choice === 0) return;
    event[field] = choice === 1 ? null : make();
  };
  maybe("name", () => random.pick(["PURCHASE", "VIEW_CART", "RESERVE", random.pick(hardStrings)]));
  maybe("city", () => random.pick(hardStrings));
  maybe("amount", () => (random.below(3) === 0 ? random.pick(hardIntegers) : BigInt(random.below(1000))));
  maybe("price", () => (random.below(3) === 0 ? random.pick(hardDoubles) : random.below(10_000) / 100));
  maybe("flag", () => random.below(2) === 0);
  maybe("placed", () => timestamp - random.below(100_000));
  maybe("extra", () => random.pick(hardDocuments));
  return event;
}

// `count` orders spread over [from, until), in random order of time.
export function makeOrders(seed, count, from, until) {
  const random = makeRandom(seed);
  return Array.from({ length: count }, () => makeOrder(random, from + random.below(until - from)));
}

// Times around a window's edges: the last ms before, the first, the one after, the last inside.
export function edgeTimes(start, end) {
  return [start - 1, start, start + 1, end - 1, end, end + 1];
}
