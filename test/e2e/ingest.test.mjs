// SPDX-License-Identifier: Apache-2.0
// Taking events in: what is refused and how, partial mode, gzip, idempotency, bounds, schemas, memory.
import assert from "node:assert/strict";
import net from "node:net";
import { after, before, describe, test } from "node:test";
import { createGzip, gzipSync } from "node:zlib";

import { Api, DAY_MS, HOUR_MS, makeTenant, makeToken, toLines } from "./lib/api.mjs";
import { makeOrders, orderTypes } from "./lib/events.mjs";
import { readJob } from "./lib/oracle.mjs";
import { Server, memoryKib, stopAll } from "./lib/server.mjs";
import { sleep } from "./lib/wait.mjs";

const start = Date.parse("2024-04-01T03:00:00Z");
const good = (index = 0, more = "") => `{"timestamp":${start + index},"n":${index}${more}}\n`;
let server;
let api;
let topicCounter = 0;

before(async () => {
  server = await Server.start();
  api = new Api(server);
});
after(stopAll);

const freshTopic = () => `ingest_${++topicCounter}`;

// What is stored of a topic: rows of its window, by an export.
async function stored(topic, fields = ["timestamp"], { from = start, types = {}, client = api } = {}) {
  const asked = { cadence: "hourly", response_format: "json", report_type: topic, report_fields: fields };
  const { id, jobs } = await client.exportRange(asked, from, from + HOUR_MS);
  await client.deactivate(id);
  return (await readJob(client, jobs[0], asked, types)).rows;
}

async function expectRefused(body, status, message, options) {
  const topic = freshTopic();
  const reply = await api.ingestRaw(topic, body, options);
  assert.equal(reply.status, status, `answered ${reply.status}: ${reply.text.slice(0, 300)}`);
  assert.equal(reply.json.error.code, status);
  if (message) assert.equal(reply.json.error.message, message);
  const left = await api.subscribeRaw({ report_type: topic, report_fields: ["timestamp"] });
  assert.equal(left.status, 400, "nothing stored: the topic is still unknown");
}

