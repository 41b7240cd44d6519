// SPDX-License-Identifier: Apache-2.0
// The printed curl lines, run as they stand with the base URL changed, and what programs written for Branch do, done here.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { Api, DAY_MS, HOUR_MS } from "./lib/api.mjs";
import { ClientError, Loader, dailyRows, runAssistant, runDaily, runFollower, runTap, runTyped, tapWait } from "./lib/clients.mjs";
import { assertPrinted, blocksOf, learnIds, namesOf, promptsOf, replaceIds, runShell } from "./lib/documents.mjs";
import { Server, binary, cleanEnvironment, stopAll } from "./lib/server.mjs";
import { temporaryDirectory } from "./lib/temp.mjs";
import { waitFor } from "./lib/wait.mjs";

const yesterday = Math.floor(Date.now() / DAY_MS) * DAY_MS - DAY_MS;
const day = new Date(yesterday).toISOString().slice(0, 10);
let server;
let api;
let account;

before(async () => {
  server = await Server.start();
  api = new Api(server);
  account = { base: server.base, token: api.token, appId: api.appId, organizationId: api.organizationId, branchKey: server.account.branch_key,
    branchSecret: server.account.branch_secret };
});
after(stopAll);

// A printed line of Branch's documentation: its host, ids and token are ours now, the rest is literal.
function curl(line) {
  const ours = line.replaceAll("https://api2.branch.io", server.base).replaceAll("123456789009876543", api.appId)
    .replaceAll(`api_app_${"9".repeat(32)}`, api.token);
  const output = execFileSync("bash", ["-c", ours.replace(/(^|\| )curl /, "$1curl -s -w '\\n%{http_code}' ")], { encoding: "utf8", timeout: 30_000 });
  const at = output.lastIndexOf("\n");
  return { status: Number(output.slice(at + 1)), text: output.slice(0, at), get json() { return JSON.parse(this.text); } };
}

describe("the README by hand", () => {
  const blocks = blocksOf("README.md", "By hand");
  const folder = temporaryDirectory("readme");
  const output = [];

  const prepare = (script) => script
    .replaceAll("http://127.0.0.1:8080", server.base)
    .replaceAll("build/milkrun", binary)
    .replace(/^SUB=\S+/m, () => `SUB=${JSON.parse(output.find((text) => text.includes("subscription_url"))).subscription_id}`);

  // What a reader does between the lines: waits for the job, and takes one of the URLs.
  async function waitAsAReader(script) {
    if (script.includes("/jobs?app_id")) {
      const id = JSON.parse(output.find((text) => text.includes("subscription_url"))).subscription_id;
      await api.waitJobs(id, 1);
    }
    if (!script.includes("$URL")) return {};
    return { URL: JSON.parse(output.findLast((text) => text.includes("export_url")))[0].export_url[0] };
  }

  test("every block runs in its order and answers as printed", async () => {
    writeFileSync(join(folder, "account.json"), JSON.stringify(server.account));
    let ran = 0;
    for (const [index, block] of blocks.entries()) {
      if (block.language !== "sh" || block.text.includes(" serve ")) continue;
      const script = prepare(block.text);
      const seen = runShell(folder, script, await waitAsAReader(script));
      output.push(seen);
      ran++;
      const next = blocks[index + 1];
      if (next?.language === "json") assertPrinted(seen, next.text, block.text);
      if (block.text.includes("zcat")) assert.equal(seen.split("\n")[0], next.text.split("\n")[0], "the printed header");
      if (block.text.includes("zcat")) assert.deepEqual(seen.split("\n").map((line) => line.split(",")[1]), next.text.split("\n").map((line) => line.split(",")[1]));
    }
    assert.ok(ran >= 8, `${ran} blocks`);
  });
});

