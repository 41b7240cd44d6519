// SPDX-License-Identifier: Apache-2.0
// Tenants from their making to their end, by the operator's calls and by `milkrun admin`: what each change does to
// calls, events, exports and signed URLs, how fast, and what the audit log says of it.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { Api, HOUR_MS, makeTenant, makeToken, readDate } from "./lib/api.mjs";
import { request } from "./lib/http.mjs";
import { Server, binary, cleanEnvironment, stopAll } from "./lib/server.mjs";
import { sleep, waitFor } from "./lib/wait.mjs";

const start = Date.parse("2024-06-01T09:00:00Z");
const secrets = []; // every secret that was shown
let server;
let root;

before(async () => {
  server = await Server.start();
  root = new Api(server);
  secrets.push(server.account.access_token, server.account.admin_token, server.account.branch_secret);
});
after(stopAll);

const admin = (method, path, body) => root.admin(method, `/v1/admin/${path}`, body);
const adminRaw = (method, path, body, headers) =>
  root.raw(method, `/v1/admin/${path}`, { body, headers, token: server.account.admin_token });
const pathOf = (url) => new URL(url).pathname + new URL(url).search;
const fetchUrl = (url) => request(server.base, { path: pathOf(url) });

async function expectError(reply, status, message, label = "") {
  assert.equal(reply.status, status, `${label} ${reply.text.slice(0, 300)}`);
  assert.deepEqual(reply.json, { error: { message, code: status } }, label);
}

const keep = (reply) => {
  for (const name of ["access_token", "branch_secret"]) if (reply[name]) secrets.push(reply[name]);
  return reply;
};

async function newToken(body) {
  return keep(await admin("POST", "tokens", { name: "t", ...body }));
}

const list = (token, appId) => root.raw("GET", `/scheduled-exports/logs/subscriptions?app_id=${appId}`, { token });

// A tenant with one finished export job, and a client for it.
async function tenantWithExport(name) {
  const tenant = await makeTenant(server, name);
  secrets.push(tenant.token);
  await tenant.ingest("files", [{ timestamp: start + 1, text: name }]);
  const { id, jobs } = await tenant.exportRange({ cadence: "hourly", report_type: "files", report_fields: ["text"] }, start, start + HOUR_MS);
  return Object.assign(tenant, { subscription: id, url: jobs[0].export_url[0] });
}

const within = (what, check) => waitFor(what, check, 1000, 20);

