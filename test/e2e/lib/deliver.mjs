// SPDX-License-Identifier: Apache-2.0
// Deliveries as the customer sees them: a server with clouds around it, what must lie in a bucket according to the oracle and
// nothing else, and the secrets that must be nowhere.
import assert from "node:assert/strict";
import { createCipheriv, createHash, randomBytes } from "node:crypto";
import { readFileSync, readdirSync, statSync } from "node:fs";
import { join, relative } from "node:path";

import { Api, HOUR_MS, readDate } from "./api.mjs";
import { Keys, S3, Sts, policies } from "./clouds.mjs";
import { readFile } from "./files.mjs";
import { assertSameRows, sha256 } from "./oracle.mjs";
import { Server } from "./server.mjs";
import { waitFor } from "./wait.mjs";

export const operatorAccount = "210987654321";
export const customerAccount = "123456789012";
// A failure is given up sooner than a real one should be.
export const shortTimes = { MILKRUN_DESTINATIONS_CONNECT_TIMEOUT_MS: "1000", MILKRUN_DESTINATIONS_STALL_TIMEOUT_MS: "1000", MILKRUN_DESTINATIONS_CALL_TIMEOUT_MS: "5000",
  MILKRUN_DESTINATIONS_ATTEMPTS: "6", MILKRUN_DESTINATIONS_BACK_OFF_MS: "50", MILKRUN_DESTINATIONS_BACK_OFF_MAX_MS: "500" };
const serverArguments = { workers: 4, "api-subscription-limit": 0, "schedule-late-gap-ms": 1000 };

// Remembers all that was answered.
export class RecordingApi extends Api {
  constructor(...rest) {
    super(...rest);
    this.texts = [];
  }

  async raw(method, path, options) {
    const reply = await super.raw(method, path, options);
    this.texts.push(`${method} ${path}: ${reply.text}`);
    return reply;
  }
}

// A server, an S3 and an STS; the operator has a key of his own that roles of customers trust.
export class Site {
  // s3: options of the S3; hosted: name of a bucket there that is the hosted one; data: of an earlier server
  static async start({ s3 = {}, env = {}, args = {}, hosted, data } = {}) {
    const site = new Site();
    site.keys = new Keys();
    site.s3 = await S3.start({ keys: site.keys, ...s3 });
    site.sts = await Sts.start({ keys: site.keys });
    site.operator = site.keys.add({ principal: "user/milkrun" });
    site.secrets = [site.operator.secret];
    site.env = { ...shortTimes, ...site.awsEnvironment(), ...(hosted ? site.hostIn(hosted) : {}), ...env };
    site.args = { ...serverArguments, ...args };
    site.server = await Server.start({ args: site.args, env: site.env }, data);
    site.api = new RecordingApi(site.server);
    site.externalId = (await site.api.call("GET", `/scheduled-exports/logs/subscription/externalId?app_id=${site.api.appId}`)).external_id;
    return site;
  }

  awsEnvironment() {
    const { operator, s3, sts } = this;
    return { MILKRUN_AWS_CREDENTIALS: "static", MILKRUN_AWS_ACCESS_KEY_ID: operator.keyId, MILKRUN_AWS_SECRET_ACCESS_KEY: operator.secret,
      MILKRUN_AWS_REGION: s3.region, MILKRUN_AWS_ACCOUNT_ID: operatorAccount, MILKRUN_AWS_STS_ENDPOINT: sts.endpoint, MILKRUN_AWS_S3_ENDPOINT: s3.endpoint };
  }

  hostIn(name) {
    const key = this.keys.add({ principal: "user/hosted" });
    this.secrets.push(key.secret);
    this.s3.makeBucket(name, { policy: policies.by(key.principal, policies.all) });
    return { MILKRUN_HOSTED_TYPE: "s3", MILKRUN_HOSTED_ENDPOINT: this.s3.endpoint, MILKRUN_HOSTED_BUCKET: name, MILKRUN_HOSTED_PREFIX: "h", MILKRUN_HOSTED_REGION: this.s3.region,
      MILKRUN_HOSTED_PATH_STYLE: "true", MILKRUN_HOSTED_ACCESS_KEY_ID: key.keyId, MILKRUN_HOSTED_SECRET_ACCESS_KEY: key.secret };
  }

