// SPDX-License-Identifier: Apache-2.0
// The documented calls: bodies, errors, both paths, leniencies; and that nobody can tell a foreign id from
// one that does not exist.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, test } from "node:test";

import { Api, HOUR_MS, makeTenant, makeToken, readDate } from "./lib/api.mjs";
import { rawExchange } from "./lib/http.mjs";
import { Server, stopAll } from "./lib/server.mjs";
import { waitFor } from "./lib/wait.mjs";

const start = Date.parse("2024-02-01T07:00:00Z");
const authenticationFailed = { error: { message: "Authentication failed !", code: 400 } };
const jobNotFound = { error: { message: "Job ID Not Found", code: 404 } };
const report = { cadence: "hourly", response_format: "csv", response_format_compression: "gz", report_type: "eo_click",
  report_fields: ["id", "timestamp", "name"], filter: ["eq", "name", "CLICK"] };
let server;
let api;

before(async () => {
  server = await Server.start();
  api = new Api(server);
});
after(stopAll);

let fieldCounter = 0;
// Reports that are not duplicates of one another.
function freshReport(changes = {}) {
  return { ...report, filter: ["eq", "name", `CLICK${++fieldCounter}`], ...changes };
}

async function expectError(reply, status, message, label = "") {
  assert.equal(reply.status, status, `${label} answered ${reply.status}: ${reply.text.slice(0, 300)}`);
  assert.match(reply.headers["content-type"], /^application\/json/);
  assert.equal(reply.json.error.code, status, label);
  if (message instanceof RegExp) assert.match(reply.json.error.message, message, label);
  else if (message) assert.equal(reply.json.error.message, message, label);
}

describe("subscribe and look", () => {
  test("the documented answer, PENDING, then ACTIVE; the same at the address given", async () => {
    const reply = await api.subscribeRaw(report);
    assert.equal(reply.status, 200);
    const body = reply.json;
    assert.equal(body.status, "PENDING");
    assert.equal(body.description, "Generating sample report. Subscription will finish after Report is uploaded");
    assert.equal(body.subscription_url, `${server.base}/scheduled-exports/exports/logs/subscription/${body.subscription_id}?app_id=${api.appId}`);
    await api.waitActive(body.subscription_id);
    const { pathname, search } = new URL(body.subscription_url);
    const seen = await api.call("GET", pathname + search);
    assert.deepEqual(seen, await api.subscription(body.subscription_id));
    assert.equal(seen.subscription_id, body.subscription_id);
    assert.deepEqual(seen.report, { ...report, subscription_status: "ACTIVE" });
    assert.deepEqual(seen.destination, { subscription_type: "branch" });
    assert.deepEqual(await api.jobs(body.subscription_id), [], "the sample is not a job");
    const list = await api.call("GET", `/scheduled-exports/logs/subscriptions?app_id=${api.appId}`);
    assert.deepEqual(list.find((item) => item.subscription_id === body.subscription_id), seen);
  });

  test("defaults apply; values are echoed", async () => {
    const reply = await api.subscribeRaw({ report_type: ["eo_open"], report_fields: ["name"], unknown_key: 1 });
    assert.equal(reply.status, 200, reply.text);
    const seen = await api.waitActive(reply.json.subscription_id);
    assert.equal(seen.report.cadence, "hourly");
    assert.equal(seen.report.response_format, "csv");
    assert.equal(seen.report.response_format_compression, "gz");
    assert.equal(seen.report.report_type, "eo_open");
  });

  test("keys that a client may not set are ignored", async () => {
    const reply = await api.raw("POST", `/scheduled-exports/logs/subscribe?app_id=${api.appId}`, { body: {
      report: freshReport(), destination: { subscription_type: "branch" }, org_id: "1", subscription_id: "mine", status: "ACTIVE", created_at: 5 } });
    assert.equal(reply.status, 200);
    assert.equal(reply.json.status, "PENDING");
    assert.notEqual(reply.json.subscription_id, "mine");
  });

  test("any Content-Type, header case and one trailing slash are taken", async () => {
    const body = JSON.stringify({ report: freshReport(), destination: { subscription_type: "branch" } });
    const path = "/scheduled-exports/logs/subscribe";
    const first = await api.raw("POST", `${path}/?app_id=${api.appId}`, { body, token: null,
      headers: { "aCCess-tOKen": api.token, "Content-Type": "application/x-www-form-urlencoded" } });
    assert.equal(first.status, 200, first.text);
    const id = first.json.subscription_id;
    for (const at of [`/scheduled-exports/logs/subscription/${id}`, `/scheduled-exports/logs/subscription/${id}/`,
      `/scheduled-exports/exports/logs/subscription/${id}`, `/scheduled-exports/exports/logs/subscription/${id}/`])
      assert.equal((await api.raw("GET", `${at}?app_id=${api.appId}`)).status, 200, at);
    await expectError(await api.raw("GET", `/scheduled-exports/logs/subscription/${id}//?app_id=${api.appId}`), 404);
    await expectError(await api.raw("GET", `/Scheduled-Exports/logs/subscription/${id}?app_id=${api.appId}`), 404);
    const bearer = await api.raw("GET", `/scheduled-exports/logs/subscription/${id}?app_id=${api.appId}`,
      { token: null, headers: { Authorization: `Bearer ${api.token}` } });
    assert.equal(bearer.status, 200);
    const spaced = await rawExchange(server.base, `GET /scheduled-exports/logs/subscription/${id}?app_id=${api.appId} HTTP/1.1\r\n` +
      `Host: ${new URL(server.base).host}\r\nACCESS-TOKEN: \t ${api.token} \t\r\nConnection: close\r\n\r\n`);
    assert.match(spaced, /^HTTP\/1\.1 200 /);
  });

  test("external ids are per app and stay", async () => {
    const path = (id) => `/scheduled-exports/logs/subscription/externalId?app_id=${id}`;
    const first = await api.call("GET", path(api.appId));
    assert.deepEqual(Object.keys(first), ["external_id"]);
    assert.deepEqual(await api.call("GET", path(api.appId)), first);
    const other = await makeTenant(server, "external");
    assert.notDeepEqual(await other.call("GET", path(other.appId)), first);
  });
});

