// SPDX-License-Identifier: Apache-2.0
// The hosted bucket for clients of S3, asked by a signer of the tests' own: lists and files of the caller and of nobody else,
// and no request that was changed after it was signed.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { openSync, readdirSync, writeSync, closeSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { Api, HOUR_MS, makeTenant, makeToken } from "./lib/api.mjs";
import { presign, signHeaders, uriEncode } from "./lib/clouds/sigv4.mjs";
import { request } from "./lib/http.mjs";
import { sha256 } from "./lib/oracle.mjs";
import { Server, stopAll } from "./lib/server.mjs";
import { waitFor } from "./lib/wait.mjs";

const start = Date.parse("2024-06-01T09:00:00Z");
const fileCount = 60; // of the custom export, one row each
let server;
let api;
let theirs;
let key; // { keyId, secret }
let files; // what the bucket must hold for api: Map of key -> { size, sha256 }, in the order of bytes
let foreignKey;

const keyOf = async (client) => {
  const reply = await client.call("GET", "/v1/s3-credentials");
  return { keyId: reply.access_key_id, secret: reply.secret_access_key };
};
const queryText = (query) => Object.entries(query).map(([name, value]) => `${uriEncode(name)}=${uriEncode(String(value))}`).join("&");

// A signed request. changed: what becomes of { method, path, headers } behind the signature.
async function ask(path, { method = "GET", query = {}, headers = {}, as = key, base = server.base, sentTo = base, changed, body, ...more } = {}) {
  const text = queryText(query);
  const at = uriEncode(path, true) + (text ? `?${text}` : "");
  const signed = signHeaders({ method, url: base + at, headers, key: as, ...more });
  const asked = { method, path: at, headers: { ...signed, ...(base === sentTo ? {} : { Host: new URL(base).host }) }, body };
  return request(sentTo, changed ? { ...asked, ...changed(asked) } : asked);
}

