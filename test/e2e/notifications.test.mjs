// SPDX-License-Identifier: Apache-2.0
// News about jobs by webhook and mail: signed, at least once with the same id, to whoever asked and to nobody else; through failures
// of the receiver and of the sender.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { Api, HOUR_MS, makeTenant, makeToken, readDate } from "./lib/api.mjs";
import { behaviours, Sink, Smtp, stopClouds } from "./lib/clouds.mjs";
import { initData, isAlive, Server, stopAll } from "./lib/server.mjs";
import { temporaryDirectory } from "./lib/temp.mjs";
import { sleep, waitFor } from "./lib/wait.mjs";
import { askWebhook, assertSigned, came, deliveriesOf, events, macOf, ownerOf, readSignature, sendTest, waitCame } from "./lib/webhooks.mjs";

const start = Date.parse("2024-02-01T07:00:00Z");
const examples = resolve(dirname(fileURLToPath(import.meta.url)), "../../examples/webhooks");
const backOff = { "notify-back-off-ms": 300, "notify-back-off-max-ms": 600 };
const inside = { "destinations-allowed-networks": "127.0.0.0/8" };
let server;
let sink;
let smtp;
let api;

before(async () => {
  [sink, smtp] = [await Sink.start(), await Smtp.start()];
  server = await Server.start({ args: { ...inside, ...backOff, "notify-timeout-ms": 3000, "smtp-url": `smtp://127.0.0.1:${smtp.port}`, "smtp-tls": "none",
    "smtp-from": "exports@milkrun.example", "schedule-late-gap-ms": 86_400_000, "log-level": "debug" } });
  api = new Api(server);
});
after(stopAll);
after(stopClouds);

let counter = 0;
const freshPath = () => `/hook-${++counter}`;
const urlOf = (path) => `${sink.endpoint}${path}`;

// A subscription with events in its first hours, and the jobs of these.
async function exportHours(client, topic, hours = 1) {
  await client.ingest(topic, Array.from({ length: hours }, (_, hour) => ({ timestamp: start + hour * HOUR_MS + 1, id: String(hour), name: "x" })));
  const id = await client.subscribe({ report_type: topic, report_fields: ["id"] });
  await client.backfill(id, start, start + hours * HOUR_MS);
  return id;
}

