// SPDX-License-Identifier: Apache-2.0
// What a subscriber gets: every acknowledged event exactly once, windows cut to the millisecond, the same
// rows in every format, the same bytes for the same recipe.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { Api, DAY_MS, HOUR_MS, makeTenant, readDate } from "./lib/api.mjs";
import { declaredOrderTypes, edgeTimes, hardDoubles, hardIntegers, hardStrings, makeOrders, orderFields, orderTypes } from "./lib/events.mjs";
import { canonical, readFile } from "./lib/files.mjs";
import { Oracle, assertExported, assertSameRows, readJob, rowText, sha256 } from "./lib/oracle.mjs";
import { Server, stopAll } from "./lib/server.mjs";

const day = Date.parse("2024-03-10T00:00:00Z");
const report = { cadence: "hourly", response_format: "csv", report_type: "orders", report_fields: orderFields };
const extensions = { csv: { gz: ".csv.gz", snappy: ".csv.snappy", zstd: ".csv.zst" }, json: { gz: ".json.gz", snappy: ".json.snappy", zstd: ".json.zst" } };

after(stopAll);

describe("one day of orders", () => {
  let server;
  let api;
  const oracle = new Oracle(orderTypes);

  before(async () => {
    server = await Server.start();
    api = new Api(server);
    await api.declareTopic("orders", declaredOrderTypes);
    const events = makeOrders(7, 6000, day, day + 20 * HOUR_MS);
    for (let at = 0; at < events.length; at += 500) {
      const batch = events.slice(at, at + 500);
      await api.ingest("orders", batch);
      oracle.add(batch);
    }
    const other = await makeTenant(server, "other");
    await other.declareTopic("orders", declaredOrderTypes);
    await other.ingest("orders", makeOrders(8, 500, day, day + DAY_MS));
  });

  test("every acknowledged event is in exactly one file, in (timestamp, ingest) order", async () => {
    const { id, jobs } = await api.exportRange(report, day, day + DAY_MS);
    assert.equal(jobs.length, 24);
    await assertExported(api, { id, report, oracle, start: day, end: day + DAY_MS, stepMs: HOUR_MS, jobs });
  });

  test("empty windows are SUCCEEDED, header only, no lines", async () => {
    for (const format of ["csv", "json", "parquet"]) {
      const asked = { ...report, report_fields: ["timestamp", "name"], response_format: format };
      const { id, jobs } = await api.exportRange(asked, day + 21 * HOUR_MS, day + 23 * HOUR_MS);
      await api.deactivate(id); // the same fields in another format would be a duplicate
      assert.equal(jobs.length, 2);
      for (const job of jobs) {
        const { rows, files } = await readJob(api, job, asked, orderTypes);
        assert.equal(job.lines_exported, 0);
        assert.equal(rows.length, 0);
        assert.equal(files.length, 1, "one file, though without rows");
      }
    }
  });

  test("24 hourly windows hold the rows of the one daily window", async () => {
    const fields = ["id", "timestamp", "city", "price"];
    const hourly = { ...report, report_fields: fields };
    const daily = { ...hourly, cadence: "daily" };
    const hours = await api.exportRange(hourly, day, day + DAY_MS);
    const [dayJob] = (await api.exportRange(daily, day, day + DAY_MS)).jobs;
    assert.equal(readDate(dayJob.start_date), day);
    assert.equal(readDate(dayJob.end_date), day + DAY_MS);
    const parts = [];
    for (const job of hours.jobs) parts.push(...(await readJob(api, job, hourly, orderTypes)).rows);
    const whole = (await readJob(api, dayJob, daily, orderTypes)).rows;
    assertSameRows(whole, parts, fields, "daily and 24 hourly");
    assert.deepEqual(whole.map((row) => rowText(row, fields)), oracle.expected(daily, day, day + DAY_MS).map((row) => rowText(row, fields)));
  });

  test("CSV, JSON and Parquet in every compression hold the same rows", async () => {
    for (const format of ["csv", "json", "parquet"]) {
      for (const compression of ["gz", "snappy", "zstd"]) {
        const asked = { ...report, cadence: "daily", response_format: format, response_format_compression: compression };
        const { id, jobs } = await api.exportRange(asked, day, day + DAY_MS);
        const { pathname } = new URL(jobs[0].export_url[0]);
        const extension = format === "parquet" ? ".parquet" : extensions[format][compression];
        assert.ok(pathname.endsWith(extension), `${pathname} ends with ${extension}`);
        await assertExported(api, { id, report: asked, oracle, start: day, end: day + DAY_MS, stepMs: DAY_MS, jobs });
        await api.deactivate(id);
      }
    }
  });

  test("Parquet columns are typed; the compression is inside the file", async () => {
    const asked = { ...report, report_fields: [...orderFields].reverse(), response_format: "parquet", response_format_compression: "snappy" };
    const { jobs } = await api.exportRange(asked, day, day + HOUR_MS);
    const [bytes] = await api.downloadJob(jobs[0]);
    const { types, header } = await readFile(bytes, asked, orderTypes);
    const typeOf = Object.fromEntries(header.map((name, index) => [name, types[index]]));
    assert.deepEqual(typeOf, { extra: typeOf.extra, placed: "TIMESTAMP WITH TIME ZONE", flag: "BOOLEAN", price: "DOUBLE",
      amount: "BIGINT", city: "VARCHAR", name: "VARCHAR", id: "VARCHAR", timestamp: "TIMESTAMP WITH TIME ZONE" });
    assert.match(typeOf.extra, /VARCHAR|JSON/);
  });

  test("files of a job are the same at each download, and the job never changes", async () => {
    const asked = { ...report, report_fields: ["name", "id"] };
    const { id, jobs } = await api.exportRange(asked, day + HOUR_MS, day + 2 * HOUR_MS);
    const [first] = await api.downloadJob(jobs[0]);
    const again = await api.job(id, jobs[0].job_id);
    const [second] = await api.downloadJob(again);
    assert.ok(first.equals(second));
    assert.deepEqual({ ...again, export_url: [] }, { ...jobs[0], export_url: [] });
  });

  test("backfill is idempotent, on window edges only, and at most 10,000 windows", async () => {
    const id = await api.subscribe({ ...report, report_fields: ["city"] });
    assert.deepEqual(await api.backfill(id, day, day + 3 * HOUR_MS), { windows: 3, created: 3 });
    assert.deepEqual(await api.backfill(id, day, day + 3 * HOUR_MS), { windows: 3, created: 0 });
    assert.deepEqual(await api.backfill(id, day + HOUR_MS, day + 5 * HOUR_MS), { windows: 4, created: 2 });
    const jobs = await api.waitJobs(id, 5);
    assert.equal(jobs.length, 5);
    const now = Math.floor(Date.now() / HOUR_MS) * HOUR_MS;
    for (const [start, end] of [[day + 1, day + HOUR_MS], [day, day + HOUR_MS - 1], [day + HOUR_MS, day], [day, day],
      [day - 10_000 * HOUR_MS, day + HOUR_MS], [now, now + HOUR_MS], [now + DAY_MS, now + 2 * DAY_MS]]) {
      const reply = await api.raw("POST", `/v1/subscriptions/${id}/backfill?app_id=${api.appId}`,
        { body: { start_date: new Date(start).toISOString(), end_date: new Date(end).toISOString() } });
      assert.equal(reply.status, 400, `[${new Date(start).toISOString()}, ${new Date(end).toISOString()}): ${reply.text}`);
      assert.equal(reply.json.error.code, 400);
    }
    assert.equal((await api.jobs(id)).length, 5);
  });

  test("bad dates of a backfill are refused", async () => {
    const id = await api.subscribe({ ...report, report_fields: ["flag", "city"] });
    for (const bad of ["2023-02-29T00:00:00Z", "2023-13-01T00:00:00Z", "2023-04-31T00:00:00Z", "2023-05-30T24:00:00Z", "2023-05-30 19:00:00Z",
      "2023-05-30t19:00:00", "now", "", " 2023-05-30T00:00:00Z", "2023-05-30T00:00:00+25:00", "2023-05-30T00:00:00.1234567890Z", 5, null]) {
      const reply = await api.raw("POST", `/v1/subscriptions/${id}/backfill?app_id=${api.appId}`,
        { body: { start_date: bad, end_date: "2023-05-31T00:00:00Z" } });
      assert.equal(reply.status, 400, `${JSON.stringify(bad)}: ${reply.text}`);
    }
    for (const good of ["2023-05-30T19:00:00", "2023-05-30T19:00:00-00:00", "2023-05-30T19:00:00+0000", "2023-05-30T19:00:00z", "2023-05-30T21:00:00.000+02:00"]) {
      const reply = await api.raw("POST", `/v1/subscriptions/${id}/backfill?app_id=${api.appId}`,
        { body: { start_date: good, end_date: "2023-05-30T20:00:00Z" } });
      assert.equal(reply.status, 200, `${good}: ${reply.text}`);
      assert.equal(reply.json.windows, 1, good);
    }
  });

  const filters = [
    ["eq", "name", "PURCHASE"],
    ["eq", "name", null],
    ["eq", "name", ""],
    ["eq", "city", "\u00e9"],
    ["eq", "flag", "true"],
    ["eq", "flag", false],
    ["eq", "amount", 9007199254740993n],
    ["eq", "amount", "42"],
    ["in", "name", ["PURCHASE", "RESERVE", "'", 'say "hi"']],
    ["in", "name", "PURCHASE", "VIEW_CART"],
    ["in", "amount", [1, 2, 3, 42]],
    ["gt", "price", 50],
    ["lt", "price", 0.3],
    ["gt", "city", "a"],
    ["lt", "amount", 10],
    ["gt", "timestamp", day + 2 * HOUR_MS],
    ["and", ["gt", "price", 10], ["lt", "price", 60], ["not", ["eq", "flag", true]]],
    ["or", ["eq", "city", "東京"], ["eq", "city", "🦊"], ["gt", "amount", "9007199254740992"]],
    [["gt", "price", 20], ["eq", "name", "RESERVE"]],
    ["not", ["or", ["eq", "name", "PURCHASE"], ["and", ["eq", "flag", true], ["gt", "amount", 500]]]],
  ];
  const text = (filter) => JSON.stringify(filter, (_, value) => (typeof value === "bigint" ? `${value}` : value));

  async function rowsOf(filter) {
    const asked = { ...report, cadence: "daily", report_fields: ["id", "timestamp"], filter };
    const body = JSON.stringify({ report: asked, destination: { subscription_type: "branch" } }, (_, value) =>
      (typeof value === "bigint" ? `bigint:${value}` : value)).replace(/"bigint:(-?\d+)"/g, "$1");
    const reply = await api.raw("POST", `/scheduled-exports/logs/subscribe?app_id=${api.appId}`, { body });
    assert.equal(reply.status, 200, `${text(filter)}: ${reply.text}`);
    const id = reply.json.subscription_id;
    await api.waitActive(id);
    await api.backfill(id, day, day + DAY_MS);
    const jobs = await api.waitJobs(id, 1);
    const { rows } = await readJob(api, jobs[0], asked, orderTypes);
    await api.deactivate(id);
    return rows;
  }

  for (const filter of filters) {
    test(`filter ${text(filter)}, and its negation part the window`, async () => {
      const negation = ["not", Array.isArray(filter[0]) ? ["and", ...filter] : filter];
      const fields = { report_fields: ["id", "timestamp"] };
      const [yes, no] = await Promise.all([rowsOf(filter), rowsOf(negation)]);
      assertSameRows(yes, oracle.expected({ ...fields, filter }, day, day + DAY_MS), ["id"], "filter");
      assertSameRows(no, oracle.expected({ ...fields, filter: negation }, day, day + DAY_MS), ["id"], "negation");
      assertSameRows([...yes, ...no], oracle.expected(fields, day, day + DAY_MS), ["id"], "together");
    });
  }
});

