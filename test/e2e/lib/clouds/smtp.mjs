// SPDX-License-Identifier: Apache-2.0
// A scripted mail server: strict about the protocol (order, CRLF, dot-stuffing, 8 bits), with STARTTLS and AUTH when configured,
// and any reply, drop or stall at any step. Keeps the mails that it took, byte for byte.
//
//   smtp.script("RCPT", { reply: "450 later" }, { to: "a@b.example", times: 2 })   smtp.script("END", { drop: true })
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import tls from "node:tls";

import { readMail } from "./mime.mjs";
import { Closed, Reader } from "./reader.mjs";
import { reset } from "./rig.mjs";
import { sleep } from "../wait.mjs";

export const steps = ["CONNECT", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "END", "RSET", "QUIT", "NOOP", "OTHER"];
const LINE_BYTES_MAX = 1000; // with its CRLF
const running = new Set();

class Over extends Error {}

export class Smtp {
  // certificate: offers STARTTLS (or speaks TLS at once: isImplicit); users: { name: password }, then AUTH is demanded.
  constructor({ certificate, isImplicit = false, users, sizeMax = 35_000_000, offers8Bit = true, port = 0 } = {}) {
    Object.assign(this, { certificate, isImplicit, users, sizeMax, offers8Bit, port });
    this.mails = []; // { from, to, raw, user, isSecure, at, connection }; mail: parsed
    this.log = []; // { connection, line } and { connection, reply }
    this.rules = [];
    this.problems = []; // what a client did against the protocol
    this.sockets = new Set();
    this.connections = 0;
  }

  static async start(options) {
    const smtp = new Smtp(options);
    await smtp.listen();
    return smtp;
  }

  async listen() {
    const accept = (socket) => this.accept(socket);
    this.server = this.isImplicit ? tls.createServer(this.certificate, accept) : net.createServer(accept);
    this.server.on("tlsClientError", (error) => this.log.push({ tlsError: error.code ?? error.message }));
    this.server.listen(this.port, "127.0.0.1");
    await once(this.server, "listening");
    this.port = this.server.address().port;
    running.add(this);
  }

  async stop() {
    running.delete(this);
    for (const socket of this.sockets) socket.destroy();
    if (this.server?.listening) await new Promise((resolve) => this.server.close(resolve));
  }

  // action: { reply: "450 text" } in place of the usual one; { drop: true } or { reset: true }: the connection ends without a
  // reply; { stall: true }; { delayMs }; with isKept a mail is taken all the same (END). to: only for that recipient.
  script(step, action, { to, times = 1, skip = 0 } = {}) {
    assert.ok(steps.includes(step), `${step} is not one of ${steps.join(", ")}`);
    const rule = { step, action, to, times, skip, hits: 0, seen: 0 };
    this.rules.push(rule);
    return rule;
  }

  always(step, action, options) {
    return this.script(step, action, { ...options, times: Infinity });
  }

  clearScript() {
    this.rules = [];
  }

  assertAllHit() {
    for (const { step, to, hits, action } of this.rules) assert.ok(hits > 0, `${JSON.stringify(action)} at ${step} ${to ?? ""} never came`);
  }

  assertSound() {
    assert.deepEqual(this.problems, []);
  }

  // Mails to the address, oldest first.
  mailsTo(address) {
    return this.mails.filter(({ to }) => to.includes(address));
  }

  take(step, recipients) {
    for (const rule of this.rules) {
      if (rule.step !== step || rule.hits >= rule.times || (rule.to !== undefined && !recipients.includes(rule.to))) continue;
      if (rule.seen++ < rule.skip) continue;
      rule.hits++;
      return rule.action;
    }
    return {};
  }

  accept(socket) {
    this.sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => this.sockets.delete(socket));
    const session = new Session(this, socket, ++this.connections);
    session.run().catch((error) => {
      if (!(error instanceof Over) && !(error instanceof Closed)) this.problems.push(String(error.stack));
      session.socket.destroy();
    });
  }
}

class Session {
  constructor(smtp, socket, connection) {
    Object.assign(this, { smtp, socket, connection, isSecure: smtp.isImplicit, to: [] });
    this.reader = new Reader(socket);
  }

