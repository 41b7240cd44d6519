// SPDX-License-Identifier: Apache-2.0
// The endpoints that hand credentials to a machine: of an AWS instance (version 2 only), of an AWS container, of a Google machine.
import { randomBytes } from "node:crypto";

import { Keys } from "./keys.mjs";
import { Rig } from "./rig.mjs";

const text = (status, body) => ({ status, headers: { "Content-Type": "text/plain" }, body });
const json = (status, value) => ({ status, headers: { "Content-Type": "application/json" }, body: JSON.stringify(value) });
const isoSeconds = (ms) => new Date(ms).toISOString().replace(/\.\d+/, "");

export class Imds extends Rig {
  static operations = ["Token", "RoleName", "RoleCredentials", "ContainerCredentials", "GoogleToken", "GoogleEmail", "Unknown"];

  // role: null for an instance without one; lifeMs: of the credentials; containerPath, containerToken: of the container's endpoint;
  // google: { tokens (of a Gcs), email }.
  constructor({ keys = new Keys(), role = "milkrun-instance", lifeMs = 3_600_000, containerPath = "/v2/credentials/5b2f", containerToken, google, ...rest } = {}) {
    super(rest);
    Object.assign(this, { keys, role, lifeMs, containerPath, containerToken, google });
    this.tokens = new Map();
    this.handedOut = [];
  }

  get containerUrl() {
    return `${this.endpoint}${this.containerPath}`;
  }

  classify(entry) {
    const base = "/latest/meta-data/iam/security-credentials/";
    const account = /^\/computeMetadata\/v1\/instance\/service-accounts\/(default|[^/]+@[^/]+)\/(token|email)$/.exec(entry.path);
    if (entry.path === "/latest/api/token" && entry.method === "PUT") entry.operation = "Token";
    else if (entry.method !== "GET") entry.operation = "Unknown";
    else if (entry.path === base || entry.path === base.slice(0, -1)) entry.operation = "RoleName";
    else if (entry.path.startsWith(base)) entry.operation = "RoleCredentials";
    else if (entry.path === this.containerPath) entry.operation = "ContainerCredentials";
    else if (account) entry.operation = account[2] === "token" ? "GoogleToken" : "GoogleEmail";
    else entry.operation = "Unknown";
  }

  async handle(entry) {
    // What came over a proxy could be anybody's.
    if (entry.headers["x-forwarded-for"] !== undefined) return text(403, "");
    return this[entry.operation]?.(entry) ?? text(404, "not found");
  }

  Token(entry) {
    const ttl = entry.headers["x-aws-ec2-metadata-token-ttl-seconds"];
    if (!/^\d+$/.test(ttl ?? "") || Number(ttl) < 1 || Number(ttl) > 21_600) return text(400, "bad ttl");
    const token = randomBytes(40).toString("base64");
    this.tokens.set(token, this.now() + Number(ttl) * 1000);
    return { ...text(200, token), headers: { "X-Aws-Ec2-Metadata-Token-Ttl-Seconds": ttl } };
  }

  isAllowed(entry) {
    return (this.tokens.get(entry.headers["x-aws-ec2-metadata-token"]) ?? 0) > this.now();
  }

  RoleName(entry) {
    if (!this.isAllowed(entry)) return text(401, "Unauthorized");
    return this.role === null ? text(404, "not found") : text(200, this.role);
  }

  makeKey() {
    const key = this.keys.addSession({ principal: `role/${this.role}`, expiresAtMs: this.now() + this.lifeMs });
    this.handedOut.push(key);
    return { AccessKeyId: key.keyId, SecretAccessKey: key.secret, Token: key.token, Expiration: isoSeconds(key.expiresAtMs) };
  }

  RoleCredentials(entry) {
    if (!this.isAllowed(entry)) return text(401, "Unauthorized");
    if (entry.path.split("/").pop() !== this.role) return text(404, "not found");
    return json(200, { Code: "Success", LastUpdated: isoSeconds(this.now()), Type: "AWS-HMAC", ...this.makeKey() });
  }

  ContainerCredentials(entry) {
    if (this.containerToken !== undefined && entry.headers.authorization !== this.containerToken)
      return json(401, { code: "Unauthorized", message: "no good token" });
    return json(200, { RoleArn: `arn:aws:iam::123456789012:role/${this.role}`, ...this.makeKey() });
  }

  googleHeaders(entry) {
    return this.google && entry.headers["metadata-flavor"] === "Google";
  }

  GoogleToken(entry) {
    if (!this.googleHeaders(entry)) return text(403, "Missing Metadata-Flavor:Google header.");
    const scopes = (entry.query.get("scopes") ?? "https://www.googleapis.com/auth/cloud-platform").split(",");
    const token = this.google.tokens.issue(this.google.email, scopes, this.lifeMs);
    return { ...json(200, { access_token: token.text, expires_in: Math.floor(this.lifeMs / 1000), token_type: "Bearer" }),
      headers: { "Content-Type": "application/json", "Metadata-Flavor": "Google" } };
  }

  GoogleEmail(entry) {
    if (!this.googleHeaders(entry)) return text(403, "Missing Metadata-Flavor:Google header.");
    return { ...text(200, this.google.email), headers: { "Metadata-Flavor": "Google" } };
  }
}
