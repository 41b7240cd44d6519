// SPDX-License-Identifier: Apache-2.0
// Subscribing, row by row where Branch's documentation is silent or contradicts itself; subscriptions of a whole
// organization; edits, pauses and resumes. What takes hours to happen is shown in test/unit.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, test } from "node:test";

import { Api, makeTenant, makeToken } from "./lib/api.mjs";
import { Server, stopAll } from "./lib/server.mjs";

const subscribePath = "/scheduled-exports/logs/subscribe";
const hosted = { subscription_type: "branch" };
const jobNotFound = { error: { message: "Job ID Not Found", code: 404 } };
const reportTypes = ["eo_impression", "eo_click", "eo_web_to_app_auto_redirect", "eo_branch_cta_view", "eo_open", "eo_install", "eo_reinstall",
  "eo_web_session_start", "eo_pageview", "eo_commerce_event", "eo_custom_event", "eo_content_event", "eo_dismissal", "eo_user_lifecycle_event",
  "skadnetwork_valid_messages", "eo_click_blocked", "eo_impression_blocked", "eo_install_blocked", "eo_reinstall_blocked", "eo_open_blocked",
  "eo_web_session_start_blocked", "eo_pageview_blocked", "eo_custom_event_blocked", "eo_content_event_blocked", "eo_commerce_event_blocked",
  "eo_user_lifecycle_event_blocked", "eo_branch_cta_view_blocked", "eo_web_to_app_auto_redirect_blocked"];
let server;
let api;
let counter = 0;

before(async () => {
  server = await Server.start();
  api = new Api(server);
});
after(stopAll);

// Reports that are not duplicates of one another.
const fresh = (changes = {}) => ({ report_type: "eo_click", report_fields: ["id", "name"], filter: ["eq", "name", `N${++counter}`], ...changes });

// Each group has an organization of its own, for its limit.
async function tenant(name) {
  return makeTenant(server, name);
}

function expectError(reply, status, message, label = "") {
  assert.equal(reply.status, status, `${label} ${reply.text.slice(0, 300)}`);
  assert.equal(reply.json.error.code, status, label);
  if (message) assert.equal(reply.json.error.message, message, label);
}

async function accepted(who, report, rest) {
  const reply = await who.subscribeRaw(report, rest);
  assert.equal(reply.status, 200, `${JSON.stringify(report)}: ${reply.text}`);
  return reply.json;
}

