// SPDX-License-Identifier: Apache-2.0
// A plain HTTP client: sends paths, header names and bodies exactly as given (fetch would normalize
// them), and a raw socket for what is not HTTP.
import { once } from "node:events";
import http from "node:http";
import net from "node:net";

import { checkReply } from "./description.mjs";

const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });

export class Reply {
  constructor(response, body) {
    this.status = response.statusCode;
    this.headers = response.headers;
    this.rawHeaders = response.rawHeaders;
    this.body = body;
  }

  get text() {
    return this.body.toString("utf8");
  }

  get json() {
    try {
      return JSON.parse(this.text);
    } catch {
      throw new Error(`not JSON (status ${this.status}): ${this.text.slice(0, 500)}`);
    }
  }
}

// body: Buffer, string, readable stream or async iterable of chunks (then sent chunked). Every reply is
// held against the server's description.
export async function request(base, options = {}) {
  const reply = await send(base, options);
  await checkReply(base, { method: "GET", path: "/", ...options }, reply);
  return reply;
}

function send(base, { method = "GET", path = "/", headers = {}, body, timeoutMs = 60_000, keepAlive = true } = {}) {
  const { hostname, port } = new URL(base);
  return new Promise((resolve, reject) => {
    const isWhole = typeof body === "string" || Buffer.isBuffer(body);
    const length = isWhole ? { "Content-Length": Buffer.byteLength(body) } : {};
    const outgoing = http.request(
      { hostname, port, method, path, headers: { ...length, ...headers }, agent: keepAlive ? agent : false },
      (response) => {
        const chunks = [];
        response.on("data", (chunk) => chunks.push(chunk));
        response.on("error", reject);
        response.on("aborted", () => reject(new Error("reply was cut")));
        response.on("end", () => resolve(new Reply(response, Buffer.concat(chunks))));
      });
    outgoing.setTimeout(timeoutMs, () => outgoing.destroy(new Error(`no reply in ${timeoutMs} ms`)));
    outgoing.on("error", reject);
    if (body === undefined || isWhole) outgoing.end(body);
    else sendChunks(outgoing, body).catch(reject);
  });
}

async function sendChunks(outgoing, chunks) {
  for await (const chunk of chunks) {
    if (outgoing.destroyed || outgoing.writableEnded) return;
    if (!outgoing.write(chunk))
      await drained(outgoing);
  }
  outgoing.end();
}

async function drained(outgoing) {
  const waiting = new AbortController();
  const options = { signal: waiting.signal };
  const ends = ["drain", "close"].map((name) => once(outgoing, name, options));
  for (const end of ends) end.catch(() => {}); // the other one is given up
  await Promise.race(ends);
  waiting.abort();
}

// Sends bytes and returns all that comes back until the peer closes or is silent.
export function rawExchange(base, bytes, silenceMs = 1500) {
  const { hostname, port } = new URL(base);
  return new Promise((resolve) => {
    const chunks = [];
    const socket = net.connect(Number(port), hostname, () => socket.write(bytes));
    const finish = () => {
      socket.destroy();
      resolve(Buffer.concat(chunks).toString("latin1"));
    };
    socket.setTimeout(silenceMs, finish);
    socket.on("data", (chunk) => chunks.push(chunk));
    socket.on("end", finish);
    socket.on("error", finish);
  });
}

export function closeConnections() {
  agent.destroy();
}
