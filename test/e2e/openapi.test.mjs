// SPDX-License-Identifier: Apache-2.0
// /openapi.json as tools see it: a public linter finds nothing, types and a client are generated from
// it, and a program over them runs the whole way. That every other reply of these tests is as
// described is checked where replies arrive (lib/http.mjs).
import assert from "node:assert/strict";
import { copyFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";

import { createConfig, lintFromString } from "@redocly/openapi-core";
import openapiTS, { astToString } from "openapi-typescript";
import ts from "typescript";

import { Description } from "./lib/description.mjs";
import { Server, stopAll } from "./lib/server.mjs";
import { temporaryDirectory } from "./lib/temp.mjs";

const here = dirname(fileURLToPath(import.meta.url));
let server;
let text;
let document;

before(async () => {
  server = await Server.start();
  ({ text } = await server.request({ path: "/openapi.json" }));
  document = JSON.parse(text);
});
after(stopAll);

test("a public linter finds nothing", async () => {
  const config = await createConfig({ extends: ["recommended-strict"] });
  const problems = await lintFromString({ source: text, absoluteRef: "openapi.json", config });
  assert.deepEqual(problems.map(({ ruleId, message, location }) => `${ruleId}: ${message} at ${location[0]?.pointer}`), []);
});

test("every operation says what it is, takes and gives", () => {
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const what = `${method} ${path}`;
      assert.match(operation.operationId, /^[a-z][A-Za-z]+$/, what);
      assert.ok(operation.summary && operation.tags.length === 1, what);
      for (const parameter of operation.parameters) assert.ok(parameter.description && parameter.schema, `${what} ${parameter.name}`);
      for (const status of ["200", "400", "413", "431", "500", "503"]) assert.ok(operation.responses[status], `${what} ${status}`);
      if (method !== "head") assert.ok(operation.responses[200].content, what);
      const isOpen = operation.security?.length === 0;
      assert.equal(isOpen, !/^\/(v[12]|scheduled)/.test(path), what); // /v3/export has its keys in the body
    }
  }
  assert.equal(document.paths["/scheduled-exports/logs/subscribe"].post.operationId, "createScheduledLogExportSubscription");
  assert.ok(document.components.schemas.TopicName.examples.includes("eo_click"));
});

// --- The check that all replies go through is worth something

const reply = (status, body, headers = {}) => {
  const payload = Buffer.from(typeof body === "string" ? body : JSON.stringify(body));
  return { status, body: payload, text: payload.toString(), get json() { return JSON.parse(this.text); },
    headers: { "content-type": "application/json; charset=utf-8", "x-request-id": "r", ...headers } };
};
const health = { status: "ok", version: "1" };

test("what is not described is found", () => {
  const description = new Description(document);
  const check = (path, given, more = {}) => description.check({ method: "GET", path, ...more }, given);
  check("/healthz", reply(200, health));
  check("/healthz/?x=1", reply(200, health));
  check("/nowhere", reply(404, { error: { message: "Not found", code: 404 } }));
  check("/scheduled-exports/exports/logs/subscriptions?app_id=1", reply(200, []));
  const bad = [
    ["/healthz", reply(200, { ...health, extra: 1 })],
    ["/healthz", reply(200, { status: "ok" })],
    ["/healthz", reply(200, { ...health, version: 1 })],
    ["/healthz", reply(200, health, { "content-type": "text/plain" })],
    ["/healthz", reply(200, health, { "x-request-id": undefined })],
    ["/healthz", reply(200, health, { etag: '"1"' })],
    ["/healthz", reply(201, health)],
    ["/healthz", reply(404, { error: { message: "Not found", code: 404 } })],
    ["/healthz", reply(503, { error: { message: "Overloaded", code: 503 } })], // no Retry-After
    ["/healthz", reply(400, { message: "no" })],
    ["/nowhere", reply(200, {})],
    ["/nowhere", reply(404, "<html>")],
    ["/v1/topics", reply(200, [{ name: "a", schema_id: -1, field_count: 0, built_in: false }])],
    ["/v1/topics", reply(200, [], { link: "</v1/topics?cursor=1>" })],
    ["/v1/jobs/x", reply(405, { error: { message: "Method not allowed", code: 405 } }), { method: "POST" }], // no Allow
    ["/v1/topics", reply(200, { name: "a", schema_id: 1, fields: [] }), { method: "POST", body: '{"name":5,"fields":[]}' }],
  ];
  for (const [index, [path, given, more]] of bad.entries())
    assert.throws(() => check(path, given, more), /not as described/, `case ${index}`);
});

// --- A generated client

test("a program over generated types compiles and runs the whole way", async () => {
  const folder = temporaryDirectory("client");
  symlinkSync(join(here, "../node_modules"), join(folder, "node_modules"));
  writeFileSync(join(folder, "package.json"), '{"type":"module"}');
  writeFileSync(join(folder, "description.d.ts"), astToString(await openapiTS(document)));
  const program = join(folder, "life_cycle.ts");
  copyFileSync(join(here, "client/life_cycle.ts"), program);
  const options = { strict: true, target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext, lib: ["lib.es2022.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts"],
    types: [], skipLibCheck: true, preserveSymlinks: true };
  const compiled = ts.createProgram([program], options);
  const faults = [...ts.getPreEmitDiagnostics(compiled)];
  assert.equal(ts.formatDiagnostics(faults, { getCanonicalFileName: (name) => name, getCurrentDirectory: () => folder, getNewLine: () => "\n" }), "");
  compiled.emit();
  const { lifeCycle } = await import(pathToFileURL(join(folder, "life_cycle.js")));
  const rows = await lifeCycle(server.base, server.account.admin_token);
  assert.deepEqual(rows.map((row) => JSON.parse(row)), [{ id: "e1", plan: "paid" }, { id: "e3", plan: "paid" }]);
});
