// SPDX-License-Identifier: Apache-2.0
// AWS Signature Version 4 by its published rules, both sides: what a server checks, and a signer for tests. Shares nothing with
// the server under test; clouds_rig.test.mjs holds it against the published examples.
import { createHash, createHmac, timingSafeEqual } from "node:crypto";

import { CloudError } from "./errors.mjs";

export const EMPTY_SHA256 = createHash("sha256").digest("hex");
const SKEW_MS = 15 * 60_000;
const EXPIRES_MAX_S = 604_800;

// The names that AWS and Google give to the same things.
export const dialects = {
  AWS4: { algorithm: "AWS4-HMAC-SHA256", key: "AWS4", terminator: "aws4_request", prefix: "x-amz", query: "X-Amz" },
  GOOG4: { algorithm: "GOOG4-HMAC-SHA256", key: "GOOG4", terminator: "goog4_request", prefix: "x-goog", query: "X-Goog", service: "storage" },
};

const hmac = (key, text) => createHmac("sha256", key).update(text).digest();
const sha256 = (text) => createHash("sha256").update(text).digest("hex");

export function uriEncode(text, keepsSlash = false) {
  return Array.from(Buffer.from(text), (byte) => {
    const letter = String.fromCharCode(byte);
    return /[A-Za-z0-9\-._~]/.test(letter) || (keepsSlash && letter === "/") ? letter : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }).join("");
}

export const amzDate = (ms) => new Date(ms).toISOString().replace(/[-:]|\.\d{3}/g, "");

function readAmzDate(text) {
  const [, ...parts] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text ?? "") ?? [];
  return parts.length ? Date.UTC(parts[0], parts[1] - 1, ...parts.slice(2)) : NaN;
}

function canonicalQuery(query) {
  const compare = ([a], [b]) => (a < b ? -1 : a > b ? 1 : 0);
  return [...query].map(([name, value]) => [uriEncode(name), uriEncode(value)]).sort(compare).map((pair) => pair.join("=")).join("&");
}

const canonicalPath = (path) => path.split("/").map((part) => uriEncode(decodeURIComponent(part))).join("/");
// S3 signs the path as it is, other services encode it once more; both are the same for "/".

// names: lower case, sorted. -> the text whose hash is signed
export function canonicalRequest({ method, path, query, headers, names, payloadHash }) {
  const lines = names.map((name) => `${name}:${headers[name].trim().replace(/ +/g, " ")}\n`);
  return [method, canonicalPath(path), canonicalQuery(query), lines.join(""), names.join(";"), payloadHash].join("\n");
}

export function signature({ canonical, secret, date, region, service, dialect = dialects.AWS4 }) {
  const scope = [date.slice(0, 8), region, service, dialect.terminator];
  const key = scope.reduce((last, part) => hmac(last, part), dialect.key + secret);
  return hmac(key, [dialect.algorithm, date, scope.join("/"), sha256(canonical)].join("\n")).toString("hex");
}

// The headers that make the request good: for tests that speak to a rig or a real server themselves.
export function signHeaders({ method, url, headers = {}, body = "", payloadHash = sha256(body), key, region = "us-east-1", service = "s3",
  now = Date.now(), dialect = dialects.AWS4 }) {
  const { host, pathname, searchParams } = new URL(url);
  const date = amzDate(now);
  const all = { host, [`${dialect.prefix}-content-sha256`]: payloadHash, [`${dialect.prefix}-date`]: date,
    ...Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), String(value)])) };
  if (key.token) all[`${dialect.prefix}-security-token`] = key.token;
  const names = Object.keys(all).sort();
  const canonical = canonicalRequest({ method, path: pathname, query: searchParams, headers: all, names, payloadHash });
  const signed = signature({ canonical, secret: key.secret, date, region, service, dialect });
  const { host: _, ...rest } = all;
  return { ...rest, authorization: `${dialect.algorithm} Credential=${key.keyId}/${date.slice(0, 8)}/${region}/${service}/${dialect.terminator}, ` +
    `SignedHeaders=${names.join(";")}, Signature=${signed}` };
}

export function presign({ method = "GET", url, key, region = "us-east-1", service = "s3", now = Date.now(), expiresS = 3600 }) {
  const target = new URL(url);
  const date = amzDate(now);
  const parameters = { "X-Amz-Algorithm": dialects.AWS4.algorithm, "X-Amz-Credential": `${key.keyId}/${date.slice(0, 8)}/${region}/${service}/aws4_request`,
    "X-Amz-Date": date, "X-Amz-Expires": String(expiresS), "X-Amz-SignedHeaders": "host", ...(key.token ? { "X-Amz-Security-Token": key.token } : {}) };
  const query = new Map([...target.searchParams, ...Object.entries(parameters)]);
  const canonical = canonicalRequest({ method, path: target.pathname, query, headers: { host: target.host }, names: ["host"], payloadHash: "UNSIGNED-PAYLOAD" });
  const signed = signature({ canonical, secret: key.secret, date, region, service });
  return `${target.origin}${target.pathname}?${canonicalQuery(query)}&X-Amz-Signature=${signed}`;
}

