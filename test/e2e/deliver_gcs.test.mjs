// SPDX-License-Identifier: Apache-2.0
// Into a customer's bucket of Google Cloud Storage: as a service account that we may act for, with a registered key, with an HMAC
// key over the XML interface; uploads that go on where they were cut.
import assert from "node:assert/strict";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { HOUR_MS } from "./lib/api.mjs";
import { Gcs, Imds, behaviours, policies, stopClouds } from "./lib/clouds.mjs";
import { RecordingApi, assertDelivered, assertNoSecrets, assertNobodyDied, bigReport, distinct, exportTo, ingestBig, readDelivered, settled, subscribeTo,
  waitForJobs, waitSucceeded } from "./lib/deliver.mjs";
import { declaredOrderTypes, makeOrders, orderFields, orderTypes } from "./lib/events.mjs";
import { Oracle } from "./lib/oracle.mjs";
import { Server, stopAll } from "./lib/server.mjs";
import { temporaryDirectory } from "./lib/temp.mjs";

const MIB = 1024 * 1024;
const start = Date.parse("2024-02-01T07:00:00Z");
const oracle = new Oracle(orderTypes);
const hourly = { cadence: "hourly", report_type: "orders", report_fields: orderFields };
const operatorEmail = "milkrun@operator-project.iam.gserviceaccount.com";
let gcs;
let server;
let api;
let operator;
let big;

function writeKey(account) {
  const file = join(temporaryDirectory("gcp"), "key.json");
  writeFileSync(file, JSON.stringify(account.keyFile(gcs.tokenUri)));
  chmodSync(file, 0o600);
  return file;
}

const gcpEnvironment = (more) => ({ MILKRUN_GCP_STORAGE_ENDPOINT: gcs.endpoint, MILKRUN_GCP_TOKEN_ENDPOINT: gcs.tokenUri, MILKRUN_GCP_IAM_ENDPOINT: gcs.endpoint, ...more });

before(async () => {
  gcs = await Gcs.start();
  operator = gcs.tokens.makeAccount(operatorEmail);
  server = await Server.start({ args: { workers: 4, "api-subscription-limit": 0 }, env: gcpEnvironment({ MILKRUN_GCP_KEY_FILE: writeKey(operator) }) });
  api = new RecordingApi(server);
  await api.declareTopic("orders", declaredOrderTypes);
  const events = makeOrders(1, 300, start, start + 3 * HOUR_MS);
  await api.ingest("orders", events);
  oracle.add(events);
  big = await ingestBig(api, 20 * MIB + 12_345, start);
});
after(async () => {
  await stopAll();
  await stopClouds();
});

// A service account of the customer's that we may act for, and a bucket that it may write to.
function makeTarget(name, { prefix, policy = policies.all, impersonators = [operatorEmail], ...options } = {}) {
  const account = gcs.tokens.makeAccount(`${name}@customer-project.iam.gserviceaccount.com`, { impersonators });
  const bucket = gcs.makeBucket(name, { policy: policies.by(account.email, policy), ...options });
  return { account, bucket, prefix, destination: { subscription_type: "cloud", cloud: "gcs", bucket: name, ...(prefix ? { prefix } : {}), resource_access_id: account.email } };
}

async function deliver(target, report = distinct(hourly), { count = 1, ...more } = {}) {
  const end = start + count * HOUR_MS;
  const id = await exportTo(api, report, target.destination, start, end);
  await waitSucceeded(api, id, { count });
  await assertDelivered(api, { ...target, id, report, oracle, start, end, ...more });
  return id;
}

// As one object whose bytes were figured where the events were made.
async function deliverBig(target) {
  const report = distinct(bigReport);
  const id = await exportTo(api, report, target.destination, start, start + HOUR_MS);
  const [job] = await waitSucceeded(api, id);
  const { manifest, keys } = await readDelivered(api, job, { ...target, report });
  assert.deepEqual(manifest.files.map(({ bytes, sha256, rows }) => ({ size: bytes, sha256, rows })), [big]);
  assert.deepEqual(target.bucket.keys, keys.sort());
  target.bucket.assertNothingOpen();
  target.bucket.assertWrittenOnce();
  return id;
}

const refusal = async (destination) => {
  const state = await settled(api, await subscribeTo(api, distinct(hourly), destination));
  assert.equal(state.status, "FAILED", JSON.stringify(state));
  return state.reason;
};

