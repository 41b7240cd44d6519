// SPDX-License-Identifier: Apache-2.0
// HTTPS: the same HTTP, keep-alive and pipelining; handshakes that are too old, too slow or none at all.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import https from "node:https";
import net from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import tls from "node:tls";

import { initData, Server, stopAll } from "./lib/server.mjs";
import { temporaryDirectory } from "./lib/temp.mjs";
import { sleep } from "./lib/wait.mjs";
import { Wire } from "./lib/wire.mjs";

let server;
let certificate;
const sockets = [];

before(async () => {
  const folder = temporaryDirectory("tls");
  certificate = join(folder, "certificate.pem");
  const key = join(folder, "key.pem");
  const made = spawnSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", certificate], { encoding: "utf8" });
  assert.equal(made.status, 0, made.stderr);
  server = await Server.start({ args: { "tls-cert": certificate, "tls-key": key, "http-head-timeout-ms": 2000 } }, initData());
  assert.match(server.base, /^https:/);
});
after(async () => {
  for (const socket of sockets) socket.destroy();
  await stopAll();
});

const type = "Content-Type: application/x-ndjson\r\n";
const token = () => `Access-Token: ${server.account.access_token}\r\n`;
const head = (line, headers = "") => `${line} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`;
const app = () => `app_id=${server.account.app_id}`;
const health = head("GET /healthz");

async function expectGoodRequest() {
  const wire = await Wire.connect(server.base);
  assert.equal((await wire.send(health).reply())?.status, 200);
  wire.close();
}

function plain() {
  const { hostname, port } = new URL(server.base);
  const socket = net.connect(Number(port), hostname);
  sockets.push(socket);
  return socket;
}

// A ClientHello of before TLS 1.3: its version (0x0301: TLS 1.0), one common cipher suite, no extensions.
function clientHello(version) {
  const hello = Buffer.concat([Buffer.from([version >> 8, version & 255]), Buffer.alloc(32, 7), Buffer.from([0, 0, 2, 0xc0, 0x13, 1, 0])]);
  return Buffer.concat([Buffer.from([22, 3, 1, 0, hello.length + 4, 1, 0, 0, hello.length]), hello]);
}

describe("requests", { timeout: 60_000 }, () => {
  test("a client that trusts the certificate is served, on one connection", async () => {
    const agent = new https.Agent({ keepAlive: true, maxSockets: 1, ca: readFileSync(certificate) });
    const { port } = new URL(server.base);
    let reused = 0;
    for (let i = 0; i < 5; i++) {
      const request = https.get({ agent, host: "localhost", servername: "localhost", family: 4, port, path: "/healthz" });
      const [reply] = await once(request, "response");
      assert.equal(reply.statusCode, 200);
      reply.resume();
      await once(reply, "end");
      reused += request.reusedSocket ? 1 : 0;
    }
    assert.equal(reused, 4);
    agent.destroy();
  });

  test("pipelined requests and bodies of all sizes are answered in order", async () => {
    const lines = (count) => `{"timestamp":1717232400000,"text":"${"x".repeat(70)}"}\n`.repeat(count);
    const wire = await Wire.connect(server.base);
    const counts = [1, 100, 3000, 2];
    for (const [index, count] of counts.entries()) {
      const body = lines(count);
      const ingest = (headers) => head(`POST /v1/events/secure?${app()}`, `${token()}${type}${headers}`);
      wire.send(health);
      if (index % 2 === 0) {
        wire.send(ingest(`Content-Length: ${body.length}\r\n`) + body);
      } else {
        wire.send(ingest("Transfer-Encoding: chunked\r\n"));
        for (let at = 0; at < body.length; at += 997) {
          const piece = body.slice(at, at + 997);
          wire.send(`${piece.length.toString(16)};n=v\r\n${piece}\r\n`);
        }
        wire.send("0\r\nTrailer: x\r\n\r\n");
      }
    }
    for (const count of counts) {
      assert.match((await wire.reply()).body, /"ok"/);
      assert.deepEqual(JSON.parse((await wire.reply()).body), { accepted: count });
    }
    wire.close();
  });

  test("100 Continue comes, and does not when the answer is no", async () => {
    const wire = await Wire.connect(server.base);
    const body = `{"timestamp":1717232400000}\n`;
    const call = `POST /v1/events/secure?${app()}`;
    wire.send(head(call, `${token()}${type}Expect: 100-continue\r\nContent-Length: ${body.length}\r\n`));
    assert.equal((await wire.reply()).status, 100);
    assert.equal((await wire.send(body).reply()).status, 200);
    wire.send(head(call, `Access-Token: nonsense\r\n${type}Expect: 100-continue\r\nContent-Length: ${body.length}\r\n`));
    assert.equal((await wire.reply()).status, 401);
    assert.ok(await wire.ends());
  });

  test("what is refused is refused with a reason, once, and ends the connection", async () => {
    const deletion = head(`DELETE /v1/admin/tokens/x`, token());
    const chunked = (bytes) => head(`POST /v1/events/secure_evil?${app()}`, `${token()}${type}Transfer-Encoding: chunked\r\n`) + bytes;
    const bad = [
      ["GET /healthz HTTP/1.1\nHost: a\n\n", 400, "Bare LF in message head"],
      ["GET / HTTP/2.0\r\n", 505, "HTTP version not supported"],
      [head("GET /healthz", "Content-Length : 5\r\n"), 400, "Malformed header"],
      [head("GET /healthz", `a: ${"b".repeat(60_000)}\r\n`), 431, "Header field too large"],
      [chunked("5\nhello\r\n"), 400, "Malformed chunk"],
      [chunked("1\r\n{x"), 400, "Malformed chunk"],
      [chunked(`1;${"x".repeat(300)}\r\n`), 400, "Malformed chunk"],
    ];
    for (const [bytes, status, message] of bad) {
      for (const before of ["", health + health]) {
        const wire = await Wire.connect(server.base);
        wire.send(before + bytes + deletion);
        for (let i = 0; i < before.length / health.length; i++) assert.equal((await wire.reply()).status, 200);
        const reply = await wire.reply();
        assert.deepEqual([reply.status, JSON.parse(reply.body)], [status, { error: { message, code: status } }]);
        assert.equal(reply.headers.connection, "close");
        assert.ok(await wire.ends());
        wire.close();
      }
      await expectGoodRequest();
    }
    const wire = await Wire.connect(server.base);
    assert.equal((await wire.send(head("GET /v1/topics/secure_evil", token())).reply()).status, 404);
    wire.close();
  });
});

