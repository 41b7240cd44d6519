// SPDX-License-Identifier: Apache-2.0
// The oracle: from what was sent and acknowledged alone, the rows that each window of a subscription must
// hold, and the comparison with what was delivered.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";

import { readDate } from "./api.mjs";
import { canonical, readFile } from "./files.mjs";
import { matches } from "./filter.mjs";

export class Oracle {
  constructor(types) {
    this.types = types;
    this.events = [];
  }

  // Events that the server acknowledged, in the order of acknowledgement.
  add(events) {
    for (const event of events) this.events.push({ at: Number(canonical(event.timestamp, "timestamp")), row: this.canonicalRow(event) });
  }

  canonicalRow(event) {
    return Object.fromEntries(Object.entries(event).map(([field, value]) => [field, canonical(value, this.types[field])]));
  }

  // In (timestamp, order of acknowledgement).
  expected(report, start, end, isWanted = (row) => matches(report.filter, row, this.types)) {
    return this.events
      .filter(({ at, row }) => at >= start && at < end && isWanted(row))
      .sort((a, b) => a.at - b.at)
      .map(({ row }) => project(row, report.report_fields));
  }
}

function project(row, fields) {
  return Object.fromEntries(fields.map((field) => [field, row[field] ?? null]));
}

export const rowText = (row, fields) => JSON.stringify(fields.map((field) => row[field] ?? null));

export function assertSameRows(actual, expected, fields, label) {
  const left = actual.map((row) => rowText(row, fields)).sort();
  const right = expected.map((row) => rowText(row, fields)).sort();
  if (left.length === right.length && left.every((text, index) => text === right[index])) return;
  const { missing, extra } = difference(left, right);
  assert.fail(`${label}: ${left.length} rows, expected ${right.length}; missing ${missing.length}: ${missing.slice(0, 3).join(" ")}; ` +
    `too many ${extra.length}: ${extra.slice(0, 3).join(" ")}`);
}

function difference(actual, expected) {
  const counts = new Map();
  for (const text of expected) counts.set(text, (counts.get(text) ?? 0) + 1);
  const extra = actual.filter((text) => {
    const left = counts.get(text) ?? 0;
    counts.set(text, left - 1);
    return left <= 0;
  });
  const missing = [...counts].filter(([, count]) => count > 0).map(([text]) => text);
  return { missing, extra };
}

export const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

// Rows of a SUCCEEDED job's files, after checking files against the manifest and the job body.
export async function readJob(api, job, report, types) {
  assert.equal(job.status, "SUCCEEDED", `job ${job.job_id} ${job.start_date}: ${JSON.stringify(job)}`);
  const [manifest, files] = await Promise.all([api.manifest(job.job_id), api.downloadJob(job)]);
  assert.equal(manifest.files.length, files.length, "one manifest entry for each URL");
  const rows = [];
  for (const [index, bytes] of files.entries()) {
    const entry = manifest.files[index];
    const file = await readFile(bytes, report, types);
    const wantsHeader = report.response_format !== "json" || file.rows.length > 0;
    if (wantsHeader && report.report_fields[0] !== "all") assert.deepEqual(file.header, report.report_fields, "columns as asked, in that order");
    assert.equal(bytes.length, entry.bytes, `bytes of ${entry.key}`);
    assert.equal(sha256(bytes), entry.sha256, `SHA-256 of ${entry.key}`);
    assert.equal(file.rows.length, entry.rows, `rows of ${entry.key}`);
    rows.push(...file.rows);
  }
  assert.equal(manifest.rows, rows.length, "manifest rows");
  assert.equal(manifest.bytes, files.reduce((sum, bytes) => sum + bytes.length, 0), "manifest bytes");
  assert.equal(job.lines_exported, rows.length, "lines_exported");
  return { rows, files, manifest };
}

// Every window of [start, end) has jobs, and they hold exactly the expected rows, each once.
export async function assertExported(api, { id, report, oracle, start, end, stepMs, jobs, isOrdered = true }) {
  const list = jobs ?? (await api.jobs(id));
  const byStart = Map.groupBy ? Map.groupBy(list, (job) => readDate(job.start_date)) : groupBy(list);
  for (let at = start; at < end; at += stepMs) {
    const label = `window ${new Date(at).toISOString()}`;
    const revisions = byStart.get(at) ?? [];
    assert.ok(revisions.length > 0, `${label} has no job`);
    const rows = [];
    for (const job of revisions.sort((a, b) => (a.revision ?? 0) - (b.revision ?? 0))) {
      assert.equal(readDate(job.end_date), at + stepMs, `${label}: end_date`);
      rows.push(...(await readJob(api, job, report, oracle.types)).rows);
    }
    const expected = oracle.expected(report, at, at + stepMs);
    assertSameRows(rows, expected, report.report_fields, label);
    if (isOrdered && revisions.length === 1)
      assert.deepEqual(rows.map((row) => rowText(row, report.report_fields)), expected.map((row) => rowText(row, report.report_fields)),
        `${label}: rows in (timestamp, ingest) order`);
  }
  return list;
}

function groupBy(jobs) {
  const result = new Map();
  for (const job of jobs) result.set(readDate(job.start_date), [...(result.get(readDate(job.start_date)) ?? []), job]);
  return result;
}
