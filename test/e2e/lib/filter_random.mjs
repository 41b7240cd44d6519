// SPDX-License-Identifier: Apache-2.0
// Random filters and rows whose values meet: both draw from the same pools of hard values.
import { hardDoubles, hardIntegers, hardStrings } from "./events.mjs";
import { NumberText } from "./json.mjs";

export const filterTypes = { id: "string", name: "string", Name: "string", tags_text: "string", amount: "long", price: "double",
  flag: "boolean", placed: "timestamp", extra: "json", tags: "json" };

const strings = [...hardStrings, "a", "A", "aa", "ab", "b", "Z", "ab%", "a_b", "a\\b", "\\", "%", "_", "\uffff", "\u{10ffff}", "\u07ff", "\u0800",
  "'", "''", "a.b", "a*b", "(a|b)", "[a]", "^a$", "aaaaaaaaaaaab", "5", "5.0", "5.5", "05", "10", "9", "1e+21", "1e-05", "true", "false", "x\ny"];
const doubles = [...hardDoubles, -0, 0.5, 1.5, 5, 5.5, 2 ** 53, -(2 ** 53), 2 ** 63, 1e308, -1e308, -5e-324, 1e19];
const longs = [...hardIntegers, 2n, 3n, 5n, 9007199254740992n, 9007199254740994n, 9223372036854775806n];
const times = [-1n, 0n, 1n, 999n, 1000n, 1604015756n, 1604015756000n, 1714557600000n, 1714557600250n, 253402300799999n];
const arrays = ["[]", "[null]", "[[5]]", '[{"a":5}]', "[5]", "[5.0]", '["5"]', '["5.0",true]', "[true,false]", '["true"]', "[0]", "[-0.0]", "[-0]", "[1e2]",
  "[100]", "[100.0,7]", "[9007199254740992]", "[9007199254740993]", "[9007199254740993.0]", "[9223372036854775807]", "[-9223372036854775808]",
  "[1e16]", "[10000000000000000]", "[9223372036854775808.0]", "[0.1,0.30000000000000004]", "[5e-324,1.7976931348623157e308]", '["é","\\u00e9"]',
  '["\\ud83e\\udd8a"]', '["a\\/b","tab\\there","\\u0001"]', '["","\'"]', '["say \\"hi\\""]', '["ADS","SHARE"]', "[1e21]", '["1e21"]', '["1e+21"]'];
const documents = [...arrays, "{}", '{"a":5}', '"abc"', '"5"', "5", "5.0", "true", "0", '{"b":[1,2]}', '"[5]"'];
const brokenArrays = ["[5", "5]", "[01]", "['a']", "[a]", "5", "[5] x", " [5]", "[ 5 , 6 ]", "[5]\n"];
const elements = ["5", "5.0", 5, new NumberText("5.0"), 5.5, true, false, "true", 0, new NumberText("-0.0"), 100, "1e2", new NumberText("1e2"), "é", "🦊", "a/b",
  "tab\there", "\u0001", "", "'", 'say "hi"', "ADS", "abc", 9007199254740992n, 9007199254740993n, 9223372036854775807n, -9223372036854775808n, new NumberText("1e16"),
  10000000000000000n, new NumberText("1e21"), 0.1, 0.30000000000000004, 5e-324, 1.7976931348623157e308, "9223372036854775808", "1e999", "null", "[5]", "{}"];

const pools = { name: strings, Name: strings, tags_text: [...arrays, ...brokenArrays], amount: longs, price: doubles, flag: [true, false],
  placed: times, extra: documents, tags: arrays };

// `variety` of each pool, so that values meet, and small pools make files of one value.
export function makeRows(random, count, variety) {
  const drawn = Object.fromEntries(Object.entries(pools).map(([field, pool]) => [field, Array.from({ length: variety }, () => random.pick(pool))]));
  return Array.from({ length: count }, (_, index) => ({ id: `r${index}`,
    ...Object.fromEntries(Object.entries(drawn).map(([field, pool]) => [field, random.below(6) === 0 ? null : random.pick(pool)])) }));
}

// --- Values as clients may write them.

const asNumberOrText = (random, number) => (random.below(2) === 0 ? number : String(number));

