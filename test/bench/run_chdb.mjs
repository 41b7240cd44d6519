// SPDX-License-Identifier: Apache-2.0
// Runs statements in ClickHouse (chDB) over a data directory, in a process of its own, and prints what the
// last one took.
//
// usage: node run_chdb.mjs DIRECTORY STATEMENT...
import { Session } from "chdb";

const [directory, ...statements] = process.argv.slice(2);
const session = new Session(directory);
const last = statements.pop();
for (const statement of statements) session.query(statement, "TSV");
const before = process.cpuUsage();
const start = performance.now();
const text = String(session.query(last, "TSV"));
const seconds = (performance.now() - start) / 1000;
const { user, system } = process.cpuUsage(before);
console.log(JSON.stringify({ text, seconds, cpu_seconds: (user + system) / 1e6,
  peak_bytes: process.resourceUsage().maxRSS * 1024 }));
process.exit(0);
