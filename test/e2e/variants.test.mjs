// SPDX-License-Identifier: Apache-2.0
// Branch's documentation contradicts itself in places, and its clients differ in what they send. One test for each such point of the
// scheduled exports: what this server takes, and what it answers.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { gunzipSync } from "node:zlib";

import { Api, HOUR_MS, makeTenant, makeToken, readDate } from "./lib/api.mjs";
import { readFile } from "./lib/files.mjs";
import { rawExchange } from "./lib/http.mjs";
import { Server, stopAll } from "./lib/server.mjs";
import { waitFor } from "./lib/wait.mjs";

const start = Date.parse("2024-02-01T07:00:00Z");
const end = start + HOUR_MS;
const sle = "/scheduled-exports/logs";
const destination = { subscription_type: "branch" };
const types = { timestamp: "timestamp", attributed: "boolean", event_data_revenue: "double", amount: "long" };
const events = [
  { id: "1", name: "PURCHASE", attributed: true, event_data_revenue: 5, user_data_os: "IOS", timestamp: start },
  { id: "2", name: "purchase", attributed: false, event_data_revenue: 7.5, user_data_os: "ANDROID", timestamp: start + 1 },
  { id: "3", name: "50%_off", attributed: true, event_data_revenue: 10, timestamp: start + 2 },
  { id: "4", name: "50 x off", user_data_os: "", timestamp: start + 3 },
  { id: "5", attributed: false, event_data_revenue: -1, user_data_os: "IOS", timestamp: end - 1 },
  { id: "6", name: "PURCHASE", attributed: true, event_data_revenue: 5, timestamp: end }, // the next window's
];
let server;
let api;
let fresh = 0;

before(async () => {
  server = await Server.start({ args: { "api-subscription-limit": 0 } });
  api = new Api(server);
  await api.ingest("eo_click", events);
});
after(stopAll);

const freshReport = (changes = {}) => ({ report_type: "eo_click", report_fields: ["id", "name"], filter: ["eq", "name", `fresh ${++fresh}`], ...changes });
const subscribeBody = (report) => ({ report, destination });
const pathOf = (url) => new URL(url).pathname + new URL(url).search;
const create = async (report) => {
  const reply = await api.subscribeRaw(report);
  assert.equal(reply.status, 200, `${reply.text} for ${JSON.stringify(report)}`);
  return reply.json.subscription_id;
};

// Rows of the window that a report selects; the subscription goes again, so that the next one is no duplicate.
async function rowsOf(report) {
  const { id, jobs } = await api.exportRange(report, start, end);
  const [bytes] = await api.downloadJob(jobs[0]);
  const { rows } = await readFile(bytes, report, types);
  await api.deactivate(id);
  return rows;
}

const idsOf = async (filter, changes = {}) =>
  (await rowsOf({ report_type: "eo_click", report_fields: ["id"], filter, ...changes })).map((row) => row.id).join(" ");

