// SPDX-License-Identifier: Apache-2.0
// The export of one app-day, 21 of 66 columns: milkrun's pipeline, DuckDB's COPY, ClickHouse and PostgreSQL
// on the same rows, in turn. What each is given is in its favour: see docs/performance.md.
import { join } from "node:path";
import { mkdirSync, rmSync } from "node:fs";

import { bytesBelow, median, note, printTable, run, waitForQuiet } from "./machine.mjs";
import { copyOut, psql, startPostgres, stopPostgres } from "./postgres.mjs";
import { backfill, startServer, stopServer, subscribe } from "./server.mjs";

const here = import.meta.dirname ?? new URL(".", import.meta.url).pathname;

export const FIELDS = ["id", "timestamp", "name", "user_data_os", "user_data_os_version", "user_data_model",
  "user_data_brand", "user_data_geo_country_code", "user_data_geo_city_en", "user_data_language", "user_data_platform",
  "user_data_user_agent", "user_data_ip", "last_attributed_touch_data_tilde_campaign",
  "last_attributed_touch_data_tilde_campaign_id", "last_attributed_touch_data_tilde_channel",
  "last_attributed_touch_data_tilde_feature", "last_attributed_touch_data_plus_url",
  "last_attributed_touch_timestamp", "event_data_revenue", "deep_linked"];
const COLUMNS = FIELDS.map((name) => `"${name}"`).join(", ");

// The same fields in another order: an app may not have the same subscription twice.
export function rotateFields(count) {
  return [...FIELDS.slice(count), ...FIELDS.slice(0, count)];
}

const KINDS = {
  "csv.gz": { format: "csv", compression: "gz", duckdb: "FORMAT csv, HEADER, COMPRESSION gzip", chdb: "CSVWithNames" },
  "json.gz": { format: "json", compression: "gz", duckdb: "FORMAT json, COMPRESSION gzip", chdb: "JSONEachRow" },
  "parquet (snappy)": { format: "parquet", compression: "snappy", duckdb: "FORMAT parquet, COMPRESSION snappy",
    chdb: "Parquet", settings: "output_format_parquet_compression_method='snappy'" },
  "parquet (zstd)": { format: "parquet", compression: "zstd", duckdb: "FORMAT parquet, COMPRESSION zstd",
    chdb: "Parquet", settings: "output_format_parquet_compression_method='zstd'" },
};

async function runDuckdb(threads, ...statements) {
  return JSON.parse(await run("node", [join(here, "run_duckdb.mjs"), threads, ...statements]));
}

async function runChdb(directory, ...statements) {
  return JSON.parse((await run("node", [join(here, "run_chdb.mjs"), directory, ...statements])).trim().split("\n").pop());
}

// All rows of the lake in one Parquet file in order of (time, seq), with the names of the fields.
async function makeRows(bench) {
  note("making the rows for the others");
  const rows = join(bench.directory, "rows.parquet");
  const lake = `read_parquet('${bench.data}/lake/**/*.parquet', union_by_name=true, hive_partitioning=false)`;
  const described = await runDuckdb(2, `DESCRIBE SELECT * FROM ${lake}`);
  const columns = described.rows.map((row) => row[0]).filter((name) => !name.startsWith("_"))
    .map((name) => `"${name}" AS "${name.replace(/:.$/, "")}"`);
  await runDuckdb(2, `SET memory_limit='4GB'`, `COPY (SELECT "_app" AS app_id, "_time" AS "timestamp", ${columns.join(", ")}
    FROM ${lake} ORDER BY "_time", "_seq") TO '${rows}' (FORMAT parquet, COMPRESSION snappy)`);
  const [[count, width]] = (await runDuckdb(2, `SELECT (SELECT count(*) FROM '${rows}'),
    (SELECT count(*) FROM (DESCRIBE SELECT * FROM '${rows}'))`)).rows;
  if (Number(count) !== bench.rowCount) throw new Error(`${count} rows in the lake`);
  console.log(`\nRows of the export: ${count}, ${FIELDS.length} of ${width} columns`);
  return rows;
}

async function loadChdb(bench, rows) {
  const directory = join(bench.directory, "chdb");
  await runChdb(directory, "CREATE DATABASE IF NOT EXISTS bench", `CREATE TABLE bench.events ENGINE = MergeTree
    ORDER BY (app_id, timestamp) AS SELECT * REPLACE(assumeNotNull(app_id) AS app_id, assumeNotNull(timestamp) AS timestamp)
    FROM file('${rows}', Parquet)`, "OPTIMIZE TABLE bench.events FINAL");
  return directory;
}

async function loadPostgres(bench, rows) {
  const server = await startPostgres(join(bench.directory, "postgres"));
  const csv = join(bench.directory, "rows.csv");
  await runDuckdb(2, `COPY (SELECT ${COLUMNS} FROM '${rows}') TO '${csv}' (FORMAT csv, HEADER)`);
  const types = { timestamp: "bigint", last_attributed_touch_timestamp: "bigint", event_data_revenue: "double precision",
    deep_linked: "boolean" };
  await psql(server, `CREATE TABLE events (${FIELDS.map((name) => `"${name}" ${types[name] ?? "text"}`).join(", ")})`);
  await psql(server, `\\copy events FROM '${csv}' (FORMAT csv, HEADER)`);
  await psql(server, "VACUUM ANALYZE events");
  rmSync(csv);
  return server;
}

