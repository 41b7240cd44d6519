// SPDX-License-Identifier: Apache-2.0
// The numbered bad inputs (data/bad_inputs.jsonl, how to read a line: lib/cases.mjs). Each is answered as the line says, in the
// documented shape, changes nothing, shows no secret, and the next good request works.
import assert from "node:assert/strict";
import { createHash, randomBytes, randomUUID } from "node:crypto";
import http from "node:http";
import net from "node:net";
import { after, before, describe, test } from "node:test";
import { gunzipSync } from "node:zlib";

import { Api, DAY_MS, HOUR_MS, makeTenant, makeToken, readDate } from "./lib/api.mjs";
import { expand, inputsOf, makeRequest, readCases } from "./lib/cases.mjs";
import { rawExchange } from "./lib/http.mjs";
import { Server, stopAll } from "./lib/server.mjs";
import { sleep, waitFor } from "./lib/wait.mjs";

const start = Date.parse("2024-02-01T07:00:00Z");
const lines = readCases("bad_inputs");
// Access to all kinds of destinations; nobody is there to be talked to.
const everyDestination = { MILKRUN_DESTINATIONS_CUSTOMER_ENDPOINTS: "true", MILKRUN_AWS_ACCESS_KEY_ID: "AKIDEXAMPLE", MILKRUN_AWS_SECRET_ACCESS_KEY: "zz-aws-secret",
  MILKRUN_AWS_ACCOUNT_ID: "999999999999", MILKRUN_AWS_STS_ENDPOINT: "http://127.0.0.1:1", MILKRUN_SMTP_URL: "smtp://127.0.0.1:1",
  MILKRUN_SMTP_FROM: "milkrun@example.com", MILKRUN_SMTP_ALLOWED_RECIPIENTS: "@example.org,ops@example.com" };
let server;
let api;
let theirs;
let world;
let tokens;

before(async () => {
  server = await Server.start({ args: { "api-ingest-body-bytes": 4 * 1024 * 1024, "api-subscription-limit": 0, "schedule-late-gap-ms": 86_400_000 },
    env: everyDestination });
  api = new Api(server);
  theirs = await makeTenant(server, "zz-their-organization");
  await makeWorld();
});
after(stopAll);

async function makeExport(client, topic) {
  await client.ingest(topic, [{ timestamp: start + 1, id: "1", name: "CLICK" }, { timestamp: start + 2, id: "2", name: "CLICK" }]);
  const id = await client.subscribe({ report_type: topic, report_fields: ["id", "name"], filter: ["eq", "name", "CLICK"] });
  await client.backfill(id, start, start + HOUR_MS);
  return { id, job: (await client.waitJobs(id, 1))[0] };
}

const isoHour = (time) => new Date(Math.floor(time / HOUR_MS) * HOUR_MS).toISOString();
const isoDay = (time) => new Date(time).toISOString().slice(0, 10);
const pathOf = (url) => new URL(url).pathname + new URL(url).search;
const otherCase = (text) => (text.toUpperCase() === text ? text.toLowerCase() : text.toUpperCase());

