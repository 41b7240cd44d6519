// SPDX-License-Identifier: Apache-2.0
// Who may do what: every call of the server's own list, with ids that are ours, theirs, nobody's and malformed, under every kind of
// credential. What is theirs answers like what does not exist, byte for byte. A call that has no row here fails the test.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, test } from "node:test";

import { Api, HOUR_MS, makeTenant, makeToken } from "./lib/api.mjs";
import { Server, stopAll } from "./lib/server.mjs";
import { sleep, waitFor } from "./lib/wait.mjs";

const start = Date.parse("2024-02-01T07:00:00Z");
const destination = { subscription_type: "branch" };
const window = { start_date: new Date(start).toISOString(), end_date: new Date(start + HOUR_MS).toISOString() };
const authenticationFailed = [400, "Authentication failed !"];
const notAuthorized = [404, /^Not authorized for the user id: \d+\.$/];
let counter = 0;

// What a class of calls answers: to no (or a wrong, revoked) credential; to a token without the permission; about a scope (app or
// organization) and about an id that is not the caller's. Texts where they are documented, else null.
const accessClasses = {
  branch: { needs: "export", noCredential: authenticationFailed, noPermission: authenticationFailed, noScope: authenticationFailed, noId: [404, "Job ID Not Found"] },
  create: { needs: "export", noCredential: [401, null], noPermission: notAuthorized, noScope: notAuthorized },
  native: { needs: "export", noCredential: [401, null], noPermission: [403, /^Token lacks permission: export/], noScope: [404, null], noId: [404, null] },
  schema: { needs: "export or ingest", noCredential: [401, null], noPermission: [403, /^Token lacks permission: /], noScope: [404, null], noId: [404, null] },
  ingest: { needs: "ingest", noCredential: [401, null], noPermission: [403, /^Token lacks permission: ingest/], noScope: [404, null] },
  admin: { needs: "admin", noCredential: [401, null], noPermission: [403, "Token lacks permission: admin"], noId: [404, null] },
  open: {},
  keys: {}, // the call has its credential in the body
  signed: {}, // the URL is the credential
  s3: {}, // signed in the headers: hosted_s3.test.mjs
};

const freshReport = () => ({ report_type: "eo_click", report_fields: ["id"], filter: ["eq", "name", `m${++counter}`] });
const freshSubscription = async () => ({ subscription_id: (await api.subscribeRaw(freshReport())).json.subscription_id });
const organizationBody = () => ({ organization_id: api.organizationId, name: `fresh ${++counter}` });
const freshOrganization = async () => ({ organization_id: (await api.admin("POST", "/v1/admin/organizations", { name: `fresh ${++counter}` })).organization_id });
const freshApp = async () => ({ app_id: (await api.admin("POST", "/v1/admin/apps", organizationBody())).app_id });
const freshUser = async () => ({ user_id: (await api.admin("POST", "/v1/admin/users", organizationBody())).user_id });
const freshToken = async () => ({ key_id: (await ownToken(["export"])).keyId });
const connectionBody = () => ({ name: `matrix-${++counter}`, kind: "s3", access_key_id: "AKID", secret_access_key: "x" });
const freshConnection = async () => ({ name: (await api.admin("POST", "/v1/admin/connections", connectionBody())).name });
const webhook = { type: "webhook", url: "http://127.0.0.1:1/" }; // where nobody listens
const notificationOf = async (client) => (await client.call("POST", `/v1/notifications?app_id=${client.appId}`, { body: webhook })).notification_id;
const freshNotification = async () => ({ notification_id: await notificationOf(api) });
const ndjson = { "Content-Type": "application/x-ndjson" };
const sle = "/scheduled-exports/logs";

