// SPDX-License-Identifier: Apache-2.0
// Mail by a real mail server, read by a real reader: STARTTLS, login, recipients that are not taken, texts in any language, files
// as attachments.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { HOUR_MS } from "../e2e/lib/api.mjs";
import { makeAuthority } from "../e2e/lib/clouds.mjs";
import { RecordingApi, assertNoSecrets, distinct, exportTo, settled, subscribeTo, waitForJobs, waitSucceeded } from "../e2e/lib/deliver.mjs";
import { request } from "../e2e/lib/http.mjs";
import { sha256 } from "../e2e/lib/oracle.mjs";
import { Server, stopAll } from "../e2e/lib/server.mjs";
import { waitFor } from "../e2e/lib/wait.mjs";
import { MailServer, stopMailServers } from "./lib/mail.mjs";

const start = Date.parse("2024-02-01T07:00:00Z");
const password = "pässwörd: /+\"'";
const baseUrl = "https://exports.milkrun.example";
const report = { cadence: "hourly", report_type: "shops", report_fields: ["id", "name"], response_format_compression: "none" };
const shops = ["Zürich", "東京 🦊", "עברית", ".", "..two dots", "=equals=", "From the start", "\r\n.\r\n"]
  .map((name, index) => ({ timestamp: start + index, id: `${index}`, name }));
let mail;
let server;
let api;

// undefined in `more` leaves a name out.
const environment = (more) => JSON.parse(JSON.stringify({ MILKRUN_SMTP_URL: `smtp://127.0.0.1:${mail.port}`, MILKRUN_SMTP_FROM: "exports@milkrun.example", MILKRUN_SMTP_USERNAME: "milkrun",
  MILKRUN_SMTP_PASSWORD: password, MILKRUN_SMTP_CA_FILE: mail.authority.file, ...more }));

async function startServer(more) {
  const client = new RecordingApi(await Server.start({ args: { "api-subscription-limit": 0, "base-url": baseUrl }, env: environment(more) }));
  await client.ingest("shops", shops);
  return client;
}

before(async () => {
  mail = await MailServer.start({ users: { milkrun: password }, names: ["localhost", "127.0.0.1"] });
  api = await startServer();
  server = api.server;
});
after(async () => {
  await stopAll();
  await stopMailServers();
});

const to = (...recipients) => ({ subscription_type: "email", recipient_emails: recipients });
const exportsTo = (address) => mail.mailsTo(address).filter(({ parsed }) => /^Export of/.test(parsed.subject));
const linksIn = (text) => text.match(/^https:\/\/\S+$/gm) ?? [];

async function download(link) {
  const { host, pathname, search } = new URL(link);
  const reply = await request(server.base, { path: pathname + search, headers: { Host: host } });
  assert.equal(reply.status, 200);
  return reply.body;
}

test("over TLS, logged in, as text and HTML, with links that work", async () => {
  const [job] = await waitSucceeded(api, await exportTo(api, distinct(report), to("anna@customer.example", "ben@customer.example"), start, start + HOUR_MS));
  const manifest = await api.manifest(job.job_id);
  for (const address of ["anna@customer.example", "ben@customer.example"]) {
    const [taken, ...more] = exportsTo(address);
    assert.equal(more.length, 0);
    assert.deepEqual([taken.to, taken.from, taken.isSecure, taken.user], [[address], "exports@milkrun.example", true, "milkrun"]);
    const { parsed } = taken;
    assert.ok(parsed.messageId.includes(job.job_id));
    assert.equal(parsed.attachments.length, 0);
    const [link] = linksIn(parsed.text);
    assert.ok(link.startsWith(`${baseUrl}/exports/`));
    assert.ok(parsed.html.includes(link.replaceAll("&", "&amp;")));
    assert.equal(sha256(await download(link)), manifest.files[0].sha256);
  }
  assert.ok(mail.logins.length > 0 && mail.logins.every(({ isGood, isSecure }) => isGood && isSecure));
});

