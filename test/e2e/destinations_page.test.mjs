// SPDX-License-Identifier: Apache-2.0
// What docs/destinations.md tells customers and operators to set up is enough: its policies are read
// from the page and enforced by the scripted clouds, its curl lines are run.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { HOUR_MS } from "./lib/api.mjs";
import { stopClouds } from "./lib/clouds.mjs";
import { Site, assertDelivered, customerAccount, distinct, exportTo, operatorAccount, settled, subscribeTo, waitSucceeded } from "./lib/deliver.mjs";
import { blocksOf, runShell } from "./lib/documents.mjs";
import { declaredOrderTypes, makeOrders, orderTypes } from "./lib/events.mjs";
import { Oracle } from "./lib/oracle.mjs";
import { stopAll } from "./lib/server.mjs";
import { temporaryDirectory } from "./lib/temp.mjs";
import { waitFor } from "./lib/wait.mjs";

const page = "docs/destinations.md";
const start = Date.parse("2024-02-01T07:00:00Z");
const end = start + HOUR_MS;
const report = { cadence: "hourly", report_type: "orders", report_fields: ["timestamp", "id", "name"] };
const oracle = new Oracle(orderTypes);
const events = makeOrders(1, 60, start, start + 3 * HOUR_MS);
oracle.add(events);

const documents = (heading) => blocksOf(page, heading).filter(({ language }) => language === "json").map(({ text }) => {
  try {
    return JSON.parse(text);
  } catch {
    return {}; // a reply that is cut
  }
});
const policiesOf = (heading) => documents(heading).filter(({ Statement }) => Statement);
const permits = ({ Statement: [{ Effect, Action }] }, action) => Effect === "Allow" && Action.includes(action);

// A policy of AWS for the scripted S3, whose buckets know their callers already.
function asFunction(...documentsOfPolicies) {
  const statements = documentsOfPolicies.flatMap(({ Statement }) => Statement);
  const hasForm = (text, form) => new RegExp(`^${form.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&")).join(".*")}$`).test(text);
  const facts = ({ entry }) => ({ "s3:if-none-match": entry.headers["if-none-match"], "s3:ObjectCreationOperation": String(["PutObject", "CompleteMultipartUpload"].includes(entry.operation)) });
  const isMet = (condition = {}, ask) => Object.entries(condition).every(([operator, values]) => Object.entries(values).every(([name, value]) =>
    (operator === "Null" ? String(facts(ask)[name] === undefined) === value : operator === "Bool" ? facts(ask)[name] === value : assert.fail(operator))));
  const applies = (effect, ask) => statements.some(({ Effect, Action, Resource, Condition }) => Effect === effect && [Action].flat().includes(ask.action) &&
    [Resource].flat().some((form) => hasForm(`arn:aws:s3:::${ask.entry.bucket}${ask.key === undefined ? "" : `/${ask.key}`}`, form)) && isMet(Condition, ask));
  return (ask) => applies("Allow", ask) && !applies("Deny", ask);
}

after(async () => {
  await stopAll();
  await stopClouds();
});