const codeOf = (reply) => /^<\?xml version="1.0" encoding="UTF-8"\?>\n<Error><Code>(\w+)<\/Code>/.exec(reply.text)?.[1];
const textsOf = (xml, name) => [...xml.matchAll(new RegExp(`<${name}>([^<]*)</${name}>`, "g"))].map((match) => match[1]);
const plain = (text) => text.replace(/&(amp|lt|gt|quot|#(\d+));/g, (_, name, code) => (code ? String.fromCharCode(code) : { amp: "&", lt: "<", gt: ">", quot: '"' }[name]));

function expectError(reply, status, code, label = "") {
  assert.equal(reply.status, status, `${label}: ${reply.text.slice(0, 300)}`);
  assert.equal(codeOf(reply), code, `${label}: ${reply.text.slice(0, 300)}`);
  assert.match(reply.headers["content-type"], /^application\/xml/);
}

// All pages of a list: { keys, prefixes, objects, pages }.
async function listAll({ version = 2, as = key, ...query } = {}) {
  const found = { keys: [], prefixes: [], objects: [], pages: 0 };
  const placeName = version === 2 ? "continuation-token" : "marker";
  for (let place = ""; ; found.pages++) {
    const reply = await ask("/exports", { as, query: { ...(version === 2 ? { "list-type": 2 } : {}), ...query, ...(place ? { [placeName]: place } : {}) } });
    assert.equal(reply.status, 200, reply.text);
    for (const [object] of reply.text.matchAll(/<Contents>.*?<\/Contents>/g)) {
      const [[name], [size], [etag], [changed]] = ["Key", "Size", "ETag", "LastModified"].map((member) => textsOf(object, member));
      found.objects.push({ key: plain(name), size: Number(size), etag: plain(etag), changed });
      found.keys.push(plain(name));
    }
    found.prefixes.push(...[...reply.text.matchAll(/<CommonPrefixes><Prefix>([^<]*)</g)].map((match) => plain(match[1])));
    const [truncated] = textsOf(reply.text, "IsTruncated");
    if (truncated === "false") return { ...found, pages: found.pages + 1 };
    [place] = textsOf(reply.text, version === 2 ? "NextContinuationToken" : "NextMarker").map(plain);
    assert.ok(place, "a cut list says where it goes on");
  }
}

async function exportHours(client, topic, hours) {
  const rows = Array.from({ length: hours * 3 }, (_, index) => ({ timestamp: start + Math.floor(index / 3) * HOUR_MS + index, id: `${topic}-${index}` }));
  await client.ingest(topic, rows);
  return client.exportRange({ cadence: "hourly", report_type: topic, report_fields: ["timestamp", "id"] }, start, start + hours * HOUR_MS);
}

// One file for each row of the topic's first hours.
async function exportRows(client, topic, count) {
  await client.ingest(topic, Array.from({ length: count }, (_, index) => ({ timestamp: start + index, id: `${topic}-${index}` })));
  const asked = { start_date: new Date(start).toISOString(), end_date: new Date(start + HOUR_MS).toISOString(), report_type: topic,
    fields: ["id"], allow_multiple_files: true, response_format_compression: "gz" };
  const { handle } = await client.call("POST", `/v2/logs?app_id=${client.appId}`, { body: asked });
  const done = await waitFor("the custom export", async () => {
    const reply = await client.call("GET", `/v2/logs/${handle}?app_id=${client.appId}`);
    return reply.status === "complete" && reply;
  }, 30_000);
  return done.job_id;
}

before(async () => {
  server = await Server.start({ args: { "custom-file-rows": 1 }, env: { MILKRUN_API_ACCESS_LOG: "true" } });
  api = new Api(server);
  theirs = await makeTenant(server, "theirs");
  const { jobs } = await exportHours(api, "shop", 3);
  const custom = await exportRows(api, "rows", fileCount);
  const { jobs: foreign } = await exportHours(theirs, "shop", 1);
  const listed = [];
  for (const id of [...jobs.map((job) => job.job_id), custom]) listed.push(...(await api.manifest(id)).files);
  files = new Map(listed.sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key))).map((file) => [file.key, { size: file.bytes, sha256: file.sha256 }]));
  assert.equal(files.size, fileCount + 3);
  [{ key: foreignKey }] = (await theirs.manifest(foreign[0].job_id)).files;
  key = await keyOf(api);
});
after(stopAll);

describe("keys", () => {
  test("are made of the token, and tell nothing of it", async () => {
    const reply = await api.call("GET", "/v1/s3-credentials");
    assert.deepEqual(Object.keys(reply), ["endpoint", "bucket", "region", "access_key_id", "secret_access_key"]);
    assert.equal(reply.endpoint, server.base);
    assert.equal(reply.bucket, "exports");
    assert.equal(reply.region, "us-east-1");
    assert.ok(api.token.includes(reply.access_key_id));
    assert.match(reply.secret_access_key, /^[0-9a-f]{40}$/);
    assert.deepEqual(await keyOf(api), key);
    assert.notEqual((await keyOf(theirs)).secret, key.secret);
  });

  test("live through a restart, and end with the token", async () => {
    const token = await makeToken(server, { organizationId: api.organizationId, permissions: ["export"] });
    const client = new Api(server, { token: token.text, appId: api.appId, organizationId: api.organizationId });
    const own = await keyOf(client);
    server.listen = new URL(server.base).host;
    await server.restart();
    assert.deepEqual(await keyOf(client), own);
    assert.equal((await ask("/exports", { as: own })).status, 200);
    await api.admin("DELETE", `/v1/admin/tokens/${token.keyId}`);
    await waitFor("the keys to end", async () => (await ask("/exports", { as: own })).status === 403, 1000, 20);
    expectError(await ask("/exports", { as: own }), 403, "InvalidAccessKeyId");
    expectError(await ask("/exports", { as: { ...own, secret: "x" } }), 403, "InvalidAccessKeyId");
  });

  test("change with a rotation; the old ones are good for its grace", async () => {
    const token = await makeToken(server, { organizationId: api.organizationId, permissions: ["export"] });
    const identity = { appId: api.appId, organizationId: api.organizationId };
    const before_ = await keyOf(new Api(server, { token: token.text, ...identity }));
    const rotate = (grace) => api.admin("POST", `/v1/admin/tokens/${token.keyId}/rotate`, { grace_seconds: grace });
    const { access_token: second } = await rotate(3600);
    const after_ = await keyOf(new Api(server, { token: second, ...identity }));
    assert.equal(after_.keyId, before_.keyId);
    assert.notEqual(after_.secret, before_.secret);
    for (const as of [before_, after_]) assert.equal((await ask("/exports", { as })).status, 200);
    assert.deepEqual(await keyOf(new Api(server, { token: token.text, ...identity })), before_, "who has the old token learns the old secret alone");
    await rotate(0);
    for (const as of [before_, after_]) expectError(await ask("/exports", { as }), 403, "SignatureDoesNotMatch");
  });

  test("of a disabled organization are unknown until it is enabled", async () => {
    const tenant = await makeTenant(server, "paused");
    const own = await keyOf(tenant);
    const set = (disabled) => api.admin("PATCH", `/v1/admin/organizations/${tenant.organizationId}`, { disabled });
    await set(true);
    await waitFor("the keys to stop", async () => codeOf(await ask("/exports", { as: own })) === "InvalidAccessKeyId", 1000, 20);
    await set(false);
    assert.equal((await ask("/exports", { as: own })).status, 200);
  });
});

