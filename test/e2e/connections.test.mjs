// SPDX-License-Identifier: Apache-2.0
// Connections of the operator: by calls and by `milkrun admin`; who may name them; and that their keys are nowhere to be read.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { chmodSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { Api, makeTenant } from "./lib/api.mjs";
import { Server, binary, cleanEnvironment, initData, runBinary, stopAll } from "./lib/server.mjs";
import { temporaryDirectory } from "./lib/temp.mjs";

const secrets = []; // every one that came in
const account = "exports@project.iam.gserviceaccount.com";
const newSecret = () => secrets[secrets.push(randomBytes(30).toString("base64")) - 1];
let server;
let api;
let theirs;
let counter = 0;

before(async () => {
  server = await Server.start({ args: { "api-subscription-limit": 0 }, env: { MILKRUN_DESTINATIONS_CUSTOMER_ENDPOINTS: "true" } });
  api = new Api(server);
  theirs = await makeTenant(server, "theirs");
});
after(stopAll);

const connect = (body) => api.admin("POST", "/v1/admin/connections",
  { kind: "s3", access_key_id: "AKIDEXAMPLE", secret_access_key: newSecret(), ...body });

const serviceKey = () => {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const pem = privateKey.export({ type: "pkcs8", format: "pem" });
  secrets.push(pem.split("\n")[3]);
  return { type: "service_account", project_id: "project", client_email: account, private_key: pem };
};

const subscribe = (client, destination) => client.raw("POST", `/scheduled-exports/logs/subscribe?app_id=${client.appId}`, { body: {
  report: { report_type: "eo_click", report_fields: ["id"], filter: ["eq", "name", `c${++counter}`] },
  destination: { subscription_type: "cloud", cloud: "s3", bucket: "my-bucket", ...destination } } });

async function expectTaken(client, destination) {
  const reply = await subscribe(client, destination);
  assert.equal(reply.status, 200, reply.text);
  const { destination: kept } = await client.call("GET", `/v1/subscriptions/${reply.json.subscription_id}`);
  assert.deepEqual(kept, { subscription_type: "cloud", cloud: "s3", bucket: "my-bucket", ...destination });
  return reply.json.subscription_id;
}

async function expectRefused(client, destination, message) {
  const reply = await subscribe(client, destination);
  assert.deepEqual([reply.status, reply.json], [400, { error: { message, code: 400 } }]);
}

describe("who may name a connection", () => {
  test("its organization, or all; to others it is nothing", async () => {
    await connect({ name: "own", organization_id: api.organizationId });
    await connect({ name: "shared" });
    for (const [client, name] of [[api, "own"], [api, "shared"], [theirs, "shared"]])
      await client.deactivate(await expectTaken(client, { resource_access_id: name }));
    for (const name of ["own", "unknown"]) await expectRefused(theirs, { resource_access_id: name }, "Invalid role ARN");
    for (const name of ["own", "unknown"]) await expectRefused(theirs, { cloud: "gcs", resource_access_id: name }, "Invalid service account");
  });

  test("a service account by its name, where its key was given", async () => {
    const destination = { cloud: "gcs", resource_access_id: account };
    await expectRefused(api, destination, "Destination not enabled on this server: cloud");
    const made = await api.admin("POST", "/v1/admin/connections",
      { name: "account", kind: "gcs_key", organization_id: api.organizationId, service_account_key: serviceKey() });
    assert.equal(made.service_account, account);
    for (const access of [account, "account"]) await api.deactivate(await expectTaken(api, { cloud: "gcs", resource_access_id: access }));
    await expectRefused(theirs, destination, "Destination not enabled on this server: cloud");
  });

  test("a live subscription keeps it", async () => {
    await connect({ name: "kept" });
    const id = await expectTaken(theirs, { resource_access_id: "kept" });
    const remove = () => api.raw("DELETE", "/v1/admin/connections/kept", { token: server.account.admin_token });
    const refused = await remove();
    assert.ok([200, 409].includes(refused.status)); // 200: its sample has FAILED already
    if (refused.status === 409) {
      assert.equal(refused.json.error.message, "Connection is in use by 1 subscription");
      await theirs.deactivate(id);
      assert.equal((await remove()).status, 200);
    }
  });
});

