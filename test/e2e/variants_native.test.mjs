// SPDX-License-Identifier: Apache-2.0
// What milkrun adds to Branch's calls, from outside: pages, repeats, edits, pauses, previews, files that are made again.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { gunzipSync } from "node:zlib";

import { Api, DAY_MS, HOUR_MS, makeTenant, readDate } from "./lib/api.mjs";
import { sha256 } from "./lib/oracle.mjs";
import { Server, stopAll } from "./lib/server.mjs";
import { waitFor } from "./lib/wait.mjs";

const start = Date.parse("2024-02-01T07:00:00Z");
const sle = "/scheduled-exports/logs";
let server;
let api;
let fresh = 0;

before(async () => {
  server = await Server.start({ args: { "api-subscription-limit": 0 } });
  api = new Api(server);
  await api.ingest("eo_click", Array.from({ length: 30 }, (_, index) => ({ id: String(index), name: "CLICK", timestamp: start + index })));
});
after(stopAll);

const freshReport = (changes = {}) => ({ report_type: "eo_click", report_fields: ["id", "name"], filter: ["not", ["eq", "name", `fresh ${++fresh}`]], ...changes });
const native = (method, id, path = "", options = {}) => api.raw(method, `/v1/subscriptions/${id}${path}`, options);
const textOf = async (job) => gunzipSync((await api.downloadJob(job))[0]).toString();

async function ok(promise) {
  const reply = await promise;
  assert.equal(reply.status, 200, reply.text);
  return reply.json;
}

describe("lists page by page", () => {
  let id;
  before(async () => {
    id = await api.subscribe(freshReport());
    for (let index = 0; index < 4; index++) await api.subscribe(freshReport());
    await api.backfill(id, start - 3 * HOUR_MS, start + HOUR_MS);
    await api.waitJobs(id, 4);
    for (const name of ["one", "two", "three"]) await makeTenant(server, name);
    for (let index = 0; index < 4; index++)
      await api.call("POST", "/v1/notifications", { body: { type: "webhook", url: `https://93.184.216.34/page-${index}`, events: ["late"] } });
  });

  const lists = () => [["GET", `${sle}/subscriptions?app_id=${api.appId}`], ["GET", `${sle}/subscriptions?organization_id=${api.organizationId}`],
    ["GET", `${sle}/subscription/${id}/jobs?app_id=${api.appId}`], ["POST", `${sle}/subscription/${id}/jobs?app_id=${api.appId}`], ["GET", "/v1/subscriptions"],
    ["GET", `/v1/subscriptions/${id}/windows`], ["GET", `/v1/subscriptions/${id}/gaps`], ["GET", "/v1/topics"], ["GET", "/v1/admin/organizations"],
      ["GET", "/v1/admin/apps"],
    ["GET", "/v1/admin/users"], ["GET", "/v1/admin/tokens"], ["GET", "/v1/admin/connections"], ["GET", "/v1/notifications"]];
  const key = (item) => item.notification_id ?? item.job_id ?? item.start_date ?? item.subscription_id ?? item.key_id ?? item.app_id ?? item.user_id ?? item.organization_id ?? item.name;

  test("pages of every size, one behind the other, are the bare array", async () => {
    for (const [method, path] of lists()) {
      const token = path.includes("/admin/") ? server.account.admin_token : api.token;
      const whole = await api.call(method, path, { token });
      assert.ok(Array.isArray(whole), path);
      for (const size of [1, 3, 1000]) {
        const seen = [];
        for (let next = `${path}${path.includes("?") ? "&" : "?"}limit=${size}`, pages = 0; next; pages++) {
          assert.ok(pages < 200, `${path}: no end`);
          const reply = await api.raw(method, next, { token });
          assert.equal(reply.status, 200, `${next}: ${reply.text}`);
          assert.ok(reply.json.length <= size, next);
          seen.push(...reply.json);
          const link = /^<([^>]+)>; rel="next"$/.exec(reply.headers.link ?? "")?.[1];
          next = link && new URL(link, server.base).pathname + new URL(link, server.base).search;
        }
        assert.deepEqual(seen.map(key), whole.map(key), `${method} ${path} by ${size}`);
      }
    }
  });

  test("a cursor is for the list that gave it", async () => {
    const link = (await api.raw("GET", "/v1/topics?limit=2")).headers.link;
    const cursor = new URL(/<([^>]+)>/.exec(link)[1], server.base).searchParams.get("cursor");
    const other = await api.raw("GET", `/v1/subscriptions?limit=2&cursor=${cursor}`);
    assert.equal(other.status, 400, other.text);
  });
});