// access: of the table above. scope: what the query takes (default: app_id; "" for none). ids: names in the path, when they may be
// anything. body: of the ids. own: fresh ids for a call that uses them up. ok: the answer when all is right.
const rows = {
  [`POST ${sle}/subscribe`]: { access: "create", body: () => ({ report: freshReport(), destination }) },
  [`GET ${sle}/subscriptions`]: { access: "branch" },
  [`GET ${sle}/subscription/externalId`]: { access: "branch" },
  [`GET ${sle}/subscription/{subscription_id}`]: { access: "branch" },
  [`DELETE ${sle}/subscription/{subscription_id}`]: { access: "branch", own: freshSubscription },
  [`GET ${sle}/subscription/{subscription_id}/jobs`]: { access: "branch" },
  [`POST ${sle}/subscription/{subscription_id}/jobs`]: { access: "branch" },
  [`GET ${sle}/subscription/{subscription_id}/job/{job_id}`]: { access: "branch" },
  "GET /v1/subscriptions": { access: "native" },
  "GET /v1/subscriptions/{subscription_id}": { access: "native" },
  "POST /v1/subscriptions/{subscription_id}/backfill": { access: "native", body: () => window },
  "GET /v1/subscriptions/{subscription_id}/windows": { access: "native" },
  "GET /v1/subscriptions/{subscription_id}/gaps": { access: "native" },
  "PATCH /v1/subscriptions/{subscription_id}": { access: "native", body: () => ({ report: freshReport() }), own: freshSubscription },
  "POST /v1/subscriptions/{subscription_id}/pause": { access: "native", own: freshSubscription },
  "POST /v1/subscriptions/{subscription_id}/resume": { access: "native", own: freshSubscription },
  "GET /v1/subscriptions/{subscription_id}/versions": { access: "native" },
  "POST /v1/subscriptions/preview": { access: "native", body: () => ({ report: freshReport(), destination }) },
  "POST /v2/logs": { access: "create", body: () => ({ ...window, report_type: "eo_click", fields: ["id"], limit: 10 }) },
  "GET /v2/logs/{request_handle}": { access: "branch" },
  "POST /v2/data/ready": { access: "branch", body: () => ({ date: "2026-11-20 01:00:00", warehouse_meta_type: "EVENT", topic: "eo_click" }) },
  "POST /v3/export": { access: "keys" },
  "GET /v1/jobs/{job_id}": { access: "native" },
  "GET /v1/jobs/{job_id}/manifest": { access: "native" },
  "POST /v1/jobs/{job_id}/retry": { access: "native", ok: 409 }, // the job SUCCEEDED
  "POST /v1/jobs/{job_id}/restore": { access: "native", ok: 409 }, // its files are there
  "GET /v1/notifications": { access: "native" },
  "POST /v1/notifications": { access: "native", body: () => webhook },
  "GET /v1/notifications/{notification_id}": { access: "native" },
  "PATCH /v1/notifications/{notification_id}": { access: "native", body: () => ({ events: ["late"] }), own: freshNotification },
  "DELETE /v1/notifications/{notification_id}": { access: "native", own: freshNotification },
  "POST /v1/notifications/{notification_id}/rotate": { access: "native", own: freshNotification },
  "POST /v1/notifications/{notification_id}/test": { access: "native", own: freshNotification },
  "GET /v1/notifications/{notification_id}/deliveries": { access: "native" },
  "GET /v1/topics": { access: "schema" },
  "GET /v1/topics/{topic}": { access: "schema" },
  "POST /v1/topics": { access: "ingest", body: () => ({ name: `matrix_${++counter}`, fields: [{ name: "plan", type: "string" }] }) },
  "POST /v1/events/{topic}": { access: "ingest", ids: "free", body: () => `{"timestamp":${start}}\n`, headers: ndjson },
  "GET /v1/admin/organizations": { access: "admin", scope: "" },
  "POST /v1/admin/organizations": { access: "admin", scope: "", body: () => ({ name: `matrix ${++counter}` }) },
  "GET /v1/admin/apps": { access: "admin", scope: "" },
  "POST /v1/admin/apps": { access: "admin", scope: "", body: (ids) => ({ organization_id: ids.organization, name: `matrix ${++counter}` }) },
  "GET /v1/admin/organizations/{organization_id}": { access: "admin", scope: "" },
  "PATCH /v1/admin/organizations/{organization_id}": { access: "admin", scope: "", body: () => ({ name: `renamed ${++counter}` }), own: freshOrganization },
  "GET /v1/admin/apps/{app_id}": { access: "admin", scope: "" },
  "PATCH /v1/admin/apps/{app_id}": { access: "admin", scope: "", body: () => ({ name: `renamed ${++counter}` }), own: freshApp },
  "DELETE /v1/admin/apps/{app_id}": { access: "admin", scope: "", own: freshApp },
  "POST /v1/admin/apps/{app_id}/rotate": { access: "admin", scope: "", body: () => ({}), own: freshApp },
  "GET /v1/admin/users": { access: "admin", scope: "" },
  "POST /v1/admin/users": { access: "admin", scope: "", body: (ids) => ({ organization_id: ids.organization, name: `matrix ${++counter}` }) },
  "GET /v1/admin/users/{user_id}": { access: "admin", scope: "" },
  "PATCH /v1/admin/users/{user_id}": { access: "admin", scope: "", body: () => ({ name: `renamed ${++counter}` }), own: freshUser },
  "GET /v1/admin/tokens": { access: "admin", scope: "" },
  "POST /v1/admin/tokens": { access: "admin", scope: "", body: (ids) => ({ organization_id: ids.organization, name: `matrix ${++counter}`, permissions: ["export"] }) },
  "GET /v1/admin/tokens/{key_id}": { access: "admin", scope: "" },
  "DELETE /v1/admin/tokens/{key_id}": { access: "admin", scope: "", own: freshToken },
  "POST /v1/admin/tokens/{key_id}/rotate": { access: "admin", scope: "", body: () => ({}), own: freshToken },
  "GET /v1/admin/connections": { access: "admin", scope: "" },
  "POST /v1/admin/connections": { access: "admin", scope: "", body: connectionBody },
  "GET /v1/admin/connections/{name}": { access: "admin", scope: "" },
  "PATCH /v1/admin/connections/{name}": { access: "admin", scope: "", body: () => ({ region: `r-${++counter}` }), own: freshConnection },
  "DELETE /v1/admin/connections/{name}": { access: "admin", scope: "", own: freshConnection },
  "GET /v1/admin/audit": { access: "admin", scope: "" },
  "GET /healthz": { access: "open" },
  "GET /readyz": { access: "open" },
  "GET /metrics": { access: "open" },
  "GET /openapi.json": { access: "open" },
  "GET /v1/s3-credentials": { access: "native" },
  "GET /": { access: "s3" },
  "GET /exports": { access: "s3" },
  "HEAD /exports": { access: "s3" },
  "GET /exports/{key}": { access: "signed" },
  "HEAD /exports/{key}": { access: "signed" },
};

