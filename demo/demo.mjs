// SPDX-License-Identifier: Apache-2.0
// The main job from end to end, as a person would do it by hand: events go in over HTTP, a customer
// subscribes, jobs run, files are downloaded by their pre-signed URLs and checked row by row against what
// was sent. Ends with 0 when everything was right.
//
// usage: node demo.mjs PATH_OF_MILKRUN [--stay]
import { createHash } from "node:crypto";
import { gunzipSync, gzipSync } from "node:zlib";

import { parseCsv } from "./csv.mjs";
import { makeEvents } from "./events.mjs";
import { startServer, stopServer } from "./server.mjs";

const HOUR_MS = 3600_000;
const DAY_MS = 24 * HOUR_MS;
const CSV_FIELDS = ["timestamp", "id", "name", "user_data_os", "user_data_geo_city_en",
  "last_attributed_touch_data_tilde_campaign", "deep_linked", "app_id"];
const PARQUET_FIELDS = ["timestamp", "id", "name", "event_data_revenue", "event_data_currency",
  "content_items", "custom_data"];

const binary = process.argv[2];
const mustStay = process.argv.includes("--stay");
const isTerminal = process.stdout.isTTY === true;
let stepNumber = 0;

function step(title) {
  console.log(`\n${isTerminal ? "\x1b[1m" : ""}${++stepNumber}. ${title}${isTerminal ? "\x1b[0m" : ""}`);
}

function showCurl(line) {
  console.log(`   $ ${line}`);
}

function check(condition, message) {
  if (!condition) throw new Error(`check failed: ${message}`);
}

