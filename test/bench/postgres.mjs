// SPDX-License-Identifier: Apache-2.0
// A private PostgreSQL server in a directory, on a socket only. initdb refuses root: then it runs as nobody.
import { execFileSync } from "node:child_process";
import { appendFileSync, chmodSync, chownSync, mkdirSync } from "node:fs";

import { run } from "./machine.mjs";

const NOBODY = 65534;
const SETTINGS = `
listen_addresses = ''
shared_buffers = 1GB
fsync = off
synchronous_commit = off
max_wal_size = 8GB
`;

function asServer(program, args) {
  const options = { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], cwd: "/",
    env: { ...process.env, LC_ALL: "C" } };
  if (process.getuid() === 0) Object.assign(options, { uid: NOBODY, gid: NOBODY });
  return execFileSync(program, args, options);
}

export async function startPostgres(directory) {
  const binaries = (await run("pg_config", ["--bindir"])).trim();
  const data = `${directory}/data`;
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  chmodSync(directory, 0o755);
  if (process.getuid() === 0) chownSync(directory, NOBODY, NOBODY);
  asServer(`${binaries}/initdb`, ["-D", data, "-U", "bench", "--auth=trust", "-E", "UTF8", "--locale=C", "--no-sync"]);
  appendFileSync(`${data}/postgresql.conf`, `${SETTINGS}unix_socket_directories = '${directory}'\n`);
  asServer(`${binaries}/pg_ctl`, ["-D", data, "-l", `${directory}/log`, "-w", "start"]);
  const server = { directory, data, binaries, isRunning: true };
  process.once("exit", () => stopPostgres(server)); // of a benchmark that failed
  return server;
}

export function stopPostgres(server) {
  if (!server.isRunning) return;
  server.isRunning = false;
  asServer(`${server.binaries}/pg_ctl`, ["-D", server.data, "-m", "immediate", "stop"]);
}

export function psql({ directory }, statement) {
  return run("psql", ["-X", "-q", "-h", directory, "-U", "bench", "-d", "postgres", "-c", statement]);
}

// psql -c COPY | pigz > file; seconds.
export async function copyOut({ directory }, statement, level, path) {
  const start = performance.now();
  await run("bash", ["-o", "pipefail", "-c",
    'psql -X -q -h "$1" -U bench -d postgres -c "$2" | pigz -p2 "-$3" > "$4"', "copy", directory, statement, level, path]);
  return (performance.now() - start) / 1000;
}
