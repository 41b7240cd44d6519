// SPDX-License-Identifier: Apache-2.0
// The command line: init, serve, import, help; what is printed, refused, locked and freed.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { gzipSync } from "node:zlib";
import { spawn } from "node:child_process";

import { Api, HOUR_MS, toLines } from "./lib/api.mjs";
import { request } from "./lib/http.mjs";
import { Server, binary, cleanEnvironment, initData, isAlive, runBinary, stopAll } from "./lib/server.mjs";
import { temporaryDirectory } from "./lib/temp.mjs";
import { sleep, waitFor } from "./lib/wait.mjs";

after(stopAll);

test("init prints one JSON object with ids as strings and all credentials", () => {
  const { account, directory } = initData();
  assert.match(account.organization_id, /^\d{18,19}$/);
  assert.match(account.app_id, /^\d{18,19}$/);
  assert.match(account.access_token, /^api_app_[A-Za-z0-9]{32}$/);
  assert.match(account.admin_token, /^\S{32,}$/);
  assert.match(account.branch_key, /^key_live_/);
  assert.match(account.branch_secret, /^secret_live_/);
  assert.equal(Object.keys(account).length, 6);
  assert.equal(statSync(directory).mode & 0o077, 0, "nobody else reads the data directory");
});

test("two directories get different ids and credentials", () => {
  const [one, two] = [initData().account, initData().account];
  for (const key of Object.keys(one)) assert.notEqual(one[key], two[key], key);
});

test("init refuses an existing directory, even an empty one, and changes nothing", () => {
  const { directory } = initData();
  const again = runBinary(["init", "--data", directory]);
  assert.notEqual(again.status, 0);
  assert.equal(again.stdout, "");
  assert.match(again.stderr, /exist/);
  const empty = join(temporaryDirectory("cli"), "empty");
  mkdirSync(empty);
  assert.notEqual(runBinary(["init", "--data", empty]).status, 0);
});

test("init without --data, or where no folder can be made, says what is wrong", () => {
  const without = runBinary(["init"]);
  assert.notEqual(without.status, 0);
  assert.match(without.stderr, /--data/);
  const lost = runBinary(["init", "--data", "/dev/null/data"]);
  assert.notEqual(lost.status, 0);
  assert.equal(lost.stdout, "");
});

test("milkrun alone, help, --help and --version", () => {
  const alone = runBinary([]);
  for (const word of ["init", "serve", "import", "help"]) assert.match(alone.stdout + alone.stderr, new RegExp(word));
  const help = runBinary(["--help"]);
  assert.equal(help.status, 0);
  assert.match(help.stdout, /init[\s\S]*serve[\s\S]*import/);
  const version = runBinary(["--version"]);
  assert.equal(version.status, 0);
  assert.match(version.stdout, /^milkrun \d+\.\d+\.\d+\S*\n$/);
  for (const command of ["init", "serve", "import", "help"]) {
    const result = runBinary(["help", command]);
    assert.equal(result.status, 0, `help ${command}`);
    assert.match(result.stdout, new RegExp(`milkrun ${command}`));
    assert.equal(runBinary([command, "--help"]).status, 0, `${command} --help`);
  }
});

test("every option of serve has a documented default or says that it is required", () => {
  const text = runBinary(["help", "serve"]).stdout;
  for (const name of ["--data", "--listen", "--roles", "--workers", "--base-url", "--config", "--tls-cert", "--tls-key"])
    assert.ok(text.includes(`${name} `), name);
  assert.match(text, /MILKRUN_/);
});

test("unknown commands, options and values are errors that name them", () => {
  const { directory } = initData();
  for (const [args, named] of [
    [["dance"], /dance/],
    [["help", "dance"], /dance/],
    [["serve", "--data", directory, "--no-such-option", "1"], /no-such-option/],
    [["serve", "--data", directory, "--workers", "many"], /workers/],
    [["serve", "--data", directory, "--workers", "-1"], /workers/],
    [["serve", "--data", directory, "--listen", "nowhere"], /listen|nowhere/],
    [["serve", "--data", directory, "--listen", "127.0.0.1:99999"], /listen|99999/],
    [["serve", "--data", directory, "--roles", "api,dancer"], /dancer/],
    [["serve", "--data", "/dev/null/data"], /dev\/null/],
    [["init", "--data", "/dev/null/x", "surplus"], /surplus/],
  ]) {
    const result = runBinary(args);
    assert.notEqual(result.status, 0, args.join(" "));
    assert.equal(result.signal, null, args.join(" "));
    assert.equal(result.stdout, "", args.join(" "));
    assert.match(result.stderr, named, args.join(" "));
  }
});

test("unknown names in the environment and in the configuration file are refused with their name", () => {
  const { directory } = initData();
  const environment = runBinary(["serve", "--data", directory, "--listen", "127.0.0.1:0"],
    { env: cleanEnvironment({ MILKRUN_NO_SUCH_THING: "1" }), timeout: 5000 });
  assert.match(environment.stderr, /MILKRUN_NO_SUCH_THING/);
  assert.equal(environment.signal, null);
  assert.notEqual(environment.status, 0);
  const file = join(temporaryDirectory("cli"), "milkrun.ini");
  writeFileSync(file, "[schedule]\nno-such-thing = 1\n", { mode: 0o600 });
  const configured = runBinary(["serve", "--data", directory, "--listen", "127.0.0.1:0", "--config", file], { timeout: 5000 });
  assert.equal(configured.signal, null);
  assert.notEqual(configured.status, 0);
  assert.match(configured.stderr, /no.such.thing/);
});

