// SPDX-License-Identifier: Apache-2.0
// What the benchmark's parts share: child processes, files, waiting for a quiet machine, medians, and the
// description of the machine.
import { execFile, execFileSync } from "node:child_process";
import { readFileSync, readdirSync, statSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const OUTPUT_LIMIT_BYTES = 16 * 1024 * 1024;

export function note(text) {
  console.error(`[${new Date().toISOString().slice(11, 19)}] ${text}`);
}

// The standard output of a program that must end with 0.
export function run(program, args, options = {}) {
  return new Promise((resolve, reject) => {
    execFile(program, args.map(String), { maxBuffer: OUTPUT_LIMIT_BYTES, ...options }, (error, stdout, stderr) => {
      if (error) reject(new Error(`${program}: ${stderr || error.message}`));
      else resolve(stdout);
    });
  });
}

export function bytesBelow(path) {
  const status = statSync(path);
  if (!status.isDirectory()) return status.size;
  return readdirSync(path).reduce((sum, name) => sum + bytesBelow(join(path, name)), 0);
}

function readBusyTicks() {
  const ticks = readFileSync("/proc/stat", "utf8").split("\n")[0].split(/\s+/).slice(1, 9).map(Number);
  const total = ticks.reduce((sum, value) => sum + value, 0);
  return { total, busy: total - ticks[3] - ticks[4] };
}

// Returns when others use less than a tenth of the machine, or after the limit.
export async function waitForQuiet(limitSeconds = Number(process.env.BENCH_QUIET_S ?? 20)) {
  for (const until = Date.now() + limitSeconds * 1000; Date.now() < until;) {
    const before = readBusyTicks();
    await sleep(250);
    const after = readBusyTicks();
    if ((after.busy - before.busy) / (after.total - before.total) < 0.1) return;
  }
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export function versionOf(program, args) {
  try {
    return execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }).split("\n")[0].trim();
  } catch {
    return `${program}: unknown`;
  }
}

export function describeMachine() {
  const release = /PRETTY_NAME="(.*)"/.exec(readFileSync("/etc/os-release", "utf8"));
  const kernel = readFileSync("/proc/sys/kernel/osrelease", "utf8").trim();
  const flags = ["avx512f", "avx2", "sha_ni"].filter((flag) =>
    new RegExp(`^flags.*\\b${flag}\\b`, "m").test(readFileSync("/proc/cpuinfo", "utf8")));
  return `${cpus().length} x ${cpus()[0].model.trim()} (${flags.join(", ")}), ` +
    `${Math.round(totalmem() / 2 ** 30)} GiB, ${release?.[1]}, Linux ${kernel}`;
}

// A Markdown table; the first row is its head.
export function printTable(title, rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => String(row[column]).length)));
  const line = (row) => `| ${row.map((cell, i) => String(cell).padEnd(widths[i])).join(" | ")} |`;
  console.log(`\n### ${title}\n`);
  console.log([line(rows[0]), `|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`,
    ...rows.slice(1).map(line)].join("\n"));
}
