// SPDX-License-Identifier: Apache-2.0
// Exports by mail: links that work, one mail to each recipient and a result for each, nothing twice that was taken, nothing in the
// mail that is not ours.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { HOUR_MS, makeToken } from "./lib/api.mjs";
import { Smtp, makeAuthority, stopClouds } from "./lib/clouds.mjs";
import { RecordingApi, assertNoSecrets, assertNobodyDied, distinct, listJobs, settled, subscribeTo, waitForJobs, waitSucceeded } from "./lib/deliver.mjs";
import { declaredOrderTypes, makeOrders, orderFields, orderTypes } from "./lib/events.mjs";
import { readFile } from "./lib/files.mjs";
import { request } from "./lib/http.mjs";
import { Oracle, assertSameRows, sha256 } from "./lib/oracle.mjs";
import { Server, initData, stopAll } from "./lib/server.mjs";
import { sleep, waitFor } from "./lib/wait.mjs";

const start = Date.parse("2024-02-01T07:00:00Z");
const from = "exports@milkrun.example";
const baseUrl = "https://exports.milkrun.example:8443";
const password = "p@ss:w0rd/of+the\"operator";
const oracle = new Oracle(orderTypes);
const hourly = { cadence: "hourly", report_type: "orders", report_fields: orderFields };
const linkForm = /^https:\/\/\S+$/gm;
let authority;
let smtp;
let server;
let api;

const mailEnvironment = (more) => ({ MILKRUN_SMTP_URL: `smtp://127.0.0.1:${smtp.port}`, MILKRUN_SMTP_FROM: from, MILKRUN_SMTP_USERNAME: "milkrun", MILKRUN_SMTP_PASSWORD: password,
  MILKRUN_SMTP_CA_FILE: authority.file, MILKRUN_SMTP_ATTACHMENT_BYTES: "100000", ...more });

before(async () => {
  authority = makeAuthority();
  smtp = await Smtp.start({ certificate: authority.issue({ names: ["localhost", "127.0.0.1"] }), users: { milkrun: password } });
  server = await Server.start({ args: { workers: 4, "api-subscription-limit": 0, "schedule-late-gap-ms": 1000, "base-url": baseUrl }, env: mailEnvironment() });
  api = new RecordingApi(server);
  await api.declareTopic("orders", declaredOrderTypes);
  const events = makeOrders(1, 400, start, start + 6 * HOUR_MS);
  await api.ingest("orders", events);
  oracle.add(events);
});
after(async () => {
  await stopAll();
  await stopClouds();
});

const to = (...recipients) => ({ subscription_type: "email", recipient_emails: recipients });

async function subscribeActive(destination, report = distinct(hourly), client = api) {
  const id = await subscribeTo(client, report, destination);
  const state = await settled(client, id);
  assert.equal(state.status, "ACTIVE", JSON.stringify(state));
  return id;
}

// -> { id, job }, the job of the hour at `index` when it is final
async function exportHour(destination, { report = distinct(hourly), index = 0 } = {}) {
  const id = await subscribeActive(destination, report);
  await api.backfill(id, start + index * HOUR_MS, start + (index + 1) * HOUR_MS);
  const [job] = await waitForJobs(api, id, { timeoutMs: 90_000 });
  return { id, job, report };
}

const jobOf = (job) => api.call("GET", `/v1/jobs/${job.job_id}`);

// Mails of jobs to an address; the ones of trials left out.
const exportsTo = (address) => smtp.mailsTo(address).filter(({ mail }) => /^Export of/.test(mail.subject));

// By the server itself, under the name that links carry.
async function fetchLink(link) {
  const { host, pathname, search } = new URL(link);
  const reply = await request(server.base, { path: pathname + search, headers: { Host: host } });
  assert.equal(reply.status, 200, `${link}: ${reply.text.slice(0, 300)}`);
  return reply.body;
}

