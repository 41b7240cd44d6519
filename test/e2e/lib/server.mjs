// SPDX-License-Identifier: Apache-2.0
// Starts and stops the real binary: `milkrun init` and `milkrun serve` on a free port.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

import { closeConnections, request } from "./http.mjs";
import { temporaryDirectory } from "./temp.mjs";
import { waitFor } from "./wait.mjs";

const repository = resolve(dirname(fileURLToPath(import.meta.url)), "../../..");
export const binary = resolve(process.env.MILKRUN_BIN ?? join(repository, "build/milkrun"));
const running = new Set();

export function runBinary(args, options = {}) {
  return spawnSync(binary, args, { encoding: "utf8", timeout: 30_000, env: cleanEnvironment(), ...options });
}

// Names of ours (MILKRUN_BIN) are no options of the binary, which refuses what it does not know.
export function cleanEnvironment(additions = {}) {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith("MILKRUN_"));
  return { ...Object.fromEntries(kept), ...additions };
}

export function initData(directory = join(temporaryDirectory("data"), "data")) {
  const result = runBinary(["init", "--data", directory]);
  if (result.status !== 0) throw new Error(`init ended with ${result.status}: ${result.stderr}`);
  return { directory, account: JSON.parse(result.stdout) };
}

export class Server {
  constructor({ directory, account }, options = {}) {
    this.directory = directory;
    this.account = account;
    this.options = options;
    this.log = "";
    this.listen = "127.0.0.1:0";
  }

  static async start(options = {}, data = initData()) {
    return new Server(data, options).start();
  }

  async start(options = this.options) {
    this.options = options;
    const args = ["serve", "--data", this.directory, "--listen", this.listen];
    for (const [name, value] of Object.entries(options.args ?? {})) args.push(`--${name}`, String(value));
    const child = spawn(binary, args, { stdio: ["ignore", "pipe", "pipe"], env: cleanEnvironment(options.env) });
    running.add(child);
    this.child = child;
    this.output = "";
    child.stdout.on("data", (chunk) => (this.output += chunk));
    child.stderr.on("data", (chunk) => (this.log = (this.log + chunk).slice(-4_000_000)));
    this.ended = new Promise((resolve) => child.on("exit", (code, signal) => resolve({ code, signal })));
    this.ended.then(() => running.delete(child));
    await waitFor(() => `the server's ready line; log:\n${this.log.slice(-3000)}`, () => {
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(`serve ended with ${child.exitCode ?? child.signalCode}: ${this.log.slice(-3000)}`);
      return this.output.includes("\n");
    }, 30_000, 10);
    this.base = /^listening on (https?:\/\/\S+)$/m.exec(this.output)?.[1];
    if (!this.base) throw new Error(`unexpected output: ${this.output}`);
    return this;
  }

  get pid() {
    return this.child.pid;
  }

  // SIGTERM, as an operator would; answers { code, signal }.
  async stop() {
    if (!this.child) return undefined;
    this.child.kill("SIGTERM");
    const timer = setTimeout(() => this.killHard(), 20_000);
    const result = await this.ended;
    clearTimeout(timer);
    return result;
  }

  killHard() {
    this.child.kill("SIGKILL");
    return this.ended;
  }

  async restart(options = this.options) {
    await this.stop();
    return this.start(options);
  }

  children() {
    return childrenOf(this.pid);
  }

  // The process that owns the listening socket and takes requests is the one with the most sockets.
  apiPid() {
    const inodes = listeningInodes(Number(new URL(this.base).port));
    const owners = this.children().filter((pid) => socketsOf(pid).some((inode) => inodes.has(inode)));
    if (owners.length === 1) return owners[0];
    const established = (pid) => socketsOf(pid).length;
    return (owners.length ? owners : this.children()).sort((a, b) => established(b) - established(a))[0];
  }

  request(options) {
    return request(this.base, options);
  }
}

export function childrenOf(pid) {
  const result = [];
  for (const name of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
    try {
      const status = readFileSync(`/proc/${name}/status`, "utf8");
      if (/^PPid:\s+(\d+)$/m.exec(status)?.[1] === String(pid)) result.push(Number(name));
    } catch {
      // ended meanwhile
    }
  }
  return result;
}

export function isAlive(pid) {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

export function memoryKib(pid, name = "VmHWM") {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]);
}

function listeningInodes(port) {
  const hexPort = port.toString(16).toUpperCase().padStart(4, "0");
  const lines = readFileSync("/proc/net/tcp", "utf8").split("\n").map((line) => line.trim().split(/\s+/));
  return new Set(lines.filter((line) => line[1]?.endsWith(`:${hexPort}`) && line[3] === "0A").map((line) => line[9]));
}

function socketsOf(pid) {
  const folder = `/proc/${pid}/fd`;
  if (!existsSync(folder)) return [];
  const text = spawnSync("ls", ["-l", folder], { encoding: "utf8" }).stdout;
  return [...text.matchAll(/socket:\[(\d+)\]/g)].map((match) => match[1]);
}

// For after(): ends what a failing test left behind.
export async function stopAll() {
  closeConnections();
  await Promise.all([...running].map((child) => new Promise((resolve) => {
    child.on("exit", resolve);
    child.kill("SIGTERM");
    setTimeout(() => child.kill("SIGKILL"), 15_000).unref();
  })));
}

process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});