describe("a role of the customer's", () => {
  const [trust, permissions, createOnly] = policiesOf("The customer");
  const bucketName = /arn:aws:s3:::([^/]+)\//.exec(permissions.Statement[0].Resource)[1];
  let site;
  let api;

  before(async () => {
    site = await Site.start();
    api = site.api;
    await api.declareTopic("orders", declaredOrderTypes);
    await api.ingest("orders", events);
  });

  // As the page has it, for a bucket of another name.
  const target = (name, ...documentsOfPolicies) => site.makeTarget(name, { prefix: "milkrun",
    policy: asFunction(...documentsOfPolicies.map((document) => JSON.parse(JSON.stringify(document).replaceAll(bucketName, name)))) });
  const without = (action) => ({ Statement: [{ ...permissions.Statement[0], Action: permissions.Statement[0].Action.filter((one) => one !== action) }] });

  test("the page's own lines: external id, trust, permissions, subscribe", async () => {
    const scripts = blocksOf(page, "The customer").filter(({ language, text }) => language === "sh" && text.startsWith("curl")).map(({ text }) => text.replaceAll("curl ", "curl -s "));
    const names = { BASE: site.server.base, TOKEN: api.token, APP: api.appId };
    const folder = temporaryDirectory("page");
    const { external_id: externalId } = JSON.parse(runShell(folder, scripts[0], names));
    assert.equal(externalId, site.externalId);
    const [{ Principal, Action, Condition }] = trust.Statement;
    assert.deepEqual([Principal, Action, Object.keys(Condition.StringEquals)], [{ AWS: `arn:aws:iam::${operatorAccount}:root` }, "sts:AssumeRole", ["sts:ExternalId"]]);
    const role = site.sts.makeRole(`arn:aws:iam::${customerAccount}:role/milkrun`, { externalId, trusts: [site.operator.principal] });
    const allowed = asFunction(permissions);
    const bucket = site.s3.makeBucket(bucketName, { policy: (ask) => ask.principal === role && allowed(ask) });
    const { subscription_id: id } = JSON.parse(runShell(folder, scripts[1], names));
    assert.equal((await settled(api, id)).status, "ACTIVE");
    await api.backfill(id, start, end);
    await waitSucceeded(api, id);
    await assertDelivered(api, { bucket, id, report, oracle, start, end, prefix: "milkrun" });
  });

  for (const action of permissions.Statement[0].Action.filter((one) => one !== "s3:PutObject"))
    test(`without ${action} it is delivered as well`, async () => {
      const { bucket, destination } = target(`without-${action.slice(3).toLowerCase()}`, without(action));
      const mine = distinct(report);
      const id = await exportTo(api, mine, destination, start, end);
      await waitSucceeded(api, id);
      await assertDelivered(api, { bucket, id, report: mine, oracle, start, end, prefix: "milkrun", isAlone: action !== "s3:DeleteObject" });
    });

  test("without s3:PutObject the reason has the statement that is missing", async () => {
    const { destination } = target("without-putobject", without("s3:PutObject"));
    const { status, reason } = await settled(api, await subscribeTo(api, distinct(report), destination));
    assert.equal(status, "FAILED");
    assert.deepEqual(JSON.parse(/Allow it: (\{.*\})$/.exec(reason)[1]), { ...permissions.Statement[0], Resource: "arn:aws:s3:::without-putobject/milkrun/*" });
  });

  test("a bucket in which objects may only be created", async () => {
    assert.equal(createOnly.Statement[0].Effect, "Deny");
    const { bucket, destination } = target("create-only", permissions, createOnly);
    const mine = distinct(report);
    const id = await exportTo(api, mine, destination, start, end);
    await waitSucceeded(api, id);
    await assertDelivered(api, { bucket, id, report: mine, oracle, start, end, prefix: "milkrun" });
  });
});

test("the hosted bucket's policy is enough: URLs work, and files go when they expire", async () => {
  const policy = policiesOf("The hosted bucket on S3").find((document) => permits(document, "s3:PutObject"));
  const site = await Site.start({ hosted: "shop-exports", args: { "export-retention-ms": 6000, "schedule-sweep-interval-ms": 500 } });
  const bucket = site.s3.bucket("shop-exports");
  bucket.policy = asFunction(policy);
  await site.api.declareTopic("orders", declaredOrderTypes);
  await site.api.ingest("orders", events);
  const id = await exportTo(site.api, report, { subscription_type: "branch" }, start, end);
  const [job] = await waitSucceeded(site.api, id);
  assert.equal((await fetch(job.export_url[0])).status, 200);
  await waitFor("the file to go", () => bucket.keys.length === 0, 30_000);
  assert.deepEqual((await site.api.call("GET", `/v1/jobs/${job.job_id}`)).export_url, []);
});