describe("jobs", () => {
  let id;

  before(async () => {
    await api.ingest("eo_click", [{ timestamp: start + 1, id: "1", name: "JOBS" }, { timestamp: start + 2, id: "2", name: "JOBS" }]);
    id = await api.subscribe({ ...report, filter: ["eq", "name", "JOBS"] });
    await api.backfill(id, start - HOUR_MS, start + HOUR_MS);
    await api.waitJobs(id, 2);
  });

  test("the documented body, newest window first", async () => {
    const jobs = await api.jobs(id);
    assert.equal(jobs.length, 2);
    const [job, earlier] = jobs;
    for (const key of ["job_id", "status", "start_date", "end_date", "export_url", "lines_exported"]) assert.ok(key in job, key);
    assert.equal(job.start_date, "2024-02-01T07:00:00.000-00:00");
    assert.equal(job.end_date, "2024-02-01T08:00:00.000-00:00");
    assert.equal(earlier.start_date, "2024-02-01T06:00:00.000-00:00");
    assert.equal(job.lines_exported, 2);
    assert.equal(earlier.lines_exported, 0);
    assert.equal(job.export_url.length, 1);
    assert.match(job.export_url[0], new RegExp(`^${server.base}/exports/v2/y%3D2024/m%3D02/d%3D01/h%3D07/app_id%3D${api.appId}/job_id%3D${job.job_id}` +
      "/task_id%3D[^/?]+/[^/?]+\\.csv\\.gz\\?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=\\d{8}T\\d{6}Z&X-Amz-SignedHeaders=host&X-Amz-Expires=\\d+" +
      "&X-Amz-Credential=[^&]+&X-Amz-Signature=[0-9a-f]{64}$"));
  });

  const strip = (jobs) => jobs.map((job) => ({ ...job, export_url: job.export_url.length }));

  test("POST and GET, any body, both prefixes, either id", async () => {
    const wanted = strip(await api.jobs(id));
    const path = `/logs/subscription/${id}/jobs`;
    for (const [method, at, options] of [
      ["GET", `/scheduled-exports${path}?app_id=${api.appId}`],
      ["POST", `/scheduled-exports${path}?app_id=${api.appId}`, { body: {} }],
      ["POST", `/scheduled-exports${path}?app_id=${api.appId}`, { body: "not json" }],
      ["POST", `/scheduled-exports${path}/?app_id=${api.appId}`],
      ["POST", `/scheduled-exports/exports${path}?app_id=${api.appId}`],
      ["GET", `/scheduled-exports/exports${path}/?app_id=${api.appId}`],
      ["POST", `/scheduled-exports${path}?organization_id=${api.organizationId}`],
      ["POST", `/scheduled-exports${path}?app_id=${api.appId}&foo=1`],
    ]) {
      const reply = await api.raw(method, at, options);
      assert.equal(reply.status, 200, `${method} ${at}: ${reply.text}`);
      assert.deepEqual(strip(reply.json), wanted, at);
    }
  });

  test("one job by its id, with app or organization", async () => {
    const [job] = await api.jobs(id);
    const one = await api.job(id, job.job_id);
    assert.deepEqual(strip([one]), strip([job]));
    const path = `/scheduled-exports/logs/subscription/${id}/job/${job.job_id}?organization_id=${api.organizationId}`;
    assert.deepEqual(strip([await api.call("GET", path)]), strip([job]));
  });

  test("limit", async () => {
    const path = `/scheduled-exports/logs/subscription/${id}/jobs?app_id=${api.appId}`;
    assert.equal((await api.call("POST", `${path}&limit=1`)).length, 1);
    for (const bad of ["0", "-1", "1.5", "1e2", "0x10", "%205", "5%20", "99999999999999999999"])
      await expectError(await api.raw("POST", `${path}&limit=${bad}`), 400, "Invalid parameter: limit", bad);
  });

  test("the ledger has one entry for each window and its state", async () => {
    const windows = await api.windows(id);
    const known = windows.filter((window) => window.jobs.length > 0);
    assert.deepEqual(known.map((window) => readDate(window.start_date)), [start - HOUR_MS, start]);
    for (const window of known) {
      assert.equal(window.state, "SUCCEEDED");
      assert.equal(window.jobs[0].revision, 0);
      assert.equal(window.jobs[0].status, "SUCCEEDED");
    }
    const starts = windows.map((window) => window.start_date);
    assert.equal(new Set(starts).size, starts.length);
  });

  test("the URL's life is 604,800 seconds", async () => {
    const [job] = await api.jobs(id);
    assert.equal(new URL(job.export_url[0]).searchParams.get("X-Amz-Expires"), "604800");
  });

  test("manifest", async () => {
    const [job] = await api.jobs(id);
    const manifest = await api.manifest(job.job_id);
    for (const key of ["job_id", "subscription_id", "subscription_version", "topic", "start_date", "end_date", "revision", "range", "schema_id",
      "encoder", "rows", "bytes", "files"]) assert.ok(key in manifest, key);
    assert.equal(manifest.job_id, job.job_id);
    assert.equal(manifest.subscription_id, id);
    assert.equal(manifest.topic, "eo_click");
    assert.equal(manifest.start_date, job.start_date);
    assert.deepEqual(Object.keys(manifest.files[0]), ["key", "rows", "bytes", "sha256"]);
  });

  test("methods: 405 with Allow, 501 for unknown ones", async () => {
    const path = `/scheduled-exports/logs/subscription/${id}/jobs?app_id=${api.appId}`;
    for (const method of ["PUT", "PATCH", "DELETE"]) {
      const reply = await api.raw(method, path);
      await expectError(reply, 405, "Method not allowed", method);
      const allowed = reply.headers.allow.split(/, */);
      for (const name of ["GET", "POST"]) assert.ok(allowed.includes(name), reply.headers.allow);
    }
    const trace = await api.raw("TRACE", path);
    await expectError(trace, 405);
    assert.ok(!trace.text.includes(api.token));
    await expectError(await api.raw("GET", "/no/such/path"), 404);
    const overridden = await api.raw("POST", path, { headers: { "X-HTTP-Method-Override": "DELETE", "X-Original-URL": "/v1/admin" } });
    assert.equal(overridden.status, 200);
  });
});

