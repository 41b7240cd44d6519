// SPDX-License-Identifier: Apache-2.0
// Filters against an evaluator in another language (lib/filter.mjs, written from docs/filters.md): every
// pair of a random filter and a random row gets the same verdict from both. The program's side is the
// path of an export, without the server: test/tools/filter_verdicts.c. FILTER_SEED and FILTER_COUNT
// choose another or a longer run.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { text } from "node:stream/consumers";

import { makeRandom } from "./lib/events.mjs";
import { canonical } from "./lib/files.mjs";
import { matches } from "./lib/filter.mjs";
import { filterTypes, makeFilter, makeRows, writeDouble } from "./lib/filter_random.mjs";
import { writeExact } from "./lib/json.mjs";
import { temporaryDirectory } from "./lib/temp.mjs";

const seed = Number(process.env.FILTER_SEED ?? 20_240_501);
const filterCount = Number(process.env.FILTER_COUNT ?? 600);
const program = join(dirname(process.env.MILKRUN_BIN), "test/tools/filter_verdicts");

// Beginnings and ends of what one, two, three and four bytes of UTF-8 hold, and what patterns give a meaning to.
const characters = ["a", "\u007f", "\u0080", "\u00bf", "é", "ÿ", "\u07ff", "\u0800", "東", "\ud7ff", "\ue000", "\ufeff", "\uffff", "\u{10000}", "🦊", "\u{10ffff}",
  "\n", "\r", "'", '"', "%", "_", "\\", ..."^$.|?*+()[]{}/-#&~ "];

// -> one line per filter.
async function verdicts(types, segments, filters) {
  const child = spawn(program, [temporaryDirectory("verdicts")], { stdio: ["pipe", "pipe", "inherit"] });
  const output = text(child.stdout);
  const ended = new Promise((resolve) => child.on("close", resolve));
  const fields = Object.keys(types);
  child.stdin.write(`${JSON.stringify({ fields: Object.entries(types) })}\n`);
  for (const rows of segments) child.stdin.write(`${writeExact({ segment: rows.map((row) => fields.map((field) => stored(row[field], types[field]))) })}\n`);
  child.stdin.end(filters.map((filter) => `${writeExact({ filter })}\n`).join(""));
  const lines = (await output).split("\n").slice(0, -1);
  assert.equal(await ended, 0, "filter_verdicts ended well");
  assert.equal(lines.length, filters.length, "one answer per filter");
  return lines;
}

const stored = (value, type) => (type === "double" && value !== null ? writeDouble(value) : value);

// As the oracle of the other tests has them, but JSON text as it is stored.
const canonicalRow = (row, types) => Object.fromEntries(Object.entries(types).map(([field, type]) =>
  [field, type === "json" ? row[field] : canonical(row[field], type)]));

const expected = (filter, rows, types) => rows.map((row) => (matches(filter, row, types) ? "1" : "0")).join("");

function operatorsOf(filter) {
  const [first, ...rest] = filter;
  if (["and", "or", "not"].includes(first)) return [first, ...rest.flatMap(operatorsOf)];
  return [first];
}

function assertVerdicts(filters, answers, rows, types) {
  for (const [index, filter] of filters.entries()) {
    const wanted = expected(filter, rows, types);
    if (answers[index] === wanted) continue;
    const at = [...wanted].findIndex((digit, row) => digit !== answers[index][row]);
    assert.fail(`seed ${seed}: ${writeExact(filter)}\nanswered ${answers[index].slice(0, 200)}\nexpected ${wanted.slice(0, 200)}\n` +
      `first at row ${at}: ${JSON.stringify(rows[at])}`);
  }
}

