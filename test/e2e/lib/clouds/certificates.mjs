// SPDX-License-Identifier: Apache-2.0
// Certificates for loopback servers: an authority of one's own, and what is wrong with a certificate on request.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { temporaryDirectory } from "../temp.mjs";

const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

function openssl(args, cwd) {
  execFileSync("openssl", args, { cwd, stdio: ["ignore", "pipe", "pipe"] });
}

// -> { file (PEM of the authority, for the client), issue(options) -> { key, cert } }
export function makeAuthority() {
  const folder = temporaryDirectory("ca");
  openssl(["req", "-x509", ...curve, "-days", "2", "-subj", "/CN=Test Authority", "-keyout", "ca.key", "-out", "ca.pem"], folder);
  let last = 0;
  // names: DNS names and addresses; days: -1 for one that has expired.
  const issue = ({ names = ["localhost", "127.0.0.1"], days = 2 } = {}) => {
    const id = `server${++last}`;
    const list = names.map((name) => (/^[\d.]+$|:/.test(name) ? `IP:${name}` : `DNS:${name}`)).join(",");
    writeFileSync(join(folder, `${id}.ext`), `subjectAltName=${list}\n`);
    openssl(["req", ...curve, "-subj", `/CN=${names[0]}`, "-keyout", `${id}.key`, "-out", `${id}.csr`], folder);
    openssl(["x509", "-req", "-in", `${id}.csr`, "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", String(days), "-extfile", `${id}.ext`,
      "-out", `${id}.pem`], folder);
    return { key: readFileSync(join(folder, `${id}.key`)), cert: readFileSync(join(folder, `${id}.pem`)) };
  };
  return { file: join(folder, "ca.pem"), folder, issue };
}