  // A bucket, and a role of the customer's that may do there what the policy says.
  makeTarget(name, { prefix, policy = policies.all, lifeMs, ...bucketOptions } = {}) {
    const role = this.sts.makeRole(`arn:aws:iam::${customerAccount}:role/${name}`, { externalId: this.externalId, trusts: [this.operator.principal], lifeMs });
    const bucket = this.s3.makeBucket(name, { policy: policies.by(role, policy), ...bucketOptions });
    return { bucket, role, prefix, destination: { subscription_type: "cloud", cloud: "s3", bucket: name, ...(prefix ? { prefix } : {}), resource_access_id: role } };
  }

  // A key that the operator gives to milkrun under a name, and a bucket for it.
  async makeConnected(name, { prefix, policy = policies.all, connection = {}, ...bucketOptions } = {}) {
    const key = this.keys.add({ principal: `user/${name}` });
    this.secrets.push(key.secret);
    const bucket = this.s3.makeBucket(name, { policy: policies.by(key.principal, policy), ...bucketOptions });
    await this.api.admin("POST", "/v1/admin/connections", { name, kind: "s3", endpoint: this.s3.endpoint, region: this.s3.region,
      access_key_id: key.keyId, secret_access_key: key.secret, ...connection });
    return { bucket, key, prefix, destination: { subscription_type: "cloud", cloud: "s3", bucket: name, ...(prefix ? { prefix } : {}), resource_access_id: name } };
  }

  // Secrets are neither in what was answered and logged nor in the files of the server.
  assertNoSecrets() {
    const all = [...this.keys.list.values()].filter(({ token }) => token);
    const sessions = [...new Set([...all.slice(0, 5), ...all.slice(-5)])].flatMap(({ secret, token }) => [secret, token]);
    assertNoSecrets({ secrets: [...this.secrets, ...sessions], texts: [...this.api.texts, this.server.log], directory: this.server.directory });
  }

  assertSound() {
    this.s3.assertSound();
    this.sts.assertSound();
    assertNobodyDied(this.server);
  }
}

const LARGE_BYTES = 8 * 1024 * 1024;

// No process ended but by order: what the supervisor starts again would hide it.
export function assertNobodyDied(server) {
  const died = server.log.match(/event=process_ended .*how="?(?!exit 0\b)[^\n]*/g);
  assert.equal(died, null, `${died}`);
}

// Each in any form that a careless program writes.
export function assertNoSecrets({ secrets, texts, directory }) {
  const forms = [...new Set(secrets.flatMap((secret) => [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1), Buffer.from(secret).toString("hex"),
    Buffer.from(secret).toString("base64").replace(/=+$/, ""), Buffer.from(secret).toString("base64url")]))];
  for (const form of forms) for (const text of texts) assert.ok(!text.includes(form), `a secret (${form.slice(0, 4)}...) in ${text.slice(0, 300)}`);
  for (const path of filesBelow(directory)) {
    if (statSync(path).size > LARGE_BYTES) continue; // rows, of exports and the lake
    const bytes = readFileSync(path);
    for (const form of forms) assert.ok(!bytes.includes(form), `a secret (${form.slice(0, 4)}...) in ${relative(directory, path)}`);
  }
}

export function filesBelow(directory) {
  const result = [];
  let entries = [];
  try {
    entries = readdirSync(directory, { withFileTypes: true });
  } catch {
    // gone meanwhile
  }
  for (const entry of entries) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) result.push(...filesBelow(path));
    else if (entry.isFile()) result.push(path);
  }
  return result;
}

export function bytesBelow(directory) {
  return filesBelow(directory).reduce((sum, path) => {
    try {
      return sum + statSync(path).size;
    } catch {
      return sum;
    }
  }, 0);
}

let lastNumber = 0;

// The same rows, and yet no duplicate of a subscription that there is.
export function distinct(report) {
  const all = ["not", ["eq", report.report_fields[0] === "all" ? "id" : report.report_fields.find((field) => field !== "timestamp"), `nobody-${++lastNumber}`]];
  return { ...report, filter: report.filter?.length ? ["and", report.filter, all] : all };
}

const scopeOf = (api, organizationId) => (organizationId ? `organization_id=${organizationId}` : `app_id=${api.appId}`);