async function call(server, method, path, { token, body, headers } = {}) {
  const response = await fetch(server.base + path, {
    method,
    headers: { "Access-Token": token ?? server.account.access_token, ...headers },
    body: body === undefined || Buffer.isBuffer(body) ? body : JSON.stringify(body),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return JSON.parse(text);
}

async function ingest(server, appId, topic, events) {
  const body = gzipSync(events.map((event) => JSON.stringify(event)).join("\n") + "\n");
  const reply = await call(server, "POST", `/v1/events/${topic}?app_id=${appId}`, {
    body, headers: { "Content-Type": "application/x-ndjson", "Content-Encoding": "gzip" },
  });
  check(reply.accepted === events.length, `${reply.accepted} of ${events.length} events accepted`);
  return reply.accepted;
}

async function subscribe(server, appId, report) {
  const created = await call(server, "POST", `/scheduled-exports/logs/subscribe?app_id=${appId}`,
    { body: { report, destination: { subscription_type: "branch" } } });
  const path = `/scheduled-exports/logs/subscription/${created.subscription_id}?app_id=${appId}`;
  for (const until = Date.now() + 30_000; ;) {
    const { report: { subscription_status: status } } = await call(server, "GET", path);
    if (status === "ACTIVE") return created.subscription_id;
    check(status === "PENDING" && Date.now() < until, `subscription is ${status}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function waitForJobs(server, appId, subscriptionId, count) {
  const path = `/scheduled-exports/logs/subscription/${subscriptionId}/jobs?app_id=${appId}`;
  for (const until = Date.now() + 120_000; ;) {
    const jobs = await call(server, "POST", path);
    const done = jobs.filter((job) => job.status === "SUCCEEDED").length;
    if (isTerminal) {
      const bar = "#".repeat(Math.floor((done / count) * 30)).padEnd(30, ".");
      process.stdout.write(`\r   [${bar}] ${done} of ${count} jobs SUCCEEDED `);
    }
    check(!jobs.some((job) => job.status === "FAILED"), "no job FAILED");
    if (done === count) {
      console.log(isTerminal ? "" : `   ${done} of ${count} jobs SUCCEEDED`);
      return jobs;
    }
    check(Date.now() < until, `only ${done} of ${count} jobs are done`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function download(url) {
  const response = await fetch(url);
  check(response.status === 200, `download answers ${response.status}`);
  return Buffer.from(await response.arrayBuffer());
}

function csvValue(event, field, appId) {
  if (field === "app_id") return appId;
  const value = event[field];
  return value === null || value === undefined ? null : String(value);
}

// Every row of every file is one event that was sent, and the other way round.
async function checkCsvJobs(jobs, events, appId) {
  let rowCount = 0;
  for (const job of jobs) {
    const from = Date.parse(job.start_date.slice(0, 23) + "Z");
    const until = Date.parse(job.end_date.slice(0, 23) + "Z");
    const expected = events
      .filter((event) => event.timestamp >= from && event.timestamp < until)
      .map((event) => CSV_FIELDS.map((field) => csvValue(event, field, appId)));
    const rows = [];
    for (const url of job.export_url) {
      const [header, ...body] = parseCsv(gunzipSync(await download(url)).toString("utf8"));
      check(JSON.stringify(header) === JSON.stringify(CSV_FIELDS), "header as asked");
      rows.push(...body);
    }
    check(rows.length === job.lines_exported, `lines_exported of ${job.job_id}`);
    const text = (list) => list.map((row) => JSON.stringify(row)).sort().join("\n");
    check(text(rows) === text(expected), `rows of ${job.start_date}`);
    rowCount += rows.length;
  }
  return rowCount;
}

async function showFirstRows(job) {
  const text = gunzipSync(await download(job.export_url[0])).toString("utf8");
  for (const line of text.split("\n").slice(0, 4)) console.log(`   | ${line.slice(0, 150)}`);
}

function makeTraffic(apps, now) {
  return [
    { app: apps[0], topic: "eo_click", seed: 1, count: 12_000 },
    { app: apps[0], topic: "eo_commerce_event", seed: 2, count: 4_000 },
    { app: apps[1], topic: "eo_click", seed: 3, count: 3_000 },
  ].map((part) => ({ ...part, events: makeEvents({ ...part, now, hours: 26 }) }));
}

async function ingestTraffic(server, traffic) {
  step("Ingest events of the past 26 hours: three streams, two apps, NDJSON over HTTP");
  showCurl(`curl -H "Access-Token: $TOKEN" -H "Content-Type: application/x-ndjson" --data-binary @clicks.ndjson \\`);
  showCurl(`  "${server.base}/v1/events/eo_click?app_id=${traffic[0].app}"`);
  const started = Date.now();
  let count = 0;
  for (const part of traffic) {
    for (let i = 0; i < part.events.length; i += 2000)
      count += await ingest(server, part.app, part.topic, part.events.slice(i, i + 2000));
  }
  console.log(`   ${count} events are durable (${Date.now() - started} ms)`);
}

async function runHourlyCsv(server, appId, events, now) {
  step("Subscribe: clicks, hourly, CSV.gz");
  showCurl(`curl -X POST -H "Access-Token: $TOKEN" "${server.base}/scheduled-exports/logs/subscribe?app_id=${appId}" \\`);
  showCurl(`  -d '{"report":{"cadence":"hourly","response_format":"csv","report_type":"eo_click","report_fields":["timestamp","id",...]},"destination":{"subscription_type":"branch"}}'`);
  const id = await subscribe(server, appId, {
    cadence: "hourly", response_format: "csv", report_type: "eo_click", report_fields: CSV_FIELDS });
  console.log(`   subscription ${id} is ACTIVE`);

  step("Backfill the 24 hours before this one");
  const end = Math.floor(now / HOUR_MS) * HOUR_MS;
  const range = { start_date: new Date(end - DAY_MS).toISOString(), end_date: new Date(end).toISOString() };
  showCurl(`curl -X POST -H "Access-Token: $TOKEN" "${server.base}/v1/subscriptions/${id}/backfill" -d '${JSON.stringify(range)}'`);
  const backfill = await call(server, "POST", `/v1/subscriptions/${id}/backfill`, { body: range });
  console.log(`   ${backfill.windows} windows, ${backfill.created} jobs made`);
  const jobs = await waitForJobs(server, appId, id, backfill.windows);

  step("List the jobs with the documented call and download by pre-signed URL");
  showCurl(`curl -X POST -H "Access-Token: $TOKEN" "${server.base}/scheduled-exports/logs/subscription/${id}/jobs?app_id=${appId}"`);
  console.log(JSON.stringify({ ...jobs[0], export_url: [jobs[0].export_url[0].slice(0, 110) + "..."] }, null, 2)
    .replace(/^/gm, "   "));
  showCurl(`curl -o clicks.csv.gz "$EXPORT_URL"`);
  await showFirstRows(jobs[0]);
  const rowCount = await checkCsvJobs(jobs, events, appId);
  const expected = events.filter((event) => event.timestamp >= end - DAY_MS && event.timestamp < end).length;
  check(rowCount === expected, "rows of all hours");
  console.log(`   checked: ${jobs.length} files hold exactly the ${rowCount} clicks that were sent, each once`);
  return id;
}

async function runDailyParquet(server, appId, events, now) {
  step("Subscribe: commerce events, daily, Parquet (snappy); backfill yesterday");
  const id = await subscribe(server, appId, {
    cadence: "daily", response_format: "parquet", response_format_compression: "snappy",
    report_type: "eo_commerce_event", report_fields: PARQUET_FIELDS, filter: ["gt", "event_data_revenue", 50] });
  const end = Math.floor(now / DAY_MS) * DAY_MS;
  await call(server, "POST", `/v1/subscriptions/${id}/backfill`, {
    body: { start_date: new Date(end - DAY_MS).toISOString(), end_date: new Date(end).toISOString() } });
  const [job] = await waitForJobs(server, appId, id, 1);
  showCurl(`curl -H "Access-Token: $TOKEN" "${server.base}/v1/jobs/${job.job_id}/manifest"`);
  const manifest = await call(server, "GET", `/v1/jobs/${job.job_id}/manifest`);
  const bytes = await download(job.export_url[0]);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  check(sha256 === manifest.files[0].sha256, "SHA-256 of the file is that of the manifest");
  check(bytes.subarray(0, 4).toString() === "PAR1" && bytes.subarray(-4).toString() === "PAR1", "Parquet magic");
  const expected = events.filter((event) => event.timestamp >= end - DAY_MS && event.timestamp < end &&
    event.event_data_revenue > 50).length;
  check(manifest.rows === expected && job.lines_exported === expected, `${manifest.rows} of ${expected} rows`);
  console.log(`   checked: ${bytes.length} bytes, ${expected} rows with revenue over 50, SHA-256 ${sha256.slice(0, 16)}...`);
}

function showHowToGoOn(server) {
  console.log(`\nThe server stays. In another terminal:

  export TOKEN=${server.account.access_token} APP=${server.account.app_id}
  curl -H "Access-Token: $TOKEN" "${server.base}/scheduled-exports/logs/subscriptions?app_id=$APP"
  curl ${server.base}/metrics

Its data is in ${server.data}, its log in ${server.log}. Ctrl-C ends it and removes both.`);
}

async function main() {
  const now = Date.now();
  step("Make a data directory and start the server");
  showCurl("milkrun init --data DIR");
  showCurl("milkrun serve --data DIR --listen 127.0.0.1:0");
  const server = await startServer(binary, ["--listen", "127.0.0.1:0"]);
  try {
    console.log(`   listening on ${server.base}`);
    const { app_id: second } = await call(server, "POST", "/v1/admin/apps", {
      token: server.account.admin_token,
      body: { organization_id: server.account.organization_id, name: "second app" } });
    const traffic = makeTraffic([server.account.app_id, second], now);
    await ingestTraffic(server, traffic);
    await runHourlyCsv(server, traffic[0].app, traffic[0].events, now);
    await runDailyParquet(server, traffic[1].app, traffic[1].events, now);
    console.log(`\nAll checks passed in ${((Date.now() - now) / 1000).toFixed(1)} s.`);
    if (mustStay) {
      showHowToGoOn(server);
      await new Promise((resolve) => process.once("SIGINT", resolve));
    }
  } finally {
    await stopServer(server);
  }
}

main().catch((error) => {
  console.error(`\n${error.message}`);
  process.exitCode = 1;
});
