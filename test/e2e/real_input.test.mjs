// SPDX-License-Identifier: Apache-2.0
// A web server's access log of 84 hours, imported as a file: hourly CSV and daily Parquet equal what is
// counted straight from the lines.
import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";

import { Api, DAY_MS, HOUR_MS } from "./lib/api.mjs";
import { makeRandom } from "./lib/events.mjs";
import { Oracle, assertExported } from "./lib/oracle.mjs";
import { Server, runBinary, stopAll } from "./lib/server.mjs";
import { temporaryDirectory } from "./lib/temp.mjs";

const fields = ["timestamp", "client_ip", "method", "path", "protocol", "status", "bytes", "referrer", "user_agent"];
const types = { timestamp: "timestamp", status: "long", bytes: "long" };

after(stopAll);

const agents = ["Mozilla/5.0 (X11; Linux x86_64; rv:24.0) Gecko/20140205 Firefox/24.0", 'Odd "quoted" agent, with comma', "Googlebot/2.1 (+http://www.google.com/bot.html)"];

// One line as a web server writes it; a few lines occur twice, which are two requests.
function makeLog(seed, count) {
  const random = makeRandom(seed);
  const from = Date.parse("2015-05-17T10:05:03Z");
  const until = Date.parse("2015-05-20T21:05:59Z");
  const lines = Array.from({ length: count }, (_, index) => {
    const seconds = Math.floor((from + ((until - from) * index) / (count - 1)) / 1000);
    return JSON.stringify({ timestamp: new Date(seconds * 1000).toISOString().replace(".000Z", "Z"), client_ip: `${random.below(223) + 1}.${random.below(256)}.0.${random.below(256)}`,
      method: random.pick(["GET", "GET", "HEAD", "POST"]), path: random.pick(["/", "/images/jordan-80.png", "/search?q=%E2%9C%93&x=1,2", "/blog/tags/ünï"]),
      protocol: "HTTP/1.1", status: random.pick([200, 200, 304, 404, 500]), bytes: random.below(5) ? random.below(70_000_000) : null,
      referrer: random.below(3) ? "http://www.semicomplete.com/" : null, user_agent: random.pick(agents) });
  });
  for (let index = 100; index < count; index += 500) lines.splice(index, 0, lines[index]);
  return lines;
}

function readLog() {
  const file = process.env.MILKRUN_TEST_ACCESS_LOG;
  if (file && existsSync(file)) return gunzipSync(readFileSync(file)).toString("utf8").trim().split("\n");
  return makeLog(2015, 10_000);
}

test("every window's rows are those of the log", async () => {
  const lines = readLog();
  const server = await Server.start();
  const api = new Api(server);
  const file = join(temporaryDirectory("log"), "web_access.ndjson.gz");
  writeFileSync(file, gzipSync(`${lines.join("\n")}\n`));
  const result = runBinary(["import", "--url", server.base, "--token", api.token, "--app", api.appId, "--topic", "web_access", file]);
  assert.equal(result.status, 0, result.stderr);
  const oracle = new Oracle(types);
  oracle.add(lines.map((line) => JSON.parse(line)));

  const start = Date.parse("2015-05-17T00:00:00Z");
  const end = start + 4 * DAY_MS;
  const hourly = { cadence: "hourly", response_format: "csv", report_type: "web_access", report_fields: fields };
  const daily = { ...hourly, cadence: "daily", response_format: "parquet" };
  const [hours, days] = await Promise.all([api.exportRange(hourly, start, end), api.exportRange(daily, start, end)]);
  await assertExported(api, { id: hours.id, report: hourly, oracle, start, end, stepMs: HOUR_MS, jobs: hours.jobs });
  await assertExported(api, { id: days.id, report: daily, oracle, start, end, stepMs: DAY_MS, jobs: days.jobs });

  const perHour = new Map();
  for (const line of lines) {
    const hour = JSON.parse(line).timestamp.slice(0, 13);
    perHour.set(hour, (perHour.get(hour) ?? 0) + 1);
  }
  const filled = hours.jobs.filter((job) => job.lines_exported > 0);
  assert.equal(filled.length, 84);
  for (const job of filled) assert.equal(job.lines_exported, perHour.get(job.start_date.slice(0, 13)), job.start_date);
  assert.equal(days.jobs.reduce((sum, job) => sum + job.lines_exported, 0), lines.length);
  await server.stop();
});
