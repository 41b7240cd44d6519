// SPDX-License-Identifier: Apache-2.0
// A real mail server (npm smtp-server) in this process, whose mails are read by a real reader (mailparser). STARTTLS with a
// certificate of one's own, AUTH, replies by recipient.
import { simpleParser } from "mailparser";
import { once } from "node:events";
import { SMTPServer } from "smtp-server";

import { makeAuthority } from "../../e2e/lib/clouds/certificates.mjs";

const running = new Set();

export class MailServer {
  // users: { name: password }; verdicts: { address: [550, "text"] }, changed at any time; isImplicit: TLS from the first byte.
  static async start({ users, isTls = true, isImplicit = false, names, sizeMax = 40_000_000 } = {}) {
    const mail = new MailServer();
    mail.authority = isTls ? makeAuthority() : undefined;
    mail.verdicts = {};
    mail.mails = []; // { from, to, user, isSecure, raw, parsed }
    mail.logins = [];
    const server = new SMTPServer({
      ...(isTls ? mail.authority.issue({ names }) : { hideSTARTTLS: true }), secure: isImplicit, authOptional: !users, allowInsecureAuth: false, size: sizeMax,
      disabledCommands: users ? [] : ["AUTH"], disableReverseLookup: true, closeTimeout: 500, logger: false,
      onAuth: (auth, session, done) => {
        const isGood = users[auth.username] === auth.password;
        mail.logins.push({ user: auth.username, isGood, isSecure: session.secure });
        done(isGood ? null : refusal(535, "5.7.8 Invalid username or password"), isGood ? { user: auth.username } : undefined);
      },
      onRcptTo: (address, session, done) => {
        const verdict = mail.verdicts[address.address];
        done(verdict ? refusal(...verdict) : null);
      },
      onData: (stream, session, done) => mail.keep(stream, session).then(() => done(null, "queued"), done),
    });
    server.on("error", (error) => mail.errors.push(error.message));
    mail.errors = [];
    mail.server = server;
    server.listen(0, "127.0.0.1");
    await once(server.server, "listening");
    mail.port = server.server.address().port;
    running.add(mail);
    return mail;
  }

  async keep(stream, session) {
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    if (stream.sizeExceeded) throw refusal(552, "5.3.4 too big");
    const raw = Buffer.concat(chunks);
    this.mails.push({ from: session.envelope.mailFrom.address, to: session.envelope.rcptTo.map(({ address }) => address), user: session.user,
      isSecure: session.secure, raw, parsed: await simpleParser(raw) });
  }

  mailsTo(address) {
    return this.mails.filter(({ to }) => to.includes(address));
  }

  async stop() {
    running.delete(this);
    await new Promise((resolve) => this.server.close(resolve));
  }
}

function refusal(code, text) {
  return Object.assign(new Error(text), { responseCode: code });
}

export async function stopMailServers() {
  await Promise.all([...running].map((mail) => mail.stop()));
}