describe("organizations", () => {
  test("made, listed, read, renamed and limited", async () => {
    const made = await admin("POST", "organizations", { name: "Größe" });
    assert.match(made.organization_id, /^\d{18}$/);
    assert.equal(made.subscription_limit, null);
    assert.equal(made.disabled, false);
    const id = made.organization_id;
    assert.deepEqual(await admin("GET", `organizations/${id}`), made);
    assert.ok((await admin("GET", "organizations")).some((one) => one.organization_id === id));
    const changed = await admin("PATCH", `organizations/${id}`, { name: "Renamed", subscription_limit: 0 });
    assert.deepEqual(changed, { ...made, name: "Renamed", subscription_limit: 0 });
    assert.deepEqual(await admin("PATCH", `organizations/${id}`, {}), changed, "nothing given, nothing changed");
    assert.equal((await admin("PATCH", `organizations/${id}`, { subscription_limit: null })).subscription_limit, null);
  });

  test("a limit of its own binds at once, 0 is none, null is the server's", async () => {
    const tenant = await makeTenant(server, "limited");
    const id = tenant.organizationId;
    const fields = ["id", "timestamp", "name", "origin"];
    const subscribe = (field) => tenant.subscribeRaw({ cadence: "hourly", report_type: "eo_click", report_fields: [field] });
    await admin("PATCH", `organizations/${id}`, { subscription_limit: 1 });
    assert.equal((await subscribe(fields[0])).status, 200);
    await expectError(await subscribe(fields[1]), 400, "Subscription limit reached: 1");
    await admin("PATCH", `organizations/${id}`, { subscription_limit: 0 });
    assert.equal((await subscribe(fields[1])).status, 200);
    await admin("PATCH", `organizations/${id}`, { subscription_limit: null });
    assert.equal((await subscribe(fields[2])).status, 200);
  });

  test("bad changes are refused with the usual texts and change nothing", async () => {
    const made = await admin("POST", "organizations", { name: "steady" });
    const path = `organizations/${made.organization_id}`;
    for (const [body, message] of [
      [{ name: "a\r\nb" }, "Invalid character in name"],
      [{ name: "  " }, "Invalid name"],
      [{ name: "" }, "Invalid name"],
      [{ name: "é".repeat(257) }, "Name too long"],
      [{ name: null }, "Invalid type: string expected"],
      [{ name: ["x"] }, "Invalid type: string expected"],
      [{ subscription_limit: -1 }, "Number out of range"],
      [{ subscription_limit: 1000001 }, "Number out of range"],
      [{ subscription_limit: "3" }, "Invalid type: integer expected"],
      [{ subscription_limit: 1.5 }, "Invalid type: integer expected"],
      [{ disabled: "yes", name: "other" }, "Invalid type: boolean expected"],
      ["[]", "JSON object expected"],
      ["{", "Invalid JSON"],
    ]) await expectError(await adminRaw("PATCH", path, body), 400, message, JSON.stringify(body));
    assert.deepEqual(await admin("GET", path), made);
    assert.equal((await admin("PATCH", path, { name: "é".repeat(256) })).name.length, 256);
    await expectError(await adminRaw("PATCH", "organizations/1", { name: "x" }), 404, "Not found");
    await expectError(await adminRaw("GET", "organizations/1"), 404, "Not found");
  });

  test("two organizations may have names that are equal after normalization", async () => {
    const one = await admin("POST", "organizations", { name: "\u00e9" });
    const two = await admin("POST", "organizations", { name: "e\u0301" });
    assert.notEqual(one.organization_id, two.organization_id);
  });

  test("disabled: tokens, events and signed URLs are refused within a second, and back when enabled", async () => {
    const tenant = await tenantWithExport("closing");
    const bystander = await tenantWithExport("bystander");
    assert.equal((await fetchUrl(tenant.url)).status, 200);
    const disabled = await admin("PATCH", `organizations/${tenant.organizationId}`, { disabled: true });
    assert.equal(disabled.disabled, true);
    assert.ok(Math.abs(readDate(disabled.disabled_at) - Date.now()) < 60_000);
    await within("the token to be refused", async () => (await list(tenant.token, tenant.appId)).status === 400);
    await within("the URL to stop", async () => (await fetchUrl(tenant.url)).status === 403);
    await expectError(await list(tenant.token, tenant.appId), 400, "Authentication failed !");
    await expectError(await root.raw("GET", "/v1/topics", { token: tenant.token }), 401, "Authentication failed !");
    await expectError(await tenant.ingestRaw("files", '{"timestamp":1717232400000}\n'), 401, "Authentication failed !");
    const line = `{"timestamp":${start},"app_id":"${tenant.appId}"}\n`;
    await expectError(await root.ingestRaw("files", line, { token: server.account.admin_token, appId: tenant.appId }), 404, "App not found");
    await within("lines of the operator to be refused", async () =>
      (await root.ingestRaw("files", line, { token: server.account.admin_token, appId: null })).text.includes("App not found"));
    assert.equal((await fetchUrl(bystander.url)).status, 200);
    assert.equal((await list(bystander.token, bystander.appId)).status, 200);
    await admin("PATCH", `organizations/${tenant.organizationId}`, { disabled: false });
    await within("the token to be taken", async () => (await list(tenant.token, tenant.appId)).status === 200);
    assert.equal((await fetchUrl(tenant.url)).status, 200);
  });
});