describe("webhooks", () => {
  test("a job that SUCCEEDED is told, signed, with the job as the API has it", async () => {
    const path = freshPath();
    const made = await askWebhook(api, urlOf(path));
    assert.deepEqual(made.events, events);
    const id = await exportHours(api, "told");
    const [delivery] = await waitCame(sink, path, 1);
    assertSigned(delivery, made.secret);
    const [job] = await api.waitJobs(id, 1);
    const { notice_id: noticeId, created_at: createdAt, ...rest } = delivery.json;
    assert.deepEqual(rest, { event: "job_succeeded", organization_id: api.organizationId, app_id: api.appId, subscription_id: id,
      job: { job_id: job.job_id, status: "SUCCEEDED", start_date: job.start_date, end_date: job.end_date, revision: 0, lines_exported: 1, reason: null } });
    assert.match(noticeId, /^[0-9a-f-]{36}$/);
    assert.ok(Math.abs(readDate(createdAt) - Date.now()) < 60_000);
    await waitFor("the log", async () => (await deliveriesOf(api, made.notification_id)).length > 0);
    const [entry] = await deliveriesOf(api, made.notification_id);
    assert.deepEqual([entry.notice_id, entry.event, entry.attempt, entry.status, entry.notice_status, entry.reason],
      [noticeId, "job_succeeded", 1, 204, "SENT", null]);
    await api.call("DELETE", `/v1/notifications/${made.notification_id}`);
  });

  test("who asked is told, and nobody else", async () => {
    const other = await makeTenant(server, "others");
    const app2 = (await api.admin("POST", "/v1/admin/apps", { organization_id: api.organizationId, name: "second" })).app_id;
    const another = await api.subscribe({ report_type: "eo_open", report_fields: ["id"] });
    const id = await exportHours(api, "asked"); // before anybody asked
    await api.waitJobs(id, 1);
    const rows = [[api, {}, true], [api, { query: `?app_id=${api.appId}` }, true], [api, { query: `?app_id=${app2}` }, false], [api, { subscription_id: id }, true],
      [api, { subscription_id: another }, false], [api, { events: ["job_failed", "late"] }, false], [other, {}, false]];
    const paths = rows.map(freshPath);
    const made = [];
    for (const [index, [client, more]] of rows.entries()) made.push(await askWebhook(client, urlOf(paths[index]), more));
    await api.backfill(id, start + HOUR_MS, start + 2 * HOUR_MS);
    for (const [index, [, , isTold]] of rows.entries()) if (isTold) await waitCame(sink, paths[index], 1);
    await sleep(500);
    assert.deepEqual(paths.map((path) => came(sink, path).length), rows.map(([, , isTold]) => (isTold ? 1 : 0)));
    for (const [index, [client]] of rows.entries()) await client.call("DELETE", `/v1/notifications/${made[index].notification_id}`);
  });

  test("tried again after 500, reset, silence and a redirect, with the same id and body, until it is taken", async () => {
    const path = freshPath();
    const { notification_id: id, secret } = await askWebhook(api, urlOf(path));
    const trouble = [behaviours.internalError(), behaviours.resetInReply(), behaviours.stallAfter(), behaviours.reply({ status: 302, headers: { Location: urlOf("/elsewhere") } }),
      behaviours.garbage()];
    for (const behaviour of trouble) sink.faults.add({ path }, behaviour);
    const { notice_id: noticeId } = await sendTest(api, id);
    const log = await waitFor("success", async () => {
      const entries = await deliveriesOf(api, id);
      return entries[0]?.notice_status === "SENT" && entries;
    }, 40_000);
    sink.faults.assertAllHit();
    sink.faults.clear();
    assert.deepEqual(log.map((entry) => [entry.notice_id, entry.attempt]), [6, 5, 4, 3, 2, 1].map((attempt) => [noticeId, attempt]));
    assert.deepEqual(log.map((entry) => entry.status), [204, null, 302, null, null, 500]);
    assert.ok(log.slice(1).every((entry) => entry.reason), "each failure has a reason");
    assert.match(log[2].reason, /redirects are not followed/);
    assert.ok(log[3].took_ms >= 2900, "silence ends at the time-out");
    const taken = came(sink, path);
    assert.equal(new Set(taken.map(({ body }) => body)).size, 1);
    for (const delivery of taken) assertSigned(delivery, secret);
    assert.equal(came(sink, "/elsewhere").length, 0);
    await api.call("DELETE", `/v1/notifications/${id}`);
  });

  test("410 ends the notice and nothing else", async () => {
    const path = freshPath();
    const { notification_id: id } = await askWebhook(api, urlOf(path));
    sink.faults.add({ path }, behaviours.reply({ status: 410 }));
    await sendTest(api, id);
    await waitFor("the end", async () => (await deliveriesOf(api, id))[0]?.notice_status === "GIVEN_UP");
    await sendTest(api, id);
    await waitCame(sink, path, 1);
    assert.equal((await deliveriesOf(api, id)).length, 2);
    await api.call("DELETE", `/v1/notifications/${id}`);
  });

  test("while a rotation has its grace both secrets sign, then the new one alone", async () => {
    const path = freshPath();
    const made = await askWebhook(api, urlOf(path));
    const rotated = await api.call("POST", `/v1/notifications/${made.notification_id}/rotate`, { body: { grace_seconds: 5 } });
    assert.notEqual(rotated.secret, made.secret);
    await sendTest(api, made.notification_id);
    const [first] = await waitCame(sink, path, 1);
    assertSigned(first, rotated.secret, made.secret);
    await sleep(readDate(rotated.grace_until) - Date.now() + 100);
    await sendTest(api, made.notification_id);
    const [, second] = await waitCame(sink, path, 2);
    assertSigned(second, rotated.secret);
    await api.call("DELETE", `/v1/notifications/${made.notification_id}`);
  });

  test("nothing more is sent after a deletion; a change of the URL takes what waits with it", async () => {
    const [gone, moved, there] = [freshPath(), freshPath(), freshPath()];
    const [first, second] = [await askWebhook(api, urlOf(gone)), await askWebhook(api, urlOf(moved))];
    sink.faults.always({ path: gone }, behaviours.internalError());
    sink.faults.always({ path: moved }, behaviours.internalError());
    const { notice_id: noticeId } = await sendTest(api, second.notification_id);
    await sendTest(api, first.notification_id);
    await waitFor("tries", async () => (await deliveriesOf(api, first.notification_id)).length > 0 && (await deliveriesOf(api, second.notification_id)).length > 0);
    await api.call("DELETE", `/v1/notifications/${first.notification_id}`);
    await api.call("PATCH", `/v1/notifications/${second.notification_id}`, { body: { url: urlOf(there) } });
    const [delivery] = await waitCame(sink, there, 1);
    assert.equal(delivery.json.notice_id, noticeId);
    const count = () => sink.requests().filter((entry) => entry.path === gone).length;
    await sleep(300); // one may have been on its way
    const before = count();
    await sleep(1500);
    assert.equal(count(), before);
    sink.faults.clear();
    await api.call("DELETE", `/v1/notifications/${second.notification_id}`);
  });

  test("kill -9 of the sender in the middle: sent again, with the same id, without waiting for the lease", async () => {
    const path = freshPath();
    const { notification_id: id, secret } = await askWebhook(api, urlOf(path));
    sink.faults.add({ path }, behaviours.stallAfter());
    const { notice_id: noticeId } = await sendTest(api, id);
    await waitCame(sink, path, 1);
    const pid = ownerOf(server, sink.port);
    assert.ok(pid, "the sender holds the connection");
    process.kill(pid, "SIGKILL");
    await waitFor("its end", () => !isAlive(pid));
    const deliveries = await waitCame(sink, path, 2, 15_000);
    assert.deepEqual(deliveries.map(({ json }) => json.notice_id), [noticeId, noticeId]);
    for (const delivery of deliveries) assertSigned(delivery, secret);
    await waitFor("the log", async () => (await deliveriesOf(api, id))[0]?.notice_status === "SENT");
    const log = await deliveriesOf(api, id);
    assert.deepEqual(log.map(({ attempt, status, reason }) => [attempt, status, reason]), [[2, 204, null], [1, null, "the sender was interrupted"]]);
    sink.faults.clear();
    await api.call("DELETE", `/v1/notifications/${id}`);
  });

  test("a flood to slow receivers of one organization does not hold up the others", async () => {
    const [flooding, waiting] = [await makeTenant(server, "flooding"), await makeTenant(server, "waiting")];
    const [slow, quick] = [[freshPath(), freshPath(), freshPath(), freshPath()], freshPath()];
    for (const path of slow) {
      sink.faults.always({ path }, behaviours.delay(500));
      await askWebhook(flooding, urlOf(path), { events: ["job_succeeded"] });
    }
    const hook = await askWebhook(waiting, urlOf(quick));
    const subscription = await exportHours(flooding, "flood", 20);
    await flooding.waitJobs(subscription, 20); // 80 notices: 20 seconds with two at a time
    for (let round = 0; round < 5; round++) {
      const asked = Date.now();
      await sendTest(waiting, hook.notification_id);
      await waitCame(sink, quick, round + 1, 3000);
      assert.ok(Date.now() - asked < 3000);
      await waitFor("its settling", async () => (await deliveriesOf(waiting, hook.notification_id)).length === round + 1);
    }
    assert.ok(slow.flatMap((path) => came(sink, path)).length < 70, "the flood goes on meanwhile");
    const inFlight = maxOverlap(sink.requests().filter(({ path }) => slow.includes(path)), 500);
    assert.ok(inFlight <= 2, `${inFlight} of the flood at the same time`);
    for (const { notification_id: id } of await flooding.call("GET", "/v1/notifications")) await flooding.call("DELETE", `/v1/notifications/${id}`);
    await waiting.call("DELETE", `/v1/notifications/${hook.notification_id}`);
    sink.faults.clear();
  });
});