export async function subscribeTo(api, report, destination, { organizationId } = {}) {
  const { subscription_id: id } = await api.call("POST", `/scheduled-exports/logs/subscribe?${scopeOf(api, organizationId)}`, { body: { report, destination } });
  return id;
}

// -> { status, reason } when it is known whether the destination works
export async function settled(api, id, { organizationId, timeoutMs = 40_000 } = {}) {
  let last;
  return waitFor(() => `subscription ${id} to be settled: ${JSON.stringify(last)}`, async () => {
    last = await api.call("GET", `/scheduled-exports/logs/subscription/${id}?${scopeOf(api, organizationId)}`);
    const { report, reason } = last;
    return report.subscription_status !== "PENDING" && { status: report.subscription_status, reason };
  }, timeoutMs, 50);
}

// Subscribes, expects the trial to go well, and asks for the windows.
export async function exportTo(api, report, destination, start, end, { organizationId } = {}) {
  const id = await subscribeTo(api, report, destination, { organizationId });
  const state = await settled(api, id, { organizationId });
  assert.equal(state.status, "ACTIVE", JSON.stringify(state));
  await api.backfill(id, start, end);
  return id;
}

export function listJobs(api, id, organizationId) {
  return api.call("POST", `/scheduled-exports/logs/subscription/${id}/jobs?${scopeOf(api, organizationId)}`);
}

// The jobs of a subscription when all of them are in the states, at least `count`.
export async function waitForJobs(api, id, { count = 1, states = ["SUCCEEDED", "FAILED"], organizationId, timeoutMs = 60_000 } = {}) {
  let last = [];
  const what = () => `${count} jobs of ${id} to be ${states}; now ` +
    JSON.stringify(last.map(({ status, start_date: at, reason }) => ({ status, at, reason }))).slice(0, 2000);
  return waitFor(what, async () => {
    last = await listJobs(api, id, organizationId);
    return last.length >= count && last.every(({ status }) => states.includes(status)) && last;
  }, timeoutMs, 50);
}

export async function waitSucceeded(api, id, options) {
  const jobs = await waitForJobs(api, id, options);
  for (const job of jobs) assert.equal(job.status, "SUCCEEDED", JSON.stringify(job));
  return jobs;
}

// "<prefix>/v2/y=2024/m=02/d=01[/h=07]"
export function folderOf(job, prefix) {
  const [start, end] = [readDate(job.start_date), readDate(job.end_date)];
  const [, year, month, day, hour] = /^(\d+)-(\d+)-(\d+)T(\d+)/.exec(new Date(start).toISOString());
  return `${prefix ? `${prefix}/` : ""}v2/y=${year}/m=${month}/d=${day}${end - start === HOUR_MS ? `/h=${hour}` : ""}`;
}

export const extensionOf = ({ response_format: format = "csv", response_format_compression: compression = "gz" }) =>
  (format === "parquet" ? "parquet" : format + { gz: ".gz", snappy: ".snappy", zstd: ".zst", none: "" }[compression]);

export const manifestKey = (api, job, { prefix, organizationId } = {}) =>
  `${folderOf(job, prefix)}/${scopeOf(api, organizationId)}/job_id=${job.job_id}/_manifest.json`;

const escape = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

// What the bucket has of a SUCCEEDED job: the manifest object, which is that of the API, and the files that it lists, in order.
export async function readDelivered(api, job, { bucket, report, types, prefix, organizationId }) {
  assert.equal(job.status, "SUCCEEDED", JSON.stringify(job));
  assert.deepEqual(job.export_url, [], "files in buckets of customers have no URL");
  const manifest = await api.call("GET", `/v1/jobs/${job.job_id}/manifest`);
  const key = manifestKey(api, job, { prefix, organizationId });
  assert.deepEqual(JSON.parse((await bucket.bytes(key)).toString("utf8")), manifest, "the manifest in the bucket");
  const app = organizationId ? "\\d{18,19}" : api.appId;
  const form = new RegExp(`^${escape(folderOf(job, prefix))}/app_id=${app}/job_id=${job.job_id}/task_id=[^/]+/[^/]+\\.${escape(extensionOf(report))}$`);
  const order = new Map(bucket.history.map((item, index) => [item.key, index]));
  const rows = [];
  const files = [];
  for (const entry of manifest.files) {
    assert.match(entry.key, form);
    const bytes = await bucket.bytes(entry.key);
    assert.deepEqual({ bytes: bytes.length, sha256: sha256(bytes) }, { bytes: entry.bytes, sha256: entry.sha256 }, entry.key);
    assert.ok(order.get(entry.key) < order.get(key), `${key} came before ${entry.key}`);
    if (types) {
      const file = await readFile(bytes, report, types);
      assert.equal(file.rows.length, entry.rows, `rows of ${entry.key}`);
      if (report.response_format !== "json" || file.rows.length > 0) assert.deepEqual(file.header, report.report_fields, `columns of ${entry.key}`);
      rows.push(...file.rows);
    }
    files.push(bytes);
  }
  if (types) assert.deepEqual([manifest.rows, job.lines_exported], [rows.length, rows.length], "rows that were said");
  assert.equal(manifest.bytes, files.reduce((sum, { length }) => sum + length, 0), "bytes that were said");
  return { manifest, rows, files, keys: [...manifest.files.map((entry) => entry.key), key] };
}

