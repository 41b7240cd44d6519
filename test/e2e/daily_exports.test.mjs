// SPDX-License-Identifier: Apache-2.0
// Daily exports: by branch key and secret, whole or not at all.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { gunzipSync } from "node:zlib";

import { Api, DAY_MS, HOUR_MS, makeTenant } from "./lib/api.mjs";
import { readCsv } from "./lib/csv.mjs";
import { declaredOrderTypes, makeOrders, orderFields, orderTypes } from "./lib/events.mjs";
import { canonical } from "./lib/files.mjs";
import { Oracle, assertSameRows, sha256 } from "./lib/oracle.mjs";
import { Server, stopAll } from "./lib/server.mjs";
import { waitFor } from "./lib/wait.mjs";

const day = Date.parse("2024-03-10T00:00:00Z");
const date = "2024-03-10";
const documented = ["eo_branch_cta_view", "eo_click", "eo_commerce_event", "eo_content_event", "eo_custom_event", "eo_impression", "eo_install", "eo_open", "eo_pageview",
  "eo_reinstall", "eo_user_lifecycle_event", "eo_web_session_start", "eo_web_to_app_auto_redirect", "eo_dismissal"];
const denied = { error: { message: "Invalid or missing app id, Branch key, or secret", code: 400 } };

after(stopAll);

const keysOf = ({ branch_key, branch_secret }) => ({ branch_key, branch_secret });
const ask = (api, keys, body, path = "/v3/export") => api.raw("POST", path, { token: null, body: { ...keysOf(keys), export_date: date, ...body } });

async function readTopic(api, urls) {
  const files = await Promise.all(urls.map(async (url) => readCsv(gunzipSync(await api.download(url)).toString())));
  return { counts: files.map(({ rows }) => rows.length), header: files[0].header,
    rows: files.flatMap(({ rows }) => rows.map((row) => Object.fromEntries(orderFields.map((field) => [field, canonical(row[field], orderTypes[field])])))) };
}