describe("bad lines", () => {
  const escape = "\\ud800";
  const cases = [
    ["", 400, "No events in request"], ["\n\n \n", 400, "No events in request"],
    ["x\n", 400, "Invalid event on line 1"], ["[]\n", 400, "Invalid event on line 1"], ["1\n", 400, "Invalid event on line 1"], ["null\n", 400, "Invalid event on line 1"],
    ['{\n"timestamp":1700000000000\n}\n', 400, "Invalid event on line 1"],
    [`${good().trim()} ${good()}`, 400, "Invalid event on line 1"], [`\ufeff${good()}`, 400, "Invalid event on line 1"],
    [`{"timestamp":${start},"a":"\\u0000"}\n`, 400, null], [`{"timestamp":${start},"a":"\u0000"}\n`, 400, "Invalid event on line 1"],
    [Buffer.from(`{"timestamp":${start},"a":"\xff"}\n`, "latin1"), 400, "Invalid event on line 1"],
    [`{"timestamp":${start},"a":"${escape}"}\n`, 400, "Invalid event on line 1"],
    [`{"timestamp":${start},"a":1e999}\n`, 400, null], [`{"timestamp":${start},"a":01}\n`, 400, "Invalid event on line 1"],
    [`{"timestamp":${start},"a":NaN}\n`, 400, "Invalid event on line 1"], [`{"timestamp":${start},}\n`, 400, "Invalid event on line 1"],
    ['{"a":1}\n', 400, "Missing field on line 1: timestamp"],
    ['{"timestamp":"1999-12-31T23:59:59.999Z"}\n', 400, "Timestamp out of range on line 1"],
    [`{"timestamp":${Date.now() + 25 * HOUR_MS}}\n`, 400, "Timestamp out of range on line 1"],
    ['{"timestamp":"yesterday"}\n', 400, "Invalid timestamp on line 1"], ['{"timestamp":{}}\n', 400, "Invalid timestamp on line 1"],
    ['{"timestamp":true}\n', 400, "Invalid timestamp on line 1"], ['{"timestamp":null}\n', 400, null], ['{"timestamp":-1}\n', 400, null],
    ['{"timestamp":0}\n', 400, null], ['{"timestamp":1e18}\n', 400, null], ['{"timestamp":"2023-02-29T00:00:00Z"}\n', 400, "Invalid timestamp on line 1"],
    [good(0, ',"id":""'), 400, "Invalid id on line 1"], [good(0, ',"id":5'), 400, "Invalid id on line 1"], [good(0, `,"id":"${"x".repeat(257)}"`), 400, "Invalid id on line 1"],
    [good(0, ',"":1'), 400, "Invalid property name on line 1"], [good(0, `,"a":"${"x".repeat(65_537)}"`), 400, "Property too long on line 1"],
    [good(0, ',"n":1'), 400, "Duplicate field on line 1"], [good(0, ',"a":{"b":1,"b":2}'), 400, "Duplicate field on line 1"],
    [good(0, ',"received_at":1'), 400, "Reserved field on line 1"], [good(0, ',"_seq":1'), 400, "Reserved field on line 1"], [good(0, ',"org_id":1'), 400, "Reserved field on line 1"],
    [good(0, `,${Array.from({ length: 1001 }, (_, index) => `"f${index}":1`).join(",")}`), 400, null],
    [good(0, `,"deep":${"[".repeat(9)}1${"]".repeat(9)}`), 400, null],
    [good(0, `,"a":[${'"x",'.repeat(270_000)}1]`), 413, "Event too large on line 1"],
  ];
  for (const [body, status, message] of cases)
    test(`${JSON.stringify(body.toString("latin1").slice(0, 60))} -> ${status} ${message ?? ""}`, () => expectRefused(body, status, message));

  test("one bad line among good ones rejects all, with its number", async () => {
    const lines = Array.from({ length: 1000 }, (_, index) => good(index));
    lines[776] = "{bad\n";
    await expectRefused(lines.join(""), 400, "Invalid event on line 777");
  });

  test("the line number counts blank lines and lines after a megabyte", async () => {
    const filler = good(0, `,"s":"${"x".repeat(5000)}"`).repeat(400);
    await expectRefused(`${filler}\n\n{bad\n`, 400, "Invalid event on line 403");
  });

  test("no LF at the end, CRLF line ends and blank lines are taken", async () => {
    const topic = freshTopic();
    const reply = await api.ingestRaw(topic, `${good(1).trim()}\r\n\r\n\n${good(2)}${good(3).trim()}`);
    assert.deepEqual(reply.json, { accepted: 3 });
    assert.deepEqual((await stored(topic, ["n"])).map((row) => row.n), ["1", "2", "3"]);
  });

  test("partial mode takes the good lines and names the bad ones", async () => {
    const topic = freshTopic();
    const lines = Array.from({ length: 10 }, (_, index) => good(index));
    lines[2] = "nonsense\n";
    lines[6] = '{"timestamp":5}\n';
    const reply = await api.ingestRaw(topic, lines.join(""), { query: "&mode=partial" });
    assert.equal(reply.status, 200);
    assert.equal(reply.json.accepted, 8);
    assert.deepEqual(reply.json.rejected, [{ line: 3, message: "Invalid event on line 3" }, { line: 7, message: "Timestamp out of range on line 7" }]);
    assert.deepEqual((await stored(topic, ["n"])).map((row) => Number(row.n)), [0, 1, 3, 4, 5, 7, 8, 9]);
    assert.deepEqual((await api.ingestRaw(topic, good(11), { query: "&mode=partial" })).json.accepted, 1);
  });

  test("strange but legal property names and values are kept", async () => {
    const topic = freshTopic();
    const event = { timestamp: start, __proto: "p", constructor: "c", a: "lower", A: "upper", "a.b": "dot", select: "sql", "ü 🦊": "unicode", 'q"uote': "quote" };
    await api.ingest(topic, [event]);
    const fields = Object.keys(event).slice(1);
    assert.deepEqual(await stored(topic, fields), [Object.fromEntries(fields.map((field) => [field, event[field]]))]);
    const parquet = { cadence: "hourly", response_format: "parquet", report_type: topic, report_fields: fields };
    const reply = await api.subscribeRaw(parquet);
    assert.equal(reply.status, 200, reply.text);
    await api.waitActive(reply.json.subscription_id);
    await api.backfill(reply.json.subscription_id, start, start + HOUR_MS);
    const [job] = await api.waitJobs(reply.json.subscription_id, 1);
    assert.ok((await api.downloadJob(job))[0].length > 0);
  });

  test("media types, topics and modes that are refused", async () => {
    for (const type of ["text/plain", "multipart/form-data; boundary=x", "application/json"]) {
      const reply = await api.ingestRaw("typed", good(), { headers: { "Content-Type": type } });
      if (type !== "application/json") assert.equal(reply.status, 415, `${type}: ${reply.text}`);
    }
    assert.equal((await api.raw("POST", `/v1/events/typed?app_id=${api.appId}`, { body: good() })).status, 415);
    assert.equal((await api.ingestRaw("typed", good(), { headers: { "Content-Type": "application/x-ndjson; charset=utf-8" } })).status, 200);
    for (const topic of ["", "a%2Fb", "..", "%2e%2e", "x".repeat(300), "sp%20ace", "%00"]) {
      const reply = await api.ingestRaw(topic, good());
      assert.ok(reply.status === 400 || reply.status === 404, `${topic}: ${reply.status}`);
    }
    assert.equal((await api.ingestRaw("typed", good(), { query: "&mode=half" })).status, 400);
    assert.equal((await api.raw("GET", `/v1/events/typed?app_id=${api.appId}`)).status, 405);
  });
});

