// SPDX-License-Identifier: Apache-2.0
// Bad inputs as data: reads test/e2e/data/*.jsonl and turns a line into requests.
//
// A line names a call of `calls` below and what differs from a good request:
//   each      values for {x}, one request for each; {name} is a name of the world that the test made; {60*ab} is "ab" 60 times
//   as        whose token: none, all (default), export, ingest, bound (to app2), revoked, admin
//   path, query, method, headers   in place of the good ones
//   set, merge, body, text         the body: by dotted path, by key, whole, or as raw text ("{unset}" removes); latin1: text is bytes
//   gzip, gzipParts, members, cut, flip, flipAt, append, hex   a gzip body and how it is damaged
//   url, replace, replacePath, flipSignature   of a signed URL
//   with      other names for this line; twin: a second set of names whose reply must be the same, byte for byte
// and what comes back: status (or several, or "close"), message, like (pattern), errors, reply (keys of it), xml (its Code),
// shape ("any": JSON or XML), bytes (length of the body), stored (events), never (texts that no reply may hold).
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const logs = "/scheduled-exports/logs";
const json = (method, path, body, as) => ({ method, path, query: "?app_id={app}", body, as });
const plain = (method, path, query = "?app_id={app}", as = undefined) => ({ method, path, query, as });

// A good request of every call; the names in braces are those of the world.
export const calls = {
  jobs: plain("POST", `${logs}/subscription/{sid}/jobs`),
  jobsGet: plain("GET", `${logs}/subscription/{sid}/jobs`),
  job: plain("GET", `${logs}/subscription/{sid}/job/{job}`),
  get: plain("GET", `${logs}/subscription/{sid}`),
  delete: plain("DELETE", `${logs}/subscription/{sid}`),
  list: plain("GET", `${logs}/subscriptions`),
  externalId: plain("GET", `${logs}/subscription/externalId`),
  subscribe: json("POST", `${logs}/subscribe`, { report: { cadence: "hourly", response_format: "csv", report_type: "eo_click", report_fields: ["id", "name"],
    filter: ["eq", "name", "case {n}"] }, destination: { subscription_type: "branch" } }),
  cloud: json("POST", `${logs}/subscribe`, { report: { report_type: "eo_click", report_fields: ["id", "name"], filter: ["eq", "name", "case {n}"] },
    destination: { subscription_type: "cloud", cloud: "s3", bucket: "my-bucket", prefix: "p", resource_access_id: "{store}" } }),
  mail: json("POST", `${logs}/subscribe`, { report: { report_type: "eo_click", report_fields: ["id", "name"], filter: ["eq", "name", "case {n}"] },
    destination: { subscription_type: "email", recipient_emails: ["a@example.org"] } }),
  ingest: { method: "POST", path: "/v1/events/bad_{n}", query: "?app_id={app}", text: "{good}\n", headers: { "Content-Type": "application/x-ndjson" } },
  backfill: { ...json("POST", "/v1/subscriptions/{sid}/backfill", { start_date: "2024-02-01T07:00:00Z", end_date: "2024-02-01T08:00:00Z" }), query: "" },
  windows: plain("GET", "/v1/subscriptions/{sid}/windows", ""),
  gaps: plain("GET", "/v1/subscriptions/{sid}/gaps", ""),
  nativeGet: plain("GET", "/v1/subscriptions/{sid}", ""),
  nativeList: plain("GET", "/v1/subscriptions", ""),
  patch: { ...json("PATCH", "/v1/subscriptions/{sid}", { cadence: "daily" }), query: "" },
  preview: { ...json("POST", "/v1/subscriptions/preview", { report: { cadence: "hourly", report_type: "eo_click", report_fields: ["id"] },
    destination: { subscription_type: "branch" } }) },
  nativeJob: plain("GET", "/v1/jobs/{job}", ""),
  manifest: plain("GET", "/v1/jobs/{job}/manifest", ""),
  retry: plain("POST", "/v1/jobs/{job}/retry", ""),
  notify: { ...json("POST", "/v1/notifications", { type: "webhook", url: "https://127.0.0.1/" }), query: "" },
  notifyList: plain("GET", "/v1/notifications", ""),
  notifyGet: plain("GET", "/v1/notifications/{nid}", ""),
  notifyPatch: { ...json("PATCH", "/v1/notifications/{nid}", {}), query: "" },
  notifyDelete: plain("DELETE", "/v1/notifications/{nid}", ""),
  notifyRotate: { ...json("POST", "/v1/notifications/{nid}/rotate", {}), query: "" },
  notifyTest: plain("POST", "/v1/notifications/{nid}/test", ""),
  deliveries: plain("GET", "/v1/notifications/{nid}/deliveries", ""),
  topics: json("POST", "/v1/topics", { name: "declared_{n}", fields: [{ name: "plan", type: "string" }] }),
  topicList: plain("GET", "/v1/topics", ""),
  topicGet: plain("GET", "/v1/topics/eo_click", ""),
  logs: json("POST", "/v2/logs", { start_date: "{recent}T00:00:00Z", end_date: "{recent}T01:59:59Z", report_type: "eo_click", fields: ["id", "name"], limit: 100 }),
  handle: plain("GET", "/v2/logs/{handle}"),
  ready: json("POST", "/v2/data/ready", { date: "{recent} 01:00:00", warehouse_meta_type: "EVENT", topic: "eo_click", app_id: "{app}" }),
  daily: { ...json("POST", "/v3/export", { branch_key: "{branchKey}", branch_secret: "{branchSecret}", export_date: "{yesterday}" }, "none"), query: "" },
  orgList: plain("GET", "/v1/admin/organizations", "", "admin"),
  orgCreate: { ...json("POST", "/v1/admin/organizations", { name: "made {n}" }, "admin"), query: "" },
  orgGet: plain("GET", "/v1/admin/organizations/{org}", "", "admin"),
  orgPatch: { ...json("PATCH", "/v1/admin/organizations/{org}", {}, "admin"), query: "" },
  appGet: plain("GET", "/v1/admin/apps/{app2}", "", "admin"),
  appPatch: { ...json("PATCH", "/v1/admin/apps/{app2}", {}, "admin"), query: "" },
  appRotate: { ...json("POST", "/v1/admin/apps/{app2}/rotate", {}, "admin"), query: "" },
  userList: plain("GET", "/v1/admin/users", "", "admin"),
  userCreate: { ...json("POST", "/v1/admin/users", { organization_id: "{org}", name: "made {n}" }, "admin"), query: "" },
  tokenRotate: { ...json("POST", "/v1/admin/tokens/{keyId}/rotate", {}, "admin"), query: "" },
  audit: plain("GET", "/v1/admin/audit", "", "admin"),
  appList: plain("GET", "/v1/admin/apps", "", "admin"),
  appCreate: { ...json("POST", "/v1/admin/apps", { organization_id: "{org}", name: "made {n}" }, "admin"), query: "" },
  tokenList: plain("GET", "/v1/admin/tokens", "", "admin"),
  tokenCreate: { ...json("POST", "/v1/admin/tokens", { organization_id: "{org}", name: "made {n}", permissions: ["export"] }, "admin"), query: "" },
  tokenRevoke: plain("DELETE", "/v1/admin/tokens/{keyId}", "", "admin"),
  connectionCreate: { ...json("POST", "/v1/admin/connections", { name: "made-{n}", kind: "s3", access_key_id: "AKID", secret_access_key: "zz-made-secret" },
    "admin"), query: "" },
  connectionPatch: { ...json("PATCH", "/v1/admin/connections/{store}", {}, "admin"), query: "" },
  download: { method: "GET", path: "{url}", query: "", as: "none" },
};