describe("handshakes", { timeout: 60_000 }, () => {
  test("B121: TLS 1.0 and 1.1 are refused with an alert", async () => {
    for (const version of [0x0301, 0x0302]) {
      const socket = plain();
      const closed = once(socket, "close");
      socket.write(clientHello(version));
      const [bytes] = await once(socket, "data");
      assert.deepEqual([bytes[0], bytes[5], bytes[6]], [21, 2, 70], `${version}: not a fatal protocol_version alert`);
      await closed;
      await expectGoodRequest();
    }
    for (const version of ["TLSv1.2", "TLSv1.3"]) {
      const wire = await Wire.connect(server.base, { minVersion: version, maxVersion: version });
      assert.equal(wire.socket.getProtocol(), version);
      assert.equal((await wire.send(health).reply()).status, 200);
      wire.close();
    }
  });

  test("B122: plain HTTP gets no HTTP", async () => {
    const socket = plain();
    const closed = once(socket, "close");
    let text = "";
    socket.on("data", (bytes) => (text += bytes.toString("latin1")));
    socket.on("error", () => {});
    socket.write(health);
    await closed;
    assert.ok(!/milkrun|microhttpd|gnutls/i.test(text), text);
    await expectGoodRequest();
  });

  test("B123: a ClientHello that drips ends at the deadline", async () => {
    const bytes = clientHello(0x0303);
    const socket = plain();
    socket.on("error", () => {});
    socket.resume();
    const start = Date.now();
    const closed = once(socket, "close");
    for (let i = 0; i < 60 && !socket.destroyed; i++) {
      socket.write(bytes.subarray(i, i + 1));
      await Promise.race([closed, sleep(100)]);
    }
    assert.ok(socket.destroyed);
    assert.ok(Date.now() - start < 5000, `${Date.now() - start} ms`);
    await expectGoodRequest();
  });

  test("B125: no early data: no session is given out that could carry any", async () => {
    const wire = await Wire.connect(server.base, { minVersion: "TLSv1.3" });
    let sessions = 0;
    wire.socket.on("session", () => sessions++);
    assert.equal((await wire.send(health).reply()).status, 200);
    assert.equal((await wire.send(head("GET /healthz", "Connection: close\r\n")).reply()).status, 200);
    assert.ok(await wire.ends());
    assert.equal(sessions, 0);
  });

  test("B126: a name that is not ours gets the certificate that there is", async () => {
    const wire = await Wire.connect(server.base, { servername: "elsewhere.example" });
    assert.equal(wire.socket.getPeerCertificate().subject.CN, "localhost");
    const reply = await wire.send("GET https://elsewhere.example/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").reply();
    assert.equal(reply.status, 421);
    wire.close();
    await expectGoodRequest();
  });
});

test("it drains and ends in order", async () => {
  const wire = await Wire.connect(server.base);
  assert.equal((await wire.send(health).reply()).status, 200);
  assert.equal((await server.stop()).code, 0);
});
