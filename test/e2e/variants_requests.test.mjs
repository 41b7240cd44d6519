// SPDX-License-Identifier: Apache-2.0
// Custom exports, readiness and daily exports, where Branch's documentation contradicts itself or its clients differ: one test for each
// point, with the rows that come back.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { gunzipSync } from "node:zlib";

import { Api, DAY_MS, HOUR_MS, makeTenant } from "./lib/api.mjs";
import { parseCsv } from "./lib/csv.mjs";
import { Server, stopAll } from "./lib/server.mjs";
import { unframeSnappy } from "./lib/snappy.mjs";
import { waitFor } from "./lib/wait.mjs";

const today = Math.floor(Date.now() / DAY_MS) * DAY_MS;
const start = today - 3 * DAY_MS + 5 * HOUR_MS; // five o'clock, three days ago
const iso = (time) => new Date(time).toISOString();
const seconds = (time) => iso(time).slice(0, 19);
const uuid4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const clocks = { fold: Date.parse("2026-11-01T05:30:00Z"), gap: Date.parse("2026-03-08T07:30:00Z") }; // New York's, in 2026
let server;
let api;
let tenant;

before(async () => {
  server = await Server.start({ args: { "api-subscription-limit": 0 } });
  api = new Api(server);
  tenant = await makeTenant(server, "requests");
  await api.ingest("eo_click", [
    { id: "a", name: "FIRST", timestamp: start }, { id: "b", name: "LAST_MS", timestamp: start + HOUR_MS - 1 }, { id: "c", name: "NEXT", timestamp: start + HOUR_MS },
    { id: "d", name: "NOON", timestamp: start + 7 * HOUR_MS }]);
  await api.ingest("eo_open", Array.from({ length: 250 }, (_, index) => ({ id: String(index), name: index % 2 ? "ODD" : "EVEN", timestamp: start + index,
    event_data_revenue: index })));
});
after(stopAll);

const good = () => ({ start_date: iso(start), end_date: iso(start + HOUR_MS - 1), report_type: "eo_click", fields: ["id"], limit: 1000 });
const at = (client = api) => `?app_id=${client.appId}`;

const createRaw = (changes = {}, { query = at(), ...rest } = {}) => api.raw("POST", `/v2/logs${query}`, { body: { ...good(), ...changes }, ...rest });

async function create(changes, options) {
  const reply = await createRaw(changes, options);
  assert.equal(reply.status, 200, `${reply.text} for ${JSON.stringify(changes)}`);
  return reply.json;
}

const state = (handle, query = at()) => api.call("GET", `/v2/logs/${handle}${query}`);

const finished = (handle, query) => waitFor(`export ${handle}`, async () => {
  const body = await state(handle, query);
  assert.ok(["pending", "running", "complete"].includes(body.status), JSON.stringify(body));
  return body.status === "complete" && body;
});

async function idsOf(changes) {
  const { handle } = await create(changes);
  const done = await finished(handle);
  const [, ...rows] = parseCsv((await api.download(done.response_url)).toString());
  assert.equal(done.lines_exported, rows.length);
  return rows.map(([id]) => id).join(" ");
}

