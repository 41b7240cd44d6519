// SPDX-License-Identifier: Apache-2.0
// The crash loop: kill -9 of every kind of process at random moments, under ingest and export load. Then:
// no acknowledged event lost, no window missing, no row doubled, every job told of, nothing left lying about.
// CRASH_ROUNDS (200) is the number of kills, CRASH_SEED repeats a run's choices.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";

import { Api, HOUR_MS, readDate, toLines } from "./lib/api.mjs";
import { declaredOrderTypes, makeOrder, makeRandom, orderFields, orderTypes } from "./lib/events.mjs";
import { Sink, stopClouds } from "./lib/clouds.mjs";
import { Oracle, assertSameRows, readJob } from "./lib/oracle.mjs";
import { Server, isAlive, stopAll } from "./lib/server.mjs";
import { sleep, waitFor } from "./lib/wait.mjs";
import { askWebhook } from "./lib/webhooks.mjs";

const rounds = Number(process.env.CRASH_ROUNDS ?? 200);
const seed = Number(process.env.CRASH_SEED ?? Date.now() % 1_000_000);
const start = Date.parse("2024-08-01T00:00:00Z");
const hours = 12;
const end = start + hours * HOUR_MS;
const random = makeRandom(seed);
const oracles = { csv: new Oracle(orderTypes), json: new Oracle(orderTypes), parquet: new Oracle(orderTypes) };
const reports = {
  csv: { cadence: "hourly", response_format: "csv", report_type: "orders", report_fields: orderFields },
  json: { cadence: "hourly", response_format: "json", response_format_compression: "zstd", report_type: "orders", report_fields: ["id", "name", "price"],
    filter: ["not", ["eq", "name", "PURCHASE"]] },
  parquet: { cadence: "hourly", response_format: "parquet", report_type: "orders", report_fields: ["timestamp", "id", "amount"], filter: ["gt", "amount", 10] },
};

after(stopAll);
after(stopClouds);

class Load {
  constructor(server, api, subscriptions) {
    Object.assign(this, { server, api, subscriptions, isRunning: true, batches: 0, events: 0, retries: 0, harvested: new Map() });
  }

  // One client: sends batches, each until it is known to be acknowledged.
  async send(client) {
    for (let number = 0; this.isRunning; number++) {
      const count = 1 + random.below(40);
      const batch = Array.from({ length: count }, () => makeOrder(random, start + random.below(end - start)));
      const reply = await this.untilAnswered(() => this.api.ingestRaw("orders", toLines(batch),
        { headers: { "Idempotency-Key": `${client}-${number}` }, keepAlive: random.below(2) === 0, timeoutMs: 20_000 }));
      assert.equal(reply.status, 200, reply.text);
      assert.equal(reply.json.accepted, count);
      for (const oracle of Object.values(oracles)) oracle.add(batch);
      this.batches++;
      this.events += count;
      await sleep(random.below(15));
    }
  }

  // Repeats a request until it has an answer that is not "later".
  async untilAnswered(ask) {
    for (;;) {
      try {
        const reply = await ask();
        if (reply.status < 500 && reply.status !== 409) return reply;
        assert.ok([503, 507, 409].includes(reply.status), `${reply.status} ${reply.text}`);
      } catch (error) {
        if (error.code === "ERR_ASSERTION") throw error;
      }
      this.retries++;
      await sleep(20);
    }
  }

  // Backfills every window, then looks on and remembers what it saw of finished jobs: they must not change.
  async watch() {
    const { api } = this;
    const body = { start_date: new Date(start).toISOString(), end_date: new Date(end).toISOString() };
    for (const id of Object.values(this.subscriptions)) {
      const reply = await this.untilAnswered(() => api.raw("POST", `/v1/subscriptions/${id}/backfill?app_id=${api.appId}`, { body, keepAlive: false }));
      assert.deepEqual([reply.status, reply.json.windows], [200, hours], reply.text);
    }
    while (this.isRunning) {
      for (const id of Object.values(this.subscriptions)) {
        const reply = await this.untilAnswered(() => api.raw("POST", `/scheduled-exports/logs/subscription/${id}/jobs?app_id=${api.appId}`, { keepAlive: false }));
        assert.equal(reply.status, 200, reply.text);
        for (const job of reply.json) this.remember(job);
      }
      await sleep(150);
    }
  }

  remember(job) {
    assert.notEqual(job.status, "FAILED", JSON.stringify(job));
    const known = this.harvested.get(job.job_id);
    const text = JSON.stringify([job.status, job.lines_exported, job.sha256, job.revision, job.start_date]);
    if (known?.status === "SUCCEEDED") assert.equal(text, known.text, "a SUCCEEDED job never changes");
    if (job.status === "SUCCEEDED") assert.equal(job.export_url.length, 1, "a SUCCEEDED job has its file");
    this.harvested.set(job.job_id, { status: job.status, text });
  }
}

async function killOnce(server, kills) {
  await sleep(30 + random.below(350));
  if (random.below(8) === 0) {
    const port = new URL(server.base).port;
    const children = server.children();
    await server.killHard();
    kills.supervisor = (kills.supervisor ?? 0) + 1;
    await waitFor("children to follow the supervisor", () => children.every((pid) => !isAlive(pid)), 5000, 5);
    server.listen = `127.0.0.1:${port}`;
    await server.start();
    return;
  }
  const children = await waitFor("children", () => server.children().length > 0 && server.children(), 10_000, 5);
  try {
    process.kill(random.pick(children), "SIGKILL");
    kills.child = (kills.child ?? 0) + 1;
  } catch {
    // ended by itself meanwhile
  }
}

