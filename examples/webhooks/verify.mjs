#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Checks that what came to a webhook is milkrun's, unchanged and fresh.
//
// usage: MILKRUN_WEBHOOK_SECRET=whsec_... verify.mjs HEADERS BODY
//
// HEADERS: a file with the request's headers, "Name: value" on each line. BODY: a file with the bytes of the
// body as they came, before anything has read it as JSON. Ends with 0 and the notice's id, or with 1 and why not.
import { createHmac, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";

const ageMaxSeconds = 300; // of a signature, to either side: clocks differ

// t and all v1 of "t=1795442700,v1=5945b5...,v1=..."; undefined when it is not so.
function readSignature(header) {
  const parts = header.split(",").map((part) => [part.slice(0, part.indexOf("=")), part.slice(part.indexOf("=") + 1)]);
  const valuesOf = (wanted) => parts.filter(([name]) => name === wanted).map(([, value]) => value);
  const [sentAt, ...more] = valuesOf("t");
  if (sentAt === undefined || more.length || !/^\d+$/.test(sentAt)) return undefined;
  return { sentAt, candidates: valuesOf("v1") };
}

// undefined when all is well, else what is wrong. body: a Buffer.
export function verify(secret, header, body, nowSeconds) {
  const signature = readSignature(header);
  if (!signature) return "malformed signature";
  const { sentAt, candidates } = signature;
  const expected = createHmac("sha256", secret).update(`${sentAt}.`).update(body).digest();
  // timingSafeEqual takes the same time wherever two texts differ. While a secret's rotation has its grace, there
  // are two v1: one that fits is enough.
  const matches = candidates.filter((candidate) => /^[0-9a-f]{64}$/.test(candidate) && timingSafeEqual(expected, Buffer.from(candidate, "hex")));
  if (!matches.length) return "wrong signature";
  if (Math.abs(nowSeconds - Number(sentAt)) > ageMaxSeconds) return "too old"; // somebody may be sending again what he has seen
  return undefined;
}

function main([headersPath, bodyPath]) {
  const lines = readFileSync(headersPath, "latin1").split(/\r?\n/);
  const body = readFileSync(bodyPath);
  const headers = lines.filter((line) => /^milkrun-signature:/i.test(line)).map((line) => line.slice(line.indexOf(":") + 1).trim());
  if (headers.length !== 1) return "no signature";
  const problem = verify(process.env.MILKRUN_WEBHOOK_SECRET, headers[0], body, Date.now() / 1000);
  // Notices may come twice: whoever acts on them remembers the id.
  if (!problem) console.log(JSON.parse(body).notice_id);
  return problem;
}

const problem = main(process.argv.slice(2));
if (problem) {
  console.error(problem);
  process.exitCode = 1;
}
