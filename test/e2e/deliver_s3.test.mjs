// SPDX-License-Identifier: Apache-2.0
// Into a customer's bucket of S3: by a role that is assumed, by a connection of the operator; layout, formats, late rows, edits;
// what the customer reads when something is not permitted; credentials that end, are changed, are taken away.
import assert from "node:assert/strict";
import { renameSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { DAY_MS, HOUR_MS, makeTenant, readDate } from "./lib/api.mjs";
import { Proxy, S3, policies, stopClouds } from "./lib/clouds.mjs";
import { RecordingApi, Site, assertDelivered, bytesBelow, customerAccount, distinct, exportTo, filesBelow, folderOf, listJobs, operatorAccount,
  readDelivered, settled, subscribeTo, waitForJobs, waitSucceeded } from "./lib/deliver.mjs";
import { atOtherTime } from "./lib/elsewhere.mjs";
import { declaredOrderTypes, makeOrders, orderFields, orderTypes } from "./lib/events.mjs";
import { Oracle } from "./lib/oracle.mjs";
import { Server, initData, stopAll } from "./lib/server.mjs";
import { sleep, waitFor } from "./lib/wait.mjs";

const start = Date.parse("2024-02-01T07:00:00Z");
const day = Date.parse("2024-02-01T00:00:00Z");
const oracle = new Oracle(orderTypes);
const hourly = { cadence: "hourly", report_type: "orders", report_fields: orderFields };
let site;
let api;

before(async () => {
  site = await Site.start();
  api = site.api;
  await api.declareTopic("orders", declaredOrderTypes);
  const events = makeOrders(1, 600, start, start + 3 * HOUR_MS);
  await api.ingest("orders", events);
  oracle.add(events);
});
after(async () => {
  await stopAll();
  await stopClouds();
});

async function deliver(target, report, { from = start, until = start + HOUR_MS, stepMs = HOUR_MS, ...more } = {}) {
  const id = await exportTo(api, report, target.destination, from, until, more);
  await waitSucceeded(api, id, { count: (until - from) / stepMs, ...more });
  await assertDelivered(api, { ...target, id, report, oracle, start: from, end: until, stepMs, ...more });
  return id;
}

test("by a role: layout, manifest, nothing left of the trial", async () => {
  const target = site.makeTarget("by-role", { prefix: "exports/of milkrun" });
  const id = await deliver(target, distinct(hourly), { until: start + 3 * HOUR_MS });
  const [first] = await listJobs(api, id);
  assert.ok(target.bucket.keys.includes(`exports/of milkrun/v2/y=2024/m=02/d=01/h=07/app_id=${api.appId}/job_id=${
    (await listJobs(api, id)).find((job) => readDate(job.start_date) === start).job_id}/_manifest.json`), target.bucket.keys.join("\n"));
  const own = target.bucket.history.filter(({ key }) => key.startsWith("exports/of milkrun/_milkrun/"));
  assert.ok(own.some(({ key, operation }) => /\/_milkrun\/probe-/.test(key) && operation === "put"), "a probe was written");
  assert.ok(own.some(({ key, operation }) => /\/_milkrun\/sample\/[^/]+\//.test(key) && operation === "put"), "a sample was written");
  const keysOf = (isDelete) => own.filter(({ operation }) => (operation === "delete") === isDelete).map(({ key }) => key).sort();
  assert.deepEqual(keysOf(true), keysOf(false), "and deleted");
  const sessions = site.sts.sessions.filter(({ role }) => role === target.role);
  assert.ok(sessions.length >= 1 && sessions.length <= site.args.workers, `${sessions.length} sessions for 4 deliveries by ${site.args.workers} workers`);
  for (const { externalId } of sessions) assert.equal(externalId, site.externalId);
  assert.equal(first.status, "SUCCEEDED");
});

test("every object that is written is signed, hashed, and written only if it is not there", () => {
  const writes = site.s3.requests("PutObject").filter(({ key }) => key.includes("/v2/"));
  assert.ok(writes.length > 0);
  for (const entry of writes) {
    assert.equal(entry.headers["if-none-match"], "*", entry.target);
    assert.match(entry.headers["x-amz-content-sha256"], /^[0-9a-f]{64}$/, entry.target);
  }
});

for (const [name, more] of [
  ["json-zstd", { response_format: "json", response_format_compression: "zstd" }],
  ["parquet-snappy", { response_format: "parquet", response_format_compression: "snappy" }],
  ["csv-none", { response_format: "csv", response_format_compression: "none" }],
]) test(`formats: ${name}`, () => deliver(site.makeTarget(name), distinct({ ...hourly, ...more })));

test("an hour without rows is a file as well, of no bytes as plain JSON", async () => {
  const target = site.makeTarget("empty");
  const report = { ...hourly, response_format: "json", response_format_compression: "none", filter: ["eq", "id", "of nobody"] };
  await deliver(target, report);
  const files = target.bucket.keys.filter((key) => key.endsWith(".json") && !key.endsWith("_manifest.json"));
  assert.deepEqual(files.map((key) => target.bucket.objects.get(key).content.size), [0]);
});

test("days: no hour in the keys, one job for a day", async () => {
  await deliver(site.makeTarget("days", { prefix: "daily" }), distinct({ ...hourly, cadence: "daily" }), { from: day, until: day + 2 * DAY_MS, stepMs: DAY_MS });
});

test("by a connection of the operator", async () => {
  const target = await site.makeConnected("connected", { prefix: "p/q" });
  await deliver(target, distinct(hourly));
  assert.ok(site.s3.requests("PutObject").filter(({ bucket }) => bucket === "connected").every(({ keyId, style }) => keyId === target.key.keyId && style === "path"));
});

test("of a whole organization: files of every app, one manifest that names the organization", async () => {
  const { app_id: second } = await api.admin("POST", "/v1/admin/apps", { organization_id: api.organizationId, name: "second" });
  const events = makeOrders(9, 40, start + 5 * HOUR_MS, start + 6 * HOUR_MS);
  await api.ingest("orders", events.slice(0, 20), { appId: second });
  await api.ingest("orders", events.slice(20));
  oracle.add(events);
  const target = site.makeTarget("organization", { prefix: "all" });
  const id = await deliver(target, distinct(hourly), { from: start + 5 * HOUR_MS, until: start + 6 * HOUR_MS, organizationId: api.organizationId });
  const [job] = await listJobs(api, id, api.organizationId);
  assert.ok(target.bucket.keys.includes(`${folderOf(job, "all")}/organization_id=${api.organizationId}/job_id=${job.job_id}/_manifest.json`));
  for (const appId of [api.appId, second]) assert.ok(target.bucket.keys.some((key) => key.includes(`/app_id=${appId}/job_id=${job.job_id}/`)), `files of ${appId}`);
});

test("late rows come as the next revision beside the first, which stays as it is", async () => {
  const target = site.makeTarget("late", { prefix: "late" });
  const at = start + 10 * HOUR_MS;
  const events = makeOrders(3, 30, at, at + HOUR_MS);
  await api.ingest("orders", events);
  oracle.add(events);
  const report = distinct(hourly);
  const id = await deliver(target, report, { from: at, until: at + HOUR_MS });
  const earlier = new Map(target.bucket.objects);
  const late = makeOrders(4, 5, at, at + HOUR_MS);
  await api.ingest("orders", late);
  oracle.add(late);
  await waitSucceeded(api, id, { count: 2 });
  await assertDelivered(api, { ...target, id, report, oracle, start: at, end: at + HOUR_MS });
  for (const [key, object] of earlier) assert.equal(target.bucket.objects.get(key), object, `${key} is the same object`);
});

describe("buckets that permit little", () => {
  test("writing alone is enough: no reading, listing, deleting", async () => {
    const target = site.makeTarget("put-only", { prefix: "in", policy: policies.putOnly });
    await deliver(target, distinct(hourly), { isAlone: false });
    const rest = target.bucket.keys.filter((key) => !key.startsWith("in/v2/"));
    assert.ok(rest.every((key) => key.startsWith("in/_milkrun/")), rest.join("\n"));
  });

  test("a bucket that is written once", async () => {
    await deliver(site.makeTarget("worm", { isWriteOnce: true, requiresIfNoneMatch: true }), distinct(hourly), { isAlone: false });
  });

  test("a role that may write below the prefix alone", async () => {
    await deliver(site.makeTarget("below", { prefix: "mine/alone", policy: policies.below("mine/alone/") }), distinct(hourly));
  });

  test("tags that are no MD5, as with keys of the customer's", async () => {
    await deliver(site.makeTarget("kms", { encryption: "aws:kms" }), distinct(hourly));
  });
});

// What is said to the customer when the trial fails. -> the reason
async function refusal(destination) {
  const id = await subscribeTo(api, distinct(hourly), destination);
  const state = await settled(api, id);
  assert.equal(state.status, "FAILED", JSON.stringify(state));
  assert.ok(!/rig|R\d+\b|HostId/.test(state.reason), `no ids of requests: ${state.reason}`);
  return state.reason;
}

describe("a trial that fails names what is missing", () => {
  test("the role does not trust us, or not with this external id", async () => {
    const target = site.makeTarget("untrusting");
    site.sts.makeRole(target.role, { externalId: "somebody else's" });
    const reason = await refusal(target.destination);
    assert.match(reason, /sts:AssumeRole/);
    assert.match(reason, new RegExp(site.externalId), "the external id is what the customer must put into the trust policy");
    assert.match(reason, /trust/i);
    assert.deepEqual(target.bucket.history, []);
  });

  test("s3:PutObject is missing", async () => {
    const target = site.makeTarget("unwritable", { prefix: "p", policy: policies.readOnly });
    const reason = await refusal(target.destination);
    assert.match(reason, /s3:PutObject/);
    assert.match(reason, /"arn:aws:s3:::unwritable\/p\/\*"/, "what the policy must name");
    assert.deepEqual(target.bucket.keys, []);
  });

  test("there is no such bucket", async () => {
    const target = site.makeTarget("absent");
    site.s3.deleteBucket("absent");
    assert.match(await refusal(target.destination), /absent|bucket/i);
  });

  test("the key of the connection is not known there, or its secret is wrong", async () => {
    const target = await site.makeConnected("unknown-key");
    site.keys.revoke(target.key.keyId);
    assert.match(await refusal(target.destination), /access key/i);
    site.keys.add({ ...target.key, secret: "another-secret" });
    assert.match(await refusal(target.destination), /secret|signature/i);
  });

  test("what the text says is enough: a policy made of it lets a second subscription through, and its files", async () => {
    const target = site.makeTarget("as-told", { prefix: "p", policy: policies.none });
    const { Action: actions, Resource: resources } = JSON.parse(/\{.*\}/.exec(await refusal(target.destination))[0]);
    const below = [resources].flat().map((arn) => /^arn:aws:s3:::as-told\/(.*)\*$/.exec(arn)[1]);
    target.bucket.policy = policies.by(target.role, ({ action, key }) => [actions].flat().includes(action) && below.some((prefix) => key?.startsWith(prefix)));
    await deliver(target, distinct(hourly));
  });
});

test("roles of the operator's own account and connections of others are refused at once", async () => {
  const refused = async (client, change, message) => {
    const destination = { subscription_type: "cloud", cloud: "s3", bucket: "some-bucket", resource_access_id: `arn:aws:iam::${customerAccount}:role/x`, ...change };
    const reply = await client.subscribeRaw(distinct(hourly), { destination });
    assert.deepEqual([reply.status, reply.json.error.message], [400, message]);
  };
  await refused(api, { resource_access_id: `arn:aws:iam::${operatorAccount}:role/milkrun` }, "Role account not allowed");
  await refused(api, { resource_access_id: "not-there" }, "Invalid role ARN");
  const other = await makeTenant(site.server, "other");
  await site.makeConnected("of-the-first", { connection: { organization_id: api.organizationId } });
  await other.declareTopic("orders", declaredOrderTypes);
  await refused(other, { resource_access_id: "of-the-first" }, "Invalid role ARN");
});

describe("credentials come and go", () => {
  test("sessions that end are opened again", async () => {
    const target = site.makeTarget("short-lived", { lifeMs: 3000 });
    const report = distinct(hourly);
    const id = await deliver(target, report);
    await sleep(3100);
    await api.backfill(id, start + HOUR_MS, start + 3 * HOUR_MS);
    await waitSucceeded(api, id, { count: 3 });
    await assertDelivered(api, { ...target, id, report, oracle, start, end: start + 3 * HOUR_MS });
    const refused = site.s3.requests().filter(({ bucket, errorCode }) => bucket === "short-lived" && errorCode === "ExpiredToken").length;
    assert.ok(refused <= site.args.workers, `${refused} requests with one that had ended`);
  });

  test("sessions that end early are opened again, once per call", async () => {
    const target = site.makeTarget("ends-early");
    const report = distinct(hourly);
    const id = await deliver(target, report);
    site.keys.expireSessions();
    const before = site.sts.sessions.length;
    await api.backfill(id, start + HOUR_MS, start + 2 * HOUR_MS);
    await waitSucceeded(api, id, { count: 2 });
    await assertDelivered(api, { ...target, id, report, oracle, start, end: start + 2 * HOUR_MS });
    assert.ok(site.sts.sessions.length - before >= 1);
    assert.ok(site.s3.requests().filter(({ bucket, errorCode }) => bucket === "ends-early" && errorCode === "ExpiredToken").length <= site.args.workers);
  });

  test("the secret of a connection is changed without a restart", async () => {
    const target = await site.makeConnected("rotated");
    const report = distinct(hourly);
    const id = await deliver(target, report);
    site.keys.revoke(target.key.keyId);
    await api.backfill(id, start + HOUR_MS, start + 2 * HOUR_MS);
    const [failed] = (await waitForJobs(api, id, { count: 2 })).filter(({ status }) => status === "FAILED");
    assert.match(failed.reason, /access key/i);
    const key = site.keys.add({ principal: target.key.principal });
    site.secrets.push(key.secret);
    const reply = await api.admin("PATCH", "/v1/admin/connections/rotated", { access_key_id: key.keyId, secret_access_key: key.secret });
    assert.equal(reply.access_key_id, key.keyId);
    assert.ok(!JSON.stringify(reply).includes(key.secret));
    await api.call("POST", `/v1/jobs/${failed.job_id}/retry`);
    await api.backfill(id, start + 2 * HOUR_MS, start + 3 * HOUR_MS);
    const jobs = await waitFor("the retried job", async () => {
      const list = await listJobs(api, id);
      return list.length === 4 && list.every(({ status }) => ["SUCCEEDED", "FAILED"].includes(status)) && list;
    }, 30_000);
    assert.deepEqual(jobs.map(({ status }) => status).sort(), ["FAILED", "SUCCEEDED", "SUCCEEDED", "SUCCEEDED"]);
    const good = jobs.filter(({ status }) => status === "SUCCEEDED");
    for (const job of good) await readDelivered(api, job, { ...target, report, types: orderTypes });
    assert.equal(target.bucket.keys.filter((key) => key.endsWith("/_manifest.json")).length, 3, "of the failed job nothing is there");
    assert.ok(target.bucket.keys.every((key) => good.some(({ job_id: id }) => key.includes(id))), target.bucket.keys.join("\n"));
  });

  test("access that is taken away is FAILED, with a reason, and nothing is left", async () => {
    const target = site.makeTarget("revoked", { prefix: "r" });
    const report = distinct(hourly);
    const id = await deliver(target, report);
    const objects = target.bucket.keys;
    site.sts.removeRole(target.role);
    site.keys.expireSessions();
    await api.backfill(id, start + HOUR_MS, start + 2 * HOUR_MS);
    const [failed] = (await waitForJobs(api, id, { count: 2 })).filter(({ status }) => status === "FAILED");
    assert.match(failed.reason, /sts:AssumeRole/);
    assert.deepEqual(target.bucket.keys, objects);
    target.bucket.policy = policies.by(target.role, policies.allBut("s3:PutObject"));
    site.sts.makeRole(target.role, { externalId: site.externalId });
    await api.backfill(id, start + 2 * HOUR_MS, start + 3 * HOUR_MS);
    const [denied] = (await waitForJobs(api, id, { count: 3 })).filter(({ status, start_date: at }) => status === "FAILED" && readDate(at) === start + 2 * HOUR_MS);
    assert.match(denied.reason, /s3:PutObject on revoked\/r\//);
    assert.deepEqual(target.bucket.keys, objects);
  });
});

test("while the store is away a job waits with its files made, and is uploaded without reading events again", async () => {
  const away = await S3.start({ keys: site.keys });
  const target = await site.makeConnected("away", { connection: { endpoint: away.endpoint } });
  target.bucket = away.makeBucket("away");
  const report = distinct(hourly);
  const id = await exportTo(api, report, target.destination, start, start + HOUR_MS);
  await waitSucceeded(api, id);
  await away.crash();
  await api.backfill(id, start + HOUR_MS, start + 2 * HOUR_MS);
  const jobs = await waitFor("a job that waits", async () => {
    const list = await listJobs(api, id);
    return list.some(({ status, reason }) => status === "PENDING_UPLOAD" && reason) && list;
  }, 60_000);
  const [waiting] = jobs.filter(({ status }) => status === "PENDING_UPLOAD");
  const spool = join(site.server.directory, "spool");
  assert.ok(filesBelow(spool).length >= 1, "its file is in the spool");
  const lake = join(site.server.directory, "lake");
  renameSync(lake, `${lake}-away`);
  try {
    await away.listen();
    await waitSucceeded(api, id, { count: 2 });
  } finally {
    renameSync(`${lake}-away`, lake);
  }
  await assertDelivered(api, { ...target, id, report, oracle, start, end: start + 2 * HOUR_MS });
  await waitFor("the spool to be empty", () => filesBelow(spool).length === 0, 30_000);
  assert.ok(!/127\.0\.0\.1|curl/i.test(waiting.reason), waiting.reason);
});

test("the spool of an organization is bounded, and others are not kept waiting", async () => {
  const limit = 2 * 1024 * 1024;
  const bounded = await Site.start({ env: { MILKRUN_SPOOL_ORGANIZATION_BYTES: String(limit) } });
  const own = bounded.api;
  const other = Object.assign(await makeTenant(bounded.server, "other"), {});
  const types = { timestamp: "timestamp", id: "string", text: "string" };
  const report = { cadence: "hourly", response_format_compression: "none", report_type: "big", report_fields: ["timestamp", "id", "text"] };
  const data = new Oracle(types);
  const events = Array.from({ length: 12 * 50 }, (_, index) => ({ timestamp: start + (index % 12) * HOUR_MS + index, id: `b${index}`, text: "x".repeat(8000) }));
  for (const client of [own, other]) await client.ingest("big", events);
  data.add(events);
  const away = await S3.start({ keys: bounded.keys });
  const target = await bounded.makeConnected("bounded", { connection: { endpoint: away.endpoint } });
  target.bucket = away.makeBucket("bounded");
  const id = await exportTo(own, report, target.destination, start, start + HOUR_MS);
  await waitSucceeded(own, id);
  away.faults.always("PutObject", { name: "503", instead: () => ({ status: 503, body: "" }) });
  await own.backfill(id, start, start + 12 * HOUR_MS);
  await waitFor("the spool to fill", () => bytesBelow(join(bounded.server.directory, "spool")) > limit / 2, 30_000);
  const theirs = await bounded.makeConnected("theirs");
  const theirId = await exportTo(other, report, theirs.destination, start, start + 12 * HOUR_MS);
  await waitSucceeded(other, theirId, { count: 12 });
  await sleep(3000);
  const size = bytesBelow(join(bounded.server.directory, "spool"));
  assert.ok(size <= limit + 450_000, `${size} bytes in the spool, and the file that goes over it`);
  away.faults.clear();
  await waitSucceeded(own, id, { count: 12, timeoutMs: 120_000 });
  await assertDelivered(own, { ...target, id, report, oracle: data, start, end: start + 12 * HOUR_MS });
  await bounded.server.stop();
});

test("an edit of the destination acts from the next window on; windows before it stay with the old one", async () => {
  const data = initData();
  const hour = Math.floor(Date.now() / HOUR_MS) * HOUR_MS;
  const shift = 5 * 60_000 - (Date.now() - hour); // five minutes past the hour, whatever the time is
  const at = (aheadMs) => ({ env: { ...atOtherTime(shift + aheadMs) } });
  let first = await Site.start({ ...at(0), data, args: { "schedule-hourly-grace-ms": 0 } });
  for (const rig of [first.s3, first.sts]) rig.clockOffsetMs = shift;
  const events = makeOrders(5, 300, hour, hour + 3 * HOUR_MS);
  await first.api.declareTopic("orders", declaredOrderTypes);
  await first.api.ingest("orders", events);
  const data2 = new Oracle(orderTypes);
  data2.add(events);
  const [old, next] = [first.makeTarget("old", { prefix: "a" }), first.makeTarget("next", { prefix: "b" })];
  const id = await subscribeTo(first.api, hourly, old.destination);
  assert.equal((await settled(first.api, id)).status, "ACTIVE");
  const edited = await first.api.call("PATCH", `/v1/subscriptions/${id}`, { body: { destination: { bucket: "next", prefix: "b", resource_access_id: next.role } } });
  assert.equal(edited.destination.bucket, "next");
  const ahead = 3 * HOUR_MS;
  await first.server.restart({ args: first.args, env: { ...first.env, ...atOtherTime(shift + ahead) } });
  for (const rig of [first.s3, first.sts]) rig.clockOffsetMs = shift + ahead;
  await waitSucceeded(first.api, id, { count: 3 });
  const jobs = await listJobs(first.api, id);
  for (const job of jobs) {
    const target = readDate(job.start_date) === hour ? old : next;
    await readDelivered(first.api, job, { ...target, report: hourly, types: orderTypes });
  }
  assert.equal(old.bucket.keys.filter((key) => key.endsWith("_manifest.json")).length, 1);
  assert.equal(next.bucket.keys.filter((key) => key.endsWith("_manifest.json")).length, 2);
  await first.server.stop();
});

test("a bucket is tried again every day; who has lost it is told before the next export", async () => {
  const daily = await Site.start();
  await daily.api.declareTopic("orders", declaredOrderTypes);
  const target = daily.makeTarget("daily-probe", { prefix: "p" });
  const id = await subscribeTo(daily.api, { ...hourly, cadence: "daily" }, target.destination);
  assert.equal((await settled(daily.api, id)).status, "ACTIVE");
  target.bucket.policy = policies.none;
  const ahead = 25 * HOUR_MS;
  await daily.server.restart({ args: daily.args, env: { ...daily.env, ...atOtherTime(ahead) } });
  for (const rig of [daily.s3, daily.sts]) rig.clockOffsetMs = ahead;
  await waitFor("a probe", () => daily.s3.requests("PutObject").some(({ key, status }) => /^p\/_milkrun\/probe-/.test(key) && status === 403), 40_000);
  await waitFor("the customer to be told", async () => /s3:PutObject/.test(JSON.stringify(await daily.api.call("GET", `/v1/subscriptions/${id}`))), 20_000);
  target.bucket.policy = policies.by(target.role, policies.all);
  await daily.server.stop();
});

test("a bucket in front of the host's name, over the operator's proxy; another region is found", async () => {
  const cloud = await S3.start({ keys: site.keys, domain: "s3.example.test" });
  const proxy = await Proxy.start({ routes: [[/^([a-z0-9-]+\.)?s3\.example\.test(:80)?$/, cloud]] });
  const server = await Server.start({ args: { "api-subscription-limit": 0 }, env: { MILKRUN_DESTINATIONS_PROXY: proxy.endpoint } });
  const own = new RecordingApi(server);
  const key = site.keys.add({ principal: "user/virtual" });
  await own.admin("POST", "/v1/admin/connections", { name: "virtual", kind: "s3", endpoint: "http://s3.example.test", region: "us-east-1", path_style: false,
    access_key_id: key.keyId, secret_access_key: key.secret });
  await own.declareTopic("orders", declaredOrderTypes);
  const events = makeOrders(6, 50, start, start + HOUR_MS);
  await own.ingest("orders", events);
  const data = new Oracle(orderTypes);
  data.add(events);
  for (const [bucketName, options] of [["virtual-bucket", {}], ["far-bucket", { region: "eu-central-1" }]]) {
    const bucket = cloud.makeBucket(bucketName, options);
    const report = distinct(hourly);
    const id = await exportTo(own, report, { subscription_type: "cloud", cloud: "s3", bucket: bucketName, resource_access_id: "virtual" }, start, start + HOUR_MS);
    await waitSucceeded(own, id);
    await assertDelivered(own, { bucket, id, report, oracle: data, start, end: start + HOUR_MS });
  }
  assert.ok(cloud.requests("PutObject").every(({ style, isProxied }) => style === "virtual" && isProxied));
  await server.stop();
});

test("no secret is in a reply, a log line or a file; the clouds saw nothing strange", () => {
  site.assertNoSecrets();
  site.assertSound();
});
