// SPDX-License-Identifier: Apache-2.0
// HTTP as bytes: what is no request, or no body, has one answer in the documented shape; nothing behind it is
// executed; and the next good request works.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { Api } from "./lib/api.mjs";
import { memoryKib, Server, stopAll } from "./lib/server.mjs";
import { sleep } from "./lib/wait.mjs";
import { Wire } from "./lib/wire.mjs";

let server;
let api;
let victim; // a subscription that bytes behind an error try to delete
let known; // what {words} in the cases stand for

before(async () => {
  server = await Server.start({ args: { "http-head-timeout-ms": 1500, "http-rate-window-ms": 1500, "http-reply-stall-ms": 1500 } });
  api = new Api(server);
  await api.ingest("wired", [{ timestamp: Date.now(), n: 1 }]);
  victim = await api.subscribe({ cadence: "hourly", report_type: "wired", report_fields: ["timestamp"] });
  known = { "{sid}": victim, "{app}": api.appId, "{token}": api.token, "{host}": new URL(server.base).host };
});
after(stopAll);

const fill = (text) => text.replace(/\{(sid|app|token|host)\}/g, (word) => known[word]);
const many = (count, text) => text.repeat(count);
const jobs = "/scheduled-exports/logs/subscription/{sid}/jobs?app_id={app}";
const token = "Access-Token: {token}\r\n";
const host = "Host: {host}\r\n";
const head = (line, headers = "") => `${line} HTTP/1.1\r\n${host}${token}${headers}\r\n`;
const ingest = (headers, body) => `POST /v1/events/wire_evil?app_id={app} HTTP/1.1\r\n${host}${token}Content-Type: application/x-ndjson\r\n${headers}\r\n${body}`;
const chunked = (body) => ingest("Transfer-Encoding: chunked\r\n", body);
const event = `{"timestamp":1717232400000}\n`;
const deletion = head("DELETE /scheduled-exports/logs/subscription/{sid}?app_id={app}");

const open = { closes: false };
const line400 = [400, "Malformed request line"];
const header400 = [400, "Malformed header"];
const chunk400 = [400, "Malformed chunk"];
const length400 = [400, "Ambiguous message length"];
const target400 = [400, "Invalid request target"];