describe("custom exports: the answers", () => {
  test("create: a UUID as handle, under both names, and an absolute URL with the id", async () => {
    const made = await create();
    assert.match(made.handle, uuid4);
    assert.equal(made.request_handle, made.handle);
    assert.equal(made.export_job_status_url, `${server.base}/v2/logs/${made.handle}?app_id=${api.appId}`);
  });

  test("the state: code, status, lines_exported, and the URL under both names, as one text and as a list", async () => {
    const { handle, export_job_status_url: url } = await create();
    const first = await state(handle);
    if (first.status !== "complete") for (const key of ["response_url", "status_url"]) assert.ok(first[key] === null || first[key] === undefined, key);
    const done = await finished(handle);
    assert.equal(done.code, 200);
    assert.equal(done.lines_exported, 2);
    assert.equal(typeof done.response_url, "string");
    const file = (text) => text.split("?")[0];
    assert.equal(file(done.status_url), file(done.response_url));
    assert.deepEqual(done.response_urls.map(file), [file(done.response_url)]);
    assert.equal(new URL(done.response_url).searchParams.get("X-Amz-Expires"), "604800");
    assert.match(file(done.response_url), new RegExp(`/v2/y%3D\\d{4}/m%3D\\d\\d/d%3D\\d\\d/(h%3D\\d\\d/)?app_id%3D${api.appId}/job_id%3D[^/]+/task_id%3D[^/]+/[^/]+\\.csv$`));
    const { pathname, search } = new URL(url);
    assert.equal((await api.call("GET", pathname + search)).status, "complete");
  });

  test("by organization: the same, and its id in the URL", async () => {
    const query = `?organization_id=${api.organizationId}`;
    const made = await create({}, { query });
    assert.ok(made.export_job_status_url.endsWith(`/v2/logs/${made.handle}${query}`), made.export_job_status_url);
    assert.equal((await finished(made.handle, query)).lines_exported, 2);
  });

  test("a slash at the end; format and limit on the state call are taken", async () => {
    const { handle } = (await api.call("POST", `/v2/logs/${at()}`, { body: good() }));
    await finished(handle);
    assert.equal((await api.call("GET", `/v2/logs/${handle}/${at()}&format=json&limit=5`)).status, "complete");
  });

  test("every bad field is named, one entry each", async () => {
    const reply = await createRaw({ fields: ["id", "no_1", "no_2", "name", "no_3"] });
    assert.equal(reply.status, 400);
    assert.deepEqual(reply.json.errors.map((error) => /^(\S+) field is not available for exports/.exec(error.message)[1]), ["no_1", "no_2", "no_3"]);
    assert.equal(reply.json.error.code, 400);
  });

  test("what is missing is named", async () => {
    for (const key of ["start_date", "end_date", "report_type", "fields"]) {
      const reply = await createRaw({ [key]: undefined });
      assert.equal(reply.status, 400, key);
      assert.ok(reply.json.error.message.includes(key), reply.text);
    }
  });

  test("they are no subscriptions: in no list, and unknown to those calls", async () => {
    const { handle } = await create();
    await finished(handle);
    for (const path of ["/scheduled-exports/logs/subscriptions", "/v1/subscriptions"]) assert.ok(!(await api.raw("GET", path + at())).text.includes(handle), path);
    assert.equal((await api.raw("GET", `/scheduled-exports/logs/subscription/${handle}${at()}`)).status, 404);
  });

  test("the same request again: the same rows, whether or not the handle is the same", async () => {
    const [one, two] = [await create(), await create()];
    assert.equal((await finished(one.handle)).lines_exported, (await finished(two.handle)).lines_exported);
  });

  test("errors: no token 401, a foreign app 404, an unknown handle 404, keys that nobody knows are ignored", async () => {
    assert.equal((await createRaw({}, { token: null })).status, 401);
    assert.match((await createRaw({}, { query: at(tenant) })).json.error.message, /^Not authorized for the user id: \d+\.$/);
    const unknown = await api.raw("GET", `/v2/logs/1612dbb3-85ef-49f8-b1c5-5818c163600c${at()}`);
    assert.deepEqual(unknown.json, { error: { message: "Job ID Not Found", code: 404 } });
    assert.match((await create({ note: "x", app_id: "1" })).handle, uuid4);
  });
});

