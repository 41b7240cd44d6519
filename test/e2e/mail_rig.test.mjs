// SPDX-License-Identifier: Apache-2.0
// The scripted mail server of lib/clouds.mjs itself, against a client that speaks by the letter and one that does not.
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { after, describe, test } from "node:test";
import tls from "node:tls";

import { makeAuthority, Smtp, stopClouds } from "./lib/clouds.mjs";

after(stopClouds);

const head = "From: a@b.example\r\nTo: c@d.example\r\nSubject: x\r\nDate: x\r\nMessage-ID: <1@x>\r\nMIME-Version: 1.0\r\n";
const mail = `${head}\r\n..stuffed\r\nend\r\n.\r\n`;

class Client {
  static async connect(smtp, options = {}) {
    const client = new Client();
    client.take(options.isImplicit ? tls.connect({ port: smtp.port, host: "127.0.0.1", rejectUnauthorized: false }) : net.connect(smtp.port, "127.0.0.1"));
    client.greeting = await client.reply();
    return client;
  }

  take(socket) {
    this.socket = socket;
    this.text = "";
    socket.on("data", (bytes) => (this.text += bytes));
    socket.on("error", () => {});
    this.closed = once(socket, "close").catch(() => {});
  }

  // The code of the next reply, all its lines; undefined when the connection ends.
  async reply() {
    for (let round = 0; round < 400; round++) {
      const match = /^(?:\d{3}-[^\r]*\r\n)*(\d{3}) [^\r]*\r\n/.exec(this.text);
      if (match) {
        this.last = match[0];
        this.text = this.text.slice(match[0].length);
        return match[1];
      }
      if (this.socket.destroyed || this.socket.readableEnded) return undefined;
      await new Promise((done) => setTimeout(done, 5));
    }
    throw new Error(`no reply; ${JSON.stringify(this.text)}`);
  }

  send(text) {
    this.socket.write(text);
    return this.reply();
  }

  async all(...commands) {
    const codes = [];
    for (const command of commands) codes.push(await this.send(`${command}\r\n`));
    return codes.join(" ");
  }

  async startTls() {
    assert.equal(await this.send("STARTTLS\r\n"), "220");
    this.socket.removeAllListeners("data");
    this.take(tls.connect({ socket: this.socket, rejectUnauthorized: false }));
    await once(this.socket, "secureConnect");
  }
}

const envelope = ["EHLO me.example", "MAIL FROM:<a@b.example>", "RCPT TO:<c@d.example>", "DATA"];

