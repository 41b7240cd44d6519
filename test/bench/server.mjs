// SPDX-License-Identifier: Apache-2.0
// Starts, calls and stops the real server for the benchmark.
import { execFileSync, spawn } from "node:child_process";
import { openSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

export function initData(binary, data) {
  return JSON.parse(execFileSync(binary, ["init", "--data", data], { encoding: "utf8" }));
}

export async function startServer(binary, data, options = []) {
  const child = spawn(binary, ["serve", "--data", data, "--listen", "127.0.0.1:0", ...options],
    { stdio: ["ignore", "pipe", openSync(`${data}.log`, "a")] });
  process.once("exit", () => child.kill("SIGTERM")); // of a benchmark that failed
  const base = await new Promise((resolve, reject) => {
    let text = "";
    child.stdout.on("data", (bytes) => {
      text += bytes;
      const found = /^listening on (\S+)\n/m.exec(text);
      if (found) resolve(found[1]);
    });
    child.on("exit", (code) => reject(new Error(`the server ended with ${code}; see ${data}.log`)));
  });
  return { base, child };
}

export async function stopServer({ child }) {
  child.removeAllListeners("exit");
  if (child.exitCode !== null) return;
  const ended = new Promise((resolve) => child.on("exit", resolve));
  child.kill("SIGTERM");
  await ended;
}

export async function call(base, token, method, path, body) {
  const response = await fetch(base + path, {
    method, headers: { "Access-Token": token }, body: body === undefined ? undefined : JSON.stringify(body) });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return JSON.parse(text);
}

// An active subscription; its id.
export async function subscribe(base, account, report) {
  const app = `app_id=${account.app_id}`;
  const { subscription_id: id } = await call(base, account.access_token, "POST",
    `/scheduled-exports/logs/subscribe?${app}`, { report, destination: { subscription_type: "branch" } });
  for (;;) {
    const { report: { subscription_status: status } } = await call(base, account.access_token, "GET",
      `/scheduled-exports/logs/subscription/${id}?${app}`);
    if (status === "ACTIVE") return id;
    if (status !== "PENDING") throw new Error(`subscription is ${status}`);
    await sleep(50);
  }
}

export function jobsPath(account, id) {
  return `/scheduled-exports/logs/subscription/${id}/jobs?app_id=${account.app_id}`;
}

// Asks for the windows of a day and waits for all of their jobs: seconds, and the jobs.
export async function backfill(base, account, id, day, count) {
  const start = performance.now();
  await call(base, account.access_token, "POST", `/v1/subscriptions/${id}/backfill`, {
    start_date: new Date(day).toISOString(), end_date: new Date(day + 86400_000).toISOString() });
  for (;;) {
    const jobs = (await call(base, account.access_token, "POST", jobsPath(account, id)))
      .filter((job) => Date.parse(job.start_date) >= day && Date.parse(job.start_date) < day + 86400_000);
    if (jobs.some((job) => job.status === "FAILED")) throw new Error("a job failed");
    if (jobs.length === count && jobs.every((job) => job.status === "SUCCEEDED"))
      return { seconds: (performance.now() - start) / 1000, jobs };
    await sleep(20);
  }
}
