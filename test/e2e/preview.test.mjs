// SPDX-License-Identifier: Apache-2.0
// Previews leave nothing behind; restored files are the ones that were there.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { Api, HOUR_MS, DAY_MS, makeTenant, makeToken, readDate } from "./lib/api.mjs";
import { declaredOrderTypes, makeOrders, orderFields, orderTypes } from "./lib/events.mjs";
import { canonical } from "./lib/files.mjs";
import { parseExact } from "./lib/json.mjs";
import { Oracle, rowText, sha256 } from "./lib/oracle.mjs";
import { Server, stopAll } from "./lib/server.mjs";
import { waitFor } from "./lib/wait.mjs";

const destination = { subscription_type: "branch" };
const report = { report_type: "orders", cadence: "daily", report_fields: orderFields };

after(stopAll);

const preview = (api, changes, { scope = `app_id=${api.appId}`, ...rest } = {}) =>
  api.raw("POST", `/v1/subscriptions/preview?${scope}`, { body: { report: { ...report, ...changes }, destination }, ...rest });

describe("previews", () => {
  let server;
  let api;
  const oracle = new Oracle(orderTypes);
  const yesterday = Math.floor(Date.now() / DAY_MS) * DAY_MS - DAY_MS;

  before(async () => {
    server = await Server.start();
    api = new Api(server);
    await api.declareTopic("orders", declaredOrderTypes);
    const events = makeOrders(31, 800, yesterday - HOUR_MS, yesterday + DAY_MS);
    await api.ingest("orders", events);
    oracle.add(events);
  });

  test("counts, samples and measures the last complete window", async () => {
    for (const changes of [{}, { filter: ["eq", "name", "PURCHASE"] }, { response_format: "json", response_format_compression: "zstd" }, { response_format: "parquet" },
      { filter: ["eq", "name", "nobody"] }]) {
      const reply = await preview(api, changes);
      assert.equal(reply.status, 200, reply.text);
      const body = reply.json;
      assert.deepEqual(Object.keys(body), ["start_date", "end_date", "matched_rows", "sample", "estimated_bytes", "estimated_files", "errors"]);
      assert.deepEqual([readDate(body.start_date), readDate(body.end_date)], [yesterday, yesterday + DAY_MS]);
      const expected = oracle.expected({ ...report, ...changes }, yesterday, yesterday + DAY_MS);
      assert.equal(body.matched_rows, expected.length, JSON.stringify(changes));
      const sample = parseExact(reply.text).sample.map((row) => Object.fromEntries(orderFields.map((field) => [field, canonical(row[field], orderTypes[field])])));
      assert.deepEqual(sample.map((row) => rowText(row, orderFields)), expected.slice(0, 20).map((row) => rowText(row, orderFields)));
      assert.deepEqual(body.errors, []);
      assert.equal(body.estimated_files, 1);
      const { id, jobs } = await api.exportRange({ ...report, ...changes }, yesterday, yesterday + DAY_MS);
      const [bytes] = await api.downloadJob(jobs[0]);
      assert.equal(body.estimated_bytes, bytes.length, "the estimate is what the file would have");
      await api.deactivate(id);
    }
  });

  test("events that came since are in the next preview", async () => {
    const changes = { report_fields: ["id"] };
    const first = (await preview(api, changes)).json.matched_rows;
    const more = makeOrders(32, 3, yesterday, yesterday + DAY_MS);
    await api.ingest("orders", more);
    oracle.add(more);
    assert.equal((await preview(api, changes)).json.matched_rows, first + 3);
    const replies = await Promise.all(Array.from({ length: 5 }, () => preview(api, changes)));
    assert.deepEqual(new Set(replies.map(({ status, json }) => `${status} ${json.matched_rows}`)), new Set([`200 ${first + 3}`]), "equal questions at once");
  });

  test("hourly, of the whole organization, and of a topic without rows", async () => {
    const hourly = (await preview(api, { cadence: "hourly" })).json;
    assert.equal(readDate(hourly.end_date) - readDate(hourly.start_date), HOUR_MS);
    const all = await preview(api, { report_fields: ["app_id", "id"] }, { scope: `organization_id=${api.organizationId}` });
    assert.equal(all.json.matched_rows, oracle.expected({ ...report, report_fields: ["id"] }, yesterday, yesterday + DAY_MS).length);
    assert.equal(parseExact(all.text).sample[0].app_id.text, api.appId);
    assert.equal((await preview(api, { report_type: "eo_click", report_fields: ["id"] })).json.matched_rows, 0);
  });

  test("refuses what subscribe refuses", async () => {
    const bad = await preview(api, { report_fields: ["id", "nope", "nada"] });
    assert.equal(bad.status, 400);
    assert.deepEqual(bad.json.errors.map(({ message }) => message), ["nope field is not available for exports", "nada field is not available for exports"]);
    for (const changes of [{ report_type: "no_such" }, { report_fields: undefined }, { filter: ["nope"] }, { cadence: "weekly" }]) {
      const reply = await preview(api, changes);
      const subscribed = await api.subscribeRaw({ ...report, ...changes });
      assert.deepEqual([reply.status, reply.text], [subscribed.status, subscribed.text], JSON.stringify(changes));
    }
    const { text: token } = await makeToken(server, { organizationId: api.organizationId, permissions: ["export"] });
    assert.equal((await preview(api, { report_fields: ["all"] }, { token })).json.error.message, "Not authorized for report_fields: all");
    const other = await makeTenant(server, "preview other");
    assert.equal((await preview(other, {}, { scope: `app_id=${api.appId}` })).status, 404);
    assert.equal((await preview(api, {}, { token: null })).status, 401);
  });

  test("leaves nothing: no subscription, no job, no file", async () => {
    const before = readdirSync(join(server.directory, "exports"), { recursive: true }).filter((name) => /\.(gz|zst|parquet)$/.test(name));
    assert.equal((await preview(api, { report_fields: ["name"] })).status, 200);
    assert.deepEqual(readdirSync(join(server.directory, "exports"), { recursive: true }).filter((name) => /\.(gz|zst|parquet)$/.test(name)), before);
    assert.deepEqual(await api.call("GET", "/v1/subscriptions"), []);
  });
});