// How many of the requests, each as long as ms, went on at the same time.
function maxOverlap(requests, ms) {
  return Math.max(...requests.map(({ at }) => requests.filter((other) => other.at <= at && at < other.at + ms - 50).length));
}

describe("where webhooks may lead", () => {
  test("not to this machine and its networks, unless the operator allows it: not when asked for, not when sent", async () => {
    const data = initData();
    const allowed = await Server.start({ args: { ...inside, ...backOff } }, data);
    const path = freshPath();
    const client = new Api(allowed);
    const made = await askWebhook(client, urlOf(path));
    await allowed.stop();
    const strict = await Server.start({ args: backOff }, data);
    const refusing = new Api(strict);
    for (const url of [urlOf("/x"), "https://127.0.0.1/x", "https://localhost/x", "https://[::1]/x", "https://169.254.169.254/latest/meta-data", "https://10.0.0.1/",
      `http://127.0.0.1:${new URL(strict.base).port}/v1/admin/organizations`]) {
      const reply = await refusing.raw("POST", "/v1/notifications", { body: { type: "webhook", url } });
      assert.deepEqual([reply.status, reply.json.error.message], [400, "Endpoint not allowed"], url);
    }
    const connections = sink.connections;
    await sendTest(refusing, made.notification_id);
    const [entry] = await waitFor("a try", async () => {
      const log = await deliveriesOf(refusing, made.notification_id);
      return log.length > 0 && log;
    });
    assert.match(entry.reason, /Endpoint not allowed/);
    assert.equal(entry.status, null);
    assert.equal(sink.connections, connections, "nobody connected");
    await strict.stop();
  });

  test("our own address is none, even where it is in an allowed network", async () => {
    const reply = await api.raw("POST", "/v1/notifications", { body: { type: "webhook", url: `${server.base}/v1/events/x` } });
    assert.deepEqual([reply.status, reply.json.error.message], [400, "Endpoint not allowed"]);
  });
});