describe("the operator's page", () => {
  test("every command runs in its order and answers as printed", () => {
    const known = new Map();
    const environment = `export MILKRUN_URL=${server.base} MILKRUN_TOKEN=${server.account.admin_token}\n`;
    const prompts = promptsOf(blocksOf("docs/admin.md")).filter(({ line }) => line.startsWith("milkrun admin"));
    assert.ok(prompts.length >= 7, `${prompts.length} commands`);
    const cwd = temporaryDirectory("admin");
    writeFileSync(join(cwd, "secret.txt"), "the secret access key of a store\n".replaceAll(" ", "-"));
    for (const { line, reply } of prompts) {
      const ours = replaceIds(line, known).replace(/^milkrun/, binary).replace(/20\d\d-12-31T/, `${new Date().getUTCFullYear() + 1}-12-31T`);
      const seen = execFileSync("bash", ["-c", environment + ours], { encoding: "utf8", env: cleanEnvironment(), cwd });
      const names = namesOf(reply);
      assert.deepEqual(namesOf(seen).filter((name) => names.includes(name)), names, `${line}: ${seen}`);
      if (!reply.includes("...,")) assert.deepEqual(namesOf(seen), names, `${line}: ${seen}`);
      learnIds(known, reply, seen);
    }
  });
});

describe("the API's page", () => {
  // Blocks of a request in one line and its reply below: POST /v1/topics  {...}
  const cases = blocksOf("docs/api.md").map(({ text }) => /^(GET|POST|PATCH|DELETE) (\/v1\/(?:topics|admin)\S*) *(\{.*\})?\n(\{.*\})$/m.exec(text)).filter(Boolean);

  test("requests on one line answer as printed", async () => {
    assert.ok(cases.length > 0);
    const known = new Map();
    for (const [whole, method, path, body, reply] of cases) {
      const seen = await api.raw(method, replaceIds(path, known), { body: body && replaceIds(body, known),
        token: path.includes("/admin/") ? server.account.admin_token : api.token,
        headers: { "Content-Type": "application/json" } });
      assert.equal(seen.status, 200, `${whole}: ${seen.text}`);
      const names = [...new Set(namesOf(reply))];
      assert.deepEqual([...new Set(namesOf(seen.text))].filter((name) => names.includes(name)), names, whole);
      learnIds(known, reply, seen.text);
    }
  });
});

describe("Branch's own example for a cloud bucket", () => {
  const line = (destination) => `curl --location --request POST 'https://api2.branch.io/scheduled-exports/logs/subscribe?app_id=123456789009876543' \
--header 'access-token: api_app_${"9".repeat(32)}' \
--header 'Accept: application/json' \
--header 'Content-Type: application/json' \
--data-raw '{
  "report": {
    "cadence": "daily",
    "response_format": "csv",
    "report_type": "eo_click",
    "filter": ["eq", "attributed", "true"],
    "report_fields": ["id", "timestamp", "user_data_os", "user_data_idfa", "user_data_aaid", "user_data_idfv"]
  },
  "destination": ${destination}
}'`;
  const gcs = '{"subscription_type": "cloud", "cloud": "gcs", "resource_access_id": "branch-sle-service-acct@your-sle-project.iam.gserviceaccount.com", ' +
    '"bucket": "my-branch-bucket", "prefix": "branch/important_reports"}';

  test("with the hosted bucket: the documented answer, then ACTIVE at the address given", async () => {
    const made = curl(line('{"subscription_type": "branch"}'));
    assert.equal(made.status, 200, made.text);
    assert.deepEqual(Object.keys(made.json), ["subscription_id", "status", "description", "subscription_url"]);
    const seen = await waitFor("ACTIVE", () => {
      const reply = curl(`curl --header 'access-token: api_app_${"9".repeat(32)}' '${made.json.subscription_url}'`);
      return reply.json.report.subscription_status === "ACTIVE" && reply.json;
    });
    assert.deepEqual(seen.report.report_fields, ["id", "timestamp", "user_data_os", "user_data_idfa", "user_data_aaid", "user_data_idfv"]);
    assert.deepEqual(seen.report.filter, ["eq", "attributed", "true"]);
  });

  test("as it stands: refused with the reason, as this server delivers into no cloud", () => {
    const refused = curl(line(gcs));
    assert.equal(refused.status, 400, refused.text);
    assert.match(refused.json.error.message, /^Destination not enabled on this server: cloud$/);
  });
});