describe("apps", () => {
  test("made with the organization's id as text or number, renamed, read", async () => {
    const { organization_id: id } = await admin("POST", "organizations", { name: "apps" });
    const byText = keep(await admin("POST", "apps", { organization_id: id, name: "one" }));
    // Beyond 2^53: JSON.stringify would round it.
    const byNumber = keep(await admin("POST", "apps", `{"organization_id":${id},"name":"two"}`));
    assert.equal(byNumber.organization_id, id);
    assert.match(byText.branch_secret, /^secret_live_[A-Za-z0-9]{32}$/);
    const { branch_secret: _, ...shown } = byText;
    assert.deepEqual(await admin("GET", `apps/${byText.app_id}`), shown, "the secret is shown once");
    assert.equal((await admin("PATCH", `apps/${byText.app_id}`, { name: "uno" })).name, "uno");
    assert.deepEqual((await admin("GET", `apps?organization_id=${id}`)).map((app) => app.name), ["uno", "two"]);
    await expectError(await adminRaw("POST", "apps", { name: "x" }), 400, "Missing required field: organization_id");
    await expectError(await adminRaw("POST", "apps", { organization_id: id }), 400, "Missing required field: name");
    await expectError(await adminRaw("POST", "apps", { organization_id: true, name: "x" }), 400, "Invalid type: string expected");
    await expectError(await adminRaw("POST", "apps", { organization_id: "77", name: "x" }), 404, "Organization not found");
    await expectError(await adminRaw("PATCH", "apps/77", { name: "x" }), 404, "Not found");
    await expectError(await adminRaw("GET", "apps?organization_id=77"), 404, "Organization not found");
  });

  test("a deleted one is unknown to calls and events, its exports end, its files stay", async () => {
    const tenant = await tenantWithExport("deleting");
    const bound = await newToken({ organization_id: tenant.organizationId, app_id: tenant.appId, permissions: ["export"] });
    const unknown = await tenant.raw("GET", "/scheduled-exports/logs/subscriptions?app_id=77");
    assert.deepEqual(await admin("DELETE", `apps/${tenant.appId}`), { status: "SUCCESS", description: "App deleted" });
    await within("the app to be unknown", async () => (await list(tenant.token, tenant.appId)).status === 400);
    assert.equal((await list(tenant.token, tenant.appId)).text, unknown.text);
    await expectError(await list(bound.access_token, tenant.appId), 400, "Authentication failed !");
    await expectError(await tenant.ingestRaw("files", `{"timestamp":${start}}\n`), 404, "App not found");
    const line = `{"timestamp":${start},"app_id":"${tenant.appId}"}\n`;
    await within("lines of the operator to be refused", async () =>
      (await root.ingestRaw("files", line, { token: server.account.admin_token, appId: null })).text.includes("App not found"));
    const subscription = await tenant.call("GET",
      `/scheduled-exports/logs/subscription/${tenant.subscription}?organization_id=${tenant.organizationId}`);
    assert.equal(subscription.status, "INACTIVE");
    assert.equal(subscription.reason, "app was deleted");
    assert.equal((await fetchUrl(tenant.url)).status, 200, "files stay until they expire");
    await expectError(await adminRaw("DELETE", `apps/${tenant.appId}`), 404, "Not found");
    await expectError(await adminRaw("POST", `apps/${tenant.appId}/rotate`, {}), 404, "Not found");
    assert.deepEqual(await admin("GET", `apps?organization_id=${tenant.organizationId}`), []);
    assert.ok((await admin("GET", `apps/${tenant.appId}`)).deleted_at);
  });

  test("the branch secret rotates", async () => {
    const { organization_id: id } = await admin("POST", "organizations", { name: "branch" });
    const made = keep(await admin("POST", "apps", { organization_id: id, name: "one" }));
    const rotated = keep(await admin("POST", `apps/${made.app_id}/rotate`, { grace_seconds: 60 }));
    assert.equal(rotated.branch_key, made.branch_key);
    assert.notEqual(rotated.branch_secret, made.branch_secret);
    assert.ok(Math.abs(readDate(rotated.grace_until) - Date.now() - 60_000) < 30_000);
    assert.equal(keep(await admin("POST", `apps/${made.app_id}/rotate`, { grace_seconds: 0 })).grace_until, undefined);
  });
});

