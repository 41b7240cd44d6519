// SPDX-License-Identifier: Apache-2.0
// The hosted bucket in an S3: same keys and bytes as on this machine, URLs that the store itself checks, for seven days; expired
// files and what nobody lists go away, and what is not ours stays.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { gunzipSync } from "node:zlib";

import { DAY_MS, HOUR_MS, readDate } from "./lib/api.mjs";
import { Content } from "./lib/clouds/content.mjs";
import { S3, behaviours, exchange, stopClouds } from "./lib/clouds.mjs";
import { readCsv } from "./lib/csv.mjs";
import { runExport } from "./lib/custom.mjs";
import { RecordingApi, Site, bytesBelow, distinct, exportTo, listJobs, waitForJobs, waitSucceeded } from "./lib/deliver.mjs";
import { declaredOrderTypes, makeOrders, orderFields, orderTypes } from "./lib/events.mjs";
import { readFile } from "./lib/files.mjs";
import { Oracle, assertSameRows, sha256 } from "./lib/oracle.mjs";
import { Server, initData, runBinary, stopAll } from "./lib/server.mjs";
import { temporaryDirectory } from "./lib/temp.mjs";
import { sleep, waitFor } from "./lib/wait.mjs";

const day = Date.parse("2024-02-01T00:00:00Z");
const start = day + 7 * HOUR_MS;
const hourly = { cadence: "hourly", report_type: "orders", report_fields: orderFields };
const branch = { subscription_type: "branch" };
const oracle = new Oracle(orderTypes);
let site;
let api;
let bucket;

before(async () => {
  site = await Site.start({ hosted: "hosted", args: { "schedule-sweep-interval-ms": 300 } });
  ({ api } = site);
  bucket = site.s3.bucket("hosted");
  await api.declareTopic("orders", declaredOrderTypes);
  const events = makeOrders(1, 300, start, start + 3 * HOUR_MS);
  await api.ingest("orders", events);
  oracle.add(events);
});
after(async () => {
  await stopAll();
  await stopClouds();
});

async function fetchUrl(url, options) {
  const reply = await exchange(url, options);
  assert.equal(reply.status, 200, `${url}: ${reply.text.slice(0, 300)}`);
  return reply.body;
}

// The files of a job by its URLs; checked against the manifest and the objects that are there.
async function readHosted(job) {
  assert.equal(job.status, "SUCCEEDED", JSON.stringify(job));
  const manifest = await api.manifest(job.job_id);
  assert.equal(job.export_url.length, manifest.files.length);
  return Promise.all(job.export_url.map(async (url, index) => {
    const { key, sha256: hash, bytes } = manifest.files[index];
    const body = await fetchUrl(url);
    assert.deepEqual([body.length, sha256(body)], [bytes, hash], key);
    assert.ok(bucket.objects.has(`h/${key}`), key);
    return body;
  }));
}

async function assertExport(report, { from = start, until = start + 3 * HOUR_MS, stepMs = HOUR_MS } = {}) {
  const id = await exportTo(api, report, branch, from, until);
  for (const job of await waitSucceeded(api, id, { count: (until - from) / stepMs })) {
    const at = readDate(job.start_date);
    const rows = [];
    for (const bytes of await readHosted(job)) rows.push(...(await readFile(bytes, report, orderTypes)).rows);
    assertSameRows(rows, oracle.expected(report, at, at + stepMs), report.report_fields, job.start_date);
  }
  return id;
}

