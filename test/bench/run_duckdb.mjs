// SPDX-License-Identifier: Apache-2.0
// Runs statements in DuckDB, in a process of its own, and prints what the last one took.
//
// usage: node run_duckdb.mjs THREADS STATEMENT...
import { DuckDBInstance } from "@duckdb/node-api";

const [threads, ...statements] = process.argv.slice(2);
const connection = await (await DuckDBInstance.create(":memory:", { threads })).connect();
const last = statements.pop();
for (const statement of statements) await connection.run(statement);
const before = process.cpuUsage();
const start = performance.now();
const rows = (await connection.runAndReadAll(last)).getRowsJson();
const seconds = (performance.now() - start) / 1000;
const { user, system } = process.cpuUsage(before);
console.log(JSON.stringify({ rows, seconds, cpu_seconds: (user + system) / 1e6,
  peak_bytes: process.resourceUsage().maxRSS * 1024 }));