describe("deactivation, duplicates, limit", () => {
  test("deactivated: the documented answer, INACTIVE by id, gone from the list, 404 at the second time", async () => {
    const id = await api.subscribe(freshReport());
    assert.deepEqual(await api.deactivate(id), { status: "SUCCESS", description: "Subscription deactivated successfully" });
    assert.equal((await api.subscription(id)).report.subscription_status, "INACTIVE");
    const list = await api.call("GET", `/scheduled-exports/logs/subscriptions?app_id=${api.appId}`);
    assert.ok(!list.some((item) => item.subscription_id === id));
    const again = await api.raw("DELETE", `/scheduled-exports/logs/subscription/${id}?app_id=${api.appId}`);
    assert.equal(again.status, 404);
    assert.deepEqual(again.json, jobNotFound);
  });

  test("a duplicate names the existing one; another order of fields is none; a deactivated one does not count", async () => {
    const asked = freshReport();
    const id = await api.subscribe(asked);
    for (const same of [asked, { ...asked, response_format: "json" }, { ...asked, response_format_compression: "snappy" }])
      await expectError(await api.subscribeRaw(same), 400, `Duplicate of subscription ${id}`);
    for (const other of [{ ...asked, report_fields: [...asked.report_fields].reverse() }, { ...asked, cadence: "daily" },
      { ...asked, report_type: "eo_open" }]) await api.deactivate(await api.subscribe(other));
    await api.deactivate(id);
    await api.deactivate(await api.subscribe(asked));
  });

  test("two creates of the same at the same time: one is taken", async () => {
    const asked = freshReport();
    const replies = await Promise.all(Array.from({ length: 8 }, () => api.subscribeRaw(asked, { keepAlive: false })));
    assert.equal(replies.filter((reply) => reply.status === 200).length, 1);
    const { subscription_id: id } = replies.find((reply) => reply.status === 200).json;
    for (const reply of replies.filter((item) => item.status !== 200)) await expectError(reply, 400, `Duplicate of subscription ${id}`);
  });

  test("35 per app, also when 40 come at once; a deactivated one makes room", async () => {
    const tenant = await makeTenant(server, "limit");
    const replies = await Promise.all(Array.from({ length: 40 }, (_, index) =>
      tenant.subscribeRaw(freshReport({ filter: ["eq", "name", `limit${index}`] }), { keepAlive: false })));
    const taken = replies.filter((reply) => reply.status === 200);
    assert.equal(taken.length, 35);
    for (const reply of replies.filter((item) => item.status !== 200)) await expectError(reply, 400, "Subscription limit reached: 35");
    await tenant.deactivate(taken[0].json.subscription_id);
    assert.equal((await tenant.subscribeRaw(freshReport())).status, 200);
    await expectError(await tenant.subscribeRaw(freshReport()), 400, "Subscription limit reached: 35");
  });
});

