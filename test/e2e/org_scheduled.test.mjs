// SPDX-License-Identifier: Apache-2.0
// Subscriptions of a whole organization in real workers: windows, late revisions, apps that come and go,
// killed processes. Every event is in exactly one file of exactly one SUCCEEDED job, that of its app.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Api, DAY_MS, HOUR_MS, makeTenant, readDate, toLines } from "./lib/api.mjs";
import { declaredOrderTypes, makeOrders, makeRandom, orderTypes } from "./lib/events.mjs";
import { Oracle, assertSameRows, readJob } from "./lib/oracle.mjs";
import { Server, childrenOf, stopAll } from "./lib/server.mjs";
import { sleep, waitFor } from "./lib/wait.mjs";

const day = Math.floor(Date.now() / DAY_MS) * DAY_MS - 2 * DAY_MS;
const hours = 3;
const end = day + hours * HOUR_MS;
const appCount = 30;
const fields = ["app_id", "timestamp", "id", "name"];
const base = { cadence: "hourly", report_type: "orders", report_fields: fields };
// Equal filters would be duplicates: the format does not count.
const reports = {
  csv: { ...base, filter: ["not", ["eq", "name", "RESERVE"]] },
  json: { ...base, response_format: "json", response_format_compression: "snappy", filter: ["eq", "name", "PURCHASE"] },
  parquet: { ...base, response_format: "parquet", response_format_compression: "zstd" },
};
const oracle = new Oracle(orderTypes);
const random = makeRandom(7);
const apps = [];
const ids = {};
let server;
let api;

before(async () => {
  server = await Server.start({ args: { "schedule-late-gap-ms": 500, "worker-lease-ms": 2000, "worker-lost-limit": 1000 } });
  api = new Api(server);
  apps.push(api.appId);
  for (let index = 1; index < appCount; index++) await addApp(`app ${index}`);
  await api.declareTopic("orders", declaredOrderTypes);
  for (const [index, appId] of apps.slice(0, -1).entries()) await send(appId, index, 20); // the last one is idle
  const stranger = await makeTenant(server, "stranger");
  await stranger.declareTopic("orders", declaredOrderTypes);
  await stranger.ingest("orders", makeOrders(900, 50, day, end));
  for (const [name, report] of Object.entries(reports)) ids[name] = await subscribe(report);
});
after(stopAll);

async function addApp(name) {
  const { app_id: appId } = await api.admin("POST", "/v1/admin/apps", { organization_id: api.organizationId, name });
  apps.push(appId);
  return appId;
}

let batch = 0;
async function send(appId, seed, count) {
  const events = makeOrders(seed, count, day, end);
  const key = `batch-${++batch}`;
  const reply = await untilAnswered(() => api.ingestRaw("orders", toLines(events), { appId, headers: { "Idempotency-Key": key } }));
  assert.equal(reply.status, 200, reply.text);
  oracle.add(events.map((event) => ({ ...event, app_id: appId })));
}

// While processes are killed, requests are repeated until they have an answer.
async function untilAnswered(ask) {
  for (let tries = 0; ; tries++) {
    try {
      const reply = await ask();
      if (reply.status < 500) return reply;
    } catch (error) {
      if (tries > 1000) throw error;
    }
    await sleep(20);
  }
}

async function subscribe(report) {
  const body = { report, destination: { subscription_type: "branch" } };
  const made = await api.call("POST", `/scheduled-exports/logs/subscribe?organization_id=${api.organizationId}`, { body });
  await api.waitActive(made.subscription_id);
  assert.deepEqual(await api.backfill(made.subscription_id, day, end), { windows: hours, created: hours });
  return made.subscription_id;
}

const listJobs = (id, scope) => untilAnswered(() => api.raw("POST", `/scheduled-exports/logs/subscription/${id}/jobs?${scope}`));

