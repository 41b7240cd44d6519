// SPDX-License-Identifier: Apache-2.0
// The clients of S3 that people have, as Debian ships them, against the hosted bucket: aws, rclone and s3cmd list and fetch the
// 1,500 files of a customer, and nobody else's.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { after, before, describe, test } from "node:test";

import { startServer, stopServer } from "../../demo/server.mjs";

const binary = process.env.MILKRUN_BIN ?? "build/milkrun";
const fileCount = 1500;
const start = Date.parse("2026-11-20T05:00:00Z");
const hour = "v2/y=2026/m=11/d=20";
let server;
let folder;
let keys; // of the customer, as /v1/s3-credentials says them
let files; // key -> sha256

async function call(method, path, body, token = server.account.access_token) {
  const response = await fetch(server.base + path, { method, body, headers: { "Access-Token": token, "Content-Type": "application/x-ndjson" } });
  assert.equal(response.status, 200, await response.clone().text());
  return response.json();
}

async function waitFor(what, probe, timeoutMs = 60_000) {
  for (const until = Date.now() + timeoutMs; Date.now() < until; await new Promise((done) => setTimeout(done, 50))) {
    const found = await probe();
    if (found) return found;
  }
  throw new Error(`waited ${timeoutMs} ms for ${what}`);
}

const admin = (method, path, body) => call(method, path, JSON.stringify(body), server.account.admin_token);
const makeToken = (organizationId) => admin("POST", "/v1/admin/tokens", { organization_id: organizationId, name: "sync", permissions: ["export"] });
const keysOf = (token) => call("GET", "/v1/s3-credentials", undefined, token);

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "milkrun-s3-clients-"));
  server = await startServer(binary, ["--listen", "127.0.0.1:0", "--custom-file-rows", "1"]);
  const app = server.account.app_id;
  const rows = Array.from({ length: fileCount }, (_, index) => JSON.stringify({ timestamp: start + index, id: `e${index}` }));
  await call("POST", `/v1/events/orders?app_id=${app}`, rows.join("\n"));
  const asked = { start_date: "2026-11-20T05:00:00Z", end_date: "2026-11-20T05:59:59Z", report_type: "orders", fields: ["timestamp", "id"],
    allow_multiple_files: true, response_format_compression: "gz" };
  const { handle } = await call("POST", `/v2/logs?app_id=${app}`, JSON.stringify(asked));
  const { job_id: job } = await waitFor("the export", async () => {
    const reply = await call("GET", `/v2/logs/${handle}?app_id=${app}`);
    return reply.status === "complete" && reply;
  });
  files = new Map((await call("GET", `/v1/jobs/${job}/manifest`)).files.map((file) => [file.key, file.sha256]));
  assert.equal(files.size, fileCount);
  keys = await keysOf(server.account.access_token);
});

after(async () => {
  await stopServer(server);
  rmSync(folder, { recursive: true });
});

const sha256Of = (path) => createHash("sha256").update(readFileSync(path)).digest("hex");
const filesBelow = (path) => readdirSync(path, { withFileTypes: true, recursive: true }).filter((entry) => entry.isFile())
  .map((entry) => relative(path, join(entry.parentPath ?? entry.path, entry.name)));

// Debian's programs come first, and nothing of this machine's settings is looked at. -> { code, text } of both outputs
function run(program, args, env) {
  const clean = { PATH: `/usr/bin:/bin:${process.env.PATH}`, HOME: folder, LC_ALL: "C.UTF-8", ...env };
  return new Promise((resolve) => {
    execFile(program, args, { env: clean, cwd: folder, maxBuffer: 64 << 20, timeout: 240_000, encoding: "buffer" }, (error, out, err) =>
      resolve({ code: error ? error.code ?? 1 : 0, bytes: out, text: out.toString() + err.toString() }));
  });
}