describe("lists", () => {
  test("one bucket", async () => {
    const reply = await ask("/");
    assert.deepEqual(textsOf(reply.text, "Name"), ["exports"]);
    assert.equal((await ask("/exports", { method: "HEAD" })).status, 200);
    assert.match((await ask("/exports", { query: { location: "" } })).text, /<LocationConstraint [^>]*><\/LocationConstraint>$/);
  });

  test("every file of the caller, with size, hash and time", async () => {
    for (const version of [1, 2]) {
      const { objects } = await listAll({ version });
      assert.deepEqual(objects.map((object) => object.key), [...files.keys()]);
      for (const object of objects) {
        const file = files.get(object.key);
        assert.equal(object.size, file.size);
        assert.equal(object.etag, `"${file.sha256}-1"`);
        assert.match(object.changed, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z$/);
        assert.ok(Math.abs(Date.parse(object.changed) - Date.now()) < 600_000);
      }
    }
    assert.deepEqual((await listAll({ "encoding-type": "url" })).keys.map(decodeURIComponent), [...files.keys()]);
    assert.equal((await ask("/exports/")).text.match(/<Key>/g).length, files.size);
  });

  test("pages of every size hold the same", async () => {
    for (const version of [1, 2])
      for (const size of [1, 7, fileCount, files.size, 1000]) {
        const { keys, pages } = await listAll({ version, "max-keys": size });
        assert.deepEqual(keys, [...files.keys()], `${size}`);
        assert.equal(pages, Math.ceil(files.size / size));
      }
  });

  test("walked by their folders they hold the same", async () => {
    for (const version of [1, 2])
      for (const size of [2, 1000]) {
        const seen = [];
        for (const folders = [""]; folders.length; ) {
          const { keys, prefixes } = await listAll({ version, prefix: folders.pop(), delimiter: "/", "max-keys": size });
          seen.push(...keys);
          folders.push(...prefixes);
        }
        assert.deepEqual(seen.sort(), [...files.keys()].sort());
      }
  });

  test("by prefix, and behind a key", async () => {
    const names = [...files.keys()];
    for (const prefix of ["v2/", "v2/y=2024/m=06/d=01/h=10/", names[5], names[5].slice(0, -3), "none", `${names[5]}x`])
      assert.deepEqual((await listAll({ prefix })).keys, names.filter((name) => name.startsWith(prefix)), prefix);
    for (const index of [0, 10, names.length - 1])
      for (const [version, name] of [[1, "marker"], [2, "start-after"]]) {
        const reply = await ask("/exports", { query: { ...(version === 2 ? { "list-type": 2 } : {}), [name]: names[index] } });
        assert.deepEqual(textsOf(reply.text, "Key").map(plain), names.slice(index + 1));
      }
  });

  test("whatever the parameters are made of, the signature is understood", async () => {
    for (const text of ["a b", "a+b", "a%2Fb", "&=?#", "\"<>&'", "é 日本 😀", "~-._*()!", "/", "//", "a\u0001b", "%", "%zz", ":@$,;"]) {
      const reply = await ask("/exports", { query: { "list-type": 2, prefix: text, delimiter: text, "start-after": text, "encoding-type": "url" } });
      assert.equal(reply.status, 200, `${text}: ${reply.text}`);
      for (const name of ["Prefix", "Delimiter", "StartAfter"]) assert.equal(decodeURIComponent(textsOf(reply.text, name)[0]), text);
    }
    const reply = await ask("/exports", { query: { prefix: "<&>\"\n" } });
    assert.equal(plain(textsOf(reply.text, "Prefix")[0]), "<&>\"\n");
  });

  test("parameters that are wrong are named", async () => {
    for (const [name, value] of [["max-keys", "-1"], ["max-keys", "x"], ["list-type", "3"], ["encoding-type", "x"], ["prefix", "a\u0001"], ["fetch-owner", "x"]]) {
      const reply = await ask("/exports", { query: { [name]: value } });
      expectError(reply, 400, "InvalidArgument", name);
      assert.ok(reply.text.includes(`<Message>Invalid parameter: ${name}</Message>`));
    }
    for (const token of ["x", "00", "62", `62${"zz"}`])
      expectError(await ask("/exports", { query: { "list-type": 2, "continuation-token": token } }), 400, "InvalidArgument", token);
  });
});

