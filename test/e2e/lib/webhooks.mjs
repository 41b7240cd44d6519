// SPDX-License-Identifier: Apache-2.0
// What a customer does with notifications: asks for them, and checks what comes. Signatures are checked with Node's own HMAC.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

import { waitFor } from "./wait.mjs";

export const events = ["job_succeeded", "job_failed", "late", "recovered", "subscription_failed"];

export function askWebhook(api, url, { query = "", ...more } = {}) {
  return api.call("POST", `/v1/notifications${query}`, { body: { type: "webhook", url, ...more } });
}

export function sendTest(api, id) {
  return api.call("POST", `/v1/notifications/${id}/test`);
}

export function deliveriesOf(api, id, query = "?limit=10000") {
  return api.call("GET", `/v1/notifications/${id}/deliveries${query}`);
}

// The notices that came to a path of the sink, in their order.
export const came = (sink, path) => sink.deliveries.filter((delivery) => delivery.path === path);

export function waitCame(sink, path, count, timeoutMs = 30_000) {
  const what = () => `${count} notices at ${path}; now ${came(sink, path).map(({ json }) => json.event)}; ${sink.describe().slice(-1500)}`;
  return waitFor(what, () => came(sink, path).length >= count && came(sink, path), timeoutMs);
}

// { t, v1: [...] }
export function readSignature({ headers }) {
  const parts = headers["milkrun-signature"].split(",").map((part) => part.split("="));
  assert.ok(parts.every(([name, value]) => ["t", "v1"].includes(name) && value), headers["milkrun-signature"]);
  return { t: Number(parts.find(([name]) => name === "t")[1]), v1: parts.filter(([name]) => name === "v1").map(([, value]) => value) };
}

export const macOf = (secret, t, body) => createHmac("sha256", secret).update(`${t}.${body}`).digest("hex");

// secrets: those that sign, the current one first.
export function assertSigned(delivery, ...secrets) {
  const { t, v1 } = readSignature(delivery);
  assert.deepEqual(v1, secrets.map((secret) => macOf(secret, t, delivery.body)));
  assert.ok(Math.abs(delivery.at / 1000 - t) <= 2, `${t} is now`);
  assert.equal(delivery.headers["milkrun-event"], delivery.json.event);
  assert.equal(delivery.headers["milkrun-notice-id"], delivery.json.notice_id);
  assert.equal(delivery.headers["content-type"], "application/json");
}

// The child of the server that holds the other end of a connection to this port.
export function ownerOf(server, port) {
  const hexPort = port.toString(16).toUpperCase().padStart(4, "0");
  const lines = readFileSync("/proc/net/tcp", "utf8").split("\n").map((line) => line.trim().split(/\s+/));
  const inodes = new Set(lines.filter((line) => line[2]?.endsWith(`:${hexPort}`) && line[3] === "01").map((line) => `socket:[${line[9]}]`));
  return server.children().find((pid) => {
    try {
      return readdirSync(`/proc/${pid}/fd`).some((fd) => inodes.has(linkOf(`/proc/${pid}/fd/${fd}`)));
    } catch {
      return false; // ended meanwhile
    }
  });
}

function linkOf(path) {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}