describe("mail", () => {
  const ask = (recipients, more) => api.call("POST", "/v1/notifications", { body: { type: "email", recipient_emails: recipients, ...more } });

  test("one to each address, with a verdict each, and the same Message-ID at each try", async () => {
    smtp.always("RCPT", { reply: "550 5.1.1 no such user" }, { to: "nobody@b.example" });
    smtp.script("RCPT", { reply: "451 4.7.1 greylisted" }, { to: "later@b.example" });
    smtp.script("END", { drop: true, isKept: true }, { to: "twice@b.example" });
    const { notification_id: id } = await ask(["ann@b.example", "nobody@b.example", "later@b.example", "twice@b.example"]);
    await sendTest(api, id);
    const log = await waitFor("all verdicts", async () => {
      const entries = await deliveriesOf(api, id);
      const over = new Set(entries.filter(({ notice_status: state }) => state !== "WAITING").map(({ recipient }) => recipient));
      return over.size === 4 && entries;
    }, 30_000);
    smtp.assertAllHit();
    smtp.assertSound();
    const of = (recipient) => log.filter((entry) => entry.recipient === recipient).reverse();
    assert.deepEqual(of("ann@b.example").map(({ status, notice_status: state }) => [status, state]), [[250, "SENT"]]);
    assert.deepEqual(of("nobody@b.example").map(({ status, notice_status: state }) => [status, state]), [[550, "GIVEN_UP"]]);
    assert.match(of("nobody@b.example")[0].reason, /no such user/);
    assert.deepEqual(of("later@b.example").map(({ status }) => status), [451, 250]);
    assert.equal(new Set(of("twice@b.example").map((entry) => entry.notice_id)).size, 1);
    const twice = smtp.mailsTo("twice@b.example").map(({ mail }) => mail);
    assert.equal(twice.length, 2);
    assert.equal(new Set(twice.map((mail) => mail.header("message-id"))).size, 1);
    assert.match(twice[0].header("message-id"), /^<[0-9a-f-]{36}@milkrun\.example>$/);
    assert.equal(smtp.mailsTo("ann@b.example").length, 1);
    assert.ok(smtp.mails.every(({ to }) => to.length === 1), "nobody sees the others' addresses");
    smtp.clearScript();
    await api.call("DELETE", `/v1/notifications/${id}`);
  });

  test("text alone, and nothing of a tenant becomes a link", async () => {
    const { notification_id: id } = await ask(["text@b.example"], { events: ["job_failed"] });
    await api.ingest("links", [{ timestamp: start + 1, id: "1", name: "x", "http://evil.example/x": 1 }]);
    const subscription = await api.subscribe({ report_type: "links", report_fields: ["http://evil.example/x"] });
    const restore = await hideSegments(server);
    await api.backfill(subscription, start, start + HOUR_MS);
    const [{ mail, raw }] = await waitFor("the mail", () => smtp.mailsTo("text@b.example").length > 0 && smtp.mailsTo("text@b.example"), 30_000);
    restore();
    assert.deepEqual(mail.order, ["text/plain"]);
    assert.equal(mail.subject, "milkrun: export job failed");
    assert.match(mail.text, /Reason: +stored events are damaged or missing: the operator of this server must act/);
    assert.match(mail.text, new RegExp(`Subscription: ${subscription}`));
    assert.doesNotMatch(String(raw), /https?:\/\/|www\./);
    await api.call("DELETE", `/v1/notifications/${id}`);
  });
});

