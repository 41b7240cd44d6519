// SPDX-License-Identifier: Apache-2.0
// `make bench`: what milkrun does with one day of one app, beside what others do with the same rows on the
// same machine, in turn. Prints tables for docs/performance.md on standard output, progress on standard error.
//
// usage: node bench.mjs BUILD_DIRECTORY
//
//   BENCH_ROWS (1111797)   rows of the app's day        BENCH_ROUNDS (3)   runs of each case; medians are shown
//   BENCH_QUIET_S (20)     longest wait for a quiet machine before a run
//   BENCH_DIR (a new one)  where to work; removed again only when it was made here
//   BENCH_KINDS            "csv.gz,json.gz,parquet (snappy),parquet (zstd)": files to export
//   BENCH_ONLY             ingest,export,http: parts to run (the events always go in first)
import { execFileSync } from "node:child_process";
import { chmodSync, closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { measureExports } from "./exports.mjs";
import { measureHttp } from "./http_peers.mjs";
import { load, sendFile } from "./ingest.mjs";
import { bytesBelow, describeMachine, note, printTable, run, versionOf, waitForQuiet } from "./machine.mjs";
import { initData, startServer, stopServer } from "./server.mjs";

const DAY_MS = 86400_000;
const TOPIC = "eo_click";
const SMALL_BATCH_LINES = 100;
const SMALL_BATCH_SECONDS = 5;

const build = resolve(process.argv[2] ?? "build");
const bench = {
  binary: join(build, "milkrun"),
  program: (name) => join(build, "test/bench", name),
  rowCount: Number(process.env.BENCH_ROWS ?? 1111797),
  rounds: Number(process.env.BENCH_ROUNDS ?? 3),
  day: Math.floor(Date.now() / DAY_MS) * DAY_MS - DAY_MS,
  directory: process.env.BENCH_DIR ?? mkdtempSync(join(tmpdir(), "milkrun-bench-")),
  topic: TOPIC,
};
const parts = (process.env.BENCH_ONLY ?? "ingest,export,http").split(",");

function eventsUrl(base, account) {
  return `${base}/v1/events/${TOPIC}?app_id=${account.app_id}`;
}

function makeEvents() {
  note(`making ${bench.rowCount} events`);
  bench.events = join(bench.directory, "events.ndjson");
  const fd = openSync(bench.events, "w");
  execFileSync(bench.program("bench_events"), [bench.rowCount, 1, bench.day].map(String),
    { stdio: ["ignore", fd, "inherit"] });
  closeSync(fd);
}

// The events go in while nothing seals; then sealing is timed on its own.
async function fillLake(results) {
  note("ingesting and sealing");
  bench.data = join(bench.directory, "data");
  bench.account = initData(bench.binary, bench.data);
  const server = await startServer(bench.binary, bench.data, ["--roles", "api"]);
  await waitForQuiet();
  const { rows, seconds } = await sendFile(bench.events, eventsUrl(server.base, bench.account),
    bench.account.access_token, 4);
  if (rows !== bench.rowCount) throw new Error(`${rows} of ${bench.rowCount} rows accepted`);
  await sleep(2500); // the last file of the log closes a second after its first batch
  await stopServer(server);
  await waitForQuiet();
  const seal = JSON.parse(await run(bench.program("bench_seal"), [bench.data]));
  if (seal.rows !== bench.rowCount) throw new Error(`${seal.rows} of ${bench.rowCount} rows sealed`);
  const bytes = bytesBelow(bench.events);
  results.push(["4 connections, batches of 4 MiB", rate(rows / seconds), (bytes / seconds / 1e6).toFixed(0), "-", "-"]);
  results.push([`seal (one process, ${seal.steps} steps, ${megabytes(bytesBelow(join(bench.data, "lake")))} MB lake)`,
    rate(seal.rows / seal.seconds), (bytes / seal.seconds / 1e6).toFixed(0), "-", megabytes(seal.peak_bytes)]);
}

function rate(perSecond) {
  return `${Math.round(perSecond / 1000)} k`;
}

function megabytes(bytes) {
  return (bytes / 1e6).toFixed(0);
}

// Peak memory of the processes that a server consists of.
function peakOf(pid) {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(/\s+/);
  return Math.max(...[pid, ...children].filter(Boolean).map((id) =>
    1024 * Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${id}/status`, "utf8"))?.[1] ?? 0)));
}

// Another data directory: these events are not exported.
async function ingestSmallBatches(results) {
  const data = join(bench.directory, "small");
  const account = initData(bench.binary, data);
  const body = execFileSync(bench.program("bench_events"), [SMALL_BATCH_LINES, 2, bench.day].map(String));
  for (const connections of [1, 16, 64]) {
    const server = await startServer(bench.binary, data, ["--roles", "api"]);
    await waitForQuiet();
    note(`ingesting small batches over ${connections} connections`);
    const { perSecond, p99Ms } = await load(eventsUrl(server.base, account), { method: "POST",
      token: account.access_token, body, connections, seconds: SMALL_BATCH_SECONDS,
      script: join(bench.directory, "small.lua") });
    const peak = peakOf(server.child.pid);
    await stopServer(server);
    results.push([`${connections} connections, batches of ${SMALL_BATCH_LINES} lines (${perSecond.toFixed(0)} requests/s)`,
      rate(perSecond * SMALL_BATCH_LINES), (perSecond * body.length / 1e6).toFixed(0), p99Ms.toFixed(1), megabytes(peak)]);
  }
  rmSync(data, { recursive: true, force: true });
}

async function main() {
  console.log(`Machine: ${describeMachine()}`);
  console.log(`Versions: ${[versionOf(bench.binary, ["--version"]), `node ${process.version}`,
    versionOf("psql", ["--version"]), versionOf("pigz", ["--version"])].join("; ")}`);
  mkdirSync(bench.directory, { recursive: true });
  chmodSync(bench.directory, 0o711); // PostgreSQL runs as another user
  makeEvents();
  console.log(`Events: ${bench.rowCount} rows, 66 columns, ${megabytes(bytesBelow(bench.events))} MB as NDJSON`);
  const results = [["ingest (each batch durable before its answer)", "rows/s", "MB/s", "p99 ms", "peak MB"]];
  await fillLake(results);
  if (parts.includes("ingest")) await ingestSmallBatches(results);
  printTable("Ingest", results);
  if (parts.includes("export")) await measureExports(bench);
  if (parts.includes("http")) await measureHttp(bench);
}

for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));
try {
  await main();
} finally {
  if (process.env.BENCH_DIR === undefined) rmSync(bench.directory, { recursive: true, force: true });
}