// Every window has its jobs, the bucket has exactly their rows in exactly their objects, each written once; nothing else is there.
export async function assertDelivered(api, { bucket, id, report, oracle, start, end, stepMs = HOUR_MS, prefix, organizationId, isAlone = true, isWrittenOnce = true }) {
  const jobs = await listJobs(api, id, organizationId);
  const keys = [];
  for (let at = start; at < end; at += stepMs) {
    const revisions = jobs.filter((job) => readDate(job.start_date) === at).sort((a, b) => a.revision - b.revision);
    const label = `window ${new Date(at).toISOString()}`;
    assert.ok(revisions.length > 0, `${label} has no job`);
    const rows = [];
    for (const job of revisions) {
      const delivered = await readDelivered(api, job, { bucket, report, types: oracle.types, prefix, organizationId });
      rows.push(...delivered.rows);
      keys.push(...delivered.keys);
    }
    assertSameRows(rows, oracle.expected(report, at, at + stepMs), report.report_fields, label);
  }
  bucket.assertNothingOpen();
  if (isAlone) assert.deepEqual(bucket.keys, keys.sort(), `objects of ${bucket.name}`);
  if (isWrittenOnce) bucket.assertWrittenOnce(keys);
  return jobs;
}

// --- Files of some size: texts that do not compress

export const bigTypes = { timestamp: "timestamp", id: "string", text: "string" };
export const bigFields = ["timestamp", "id", "text"];
export const bigReport = { cadence: "hourly", response_format_compression: "none", report_type: "big", report_fields: bigFields };
const BIG_TEXT_BYTES = 45_000; // 60,000 characters
const BATCH_ROWS = 100;

// So many rows that an export of the hour from `at` as plain CSV has the size. -> { rows, size, sha256 } of that file, figured here.
// Equal seeds give equal rows.
export async function ingestBig(api, wantedBytes, at, { topic = "big", idPrefix = "", seed = randomBytes(16).toString("hex") } = {}) {
  const stream = createCipheriv("aes-128-ctr", createHash("md5").update(seed).digest(), Buffer.alloc(16));
  const zeros = Buffer.alloc(BIG_TEXT_BYTES);
  const hash = createHash("sha256");
  let size = 0;
  let rows = 0;
  let batch = [];
  const write = (text) => {
    hash.update(text);
    size += text.length;
  };
  const flush = async () => {
    if (batch.length) await api.ingest(topic, batch.splice(0));
  };
  write(`${bigFields.join(",")}\n`);
  while (size < wantedBytes) {
    const event = { timestamp: at + rows, id: `${idPrefix}${rows++}`, text: "" };
    const overhead = `${event.timestamp},${event.id},\n`.length;
    const left = wantedBytes - size - overhead;
    const text = stream.update(zeros).toString("base64");
    // The last two rows share what is left, so that the size is met exactly.
    event.text = left <= text.length ? text.slice(0, Math.max(left, 1)) : text.slice(0, left < text.length + 100 ? left >> 1 : text.length);
    batch.push(event);
    write(`${event.timestamp},${event.id},${event.text}\n`);
    if (batch.length === BATCH_ROWS) await flush();
  }
  await flush();
  return { rows, size, sha256: hash.digest("hex") };
}