describe("requests: paths, headers, ids", () => {
  let id;
  let job;
  before(async () => {
    const made = await api.exportRange({ report_type: "eo_click", report_fields: ["id"] }, start, end);
    [id, job] = [made.id, made.jobs[0].job_id];
  });
  after(() => api.deactivate(id));

  const reading = () => [["GET", `/subscriptions`], ["GET", `/subscription/externalId`], ["GET", `/subscription/${id}`], ["GET", `/subscription/${id}/jobs`],
    ["POST", `/subscription/${id}/jobs`], ["GET", `/subscription/${id}/job/${job}`]];

  for (const prefix of ["/scheduled-exports/logs", "/scheduled-exports/exports/logs"])
    for (const slash of ["", "/"])
      test(`${prefix}/...${slash}: the same answers to every call`, async () => {
        for (const [method, path] of reading()) {
          const [wanted, seen] = [await api.raw(method, `${sle}${path}?app_id=${api.appId}`), await api.raw(method, `${prefix}${path}${slash}?app_id=${api.appId}`)];
          assert.equal(seen.status, 200, `${method} ${prefix}${path}${slash}: ${seen.text}`);
          assert.equal(seen.text.replaceAll(/X-Amz-[^"]*/g, ""), wanted.text.replaceAll(/X-Amz-[^"]*/g, ""));
        }
        const made = await api.call("POST", `${prefix}/subscribe${slash}?app_id=${api.appId}`, { body: subscribeBody(freshReport()) });
        assert.deepEqual(await api.call("DELETE", `${prefix}/subscription/${made.subscription_id}${slash}?app_id=${api.appId}`),
          { status: "SUCCESS", description: "Subscription deactivated successfully" });
      });

  test("two slashes at the end are another path", async () => {
    for (const [method, path] of reading()) assert.equal((await api.raw(method, `${sle}${path}//?app_id=${api.appId}`)).status, 404, path);
  });

  test("the header's name in any case, also as the documentation prints it", async () => {
    for (const name of ["access-token", "Access-Token", "ACCESS-TOKEN"]) {
      const seen = await rawExchange(server.base, `GET ${sle}/subscription/${id}?app_id=${api.appId} HTTP/1.1\r\nHost: x\r\n${name}: ${api.token}\r\n` +
        "Accept: application/json\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n");
      assert.match(seen, /^HTTP\/1\.1 200 /, name);
      assert.match(seen, /\r\nContent-Type: application\/json; charset=utf-8\r\n/i);
    }
  });

  test("app_id or organization_id on every call that reads", async () => {
    for (const [method, path] of reading())
      for (const query of [`app_id=${api.appId}`, `organization_id=${api.organizationId}`])
        assert.equal((await api.raw(method, `${sle}${path}?${query}`)).status, 200, `${path} by ${query}`);
  });

  test("Accept and Content-Type are not negotiated", async () => {
    for (const accept of ["text/html", "application/xml;q=1, */*;q=0", "nonsense"]) {
      const reply = await api.raw("GET", `${sle}/subscription/${id}?app_id=${api.appId}`, { headers: { Accept: accept, "Content-Type": "text/plain" } });
      assert.equal(reply.status, 200, accept);
      assert.equal(reply.headers["content-type"], "application/json; charset=utf-8");
    }
  });

  test("the literal externalId wins over the wildcard; one per organization, by either id", async () => {
    const [byApp, byOrganization] = [await api.call("GET", `${sle}/subscription/externalId?app_id=${api.appId}`),
      await api.call("GET", `${sle}/subscription/externalId?organization_id=${api.organizationId}`)];
    assert.deepEqual(Object.keys(byApp), ["external_id"]);
    assert.deepEqual(byOrganization, byApp);
  });

  test("ids are strings of 18 or 19 digits, tokens api_app_ and 32 characters", () => {
    assert.match(api.appId, /^[1-9]\d{17,18}$/);
    assert.match(api.organizationId, /^[1-9]\d{17,18}$/);
    assert.match(api.token, /^api_app_[0-9A-Za-z]{32}$/);
    assert.match(server.account.branch_key, /^key_live_\w+$/);
    assert.match(server.account.branch_secret, /^secret_live_\w+$/);
  });

  test("errors have one shape, and code is the status", async () => {
    for (const [method, path, status] of [["GET", `${sle}/subscription/${randomUUID()}?app_id=${api.appId}`, 404], ["GET", `${sle}/subscriptions`, 400],
      ["PUT", `${sle}/subscriptions?app_id=${api.appId}`, 405], ["GET", "/nowhere", 404]]) {
      const reply = await api.raw(method, path);
      assert.equal(reply.status, status, path);
      assert.deepEqual(Object.keys(reply.json), ["error"]);
      assert.deepEqual(Object.keys(reply.json.error).sort(), ["code", "message"]);
      assert.equal(reply.json.error.code, status);
    }
    assert.ok((await api.raw("PUT", `${sle}/subscriptions?app_id=${api.appId}`)).headers.allow.includes("GET"));
  });

  test("a bad credential is 401 on create and 400 elsewhere; a foreign app is 404 on create and 400 elsewhere", async () => {
    const body = subscribeBody(freshReport());
    assert.equal((await api.raw("POST", `${sle}/subscribe?app_id=${api.appId}`, { body, token: "api_app_x" })).status, 401);
    const foreign = await api.raw("POST", `${sle}/subscribe?app_id=123456789012345678`, { body });
    assert.equal(foreign.status, 404);
    assert.match(foreign.json.error.message, /^Not authorized for the user id: \d+\.$/);
    for (const [method, path] of reading()) {
      const elsewhere = await api.raw(method, `${sle}${path}?app_id=123456789012345678`);
      assert.deepEqual(elsewhere.json, { error: { message: "Authentication failed !", code: 400 } }, path);
    }
  });
});

