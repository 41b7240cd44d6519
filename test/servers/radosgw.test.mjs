// SPDX-License-Identifier: Apache-2.0
// Deliveries to Ceph's S3: into a customer's bucket by a connection, and into a hosted bucket there. Files of all sizes have the bytes
// that the hosted bucket of the machine gives; what goes wrong at a real store goes wrong in the right way.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { HOUR_MS, readDate } from "../e2e/lib/api.mjs";
import { exchange, stopClouds } from "../e2e/lib/clouds.mjs";
import { RecordingApi, assertNoSecrets, assertNobodyDied, bigReport, bytesBelow, distinct, exportTo, ingestBig, manifestKey, settled, subscribeTo, waitForJobs,
  waitSucceeded } from "../e2e/lib/deliver.mjs";
import { atOtherTime } from "../e2e/lib/elsewhere.mjs";
import { sha256 } from "../e2e/lib/oracle.mjs";
import { Server, stopAll } from "../e2e/lib/server.mjs";
import { sleep, waitFor } from "../e2e/lib/wait.mjs";
import { stopProcesses } from "./lib/processes.mjs";
import { Radosgw, allow } from "./lib/radosgw.mjs";

const MIB = 1024 * 1024;
const start = Date.parse("2024-02-01T00:00:00Z");
const serverArguments = { workers: 3, "api-subscription-limit": 0 };
// Of the file: around the largest single request, around whole parts of 8 MiB, and one that takes a while.
const sizes = [60, 1000, 8 * MIB, 16 * MIB - 1, 16 * MIB, 16 * MIB + 1, 24 * MIB - 1, 24 * MIB, 24 * MIB + 1, 300_000_000];
const end = start + sizes.length * HOUR_MS;
let gateway;
let owner;
let api; // of the server whose hosted bucket is on this machine
let far; // of the one whose hosted bucket is in Ceph
let files;

const connect = (client, name, { keyId, secret } = owner.key) =>
  client.admin("POST", "/v1/admin/connections", { name, kind: "s3", endpoint: gateway.endpoint, region: "us-east-1", access_key_id: keyId, secret_access_key: secret });
const to = (bucket, connection = "ceph", prefix) => ({ subscription_type: "cloud", cloud: "s3", bucket, resource_access_id: connection, ...(prefix ? { prefix } : {}) });

before(async () => {
  gateway = await Radosgw.start({ store: "bluestore" });
  owner = await gateway.makeUser("owner");
  for (const name of ["customer", "hosted"]) await owner.must("PUT", name);
  api = new RecordingApi(await Server.start({ args: serverArguments }));
  far = new RecordingApi(await Server.start({ args: serverArguments, env: { MILKRUN_HOSTED_TYPE: "s3", MILKRUN_HOSTED_ENDPOINT: gateway.endpoint, MILKRUN_HOSTED_BUCKET: "hosted",
    MILKRUN_HOSTED_PREFIX: "of/milkrun", MILKRUN_HOSTED_REGION: "us-east-1", MILKRUN_HOSTED_PATH_STYLE: "true", MILKRUN_HOSTED_ACCESS_KEY_ID: owner.key.keyId,
    MILKRUN_HOSTED_SECRET_ACCESS_KEY: owner.key.secret } }));
  files = [];
  for (const [hour, size] of sizes.entries()) {
    const [near, same] = [await ingestBig(api, size, start + hour * HOUR_MS, { seed: `${hour}` }), await ingestBig(far, size, start + hour * HOUR_MS, { seed: `${hour}` })];
    assert.deepEqual(near, same);
    assert.equal(near.size, size);
    files.push(near);
  }
  await connect(api, "ceph");
});
after(async () => {
  await stopAll();
  await Promise.all([stopProcesses(), stopClouds()]);
  await gateway?.stop();
});

const hourOf = (job) => (readDate(job.start_date) - start) / HOUR_MS;
const one = (list) => {
  assert.equal(list.length, 1);
  return list[0];
};