// Takes the files of all segments away once what was acknowledged is in them; gives a function that brings them back.
async function hideSegments({ directory }) {
  const lake = join(directory, "lake");
  await sleep(2500); // a log file is closed after a second, and then sealed
  const files = existsSync(lake) ? readdirSync(lake, { recursive: true }).filter((name) => name.endsWith(".parquet")) : [];
  for (const name of files) renameSync(join(lake, name), join(lake, `${name}.hidden`));
  return () => files.forEach((name) => renameSync(join(lake, `${name}.hidden`), join(lake, name)));
}

describe("what goes wrong", () => {
  test("a failed job and its recovery are told", async () => {
    const path = freshPath();
    const { notification_id: hook, secret } = await askWebhook(api, urlOf(path));
    await api.ingest("failing", [{ timestamp: start + 1, id: "1", name: "x" }]);
    const id = await api.subscribe({ report_type: "failing", report_fields: ["id"] });
    const restore = await hideSegments(server);
    await api.backfill(id, start, start + HOUR_MS);
    const [failed] = await waitCame(sink, path, 1);
    restore();
    assertSigned(failed, secret);
    assert.equal(failed.json.event, "job_failed");
    assert.equal(failed.json.job.status, "FAILED");
    assert.match(failed.json.job.reason, /damaged or missing/);
    await api.call("POST", `/v1/jobs/${failed.json.job.job_id}/retry`);
    const told = await waitCame(sink, path, 3);
    assert.deepEqual(told.slice(1).map(({ json }) => json.event).sort(), ["job_succeeded", "recovered"]);
    for (const { json } of told.slice(1)) assert.deepEqual([json.job.status, json.job.revision, json.job.lines_exported], ["SUCCEEDED", 1, 1]);
    await api.call("DELETE", `/v1/notifications/${hook}`);
  });

  test("a subscription whose sample fails is told", async () => {
    const path = freshPath();
    const { notification_id: hook } = await askWebhook(api, urlOf(path), { events: ["subscription_failed"] });
    const lastHour = Math.floor(Date.now() / HOUR_MS) * HOUR_MS - HOUR_MS;
    await api.ingest("no_sample", [{ timestamp: lastHour + 1, id: "1", name: "x" }]);
    const restore = await hideSegments(server);
    const { json } = await api.subscribeRaw({ report_type: "no_sample", report_fields: ["id"] });
    const [delivery] = await waitCame(sink, path, 1);
    restore();
    assert.deepEqual([delivery.json.event, delivery.json.subscription_id, delivery.json.job], ["subscription_failed", json.subscription_id, null]);
    assert.match(delivery.json.reason, /damaged or missing/);
    await api.call("DELETE", `/v1/notifications/${hook}`);
  });

  test("a job that takes long is said to be late once, and recovers", async () => {
    const path = freshPath();
    const args = { ...inside, ...backOff, "notify-late-ms": 1000, "schedule-late-gap-ms": 86_400_000 };
    const late = await Server.start({ args });
    const client = new Api(late);
    const made = await askWebhook(client, urlOf(path));
    await client.ingest("slow", [{ timestamp: start + 1, id: "1", name: "x" }]);
    const id = await client.subscribe({ report_type: "slow", report_fields: ["id"] });
    await late.restart({ args: { ...args, roles: "api,scheduler" } });
    await client.backfill(id, start, start + HOUR_MS);
    await sleep(2500);
    await late.restart({ args });
    const told = await waitCame(sink, path, 3);
    await sleep(1000);
    assert.deepEqual(came(sink, path).map(({ json }) => json.event).sort(), ["job_succeeded", "late", "recovered"]);
    const of = (event) => told.find(({ json }) => json.event === event);
    assertSigned(of("late"), made.secret);
    assert.equal(of("late").json.job.status, "PENDING_GENERATION");
    assert.equal(of("recovered").json.job.status, "SUCCEEDED");
    assert.equal(of("late").json.job.job_id, of("recovered").json.job.job_id);
    await late.stop();
  });
});