describe("gzip bodies", () => {
  const lines = Array.from({ length: 50 }, (_, index) => good(index)).join("");
  const gzipped = { headers: { "Content-Encoding": "gzip" } };

  test("whole, in two members, in small chunks", async () => {
    const topic = freshTopic();
    assert.equal((await api.ingestRaw(topic, gzipSync(lines), gzipped)).json.accepted, 50);
    assert.equal((await api.ingestRaw(topic, Buffer.concat([gzipSync(lines), gzipSync(good(50))]), gzipped)).json.accepted, 51);
    async function* pieces() {
      for (const byte of gzipSync(lines)) yield Buffer.from([byte]);
    }
    assert.equal((await api.ingestRaw(topic, pieces(), gzipped)).json.accepted, 50);
    assert.equal((await stored(topic)).length, 151);
  });

  const whole = gzipSync(lines);
  const changed = (at, value) => {
    const copy = Buffer.from(whole);
    copy[at < 0 ? copy.length + at : at] ^= value;
    return copy;
  };
  for (const [label, body, status, message] of [
    ["plain body", Buffer.from(lines), 400, "Invalid gzip data"], ["cut", whole.subarray(0, whole.length / 2), 400, "Invalid gzip data"],
    ["cut in the trailer", whole.subarray(0, -3), 400, "Invalid gzip data"], ["wrong CRC", changed(-6, 1), 400, "Invalid gzip data"],
    ["wrong size", changed(-1, 1), 400, "Invalid gzip data"], ["wrong method", changed(2, 1), 400, "Invalid gzip data"],
    ["reserved flag", changed(3, 0x80), 400, "Invalid gzip data"], ["garbage after", Buffer.concat([whole, Buffer.from("garbage")]), 400, "Invalid gzip data"],
    ["of nothing", gzipSync(""), 400, "No events in request"], ["bad line inside", gzipSync(`${good()}x\n`), 400, "Invalid event on line 2"],
  ]) test(label, () => expectRefused(body, status, message, gzipped));

  test("other encodings", async () => {
    for (const encoding of ["gzip, gzip", "br", "deflate"])
      await expectRefused(whole, 415, "Unsupported content encoding", { headers: { "Content-Encoding": encoding } });
    const identity = await api.ingestRaw(freshTopic(), lines, { headers: { "Content-Encoding": "identity" } });
    assert.ok([200, 415].includes(identity.status));
  });
});

