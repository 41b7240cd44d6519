// SPDX-License-Identifier: Apache-2.0
// Deliveries under kill -9, of single workers and of all processes at once, at random moments of upload and publishing: into a
// customer's bucket (small files, and large ones in parts), into a hosted bucket on S3, and by mail. Then objects, manifests and
// the states of jobs agree, nothing is there twice, nothing is left open.
// CRASH_ROUNDS (15) is the number of kills, CRASH_SEED repeats a run's choices.
import assert from "node:assert/strict";
import { after, test } from "node:test";

import { HOUR_MS, readDate } from "./lib/api.mjs";
import { Smtp, stopClouds } from "./lib/clouds.mjs";
import { Site, assertDelivered, bigReport, bytesBelow, distinct, exportTo, ingestBig, listJobs, manifestKey, readDelivered } from "./lib/deliver.mjs";
import { declaredOrderTypes, makeOrders, makeRandom, orderFields, orderTypes } from "./lib/events.mjs";
import { Oracle, sha256 } from "./lib/oracle.mjs";
import { isAlive, stopAll } from "./lib/server.mjs";
import { sleep, waitFor } from "./lib/wait.mjs";
import { join } from "node:path";

const MIB = 1024 * 1024;
const rounds = Number(process.env.CRASH_ROUNDS ?? 15);
const seed = Number(process.env.CRASH_SEED ?? Date.now() % 1_000_000);
const random = makeRandom(seed);
const start = Date.parse("2024-02-01T00:00:00Z");
const bigHours = 4;
const report = { cadence: "hourly", report_type: "orders", report_fields: orderFields };
const address = "crash@customer.example";

after(async () => {
  await stopAll();
  await stopClouds();
});

// Requests that take their time, so that kills come into the middle of them.
function slowDown(s3) {
  s3.faults.always({ test: ({ key }) => key?.includes("v2/") && random.below(3) > 0 }, { name: "slow", head: () => sleep(random.below(60)), read: () => sleep(random.below(60)),
    send: async (exchange, reply) => {
      await sleep(random.below(40));
      await exchange.send(reply);
    } });
}

class Load {
  constructor(site, smtp) {
    Object.assign(this, { site, smtp, api: site.api, oracle: new Oracle(orderTypes), hours: 0, big: [], seen: new Map(), retries: 0 });
  }

  // Repeats what failed because the server was away.
  async insist(ask) {
    for (;;) {
      try {
        return await ask();
      } catch (error) {
        if (error.code === "ERR_ASSERTION" || /answered 4\d\d/.test(error.message)) throw error;
      }
      this.retries++;
      await sleep(30);
    }
  }

  async prepare() {
    const { api, site } = this;
    const count = rounds * 2 + 2;
    await api.declareTopic("orders", declaredOrderTypes);
    const events = makeOrders(seed, count * 12, start, start + count * HOUR_MS);
    await api.ingest("orders", events);
    this.oracle.add(events);
    this.target = site.makeTarget("customer", { prefix: "small" });
    this.hosted = site.s3.bucket("hosted");
    const subscribe = (destination, own = distinct(report)) => exportTo(api, own, destination, start, start + HOUR_MS);
    this.reports = { bucket: distinct(report), hosted: distinct(report), mail: distinct(report) };
    this.ids = { bucket: await subscribe(this.target.destination, this.reports.bucket), hosted: await subscribe({ subscription_type: "branch" }, this.reports.hosted),
      mail: await subscribe({ subscription_type: "email", recipient_emails: [address] }, this.reports.mail) };
    this.hours = 1;
    this.files = [];
    for (let hour = 0; hour < bigHours; hour++) this.files.push(await ingestBig(api, 16 * MIB + 1 + hour, start + hour * HOUR_MS, { idPrefix: `h${hour}-` }));
    for (let index = 0; index < Math.ceil(rounds / 3 / bigHours); index++) {
      const target = site.makeTarget(`large-${index}`);
      this.big.push({ target, id: await exportTo(api, distinct(bigReport), target.destination, start, start + HOUR_MS), hours: 1 });
    }
  }

  // Two more hours for each subscription; every third time a large file.
  async ask(round) {
    const { api } = this;
    const from = start + this.hours * HOUR_MS;
    this.hours += 2;
    for (const id of Object.values(this.ids)) await this.insist(() => api.backfill(id, from, from + 2 * HOUR_MS));
    const large = this.big.find(({ hours }) => hours < bigHours);
    if (round % 3 === 0 && large) {
      const at = start + large.hours++ * HOUR_MS;
      await this.insist(() => api.backfill(large.id, at, at + HOUR_MS));
    }
  }

  // What is SUCCEEDED has its objects now, and stays as it is.
  async look() {
    const { api, target } = this;
    for (const job of await this.insist(() => listJobs(api, this.ids.bucket))) {
      assert.notEqual(job.status, "FAILED", JSON.stringify(job));
      if (job.status !== "SUCCEEDED") continue;
      assert.ok(target.bucket.objects.has(manifestKey(api, job, target)), `the manifest of ${job.job_id}`);
      const text = JSON.stringify(job);
      assert.equal(this.seen.get(job.job_id) ?? text, text, "a SUCCEEDED job does not change");
      this.seen.set(job.job_id, text);
    }
  }
}