describe("milkrun admin connections", () => {
  const run = (args, options = {}) => spawnSync(binary, ["admin", "connections", ...args], { encoding: "utf8",
    env: cleanEnvironment({ MILKRUN_URL: server.base, MILKRUN_TOKEN: server.account.admin_token }), ...options });
  const json = (args, options) => {
    const result = run(args, options);
    assert.equal(result.status, 0, result.stderr);
    return JSON.parse(result.stdout);
  };

  test("from its making to its end; keys come from files and standard input", () => {
    const directory = temporaryDirectory("keys");
    const file = join(directory, "secret");
    writeFileSync(file, `${newSecret()}\n`);
    const made = json(["create", "--name", "by-hand", "--kind", "s3", "--organization-id", api.organizationId, "--endpoint", "http://10.0.0.7:9000",
      "--region", "eu-west-1", "--path-style", "false", "--store-ca-file", "/etc/store.pem", "--access-key-id", "AK", "--secret-access-key-file", file]);
    const { created_at: at } = made;
    assert.deepEqual(made, { name: "by-hand", kind: "s3", organization_id: api.organizationId, endpoint: "http://10.0.0.7:9000", region: "eu-west-1",
      path_style: false, ca_file: "/etc/store.pem", access_key_id: "AK", service_account: null, created_at: at, changed_at: at });
    const changed = json(["update", "by-hand", "--endpoint", "none", "--region", "none", "--path-style", "default", "--store-ca-file", "none",
      "--access-key-id", "AK2", "--secret-access-key-file", "-"], { input: newSecret() });
    assert.deepEqual({ ...changed, changed_at: at }, { ...made, endpoint: null, region: null, path_style: null, ca_file: null, access_key_id: "AK2" });
    assert.deepEqual(json(["get", "by-hand"]), changed);
    assert.ok(json([]).some(({ name }) => name === "by-hand"), "a group alone is its list");
    assert.ok(!json(["list", "--organization-id", theirs.organizationId]).some(({ name }) => name === "by-hand"));
    writeFileSync(file, JSON.stringify(serviceKey()));
    assert.equal(json(["create", "--name", "by-key", "--kind", "gcs_key", "--service-account-key-file", file]).service_account, account);
    assert.equal(json(["update", "by-key", "--service-account-key-file", file]).service_account, account);
    for (const name of ["by-hand", "by-key"]) assert.equal(json(["delete", name]).description, "Connection deleted");
  });

  test("what is wrong is said", () => {
    for (const [args, status, message] of [
      [["create", "--name", "x"], 2, /--kind is required/],
      [["create", "--name", "x", "--kind", "s3"], 2, /Missing required field: access_key_id/],
      [["create", "--name", "x", "--kind", "tape"], 2, /Invalid kind/],
      [["create", "--name", "x", "--kind", "s3", "--access-key-id", "A", "--secret-access-key-file", "/nonexistent"], 3, /open \/nonexistent/],
      [["update", "x", "--path-style", "maybe"], 2, /maybe: true, false or default expected/],
      [["update", "x", "--kind", "s3"], 2, /--kind is not for connections update/],
      [["get", "x"], 3, /Not found/],
      [["delete", "x"], 3, /Not found/],
    ]) {
      const result = run(args);
      assert.equal(result.status, status, `${args.join(" ")}: ${result.stderr}`);
      assert.equal(result.stdout, "");
      assert.match(result.stderr, message);
    }
  });
});

describe("keys/secrets.key", () => {
  const start = (data, options) => Server.start(options, data);

  test("is made where it is missing, kept, and refused when others may read it", async () => {
    const data = initData();
    const path = join(data.directory, "keys/secrets.key");
    const mode = () => statSync(path).mode & 0o777;
    assert.equal(mode(), 0o600);
    rmSync(path);
    const one = await start(data);
    const key = readFileSync(path, "utf8");
    assert.match(key, /^[0-9a-f]{64}$/);
    assert.equal(mode(), 0o600);
    await one.restart();
    assert.equal(readFileSync(path, "utf8"), key);
    await one.stop();
    for (const [text, rights, message] of [[key, 0o640, /has mode 640/], ["no key", 0o600, /hexadecimal digits expected/], ["", 0o600, /hexadecimal/]]) {
      writeFileSync(path, text);
      chmodSync(path, rights);
      const result = runBinary(["serve", "--data", data.directory, "--listen", "127.0.0.1:0"]);
      assert.notEqual(result.status, 0);
      assert.match(result.stderr, message);
      assert.ok(!result.stderr.includes(key.slice(0, 16)));
    }
  });
});

test("no key that came in is in a reply, in the log, in the data directory or in the audit log", async () => {
  assert.ok(secrets.length >= 7);
  const seen = [JSON.stringify(await api.admin("GET", "/v1/admin/connections")), JSON.stringify(await api.admin("GET", "/v1/admin/audit?limit=10000"))];
  await server.stop();
  for (const name of readdirSync(server.directory, { recursive: true })) {
    const path = join(server.directory, name);
    if (statSync(path).isFile()) seen.push(readFileSync(path, "latin1"));
  }
  seen.push(server.log);
  for (const secret of secrets) for (const text of seen) assert.ok(!text.includes(secret), `${secret.slice(0, 8)}... shows`);
});
