// SPDX-License-Identifier: Apache-2.0
// A store that fails in every way at every request of a delivery of small files: it goes well or it is FAILED with nothing left,
// in a bounded number of requests; never SUCCEEDED with an object that is missing, short or wrong. The same for who gives
// credentials. Files in parts: deliver_faults_parts.test.mjs.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { HOUR_MS } from "./lib/api.mjs";
import { Rig, S3, behaviours, policies, stopClouds } from "./lib/clouds.mjs";
import { Site, assertDelivered, distinct, exportTo, listJobs, settled, subscribeTo, waitForJobs, waitSucceeded } from "./lib/deliver.mjs";
import { declaredOrderTypes, makeOrders, orderFields, orderTypes } from "./lib/events.mjs";
import { FaultRuns, doubtful, passing, refusing, runAll } from "./lib/fault_runs.mjs";
import { readFile } from "./lib/files.mjs";
import { Oracle, assertSameRows } from "./lib/oracle.mjs";
import { stopAll } from "./lib/server.mjs";
import { waitFor } from "./lib/wait.mjs";

const start = Date.parse("2024-02-01T07:00:00Z");
const end = start + HOUR_MS;
const report = { cadence: "hourly", report_type: "orders", report_fields: orderFields };
const oracle = new Oracle(orderTypes);
let site;
let api;
let elsewhere;
let connected;

before(async () => {
  site = await Site.start({ args: { workers: 16, "worker-lease-ms": 5000 } });
  api = site.api;
  elsewhere = await Rig.start();
  await api.declareTopic("orders", declaredOrderTypes);
  const events = makeOrders(1, 200, start, end);
  await api.ingest("orders", events);
  oracle.add(events);
  connected = await site.makeConnected("store");
});
after(async () => {
  await stopAll();
  await stopClouds();
});

async function checkRows(_, { files }) {
  const rows = [];
  for (const bytes of files) rows.push(...(await readFile(bytes, report, orderTypes)).rows);
  assertSameRows(rows, oracle.expected(report, start, end), orderFields, "rows of the object");
}

const lostAnswers = [behaviours.closedAfter(), behaviours.resetInReply(0), behaviours.errorAfter(500, "InternalError"), behaviours.stallAfter()];
const connect = (name, rig, key = connected.key) => api.admin("POST", "/v1/admin/connections",
  { name, kind: "s3", endpoint: rig.endpoint, region: rig.region, access_key_id: key.keyId, secret_access_key: key.secret });
const runsOn = (rig, connection) => new FaultRuns({ api, rig, report, start, end, check: checkRows,
  makeDestination: (bucket) => ({ subscription_type: "cloud", cloud: "s3", bucket, resource_access_id: connection }) });

test("every behaviour at every request", { timeout: 300_000, concurrency: 16 }, async (context) => {
  const runs = runsOn(site.s3, "store");
  const steps = await runs.learn();
  assert.ok(steps.filter((step) => step === "PutObject").length >= 2, steps.join(" "));
  const cases = [];
  for (const [step, operation] of steps.entries()) {
    const at = (behaviour, options) => cases.push({ name: `${behaviour.name} at request ${step + 1}, ${operation}`, run: () => runs.run(behaviour, { step, ...options }) });
    for (const behaviour of [...passing, ...doubtful]) at(behaviour);
    for (const behaviour of refusing(elsewhere)) at(behaviour, { mustSucceed: false, mayLeave: behaviour.name === "damaged in the store" });
  }
  await runAll(context, cases);
  assert.deepEqual(elsewhere.requests().map(String), [], "nobody went elsewhere");
  assert.equal(elsewhere.connections, 0, "nobody even connected");
});

test("of replies without an end little is read", () => {
  for (const entry of site.s3.requests().filter(({ fault }) => /of \d+ bytes|without an end/.test(fault ?? "")))
    assert.ok((entry.replyBytes ?? 0) < 24 * 1024 * 1024, `${entry.replyBytes} bytes: ${entry}`);
});