describe("tokens", () => {
  test("rotation: same key id and URLs, the old secret until the grace ends", async () => {
    const tenant = await tenantWithExport("rotating");
    const made = await newToken({ organization_id: tenant.organizationId, permissions: ["export"] });
    const client = new Api(server, { token: made.access_token, appId: tenant.appId, organizationId: tenant.organizationId });
    const url = (await client.jobs(tenant.subscription))[0].export_url[0];
    const rotated = keep(await admin("POST", `tokens/${made.key_id}/rotate`, { grace_seconds: 2 }));
    const rotatedAt = Date.now();
    assert.equal(rotated.key_id, made.key_id);
    assert.notEqual(rotated.access_token, made.access_token);
    assert.equal((await list(made.access_token, tenant.appId)).status, 200, "inside the grace");
    assert.equal((await list(rotated.access_token, tenant.appId)).status, 200);
    await sleep(Math.max(0, readDate(rotated.grace_until) - Date.now() + 30));
    assert.ok(Date.now() - rotatedAt < 10_000);
    await expectError(await list(made.access_token, tenant.appId), 400, "Authentication failed !", "after the grace");
    assert.equal((await list(rotated.access_token, tenant.appId)).status, 200);
    assert.equal((await fetchUrl(url)).status, 200, "a URL of the key outlives the secret");
  });

  test("rotation: a day unless said otherwise, at once with 0, nothing out of bounds", async () => {
    const made = await newToken({ permissions: ["operator_ingest"] });
    const path = `tokens/${made.key_id}/rotate`;
    const byDefault = keep((await adminRaw("POST", path)).json);
    assert.ok(Math.abs(readDate(byDefault.grace_until) - Date.now() - 86_400_000) < 30_000);
    const atOnce = keep(await admin("POST", path, { grace_seconds: 0 }));
    assert.equal(atOnce.grace_until, undefined);
    for (const [body, message] of [
      [{ grace_seconds: -1 }, "Number out of range"],
      [{ grace_seconds: 2592001 }, "Number out of range"],
      ['{"grace_seconds":99999999999999999999}', "Number out of range"],
      [{ grace_seconds: "60" }, "Invalid type: integer expected"],
    ]) await expectError(await adminRaw("POST", path, body), 400, message, JSON.stringify(body));
    const health = await root.ingestRaw("x", "", { token: byDefault.access_token, appId: null });
    assert.equal(health.status, 401, "the secret before the last rotation is over");
    await admin("DELETE", `tokens/${made.key_id}`);
    await expectError(await adminRaw("POST", path, {}), 409, "Token is revoked");
    await expectError(await adminRaw("POST", "tokens/unknown/rotate", {}), 404, "Not found");
  });

  test("revoking acts within a second, also on URLs; others go on", async () => {
    const tenant = await tenantWithExport("revoking");
    const made = await newToken({ organization_id: tenant.organizationId, permissions: ["export"] });
    const client = new Api(server, { token: made.access_token, appId: tenant.appId, organizationId: tenant.organizationId });
    const url = (await client.jobs(tenant.subscription))[0].export_url[0];
    assert.equal((await fetchUrl(url)).status, 200);
    await admin("DELETE", `tokens/${made.key_id}`);
    await within("the token to be refused", async () => (await list(made.access_token, tenant.appId)).status === 400);
    await within("the URL to stop", async () => (await fetchUrl(url)).status === 403);
    assert.equal((await fetchUrl(tenant.url)).status, 200);
    const shown = await admin("GET", `tokens/${made.key_id}`);
    assert.ok(shown.revoked_at);
    assert.deepEqual(await admin("DELETE", `tokens/${made.key_id}`), { status: "SUCCESS", description: "Token revoked" });
    assert.equal((await admin("GET", `tokens/${made.key_id}`)).revoked_at, shown.revoked_at);
  });

  test("expiry: refused from the moment on, and its URLs live on", async () => {
    const tenant = await tenantWithExport("expiring");
    const made = await newToken({ organization_id: tenant.organizationId, permissions: ["export"],
      expires_at: new Date(Date.now() + 2000).toISOString() });
    const client = new Api(server, { token: made.access_token, appId: tenant.appId, organizationId: tenant.organizationId });
    const url = (await client.jobs(tenant.subscription))[0].export_url[0];
    await sleep(Math.max(0, readDate(made.expires_at) - Date.now() + 30));
    await expectError(await list(made.access_token, tenant.appId), 400, "Authentication failed !");
    await expectError(await root.raw("GET", "/v1/topics", { token: made.access_token }), 401, "Authentication failed !");
    assert.equal((await fetchUrl(url)).status, 200);
    await expectError(await adminRaw("POST", `tokens/${made.key_id}/rotate`, {}), 409, "Token has expired");
    for (const [expires_at, message] of [["2020-01-01", "Invalid date: expires_at is over"], ["soon", "Invalid date"], [1, "Invalid type: string expected"]])
      await expectError(await adminRaw("POST", "tokens", { name: "x", permissions: ["admin"], expires_at }), 400, message);
  });

  test("use is noted", async () => {
    const tenant = await makeTenant(server, "used");
    const made = await newToken({ organization_id: tenant.organizationId, permissions: ["export"] });
    assert.equal((await admin("GET", `tokens/${made.key_id}`)).last_used_at, undefined);
    await list(made.access_token, tenant.appId);
    const used = await admin("GET", `tokens/${made.key_id}`);
    assert.ok(Math.abs(readDate(used.last_used_at) - Date.now()) < 60_000);
  });

  test("every unknown permission is named", async () => {
    await expectError(await adminRaw("POST", "tokens", { name: "x", permissions: ["fly", "admin", "dive"] }), 400, "Unknown permission: fly, dive");
  });

  test("the last one that may administer stays", async () => {
    const own = server.account.admin_token.slice(8, 18);
    await expectError(await adminRaw("DELETE", `tokens/${own}`), 409, "No token with admin permission would be left");
    const { user_id: user } = await admin("GET", `tokens/${own}`);
    await expectError(await adminRaw("PATCH", `users/${user}`, { disabled: true }), 409, "No token with admin permission would be left");
    const second = await newToken({ permissions: ["admin"] });
    await admin("DELETE", `tokens/${second.key_id}`);
    assert.equal((await adminRaw("GET", "organizations")).status, 200);
  });
});

