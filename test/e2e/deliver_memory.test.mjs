// SPDX-License-Identifier: Apache-2.0
// One large object: a worker's memory does not grow with it. MEMORY_BYTES is its size, 300,000,000 unless told.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";

import { HOUR_MS } from "./lib/api.mjs";
import { stopClouds } from "./lib/clouds.mjs";
import { Site, bigReport, bytesBelow, exportTo, ingestBig, readDelivered, waitSucceeded } from "./lib/deliver.mjs";
import { memoryKib, stopAll } from "./lib/server.mjs";
import { waitFor } from "./lib/wait.mjs";

const start = Date.parse("2024-02-01T07:00:00Z");
const size = Number(process.env.MEMORY_BYTES ?? 300_000_000);
const limitKib = 512 * 1024;

after(async () => {
  await stopAll();
  await stopClouds();
});

// From now on peaks are those of what follows.
function forgetPeaks(pids) {
  for (const pid of pids) writeFileSync(`/proc/${pid}/clear_refs`, "5");
}

test(`an upload of ${size} bytes in parts`, { timeout: 600_000 }, async (context) => {
  const site = await Site.start({ args: { workers: 1, "export-part-bytes": 16 * 1024 ** 3 } });
  const file = await ingestBig(site.api, size, start);
  const target = site.makeTarget("large");
  const id = await exportTo(site.api, bigReport, target.destination, start, start + HOUR_MS);
  await waitFor("the upload to begin", () => site.s3.requests("CreateMultipartUpload").length > 0, 500_000, 20);
  const pids = site.server.children();
  const before = new Map(pids.map((pid) => [pid, memoryKib(pid, "VmRSS")]));
  forgetPeaks(pids);
  const [job] = await waitSucceeded(site.api, id, { timeoutMs: 500_000 });
  const worker = Number(/role=worker pid=(\d+) event=job_succeeded/.exec(site.server.log)[1]); // the keeper has its own work meanwhile
  const [peak, grown] = [memoryKib(worker), memoryKib(worker) - before.get(worker)];
  assert.ok(peak < limitKib, `the worker took ${peak} KiB`);
  assert.ok(grown < 64 * 1024, `the worker took ${grown} KiB more for the upload`);
  const object = [...target.bucket.objects.values()].find(({ key }) => key.endsWith(".csv"));
  assert.deepEqual([object.content.size, object.content.sha256], [file.size, file.sha256]);
  if (size <= 1e9) await readDelivered(site.api, job, { ...target, report: bigReport });
  target.bucket.assertNothingOpen();
  assert.ok(object.partSizes.length > 1 && object.partSizes.slice(0, -1).every((part) => part >= 8 * 1024 * 1024), `parts of ${object.partSizes[0]} bytes`);
  await waitFor("the spool to be empty", () => bytesBelow(join(site.server.directory, "spool")) === 0, 20_000);
  site.assertSound();
  context.diagnostic(`${object.partSizes.length} parts; the worker had ${peak} KiB, ${grown} KiB of them since the upload began`);
});