test("many samples at once disturb each other in nothing: every subscription becomes ACTIVE", async () => {
  for (let round = 0; round < 12; round++) {
    const tenant = await makeTenant(server, `samples${round}`);
    const replies = await Promise.all(Array.from({ length: 30 }, (_, index) =>
      tenant.subscribeRaw(freshReport({ filter: ["eq", "name", `sample${index}`] }), { keepAlive: false })));
    for (const reply of replies) await tenant.waitActive(reply.json.subscription_id);
  }
});

describe("refused bodies", () => {
  const destination = { subscription_type: "branch" };
  const deep = (depth) => (depth === 0 ? ["eq", "name", "a"] : ["not", deep(depth - 1)]);
  const post = (body) => api.raw("POST", `/scheduled-exports/logs/subscribe?app_id=${api.appId}`, { body });

  const texts = [
    ["null", "JSON object expected"], ["[]", "JSON object expected"], ['"x"', "JSON object expected"], ["1", "JSON object expected"],
    ['{"a":', "Invalid JSON"], ["{} x", "Invalid JSON"], ["", null], ['{"report":NaN}', "Invalid JSON"], ['{"a":01}', "Invalid JSON"],
    ['{"a":.5}', "Invalid JSON"], ['{"a":"\n"}', "Invalid JSON"], ['{"report":{"cadence":"daily","cadence":"hourly"}}', "Duplicate field: cadence"],
    ['{"a":"\\ud800"}', "Invalid Unicode escape"], ['{"a":1e400}', "Number out of range"], [Buffer.from('{"a":"\xff"}', "latin1"), "Invalid UTF-8"],
    ["[".repeat(60_000), "JSON nested too deeply"],
    [`{${Array.from({ length: 3000 }, (_, index) => `"k${index}":1`).join(",")}}`, "Too many fields"],
  ];
  for (const [text, message] of texts)
    test(`body ${JSON.stringify(text.toString("latin1").slice(0, 50))}`, async () => expectError(await post(text), 400, message));

  test("a body over 64 KiB", async () => expectError(await post("[".repeat(100_000)), 413, "Request body too large"));

  const reports = [
    [{ report: undefined }, "Missing required field: report"],
    [{ destination: undefined }, "Missing required field: destination"],
    [{ destination: null }, "Missing required field: destination"],
    [{ report_type: undefined }, null], [{ report_fields: undefined }, null], [{ report_fields: [] }, null],
    [{ report_type: "eo_unknown" }, "Invalid report_type"], [{ report_type: [] }, "Invalid report_type"],
    [{ report_type: ["eo_install", "eo_open"] }, "Invalid report_type"], [{ report_type: true }, null],
    [{ response_format: "xml" }, "Invalid response_format"], [{ response_format_compression: "zip" }, null],
    [{ cadence: "minutely" }, "Invalid cadence"], [{ cadence: "" }, "Invalid cadence"], [{ cadence: "HOURLY" }, "Invalid cadence"], [{ cadence: 3600 }, null],
    [{ report_fields: ["name", "no_such_field", "nor_this"] }, "no_such_field field is not available for exports"],
    [{ report_fields: ["name", 5] }, null], [{ report_fields: "name" }, null], [{ report_fields: ["name", "name"] }, null],
    [{ filter: ["eq", "no_such_field", "x"] }, "no_such_field field is not available for exports"],
    [{ filter: ["regex", "name", "a"] }, /^Unknown filter operator at filter\[0\]/], [{ filter: ["neq", "name", "a"] }, /^Unknown filter operator at filter\[0\]/],
    [{ filter: ["EQ", "name", "a"] }, /^Unknown filter operator at filter\[0\]/], [{ filter: [null] }, /^Unknown filter operator at filter\[0\]/],
    [{ filter: [[]] }, /^Unknown filter operator at filter\[0\]\[0\]/],
    [{ filter: ["and"] }, /^Invalid filter: wrong number of operands: /], [{ filter: ["or"] }, /^Invalid filter: wrong number of operands: /],
    [{ filter: ["eq", "name"] }, /^Invalid filter: wrong number of operands: /], [{ filter: ["not"] }, /^Invalid filter: wrong number of operands: /],
    [{ filter: "eq" }, "Invalid filter: array expected"], [{ filter: { eq: ["name", "a"] } }, "Invalid filter: array expected"],
    [{ filter: 5 }, "Invalid filter: array expected"], [{ filter: true }, "Invalid filter: array expected"],
    [{ filter: ["gt", "timestamp", "abc"] }, /^Invalid filter value at filter\[2\]: /], [{ filter: ["eq", "id", {}] }, /^Invalid filter value at filter\[2\]: /],
    [{ filter: ["eq", "id", [1]] }, /^Invalid filter value at filter\[2\]: /], [{ filter: ["eq", "event_data_revenue", "much"] }, /^Invalid filter value at filter\[2\]: /],
    [{ filter: deep(40) }, /^Filter too complex at filter\[1\]/],
    [{ filter: ["or", ...Array.from({ length: 1001 }, (_, index) => ["eq", "name", `${index}`])] }, /^Filter too complex: more than 1000 operators$/],
  ];
  for (const [changes, message] of reports)
    test(`report with ${JSON.stringify(changes, (_, value) => (value === undefined ? "(missing)" : value)).slice(0, 80)}`, async () => {
      const { report: wholeReport = { ...report, ...changes }, destination: wholeDestination = destination } = changes;
      const body = { report: "report" in changes ? undefined : wholeReport, destination: "destination" in changes ? changes.destination : wholeDestination };
      await expectError(await post(body), 400, message);
    });

  test("every bad field is named", async () => {
    const reply = await post({ report: { ...report, report_fields: ["nope_1", "name", "nope_2"] }, destination });
    assert.deepEqual(reply.json.errors.map((error) => error.message),
      ["nope_1 field is not available for exports", "nope_2 field is not available for exports"]);
  });

  test("destinations that lack something name it", async () => {
    const asked = freshReport();
    const cloud = { subscription_type: "cloud", cloud: "s3" };
    await expectError(await api.subscribeRaw(asked, { destination: cloud }), 400, "Missing required field: destination.bucket");
    await expectError(await api.subscribeRaw(asked, { destination: { subscription_type: "email" } }), 400, "Missing required field: destination.recipient_emails");
    await expectError(await api.subscribeRaw(asked, { destination: { subscription_type: "pigeon" } }), 400);
    await expectError(await api.subscribeRaw(asked, { destination: {} }), 400);
  });
});