describe("users", () => {
  test("one user, several tokens; disabling ends all of them", async () => {
    const tenant = await tenantWithExport("people");
    const user = await admin("POST", "users", { organization_id: tenant.organizationId, name: "Ann", email: "ann@example.org" });
    assert.equal(user.email, "ann@example.org");
    const make = () => newToken({ organization_id: tenant.organizationId, user_id: user.user_id, permissions: ["export"] });
    const [one, two] = [await make(), await make()];
    assert.equal(one.user_id, user.user_id);
    assert.equal(two.user_id, user.user_id);
    assert.equal((await admin("PATCH", `users/${user.user_id}`, { name: "Anna", email: null })).email, null);
    assert.equal((await admin("PATCH", `users/${user.user_id}`, { disabled: true })).disabled, true);
    for (const token of [one, two])
      await within("the token to be refused", async () => (await list(token.access_token, tenant.appId)).status === 400);
    assert.equal((await list(tenant.token, tenant.appId)).status, 200);
    await expectError(await adminRaw("POST", "tokens",
      { name: "x", organization_id: tenant.organizationId, user_id: user.user_id, permissions: ["export"] }), 409, "User is disabled");
    await admin("PATCH", `users/${user.user_id}`, { disabled: false });
    await expectError(await list(one.access_token, tenant.appId), 400, "Authentication failed !", "revoked for ever");
    assert.equal((await list((await make()).access_token, tenant.appId)).status, 200);
    assert.ok((await admin("GET", `users?organization_id=${tenant.organizationId}`)).some((one) => one.name === "Anna"));
  });

  test("bad ones are refused", async () => {
    for (const [body, status, message] of [
      [{}, 400, "Missing required field: name"],
      [{ name: "x", email: "nobody" }, 400, "Invalid e-mail address"],
      [{ name: "x", email: "a@b.org\nBcc: c@d.org" }, 400, "Invalid e-mail address"],
      [{ name: "x", organization_id: "77" }, 404, "Organization not found"],
    ]) await expectError(await adminRaw("POST", "users", body), status, message, JSON.stringify(body));
    for (const id of ["0", "-1", "x", "99999999999999999999", "424242"]) await expectError(await adminRaw("GET", `users/${id}`), 404, "Not found", id);
    const foreign = await admin("POST", "users", { name: "of the operator" });
    await expectError(await adminRaw("POST", "tokens",
      { name: "x", organization_id: root.organizationId, user_id: foreign.user_id, permissions: ["export"] }), 404, "User not found");
  });
});