async function makeWorld() {
  const [own, other, foreign] = [await makeExport(api, "eo_click"), await api.subscribe({ report_type: "eo_open", report_fields: ["id"] }),
    await makeExport(theirs, "zz_their_topic")];
  const gone = await api.subscribe({ report_type: "eo_install", report_fields: ["id"] });
  await api.deactivate(gone);
  const connect = (name, client, more = {}) => api.admin("POST", "/v1/admin/connections",
    { name, kind: "s3", organization_id: client.organizationId, access_key_id: "AKID", secret_access_key: "zz-store-secret", ...more });
  await connect("store", api);
  await connect("store-with-endpoint", api, { endpoint: "http://127.0.0.1:1" });
  await connect("zz-their-store", theirs);
  const app2 = (await api.admin("POST", "/v1/admin/apps", { organization_id: api.organizationId, name: "second" })).app_id;
  const organizationId = api.organizationId;
  const minted = async (permissions, appId) => makeToken(server, { organizationId, permissions, appId });
  const [exporting, ingesting, bound, revoked] = [await minted(["export"]), await minted(["ingest"]),
    await minted(["export", "ingest"], app2), await minted(["export", "ingest"])];
  const revokedUrl = pathOf((await new Api(server, { token: revoked.text, appId: api.appId }).jobs(own.id))[0].export_url[0]);
  await api.admin("DELETE", `/v1/admin/tokens/${revoked.keyId}`);
  await sleep(1000);
  tokens = { all: api.token, export: exporting.text, ingest: ingesting.text, bound: bound.text, revoked: revoked.text,
    admin: server.account.admin_token, none: null };
  let counter = 0;
  world = { next: () => ++counter, app: api.appId, app2, org: organizationId, sid: own.id, sid2: other, goneSid: gone, job: own.job.job_id,
    theirApp: theirs.appId, theirOrg: theirs.organizationId, theirSid: foreign.id, theirJob: foreign.job.job_id, theirTopic: "zz_their_topic",
    theirToken: theirs.token, theirKeyId: theirs.keyId, theirBranchKey: theirs.app.branch_key, theirBranchSecret: theirs.app.branch_secret,
    noApp: "123456789012345678", noOrg: "123456789012345679", noSid: randomUUID(), noJob: randomUUID(), keyId: exporting.keyId,
    token: api.token, ...misspelt(own), ...moments(), branchKey: server.account.branch_key, branchSecret: server.account.branch_secret,
    store: "store", storeWithEndpoint: "store-with-endpoint", base: server.base, port: new URL(server.base).port, revokedUrl };
  Object.assign(world, await signedUrl(own, foreign), await handles(), { nid: await notification(api), theirNid: await notification(theirs) });
}

const notification = async (client) => (await client.call("POST", "/v1/notifications", { body: { type: "webhook", url: "https://93.184.216.34/", events: ["late"] } })).notification_id;

function misspelt({ id, job }) {
  const { token } = api;
  return { tokenCut: token.slice(0, -1), tokenUpper: token.toUpperCase(), tokenBare: token.replace("api_app_", ""),
    tokenFlipped: token.slice(0, -1) + (token.at(-1) === "x" ? "y" : "x"), tokenOtherSecret: token.slice(0, 18) + "Z".repeat(token.length - 18),
    tokenBasic: Buffer.from(`user:${token}`).toString("base64"), sidUpper: otherCase(id), sidBare: id.replaceAll("-", ""), sidCut: id.slice(0, -1),
    jobCut: job.job_id.slice(0, -1), jobUpper: otherCase(job.job_id) };
}

function moments() {
  const now = Date.now();
  const good = `{"timestamp":${start},"a":1}`;
  return { ts: start, good, fat: `{"timestamp":${start},"a":"${"x".repeat(4000)}"}`, dayAhead: now + DAY_MS + 60_000, thisHour: isoHour(now),
    nextHour: isoHour(now + HOUR_MS), nextYear: isoHour(now + 366 * DAY_MS), yesterday: isoDay(now - DAY_MS),
    tomorrow: isoDay(now + DAY_MS), recent: isoDay(now - 3 * DAY_MS) };
}

async function signedUrl(own, foreign) {
  const url = pathOf(own.job.export_url[0]);
  const parameters = new URL(server.base + url).searchParams;
  const [, day, region] = parameters.get("X-Amz-Credential").split("/");
  const signature = parameters.get("X-Amz-Signature");
  const whole = await api.raw("GET", url, { token: null });
  const [filePath, query] = url.split("?");
  return { url, filePath, urlQuery: `?${query}`, urlTail: filePath.slice(filePath.indexOf("/v2/") + 4), theirFilePath: pathOf(foreign.job.export_url[0]).split("?")[0],
    day, region, signature, signatureUpper: signature.toUpperCase(), signatureCut: signature.slice(1), size: whole.body.length, etag: whole.headers.etag };
}

