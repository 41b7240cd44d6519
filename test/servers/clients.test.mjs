// SPDX-License-Identifier: Apache-2.0
// Programs that people really use against the hosted bucket: curl and wget download by pre-signed URL, in
// one go, in ranges, and resumed after a cut.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { makeEvents } from "../../demo/events.mjs";
import { startServer, stopServer } from "../../demo/server.mjs";

const HOUR_MS = 3600_000;
const binary = process.env.MILKRUN_BIN ?? "build/milkrun";
let server;
let folder;
let url;
let sha256;

async function call(method, path, body) {
  const response = await fetch(server.base + path, {
    method, body, headers: { "Access-Token": server.account.access_token, "Content-Type": "application/x-ndjson" } });
  assert.equal(response.status, 200, await response.clone().text());
  return response.json();
}

async function waitFor(probe) {
  for (const until = Date.now() + 30_000; Date.now() < until; await new Promise((done) => setTimeout(done, 50))) {
    const found = await probe();
    if (found) return found;
  }
  throw new Error("waited for 30 s");
}

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "milkrun-clients-"));
  server = await startServer(binary, ["--listen", "127.0.0.1:0"]);
  const app = server.account.app_id;
  const now = Math.floor(Date.now() / HOUR_MS) * HOUR_MS - 1;
  const events = makeEvents({ seed: 1, topic: "eo_click", count: 20_000, now, hours: 1 });
  await call("POST", `/v1/events/eo_click?app_id=${app}`, events.map((event) => JSON.stringify(event)).join("\n"));
  const { subscription_id: id } = await call("POST", `/scheduled-exports/logs/subscribe?app_id=${app}`,
    JSON.stringify({ report: { cadence: "hourly", response_format: "csv", report_type: "eo_click",
      report_fields: ["timestamp", "id", "user_data_user_agent"] }, destination: { subscription_type: "branch" } }));
  const start = new Date(now + 1 - HOUR_MS).toISOString();
  await call("POST", `/v1/subscriptions/${id}/backfill`,
    JSON.stringify({ start_date: start, end_date: new Date(now + 1).toISOString() }));
  const job = await waitFor(async () => (await call("POST",
    `/scheduled-exports/logs/subscription/${id}/jobs?app_id=${app}`)).find((one) => one.status === "SUCCEEDED"));
  assert.equal(job.lines_exported, 20_000);
  [url] = job.export_url;
  [sha256] = job.sha256;
});

after(async () => {
  await stopServer(server);
  rmSync(folder, { recursive: true });
});

function assertDownloaded(path) {
  assert.equal(createHash("sha256").update(readFileSync(path)).digest("hex"), sha256);
}

test("curl downloads the file", () => {
  const path = join(folder, "curl.csv.gz");
  execFileSync("curl", ["--silent", "--fail", "--output", path, url]);
  assertDownloaded(path);
});

test("curl goes on where a download was cut", () => {
  const path = join(folder, "resume.csv.gz");
  execFileSync("curl", ["--silent", "--fail", "--output", path, url]);
  truncateSync(path, 1000);
  execFileSync("curl", ["--silent", "--fail", "--continue-at", "-", "--output", path, url]);
  assertDownloaded(path);
});

test("wget downloads and goes on", () => {
  const path = join(folder, "wget.csv.gz");
  execFileSync("wget", ["--quiet", "--output-document", path, url]);
  assertDownloaded(path);
  truncateSync(path, 12_345);
  execFileSync("wget", ["--quiet", "--continue", "--output-document", path, url]);
  assertDownloaded(path);
});

test("curl fails on a changed URL", () => {
  assert.throws(() => execFileSync("curl", ["--silent", "--fail", "--output", "/dev/null", url.slice(0, -1) + "!"]));
});

test("gzip accepts the file", () => {
  const path = join(folder, "curl.csv.gz");
  execFileSync("gzip", ["--test", path]);
});
