// SPDX-License-Identifier: Apache-2.0
// Starts and stops the real server for the demo.
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export async function startServer(binary, options) {
  const directory = mkdtempSync(join(tmpdir(), "milkrun-demo-"));
  const data = join(directory, "data");
  const log = join(directory, "log.txt");
  const account = JSON.parse(execFileSync(binary, ["init", "--data", data], { encoding: "utf8" }));
  const child = spawn(binary, ["serve", "--data", data, ...options],
    { stdio: ["ignore", "pipe", openSync(log, "w")] });
  const base = await readAddress(child, log);
  return { account, base, child, data, log, directory };
}

function readAddress(child, log) {
  return new Promise((resolve, reject) => {
    let text = "";
    child.stdout.on("data", (bytes) => {
      text += bytes;
      const found = /^listening on (\S+)\n/m.exec(text);
      if (found) resolve(found[1]);
    });
    child.on("exit", (code) => reject(new Error(`the server ended with ${code}; see ${log}`)));
  });
}

export async function stopServer(server) {
  server.child.removeAllListeners("exit");
  const ended = new Promise((resolve) => server.child.on("exit", resolve));
  server.child.kill("SIGTERM");
  await ended;
  rmSync(server.directory, { recursive: true, force: true });
}