describe("as a service account that the operator's may act for", () => {
  test("layout, manifest, nothing left of the trial, nothing overwritten", async () => {
    const target = makeTarget("acted-for", { prefix: "branch/important_reports" });
    await deliver(target, distinct(hourly), { count: 3 });
    const begun = gcs.requests("BeginUpload").filter(({ bucket, key }) => bucket === "acted-for" && key.includes("/v2/"));
    for (const entry of begun) assert.equal(entry.query.get("ifGenerationMatch"), "0", entry.target);
    assert.ok(gcs.requests("GenerateAccessToken").length <= 4, "tokens are kept");
    assert.ok(gcs.requests("ExchangeToken").length <= 4, "tokens are kept");
  });

  for (const [name, more] of [["gcs-json", { response_format: "json", response_format_compression: "gz" }], ["gcs-parquet", { response_format: "parquet" }]])
    test(`formats: ${name}`, () => deliver(makeTarget(name), distinct({ ...hourly, ...more })));

  test("an hour without rows", () => deliver(makeTarget("gcs-empty"), { ...hourly, response_format: "json", response_format_compression: "none", filter: ["eq", "id", "nobody"] }));

  test("creating objects alone is enough", () => deliver(makeTarget("gcs-create", { policy: policies.putOnly }), distinct(hourly), { isAlone: false }));

  test("a bucket with a retention policy", () => deliver(makeTarget("gcs-worm", { isWriteOnce: true }), distinct(hourly), { isAlone: false }));

  test("a large file, in chunks", async () => {
    const target = makeTarget("gcs-large");
    await deliverBig(target);
    assert.ok(gcs.requests("UploadChunk").filter(({ bucket, bodyBytes }) => bucket === "gcs-large" && bodyBytes > MIB).length >= 1);
  });

  test("tokens that end early are asked for again", async () => {
    const target = makeTarget("gcs-expired");
    const report = distinct(hourly);
    const id = await deliver(target, report);
    gcs.tokens.expireAll();
    await api.backfill(id, start + HOUR_MS, start + 2 * HOUR_MS);
    await waitSucceeded(api, id, { count: 2 });
    await assertDelivered(api, { ...target, id, report, oracle, start, end: start + 2 * HOUR_MS });
  });
});