describe("idempotency", () => {
  const withKey = (key) => ({ headers: { "Idempotency-Key": key } });

  test("a repeat gets the first answer and stores nothing; another body is 409; all of it also after a restart and kill -9", async () => {
    const topic = freshTopic();
    const body = good(1) + good(2);
    const bad = `${good(1)}x\n`;
    const partial = { query: "&mode=partial", headers: { "Idempotency-Key": "partial" } };
    const first = await api.ingestRaw(topic, body, withKey("k1"));
    assert.deepEqual(first.json, { accepted: 2 });
    const partialFirst = await api.ingestRaw(topic, bad, partial);
    for (const restart of [async () => {}, () => server.restart(), async () => (await server.killHard(), server.start())]) {
      await restart();
      const again = await api.ingestRaw(topic, body, withKey("k1"));
      assert.equal(again.status, 200);
      assert.equal(again.text, first.text);
      const other = await api.ingestRaw(topic, good(3), withKey("k1"));
      assert.equal(other.status, 409);
      assert.deepEqual(other.json, { error: { message: "Idempotency-Key reused with a different request", code: 409 } });
      assert.equal((await api.ingestRaw(topic, bad, partial)).text, partialFirst.text);
    }
    assert.equal((await stored(topic)).length, 3);
  });

  test("the same lines gzipped or chunked are the same request or a conflict, never a second batch", async () => {
    const topic = freshTopic();
    await api.ingestRaw(topic, good(1), withKey("k"));
    const reply = await api.ingestRaw(topic, gzipSync(good(1)), { headers: { "Idempotency-Key": "k", "Content-Encoding": "gzip" } });
    assert.ok([200, 409].includes(reply.status), reply.text);
    assert.equal((await stored(topic)).length, 1);
  });

  test("20 at once with one key: one batch", async () => {
    const topic = freshTopic();
    const replies = await Promise.all(Array.from({ length: 20 }, () => api.ingestRaw(topic, good(1), { ...withKey("together"), keepAlive: false })));
    assert.ok(replies.some((reply) => reply.status === 200));
    for (const reply of replies)
      if (reply.status !== 200) assert.deepEqual(reply.json, { error: { message: "Request in progress", code: 409 } });
      else assert.deepEqual(reply.json, { accepted: 1 });
    assert.equal((await stored(topic)).length, 1);
  });

  test("keys belong to organization, app and topic; a refused batch does not use its key", async () => {
    const [one, two] = [freshTopic(), freshTopic()];
    const tenant = await makeTenant(server, "keys");
    await api.ingestRaw(one, good(1), withKey("scope"));
    assert.equal((await api.ingestRaw(two, good(2), withKey("scope"))).status, 200);
    assert.equal((await tenant.ingestRaw(one, good(3), withKey("scope"))).status, 200);
    const app = await api.admin("POST", "/v1/admin/apps", { organization_id: api.organizationId, name: "keys" });
    assert.equal((await api.ingestRaw(one, good(4), { ...withKey("scope"), appId: app.app_id ?? app.id })).status, 200);
    assert.equal((await api.ingestRaw(one, "bad\n", withKey("retry"))).status, 400);
    assert.equal((await api.ingestRaw(one, good(5), withKey("retry"))).status, 200);
    assert.equal((await stored(one)).length, 2);
  });

  test("keys of 128 characters are taken, longer and empty ones refused", async () => {
    const topic = freshTopic();
    assert.equal((await api.ingestRaw(topic, good(1), withKey("k".repeat(128)))).status, 200);
    assert.equal((await api.ingestRaw(topic, good(1), withKey("k".repeat(129)))).status, 400);
    assert.equal((await api.ingestRaw(topic, good(1), withKey(""))).status, 400);
  });
});