describe("creates that are sent again", () => {
  const admin = () => server.account.admin_token;
  const creates = () => [
    [`${sle}/subscribe?app_id=${api.appId}`, () => ({ report: freshReport(), destination: { subscription_type: "branch" } }), "subscription_id"],
    ["/v1/admin/organizations", () => ({ name: `made ${++fresh}` }), "organization_id", admin()],
    ["/v1/admin/apps", () => ({ organization_id: api.organizationId, name: `made ${++fresh}` }), "app_id", admin(), "branch_secret"],
    ["/v1/admin/users", () => ({ organization_id: api.organizationId, name: `made ${++fresh}` }), "user_id", admin()],
    ["/v1/admin/tokens", () => ({ organization_id: api.organizationId, name: `made ${++fresh}`, permissions: ["export"] }), "key_id", admin(), "access_token"],
    ["/v1/admin/connections", () => ({ name: `made-${++fresh}`, kind: "s3", access_key_id: "AKID", secret_access_key: "x" }), "name", admin()],
    ["/v1/notifications", () => ({ type: "webhook", url: `https://93.184.216.34/${++fresh}`, events: ["late"] }), "notification_id", undefined, "secret"],
    [`/v2/logs?app_id=${api.appId}`, () => ({ start_date: new Date(start).toISOString(), end_date: new Date(start + HOUR_MS).toISOString(),
      report_type: "eo_click", fields: ["id"],
      limit: ++fresh }), "handle"],
  ];

  test("are those whose description takes an Idempotency-Key", async () => {
    const { paths } = await api.call("GET", "/openapi.json");
    const takes = ({ parameters = [] }) => parameters.some((parameter) => JSON.stringify(parameter).includes("Idempotency-Key"));
    const described = Object.entries(paths).filter(([path, { post }]) => post && takes(post) && !path.startsWith("/v1/events")).map(([path]) => path);
    assert.deepEqual(described.sort(), creates().map(([path]) => path.split("?")[0]).sort());
  });

  for (let index = 0; index < 8; index++)
    test(`call ${index}: the same thing, once; another body is a conflict; secrets are shown once`, async () => {
      const [path, make, name, token = api.token, secret] = creates()[index];
      const headers = { "Idempotency-Key": `key ${path}`.slice(0, 128).replaceAll(" ", "-") };
      const body = make();
      const first = await api.raw("POST", path, { body, headers, token });
      assert.equal(first.status, 200, first.text);
      assert.equal(first.headers["idempotency-replayed"], undefined);
      for (let round = 0; round < 2; round++) {
        const again = await api.raw("POST", path, { body, headers, token });
        assert.equal(again.status, 200, again.text);
        assert.equal(again.json[name], first.json[name], path);
        assert.equal(again.headers["idempotency-replayed"], "true");
        if (secret) assert.deepEqual([typeof first.json[secret], again.json[secret]], ["string", null]);
      }
      const other = await api.raw("POST", path, { body: make(), headers, token });
      assert.deepEqual(other.json, { error: { message: "Idempotency-Key reused with a different request", code: 409 } });
      for (const bad of ["", "k".repeat(129)]) {
        const refused = await api.raw("POST", path, { body: make(), headers: { "Idempotency-Key": bad }, token });
        assert.equal(refused.status, 400, `key of ${bad.length}`);
      }
    });
});