  wrong(text, reply) {
    this.smtp.problems.push(`connection ${this.connection}: ${text}`);
    return this.say(reply);
  }

  say(text) {
    this.smtp.log.push({ connection: this.connection, reply: text });
    this.socket.write(`${text}\r\n`);
  }

  async line(max = LINE_BYTES_MAX) {
    const bytes = await this.reader.until("\r\n", max);
    if (bytes === undefined) throw new Over();
    const text = bytes.toString("latin1");
    if (/[\r\n\0]/.test(text)) this.smtp.problems.push(`connection ${this.connection}: a bare CR, LF or NUL in ${JSON.stringify(text.slice(0, 80))}`);
    return text;
  }

  // The usual reply, or what the script says. -> whether the step went well
  async act(step, usual) {
    const action = this.smtp.take(step, this.pending ? [this.pending] : this.to);
    if (action.delayMs) await sleep(action.delayMs);
    if (action.stall) {
      await this.reader.closed({ drains: true });
      throw new Over();
    }
    this.wasKept = action.isKept ?? (!action.drop && !action.reset && action.reply === undefined);
    if (step === "END" && this.wasKept) this.keep();
    if (action.drop || action.reset) {
      if (action.reset) reset(this.socket);
      else this.socket.end();
      throw new Over();
    }
    const reply = action.reply ?? usual;
    if (reply !== undefined) this.say(reply);
    if (/^421/.test(reply ?? "")) {
      this.socket.end();
      throw new Over();
    }
    return /^[23]/.test(reply ?? "2");
  }

  async run() {
    if (!(await this.act("CONNECT", "220 mail.example ESMTP ready"))) throw new Over();
    for (;;) {
      const line = await this.line();
      this.smtp.log.push({ connection: this.connection, line });
      const verb = line.slice(0, 4).toUpperCase();
      if (verb === "QUIT") {
        await this.act("QUIT", "221 bye");
        this.socket.end();
        return;
      }
      if (/^STARTTLS$/i.test(line)) await this.startTls();
      else await (this[verb] ?? this.OTHER).call(this, line);
    }
  }

  async EHLO(line) {
    if (!/^EHLO [A-Za-z0-9.\-[\]:]+$/i.test(line)) return this.wrong(`bad ${line}`, "501 5.5.4 bad name");
    this.reset();
    this.greeted = true;
    const { certificate, users, sizeMax, offers8Bit } = this.smtp;
    const offers = [`mail.example`, `SIZE ${sizeMax}`, ...(offers8Bit ? ["8BITMIME"] : []), "ENHANCEDSTATUSCODES",
      ...(certificate && !this.isSecure ? ["STARTTLS"] : []), ...(users && (this.isSecure || !certificate) ? ["AUTH PLAIN LOGIN"] : [])];
    return this.act("EHLO", offers.map((text, index) => `250${index === offers.length - 1 ? " " : "-"}${text}`).join("\r\n"));
  }

  async HELO() {
    this.reset();
    this.greeted = true;
    return this.act("EHLO", "250 mail.example");
  }

  async startTls() {
    if (!this.smtp.certificate || this.isSecure) return this.wrong("STARTTLS was not offered", "502 5.5.1 no");
    if (!(await this.act("STARTTLS", "220 go ahead"))) return undefined;
    if (this.reader.rest.length) this.smtp.problems.push("commands were sent before TLS was up");
    this.socket.removeAllListeners("readable");
    this.socket = new tls.TLSSocket(this.socket, { isServer: true, ...this.smtp.certificate });
    this.socket.on("error", () => {});
    this.reader = new Reader(this.socket);
    this.isSecure = true;
    this.greeted = false;
    this.reset();
    return undefined;
  }

