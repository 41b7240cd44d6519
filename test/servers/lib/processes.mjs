// SPDX-License-Identifier: Apache-2.0
// Programs that are not ours, as children: free ports, ready in bounded time, gone when the test process goes, however it goes.
import { execFile, spawn } from "node:child_process";
import net from "node:net";

const running = new Set();

// Ports that are free now; all are held until the last is found, so no two are the same.
export async function freePorts(count) {
  const servers = await Promise.all(Array.from({ length: count }, () => new Promise((resolve, reject) => {
    const server = net.createServer();
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => resolve(server));
  })));
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

// A child in the foreground, which the kernel kills when this process dies.
export class Process {
  constructor(command, args, options = {}) {
    this.name = command;
    this.output = "";
    this.child = spawn("setpriv", ["--pdeathsig", "KILL", command, ...args], { stdio: ["ignore", "pipe", "pipe"], ...options });
    running.add(this);
    for (const stream of [this.child.stdout, this.child.stderr]) stream.on("data", (bytes) => (this.output = (this.output + bytes).slice(-20_000)));
    this.ended = new Promise((resolve) => this.child.on("close", (code, signal) => {
      running.delete(this);
      resolve({ code, signal });
    }));
    this.child.on("error", (error) => (this.output += error.message));
  }

  get pid() {
    return this.child.pid;
  }

  get isAlive() {
    return running.has(this);
  }

  kill(signal = "SIGKILL") {
    if (this.isAlive) this.child.kill(signal);
    return this.ended;
  }

  signal(name) {
    this.child.kill(name);
  }
}

// Runs to its end; throws with what it said.
export function run(command, args, { timeoutMs = 60_000, ...options } = {}) {
  return new Promise((resolve, reject) => execFile(command, args, { timeout: timeoutMs, killSignal: "SIGKILL", maxBuffer: 16 * 1024 * 1024, ...options },
    (error, stdout, stderr) => (error ? reject(new Error(`${command} ${args.join(" ")}: ${error.message}\n${stderr}`)) : resolve(stdout))));
}

export async function untilReady(what, ask, timeoutMs, processes = []) {
  for (const until = Date.now() + timeoutMs; ; await new Promise((resolve) => setTimeout(resolve, 50))) {
    if (await ask()) return;
    const dead = processes.find((one) => !one.isAlive);
    if (dead) throw new Error(`${dead.name} ended while ${what} was waited for:\n${dead.output}`);
    if (Date.now() > until) throw new Error(`${what} was not ready in ${timeoutMs} ms:\n${processes.map((one) => `${one.name}: ${one.output.slice(-2000)}`).join("\n")}`);
  }
}

// For after(): nothing stays behind.
export async function stopProcesses() {
  await Promise.all([...running].map((one) => one.kill()));
}

process.on("exit", () => {
  for (const one of running) one.child.kill("SIGKILL");
});
