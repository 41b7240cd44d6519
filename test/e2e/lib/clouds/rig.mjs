// SPDX-License-Identifier: Apache-2.0
// An HTTP/1.1 server for tests over a bare socket, so that every byte of a reply can be spoiled. It is strict about what
// comes in. Subclasses say what a request is (classify) and what it does (handle); faults come in between.
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import tls from "node:tls";

import { Content } from "./content.mjs";
import { Faults } from "./faults.mjs";
import { Closed, Reader } from "./reader.mjs";

const HEAD_BYTES_MAX = 64 * 1024;
const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const running = new Set();

export const reasons = { 200: "OK", 201: "Created", 204: "No Content", 206: "Partial Content", 301: "Moved Permanently", 302: "Found",
  304: "Not Modified", 307: "Temporary Redirect", 308: "Permanent Redirect", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden",
  404: "Not Found", 405: "Method Not Allowed", 408: "Request Timeout", 409: "Conflict", 410: "Gone", 411: "Length Required",
  412: "Precondition Failed", 416: "Range Not Satisfiable", 429: "Too Many Requests", 499: "Client Closed Request", 500: "Internal Server Error",
  501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout" };

// One request, as it is kept in the log.
export class Entry {
  constructor(number, connection, at) {
    Object.assign(this, { number, connection, at, bodyBytes: 0, isApplied: false, isAnswered: false });
  }

  toString() {
    return `${this.number}. ${this.method} ${this.target} ${this.operation ?? ""}${this.part ? `#${this.part}` : ""} -> ` +
      `${this.fault ? `[${this.fault}] ` : ""}${this.status ?? "nothing"}`;
  }
}

export class Rig {
  static operations = [];

  constructor({ certificate, clockOffsetMs = 0, port = 0 } = {}) {
    this.faults = new Faults(this.constructor.operations);
    this.log = [];
    this.clockOffsetMs = clockOffsetMs;
    this.port = port;
    this.certificate = certificate; // { key, cert }: speaks TLS
    this.sockets = new Set();
    this.connections = 0;
    this.numbered = 0;
  }

  static async start(options) {
    const rig = new this(options);
    await rig.listen();
    return rig;
  }

  async listen() {
    const accept = (socket) => this.accept(socket);
    this.server = this.certificate ? tls.createServer({ ...this.certificate, minVersion: "TLSv1.2" }, accept) : net.createServer(accept);
    this.server.on("tlsClientError", (error) => this.log.push({ tlsError: error.code ?? error.message, toString: () => `TLS: ${error.message}` }));
    if (this.certificate) this.server.on("connection", (socket) => this.keep(socket)); // also those whose handshake fails
    this.server.listen(this.port, "127.0.0.1");
    await once(this.server, "listening");
    this.port = this.server.address().port;
    running.add(this);
  }

  // Leaves nothing open, at once.
  async stop() {
    running.delete(this);
    for (const socket of this.sockets) socket.destroy();
    if (this.server?.listening) await new Promise((resolve) => this.server.close(resolve));
  }

  // As if the machine went away: connections are reset and new ones refused until listen().
  async crash() {
    for (const socket of this.sockets) reset(socket);
    await this.stop();
  }

  get endpoint() {
    return `${this.certificate ? "https" : "http"}://127.0.0.1:${this.port}`;
  }

  get authority() {
    return `127.0.0.1:${this.port}`;
  }

  now() {
    return Date.now() + this.clockOffsetMs;
  }

  clearLog() {
    this.log = [];
    this.numbered = 0;
  }

  requests(operation) {
    if (operation) this.faults.checkOperation(operation);
    return this.log.filter((entry) => entry instanceof Entry && (!operation || entry.operation === operation));
  }

  describe() {
    return this.log.map(String).join("\n");
  }

  keep(socket) {
    this.sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => this.sockets.delete(socket));
  }

  accept(socket) {
    this.keep(socket);
    socket.setNoDelay(true);
    const connection = ++this.connections;
    this.converse(socket, new Reader(socket), connection).catch((error) => {
      if (!(error instanceof Closed)) this.failure ??= error; // shown by assertSound
      socket.destroy();
    });
  }

  async converse(socket, reader, connection) {
    for (;;) {
      const head = await reader.until("\r\n\r\n", HEAD_BYTES_MAX);
      if (!head) break;
      const entry = new Entry(++this.numbered, connection, Date.now());
      this.log.push(entry);
      const problem = readHead(entry, head.toString("latin1"));
      const exchange = new Exchange(problem ? this : this.target(entry), entry, socket, reader);
      if (problem) {
        await exchange.send({ status: 400, body: problem, isLast: true });
        this.failure ??= new Error(`${problem}: ${head.toString("latin1").slice(0, 200)}`);
        break;
      }
      if (!(await exchange.run())) break;
    }
    socket.end();
  }

  // Who answers: a proxy says another.
  target() {
    return this;
  }

  classify() {}

  async handle() {
    return { status: 404 };
  }

  // Whether the rig itself broke, or got something that is no HTTP.
  assertSound() {
    if (this.failure) throw this.failure;
  }
}