// What a mail of a job must be; -> its links
async function assertMail(taken, job, report, { index = 0, address } = {}) {
  const { mail } = taken;
  const manifest = await api.manifest(job.job_id);
  assert.deepEqual([taken.from, taken.to, taken.isSecure, taken.user], [from, [address], true, "milkrun"]);
  assert.deepEqual([mail.header("From").includes(from), mail.header("To").includes(address)], [true, true]);
  assert.ok(mail.header("Message-ID").includes(job.job_id), mail.header("Message-ID"));
  assert.match(mail.header("Message-ID"), /^<[^<>@\s]+@milkrun\.example>$/);
  assert.ok(Math.abs(Date.parse(mail.header("Date")) - Date.now()) < 600_000, mail.header("Date"));
  assert.deepEqual([mail.type, mail.order], ["multipart/alternative", ["text/plain", "text/html"]]);
  assert.equal(mail.attachments.length, 0);
  const links = mail.text.replaceAll("\r\n", "\n").match(linkForm) ?? [];
  assert.equal(links.length, manifest.files.length, mail.text);
  const inHtml = [...mail.html.matchAll(/href="([^"]*)"/g)].map(([, href]) => href.replaceAll("&amp;", "&"));
  assert.deepEqual(inHtml, links, "the same links in HTML, and no others");
  const rows = [];
  for (const [at, link] of links.entries()) {
    assert.ok(link.startsWith(`${baseUrl}/exports/v2/`), link);
    const bytes = await fetchLink(link);
    assert.deepEqual([bytes.length, sha256(bytes)], [manifest.files[at].bytes, manifest.files[at].sha256]);
    rows.push(...(await readFile(bytes, report, orderTypes)).rows);
  }
  assertSameRows(rows, oracle.expected(report, start + index * HOUR_MS, start + (index + 1) * HOUR_MS), report.report_fields, "rows behind the links");
  return links;
}

test("each recipient gets a mail of his own, with signed links that work", async () => {
  const addresses = ["anna@customer.example", "o'hara+exports@sub.customer.example"];
  const { job, report } = await exportHour(to(...addresses));
  assert.equal(job.status, "SUCCEEDED", JSON.stringify(job));
  for (const address of addresses) {
    const [taken, ...more] = exportsTo(address);
    assert.equal(more.length, 0, "one mail");
    await assertMail(taken, job, report, { address });
    const other = addresses.find((one) => one !== address);
    assert.ok(!taken.raw.includes(other), "recipients do not learn of each other");
  }
  assert.deepEqual((await jobOf(job)).recipients.map(({ email, status }) => [email, status]).sort(), addresses.map((address) => [address, "sent"]).sort());
});

test("the trial is a mail without links, and no job is listed for it", async () => {
  await subscribeActive(to("trial@customer.example"));
  const mails = smtp.mailsTo("trial@customer.example");
  assert.equal(mails.length, 1);
  const { mail } = mails[0];
  assert.doesNotMatch(mail.text + mail.html, /https?:/);
  assert.equal(mail.attachments.length, 0);
});

test("links belong to the subscription: they outlive the token that subscribed", async () => {
  const token = await makeToken(server, { organizationId: api.organizationId, permissions: ["export", "sensitive_data"] });
  const client = new RecordingApi(server, { token: token.text, appId: api.appId, organizationId: api.organizationId });
  const id = await subscribeActive(to("outlives@customer.example"), distinct(hourly), client);
  await client.backfill(id, start, start + HOUR_MS);
  await waitSucceeded(client, id);
  await api.admin("DELETE", `/v1/admin/tokens/${token.keyId}`);
  await sleep(1500);
  const [{ mail }] = exportsTo("outlives@customer.example");
  await fetchLink(mail.text.match(linkForm)[0]);
  const broken = mail.text.match(linkForm)[0].replace(/X-Amz-Signature=(.)/, (_, digit) => `X-Amz-Signature=${digit === "0" ? "1" : "0"}`);
  const { host, pathname, search } = new URL(broken);
  assert.equal((await request(server.base, { path: pathname + search, headers: { Host: host } })).status, 403);
});

