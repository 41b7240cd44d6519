// SPDX-License-Identifier: Apache-2.0
// The servers themselves come up, do what the deliveries rely on, and go; and they agree with the scripted ones of test/e2e/lib/clouds.mjs,
// so that what is shown with those holds for real ones as well.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import net from "node:net";
import { after, before, describe, test } from "node:test";
import tls from "node:tls";

import { presign, exchange, S3, S3Client, stopClouds } from "../e2e/lib/clouds.mjs";
import { MailServer, stopMailServers } from "./lib/mail.mjs";
import { stopProcesses } from "./lib/processes.mjs";
import { allow, Radosgw } from "./lib/radosgw.mjs";

after(async () => {
  await Promise.all([stopProcesses(), stopMailServers(), stopClouds()]);
});

describe("radosgw and the scripted S3 answer the same", () => {
  let ceph, scripted;
  const both = () => [["radosgw", ceph], ["scripted", scripted]];
  const code = (reply) => /<Code>([^<]*)<\/Code>/.exec(reply.text)?.[1];

  before(async () => {
    const gateway = await Radosgw.start();
    const owner = await gateway.makeUser("owner");
    const s3 = await S3.start({ conditions: "put", isCompletedAgain: true });
    s3.makeBucket("bucket");
    scripted = new S3Client({ endpoint: s3.endpoint, key: s3.keys.add(), region: s3.region });
    ceph = owner;
    await ceph.must("PUT", "bucket");
    ceph.gateway = gateway;
  });
  after(() => ceph?.gateway.stop());

  async function same(ask) {
    const [left, right] = await Promise.all(both().map(async ([, client]) => ask(client)));
    assert.deepEqual(left, right, "radosgw, then the scripted one");
    return left;
  }

  test("objects, tags and metadata", async () => {
    const bytes = randomBytes(1000);
    await same(async (client) => (await client.put("bucket", "a b/ü=&+.csv", bytes, { "x-amz-meta-sha256": "abc", "content-type": "text/csv" })).headers.etag);
    assert.deepEqual(await same(async (client) => (await client.get("bucket", "a b/ü=&+.csv")).equals(bytes)), true);
    await same(async (client) => {
      const { headers } = await client.must("HEAD", "bucket/a b/ü=&+.csv");
      return [headers["content-length"], headers["x-amz-meta-sha256"], headers["content-type"], headers.etag];
    });
    await same((client) => client.list("bucket"));
    await same(async (client) => (await exchange(presign({ url: `${client.endpoint}/bucket/a%20b/%C3%BC%3D%26%2B.csv`, key: client.key }))).body.equals(bytes));
  });

  test("refusals", async () => {
    const wrong = (client, change) => ({ key: { ...client.key, ...change } });
    for (const ask of [
      (client) => client.call("GET", "bucket/a", wrong(client, { secret: "x" })), (client) => client.call("GET", "bucket/a", wrong(client, { keyId: "NOBODY" })),
      (client) => client.call("PUT", "absent/a", { body: "x" }), (client) => client.call("GET", "bucket/absent"),
      (client) => client.call("GET", "bucket/a", { now: Date.now() - 20 * 60_000 }), (client) => client.call("PUT", "bucket/a", { body: "x", payloadHash: "0".repeat(64) }),
      (client) => client.call("PUT", "bucket/a", { body: "x", headers: { "content-md5": "AAAAAAAAAAAAAAAAAAAAAA==" } }),
    ]) await same(async (client) => {
      const reply = await ask(client);
      return [reply.status, code(reply)];
    });
  });

  test("If-None-Match, and uploads in parts", async () => {
    const once = (client) => client.call("PUT", "bucket/once", { body: "x", headers: { "if-none-match": "*" } });
    assert.deepEqual(await same(async (client) => [(await once(client)).status, (await once(client)).status, code(await once(client))]), [200, 412, "PreconditionFailed"]);
    const part = Buffer.alloc(5 * 1024 * 1024, 7);
    await same(async (client) => {
      const id = await client.beginUpload("bucket", "parts");
      const open = (await client.openUploads("bucket")).map(({ key }) => key);
      const etags = [await client.uploadPart("bucket", "parts", id, 1, part), await client.uploadPart("bucket", "parts", id, 2, "end")];
      const bad = await client.complete("bucket", "parts", id, [etags[0], `"${"0".repeat(32)}"`]);
      const done = await client.complete("bucket", "parts", id, etags);
      const again = await client.complete("bucket", "parts", id, etags);
      return [open, etags, bad.status, code(bad), done.status, (await client.must("HEAD", "bucket/parts")).headers.etag, again.status, (await client.get("bucket", "parts")).length];
    });
    await same(async (client) => {
      const id = await client.beginUpload("bucket", "small");
      const etags = [await client.uploadPart("bucket", "small", id, 1, "a"), await client.uploadPart("bucket", "small", id, 2, "b")];
      const small = await client.complete("bucket", "small", id, etags);
      const abort = () => client.call("DELETE", "bucket/small", { query: { uploadId: id } });
      return [small.status, code(small), (await abort()).status, (await abort()).status, (await client.uploadPart("bucket", "small", id, 1, "a").catch((error) => /<Code>(\w+)/.exec(error.message)[1]))];
    });
  });

  test("policies for another user", async () => {
    const other = await ceph.gateway.makeUser("other");
    assert.equal((await other.call("PUT", "bucket/p/x", { body: "x" })).status, 403);
    await allow(ceph, "bucket", "other", ["s3:PutObject"], { prefix: "p/" });
    assert.equal((await other.call("PUT", "bucket/p/x", { body: "x" })).status, 200);
    assert.equal((await other.call("PUT", "bucket/q/x", { body: "x" })).status, 403);
    await ceph.put("bucket", "p/y", "y");
    assert.equal((await other.call("GET", "bucket/p/y")).status, 403);
    assert.equal((await other.call("GET", "bucket/p/x")).status, 200, "here who wrote an object owns it, other than at AWS");
    await ceph.gateway.deleteBucket("bucket");
    assert.equal((await ceph.call("GET", "bucket/p/x")).status, 404);
  });

  test("the gateway comes back after a kill, and writes hang while the store stands still", async () => {
    await ceph.must("PUT", "second");
    await ceph.gateway.killGateway();
    await assert.rejects(ceph.call("GET", "second"), /ECONNREFUSED/);
    await ceph.gateway.startGateway();
    await ceph.put("second", "x", "content");
    ceph.gateway.standStill();
    await assert.rejects(exchange(`${ceph.endpoint}/second/x`, { timeoutMs: 1 }), /no reply/);
    ceph.gateway.goOn();
    assert.equal(String(await ceph.get("second", "x")), "content");
  });
});