describe("subscribe: what may be left out, and what is taken", () => {
  test("keys with defaults may be missing, though the schema calls them required", async () => {
    const seen = await api.subscription(await create({ report_type: "eo_open", report_fields: ["name"] }));
    assert.deepEqual({ ...seen.report, subscription_status: "" }, { cadence: "hourly", response_format: "csv", response_format_compression: "gz",
      report_type: "eo_open", report_fields: ["name"], filter: [], subscription_status: "" });
  });

  test("null is the same as missing for keys with defaults", async () => {
    const nothing = { cadence: null, response_format: null, response_format_compression: null };
    const seen = await api.subscription(await create(freshReport(nothing)));
    assert.equal(seen.report.cadence, "hourly");
    assert.equal(seen.report.response_format, "csv");
    assert.equal(seen.report.response_format_compression, "gz");
  });

  test("all 28 documented topics, and the rest of Branch's", async () => {
    const sevenBlocked = ["click", "impression", "install", "reinstall", "open", "web_session_start", "pageview", "custom_event", "content_event", "commerce_event",
      "user_lifecycle_event", "branch_cta_view", "web_to_app_auto_redirect"].map((name) => `eo_${name}_blocked`);
    const documented = ["eo_impression", "eo_click", "eo_web_to_app_auto_redirect", "eo_branch_cta_view", "eo_open", "eo_install", "eo_reinstall",
      "eo_web_session_start", "eo_pageview", "eo_commerce_event", "eo_custom_event", "eo_content_event", "eo_dismissal", "eo_user_lifecycle_event",
      "skadnetwork_valid_messages", ...sevenBlocked];
    assert.equal(documented.length, 28);
    for (const topic of [...documented, "skadnetwork_invalid_messages", "webhook2", "eo_san_touch", "eo_sms_sent", "cost"])
      assert.ok(await create(freshReport({ report_type: topic })), topic);
  });

  test("fields of the custom exports' enum alone, and of the other calls' enums", async () => {
    await create(freshReport({ report_fields: ["advertiser_copy", "body_app_id", "event_timezone_adjusted_day", "invalid_reason", "user_data_oaid",
      "last_attributed_touch_data_plus_url", "event_data_custom_param_1", "event_data_custom_param_3", "user_data_app_store", "hash_version", "user_data_opted_in",
      "days_from_install_to_opt_in"] }));
  });

  test("a topic in an array of one; unknown keys; words that a client may not set", async () => {
    const id = (await api.call("POST", `${sle}/subscribe?app_id=${api.appId}`, { body: { report: freshReport({ report_type: ["eo_click"], name: "mine", limit: 5 }),
      destination: { ...destination, note: "x" }, tags: ["a"] } })).subscription_id;
    assert.equal((await api.subscription(id)).report.report_type, "eo_click");
  });

  test('["all"] is echoed as it was asked', async () => {
    const seen = await api.subscription(await create(freshReport({ report_fields: ["all"] })));
    assert.deepEqual(seen.report.report_fields, ["all"]);
  });

  test("the answer: PENDING, the documented sentence, and a URL with the path that the documentation contradicts", async () => {
    const reply = await api.subscribeRaw(freshReport());
    const { subscription_id: id } = reply.json;
    assert.deepEqual(reply.json, { subscription_id: id, status: "PENDING", description: "Generating sample report. Subscription will finish after Report is uploaded",
      subscription_url: `${server.base}/scheduled-exports/exports/logs/subscription/${id}?app_id=${api.appId}` });
    for (const path of ["", "/jobs"]) {
      const [at, query] = pathOf(reply.json.subscription_url).split("?");
      assert.equal((await api.raw("GET", `${at}${path}?${query}`)).status, 200, "followed literally");
    }
  });

  test("the address in the answer is the one that the client used", async () => {
    const host = new URL(server.base).host.replace("127.0.0.1", "localhost");
    const reply = await api.subscribeRaw(freshReport(), { headers: { Host: host } });
    assert.ok(reply.json.subscription_url.startsWith(`http://${host}/scheduled-exports/`), reply.json.subscription_url);
  });

  test("destination: keys of other types are not echoed", async () => {
    const reply = await api.subscribeRaw(freshReport(), { destination: { ...destination, bucket: "b", prefix: "p", recipient_emails: ["a@b.example"], cloud: "s3" } });
    assert.deepEqual((await api.subscription(reply.json.subscription_id)).destination, destination);
  });

  test("the status stands in report and at the top", async () => {
    const id = await create(freshReport());
    const seen = await api.waitActive(id);
    assert.deepEqual([seen.report.subscription_status, seen.status], ["ACTIVE", "ACTIVE"]);
    await api.deactivate(id);
    const gone = await api.subscription(id);
    assert.deepEqual([gone.report.subscription_status, gone.status], ["INACTIVE", "INACTIVE"]);
  });

  test("an empty list is [], not 404", async () => {
    const tenant = await makeTenant(server, "empty");
    for (const query of [`app_id=${tenant.appId}`, `organization_id=${tenant.organizationId}`]) {
      const reply = await tenant.raw("GET", `${sle}/subscriptions?${query}`);
      assert.equal(reply.text, "[]");
    }
  });

  test("every bad field is named at once, as clients of both families read it", async () => {
    const reply = await api.subscribeRaw(freshReport({ report_fields: ["x1", "id", "x2", "name", "x3"] }));
    assert.equal(reply.status, 400);
    assert.equal(reply.json.error.message, "x1 field is not available for exports");
    assert.deepEqual(reply.json.errors.map((error) => /^(\S+) field is not available for exports/.exec(error.message)[1]), ["x1", "x2", "x3"]);
    assert.ok(reply.json.errors.every((error) => Number.isInteger(error.error_code)));
  });
});