describe("when a mail is not taken", () => {
  test("550 for one of three: two have it, the third is reported", async () => {
    const addresses = ["one@r.example", "gone@r.example", "three@r.example"];
    const id = await subscribeActive(to(...addresses));
    const rule = smtp.always("RCPT", { reply: "550 5.1.1 no such user here" }, { to: "gone@r.example" });
    await api.backfill(id, start, start + HOUR_MS);
    const [job] = await waitSucceeded(api, id);
    assert.deepEqual(addresses.map((address) => exportsTo(address).length), [1, 0, 1]);
    const recipients = new Map((await jobOf(job)).recipients.map((one) => [one.email, one]));
    assert.deepEqual(addresses.map((address) => recipients.get(address).status), ["sent", "refused", "sent"]);
    assert.match(recipients.get("gone@r.example").reason, /no such user here/);
    assert.equal(rule.hits, 1, "a refusal is not tried again");
  });

  for (const [step, reply] of [["RCPT", "450 4.2.1 mailbox busy"], ["END", "451 4.3.0 try later"], ["MAIL", "421 4.3.2 going down"]])
    test(`${reply.slice(0, 3)} at ${step}: put off, sent later, the others not twice`, async () => {
      const addresses = [`early-${step.toLowerCase()}@p.example`, `busy-${step.toLowerCase()}@p.example`];
      const id = await subscribeActive(to(...addresses));
      smtp.clearScript();
      const rule = smtp.script(step, { reply }, { times: 2, ...(step === "MAIL" ? {} : { to: addresses[1] }) });
      await api.backfill(id, start, start + HOUR_MS);
      await waitFor("the fault", () => rule.hits > 0, 20_000);
      const [job] = await waitSucceeded(api, id);
      assert.equal(rule.hits, 2);
      assert.deepEqual(addresses.map((address) => exportsTo(address).length), [1, 1]);
      assert.deepEqual((await jobOf(job)).recipients.map(({ status }) => status), ["sent", "sent"]);
    });

  test("while a mail is put off the job is PENDING_UPLOAD, and says why and for whom", async () => {
    const addresses = ["here@w.example", "later@w.example"];
    const id = await subscribeActive(to(...addresses));
    smtp.clearScript();
    smtp.always("RCPT", { reply: "450 4.2.2 over quota" }, { to: "later@w.example" });
    await api.backfill(id, start, start + HOUR_MS);
    const [job] = await waitFor("the job to wait", async () => {
      const jobs = await listJobs(api, id);
      return jobs[0]?.status === "PENDING_UPLOAD" && jobs[0].reason && jobs;
    }, 20_000);
    assert.match(job.reason, /1 of 2/);
    const recipients = new Map((await jobOf(job)).recipients.map((one) => [one.email, one]));
    assert.deepEqual([recipients.get("here@w.example").status, recipients.get("later@w.example").status], ["sent", "pending"]);
    assert.match(recipients.get("later@w.example").reason, /over quota/);
    smtp.clearScript();
    await waitSucceeded(api, id);
    assert.deepEqual(addresses.map((address) => exportsTo(address).length), [1, 1]);
  });

  test("refused for everybody: FAILED, with what the server said", async () => {
    const id = await subscribeActive(to("a@f.example", "b@f.example"));
    smtp.clearScript();
    smtp.always("RCPT", { reply: "550 5.7.1 policy of this domain" });
    await api.backfill(id, start, start + HOUR_MS);
    const [job] = await waitForJobs(api, id);
    assert.equal(job.status, "FAILED");
    assert.match(job.reason, /policy of this domain/);
    smtp.clearScript();
  });

  for (const [label, action] of [["lost after the final dot, and taken", { drop: true, isKept: true }], ["lost after the final dot, and not taken", { reset: true }]])
    test(`${label}: sent again under the same Message-ID`, async () => {
      const address = `dot-${action.isKept ? "kept" : "lost"}@d.example`;
      const id = await subscribeActive(to(address, "other@d.example"));
      smtp.clearScript();
      const rule = smtp.script("END", action, { to: address });
      const before = exportsTo("other@d.example").length;
      await api.backfill(id, start, start + HOUR_MS);
      await waitSucceeded(api, id);
      assert.equal(rule.hits, 1);
      const mails = exportsTo(address);
      assert.equal(mails.length, action.isKept ? 2 : 1);
      assert.equal(new Set(mails.map(({ mail }) => mail.header("Message-ID"))).size, 1, "who gets it twice can tell");
      assert.equal(exportsTo("other@d.example").length - before, 1);
    });

  test("the server is away: sent when it is back, once", async () => {
    const id = await subscribeActive(to("away@s.example"));
    smtp.clearScript();
    await smtp.stop();
    await api.backfill(id, start, start + HOUR_MS);
    const [waiting] = await waitFor("the job to wait", async () => {
      const jobs = await listJobs(api, id);
      return jobs[0]?.status === "PENDING_UPLOAD" && jobs[0].reason && jobs;
    }, 30_000).finally(() => smtp.listen());
    await waitSucceeded(api, id);
    assert.equal(exportsTo("away@s.example").length, 1);
    assert.ok(!waiting.reason.includes("127.0.0.1"), waiting.reason);
  });

  test("a trial that nobody takes ends the subscription, with a reason", async () => {
    smtp.always("RCPT", { reply: "550 5.1.1 unknown" }, { to: "unknown@t.example" });
    const state = await settled(api, await subscribeTo(api, distinct(hourly), to("unknown@t.example")));
    assert.equal(state.status, "FAILED");
    assert.match(JSON.stringify(state), /unknown/);
    smtp.clearScript();
  });
});