describe("uploads that are cut go on where they were", () => {
  const large = { test: (entry) => entry.operation === "UploadChunk" && Number(entry.headers["content-length"]) > 2 * MIB };
  for (const [name, when, behaviour] of [
    ["a reset within a chunk", large, behaviours.resetInRequest(MIB + 77)],
    ["a chunk of which a part was kept", large, behaviours.keepOnly(256 * 1024)],
    ["a chunk that was kept, and no answer", large, behaviours.closedAfter()],
    ["503 to a chunk", large, behaviours.unavailable()],
    ["a session that is gone", large, behaviours.noSuchUpload()],
    ["the last answer lost", { test: (entry) => entry.operation === "UploadChunk" && /\/20983865$/.test(entry.headers["content-range"] ?? "") }, behaviours.resetInReply(0)],
    ["no answer to the first request", { operation: "BeginUpload" }, behaviours.closedAfter()],
  ]) test(name, async () => {
    const bucketName = `cut-${name.replace(/[^a-z0-9]+/gi, "-").toLowerCase()}`.slice(0, 60);
    const target = makeTarget(bucketName);
    const rule = gcs.faults.add({ bucket: bucketName, key: /(^|\/)v2\//, ...when }, behaviour);
    target.bucket.assertNothingOpen = () => {}; // a session that nobody knows of ends by itself, after a week
    await deliverBig(target);
    assert.equal(rule.hits, 1, "the fault came");
  });
});

describe("what is missing is said", () => {
  test("we may not act for the account", async () => {
    const reason = await refusal(makeTarget("not-for-us", { impersonators: [] }).destination);
    assert.match(reason, /serviceAccountTokenCreator|iam\.serviceAccounts\.getAccessToken/);
    assert.match(reason, new RegExp(operatorEmail), "who must be given it");
  });

  test("the account may not create objects", async () => {
    const reason = await refusal(makeTarget("not-writable", { policy: policies.readOnly }).destination);
    assert.match(reason, /storage\.objects\.create/);
  });

  test("there is no such bucket", async () => {
    const target = makeTarget("not-there");
    gcs.deleteBucket("not-there");
    assert.match(await refusal(target.destination), /bucket/i);
  });

  test("access that is taken away", async () => {
    const target = makeTarget("gcs-revoked");
    const id = await deliver(target);
    const objects = target.bucket.keys;
    target.bucket.policy = policies.none;
    await api.backfill(id, start + HOUR_MS, start + 2 * HOUR_MS);
    const [failed] = (await waitForJobs(api, id, { count: 2 })).filter(({ status }) => status === "FAILED");
    assert.match(failed.reason, /storage\.objects\.create/);
    assert.deepEqual(target.bucket.keys, objects);
  });
});

describe("with a key that the operator registered", () => {
  let account;
  const register = (name, key, more = {}) => api.admin("POST", "/v1/admin/connections", { name, kind: "gcs_key", service_account_key: key.keyFile(gcs.tokenUri), ...more });
  const targetOf = (name, access) => ({ bucket: gcs.makeBucket(name, { policy: policies.by(account.email, policies.all) }),
    destination: { subscription_type: "cloud", cloud: "gcs", bucket: name, resource_access_id: access } });

  before(async () => {
    account = gcs.tokens.makeAccount("registered@customer-project.iam.gserviceaccount.com");
    const shown = await register("registered", account);
    assert.equal(shown.service_account, account.email);
  });

  test("by the connection's name", () => deliver(targetOf("key-by-name", "registered")));
  test("by the account's name", () => deliver(targetOf("key-by-account", account.email)));
  test("another key of the account, without a restart", async () => {
    const target = targetOf("key-rotated", "registered");
    const report = distinct(hourly);
    const id = await deliver(target, report);
    const next = gcs.tokens.makeAccount(account.email); // the old key is worth nothing any more
    gcs.tokens.expireAll();
    await api.admin("PATCH", "/v1/admin/connections/registered", { service_account_key: next.keyFile(gcs.tokenUri) });
    account.privateKeys = [account.privateKey, next.privateKey];
    await api.backfill(id, start + HOUR_MS, start + 2 * HOUR_MS);
    await waitSucceeded(api, id, { count: 2 });
    await assertDelivered(api, { ...target, id, report, oracle, start, end: start + 2 * HOUR_MS });
  });
});

describe("with an HMAC key, over the XML interface", () => {
  let key;
  before(async () => {
    key = gcs.keys.add({ keyId: "GOOG1EXAMPLEEXAMPLEEXAMPLE", principal: "hmac@customer-project.iam.gserviceaccount.com" });
    await api.admin("POST", "/v1/admin/connections", { name: "hmac", kind: "gcs_hmac", endpoint: gcs.endpoint, access_key_id: key.keyId, secret_access_key: key.secret });
  });
  const targetOf = (name, options) => ({ bucket: gcs.makeBucket(name, { policy: policies.by(key.principal, policies.all), ...options }),
    destination: { subscription_type: "cloud", cloud: "gcs", bucket: name, resource_access_id: "hmac" } });

  test("small files", async () => {
    await deliver(targetOf("hmac-small"), distinct(hourly), { count: 2 });
    const writes = gcs.requests("PutObject").filter(({ bucket, key: name }) => bucket === "hmac-small" && name.includes("v2/"));
    assert.ok(writes.length > 0);
    for (const entry of writes) assert.equal(entry.headers["x-goog-if-generation-match"], "0", "written only if it is not there");
  });
  test("large files, in parts", async () => {
    await deliverBig(targetOf("hmac-large"));
    assert.ok(gcs.requests("UploadPart").filter(({ bucket }) => bucket === "hmac-large").length >= 3);
  });
  test("a wrong secret", async () => {
    await api.admin("POST", "/v1/admin/connections", { name: "hmac-wrong", kind: "gcs_hmac", endpoint: gcs.endpoint, access_key_id: key.keyId, secret_access_key: "not-the-secret" });
    assert.match(await refusal({ ...targetOf("hmac-wrong").destination, resource_access_id: "hmac-wrong" }), /secret|signature/i);
  });
});

test("on a machine of Google's the operator needs no key", async () => {
  const imds = await Imds.start({ google: { tokens: gcs.tokens, email: operatorEmail } });
  const machine = await Server.start({ env: gcpEnvironment({ MILKRUN_GCP_METADATA_ENDPOINT: imds.endpoint, MILKRUN_GCP_USE_METADATA: "true" }) });
  const own = new RecordingApi(machine);
  await own.declareTopic("orders", declaredOrderTypes);
  const events = makeOrders(2, 40, start, start + HOUR_MS);
  await own.ingest("orders", events);
  const data = new Oracle(orderTypes);
  data.add(events);
  const target = makeTarget("from-a-machine");
  const id = await exportTo(own, hourly, target.destination, start, start + HOUR_MS);
  await waitSucceeded(own, id);
  await assertDelivered(own, { ...target, id, report: hourly, oracle: data, start, end: start + HOUR_MS });
  await machine.stop();
});

test("no secret is in a reply, a log line or a file", () => {
  const pems = [...gcs.tokens.accounts.values()].flatMap(({ privateKey }) => privateKey.split("\n").slice(1, 4));
  const secrets = [...pems, ...[...gcs.keys.list.values()].map(({ secret }) => secret), ...gcs.tokens.list.keys()];
  const texts = [...api.texts, server.log];
  assertNoSecrets({ secrets, texts, directory: server.directory });
  assertNoSecrets({ secrets: [...gcs.sessions.keys()], texts }); // who knows one may write; the catalog has it until it is over
  gcs.assertSound();
  assertNobodyDied(server);
});