async function handles() {
  const made = async (client, topic) => (await client.call("POST", `/v2/logs?app_id=${client.appId}`, { body: { start_date: `${world.recent}T00:00:00Z`,
    end_date: `${world.recent}T01:59:59Z`, report_type: topic, fields: ["id"], limit: 10 } })).handle;
  const handle = await made(api, "eo_click");
  return { handle, theirHandle: await made(theirs, "eo_click"), handleCut: handle.slice(0, -1), handleUpper: otherCase(handle) };
}

// ---- what the server holds, as its owners see it

const stable = ({ last_used_at: ignored, ...rest }) => rest;

async function oldJobs(client, id) {
  const jobs = await client.jobs(id);
  return jobs.filter((job) => readDate(job.start_date) < start + HOUR_MS).map((job) => ({ ...job, export_url: job.export_url.length }));
}

async function snapshot() {
  const admin = (path) => api.admin("GET", `/v1/admin/${path}`);
  const list = (client) => client.call("GET", `/scheduled-exports/logs/subscriptions?organization_id=${client.organizationId}`);
  const held = await Promise.all([list(api), list(theirs), oldJobs(api, world.sid),
    oldJobs(theirs, world.theirSid), api.call("GET", "/v1/topics"), theirs.call("GET", "/v1/topics"), admin("organizations"), admin("apps"),
    admin("tokens").then((all) => all.map(stable)), admin("users"), admin("connections")]);
  return JSON.stringify(held);
}

async function storedEvents() {
  const reply = await api.raw("GET", "/metrics", { token: null });
  return Number(/^milkrun_ingest_last_seq (\d+)$/m.exec(reply.text)[1]);
}

const state = async () => ({ held: await snapshot(), events: await storedEvents(), audit: (await api.raw("GET", "/v1/admin/audit", { token: tokens.admin })).text });

// ---- one input

const send = async (request) => {
  try {
    return await api.raw(request.method, request.path, { ...request, token: tokens[request.as] });
  } catch (error) {
    if (["ECONNRESET", "EPIPE"].includes(error.code) || error.message.includes("socket hang up"))
      return { status: "close", text: "", headers: {}, body: Buffer.alloc(0) };
    throw error;
  }
};

function checkShape(line, reply, label) {
  const isXml = /^application\/xml/.test(reply.headers["content-type"] ?? "");
  if (line.call === "download" && line.shape !== "any") assert.ok(isXml, `${label}: errors of the bucket are XML`);
  if (isXml) return assert.match(reply.text, /^<\?xml [^>]*\?>\s*<Error><Code>\w+<\/Code><Message>[^<]+<\/Message>.*<\/Error>\s*$/s, label);
  assert.match(reply.headers["content-type"], /^application\/json/, label);
  assert.equal(reply.json.error.code, reply.status, label);
  assert.equal(typeof reply.json.error.message, "string", label);
  assert.ok(reply.json.error.message.length > 0, label);
}

function checkReply(line, reply, value, label) {
  const wanted = [line.status].flat();
  assert.ok(wanted.includes(reply.status), `${label} answered ${reply.status}, not ${wanted}: ${reply.text.slice(0, 300)}`);
  if (reply.status >= 400 && reply.body.length > 0) checkShape(line, reply, label);
  const text = (template) => expand(template, world, value);
  if (line.message) assert.equal(reply.json.error.message, text(line.message), label);
  if (line.like) assert.match(reply.json.error.message, new RegExp(text(line.like)), label);
  if (line.errors) assert.deepEqual(reply.json.errors.map((error) => error.message), line.errors, label);
  if (line.xml) assert.ok(reply.text.includes(`<Code>${line.xml}</Code>`), `${label}: ${reply.text}`);
  for (const [key, item] of Object.entries(line.reply ?? {})) assert.deepEqual(reply.json[key], item, `${label}: ${key}`);
  if (line.bytes !== undefined) assert.equal(reply.body.length, Number(text(String(line.bytes))), label);
  if (line.noHeader) assert.equal(reply.headers[line.noHeader], undefined, label);
}