describe("schemas", () => {
  const learned = async (events, fields, types, format = "json") => {
    const topic = freshTopic();
    for (const event of events) await api.ingest(topic, [{ timestamp: start, ...event }]);
    const asked = { cadence: "hourly", response_format: format, report_type: topic, report_fields: fields };
    const { jobs } = await api.exportRange(asked, start, start + HOUR_MS);
    return (await readJob(api, jobs[0], asked, types)).rows;
  };

  test("integers then doubles: double, where exact; then texts: text", async () => {
    assert.deepEqual((await learned([{ v: 1 }, { v: 2.5 }, { v: -3 }], ["v"], { v: "double" })).map((row) => row.v), ["1", "2.5", "-3"]);
    assert.deepEqual((await learned([{ v: 1 }, { v: "x" }, { v: 2 }], ["v"], {})).map((row) => row.v), ["1", "x", "2"]);
    assert.deepEqual((await learned([{ v: true }, { v: "x" }], ["v"], {})).map((row) => row.v), ["true", "x"]);
    assert.deepEqual((await learned([{ v: 9007199254740993n }, { v: 0.5 }], ["v"], {})).map((row) => row.v), ["9007199254740993", "0.5"]);
  });

  test("the same within one batch and the other way round", async () => {
    const topic = freshTopic();
    await api.ingest(topic, [{ timestamp: start, v: "x" }, { timestamp: start + 1, v: 5 }, { timestamp: start + 2, v: { a: 1 } }, { timestamp: start + 3, v: null }]);
    assert.deepEqual((await stored(topic, ["v"])).map((row) => row.v), ["x", "5", '{"a":1}', null]);
  });

  test("objects and lists are JSON text", async () => {
    const rows = await learned([{ o: { a: [1, "ü"] } }, { o: [] }, { o: {} }], ["o"], { o: "json" }, "csv");
    assert.deepEqual(rows.map((row) => row.o), ['{"a":[1,"ü"]}', "[]", "{}"]);
  });

  test("declared types never change: a bad value is a line error", async () => {
    const topic = freshTopic();
    await api.declareTopic(topic, { count: "long", share: "double", flag: "boolean", at: "timestamp", text: "string", tree: "json" });
    for (const bad of ['"count":"many"', '"count":1.5', '"count":9223372036854775808', '"count":true', '"share":"half"', '"flag":"maybe"', '"flag":2', '"at":"noon"', '"text":{}']) {
      const reply = await api.ingestRaw(topic, good(0) + good(0, `,${bad}`));
      assert.equal(reply.status, 400, `${bad}: ${reply.text}`);
      assert.match(reply.json.error.message, /line 2/, bad);
    }
    await api.ingest(topic, [{ timestamp: start, count: 9223372036854775807n, share: 1, flag: true, at: "2024-01-01T00:00:00.5Z", text: "t", tree: { a: 1 } }]);
    const types = { count: "long", share: "double", flag: "boolean", at: "timestamp", tree: "json" };
    assert.deepEqual(await stored(topic, [...Object.keys(types), "text"], { types }),
      [{ count: "9223372036854775807", share: "1", flag: "true", at: String(Date.parse("2024-01-01T00:00:00.500Z")), tree: '{"a":1}', text: "t" }]);
  });

  test("declaring again: the same is no change, more fields are added, another type is refused", async () => {
    const topic = freshTopic();
    await api.declareTopic(topic, { a: "long" });
    await api.declareTopic(topic, { a: "long" });
    await api.declareTopic(topic, { a: "long", b: "string" });
    const changed = await api.raw("POST", `/v1/topics?app_id=${api.appId}`, { body: { name: topic, fields: [{ name: "a", type: "string" }] } });
    assert.ok(changed.status === 400 || changed.status === 409, changed.text);
    for (const body of [{ name: topic, fields: [{ name: "c", type: "decimal" }] }, { name: topic, fields: [{ name: "", type: "long" }] },
      { name: topic, fields: [{ name: "x", type: "long" }, { name: "x", type: "string" }] }, { name: topic, fields: [{ name: "id", type: "long" }] }, { name: "bad name", fields: [] }, { fields: [] }, {},
      { name: topic, fields: [{ name: "timestamp", type: "string" }] }, { name: "eo_click", fields: [{ name: "name", type: "long" }] }]) {
      const reply = await api.raw("POST", `/v1/topics?app_id=${api.appId}`, { body });
      assert.ok([400, 409].includes(reply.status), `${JSON.stringify(body)}: ${reply.status} ${reply.text}`);
    }
  });

  test("a declared topic can be subscribed before its first event, id and timestamp included", async () => {
    const topic = freshTopic();
    await api.declareTopic(topic, { a: "long" });
    const reply = await api.subscribeRaw({ report_type: topic, report_fields: ["timestamp", "id", "a"] });
    assert.equal(reply.status, 200, reply.text);
  });

  test("built-in topics are typed", async () => {
    for (const bad of ['"event_data_revenue":"much"', '"attributed":"perhaps"', '"event_timestamp":"soon"', '"user_data_screen_height":1.5']) {
      const reply = await api.ingestRaw("eo_commerce_event", good(0).replace(',"n":0', `,${bad}`));
      assert.equal(reply.status, 400, `${bad}: ${reply.text}`);
      assert.match(reply.json.error.message, /line 1/);
    }
    await api.ingest("eo_commerce_event", [{ timestamp: start, id: "1", name: "PURCHASE", event_data_revenue: 12.5, attributed: true, event_timestamp: start,
      user_data_screen_height: 800, content_items: [{ sku: "a,b" }], custom_data: { k: 'v"w' }, last_attributed_touch_data_tilde_tags: ["x"] }]);
    const types = { event_data_revenue: "double", attributed: "boolean", event_timestamp: "timestamp", user_data_screen_height: "long",
      content_items: "json", custom_data: "json", last_attributed_touch_data_tilde_tags: "json" };
    assert.deepEqual(await stored("eo_commerce_event", Object.keys(types), { types }), [{ event_data_revenue: "12.5", attributed: "true", event_timestamp: String(start),
      user_data_screen_height: "800", content_items: '[{"sku":"a,b"}]', custom_data: '{"k":"v\\"w"}', last_attributed_touch_data_tilde_tags: '["x"]' }]);
  });

  test("at most 2,000 fields in a learned topic", async () => {
    const topic = freshTopic();
    const batch = (from) => good(0, `,${Array.from({ length: 900 }, (_, index) => `"f${from + index}":1`).join(",")}`);
    assert.equal((await api.ingestRaw(topic, batch(0) + batch(900))).status, 200);
    const reply = await api.ingestRaw(topic, batch(1800));
    assert.ok(reply.status >= 400 && reply.status < 500, reply.text);
    assert.match(reply.json.error.message, /line 1/);
    assert.equal((await stored(topic)).length, 2);
  });
});