describe("what a report may be", () => {
  let who;
  before(async () => (who = await tenant("reports")));

  test("all 28 documented report types, by name and as an array of one, and topics of one's own", async () => {
    for (const [index, type] of reportTypes.entries()) {
      const { subscription_id: id } = await accepted(who, fresh({ report_type: index % 2 ? type : [type] }));
      const seen = await who.subscription(id);
      assert.equal(seen.report.report_type, type);
      await who.deactivate(id);
    }
    await who.declareTopic("orders", { price: "double" });
    await accepted(who, { report_type: "orders", report_fields: ["price"] });
  });

  test("no other report types", async () => {
    for (const type of ["eo_unknown", "", [], ["eo_install", "eo_open"], [["eo_install"]], 5, true, "EO_INSTALL", "webhook3"])
      assert.equal((await who.subscribeRaw(fresh({ report_type: type }))).status, 400, JSON.stringify(type));
  });

  test("cadence, format and compression have defaults, also when null; what has none is named", async () => {
    const { subscription_id: id } = await accepted(who, fresh({ cadence: null, response_format: null, response_format_compression: null }));
    const { report } = await who.subscription(id);
    assert.deepEqual([report.cadence, report.response_format, report.response_format_compression], ["hourly", "csv", "gz"]);
    for (const key of ["report_type", "report_fields"])
      for (const value of [undefined, null])
        expectError(await who.subscribeRaw(fresh({ [key]: value })), 400, `Missing required field: report.${key}`);
    for (const key of ["report", "destination"])
      for (const value of [undefined, null])
        expectError(await who.raw("POST", `${subscribePath}?app_id=${who.appId}`, { body: { report: fresh(), destination: hosted, [key]: value } }),
          400, `Missing required field: ${key}`);
    expectError(await who.subscribeRaw(fresh(), { destination: {} }), 400, "Missing required field: destination.subscription_type");
  });

  test("every format with every compression", async () => {
    for (const format of ["csv", "json", "parquet"])
      for (const compression of ["gz", "snappy"]) {
        const { subscription_id: id } = await accepted(who, fresh({ response_format: format, response_format_compression: compression }));
        const { report } = await who.subscription(id);
        assert.deepEqual([report.response_format, report.response_format_compression], [format, compression]);
      }
  });

  test('["all"] is echoed as it is', async () => {
    const { subscription_id: id } = await accepted(who, { report_type: "eo_dismissal", report_fields: ["all"] });
    assert.deepEqual((await who.subscription(id)).report.report_fields, ["all"]);
    expectError(await who.subscribeRaw(fresh({ report_fields: ["all", "name"] })), 400);
  });

  test("no filter in all its spellings; filters in all of theirs", async () => {
    const spellings = [undefined, null, [], "[]"];
    for (const [index, filter] of spellings.entries()) {
      const { subscription_id: id } = await accepted(who, { report_type: "eo_open", report_fields: ["id"], filter });
      assert.deepEqual((await who.subscription(id)).report.filter, [], `spelling ${index}`);
      await who.deactivate(id);
    }
    const filter = ["and", ["eq", "name", "A"], ["gt", "timestamp", "5"]];
    for (const spelling of [filter, JSON.stringify(filter), encodeURIComponent(JSON.stringify(filter))]) {
      const { subscription_id: id } = await accepted(who, { report_type: "eo_open", report_fields: ["id"], filter: spelling });
      assert.deepEqual((await who.subscription(id)).report.filter, filter);
      await who.deactivate(id);
    }
    await accepted(who, fresh({ filter: [["eq", "name", "A"], ["not", ["in", "name", "B", "C"]]] }));
  });

  test("unknown fields of columns and filter are all named at once", async () => {
    const reply = await who.subscribeRaw(fresh({ report_fields: ["nope", "id", "nada"],
      filter: ["or", ["eq", "niente", 1], ["not", ["in", "nope", "a"]], ["between", "nichts", 1, 2], ["eq", "name", "x"]] }));
    expectError(reply, 400, "nope field is not available for exports");
    assert.deepEqual(reply.json.errors, ["nope", "nada", "niente", "nichts"].map((name) => ({
      message: `${name} field is not available for exports`, error_code: 400 })));
  });

  test("unknown keys, and keys that are the server's, are ignored", async () => {
    const reply = await who.raw("POST", `${subscribePath}?app_id=${who.appId}`, { body: { destination: { ...hosted, bucket: "b", extra: [1] },
      report: { ...fresh(), subscription_status: "ACTIVE", x: {} }, org_id: "1", organization_id: "123456789012345678", app_id: "5", subscription_id: "mine",
      status: "ACTIVE", created_at: 5, version: 9, paused: true, kind: 1 } });
    assert.equal(reply.status, 200, reply.text);
    assert.equal(reply.json.status, "PENDING");
    assert.notEqual(reply.json.subscription_id, "mine");
    const seen = await who.call("GET", `/v1/subscriptions/${reply.json.subscription_id}`);
    assert.deepEqual([seen.app_id, seen.organization_id, seen.version, seen.paused], [who.appId, who.organizationId, 1, false]);
    assert.deepEqual(seen.destination, hosted);
  });

  test("the id of the app in query or body, as a text or a number; replies have texts", async () => {
    const post = (query, body) => who.raw("POST", subscribePath + query, { body, headers: { "Content-Type": "application/json" } });
    const body = (more) => JSON.stringify({ report: fresh(), destination: hosted }).replace(/}$/, `${more}}`);
    for (const more of [`,"app_id":"${who.appId}"`, `,"app_id":${who.appId}`]) {
      const reply = await post("", body(more));
      assert.equal(reply.status, 200, `${more}: ${reply.text}`);
      assert.match(reply.json.subscription_url, new RegExp(`\\?app_id=${who.appId}$`));
      assert.equal(typeof (await who.call("GET", `/v1/subscriptions/${reply.json.subscription_id}`)).app_id, "string");
    }
    expectError(await post("", body("")), 400, "Missing required parameter: app_id");
    expectError(await post("", body(',"app_id":""')), 400, "Missing required parameter: app_id");
    for (const id of ['"123456789012345678"', "123456789012345678", `"${api.appId}"`, `"0${who.appId}"`])
      assert.match((await post("", body(`,"app_id":${id}`))).json.error.message, /^Not authorized for the user id: \d+\.$/, id);
    for (const id of ["true", "[1]", "1.5e3"])
      expectError(await post("", body(`,"app_id":${id}`)), 400, "Invalid type: string expected", id);
    // The query decides; the body is not looked at then.
    assert.equal((await post(`?app_id=${who.appId}`, body(',"app_id":"123456789012345678"'))).status, 200);
  });
});