// Each client's way to do the same things. as: keys. What a list says is { keys, folders }.
const clients = {
  aws: {
    run: (args, as = keys) => run("aws", ["--endpoint-url", as.endpoint, ...args],
      { AWS_ACCESS_KEY_ID: as.access_key_id, AWS_SECRET_ACCESS_KEY: as.secret_access_key, AWS_DEFAULT_REGION: as.region, AWS_MAX_ATTEMPTS: "2" }),
    buckets: ["s3", "ls"],
    listAll: (prefix = "") => ["s3", "ls", "--recursive", `s3://exports/${prefix}`],
    listFolder: (prefix) => ["s3", "ls", `s3://exports/${prefix}`],
    readList: (text, prefix) => ({ keys: [...text.matchAll(/^\S+ \S+ +\d+ (.*)$/gm)].map((match) => match[1]),
      folders: [...text.matchAll(/^ +PRE (.*)$/gm)].map((match) => prefix + match[1]) }),
    get: (key, path) => ["s3", "cp", `s3://exports/${key}`, path],
    sync: (path) => ["s3", "sync", "s3://exports/", path],
    isQuiet: (text) => text.trim() === "",
    range: (key) => [["s3api", "get-object", "--bucket", "exports", "--key", key, "--range", "bytes=2-5", "part"], "part"],
    put: (path) => ["s3", "cp", path, "s3://exports/new"],
    denied: /SignatureDoesNotMatch/,
    unknown: /InvalidAccessKeyId/,
  },
  rclone: {
    run: (args, as = keys) => run("rclone", ["--retries", "1", "--low-level-retries", "1", ...args],
      { RCLONE_CONFIG_M_TYPE: "s3", RCLONE_CONFIG_M_PROVIDER: "Other", RCLONE_CONFIG_M_ACCESS_KEY_ID: as.access_key_id,
        RCLONE_CONFIG_M_SECRET_ACCESS_KEY: as.secret_access_key, RCLONE_CONFIG_M_ENDPOINT: as.endpoint, RCLONE_CONFIG_M_REGION: as.region }),
    buckets: ["lsf", "m:"],
    listAll: (prefix = "") => ["lsf", "-R", "--files-only", `m:exports/${prefix}`],
    listFolder: (prefix) => ["lsf", `m:exports/${prefix}`],
    readList: (text, prefix) => {
      const names = text.split("\n").filter((line) => line && !/NOTICE/.test(line)).map((line) => prefix + line);
      return { keys: names.filter((name) => !name.endsWith("/")), folders: names.filter((name) => name.endsWith("/")) };
    },
    get: (key, path) => ["copyto", `m:exports/${key}`, path],
    sync: (path) => ["sync", "-v", "m:exports", path],
    isQuiet: (text) => !/Copied|Deleted/.test(text),
    range: (key) => [["cat", "--offset", "2", "--count", "4", `m:exports/${key}`], null],
    put: (path) => ["copyto", "--s3-no-check-bucket", path, "m:exports/new"],
    denied: /SignatureDoesNotMatch/,
    unknown: /InvalidAccessKeyId/,
  },
  s3cmd: {
    run: (args, as = keys) => {
      const { host } = new URL(as.endpoint);
      return run("s3cmd", ["--config=/dev/null", `--access_key=${as.access_key_id}`, `--secret_key=${as.secret_access_key}`, `--host=${host}`,
        `--host-bucket=${host}`, "--no-ssl", "--no-progress", ...args], {});
    },
    buckets: ["ls"],
    listAll: (prefix = "") => ["ls", "--recursive", `s3://exports/${prefix}`],
    listFolder: (prefix) => ["ls", `s3://exports/${prefix}`],
    readList: (text) => {
      const names = [...text.matchAll(/s3:\/\/exports\/(.*)$/gm)].map((match) => match[1]);
      return { keys: names.filter((name) => !name.endsWith("/")), folders: names.filter((name) => name.endsWith("/")) };
    },
    get: (key, path) => ["get", `s3://exports/${key}`, path],
    sync: (path) => ["sync", "s3://exports/", `${path}/`],
    isQuiet: (text) => !/download:/.test(text),
    put: (path) => ["put", path, "s3://exports/new"],
    denied: /SignatureDoesNotMatch/,
    unknown: /InvalidAccessKeyId/,
  },
};