export function readCases(name) {
  const lines = readFileSync(new URL(`../data/${name}.jsonl`, import.meta.url), "utf8").trim().split("\n");
  return lines.map((line) => JSON.parse(line));
}

// The inputs of a line: the line itself for each value of {x}. A value may be the part of the line that differs (merge_case).
export function inputsOf(line) {
  if (!line.each) return [{ line, value: undefined }];
  return line.each.map((value) => ({ line: line.merge_case ? { ...line, ...value } : line, value }));
}

// Names in braces, once, and repetitions; what is not a name stays as it is.
export function expand(text, names, value) {
  return text
    .replaceAll("{x}", () => (typeof value === "string" ? value : JSON.stringify(value)))
    .replace(/\{tokenPrefix:(\d+)\}/g, (_, count) => names.token.slice(0, Number(count)).padEnd(names.token.length, "0"))
    .replace(/\{(\d+)\*(\}|(?:\{\w+\}|[^}])*)\}/g, (_, count, part) => expand(part, names).repeat(Number(count)))
    .replace(/\{(\w+)\}/g, (whole, name) => (name === "n" ? String(names.next()) : Object.hasOwn(names, name) ? String(names[name]) : whole));
}

function expandDeep(item, names, value) {
  if (item === "{x}") return expandDeep(value, names);
  if (typeof item === "string") return expand(item, names, value);
  if (Array.isArray(item)) return item.map((part) => expandDeep(part, names, value));
  if (item === null || typeof item !== "object") return item;
  return Object.fromEntries(Object.entries(item).map(([key, part]) => [expand(key, names, value), expandDeep(part, names, value)]));
}

function setPath(document, path, value) {
  const keys = path.split(".");
  const last = keys.pop();
  const owner = keys.reduce((at, key) => (at[key] ??= {}), document);
  if (value === "{unset}") delete owner[last];
  else owner[last] = value;
}

