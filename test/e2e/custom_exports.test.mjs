// SPDX-License-Identifier: Apache-2.0
// Custom exports: what is asked for once, in all the forms in which clients of Branch ask.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { Api, DAY_MS, HOUR_MS, makeTenant, makeToken } from "./lib/api.mjs";
import { askExport, exportStatus, organizationOf, readExport, runExport, waitExport } from "./lib/custom.mjs";
import { declaredOrderTypes, makeOrders, makeRandom, orderFields, orderTypes } from "./lib/events.mjs";
import { Oracle, assertSameRows, rowText, sha256 } from "./lib/oracle.mjs";
import { Server, stopAll } from "./lib/server.mjs";
import { sleep } from "./lib/wait.mjs";

const day = Date.parse("2024-03-10T00:00:00Z"); // clocks of New York skip 02:00 to 03:00
const minimal = { start_date: "2024-03-10T00:00:00Z", end_date: "2024-03-10T23:59:59Z", report_type: "orders", fields: ["id", "name"], limit: 2000 };
const iso = (ms) => new Date(ms).toISOString();

after(stopAll);

describe("custom exports", () => {
  let server;
  let api;
  const oracle = new Oracle(orderTypes);
  const expected = (body, start, end) => oracle.expected({ filter: body.filter, report_fields: body.fields }, start, end);

  before(async () => {
    server = await Server.start({ args: { "custom-row-limit": 2000, "custom-file-rows": 700, "custom-look-back-days": 36500 } });
    api = new Api(server);
    await api.declareTopic("orders", declaredOrderTypes);
    const events = makeOrders(11, 3000, day - DAY_MS, day + 2 * DAY_MS);
    for (let at = 0; at < events.length; at += 500) {
      await api.ingest("orders", events.slice(at, at + 500));
      oracle.add(events.slice(at, at + 500));
    }
  });

  test("the first poll of a small export says complete, in the documented shape", async () => {
    const body = { ...minimal, limit: undefined };
    const made = await askExport(api, body);
    assert.equal(made.status, 200, made.text);
    const { handle } = made.json;
    assert.match(handle, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.deepEqual(made.json, { handle, request_handle: handle, export_job_status_url: `${server.base}/v2/logs/${handle}?app_id=${api.appId}` });
    const { pathname, search } = new URL(made.json.export_job_status_url);
    const status = await api.call("GET", pathname + search);
    assert.equal(status.status, "complete");
    assert.equal(status.code, 200);
    assert.equal(status.lines_exported, 100, "the documented default of limit");
    assert.equal(status.response_url, status.response_urls[0]);
    assert.equal(status.status_url, status.response_url);
    assert.match(decodeURIComponent(status.response_url), new RegExp(`/v2/y=2024/m=03/d=10/app_id=${api.appId}/job_id=[0-9a-f-]{36}/task_id=0/[^/]+\\.csv\\?X-Amz-`));
    const [file] = await readExport(api, status, body, orderTypes);
    assert.deepEqual(file.rows.map((row) => row.id), expected(body, day, day + DAY_MS).slice(0, 100).map((row) => row.id), "the first 100 rows in order");
  });

  test("every format and compression holds the oracle's rows", async () => {
    for (const response_format of ["csv", "json", "parquet"]) {
      for (const response_format_compression of [undefined, "gz", "snappy", "zstd"]) {
        const body = { ...minimal, fields: orderFields, response_format, response_format_compression };
        const status = await runExport(api, body);
        const files = await readExport(api, status, { ...body, response_format_compression: response_format_compression ?? "none" }, orderTypes);
        const extension = { csv: ".csv", json: ".json", parquet: ".parquet" }[response_format] +
          (response_format === "parquet" ? "" : { gz: ".gz", snappy: ".snappy", zstd: ".zst" }[response_format_compression] ?? "");
        assert.equal(files.length, 1);
        assert.ok(new URL(status.response_url).pathname.endsWith(extension), status.response_url);
        assertSameRows(files[0].rows, expected(body, day, day + DAY_MS), orderFields, `${response_format} ${response_format_compression}`);
        assert.equal(status.lines_exported, files[0].rows.length);
      }
    }
  });

  test("filters, dates between hours, and the last unit of the end are exact", async () => {
    const filters = [undefined, [], null, ["eq", "name", "PURCHASE"], ["and", ["gt", "amount", 10], ["not", ["eq", "flag", "true"]]],
      [["eq", "flag", true], ["lt", "price", "50"]]];
    for (const filter of filters) {
      const body = { ...minimal, fields: ["timestamp", "id", "name"], filter, start_date: "2024-03-10T05:17:31.250Z", end_date: "2024-03-10T19:59:59" };
      const [file] = await readExport(api, await runExport(api, body), body, orderTypes);
      assertSameRows(file.rows, expected(body, day + 5 * HOUR_MS + 17 * 60_000 + 31_250, day + 20 * HOUR_MS), body.fields, JSON.stringify(filter));
    }
  });

  test("all forms of dates that clients send", async () => {
    const count = async (start_date, end_date, extra) => (await runExport(api, { ...minimal, start_date, end_date, ...extra })).lines_exported;
    const rows = (start, end) => expected(minimal, start, end).length;
    assert.equal(await count("2024-03-10T00:00:00:000Z", "2024-03-10T23:59:59:999Z"), rows(day, day + DAY_MS));
    assert.equal(await count("2024-03-10T00:00:00.000000Z", "2024-03-10T11:56:11.086419Z"), rows(day, day + 11 * HOUR_MS + 56 * 60_000 + 11_087));
    assert.equal(await count("2024-03-10", "2024-03-10"), rows(day, day + DAY_MS));
    assert.equal(await count("2024-03-10T00:00:00-05:00", "2024-03-10T23:59:59-04:00"), rows(day + 5 * HOUR_MS, day + 28 * HOUR_MS));
    // In New York this day has 23 hours.
    assert.equal(await count("2024-03-10", "2024-03-10", { timezone: "America/New_York" }), rows(day + 5 * HOUR_MS, day + 28 * HOUR_MS));
    assert.equal(await count("2024-03-10T00:00:00Z", "2024-03-10T23:59:59Z", { timezone: "Asia/Tokyo" }), rows(day, day + DAY_MS), "an offset counts more");
  });

  test("the manifest names the time zone and the version of its database", async () => {
    const status = await runExport(api, { ...minimal, timezone: "Europe/Zurich" });
    const manifest = await api.manifest(status.job_id);
    assert.equal(manifest.timezone.name, "Europe/Zurich");
    assert.match(manifest.timezone.tz_database, /^(\d{4}[a-z]+|unknown)$/);
    const [bytes] = [await api.download(status.response_url)];
    assert.equal(manifest.files[0].sha256, sha256(bytes));
    assert.equal((await api.manifest((await runExport(api, minimal)).job_id)).timezone, undefined);
  });

  test("limit cuts at a row; several files have as many rows as the operator says, and all of them", async () => {
    const limited = await runExport(api, { ...minimal, limit: 37 });
    assert.equal(limited.lines_exported, 37);
    assert.equal((await runExport(api, { ...minimal, limit: "41" })).lines_exported, 41);
    const body = { ...minimal, start_date: iso(day - DAY_MS), end_date: iso(day + 2 * DAY_MS), limit: 1, allow_multiple_files: true, response_format_compression: "gz" };
    const whole = await runExport(api, body);
    const files = await readExport(api, whole, body, orderTypes);
    assert.deepEqual(files.map(({ rows }) => rows.length), [700, 700, 700, 700, 200]);
    assertSameRows(files.flatMap(({ rows }) => rows), expected(body, day - DAY_MS, day + 2 * DAY_MS), body.fields, "all files");
    assert.equal(whole.lines_exported, 3000);
    const without = await askExport(api, { ...body, response_format_compression: undefined });
    assert.equal(without.status, 400);
    assert.match(without.text, /Missing required field: response_format_compression/);
  });

  test("one 400 names everything that is wrong, each field by itself", async () => {
    const reply = await askExport(api, { ...minimal, fields: ["id", "nope", "name", "nada"], limit: 0, timezone: "Mars/Olympus", start_date: "2024-13-10T00:00:00Z",
      response_format: "xml" });
    assert.equal(reply.status, 400, reply.text);
    assert.equal(reply.json.error.code, 400);
    const messages = reply.json.errors.map(({ message }) => message);
    for (const wanted of ["nope field is not available for exports", "nada field is not available for exports", "Invalid timezone", "Invalid date: start_date",
      "Invalid response_format", "Invalid limit: 1 to 2000"])
      assert.ok(messages.includes(wanted), `${wanted} in ${JSON.stringify(messages)}`);
    assert.equal(messages.length, 6);
    // A client that strips what is named, once, as a known connector does.
    const named = reply.json.errors.map(({ message }) => /^(\w+) field is not available/.exec(message)?.[1]);
    const again = await askExport(api, { ...minimal, fields: ["id", "nope", "name", "nada"].filter((field) => !named.includes(field)) });
    assert.equal(again.status, 200, again.text);
  });

  test("bad bodies are refused, and make nothing", async () => {
    const cases = [["", /Invalid JSON|JSON/], ["[]", /JSON object expected/], ["{", /Invalid JSON/]];
    for (const [body, text] of cases) {
      const reply = await askExport(api, body, { headers: { "Content-Type": "application/json" } });
      assert.equal(reply.status, 400, `${body}: ${reply.text}`);
      assert.match(reply.json.error.message, text);
    }
    for (const change of [{ start_date: undefined }, { end_date: null }, { report_type: undefined }, { report_type: "no_such_topic" }, { report_type: 7 }, { fields: undefined },
      { fields: [] }, { fields: "id" }, { fields: ["all", "id"] }, { limit: 2001 }, { limit: 1.5 }, { limit: "many" }, { limit: -1 }, { filter: ["eq", "nope", 1] },
      { filter: ["between", "amount", 1] }, { response_format: "CSV" }, { response_format_compression: "rar" }, { allow_multiple_files: 1 }, { timezone: "../etc/passwd" },
      { timezone: 5 }, { start_date: "2024-03-11T00:00:00Z" }, { start_date: "2023-01-01T00:00:00Z" }, { end_date: "yesterday" }]) {
      const reply = await askExport(api, { ...minimal, ...change });
      assert.equal(reply.status, 400, `${JSON.stringify(change)}: ${reply.text}`);
      assert.ok(reply.json.errors.length >= 1, reply.text);
    }
    assert.match((await askExport(api, { ...minimal, start_date: "2023-01-01T00:00:00Z" })).text, /at most 60 days/);
  });

  test("the topics of Branch are there for everybody, those of nobody have no rows", async () => {
    for (const report_type of ["eo_open", "webhook2", "eo_san_touch", "skadnetwork_invalid_messages", "eo_web_to_app_auto_redirect", "eo_custom_event_blocked"]) {
      const status = await runExport(api, { ...minimal, report_type });
      assert.equal(status.lines_exported, 0);
      const [file] = await readExport(api, status, minimal, {});
      assert.deepEqual(file.header, minimal.fields, "a header without rows");
    }
  });

  test("statuses of create and of status without a right to it, as documented", async () => {
    const other = await makeTenant(server, "custom other");
    const foreign = await askExport(other, minimal, { scope: `app_id=${api.appId}` });
    assert.equal(foreign.status, 404);
    assert.match(foreign.json.error.message, /^Not authorized for the user id: \d+\.$/);
    const none = await askExport(api, minimal, { token: null });
    assert.deepEqual([none.status, none.json.error.message], [401, "Auth Client didn't return anything for the user id: 0."]);
    assert.equal((await askExport(api, minimal, { scope: "" })).status, 400);
    const numbered = JSON.stringify({ ...minimal, app_id: 0 }).replace('"app_id":0', `"app_id":${api.appId}`);
    assert.equal((await askExport(api, numbered, { scope: "" })).status, 200, "the body may say it, as a number too");
    assert.equal((await askExport(api, { ...minimal, app_id: true }, { scope: "" })).json.error.message, "Invalid type: string expected");
    const { handle } = (await askExport(api, minimal)).json;
    assert.equal((await exportStatus(api, handle, { token: null })).json.error.message, "Authentication failed !");
    const strange = await exportStatus(other, handle);
    const unknown = await exportStatus(other, "7f0c0a31-7a11-4b3e-8a55-7a9b2d3c4e5f");
    assert.deepEqual([strange.status, strange.text], [404, '{"error":{"message":"Job ID Not Found","code":404}}']);
    assert.equal(strange.text, unknown.text);
    const status = await waitExport(api, handle);
    assert.equal((await other.raw("GET", `/v1/jobs/${status.job_id}`)).status, 404);
    assert.equal((await other.raw("GET", `/v1/jobs/${status.job_id}/manifest`)).status, 404);
  });

  test("[\"all\"] and sensitive fields need their permission", async () => {
    const { text: token } = await makeToken(server, { organizationId: api.organizationId, permissions: ["export"] });
    const refused = await askExport(api, { ...minimal, fields: ["all"] }, { token });
    assert.deepEqual([refused.status, refused.json.error.message], [400, "Not authorized for report_fields: all"]);
    assert.equal((await askExport(api, minimal, { token })).status, 200);
    const body = { ...minimal, fields: ["all"], limit: 5 };
    const [file] = await readExport(api, await runExport(api, body), body, orderTypes);
    for (const field of orderFields) assert.ok(file.header.includes(field), field);
    assert.equal(file.rows.length, 5);
  });

  test("an export is no subscription", async () => {
    const { handle, job_id: job } = await runExport(api, minimal);
    for (const path of [`/scheduled-exports/logs/subscription/${handle}`, `/scheduled-exports/logs/subscription/${handle}/jobs`, `/v1/subscriptions/${handle}`,
      `/v1/subscriptions/${handle}/windows`])
      assert.equal((await api.raw("GET", `${path}?app_id=${api.appId}`)).status, 404, path);
    assert.equal((await api.raw("DELETE", `/scheduled-exports/logs/subscription/${handle}?app_id=${api.appId}`)).status, 404);
    assert.deepEqual(await api.call("GET", "/v1/subscriptions"), []);
    assert.equal((await api.call("GET", `/v1/jobs/${job}`)).status, "SUCCEEDED");
  });

  test("Idempotency-Key: the same export once", async () => {
    const headers = { "Idempotency-Key": "once" };
    const first = await askExport(api, minimal, { headers });
    const again = await askExport(api, minimal, { headers });
    assert.equal(again.status, 200);
    assert.equal(again.json.handle, first.json.handle);
    assert.equal(again.headers["idempotency-replayed"], "true");
    assert.equal((await askExport(api, { ...minimal, limit: 3 }, { headers })).status, 409);
    assert.notEqual((await askExport(api, minimal)).json.handle, first.json.handle);
  });

  test("data/ready: an hour that is over, one that is not, and what is no topic", async () => {
    const ready = (body, scope = `?app_id=${api.appId}`, options = {}) => api.raw("POST", `/v2/data/ready${scope}`, { body, headers: { "Content-Type": "application/json" }, ...options });
    const question = { date: "2024-03-10 01:00:00", warehouse_meta_type: "EVENT", topic: "orders", app_id: api.appId };
    await api.ingest("orders", [{ timestamp: day + 30_000_000_000, id: "fresh" }]);
    for (const [body, scope] of [[question], [{ ...question, app_id: undefined }], [question, ""], [JSON.stringify(question).replace(`"${api.appId}"`, api.appId), "/"],
      [{ ...question, warehouse_meta_type: "AGGREGATE" }], [question, `?${organizationOf(api)}`]]) {
      const reply = await ready(body, scope);
      assert.deepEqual([reply.status, reply.json], [200, { data_ready: true, date: question.date }], `${scope} ${reply.text}`);
    }
    const now = iso(Date.now()).slice(0, 13).replace("T", " ") + ":00:00";
    assert.deepEqual((await ready({ ...question, date: now })).json, { data_ready: false, date: now });
    const bad = await ready({ ...question, topic: "no_such" });
    assert.deepEqual([bad.status, bad.json.error.message], [400, "Topic is invalid or data retention for requested data has expired."]);
    for (const change of [{ date: "2024-03-10" }, { date: "2024-03-10T01:00:00Z" }, { date: undefined }, { warehouse_meta_type: "X" }, { warehouse_meta_type: undefined },
      { topic: undefined }, { app_id: true }])
      assert.equal((await ready({ ...question, ...change })).status, 400, JSON.stringify(change));
    assert.equal((await ready({ ...question, app_id: undefined }, "")).status, 400);
    const other = await makeTenant(server, "ready other");
    const foreign = await other.raw("POST", "/v2/data/ready", { body: question });
    assert.deepEqual([foreign.status, foreign.json.error.message], [400, "Authentication failed !"]);
    assert.equal((await api.raw("POST", "/v2/data/ready", { body: question, token: null })).status, 400);
  });
});

test("exports survive kill -9 of everything, each with its rows, once", async () => {
  const data = await Server.start({ args: { "worker-lease-ms": 2000 } });
  const api = new Api(data);
  const random = makeRandom(5);
  const oracle = new Oracle(orderTypes);
  await api.declareTopic("orders", declaredOrderTypes);
  const events = makeOrders(3, 4000, day, day + DAY_MS);
  for (let at = 0; at < events.length; at += 1000) await api.ingest("orders", events.slice(at, at + 1000));
  oracle.add(events);
  const bodies = Array.from({ length: 24 }, (_, i) => ({ ...minimal, fields: orderFields, start_date: iso(day + (i % 6) * HOUR_MS), end_date: iso(day + (i % 6 + 9) * HOUR_MS - 1),
    response_format: ["csv", "json"][i % 2] }));
  const handles = [];
  for (const body of bodies) handles.push((await askExport(api, body)).json.handle);
  for (let kills = 0; kills < 6; kills++) {
    await sleep(40 + random.below(200));
    if (kills % 3 === 2) {
      data.listen = `127.0.0.1:${new URL(data.base).port}`;
      await data.killHard();
      await data.start();
    } else {
      try {
        process.kill(random.pick(data.children()), "SIGKILL");
      } catch {
        // ended by itself meanwhile
      }
    }
  }
  await sleep(1000); // the api process, if it was the last one to be killed, is back by then
  for (const [index, handle] of handles.entries()) {
    const body = bodies[index];
    const status = await waitExport(api, handle);
    const [file, ...more] = await readExport(api, status, body, orderTypes);
    assert.equal(more.length, 0);
    const rows = oracle.expected({ report_fields: orderFields }, Date.parse(body.start_date), Date.parse(body.end_date) + 1);
    assert.deepEqual(file.rows.map((row) => rowText(row, orderFields)), rows.map((row) => rowText(row, orderFields)), `export ${index}`);
  }
});