describe("all sizes, byte for byte", () => {
  let local;

  before(async () => {
    const id = await exportTo(api, bigReport, { subscription_type: "branch" }, start, end);
    local = await waitSucceeded(api, id, { count: sizes.length, timeoutMs: 120_000 });
  });

  const localBytes = async (hour) => one(await api.downloadJob(local.find((job) => hourOf(job) === hour)));

  test("in the customer's bucket", async () => {
    const id = await exportTo(api, distinct(bigReport), to("customer", "ceph", "ex/ports"), start, end);
    const jobs = await waitSucceeded(api, id, { count: sizes.length, timeoutMs: 200_000 });
    const keys = [];
    for (const job of jobs) {
      const manifest = await api.manifest(job.job_id);
      const { key } = one(manifest.files);
      const bytes = await owner.get("customer", key);
      assert.ok(bytes.equals(await localBytes(hourOf(job))), `${bytes.length} bytes of ${key}`);
      assert.deepEqual([bytes.length, sha256(bytes)], [files[hourOf(job)].size, files[hourOf(job)].sha256]);
      const manifestName = manifestKey(api, job, { prefix: "ex/ports" });
      assert.deepEqual(JSON.parse(await owner.get("customer", manifestName)), manifest);
      keys.push(key, manifestName);
    }
    assert.deepEqual((await owner.list("customer")).map(({ key }) => key).sort(), keys.sort());
    assert.deepEqual(await owner.openUploads("customer"), []);
  });

  test("in the hosted bucket, by URLs that the store itself checks", async () => {
    const id = await exportTo(far, bigReport, { subscription_type: "branch" }, start, end);
    const jobs = await waitSucceeded(far, id, { count: sizes.length, timeoutMs: 200_000 });
    const keys = [];
    for (const job of jobs) {
      const url = one(job.export_url);
      assert.ok(url.startsWith(`${gateway.endpoint}/hosted/of/milkrun/v2/y`), url);
      assert.match(url, /X-Amz-Expires=604800/);
      const { status, body } = await exchange(url);
      assert.equal(status, 200, url);
      assert.ok(body.equals(await localBytes(hourOf(job))), `${body.length} bytes of ${url}`);
      assert.equal(sha256(body), one((await far.manifest(job.job_id)).files).sha256);
      const spoiled = await exchange(url.replace(/Signature=(.)/, (_, digit) => `Signature=${digit === "0" ? "1" : "0"}`));
      assert.equal(spoiled.status, 403);
      keys.push(`of/milkrun/${one((await far.manifest(job.job_id)).files).key}`);
    }
    assert.deepEqual((await owner.list("hosted")).map(({ key }) => key).sort(), keys.sort());
    assert.deepEqual(await owner.openUploads("hosted"), []);
    await waitFor("the spools to be empty", () => [api, far].every(({ server }) => bytesBelow(join(server.directory, "spool")) === 0), 20_000);
  });

  test("0 bytes: plain JSON without rows", async () => {
    const report = { ...distinct(bigReport), response_format: "json", filter: ["eq", "id", "nobody's"] };
    const from = start + 500 * HOUR_MS;
    await owner.must("PUT", "empty");
    const jobs = await waitSucceeded(api, await exportTo(api, report, to("empty"), from, from + HOUR_MS));
    const { key, bytes } = one((await api.manifest(jobs[0].job_id)).files);
    assert.deepEqual([bytes, (await owner.get("empty", key)).length], [0, 0]);
    const there = await exportTo(far, report, { subscription_type: "branch" }, from, from + HOUR_MS);
    assert.equal((await exchange(one((await waitSucceeded(far, there))[0].export_url))).body.length, 0);
  });
});