describe("custom exports: dates and zones", () => {
  const hour = (changes) => idsOf(changes);
  const dot = (text) => text.replace(/\.(\d{3})Z$/, ":$1Z");
  const forms = [
    ["Z", { start_date: `${seconds(start)}Z`, end_date: `${seconds(start + HOUR_MS - 1)}Z` }], ["milliseconds", {}],
    ["a colon before the milliseconds", { start_date: dot(iso(start)), end_date: dot(iso(start + HOUR_MS - 1)) }],
    ["microseconds", { start_date: iso(start).replace("Z", "000Z"), end_date: iso(start + HOUR_MS - 1).replace("Z", "419Z") }],
    ["no offset: UTC", { start_date: seconds(start), end_date: seconds(start + HOUR_MS - 1) }],
    ["offsets", { start_date: `${seconds(start + 2 * HOUR_MS)}+02:00`, end_date: `${seconds(start + HOUR_MS - 1 - 5 * HOUR_MS)}-05:00` }],
    ["an offset of -00:00", { start_date: `${seconds(start)}.000-00:00`, end_date: `${seconds(start + HOUR_MS - 1)}.999-00:00` }],
    ["an offset without a colon", { start_date: `${seconds(start)}+0000`, end_date: `${seconds(start + HOUR_MS - 1)}+0000` }],
    ["a zone for what has no offset", { timezone: "Asia/Tokyo", start_date: seconds(start + 9 * HOUR_MS), end_date: seconds(start + 10 * HOUR_MS - 1) }],
    ["an offset wins over the zone", { timezone: "Asia/Tokyo", start_date: `${seconds(start)}Z`, end_date: `${seconds(start + HOUR_MS - 1)}Z` }],
    ["the zone UTC", { timezone: "UTC", start_date: seconds(start), end_date: seconds(start + HOUR_MS - 1) }],
    ["a zone of half an hour", { timezone: "Asia/Kolkata", start_date: seconds(start + 5.5 * HOUR_MS), end_date: seconds(start + 6.5 * HOUR_MS - 1) }],
  ];
  for (const [label, changes] of forms)
    test(`${label}: ${JSON.stringify(changes)}`, async () => assert.equal(await hour(changes), "a b"));

  test("an end in seconds holds through the last millisecond; one in milliseconds does not", async () => {
    assert.equal(await hour({ end_date: `${seconds(start + HOUR_MS - 1)}Z` }), "a b");
    assert.equal(await hour({ end_date: iso(start + HOUR_MS - 2) }), "a");
    assert.equal(await hour({ end_date: iso(start + HOUR_MS) }), "a b c");
  });

  test("an hour that comes twice: a start is the first, an end the last; an hour that is left out: forward", async () => {
    await api.ingest("eo_install", [{ id: "before", timestamp: clocks.fold - 1 }, { id: "first", timestamp: clocks.fold },
      { id: "second", timestamp: clocks.fold + HOUR_MS },
      { id: "after", timestamp: clocks.fold + HOUR_MS + 1000 }, { id: "skipped", timestamp: clocks.gap - 1 }, { id: "spring", timestamp: clocks.gap }]);
    const newYork = { report_type: "eo_install", timezone: "America/New_York" };
    assert.equal(await idsOf({ ...newYork, start_date: "2026-11-01T01:30:00", end_date: "2026-11-01T01:30:00" }), "first second");
    assert.equal(await idsOf({ ...newYork, start_date: "2026-03-08T02:30:00", end_date: "2026-03-08T23:00:00" }), "spring");
  });
});