function milkrunCase(bench, kind, threads) {
  const out = join(bench.directory, "out-milkrun");
  return { kind, name: "milkrun", threads, async run() {
    rmSync(out, { recursive: true, force: true });
    const { organization_id: organization, app_id: app } = bench.account;
    return JSON.parse(await run(bench.program("bench_export"), [bench.data, out, organization, app, bench.topic,
      bench.day, bench.day + 86400_000, KINDS[kind].format, KINDS[kind].compression, threads, ...FIELDS]));
  } };
}

function duckdbCase(bench, rows, kind, threads) {
  const out = join(bench.directory, "out-duckdb");
  return { kind, name: "DuckDB COPY", threads, async run() {
    rmSync(out, { force: true });
    const result = await runDuckdb(threads, `COPY (SELECT ${COLUMNS} FROM '${rows}') TO '${out}' (${KINDS[kind].duckdb})`);
    return { ...result, bytes: bytesBelow(out) };
  } };
}

function chdbCase(bench, directory, kind, threads) {
  const text = KINDS[kind].chdb !== "Parquet";
  const out = join(bench.directory, text ? "out-chdb.gz" : "out-chdb.parquet");
  const settings = [`max_threads=${threads}`, KINDS[kind].settings].filter(Boolean).join(", ");
  return { kind, name: "ClickHouse", threads, async run() {
    rmSync(out, { force: true });
    const result = await runChdb(directory, `SELECT ${COLUMNS} FROM bench.events WHERE app_id = ${bench.account.app_id}
      INTO OUTFILE '${out}' FORMAT ${KINDS[kind].chdb} SETTINGS ${settings}`);
    return { ...result, bytes: bytesBelow(out) };
  } };
}

function postgresCase(bench, server, level) {
  const out = join(bench.directory, "out-postgres.gz");
  return { kind: "csv.gz", name: `psql COPY, pigz -p2 -${level}`, threads: 2, async run() {
    const seconds = await copyOut(server, `COPY (SELECT ${COLUMNS} FROM events) TO STDOUT (FORMAT csv, HEADER)`, level, out);
    return { seconds, bytes: bytesBelow(out) };
  } };
}

// Each case once per round, so that a slow minute of the machine touches all of them.
async function runInTurn(cases, rounds) {
  for (const one of cases) one.results = [];
  for (let round = 1; round <= rounds; round++) {
    for (const one of cases) {
      await run("sync", []); // milkrun syncs its file: it must not wait for what others left unwritten
      await waitForQuiet();
      one.results.push(await one.run());
      note(`round ${round}: ${one.kind}, ${one.name}, ${one.threads} threads: ${one.results.at(-1).seconds.toFixed(2)} s`);
    }
  }
}

function of(one, key) {
  const values = one.results.map((result) => result[key]).filter((value) => value !== undefined);
  return values.length > 0 ? median(values) : undefined;
}

function fastest(one) {
  return Math.min(...one.results.map((result) => result.seconds));
}

function tabulate(cases) {
  const rows = [["file", "who", "threads", "seconds (median)", "fastest", "times milkrun", "fastest", "CPU s", "out MB", "peak MB"]];
  for (const one of cases) {
    const ours = cases.find((other) => other.name === "milkrun" && other.kind === one.kind && other.threads === one.threads);
    const cpu = of(one, "cpu_seconds");
    const peak = of(one, "peak_bytes");
    rows.push([one.kind, one.name, one.threads, of(one, "seconds").toFixed(2), fastest(one).toFixed(2),
      (of(one, "seconds") / of(ours, "seconds")).toFixed(2), (fastest(one) / fastest(ours)).toFixed(2), cpu?.toFixed(2) ?? "-", (of(one, "bytes") / 1e6).toFixed(1),
      peak ? (peak / 1e6).toFixed(0) : "-"]);
  }
  printTable("Export of one app-day", rows);
}

// What a client sees: from the backfill call until the job's row says SUCCEEDED.
async function measureThroughApi(bench) {
  const server = await startServer(bench.binary, bench.data, ["--workers", "1"]);
  const rows = [["job seen by a client", "seconds", "lines"]];
  try {
    for (const [index, [kind, { format, compression }]] of Object.entries(KINDS).entries()) {
      const id = await subscribe(server.base, bench.account, { cadence: "daily", report_type: bench.topic,
        response_format: format, response_format_compression: compression,
        report_fields: rotateFields(index) });
      await waitForQuiet();
      const { seconds, jobs } = await backfill(server.base, bench.account, id, bench.day, 1);
      if (jobs[0].lines_exported !== bench.rowCount) throw new Error(`${jobs[0].lines_exported} lines exported`);
      rows.push([kind, seconds.toFixed(2), jobs[0].lines_exported]);
    }
  } finally {
    await stopServer(server);
  }
  printTable("The same through the server: backfill call until SUCCEEDED", rows);
}

export async function measureExports(bench) {
  mkdirSync(bench.directory, { recursive: true });
  const rows = await makeRows(bench);
  const chdb = await loadChdb(bench, rows);
  const postgres = await loadPostgres(bench, rows);
  const cases = [];
  const kinds = process.env.BENCH_KINDS?.split(",") ?? Object.keys(KINDS);
  for (const kind of kinds) {
    for (const threads of [1, 2]) {
      cases.push(milkrunCase(bench, kind, threads), duckdbCase(bench, rows, kind, threads), chdbCase(bench, chdb, kind, threads));
      if (kind === "csv.gz" && threads === 2) cases.push(postgresCase(bench, postgres, 6), postgresCase(bench, postgres, 1));
    }
  }
  try {
    await runInTurn(cases, bench.rounds);
  } finally {
    stopPostgres(postgres);
  }
  tabulate(cases);
  await measureThroughApi(bench);
}