describe("duplicates and the limit", () => {
  test("equal are destination type, topic, fields in order, filter and cadence; not format and compression", async () => {
    const who = await tenant("duplicates");
    const report = fresh();
    const { subscription_id: first } = await accepted(who, report);
    for (const same of [{}, { response_format: "json" }, { response_format_compression: "snappy" }, { cadence: "hourly" },
      { filter: JSON.stringify(report.filter) }, { report_type: ["eo_click"] }])
      expectError(await who.subscribeRaw({ ...report, ...same }), 400, `Duplicate of subscription ${first}`, JSON.stringify(same));
    for (const other of [{ report_fields: ["name", "id"] }, { report_type: "eo_open" }, { cadence: "daily" }, { filter: [] }])
      await accepted(who, { ...report, ...other });
    const app = await who.admin("POST", "/v1/admin/apps", { organization_id: who.organizationId, name: "second" });
    await accepted(new Api(server, { ...who, appId: app.app_id, token: who.token }), report);
    await who.deactivate(first);
    await accepted(who, report);
  });

  test("several at once of the same: one is taken, the others name it", async () => {
    const who = await tenant("parallel duplicates");
    const report = fresh();
    const replies = await Promise.all(Array.from({ length: 8 }, () => who.subscribeRaw(report)));
    const taken = replies.filter((reply) => reply.status === 200);
    assert.equal(taken.length, 1);
    for (const reply of replies.filter((one) => one.status !== 200))
      expectError(reply, 400, `Duplicate of subscription ${taken[0].json.subscription_id}`);
  });

  test("36 at once with a limit of 35; apps and the organization are counted apart; paused ones count", async () => {
    const who = await tenant("limit");
    const replies = await Promise.all(Array.from({ length: 36 }, () => who.subscribeRaw(fresh())));
    assert.equal(replies.filter((reply) => reply.status === 200).length, 35);
    expectError(replies.find((reply) => reply.status !== 200), 400, "Subscription limit reached: 35");
    const id = replies.find((reply) => reply.status === 200).json.subscription_id;
    await who.call("POST", `/v1/subscriptions/${id}/pause`);
    expectError(await who.subscribeRaw(fresh()), 400, "Subscription limit reached: 35");
    const wide = await who.raw("POST", `${subscribePath}?organization_id=${who.organizationId}`, { body: { report: fresh(), destination: hosted } });
    assert.equal(wide.status, 200, wide.text);
    await who.deactivate(id);
    await accepted(who, fresh());
    expectError(await who.subscribeRaw(fresh()), 400, "Subscription limit reached: 35");
  });

  test("a create that is sent again with its key is answered as what it made", async () => {
    const who = await tenant("again");
    const headers = { "Idempotency-Key": randomUUID() };
    const report = fresh();
    const first = await accepted(who, report, { headers });
    await who.waitActive(first.subscription_id);
    const again = await who.subscribeRaw(report, { headers });
    assert.equal(again.status, 200);
    assert.equal(again.headers["idempotency-replayed"], "true");
    assert.deepEqual(again.json, { ...first, status: "ACTIVE", description: again.json.description });

    // To a token of another app it is not, even when the body names the first one's app.
    const app = await who.admin("POST", "/v1/admin/apps", { organization_id: who.organizationId, name: "second" });
    const { text: token } = await makeToken(server, { organizationId: who.organizationId, appId: app.app_id, permissions: ["export"] });
    const send = (as) => who.raw("POST", subscribePath, { token: as, headers: { "Idempotency-Key": "body" },
      body: { app_id: who.appId, report: { ...report, report_fields: ["id"] }, destination: hosted } });
    assert.equal((await send(who.token)).status, 200);
    assert.equal((await send(who.token)).headers["idempotency-replayed"], "true");
    assert.notEqual((await send(token)).status, 200);
  });
});

