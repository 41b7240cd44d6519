// SPDX-License-Identifier: Apache-2.0
// A store that fails in every way at every request of an upload in parts; see deliver_faults.test.mjs. FAULT_PAIRS=all takes every
// behaviour at every request, which takes minutes; otherwise each request has every seventh of them, so that each comes at one or two.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { HOUR_MS } from "./lib/api.mjs";
import { Rig, S3, behaviours, stopClouds } from "./lib/clouds.mjs";
import { Site, bigReport, ingestBig } from "./lib/deliver.mjs";
import { FaultRuns, doubtful, passing, refusing, runAll } from "./lib/fault_runs.mjs";
import { stopAll } from "./lib/server.mjs";

const MIB = 1024 * 1024;
const start = Date.parse("2024-02-01T07:00:00Z");
const end = start + HOUR_MS;
const stride = process.env.FAULT_PAIRS === "all" ? 1 : 7;
let site;
let api;
let elsewhere;
let connected;
let file;

before(async () => {
  site = await Site.start({ args: { workers: 12, "worker-lease-ms": 5000 } });
  api = site.api;
  elsewhere = await Rig.start();
  file = await ingestBig(api, 16 * MIB + 1, start);
  connected = await site.makeConnected("store");
});
after(async () => {
  await stopAll();
  await stopClouds();
});

async function check(_, { manifest }) {
  assert.deepEqual(manifest.files.map(({ bytes, sha256, rows }) => ({ size: bytes, sha256, rows })), [file]);
}

const runsOn = (rig, connection) => new FaultRuns({ api, rig, report: bigReport, start, end, check, requestsMax: 60,
  makeDestination: (bucket) => ({ subscription_type: "cloud", cloud: "s3", bucket, resource_access_id: connection }) });

// What has been stored is not needed any more.
function forget(rig, name) {
  const bucket = rig.bucket(name);
  for (const object of bucket.objects.values()) object.content.discard();
  rig.deleteBucket(name);
}

// Conditions are answered where there is an object to be written; what is damaged after all was confirmed nobody can see.
function isPossible(name, operation) {
  if (name.startsWith("reset after 1048576")) return operation.startsWith("UploadPart");
  if (name === "400 RequestTimeout") return operation !== "HeadObject"; // which has no body that could be late
  if (/^(412|409) /.test(name)) return /^(Complete|Put)/.test(operation);
  return name !== "damaged in the store" || operation !== "HeadObject";
}

async function each(context, runs, rig, steps, listOf) {
  const cases = [];
  for (const [step, operation] of steps.entries())
    for (const { behaviour, options } of listOf(step, operation)) cases.push({ name: `${behaviour.name} at request ${step + 1}, ${operation}`, async run() {
      const { name } = await runs.run(behaviour, { step, ...options });
      forget(rig, name);
    } });
  await runAll(context, cases, 8);
}

test("every behaviour at the requests of an upload in parts", { timeout: 900_000, concurrency: 8 }, async (context) => {
  const runs = runsOn(site.s3, "store");
  const steps = await runs.learn();
  for (const wanted of ["CreateMultipartUpload", "UploadPart#1", "UploadPart#2", "UploadPart#3", "CompleteMultipartUpload", "PutObject"])
    assert.ok(steps.includes(wanted), steps.join(" "));
  const all = [
    ...[...passing, ...doubtful, behaviours.resetInRequest(MIB)].map((behaviour) => ({ behaviour })),
    ...refusing(elsewhere).map((behaviour) => ({ behaviour, options: { mustSucceed: false, mayLeave: behaviour.name === "damaged in the store" } })),
  ];
  const ofUploads = [{ behaviour: behaviours.noSuchUpload() }, { behaviour: behaviours.answer(400, "InvalidPart"), options: { mustSucceed: false } },
    { behaviour: behaviours.answer(400, "EntityTooSmall"), options: { mustSucceed: false } }];
  await each(context, runs, site.s3, steps, (step, operation) => [
    ...all.filter((_, index) => (index + step) % stride === 0),
    ...(/^UploadPart#2|^Complete/.test(operation) ? ofUploads : []),
  ].filter(({ behaviour }) => isPossible(behaviour.name, operation)));
  assert.equal(elsewhere.connections, 0, "nobody went elsewhere");
});

test("Complete: done, and the answer is lost in every way", { timeout: 300_000, concurrency: 8 }, async (context) => {
  for (const [label, options] of [["S3", {}], ["Ceph", { conditions: "put", isCompletedAgain: true }], ["no conditions", { conditions: "none" }],
    ["conditions refused", { conditions: "refused" }]]) {
    const rig = await S3.start({ keys: site.keys, ...options });
    const name = label.toLowerCase().replace(" ", "-");
    await api.admin("POST", "/v1/admin/connections", { name, kind: "s3", endpoint: rig.endpoint, region: rig.region, access_key_id: connected.key.keyId,
      secret_access_key: connected.key.secret });
    const runs = runsOn(rig, name);
    const steps = await runs.learn();
    const step = steps.indexOf("CompleteMultipartUpload");
    const ways = [behaviours.closedAfter(), behaviours.resetInReply(0), behaviours.resetInReply(200), behaviours.stallAfter(), behaviours.truncatedReply(),
      behaviours.errorAfter(500, "InternalError"), behaviours.okWithError(), behaviours.late412()];
    await runAll(context, ways.map((behaviour) => ({ name: `${label}: ${behaviour.name}`, async run() {
      const { name: bucketName } = await runs.run(behaviour, { step });
      forget(rig, bucketName);
    } })), 8);
  }
});

test("of replies without an end little is read; no secret is anywhere", () => {
  for (const entry of site.s3.requests().filter(({ fault }) => /of \d+ bytes$|without an end/.test(fault ?? "")))
    assert.ok((entry.replyBytes ?? 0) < 24 * MIB, `${entry.replyBytes} bytes: ${entry}`);
  site.assertNoSecrets();
  site.assertSound();
});