describe("files", () => {
  test("each has the bytes that were published", async () => {
    for (const [name, file] of files) {
      const reply = await ask(`/exports/${name}`);
      assert.equal(reply.status, 200, name);
      assert.equal(sha256(reply.body), file.sha256);
      assert.equal(reply.headers.etag, `"${file.sha256}-1"`);
      assert.equal(Number(reply.headers["content-length"]), file.size);
      assert.ok(reply.headers["x-amz-request-id"]);
    }
  });

  test("HEAD, ranges, conditions, checksum", async () => {
    const [name, file] = [...files][0];
    const path = `/exports/${name}`;
    const whole = await ask(path);
    const head = await ask(path, { method: "HEAD" });
    const without = ({ date, "x-request-id": id, "x-amz-request-id": other, ...headers }) => headers;
    assert.deepEqual(without(head.headers), without(whole.headers));
    assert.equal(head.body.length, 0);
    const part = await ask(path, { headers: { range: "bytes=1-4" } });
    assert.equal(part.status, 206);
    assert.ok(part.body.equals(whole.body.subarray(1, 5)));
    expectError(await ask(path, { headers: { range: `bytes=${file.size}-` } }), 416, "InvalidRange");
    const { etag, "last-modified": changed } = whole.headers;
    assert.equal((await ask(path, { headers: { "if-none-match": etag } })).status, 304);
    assert.equal((await ask(path, { headers: { "if-none-match": `"${file.sha256}"` } })).status, 304);
    assert.equal((await ask(path, { headers: { "if-modified-since": changed } })).status, 304);
    assert.equal((await ask(path, { headers: { "if-match": etag } })).status, 200);
    expectError(await ask(path, { headers: { "if-match": '"other"' } }), 412, "PreconditionFailed");
    expectError(await ask(path, { headers: { "if-unmodified-since": "Sat, 01 Jan 2000 00:00:00 GMT" } }), 412, "PreconditionFailed");
    const checked = await ask(path, { headers: { "x-amz-checksum-mode": "ENABLED" } });
    assert.equal(Buffer.from(checked.headers["x-amz-checksum-sha256"], "base64").toString("hex"), file.sha256);
  });

  test("what is not there", async () => {
    for (const name of ["none", "v2/", "v2/y=2024", `${[...files.keys()][0]}/`, `${[...files.keys()][0]}x`, "a//b", "a b+c é"])
      expectError(await ask(`/exports/${name}`), 404, "NoSuchKey", name);
    expectError(await ask("/other", { query: { "list-type": 2 } }), 404, "NoSuchBucket");
  });

  test("a damaged one is not sent", async () => {
    const other = await Server.start();
    const client = new Api(other);
    const { jobs } = await exportHours(client, "shop", 1);
    const [{ key: name }] = (await client.manifest(jobs[0].job_id)).files;
    const folder = join(other.directory, "exports");
    const path = readdirSync(folder, { withFileTypes: true, recursive: true }).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath ?? entry.path, entry.name))
      .find((found) => found.endsWith(name));
    const fd = openSync(path, "r+");
    writeSync(fd, "!", 20);
    closeSync(fd);
    expectError(await ask(`/exports/${name}`, { as: await keyOf(client), base: other.base }), 500, "InternalError");
    await other.stop();
  });
});