describe("who may send", () => {
  test("operator ingest names the app in each line, as text or number; unknown apps are line errors", async () => {
    const tenant = await makeTenant(server, "operator");
    const token = server.account.admin_token;
    const line = (app, index) => `{"app_id":${app},"timestamp":${start + index},"n":${index}}\n`;
    const reply = await api.ingestRaw("operated", line(`"${api.appId}"`, 1) + line(tenant.appId, 2) + line(`"${tenant.appId}"`, 3), { appId: null, token });
    assert.deepEqual(reply.json, { accepted: 3 });
    const unknown = await api.ingestRaw("operated", line(`"${api.appId}"`, 4) + line('"123456789012345678"', 5), { appId: null, token });
    assert.equal(unknown.status, 400, unknown.text);
    assert.match(unknown.json.error.message, /line 2/);
    const missing = await api.ingestRaw("operated", good(6), { appId: null, token });
    assert.equal(missing.status, 400, missing.text);
    assert.deepEqual((await stored("operated", ["n"])).map((row) => row.n), ["1"]);
    assert.deepEqual((await stored("operated", ["n"], { client: tenant })).map((row) => row.n), ["2", "3"]);
  });

  test("an app's token cannot send without app_id, nor for another app in a line", async () => {
    const reply = await api.ingestRaw("own", good(1), { appId: null });
    assert.equal(reply.status, 400);
    const tenant = await makeTenant(server, "victim");
    const smuggled = await api.ingestRaw("own", `{"timestamp":${start},"app_id":"${tenant.appId}"}\n`);
    if (smuggled.status === 200) assert.equal((await tenant.subscribeRaw({ report_type: "own", report_fields: ["timestamp"] })).status, 400);
    const exportOnly = await makeToken(server, { organizationId: api.organizationId, permissions: ["export"] });
    assert.notEqual((await api.ingestRaw("own", good(1), { token: exportOnly.text })).status, 200);
    assert.notEqual((await api.ingestRaw("own", good(1), { token: null })).status, 200);
  });
});