describe("duplicates: type, topic, fields in order, filter and cadence", () => {
  const expectDuplicate = async (id, report) => {
    const reply = await api.subscribeRaw(report);
    assert.equal(reply.status, 400, `${reply.text} for ${JSON.stringify(report)}`);
    assert.equal(reply.json.error.message, `Duplicate of subscription ${id}`);
  };

  test("format, compression, spelling of the topic, and defaults written out are no difference", async () => {
    const report = freshReport();
    const id = await create(report);
    for (const same of [report, { ...report, cadence: "hourly" }, { ...report, response_format: "parquet" }, { ...report, response_format_compression: "snappy" },
      { ...report, report_type: ["eo_click"] }, { ...report, unknown: 1 }]) await expectDuplicate(id, same);
  });

  test("filters are compared as JSON: as a text, percent-encoded, with white space", async () => {
    const report = freshReport();
    const id = await create(report);
    const text = JSON.stringify(report.filter);
    for (const filter of [text, encodeURIComponent(text), text.replaceAll(",", " ,\n")]) await expectDuplicate(id, { ...report, filter });
  });

  test("no filter: missing, null and [] are the same", async () => {
    const report = { report_type: "eo_impression", report_fields: ["id", "name", "timestamp"] };
    const id = await create(report);
    for (const filter of [null, [], "[]"]) await expectDuplicate(id, { ...report, filter });
  });

  test("another order of fields, another filter, another cadence is another subscription", async () => {
    const report = freshReport();
    await create(report);
    for (const other of [{ ...report, report_fields: ["name", "id"] }, { ...report, filter: ["eq", "name", "FRESH"] }, { ...report, cadence: "daily" },
      { ...report, report_fields: ["id", "name", "timestamp"] }, { ...report, report_type: "eo_open" }]) await create(other);
  });

  test("another app's equal is none", async () => {
    const report = freshReport();
    await create(report);
    const app2 = (await api.admin("POST", "/v1/admin/apps", { organization_id: api.organizationId, name: "second" })).app_id;
    assert.equal((await api.raw("POST", `${sle}/subscribe?app_id=${app2}`, { body: subscribeBody(report) })).status, 200);
  });
});