function longValue(random) {
  if (random.below(5) === 0) return random.pick([1.5, "0.5", -0.5, -1.5, "41.999", new NumberText("5.0"), new NumberText("1e3"), "-0", 42.5, 1604015756.5]);
  return asNumberOrText(random, random.pick(longs));
}

// Not as an integer, which has 64 bits.
export const writeDouble = (value) => new NumberText(Object.is(value, -0) ? "-0.0" : value.toExponential());

function doubleValue(random) {
  const value = random.pick(doubles);
  if (random.below(6) === 0) return random.pick([9007199254740993n, "9007199254740993", 42n, new NumberText("0.10"), "-0.0", "1E2", 5n]);
  return random.below(3) === 0 ? String(value) : writeDouble(value);
}

const isoTimes = ["2024-05-01", "2024-05-01T10:00:00Z", "2024-05-01T12:00:00.250+02:00", "2024-05-01T10:00:00.2509999", "1970-01-01T00:00:00.999999999Z",
  "1969-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"];

function timeValue(random) {
  return random.below(3) === 0 ? random.pick(isoTimes) : random.below(4) === 0 ? random.pick([0.5, "999.5", -0.5]) : asNumberOrText(random, random.pick(times));
}

function textValue(random, pool) {
  if (random.below(8) > 0) return random.pick(pool);
  return random.pick([5, 5.5, new NumberText("5.50"), new NumberText("5.0"), true, false, 10, new NumberText("1e21"), new NumberText("0.00001"), 0, 1e-7]);
}

function value(random, field) {
  switch (filterTypes[field]) {
    case "long": return longValue(random);
    case "double": return doubleValue(random);
    case "boolean": return random.pick([true, false, "true", "false"]);
    case "timestamp": return timeValue(random);
    default: return textValue(random, pools[field] ?? ["r1", "r2"]);
  }
}

// A pattern that may match a text of the field: parts of it become wildcards.
function pattern(random, field) {
  const characters = [...random.pick(pools[field])].slice(0, 40);
  const parts = characters.map((character) => {
    const choice = random.below(8);
    if (choice === 0) return "_";
    if (choice === 1) return "%";
    if (choice === 2) return `\\${character}`;
    return "%_\\".includes(character) && random.below(3) > 0 ? `\\${character}` : character === "\\" ? "\\\\" : character;
  });
  const from = random.below(3) === 0 ? random.below(parts.length + 1) : 0;
  const until = random.below(3) === 0 ? from + random.below(parts.length - from + 1) : parts.length;
  return `${from > 0 ? "%" : ""}${parts.slice(from, until).join("")}${until < parts.length ? "%" : ""}`;
}

// --- Filters.

const textFields = Object.keys(pools).filter((field) => ["string", "json"].includes(filterTypes[field]));
const comparisons = ["eq", "eq", "gt", "gte", "lt", "lte", "between", "in", "like", "like", "array_contains", "array_contains"];

function makeComparison(random) {
  const operator = random.pick(comparisons);
  if (operator === "like") {
    const field = random.pick(textFields);
    return [operator, field, pattern(random, field)];
  }
  if (operator === "array_contains") return [operator, random.pick(["tags", "tags", "tags_text", "extra", "name"]), random.pick(elements)];
  const field = random.pick(Object.keys(pools));
  if (operator === "between") return [operator, field, value(random, field), value(random, field)];
  if (operator === "in") return makeIn(random, field);
  return [operator, field, operator === "eq" && random.below(6) === 0 ? null : value(random, field)];
}

function makeIn(random, field) {
  const values = Array.from({ length: random.below(5) }, () => (random.below(8) === 0 ? null : value(random, field)));
  return values.length > 0 && random.below(2) === 0 ? ["in", field, ...values] : ["in", field, values];
}

export function makeFilter(random, depth) {
  const choice = depth === 0 ? 9 : random.below(10);
  if (choice > 5) return makeComparison(random);
  if (choice < 2) return ["not", makeFilter(random, depth - 1)];
  const parts = Array.from({ length: 1 + random.below(3) }, () => makeFilter(random, depth - 1));
  return [choice < 4 ? "and" : "or", ...parts];
}