describe("custom exports: rows and files", () => {
  const open = { report_type: "eo_open", fields: ["id", "event_data_revenue"] };
  const load = async (changes) => {
    const done = await finished((await create({ ...open, ...changes })).handle);
    return { done, files: await Promise.all((done.response_urls ?? [done.response_url]).map((url) => api.download(url))) };
  };

  test("limit: 100 when it is left out, else exactly so many, the oldest first", async () => {
    const { done } = await load({ limit: undefined });
    assert.equal(done.lines_exported, 100);
    const { files: [bytes] } = await load({ limit: 3 });
    assert.equal(bytes.toString(), "id,event_data_revenue\n0,0\n1,1\n2,2\n");
    assert.equal((await load({ limit: 15_000_000 })).done.lines_exported, 250);
    assert.equal((await load({ limit: 250 })).done.lines_exported, 250);
  });

  test("several files: the limit does not hold, and the first URL is the text", async () => {
    const { done, files } = await load({ limit: 5, allow_multiple_files: true, response_format_compression: "gz" });
    assert.equal(done.lines_exported, 250);
    assert.equal(files.length, 1, "what fits in one file is one file");
    assert.equal(gunzipSync(files[0]).toString().split("\n").length, 252);
  });

  const formats = [["csv", undefined, ".csv", (bytes) => bytes], ["csv", "gz", ".csv.gz", gunzipSync], ["csv", "snappy", ".csv.snappy", unframeSnappy],
    ["json", undefined, ".json", (bytes) => bytes], ["json", "gz", ".json.gz", gunzipSync], ["json", "snappy", ".json.snappy", unframeSnappy],
      [undefined, undefined, ".csv", (bytes) => bytes]];
  for (const [format, compression, ending, decode] of formats)
    test(`${format ?? "no format"}, ${compression ?? "no compression"}: ${ending}`, async () => {
      const { done, files } = await load({ limit: 2, response_format: format, response_format_compression: compression });
      assert.ok(new URL(done.response_url).pathname.endsWith(ending), done.response_url);
      const wanted = format === "json" ? '{"id":"0","event_data_revenue":0}\n{"id":"1","event_data_revenue":1}\n' : "id,event_data_revenue\n0,0\n1,1\n";
      assert.equal(decode(files[0]).toString(), wanted);
    });

  test("no rows: complete, 0 lines, the header alone", async () => {
    const { done, files } = await load({ filter: ["eq", "name", "NEVER"] });
    assert.equal(done.lines_exported, 0);
    assert.equal(files[0].toString(), "id,event_data_revenue\n");
  });

  test('fields: ["all"]', async () => {
    const { files } = await load({ fields: ["all"], limit: 1 });
    const [header] = parseCsv(files[0].toString());
    for (const name of ["id", "name", "timestamp", "user_data_os"]) assert.ok(header.includes(name), name);
  });

  for (const [label, filter, count] of [["[], as one client sends it", [], 250], ["null", null, 250], ["eq", ["eq", "name", "ODD"], 125],
    ["a number as a text", ["lt", "event_data_revenue", "10"], 10], ["nested", ["and", ["eq", "name", "ODD"], ["lt", "event_data_revenue", 10]], 5],
    ["an array of arrays", [["eq", "name", "ODD"], ["lt", "event_data_revenue", 10]], 5], ["a text", '["eq","name","ODD"]', 125],
    ["URI-encoded", encodeURIComponent('["eq","name","ODD"]'), 125]])
    test(`filter ${label}`, async () => assert.equal((await load({ filter })).done.lines_exported, count));

  test("all 29 documented topics are taken, and in an array of one", async () => {
    const names = ["click", "impression", "install", "reinstall", "open", "web_session_start", "pageview", "custom_event", "content_event", "commerce_event",
      "user_lifecycle_event",
      "branch_cta_view"];
    const topics = [...names.flatMap((name) => [`eo_${name}`, `eo_${name}_blocked`]), "eo_dismissal", "skadnetwork_valid_messages",
      "skadnetwork_invalid_messages", "webhook2",
      "eo_san_touch"];
    assert.equal(topics.length, 29);
    const made = await Promise.all(topics.map((topic) => create({ report_type: topic })));
    await Promise.all(made.map(({ handle }) => finished(handle)));
    assert.equal((await finished((await create({ report_type: ["eo_click"] })).handle)).lines_exported, 2);
  });

  test("a topic of the organization's own", async () => {
    await api.ingest("own_topic", [{ id: "x", timestamp: start, plan: "gold" }]);
    assert.equal((await load({ report_type: "own_topic", fields: ["plan"] })).files[0].toString(), "plan\ngold\n");
  });
});