// Fills in the entry; answers what is wrong with the request.
function readHead(entry, head) {
  const [line, ...lines] = head.split("\r\n");
  const match = /^([A-Z]+) (\S+) HTTP\/1\.1$/.exec(line);
  if (!match) return "not an HTTP/1.1 request line";
  [, entry.method, entry.target] = match;
  entry.headers = Object.create(null);
  entry.headerLines = lines;
  for (const text of lines) {
    const colon = text.indexOf(":");
    const name = text.slice(0, colon).toLowerCase();
    if (colon < 1 || !token.test(name) || /[\0\n\r]/.test(text)) return "not a header";
    const value = text.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, "");
    if (name in entry.headers && ["host", "content-length", "authorization", "content-type"].includes(name)) return `${name} twice`;
    entry.headers[name] = name in entry.headers ? `${entry.headers[name]},${value}` : value;
  }
  const { host, "content-length": length, "transfer-encoding": coding } = entry.headers;
  if (host === undefined) return "no Host";
  if (length !== undefined && (!/^\d+$/.test(length) || coding !== undefined)) return "no good Content-Length";
  if (coding !== undefined && coding.toLowerCase() !== "chunked") return "no good Transfer-Encoding";
  const absolute = /^(https?):\/\/([^/?#]+)(.*)$/.exec(entry.target);
  entry.isProxied = absolute !== null;
  entry.host = absolute ? absolute[2] : host;
  const origin = absolute ? absolute[3] || "/" : entry.target;
  if (entry.method !== "CONNECT" && (!origin.startsWith("/") || /[#\\"<>^`{|}\x00-\x20\x7f-\xff]/.test(origin))) return "not a good target";
  const question = origin.indexOf("?");
  entry.path = question < 0 ? origin : origin.slice(0, question);
  entry.rawQuery = question < 0 ? "" : origin.slice(question + 1);
  try {
    entry.query = readQuery(entry.rawQuery);
  } catch (error) {
    return error.message;
  }
  return undefined;
}

// Decodes as a form does: a + is a space, which catches those who do not encode one.
export function readQuery(text) {
  const result = new Map();
  for (const pair of text === "" ? [] : text.split("&")) {
    const equals = pair.indexOf("=");
    const [name, value] = (equals < 0 ? [pair, ""] : [pair.slice(0, equals), pair.slice(equals + 1)])
      .map((part) => decodeURIComponent(part.replaceAll("+", " ")));
    if (result.has(name)) throw new Error(`${name} twice in the query`);
    result.set(name, value);
  }
  return result;
}

// One request and its reply under a behaviour (see behaviours.mjs).
export class Exchange {
  constructor(rig, entry, socket, reader) {
    Object.assign(this, { rig, entry, socket, reader, isOver: false });
  }

  // Whether the connection can be used for the next one.
  async run() {
    const { rig, entry } = this;
    rig.classify(entry);
    const behaviour = rig.faults.take(entry) ?? {};
    entry.fault = behaviour.name;
    if (behaviour.head) await behaviour.head(this);
    if (entry.method === "CONNECT" && !this.isOver) this.isOver = (await rig.tunnel?.(this)) ?? false;
    if (this.isOver) return false;
    const body = await this.readBody(behaviour.cutRequestAt ?? Infinity);
    if (this.isOver) return false;
    if (behaviour.read) await behaviour.read(this, body);
    if (this.isOver) return false;
    const reply = (await behaviour.instead?.(this, body)) ?? (await this.apply(body));
    const changed = (await behaviour.change?.(reply, this)) ?? reply;
    await (behaviour.send ? behaviour.send(this, changed) : this.send(changed));
    return !this.isOver && !changed.isLast && !this.socket.destroyed;
  }

  async apply(body) {
    this.entry.isApplied = true;
    try {
      return await this.rig.handle(this.entry, body);
    } catch (error) {
      if (error.toReply) return error.toReply(this.entry, this.rig);
      this.rig.failure ??= error;
      return { status: 500, body: String(error.stack), isLast: true };
    }
  }

  async readBody(cutAt) {
    const { entry, reader, socket } = this;
    const body = new Content();
    if (entry.headers.expect?.toLowerCase() === "100-continue") socket.write("HTTP/1.1 100 Continue\r\n\r\n");
    entry.isCut = true; // until all is here
    for await (const bytes of bodyChunks(entry, reader)) {
      entry.bodyBytes += bytes.length;
      body.append(bytes);
      if (entry.bodyBytes >= cutAt) {
        this.reset();
        break;
      }
    }
    if (!this.isOver && cutAt !== Infinity) this.reset(); // shorter than that: at its end
    entry.isCut = this.isOver;
    return body.finish();
  }

  serialize(reply) {
    const { entry, rig } = this;
    const { status, headers = {}, body = "" } = reply;
    const isStream = typeof body?.[Symbol.asyncIterator] === "function";
    const length = reply.length ?? (isStream ? undefined : Buffer.byteLength(body));
    assert.ok(length !== undefined || isStream, "a reply has a length or is a stream");
    const all = { Date: new Date(rig.now()).toUTCString(), Server: "rig", ...headers };
    if (length === undefined) all["Transfer-Encoding"] = "chunked";
    else if (status !== 204 && status !== 304) all["Content-Length"] = length;
    if (reply.isLast) all.Connection = "close";
    entry.status = status;
    entry.replyHeaders = all;
    const lines = Object.entries(all).filter(([, value]) => value !== undefined).map(([name, value]) => `${name}: ${value}\r\n`);
    const head = `HTTP/1.1 ${status} ${reasons[status] ?? "Other"}\r\n${lines.join("")}\r\n`;
    const hasBody = entry.method !== "HEAD" && status !== 204 && status !== 304;
    return { head, body: hasBody ? body : "", isChunked: length === undefined };
  }

  async send(reply) {
    const { head, body, isChunked } = this.serialize(reply);
    if (typeof body?.[Symbol.asyncIterator] !== "function") {
      await this.write(Buffer.concat([Buffer.from(head), Buffer.from(body)]));
    } else {
      await this.write(head);
      for await (const bytes of body) {
        await this.write(isChunked ? Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from("\r\n")]) : bytes);
        if (this.socket.destroyed) return;
      }
      if (isChunked) await this.write("0\r\n\r\n");
    }
    this.entry.isAnswered = !this.socket.destroyed;
  }

  // The whole reply as bytes, for behaviours that cut it.
  async bytesOf(reply) {
    const { head, body } = this.serialize({ ...reply, length: reply.length ?? (typeof reply.body === "object" && reply.body !== null
      && !Buffer.isBuffer(reply.body) ? 0 : Buffer.byteLength(reply.body ?? "")) });
    const list = [Buffer.from(head)];
    if (typeof body?.[Symbol.asyncIterator] === "function") for await (const bytes of body) list.push(bytes);
    else list.push(Buffer.from(body));
    return Buffer.concat(list);
  }

  async write(bytes) {
    const { socket } = this;
    if (socket.destroyed) return;
    this.entry.replyBytes = (this.entry.replyBytes ?? 0) + bytes.length;
    if (socket.write(bytes)) return;
    const given = new AbortController();
    await Promise.race(["drain", "close"].map((name) => once(socket, name, { signal: given.signal }).catch(() => {})));
    given.abort();
  }

  reset() {
    this.isOver = true;
    reset(this.socket);
  }

  close() {
    this.isOver = true;
    this.socket.end();
  }

  // Says and reads nothing more until the client gives up.
  async stall(options) {
    this.isOver = true;
    await this.reader.closed(options);
    this.entry.gaveUpAfterMs = Date.now() - this.entry.at;
  }
}

// RST instead of FIN, under TLS as well.
export function reset(socket) {
  if (typeof socket.resetAndDestroy === "function" && !(socket instanceof tls.TLSSocket)) socket.resetAndDestroy();
  else socket.destroy();
}

async function* bodyChunks(entry, reader) {
  if (entry.headers["transfer-encoding"] === undefined) {
    yield* reader.exactly(Number(entry.headers["content-length"] ?? 0));
    return;
  }
  for (;;) {
    const line = await reader.until("\r\n", 1024);
    const size = /^([0-9a-fA-F]{1,8})(;.*)?$/.exec(line?.toString("latin1") ?? "");
    if (!size) throw new Error("not a chunk");
    yield* reader.exactly(parseInt(size[1], 16));
    if (parseInt(size[1], 16) === 0) break;
    await reader.until("\r\n", 2);
  }
  while ((await reader.until("\r\n", 1024)).length > 0);
}

// For after(): what a failing test left open.
export async function stopRigs() {
  await Promise.all([...running].map((rig) => rig.stop()));
}
