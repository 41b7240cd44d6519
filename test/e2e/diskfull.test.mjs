// SPDX-License-Identifier: Apache-2.0
// A full disk: ingest answers 507 or 503, jobs wait, no short file is ever seen; all goes on when there is
// space again, without a restart.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { appendFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";

import { Api, HOUR_MS, toLines } from "./lib/api.mjs";
import { makeRandom } from "./lib/events.mjs";
import { Oracle, assertExported } from "./lib/oracle.mjs";
import { Server, initData, stopAll } from "./lib/server.mjs";
import { temporaryDirectory } from "./lib/temp.mjs";
import { sleep, waitFor } from "./lib/wait.mjs";

const start = Date.parse("2024-09-01T00:00:00Z");
const types = { timestamp: "timestamp", id: "string", text: "string" };
const report = { cadence: "hourly", report_type: "full", report_fields: ["timestamp", "id", "text"] };
const mounts = [];

// A file system of its own; undefined (with the reason) when this user may not mount.
function mountSmall(mebibytes) {
  const folder = temporaryDirectory("small");
  const result = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${mebibytes}m`, "tmpfs", folder], { encoding: "utf8" });
  if (result.error || result.status !== 0) return { reason: `mount is not permitted here: ${(result.stderr || String(result.error)).trim()}` };
  mounts.push(folder);
  return { folder };
}

after(async () => {
  await stopAll();
  for (const folder of mounts) spawnSync("umount", [folder]);
});

const random = makeRandom(99);
let lastId = 0;

// Text that does not compress, so that the disk fills.
function makeBatch(count, hour) {
  return Array.from({ length: count }, () => ({ timestamp: start + hour * HOUR_MS + random.below(HOUR_MS), id: `f${++lastId}`,
    text: Array.from({ length: 40 }, () => random.below(2 ** 32).toString(36)).join("") }));
}

// Takes all space that is left; returns what gives it back.
function fillUp(folder) {
  const file = join(folder, "filler");
  const chunk = Buffer.alloc(1 << 20);
  for (let size = chunk.length; size >= 4096; )
    try {
      appendFileSync(file, chunk.subarray(0, size));
    } catch {
      size /= 2;
    }
  return () => rmSync(file, { force: true });
}

async function startOnSmallDisk(context, mebibytes) {
  const { folder, reason } = mountSmall(mebibytes);
  if (!folder) return context.skip(reason);
  const server = await Server.start({ args: { "ingest-file-bytes": 4 << 20, "worker-lease-ms": 2000, "schedule-late-gap-ms": 1000 } }, initData(join(folder, "data")));
  return { folder, server, api: new Api(server), oracle: new Oracle(types) };
}

async function sendBatch({ api, oracle }, batch, key) {
  const reply = await api.ingestRaw("full", toLines(batch), { headers: { "Idempotency-Key": key }, keepAlive: false });
  if (reply.status === 200) oracle.add(batch);
  return reply;
}

function assertRefusal(reply) {
  assert.ok([507, 503].includes(reply.status), `${reply.status}: ${reply.text}`);
  assert.equal(reply.json.error.code, reply.status);
  assert.ok(reply.headers["retry-after"], "Retry-After");
}

test("ingest is refused while the disk is full, nothing acknowledged is lost, goes on by itself", { timeout: 120_000 }, async (context) => {
  const site = await startOnSmallDisk(context, 64);
  if (!site) return;
  const { api, server, folder, oracle } = site;
  for (let number = 0; number < 10; number++) assert.equal((await sendBatch(site, makeBatch(200, number % 3), `a${number}`)).status, 200);
  const free = fillUp(folder);
  const refused = [];
  for (let number = 0; number < 200 && refused.length < 5; number++) {
    const batch = makeBatch(400, number % 3);
    const reply = await sendBatch(site, batch, `b${number}`);
    if (reply.status !== 200) {
      assertRefusal(reply);
      refused.push({ batch, key: `b${number}` });
    }
  }
  assert.equal(refused.length, 5, "the disk became full");
  assert.equal((await server.request({ path: "/healthz" })).status, 200);
  free();
  for (const { batch, key } of refused)
    await waitFor("the refused batch to be taken", async () => (await sendBatch(site, batch, key)).status === 200, 20_000, 200);
  const { id, jobs } = await api.exportRange(report, start, start + 3 * HOUR_MS);
  await assertExported(api, { id, report, oracle, start, end: start + 3 * HOUR_MS, stepMs: HOUR_MS, jobs, isOrdered: false });
  assert.deepEqual(await server.stop(), { code: 0, signal: null });
});

test("jobs wait while the disk is full and deliver whole files afterwards", { timeout: 120_000 }, async (context) => {
  const site = await startOnSmallDisk(context, 64);
  if (!site) return;
  const { api, server, folder, oracle } = site;
  for (let number = 0; number < 20; number++) assert.equal((await sendBatch(site, makeBatch(500, number % 3), `a${number}`)).status, 200);
  const id = await api.subscribe(report);
  await waitFor("the log to be sealed", async () => /event=\w*seal/.test(server.log) || (await sleep(4000), true));
  const free = fillUp(folder);
  const asked = await api.raw("POST", `/v1/subscriptions/${id}/backfill?app_id=${api.appId}`,
    { body: { start_date: new Date(start).toISOString(), end_date: new Date(start + 3 * HOUR_MS).toISOString() } });
  if (asked.status !== 200) assertRefusal(asked);
  const until = Date.now() + 6000;
  while (Date.now() < until) {
    const reply = await api.raw("POST", `/scheduled-exports/logs/subscription/${id}/jobs?app_id=${api.appId}`);
    if (reply.status !== 200) assertRefusal(reply);
    else
      for (const job of reply.json) {
        assert.notEqual(job.status, "FAILED", JSON.stringify(job));
        if (job.status === "SUCCEEDED") assert.ok(job.lines_exported > 0, "never a short file");
      }
    await sleep(300);
  }
  free();
  const body = { start_date: new Date(start).toISOString(), end_date: new Date(start + 3 * HOUR_MS).toISOString() };
  await waitFor("backfill", async () => (await api.raw("POST", `/v1/subscriptions/${id}/backfill?app_id=${api.appId}`, { body })).status === 200, 20_000, 200);
  const jobs = await api.waitJobs(id, 3, 60_000);
  await assertExported(api, { id, report, oracle, start, end: start + 3 * HOUR_MS, stepMs: HOUR_MS, jobs, isOrdered: false });
  assert.deepEqual(await server.stop(), { code: 0, signal: null });
});

test("a restart on a full disk loses nothing", { timeout: 120_000 }, async (context) => {
  const site = await startOnSmallDisk(context, 64);
  if (!site) return;
  const { api, server, folder, oracle } = site;
  for (let number = 0; number < 5; number++) assert.equal((await sendBatch(site, makeBatch(300, 0), `a${number}`)).status, 200);
  const free = fillUp(folder);
  await server.killHard();
  const restarted = await server.start().then(() => true, () => false);
  await sleep(500);
  free();
  if (!restarted) await server.start();
  await waitFor("ingest to go on", async () => (await sendBatch(site, makeBatch(1, 0), `z${lastId}`)).status === 200, 20_000, 200);
  const { id, jobs } = await api.exportRange(report, start, start + HOUR_MS);
  await assertExported(api, { id, report, oracle, start, end: start + HOUR_MS, stepMs: HOUR_MS, jobs, isOrdered: false });
  await server.stop();
});