describe("edits", () => {
  test("another version from the next window on; what has begun keeps its report", async () => {
    const id = await api.subscribe(freshReport());
    const edited = await ok(native("PATCH", id, "", { body: { report: { report_fields: ["name"], response_format: "json" } } }));
    assert.equal(edited.version, 2);
    assert.deepEqual(edited.report.report_fields, ["name"]);
    const versions = await ok(native("GET", id, "/versions"));
    assert.deepEqual(versions.map(({ version }) => version), [2, 1]);
    assert.ok(readDate(versions[0].from) > Date.now() && readDate(versions[0].from) <= Date.now() + HOUR_MS, versions[0].from);
    assert.equal(versions[1].from, null);
    assert.deepEqual(versions[1].report.report_fields, ["id", "name"]);
    await api.backfill(id, start, start + HOUR_MS);
    const [job] = await api.waitJobs(id, 1);
    assert.ok((await textOf(job)).startsWith("id,name\n0,CLICK\n"), "a window of the past has the version of its time");
    assert.equal((await api.manifest(job.job_id)).subscription_version, 1);
  });

  test("another cadence acts at midnight", async () => {
    const id = await api.subscribe(freshReport());
    await ok(native("PATCH", id, "", { body: { report: { cadence: "daily" } } }));
    const [{ from }] = await ok(native("GET", id, "/versions"));
    assert.equal(readDate(from) % DAY_MS, 0);
    assert.ok(readDate(from) > Date.now() && readDate(from) <= Date.now() + DAY_MS);
  });

  test("what does not pass as a new subscription does not pass as an edit, and changes nothing", async () => {
    const other = freshReport();
    const twin = await api.subscribe(other);
    const id = await api.subscribe(freshReport());
    const before = await native("GET", id);
    for (const body of [{}, { report: { report_fields: ["nope_1", "nope_2"] } }, { report: { filter: ["and"] } }, { report: { cadence: "weekly" } },
      { report: { report_type: null } },
      { report: 5 }, { paused: "yes" }, { destination: { subscription_type: "pigeon" } }, { destination: { subscription_type: "email" } }]) {
      const reply = await native("PATCH", id, "", { body });
      assert.equal(reply.status, 400, `${JSON.stringify(body)}: ${reply.text}`);
    }
    const duplicate = await native("PATCH", id, "", { body: { report: other } });
    assert.equal(duplicate.status, 409, duplicate.text);
    assert.ok(duplicate.json.error.message.includes(twin));
    assert.equal((await native("GET", id)).text, before.text);
    await api.deactivate(id);
    assert.equal((await native("PATCH", id, "", { body: { report: { report_fields: ["id"] } } })).status, 409);
  });

  test("an ETag guards against edits of others", async () => {
    const id = await api.subscribe(freshReport());
    const { etag } = (await native("GET", id)).headers;
    assert.match(etag, /^"[^"]+"$/);
    assert.equal((await native("GET", id, "", { headers: { "If-None-Match": etag } })).status, 304);
    const first = await native("PATCH", id, "", { body: { report: { report_fields: ["name"] } }, headers: { "If-Match": etag } });
    assert.equal(first.status, 200, first.text);
    assert.notEqual(first.headers.etag, etag);
    const late = await native("PATCH", id, "", { body: { report: { report_fields: ["id"] } }, headers: { "If-Match": etag } });
    assert.equal(late.status, 412);
    assert.equal((await native("POST", id, "/pause", { headers: { "If-Match": etag } })).status, 412);
    assert.equal((await native("GET", id, "", { headers: { "If-None-Match": etag } })).status, 200);
    assert.deepEqual((await native("GET", id)).json.report.report_fields, ["name"]);
    assert.equal((await native("PATCH", id, "", { body: { report: { report_fields: ["id"] } }, headers: { "If-Match": first.headers.etag } })).status, 200);
  });
});

describe("pauses", () => {
  test("paused and resumed, by either call, as often as one likes; the lists and Branch's call show it", async () => {
    const id = await api.subscribe(freshReport());
    const status = async () => (await api.subscription(id)).report.subscription_status;
    for (const [pause, resume] of [[() => native("POST", id, "/pause"), () => native("POST", id, "/resume")],
      [() => native("PATCH", id, "", { body: { paused: true } }), () => native("PATCH", id, "", { body: { paused: false } })]]) {
      for (let round = 0; round < 2; round++) assert.equal((await ok(pause())).paused, true);
      assert.equal(await status(), "PAUSED");
      assert.ok((await api.call("GET", `${sle}/subscriptions?app_id=${api.appId}`)).some((item) => item.subscription_id === id));
      for (let round = 0; round < 2; round++) assert.equal((await ok(resume())).paused, false);
      assert.equal(await status(), "ACTIVE");
    }
    const windows = await api.windows(id);
    assert.ok(windows.every((window) => window.state !== "PAUSED"), "within one window nothing is left out");
  });

  test("a paused one still counts as a duplicate, and takes backfills; a deactivated one cannot be paused", async () => {
    const report = freshReport();
    const id = await api.subscribe(report);
    await ok(native("POST", id, "/pause"));
    assert.equal((await api.subscribeRaw(report)).json.error.message, `Duplicate of subscription ${id}`);
    await api.backfill(id, start, start + HOUR_MS);
    assert.equal((await api.waitJobs(id, 1))[0].lines_exported, 30);
    await api.deactivate(id);
    for (const path of ["/pause", "/resume"]) assert.equal((await native("POST", id, path)).status, 409, path);
  });
});