describe("jobs", () => {
  let id;
  let jobs;
  before(async () => {
    ({ id, jobs } = await api.exportRange({ report_type: "eo_click", report_fields: ["id", "timestamp"] }, start - HOUR_MS, end));
  });

  test("the body: documented keys with their types", () => {
    for (const job of jobs) {
      assert.match(job.job_id, /^[0-9a-f-]{36}$/);
      assert.equal(job.status, "SUCCEEDED");
      assert.ok(Number.isInteger(job.lines_exported));
      assert.ok(Array.isArray(job.export_url) && job.export_url.length === 1);
      for (const key of ["start_date", "end_date"]) assert.match(job[key], /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}-00:00$/);
    }
  });

  test("end_date is the next window's start, and the last millisecond before it is inside", () => {
    const [job] = jobs;
    assert.equal(readDate(job.end_date) - readDate(job.start_date), HOUR_MS);
    assert.equal(job.end_date, "2024-02-01T08:00:00.000-00:00");
    assert.equal(job.lines_exported, 5, "07:59:59.999 is in, 08:00:00.000 is not");
  });

  test("an empty window: SUCCEEDED, 0 lines, one file with the header alone", async () => {
    const empty = jobs.find((job) => job.start_date.startsWith("2024-02-01T06"));
    assert.deepEqual([empty.status, empty.lines_exported, empty.export_url.length], ["SUCCEEDED", 0, 1]);
    assert.equal(gunzipSync((await api.downloadJob(empty))[0]).toString(), "id,timestamp\n");
  });

  test("newest first, POST and GET, any body, and the single call gives the same", async () => {
    assert.deepEqual(jobs.map((job) => job.start_date.slice(11, 13)), ["07", "06"]);
    const strip = (list) => list.map(({ export_url: urls, ...rest }) => ({ ...rest, urls: urls.map((url) => url.split("?")[0]) }));
    for (const [method, options] of [["GET", {}], ["POST", {}], ["POST", { body: {} }], ["POST", { body: "null" }], ["POST", { body: "{" }],
      ["POST", { body: "", headers: { "Content-Type": "application/json" } }]])
      assert.deepEqual(strip(await api.call(method, `${sle}/subscription/${id}/jobs?app_id=${api.appId}`, options)), strip(jobs));
    for (const job of jobs) assert.deepEqual(strip([await api.job(id, job.job_id)]), strip([job]));
  });

  test("the signed URL: path with %3D, query in the documented order, seven days", () => {
    const [path, query] = jobs[0].export_url[0].split("?");
    assert.match(path, new RegExp(`/v2/y%3D2024/m%3D02/d%3D01/h%3D07/app_id%3D${api.appId}/job_id%3D${jobs[0].job_id}/task_id%3D[^/]+/[^/]+\\.csv\\.gz$`));
    assert.deepEqual(query.split("&").map((part) => part.split("=")[0]),
      ["X-Amz-Algorithm", "X-Amz-Date", "X-Amz-SignedHeaders", "X-Amz-Expires", "X-Amz-Credential", "X-Amz-Signature"]);
    const value = new URL(jobs[0].export_url[0]).searchParams;
    assert.equal(value.get("X-Amz-Algorithm"), "AWS4-HMAC-SHA256");
    assert.equal(value.get("X-Amz-SignedHeaders"), "host");
    assert.equal(value.get("X-Amz-Expires"), "604800");
    assert.match(value.get("X-Amz-Date"), /^\d{8}T\d{6}Z$/);
    assert.match(value.get("X-Amz-Credential"), /^[^/]+\/\d{8}\/[^/]+\/s3\/aws4_request$/);
    assert.match(value.get("X-Amz-Signature"), /^[0-9a-f]{64}$/);
  });

  test("the file: octets, no Content-Encoding, an ETag; a URL that fails is S3's XML", async () => {
    const [url] = jobs[0].export_url;
    const good = await api.raw("GET", pathOf(url), { token: null });
    assert.equal(good.headers["content-type"], "application/octet-stream");
    assert.equal(good.headers["content-encoding"], undefined);
    assert.ok(good.headers.etag);
    const bad = await api.raw("GET", pathOf(url).slice(0, -1), { token: null });
    assert.equal(bad.status, 403);
    assert.match(bad.text, /<Error><Code>[A-Za-z]+<\/Code><Message>[^<]+<\/Message>.*<RequestId>/s);
  });

  test("a daily subscription's job is one day", async () => {
    const daily = await api.subscribe({ report_type: "eo_click", report_fields: ["id"], cadence: "daily" });
    await api.backfill(daily, Date.parse("2024-02-01"), Date.parse("2024-02-02"));
    const [job] = await api.waitJobs(daily, 1);
    assert.deepEqual([job.start_date, job.end_date, job.lines_exported], ["2024-02-01T00:00:00.000-00:00", "2024-02-02T00:00:00.000-00:00", 6]);
    assert.match(job.export_url[0], /\/y%3D2024\/m%3D02\/d%3D01\/app_id%3D/, "no hour in a day's path");
  });
});