describe("examples/webhooks", () => {
  const programs = readdirSync(examples).filter((name) => name.startsWith("verify."));

  async function run(program, headers, body, secret) {
    const directory = temporaryDirectory("verify");
    writeFileSync(join(directory, "headers"), headers);
    writeFileSync(join(directory, "body"), body);
    const files = [join(directory, "headers"), join(directory, "body")];
    return new Promise((resolve) => execFile(join(examples, program), files, { timeout: 30_000, env: { ...process.env, MILKRUN_WEBHOOK_SECRET: secret } },
      (error, output, problem) => resolve({ ok: !error, output: output.trim(), problem: problem.trim() })));
  }

  const headersOf = ({ entry }) => entry.headerLines.join("\r\n");
  const withSignature = (delivery, text) => headersOf(delivery).replace(/(milkrun-signature): .*/i, `$1: ${text}`);

  test("there are three", () => assert.deepEqual(programs.sort(), ["verify.mjs", "verify.py", "verify.sh"]));

  test("they take real notices, also in a rotation's grace, and refuse what is changed, old or of another", async () => {
    const path = freshPath();
    const made = await askWebhook(api, urlOf(path));
    await sendTest(api, made.notification_id);
    const [plain] = await waitCame(sink, path, 1);
    await waitFor("its settling", async () => (await deliveriesOf(api, made.notification_id)).length === 1);
    const rotated = await api.call("POST", `/v1/notifications/${made.notification_id}/rotate`, { body: {} });
    await sendTest(api, made.notification_id);
    const [, graced] = await waitCame(sink, path, 2);
    const { t } = readSignature(plain);
    const old = t - 400;
    const taken = [[plain, made.secret], [graced, made.secret], [graced, rotated.secret]]
      .map(([delivery, secret]) => [headersOf(delivery), delivery.body, secret, delivery.json.notice_id]);
    const refused = [
      [headersOf(plain), plain.body.replace("test", "tost"), made.secret, "wrong signature"],
      [headersOf(plain), `${plain.body}\n`, made.secret, "wrong signature"],
      [headersOf(plain), plain.body, rotated.secret, "wrong signature"],
      [withSignature(plain, `t=${t + 1},v1=${macOf(made.secret, t, plain.body)}`), plain.body, made.secret, "wrong signature"],
      [withSignature(plain, `t=${old},v1=${macOf(made.secret, old, plain.body)}`), plain.body, made.secret, "too old"],
      [withSignature(plain, `v1=${macOf(made.secret, t, plain.body)}`), plain.body, made.secret, "malformed signature"],
      [withSignature(plain, `t=${t}`), plain.body, made.secret, "wrong signature"],
      [headersOf(plain).replace(/milkrun-signature/i, "X-Other"), plain.body, made.secret, "no signature"],
    ];
    await Promise.all(programs.map(async (program) => {
      for (const [headers, body, secret, noticeId] of taken)
        assert.deepEqual(await run(program, headers, body, secret), { ok: true, output: noticeId, problem: "" }, program);
      for (const [headers, body, secret, problem] of refused)
        assert.deepEqual(await run(program, headers, body, secret), { ok: false, output: "", problem }, `${program}: ${problem}`);
    }));
    await api.call("DELETE", `/v1/notifications/${made.notification_id}`);
  });
});

test("a token without the permission may not, and one of another app sees nothing", async () => {
  const ingestOnly = await makeToken(server, { organizationId: api.organizationId, permissions: ["ingest"] });
  const reply = await api.raw("POST", "/v1/notifications", { token: ingestOnly.text, body: { type: "webhook", url: urlOf("/x") } });
  assert.deepEqual([reply.status, reply.json.error.message], [403, "Token lacks permission: export"]);
});

test("the receivers found nothing wrong with how they were spoken to", () => {
  sink.assertSound();
  smtp.assertSound();
});