let server;
let api;
let theirs;
let credentials;
let kinds;
let listed;
let parameters; // names of each call

before(async () => {
  server = await Server.start({ args: { "api-subscription-limit": 0, "schedule-late-gap-ms": 86_400_000, "notify-limit": 10_000,
    "destinations-allowed-networks": "127.0.0.1" } });
  api = new Api(server);
  theirs = await makeTenant(server, "theirs");
  const { paths } = await api.call("GET", "/openapi.json");
  const operations = Object.entries(paths).flatMap(([path, methods]) => Object.entries(methods).filter(([name]) => /^(get|head|post|put|patch|delete)$/.test(name))
    .map(([method, operation]) => [`${method.toUpperCase()} ${path}`, operation]));
  listed = operations.map(([call]) => call);
  const nameOf = (parameter) => parameter.name ?? parameter.$ref.split("/").pop();
  parameters = Object.fromEntries(operations.map(([call, { parameters: list = [] }]) => [call, list.map(nameOf)]));
  const [own, foreign] = [await makeExport(api, "our_topic"), await makeExport(theirs, "their_topic")];
  const app2 = (await api.admin("POST", "/v1/admin/apps", { organization_id: api.organizationId, name: "second" })).app_id;
  const revoked = await ownToken(["export", "ingest"]);
  await api.admin("DELETE", `/v1/admin/tokens/${revoked.keyId}`);
  credentials = { none: null, wrong: `api_app_${"9".repeat(32)}`, revoked: revoked.text, theirs: theirs.token, noExport: (await ownToken(["ingest"])).text,
    noIngest: (await ownToken(["export"])).text, noAdmin: api.token, bound: (await ownToken(["export", "ingest"], app2)).text, right: api.token,
    operator: server.account.admin_token };
  const listedTokens = await api.admin("GET", "/v1/admin/tokens");
  const userOf = (client) => listedTokens.find((token) => token.organization_id === client.organizationId).user_id;
  const tenantIds = (client) => ({ app: client.appId, app_id: client.appId, organization: client.organizationId, organization_id: client.organizationId,
    user_id: userOf(client) });
  const nothing = (text) => Object.fromEntries(["app", "app_id", "organization", "organization_id", "user_id", "key_id", "subscription_id", "job_id", "notification_id", "request_handle", "name"]
    .map((name) => [name, text]));
  const connectionOf = async (client) => (await api.admin("POST", "/v1/admin/connections",
    { ...connectionBody(), organization_id: client.organizationId })).name;
  kinds = {
    own: { ...tenantIds(api), topic: "our_topic", key_id: revoked.keyId, name: await connectionOf(api), ...own },
    foreign: { ...tenantIds(theirs), topic: "their_topic", key_id: theirs.keyId, name: await connectionOf(theirs), ...foreign },
    unknown: { ...nothing(randomUUID()), app: "123456789012345678", app_id: "123456789012345678", organization: "123456789012345679",
      organization_id: "123456789012345679", user_id: "999999", topic: "no_such_topic", key_id: "AAAAAAAAAA" },
    malformed: { ...nothing("not-an-id"), topic: "no_such_topic" },
    second: { app: app2, organization: api.organizationId },
  };
  await sleep(1000); // a revocation acts within a second
});
after(stopAll);