describe("files: name and content of each format and compression", () => {
  const asked = { report_type: "eo_click", report_fields: ["id", "name", "attributed", "event_data_revenue", "timestamp", "user_data_os"],
    filter: ["eq", "attributed", true] };
  const expected = [["1", "PURCHASE", "true", "5", String(start), "IOS"], ["3", "50%_off", "true", "10", String(start + 2), null]];
  const cases = [["csv", "gz", ".csv.gz"], ["csv", "snappy", ".csv.snappy"], ["csv", "zstd", ".csv.zst"], ["json", "gz", ".json.gz"], ["json", "snappy", ".json.snappy"],
    ["parquet", "gz", ".parquet"], ["parquet", "snappy", ".parquet"], ["parquet", undefined, ".parquet"], ["csv", undefined, ".csv.gz"], ["json", undefined, ".json.gz"]];
  for (const [format, compression, ending] of cases)
    test(`${format} and ${compression ?? "no compression asked"}: ${ending}`, async () => {
      const report = { ...asked, response_format: format, ...(compression ? { response_format_compression: compression } : {}) };
      const { id, jobs } = await api.exportRange(report, start, end);
      assert.ok(new URL(jobs[0].export_url[0]).pathname.endsWith(ending), jobs[0].export_url[0]);
      const { header, rows } = await readFile((await api.downloadJob(jobs[0]))[0], report, types);
      assert.deepEqual(header, asked.report_fields, "columns as asked, in that order");
      assert.deepEqual(rows.map((row) => asked.report_fields.map((field) => row[field])), expected);
      await api.deactivate(id);
    });

  test("JSON is one object per line with the asked keys alone, no array", async () => {
    const { jobs } = await api.exportRange({ ...asked, response_format: "json", report_fields: ["name", "user_data_os", "event_data_revenue"] }, start, end);
    const text = gunzipSync((await api.downloadJob(jobs[0]))[0]).toString();
    assert.equal(text, '{"name":"PURCHASE","user_data_os":"IOS","event_data_revenue":5}\n{"name":"50%_off","user_data_os":null,"event_data_revenue":10}\n');
  });

  test('["all"]: every field of the topic, those of the documented CSV among them', async () => {
    const { jobs } = await api.exportRange({ report_type: "eo_click", report_fields: ["all"] }, start, end);
    const [header, ...rows] = gunzipSync((await api.downloadJob(jobs[0]))[0]).toString().trimEnd().split("\n");
    const names = header.split(",");
    assert.equal(new Set(names).size, names.length);
    for (const name of ["id", "name", "timestamp", "user_data_os", "last_attributed_touch_data_tilde_campaign", "event_data_revenue", "attributed"])
      assert.ok(names.includes(name), name);
    assert.equal(rows.length, 5);
  });
});