describe("restored jobs", () => {
  const day = Date.parse("2024-03-10T00:00:00Z");

  async function expired(server, api, fields) {
    const { id, jobs } = await api.exportRange({ ...report, cadence: "hourly", report_fields: fields }, day, day + HOUR_MS);
    const [bytes] = await api.downloadJob(jobs[0]);
    const manifest = await api.manifest(jobs[0].job_id);
    await waitFor("the file to be removed", async () => {
      const reply = await api.raw("POST", `/v1/jobs/${jobs[0].job_id}/restore`);
      assert.ok([200, 409].includes(reply.status), reply.text);
      return reply.status === 200 && reply;
    }, 20_000);
    return { id, job: jobs[0], bytes, manifest };
  }

  async function settled(api, jobId) {
    return waitFor("the job to be final again", async () => {
      const job = await api.call("GET", `/v1/jobs/${jobId}`);
      assert.notEqual(job.status, "FAILED", JSON.stringify(job));
      return job.status === "SUCCEEDED" && job;
    });
  }

  test("files come again with the same keys and bytes", async () => {
    const server = await Server.start({ args: { "export-retention-ms": 1500, "schedule-sweep-interval-ms": 100 } });
    const api = new Api(server);
    await api.declareTopic("orders", declaredOrderTypes);
    await api.ingest("orders", makeOrders(41, 500, day, day + HOUR_MS));
    const early = await api.exportRange({ ...report, cadence: "hourly", report_fields: ["city"] }, day, day + HOUR_MS);
    const refused = await api.raw("POST", `/v1/jobs/${early.jobs[0].job_id}/restore`);
    assert.equal(refused.status, 409, refused.text);
    assert.match(refused.json.error.message, /have not expired/);
    const { job, bytes, manifest } = await expired(server, api, orderFields);
    const again = await settled(api, job.job_id);
    assert.equal(again.lines_exported, job.lines_exported);
    assert.deepEqual(again.sha256, job.sha256);
    const [restored] = await api.downloadJob(again);
    assert.ok(restored.equals(bytes));
    assert.equal(decodeURIComponent(new URL(again.export_url[0]).pathname), decodeURIComponent(new URL(job.export_url[0]).pathname));
    assert.equal(sha256(restored), manifest.files[0].sha256);
    const other = await makeTenant(server, "restore other");
    assert.equal((await other.raw("POST", `/v1/jobs/${job.job_id}/restore`)).status, 404);
    assert.equal((await api.raw("POST", "/v1/jobs/no-such-job/restore")).status, 404);
  });

  test("custom exports can be restored, and daily ones are when they are asked for", async () => {
    const server = await Server.start({ args: { "export-retention-ms": 1500, "schedule-sweep-interval-ms": 100 } });
    const api = new Api(server);
    await api.ingest("eo_click", [{ timestamp: day + 1, id: "c1", name: "CLICK" }]);
    const ask = () => api.raw("POST", "/v3/export", { token: null, body: { branch_key: server.account.branch_key, branch_secret: server.account.branch_secret, export_date: "2024-03-10" } });
    const first = (await ask()).json.eo_click[0];
    const bytes = await api.download(first);
    await waitFor("the file to expire", async () => {
      const { pathname, search } = new URL(first);
      return (await api.raw("GET", pathname + search, { token: null })).status === 404;
    });
    const second = await waitFor("the set to come again", async () => {
      const reply = await ask();
      assert.ok([200, 503].includes(reply.status), reply.text);
      return reply.status === 200 && reply.json.eo_click[0];
    }, 20_000, 200);
    assert.equal(new URL(second).pathname, new URL(first).pathname);
    assert.ok((await api.download(second)).equals(bytes));
  });
});