const ownToken = (permissions, appId) => makeToken(server, { organizationId: api.organizationId, permissions, appId });

async function makeExport(client, topic) {
  await client.ingest(topic, [{ timestamp: start + 1, id: "1", name: "x" }]);
  const id = await client.subscribe({ report_type: topic, report_fields: ["id"] });
  await client.backfill(id, start, start + HOUR_MS);
  const [job] = await client.waitJobs(id, 1);
  const { handle } = await client.call("POST", `/v2/logs?app_id=${client.appId}`, { body: { ...window, report_type: topic, fields: ["id"], limit: 10 } });
  return { subscription_id: id, job_id: job.job_id, url: job.export_url[0], request_handle: handle, notification_id: await notificationOf(client) };
}

const rowOf = (call) => {
  assert.ok(rows[call], `${call} has no row in this table`);
  return rows[call];
};
const namesIn = (call) => [...call.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);

// The query for a scope of this kind, by app or by organization.
function queryOf(row, ids, by) {
  if (row.scope === "" || by === "nothing") return "";
  return by === "organization" ? `?organization_id=${ids.organization}` : `?app_id=${ids.app}`;
}

async function send(call, row, { scope, ids, by = "app", as, prefix = "" }) {
  const [method, pattern] = call.split(" ");
  const path = pattern.replace(/\{(\w+)\}/g, (_, name) => {
    assert.ok(ids[name] !== undefined, `${call}: this test knows no id {${name}}`);
    return ids[name];
  });
  const at = prefix ? path.replace("/scheduled-exports/logs", prefix) : path;
  const reply = await api.raw(method, at + queryOf(row, scope, by), { token: credentials[as], body: row.body?.(scope), headers: row.headers ?? {} });
  return { reply, label: `${method} ${at}${queryOf(row, scope, by)} as ${as}` };
}

// Status, body and headers; without what counts replies, not what was asked (a connection is closed after so many of them).
const bytesOf = ({ reply }) => JSON.stringify([reply.status, reply.text,
  Object.entries(reply.headers).filter(([name]) => !["date", "x-request-id", "connection", "keep-alive"].includes(name))]);

function expectAnswer({ reply, label }, [status, message]) {
  assert.equal(reply.status, status, `${label} answered ${reply.status}: ${reply.text.slice(0, 200)}`);
  if (status >= 400 && reply.text) assert.equal(reply.json.error.code, status, label);
  if (message instanceof RegExp) assert.match(reply.json.error.message, message, label);
  else if (message) assert.equal(reply.json.error.message, message, label);
}

// Every kind of id in these places gives the same bytes, and they are the answer of the class.
async function expectAlike(call, row, answer, requests) {
  let first;
  for (const request of requests) {
    const sent = await send(call, row, request);
    if (answer) expectAnswer(sent, answer);
    first ??= sent;
    assert.equal(bytesOf(sent), bytesOf(first), `${sent.label} differs from ${first.label}`);
  }
}

const everyKind = () => ["own", "foreign", "unknown", "malformed"];
// By what the query of a call tells its scope: by what its description says that it takes.
const scoped = (call) => (parameters[call].includes("organization_id") && rows[call].scope !== "" ? ["app", "organization"] : ["app"]);