describe("credentials", () => {
  const jobsPath = (query) => `/scheduled-exports/logs/subscription/${randomUUID()}/jobs${query}`;

  test("missing, wrong, cut, misplaced credentials: 400 with the documented text, 401 on create", async () => {
    const query = `?app_id=${api.appId}`;
    for (const [label, options] of [
      ["none", { token: null }], ["wrong", { token: `api_app_${"9".repeat(32)}` }], ["cut", { token: api.token.slice(0, -1) }],
      ["longer", { token: `${api.token}x` }], ["latin", { token: null, headers: { "Access-Token": "\xe9\xff" } }],
      ["cookie", { token: null, headers: { Cookie: `access-token=${api.token}` } }],
      ["underscore", { token: null, headers: { access_token: api.token } }],
      ["basic", { token: null, headers: { Authorization: `Basic ${Buffer.from(`x:${api.token}`).toString("base64")}` } }],
      ["body", { token: null, body: { "access-token": api.token } }],
    ]) {
      const reply = await api.raw("POST", jobsPath(query), options);
      assert.equal(reply.status, 400, label);
      assert.deepEqual(reply.json, authenticationFailed, label);
    }
    const inQuery = await api.raw("POST", `${jobsPath(query)}&access-token=${api.token}`, { token: null });
    assert.deepEqual(inQuery.json, authenticationFailed);
    assert.ok(!server.log.includes(api.token), "no token in the log");
    const create = await api.subscribeRaw(report, { token: null });
    await expectError(create, 401);
    await expectError(await api.subscribeRaw(report, { token: "api_app_wrong" }), 401);
  });

  test("two credentials", async () => {
    const host = new URL(server.base).host;
    const doubled = await rawExchange(server.base, `GET ${jobsPath(`?app_id=${api.appId}`)} HTTP/1.1\r\nHost: ${host}\r\n` +
      `access-token: ${api.token}\r\naccess-token: ${api.token}\r\nConnection: close\r\n\r\n`);
    assert.match(doubled, /^HTTP\/1\.1 400 [\s\S]*Duplicate header: access-token/);
    const mixed = await api.raw("GET", jobsPath(`?app_id=${api.appId}`), { headers: { Authorization: "Bearer other" } });
    await expectError(mixed, 400, "Ambiguous credentials");
  });

  const queries = [
    ["", "Missing required parameter: app_id"], ["?app_id=", "Missing required parameter: app_id"], ["?app_id[]=1", "Missing required parameter: app_id"],
    ["?app_id;1", "Missing required parameter: app_id"], ["?app_id=1%27%20OR%20%271%27=%271", "Authentication failed !"],
    ["?app_id=9007199254740993.0", "Authentication failed !"], ["?app_id=-1", "Authentication failed !"], ["?app_id=1e18", "Authentication failed !"],
    ["?app_id=1%0d%0aSet-Cookie:%20x=1", "Invalid parameter: app_id"], ["?app_id=%zz", "Invalid percent-encoding"],
  ];
  for (const [query, message] of queries)
    test(`query ${query || "(none)"}`, async () => {
      const reply = await api.raw("POST", jobsPath(query));
      await expectError(reply, 400, message);
      assert.equal(reply.headers["set-cookie"], undefined);
    });

  test("app_id variations around the right one", async () => {
    for (const query of [`?app_id=${api.appId}&app_id=${api.appId}1`])
      await expectError(await api.raw("POST", jobsPath(query)), 400, "Duplicate parameter: app_id");
    for (const query of [`?app_id=00${api.appId}`, `?app_id=%20${api.appId}`, `?app_id=${api.appId}%26app_id%3D1`, `?app_id=${api.appId}+x`])
      await expectError(await api.raw("POST", jobsPath(query)), 400, "Authentication failed !", query);
  });

  test("ids that are none", async () => {
    for (const id of ["null", "0", "-1", "9223372036854775808", "%25", "*", "_", "%3Cscript%3E", "x".repeat(300), "%F0%9F%A6%8A", "externalId", "undefined"]) {
      const reply = await api.raw("POST", `/scheduled-exports/logs/subscription/${id}/jobs?app_id=${api.appId}`);
      assert.equal(reply.status, 404, `${id}: ${reply.text}`);
      assert.deepEqual(reply.json, jobNotFound, id);
    }
    await expectError(await api.raw("POST", `/scheduled-exports/logs/subscription//jobs?app_id=${api.appId}`), 404, "Not found");
    for (const id of ["a%2Fb", "a%5Cb"])
      await expectError(await api.raw("POST", `/scheduled-exports/logs/subscription/${id}/jobs?app_id=${api.appId}`), 400, "Invalid path");
  });

  test("permissions: ingest alone reads nothing; export alone subscribes but not to all; admin needs the admin token", async () => {
    const organizationId = api.organizationId;
    const ingestOnly = await makeToken(server, { organizationId, permissions: ["ingest"] });
    const exportOnly = await makeToken(server, { organizationId, permissions: ["export"] });
    const jobs = await api.raw("POST", jobsPath(`?app_id=${api.appId}`), { token: ingestOnly.text });
    assert.equal(jobs.status, 400);
    assert.deepEqual(jobs.json, authenticationFailed);
    const create = await api.subscribeRaw(freshReport(), { token: ingestOnly.text });
    assert.equal(create.status, 404);
    assert.match(create.json.error.message, /^Not authorized for the user id: \d+\.$/);
    assert.equal((await api.subscribeRaw(freshReport(), { token: exportOnly.text })).status, 200);
    const all = await api.subscribeRaw(freshReport({ report_fields: ["all"] }), { token: exportOnly.text });
    await expectError(all, 400, "Not authorized for report_fields: all");
    const ingest = await api.ingestRaw("eo_click", '{"timestamp":1700000000000}\n', { token: exportOnly.text });
    assert.ok(ingest.status >= 400 && ingest.status < 500);
    await expectError(await api.raw("POST", "/v1/admin/organizations", { body: { name: "x" } }), 403, "Token lacks permission: admin");
    await expectError(await api.raw("GET", "/v1/admin/organizations", { token: exportOnly.text }), 403, "Token lacks permission: admin");
  });

  test("a token of one app does not reach another app of its organization", async () => {
    const app = await api.admin("POST", "/v1/admin/apps", { organization_id: api.organizationId, name: "second" });
    const appId = app.app_id ?? app.id;
    const bound = await makeToken(server, { organizationId: api.organizationId, appId, permissions: ["export", "ingest"] });
    const foreign = await api.raw("POST", jobsPath(`?app_id=${api.appId}`), { token: bound.text });
    const unknown = await api.raw("POST", jobsPath("?app_id=123456789012345678"), { token: bound.text });
    assert.deepEqual(foreign.json, unknown.json);
    assert.equal(foreign.status, 400);
    assert.equal((await api.raw("GET", `/scheduled-exports/logs/subscriptions?app_id=${appId}`, { token: bound.text })).status, 200);
    const id = await api.subscribe(freshReport());
    const otherApp = await api.raw("POST", `/scheduled-exports/logs/subscription/${id}/jobs?app_id=${appId}`);
    assert.equal(otherApp.status, 404, "subscription of A with another app of A");
    assert.deepEqual(otherApp.json, jobNotFound);
  });

  test("a revoked token is refused within a second", async () => {
    const token = await makeToken(server, { organizationId: api.organizationId, permissions: ["export"] });
    const path = `/scheduled-exports/logs/subscriptions?app_id=${api.appId}`;
    assert.equal((await api.raw("GET", path, { token: token.text })).status, 200);
    await api.admin("DELETE", `/v1/admin/tokens/${token.keyId}`);
    await waitFor("refusal", async () => (await api.raw("GET", path, { token: token.text })).status === 400, 1000, 50);
  });
});

