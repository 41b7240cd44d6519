// SPDX-License-Identifier: Apache-2.0
// Small clients that speak as programs written for Branch do: what they send, what they read, how they wait. Only the base URL is ours.
// They use fetch and Node's own gunzip, nothing of the other helpers.
import { gunzipSync } from "node:zlib";

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class ClientError extends Error {
  constructor(status, body) {
    super(`HTTP ${status}: ${JSON.stringify(body)}`);
    Object.assign(this, { status, body });
  }
}

async function call(url, options = {}) {
  const response = await fetch(url, options);
  const body = await response.json();
  if (!response.ok) throw new ClientError(response.status, body);
  return body;
}

const post = (url, token, body, more = {}) =>
  call(url, { method: "POST", headers: { "Content-Type": "application/json", Accept: "application/json", ...(token ? { "Access-Token": token } : {}), ...more },
    body: JSON.stringify(body) });

async function poll(what, ask, everyMs = 100, tries = 300) {
  for (let round = 0; round < tries; round++) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    await sleep(everyMs);
  }
  throw new Error(`${what}: no end in sight`);
}

async function download(url) {
  const response = await fetch(url);
  if (!response.ok) throw new ClientError(response.status, await response.text());
  return Buffer.from(await response.arrayBuffer());
}

const isGzip = (bytes) => bytes[0] === 0x1f && bytes[1] === 0x8b;
const text = (bytes) => (isGzip(bytes) ? gunzipSync(bytes) : bytes).toString("utf8").replace(/^\ufeff/, "");
const lines = (content) => content.split("\n").filter((line) => line !== "");

// A tap that extracts day after day: asks for JSON in several files, drops the fields that a 400 names, once, and reads response_url
// as one text. Dates have microseconds; a filter is sent and empty; the limit comes with it.
export async function runTap({ base, token, appId }, { topic, fields, from, to }) {
  const ask = (asked) => post(`${base}/v2/logs?app_id=${appId}`, token, { start_date: micros(from), end_date: micros(to), report_type: topic, fields: asked,
    limit: 2_000_000,
    timezone: "UTC", filter: [], response_format: "json", response_format_compression: "gz", allow_multiple_files: true });
  let created;
  try {
    created = await ask(fields);
  } catch (error) {
    if (error.status !== 400 || !Array.isArray(error.body.errors)) throw error;
    const bad = new Set(error.body.errors.map((entry) => /^(\S+) field is not available for exports/.exec(entry.message)?.[1]));
    created = await ask(fields.filter((field) => !bad.has(field)));
  }
  const done = await poll("export", async () => {
    const state = await call(`${base}/v2/logs/${created.handle}?app_id=${appId}`, { headers: { "Access-Token": token } });
    if (["fail", "cancelled"].includes(state.status)) throw new Error(`export ${state.status}`);
    return state.status === "complete" ? state : undefined;
  });
  return lines(text(await download(done.response_url))).map((line) => JSON.parse(line));
}

const micros = (time) => new Date(time).toISOString().replace("Z", "419Z").replace(/\d{3}419Z/, "000419Z");

// How long the tap waits when the server says that a limit is reached; undefined when it would give up.
export function tapWait(error) {
  const limited = error.status === 429 && error.body.errors?.find((entry) => entry.error_code === 7);
  return limited ? Number(/retry after (\d+)/.exec(limited.message)[1]) : undefined;
}

// A library with typed replies: by organization_id, a handle that must be a UUID, dates with a colon before the milliseconds, CSV.
export async function runTyped({ base, token, organizationId }, { topic, fields, from, to }) {
  const date = (time) => new Date(time).toISOString().replace(/\.(\d{3})Z$/, ":$1Z");
  const query = `organization_id=${organizationId}`;
  const created = await post(`${base}/v2/logs?${query}`, token, { start_date: date(from), end_date: date(to), report_type: topic, fields, limit: 1000 });
  if (!/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(created.handle)) throw new Error(`handle ${created.handle}`);
  const done = await poll("export", async () => {
    const state = await call(`${base}/v2/logs/${created.handle}?${query}`, { headers: { "Access-Token": token } });
    if (state.code !== 200 || !["pending", "running", "complete"].includes(state.status)) throw new Error(JSON.stringify(state));
    if (state.status !== "complete" && state.response_url != null) throw new Error("a URL before the end");
    return state.status === "complete" ? state : undefined;
  });
  return { created, done, csv: text(await download(done.response_url)) };
}