describe("whose files", () => {
  test("another organization sees nothing of them, and no difference to what never was", async () => {
    const own = await keyOf(theirs);
    assert.deepEqual((await listAll({ as: own })).keys, [foreignKey]);
    assert.ok(!(await listAll()).keys.includes(foreignKey));
    assert.deepEqual((await listAll({ as: own, prefix: [...files.keys()][0] })).keys, []);
    const without = (reply) => reply.text.replace(/<RequestId>.*<\/RequestId>/, "");
    for (const name of [...files.keys()].slice(0, 5)) {
      const reply = await ask(`/exports/${name}`, { as: own });
      expectError(reply, 404, "NoSuchKey");
      assert.equal(without(reply), without(await ask(`/exports/${name.replaceAll(/[0-9a-f]{8}-/g, `${randomUUID().slice(0, 8)}-`)}`, { as: own })));
    }
    expectError(await ask(`/exports/${foreignKey}`), 404, "NoSuchKey");
  });

  test("a token of one app sees that app's; one of all apps sees those of the organization, too", async () => {
    const { app_id: second } = await api.admin("POST", "/v1/admin/apps", { organization_id: api.organizationId, name: "second" });
    const whole = await makeWholeExport();
    const bound = {};
    for (const appId of [api.appId, second]) {
      const token = await makeToken(server, { organizationId: api.organizationId, appId, permissions: ["export"] });
      bound[appId] = await keyOf(new Api(server, { token: token.text, appId, organizationId: api.organizationId }));
    }
    assert.deepEqual((await listAll({ as: bound[api.appId] })).keys, [...files.keys()]);
    assert.deepEqual((await listAll({ as: bound[second] })).keys, []);
    const all = (await listAll()).keys;
    for (const name of whole) {
      assert.ok(all.includes(name));
      assert.equal((await ask(`/exports/${name}`)).status, 200);
      for (const as of Object.values(bound)) expectError(await ask(`/exports/${name}`, { as }), 404, "NoSuchKey");
    }
    assert.equal((await ask(`/exports/${[...files.keys()][0]}`, { as: bound[api.appId] })).status, 200);
    expectError(await ask(`/exports/${[...files.keys()][0]}`, { as: bound[second] }), 404, "NoSuchKey");
  });

  async function makeWholeExport() {
    const made = await api.call("POST", `/scheduled-exports/logs/subscribe?organization_id=${api.organizationId}`,
      { body: { report: { cadence: "hourly", report_type: "shop", report_fields: ["id"] }, destination: { subscription_type: "branch" } } });
    await waitFor("the subscription", async () => (await api.call("GET", `/v1/subscriptions/${made.subscription_id}`)).status === "ACTIVE");
    await api.call("POST", `/v1/subscriptions/${made.subscription_id}/backfill`,
      { body: { start_date: new Date(start).toISOString(), end_date: new Date(start + HOUR_MS).toISOString() } });
    const [window] = await waitFor("its window", async () => {
      const windows = (await api.call("GET", `/v1/subscriptions/${made.subscription_id}/windows`)).filter((one) => one.state === "SUCCEEDED");
      return windows.length && windows;
    }, 30_000);
    return (await api.manifest(window.jobs[0].job_id)).files.map((file) => file.key);
  }

  test("keys of a token that may not export open nothing", async () => {
    const token = await makeToken(server, { organizationId: api.organizationId, permissions: ["ingest"] });
    const reply = await api.raw("GET", "/v1/s3-credentials", { token: token.text });
    assert.equal(reply.status, 403);
    expectError(await ask("/exports", { as: { keyId: token.keyId, secret: key.secret } }), 403, "SignatureDoesNotMatch");
  });
});