describe("files and URLs", () => {
  test("hours, as CSV, JSON and Parquet", async () => {
    for (const more of [{}, { response_format: "json", response_format_compression: "zstd" }, { response_format: "parquet" }]) await assertExport(distinct({ ...hourly, ...more }));
  });
  test("days", () => assertExport(distinct({ ...hourly, cadence: "daily" }), { from: day, until: day + DAY_MS, stepMs: DAY_MS }));

  test("URLs are signed by the operator's long-lived key, for seven days, and for that object alone", async () => {
    const id = await assertExport(distinct(hourly), { until: start + HOUR_MS });
    const [{ export_url: [url] }] = await listJobs(api, id);
    const { searchParams, pathname } = new URL(url);
    assert.equal(searchParams.get("X-Amz-Expires"), "604800");
    assert.equal(searchParams.get("X-Amz-Security-Token"), null);
    assert.ok(searchParams.get("X-Amz-Credential").startsWith(`${site.env.MILKRUN_HOSTED_ACCESS_KEY_ID}/`));
    assert.ok(url.startsWith(`${site.s3.endpoint}/hosted/h/v2/`), url);
    for (const spoiled of [url.replace(/Signature=(.)/, (_, digit) => `Signature=${digit === "0" ? "1" : "0"}`), url.replace("604800", "604801"),
      url.replace(pathname, pathname.replace(/r0-00000/, "r0-00001"))]) assert.notEqual((await exchange(spoiled)).status, 200, spoiled);
    site.s3.clockOffsetMs = 7 * DAY_MS - 60_000;
    assert.equal((await exchange(url)).status, 200);
    site.s3.clockOffsetMs = 7 * DAY_MS + 60_000;
    assert.equal((await exchange(url)).status, 403);
    site.s3.clockOffsetMs = 0;
    assert.equal((await api.raw("GET", `/exports${pathname.replace("/hosted/h", "")}`)).status >= 400, true, "this server has no bucket");
  });

  test("custom exports and daily exports are there as well", async () => {
    const made = await runExport(api, { report_type: "orders", fields: ["id", "name"], start_date: new Date(start).toISOString(), end_date: new Date(start + HOUR_MS).toISOString(),
      limit: 1000, response_format: "csv" });
    const { rows } = readCsv((await fetchUrl(made.response_urls[0])).toString());
    assert.deepEqual(rows.map(({ id }) => id).sort(), oracle.expected({ ...hourly, report_fields: ["id"] }, start, start + HOUR_MS).map(({ id }) => id).sort());
    const { branch_key: key, branch_secret: secret } = site.server.account;
    const sets = await api.raw("POST", "/v3/export", { token: null, body: { branch_key: key, branch_secret: secret, export_date: "2024-02-01" } });
    assert.equal(sets.status, 200, sets.text);
    const [url] = sets.json.orders;
    assert.equal(readCsv(gunzipSync(await fetchUrl(url)).toString()).rows.length, oracle.events.filter(({ at }) => at >= day && at < day + DAY_MS).length);
  });

  test("previews measure and write nothing", async () => {
    const before = bucket.history.length;
    const preview = await api.call("POST", "/v1/subscriptions/preview", { body: { report: hourly, destination: branch } });
    assert.deepEqual(preview.errors, []);
    assert.equal(bucket.history.length, before);
  });

  test("every object is one of a job, and the spool is empty", async () => {
    assert.ok(bucket.keys.every((key) => key.startsWith("h/")), bucket.keys.join("\n"));
    bucket.assertWrittenOnce();
    bucket.assertNothingOpen();
    await waitFor("the spool to be empty", () => bytesBelow(join(site.server.directory, "spool")) === 0, 10_000);
    assert.equal(bytesBelow(join(site.server.directory, "exports")), 0);
  });
});

test("while the bucket is away jobs wait with their files, and URLs come when all is there", async () => {
  await site.s3.crash();
  const id = await exportTo(api, distinct(hourly), branch, start, start + HOUR_MS);
  const [job] = await waitFor("a job that waits", async () => {
    const jobs = await listJobs(api, id);
    return jobs[0]?.status === "PENDING_UPLOAD" && jobs[0].reason && jobs;
  }, 60_000);
  assert.deepEqual(job.export_url, []);
  await site.s3.listen();
  await readHosted((await waitSucceeded(api, id))[0]);
});