// ---- the checks, one function for each kind of credential

async function checkWithoutCredential(call, row, { noCredential }) {
  for (const as of ["none", "wrong", "revoked"])
    for (const by of scoped(call))
      await expectAlike(call, row, noCredential, everyKind().flatMap((scope) => everyKind().map((ids) => ({ as, by, scope: kinds[scope], ids: kinds[ids] }))));
}

async function checkWithoutPermission(call, row, { noPermission, needs }) {
  const as = { export: "noExport", ingest: "noIngest", admin: "noAdmin", "export or ingest": "operator" }[needs];
  await expectAlike(call, row, noPermission, everyKind().map((ids) => ({ as, scope: kinds.own, ids: kinds[ids] })));
  await expectAlike(call, row, null, ["foreign", "unknown"].map((kind) => ({ as, scope: kinds[kind], ids: kinds[kind] })));
}

// Another organization's good token sees ours as nothing.
async function checkStranger(call, row, { noScope, noId }) {
  for (const by of scoped(call))
    if (noScope && row.scope !== "")
      await expectAlike(call, row, noScope, ["own", "unknown", "malformed"].map((kind) => ({ as: "theirs", by, scope: kinds[kind], ids: kinds[kind] })));
  if (noId && namesIn(call).length) await expectAlike(call, row, noId, ["own", "unknown"].map((kind) => ({ as: "theirs", scope: kinds.foreign, ids: kinds[kind] })));
}

async function checkForeignIds(call, row, { noScope, noId, needs }) {
  const as = needs === "admin" ? "operator" : "right";
  for (const by of scoped(call))
    if (noScope && row.scope !== "") {
      await expectAlike(call, row, noScope, ["foreign", "unknown", "malformed"].map((kind) => ({ as, by, scope: kinds[kind], ids: kinds[kind] })));
      await expectAlike(call, row, noScope, ["foreign", "unknown"].map((kind) => ({ as, by, scope: kinds[kind], ids: kinds.own })));
    }
  if (!noId || !namesIn(call).length || row.ids === "free") return;
  const wrong = needs === "admin" ? ["unknown", "malformed"] : ["foreign", "unknown", "malformed"];
  for (const by of scoped(call))
    await expectAlike(call, row, noId, wrong.map((ids) => ({ as, by, scope: kinds.own, ids: kinds[ids] })));
}

// A token of one app: the organization's other app is unknown to it, and so is what belongs to that app.
async function checkBound(call, row, { noScope, noId, needs }) {
  if (needs === "admin") return;
  if (noScope) await expectAlike(call, row, noScope, ["own", "foreign", "unknown"].map((scope) => ({ as: "bound", scope: kinds[scope], ids: kinds.own })));
  if (!noId || !namesIn(call).length || call.endsWith("{topic}")) return;
  for (const by of scoped(call))
    await expectAlike(call, row, noId, ["own", "unknown"].map((ids) => ({ as: "bound", by, scope: kinds.second, ids: kinds[ids] })));
}

// The subscription of one app, asked for with the other.
async function checkSecondApp(call, row, { noId, needs }) {
  if (!noId || needs === "admin" || !namesIn(call).length || call.endsWith("{topic}")) return;
  await expectAlike(call, row, noId, ["own", "unknown"].map((ids) => ({ as: "right", scope: kinds.second, ids: kinds[ids] })));
}

async function checkRight(call, row, { needs }) {
  const as = needs === "admin" ? "operator" : "right";
  const prefixes = call.includes(sle) ? ["", "/scheduled-exports/exports/logs"] : [""];
  for (const prefix of prefixes)
    for (const by of scoped(call)) {
      const ids = { ...kinds.own, ...(await row.own?.()) };
      expectAnswer(await send(call, row, { as, by, scope: kinds.own, ids, prefix }), [row.ok ?? 200, null]);
    }
}