  async AUTH(line) {
    const { users } = this.smtp;
    const [, mechanism, initial] = /^AUTH (PLAIN|LOGIN)(?: (\S+))?$/i.exec(line) ?? [];
    if (!users || !mechanism || this.user) return this.wrong(`bad ${line}`, "503 5.5.1 no");
    if (this.smtp.certificate && !this.isSecure) return this.wrong("a password without TLS", "538 5.7.11 encryption required");
    const ask = async (prompt) => {
      this.say(`334 ${prompt}`);
      return this.line();
    };
    const decode = (text) => Buffer.from(text === "=" ? "" : text, "base64").toString("utf8");
    let name, password;
    if (mechanism.toUpperCase() === "PLAIN") {
      [, name, password] = decode(initial ?? (await ask(""))).split("\0");
    } else {
      name = decode(initial ?? (await ask("VXNlcm5hbWU6")));
      password = decode(await ask("UGFzc3dvcmQ6"));
    }
    const isGood = Object.hasOwn(users, name) && users[name] === password;
    if (await this.act("AUTH", isGood ? "235 2.7.0 welcome" : "535 5.7.8 bad credentials")) this.user = isGood ? name : undefined;
    return undefined;
  }

  async MAIL(line) {
    if (!this.greeted || this.from !== undefined) return this.wrong(`MAIL out of order`, "503 5.5.1 out of order");
    if (this.smtp.users && !this.user) return this.wrong("MAIL without AUTH", "530 5.7.0 authentication required");
    const match = /^MAIL FROM:<([^<>\s]*)>((?: [A-Z0-9]+(?:=[^ ]+)?)*)$/i.exec(line);
    if (!match) return this.wrong(`bad ${line}`, "501 5.1.7 bad sender");
    const size = / SIZE=(\d+)/i.exec(match[2]);
    if (size && Number(size[1]) > this.smtp.sizeMax) return this.say("552 5.3.4 too big");
    this.is8Bit = / BODY=8BITMIME/i.test(match[2]);
    if (await this.act("MAIL", "250 2.1.0 ok")) this.from = match[1];
    return undefined;
  }

  async RCPT(line) {
    const match = /^RCPT TO:<([^<>\s@]+@[^<>\s@]+)>$/i.exec(line);
    if (this.from === undefined) return this.wrong("RCPT out of order", "503 5.5.1 out of order");
    if (!match) return this.wrong(`bad ${line}`, "501 5.1.3 bad recipient");
    this.pending = match[1];
    if (await this.act("RCPT", "250 2.1.5 ok")) this.to.push(match[1]);
    this.pending = undefined;
    return undefined;
  }

  async DATA() {
    if (this.to.length === 0) return this.wrong("DATA without a recipient", "503 5.5.1 no recipient");
    if (!(await this.act("DATA", "354 go on"))) return undefined;
    const lines = [];
    let size = 0;
    for (;;) {
      const text = await this.line(LINE_BYTES_MAX * 100);
      if (text === ".") break;
      if (text.length + 2 > LINE_BYTES_MAX) this.smtp.problems.push(`a line of ${text.length} bytes`);
      if (!this.is8Bit && /[\x80-\xff]/.test(text)) this.smtp.problems.push("8 bits without BODY=8BITMIME");
      size += text.length + 2;
      lines.push(text.startsWith(".") ? text.slice(1) : text);
      if (lines.length > 10_000_000) throw new Error("no end of a mail");
    }
    if (size > this.smtp.sizeMax) return this.say("552 5.3.4 too big");
    this.raw = `${lines.join("\r\n")}\r\n`;
    await this.act("END", `250 2.0.0 queued as ${this.smtp.mails.length + 1}`);
    this.reset();
    return undefined;
  }

  keep() {
    const { raw, from, to, user, isSecure, connection } = this;
    this.smtp.mails.push({ raw, from, to: [...to], user, isSecure, connection, at: Date.now(), get mail() {
      return readMail(raw);
    } });
  }

  async RSET() {
    this.reset();
    return this.act("RSET", "250 2.0.0 ok");
  }

  async NOOP() {
    return this.act("NOOP", "250 2.0.0 ok");
  }

  async OTHER(line) {
    return this.act("OTHER", `502 5.5.2 unknown command ${line.slice(0, 10)}`);
  }

  reset() {
    Object.assign(this, { from: undefined, to: [], is8Bit: false });
  }
}

export async function stopMailServers() {
  await Promise.all([...running].map((smtp) => smtp.stop()));
}