// [case, bytes, status, message or undefined, what else is expected]. Refusals close, unless `open` is said.
const cases = [
  ["B001 no Host", "GET / HTTP/1.1\r\n\r\n", 400, "Missing Host header"],
  ["B002 two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "Duplicate Host header"],
  ["B003 one Host twice", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, "Duplicate Host header"],
  ["B005 HTTP/1.0 without Host", `POST ${jobs} HTTP/1.0\r\n${token}\r\n`, 200, undefined, { closes: true }],
  ["B005 HTTP/1.0 that stays", `POST ${jobs} HTTP/1.0\r\n${token}Connection: keep-alive\r\n\r\n`, 200, undefined, open],
  ["B006 no version", "GET /\r\n", ...line400],
  ["B006 no version, open line", "GET /\r\n\r\n", ...line400],
  ["B007 HTTP/2.0", `POST ${jobs} HTTP/2.0\r\n${host}${token}\r\n`, 505, "HTTP version not supported"],
  ["B007 HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "HTTP version not supported"],
  ["B007 HTTP/0.9", "GET / HTTP/0.9\r\n\r\n", 505, "HTTP version not supported"],
  ["B009 HTTP/1.2", `POST ${jobs} HTTP/1.2\r\n${host}${token}\r\n`, 200, undefined, open],
  ["B010 http/1.1", `POST ${jobs} http/1.1\r\n${host}${token}\r\n`, ...line400],
  ["B011 two blanks", `POST  ${jobs}  HTTP/1.1\r\n${host}${token}\r\n`, ...line400],
  ["B011 two blanks before the version", `POST ${jobs}  HTTP/1.1\r\n${host}${token}\r\n`, ...line400],
  ["B011 a tab", `POST\t${jobs} HTTP/1.1\r\n${host}${token}\r\n`, ...line400],
  ["B011 a blank behind the version", `POST ${jobs} HTTP/1.1 \r\n${host}${token}\r\n`, ...line400],
  ["B013 an empty line", `\r\n${head(`POST ${jobs}`)}`, 200, undefined, open],
  ["B014 two empty lines", `\r\n\r\n${head(`POST ${jobs}`)}`, ...line400],
  ["B014 1,000 empty lines", many(1000, "\r\n") + head(`POST ${jobs}`), ...line400],
  ["B015 LF for CRLF", head(`POST ${jobs}`).replaceAll("\r\n", "\n"), 400, "Bare LF in message head"],
  ["B015 one LF", `GET /healthz HTTP/1.1\r\nHost: a\nX: y\r\n\r\n`, 400, "Bare LF in message head"],
  ["B015 LF at the end", `GET /healthz HTTP/1.1\r\nHost: a\r\n\n`, 400, "Bare LF in message head"],
  ["B017 NUL in the target", head("GET /health\0z"), ...line400],
  ["B018 no slash", head("GET foo"), ...target400],
  ["B019 a foreign authority", head("GET http://elsewhere.example/healthz"), 421, "Misdirected request"],
  ["B019 our own authority", head("GET http://{host}/healthz"), 200, undefined, open],
  ["B021 TRACE", head("TRACE /"), 405, "Method not allowed", { ...open, allow: /GET/ }],
  ["B022 OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 204, undefined, { ...open, allow: /^GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS$/ }],
  ["B023 FOO", head(`FOO ${jobs}`), 501, "Method not implemented", open],
  ["B025 PUT", head(`PUT ${jobs}`), 405, "Method not allowed", { ...open, allow: /^GET, HEAD, POST, OPTIONS$/ }],
  ["B025 PATCH", head(`PATCH ${jobs}`), 405, "Method not allowed", { ...open, allow: /^GET, HEAD, POST, OPTIONS$/ }],
  ["B025 PATCH with a body", `${head(`PATCH ${jobs}`, "Content-Length: 2\r\n")}{}`, 405, "Method not allowed", { ...open, allow: /^GET, HEAD, POST, OPTIONS$/ }],
  ["B025 DELETE", head(`DELETE ${jobs}`), 405, "Method not allowed", { ...open, allow: /^GET, HEAD, POST, OPTIONS$/ }],
  ["B025 OPTIONS", head(`OPTIONS ${jobs}`), 204, undefined, { ...open, allow: /^GET, HEAD, POST, OPTIONS$/ }],
  ["B026 post", head(`post ${jobs}`), 501, "Method not implemented", open],
  ["B026 CONNECT", head("CONNECT {host}"), 501, "Method not implemented", open],
  ["B027 PO(ST", head(`PO(ST ${jobs}`), ...line400],
  ["B029 a target of 8,193 bytes", head(`GET /${many(8192, "a")}`), 414, "URI too long"],
  ["B029 a target without an end", `GET /${many(20_000, "a")}`, 414, "URI too long"],
  ["B030 a fragment", head("GET /a#b"), ...target400],
  ["B031 %zz", head("GET /a%zz"), 400, "Invalid percent-encoding", open],
  ["B031 %4", head("GET /a%4"), 400, "Invalid percent-encoding", open],
  ["B033 overlong UTF-8", head("GET /%c0%af..%c0%afetc"), 400, "Invalid UTF-8 in path", open],
  ["B034 dot segments", head("GET /scheduled-exports/../admin/orgs"), 400, "Invalid path", open],
  ["B035 encoded dot segments", head("GET /scheduled-exports/%2e%2e/admin/orgs"), 400, "Invalid path", open],
  ["B037 a path parameter", head("GET /scheduled-exports;v=1/logs/subscriptions?app_id={app}"), 404, "Not found", open],
  ["B038 a slash at the end", head(`POST ${jobs.replace("?", "/?")}`), 200, undefined, open],
  ["B039 two slashes at the end", head(`POST ${jobs.replace("?", "//?")}`), 404, "Not found", open],
  ["B041 other letter case", head("GET /Scheduled-Exports/Logs/subscriptions?app_id={app}"), 404, "Not found", open],

  ["B058 a blank before the colon", `${ingest("Content-Length : 28\r\n", event)}`, ...header400],
  ["B059 a folded header", head("GET /healthz", "X: a\r\n b\r\n"), ...header400],
  ["B059 a folded first header", `GET /healthz HTTP/1.1\r\n ${host}\r\n`, ...header400],
  ["B061 no colon", head("GET /healthz", "X\r\n"), ...header400],
  ["B061 no name", head("GET /healthz", ": x\r\n"), ...header400],
  ["B062 a@b", head("GET /healthz", "a@b: 1\r\n"), ...header400],
  ["B062 a byte beyond ASCII", head("GET /healthz", "a\x80: 1\r\n"), ...header400],
  ["B063 NUL in a value", head("GET /healthz", "a: b\0c\r\n"), ...header400],
  ["B065 0x01 in a value", head("GET /healthz", "a: \x01\r\n"), ...header400],
  ["B065 0x1b in a value", head("GET /healthz", "a: \x1b[0m\r\n"), ...header400],
  ["B065 CR in a value", head("GET /healthz", "a: b\rc\r\n"), ...header400],
  ["B066 101 headers", head("GET /healthz", many(99, "a: b\r\n")), 431, "Too many header fields"],
  ["B066 100 headers", head("GET /healthz", many(98, "a: b\r\n")), 200, undefined, open],
  ["B067 a header of 8,193 bytes", head("GET /healthz", `a: ${many(8190, "b")}\r\n`), 431, "Header field too large"],
  ["B067 a header of 8,192 bytes", head("GET /healthz", `a: ${many(8189, "b")}\r\n`), 200, undefined, open],
  ["B067 40,000 bytes of headers", head("GET /healthz", many(8, `a: ${many(5000, "b")}\r\n`)), 431, "Header fields too large"],
  ["B069 Expect with a bad token", `POST /v1/events/wire_evil?app_id={app} HTTP/1.1\r\n${host}Access-Token: api_app_00000000000000000000000000000000\r\nExpect: 100-continue\r\nContent-Length: 28\r\n\r\n`, 401, undefined],
  ["B069 Expect with a bad token, Branch", `POST ${jobs} HTTP/1.1\r\n${host}Access-Token: nonsense\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n`, 400, "Authentication failed !"],
  ["B070 Expect: 200-ok", head(`POST ${jobs}`, "Expect: 200-ok\r\nContent-Length: 2\r\n"), 417, "Expectation failed"],
  ["B071 Upgrade: h2c", head(`POST ${jobs}`, "Upgrade: h2c\r\nConnection: Upgrade\r\n"), 200, undefined, open],
  ["B071 Upgrade: websocket", head("GET /healthz", "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"), 200, undefined, open],
  ["B073 a method override", head(`POST ${jobs}`, "X-HTTP-Method-Override: DELETE\r\n"), 200, undefined, open],
  ["B074 a path override", head(`POST ${jobs}`, "X-Original-URL: /v1/admin/organizations\r\nX-Rewrite-URL: /x\r\n"), 200, undefined, open],
  ["B075 a forwarded address", head(`POST ${jobs}`, "X-Forwarded-For: 127.0.0.1\r\n"), 200, undefined, open],
  ["B077 Accept: text/html", head(`POST ${jobs}`, "Accept: text/html\r\n"), 200, undefined, open],
  ["B077 Accept: nonsense", head(`POST ${jobs}`, "Accept: nonsense\r\n"), 200, undefined, open],
  ["B078 a token in a cookie", `POST ${jobs} HTTP/1.1\r\n${host}Cookie: access-token={token}\r\n\r\n`, 400, "Authentication failed !", open],

  ["B081 both lengths", ingest("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), ...length400],
  ["B082 identity", ingest("Transfer-Encoding: identity\r\n", event), 501, "Transfer coding not implemented"],
  ["B083 gzip, chunked", ingest("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), 501, "Transfer coding not implemented"],
  ["B083 xchunked", ingest("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), 501, "Transfer coding not implemented"],
  ["B085 chunked, chunked", ingest("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"), ...length400],
  ["B086 two codings", ingest("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), ...length400],
  ["B086 a coding in HTTP/1.0", `POST ${jobs} HTTP/1.0\r\n${token}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, ...length400],
  ["B087 0x0b before chunked", ingest("Transfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n"), ...header400],
  ["B087 NUL behind chunked", ingest("Transfer-Encoding: chunked\0\r\n", "0\r\n\r\n"), ...header400],
  ["B089 two lengths", ingest("Content-Length: 28\r\nContent-Length: 29\r\n", event), ...length400],
  ["B090 one length twice", ingest("Content-Length: 28\r\nContent-Length: 28\r\n", event), ...length400],
  ["B090 5, 5", ingest("Content-Length: 28, 28\r\n", event), ...length400],
  ["B091 -1", ingest("Content-Length: -1\r\n", event), 400, "Invalid Content-Length"],
  ["B091 +28", ingest("Content-Length: +28\r\n", event), 400, "Invalid Content-Length"],
  ["B091 0x1c", ingest("Content-Length: 0x1c\r\n", event), 400, "Invalid Content-Length"],
  ["B091 nothing", ingest("Content-Length:\r\n", event), 400, "Invalid Content-Length"],
  ["B093 2^64", ingest("Content-Length: 18446744073709551616\r\n", event), 413, "Request body too large"],
  ["B094 2^63", ingest("Content-Length: 9223372036854775808\r\n", event), 413, "Request body too large"],
  ["B097 a chunk of 17 digits", chunked("FFFFFFFFFFFFFFFFF\r\n"), ...chunk400],
  ["B097 a chunk of 2^64 - 1 bytes", chunked("FFFFFFFFFFFFFFFF\r\n"), 413, "Request body too large"],
  ["B098 0x5", chunked(`0x1c\r\n${event}\r\n0\r\n\r\n`), ...chunk400],
  ["B098 -1", chunked("-1\r\n"), ...chunk400],
  ["B098 a blank behind the size", chunked(`1c \r\n${event}\r\n0\r\n\r\n`), ...chunk400],
  ["B098 a blank before the size", chunked(` 1c\r\n${event}\r\n0\r\n\r\n`), ...chunk400],
  ["B098 no size", chunked(`\r\n${event}\r\n0\r\n\r\n`), ...chunk400],
  ["B098 a second chunk without a size", chunked(`1c\r\n${event}\r\n;x\r\n`), ...chunk400],
  ["B098 a chunk that is too short", chunked(`1b\r\n${event}\r\n0\r\n\r\n`), ...chunk400],
  ["B099 an extension of 300 bytes", chunked(`1c;${many(300, "x")}\r\n${event}\r\n0\r\n\r\n`), ...chunk400],
  ["B099 1 MB of extensions", chunked(many(4000, `1;${many(250, "x")}\r\na\r\n`)), ...chunk400],
  ["B099 a garbled extension", chunked(`1c;=\r\n${event}\r\n0\r\n\r\n`), ...chunk400],
  ["B101 LF behind the size", chunked(`1c\n${event}\r\n0\r\n\r\n`), ...chunk400],
  ["B101 LF behind the chunk", chunked(`1c\r\n${event}\n0\r\n\r\n`), ...chunk400],
  ["B101 LF behind the last size", chunked(`1c\r\n${event}\r\n0\n\r\n`), ...chunk400],
  ["B101 LF at the end", chunked(`1c\r\n${event}\r\n0\r\n\n`), 400, "Malformed trailer"],
  ["B103 a broken trailer", chunked(`1c\r\n${event}\r\n0\r\nbroken\r\n\r\n`), 400, "Malformed trailer"],
  ["B103 a trailer of 40,000 bytes", chunked(`1c\r\n${event}\r\n0\r\n${many(8, `a: ${many(5000, "b")}\r\n`)}\r\n`), 400, "Malformed trailer"],
  ["B103 a trailer that would be a token", `POST ${jobs} HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n0\r\nAccess-Token: {token}\r\n\r\n`, 400, "Authentication failed !", open],
  ["B103 a trailer that would be a length", `${head(`POST ${jobs}`, "Transfer-Encoding: chunked\r\n")}0\r\nContent-Length: 5\r\nHost: evil\r\nAccess-Token: x\r\n\r\n`, 200, undefined, open],
  ["B105 GET with a small body", `${head("GET /healthz", "Content-Length: 10\r\n")}0123456789`, 200, undefined, open],
  ["B106 GET with a large body", `${head("GET /healthz", "Content-Length: 1000000\r\n")}${many(1_000_000, "a")}`, 413, "Request body too large"],
  ["B107 POST without a body", head(`POST ${jobs}`), 200, undefined, open],
  ["TLS bytes on the plain port", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", ...line400],
  ["SSH on the plain port", "SSH-2.0-OpenSSH_9.2\r\n", ...line400],
];

async function expectGoodRequest(base = server.base, options = {}) {
  const wire = await Wire.connect(base, options);
  const reply = await wire.send(fill(head(`POST ${jobs}`))).reply();
  assert.equal(reply?.status, 200);
  wire.close();
}

async function expectCase([label, bytes, status, message, { closes = status >= 400, allow } = {}], base = server.base) {
  const method = bytes.startsWith("HEAD") ? "HEAD" : "GET";
  const wire = await Wire.connect(base);
  wire.send(fill(bytes) + (closes ? fill(deletion + head("GET /healthz")) : ""));
  const reply = await wire.reply({ method });
  assert.equal(reply?.status, status, `${label}: ${reply?.body}`);
  if (status >= 400) {
    assert.equal(reply.headers["content-type"], "application/json; charset=utf-8", label);
    const { error } = JSON.parse(reply.body);
    assert.equal(error.code, status, label);
    if (message) assert.deepEqual(JSON.parse(reply.body), { error: { message, code: status } }, label);
    assert.ok(!reply.body.includes(known["{token}"]), label);
  }
  assert.ok(reply.headers["x-request-id"], label);
  if (allow) assert.match(reply.headers.allow ?? "", allow, label);
  if (closes) {
    if (reply.version === "HTTP/1.1") assert.match(reply.headers.connection ?? "", /close/i, label);
    assert.ok(await wire.ends(), `${label}: something came behind the reply: ${wire.received}`);
  } else {
    const next = await wire.send(fill(head("GET /healthz"))).reply();
    assert.equal(next?.status, 200, `${label}: the connection did not live on`);
  }
  wire.close();
}

// Nothing that stood behind a refusal, or in a refused body, has come to pass.
async function expectNothingHappened(client = api) {
  assert.equal((await client.subscription(victim)).report.subscription_status, "ACTIVE");
  assert.equal((await client.raw("GET", "/v1/topics/wire_evil")).status, 404);
}

describe("heads, headers and framing", () => {
  for (const row of cases)
    test(row[0], async () => {
      await expectCase(row);
      await expectGoodRequest();
    });

  test("each of them byte by byte, too", async () => {
    const short = cases.filter(([, bytes]) => bytes.length < 300);
    assert.ok(short.length > 60);
    for (const [label, bytes, status] of short) {
      const wire = await Wire.connect(server.base);
      wire.socket.setNoDelay(true);
      for (const byte of fill(bytes)) {
        wire.send(byte);
        await new Promise(setImmediate);
      }
      assert.equal((await wire.reply())?.status, status, label);
      wire.close();
    }
  });

  test("nothing happened", () => expectNothingHappened());
});

describe("bodies that do not end", () => {
  test("B095, B102: what the client cuts off is not stored", async () => {
    for (const bytes of [ingest("Content-Length: 100\r\n", event), chunked(`1c\r\n${event}\r\n`), chunked(`1c\r\n${event}`), chunked("1")]) {
      const wire = await Wire.connect(server.base);
      wire.send(fill(bytes)).finish();
      assert.ok(await wire.ends());
      wire.close();
    }
    await expectGoodRequest();
    await expectNothingHappened();
  });
});

describe("pipelining", () => {
  test("B109: answers come in order", async () => {
    const wire = await Wire.connect(server.base);
    const lines = `${event}${event}`;
    wire.send(fill(head("GET /healthz") + ingest("Content-Length: 28\r\n", event).replace("wire_evil", "wired") +
      ingest("Transfer-Encoding: chunked\r\n", `38\r\n${lines}\r\n0\r\n\r\n`).replace("wire_evil", "wired") + head("GET /nowhere")));
    const bodies = [];
    for (let i = 0; i < 4; i++) bodies.push((await wire.reply()).body);
    assert.match(bodies[0], /"ok"/);
    assert.deepEqual(bodies.slice(1, 3).map((body) => JSON.parse(body)), [{ accepted: 1 }, { accepted: 2 }]);
    assert.equal(JSON.parse(bodies[3]).error.code, 404);
    wire.close();
  });

  test("100-continue is not asked of a request without a body, and takes nothing from the next", async () => {
    const wire = await Wire.connect(server.base);
    const expect = "Expect: 100-continue\r\n";
    wire.send(fill(head("GET /healthz", expect) + head("GET /healthz", `${expect}Content-Length: 0\r\n`) + head("GET /nowhere", expect) +
      head("GET /readyz")));
    const statuses = [];
    for (let i = 0; i < 4; i++) statuses.push((await wire.reply())?.status);
    assert.deepEqual(statuses, [200, 200, 404, 200]);
    wire.close();
  });

  test("who shuts down the sending side with the request is answered, and then closed", async () => {
    const wire = await Wire.connect(server.base);
    const pid = server.apiPid();
    process.kill(pid, "SIGSTOP"); // so that the end arrives together with the request
    try {
      wire.send(fill(head("GET /healthz"))).finish();
      await new Promise((resolve) => setTimeout(resolve, 100));
    } finally {
      process.kill(pid, "SIGCONT");
    }
    assert.equal((await wire.reply())?.status, 200);
    assert.ok(await wire.ends());
    wire.close();
  });

  test("B110: behind an error nothing is executed, before it all is", async () => {
    for (const bad of ["GET /healthz HTTP/1.1\r\nContent-Length : 5\r\n\r\n", chunked("x"), chunked(`1c\r\n${event}x`), "GET / HTTP/1.1\n"]) {
      const wire = await Wire.connect(server.base);
      wire.send(fill(head("GET /healthz") + head("GET /readyz") + bad + deletion));
      assert.deepEqual([(await wire.reply()).status, (await wire.reply()).status], [200, 200]);
      const reply = await wire.reply();
      assert.deepEqual([reply.status, reply.headers.connection], [400, "close"]);
      assert.ok(await wire.ends());
      wire.close();
    }
    await expectNothingHappened();
  });

  test("a client's own Connection: close ends it as well", async () => {
    const wire = await Wire.connect(server.base);
    wire.send(fill(head("GET /healthz", "Connection: close\r\n") + deletion));
    assert.equal((await wire.reply()).status, 200);
    assert.ok(await wire.ends());
    await expectNothingHappened();
  });

  test("B111: of 10,000 requests in one train 1,000 are answered", async () => {
    const before = memoryKib(server.apiPid(), "VmRSS");
    const wire = await Wire.connect(server.base);
    wire.send(many(10_000, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"));
    for (let i = 1; i <= 1000; i++) {
      const reply = await wire.reply();
      assert.equal(reply?.status, 200);
      assert.equal(reply.headers.connection, i === 1000 ? "close" : undefined);
    }
    assert.ok(await wire.ends());
    assert.ok(memoryKib(server.apiPid(), "VmRSS") - before < 8 * 1024);
    await expectGoodRequest();
  });
});

describe("slow clients", () => {
  test("B113: a dripping body is 408, and nothing of it is stored", async () => {
    const wire = await Wire.connect(server.base);
    wire.send(fill(ingest("Content-Length: 100000\r\n", event)));
    const drip = setInterval(() => wire.send("x"), 100);
    const reply = await wire.reply();
    clearInterval(drip);
    assert.deepEqual([reply.status, JSON.parse(reply.body)], [408, { error: { message: "Request timeout", code: 408 } }]);
    assert.ok(await wire.ends());
    wire.close();
    await expectNothingHappened();
  });

  test("B113: so is a body of chunk extensions that drip", async () => {
    const wire = await Wire.connect(server.base);
    wire.send(fill(chunked("1c;")));
    const drip = setInterval(() => wire.send("x"), 50);
    const reply = await wire.reply();
    clearInterval(drip);
    assert.equal(reply.status, 408);
    wire.close();
  });

  test("B115: half heads keep nobody out, and end at their deadline", async () => {
    const idle = await Promise.all(Array.from({ length: 900 }, () => Wire.connect(server.base)));
    for (const wire of idle) wire.send("GET /healthz HTTP/1.1\r\nHo");
    const start = Date.now();
    for (let i = 0; i < 20; i++) await expectGoodRequest();
    assert.ok(Date.now() - start < 1500, `${Date.now() - start} ms for 20 requests`);
    for (const wire of idle) {
      assert.ok(await wire.ends(8000));
      wire.close();
    }
  });

  test("B117: a silent connection ends silently", async () => {
    const wire = await Wire.connect(server.base);
    assert.ok(await wire.ends(6000));
  });

  test("a second head has its deadline, too", async () => {
    const wire = await Wire.connect(server.base);
    assert.equal((await wire.send(fill(head("GET /healthz"))).reply()).status, 200);
    await sleep(2000); // idle is something else
    const drip = setInterval(() => wire.send("G"), 100);
    assert.ok(await wire.ends(6000));
    clearInterval(drip);
    wire.close();
  });
});

test("the server is the one that was started", async () => {
  await expectGoodRequest();
  assert.ok(!/event=(child_ended|restart)/.test(server.log), server.log.slice(-2000));
  assert.deepEqual((await server.stop()).code, 0);
});