describe("filters and an independent evaluator", () => {
  test("patterns with every kind of character at their edges agree", async () => {
    const rows = characters.flatMap((one) => [one, `a${one}`, `${one}x`, `${one}%`, `${one}_`, `x${one}x${one}`]).map((name) => ({ name }));
    const shapes = ["?", "?%", "?%x", "%?", "%?%", "?_", "_?", "?%_", "%?_", "a?%", "x?_%", "?\\%", "?\\_%", "\\?%", "%x?%x?"];
    const filters = characters.flatMap((one) => shapes.map((shape) => ["like", "name", shape.replaceAll("?", one.replace(/[\\%_]/, "\\$&"))]));
    const valid = filters.filter(([, , pattern]) => !/(?<!\\)(\\\\)*\\$/.test(pattern));
    assertVerdicts(valid, await verdicts({ name: "string" }, [rows], valid), rows, { name: "string" });
  });

  test("no pattern takes long", async () => {
    const hard = Array.from({ length: 4 }, (_, index) => ({ name: "a".repeat(5000 + index) }));
    const patterns = [`${"%a".repeat(49)}%b`, `${"%a_".repeat(24)}%b`, `%a${"_".repeat(48)}b%`, `_%${"a".repeat(990)}b`, `%${"a".repeat(990)}b%`,
      `${"%a\\%".repeat(20)}%b`];
    const filters = patterns.map((pattern) => ["like", "name", pattern]);
    const start = Date.now();
    assertVerdicts(filters, await verdicts({ name: "string" }, [hard], filters), hard, { name: "string" });
    assert.ok(Date.now() - start < 20_000, `${Date.now() - start} ms`);
  });

  test("the largest filters run", async () => {
    const types = { name: "string", amount: "long" };
    const rows = Array.from({ length: 50 }, (_, index) => ({ name: `n${index}`, amount: BigInt(index) }));
    rows.push({ name: "v".repeat(65_536), amount: null });
    const nested = Array.from({ length: 31 }).reduce((inner) => ["not", inner], ["eq", "name", "n7"]);
    const chain = Array.from({ length: 30 }).reduce((inner, _, index) => [index % 2 ? "or" : "and", inner, ["gt", "amount", index]], ["eq", "name", "n7"]);
    const filters = [
      nested, chain,
      ["or", ...Array.from({ length: 999 }, (_, index) => ["eq", "name", `n${index * 3}`])],
      ["and", ...Array.from({ length: 999 }, (_, index) => ["not", ["eq", "amount", index * 7]]).slice(0, 499)],
      ["in", "amount", Array.from({ length: 10_000 }, (_, index) => index * 2)],
      ["not", ["in", "name", Array.from({ length: 10_000 }, (_, index) => `n${index * 5}`)]],
      ["eq", "name", "v".repeat(65_536)],
      ["gte", "name", "v".repeat(65_535)],
    ];
    assertVerdicts(filters, await verdicts(types, [rows], filters), rows.map((row) => canonicalRow(row, types)), types);
  });

  test(`${filterCount} random filters over 400 random rows agree`, async () => {
    const random = makeRandom(seed);
    // Files of many values, of few, and of one or none.
    const segments = [[200, 40], [100, 10], [60, 3], [40, 1]].map(([count, variety]) => makeRows(random, count, variety));
    const rows = segments.flat().map((row) => canonicalRow(row, filterTypes));
    const filters = Array.from({ length: filterCount }, (_, index) => makeFilter(random, index % 4));
    const negations = filters.slice(0, filterCount / 4).map((filter) => ["not", filter]);
    const answers = await verdicts(filterTypes, segments, [...filters, ...negations]);
    assertVerdicts([...filters, ...negations], answers, rows, filterTypes);
    for (const [index] of negations.entries())
      assert.ok([...answers[index]].every((digit, row) => digit !== answers[filterCount + index][row]), "a filter and its not part the rows");
    assert.ok(answers.length * rows.length >= 100_000 || process.env.FILTER_COUNT, "pairs");
    assertMeaning(filters, answers);
  });
});

// The agreement says something only where rows differ: each operator decides in enough filters.
function assertMeaning(filters, answers) {
  const deciding = filters.filter((_, index) => answers[index].includes("0") && answers[index].includes("1"));
  assert.ok(deciding.length > filters.length / 2, `${deciding.length} of ${filters.length} filters divide the rows`);
  const counts = new Map();
  for (const operator of deciding.flatMap(operatorsOf)) counts.set(operator, (counts.get(operator) ?? 0) + 1);
  for (const operator of ["eq", "gt", "gte", "lt", "lte", "like", "between", "in", "and", "or", "not", "array_contains"])
    assert.ok((counts.get(operator) ?? 0) >= filters.length / 60, `${operator} divides rows in ${counts.get(operator)} filters`);
}