test("the mail server: STARTTLS, AUTH, replies by recipient", async () => {
  const mail = await MailServer.start({ users: { milkrun: "password" } });
  mail.verdicts["bad@b.example"] = [550, "5.1.1 unknown"];
  let socket = net.connect(mail.port, "127.0.0.1");
  const reply = async () => String((await once(socket, "data"))[0]).slice(0, 3);
  const send = (text) => {
    socket.write(`${text}\r\n`);
    return reply();
  };
  assert.equal(await reply(), "220");
  assert.equal(await send("EHLO me.example"), "250");
  assert.equal(await send("STARTTLS"), "220");
  socket = tls.connect({ socket, ca: (await import("node:fs")).readFileSync(mail.authority.file), servername: "localhost" });
  await once(socket, "secureConnect");
  assert.equal(await send("EHLO me.example"), "250");
  assert.equal(await send("MAIL FROM:<a@b.example>"), "530");
  assert.equal(await send(`AUTH PLAIN ${Buffer.from("\0milkrun\0wrong").toString("base64")}`), "535");
  assert.equal(await send(`AUTH PLAIN ${Buffer.from("\0milkrun\0password").toString("base64")}`), "235");
  assert.equal(await send("MAIL FROM:<a@b.example>"), "250");
  assert.equal(await send("RCPT TO:<bad@b.example>"), "550");
  assert.equal(await send("RCPT TO:<good@b.example>"), "250");
  assert.equal(await send("DATA"), "354");
  assert.equal(await send("Subject: =?utf-8?Q?Z=C3=BCrich?=\r\n\r\nbody\r\n."), "250");
  assert.deepEqual(mail.mails.map(({ to, isSecure, user, parsed }) => [to, isSecure, user, parsed.subject]), [[["good@b.example"], true, "milkrun", "Zürich"]]);
  socket.destroy();
});