describe("who may", () => {
  const calls = [["GET", "organizations"], ["POST", "organizations"], ["GET", "organizations/1"], ["PATCH", "organizations/1"],
    ["GET", "apps"], ["POST", "apps"], ["GET", "apps/1"], ["PATCH", "apps/1"], ["DELETE", "apps/1"], ["POST", "apps/1/rotate"],
    ["GET", "users"], ["POST", "users"], ["GET", "users/1"], ["PATCH", "users/1"], ["GET", "tokens"], ["POST", "tokens"],
    ["GET", "tokens/1"], ["DELETE", "tokens/1"], ["POST", "tokens/1/rotate"], ["GET", "audit"]];

  test("the operator's calls take the operator's token alone", async () => {
    const ingest = await newToken({ permissions: ["operator_ingest"] });
    for (const [method, path] of calls) {
      const body = method === "POST" || method === "PATCH" ? "{}" : undefined;
      const as = (token) => root.raw(method, `/v1/admin/${path}`, { token, body });
      await expectError(await as(root.token), 403, "Token lacks permission: admin", `${method} ${path}`);
      await expectError(await as(ingest.access_token), 403, "Token lacks permission: admin", `${method} ${path}`);
      await expectError(await as(null), 401, "Authentication failed !", `${method} ${path}`);
      await expectError(await as("api_adm_x"), 401, "Authentication failed !", `${method} ${path}`);
    }
  });

  test("the operator's token is nobody's on calls of organizations", async () => {
    const token = server.account.admin_token;
    await expectError(await list(token, root.appId), 400, "Authentication failed !");
    await expectError(await root.subscribeRaw({ report_type: "eo_click", report_fields: ["id"] }, { token }), 404, "Not authorized for the user id: 2.");
    await expectError(await root.raw("GET", "/v1/topics", { token }), 403, "Token lacks permission: export");
    await expectError(await root.raw("POST", "/v1/topics", { token, body: { name: "t", fields: [] } }), 403, "Token lacks permission: ingest");
  });

  test("permissions: ingest reads nothing, sensitive fields need theirs, in filters too", async () => {
    const tenant = await makeTenant(server, "private", ["export", "ingest"]);
    const ingest = await newToken({ organization_id: tenant.organizationId, permissions: ["ingest"] });
    await expectError(await tenant.raw("POST", `/scheduled-exports/logs/subscription/x/jobs?app_id=${tenant.appId}`, { token: ingest.access_token }), 400, "Authentication failed !");
    const { user_id: user } = ingest;
    const report = { report_type: "people", report_fields: ["plain"] };
    await expectError(await tenant.subscribeRaw(report, { token: ingest.access_token }), 404, `Not authorized for the user id: ${user}.`);
    await tenant.call("POST", "/v1/topics", { body: { name: "people", fields: [
      { name: "plain", type: "string" }, { name: "mail", type: "string", sensitive: true }] } });
    const topic = await tenant.call("GET", "/v1/topics/people");
    assert.deepEqual(topic.fields.filter((field) => ["plain", "mail"].includes(field.name)).map((field) => field.sensitive), [false, true]);
    await expectError(await tenant.subscribeRaw({ ...report, report_fields: ["all"] }), 400, "Not authorized for report_fields: all");
    await expectError(await tenant.subscribeRaw({ ...report, report_fields: ["plain", "mail"] }), 400, "Not authorized for report_fields: mail");
    await expectError(await tenant.subscribeRaw({ ...report, filter: ["not", ["eq", "mail", "x"]] }), 400, "Not authorized for report_fields: mail");
    assert.equal((await tenant.subscribeRaw(report)).status, 200);
  });
});

describe("the audit log", () => {
  test("says who changed what and when, newest first, of one organization or all, page by page", async () => {
    const { organization_id: id } = await admin("POST", "organizations", { name: "watched" });
    const app = keep(await admin("POST", "apps", { organization_id: id, name: "one" }));
    const token = await newToken({ organization_id: id, permissions: ["export", "ingest"] });
    const patched = await adminRaw("PATCH", `apps/${app.app_id}`, { name: "two" }, { "X-Request-Id": "seen-1" });
    assert.equal(patched.status, 200);
    await root.call("POST", "/v1/topics", { token: token.access_token, body: { name: "declared", fields: [{ name: "a", type: "string" }] } });
    const entries = await admin("GET", `audit?organization_id=${id}`);
    assert.deepEqual(entries.map((entry) => entry.action), ["topic.declare", "app.update", "token.create", "app.create", "organization.create"]);
    const [declared, renamed, created] = entries;
    assert.equal(declared.key_id, token.key_id);
    assert.equal(declared.user_id, token.user_id);
    assert.equal(declared.object_id, "declared");
    assert.equal(renamed.key_id, server.account.admin_token.slice(8, 18));
    assert.equal(renamed.request_id, "seen-1");
    assert.equal(renamed.object_id, app.app_id);
    assert.equal(renamed.peer, "127.0.0.1");
    assert.deepEqual(renamed.details, { name: "two" });
    assert.ok(Math.abs(readDate(renamed.at) - Date.now()) < 60_000);
    assert.equal(created.object_id, token.key_id);
    const first = await admin("GET", "audit?limit=2");
    const second = await admin("GET", `audit?limit=2&before=${first[1].id}`);
    assert.deepEqual(first.concat(second), await admin("GET", "audit?limit=4"));
    await expectError(await adminRaw("GET", "audit?organization_id=77"), 404, "Organization not found");
    for (const bad of ["limit=0", "limit=10001", "limit=x", "limit=", "before=-1", "before=1.5"])
      await expectError(await adminRaw("GET", `audit?${bad}`), 400, `Invalid parameter: ${bad.split("=")[0]}`, bad);
  });

  test("what was refused leaves no entry", async () => {
    const [before] = await admin("GET", "audit?limit=1");
    await adminRaw("POST", "organizations", { name: " " });
    await adminRaw("DELETE", "tokens/unknown");
    await adminRaw("POST", "apps", { organization_id: "77", name: "x" });
    assert.deepEqual(await admin("GET", "audit?limit=1"), [before]);
  });
});