describe("the protocol", () => {
  test("a mail is kept as it was meant, without the stuffing", async () => {
    const smtp = await Smtp.start();
    const client = await Client.connect(smtp);
    assert.equal(await client.all(...envelope), "250 250 250 354");
    assert.equal(await client.send(mail), "250");
    assert.equal(await client.all("MAIL FROM:<>", "RCPT TO:<e@f.example>", "RCPT TO:<g@h.example>", "RSET", "QUIT"), "250 250 250 250 221");
    await client.closed;
    assert.deepEqual(smtp.mails.map(({ from, to, raw }) => [from, to, raw]), [["a@b.example", ["c@d.example"], `${head}\r\n.stuffed\r\nend\r\n`]]);
    assert.equal(smtp.mailsTo("c@d.example")[0].mail.text, ".stuffed\r\nend\r\n");
    smtp.assertSound();
  });

  test("order, forms, bare line ends, long lines and 8 bits are remarked", async () => {
    const smtp = await Smtp.start();
    const client = await Client.connect(smtp);
    assert.equal(await client.all("MAIL FROM:<a@b.example>", "RCPT TO:<c@d.example>", "DATA"), "503 503 503");
    assert.equal(await client.all("EHLO me.example", "MAIL FROM:a@b.example", "MAIL FROM:<a@b.example>", "RCPT TO:<c@d>x", "RCPT TO:<c@d.example>", "DATA"), "250 501 250 501 250 354");
    const before = smtp.problems.length;
    assert.equal(await client.send(`${head}\r\nbare\nline\r\n${"x".repeat(1000)}\r\n\xfc\r\n.\r\n`), "250");
    assert.equal(smtp.problems.length, before + 3, smtp.problems.join("; "));
    assert.throws(() => smtp.assertSound());
  });

  test("STARTTLS and AUTH: no password in clear text, no mail without", async () => {
    const certificate = makeAuthority().issue();
    const smtp = await Smtp.start({ certificate, users: { milkrun: "päss" } });
    const client = await Client.connect(smtp);
    assert.equal(await client.all("EHLO me.example"), "250");
    assert.match(client.last, /STARTTLS/);
    assert.doesNotMatch(client.last, /AUTH/);
    const plain = Buffer.from("\0milkrun\0päss").toString("base64");
    assert.equal(await client.all(`AUTH PLAIN ${plain}`, "MAIL FROM:<a@b.example>"), "538 530");
    await client.startTls();
    assert.equal(await client.all("MAIL FROM:<a@b.example>", "EHLO me.example"), "503 250");
    assert.match(client.last, /AUTH PLAIN LOGIN/);
    assert.equal(await client.all(`AUTH PLAIN ${Buffer.from("\0milkrun\0wrong").toString("base64")}`, "MAIL FROM:<a@b.example>", `AUTH PLAIN ${plain}`), "535 530 235");
    assert.equal(await client.all(...envelope.slice(1)), "250 250 354");
    assert.equal(await client.send(mail), "250");
    assert.deepEqual([smtp.mails[0].user, smtp.mails[0].isSecure], ["milkrun", true]);
    const other = await Client.connect(smtp);
    await other.all("EHLO me.example");
    await other.startTls();
    assert.equal(await other.all("EHLO me.example", "AUTH LOGIN", Buffer.from("milkrun").toString("base64"), Buffer.from("päss").toString("base64")), "250 334 334 235");
    const implicit = await Smtp.start({ certificate, isImplicit: true });
    assert.equal((await Client.connect(implicit, { isImplicit: true })).greeting, "220");
  });
});

describe("the script", () => {
  test("any reply at any step, for a recipient, as often as was said", async () => {
    const smtp = await Smtp.start();
    smtp.script("RCPT", { reply: "550 5.1.1 unknown" }, { to: "c@d.example" });
    smtp.script("MAIL", { reply: "421 4.3.2 shutting down" });
    smtp.script("END", { reply: "451 4.3.0 later" });
    smtp.script("DATA", { reply: "554 5.7.1 no" }, { skip: 2 });
    const client = await Client.connect(smtp);
    assert.equal(await client.all("EHLO me.example", "MAIL FROM:<a@b.example>"), "250 421");
    await client.closed;
    const second = await Client.connect(smtp);
    assert.equal(await second.all("EHLO me.example", "MAIL FROM:<a@b.example>", "RCPT TO:<e@f.example>", "RCPT TO:<c@d.example>", "DATA"), "250 250 250 550 354");
    assert.equal(await second.send(mail), "451");
    assert.deepEqual(smtp.mails, [], "what was refused is not kept");
    assert.equal(await second.all(...envelope.slice(1)), "250 250 354");
    assert.equal(await second.send(mail), "250");
    assert.equal(await second.all(...envelope.slice(1)), "250 250 554");
    smtp.assertAllHit();
    assert.throws(() => smtp.script("RCTP", {}), /RCTP is not one of/);
    smtp.script("QUIT", { drop: true });
    assert.throws(() => smtp.assertAllHit());
  });

  test("lost after the final dot: the mail is there or not, the client hears nothing", async () => {
    const smtp = await Smtp.start();
    for (const [action, kept] of [[{ drop: true, isKept: true }, 1], [{ drop: true }, 1], [{ reset: true, isKept: true }, 2]]) {
      smtp.script("END", action);
      const client = await Client.connect(smtp);
      await client.all(...envelope);
      assert.equal(await client.send(mail), undefined);
      assert.equal(smtp.mails.length, kept);
    }
    smtp.script("CONNECT", { drop: true });
    assert.equal((await Client.connect(smtp)).greeting, undefined);
    smtp.script("CONNECT", { reply: "554 no service" });
    assert.equal((await Client.connect(smtp)).greeting, "554");
    smtp.script("EHLO", { stall: true });
    const client = await Client.connect(smtp);
    client.socket.write("EHLO me.example\r\n");
    await new Promise((done) => setTimeout(done, 100));
    assert.equal(client.text, "");
    smtp.assertSound();
  });
});