describe("subscriptions of a whole organization", () => {
  let who;
  let bound;
  let secondApp;
  let id;
  let made;

  before(async () => {
    who = await tenant("wide");
    secondApp = (await who.admin("POST", "/v1/admin/apps", { organization_id: who.organizationId, name: "second" })).app_id;
    bound = new Api(server, { ...who, token: (await makeToken(server, { organizationId: who.organizationId, appId: who.appId,
      permissions: ["export", "ingest", "sensitive_data"] })).text });
    const reply = await who.raw("POST", `${subscribePath}?organization_id=${who.organizationId}`, { body: { report: fresh(), destination: hosted } });
    assert.equal(reply.status, 200, reply.text);
    made = reply.json;
    id = made.subscription_id;
  });

  const at = (tail, query) => `/scheduled-exports/logs/subscription${tail}?${query}`;

  test("its URL has the organization and leads to it", async () => {
    assert.equal(made.subscription_url, `${server.base}/scheduled-exports/exports/logs/subscription/${id}?organization_id=${who.organizationId}`);
    const { pathname, search } = new URL(made.subscription_url);
    assert.equal((await who.call("GET", pathname + search)).subscription_id, id);
    assert.equal((await who.call("GET", `/v1/subscriptions/${id}`)).app_id, null);
  });

  test("a token for all apps finds it with either id, and lists it by the organization", async () => {
    for (const query of [`organization_id=${who.organizationId}`, `app_id=${who.appId}`, `app_id=${secondApp}`,
      `app_id=${who.appId}&organization_id=${who.organizationId}`]) {
      assert.equal((await who.call("GET", at(`/${id}`, query))).subscription_id, id, query);
      assert.deepEqual(await who.call("POST", at(`/${id}/jobs`, query)), [], query);
    }
    const ids = async (query) => (await who.call("GET", at("s", query))).map((one) => one.subscription_id);
    const { subscription_id: own } = await accepted(who, fresh());
    assert.deepEqual((await ids(`organization_id=${who.organizationId}`)).sort(), [id, own].sort());
    assert.deepEqual(await ids(`app_id=${who.appId}`), [own]);
    assert.deepEqual(await ids(`app_id=${secondApp}`), []);
    expectError(await who.raw("GET", at(`/${id}`, `app_id=${who.appId}&organization_id=${api.organizationId}`)), 400, "Authentication failed !");
  });

  test("a token of one app sees nothing of it: the same bytes as for an unknown one", async () => {
    const unknown = randomUUID();
    for (const query of [`organization_id=${who.organizationId}`, `app_id=${who.appId}`])
      for (const [method, tail] of [["GET", ""], ["DELETE", ""], ["POST", "/jobs"], ["GET", `/job/${randomUUID()}`]]) {
        const seen = await bound.raw(method, at(`/${id}${tail}`, query));
        const other = await bound.raw(method, at(`/${unknown}${tail}`, query));
        assert.deepEqual(seen.json, jobNotFound, `${method} ${tail}`);
        assert.deepEqual([seen.status, seen.text], [other.status, other.text]);
      }
    for (const [method, tail, body] of [["GET", ""], ["PATCH", "", { paused: true }], ["POST", "/pause"], ["GET", "/windows"], ["GET", "/gaps"], ["GET", "/versions"]]) {
      const seen = await bound.raw(method, `/v1/subscriptions/${id}${tail}`, { body });
      const other = await bound.raw(method, `/v1/subscriptions/${unknown}${tail}`, { body });
      assert.deepEqual([seen.status, seen.text], [404, other.text], `${method} ${tail}`);
    }
    for (const path of [at("s", `organization_id=${who.organizationId}`), "/v1/subscriptions"])
      assert.ok(!(await bound.call("GET", path)).some((one) => one.subscription_id === id), path);
    assert.equal((await who.call("GET", `/v1/subscriptions/${id}`)).paused, false);
  });

  test("a token of one app that names the organization subscribes its app", async () => {
    const reply = await bound.raw("POST", `${subscribePath}?organization_id=${who.organizationId}`, { body: { report: fresh(), destination: hosted } });
    assert.equal(reply.status, 200, reply.text);
    assert.match(reply.json.subscription_url, new RegExp(`\\?app_id=${who.appId}$`));
  });

  test("both ids: the app's own; a foreign one: refused", async () => {
    const post = (query) => who.raw("POST", `${subscribePath}?${query}`, { body: { report: fresh(), destination: hosted } });
    assert.match((await post(`app_id=${who.appId}&organization_id=${who.organizationId}`)).json.subscription_url, /\?app_id=/);
    for (const query of [`app_id=${who.appId}&organization_id=${api.organizationId}`, `organization_id=${api.organizationId}`, `app_id=${api.appId}`])
      assert.match((await post(query)).json.error.message, /^Not authorized for the user id: \d+\.$/, query);
    const fromBody = await who.raw("POST", subscribePath, { headers: { "Content-Type": "application/json" },
      body: `{"organization_id":${who.organizationId},"report":${JSON.stringify(fresh())},"destination":{"subscription_type":"branch"}}` });
    assert.match(fromBody.json.subscription_url, /\?organization_id=/);
  });

  test("deactivated by either id: INACTIVE by id, gone from lists, 404 at the second time", async () => {
    const made = await who.raw("POST", `${subscribePath}?organization_id=${who.organizationId}`, { body: { report: fresh(), destination: hosted } });
    const path = at(`/${made.json.subscription_id}`, `app_id=${secondApp}`);
    assert.deepEqual(await who.call("DELETE", path), { status: "SUCCESS", description: "Subscription deactivated successfully" });
    assert.equal((await who.call("GET", path)).report.subscription_status, "INACTIVE");
    expectError(await who.raw("DELETE", path), 404, "Job ID Not Found");
    assert.ok(!(await who.call("GET", "/v1/subscriptions")).some((one) => one.subscription_id === made.json.subscription_id));
  });
});