// What a server does with a request before it believes it. -> { key, payloadHash }, or throws what the service answers.
// bodySha256: of a service that takes the hash of the body where no header says it; else the header must be there.
// frontEnd: what a machine before the service does to the headers.
export function verify(entry, { keys, region, service, now, names = ["AWS4"], isPresignedAllowed = false, bodySha256, frontEnd = (headers) => headers }) {
  const claim = isPresignedAllowed && [...entry.query.keys()].some((name) => /^X-(Amz|Goog)-(Signature|Algorithm)$/.test(name))
    ? readQueryClaim(entry, names) : readHeaderClaim(entry, names);
  const { dialect, keyId, scope, date, signedNames, query, payloadHash = bodySha256 } = claim;
  if (payloadHash === undefined)
    throw new CloudError(400, "InvalidRequest", `Missing required header for this request: ${dialect.prefix}-content-sha256`);
  const at = readAmzDate(date);
  if (Number.isNaN(at)) throw new CloudError(403, "AccessDenied", `AWS authentication requires a valid Date or ${dialect.prefix}-date header`);
  if (scope[0] !== date.slice(0, 8)) throw malformed(`Invalid credential date "${scope[0]}". This date is not the same as X-Amz-Date: "${date.slice(0, 8)}".`);
  if (region != null && scope[1] !== region)
    throw malformed(`The authorization header is malformed; the region '${scope[1]}' is wrong; expecting '${region}'`, { Region: region });
  if (scope[2] !== (dialect.service ?? service)) throw malformed(`incorrect service "${scope[2]}". This endpoint belongs to "${service}".`);
  if (scope[3] !== dialect.terminator) throw malformed("incorrect terminal");
  checkTime(claim, at, now);
  const key = keys.find(keyId, claim.token, now);
  checkSigned(entry, signedNames, dialect);
  const headers = frontEnd({ ...entry.headers, host: entry.host });
  const canonical = canonicalRequest({ method: entry.method, path: entry.path, query, headers, names: signedNames, payloadHash });
  const expected = signature({ canonical, secret: key.secret, date, region: scope[1], service: scope[2], dialect });
  if (claim.signature.length !== expected.length || !timingSafeEqual(Buffer.from(claim.signature), Buffer.from(expected)))
    throw new CloudError(403, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
      { AWSAccessKeyId: keyId, SignatureProvided: claim.signature, CanonicalRequest: canonical });
  return { key, payloadHash, isPresigned: claim.expiresS !== undefined };
}

const malformed = (message, more) => new CloudError(400, "AuthorizationHeaderMalformed", message, more);

function readHeaderClaim(entry, names) {
  const { authorization } = entry.headers;
  if (authorization === undefined) throw new CloudError(403, "AccessDenied", "Access Denied");
  const match = /^(AWS4|GOOG4)-HMAC-SHA256 Credential=([^/,]+)\/([^,]*), ?SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})$/.exec(authorization);
  if (!match || !names.includes(match[1])) throw malformed("The authorization header is malformed.");
  const dialect = dialects[match[1]];
  const payloadHash = entry.headers[`${dialect.prefix}-content-sha256`];
  return { dialect, keyId: match[2], scope: readScope(match[3]), signedNames: match[4].split(";"), signature: match[5], payloadHash,
    date: entry.headers[`${dialect.prefix}-date`], token: entry.headers[`${dialect.prefix}-security-token`], query: entry.query };
}

function readQueryClaim(entry, names) {
  const name = entry.query.has("X-Goog-Algorithm") ? "GOOG4" : "AWS4";
  const dialect = dialects[name];
  const get = (parameter) => entry.query.get(`${dialect.query}-${parameter}`);
  const wanted = ["Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature"];
  if (!names.includes(name) || get("Algorithm") !== dialect.algorithm || wanted.some((one) => get(one) === undefined))
    throw new CloudError(400, "AuthorizationQueryParametersError", "Query-string authentication version 4 requires its parameters.");
  if (entry.headers.authorization !== undefined) throw new CloudError(400, "InvalidArgument", "Only one auth mechanism allowed");
  const [keyId, ...scope] = get("Credential").split("/");
  const query = new Map(entry.query);
  query.delete(`${dialect.query}-Signature`);
  return { dialect, keyId, scope: readScope(scope.join("/")), signedNames: get("SignedHeaders").split(";"), signature: get("Signature"),
    payloadHash: "UNSIGNED-PAYLOAD", date: get("Date"), token: get("Security-Token"), query, expiresS: Number(get("Expires")) };
}

function readScope(text) {
  const scope = text.split("/");
  if (scope.length !== 4) throw malformed("The authorization header is malformed; the Credential is mal-formed");
  return scope;
}

function checkTime(claim, at, now) {
  if (claim.expiresS === undefined) {
    if (Math.abs(now - at) > SKEW_MS)
      throw new CloudError(403, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large.",
        { RequestTime: claim.date, ServerTime: new Date(now).toISOString().replace(/\.\d+/, ""), MaxAllowedSkewMilliseconds: SKEW_MS });
    return;
  }
  if (!Number.isInteger(claim.expiresS) || claim.expiresS < 1 || claim.expiresS > EXPIRES_MAX_S)
    throw new CloudError(400, "AuthorizationQueryParametersError", "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds");
  if (at > now + SKEW_MS) throw new CloudError(403, "AccessDenied", "Request is not yet valid");
  if (now > at + claim.expiresS * 1000) throw new CloudError(403, "AccessDenied", "Request has expired");
}

// Host and every header of the provider must be signed, in order, and be there.
function checkSigned(entry, names, dialect) {
  if (names.join() !== [...new Set(names)].sort().join()) throw malformed("SignedHeaders are not sorted");
  for (const name of names) if (name !== "host" && entry.headers[name] === undefined) throw new CloudError(403, "SignatureDoesNotMatch", `signed header ${name} is missing`);
  const unsigned = Object.keys(entry.headers).filter((name) => (name === "host" || name.startsWith(`${dialect.prefix}-`)) && !names.includes(name));
  if (unsigned.length) throw new CloudError(403, "AccessDenied", "There were headers present in the request which were not signed", { HeadersNotSigned: unsigned.join(", ") });
}