test("a failure that stays is asked again a bounded number of times, then waits, and all is well when it ends", { concurrency: 16 }, async (context) => {
  const always = [behaviours.slowDown(), behaviours.internalError(), behaviours.resetInRequest(0), behaviours.okWithNothing(), behaviours.closedBefore()];
  await runAll(context, always.map((behaviour, index) => ({ name: behaviour.name, async run() {
    const name = `always-${index}`;
    const bucket = site.s3.makeBucket(name);
    const destination = { subscription_type: "cloud", cloud: "s3", bucket: name, resource_access_id: "store" };
    const own = distinct(report);
    const rule = site.s3.faults.always({ bucket: name, key: /v2\// }, behaviour);
    const id = await exportTo(api, own, destination, start, end);
    const [job] = await waitFor("the job to wait", async () => {
      const jobs = await listJobs(api, id);
      return jobs[0]?.reason && jobs;
    }, 90_000);
    assert.ok(rule.hits <= 50, `${rule.hits} requests before the job was put off`);
    assert.equal(job.status, "PENDING_UPLOAD", `${job.reason} is not final`);
    assert.doesNotMatch(job.reason, /127\.0\.0\.1/);
    rule.times = rule.hits;
    await waitSucceeded(api, id, { timeoutMs: 60_000 });
    await assertDelivered(api, { bucket, id, report: own, oracle, start, end });
  } })));
});

test("tags that are always wrong: what was stored is read, and proves right or wrong; who may not read it cannot trust it", async () => {
  const deliverTo = async (name, behaviour, policy) => {
    const target = site.makeTarget(name, { policy });
    site.s3.faults.always({ bucket: name, key: /v2\//, operation: "PutObject" }, behaviour);
    const own = distinct(report);
    const id = await exportTo(api, own, target.destination, start, end);
    const [job] = await waitForJobs(api, id, { timeoutMs: 90_000 });
    return { job, id, own, ...target };
  };
  const right = await deliverTo("wrong-tags", behaviours.wrongEtag());
  await assertDelivered(api, { ...right, report: right.own, oracle, start, end });
  for (const [name, behaviour, policy] of [["damaging", behaviours.damageStored()], ["wrong-tags-unread", behaviours.wrongEtag(), policies.putOnly],
    ["no-tags-unread", behaviours.missingEtag(), policies.putOnly]]) {
    const { job, bucket } = await deliverTo(name, behaviour, policy);
    assert.equal(job.status, "FAILED", `${name}: ${JSON.stringify(job)}`);
    assert.match(job.reason, /upload_integrity|cannot be compared/);
    assert.deepEqual(bucket.keys.filter((key) => key.endsWith("_manifest.json")), []);
  }
});

test("after the time that it may take it is FAILED, says why, and nothing is left", async () => {
  const short = await Site.start({ args: { "worker-retry-limit-ms": 2000 } });
  await short.api.declareTopic("orders", declaredOrderTypes);
  await short.api.ingest("orders", makeOrders(2, 20, start, end));
  const target = short.makeTarget("out-of-time");
  short.s3.faults.always({ key: /v2\// }, behaviours.slowDown());
  const id = await exportTo(short.api, report, target.destination, start, end);
  const [job] = await waitForJobs(short.api, id, { timeoutMs: 90_000 });
  assert.equal(job.status, "FAILED");
  assert.match(job.reason, /503|SlowDown|busy|unavailable/i);
  assert.deepEqual(target.bucket.keys, []);
  short.s3.faults.clear();
  await short.api.call("POST", `/v1/jobs/${job.job_id}/retry`);
  await waitFor("the retried job", async () => (await listJobs(short.api, id)).some(({ status }) => status === "SUCCEEDED"), 30_000);
  await short.server.stop();
});

test("stores that take no condition, or ignore it: nothing is written over all the same", { concurrency: 16 }, async (context) => {
  for (const conditions of ["none", "refused", "put"]) {
    const rig = await S3.start({ keys: site.keys, conditions, isCompletedAgain: conditions === "none" });
    const name = `conditions-${conditions}`;
    await connect(name, rig);
    const runs = runsOn(rig, name);
    const steps = await runs.learn();
    const cases = [];
    for (const step of steps.keys())
      for (const behaviour of [...lostAnswers, behaviours.duplicateReply()])
        cases.push({ name: `${conditions}: ${behaviour.name} at request ${step + 1}, ${steps[step]}`, run: () => runs.run(behaviour, { step }) });
    await runAll(context, cases);
  }
});

test("who may write and nothing else: answers that are lost are no failure", { concurrency: 16 }, async (context) => {
  const key = site.keys.add({ principal: "user/writes-only" });
  site.secrets.push(key.secret);
  const rig = await S3.start({ keys: site.keys });
  await connect("writes-only", rig, key);
  const makeBucket = rig.makeBucket.bind(rig);
  rig.makeBucket = (name) => makeBucket(name, { policy: policies.putOnly });
  const runs = runsOn(rig, "writes-only");
  const steps = await runs.learn();
  const cases = [];
  for (const [step, operation] of steps.entries()) {
    for (const behaviour of [...lostAnswers, behaviours.slowDown(), behaviours.closedBefore()])
      cases.push({ name: `${behaviour.name} at request ${step + 1}, ${operation}`, run: () => runs.run(behaviour, { step }) });
  }
  await runAll(context, cases);
});

test("an object of somebody else's under the same key stays, and the job is FAILED", async () => {
  for (const conditions of ["all", "none"]) {
    const rig = await S3.start({ keys: site.keys, conditions });
    const name = `occupied-${conditions}`;
    const bucket = rig.makeBucket(name);
    await connect(name, rig);
    // It is there just before ours comes.
    let theirs;
    rig.faults.add({ operation: "PutObject", key: /v2\/.*orders/ }, { name: "somebody was faster", head({ entry }) {
      theirs = entry.key;
      bucket.put(entry.key, "somebody else's");
    } });
    const id = await exportTo(api, distinct(report), { subscription_type: "cloud", cloud: "s3", bucket: name, resource_access_id: name }, start, end);
    const [job] = await waitForJobs(api, id);
    if (conditions === "none" && job.status === "SUCCEEDED") continue; // a store without conditions cannot tell
    assert.equal(job.status, "FAILED", JSON.stringify(job));
    assert.match(job.reason, /conflict|another object|other bytes/i);
    assert.equal(String(await bucket.bytes(theirs)), "somebody else's");
    assert.deepEqual(bucket.keys, [theirs]);
  }
});

test("every behaviour of the service that gives credentials", { timeout: 120_000 }, async () => {
  const ways = [...passing, ...doubtful, behaviours.answer(400, "Throttling", "Rate exceeded"), behaviours.redirect(307, elsewhere.endpoint),
    behaviours.xmlDoctype(`${elsewhere.endpoint}/entity`)].filter(({ name }) => !/ETag|Precondition|Conditional|400 RequestTimeout/.test(name)); // a store's own
  await Promise.all([0, 1, 2, 3].map(async (part) => {
    const own = await Site.start({ args: { workers: 1 } });
    await own.api.declareTopic("orders", declaredOrderTypes);
    for (const [index, behaviour] of ways.entries()) {
      if (index % 4 !== part) continue;
      const target = own.makeTarget(`role-${index}`);
      const rule = own.sts.faults.add("AssumeRole", behaviour);
      const state = await settled(own.api, await subscribeTo(own.api, distinct(report), target.destination), { timeoutMs: 60_000 });
      assert.equal(rule.hits, 1, behaviour.name);
      assert.ok(state.status === "ACTIVE" || /30\d to/.test(behaviour.name), `${behaviour.name}: ${JSON.stringify(state)}`);
      if (state.status === "ACTIVE") assert.ok(target.bucket.history.length > 0 && target.bucket.keys.length === 0, behaviour.name);
    }
    own.assertNoSecrets();
    own.assertSound();
    await own.server.stop();
  }));
  assert.equal(elsewhere.connections, 0);
});

test("no secret is anywhere; the clouds saw nothing strange", () => {
  site.assertNoSecrets();
  site.assertSound();
});
