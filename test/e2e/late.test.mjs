// SPDX-License-Identifier: Apache-2.0
// Late events: they come in the next revision of their window, alone; ranges of revisions tile.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Api, DAY_MS, HOUR_MS, readDate } from "./lib/api.mjs";
import { declaredOrderTypes, makeOrders, orderFields, orderTypes } from "./lib/events.mjs";
import { Oracle, assertExported, assertSameRows, readJob } from "./lib/oracle.mjs";
import { Server, stopAll } from "./lib/server.mjs";
import { sleep, waitFor } from "./lib/wait.mjs";

const day = Date.parse("2024-07-01T00:00:00Z");
const lateGapMs = 1500;
let server;
let api;

before(async () => {
  server = await Server.start({ args: { "schedule-late-gap-ms": lateGapMs } });
  api = new Api(server);
});
after(stopAll);

const windowOf = async (id, at) => (await api.windows(id)).find((window) => readDate(window.start_date) === at);

async function waitRevision(id, at, revision) {
  await waitFor(`revision ${revision} of ${new Date(at).toISOString()}`, async () => {
    const window = await windowOf(id, at);
    return window?.jobs.some((job) => job.revision === revision && job.status === "SUCCEEDED");
  }, 40_000, 100);
  return (await api.jobs(id)).filter((job) => readDate(job.start_date) === at).sort((a, b) => a.revision - b.revision);
}

async function prepare(topic, { filter, count = 400 } = {}) {
  const oracle = new Oracle(orderTypes);
  await api.declareTopic(topic, declaredOrderTypes);
  const events = makeOrders(count, count, day, day + 2 * HOUR_MS);
  await api.ingest(topic, events);
  oracle.add(events);
  const report = { cadence: "hourly", report_type: topic, report_fields: orderFields, ...(filter ? { filter } : {}) };
  const { id, jobs } = await api.exportRange(report, day, day + 2 * HOUR_MS);
  return { topic, oracle, report, id, jobs };
}

async function sendLate({ topic, oracle }, events) {
  await api.ingest(topic, events);
  oracle.add(events);
}

test("late events make the next revision, which holds them alone; the first one never changes", async () => {
  const setup = await prepare("late_one");
  const { id, report, oracle } = setup;
  const [before] = (await api.jobs(id)).filter((job) => readDate(job.start_date) === day);
  const late = makeOrders(11, 50, day, day + HOUR_MS);
  const sentAt = Date.now();
  await sendLate(setup, late);
  const revisions = await waitRevision(id, day, 1);
  assert.ok(Date.now() - sentAt < 31_000, "within 30 s of its seal");
  assert.equal(revisions.length, 2);
  assert.deepEqual({ ...revisions[0], export_url: 0 }, { ...before, export_url: 0 }, "the first job is as it was");
  const { rows } = await readJob(api, revisions[1], report, orderTypes);
  const lateOracle = new Oracle(orderTypes);
  lateOracle.add(late);
  assertSameRows(rows, lateOracle.expected(report, day, day + HOUR_MS), orderFields, "rows of revision 1");
  await assertExported(api, { id, report, oracle, start: day, end: day + 2 * HOUR_MS, stepMs: HOUR_MS });
  assert.notEqual(revisions[0].job_id, revisions[1].job_id);
  assert.equal((await windowOf(id, day + HOUR_MS)).jobs.length, 1, "the other hour has no new job");
});

test("ranges of a window's revisions tile, in order, and each file is once in the list", async () => {
  const setup = await prepare("late_chain");
  const { id, report, oracle } = setup;
  for (let round = 1; round <= 3; round++) {
    await sendLate(setup, makeOrders(100 + round, 20, day, day + HOUR_MS));
    await waitRevision(id, day, round);
  }
  const jobs = (await api.jobs(id)).filter((job) => readDate(job.start_date) === day).sort((a, b) => a.revision - b.revision);
  assert.deepEqual(jobs.map((job) => job.revision), [0, 1, 2, 3]);
  let end = 0;
  for (const job of jobs) {
    const { range, revision } = await api.manifest(job.job_id);
    assert.equal(revision, job.revision);
    assert.equal(range.seq_lo, end, `revision ${revision} starts where the previous ended`);
    assert.ok(range.seq_hi > range.seq_lo);
    end = range.seq_hi;
  }
  await assertExported(api, { id, report, oracle, start: day, end: day + 2 * HOUR_MS, stepMs: HOUR_MS });
});