describe("filters: every accepted form", () => {
  const cases = [
    ["missing", undefined, "1 2 3 4 5"], ["null", null, "1 2 3 4 5"], ["[], as one client sends it", [], "1 2 3 4 5"],
    ["eq", ["eq", "name", "PURCHASE"], "1"], ["case matters", ["eq", "name", "purchase"], "2"],
    ["a boolean as a text", ["eq", "attributed", "true"], "1 3"], ["a boolean", ["eq", "attributed", false], "2 5"],
    ["a number", ["gt", "event_data_revenue", 7], "2 3"], ["a number as a text", ["gt", "event_data_revenue", "7"], "2 3"],
    ["gte", ["gte", "event_data_revenue", 7.5], "2 3"], ["lt", ["lt", "event_data_revenue", 5], "5"], ["lte", ["lte", "event_data_revenue", "5"], "1 5"],
    ["between is inclusive", ["between", "event_data_revenue", 5, 7.5], "1 2"], ["between with texts", ["between", "event_data_revenue", "5", "10"], "1 2 3"],
    ["low above high", ["between", "event_data_revenue", 7.5, 5], ""],
    ["in with a list", ["in", "name", ["PURCHASE", "purchase"]], "1 2"], ["in with values", ["in", "name", "PURCHASE", "purchase"], "1 2"],
    ["in with one value", ["in", "name", "PURCHASE"], "1"], ["in with numbers as texts", ["in", "event_data_revenue", ["5", 10]], "1 3"],
    ["like: %", ["like", "name", "50%"], "3 4"], ["like: _", ["like", "name", "50_x%"], "4"], ["like: escaped", ["like", "name", "50\\%\\_off"], "3"],
    ["like: case", ["like", "name", "PURCH%"], "1"],
    ["not", ["not", ["eq", "name", "PURCHASE"]], "2 3 4 5"], ["and", ["and", ["eq", "attributed", "true"], ["gt", "event_data_revenue", 5]], "3"],
    ["and of one", ["and", ["eq", "name", "PURCHASE"]], "1"], ["or of one", ["or", ["eq", "name", "PURCHASE"]], "1"],
    ["or", ["or", ["eq", "name", "PURCHASE"], ["eq", "name", "purchase"]], "1 2"],
    ["nested, which the newer schema forbids", ["and", ["or", ["eq", "user_data_os", "IOS"], ["eq", "user_data_os", "ANDROID"]],
      ["not", ["lt", "event_data_revenue", 0]]], "1 2"],
    ["an array of arrays: and", [["eq", "attributed", "true"], ["eq", "name", "PURCHASE"]], "1"], ["an array of one array", [["eq", "name", "PURCHASE"]], "1"],
    ["an array of three arrays", [["eq", "attributed", true], ["gte", "event_data_revenue", 5], ["like", "name", "%o%"]], "3"],
    ["the JSON as a text", '["eq","name","PURCHASE"]', "1"], ["URI-encoded", "%5B%22eq%22%2C%22name%22%2C%22PURCHASE%22%5D", "1"],
    ["the array of arrays as a text", '[["eq","attributed","true"],["eq","name","PURCHASE"]]', "1"],
    ["field and value are equal texts", ["eq", "name", "name"], ""],
    ["a field that is not exported", ["eq", "user_data_os", "IOS"], "1 5"], ["the empty text is a value", ["eq", "user_data_os", ""], "4"],
    ["missing", ["eq", "name", null], "5"], ["not missing", ["not", ["eq", "name", null]], "1 2 3 4"],
    ["a time as a number", ["gte", "timestamp", start + 3], "4 5"], ["a time as a text of digits", ["lt", "timestamp", String(start + 2)], "1 2"],
    ["a time as ISO 8601", ["lt", "timestamp", "2024-02-01T07:00:00.002Z"], "1 2"],
    ["app_id, as in the documentation", ["gt", "app_id", 7], "1 2 3 4 5"],
  ];
  for (const [label, filter, wanted] of cases)
    test(`${label}: ${JSON.stringify(filter)?.slice(0, 70)}`, async () => assert.equal(await idsOf(filter), wanted));

  test("array_contains, with a number or its text", async () => {
    await api.ingest("tagged", [{ id: "1", timestamp: start, tags: ["ADS", 5] }, { id: "2", timestamp: start + 1, tags: ["SHARE", "5"] },
      { id: "3", timestamp: start + 2 }]);
    for (const [value, wanted] of [["ADS", "1"], [5, "1 2"], ["5", "1 2"], ["ads", ""]])
      assert.equal(await idsOf(["array_contains", "tags", value], { report_type: "tagged" }), wanted, String(value));
  });

  test("what was asked is echoed, and asked again it means the same", async () => {
    for (const filter of [["eq", "attributed", "true"], [["eq", "attributed", "true"], ["eq", "name", "PURCHASE"]], ["in", "name", "PURCHASE", "purchase"]]) {
      const id = await create({ report_type: "eo_click", report_fields: ["id", "timestamp", "name"], filter });
      const echoed = (await api.subscription(id)).report.filter;
      assert.ok(Array.isArray(echoed));
      assert.equal(await idsOf(echoed), await idsOf(filter));
    }
  });
});

