// SPDX-License-Identifier: Apache-2.0
// HTTP manners: methods, compression of replies, cross-origin requests, rate limits, and what the
// log says of requests.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { gunzipSync } from "node:zlib";

import { Api, makeTenant, makeToken } from "./lib/api.mjs";
import { Server, stopAll } from "./lib/server.mjs";
import { waitFor } from "./lib/wait.mjs";

let server;
let api;

before(async () => {
  server = await Server.start({ env: { MILKRUN_API_ACCESS_LOG: "true" } });
  api = new Api(server);
});
after(stopAll);

const pages = ["/healthz", "/readyz", "/metrics", "/openapi.json", "/v1/topics", "/v1/subscriptions",
  "/v1/topics/eo_click", "/scheduled-exports/logs/subscriptions?organization_id=ORG"];

function target(path) {
  return path.replace("ORG", api.organizationId);
}

test("HEAD says what GET would", async () => {
  for (const path of pages.map(target)) {
    const get = await api.raw("GET", path);
    const head = await api.raw("HEAD", path);
    assert.equal(head.status, get.status, path);
    assert.equal(head.body.length, 0);
    assert.equal(head.headers["content-type"], get.headers["content-type"]);
    if (path !== "/metrics") assert.equal(head.headers["content-length"], get.headers["content-length"], path);
  }
});

test("every path names its methods, and refuses the others", async () => {
  const { json: description } = await api.raw("GET", "/openapi.json");
  for (const pattern of Object.keys(description.paths)) {
    const path = pattern.replaceAll(/\{[a-z_]+\}/g, "x");
    const options = await api.raw("OPTIONS", path, { token: null });
    assert.equal(options.status, 204, path);
    const allowed = options.headers.allow.split(", ");
    const described = Object.entries(description.paths)
      .filter(([other]) => new RegExp(`^${other.replaceAll(/\{[a-z_]+\}/g, "[^/]+")}$`).test(path))
      .flatMap(([, methods]) => Object.keys(methods).map((name) => name.toUpperCase()));
    const wanted = new Set([...described, ...(described.includes("GET") ? ["HEAD"] : []), "OPTIONS"]);
    assert.deepEqual(new Set(allowed), wanted, path);
    for (const method of ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"].filter((name) => !wanted.has(name))) {
      const reply = await api.raw(method, path);
      assert.equal(reply.status, 405, `${method} ${path}`);
      assert.equal(reply.headers.allow, options.headers.allow);
      if (method !== "HEAD") assert.deepEqual(reply.json, { error: { message: "Method not allowed", code: 405 } });
    }
  }
  const server_ = await api.raw("OPTIONS", "*", { token: null });
  assert.equal(server_.status, 204);
  assert.match(server_.headers.allow, /PATCH/);
});

test("long replies are compressed for those who ask, short ones for nobody", async () => {
  const plain = await api.raw("GET", "/v1/topics/eo_click");
  assert.equal(plain.headers["content-encoding"], undefined);
  assert.equal(plain.headers.vary, "Accept-Encoding");
  const packed = await api.raw("GET", "/v1/topics/eo_click", { headers: { "Accept-Encoding": "br, gzip;q=0.9" } });
  assert.equal(packed.headers["content-encoding"], "gzip");
  assert.equal(packed.headers.vary, "Accept-Encoding");
  assert.equal(Number(packed.headers["content-length"]), packed.body.length);
  assert.ok(packed.body.length < plain.body.length / 4);
  assert.deepEqual(gunzipSync(packed.body), plain.body);
  const head = await api.raw("HEAD", "/v1/topics/eo_click", { headers: { "Accept-Encoding": "gzip" } });
  assert.equal(head.headers["content-encoding"], "gzip");
  assert.equal(head.headers["content-length"], packed.headers["content-length"]);
  for (const accept of ["gzip;q=0", "identity", "br", "", "gzip;q=0.2, identity;q=0.3"]) {
    const reply = await api.raw("GET", "/v1/topics/eo_click", { headers: { "Accept-Encoding": accept } });
    assert.deepEqual(reply.body, plain.body, accept);
  }
  const short = await api.raw("GET", "/healthz", { headers: { "Accept-Encoding": "gzip" } });
  assert.equal(short.headers["content-encoding"], undefined);
  assert.equal(short.headers.vary, undefined);
});