describe("edges of windows", () => {
  let api;
  const start = Date.parse("2024-05-01T10:00:00Z");

  before(async () => {
    api = new Api(await Server.start());
  });

  test("-1 ms, 0, +1 ms and .999 fall into the right hour and day; sub-millisecond times are cut, not rounded", async () => {
    const types = { timestamp: "timestamp", label: "string", id: "string" };
    const oracle = new Oracle(types);
    const midnight = Date.parse("2024-05-01T00:00:00Z");
    const times = [...edgeTimes(start, start + HOUR_MS), ...edgeTimes(midnight, midnight + DAY_MS), midnight + HOUR_MS - 1];
    const events = times.map((timestamp, index) => ({ timestamp, label: `ms${index}` }));
    events.push(
      { timestamp: "2024-05-01T10:59:59.9995Z", label: "sub-millisecond" },
      { timestamp: "2024-05-01T10:59:59.999999999Z", label: "nanosecond" },
      { timestamp: "2024-05-01T11:00:00Z", label: "iso" },
      { timestamp: "2024-05-01T11:00:00.000+00:00", label: "offset zero" },
      { timestamp: "2024-05-01T12:30:00.250+02:00", label: "offset" },
      { timestamp: "2024-05-01T10:15:00-00:00", label: "minus zero" });
    await api.ingest("edges", events);
    oracle.add(events);
    for (const [cadence, stepMs] of [["hourly", HOUR_MS], ["daily", DAY_MS]]) {
      const asked = { cadence, report_type: "edges", report_fields: ["timestamp", "label"] };
      const [from, until] = [midnight - DAY_MS, midnight + 2 * DAY_MS];
      const { id, jobs } = await api.exportRange(asked, from, until);
      await assertExported(api, { id, report: asked, oracle, start: from, end: until, stepMs, jobs });
    }
  });

  test("equal events stay separate rows: ids never dedupe", async () => {
    const event = { timestamp: start, id: "same", label: "twice" };
    await api.ingest("twins", [event, event]);
    await api.ingest("twins", [event]);
    const { jobs } = await api.exportRange({ cadence: "hourly", report_type: "twins", report_fields: ["id", "label"] }, start, start + HOUR_MS);
    assert.equal(jobs[0].lines_exported, 3);
  });

  test("values are exact: integers to the digit, doubles shortest, texts to the byte", async () => {
    await api.declareTopic("exact", { number: "long", real: "double", text: "string" });
    const size = Math.max(hardStrings.length, hardIntegers.length, hardDoubles.length);
    const events = Array.from({ length: size }, (_, index) => ({ timestamp: start + index, number: hardIntegers[index % hardIntegers.length],
      real: hardDoubles[index % hardDoubles.length], text: hardStrings[index % hardStrings.length] }));
    await api.ingest("exact", events);
    const asked = { cadence: "hourly", report_type: "exact", report_fields: ["number", "real", "text"] };
    const raw = { number: "raw", real: "raw", text: "string" };
    for (const format of ["csv", "json"]) {
      const { id, jobs } = await api.exportRange({ ...asked, response_format: format }, start, start + HOUR_MS);
      await api.deactivate(id);
      const { rows } = await readJob(api, jobs[0], { ...asked, response_format: format }, raw);
      for (const [index, row] of rows.entries()) {
        assert.equal(row.number, events[index].number.toString());
        assert.equal(row.text, events[index].text);
        assert.equal(canonical(row.real, "double"), String(events[index].real), `${row.real} reads as ${events[index].real}`);
        const digits = (number) => number.replace(/e.*$/i, "").replace(/[-.]/g, "").replace(/^0+|0+$/g, "").length;
        assert.ok(digits(row.real) <= Math.max(1, digits(String(events[index].real))), `${row.real} is no longer than ${events[index].real}`);
      }
    }
  });

  test('["all"] expands to the schema: known order first, new fields appended for later windows', async () => {
    await api.ingest("growing", [{ timestamp: start, id: "1", alpha: "a", beta: 2 }]);
    const asked = { cadence: "hourly", response_format: "parquet", report_type: "growing", report_fields: ["all"] };
    const id = await api.subscribe(asked);
    assert.deepEqual((await api.subscription(id)).report.report_fields, ["all"]);
    await api.backfill(id, start, start + HOUR_MS);
    const [first] = await api.waitJobs(id, 1);
    await api.ingest("growing", [{ timestamp: start + HOUR_MS, id: "2", alpha: "b", gamma: true }]);
    await api.backfill(id, start + HOUR_MS, start + 2 * HOUR_MS);
    const [second] = await api.waitJobs(id, 2);
    const types = { timestamp: "timestamp", beta: "long", gamma: "boolean" };
    const [one, two] = [await readJob(api, first, asked, types), await readJob(api, second, asked, types)];
    assert.ok(["timestamp", "id", "alpha", "beta"].every((field) => field in one.rows[0]), Object.keys(one.rows[0]).join());
    const [before, later] = [Object.keys(one.rows[0]), Object.keys(two.rows[0])];
    assert.deepEqual(later.slice(0, before.length), before);
    assert.deepEqual(later.slice(before.length), ["gamma"]);
    assert.equal(two.rows[0].gamma, "true");
    assert.equal(two.rows[0].beta, null);
  });

  test("app_id and organization_id are columns", async () => {
    await api.ingest("systemic", [{ timestamp: start }]);
    const asked = { cadence: "hourly", report_type: "systemic", report_fields: ["app_id", "organization_id"] };
    const { jobs } = await api.exportRange(asked, start, start + HOUR_MS);
    const { rows } = await readJob(api, jobs[0], asked, {});
    assert.deepEqual(rows, [{ app_id: api.appId, organization_id: api.organizationId }]);
  });
});