describe("the documented calls, as curl sends them", () => {
  const token = `-H 'access-token: api_app_${"9".repeat(32)}'`;
  const base = "https://api2.branch.io/scheduled-exports/logs";
  const app = "app_id=123456789009876543";
  const start = Date.parse("2024-02-01T07:00:00Z");
  let id;
  let job;

  before(async () => {
    await api.ingest("eo_open", Array.from({ length: 43 }, (_, index) => ({ id: String(index), name: "OPEN", timestamp: start + index })));
    const made = await api.exportRange({ report_type: "eo_open", report_fields: ["id", "name"] }, start, start + HOUR_MS);
    [id, job] = [made.id, made.jobs[0]];
  });

  const cases = [
    ["many jobs, without a body", () => `curl -X POST ${token} '${base}/subscription/${id}/jobs?${app}'`],
    ["many jobs, with an empty body", () => `curl -X POST ${token} -d '' '${base}/subscription/${id}/jobs?${app}'`],
    ["many jobs, with Content-Length 0", () => `curl -X POST ${token} -H 'Content-Length: 0' '${base}/subscription/${id}/jobs?${app}'`],
    ["many jobs, with an empty object", () => `curl ${token} -H 'Content-Type: application/json' -d '{}' '${base}/subscription/${id}/jobs?${app}'`],
    ["many jobs, over HTTP/1.0", () => `curl --http1.0 -X POST ${token} '${base}/subscription/${id}/jobs?${app}'`],
    ["many jobs, sent chunked", () => `echo '{}' | curl -X POST ${token} -H 'Transfer-Encoding: chunked' --data-binary @- '${base}/subscription/${id}/jobs?${app}'`],
    ["many jobs, compressed", () => `curl --compressed -X POST ${token} '${base}/subscription/${id}/jobs?${app}'`],
    ["many jobs, expecting 100-continue", () => `curl ${token} -H 'Expect: 100-continue' -d '{}' '${base}/subscription/${id}/jobs?${app}'`],
  ];
  for (const [label, line] of cases)
    test(label, () => {
      const reply = curl(line());
      assert.equal(reply.status, 200, reply.text);
      const [seen] = reply.json;
      assert.equal(seen.lines_exported, 43);
      assert.equal(seen.start_date, "2024-02-01T07:00:00.000-00:00");
      assert.equal(seen.end_date, "2024-02-01T08:00:00.000-00:00");
      assert.equal(seen.status, "SUCCEEDED");
      assert.equal(seen.export_url.length, 1);
    });

  test("one job, the subscription, the list, the external id, deactivation", () => {
    assert.equal(curl(`curl ${token} '${base}/subscription/${id}/job/${job.job_id}?${app}'`).json.job_id, job.job_id);
    assert.equal(curl(`curl ${token} '${base}/subscription/${id}?${app}'`).json.subscription_id, id);
    assert.ok(curl(`curl ${token} '${base}/subscriptions?${app}'`).json.some((item) => item.subscription_id === id));
    assert.ok(curl(`curl ${token} '${base}/subscription/externalId?${app}'`).json.external_id);
    assert.deepEqual(curl(`curl -X DELETE ${token} '${base}/subscription/${id}?${app}'`).json,
      { status: "SUCCESS", description: "Subscription deactivated successfully" });
  });

  test("the printed error: no token", () => {
    const reply = curl(`curl -X POST '${base}/subscription/${id}/jobs?${app}'`);
    assert.equal(reply.status, 400);
    assert.deepEqual(reply.json, { error: { message: "Authentication failed !", code: 400 } });
  });

  test("the URL is downloaded by curl, whole and resumed", () => {
    const [url] = job.export_url;
    const folder = temporaryDirectory("curl");
    const script = `curl -sf -o whole.gz '${url}' && head -c 30 whole.gz > part.gz && curl -sf -C - -o part.gz '${url}' && cmp whole.gz part.gz && zcat whole.gz | wc -l`;
    assert.equal(execFileSync("bash", ["-c", script], { cwd: folder, encoding: "utf8" }).trim(), "44");
  });
});

