// SPDX-License-Identifier: Apache-2.0
// A program as a stranger would write it: the types are generated from /openapi.json, the client is a
// published one, and nothing else is known of the server. openapi.test.mjs checks its types and runs it.
import createClient from "openapi-fetch";

import type { components, paths } from "./description.js";

type Job = components["schemas"]["Job"];
type Result<T> = { data?: T; error?: components["schemas"]["Error"]; response: Response };

function take<T>({ data, error, response }: Result<T>): T {
  if (data === undefined) throw new Error(`${response.url} answered ${response.status}: ${error?.error.message}`);
  return data;
}

async function until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  for (let tries = 0; tries < 600; tries++) {
    const found = await look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`waited in vain for ${what}`);
}

const connect = (base: string, token: string) =>
  createClient<paths>({ baseUrl: base, headers: { "Access-Token": token } });

async function makeTenant(base: string, adminToken: string) {
  const admin = connect(base, adminToken);
  const organization = take(await admin.POST("/v1/admin/organizations", { body: { name: "Generated" } }));
  const app = take(await admin.POST("/v1/admin/apps",
    { body: { organization_id: organization.organization_id, name: "App" } }));
  const token = take(await admin.POST("/v1/admin/tokens", { body: {
    organization_id: organization.organization_id, name: "client", permissions: ["export", "ingest"] } }));
  const tokens = take(await admin.GET("/v1/admin/tokens",
    { params: { query: { organization_id: organization.organization_id } } }));
  if (!token.access_token || !tokens.some(({ key_id }) => key_id === token.key_id)) throw new Error("no token");
  return { admin, organizationId: organization.organization_id, appId: app.app_id, keyId: token.key_id, token: token.access_token };
}

// What a customer does from the first event to the last byte; answers the lines of the files.
export async function lifeCycle(base: string, adminToken: string): Promise<string[]> {
  const { admin, appId, keyId, token } = await makeTenant(base, adminToken);
  const client = connect(base, token);
  const query = { app_id: appId };

  const topic = take(await client.POST("/v1/topics", { body: { name: "signups", fields: [{ name: "plan", type: "string" }] } }));
  if (topic.fields.every(({ name, origin }) => name !== "plan" || origin !== "declared")) throw new Error("not declared");
  const hour = Date.UTC(2024, 5, 1, 9);
  const lines = [1, 2, 3].map((n) => `${JSON.stringify({ timestamp: hour + n, id: `e${n}`, plan: n === 2 ? "free" : "paid" })}\n`).join("");
  const ingested = take(await client.POST("/v1/events/{topic}", { params: { path: { topic: "signups" }, query }, body: lines,
    bodySerializer: (text) => text, headers: { "Content-Type": "application/x-ndjson" } }));
  if (ingested.accepted !== 3) throw new Error(`accepted ${ingested.accepted}`);

  const made = take(await client.POST("/scheduled-exports/logs/subscribe", {
    params: { query, header: { "Idempotency-Key": "life cycle" } },
    body: {
      report: { report_type: "signups", report_fields: ["id", "plan"], response_format: "json", filter: ["eq", "plan", "paid"] },
      destination: { subscription_type: "branch" },
    } }));
  const path = { subscription_id: made.subscription_id };
  const subscription = await until("the sample", async () => {
    const now = take(await client.GET("/scheduled-exports/logs/subscription/{subscription_id}", { params: { path, query } }));
    if (now.status === "FAILED") throw new Error(now.reason);
    return now.status === "ACTIVE" ? now : undefined;
  });
  if (subscription.report.response_format !== "json") throw new Error("another format");

  const filled = take(await client.POST("/v1/subscriptions/{subscription_id}/backfill", { params: { path },
    body: { start_date: new Date(hour).toISOString(), end_date: new Date(hour + 3_600_000).toISOString() } }));
  if (filled.created !== 1) throw new Error(`created ${filled.created}`);
  const job: Job = await until("the job", async () => {
    const jobs = take(await client.POST("/scheduled-exports/logs/subscription/{subscription_id}/jobs",
      { params: { path, query: { ...query, limit: 10 } } }));
    return jobs.find(({ status }) => status === "SUCCEEDED");
  });
  const manifest = take(await client.GET("/v1/jobs/{job_id}/manifest", { params: { path: { job_id: job.job_id } } }));
  const windows = take(await client.GET("/v1/subscriptions/{subscription_id}/windows", { params: { path } }));
  if (manifest.rows !== 2 || !windows.some(({ state }) => state === "SUCCEEDED")) throw new Error("not delivered");
  const rows: string[] = [];
  for (const url of job.export_url) {
    const file = await fetch(url);
    const text = new Response(file.body!.pipeThrough(new DecompressionStream("gzip")));
    rows.push(...(await text.text()).split("\n").filter((line) => line !== ""));
  }

  take(await client.DELETE("/scheduled-exports/logs/subscription/{subscription_id}", { params: { path, query } }));
  const gone = await client.DELETE("/scheduled-exports/logs/subscription/{subscription_id}", { params: { path, query } });
  if (gone.response.status !== 404 || gone.error?.error.code !== 404) throw new Error("deleted twice");
  take(await admin.DELETE("/v1/admin/tokens/{key_id}", { params: { path: { key_id: keyId } } }));
  return rows;
}