describe("files", () => {
  test("a job is split by encoded size in row order; names, keys and sums agree", async () => {
    const server = await Server.start({ args: { "export-part-bytes": 65_536 } });
    const api = new Api(server);
    const oracle = new Oracle(orderTypes);
    await api.declareTopic("orders", declaredOrderTypes);
    const events = makeOrders(21, 5000, day, day + HOUR_MS);
    for (let at = 0; at < events.length; at += 1000) await api.ingest("orders", events.slice(at, at + 1000));
    oracle.add(events);
    for (const format of ["csv", "json", "parquet"]) {
      const asked = { ...report, response_format: format };
      const { id, jobs } = await api.exportRange(asked, day, day + HOUR_MS);
      assert.ok(jobs[0].export_url.length > 3, `${format}: ${jobs[0].export_url.length} files`);
      await api.deactivate(id);
      await assertExported(api, { id, report: asked, oracle, start: day, end: day + HOUR_MS, stepMs: HOUR_MS, jobs });
      const manifest = await api.manifest(jobs[0].job_id);
      assert.equal(new Set(manifest.files.map(({ key }) => key)).size, manifest.files.length);
      for (const [index, { key }] of manifest.files.entries()) {
        assert.match(key, new RegExp(`^v2/y=2024/m=03/d=10/h=00/app_id=${api.appId}/job_id=${jobs[0].job_id}/task_id=[^/]+/[^/]+$`));
        assert.ok(decodeURIComponent(new URL(jobs[0].export_url[index]).pathname).endsWith(key));
      }
    }
    await server.stop();
  });

  test("daily keys have no hour", async () => {
    const server = await Server.start();
    const api = new Api(server);
    await api.ingest("daily_keys", [{ timestamp: day }]);
    const { jobs } = await api.exportRange({ cadence: "daily", report_type: "daily_keys", report_fields: ["timestamp"] }, day, day + DAY_MS);
    const manifest = await api.manifest(jobs[0].job_id);
    assert.match(manifest.files[0].key, new RegExp(`^v2/y=2024/m=03/d=10/app_id=${api.appId}/job_id=`));
    await server.stop();
  });

  test("the same recipe gives the same bytes 20 times, with 1 to 4 compressing threads", async () => {
    const recipes = [["csv", "gz"], ["json", "gz"], ["csv", "zstd"], ["csv", "snappy"], ["parquet", "gz"]];
    const server = await Server.start({ args: { "worker-compress-threads": 1 } });
    const api = new Api(server);
    await api.declareTopic("orders", declaredOrderTypes);
    const events = makeOrders(33, 30_000, day, day + HOUR_MS);
    for (let at = 0; at < events.length; at += 6000) await api.ingest("orders", events.slice(at, at + 6000));
    const hashes = new Map();
    for (let round = 0; round < 20; round++) {
      if (round % 5 === 0 && round > 0) await server.restart({ args: { "worker-compress-threads": round / 5 + 1 } });
      for (const [format, compression] of recipes.filter((_, index) => index === 0 || round % 5 === index)) {
        const asked = { ...report, response_format: format, response_format_compression: compression };
        const { id, jobs } = await api.exportRange(asked, day, day + HOUR_MS);
        const [file] = await api.downloadJob(jobs[0]);
        assert.equal(jobs[0].lines_exported, events.length);
        const name = `${format}.${compression}`;
        hashes.set(name, new Set([...(hashes.get(name) ?? []), sha256(file)]));
        await api.deactivate(id);
      }
    }
    for (const [name, values] of hashes) assert.equal(values.size, 1, `${name} has ${values.size} different contents`);
    assert.equal(hashes.size, recipes.length);
    await server.stop();
  });
});
