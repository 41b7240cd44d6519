// SPDX-License-Identifier: Apache-2.0
// Nobody makes the server talk to an address that the operator does not permit: by the endpoint of a destination, by what its name
// resolves to then and later, by redirects, regions and other hints of a store.
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { after, before, describe, test } from "node:test";

import { HOUR_MS } from "./lib/api.mjs";
import { Gcs, Keys, Proxy, Rig, S3, behaviours, makeAuthority, stopClouds } from "./lib/clouds.mjs";
import { RecordingApi, assertDelivered, assertNobodyDied, distinct, exportTo, settled, subscribeTo, waitForJobs, waitSucceeded } from "./lib/deliver.mjs";
import { Names } from "./lib/elsewhere.mjs";
import { declaredOrderTypes, makeOrders, orderFields, orderTypes } from "./lib/events.mjs";
import { Oracle } from "./lib/oracle.mjs";
import { Server, stopAll } from "./lib/server.mjs";
import { waitFor } from "./lib/wait.mjs";

const start = Date.parse("2024-02-01T07:00:00Z");
const end = start + HOUR_MS;
const report = { cadence: "hourly", report_type: "orders", report_fields: orderFields };
const oracle = new Oracle(orderTypes);
const keys = new Keys();
const key = keys.add({ principal: "user/open" });
const publicAddress = "93.184.215.14";
const baseUrl = "https://exports.example.com";
const names = new Names({ "private.example.com": "10.1.2.3", "mixed.example.com": [publicAddress, "192.168.1.1"], "loop.example.com": "127.0.0.1", "six.example.com": "fd00:ec2::254" });
let authority;
let server;
let api;
let store; // where customers may go
let forbidden; // listens where nobody may go

// A listener on another address of this machine, which is not permitted; counts who connects.
async function listenForbidden() {
  const listener = net.createServer((socket) => {
    forbidden.connections++;
    socket.destroy();
  });
  listener.listen(store.port, "127.0.0.2");
  await once(listener, "listening");
  return { listener, connections: 0 };
}

async function startServer(env = {}, args = {}) {
  const started = await Server.start({ args: { workers: 2, "api-subscription-limit": 0, "base-url": baseUrl, "worker-retry-limit-ms": 3000, ...args },
    env: { ...names.env, MILKRUN_DESTINATIONS_CUSTOMER_ENDPOINTS: "true", MILKRUN_DESTINATIONS_CA_FILE: authority.file, ...env } });
  const own = new RecordingApi(started);
  await own.declareTopic("orders", declaredOrderTypes);
  await own.ingest("orders", oracle.sent ?? (oracle.sent = makeOrders(1, 60, start, end)));
  await own.admin("POST", "/v1/admin/connections", { name: "open", kind: "s3", region: "us-east-1", path_style: true, access_key_id: key.keyId, secret_access_key: key.secret });
  return own;
}

before(async () => {
  authority = makeAuthority();
  store = await S3.start({ keys, certificate: authority.issue({ names: ["store.example.com", "rebinding.example.com"] }) });
  forbidden = await listenForbidden();
  names.set({ "store.example.com": "127.0.0.1" });
  api = await startServer({ MILKRUN_DESTINATIONS_ALLOWED_NETWORKS: "127.0.0.1/32" });
  server = api.server;
  oracle.add(oracle.sent);
});
after(async () => {
  forbidden?.listener.close();
  await stopAll();
  await stopClouds();
});

const destination = (endpoint, bucket = "customer-bucket") => ({ subscription_type: "cloud", cloud: "s3", bucket, resource_access_id: "open", endpoint });