describe("what goes wrong", () => {
  const refusal = async (destination) => {
    const state = await settled(api, await subscribeTo(api, distinct(bigReport), destination));
    assert.equal(state.status, "FAILED", JSON.stringify(state));
    return state.reason;
  };

  test("a key that is not known, and a-wrong-secret", async () => {
    await connect(api, "unknown-key", { keyId: "NOBODYSACCESSKEY", secret: "nobodys-secret" });
    assert.match(await refusal(to("customer", "unknown-key")), /access key/i);
    await connect(api, "wrong-secret", { keyId: owner.key.keyId, secret: "a-wrong-secret" });
    assert.match(await refusal(to("customer", "wrong-secret")), /secret|signature/i);
  });

  test("a bucket that is not there", async () => {
    assert.match(await refusal(to("not-there-at-all")), /bucket/i);
  });

  test("no permission, then just enough of it", async () => {
    const other = await gateway.makeUser("other");
    await connect(api, "other", other.key);
    await owner.must("PUT", "guarded");
    assert.match(await refusal(to("guarded", "other", "in")), /s3:PutObject/);
    await allow(owner, "guarded", "other", ["s3:PutObject"], { prefix: "in/" });
    const jobs = await waitSucceeded(api, await exportTo(api, distinct(bigReport), to("guarded", "other", "in"), start + 5 * HOUR_MS, start + 6 * HOUR_MS), { timeoutMs: 90_000 });
    const { key } = one((await api.manifest(jobs[0].job_id)).files);
    assert.equal(sha256(await other.get("guarded", key)), files[5].sha256); // who wrote it owns it, at Ceph
    assert.deepEqual(await owner.openUploads("guarded"), []);
  });

  test("the bucket is deleted in mid-job", async () => {
    await owner.must("PUT", "deleted");
    const id = await exportTo(api, distinct(bigReport), to("deleted"), start + (sizes.length - 1) * HOUR_MS, end);
    await waitFor("the upload to begin", async () => {
      const reply = await owner.call("GET", "deleted", { query: { uploads: "" } });
      return /<UploadId>/.test(reply.text);
    }, 60_000, 20);
    const { status, text } = await owner.call("DELETE", "deleted"); // its uploads go with it
    assert.equal(status, 204, text);
    const [job] = await waitForJobs(api, id, { timeoutMs: 120_000 });
    assert.equal(job.status, "FAILED", JSON.stringify(job));
    assert.match(job.reason, /bucket/i);
  });

  test("access that is taken away in mid-job", async () => {
    const user = await gateway.makeUser("leaving");
    await connect(api, "leaving", user.key);
    await user.must("PUT", "left");
    const id = await exportTo(api, distinct(bigReport), to("left", "leaving"), start + (sizes.length - 1) * HOUR_MS, end);
    await waitFor("the upload to begin", async () => (await user.openUploads("left")).length > 0, 60_000, 20);
    await gateway.suspendUser("leaving");
    const [job] = await waitForJobs(api, id, { timeoutMs: 120_000 });
    assert.equal(job.status, "FAILED", JSON.stringify(job));
    assert.ok(job.reason.length > 20);
  });

  test("the gateway dies in the middle, and comes back", async () => {
    await owner.must("PUT", "killed");
    const id = await exportTo(api, distinct(bigReport), to("killed"), start + 8 * HOUR_MS, end);
    await waitFor("an upload to begin", async () => (await owner.openUploads("killed")).length > 0, 60_000, 20);
    await gateway.killGateway();
    await sleep(1000);
    await gateway.startGateway();
    const jobs = await waitSucceeded(api, id, { count: 2, timeoutMs: 150_000 });
    for (const job of jobs) {
      const { key, sha256: hash } = one((await api.manifest(job.job_id)).files);
      assert.equal(sha256(await owner.get("killed", key)), hash);
      assert.equal(hash, files[hourOf(job)].sha256);
    }
    assert.deepEqual(await owner.openUploads("killed"), []);
  });

  test("the store stands still for a while", async () => {
    await owner.must("PUT", "still");
    const id = await exportTo(api, distinct(bigReport), to("still"), start + 5 * HOUR_MS, start + 9 * HOUR_MS);
    gateway.standStill();
    await sleep(4000);
    gateway.goOn();
    const jobs = await waitSucceeded(api, id, { count: 4, timeoutMs: 150_000 });
    for (const job of jobs) {
      const { key } = one((await api.manifest(job.job_id)).files);
      assert.equal(sha256(await owner.get("still", key)), files[hourOf(job)].sha256);
    }
    assert.deepEqual(await owner.openUploads("still"), []);
  });

  for (const minutes of [20, -20]) test(`our clock is ${minutes} minutes off`, async () => {
    const bucket = `clock${minutes > 0 ? "-fast" : "-slow"}`;
    await owner.must("PUT", bucket);
    const off = new RecordingApi(await Server.start({ args: serverArguments, env: atOtherTime(minutes * 60_000) }));
    const file = await ingestBig(off, 17 * MIB, start);
    await connect(off, "ceph");
    const jobs = await waitSucceeded(off, await exportTo(off, bigReport, to(bucket), start, start + HOUR_MS));
    const { key } = one((await off.manifest(jobs[0].job_id)).files);
    assert.equal(sha256(await owner.get(bucket, key)), file.sha256);
    await off.server.stop();
  });
});

test("no secret is in a reply, a log line or a file", () => {
  for (const client of [api, far]) {
    assertNobodyDied(client.server);
    assertNoSecrets({ secrets: [owner.key.secret, "nobodys-secret", "a-wrong-secret"], texts: [...client.texts, client.server.log], directory: client.server.directory });
  }
});