describe("every call of the list", () => {
  test("has a row, and every row is a call", () => {
    assert.deepEqual(listed.filter((call) => !rows[call]), [], "calls without a row");
    assert.deepEqual(Object.keys(rows).filter((call) => !listed.includes(call)), [], "rows without a call");
  });

  for (const [call, row] of Object.entries(rows).filter(([, { access }]) => accessClasses[access].needs)) {
    const access = accessClasses[row.access];
    test(`${call} without a credential`, () => checkWithoutCredential(call, rowOf(call), access));
    test(`${call} without the permission`, () => checkWithoutPermission(call, row, access));
    test(`${call} as another organization`, () => row.access === "admin" ? null : checkStranger(call, row, access));
    test(`${call} with ids of others`, () => checkForeignIds(call, row, access));
    test(`${call} with a token of another app`, () => checkBound(call, row, access));
    test(`${call} with the other app's id`, () => checkSecondApp(call, row, access));
    test(`${call} as it should be`, () => checkRight(call, row, access));
  }

  for (const [call, row] of Object.entries(rows).filter(([, { access }]) => access === "open"))
    test(`${call} is open to all, and tells nothing of any tenant`, async () => {
      for (const as of Object.keys(credentials)) {
        const sent = await send(call, row, { as, scope: kinds.own, ids: kinds.own, by: "nothing" });
        expectAnswer(sent, [200, null]);
        for (const kind of ["own", "foreign"])
          for (const text of [kinds[kind].app, kinds[kind].organization, kinds[kind].subscription_id, kinds[kind].job_id, kinds[kind].topic])
            assert.ok(!sent.reply.text.includes(text), `${sent.label} shows ${text}`);
      }
    });
});

describe("daily exports: the keys in the body decide, whoever asks", () => {
  const refused = { error: { message: "Invalid or missing app id, Branch key, or secret", code: 400 } };
  const ask = (branchKey, branchSecret, as, app) => api.raw("POST", "/v3/export", { token: credentials[as],
    body: { branch_key: branchKey, branch_secret: branchSecret, export_date: "2026-11-20", ...(app ? { app_id: app } : {}) } });

  test("ours with ours", async () => {
    for (const as of ["none", "right", "theirs", "wrong"])
      await waitFor("the set", async () => {
        const reply = await ask(server.account.branch_key, server.account.branch_secret, as);
        assert.ok([200, 503].includes(reply.status), reply.text);
        return reply.status === 200;
      });
  });

  test("ours with theirs, theirs with ours, nobody's, and another's app: the same bytes", async () => {
    const { branch_key: key, branch_secret: secret } = server.account;
    const seen = new Set();
    for (const [branchKey, branchSecret, app] of [[key, theirs.app.branch_secret], [theirs.app.branch_key, secret], ["key_live_nobody", secret],
      [key, "secret_live_nobody"],
      [key, secret, theirs.appId], [key, secret, kinds.unknown.app]])
      for (const as of ["none", "right", "theirs"]) {
        const reply = await ask(branchKey, branchSecret, as, app);
        assert.deepEqual(reply.json, refused);
        seen.add(bytesOf({ reply }));
      }
    assert.equal(seen.size, 1);
  });
});