// Both lists of all jobs, when they hold as many rows as were sent and nothing is under way.
async function settledJobs(name) {
  const wanted = oracle.expected(reports[name], day, end).length;
  let state = "";
  return waitFor(() => `${wanted} rows of ${name}; now ${state}`, async () => {
    const { json: jobs } = await listJobs(ids[name], `organization_id=${api.organizationId}`);
    const failed = jobs.find((job) => job.status === "FAILED");
    assert.equal(failed, undefined, JSON.stringify(failed));
    const rows = jobs.reduce((sum, job) => sum + job.lines_exported, 0);
    state = `${rows} in ${jobs.length}`;
    assert.ok(rows <= wanted, `${name}: rows came twice: ${state}`);
    return rows === wanted && jobs.every((job) => job.status === "SUCCEEDED") && jobs;
  }, 60_000, 100);
}

async function assertEveryRowOnce(name) {
  const report = reports[name];
  const jobs = await settledJobs(name);
  const { json: byApp } = await listJobs(ids[name], `app_id=${apps[1]}`);
  assert.deepEqual(byApp.map((job) => job.job_id), jobs.map((job) => job.job_id), "one list, whichever id is named");
  for (let at = day; at < end; at += HOUR_MS) {
    const rows = [];
    for (const job of jobs.filter((item) => readDate(item.start_date) === at)) {
      const read = await readJob(api, job, report, orderTypes);
      for (const [index, { key, rows: count }] of read.manifest.files.entries()) {
        const appId = /\/app_id=(\d+)\//.exec(key)[1];
        const before = read.manifest.files.slice(0, index).reduce((sum, file) => sum + file.rows, 0);
        for (const row of read.rows.slice(before, before + count)) assert.equal(row.app_id, appId, `a row of another app in ${key}`);
      }
      rows.push(...read.rows);
    }
    assertSameRows(rows, oracle.expected(report, at, at + HOUR_MS), fields, `${name} ${new Date(at).toISOString()}`);
  }
  return jobs;
}

test("30 apps, in each format: one job for each window, with every row of the organization once", async () => {
  for (const name of Object.keys(reports)) {
    const jobs = await assertEveryRowOnce(name);
    assert.equal(jobs.length, hours);
    for (const job of jobs) assert.ok(job.export_url.length >= appCount - 1, `${job.export_url.length} files`);
  }
});

test("late rows, also of an app that is new and of one that was deleted meanwhile, come in next revisions", async () => {
  await send(apps[3], 100, 15);
  await send(await addApp("new"), 101, 15);
  await send(apps[4], 102, 15);
  await api.admin("DELETE", `/v1/admin/apps/${apps[4]}`);
  const refused = await api.ingestRaw("orders", toLines(makeOrders(103, 1, day, end)), { appId: apps[4] });
  assert.notEqual(refused.status, 200);
  for (const name of Object.keys(reports)) {
    const jobs = await assertEveryRowOnce(name);
    assert.ok(jobs.some((job) => job.revision > 0), "there is a next revision");
  }
});

test("kill -9 of processes and of everything, while late rows come: still every row once", async () => {
  const living = apps.filter((_, index) => index !== 4);
  for (let round = 0; round < 12; round++) {
    await Promise.all([send(random.pick(living), 200 + round, 10), send(random.pick(living), 300 + round, 10)]);
    await sleep(random.below(700));
    if (round % 4 === 3) {
      await server.killHard();
      await server.start();
    } else {
      process.kill(random.pick(childrenOf(server.pid)), "SIGKILL");
    }
  }
  for (const name of Object.keys(reports)) {
    await assertEveryRowOnce(name);
    for (const window of (await untilAnswered(() => api.raw("GET", `/v1/subscriptions/${ids[name]}/windows`))).json.filter((item) => item.state !== "OPEN")) {
      const ends = await Promise.all(window.jobs.filter((job) => job.lines_exported > 0).map((job) => api.manifest(job.job_id)));
      for (let index = 1; index < ends.length; index++) assert.ok(ends[index].range.seq_lo >= ends[index - 1].range.seq_hi, "ranges do not overlap");
    }
  }
});