for (const [name, client] of Object.entries(clients))
  describe(name, () => {
    const done = async (args, as) => {
      const result = await client.run(args, as);
      assert.equal(result.code, 0, `${name} ${args.join(" ")}: ${result.text.slice(0, 2000)}`);
      return result;
    };
    const fails = async (args, as, pattern) => {
      const result = await client.run(args, as);
      assert.notEqual(result.code, 0, `${name} ${args.join(" ")}`);
      assert.match(result.text, pattern);
    };
    // rclone takes it for an empty folder, and says that all is done.
    const lacks = async (missing, as) => {
      const path = join(folder, `${name}-missing`);
      const result = await client.run(client.get(missing, path), as);
      assert.ok(!existsSync(path), `${name}: ${result.text}`);
      if (name !== "rclone") assert.notEqual(result.code, 0);
    };
    const key = () => [...files.keys()][700]; // known when the tests run

    test("sees the bucket", async () => assert.match((await done(client.buckets)).text, /exports/));

    test("lists all files, over pages", async () => {
      const { keys: listed } = client.readList((await done(client.listAll())).text, "");
      assert.deepEqual(listed.sort(), [...files.keys()].sort());
    });

    test("lists by prefix and by folder", async () => {
      const folders = client.readList((await done(client.listFolder("v2/y=2026/m=11/"))).text, "v2/y=2026/m=11/");
      assert.deepEqual(folders, { keys: [], folders: [`${hour}/`] });
      const below = `${key().slice(0, key().lastIndexOf("/"))}/`;
      assert.equal(client.readList((await done(client.listFolder(below))).text, below).keys.length, fileCount);
      assert.equal(client.readList((await done(client.listAll(below))).text, below).keys.length, fileCount);
    });

    test("fetches a file", async () => {
      const path = join(folder, `${name}.csv.gz`);
      await done(client.get(key(), path));
      assert.equal(sha256Of(path), files.get(key()));
      await lacks(`${hour}/none`, keys);
    });

    if (client.range)
      test("fetches a part of a file", async () => {
        const [args, path] = client.range(key());
        const { bytes } = await done(args);
        const part = path ? readFileSync(join(folder, path)) : bytes;
        assert.ok(part.equals(readFileSync(join(folder, `${name}.csv.gz`)).subarray(2, 6)));
      });

    test("syncs, and a second time does nothing", async () => {
      const path = join(folder, `${name}-sync`);
      await done(client.sync(path));
      const found = filesBelow(path);
      assert.deepEqual(found.sort(), [...files.keys()].sort());
      for (const file of found) assert.equal(sha256Of(join(path, file)), files.get(file));
      const times = () => found.map((file) => statSync(join(path, file)).ctimeMs);
      const before_ = times();
      const again = await done(client.sync(path));
      assert.ok(client.isQuiet(again.text), again.text.slice(0, 1000));
      assert.deepEqual(times(), before_);
    });

    test("cannot write", async () => {
      await fails(client.put(join(folder, `${name}.csv.gz`)), keys, /MethodNotAllowed/);
      assert.equal(client.readList((await done(client.listFolder(""))).text, "").keys.length, 0);
    });

    test("is refused with wrong keys, and with those of a revoked token", async () => {
      await fails(client.listFolder(""), { ...keys, secret_access_key: "0".repeat(40) }, client.denied);
      await fails(client.listFolder(""), { ...keys, access_key_id: "AAAAAAAAAA" }, client.unknown);
      const token = await makeToken(server.account.organization_id);
      const own = await keysOf(token.access_token);
      assert.deepEqual(client.readList((await done(client.listFolder(""), own)).text, "").folders, ["v2/"]);
      await admin("DELETE", `/v1/admin/tokens/${token.key_id}`);
      await new Promise((wait) => setTimeout(wait, 1000));
      await fails(client.listFolder(""), own, client.unknown);
    });

    test("of another organization sees nothing", async () => {
      const organization = await admin("POST", "/v1/admin/organizations", { name: `other ${name}` });
      const own = await keysOf((await makeToken(organization.organization_id)).access_token);
      assert.deepEqual(client.readList((await client.run(client.listAll(), own)).text, ""), { keys: [], folders: [] });
      await lacks(key(), own);
    });
  });

test("aws signs a URL that opens the file", async () => {
  const [key] = files.keys();
  const { text } = await clients.aws.run(["s3", "presign", `s3://exports/${key}`, "--expires-in", "60"]);
  const response = await fetch(text.trim());
  assert.equal(response.status, 200);
  assert.equal(createHash("sha256").update(Buffer.from(await response.arrayBuffer())).digest("hex"), files.get(key));
});