test("a creation that is sent again with its key makes nothing twice and shows no secret twice", async () => {
  const { organization_id: id } = await admin("POST", "organizations", { name: "again" });
  for (const [path, body, key, secret] of [
    ["organizations", { name: "once" }, "organization_id"],
    ["apps", { organization_id: id, name: "once" }, "app_id", "branch_secret"],
    ["users", { organization_id: id, name: "once" }, "user_id"],
    ["tokens", { organization_id: id, name: "once", permissions: ["export"] }, "key_id", "access_token"],
  ]) {
    const headers = { "Idempotency-Key": "create-once" };
    const first = await adminRaw("POST", path, body, headers);
    const again = await adminRaw("POST", path, body, headers);
    assert.equal(again.status, 200, again.text);
    assert.equal(again.headers["idempotency-replayed"], "true", path);
    assert.equal(again.json[key], first.json[key]);
    if (secret) {
      keep(first.json);
      assert.equal(again.json[secret], null);
    }
    await expectError(await adminRaw("POST", path, { ...body, name: "other" }, headers), 409, "Idempotency-Key reused with a different request", path);
  }
});

test("lists page by page", async () => {
  for (const path of ["organizations", "apps", "users", "tokens"]) {
    const all = await admin("GET", path);
    const seen = [];
    let target = `/v1/admin/${path}?limit=2`;
    while (target) {
      const reply = await root.raw("GET", target, { token: server.account.admin_token });
      assert.equal(reply.status, 200, reply.text);
      seen.push(...reply.json);
      const next = /<([^>]+)>; rel="next"/.exec(reply.headers.link ?? "");
      target = next && pathOf(next[1]);
    }
    assert.deepEqual(seen, all, path);
  }
});

