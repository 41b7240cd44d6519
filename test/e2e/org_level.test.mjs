// SPDX-License-Identifier: Apache-2.0
// What is exported for a whole organization: a file for each app, and every event once.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { Api, DAY_MS, HOUR_MS, makeTenant, makeToken } from "./lib/api.mjs";
import { askExport, exportStatus, organizationOf, readExport, runExport } from "./lib/custom.mjs";
import { declaredOrderTypes, makeOrders, orderTypes } from "./lib/events.mjs";
import { Oracle, assertSameRows } from "./lib/oracle.mjs";
import { Server, stopAll } from "./lib/server.mjs";

const day = Math.floor(Date.now() / DAY_MS) * DAY_MS - DAY_MS;
const types = { ...orderTypes, app_id: "string" };
const fields = ["app_id", "timestamp", "id", "name"];
const body = { start_date: new Date(day).toISOString(), end_date: new Date(Date.now() + HOUR_MS).toISOString(), report_type: "orders", fields, limit: 100_000 };

after(stopAll);

describe("an organization with several apps", () => {
  let server;
  let api;
  const apps = [];
  const oracles = new Map();
  const everything = new Oracle(types);

  before(async () => {
    server = await Server.start();
    api = new Api(server);
    apps.push(api.appId);
    for (const name of ["second", "third", "idle"])
      apps.push((await api.admin("POST", "/v1/admin/apps", { organization_id: api.organizationId, name })).app_id);
    await api.declareTopic("orders", declaredOrderTypes);
    for (const [index, appId] of apps.slice(0, 3).entries()) {
      const events = makeOrders(50 + index, 200 + 50 * index, day, day + DAY_MS);
      await api.ingest("orders", events, { appId });
      const mine = events.map((event) => ({ ...event, app_id: appId }));
      oracles.set(appId, new Oracle(types));
      oracles.get(appId).add(mine);
      everything.add(mine);
    }
    const stranger = await makeTenant(server, "stranger");
    await stranger.declareTopic("orders", declaredOrderTypes);
    await stranger.ingest("orders", makeOrders(60, 100, day, day + DAY_MS));
  });

  const expected = (oracle) => oracle.expected({ report_fields: fields }, day, Date.now() + DAY_MS);

  test("one file per app in the order of their making, empty ones as well", async () => {
    const options = { scope: organizationOf(api) };
    const made = await askExport(api, body, options);
    assert.ok(made.json.export_job_status_url.endsWith(`?organization_id=${api.organizationId}`), made.text);
    const status = await runExport(api, body, options);
    const files = await readExport(api, status, body, types);
    assert.equal(files.length, apps.length);
    for (const [index, file] of files.entries()) {
      assert.match(file.url, new RegExp(`/app_id=${apps[index]}/job_id=[0-9a-f-]{36}/task_id=${index}/`));
      assert.deepEqual(file.header, fields);
      assertSameRows(file.rows, oracles.has(apps[index]) ? expected(oracles.get(apps[index])) : [], fields, `app ${index}`);
    }
    assert.equal(status.lines_exported, expected(everything).length);
    const manifest = await api.manifest(status.job_id);
    assert.deepEqual(manifest.files.map(({ rows }) => rows), files.map(({ rows }) => rows.length));
    assert.equal(status.response_url, status.response_urls[0]);
  });

  test("filters and limits are of the whole", async () => {
    const options = { scope: organizationOf(api) };
    const filter = ["eq", "app_id", apps[1]];
    const filtered = await readExport(api, await runExport(api, { ...body, filter }, options), body, types);
    assert.deepEqual(filtered.map(({ rows }) => rows.length), apps.map((appId, index) => (index === 1 ? expected(oracles.get(appId)).length : 0)));
    const limited = await runExport(api, { ...body, limit: 210 }, options);
    assert.equal(limited.lines_exported, 210);
    const counts = (await readExport(api, limited, body, types)).map(({ rows }) => rows.length);
    assert.deepEqual(counts, [200, 10, 0, 0]);
  });

  test("an app that is made later, with events of the same time, is in it", async () => {
    const { app_id: appId } = await api.admin("POST", "/v1/admin/apps", { organization_id: api.organizationId, name: "later" });
    const past = { ...body, end_date: new Date(day + DAY_MS - 1).toISOString() }; // no app existed then
    await api.ingest("orders", makeOrders(70, 30, day, day + DAY_MS), { appId });
    const files = await readExport(api, await runExport(api, past, { scope: organizationOf(api) }), past, types);
    assert.deepEqual(files.map(({ rows }) => rows.length), [200, 250, 300, 30], "apps with events, and no others");
    assert.ok(files[3].rows.every((row) => row.app_id === appId));
  });

  test("a token of one app sees its own alone", async () => {
    const { text: token } = await makeToken(server, { organizationId: api.organizationId, appId: apps[1], permissions: ["export"] });
    const whole = await runExport(api, body, { scope: organizationOf(api) });
    for (const scope of [organizationOf(api), `app_id=${apps[1]}`]) {
      const hidden = await exportStatus(api, whole.handle, { scope, token });
      assert.deepEqual([hidden.status, hidden.json.error.message], [404, "Job ID Not Found"]);
      assert.equal((await exportStatus(api, whole.handle, { scope })).status, 200, "the organization's own token sees it with either id");
    }
    assert.equal((await api.raw("GET", `/v1/jobs/${whole.job_id}`, { token })).status, 404);
    assert.equal((await api.raw("GET", `/v1/jobs/${whole.job_id}/manifest?app_id=${apps[1]}`, { token })).status, 404);
    const own = await runExport(api, body, { scope: organizationOf(api), token });
    const files = await readExport(api, own, body, types);
    assert.equal(files.length, 1);
    assertSameRows(files[0].rows, expected(oracles.get(apps[1])), fields, "named by organization, bound to an app");
  });
});