describe("signatures", () => {
  const path = () => `/exports/${[...files.keys()][0]}`;
  const options = { headers: { range: "bytes=0-3", "x-amz-meta-a": "1" }, query: { "x-id": "GetObject" } };

  test("of another key, or of none", async () => {
    const own = await keyOf(theirs);
    expectError(await ask(path(), { as: { keyId: key.keyId, secret: own.secret } }), 403, "SignatureDoesNotMatch");
    expectError(await ask(path(), { as: { keyId: own.keyId, secret: key.secret } }), 403, "SignatureDoesNotMatch");
    expectError(await ask(path(), { as: { keyId: "AKIAIOSFODNN7EXAMPLE", secret: key.secret } }), 403, "InvalidAccessKeyId");
    expectError(await request(server.base, { path: "/exports" }), 403, "AccessDenied");
    for (const authorization of ["AWS AKID:c2lnbmF0dXJl", `Bearer ${api.token}`, "Basic eDp5"])
      expectError(await request(server.base, { path: "/exports", headers: { Authorization: authorization } }), 400, "InvalidRequest", authorization);
    expectError(await request(server.base, { path: "/exports", headers: { Authorization: "AWS4-HMAC-SHA256 nonsense" } }), 400, "AuthorizationHeaderMalformed");
  });

  test("by another clock", async () => {
    for (const [minutes, status] of [[-14, 206], [14, 206], [-16, 403], [16, 403], [-60 * 24 * 8, 403]]) {
      const reply = await ask(path(), { ...options, now: Date.now() + minutes * 60_000 });
      assert.equal(reply.status, status, `${minutes}`);
      if (status === 403) assert.equal(codeOf(reply), "RequestTimeTooSkewed");
    }
  });

  test("cover everything that was signed", async () => {
    assert.equal((await ask(path(), options)).status, 206);
    const header = (name, value) => ({ headers }) => ({ headers: { ...headers, [name]: value } });
    const authorization = (from, to) => ({ headers }) => {
      const changed = headers.authorization.replace(from, to);
      assert.notEqual(changed, headers.authorization, `${from}`);
      return { headers: { ...headers, authorization: changed } };
    };
    const without = (name) => ({ headers: { [name]: gone, ...headers } }) => ({ headers });
    const cases = {
      method: () => ({ method: "HEAD" }),
      path: (asked) => ({ path: asked.path.replace(".csv", ".csw") }),
      "another file": () => ({ path: `/exports/${uriEncode([...files.keys()][1], true)}?x-id=GetObject` }),
      "a query that is gone": (asked) => ({ path: asked.path.split("?")[0] }),
      "a query that joined": (asked) => ({ path: `${asked.path}&x=1` }),
      "a query that changed": (asked) => ({ path: asked.path.replace("GetObject", "getObject") }),
      "a query that came twice": (asked) => ({ path: `${asked.path}&x-id=GetObject` }),
      "the list instead": () => ({ path: "/exports?x-id=GetObject" }),
      range: header("range", "bytes=0-4"),
      "no range": without("range"),
      "a header of its own": header("x-amz-meta-a", "2"),
      "no header of its own": without("x-amz-meta-a"),
      "a header of S3 that joined": header("x-amz-meta-b", "1"),
      date: header("x-amz-date", new Date(Date.now() + 60_000).toISOString().replace(/[-:]|\.\d{3}/g, "")),
      "no date": without("x-amz-date"),
      payload: header("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
      "no payload": without("x-amz-content-sha256"),
      "key id": authorization(/Credential=[^/]+/, "Credential=AAAAAAAAAA"),
      day: authorization(/\/\d{8}\//, "/20200101/"),
      region: authorization("/us-east-1/", "/eu-west-1/"),
      service: authorization("/s3/", "/sts/"),
      terminator: authorization("aws4_request", "aws4_requesu"),
      "signed headers": authorization("range;", ""),
      "more signed headers": authorization("SignedHeaders=", "SignedHeaders=accept;"),
      "signed headers without host": authorization("host;", ""),
      "signed headers in another order": authorization("host;range", "range;host"),
      signature: authorization(/Signature=(.)/, (_, digit) => `Signature=${digit === "0" ? "1" : "0"}`),
      "end of the signature": authorization(/.$/, (digit) => (digit === "0" ? "1" : "0")),
      "a shorter signature": authorization(/.$/, ""),
      "upper case": authorization(/Signature=.*/, (text) => `Signature=${text.slice(10).toUpperCase()}`),
    };
    for (const [label, changed] of Object.entries(cases)) {
      const reply = await ask(path(), { ...options, changed });
      assert.ok([400, 403].includes(reply.status), `${label}: ${reply.status} ${reply.text.slice(0, 200)}`);
      if (label !== "method") assert.ok(codeOf(reply), label);
    }
    for (const [label, changed] of Object.entries({
      "a header that was not signed": header("User-Agent", "x"),
      "the query in another order": (asked) => ({ path: asked.path }),
      "another spelling of the path": (asked) => ({ path: asked.path.replaceAll("%3D", "=") }),
    })) assert.equal((await ask(path(), { ...options, changed })).status, 206, label);
  });

  test("bodies are signed as empty, or not at all", async () => {
    assert.equal((await ask("/exports", { payloadHash: "UNSIGNED-PAYLOAD" })).status, 200);
    for (const payloadHash of ["STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", sha256("x"), "x"])
      expectError(await ask("/exports", { payloadHash }), 400, "XAmzContentSHA256Mismatch", payloadHash);
  });

  test("any region, one service", async () => {
    for (const region of ["eu-central-1", "auto", "x"]) assert.equal((await ask("/exports", { region })).status, 200);
    expectError(await ask("/exports", { service: "s4" }), 400, "AuthorizationHeaderMalformed");
  });

  test("for a configured base URL are good behind a proxy", async () => {
    const other = await Server.start({ args: { "base-url": "https://bucket.example.org" } });
    const client = new Api(other);
    const reply = await client.call("GET", "/v1/s3-credentials");
    assert.equal(reply.endpoint, "https://bucket.example.org");
    const as = { keyId: reply.access_key_id, secret: reply.secret_access_key };
    const base = "http://bucket.example.org";
    const asked = { as, base, sentTo: other.base };
    assert.equal((await ask("/exports", asked)).status, 200);
    const keepsHost = ({ headers: { Host, ...headers } }) => ({ headers });
    assert.equal((await ask("/exports", { ...asked, changed: keepsHost })).status, 200, "the proxy sent its own Host");
    expectError(await ask("/exports", { as, base: "http://foreign.example.org", sentTo: other.base, changed: keepsHost }), 403, "SignatureDoesNotMatch");
    await other.stop();
  });
});

describe("URLs that clients sign", () => {
  const open = (url) => request(server.base, { path: url.slice(server.base.length) });
  const sign = (name, more) => presign({ url: `${server.base}/exports/${uriEncode(name, true)}`, key, ...more });

  test("open the caller's files until they expire", async () => {
    const [name, file] = [...files][0];
    const reply = await open(sign(name));
    assert.equal(reply.status, 200, reply.text);
    assert.equal(sha256(reply.body), file.sha256);
    assert.equal((await open(sign(name, { region: "eu-west-1" }))).status, 200);
    expectError(await open(sign(name, { now: Date.now() - 3700_000 })), 403, "AccessDenied");
    expectError(await open(sign(foreignKey)), 404, "NoSuchKey");
    expectError(await open(sign(name, { key: { ...key, secret: "x" } })), 403, "SignatureDoesNotMatch");
    expectError(await open(`${sign(name)}&x=1`), 403, "SignatureDoesNotMatch");
    expectError(await open(sign(name).replace(/Signature=./, "Signature=z")), 403, "SignatureDoesNotMatch");
  });

  test("and end with the token", async () => {
    const token = await makeToken(server, { organizationId: api.organizationId, permissions: ["export"] });
    const own = await keyOf(new Api(server, { token: token.text, appId: api.appId, organizationId: api.organizationId }));
    const url = sign([...files.keys()][0], { key: own });
    assert.equal((await open(url)).status, 200);
    await api.admin("DELETE", `/v1/admin/tokens/${token.keyId}`);
    await waitFor("the URL to stop", async () => (await open(url)).status === 403, 1000, 20);
  });
});

describe("what it does not do", () => {
  test("methods that write are refused, before their body comes", async () => {
    const [name] = files.keys();
    for (const [method, path] of [["PUT", `/exports/${name}`], ["DELETE", `/exports/${name}`], ["POST", "/exports"], ["PUT", "/exports"], ["DELETE", "/exports"]])
      expectError(await ask(path, { method }), 405, "MethodNotAllowed", `${method} ${path}`);
    expectError(await ask("/exports/new", { method: "PUT", payloadHash: "UNSIGNED-PAYLOAD", headers: { expect: "100-continue", "content-length": 1 << 30 } }), 405, "MethodNotAllowed");
    assert.equal((await ask(`/exports/${name}`)).status, 200);
  });

  test("what else S3 has", async () => {
    const [name] = files.keys();
    for (const parameter of ["acl", "policy", "versioning", "versions", "uploads", "lifecycle", "encryption", "tagging", "object-lock"])
      expectError(await ask("/exports", { query: { [parameter]: "" } }), 501, "NotImplemented", parameter);
    for (const parameter of ["acl", "tagging", "versionId", "partNumber", "attributes", "torrent", "response-content-type"])
      expectError(await ask(`/exports/${name}`, { query: { [parameter]: "1" } }), 501, "NotImplemented", parameter);
  });

  test("rate limits are told as S3 does", async () => {
    const other = await Server.start({ args: { "rate-token-per-second": 2 } });
    const client = new Api(other);
    const as = await keyOf(client);
    const replies = await Promise.all(Array.from({ length: 8 }, () => ask("/exports", { as, base: other.base })));
    const slow = replies.filter((reply) => reply.status === 503);
    assert.ok(slow.length > 0);
    for (const reply of slow) {
      expectError(reply, 503, "SlowDown");
      assert.ok(Number(reply.headers["retry-after"]) >= 1);
    }
    await other.stop();
  });
});

test("the log names who asked, and no secret", async () => {
  await ask("/exports", { query: { prefix: "for-the-log" } });
  const line = await waitFor("the line", () => server.log.split("\n").find((text) => text.includes("for-the-log")));
  assert.equal(JSON.parse(line).key, key.keyId);
  assert.equal(JSON.parse(line).organization, api.organizationId);
  assert.ok(!server.log.includes(key.secret));
  assert.ok(!/Signature=[0-9a-f]{64}/.test(server.log));
});
