// SPDX-License-Identifier: Apache-2.0
// Query strings: what is no app, comes twice, or tries to be more than a parameter.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Api, makeTenant } from "./lib/api.mjs";
import { rawExchange } from "./lib/http.mjs";
import { Server, stopAll } from "./lib/server.mjs";

let server;
let api;
let tenant;
let id;

before(async () => {
  server = await Server.start();
  api = new Api(server);
  tenant = await makeTenant(server, "other");
  const reply = await api.subscribeRaw({ report_type: "eo_open", report_fields: ["id"] });
  id = reply.json.subscription_id;
});
after(stopAll);

const jobs = (query, options) => api.raw("POST", `/scheduled-exports/logs/subscription/${id}/jobs${query}`, options);
const missing = "Missing required parameter: app_id";
const refused = "Authentication failed !";
const fill = (text) => text.replaceAll("APP", api.appId).replaceAll("OTHER", tenant.appId).replaceAll("ORG", api.organizationId);

async function answers(query, status, message) {
  const reply = await jobs(fill(query));
  assert.equal(reply.status, status, `${query}: ${reply.text}`);
  if (message) assert.deepEqual(reply.json, { error: { message, code: status } }, query);
  assert.ok(!reply.text.includes("foo"));
  return reply;
}

test("an app or an organization is needed, once", async () => {
  for (const query of ["", "?", "?app_id=", "?app_id", "?app_id[]=APP", "?app_id;APP", "?App_Id=APP", "?app_id%00=APP", "?=APP", "?&&", "?app_id=&organization_id=", "?xapp_id=APP"])
    await answers(query, 400, query.includes("%00") ? undefined : missing);
  for (const query of ["?app_id=APP", "?organization_id=ORG", "?app_id=APP&organization_id=ORG", "?foo=1&app_id=APP&foo=2&foo", "?&app_id=APP&", "?app%5Fid=APP", "?app_id=APP#foo"])
    await answers(query, query.includes("#") ? 400 : 200);
  await answers("?app_id=APP&app_id=OTHER", 400, "Duplicate parameter: app_id");
  await answers("?app_id=APP&app_id=APP", 400, "Duplicate parameter: app_id");
  await answers("?app_id=APP&app%5fid=APP", 400, "Duplicate parameter: app_id");
  await answers("?organization_id=ORG&organization_id=ORG", 400, "Duplicate parameter: organization_id");
});

test("what is no app of the caller's is nobody's", async () => {
  for (const value of ["APP%26app_id%3DOTHER", "APP+x", "%20APP", "APP%20", "9007199254740993.0", "1e18", "0x1", "-1", "00APP", "+APP", "APP.0", "1'%20OR%20'1'%3D'1", "%27%3B--", "OTHER", "APP,OTHER", "*", "%25", "null", "undefined", "NaN", "%EF%BC%91", "APPAPP", "1".repeat(1000), "%F0%9F%A6%8A"])
    await answers(`?app_id=${value}`, 400, refused);
  for (const value of ["OTHER", "1", "%27"]) await answers(`?organization_id=${value}&app_id=APP`, 400, refused);
});

test("control characters reach no header", async () => {
  for (const value of ["APP%0d%0aSet-Cookie:%20x=1", "APP%0a", "%00", "APP%00", "APP%7f", "%1b[31m"]) {
    const reply = await answers(`?app_id=${value}`, 400);
    assert.match(reply.json.error.message, /^Invalid /);
    assert.equal(reply.headers["set-cookie"], undefined);
  }
  await answers("?app_id=APP%0d%0aSet-Cookie:%20x=1", 400, "Invalid parameter: app_id");
});

test("what cannot be decoded is refused", async () => {
  for (const value of ["%", "%4", "%zz", "%ff", "%c3%28", "%ed%a0%80"]) {
    const reply = await rawExchange(server.base, `GET /v1/topics?app_id=${value} HTTP/1.1\r\nHost: x\r\nAccess-Token: ${api.token}\r\nConnection: close\r\n\r\n`);
    assert.match(reply, /^HTTP\/1\.1 400 /, value);
    assert.match(reply, /"code":400/);
  }
});

test("a token in the query is none", async () => {
  for (const name of ["access-token", "access_token", "token"]) {
    const reply = await jobs(fill(`?app_id=APP&${name}=${api.token}`), { token: null });
    assert.deepEqual(reply.json, { error: { message: refused, code: 400 } });
  }
});

test("the next good request works", async () => {
  assert.deepEqual((await api.jobs(id)), []);
  assert.equal((await api.subscription(id)).subscription_id, id);
});