// What no reply may hold: secrets, names of others that the request did not have, our files, our SQL.
function checkLeaks(line, request, reply, label) {
  const sent = `${request.path} ${request.body ?? ""} ${JSON.stringify(request.headers)}`;
  const secrets = [...Object.values(tokens).filter(Boolean), world.theirToken, world.branchSecret, world.theirBranchSecret];
  const foreign = ["theirApp", "theirOrg", "theirSid", "theirJob", "theirTopic", "theirBranchKey", "theirNid"].map((name) => world[name]).filter((name) => !sent.includes(name));
  const seen = reply.text + JSON.stringify({ ...reply.headers, "x-request-id": "" });
  if (request.as === "admin" && reply.status === 200) return;
  const ours = [server.directory, ".c:", "SELECT ", "sqlite", "duckdb"].filter((text) => !sent.includes(text));
  for (const text of [...(line.never ?? []), ...secrets, ...foreign, ...ours, "zz-their-organization"])
    assert.ok(!seen.includes(text), `${label}: the reply shows ${text}: ${seen.slice(0, 400)}`);
}

const shapeOf = (reply) => JSON.stringify([reply.status, reply.text,
  Object.entries(reply.headers).filter(([name]) => !["date", "x-request-id", "connection", "keep-alive"].includes(name))]);

async function runInput(input) {
  const { line, value } = input;
  const request = makeRequest(input, world);
  const label = `${line.id} ${JSON.stringify(value)?.slice(0, 90) ?? ""} ${request.method} ${request.path.slice(0, 160)}`;
  const reply = await send(request);
  if (reply.status === 200 && ["subscribe", "cloud", "mail"].includes(line.call)) await api.deactivate(reply.json.subscription_id);
  checkReply(line, reply, value, label);
  checkLeaks(line, request, reply, label);
  if (line.twin) {
    const names = { ...world, ...Object.fromEntries(Object.entries(line.twin).map(([name, text]) => [name, expand(text, world)])) };
    assert.equal(shapeOf(reply), shapeOf(await send(makeRequest(input, names))), `${label}: foreign and unknown differ`);
  }
  const next = await api.raw("GET", `/scheduled-exports/logs/subscription/${world.sid}?app_id=${world.app}`);
  assert.equal(next.status, 200, `${label}: the next good request`);
  return reply;
}

// Good requests of these leave something behind, which no test takes away again.
const makesThings = ["ingest", "orgCreate", "orgPatch", "appCreate", "userCreate", "tokenCreate", "topics"];

async function runLine(line) {
  const before = await state();
  const failures = [];
  let taken = 0;
  for (const input of inputsOf(line)) {
    try {
      if ((await runInput(input)).status === 200) taken++;
    } catch (error) {
      failures.push(error.message);
    }
  }
  const now = await state();
  assert.equal(failures.length, 0, `${failures.length} of ${inputsOf(line).length}:\n${failures.join("\n")}`);
  if (line.stored !== undefined || taken === 0) assert.equal(now.events - before.events, (line.stored ?? 0) * taken, `${line.id}: events stored`);
  if (taken === 0) assert.equal(now.audit, before.audit, `${line.id}: the audit log tells of a change`);
  if (taken === 0 || !makesThings.includes(line.call)) assert.equal(now.held, before.held, `${line.id}: state changed`);
}

for (const area of new Set(lines.map((line) => line.area)))
  describe(area, () => {
    for (const line of lines.filter((item) => item.area === area)) test(`${line.id} ${line.what}`, () => runLine(line));
  });