describe("attachments", () => {
  const attached = (address) => exportsTo(address).flatMap(({ mail }) => mail.attachments);

  test("asked for and small: the file itself beside the link", async () => {
    const { job } = await exportHour({ ...to("attach@a.example"), attachment: true });
    const [file, ...more] = attached("attach@a.example");
    assert.equal(more.length, 0);
    const { files: [entry] } = await api.manifest(job.job_id);
    assert.deepEqual([file.content.length, sha256(file.content)], [entry.bytes, entry.sha256]);
    assert.equal(file.filename, entry.key.split("/").pop());
    assert.equal(exportsTo("attach@a.example")[0].mail.text.match(linkForm).length, 1);
  });

  test("asked for and too large: the link alone, never a part of the file", async () => {
    const at = start + 20 * HOUR_MS;
    const big = Array.from({ length: 200 }, (_, index) => ({ timestamp: at + index, id: `big${index}`, name: Array.from({ length: 60 }, () => Math.random().toString(36)).join("") }));
    await api.ingest("orders", big);
    oracle.add(big);
    const { job, report } = await exportHour({ ...to("toolarge@a.example"), attachment: true }, { index: 20 });
    assert.ok((await api.manifest(job.job_id)).bytes > 100_000);
    await assertMail(exportsTo("toolarge@a.example")[0], job, report, { index: 20, address: "toolarge@a.example" });
  });

  test("not asked for: none", async () => {
    await exportHour({ ...to("plain@a.example"), attachment: false });
    assert.deepEqual(attached("plain@a.example"), []);
  });
});

test("late rows are a mail of their own, with another Message-ID", async () => {
  const index = 30;
  const at = start + index * HOUR_MS;
  const send = async (seed, count) => {
    const events = makeOrders(seed, count, at, at + HOUR_MS);
    await api.ingest("orders", events);
    oracle.add(events);
  };
  await send(31, 20);
  const { id } = await exportHour(to("late@l.example"), { index });
  await send(32, 5);
  await waitSucceeded(api, id, { count: 2 });
  const mails = exportsTo("late@l.example").map(({ mail }) => mail);
  assert.equal(mails.length, 2);
  assert.equal(new Set(mails.map((mail) => mail.header("Message-ID"))).size, 2);
  assert.match(mails[1].subject + mails[1].text, /late/i);
});

test("addresses that are none, or more than an address, are refused", async () => {
  for (const address of ["a@b.example\r\nBcc: x@evil.example", "a@b.example\nBcc: x@evil.example", '"a b"@b.example', "a@[127.0.0.1]", "a@localhost", "@b.example", "a@",
    "Eve <a@b.example>", "=?utf-8?q?a?=@b.example", `${"l".repeat(65)}@b.example`, `a@${"d".repeat(63)}.${"d".repeat(63)}.${"d".repeat(63)}.${"d".repeat(63)}.example`,
    "-oQ/tmp -X/tmp/x@b.example", "a@b.example,c@b.example", "a@b.example c@b.example", "zoë@b.example"]) {
    const reply = await api.subscribeRaw(distinct(hourly), { destination: to(address) });
    assert.deepEqual([reply.status, reply.json.error.message], [400, "Invalid e-mail address"], JSON.stringify(address));
  }
  const many = await api.subscribeRaw(distinct(hourly), { destination: to(...Array.from({ length: 11 }, (_, index) => `m${index}@b.example`)) });
  assert.deepEqual([many.status, many.json.error.message], [400, "Too many recipients"]);
});

