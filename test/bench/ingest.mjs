// SPDX-License-Identifier: Apache-2.0
// Events into the server: a file in large batches over a few connections, and small batches by wrk.
import { Agent, request } from "node:http";
import { openSync, readSync, writeFileSync } from "node:fs";

import { run } from "./machine.mjs";

const BATCH_BYTES = 4 * 1024 * 1024;

// Batches of whole lines, in turn.
function* readBatches(path) {
  const fd = openSync(path);
  for (let at = 0; ;) {
    const block = Buffer.allocUnsafe(BATCH_BYTES);
    const size = readSync(fd, block, 0, BATCH_BYTES, at);
    if (size === 0) return;
    const end = block.lastIndexOf(10, size - 1) + 1;
    yield block.subarray(0, end);
    at += end;
  }
}

function post(agent, url, token, body) {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method: "POST", agent,
      headers: { "Access-Token": token, "Content-Type": "application/x-ndjson", "Content-Length": body.length } });
    sent.on("error", reject);
    sent.on("response", async (response) => {
      let text = "";
      for await (const bytes of response) text += bytes;
      if (response.statusCode === 200) resolve(JSON.parse(text).accepted);
      else reject(new Error(`ingest: ${response.statusCode} ${text}`));
    });
    sent.end(body);
  });
}

// Sends the whole file: seconds and accepted rows.
export async function sendFile(path, url, token, connectionCount) {
  const agent = new Agent({ keepAlive: true, maxSockets: connectionCount });
  const batches = readBatches(path);
  let rows = 0;
  const start = performance.now();
  await Promise.all(Array.from({ length: connectionCount }, async () => {
    for (let next = batches.next(); !next.done; next = batches.next()) {
      const accepted = await post(agent, url, token, next.value);
      rows += accepted;
    }
  }));
  agent.destroy();
  return { rows, seconds: (performance.now() - start) / 1000 };
}

// Requests per second of a fixed body, and the 99th percentile of their time in ms.
export async function load(url, { method = "GET", token, body, connections, seconds, script }) {
  const lines = [`wrk.method = ${JSON.stringify(method)}`];
  if (token) lines.push(`wrk.headers["Access-Token"] = ${JSON.stringify(token)}`);
  if (body) {
    writeFileSync(`${script}.body`, body);
    lines.push(`wrk.headers["Content-Type"] = "application/x-ndjson"`,
      `wrk.body = io.open(${JSON.stringify(`${script}.body`)}, "rb"):read("*a")`);
  }
  writeFileSync(script, lines.join("\n") + "\n");
  const report = await run("wrk", ["-t1", `-c${connections}`, `-d${seconds}s`, "--latency", "-s", script, url]);
  if (/Non-2xx/.test(report)) throw new Error(`wrk: ${report}`);
  const [, value, unit] = /99%\s+([\d.]+)(us|ms|s)/.exec(report);
  return { perSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(report)[1]),
    p99Ms: Number(value) * { us: 0.001, ms: 1, s: 1000 }[unit] };
}