describe("what one request cannot show", () => {
  const event = (note) => `{"timestamp":${start},"note":"${note}"}\n`;

  test("B173 a key of another organization is another key", async () => {
    const options = { headers: { "Idempotency-Key": "shared-key" } };
    assert.equal((await theirs.ingestRaw("shared", event("theirs"), options)).status, 200);
    const before = await storedEvents();
    const reply = await api.ingestRaw("shared", event("ours"), options);
    assert.deepEqual(reply.json, { accepted: 1 });
    assert.equal(reply.headers["idempotency-replayed"], undefined);
    assert.equal(await storedEvents(), before + 1);
  });

  // Sends a head that promises the whole body, then a part of it, then closes.
  const cutOff = (body, part, key) => new Promise((resolve) => {
    const head = `POST /v1/events/cut?app_id=${api.appId} HTTP/1.1\r\nHost: x\r\nAccess-Token: ${api.token}\r\nIdempotency-Key: ${key}\r\n` +
      `Content-Type: application/x-ndjson\r\nContent-Length: ${body.length}\r\n\r\n`;
    const socket = net.connect(Number(world.port), "127.0.0.1", () => socket.write(head + body.slice(0, part), () => socket.destroy()));
    socket.on("close", resolve);
    socket.on("error", () => {});
  });

  test("B374 closed after nine tenths of the body: nothing is stored, and the key is free", async () => {
    const body = event("x").repeat(1000);
    const before = await storedEvents();
    for (const share of [0, 0.1, 0.5, 0.9, 0.999]) await cutOff(body, Math.floor(body.length * share), "cut");
    await sleep(300);
    assert.equal(await storedEvents(), before);
    assert.deepEqual((await api.ingestRaw("cut", event("other"), { headers: { "Idempotency-Key": "cut" } })).json, { accepted: 1 });
  });

  test("B375 closed before the reply: stored once at most, and a repeat gets its answer", async () => {
    const body = event("x").repeat(1000);
    const before = await storedEvents();
    for (let round = 0; round < 5; round++) await cutOff(body, body.length, "gone");
    const reply = await waitFor("the answer", async () => {
      const again = await api.ingestRaw("cut", body, { headers: { "Idempotency-Key": "gone" } });
      return again.status !== 409 && again;
    });
    assert.deepEqual(reply.json, { accepted: 1000 });
    assert.equal(await storedEvents(), before + 1000);
  });

  test("B137 two access-token headers, equal or not", async () => {
    for (const other of [api.token, "x", ""]) {
      const seen = await rawExchange(server.base, `GET /scheduled-exports/logs/subscriptions?app_id=${api.appId} HTTP/1.1\r\nHost: x\r\n` +
        `access-token: ${api.token}\r\nAccess-Token: ${other}\r\nConnection: close\r\n\r\n`);
      assert.match(seen, /^HTTP\/1\.1 400 [\s\S]*"code":400/);
    }
  });

  test("B145 an expired token is refused; its URLs live on", async () => {
    const body = { organization_id: api.organizationId, name: "short", permissions: ["export"], expires_at: new Date(Date.now() + 2500).toISOString() };
    const { access_token: token } = await api.admin("POST", "/v1/admin/tokens", body);
    const client = new Api(server, { token, appId: api.appId });
    const url = pathOf((await client.jobs(world.sid)).find((job) => job.job_id === world.job).export_url[0]);
    assert.equal((await api.raw("GET", url, { token: null })).status, 200);
    const path = `/scheduled-exports/logs/subscriptions?app_id=${api.appId}`;
    const refused = await waitFor("the end", async () => {
      const reply = await client.raw("GET", path);
      return reply.status !== 200 && reply;
    }, 6000);
    assert.deepEqual(refused.json, { error: { message: "Authentication failed !", code: 400 } });
    assert.equal((await api.raw("GET", url, { token: null })).status, 200, "its URLs live on, to an end of their own");
  });

  test("B146 a disabled organization: token, events and URLs are refused; enabled again they work", async () => {
    const tenant = await makeTenant(server, "disabled");
    const { id, job } = await makeExport(tenant, "some_topic");
    const url = pathOf(job.export_url[0]);
    const change = (disabled) => api.admin("PATCH", `/v1/admin/organizations/${tenant.organizationId}`, { disabled });
    const look = async () => Promise.all([tenant.raw("GET", `/scheduled-exports/logs/subscription/${id}?app_id=${tenant.appId}`),
      tenant.ingestRaw("some_topic", event("x")), api.raw("GET", url, { token: null })]);
    await change(true);
    await waitFor("the refusal", async () => (await look()).every((reply) => reply.status >= 400), 2000);
    const [read, ingest, file] = await look();
    assert.deepEqual(read.json, { error: { message: "Authentication failed !", code: 400 } });
    assert.deepEqual([ingest.status, file.status], [401, 403]);
    await change(false);
    await waitFor("service", async () => (await look()).every((reply) => reply.status === 200), 2000);
  });

  test("B147 a rotated token: both secrets inside the grace, the new one alone after it", async () => {
    const old = await makeToken(server, { organizationId: api.organizationId, permissions: ["export"] });
    const rotated = await api.admin("POST", `/v1/admin/tokens/${old.keyId}/rotate`, { grace_seconds: 2 });
    assert.equal(rotated.key_id, old.keyId);
    const path = `/scheduled-exports/logs/subscriptions?app_id=${api.appId}`;
    const status = async (token) => (await api.raw("GET", path, { token })).status;
    assert.deepEqual([await status(old.text), await status(rotated.access_token)], [200, 200]);
    await waitFor("the end of the grace", async () => (await status(old.text)) === 400, 6000);
    assert.equal(await status(rotated.access_token), 200);
  });

  test("B171 the same subscription ten times at once: once", async () => {
    const body = { report: { report_type: "eo_click", report_fields: ["id"], filter: ["eq", "name", "B171"] }, destination: { subscription_type: "branch" } };
    const path = `/scheduled-exports/logs/subscribe?app_id=${api.appId}`;
    const replies = await Promise.all(Array.from({ length: 10 }, () => api.raw("POST", path, { body, keepAlive: false })));
    const made = replies.filter((reply) => reply.status === 200);
    assert.equal(made.length, 1);
    const id = made[0].json.subscription_id;
    for (const reply of replies.filter((item) => item.status !== 200)) assert.deepEqual(reply.json, { error: { message: `Duplicate of subscription ${id}`, code: 400 } });
    await api.deactivate(id);
  });

  // Medians of many interleaved askings: a look-up that only some of them need would show.
  async function compareTimes(kinds, ask) {
    const times = Object.fromEntries(Object.keys(kinds).map((name) => [name, []]));
    for (let round = 0; round < 300; round++)
      for (const [name, value] of Object.entries(kinds)) {
        const began = process.hrtime.bigint();
        await ask(value);
        times[name].push(Number(process.hrtime.bigint() - began));
      }
    const medians = Object.values(times).map((list) => list.sort((a, b) => a - b)[list.length / 2]);
    assert.ok(Math.max(...medians) / Math.min(...medians) < 1.7, `medians ${medians} ns of ${Object.keys(kinds)}`);
  }

  test("B155 wrong tokens that begin right take as long as others", () =>
    compareTimes({ near: world.tokenFlipped, keyOnly: world.tokenOtherSecret, far: `api_app_${"Q".repeat(32)}` }, async (token) =>
      assert.equal((await api.raw("GET", `/scheduled-exports/logs/subscriptions?app_id=${api.appId}`, { token })).status, 400)));

  test("B178 foreign, unknown and malformed ids take the same time", () =>
    compareTimes({ foreign: world.theirSid, unknown: world.noSid, malformed: "not-an-id" }, async (id) =>
      assert.equal((await api.raw("GET", `/scheduled-exports/logs/subscription/${id}?app_id=${api.appId}`)).status, 404)));

  test("B263 B273 the last millisecond and parts of it are in the window, the next is not", async () => {
    const hour = "2024-03-01T07";
    const times = [`${hour}:59:59.999Z`, `${hour}:59:59.9995Z`, `${hour}:59:59.999999999Z`, "2024-03-01T08:00:00.000Z", "2024-03-01T08:00:00.0009Z"];
    await api.ingest("edges", times.map((timestamp, index) => ({ id: String(index), timestamp })));
    const from = Date.parse(`${hour}:00:00Z`);
    const { id, jobs } = await api.exportRange({ report_type: "edges", report_fields: ["id", "timestamp"] }, from, from + 2 * HOUR_MS);
    const [second, first] = await Promise.all(jobs.map(async (job) => gunzipSync((await api.downloadJob(job))[0]).toString()));
    const end = from + HOUR_MS;
    assert.equal(first, `id,timestamp\n0,${end - 1}\n1,${end - 1}\n2,${end - 1}\n`);
    assert.equal(second, `id,timestamp\n3,${end}\n4,${end}\n`);
    await api.deactivate(id);
  });

  test("B245 B246 a missing value passes a not; texts are compared byte by byte", async () => {
    await api.ingest("accents", [{ id: "composed", timestamp: start, word: "caf\u00e9" }, { id: "apart", timestamp: start, word: "cafe\u0301" },
      { id: "none", timestamp: start }]);
    const asked = async (filter) => {
      const { id, jobs } = await api.exportRange({ report_type: "accents", report_fields: ["id"], filter }, start, start + HOUR_MS);
      await api.deactivate(id);
      return gunzipSync((await api.downloadJob(jobs[0]))[0]).toString().trim().split("\n").slice(1).join(" ");
    };
    assert.equal(await asked(["eq", "word", "caf\u00e9"]), "composed");
    assert.equal(await asked(["eq", "word", "cafe\u0301"]), "apart");
    assert.equal(await asked(["not", ["eq", "word", "caf\u00e9"]]), "apart none");
  });

  test("B413 B429 a download that has begun ends whole, though its token is revoked meanwhile; the next one is refused", async () => {
    const text = randomBytes(45_000).toString("base64");
    for (let part = 0; part < 8; part++)
      await api.ingest("bulky", Array.from({ length: 50 }, (_, index) => ({ timestamp: start + index, text: randomBytes(45_000).toString("base64") + text[part] })));
    const { id, jobs } = await api.exportRange({ report_type: "bulky", report_fields: ["text"] }, start, start + HOUR_MS);
    const minted = await makeToken(server, { organizationId: api.organizationId, permissions: ["export"] });
    const [listed] = await new Api(server, { token: minted.text, appId: api.appId }).jobs(id);
    const response = await new Promise((resolve, reject) => http.get(listed.export_url[0], { agent: false }, resolve).on("error", reject));
    response.pause();
    await api.admin("DELETE", `/v1/admin/tokens/${minted.keyId}`);
    await waitFor("the refusal", async () => (await api.raw("GET", pathOf(listed.export_url[0]), { token: null })).status === 403, 1500);
    const hash = createHash("sha256");
    for await (const chunk of response) hash.update(chunk);
    assert.equal(hash.digest("hex"), jobs[0].sha256[0]);
    await api.deactivate(id);
  });
});

test("the log has whole lines, no control bytes, and no secret", async () => {
  const secrets = Object.values(tokens).filter(Boolean).concat(world.theirToken, world.branchSecret, world.theirBranchSecret, world.signature,
    "zz-store-secret", "zz-made-secret", "zz-aws-secret");
  for (const secret of secrets) assert.ok(!server.log.includes(secret), `the log shows ${secret.slice(0, 12)}...`);
  for (const line of server.log.split("\n").slice(0, -1)) assert.match(line, /^time=\S+ level=\w+ [\x20-\x7e\x80-\uffff]*$/);
});