describe("subscriptions of a whole organization", () => {
  let tenant;
  let second;
  let made;
  let bound;
  const org = () => `organization_id=${tenant.organizationId}`;

  before(async () => {
    tenant = await makeTenant(server, "whole");
    second = (await api.admin("POST", "/v1/admin/apps", { organization_id: tenant.organizationId, name: "second" })).app_id;
    bound = (await makeToken(server, { organizationId: tenant.organizationId, appId: second, permissions: ["export"] })).text;
    await tenant.ingest("eo_click", [{ id: "1", timestamp: start }, { id: "2", timestamp: start + 1 }]);
    await tenant.ingest("eo_click", [{ id: "3", timestamp: start }], { appId: second });
    made = await tenant.call("POST", `${sle}/subscribe?${org()}`, { body: subscribeBody({ report_type: "eo_click", report_fields: ["app_id", "id"] }) });
    await waitFor("ACTIVE", async () => (await tenant.call("GET", pathOf(made.subscription_url))).status === "ACTIVE");
  });

  test("the URL in the answer has organization_id, and is followed literally", async () => {
    assert.equal(made.subscription_url, `${server.base}/scheduled-exports/exports/logs/subscription/${made.subscription_id}?${org()}`);
    assert.equal((await tenant.call("GET", pathOf(made.subscription_url))).subscription_id, made.subscription_id);
  });

  test("one job for a window: lines of all apps, a file of each", async () => {
    await tenant.backfill(made.subscription_id, start, end);
    const jobs = await waitFor("the job", async () => {
      const list = await tenant.call("POST", `${sle}/subscription/${made.subscription_id}/jobs?${org()}`);
      return list.some((job) => job.status === "SUCCEEDED") && list;
    });
    assert.equal(jobs.length, 1);
    assert.equal(jobs[0].lines_exported, 3);
    const texts = await Promise.all(jobs[0].export_url.map(async (url) => [/app_id%3D(\d+)/.exec(url)[1], gunzipSync(await tenant.download(url)).toString()]));
    assert.deepEqual(new Map(texts), new Map([[tenant.appId, `app_id,id\n${tenant.appId},1\n${tenant.appId},2\n`], [second, `app_id,id\n${second},3\n`]]));
    const tasks = jobs[0].export_url.map((url) => /task_id%3D([^/]+)/.exec(url)[1]);
    assert.equal(new Set(tasks).size, 2, "a task of each app");
  });

  test("by id with either id; in the organization's list, not in an app's", async () => {
    for (const query of [org(), `app_id=${tenant.appId}`, `app_id=${second}`])
      assert.equal((await tenant.raw("GET", `${sle}/subscription/${made.subscription_id}?${query}`)).status, 200, query);
    const idsIn = async (query) => (await tenant.call("GET", `${sle}/subscriptions?${query}`)).map((item) => item.subscription_id);
    assert.deepEqual(await idsIn(org()), [made.subscription_id]);
    assert.deepEqual(await idsIn(`app_id=${tenant.appId}`), []);
  });

  test("a token of one app sees neither subscription nor job", async () => {
    const [job] = await tenant.call("POST", `${sle}/subscription/${made.subscription_id}/jobs?${org()}`);
    for (const query of [org(), `app_id=${second}`])
      for (const path of ["", "/jobs", `/job/${job.job_id}`]) {
        const reply = await tenant.raw("GET", `${sle}/subscription/${made.subscription_id}${path}?${query}`, { token: bound });
        assert.deepEqual(reply.json, { error: { message: "Job ID Not Found", code: 404 } }, `${path}?${query}`);
      }
    assert.deepEqual(await tenant.call("GET", `${sle}/subscriptions?${org()}`, { token: bound }), []);
    const create = await tenant.raw("POST", `${sle}/subscribe?${org()}`, { token: bound, body: subscribeBody({ report_type: "eo_open", report_fields: ["id"] }) });
    if (create.status === 200) assert.ok(create.json.subscription_url.includes(`app_id=${second}`), "at most its own app's");
  });

  test("no duplicate of an app's equal one, but of its own", async () => {
    const report = { report_type: "eo_click", report_fields: ["app_id", "id"] };
    assert.equal((await tenant.raw("POST", `${sle}/subscribe?app_id=${tenant.appId}`, { body: subscribeBody(report) })).status, 200);
    const again = await tenant.raw("POST", `${sle}/subscribe?${org()}`, { body: subscribeBody(report) });
    assert.equal(again.json.error?.message, `Duplicate of subscription ${made.subscription_id}`);
  });

  test("deactivated by organization", async () => {
    assert.deepEqual(await tenant.call("DELETE", `${sle}/subscription/${made.subscription_id}?${org()}`),
      { status: "SUCCESS", description: "Subscription deactivated successfully" });
    assert.deepEqual((await tenant.call("GET", `${sle}/subscriptions?${org()}`)).filter((item) => item.subscription_id === made.subscription_id), []);
  });
});

describe("the ids of a subscription with tokens of one app and of all", () => {
  test("a token of one app works with its app's id, and with its organization's", async () => {
    const bound = await makeToken(server, { organizationId: api.organizationId, appId: api.appId, permissions: ["export"] });
    const id = await create(freshReport());
    for (const query of [`app_id=${api.appId}`, `organization_id=${api.organizationId}`])
      assert.equal((await api.raw("GET", `${sle}/subscription/${id}?${query}`, { token: bound.text })).status, 200, query);
  });
});