describe("programs written for Branch", () => {
  const from = yesterday + 5 * HOUR_MS;
  const asked = { topic: "eo_click", fields: ["id", "name", "timestamp"], from: yesterday, to: yesterday + DAY_MS - 1, day };

  before(() => api.ingest("eo_click", Array.from({ length: 250 }, (_, index) => ({ id: String(index), name: index % 2 ? "CLICK" : 'say "hi", twice',
    timestamp: from + index }))));

  test("a loader of scheduled exports: every window once, and each row", async () => {
    const loader = new Loader(account);
    const id = await loader.subscribe({ cadence: "hourly", response_format: "csv", report_type: "eo_click", report_fields: ["id", "name"] });
    await api.backfill(id, yesterday, yesterday + DAY_MS);
    const files = await loader.load(id, 24);
    assert.equal(files.reduce((sum, file) => sum + file.trimEnd().split("\n").length - 1, 0), 250);
  });

  test("a tap: fields that are not there are dropped at its one second try", async () => {
    const rows = await runTap(account, { ...asked, fields: ["id", "no_field_1", "name", "no_field_2", "no_field_3"] });
    assert.equal(rows.length, 250);
    assert.deepEqual(Object.keys(rows[0]), ["id", "name"]);
    assert.deepEqual(rows.map((row) => row.id), Array.from({ length: 250 }, (_, index) => String(index)));
  });

  test("a typed library: by organization, UUID handles, old dates, CSV", async () => {
    const { created, done, csv } = await runTyped(account, asked);
    assert.ok(created.export_job_status_url.startsWith(`${server.base}/v2/logs/${created.handle}?`));
    assert.equal(done.lines_exported, 250);
    const [header, first] = csv.split("\n");
    assert.equal(header, "id,name,timestamp");
    assert.equal(first, `0,"say ""hi"", twice",${from}`);
  });

  test("a script that follows the address it was given", async () => {
    assert.equal((await runFollower(account, asked)).trimEnd().split("\n").length, 101, "100 rows and a header: its limit");
  });

  test("an assistant's tools: the other spellings", async () => {
    const { ready, csv } = await runAssistant(account, asked);
    assert.deepEqual(ready, { data_ready: true, date: `${day} 01:00:00` });
    assert.ok(csv.startsWith("id,name,timestamp\n"));
  });

  for (const [label, options] of [["as documented", () => ({})], ["with a slash at the end", () => ({ path: "/v3/export/" })],
    ["with the app in the body", () => ({ body: { app_id: api.appId } })],
    ["with the date in the query", () => ({ query: `?export_date=${day}`, dateInBody: false })]])
    test(`daily exports ${label}`, async () => {
      const set = await runDaily(account, day, options());
      assert.ok(Array.isArray(set.eo_click) && set.eo_click.length === 1, JSON.stringify(set).slice(0, 300));
      const [[header, ...rows]] = await dailyRows(set.eo_click);
      assert.equal(rows.length, 250);
      assert.ok(header.split(",").length > 100);
      for (const topic of ["eo_open", "eo_install", "eo_commerce_event", "eo_dismissal"]) assert.deepEqual(set[topic], [], topic);
    });

  test("what they make of errors", async () => {
    await assert.rejects(runDaily({ ...account, branchSecret: "secret_live_x" }, day), (error) => {
      assert.ok(error instanceof ClientError);
      assert.deepEqual(error.body, { error: { message: "Invalid or missing app id, Branch key, or secret", code: 400 } });
      return true;
    });
    await assert.rejects(runFollower({ ...account, token: "api_app_x" }, asked), (error) => error.status === 401 && error.body.error.code === 401);
    assert.equal(tapWait({ status: 429, body: { errors: [{ message: "Limit is exceeded for org-1, retry after 3418 seconds", error_code: 7 }] } }), 3418);
  });
});