describe("previews", () => {
  const preview = (report, more = {}) => api.raw("POST", `/v1/subscriptions/preview?app_id=${api.appId}`,
    { body: { report, destination: { subscription_type: "branch" }, ...more } });
  const names = async () => (await api.call("GET", "/v1/subscriptions")).map((item) => item.subscription_id).join();

  test("rows of the last window, a sample, sizes; nothing is made", async () => {
    const before = await names();
    for (let tries = 0; ; tries++) { // again when the hour turns meanwhile
      const from = Math.floor(Date.now() / HOUR_MS) * HOUR_MS - HOUR_MS;
      await api.ingest(`preview_${tries}`, Array.from({ length: 50 }, (_, index) => ({ id: String(index), n: index, timestamp: from + index })));
      const seen = await ok(preview({ report_type: `preview_${tries}`, report_fields: ["n", "id"], filter: ["lt", "n", 40] }));
      if (readDate(seen.start_date) !== from && tries < 2) continue;
      assert.equal(readDate(seen.end_date), from + HOUR_MS);
      assert.equal(seen.matched_rows, 40);
      assert.deepEqual(seen.sample, Array.from({ length: 20 }, (_, index) => ({ n: index, id: String(index) })));
      assert.ok(seen.estimated_bytes > 0);
      assert.equal(seen.estimated_files, 1);
      assert.deepEqual(seen.errors, []);
      break;
    }
    assert.equal(await names(), before);
  });

  test("no rows; a duplicate of one that exists may be previewed; errors as of a new subscription", async () => {
    const report = freshReport();
    await api.subscribe(report);
    assert.deepEqual((await ok(preview(report))).matched_rows, 0);
    const bad = await preview(freshReport({ report_fields: ["id", "nope_1", "nope_2"] }));
    assert.equal(bad.status, 400);
    assert.deepEqual(bad.json.errors.map(({ message }) => message.split(" ")[0]), ["nope_1", "nope_2"]);
    assert.equal((await preview(freshReport({ report_type: "unknown_topic" }))).status, 400);
  });

  test("a preview of the day before", async () => {
    const seen = await ok(preview(freshReport({ cadence: "daily" })));
    assert.equal(readDate(seen.end_date) - readDate(seen.start_date), DAY_MS);
    assert.equal(readDate(seen.end_date) % DAY_MS, 0);
  });
});

describe("files that are made again", () => {
  let other;
  let client;
  before(async () => {
    other = await Server.start({ args: { "export-retention-ms": 5000, "schedule-sweep-interval-ms": 200 } });
    client = new Api(other);
    await client.ingest("eo_click", Array.from({ length: 3000 }, (_, index) => ({ id: String(index), name: `row ${(index * 2654435761) % 4294967296}`,
      timestamp: start + index })));
  });

  for (const format of ["csv", "parquet"])
    test(`${format}: after they expired, the same bytes under the same keys`, async () => {
      const { id, jobs } = await client.exportRange({ report_type: "eo_click", report_fields: ["id", "name"], response_format: format,
        filter: ["not", ["eq", "name", format]] }, start, start + HOUR_MS);
      const [first] = await client.downloadJob(jobs[0]);
      const early = await client.raw("POST", `/v1/jobs/${jobs[0].job_id}/restore`);
      assert.equal(early.status, 409, "its files are there");
      await waitFor("expiry", async () => (await client.jobs(id)).every((job) => job.export_url.length === 0), 15_000, 100);
      // Late events must not get in: a restored file is the file that was.
      await client.ingest("eo_click", [{ id: "late", name: "late", timestamp: start + 5 }]);
      const asked = await client.raw("POST", `/v1/jobs/${jobs[0].job_id}/restore`);
      assert.equal(asked.status, 200, asked.text);
      const again = await waitFor("the files", async () => {
        const job = await client.job(id, jobs[0].job_id);
        return job.export_url.length > 0 && job;
      }, 15_000, 30);
      assert.equal(again.export_url[0].split("?")[0], jobs[0].export_url[0].split("?")[0]);
      const [second] = await client.downloadJob(again);
      assert.equal(sha256(second), sha256(first));
      assert.deepEqual(again.sha256, jobs[0].sha256);
      assert.equal(again.lines_exported, jobs[0].lines_exported);
    });

  test("an unknown job, and one of others: 404", async () => {
    for (const id of ["not-an-id", "00000000-0000-4000-8000-000000000000"]) assert.equal((await client.raw("POST", `/v1/jobs/${id}/restore`)).status, 404);
  });
});