test("arguments are stronger than the environment", async () => {
  const server = await Server.start({ args: { "log-level": "error" }, env: { MILKRUN_LOG_LEVEL: "debug" } });
  await server.stop();
  assert.doesNotMatch(server.log, /level=(debug|info)/);
});

test("serve prints one line on standard output, logs on standard error, SIGTERM ends it with 0", async () => {
  const server = await Server.start();
  assert.equal((await server.request({ path: "/healthz" })).status, 200);
  assert.equal((await server.request({ path: "/readyz" })).status, 200);
  const children = server.children();
  assert.ok(children.length >= 3, "api, scheduler and workers are processes");
  assert.deepEqual(await server.stop(), { code: 0, signal: null });
  assert.match(server.output, /^listening on http:\/\/127\.0\.0\.1:[1-9]\d*\n$/);
  assert.match(server.log, /role=supervisor/);
  for (const pid of children) assert.ok(!isAlive(pid), `child ${pid} ended too`);
});

test("a second serve on the same directory is refused and the first goes on", async () => {
  const server = await Server.start();
  const second = runBinary(["serve", "--data", server.directory, "--listen", "127.0.0.1:0"]);
  assert.notEqual(second.status, 0);
  assert.equal(second.signal, null);
  assert.equal(second.stdout, "");
  assert.match(second.stderr, /lock|use|running|serv/i);
  assert.equal((await server.request({ path: "/healthz" })).status, 200);
  await server.stop();
});

test("a taken port is refused", async () => {
  const server = await Server.start();
  const other = initData();
  const port = new URL(server.base).port;
  const second = runBinary(["serve", "--data", other.directory, "--listen", `127.0.0.1:${port}`]);
  assert.notEqual(second.status, 0);
  assert.equal(second.signal, null);
  assert.match(second.stderr, new RegExp(`${port}|address`, "i"));
  await server.stop();
});

test("kill -9 of the supervisor frees lock and port at once", async () => {
  const server = await Server.start();
  const port = new URL(server.base).port;
  const children = server.children();
  await server.killHard();
  await waitFor("all children to die", () => children.every((pid) => !isAlive(pid)), 2000, 10);
  server.listen = `127.0.0.1:${port}`;
  const started = Date.now();
  await server.start();
  assert.ok(Date.now() - started < 10_000);
  assert.equal(server.base, `http://127.0.0.1:${port}`);
  await server.stop();
});

test("a killed child is replaced while the server serves on", async () => {
  const server = await Server.start();
  for (const pid of server.children()) {
    const before = server.children().length;
    process.kill(pid, "SIGKILL");
    await waitFor("the child's replacement", () => !isAlive(pid) && server.children().length === before, 10_000, 20);
    await waitFor("a healthy answer", async () => (await request(server.base, { path: "/healthz", keepAlive: false })
      .catch(() => ({ status: 0 }))).status === 200, 10_000, 20);
  }
  assert.deepEqual(await server.stop(), { code: 0, signal: null });
});

test("import sends plain and gz files, prints a summary, and a second run changes nothing", async () => {
  const server = await Server.start();
  const api = new Api(server);
  const start = Date.parse("2024-03-10T05:00:00Z");
  const events = Array.from({ length: 3000 }, (_, index) => ({ timestamp: start + index, id: `i${index}`, name: `n${index % 7}` }));
  const folder = temporaryDirectory("import");
  writeFileSync(join(folder, "one.ndjson"), toLines(events.slice(0, 2000)));
  writeFileSync(join(folder, "two.ndjson.gz"), gzipSync(toLines(events.slice(2000))));
  const args = ["import", "--url", server.base, "--token", api.token, "--app", api.appId, "--topic", "imported",
    join(folder, "one.ndjson"), join(folder, "two.ndjson.gz")];
  for (let round = 0; round < 2; round++) {
    const result = runBinary(args);
    assert.equal(result.status, 0, result.stderr);
    assert.match(result.stdout + result.stderr, /3[,. _]?000/);
    assert.doesNotMatch(result.stdout + result.stderr, /\x1b|\r/, "no terminal codes without a terminal");
  }
  const { jobs } = await api.exportRange({ cadence: "hourly", report_type: "imported", report_fields: ["timestamp", "id"] },
    start, start + HOUR_MS);
  assert.equal(jobs[0].lines_exported, 3000, "each line once, though imported twice");
  writeFileSync(join(folder, "bad.ndjson"), '{"timestamp":1}\n');
  const bad = runBinary([...args.slice(0, 9), join(folder, "bad.ndjson")]);
  assert.notEqual(bad.status, 0);
  assert.match(bad.stderr, /line 1/);
  const missing = runBinary([...args.slice(0, 9), join(folder, "missing.ndjson")]);
  assert.notEqual(missing.status, 0);
  assert.match(missing.stderr, /missing\.ndjson/);
  await server.stop();
});

test("SIGTERM lets a running upload end", async () => {
  const server = await Server.start();
  const api = new Api(server);
  async function* body() {
    yield '{"timestamp":"2024-01-01T00:00:00Z"}\n';
    await sleep(300);
    server.child.kill("SIGTERM");
    await sleep(300);
    yield '{"timestamp":"2024-01-01T00:00:01Z"}\n';
  }
  const reply = await api.ingestRaw("drained", body());
  assert.equal(reply.status, 200);
  assert.deepEqual(await server.ended, { code: 0, signal: null });
});

test("the binary needs no terminal, home or locale", async () => {
  const child = spawn(binary, ["--version"], { env: {}, cwd: "/", stdio: ["ignore", "pipe", "ignore"] });
  const code = await new Promise((resolve) => child.on("exit", resolve));
  assert.equal(code, 0);
  assert.ok(existsSync(binary));
});
