// SPDX-License-Identifier: Apache-2.0
// Every behaviour at every request: deliveries side by side, each into a bucket of its own, with one fault at one request of it.
// Which requests a delivery has is not written down here but found by one without a fault.
import assert from "node:assert/strict";

import { behaviours } from "./clouds.mjs";
import { distinct, exportTo, listJobs, readDelivered } from "./deliver.mjs";
import { waitFor } from "./wait.mjs";

const b = behaviours;
const CUT_SOON = 100; // bytes of a body

// What passes: one such fault, and the delivery goes well.
export const passing = [
  b.delay(300), b.stallUnread(), b.stallBefore(), b.stallAfter(), b.stallInReply(), b.drip(5), b.resetInRequest(0), b.resetInRequest(CUT_SOON), b.resetInReply(0),
  b.resetInReply(30), b.closedBefore(), b.closedAfter(), b.truncatedReply(), b.duplicateReply(), b.internalError(), b.slowDown(), b.slowDown("1"), b.unavailable(),
  b.tooMany(), b.requestTimeout(), b.badGateway(), b.answer(408, "RequestTimeout"), b.answer(504, "GatewayTimeout"), b.early(503, "SlowDown"), b.errorAfter(500, "InternalError"),
  b.errorAfter(503, "ServiceUnavailable"), b.hugeHead(), b.garbage(),
];
// Answers that must not be believed. At a HEAD they say nothing, or what may be so.
export const doubtful = [
  b.okWithError(), b.okWithError("SlowDown"), b.okWithNothing(), b.okWithGarbage(), b.wrongEtag(), b.missingEtag(), b.xmlBomb(), b.xmlDeep(),
  b.hugeReply(), b.endlessReply(), b.hugeReply(1024 ** 3, 503), b.late412(), b.conflict(),
];
// Answers that are final, or that nobody can make good: both ends are fine, as long as they are true.
export const refusing = (elsewhere) => [
  b.answer(403, "AccessDenied", "Access Denied"), b.answer(404, "NoSuchBucket"), b.answer(400, "InvalidRequest"), b.answer(403, "InvalidAccessKeyId"),
  b.answer(405, "MethodNotAllowed"), b.answer(400, "ExpiredToken"), b.answer(403, "RequestTimeTooSkewed"), b.damageStored(), b.late412(),
  ...[301, 302, 307, 308].map((status) => b.redirect(status, elsewhere.endpoint)), b.redirect(307, "http://169.254.169.254/latest/meta-data/"),
  b.xmlDoctype(`${elsewhere.endpoint}/entity`),
];

let lastBucket = 0;

export class FaultRuns {
  // rig: where buckets are; makeDestination(bucketName): a destination that reaches them; check(api, delivered): what its files must be
  constructor({ api, rig, makeDestination, report, start, end, check, requestsMax = 40 }) {
    Object.assign(this, { api, rig, makeDestination, report, start, end, check, requestsMax });
  }

  requestsOf(name) {
    return this.rig.requests().filter(({ bucket, key }) => bucket === name && key?.includes("v2/"));
  }

  // -> the requests of a delivery without a fault: ["PutObject", "HeadObject", ...]
  async learn() {
    const { name } = await this.run(undefined);
    this.steps = this.requestsOf(name).map(({ operation, part }) => `${operation}${part ? `#${part}` : ""}`);
    return this.steps;
  }

  // One delivery with the behaviour at its request number `step` (from 0). -> { name, job }, when the job is final and all about it is true
  async run(behaviour, { step = 0, times = 1, mustSucceed = true, mayLeave = false } = {}) {
    const name = `f${++lastBucket}-bucket`;
    const bucket = this.rig.makeBucket(name);
    const condition = { bucket: name, key: /(^|\/)v2\// };
    const rule = behaviour && this.rig.faults.add(condition, behaviour, { skip: step, times });
    const id = await exportTo(this.api, distinct(this.report), this.makeDestination(name), this.start, this.end);
    const job = await this.final(id, name);
    if (rule) assert.ok(rule.hits > 0, `the fault came: ${this.describe(name)}`);
    if (mustSucceed) assert.equal(job.status, "SUCCEEDED", `${job.reason}\n${this.describe(name)}`);
    if (job.status === "SUCCEEDED") await this.assertRight(job, bucket);
    else await this.assertNothing(job, bucket, mayLeave);
    const count = this.requestsOf(name).length;
    assert.ok(count <= this.requestsMax, `${count} requests:\n${this.describe(name)}`);
    return { name, job };
  }

  describe(name) {
    return this.requestsOf(name).map(String).join("\n");
  }

  async final(id, name) {
    let last;
    return waitFor(() => `the job to be final: ${JSON.stringify(last)}\n${this.describe(name)}`, async () => {
      [last] = await listJobs(this.api, id);
      return ["SUCCEEDED", "FAILED"].includes(last?.status) && last;
    }, 120_000, 100);
  }

  async assertRight(job, bucket) {
    try {
      const delivered = await readDelivered(this.api, job, { bucket, report: this.report });
      await this.check(this.api, delivered);
      assert.deepEqual(bucket.keys.filter((key) => !key.startsWith("_milkrun/")), delivered.keys.sort(), "the objects of the job and no others");
      bucket.assertNothingOpen();
      for (const key of delivered.keys)
        assert.ok(bucket.writes(key).every(({ sha256 }) => sha256 === bucket.objects.get(key).content.sha256), `other bytes were in ${key}`);
    } catch (error) {
      error.message += `\n${this.describe(bucket.name)}`;
      throw error;
    }
  }

  async assertNothing(job, bucket, mayLeave) {
    assert.ok(job.reason?.length > 10, `a reason: ${job.reason}`);
    assert.doesNotMatch(job.reason, /127\.0\.0\.1|169\.254|secret|AKIA/);
    assert.deepEqual(bucket.keys.filter((key) => key.endsWith("_manifest.json")), [], "no manifest of a job that FAILED");
    if (mayLeave) return;
    await waitFor(() => `nothing to be left: ${bucket.keys} ${bucket.uploads.size} uploads; ${job.reason}\n${this.describe(bucket.name)}`,
      () => bucket.keys.length === 0 && bucket.uploads.size === 0, 10_000);
  }
}

// Runs all, `width` at a time, as tests of `context`.
export async function runAll(context, cases, width = 12) {
  const waiting = [...cases];
  const runners = Array.from({ length: width }, async () => {
    for (let next; (next = waiting.shift()); ) await context.test(next.name, { timeout: 150_000 }, next.run);
  });
  await Promise.all(runners);
}