describe("methods of every path", () => {
  const methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"];
  const pathsOf = () => [...new Set(Object.keys(rows).map((call) => call.split(" ")[1]))].filter((path) => !path.startsWith("/exports/"));
  // A path takes what any pattern that it fits takes: the words externalId and preview are ids, too, for the calls of the wildcard beside them.
  const fits = (pattern, path) => new RegExp(`^${pattern.replace(/\{\w+\}/g, "[^/]+")}$`).test(path);
  const takenBy = (method, path) => Object.keys(rows).some((call) => call.startsWith(`${method} `) && fits(call.split(" ")[1], path));
  const taken = (path) => methods.filter((method) => takenBy(method, path) || (method === "HEAD" && takenBy("GET", path)));
  const fill = (path, ids) => path.replace(/\{(\w+)\}/g, (_, name) => ids[name]) + (path.startsWith("/scheduled") ? `?app_id=${ids.app}` : "");

  test("another method is 405 and told the right ones, whoever asks, about whatever id", async () => {
    for (const path of pathsOf())
      for (const method of methods.filter((name) => !taken(path).includes(name))) {
        const seen = new Set();
        for (const as of ["none", "right", "operator", "theirs"])
          for (const kind of ["own", "unknown"]) {
            const reply = await api.raw(method, fill(path, kinds[kind]), { token: credentials[as] });
            assert.equal(reply.status, 405, `${method} ${path}: ${reply.text.slice(0, 100)}`);
            assert.deepEqual(new Set(reply.headers.allow.split(/, */)), new Set([...taken(path), "OPTIONS"]), `${method} ${path}`);
            seen.add(bytesOf({ reply }));
          }
        assert.equal(seen.size, 1, `${method} ${path}`);
      }
  });

  test("OPTIONS tells them without a credential, and changes nothing", async () => {
    for (const path of pathsOf()) {
      const reply = await api.raw("OPTIONS", fill(path, kinds.own), { token: null });
      assert.equal(reply.status, 204, path);
      assert.equal(reply.body.length, 0, path);
      assert.deepEqual(new Set(reply.headers.allow.split(/, */)), new Set([...taken(path), "OPTIONS"]), path);
    }
  });

  test("HEAD is GET without the body, refusals included", async () => {
    for (const path of pathsOf().filter((name) => rows[`GET ${name}`] && !name.endsWith("metrics") && !name.endsWith("readyz")))
      for (const as of ["right", "none", "operator"]) {
        const [get, head] = [await api.raw("GET", fill(path, kinds.own), { token: credentials[as] }),
          await api.raw("HEAD", fill(path, kinds.own), { token: credentials[as] })];
        assert.equal(head.status, get.status, `${path} as ${as}`);
        assert.equal(head.body.length, 0, path);
        const without = ({ date, "x-request-id": id, connection, "keep-alive": alive, ...rest }) => rest;
        assert.deepEqual(without(head.headers), without(get.headers), `${path} as ${as}`);
      }
  });
});

describe("lists of the hosted bucket", () => {
  test("no credential but a signature opens them, and the refusal is the same for all", async () => {
    for (const path of ["/", "/exports"]) {
      const seen = new Set();
      for (const as of Object.keys(credentials)) {
        const reply = await api.raw("GET", path, { token: credentials[as] });
        assert.equal(reply.status, 403, `${path} as ${as}`);
        seen.add(bytesOf({ reply }).replace(/<RequestId>[^<]*<\/RequestId>/, ""));
      }
      assert.equal(seen.size, 1, path);
    }
  });
});

describe("signed URLs", () => {
  const at = (url) => new URL(url).pathname + new URL(url).search;
  const ask = (method, path, as) => api.raw(method, path, { token: credentials[as] });
  const withoutRequest = ({ reply }) => bytesOf({ reply }).replace(/<RequestId>[^<]*<\/RequestId>/, "");

  for (const method of ["GET", "HEAD"])
    test(`${method}: the URL alone decides, whoever asks`, async () => {
      for (const as of Object.keys(credentials)) assert.equal((await ask(method, at(kinds.own.url), as)).status, 200, as);
      const query = new URL(kinds.own.url).search;
      const never = new URL(kinds.foreign.url).pathname.replaceAll(kinds.foreign.job_id, randomUUID());
      for (const as of Object.keys(credentials)) {
        const [foreign, unknown] = [await ask(method, new URL(kinds.foreign.url).pathname + query, as), await ask(method, never + query, as)];
        assert.equal(foreign.status, 403, as);
        assert.equal(withoutRequest({ reply: foreign }), withoutRequest({ reply: unknown }), as);
        assert.equal((await ask(method, new URL(kinds.own.url).pathname, as)).status, 403, `${as}, no signature`);
      }
    });
});

test("none of it changed anything of theirs", async () => {
  assert.equal((await theirs.subscription(kinds.foreign.subscription_id)).report.subscription_status, "ACTIVE");
  const list = await theirs.call("GET", `${sle}/subscriptions?app_id=${theirs.appId}`);
  assert.deepEqual(list.map((item) => item.subscription_id), [kinds.foreign.subscription_id]);
  const jobs = (await theirs.jobs(kinds.foreign.subscription_id)).filter((job) => job.start_date.startsWith("2024-"));
  assert.deepEqual(jobs.map((job) => job.job_id), [kinds.foreign.job_id]);
  const own = (await theirs.call("GET", "/v1/topics")).filter((topic) => !topic.built_in);
  assert.deepEqual(own.map((topic) => topic.name), ["their_topic"]);
  const tokens = await theirs.call("GET", "/v1/admin/tokens", { token: credentials.operator });
  assert.equal(tokens.filter((token) => token.organization_id === theirs.organizationId && !token.revoked_at).length, 1);
});