describe("foreign is the same as unknown, byte for byte", () => {
  let mine;
  let theirs;
  let foreign;

  before(async () => {
    [mine, theirs] = [await makeTenant(server, "mine"), await makeTenant(server, "theirs")];
    await theirs.ingest("secret_topic", [{ timestamp: start, id: "1", secret_field: "x" }]);
    const id = await theirs.subscribe({ cadence: "hourly", report_type: "secret_topic", report_fields: ["timestamp", "secret_field"] });
    await theirs.backfill(id, start, start + HOUR_MS);
    const [job] = await theirs.waitJobs(id, 1);
    foreign = { id, job: job.job_id, app: theirs.appId, organization: theirs.organizationId };
  });

  // Header names and all values but those that differ at each reply.
  const shape = (reply) => JSON.stringify([reply.status, reply.text,
    Object.entries(reply.headers).map(([name, value]) => [name, ["date", "x-request-id"].includes(name) ? "" : value])]);

  const unknown = { id: randomUUID(), job: randomUUID(), app: "123456789012345678", organization: "123456789012345679" };
  const own = () => ({ app: mine.appId, organization: mine.organizationId });
  const body = { start_date: new Date(start).toISOString(), end_date: new Date(start + HOUR_MS).toISOString() };
  const calls = {
    "subscription, own app": (ids) => ["GET", `/scheduled-exports/logs/subscription/${ids.id}?app_id=${own().app}`],
    "subscription, own organization": (ids) => ["GET", `/scheduled-exports/logs/subscription/${ids.id}?organization_id=${own().organization}`],
    "subscription, their app": (ids) => ["GET", `/scheduled-exports/logs/subscription/${ids.id}?app_id=${ids.app}`],
    "subscription, their organization": (ids) => ["GET", `/scheduled-exports/logs/subscription/${ids.id}?organization_id=${ids.organization}`],
    "list, their app": (ids) => ["GET", `/scheduled-exports/logs/subscriptions?app_id=${ids.app}`],
    "list, their organization": (ids) => ["GET", `/scheduled-exports/logs/subscriptions?organization_id=${ids.organization}`],
    "external id": (ids) => ["GET", `/scheduled-exports/logs/subscription/externalId?app_id=${ids.app}`],
    "jobs, own app": (ids) => ["POST", `/scheduled-exports/logs/subscription/${ids.id}/jobs?app_id=${own().app}`],
    "jobs, their app": (ids) => ["POST", `/scheduled-exports/logs/subscription/${ids.id}/jobs?app_id=${ids.app}`],
    "job": (ids) => ["GET", `/scheduled-exports/logs/subscription/${ids.id}/job/${ids.job}?app_id=${own().app}`],
    "delete": (ids) => ["DELETE", `/scheduled-exports/logs/subscription/${ids.id}?app_id=${own().app}`],
    "delete, their app": (ids) => ["DELETE", `/scheduled-exports/logs/subscription/${ids.id}?app_id=${ids.app}`],
    "backfill": (ids) => ["POST", `/v1/subscriptions/${ids.id}/backfill`, { body }],
    "windows": (ids) => ["GET", `/v1/subscriptions/${ids.id}/windows`],
    "manifest": (ids) => ["GET", `/v1/jobs/${ids.job}/manifest`],
    "ingest": (ids) => ["POST", `/v1/events/eo_click?app_id=${ids.app}`, { body: `{"timestamp":${start}}\n`, headers: { "Content-Type": "application/x-ndjson" } }],
    "create": (ids) => ["POST", `/scheduled-exports/logs/subscribe?app_id=${ids.app}`, { body: { report, destination: { subscription_type: "branch" } } }],
    "create, organization": (ids) => ["POST", `/scheduled-exports/logs/subscribe?organization_id=${ids.organization}`,
      { body: { report, destination: { subscription_type: "branch" } } }],
    "topics": (ids) => ["POST", `/v1/topics?app_id=${ids.app}`, { body: { name: "probe", fields: [{ name: "a", type: "string" }] } }],
  };
  for (const [name, make] of Object.entries(calls))
    test(name, async () => {
      const replies = [];
      for (const ids of [foreign, unknown]) {
        const [method, path, options] = make(ids);
        replies.push(await mine.raw(method, path, options));
      }
      assert.ok(replies[1].status >= 400 && replies[1].status < 500, `${replies[1].status} ${replies[1].text}`);
      assert.equal(shape(replies[0]), shape(replies[1]));
    });

  test("all of it changed nothing at theirs", async () => {
    assert.equal((await theirs.subscription(foreign.id)).report.subscription_status, "ACTIVE");
    assert.equal((await theirs.windows(foreign.id)).filter((window) => window.jobs.length).length, 1);
  });

  test("a job asked for under another subscription of the owner is unknown", async () => {
    const other = await theirs.subscribe({ cadence: "daily", report_type: "secret_topic", report_fields: ["timestamp"] });
    const reply = await theirs.raw("GET", `/scheduled-exports/logs/subscription/${other}/job/${foreign.job}?app_id=${theirs.appId}`);
    assert.deepEqual(reply.json, jobNotFound);
  });

  test("a topic learned by another organization is unknown here, and its fields are not shown", async () => {
    const asked = (type) => mine.subscribeRaw({ cadence: "hourly", report_type: type, report_fields: ["timestamp", "secret_field"] });
    assert.equal(shape(await asked("secret_topic")), shape(await asked("never_seen_one")));
  });

  test("the same topic name with other types in two organizations", async () => {
    await mine.declareTopic("secret_topic", { secret_field: "long" });
    await mine.ingest("secret_topic", [{ timestamp: start, secret_field: 5 }]);
    await theirs.ingest("secret_topic", [{ timestamp: start + 1, secret_field: "text" }]);
    const asked = { cadence: "hourly", response_format: "json", report_type: "secret_topic", report_fields: ["secret_field"] };
    const { jobs } = await mine.exportRange(asked, start, start + HOUR_MS);
    assert.equal(jobs[0].lines_exported, 1);
  });

  test("wrong tokens of every kind look the same", async () => {
    const path = `/scheduled-exports/logs/subscriptions?app_id=${mine.appId}`;
    const shapes = new Set();
    for (const token of [`api_app_${"a".repeat(32)}`, "x", theirs.token, server.account.admin_token.slice(0, -1), `${mine.token}0`])
      shapes.add(shape(await mine.raw("GET", path, { token })));
    assert.equal(shapes.size, 1, [...shapes].join("\n"));
  });
});

test("closed windows of an active subscription are in the ledger though the server was just started", async () => {
  const id = await api.subscribe(freshReport());
  const now = Date.now();
  const windows = await api.windows(id);
  const open = windows.filter((window) => readDate(window.start_date) <= now && readDate(window.end_date) > now);
  assert.equal(open.length, 1, "the hour in which it was made is its first window");
  assert.equal(open[0].jobs.length, 0);
});