test("no origin is allowed unless configured", async () => {
  const headers = { Origin: "https://shop.example", "Access-Control-Request-Method": "GET" };
  for (const method of ["GET", "OPTIONS"]) {
    const reply = await api.raw(method, "/v1/topics", { headers });
    assert.deepEqual(Object.keys(reply.headers).filter((name) => name.startsWith("access-control")), []);
  }
});

test("configured origins may call, others get no word of it", async () => {
  const own = await Server.start({ args: { "api-cors-origins": "https://shop.example,http://localhost:3000" } });
  const calls = new Api(own);
  const headers = { Origin: "http://localhost:3000" };
  const preflight = await calls.raw("OPTIONS", "/v1/topics", { token: null,
    headers: { ...headers, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "access-token" } });
  assert.equal(preflight.status, 204);
  assert.equal(preflight.headers["access-control-allow-origin"], "http://localhost:3000");
  assert.equal(preflight.headers["access-control-allow-methods"], preflight.headers.allow);
  assert.match(preflight.headers["access-control-allow-headers"], /Access-Token, .*Content-Type.*Idempotency-Key/);
  assert.equal(preflight.headers["access-control-max-age"], "7200");
  assert.equal(preflight.headers.vary, "Origin");

  const reply = await calls.raw("GET", "/v1/topics", { headers });
  assert.equal(reply.status, 200);
  assert.equal(reply.headers["access-control-allow-origin"], "http://localhost:3000");
  assert.match(reply.headers["access-control-expose-headers"], /Link/);
  assert.equal(reply.headers["access-control-allow-credentials"], undefined);
  assert.equal(reply.headers.vary, "Origin, Accept-Encoding");
  const refused = await calls.raw("GET", "/v1/topics", { headers, token: "wrong" }); // scripts may read errors
  assert.equal(refused.status, 401);
  assert.equal(refused.headers["access-control-allow-origin"], "http://localhost:3000");

  for (const origin of ["http://localhost:3001", "https://shop.example.evil", "HTTPS://shop.example", "null", "*", ""]) {
    const other = await calls.raw("OPTIONS", "/v1/topics",
      { headers: { Origin: origin, "Access-Control-Request-Method": "POST" } });
    assert.deepEqual(Object.keys(other.headers).filter((name) => name.startsWith("access-control")), [], origin);
    assert.equal(other.headers.vary, "Origin");
  }
  await own.stop();
});

test("a star allows every origin", async () => {
  const own = await Server.start({ args: { "api-cors-origins": "*" } });
  const reply = await new Api(own).raw("GET", "/healthz", { headers: { Origin: "https://any.example" } });
  assert.equal(reply.headers["access-control-allow-origin"], "*");
  assert.equal(reply.headers.vary, undefined);
  await own.stop();
});

test("what is no origin does not start", async () => {
  for (const origin of ["shop.example", "https://shop.example/", "https://a b", "https://"])
    await assert.rejects(Server.start({ args: { "api-cors-origins": origin } }), /origin/);
});

test("a token and an organization have their rates", async () => {
  const own = await Server.start({ args: { "rate-token-per-second": 3, "rate-organization-per-second": 5 } });
  const tenant = await makeTenant(own, "busy");
  const other = await makeTenant(own, "other");
  const second = await makeToken(own, { organizationId: tenant.organizationId, permissions: ["export"] });
  const ask = async (token) => (await tenant.raw("GET", "/v1/subscriptions", { token }));
  const statuses = [];
  for (let i = 0; i < 4; i++) statuses.push((await ask(tenant.token)).status);
  assert.deepEqual(statuses, [200, 200, 200, 429]);
  const limited = await ask(tenant.token);
  assert.equal(limited.headers["retry-after"], "1");
  assert.deepEqual(limited.json, { error: { message: "Rate limit reached.", code: 429 },
    errors: [{ message: `Limit is exceeded for org-${tenant.organizationId}, retry after 1 seconds`, error_code: 7 }] });
  assert.equal((await ask(second.text)).status, 200);
  assert.equal((await ask(second.text)).status, 200);
  assert.equal((await ask(second.text)).status, 429); // the organization's five are used up
  assert.equal((await other.raw("GET", "/v1/subscriptions")).status, 200);
  for (let i = 0; i < 20; i++) assert.equal((await own.request({ path: "/healthz" })).status, 200);
  await waitFor("the bucket to have one again", async () => (await ask(tenant.token)).status === 200, 5000);
  await own.stop();
});

