// SPDX-License-Identifier: Apache-2.0
// Filters through the server: from the body of a subscribe call to the rows of a delivered file, in the forms
// that clients send, with the rows that lib/filter.mjs expects; and what is refused, with which text, leaving nothing
// behind. Many random filters: filter_pairs.test.mjs.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { Api, DAY_MS, HOUR_MS } from "./lib/api.mjs";
import { canonical } from "./lib/files.mjs";
import { matches } from "./lib/filter.mjs";
import { NumberText, writeExact } from "./lib/json.mjs";
import { readJob } from "./lib/oracle.mjs";
import { Server, stopAll } from "./lib/server.mjs";

const types = { id: "string", timestamp: "timestamp", os: "string", n: "long", price: "double", flag: "boolean", seen: "timestamp", tags: "json" };
const declared = Object.fromEntries(Object.entries(types).filter(([name]) => !["id", "timestamp"].includes(name)));
const hour = Math.floor(Date.now() / DAY_MS) * DAY_MS - DAY_MS;
const report = { report_type: "filtered", report_fields: ["id"], cadence: "hourly", response_format: "json" };

const events = [
  { os: "IOS", n: 1n, price: 0.5, flag: true, seen: "2024-05-01T10:00:00.0009Z", tags: ["ADS", 5] },
  { os: "ANDROID", n: 2n, price: new NumberText("-0.0"), flag: false, seen: 1714557600000n, tags: [new NumberText("5.0")] },
  { n: 9007199254740993n, price: new NumberText("9007199254740993"), tags: ["5"] },
  { os: "", n: 9007199254740992n, price: 1e308, seen: null, tags: [] },
  { os: "50%_x", n: -9223372036854775808n, price: 5e-324, flag: true, tags: { a: 5 } },
  { os: "e\u0301ÿx", n: 9223372036854775807n, tags: "text" },
  { os: "éÿx", seen: 0n, tags: 5n },
  { os: "it's \\ \"q\"", n: 0n, price: 0, flag: false, tags: [true, null, [5]] },
].map((event, index) => ({ id: `e${index}`, timestamp: hour + index * 1000, ...event }));

const rows = events.map((event) => Object.fromEntries(Object.entries(types).map(([field, type]) =>
  [field, type === "json" ? (event[field] === undefined ? null : writeExact(event[field])) : canonical(event[field], type)])));

const filters = [
  ["eq", "os", "IOS"], ["not", ["eq", "os", "IOS"]], ["eq", "os", null], ["eq", "os", ""], ["eq", "os", "\u00e9ÿx"],
  ["like", "os", "50\\%\\_%"], ["like", "os", "%ÿ_"], ["like", "os", "éÿ%x"], ["like", "os", "%\\\\%"], ["gt", "os", "IOS"], ["eq", "os", "it's \\ \"q\""],
  ["eq", "n", 9007199254740993n], ["eq", "n", "9007199254740992"], ["gt", "n", 1.5], ["lte", "n", "1.5"], ["eq", "n", 1.5], ["between", "n", 5, 1],
  ["lt", "n", -9223372036854775807n], ["gte", "n", "9223372036854775807"], ["in", "n", [1, "2", null]], ["in", "n", 1, 2], ["in", "n", []],
  ["eq", "price", 0], ["eq", "price", 9007199254740993n], ["gt", "price", "1e307"], ["between", "price", new NumberText("-0.0"), 0.5],
  ["eq", "flag", "true"], ["lt", "flag", true], ["eq", "seen", "2024-05-01T12:00:00+02:00"], ["gte", "seen", 0.5], ["eq", "seen", null],
  ["array_contains", "tags", 5], ["array_contains", "tags", "5"], ["array_contains", "tags", true], ["not", ["array_contains", "tags", "ADS"]],
  ["eq", "tags", "\"text\""], ["eq", "tags", "[\"ADS\",5]"], ["gt", "timestamp", hour + 3000], ["in", "id", "e1", "e7"],
  [["gt", "n", 0], ["eq", "flag", "false"]], ["or", ["and", ["eq", "flag", true], ["lt", "n", 5]], ["not", ["or", ["gt", "price", 0], ["lt", "n", 10]]]],
];

let api;

before(async () => {
  api = new Api(await Server.start({ args: { "api-subscription-limit": 0, "api-body-bytes": 1 << 20 } }));
  await api.declareTopic("filtered", declared);
  await api.ingest("filtered", events);
});
after(stopAll);

// The JSON text as it goes out, so that numbers are what the test wrote.
async function exported(filter) {
  const body = writeExact({ report: { ...report, filter }, destination: { subscription_type: "branch" } });
  const reply = await api.raw("POST", `/scheduled-exports/logs/subscribe?app_id=${api.appId}`, { body });
  assert.equal(reply.status, 200, `${writeExact(filter)}: ${reply.text}`);
  const id = reply.json.subscription_id;
  await api.waitActive(id);
  await api.backfill(id, hour, hour + HOUR_MS);
  const [job] = await api.waitJobs(id, 1);
  const { rows: found } = await readJob(api, job, report, types);
  const echo = (await api.subscription(id)).report.filter;
  await api.deactivate(id);
  return { ids: found.map((row) => row.id), echo };
}

const expected = (filter) => rows.filter((row) => matches(filter, row, types)).map((row) => row.id);