test("a file in any language, attached, byte for byte", async () => {
  const [job] = await waitSucceeded(api, await exportTo(api, distinct(report), { ...to("attached@customer.example"), attachment: true }, start, start + HOUR_MS));
  const { files: [entry] } = await api.manifest(job.job_id);
  const [{ parsed }] = exportsTo("attached@customer.example");
  const [file] = parsed.attachments;
  assert.deepEqual([file.filename, file.size, sha256(file.content)], [entry.key.split("/").pop(), entry.bytes, entry.sha256]);
  for (const { name } of shops) assert.ok(file.content.includes(name), JSON.stringify(name));
});

test("one of three recipients is refused, another later", async () => {
  const addresses = ["good@r.example", "bad@r.example", "busy@r.example"];
  const id = await subscribeTo(api, distinct(report), to(...addresses));
  assert.equal((await settled(api, id)).status, "ACTIVE");
  mail.verdicts["bad@r.example"] = [550, "5.1.1 nobody of that name"];
  mail.verdicts["busy@r.example"] = [450, "4.2.1 mailbox busy"];
  await api.backfill(id, start, start + HOUR_MS);
  await waitForJobs(api, id, { states: ["PENDING_UPLOAD"], timeoutMs: 30_000 });
  delete mail.verdicts["busy@r.example"];
  const [job] = await waitSucceeded(api, id);
  assert.deepEqual(addresses.map((address) => exportsTo(address).length), [1, 0, 1]);
  const { recipients } = await api.call("GET", `/v1/jobs/${job.job_id}`);
  assert.deepEqual(Object.fromEntries(recipients.map(({ email, status }) => [email, status])),
    { "good@r.example": "sent", "bad@r.example": "refused", "busy@r.example": "sent" });
  assert.match(recipients.find(({ email }) => email === "bad@r.example").reason, /nobody of that name/);
});

// What the operator must mend makes nothing FAIL: the trial waits.
async function refused(more) {
  const client = await startServer(more);
  const id = await subscribeTo(client, report, to("nobody@refused.example"));
  await waitFor("a line of the log", () => /event=job_put_off .*mail server/.test(client.server.log), 20_000);
  assert.equal((await client.subscription(id)).report.subscription_status, "PENDING");
  assert.equal(mail.mailsTo("nobody@refused.example").length, 0);
  assertNoSecrets({ secrets: [password, "a wrong password"], texts: [...client.texts, client.server.log], directory: client.server.directory });
  await client.server.stop();
}

test("a wrong password", async () => {
  await refused({ MILKRUN_SMTP_PASSWORD: "a wrong password" });
  assert.ok(mail.logins.some(({ isGood }) => !isGood));
});

test("a server that cannot prove who it is", () => refused({ MILKRUN_SMTP_CA_FILE: makeAuthority().file }));

test("a server without TLS gets nothing, unless the operator says so", async () => {
  const plain = await MailServer.start({ isTls: false });
  await refused({ MILKRUN_SMTP_URL: `smtp://127.0.0.1:${plain.port}` });
  const client = await startServer({ MILKRUN_SMTP_URL: `smtp://127.0.0.1:${plain.port}`, MILKRUN_SMTP_TLS: "none", MILKRUN_SMTP_USERNAME: undefined,
    MILKRUN_SMTP_PASSWORD: undefined, MILKRUN_SMTP_CA_FILE: undefined });
  await waitSucceeded(client, await exportTo(client, report, to("plain@customer.example"), start, start + HOUR_MS));
  assert.equal(plain.mailsTo("plain@customer.example").length, 2);
  await client.server.stop();
});

test("no secret is anywhere", () => {
  assertNoSecrets({ secrets: [password], texts: [...api.texts, server.log, ...mail.mails.map(({ raw }) => raw.toString("latin1"))], directory: server.directory });
});