async function killOnce(server, kills) {
  await sleep(random.below(500));
  const children = await waitFor("children", () => server.children().length > 2 && server.children(), 10_000, 5);
  if (random.below(3) === 0) {
    const port = new URL(server.base).port;
    for (const pid of [server.pid, ...children]) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // ended meanwhile
      }
    }
    await server.ended;
    await waitFor("all to be gone", () => children.every((pid) => !isAlive(pid)), 5000, 5);
    kills.all = (kills.all ?? 0) + 1;
    server.listen = `127.0.0.1:${port}`;
    await server.start();
    return;
  }
  const api = server.apiPid();
  try {
    process.kill(random.pick(children.filter((pid) => pid !== api)), "SIGKILL");
    kills.one = (kills.one ?? 0) + 1;
  } catch {
    // ended meanwhile
  }
}

async function allDone(load) {
  const { api } = load;
  const ids = [...Object.values(load.ids), ...load.big.map(({ id }) => id)];
  let states = {};
  await waitFor(() => `all jobs to be done: ${JSON.stringify(states)}`, async () => {
    const jobs = (await Promise.all(ids.map((id) => listJobs(api, id)))).flat();
    states = {};
    for (const { status } of jobs) states[status] = (states[status] ?? 0) + 1;
    const failed = jobs.find(({ status }) => status === "FAILED");
    assert.equal(failed, undefined, JSON.stringify(failed));
    return jobs.every(({ status }) => status === "SUCCEEDED");
  }, 120_000 + rounds * 2000, 200);
  return states.SUCCEEDED;
}

async function assertBig({ target, id }, load) {
  const keys = [];
  for (const job of await listJobs(load.api, id)) {
    const { manifest, keys: own } = await readDelivered(load.api, job, { ...target, report: bigReport });
    const file = load.files[(readDate(job.start_date) - start) / HOUR_MS];
    assert.deepEqual(manifest.files.map(({ bytes, sha256: hash, rows }) => ({ size: bytes, sha256: hash, rows })), [file]);
    keys.push(...own);
  }
  assert.deepEqual(target.bucket.keys, keys.sort());
  target.bucket.assertWrittenOnce(keys);
  target.bucket.assertNothingOpen();
}

async function assertHosted(load) {
  const { api, hosted } = load;
  const keys = [];
  for (const id of [load.ids.hosted, load.ids.mail])
    for (const job of await listJobs(api, id)) {
      const manifest = await api.manifest(job.job_id);
      for (const { key, sha256: hash } of manifest.files) {
        assert.equal(sha256(await hosted.bytes(`h/${key}`)), hash, key);
        keys.push(`h/${key}`);
      }
    }
  assert.deepEqual(hosted.keys, keys.sort(), "the hosted bucket has the files of jobs and no others");
  hosted.assertWrittenOnce(keys);
  hosted.assertNothingOpen();
}

async function assertMails(load) {
  const jobs = await listJobs(load.api, load.ids.mail);
  const mails = load.smtp.mailsTo(address).map(({ mail }) => mail).filter(({ subject }) => /^Export of/.test(subject));
  const ids = new Set();
  for (const { job_id: id } of jobs) {
    const own = new Set(mails.filter((mail) => mail.text.includes(id)).map((mail) => mail.header("Message-ID")));
    assert.equal(own.size, 1, `mails of ${id}: ${[...own]}`);
    ids.add([...own][0]);
  }
  assert.equal(ids.size, jobs.length, "a name for each job");
  return mails.length - jobs.length;
}

test(`${rounds} kills during deliveries (seed ${seed})`, { timeout: 120_000 + rounds * 10_000 }, async (context) => {
  const smtp = await Smtp.start();
  const site = await Site.start({
    args: { workers: 3, "worker-lease-ms": 2000, "worker-lost-limit": 1000, "base-url": "https://exports.example" },
    env: { MILKRUN_SMTP_URL: `smtp://127.0.0.1:${smtp.port}`, MILKRUN_SMTP_FROM: "exports@milkrun.example", MILKRUN_SMTP_TLS: "none" },
    hosted: "hosted",
  });
  const load = new Load(site, smtp);
  await load.prepare();
  slowDown(site.s3);
  const kills = {};
  for (let round = 0; round < rounds; round++) {
    await load.ask(round);
    await killOnce(site.server, kills);
    await load.look();
  }
  site.s3.faults.clear();
  const count = await allDone(load);
  await load.look();
  await assertDelivered(site.api, { ...load.target, id: load.ids.bucket, report: load.reports.bucket, oracle: load.oracle, start, end: start + load.hours * HOUR_MS });
  for (const big of load.big) await assertBig(big, load);
  await assertHosted(load);
  const twice = await assertMails(load);
  await waitFor("the spool to be empty", () => bytesBelow(join(site.server.directory, "spool")) === 0, 30_000, 200);
  assert.deepEqual(await site.server.stop(), { code: 0, signal: null });
  for (const rig of [site.s3, site.sts]) rig.assertSound();
  smtp.assertSound();
  context.diagnostic(`kills ${JSON.stringify(kills)}; ${count} jobs, ${load.retries} requests repeated, ${twice} mails sent twice`);
});