test("nothing that a customer writes becomes a tag, a link or a header", async () => {
  const topic = "a_href_https_evil_example";
  const field = '<a href="https://evil.example">x</a>';
  await api.ingest(topic, [{ timestamp: start + 1, id: "1", [field]: '<a href="https://evil.example/v">v</a>\r\n.\r\nBcc: x@evil.example' }]);
  const id = await subscribeActive(to("tags@h.example"), { cadence: "hourly", report_type: topic, report_fields: ["id", field], filter: ["not", ["eq", "id", "<script>"]] });
  await api.backfill(id, start, start + HOUR_MS);
  await waitSucceeded(api, id);
  for (const { mail } of smtp.mailsTo("tags@h.example")) {
    assert.doesNotMatch(mail.html, /<(?!\/?(html|body|p|a|br|!DOCTYPE)\b)/i);
    for (const [, href] of mail.html.matchAll(/href\s*=\s*"?([^"\s>]*)/gi)) assert.ok(href.startsWith(`${baseUrl}/exports/`), href);
    assert.equal(mail.header("Bcc"), undefined);
    assert.doesNotMatch(mail.text, /evil\.example\/?v?$/m);
  }
});

test("many files are several mails, and no link is left out", async () => {
  const at = start + 50 * HOUR_MS;
  const data = initData();
  const many = await Server.start({ args: { "export-part-bytes": 1024, "base-url": baseUrl }, env: mailEnvironment() }, data);
  const own = new RecordingApi(many);
  const types = { timestamp: "timestamp", id: "string", text: "string" };
  const events = Array.from({ length: 130 }, (_, index) => ({ timestamp: at + index, id: `m${index}`, text: "y".repeat(1100) }));
  await own.ingest("many", events);
  const report = { cadence: "hourly", report_type: "many", report_fields: ["timestamp", "id", "text"] };
  const id = await subscribeActive(to("many@m.example"), report, own);
  await own.backfill(id, at, at + HOUR_MS);
  const [job] = await waitSucceeded(own, id);
  const manifest = await own.manifest(job.job_id);
  assert.ok(manifest.files.length > 100, `${manifest.files.length} files`);
  const mails = exportsTo("many@m.example").map(({ mail }) => mail);
  assert.ok(mails.length >= 2);
  assert.equal(new Set(mails.map((mail) => mail.header("Message-ID"))).size, mails.length);
  const links = mails.flatMap((mail) => mail.text.replaceAll("\r\n", "\n").match(linkForm));
  assert.deepEqual(links.map((link) => decodeURIComponent(new URL(link).pathname.replace("/exports/", ""))).sort(), manifest.files.map(({ key }) => key).sort());
  assert.equal(types.id, "string");
  await many.stop();
});

// Lines of quoted-printable are cut at 76 characters: with names of one letter some begin with a dot.
test("lines that begin with a dot arrive whole", async () => {
  let seen = 0;
  for (const extra of ["", "a"]) {
    const host = `${extra}${"b.".repeat(60)}example`;
    const dotted = await Server.start({ args: { "base-url": `https://${host}` }, env: mailEnvironment() });
    const own = new RecordingApi(dotted);
    await own.ingest("dots", [{ timestamp: start + 1, id: "1" }]);
    const address = `dots${extra}@dots.example`;
    const id = await subscribeActive(to(address), { cadence: "hourly", report_type: "dots", report_fields: ["id"] }, own);
    await own.backfill(id, start, start + HOUR_MS);
    const [job] = await waitSucceeded(own, id);
    const [{ mail, raw }] = exportsTo(address);
    seen += /\r\n\./.test(raw) ? 1 : 0;
    const [link] = mail.text.replaceAll("\r\n", "\n").match(linkForm);
    const { pathname, search } = new URL(link);
    assert.ok(link.startsWith(`https://${host}/exports/`), link);
    const reply = await request(dotted.base, { path: pathname + search, headers: { Host: host } });
    assert.equal(sha256(reply.body), (await own.manifest(job.job_id)).files[0].sha256);
    await dotted.stop();
  }
  assert.ok(seen >= 1, "a line of a mail began with a dot");
});