describe("filters of subscriptions", () => {
  test("each operator and type exports the rows that the description says", async () => {
    for (let at = 0; at < filters.length; at += 8)
      await Promise.all(filters.slice(at, at + 8).map(async (filter) =>
        assert.deepEqual((await exported(filter)).ids, expected(filter), writeExact(filter))));
    const counts = filters.map((filter) => expected(filter).length);
    assert.ok(counts.filter((count) => count > 0 && count < rows.length).length > filters.length * 0.8, "most filters divide the rows");
  });

  test("no filter in each of its forms exports all", async () => {
    for (const filter of [undefined, null, [], "[]", "%5B%5D"]) {
      const { ids, echo } = await exported(filter === undefined ? null : filter);
      assert.deepEqual(ids, rows.map((row) => row.id));
      assert.deepEqual(echo, []);
    }
  });

  test("a filter in a string, plain or percent-encoded, is that filter and echoed as the array", async () => {
    const filter = ["and", ["like", "os", "50\\%%"], ["eq", "flag", "true"]];
    for (const form of [JSON.stringify(filter), encodeURIComponent(JSON.stringify(filter))]) {
      const { ids, echo } = await exported(form);
      assert.deepEqual(ids, ["e4"]);
      assert.deepEqual(echo, filter);
    }
  });
});

describe("refused filters", () => {
  const deep = (levels) => (levels === 1 ? ["eq", "os", "a"] : ["not", deep(levels - 1)]);
  const operators = "one of eq, gt, gte, lt, lte, like, between, in, and, or, not, array_contains expected";
  const refused = [
    [["eq", "no_such_field", "x"], "no_such_field field is not available for exports"],
    [["eq", 'name"; DROP TABLE x; --', "x"], "field is not available for exports"],
    [["regex", "os", "a"], `Unknown filter operator at filter[0]: ${operators}`],
    [["and", ["neq", "os", "a"]], `Unknown filter operator at filter[1][0]: ${operators}`],
    [[[]], `Unknown filter operator at filter[0][0]: ${operators}`],
    [["or"], "Invalid filter: wrong number of operands: one or more filters expected"],
    [["not", ["between", "n", 1]], "Invalid filter: wrong number of operands at filter[1]: a field, a low and a high value expected"],
    ["eq", "Invalid filter: array expected"], [{ eq: ["os", "a"] }, "Invalid filter: array expected"], [5, "Invalid filter: array expected"],
    [["and", ["gt", "n", 1], ["gt", "n", "x"]], "Invalid filter value at filter[2][2]: number expected"],
    [["in", "n", [1, 2, {}]], "Invalid filter value at filter[2][2]: number expected"],
    [["gt", "seen", "abc"], "Invalid filter value at filter[2]: milliseconds or ISO 8601 expected"],
    [["eq", "n", new NumberText("1e300")], "Invalid filter value at filter[2]: number out of range"],
    [["eq", "flag", 1], "Invalid filter value at filter[2]: true or false expected"],
    [["gt", "n", null], "Invalid filter value at filter[2]: null is for eq and in"],
    [["like", "os", "a\\"], "Invalid filter value at filter[2]: nothing follows the last backslash"],
    [["like", "n", "1%"], "Invalid filter: like needs a string field at filter[1]"],
    [["array_contains", "n", 1], "Invalid filter: array_contains needs an array field at filter[1]"],
    [deep(33), /^Filter too complex at filter(\[1\]){31}: more than 32 levels$/],
    [["or", ...Array.from({ length: 1001 }, () => ["eq", "os", "a"])], "Filter too complex: more than 1000 operators"],
    [["in", "n", Array.from({ length: 10_001 }, () => 1)], "Filter too complex at filter[2]: more than 10000 values"],
    [["like", "os", "%a".repeat(1000)], "Filter too complex at filter[2]: more than 50 wildcards"],
    [["like", "os", "a".repeat(1001)], "Filter too complex at filter[2]: more than 1000 bytes of pattern"],
    [["eq", "os", "v".repeat(65_537)], "Filter value too long at filter[2]"],
    [new NumberText('["eq","os","\\u0000"]'), "Invalid JSON"],
    [new NumberText('["eq","n",9223372036854775808]'), "Number out of range"],
  ];
  for (const [filter, message] of refused)
    test(`${writeExact(filter).slice(0, 70)}`, async () => {
      const body = writeExact({ report: { ...report, filter }, destination: { subscription_type: "branch" } });
      const reply = await api.raw("POST", `/scheduled-exports/logs/subscribe?app_id=${api.appId}`, { body });
      assert.equal(reply.status, 400, reply.text);
      assert.equal(reply.json.error.code, 400);
      if (message instanceof RegExp) assert.match(reply.json.error.message, message);
      else assert.equal(reply.json.error.message, message);
    });

  test("none of them made a subscription", async () => {
    const list = await api.call("GET", `/scheduled-exports/logs/subscriptions?app_id=${api.appId}`);
    assert.deepEqual(list, []);
  });

  test("the deepest filter and the longest value are taken", async () => {
    assert.deepEqual((await exported(deep(32))).ids, rows.map((row) => row.id)); // 31 times not
    assert.deepEqual((await exported(["eq", "os", "v".repeat(65_536)])).ids, []);
  });
});