// A script that follows the address in the answer, whatever it is.
export async function runFollower({ base, token, appId }, { topic, fields, from, to }) {
  const created = await post(`${base}/v2/logs?app_id=${appId}`, token, { report_type: topic, fields, limit: 100, start_date: new Date(from).toISOString(),
    end_date: new Date(to).toISOString(), response_format: "csv" });
  const done = await poll("export", async () => {
    const state = await call(created.export_job_status_url, { headers: { "Access-Token": token } });
    return state.response_url ? state : undefined;
  });
  return text(await download(done.response_url));
}

// An assistant's tools: readiness with the app in the body alone, the other spellings of handle and URL, defaults for the rest.
export async function runAssistant({ base, token, appId }, { topic, fields, from, to, day }) {
  const ready = await post(`${base}/v2/data/ready`, token, { app_id: appId, date: `${day} 01:00:00`, warehouse_meta_type: "EVENT", topic });
  const created = await post(`${base}/v2/logs?app_id=${appId}`, token, { start_date: new Date(from).toISOString(), end_date: new Date(to).toISOString(),
    report_type: topic, fields });
  const done = await poll("export", async () => {
    const state = await call(`${base}/v2/logs/${created.request_handle}?app_id=${appId}&limit=10&format=csv`, { headers: { "Access-Token": token } });
    return state.status === "complete" ? state : undefined;
  });
  return { ready, csv: text(await download(done.status_url)) };
}

// Daily exports with keys in the body. What differs between programs: a slash at the end, the app in the body, the date in the query.
export async function runDaily({ base, branchKey, branchSecret }, day, { path = "/v3/export", body = {}, query = "", dateInBody = true } = {}) {
  const keys = { branch_key: branchKey, branch_secret: branchSecret, ...(dateInBody ? { export_date: day } : {}), ...body };
  return poll("daily set", async () => {
    try {
      return await post(`${base}${path}${query}`, null, keys);
    } catch (error) {
      if (error.status === 503) return undefined; // being made
      throw error;
    }
  }, 500);
}

export const dailyRows = async (urls) => (await Promise.all(urls.map(download))).map((bytes) => lines(text(bytes)));

// A warehouse loader for scheduled exports: subscribes, follows subscription_url until ACTIVE, asks for jobs until the window is there.
export class Loader {
  constructor({ base, token, appId }) {
    Object.assign(this, { base, token, appId, headers: { "access-token": token, Accept: "application/json", "Content-Type": "application/json" } });
  }

  async subscribe(report) {
    const made = await call(`${this.base}/scheduled-exports/logs/subscribe?app_id=${this.appId}`, { method: "POST", headers: this.headers,
      body: JSON.stringify({ report, destination: { subscription_type: "branch" } }) });
    await poll("ACTIVE", async () => {
      const { report: state } = await call(made.subscription_url, { headers: this.headers });
      if (state.subscription_status === "FAILED") throw new Error("sample export failed");
      return state.subscription_status === "ACTIVE" ? true : undefined;
    });
    return made.subscription_id;
  }

  async jobs(id) {
    return call(`${this.base}/scheduled-exports/logs/subscription/${id}/jobs?app_id=${this.appId}`, { method: "POST", headers: this.headers });
  }

  // Loads every job that SUCCEEDED, each once, until `count` are loaded.
  async load(id, count) {
    const loaded = new Map();
    await poll(`${count} jobs`, async () => {
      for (const job of await this.jobs(id))
        if (job.status === "SUCCEEDED" && !loaded.has(job.job_id)) loaded.set(job.job_id, (await Promise.all(job.export_url.map(download))).map(text).join(""));
      return loaded.size >= count ? true : undefined;
    });
    return [...loaded.values()];
  }
}