describe("daily exports", () => {
  let server;
  let api;
  let other;
  const oracle = new Oracle(orderTypes);

  before(async () => {
    server = await Server.start({ args: { "daily-file-rows": 400 } });
    api = new Api(server);
    other = await makeTenant(server, "daily other");
    await api.declareTopic("orders", declaredOrderTypes);
    const events = makeOrders(21, 1500, day - HOUR_MS, day + DAY_MS + HOUR_MS);
    await api.ingest("orders", events);
    oracle.add(events);
    await api.ingest("eo_click", [{ timestamp: day + 1, id: "c1", name: "CLICK" }, { timestamp: day - 1, id: "c0", name: "CLICK" }]);
    await api.ingest("eo_open", [{ timestamp: day - 1, id: "o0", name: "OPEN" }]);
    await other.ingest("eo_install", [{ timestamp: day + 1, id: "i1", name: "INSTALL" }]);
  });

  test("topics with their files, in the documented order, at once", async () => {
    const reply = await ask(api, server.account);
    assert.equal(reply.status, 200, reply.text);
    assert.deepEqual(Object.keys(reply.json), [...documented, "orders"]);
    assert.deepEqual(reply.json.eo_open, [], "no events of that day");
    assert.deepEqual(reply.json.eo_install, [], "another organization's");
    const [click, ...more] = reply.json.eo_click;
    assert.equal(more.length, 0);
    assert.match(decodeURIComponent(new URL(click).pathname),
      new RegExp(`/api_export/y=2024/m=03/d=10/app_id=${api.appId}/topic=eo_click/${api.appId}-2024-03-10-eo_click-v2-[0-9a-f]{32}\\.csv\\.gz$`));
    const clicks = readCsv(gunzipSync(await api.download(click)).toString());
    assert.deepEqual(clicks.rows.map((row) => row.id), ["c1"]);
    assert.ok(clicks.header.length > 290, "all columns");
    const orders = await readTopic(api, reply.json.orders);
    const expected = oracle.expected({ report_fields: orderFields }, day, day + DAY_MS);
    assert.ok(orders.counts.length > 2);
    assert.ok(orders.counts.slice(0, -1).every((count) => count === 400), `rows per file: ${orders.counts}`);
    assertSameRows(orders.rows, expected, orderFields, "orders");
    assert.ok(reply.json.orders.slice(1).every((url, index) => decodeURIComponent(new URL(url).pathname).endsWith(`-${index + 1}.csv.gz`)), reply.json.orders.join("\n"));
  });

  test("who asks again, or at the same time, gets the same files", async () => {
    const replies = await Promise.all(Array.from({ length: 6 }, () => ask(api, server.account, {}, "/v3/export/")));
    const paths = replies.map(({ status, json }) => {
      assert.equal(status, 200);
      return JSON.stringify(Object.values(json).flat().map((url) => new URL(url).pathname));
    });
    assert.equal(new Set(paths).size, 1);
    const hashes = await Promise.all(replies.slice(0, 2).map(async ({ json }) => sha256(await api.download(json.eo_click[0]))));
    assert.equal(hashes[0], hashes[1]);
  });

  test("a day without anything is all empty", async () => {
    const reply = await ask(api, server.account, { export_date: "2023-01-01" });
    assert.deepEqual([reply.status, reply.json], [200, Object.fromEntries(documented.map((topic) => [topic, []]))]);
  });

  test("wrong keys, in every way, are one answer", async () => {
    const { branch_key, branch_secret } = server.account;
    for (const body of [{ branch_secret: "secret_live_x" }, { branch_secret: "" }, { branch_secret: undefined }, { branch_secret: 7 }, { branch_key: "key_live_x" },
      { branch_key: undefined }, { branch_key: "" }, { branch_secret: branch_key }, { branch_key: branch_secret }, { ...keysOf(other.app), branch_secret },
      { app_id: other.appId }, { app_id: "1" }, { app_id: 1 }, { app_id: true }]) {
      const reply = await ask(api, server.account, body);
      assert.deepEqual([reply.status, reply.json], [400, denied], JSON.stringify(body));
    }
    assert.equal((await ask(api, server.account, { app_id: api.appId })).status, 200);
  });

  test("a secret in the query is refused, and in no log", async () => {
    const { branch_key, branch_secret } = server.account;
    const reply = await api.raw("POST", `/v3/export?branch_key=${branch_key}&branch_secret=${branch_secret}`, { token: null, body: { ...keysOf(server.account), export_date: date } });
    assert.deepEqual([reply.status, reply.json], [400, denied]);
    assert.ok(!server.log.includes(branch_secret));
    const alone = await api.raw("POST", `/v3/export?branch_key=${branch_key}&branch_secret=${branch_secret}&export_date=${date}`, { token: null });
    assert.equal(alone.status, 400);
  });

  test("days: today is not ready yet and says when; the future and bad ones are 400", async () => {
    const today = await ask(api, server.account, { export_date: new Date().toISOString().slice(0, 10) });
    assert.equal(today.status, 503);
    const seconds = Number(today.headers["retry-after"]);
    const left = (Math.ceil(Date.now() / DAY_MS) * DAY_MS - Date.now()) / 1000;
    assert.ok(seconds >= left - 5 && seconds <= left + 305, `${seconds}, ${left} s are left of the day`);
    for (const export_date of ["2024-3-10", "2024-03-10T00:00:00Z", "2024-02-30", "yesterday", "", null, 20240310, undefined])
      assert.equal((await ask(api, server.account, { export_date })).status, 400, String(export_date));
    const future = await ask(api, server.account, { export_date: new Date(Date.now() + 2 * DAY_MS).toISOString().slice(0, 10) });
    assert.equal(future.status, 400);
    const query = await api.raw("POST", `/v3/export?export_date=${date}`, { token: null, body: keysOf(server.account) });
    assert.equal(query.status, 200, "some clients put the date into the query");
  });

  test("URLs need no token and carry the app's key; changing a byte of them voids them", async () => {
    const { json } = await ask(api, server.account);
    const url = new URL(json.eo_click[0]);
    assert.ok(url.searchParams.get("X-Amz-Credential").startsWith(server.account.branch_key));
    assert.ok(!url.href.includes(server.account.branch_secret));
    url.searchParams.set("X-Amz-Credential", url.searchParams.get("X-Amz-Credential").replace(server.account.branch_key, other.app.branch_key));
    assert.equal((await api.raw("GET", url.pathname + url.search, { token: null })).status, 403);
  });

  test("a token is not looked at, and no token comes to see a daily export", async () => {
    const reply = await api.raw("POST", "/v3/export", { token: "api_app_nonsense", body: { ...keysOf(server.account), export_date: date } });
    assert.equal(reply.status, 200);
    assert.deepEqual(await api.call("GET", "/v1/subscriptions"), []);
  });
});

test("with daily.ahead the sets of yesterday are there before anybody asks", async () => {
  const server = await Server.start({ args: { "schedule-daily-grace-ms": 0 } });
  const api = new Api(server);
  const yesterday = Math.floor(Date.now() / DAY_MS) * DAY_MS - DAY_MS;
  await api.ingest("eo_click", [{ timestamp: yesterday + 1, id: "c1", name: "CLICK" }]);
  await api.subscribe({ report_type: "eo_click", report_fields: ["id"] }); // its sample runs when the lake is sealed
  await server.stop();
  server.log = "";
  await server.start({ args: { "schedule-daily-grace-ms": 0 }, env: { MILKRUN_DAILY_AHEAD: "true" } });
  await waitFor("a job of the set", () => /event=job_succeeded/.test(server.log), 20_000);
  const made = /event=job_succeeded job=([0-9a-f-]{36})/.exec(server.log)[1];
  const reply = await ask(api, server.account, { export_date: new Date(yesterday).toISOString().slice(0, 10) });
  assert.equal(reply.status, 200, reply.text);
  assert.ok(reply.json.eo_click[0].includes(made.replaceAll("-", "")), `${reply.json.eo_click[0]} is of job ${made}`);
});

test("without a worker nobody is told that there is nothing", async () => {
  const server = await Server.start({ args: { roles: "api,scheduler" } });
  const api = new Api(server);
  await api.ingest("eo_click", [{ timestamp: day + 1, id: "c1", name: "CLICK" }]);
  const started = Date.now();
  const reply = await ask(api, server.account);
  assert.equal(reply.status, 503, reply.text);
  assert.ok(Number(reply.headers["retry-after"]) >= 1);
  assert.ok(Date.now() - started >= 25_000, "the connection waited for it");
  const waiting = ask(api, server.account).then((answer) => answer.status, () => 0);
  await server.stop(); // and does not wait for ever when the server stops
  assert.ok([503, 0].includes(await waiting));
});
