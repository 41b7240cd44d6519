// SPDX-License-Identifier: Apache-2.0
// A window of 10 million rows: every row arrives once and in order, and no process of the server passes its
// stated memory, whatever the window's size. BIG_WINDOW_ROWS makes it smaller or larger.
import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { after, test } from "node:test";
import { createGunzip } from "node:zlib";

import { Api, DAY_MS } from "./lib/api.mjs";
import { Server, memoryKib, stopAll } from "./lib/server.mjs";

const ROWS = Number(process.env.BIG_WINDOW_ROWS ?? 10_000_000);
const BATCH_ROWS = 500_000;
const DAY = Date.parse("2026-03-01T00:00:00Z");
const WORKER_KIB = 512 * 1024;

after(stopAll);

const timeOf = (row) => DAY + Math.floor((row * DAY_MS) / ROWS);

function makeBatch(first, count) {
  const lines = new Array(count);
  for (let i = 0; i < count; i++) {
    const row = first + i;
    lines[i] = `{"timestamp":${timeOf(row)},"id":"${row}","kind":"k${row % 7}","amount":${(row % 1000) / 4}}\n`;
  }
  return lines.join("");
}

// Checks that the lines are rows 0, 1, 2, ... without keeping them.
async function countInOrder(bytes) {
  let rest = "";
  let row = -1; // the header comes first
  for await (const chunk of Readable.from([bytes]).pipe(createGunzip())) {
    const lines = (rest + chunk.toString("latin1")).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (row >= 0 && line !== `${timeOf(row)},${row}`) assert.fail(`row ${row} is ${line}`);
      row++;
    }
  }
  assert.equal(rest, "");
  return row;
}

test("ten million rows in one window, inside the memory of a worker", { timeout: 400_000 }, async () => {
  const server = await Server.start({ args: { workers: 1, "export-part-bytes": 1024 ** 4 } });
  const api = new Api(server);
  for (let first = 0; first < ROWS; first += BATCH_ROWS) {
    const count = Math.min(BATCH_ROWS, ROWS - first);
    const reply = await api.ingestRaw("big", makeBatch(first, count));
    assert.equal(reply.status, 200, reply.text);
    assert.equal(reply.json.accepted, count);
  }
  const id = await api.subscribe({ cadence: "daily", response_format: "csv", report_type: "big",
    report_fields: ["timestamp", "id"] });
  await api.backfill(id, DAY, DAY + DAY_MS);
  const [job] = await api.waitJobs(id, 1, 240_000);
  assert.equal(job.status, "SUCCEEDED", job.reason);
  assert.equal(job.lines_exported, ROWS);
  const file = await fetch(job.export_url[0]);
  assert.equal(await countInOrder(Buffer.from(await file.arrayBuffer())), ROWS);
  for (const pid of server.children()) assert.ok(memoryKib(pid) <= WORKER_KIB, `process ${pid} had ${memoryKib(pid)} KiB`);
});