describe("changes", () => {
  let who;
  before(async () => (who = await tenant("changes")));

  test("an edit is seen at once, and is for later windows", async () => {
    const id = await who.subscribe(fresh());
    const before = Date.now();
    const edited = await who.call("PATCH", `/v1/subscriptions/${id}`, { body: { report: { report_fields: ["name"], response_format: "json" } } });
    assert.equal(edited.version, 2);
    assert.deepEqual(edited.report.report_fields, ["name"]);
    assert.deepEqual((await who.subscription(id)).report, edited.report);
    const [second, first] = await who.call("GET", `/v1/subscriptions/${id}/versions`);
    const from = Date.parse(second.from.replace("-00:00", "Z"));
    assert.equal(from % 3_600_000, 0);
    assert.ok(from > before && from <= Date.now() + 3_600_000);
    assert.deepEqual(first.report.report_fields, ["id", "name"]);
    // Past windows have the report that was theirs.
    const start = Date.parse("2024-02-01T07:00:00Z");
    await who.ingest("eo_click", [{ timestamp: start + 1, id: "7", name: edited.report.filter[2] }]);
    await who.backfill(id, start, start + 3_600_000);
    const [job] = await who.waitJobs(id, 1);
    assert.equal(job.lines_exported, 1);
    assert.match(job.export_url[0], /\.csv\.gz\?/);
    assert.equal((await who.manifest(job.job_id)).subscription_version, 1);
  });

  test("twenty edits at once: each is taken, none is lost", async () => {
    const id = await who.subscribe(fresh());
    const members = [{ response_format: "json" }, { response_format_compression: "snappy" }, { cadence: "daily" }, { report_fields: ["name", "id"] }];
    const replies = await Promise.all(Array.from({ length: 20 }, (_, index) =>
      who.raw("PATCH", `/v1/subscriptions/${id}`, { body: { report: members[index % members.length] } })));
    for (const reply of replies) assert.equal(reply.status, 200, reply.text);
    const { report } = await who.call("GET", `/v1/subscriptions/${id}`);
    for (const member of members) for (const [key, value] of Object.entries(member)) assert.deepEqual(report[key], value, key);
  });

  test("of twenty changes on the same condition one is made", async () => {
    const id = await who.subscribe(fresh());
    const { headers } = await who.raw("GET", `/v1/subscriptions/${id}`);
    const replies = await Promise.all(Array.from({ length: 20 }, (_, index) =>
      who.raw("PATCH", `/v1/subscriptions/${id}`, { body: { report: { filter: ["eq", "name", `C${index}`] } }, headers: { "If-Match": headers.etag } })));
    assert.equal(replies.filter((reply) => reply.status === 200).length, 1);
    for (const reply of replies.filter((one) => one.status !== 200))
      expectError(reply, 412, "Subscription was changed by another request");
    assert.equal((await who.call("GET", `/v1/subscriptions/${id}`)).version, 2);
  });

  test("paused and resumed, as often as one likes", async () => {
    const id = await who.subscribe(fresh());
    for (const [action, status] of [["pause", "PAUSED"], ["pause", "PAUSED"], ["resume", "ACTIVE"], ["resume", "ACTIVE"]]) {
      const reply = await who.call("POST", `/v1/subscriptions/${id}/${action}`);
      assert.deepEqual([reply.status, reply.report.subscription_status, reply.paused], [status, status, status === "PAUSED"]);
      const listed = (await who.call("GET", `/scheduled-exports/logs/subscriptions?app_id=${who.appId}`)).find((one) => one.subscription_id === id);
      assert.equal(listed.report.subscription_status, status);
    }
    await who.call("PATCH", `/v1/subscriptions/${id}`, { body: { paused: true } });
    await who.deactivate(id);
    expectError(await who.raw("POST", `/v1/subscriptions/${id}/resume`), 409, "Subscription is not active");
    assert.equal((await who.subscription(id)).status, "INACTIVE");
  });

  test("the calls need a token with export, and say which methods they take", async () => {
    const id = await who.subscribe(fresh());
    const ingestOnly = (await makeToken(server, { organizationId: who.organizationId, permissions: ["ingest"] })).text;
    for (const [method, tail] of [["PATCH", ""], ["POST", "/pause"], ["POST", "/resume"], ["GET", "/versions"]]) {
      expectError(await who.raw(method, `/v1/subscriptions/${id}${tail}`, { token: null }), 401, undefined, tail);
      expectError(await who.raw(method, `/v1/subscriptions/${id}${tail}`, { token: ingestOnly }), 403, "Token lacks permission: export", tail);
    }
    assert.match((await who.raw("PUT", `/v1/subscriptions/${id}`)).headers.allow, /PATCH/);
    assert.equal((await who.raw("GET", `/v1/subscriptions/${id}/pause`)).headers.allow, "POST, OPTIONS");
  });
});