test("a bucket that refuses us is the operator's to mend: jobs wait for it", async () => {
  const { policy } = bucket;
  bucket.policy = () => false;
  let job;
  const id = await exportTo(api, distinct(hourly), branch, start, start + HOUR_MS);
  try {
    [job] = await waitFor("the job to be tried", async () => {
      const jobs = await listJobs(api, id);
      return jobs[0]?.reason && jobs;
    }, 30_000);
  } finally {
    bucket.policy = policy;
  }
  assert.equal(job.status, "PENDING_UPLOAD", JSON.stringify(job));
  assert.doesNotMatch(job.reason, /hosted|127\.0\.0\.1|user\/|s3:/, "nothing about the operator's bucket");
  await readHosted((await waitSucceeded(api, id))[0]);
});

describe("retention", () => {
  test("expired files go, and come again with the same key and bytes", async () => {
    const short = await Site.start({ hosted: "short", args: { "export-retention-ms": 4000, "schedule-sweep-interval-ms": 200 } });
    await short.api.declareTopic("orders", declaredOrderTypes);
    await short.api.ingest("orders", makeOrders(2, 50, start, start + HOUR_MS));
    const there = short.s3.bucket("short");
    const id = await exportTo(short.api, hourly, branch, start, start + HOUR_MS);
    const [job] = await waitSucceeded(short.api, id);
    const [key] = there.keys;
    const { sha256: hash } = there.objects.get(key).content;
    await waitFor("the file to go", () => !there.objects.has(key), 20_000);
    const now = () => short.api.call("GET", `/v1/jobs/${job.job_id}`);
    const gone = await now();
    assert.deepEqual([gone.status, gone.export_url], ["SUCCEEDED", []]);
    await short.api.call("POST", `/v1/jobs/${job.job_id}/restore`);
    await waitFor("the file to be back", () => there.objects.get(key)?.content.sha256 === hash, 20_000);
    await waitFor("its URL", async () => (await now()).export_url.length === 1, 10_000);
    await short.server.stop();
  });

  test("what nobody lists goes when it is old, and what is not below our prefix stays", async () => {
    const old = await Site.start({ hosted: "old", args: { "schedule-sweep-interval-ms": 200 } });
    const there = old.s3.bucket("old");
    const at = new Date(Date.now() - 9 * DAY_MS);
    const name = (folder) => `${folder}v2/y=2024/m=01/d=01/h=00/app_id=123456789012345678/job_id=00000000-0000-4000-8000-000000000000/task_id=0/x.csv.gz`;
    there.put(name("h/"), "nobody's, old", { at });
    there.put(name("h/").replace("x.csv", "y.csv"), "nobody's, young");
    there.put(name("other/"), "not ours", { at });
    there.put("h2/x", "not ours", { at });
    const open = (key, when) => there.open({ key, at: when, metadata: {} });
    const [orphan, young, foreign] = [open(name("h/"), at), open(name("h/").replace("x.csv", "y.csv"), new Date()), open("other/x", at)];
    orphan.parts.set(1, { content: Content.from("part"), etag: '"x"' });
    await old.server.restart();
    await waitFor("the old ones to go", () => !there.objects.has(name("h/")) && !there.uploads.has(orphan.id), 30_000);
    await sleep(1000);
    assert.deepEqual(there.keys, [name("h/").replace("x.csv", "y.csv"), "h2/x", name("other/")].sort());
    assert.deepEqual([...there.uploads.keys()].sort(), [young.id, foreign.id].sort());
    await old.server.stop();
  });
});