// What the supervisor said about the children that it lost.
function countByRole(log) {
  const counts = {};
  for (const [, role, how] of log.matchAll(/event=process_ended process=(\w+) how="([^"]*)"/g))
    if (!how.startsWith("exit 0")) counts[role] = (counts[role] ?? 0) + 1;
  return counts;
}

async function assertComplete(api, id, report, oracle) {
  const expected = Array.from({ length: hours }, (_, index) => oracle.expected(report, start + index * HOUR_MS, start + (index + 1) * HOUR_MS));
  const total = expected.reduce((sum, rows) => sum + rows.length, 0);
  let seen = 0;
  let windows = [];
  let jobs = [];
  const what = () => `all rows of ${report.response_format}: ${seen} of ${total}; ledger: ` + windows.map((window, index) =>
    `\n${window.start_date} ${window.state}, ${expected[index]?.length} rows: ${window.jobs.map((job) => `r${job.revision} ${job.status} ${job.lines_exported} ${job.reason ?? ""}`)}`).join("");
  await waitFor(what, async () => {
    [jobs, windows] = [await api.jobs(id), await api.windows(id)];
    seen = jobs.reduce((sum, job) => sum + job.lines_exported, 0);
    assert.ok(seen <= total, `${report.response_format}: ${seen} rows delivered, ${total} acknowledged`);
    return seen === total && jobs.every((job) => job.status === "SUCCEEDED");
  }, 90_000, 200);
  for (let index = 0; index < hours; index++) {
    const at = start + index * HOUR_MS;
    const revisions = jobs.filter((job) => readDate(job.start_date) === at).sort((a, b) => a.revision - b.revision);
    assert.ok(revisions.length > 0, `window ${new Date(at).toISOString()} is missing`);
    const rows = [];
    let seqEnd = 0;
    for (const job of revisions) {
      const { rows: part, manifest } = await readJob(api, job, report, orderTypes);
      assert.ok(manifest.range.seq_lo >= seqEnd && manifest.range.seq_hi > manifest.range.seq_lo, "ranges do not overlap");
      seqEnd = manifest.range.seq_hi;
      rows.push(...part);
    }
    assertSameRows(rows, expected[index], report.report_fields, `${report.response_format} ${new Date(at).toISOString()}`);
  }
  return { jobs: jobs.length, rows: total };
}

// Each job was told of by one notice, which may have come several times.
async function assertTold(api, subscriptions, sink) {
  const jobs = (await Promise.all(Object.values(subscriptions).map((id) => api.jobs(id)))).flat().map(({ job_id: id }) => id).sort();
  const noticesOf = (id) => new Set(sink.deliveries.map(({ json }) => json).filter(({ job }) => job.job_id === id).map(({ notice_id: noticeId }) => noticeId));
  const silent = () => jobs.filter((id) => noticesOf(id).size === 0);
  await waitFor(() => `${silent().length} of ${jobs.length} jobs to be told`, () => silent().length === 0, 60_000, 200);
  assert.deepEqual(jobs.filter((id) => noticesOf(id).size !== 1), [], "one notice each");
  assert.deepEqual([...new Set(sink.deliveries.map(({ json }) => json.job.job_id))].sort(), jobs, "and of nothing else");
  assert.ok(sink.deliveries.every(({ json }) => json.event === "job_succeeded" && json.job.status === "SUCCEEDED"));
}

function leftovers(directory) {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(directory.length + 1))
    .filter((name) => /\.(part|tmp|temp|partial)(\.|$)/.test(name) || name.startsWith("tmp/") || /(^|\/)\.[^/]*(tmp|part)/.test(name));
}

test(`${rounds} kills under load (seed ${seed})`, { timeout: 120_000 + rounds * 3000 }, async (context) => {
  const options = { args: { "schedule-late-gap-ms": 2000, "worker-lease-ms": 2000, "worker-lost-limit": 1000, "lake-garbage-grace-ms": 2000,
    "destinations-allowed-networks": "127.0.0.1", "notify-back-off-ms": 200, "notify-back-off-max-ms": 1000 } };
  const [server, sink] = [await Server.start(options), await Sink.start()];
  const api = new Api(server);
  await askWebhook(api, `${sink.endpoint}/told`);
  await api.declareTopic("orders", declaredOrderTypes);
  await api.ingest("orders", [{ timestamp: start - 1, id: "before" }]);
  const subscriptions = {};
  for (const [name, report] of Object.entries(reports)) subscriptions[name] = await api.subscribe(report);

  const load = new Load(server, api, subscriptions);
  const clients = [load.send("a"), load.send("b"), load.send("c"), load.watch()];
  const failed = Promise.all(clients);
  failed.catch(() => {});
  const kills = {};
  for (let round = 0; round < rounds; round++) await Promise.race([killOnce(server, kills), failed.then(() => {})]);
  load.isRunning = false;
  await failed;

  const results = {};
  for (const [name, report] of Object.entries(reports)) results[name] = await assertComplete(api, subscriptions[name], report, oracles[name]);
  await assertTold(api, subscriptions, sink);
  const roles = countByRole(server.log);
  const left = () => `${leftovers(server.directory).length} leftovers to be removed, such as ${leftovers(server.directory).slice(0, 3)}`;
  await waitFor(left, () => leftovers(server.directory).length === 0, 10_000, 200);
  assert.deepEqual(await server.stop(), { code: 0, signal: null });
  assert.deepEqual(leftovers(server.directory), [], "nothing left in the data directory");
  context.diagnostic(`kills ${JSON.stringify(kills)} by role ${JSON.stringify(roles)}; ${load.batches} batches, ${load.events} events, ` +
    `${load.retries} retries; ${JSON.stringify(results)}`);
  if (rounds >= 100) for (const role of ["api", "worker", "keeper", "notifier", "scheduler"]) assert.ok(roles[role] > 0, `${role} was killed`);
});