describe("load", () => {
  test("300 requests at once: all acknowledged, each event stored once", async () => {
    const topic = freshTopic();
    const replies = await Promise.all(Array.from({ length: 300 }, (_, index) =>
      api.ingestRaw(topic, good(index), { keepAlive: index % 2 === 0 })));
    for (const reply of replies) assert.deepEqual(reply.json, { accepted: 1 });
    const rows = await stored(topic, ["n"]);
    assert.deepEqual(rows.map((row) => Number(row.n)), Array.from({ length: 300 }, (_, index) => index));
  });

  test("an upload in progress holds nobody up, and is whole or not there when the client goes", async () => {
    const topic = freshTopic();
    let release;
    const gate = new Promise((resolve) => (release = resolve));
    async function* slow() {
      yield good(1);
      await gate;
      yield good(2);
    }
    const pending = api.ingestRaw(topic, slow());
    await sleep(200);
    assert.deepEqual((await api.ingestRaw(topic, good(3))).json, { accepted: 1 });
    release();
    assert.deepEqual((await pending).json, { accepted: 2 });
    const { hostname, port, host } = new URL(server.base);
    const socket = net.connect(Number(port), hostname);
    const body = Array.from({ length: 100 }, (_, index) => good(100 + index)).join("");
    socket.write(`POST /v1/events/${topic}?app_id=${api.appId} HTTP/1.1\r\nHost: ${host}\r\nAccess-Token: ${api.token}\r\n` +
      `Content-Type: application/x-ndjson\r\nContent-Length: ${body.length}\r\n\r\n${body.slice(0, Math.floor(body.length * 0.9))}`);
    await sleep(200);
    socket.destroy();
    await sleep(100);
    assert.deepEqual((await stored(topic, ["n"])).map((row) => row.n), ["1", "2", "3"]);
  });

  // About `bytes` of lines, made as they go.
  async function* bigBody(bytes) {
    const filler = "y".repeat(900);
    let sent = 0;
    for (let index = 0; sent < bytes; ) {
      let chunk = "";
      for (let line = 0; line < 64; line++, index++) chunk += `{"timestamp":${start + (index % HOUR_MS)},"n":${index},"s":"${filler}"}\n`;
      sent += chunk.length;
      yield Buffer.from(chunk);
    }
  }

  test("bodies of 64 MB, plain and gzipped, leave the api process below 128 MiB", async () => {
    const own = await Server.start();
    const client = new Api(own);
    const reply = await client.ingestRaw("big", bigBody(64 << 20), { timeoutMs: 120_000 });
    assert.equal(reply.status, 200, reply.text);
    const count = reply.json.accepted;
    assert.ok(count > 60_000);
    const { Readable } = await import("node:stream");
    const gzip = Readable.from(bigBody(64 << 20)).pipe(createGzip({ level: 1 }));
    const second = await client.ingestRaw("big", gzip, { headers: { "Content-Encoding": "gzip" }, timeoutMs: 120_000 });
    assert.equal(second.json.accepted, count);
    const peak = memoryKib(own.apiPid());
    assert.ok(peak <= 128 * 1024, `api process peaked at ${peak} KiB`);
    const { jobs } = await client.exportRange({ cadence: "hourly", report_type: "big", report_fields: ["n"] }, start, start + HOUR_MS);
    assert.equal(jobs[0].lines_exported, 2 * count);
    await own.stop();
  });

  test("a gzip bomb is stopped at the limit", async () => {
    const own = await Server.start({ args: { "api-ingest-body-bytes": 8 << 20 } });
    const client = new Api(own);
    const bomb = gzipSync(Buffer.alloc(64 << 20, "\n"));
    const reply = await client.ingestRaw("bomb", bomb, { headers: { "Content-Encoding": "gzip" } });
    assert.equal(reply.status, 413);
    assert.equal(reply.json.error.message, "Decompressed body too large");
    const large = await client.ingestRaw("bomb", Buffer.alloc((8 << 20) + 1, "\n"), { keepAlive: false }).catch((error) => error);
    if (!(large instanceof Error)) {
      assert.equal(large.status, 413);
      assert.equal(large.json.error.message, "Request body too large");
    }
    assert.equal((await own.request({ path: "/healthz" })).status, 200);
    await own.stop();
  });

  test("events are sealed and exported after a kill -9 of everything straight after the answer", async () => {
    const own = await Server.start();
    const client = new Api(own);
    const orders = makeOrders(1, 2000, start, start + HOUR_MS);
    const reply = await client.ingestRaw("survivor", toLines(orders));
    await own.killHard();
    assert.equal(reply.json.accepted, 2000);
    await own.start();
    const asked = { cadence: "daily", report_type: "survivor", report_fields: ["id"] };
    const dayStart = start - (start % DAY_MS);
    const { jobs } = await client.exportRange(asked, dayStart, dayStart + DAY_MS);
    const { rows } = await readJob(client, jobs[0], asked, orderTypes);
    assert.equal(new Set(rows.map((row) => row.id)).size, 2000);
    assert.equal(rows.length, 2000);
    await own.stop();
  });
});