describe("milkrun admin", () => {
  const run = (args, env = {}) => spawnSync(binary, ["admin", ...args], { encoding: "utf8", timeout: 30_000,
    env: cleanEnvironment({ MILKRUN_URL: server.base, MILKRUN_TOKEN: server.account.admin_token, ...env }) });
  const json = (...args) => {
    const result = run(args);
    assert.equal(result.status, 0, `${args.join(" ")}: ${result.stderr}`);
    assert.equal(result.stderr, "");
    return keep(JSON.parse(result.stdout));
  };

  test("the whole life of a tenant", async () => {
    const { organization_id: id } = json("organizations", "create", "--name", "by hand");
    assert.equal(json("organizations", "update", id, "--subscription-limit", "5").subscription_limit, 5);
    assert.equal(json("organizations", "update", id, "--subscription-limit", "default", "--name", "-dash").name, "-dash");
    assert.equal(json("organizations", "get", id).subscription_limit, null);
    const app = json("apps", "create", "--organization-id", id, "--name", "one");
    assert.equal(json("apps", "update", app.app_id, "--name", "two").name, "two");
    assert.equal(json("apps", "list", "--organization-id", id).length, 1);
    assert.equal(json("apps", "get", app.app_id).name, "two");
    assert.notEqual(json("apps", "rotate", app.app_id).branch_secret, app.branch_secret);
    const user = json("users", "create", "--organization-id", id, "--name", "Ann", "--email", "ann@example.org");
    assert.equal(json("users", "update", String(user.user_id), "--email", "none").email, null);
    const token = json("tokens", "create", "--organization-id", id, "--app-id", app.app_id, "--user-id", String(user.user_id),
      "--name", "t", "--permissions", "export,ingest", "--expires-at", "2099-01-01");
    assert.deepEqual(token.permissions, ["export", "ingest"]);
    assert.equal((await list(token.access_token, app.app_id)).status, 200);
    const rotated = json("tokens", "rotate", token.key_id, "--grace-seconds", "0");
    await expectError(await list(token.access_token, app.app_id), 400, "Authentication failed !");
    assert.equal((await list(rotated.access_token, app.app_id)).status, 200);
    assert.equal(json("organizations", "disable", id).disabled, true);
    await within("the token to be refused", async () => (await list(rotated.access_token, app.app_id)).status === 400);
    assert.equal(json("organizations", "enable", id).disabled, false);
    await within("the token to be taken", async () => (await list(rotated.access_token, app.app_id)).status === 200);
    json("tokens", "revoke", token.key_id);
    assert.ok(json("tokens", "get", token.key_id).revoked_at);
    assert.equal(json("users", "disable", String(user.user_id)).disabled, true);
    assert.equal(json("users", "enable", String(user.user_id)).disabled, false);
    json("apps", "delete", app.app_id);
    assert.deepEqual(json("apps", "--organization-id", id), [], "a group alone is its list");
    assert.deepEqual(json("audit", "--organization-id", id, "--limit", "3").map((entry) => entry.action), ["app.delete", "user.update", "user.update"]);
    assert.ok(json("tokens", "list").length > 0);
    assert.ok(json("users", "list").length > 0);
  });

  test("what fails says why on standard error, prints nothing else and tells the kind by its exit status", () => {
    for (const [args, status, message, env] of [
      [[], 2, /no call given/],
      [["dance"], 2, /unknown call dance/],
      [["tokens", "dance"], 2, /unknown call tokens dance/],
      [["tokens", "revoke"], 2, /tokens revoke needs KEY_ID/],
      [["tokens", "revoke", "a", "b"], 2, /unexpected argument b/],
      [["tokens", "create", "--name", "x"], 2, /--permissions is required/],
      [["tokens", "list", "--name", "x"], 2, /--name is not for tokens list/],
      [["tokens", "create", "--name", "x", "--permissions", "fly,dive"], 2, /status 400: Unknown permission: fly, dive/],
      [["organizations", "update", "1", "--subscription-limit", "many"], 2, /Invalid type: integer expected/],
      [["organizations", "get", "1"], 3, /status 404: Not found/],
      [["organizations", "get", "../users"], 2, /status 400/],
      [["audit"], 5, /status 401: Authentication failed !/, { MILKRUN_TOKEN: "api_adm_x" }],
      [["audit"], 5, /status 403: Token lacks permission: admin/, { MILKRUN_TOKEN: server.account.access_token }],
      [["tokens", "revoke", server.account.admin_token.slice(8, 18)], 4, /No token with admin permission would be left/],
      [["audit"], 6, /milkrun: /, { MILKRUN_URL: "http://127.0.0.1:1" }],
      [["audit"], 2, /--url/, { MILKRUN_URL: "ftp://x" }],
    ]) {
      const result = run(args, env);
      assert.equal(result.status, status, `${args.join(" ")}: ${result.stderr}`);
      assert.equal(result.stdout, "", args.join(" "));
      assert.match(result.stderr, message, args.join(" "));
    }
  });

  test("help lists every call with its options", () => {
    const help = spawnSync(binary, ["help", "admin"], { encoding: "utf8" });
    assert.equal(help.status, 0);
    for (const words of ["organizations create --name", "apps delete APP_ID", "tokens rotate KEY_ID [--grace-seconds]", "audit list", "--permissions LIST",
      "connections create --name --kind"])
      assert.ok(help.stdout.includes(words), words);
    assert.equal(spawnSync(binary, ["admin", "tokens", "create", "--help"], { encoding: "utf8" }).stdout, help.stdout);
  });
});

test("no secret that was shown is in the log, in the data directory or in the audit log", async () => {
  assert.ok(secrets.length > 30);
  const audit = JSON.stringify(await admin("GET", "audit?limit=10000"));
  await server.stop();
  const files = readdirSync(server.directory, { recursive: true }).map((name) => join(server.directory, name)).filter((name) => statSync(name).isFile());
  assert.ok(files.some((name) => name.endsWith("milkrun.db")));
  const contents = files.map((name) => [name, readFileSync(name, "latin1")]);
  for (const secret of secrets) {
    const rest = secret.slice(18); // behind the key id, which is no secret
    assert.ok(!audit.includes(rest), "the audit log");
    assert.ok(!server.log.includes(rest), "the log");
    for (const [name, text] of contents) assert.ok(!text.includes(rest), name);
  }
});