describe("when a subscription is made", () => {
  let strict;
  before(async () => {
    strict = await startServer();
  });
  after(() => strict.server.stop());

  const refusals = {
    "Endpoint not allowed": [
      "http://169.254.169.254/latest/meta-data", "https://169.254.169.254", "http://[fd00:ec2::254]/", "https://[fd00:ec2::254]", "http://metadata.google.internal/",
      "https://metadata.google.internal", "http://127.0.0.1:5432", "https://127.0.0.1", "http://localhost", "https://localhost", "https://LOCALHOST",
      "https://x.localhost", "http://[::1]", "https://[::1]", "https://[0:0:0:0:0:0:0:1]", "https://[::]", "https://0.0.0.0",
      "http://2130706433", "http://0x7f000001", "http://0177.0.0.1", "http://127.1", "https://2130706433", "https://0x7f.1", "https://127.0.1", "https://0", "https://0x7f000001",
      "http://[::ffff:127.0.0.1]", "http://[64:ff9b::7f00:1]", "http://[2002:7f00:1::]", "https://[::ffff:7f00:1]", "https://[::127.0.0.1]", "https://[64:ff9b::10.0.0.1]",
      "https://10.0.0.1", "https://172.16.0.1", "https://172.31.255.255", "https://192.168.0.1", "https://100.64.0.1", "https://198.18.0.1", "https://224.0.0.1",
      "https://255.255.255.255", "https://[fc00::1]", "https://[fd12:3456::1]", "https://[fe80::1]", "https://192.0.2.1", "https://240.0.0.1", "https://[ff02::1]", "https://[2001:db8::1]",
      "https://[fe80::1%25eth0]", "https://intranet", "https://store.local", "https://store.internal",
      "https://private.example.com", "https://mixed.example.com", "https://loop.example.com", "https://six.example.com", baseUrl, `${baseUrl}:8443`, "https://EXPORTS.example.com",
    ],
    "Invalid endpoint URL": [
      "https://good.example@127.0.0.1/", "https://127.0.0.1#@good.example/", "https://good.example\\@127.0.0.1", "https://good.example:443@127.0.0.1", "file:///etc/passwd",
      "gopher://good.example.com", "ftp://good.example.com", "unix:/run/x", "javascript:alert(1)", "//good.example.com", "good.example.com", "https://", "https:///x", "https://good.example.com:0",
      "https://good.example.com:99999", "https://good.example.com:80:80", "https://good.example.com/\r\nHost: x", "https://good.example.com/ x", "https://good%2eexample.com", "https://goöd.example.com",
      `https://${"a".repeat(60_000)}.example.com`, "https://good.example.com/path", "https://good.example.com?query", "https://[::1", "https://::1",
    ],
    "Endpoint must use https": ["http://public.example.com", "http://93.184.215.14"],
  };
  for (const [message, endpoints] of Object.entries(refusals)) test(`400 ${message}`, async () => {
    const wrong = [];
    for (const endpoint of endpoints) {
      const reply = await strict.subscribeRaw(distinct(report), { destination: destination(endpoint) });
      const said = reply.status === 400 ? reply.json.error.message : `${reply.status}`;
      if (said !== message) wrong.push(`${endpoint.slice(0, 100)}: ${said}`);
    }
    assert.deepEqual(wrong, []);
  });

  test("an edit is judged in the same way", async () => {
    names.set({ "store.example.com": "127.0.0.1" });
    store.makeBucket("edited");
    const id = await subscribeTo(api, distinct(report), destination(`https://store.example.com:${store.port}`, "edited"));
    assert.equal((await settled(api, id)).status, "ACTIVE");
    const reply = await api.raw("PATCH", `/v1/subscriptions/${id}`, { body: { destination: { endpoint: "https://169.254.169.254" } } });
    assert.deepEqual([reply.status, reply.json.error.message], [400, "Endpoint not allowed"]);
  });

  test("only where the operator permits endpoints, and beside a connection without one", async () => {
    const closed = await startServer({ MILKRUN_DESTINATIONS_CUSTOMER_ENDPOINTS: "false" });
    const said = async (client, change = {}) => {
      const reply = await client.subscribeRaw(distinct(report), { destination: { ...destination("https://public.example.com"), ...change } });
      return [reply.status, reply.json.error?.message];
    };
    names.set({ "public.example.com": publicAddress });
    assert.deepEqual(await said(closed), [400, "Endpoint not allowed"]);
    await strict.admin("POST", "/v1/admin/connections", { name: "bound", kind: "s3", endpoint: store.endpoint, access_key_id: key.keyId, secret_access_key: key.secret });
    assert.deepEqual(await said(strict, { resource_access_id: "bound" }), [400, "Endpoint not allowed"]);
    await closed.server.stop();
  });
});