describe("readiness", () => {
  const day = iso(start).slice(0, 10);
  const body = (changes = {}) => ({ date: `${day} 01:00:00`, warehouse_meta_type: "EVENT", topic: "eo_click", app_id: api.appId, ...changes });
  const ask = (sent, query = "") => api.raw("POST", `/v2/data/ready${query}`, { body: sent, headers: { "Content-Type": "application/json" } });

  test("the app in the body, in the query, in both; as a text or as a number", async () => {
    const number = JSON.stringify(body()).replace(`"${api.appId}"`, api.appId);
    for (const [sent, query] of [[body(), ""], [body({ app_id: undefined }), at()], [body(), at()], [number, ""], [number, at()]]) {
      const reply = await ask(sent, query);
      assert.equal(reply.status, 200, `${JSON.stringify(sent)} ${query}: ${reply.text}`);
      assert.deepEqual(reply.json, { data_ready: true, date: `${day} 01:00:00` });
    }
  });

  test("an hour that is not over is not ready; both kinds of data are known", async () => {
    const now = iso(Date.now()).slice(0, 13).replace("T", " ");
    assert.deepEqual((await ask(body({ date: `${now}:00:00` }))).json, { data_ready: false, date: `${now}:00:00` });
    assert.equal((await ask(body({ warehouse_meta_type: "AGGREGATE" }))).status, 200);
  });

  test("a topic that is none: the documented text", async () => {
    const reply = await ask(body({ topic: "eo_nope" }));
    assert.deepEqual(reply.json, { error: { message: "Topic is invalid or data retention for requested data has expired.", code: 400 } });
  });

  test("another organization's app is not ours", async () => {
    const [foreign, unknown] = [await ask(body({ app_id: tenant.appId })), await ask(body({ app_id: "123456789012345678" }))];
    assert.equal(foreign.status, 400);
    assert.equal(foreign.text, unknown.text);
  });
});

describe("daily exports", () => {
  const day = iso(start).slice(0, 10);
  const keys = () => ({ branch_key: server.account.branch_key, branch_secret: server.account.branch_secret, export_date: day });
  const ask = async (body, path = "/v3/export") => waitFor("the daily set", async () => {
    const reply = await api.raw("POST", path, { body, token: null });
    if (reply.status === 503) assert.ok(Number(reply.headers["retry-after"]) > 0, "503 says when to come again");
    return reply.status !== 503 && reply;
  }, 60_000, 300);

  test("topics as keys, signed URLs as values, [] where there is nothing", async () => {
    const reply = await ask(keys());
    assert.equal(reply.status, 200, reply.text);
    for (const topic of ["eo_branch_cta_view", "eo_click", "eo_commerce_event", "eo_content_event", "eo_custom_event", "eo_impression", "eo_install", "eo_open",
      "eo_pageview",
      "eo_reinstall", "eo_user_lifecycle_event", "eo_web_session_start", "eo_web_to_app_auto_redirect", "eo_dismissal"])
      assert.equal(reply.json[topic]?.length, { eo_click: 1, eo_open: 1 }[topic] ?? 0, topic);
    const [url] = reply.json.eo_open;
    assert.ok(new URL(url).pathname.endsWith(".csv.gz"), url);
    const [header, ...rows] = parseCsv(gunzipSync(await api.download(url)).toString());
    assert.equal(rows.length, 250);
    for (const name of ["id", "name", "timestamp", "user_data_os", "last_attributed_touch_data_tilde_campaign"]) assert.ok(header.includes(name), name);
  });

  test("again: the same files", async () => {
    const [one, two] = [(await ask(keys())).json, (await ask(keys(), "/v3/export/")).json];
    assert.deepEqual(two.eo_open.map((url) => url.split("?")[0]), one.eo_open.map((url) => url.split("?")[0]));
  });

  test("200,000 rows a file", async () => {
    const lines = Array.from({ length: 200_001 }, (_, index) => `{"id":"${index}","timestamp":${start + index}}\n`).join("");
    assert.equal((await tenant.ingestRaw("eo_pageview", lines)).json.accepted, 200_001);
    const reply = await ask({ branch_key: tenant.app.branch_key, branch_secret: tenant.app.branch_secret, export_date: day });
    assert.equal(reply.json.eo_pageview.length, 2);
    const counts = await Promise.all(reply.json.eo_pageview.map(async (url) => gunzipSync(await api.download(url)).toString().split("\n").length - 2));
    assert.deepEqual(counts, [200_000, 1]);
  });

  test("no access token is asked for, none helps, and what is wrong has one text", async () => {
    for (const changes of [{ branch_secret: tenant.app.branch_secret }, { branch_key: tenant.app.branch_key }, { branch_secret: undefined },
      { branch_key: "key_live_x" }]) {
      const reply = await api.raw("POST", "/v3/export", { body: { ...keys(), ...changes } });
      assert.deepEqual(reply.json, { error: { message: "Invalid or missing app id, Branch key, or secret", code: 400 } });
    }
    assert.equal((await ask({ ...keys(), app_id: api.appId })).status, 200);
  });
});