// One request: { method, path, headers, body, as }.
export function makeRequest({ line, value }, world) {
  const overridden = Object.entries(expandDeep(line.with ?? {}, world, value));
  const names = Object.assign(Object.create(world), { ...world }, Object.fromEntries(overridden));
  const call = calls[expand(line.call, names, value)];
  if (!call) throw new Error(`${line.id}: no call ${line.call}`);
  const path = line.path === undefined ? call.path + (line.query ?? call.query) : line.path;
  const request = {
    method: line.method ? expand(line.method, names, value) : call.method,
    path: call === calls.download ? signedPath(line, names, value) : expand(path, names, value),
    headers: { ...call.headers, ...(line.headers ? expandDeep(line.headers, names, value) : {}) },
    body: makeBody(line, call, names, value),
    as: line.as ? expand(line.as, names, value) : call.as ?? "all",
  };
  return request;
}

function signedPath(line, names, value) {
  let url = expand(line.url ?? "{url}", names, value);
  if (line.replace) url = url.replace(new RegExp(expand(line.replace[0], names, value)), () => expand(line.replace[1], names, value));
  if (line.replacePath) {
    const [from, to] = line.replacePath === "{x}" ? value : line.replacePath.map((part) => expand(part, names, value));
    const [path, query] = url.split("?");
    url = `${path.replaceAll(from, to)}?${query}`;
  }
  if (line.flipSignature === undefined) return url;
  const at = url.length - 64 + (line.flipSignature === "{x}" ? value : line.flipSignature);
  return url.slice(0, at) + (url[at] === "0" ? "1" : "0") + url.slice(at + 1);
}

function makeBody(line, call, names, value) {
  if (line.hex) return Buffer.from(expand(line.hex, names, value), "hex");
  if (line.gzip !== undefined || line.gzipParts) return makeGzip(line, names, value);
  if (line.text !== undefined) return Buffer.from(expand(line.text, names, value), line.latin1 ? "latin1" : "utf8");
  if (call.text !== undefined) return Buffer.from(line.properties ? manyProperties(names, line.properties) : expand(call.text, names));
  if (!call.body && !line.body) return undefined;
  const document = makeDocument(line, call, names, value);
  return line.encode ? encodeText(JSON.stringify(document), value) : Buffer.from(JSON.stringify(document));
}

function makeDocument(line, call, names, value) {
  const document = expandDeep(structuredClone(line.body ?? call.body), names, value);
  for (const [path, item] of Object.entries(line.set ?? {}))
    setPath(document, expand(path, names, value), expandDeep(item, names, value));
  if (line.merge) Object.assign(document, expandDeep(line.merge, names, value));
  for (const key of Object.keys(document)) if (document[key] === "{unset}") delete document[key];
  if (line.merge_destination) Object.assign(document.destination, expandDeep(value, names));
  if (line.filter) document.report.filter = bigFilter(value);
  if (line.fields) document.report.report_fields = numbered(line.fields, "nope_");
  if (line.keys) for (const key of numbered(line.keys, "k")) document[key] = 1;
  return document;
}

const numbered = (count, prefix) => Array.from({ length: count }, (_, index) => `${prefix}${index}`);

function manyProperties(names, count) {
  return `{"timestamp":${names.ts},${numbered(count, "p").map((name) => `"${name}":1`).join(",")}}\n`;
}

function bigFilter(kind) {
  const [shape, size] = [kind.split(":")[0], Number(kind.split(":")[1])];
  if (shape === "wide") return ["or", ...numbered(size, "w").map((text) => ["eq", "name", text])];
  if (shape === "list") return ["in", "name", Array.from({ length: size }, (_, index) => String(index))];
  let filter = ["eq", "name", `deep ${size}`];
  for (let depth = 1; depth < size; depth++) filter = ["not", filter];
  return filter;
}

function encodeText(text, encoding) {
  const wide = Buffer.from(text, "utf16le");
  if (encoding === "utf16le") return Buffer.concat([Buffer.from([0xff, 0xfe]), wide]);
  if (encoding === "utf16be") return Buffer.from(wide).swap16();
  if (encoding === "utf8bom") return Buffer.from(`\ufeff${text}`);
  return Buffer.from([...text].flatMap((letter) => [letter.charCodeAt(0), 0, 0, 0]));
}

function makeGzip(line, names, value) {
  const parts = line.gzipParts ?? Array(line.members ?? 1).fill(line.gzip);
  const memo = new Map();
  const member = (part) => memo.get(part) ?? memo.set(part, gzipSync(expand(part, names, value))).get(part);
  let bytes = Buffer.concat(parts.map(member));
  const at = (position) => (position < 0 ? bytes.length + position : position);
  if (line.cut) bytes = bytes.subarray(0, at(value));
  if (line.flip) bytes[at(value)] ^= 0x55;
  if (line.flipAt) bytes[at(value[0])] ^= value[1];
  if (line.append) bytes = Buffer.concat([bytes, Buffer.from(expand(line.append, names, value), "latin1")]);
  return bytes;
}