describe("the connection to the mail server", () => {
  // What the operator must mend makes nothing FAIL: the trial waits, and the log says why.
  const putOff = async (env, address) => {
    const strict = await Server.start({ args: { "base-url": baseUrl }, env: mailEnvironment(env) });
    const own = new RecordingApi(strict);
    await own.ingest("tls", [{ timestamp: start + 1, id: "1" }]);
    const id = await subscribeTo(own, { cadence: "hourly", report_type: "tls", report_fields: ["id"] }, to(address));
    const line = await waitFor(() => `a line of the log:\n${strict.log.slice(-1000)}`, () => /event=job_put_off .*/.exec(strict.log)?.[0], 20_000);
    assert.match(line, /mail server/);
    assert.equal((await own.subscription(id)).report.subscription_status, "PENDING");
    assertNoSecrets({ secrets: [password, env.MILKRUN_SMTP_PASSWORD ?? password], texts: [...own.texts, strict.log], directory: strict.directory });
    assert.equal(smtp.mailsTo(address).length, 0);
    return { strict, own, id, line };
  };

  test("no STARTTLS: no mail and no password", async () => {
    const plain = await Smtp.start({ users: { milkrun: password } });
    const { strict } = await putOff({ MILKRUN_SMTP_URL: `smtp://127.0.0.1:${plain.port}` }, "x@tls.example");
    await strict.stop();
    assert.deepEqual([plain.mails.length, plain.log.filter(({ line }) => /^AUTH/i.test(line ?? "")).length], [0, 0]);
  });

  test("a certificate of somebody else, or for another name", async () => {
    const wrongName = await Smtp.start({ certificate: authority.issue({ names: ["other.example"] }), users: { milkrun: password } });
    for (const env of [{ MILKRUN_SMTP_URL: `smtp://127.0.0.1:${wrongName.port}` }, { MILKRUN_SMTP_CA_FILE: makeAuthority().file }]) {
      const { strict } = await putOff(env, "y@tls.example");
      await strict.stop();
    }
    assert.equal(wrongName.mails.length, 0);
  });

  test("a wrong password is the operator's to mend: then all goes on", async () => {
    const { strict, own, id } = await putOff({ MILKRUN_SMTP_PASSWORD: "a wrong one: 4711" }, "z@tls.example");
    await strict.restart({ args: { "base-url": baseUrl }, env: mailEnvironment() });
    assert.equal((await settled(own, id)).status, "ACTIVE");
    assert.equal(smtp.mailsTo("z@tls.example").length, 1);
    await strict.stop();
  });

  test("TLS from the first byte", async () => {
    const implicit = await Smtp.start({ certificate: authority.issue(), isImplicit: true, users: { milkrun: password } });
    const strict = await Server.start({ args: { "base-url": baseUrl }, env: mailEnvironment({ MILKRUN_SMTP_URL: `smtps://127.0.0.1:${implicit.port}` }) });
    const own = new RecordingApi(strict);
    await own.ingest("tls", [{ timestamp: start + 1, id: "1" }]);
    await subscribeActive(to("i@tls.example"), { cadence: "hourly", report_type: "tls", report_fields: ["id"] }, own);
    assert.deepEqual(implicit.mailsTo("i@tls.example").map(({ isSecure }) => isSecure), [true]);
    await strict.stop();
  });

  test("without a mail server there is no such destination", async () => {
    const none = await Server.start();
    const own = new RecordingApi(none);
    const reply = await own.subscribeRaw({ cadence: "hourly", report_type: "eo_click", report_fields: ["id"] }, { destination: to("n@n.example") });
    assert.deepEqual([reply.status, reply.json.error.message], [400, "Destination not enabled on this server: email"]);
    await none.stop();
  });
});

test("no secret is anywhere, and nothing was said against the protocol", () => {
  assertNoSecrets({ secrets: [password], texts: [...api.texts, server.log, ...smtp.mails.map(({ raw }) => raw)], directory: server.directory });
  smtp.assertSound();
  assertNobodyDied(server);
});
