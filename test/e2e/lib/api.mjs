// SPDX-License-Identifier: Apache-2.0
// The documented calls as functions. Each returns the reply or throws with request and answer in the text.
import { randomUUID } from "node:crypto";

import { writeExact } from "./json.mjs";
import { request } from "./http.mjs";
import { waitFor } from "./wait.mjs";

export const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;
const finalStates = new Set(["SUCCEEDED", "FAILED"]);

export class Api {
  // identity: { token, appId, organizationId }
  constructor(server, identity) {
    this.server = server;
    this.token = identity?.token ?? server.account.access_token;
    this.appId = identity?.appId ?? server.account.app_id;
    this.organizationId = identity?.organizationId ?? server.account.organization_id;
  }

  raw(method, path, { body, headers, token = this.token, ...rest } = {}) {
    const credential = token === null ? {} : { "Access-Token": token };
    const isDocument = body !== undefined && typeof body !== "string" && !Buffer.isBuffer(body) && !body[Symbol.asyncIterator];
    const type = isDocument ? { "Content-Type": "application/json" } : {};
    return request(this.server.base, { method, path, headers: { ...credential, ...type, ...headers },
      body: isDocument ? JSON.stringify(body) : body, ...rest });
  }

  async call(method, path, options) {
    const reply = await this.raw(method, path, options);
    if (reply.status !== 200)
      throw new Error(`${method} ${path} answered ${reply.status}: ${reply.text.slice(0, 1000)}; body: ${JSON.stringify(options?.body)?.slice(0, 500)}`);
    return reply.json;
  }

  admin(method, path, body) {
    return this.call(method, path, { body, token: this.server.account.admin_token });
  }

  ingestRaw(topic, body, { appId = this.appId, query = "", headers = {}, ...rest } = {}) {
    const app = appId === null ? "" : `app_id=${appId}`;
    return this.raw("POST", `/v1/events/${topic}?${app}${query}`,
      { body, headers: { "Content-Type": "application/x-ndjson", ...headers }, ...rest });
  }

  // Sends events (objects, BigInt allowed) and makes sure that all were acknowledged.
  async ingest(topic, events, options) {
    const reply = await this.ingestRaw(topic, toLines(events), options);
    if (reply.status !== 200 || reply.json.accepted !== events.length)
      throw new Error(`ingest of ${events.length} events answered ${reply.status}: ${reply.text.slice(0, 1000)}`);
    return reply.json;
  }

  declareTopic(name, types) {
    const fields = Object.entries(types).map(([field, type]) => ({ name: field, type }));
    return this.call("POST", `/v1/topics?app_id=${this.appId}`, { body: { name, fields } });
  }

  subscribeRaw(report, { destination = { subscription_type: "branch" }, ...rest } = {}) {
    return this.raw("POST", `/scheduled-exports/logs/subscribe?app_id=${this.appId}`, { body: { report, destination }, ...rest });
  }

  async subscribe(report) {
    const reply = await this.subscribeRaw(report);
    if (reply.status !== 200) throw new Error(`subscribe answered ${reply.status}: ${reply.text}; report ${JSON.stringify(report)}`);
    const id = reply.json.subscription_id;
    await this.waitActive(id);
    return id;
  }

  subscription(id) {
    return this.call("GET", `/scheduled-exports/logs/subscription/${id}?app_id=${this.appId}`);
  }

  waitActive(id) {
    return waitFor(`subscription ${id} to be ACTIVE`, async () => {
      const reply = await this.subscription(id);
      if (reply.report.subscription_status === "FAILED") throw new Error(`subscription FAILED: ${JSON.stringify(reply)}`);
      return reply.report.subscription_status === "ACTIVE" && reply;
    }, 30_000);
  }

  deactivate(id) {
    return this.call("DELETE", `/scheduled-exports/logs/subscription/${id}?app_id=${this.appId}`);
  }

  backfill(id, start, end) {
    return this.call("POST", `/v1/subscriptions/${id}/backfill?app_id=${this.appId}`, { body: {
      start_date: new Date(start).toISOString(), end_date: new Date(end).toISOString() } });
  }

  jobs(id) {
    return this.call("POST", `/scheduled-exports/logs/subscription/${id}/jobs?app_id=${this.appId}`);
  }

  job(id, jobId) {
    return this.call("GET", `/scheduled-exports/logs/subscription/${id}/job/${jobId}?app_id=${this.appId}`);
  }

  windows(id) {
    return this.call("GET", `/v1/subscriptions/${id}/windows?app_id=${this.appId}`);
  }

  manifest(jobId) {
    return this.call("GET", `/v1/jobs/${jobId}/manifest?app_id=${this.appId}`);
  }

  // All jobs of a subscription once at least `count` are SUCCEEDED and none is under way.
  async waitJobs(id, count, timeoutMs = 60_000) {
    let last = [];
    const what = () => `${count} jobs of ${id}; now ${JSON.stringify(last.map(({ status, start_date, reason }) => ({ status, start_date, reason }))).slice(0, 2000)}`;
    return waitFor(what, async () => {
      last = await this.jobs(id);
      const failed = last.find((job) => job.status === "FAILED");
      if (failed) throw new Error(`job FAILED: ${JSON.stringify(failed)}`);
      return last.filter((job) => job.status === "SUCCEEDED").length >= count && last.every((job) => finalStates.has(job.status)) && last;
    }, timeoutMs, 60);
  }

  async exportRange(report, start, end) {
    const id = await this.subscribe(report);
    const { windows } = await this.backfill(id, start, end);
    return { id, jobs: await this.waitJobs(id, windows) };
  }

  async download(url) {
    const { pathname, search, origin } = new URL(url);
    const reply = await request(origin, { path: pathname + search });
    if (reply.status !== 200) throw new Error(`download answered ${reply.status}: ${reply.text.slice(0, 500)} of ${url}`);
    return reply.body;
  }

  async downloadJob(job) {
    return Promise.all(job.export_url.map((url) => this.download(url)));
  }
}

export function toLines(events) {
  return events.map((event) => `${writeExact(event)}\n`).join("");
}

// "2023-05-19T00:00:00.000-00:00" -> epoch milliseconds.
export function readDate(text) {
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3})-00:00$/.exec(text);
  if (!match) throw new Error(`not the documented date form: ${text}`);
  return Date.parse(`${match[1]}Z`);
}

// Another organization with one app and one token; permissions as given.
export async function makeTenant(server, name, permissions = ["export", "ingest", "sensitive_data"]) {
  const root = new Api(server);
  const organization = await root.admin("POST", "/v1/admin/organizations", { name });
  const organizationId = organization.organization_id ?? organization.id;
  const app = await root.admin("POST", "/v1/admin/apps", { organization_id: organizationId, name: `${name} app` });
  const appId = app.app_id ?? app.id;
  const token = await makeToken(server, { organizationId, name, permissions });
  return Object.assign(new Api(server, { token: token.text, appId, organizationId }), { keyId: token.keyId, app });
}

export async function makeToken(server, { organizationId, appId, name = randomUUID(), permissions }) {
  const reply = await new Api(server).admin("POST", "/v1/admin/tokens",
    { organization_id: organizationId, ...(appId ? { app_id: appId } : {}), name, permissions });
  return { text: reply.token ?? reply.access_token, keyId: reply.key_id ?? reply.token_id ?? reply.id, reply };
}
