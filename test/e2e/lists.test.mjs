// SPDX-License-Identifier: Apache-2.0
// Lists page by page as a client walks them, and creates that clients send twice.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Api, HOUR_MS, makeTenant } from "./lib/api.mjs";
import { Server, stopAll } from "./lib/server.mjs";

let server;
let api;

before(async () => {
  server = await Server.start({ args: { "api-subscription-limit": 0 } });
  api = new Api(server);
});
after(stopAll);

const join = (path, query) => `${path}${path.includes("?") ? "&" : "?"}${query}`;

function nextOf(reply) {
  const match = /^<(http[^>]+)>; rel="next"$/.exec(reply.headers.link ?? "");
  if (!match) return undefined;
  const url = new URL(match[1]);
  assert.equal(url.origin, server.base);
  return url.pathname + url.search;
}

// Follows Link from page to page; -> all elements.
async function walk(path, limit, options = {}, method = "GET") {
  const found = [];
  let pages = 0;
  for (let at = join(path, `limit=${limit}`); at !== undefined; pages++) {
    const reply = await api.raw(method, at, options);
    assert.equal(reply.status, 200, reply.text);
    at = nextOf(reply);
    assert.ok(reply.json.length === limit || at === undefined, `${path}: ${reply.json.length} elements, and more to come`);
    found.push(...reply.json);
  }
  return { found, pages };
}

test("every list can be walked, and says the same as whole", async () => {
  const admin = { token: server.account.admin_token };
  for (const name of ["a", "b", "c"]) await makeTenant(server, name);
  for (let n = 0; n < 7; n++)
    await api.subscribeRaw({ report_type: "eo_open", report_fields: ["id"], cadence: n % 2 ? "daily" : "hourly", filter: ["eq", "name", String(n)] });
  const id = await api.subscribe({ report_type: "eo_click", report_fields: ["id"] });
  const hour = Math.floor(Date.now() / HOUR_MS) * HOUR_MS;
  await api.backfill(id, hour - 8 * HOUR_MS, hour);
  await api.waitJobs(id, 8);
  const scope = `app_id=${api.appId}`;
  for (const name of ["c", "a", "b", "d"])
    await api.admin("POST", "/v1/admin/connections", { name, kind: "s3", access_key_id: "AKID", secret_access_key: "x",
      organization_id: name === "b" ? null : api.organizationId });
  const lists = [
    ["/v1/topics"], ["/v1/subscriptions"], [`/scheduled-exports/logs/subscriptions?${scope}`], [`/scheduled-exports/exports/logs/subscriptions/?${scope}`],
    [`/v1/subscriptions/${id}/windows`], [`/v1/subscriptions/${id}/gaps`],
    [`/scheduled-exports/logs/subscription/${id}/jobs?${scope}`], [`/scheduled-exports/logs/subscription/${id}/jobs?${scope}`, {}, "POST"],
    ["/v1/admin/organizations", admin], ["/v1/admin/apps", admin], [`/v1/admin/apps?organization_id=${api.organizationId}`, admin],
    ["/v1/admin/tokens", admin], ["/v1/admin/users", admin], ["/v1/admin/audit", admin],
    ["/v1/admin/connections", admin], [`/v1/admin/connections?organization_id=${api.organizationId}`, admin],
  ];
  for (const [path, options, method] of lists) {
    const plain = (list) => list.map((element) => JSON.stringify({ ...element, export_url: undefined, last_used_at: undefined }));
    const whole = await api.raw(method ?? "GET", path, options);
    assert.equal(whole.headers.link, undefined, path);
    for (const limit of [1, 3, Math.max(whole.json.length, 1)]) {
      const { found, pages } = await walk(path, limit, options, method);
      assert.deepEqual(plain(found), plain(whole.json), `${path} by ${limit}`);
      assert.equal(pages, Math.max(1, Math.ceil(whole.json.length / limit)), path);
    }
  }
  const { found } = await walk(`/scheduled-exports/logs/subscription/${id}/jobs?${scope}`, 3, {}, "POST");
  assert.equal(found.length, 8);
  assert.deepEqual(found.map(({ start_date: start }) => start), found.map(({ start_date: start }) => start).sort().reverse());
});

