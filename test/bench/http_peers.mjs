// SPDX-License-Identifier: Apache-2.0
// The jobs call and a download, beside nginx with a file of the same size.
import { spawn } from "node:child_process";
import { linkSync, mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { FIELDS, rotateFields } from "./exports.mjs";
import { load } from "./ingest.mjs";
import { median, note, printTable, run, versionOf, waitForQuiet } from "./machine.mjs";
import { backfill, jobsPath, startServer, stopServer, subscribe } from "./server.mjs";

const LOAD_SECONDS = 5;
const CONNECTIONS = 64;
const JOB_COUNT = 24;

function freePort() {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

async function startNginx(directory) {
  const port = await freePort();
  const root = join(directory, "nginx");
  mkdirSync(join(root, "files"), { recursive: true });
  writeFileSync(join(root, "nginx.conf"), `worker_processes 2;
daemon off;
${process.getuid() === 0 ? "user root;" : ""}
pid ${root}/pid;
error_log ${root}/error.log;
events { worker_connections 1024; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
  types { application/json json; }
  default_type application/octet-stream;
  client_body_temp_path ${root}/t1; proxy_temp_path ${root}/t2; fastcgi_temp_path ${root}/t3;
  uwsgi_temp_path ${root}/t4; scgi_temp_path ${root}/t5;
  server { listen 127.0.0.1:${port}; root ${root}/files; }
}
`);
  const child = spawn("nginx", ["-p", root, "-e", join(root, "error.log"), "-c", join(root, "nginx.conf")],
    { stdio: "inherit" });
  process.once("exit", () => child.kill("SIGTERM"));
  await sleep(500);
  if (child.exitCode !== null) throw new Error("nginx did not start");
  return { base: `http://127.0.0.1:${port}`, files: join(root, "files"), child };
}

async function requestsPerSecond(bench, target) {
  const results = [];
  for (let round = 0; round < bench.rounds; round++) {
    for (const [index, one] of target.entries()) {
      await waitForQuiet();
      (results[index] ??= []).push(await load(one.url, { ...one, connections: CONNECTIONS, seconds: LOAD_SECONDS,
        script: join(bench.directory, "jobs.lua") }));
    }
  }
  return results;
}

async function downloadSpeed(url) {
  const text = await run("curl", ["-sSf", "-o", "/dev/null", "-w", "%{speed_download} %{size_download}", url]);
  const [perSecond, size] = text.split(" ").map(Number);
  return { perSecond, size };
}

async function compareJobs(bench, base, nginx) {
  note("jobs call beside nginx");
  const id = await subscribe(base, bench.account, { cadence: "hourly", report_type: bench.topic, response_format: "csv",
    response_format_compression: "gz", report_fields: FIELDS.slice(0, 4) });
  await backfill(base, bench.account, id, bench.day, JOB_COUNT);
  const url = base + jobsPath(bench.account, id);
  const response = await fetch(url, { method: "POST", headers: { "Access-Token": bench.account.access_token } });
  const body = Buffer.from(await response.arrayBuffer());
  writeFileSync(join(nginx.files, "jobs.json"), body);
  const [ours, theirs] = await requestsPerSecond(bench, [
    { url, method: "POST", token: bench.account.access_token }, { url: `${nginx.base}/jobs.json` }]);
  const show = (name, results) => [name, median(results.map((one) => one.perSecond)).toFixed(0),
    median(results.map((one) => one.p99Ms)).toFixed(2)];
  printTable(`The jobs call (${JOB_COUNT} jobs, ${body.length} bytes, ${CONNECTIONS} connections)`, [
    ["who", "requests/s", "p99 ms"], show("milkrun, checked, read, signed", ours), show("nginx, the same bytes as a file", theirs)]);
}

async function compareDownloads(bench, base, nginx) {
  note("download beside nginx");
  const id = await subscribe(base, bench.account, { cadence: "daily", report_type: bench.topic, response_format: "json",
    response_format_compression: "snappy", report_fields: rotateFields(10) });
  const { jobs: [job] } = await backfill(base, bench.account, id, bench.day, 1);
  const url = job.export_url[0];
  const key = decodeURIComponent(new URL(url).pathname).replace(/^\/exports\//, "");
  linkSync(join(bench.data, "exports", key), join(nginx.files, "export"));
  const speeds = [[], []];
  for (let round = 0; round < Math.max(bench.rounds, 5); round++) {
    await waitForQuiet();
    speeds[0].push(await downloadSpeed(url));
    speeds[1].push(await downloadSpeed(`${nginx.base}/export`));
  }
  const show = (name, list) => [name, (median(list.map((one) => one.perSecond)) / 1e6).toFixed(0)];
  printTable(`Download of one file (${(speeds[0][0].size / 2 ** 20).toFixed(0)} MiB, one connection)`,
    [["who", "MB/s"], show("milkrun, signed URL", speeds[0]), show("nginx, sendfile", speeds[1])]);
}

export async function measureHttp(bench) {
  console.log(`\n${versionOf("bash", ["-c", "nginx -v 2>&1"])}`);
  const server = await startServer(bench.binary, bench.data);
  const nginx = await startNginx(bench.directory);
  try {
    await compareJobs(bench, server.base, nginx);
    await compareDownloads(bench, server.base, nginx);
  } finally {
    nginx.child.kill("SIGTERM");
    await stopServer(server);
  }
}
