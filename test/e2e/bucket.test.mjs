// SPDX-License-Identifier: Apache-2.0
// The hosted bucket: pre-signed URLs that open one file, whole or in parts, and nothing when a byte differs.
import assert from "node:assert/strict";
import { existsSync, readdirSync, renameSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { gunzipSync } from "node:zlib";

import { Api, HOUR_MS, makeTenant, makeToken } from "./lib/api.mjs";
import { request } from "./lib/http.mjs";
import { sha256 } from "./lib/oracle.mjs";
import { Server, stopAll } from "./lib/server.mjs";
import { sleep, waitFor } from "./lib/wait.mjs";

const start = Date.parse("2024-06-01T09:00:00Z");
let server;
let api;
let job;
let subscription;
let path;
let content;

async function exportOne(client) {
  await client.ingest("files", Array.from({ length: 2000 }, (_, index) => ({ timestamp: start + index, text: `row ${index} ${(index * 2654435761) % 4294967296}` })));
  const { id, jobs } = await client.exportRange({ cadence: "hourly", report_type: "files", report_fields: ["timestamp", "text"] }, start, start + HOUR_MS);
  return { id, job: jobs[0] };
}

const pathOf = (url) => new URL(url).pathname + new URL(url).search;
const get = (at, headers = {}, method = "GET") => request(server.base, { method, path: at, headers });

async function expectXml(reply, status, message, label) {
  assert.equal(reply.status, status, `${label ?? ""} answered ${reply.status}: ${reply.text.slice(0, 200)}`);
  assert.match(reply.headers["content-type"], /^application\/xml/);
  assert.match(reply.text, /^<\?xml version="1\.0" encoding="UTF-8"\?>\s*<Error><Code>\w+<\/Code><Message>[^<]+<\/Message>/);
  if (message) assert.ok(reply.text.includes(`<Message>${message}</Message>`), `${label ?? ""}: ${reply.text}`);
}

before(async () => {
  server = await Server.start();
  api = new Api(server);
  ({ id: subscription, job } = await exportOne(api));
  path = pathOf(job.export_url[0]);
  content = await api.download(job.export_url[0]);
});
after(stopAll);

describe("reading", () => {
  test("GET: octets with length, ETag, no Content-Encoding", async () => {
    const reply = await get(path);
    assert.equal(reply.status, 200);
    assert.equal(reply.headers["content-type"], "application/octet-stream");
    assert.equal(reply.headers["content-encoding"], undefined);
    assert.equal(Number(reply.headers["content-length"]), content.length);
    assert.match(reply.headers.etag, /^"[^"]+"$/);
    assert.equal(gunzipSync(reply.body).toString().split("\n").length, 2002);
    assert.equal(sha256(reply.body), (await api.manifest(job.job_id)).files[0].sha256);
  });

  test("HEAD: the same headers, no body", async () => {
    const [whole, head] = [await get(path), await get(path, {}, "HEAD")];
    assert.equal(head.status, 200);
    assert.equal(head.body.length, 0);
    const without = ({ date, "x-request-id": id, ...headers }) => headers;
    assert.deepEqual(without(head.headers), without(whole.headers));
  });

  test("Accept-Encoding changes nothing", async () => {
    assert.ok((await get(path, { "Accept-Encoding": "gzip, br" })).body.equals(content));
  });

  test("a single Range", async () => {
    const size = content.length;
    for (const [range, from, until] of [["bytes=0-0", 0, 1], ["bytes=1-4", 1, 5], ["bytes=5-", 5, size], ["bytes=-7", size - 7, size],
      [`bytes=0-${size * 2}`, 0, size], [`bytes=${size - 1}-`, size - 1, size], [`bytes=-${size * 2}`, 0, size]]) {
      const reply = await get(path, { Range: range });
      assert.equal(reply.status, 206, range);
      assert.equal(reply.headers["content-range"], `bytes ${from}-${until - 1}/${size}`);
      assert.ok(reply.body.equals(content.subarray(from, until)), range);
    }
  });

  test("ranges that cannot be met: 416; that are no ranges: ignored", async () => {
    for (const range of ["bytes=-0", "bytes=99999999999-", `bytes=${content.length}-`, "bytes=18446744073709551615-"]) {
      const reply = await get(path, { Range: range });
      await expectXml(reply, 416, "Range not satisfiable", range);
      assert.equal(reply.headers["content-range"], `bytes */${content.length}`);
    }
    for (const range of ["bytes=5-2", "bytes=a-b", "lines=0-1", "bytes", "bytes="]) {
      const reply = await get(path, { Range: range });
      assert.equal(reply.status, 200, range);
      assert.ok(reply.body.equals(content), range);
    }
  });

  test("If-None-Match and If-Range", async () => {
    const { etag } = (await get(path)).headers;
    const unchanged = await get(path, { "If-None-Match": etag });
    assert.equal(unchanged.status, 304);
    assert.equal(unchanged.body.length, 0);
    assert.equal((await get(path, { "If-None-Match": '"other"' })).status, 200);
    assert.equal((await get(path, { "If-Range": '"other"', Range: "bytes=0-0" })).status, 200);
    assert.equal((await get(path, { "If-Range": etag, Range: "bytes=0-0" })).status, 206);
  });

  test("downloads in pieces and at once give the same bytes", async () => {
    const pieces = await Promise.all(Array.from({ length: 10 }, async (_, index) => {
      const step = Math.ceil(content.length / 10);
      return (await get(path, { Range: `bytes=${index * step}-${Math.min(content.length, (index + 1) * step) - 1}` })).body;
    }));
    assert.ok(Buffer.concat(pieces).equals(content));
    for (const reply of await Promise.all(Array.from({ length: 50 }, () => get(path)))) assert.ok(reply.body.equals(content));
  });
});

describe("signatures", () => {
  test("each listing mints anew and all of them open the same file", async () => {
    await sleep(1100);
    const [again] = await api.jobs(subscription);
    assert.notEqual(pathOf(again.export_url[0]), path);
    assert.ok((await api.download(again.export_url[0])).equals(content));
    assert.equal((await get(path)).status, 200);
  });

  test("every part of the query counts", async () => {
    const [at, query] = path.split("?");
    const parts = query.split("&");
    for (const [index, part] of parts.entries()) {
      const [name, value] = [part.slice(0, part.indexOf("=")), part.slice(part.indexOf("=") + 1)];
      const position = Math.floor(value.length / 2);
      const flipped = value.slice(0, position) + (value[position] === "1" ? "2" : "1") + value.slice(position + 1);
      const variants = [parts.toSpliced?.(index, 1) ?? parts.filter((_, other) => other !== index)];
      for (const changed of [flipped, `${value}0`, value.slice(0, -1), "", `${value}&${part}`])
        variants.push(parts.map((other, otherIndex) => (otherIndex === index ? `${name}=${changed}` : other)));
      for (const variant of variants)
        await expectXml(await get(`${at}?${variant.join("&")}`), 403, null, variant.join("&"));
    }
  });

  test("named tampering is Invalid signature", async () => {
    const at = path.split("?")[0];
    const replaced = (name, value) => path.replace(new RegExp(`(${name}=)[^&]*`), `$1${value}`);
    const { searchParams } = new URL(server.base + path);
    const signature = searchParams.get("X-Amz-Signature");
    const credential = searchParams.get("X-Amz-Credential");
    const [keyId, date, region, service, end] = credential.split("/");
    const credentials = [["other", date, region, service, end], [keyId, "20200101", region, service, end], [keyId, date, "eu-west-1", service, end],
      [keyId, date, region, "ec2", end], [keyId, date, region, service, "aws5_request"]];
    for (const [label, tampered] of [
      ["upper case", replaced("X-Amz-Signature", signature.toUpperCase())], ["empty", replaced("X-Amz-Signature", "")],
      ...["0", "-7", "604801", "609901", "1e3", "2147483648", "9223372036854775808", String(Number(searchParams.get("X-Amz-Expires")) + 1)]
        .map((value) => [`expires ${value}`, replaced("X-Amz-Expires", value)]),
      ...credentials.map((list) => [`credential ${list[0]}`, replaced("X-Amz-Credential", encodeURIComponent(list.join("/")))]),
      ["signed headers", replaced("X-Amz-SignedHeaders", "host%3Bx")], ["algorithm", replaced("X-Amz-Algorithm", "AWS4-HMAC-SHA1")],
      ["more parameters", `${path}&x=1`], ["override", `${path}&response-content-type=text%2Fhtml`], ["no query", at],
    ]) await expectXml(await get(tampered), 403, "Invalid signature", label);
  });

  test("every byte of the path counts, but %3D, %3d and = are the same", async () => {
    const [at, query] = path.split("?");
    for (const same of [at.replaceAll("%3D", "="), at.replaceAll("%3D", "%3d")]) assert.equal((await get(`${same}?${query}`)).status, 200, same);
    for (const other of [at.replaceAll("%3D", "%253D"), at.replace("/v2/", "//v2/"), `${at}/`, at.replace("v2", "%76%32"), at.replace("y%3D2024", "y%3D2025"),
      `${at}x`, at.slice(0, -1), at.replace(".csv.gz", ".CSV.GZ"), at.replace("/exports", ""), dirname(at), `${dirname(at)}/`]) {
      const reply = await get(`${other}?${query}`);
      assert.ok(reply.status === 403 || (reply.status === 404 && !other.startsWith("/exports/")), `${other}: ${reply.status}`);
    }
    for (let index = 12; index < at.length; index += 5) {
      if (at[index] === "%" || at[index - 1] === "%" || at[index - 2] === "%") continue;
      const changed = at.slice(0, index) + (at[index] === "x" ? "y" : "x") + at.slice(index + 1);
      assert.equal((await get(`${changed}?${query}`)).status, 403, changed);
    }
    for (const escape of ["/exports/../milkrun.db", "/exports/%2e%2e/milkrun.db", "/exports/v2/../../keys/url.key"])
      assert.ok([400, 403].includes((await get(`${escape}?${query}`)).status), escape);
  });

  test("other headers neither open nor close anything", async () => {
    assert.equal((await get(path, { "Access-Token": "nonsense" })).status, 200, "Access-Token is ignored");
    const doubled = await get(path, { Authorization: "Bearer x" });
    assert.ok(doubled.status === 400 || doubled.status === 403, `Authorization beside a signed URL: ${doubled.status}`);
    const unsigned = await get(path.split("?")[0], { "Access-Token": api.token });
    assert.equal(unsigned.status, 403);
  });

  test("methods other than GET and HEAD", async () => {
    for (const method of ["PUT", "DELETE", "POST"]) assert.ok((await get(path, {}, method)).status >= 400, method);
    assert.equal((await get(path)).status, 200);
  });

  test("errors have no body on HEAD and tell nothing about existence", async () => {
    const bad = path.replace(/Signature=./, "Signature=z");
    const reply = await get(bad, {}, "HEAD");
    assert.equal(reply.status, 403);
    assert.equal(reply.body.length, 0);
    const neverWas = bad.replace("row", "raw").replace(job.job_id, "00000000-0000-0000-0000-000000000000");
    assert.equal((await get(neverWas)).text.replace(/<RequestId>.*<\/RequestId>/, ""), (await get(bad)).text.replace(/<RequestId>.*<\/RequestId>/, ""));
  });

  test("a URL of one organization does not open a file of another", async () => {
    const tenant = await makeTenant(server, "bucket");
    const other = await exportOne(tenant);
    const [theirs] = pathOf(other.job.export_url[0]).split("?");
    const query = path.split("?")[1];
    await expectXml(await get(`${theirs}?${query}`), 403, "Invalid signature");
    assert.equal((await get(pathOf(other.job.export_url[0]))).status, 200);
  });

  test("a revoked token's URLs stop within a second, those of others go on", async () => {
    const token = await makeToken(server, { organizationId: api.organizationId, permissions: ["export"] });
    const client = new Api(server, { token: token.text, appId: api.appId, organizationId: api.organizationId });
    const [listed] = await client.jobs(subscription);
    const minted = pathOf(listed.export_url[0]);
    assert.ok(decodeURIComponent(minted).includes(`X-Amz-Credential=${token.keyId}/`), "the credential names the token");
    assert.equal((await get(minted)).status, 200);
    await api.admin("DELETE", `/v1/admin/tokens/${token.keyId}`);
    await waitFor("the URL to stop", async () => (await get(minted)).status === 403, 1000, 20);
    await expectXml(await get(minted), 403, "Access revoked");
    await expectXml(await get(minted, { Range: "bytes=0-0" }), 403, "Access revoked");
    assert.equal((await get(path)).status, 200);
  });

  test("URLs live through a restart on the same address, as long as the Host is one of ours", async () => {
    server.listen = new URL(server.base).host;
    await server.restart();
    assert.equal((await get(path)).status, 200);
  });
});

describe("base URLs", () => {
  test("the first --base-url mints, all configured ones verify", async () => {
    const other = await Server.start({ args: { "base-url": "https://exports.example.org" }, env: {} });
    const client = new Api(other);
    const { job: made } = await exportOne(client);
    const [url] = made.export_url;
    assert.ok(url.startsWith("https://exports.example.org/exports/v2/"), url);
    const { pathname, search } = new URL(url);
    const behindProxy = await request(other.base, { path: pathname + search, headers: { Host: "exports.example.org" } });
    assert.equal(behindProxy.status, 200);
    assert.equal((await request(other.base, { path: pathname + search })).status, 200, "any configured base URL verifies");
    const reply = await client.subscribeRaw({ report_type: "files", report_fields: ["text"] });
    assert.ok(reply.json.subscription_url.startsWith("https://exports.example.org/scheduled-exports/"));
    await other.restart({ args: { "base-url": "https://moved.example.org" } });
    const [elsewhere, original] = await Promise.all(["moved.example.org", "exports.example.org"].map((host) =>
      request(other.base, { path: pathname + search, headers: { Host: host } })));
    await expectXml(elsewhere, 403, "Invalid signature", "signed for a name that is neither received nor configured");
    assert.equal(original.status, 200, "the name received is the one signed");
    await other.stop();
  });
});

describe("files that go or come", () => {
  test("expired files: 404 for the URL or expired, the job stays without URLs, the directory is clean", async () => {
    const other = await Server.start({ args: { "export-retention-ms": 3000, "schedule-sweep-interval-ms": 300 } });
    const client = new Api(other);
    const { id, job: made } = await exportOne(client);
    const at = pathOf(made.export_url[0]);
    assert.equal((await request(other.base, { path: at })).status, 200);
    const gone = await waitFor("the file to go", async () => {
      const reply = await request(other.base, { path: at });
      return reply.status !== 200 && reply;
    }, 15_000, 100);
    assert.ok(gone.status === 403 || gone.status === 404, `${gone.status}`);
    assert.match(gone.text, /Export file not found|Request has expired/);
    await waitFor("the deletion", () => !filesBelow(join(other.directory, "exports")).length, 10_000, 100);
    const [listed] = await client.jobs(id);
    if (listed) assert.deepEqual(listed.export_url, []);
    const ledger = await client.windows(id);
    assert.equal(ledger[0].jobs[0].status, "SUCCEEDED");
    await other.stop();
  });

  test("jobs that run while others expire are not disturbed", async () => {
    const other = await Server.start({ args: { "export-retention-ms": 1000, "schedule-sweep-interval-ms": 100 } });
    const client = new Api(other);
    await client.ingest("files", [{ timestamp: start, text: "x" }]);
    const id = await client.subscribe({ cadence: "hourly", report_type: "files", report_fields: ["timestamp", "text"] });
    for (let round = 0; round < 12; round++) {
      const from = start - 10 * (round + 1) * HOUR_MS;
      await client.backfill(id, from, from + 10 * HOUR_MS);
      await waitFor("the windows of this round", async () => {
        const states = (await client.windows(id)).flatMap((window) => window.jobs);
        for (const made of states) assert.notEqual(made.status, "FAILED", JSON.stringify(made));
        return states.filter((made) => made.status === "SUCCEEDED").length >= 10 * (round + 1);
      }, 20_000, 30);
    }
    await other.stop();
  });

  test("expiry is checked after the signature: a tampered expired URL is an invalid signature", async () => {
    const other = await Server.start({ args: { "export-retention-ms": 1500, "schedule-sweep-interval-ms": 300 } });
    const client = new Api(other);
    const { job: made } = await exportOne(client);
    const at = pathOf(made.export_url[0]);
    await sleep(3500);
    const expired = await request(other.base, { path: at });
    assert.match(expired.text, /Request has expired|Export file not found/);
    const tampered = await request(other.base, { path: at.replace(/Signature=.{4}/, "Signature=0000") });
    assert.match(tampered.text, /Invalid signature/);
    await other.stop();
  });

  test("a file that was taken away is 404, a symbolic link in its place too", async () => {
    const file = filesBelow(join(server.directory, "exports")).find((name) => name.includes(job.job_id));
    renameSync(file, `${file}.away`);
    await expectXml(await get(path), 404, "Export file not found");
    symlinkSync(`${file}.away`, file);
    await expectXml(await get(path), 404, "Export file not found");
  });
});

function filesBelow(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}