test("late events that do not match make no job, and a later matching one comes exactly once", async () => {
  const setup = await prepare("late_filtered", { filter: ["eq", "name", "PURCHASE"] });
  const { id, report, oracle } = setup;
  await sendLate(setup, [{ timestamp: day + 5, id: "no1", name: "VIEW_CART" }, { timestamp: day + 6, id: "no2" }]);
  await sleep(lateGapMs + 3000);
  assert.equal((await windowOf(id, day)).jobs.length, 1, "no job for rows that do not match");
  assert.equal((await windowOf(id, day)).state, "SUCCEEDED");
  await sendLate(setup, [{ timestamp: day + 7, id: "yes", name: "PURCHASE" }]);
  const revision = await waitFor("the matching row's job", async () => {
    const jobs = (await api.jobs(id)).filter((job) => readDate(job.start_date) === day && job.status === "SUCCEEDED");
    return jobs.length === 2 && jobs.find((job) => job.revision > 0);
  }, 40_000, 100);
  assert.equal(revision.lines_exported, 1);
  await assertExported(api, { id, report, oracle, start: day, end: day + 2 * HOUR_MS, stepMs: HOUR_MS });
});

test("at most one revision per gap, and none is lost in a stream of late events", async () => {
  const setup = await prepare("late_stream");
  const { id, report, oracle } = setup;
  const started = Date.now();
  for (let round = 0; round < 30; round++) {
    await sendLate(setup, makeOrders(500 + round, 5, day, day + HOUR_MS));
    await sleep(100);
  }
  const streamMs = Date.now() - started;
  await waitFor("all late rows", async () => {
    const jobs = (await api.jobs(id)).filter((job) => readDate(job.start_date) === day);
    return jobs.reduce((sum, job) => sum + job.lines_exported, 0) === oracle.expected(report, day, day + HOUR_MS).length;
  }, 40_000, 100);
  const revisions = (await windowOf(id, day)).jobs.length - 1;
  assert.ok(revisions <= Math.ceil(streamMs / lateGapMs) + 2, `${revisions} revisions in ${streamMs} ms`);
  await assertExported(api, { id, report, oracle, start: day, end: day + 2 * HOUR_MS, stepMs: HOUR_MS });
});

test("events of another window, app or topic make no revision", async () => {
  const { id, topic } = await prepare("late_other");
  await api.ingest(topic, [{ timestamp: day + 5 * HOUR_MS, id: "elsewhere" }]);
  await api.ingest("late_other_topic", [{ timestamp: day + 5, id: "elsewhere" }]);
  await sleep(lateGapMs + 2500);
  for (const window of await api.windows(id)) assert.ok(window.jobs.length <= 1);
});

test("nothing new after deactivation; existing files live on", async () => {
  const setup = await prepare("late_deactivated");
  const urls = setup.jobs.flatMap((job) => job.export_url);
  await api.deactivate(setup.id);
  await api.ingest(setup.topic, makeOrders(9, 10, day, day + HOUR_MS));
  await sleep(lateGapMs + 3000);
  const reply = await api.raw("POST", `/scheduled-exports/logs/subscription/${setup.id}/jobs?app_id=${api.appId}`);
  if (reply.status === 200) assert.equal(reply.json.length, 2);
  for (const url of urls) assert.ok((await api.download(url)).length > 0);
  const backfill = await api.raw("POST", `/v1/subscriptions/${setup.id}/backfill?app_id=${api.appId}`, { body: {
    start_date: new Date(day - DAY_MS).toISOString(), end_date: new Date(day).toISOString() } });
  assert.ok(backfill.status >= 400 && backfill.status < 500, `backfill after deactivation answers ${backfill.status}`);
});

test("late events that arrive while the server is down for a restart come too", async () => {
  const setup = await prepare("late_restart");
  await sendLate(setup, makeOrders(77, 10, day, day + HOUR_MS));
  await server.restart();
  await waitRevision(setup.id, day, 1);
  await assertExported(api, { id: setup.id, report: setup.report, oracle: setup.oracle, start: day, end: day + 2 * HOUR_MS, stepMs: HOUR_MS });
});