// --- The log

async function logOf(requestId) {
  const line = await waitFor(`a log line of ${requestId}`,
    () => server.log.split("\n").find((text) => text.includes(requestId) && text.endsWith("}")));
  assert.equal(server.log.split("\n").filter((text) => text.includes(requestId)).length, 1);
  return { line, record: JSON.parse(line) };
}

test("a request is one line of JSON", async () => {
  const reply = await api.raw("GET", `/v1/topics?app_id=${api.appId}`, { headers: { "X-Request-Id": "log-1", "User-Agent": "suite/1" } });
  assert.equal(reply.headers["x-request-id"], "log-1");
  const { record } = await logOf("log-1");
  assert.equal(record.event, "request");
  assert.equal(record.status, 200);
  assert.equal(record.method, "GET");
  assert.equal(record.path, "/v1/topics");
  assert.equal(record.query, `app_id=${api.appId}`);
  assert.equal(record.route, "/v1/topics");
  assert.equal(record.user_agent, "suite/1");
  assert.equal(record.organization, api.organizationId);
  assert.equal(record.peer, "127.0.0.1");
  assert.equal(typeof record.ms, "number");
});

test("nothing of a client ends a line or steers a terminal", async () => {
  const agent = 'x%0d%0a"quoted" \\ \u009b31m\u00ff [31mred';
  await api.raw("GET", "/v1/topics", { headers: { "X-Request-Id": "log-2", "User-Agent": agent } });
  const { line, record } = await logOf("log-2");
  assert.match(line, /^[\x20-\x7e]+$/);
  assert.ok(record.user_agent.startsWith('x%0d%0a"quoted" \\ '));
});

test("a long path is cut", async () => {
  const reply = await api.raw("GET", `/${"x".repeat(7900)}`, { headers: { "X-Request-Id": "log-3" } });
  assert.equal(reply.status, 404);
  assert.deepEqual(reply.json, { error: { message: "Not found", code: 404 } });
  const { record } = await logOf("log-3");
  assert.equal(record.path, `/${"x".repeat(255)}...`);
});

test("secrets are in no log, wherever a client puts them", async () => {
  const canary = "Q7canaryQ7";
  const query = ["access-token", "access_token", "Access%2DToken", "branch_secret", "X-Amz-Signature", "password", "api_key"]
    .map((name) => `${name}=${canary}`).join("&");
  const own = `api_app_${canary}aaaaaaaaaaaaaaaaaaaaaa`;
  await api.raw("GET", `/v1/subscriptions?${query}&app_id=${own}`, { headers: { "X-Request-Id": "log-4", "Access-Token": own, "User-Agent": own } });
  await api.raw("POST", `/v3/export?branch_secret=secret_live_${canary}`, { headers: { "X-Request-Id": "log-5" }, body: `{"branch_secret":"secret_live_${canary}"}` });
  await api.raw("GET", `/v1/jobs/${own}`, { headers: { "X-Request-Id": "log-6", Authorization: `Bearer ${own}` }, token: null });
  await api.raw("GET", `/exports/v2/a?X-Amz-Signature=${canary}&X-Amz-Security-Token=${canary}`, { headers: { "X-Request-Id": "log-7" } });
  const { record } = await logOf("log-4");
  assert.match(record.query, /access-token=\*\*\*/);
  for (const id of ["log-5", "log-6", "log-7"]) await logOf(id);
  const metrics = await api.raw("GET", "/metrics");
  assert.ok(!metrics.text.includes(canary));
  assert.ok(!server.log.includes(canary), server.log.split("\n").find((line) => line.includes(canary)));
});