test("a page that is walked away under loses nothing", async () => {
  const tenant = await makeTenant(server, "walker");
  for (let n = 0; n < 6; n++)
    assert.equal((await tenant.subscribeRaw({ report_type: "eo_open", report_fields: ["id"], filter: ["eq", "name", String(n)] })).status, 200);
  const all = (await tenant.call("GET", "/v1/subscriptions")).map(({ subscription_id: id }) => id);
  const seen = [];
  for (let at = "/v1/subscriptions?limit=2"; at !== undefined;) { // each is deleted as soon as it was seen
    const reply = await tenant.raw("GET", at);
    at = nextOf(reply);
    for (const { subscription_id: id } of reply.json) {
      seen.push(id);
      await tenant.deactivate(id);
    }
  }
  assert.deepEqual(seen, all);
});

test("limits and cursors that are none are refused on every list", async () => {
  const topics = await api.raw("GET", "/v1/topics?limit=1");
  const cursor = new URL(/<([^>]+)>/.exec(topics.headers.link)[1]).searchParams.get("cursor");
  const { json: description } = await api.raw("GET", "/openapi.json");
  const id = (await api.call("GET", "/v1/subscriptions"))[0].subscription_id;
  const paged = Object.entries(description.paths).flatMap(([path, methods]) => Object.entries(methods)
    .filter(([, { parameters }]) => parameters.some(({ name }) => name === "cursor")).map(([method]) => [method.toUpperCase(), path]));
  assert.ok(paged.length >= 12);
  for (const [method, pattern] of paged) {
    const path = join(pattern.replaceAll("{subscription_id}", id), pattern.startsWith("/scheduled") ? `app_id=${api.appId}` : "x=1");
    const token = pattern.includes("/admin/") ? server.account.admin_token : api.token;
    for (const limit of ["0", "-1", "1.5", "1e2", "0x10", "%205", "5%20", "", "10001", "99999999999999999999"]) {
      const reply = await api.raw(method, join(path, `limit=${limit}`), { token });
      assert.deepEqual(reply.json, { error: { message: "Invalid parameter: limit", code: 400 } }, `${path} ${limit}`);
    }
    const foreign = pattern === "/v1/topics" ? [] : [cursor];
    for (const bad of ["..%2F..%2Fx", "x".repeat(6000), cursor.slice(0, -1), `${cursor}0`, "", ...foreign]) {
      const reply = await api.raw(method, join(path, `cursor=${bad}`), { token });
      assert.deepEqual(reply.json, { error: { message: "Invalid cursor", code: 400 } }, `${path} ${bad}`);
    }
  }
});

test("the audit log has no end, so it comes in pages of its own", async () => {
  const admin = { token: server.account.admin_token };
  for (let n = 0; n < 110; n++)
    assert.equal((await api.raw("POST", "/v1/admin/organizations", { ...admin, body: { name: `organization ${n}` } })).status, 200);
  const first = await api.raw("GET", "/v1/admin/audit", admin);
  assert.equal(first.json.length, 100);
  const second = await api.raw("GET", nextOf(first), admin);
  assert.equal(second.json[0].id, first.json[99].id - 1);
  const many = await api.raw("GET", "/v1/admin/audit?limit=10000", admin);
  assert.equal(many.headers.link, undefined);
  assert.ok(many.json.length > 110);
});

test("many at once with one key make one thing", async () => {
  const report = { report_type: "eo_install", report_fields: ["id", "name"] };
  const headers = { "Idempotency-Key": "all at once" };
  const replies = await Promise.all(Array.from({ length: 24 }, () => api.subscribeRaw(report, { headers })));
  assert.deepEqual(new Set(replies.map(({ status }) => status)), new Set([200]), replies.find(({ status }) => status !== 200)?.text);
  assert.equal(new Set(replies.map(({ json }) => json.subscription_id)).size, 1);
  assert.equal(replies.filter((reply) => reply.headers["idempotency-replayed"] === undefined).length, 1);
  await server.restart(); // keys are kept
  const again = await api.subscribeRaw(report, { headers });
  assert.equal(again.headers["idempotency-replayed"], "true");
  assert.equal(again.json.subscription_id, replies[0].json.subscription_id);
  const other = await api.subscribeRaw({ ...report, report_fields: ["id"] }, { headers });
  assert.equal(other.status, 409);
  assert.equal(other.json.error.message, "Idempotency-Key reused with a different request");
});