test("customers reach the bucket by another address; its name can stand before the host", async () => {
  const rig = await S3.start({ domain: "s3.internal.test" });
  const key = rig.keys.add();
  rig.makeBucket("public-files");
  const env = { MILKRUN_HOSTED_TYPE: "s3", MILKRUN_HOSTED_ENDPOINT: rig.endpoint, MILKRUN_HOSTED_PUBLIC_ENDPOINT: "https://files.example.com", MILKRUN_HOSTED_BUCKET: "public-files",
    MILKRUN_HOSTED_REGION: rig.region, MILKRUN_HOSTED_PATH_STYLE: "true", MILKRUN_HOSTED_ACCESS_KEY_ID: key.keyId, MILKRUN_HOSTED_SECRET_ACCESS_KEY: key.secret };
  const server = await Server.start({ env });
  const own = new RecordingApi(server);
  await own.ingest("simple", [{ timestamp: start + 1, id: "1" }]);
  const id = await exportTo(own, { cadence: "hourly", report_type: "simple", report_fields: ["id"] }, branch, start, start + HOUR_MS);
  const [{ export_url: [url] }] = await waitSucceeded(own, id);
  assert.ok(url.startsWith("https://files.example.com/public-files/v2/"), url);
  const reply = await exchange(url.replace("https://files.example.com", rig.endpoint), { headers: { Host: "files.example.com" } });
  assert.equal(reply.status, 200, reply.text);
  await server.restart({ env: { ...env, MILKRUN_HOSTED_PATH_STYLE: "false", MILKRUN_HOSTED_PUBLIC_ENDPOINT: "https://s3.internal.test" } });
  const [{ export_url: [virtual] }] = await listJobs(own, id);
  assert.ok(virtual.startsWith("https://public-files.s3.internal.test/v2/"), virtual);
  const again = await exchange(virtual.replace("https://public-files.s3.internal.test", rig.endpoint), { headers: { Host: "public-files.s3.internal.test" } });
  assert.equal(again.status, 200, again.text);
  await server.stop();
});

test("settings that cannot be right are refused at the start", () => {
  const { directory } = initData();
  const good = { MILKRUN_HOSTED_TYPE: "s3", MILKRUN_HOSTED_ENDPOINT: "https://s3.example.com", MILKRUN_HOSTED_BUCKET: "files", MILKRUN_HOSTED_ACCESS_KEY_ID: "AKIAEXAMPLE",
    MILKRUN_HOSTED_SECRET_ACCESS_KEY: "a canary that is secret" };
  const said = (change, args = []) => {
    const env = { PATH: process.env.PATH, ...JSON.parse(JSON.stringify({ ...good, ...change })) };
    const result = runBinary(["serve", "--data", directory, "--listen", "127.0.0.1:0", ...args], { env });
    assert.ok(result.status > 0, `${JSON.stringify(change)} ${args}: ${result.status} ${result.stdout}`);
    assert.doesNotMatch(result.stderr + result.stdout, /canary/);
    return result.stderr;
  };
  assert.match(said({ MILKRUN_HOSTED_ACCESS_KEY_ID: "ASIAEXAMPLE" }), /session/);
  assert.match(said({ MILKRUN_HOSTED_SECRET_ACCESS_KEY: undefined }), /secret_access_key/);
  assert.match(said({ MILKRUN_HOSTED_BUCKET: undefined }), /bucket/);
  assert.match(said({ MILKRUN_HOSTED_ENDPOINT: "ftp://x" }), /endpoint/);
  assert.match(said({ MILKRUN_HOSTED_TYPE: "tape" }), /type/);
  said({ MILKRUN_HOSTED_SECRET_ACCESS_KEY: undefined }, ["--hosted-secret-access-key", "a canary that is secret"]);
  const file = join(temporaryDirectory("config"), "milkrun.conf");
  writeFileSync(file, "[hosted]\nsecret_access_key = a canary that is secret\n", { mode: 0o644 });
  assert.match(said({ MILKRUN_HOSTED_SECRET_ACCESS_KEY: undefined }, ["--config", file]), /0?644/);
});

test("faults of the bucket on the way: never a URL of a file that is not right", async () => {
  for (const behaviour of [behaviours.closedAfter(), behaviours.okWithNothing(), behaviours.wrongEtag(), behaviours.slowDown(), behaviours.resetInRequest(50), behaviours.truncatedReply()]) {
    const rule = site.s3.faults.add({ bucket: "hosted", operation: "PutObject" }, behaviour);
    const id = await exportTo(api, distinct(hourly), branch, start, start + HOUR_MS);
    const [job] = await waitForJobs(api, id);
    assert.equal(rule.hits, 1);
    await readHosted(job);
  }
});

test("no secret is anywhere", () => {
  site.assertNoSecrets();
  site.assertSound();
});