const endpointOf = (name) => `https://${name}:${store.port}`;

async function activeAt(name, bucketName) {
  const bucket = store.makeBucket(bucketName);
  const own = distinct(report);
  const id = await subscribeTo(api, own, destination(endpointOf(name), bucketName));
  const state = await settled(api, id);
  assert.equal(state.status, "ACTIVE", JSON.stringify(state));
  return { id, bucket, report: own };
}

async function failedJob(id) {
  await api.backfill(id, start, end);
  const [job] = await waitForJobs(api, id, { timeoutMs: 40_000 });
  assert.equal(job.status, "FAILED", JSON.stringify(job));
  return job.reason;
}

describe("when files are uploaded", () => {
  test("a store that is permitted gets them", async () => {
    const { id, bucket, report: own } = await activeAt("store.example.com", "permitted");
    await api.backfill(id, start, end);
    await waitSucceeded(api, id);
    await assertDelivered(api, { bucket, id, report: own, oracle, start, end });
  });

  test("a name that has moved to an address that is not: no byte is sent there", async () => {
    const { id } = await activeAt("store.example.com", "moved");
    names.set({ "store.example.com": "127.0.0.2" });
    const reason = await failedJob(id);
    assert.match(reason, /endpoint.not.allowed/i);
    names.set({ "store.example.com": "127.0.0.1" });
    assert.equal(forbidden.connections, 0);
  });

  test("one address of several that is not permitted", async () => {
    const { id } = await activeAt("store.example.com", "several");
    names.set({ "store.example.com": ["127.0.0.2", "127.0.0.1"] });
    await api.backfill(id, start, end);
    await waitForJobs(api, id, { timeoutMs: 40_000 });
    names.set({ "store.example.com": "127.0.0.1" });
    assert.equal(forbidden.connections, 0);
  });

  test("public when the subscription was made, of this machine at the trial", async () => {
    names.set({ "rebinding.example.com": publicAddress });
    store.makeBucket("rebound");
    const rest = server.children().filter((pid) => pid !== server.apiPid());
    for (const pid of rest) process.kill(pid, "SIGSTOP"); // so that the name can move before the trial
    const id = await subscribeTo(api, distinct(report), destination(endpointOf("rebinding.example.com"), "rebound"));
    names.set({ "rebinding.example.com": "127.0.0.2" });
    for (const pid of rest) process.kill(pid, "SIGCONT");
    const state = await settled(api, id);
    assert.equal(state.status, "FAILED");
    assert.match(JSON.stringify(state), /endpoint.not.allowed/i);
    assert.equal(forbidden.connections, 0);
  });

  test("redirects are not followed", async () => {
    const trap = await Rig.start();
    for (const [index, behaviour] of [behaviours.redirect(301, trap.endpoint), behaviours.redirect(302, "http://169.254.169.254/latest/meta-data/"), behaviours.redirect(307, trap.endpoint),
      behaviours.redirect(308, `${trap.endpoint}/other`), behaviours.redirect(307, `https://127.0.0.2:${store.port}`),
      behaviours.redirect(301, trap.endpoint, { region: "eu-west-1", endpoint: trap.authority }),
      behaviours.redirect(301, trap.endpoint, { region: `x@${trap.authority}/#` }), behaviours.redirect(301, trap.endpoint, { region: `${trap.authority}/?` })].entries()) {
      const name = `redirected-${index}`;
      const { id, bucket } = await activeAt("store.example.com", name);
      store.faults.always({ bucket: name, key: /v2\// }, behaviour);
      const reason = await failedJob(id);
      assert.ok(!reason.includes("127.0.0.1") && !reason.includes("169.254"), reason);
      assert.deepEqual(bucket.keys, []);
    }
    assert.deepEqual([trap.connections, forbidden.connections], [0, 0]);
  });

  for (const [label, issue] of [
    ["expired", () => authority.issue({ names: ["tls.example.com"], days: -1 })],
    ["of another authority", () => makeAuthority().issue({ names: ["tls.example.com"] })],
    ["for another name", () => authority.issue({ names: ["other.example.com"] })],
  ]) test(`a certificate that is ${label}: TLS is never given up`, async () => {
    const rig = await S3.start({ keys, certificate: issue() });
    rig.makeBucket("tls-bucket");
    names.set({ "tls.example.com": "127.0.0.1" });
    const id = await subscribeTo(api, distinct(report), destination(`https://tls.example.com:${rig.port}`, "tls-bucket"));
    const state = await settled(api, id);
    assert.equal(state.status, "FAILED", JSON.stringify(state));
    assert.match(JSON.stringify(state), /tls|certificate/i);
    assert.deepEqual(rig.requests(), []);
    await rig.stop();
  });
});

test("regions that a store names lead to no other host", async () => {
  const cloud = await S3.start({ keys, domain: "s3.us-east-1.cloud.test" });
  const proxy = await Proxy.start({ routes: [[/(^|\.)s3\.us-east-1\.cloud\.test(:80)?$/, cloud]] });
  const own = await startServer({ MILKRUN_DESTINATIONS_PROXY: proxy.endpoint });
  await own.admin("POST", "/v1/admin/connections", { name: "regional", kind: "s3", endpoint: "http://s3.us-east-1.cloud.test", region: "us-east-1", path_style: false,
    access_key_id: key.keyId, secret_access_key: key.secret });
  for (const [index, region] of ["evil.example.com", "eu-west-1.evil.example.com/", "x@evil.example.com", "a/../b", "169.254.169.254", "%0d%0aHost:evil"].entries()) {
    const name = `region-${index}`;
    cloud.makeBucket(name);
    cloud.faults.always({ bucket: name }, behaviours.redirect(301, "https://evil.example.com", { region, endpoint: "evil.example.com" }));
    const state = await settled(own, await subscribeTo(own, distinct(report), { subscription_type: "cloud", cloud: "s3", bucket: name, resource_access_id: "regional" }));
    assert.equal(state.status, "FAILED", region);
  }
  const asked = new Set([...proxy.requests(), ...cloud.requests()].map(({ authority: to, host }) => (to ?? host).replace(/:80$/, "")));
  assert.deepEqual([...asked].filter((host) => !host.endsWith(".cloud.test")), []);
  await own.server.stop();
});

test("the address of an upload that Google's storage names must be Google's storage", async () => {
  const gcs = await Gcs.start({ keys });
  const trap = await Rig.start();
  const account = gcs.tokens.makeAccount("upload@customer-project.iam.gserviceaccount.com");
  const own = await startServer({ MILKRUN_GCP_STORAGE_ENDPOINT: gcs.endpoint, MILKRUN_GCP_TOKEN_ENDPOINT: gcs.tokenUri, MILKRUN_GCP_IAM_ENDPOINT: gcs.endpoint });
  await own.admin("POST", "/v1/admin/connections", { name: "google", kind: "gcs_key", service_account_key: account.keyFile(`${trap.endpoint}/token`) });
  gcs.makeBucket("google-bucket");
  const id = await exportTo(own, distinct(report), { subscription_type: "cloud", cloud: "gcs", bucket: "google-bucket", resource_access_id: "google" }, start, end);
  await waitSucceeded(own, id);
  assert.equal(trap.connections, 0, "the token's address is the operator's, not that in the key");
  gcs.faults.always("BeginUpload", { name: "another address", change: (reply) => ({ ...reply, headers: { ...reply.headers, Location: `${trap.endpoint}/upload?upload_id=x` } }) });
  await own.backfill(id, start + HOUR_MS, end + HOUR_MS);
  await waitFor("the job to fail, or to wait", async () => {
    const jobs = await waitForJobs(own, id, { count: 2, states: ["SUCCEEDED", "FAILED", "PENDING_UPLOAD"] });
    return jobs.some(({ reason }) => reason);
  }, 40_000);
  assert.equal(trap.connections, 0);
  await own.server.stop();
});

test("no process died of any of it", () => {
  assertNobodyDied(server);
  store.assertSound();
});
