// SPDX-License-Identifier: Apache-2.0
// Google's OAuth: service accounts with their keys, the check of a signed assertion, the tokens that were issued.
import { generateKeyPairSync, randomBytes, verify } from "node:crypto";

import { CloudError } from "./errors.mjs";

const GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const LIFE_S = 3600;
const SKEW_S = 300;
export const scopes = { cloud: "https://www.googleapis.com/auth/cloud-platform", write: "https://www.googleapis.com/auth/devstorage.read_write",
  full: "https://www.googleapis.com/auth/devstorage.full_control", read: "https://www.googleapis.com/auth/devstorage.read_only",
  iam: "https://www.googleapis.com/auth/iam" };

export class Tokens {
  constructor(now) {
    this.now = now;
    this.accounts = new Map();
    this.list = new Map();
  }

  // impersonators: accounts that may ask for its tokens. -> the account, with `keyFile(tokenUri)`, the JSON that is downloaded once
  makeAccount(email, { impersonators = [] } = {}) {
    const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const account = { email, keyId: randomBytes(20).toString("hex"), publicKey, impersonators,
      privateKey: privateKey.export({ type: "pkcs8", format: "pem" }) };
    account.keyFile = (tokenUri) => ({ type: "service_account", project_id: email.split("@")[1].split(".")[0], private_key_id: account.keyId,
      private_key: account.privateKey, client_email: email, client_id: "1".repeat(21), auth_uri: "https://accounts.google.com/o/oauth2/auth", token_uri: tokenUri,
      universe_domain: "googleapis.com" });
    this.accounts.set(email, account);
    return account;
  }

  issue(email, granted, lifeMs = LIFE_S * 1000) {
    const token = { text: `ya29.${randomBytes(60).toString("base64url")}`, email, scopes: granted, expiresAtMs: this.now() + lifeMs };
    this.list.set(token.text, token);
    return token;
  }

  expireAll() {
    for (const token of this.list.values()) token.expiresAtMs = 0;
  }

  // Of "Authorization: Bearer ...", or throws 401.
  find(authorization, wanted) {
    const token = this.list.get(/^Bearer (\S+)$/.exec(authorization ?? "")?.[1]);
    if (!token || token.expiresAtMs <= this.now()) throw new CloudError(401, "UNAUTHENTICATED", "Invalid Credentials").with({ "WWW-Authenticate": "Bearer realm=\"https://accounts.google.com/\"" });
    if (!token.scopes.some((scope) => wanted.includes(scope))) throw new CloudError(403, "PERMISSION_DENIED", "Request had insufficient authentication scopes.");
    return token;
  }

  // What the token endpoint answers to a form.
  exchange(form, audience) {
    const invalid = (description, error = "invalid_grant") => ({ status: 400, value: { error, error_description: description } });
    if (form.get("grant_type") !== GRANT) return invalid("Unsupported grant_type", "unsupported_grant_type");
    const parts = (form.get("assertion") ?? "").split(".");
    if (parts.length !== 3 || parts.some((part) => !/^[A-Za-z0-9_-]+$/.test(part))) return invalid("Invalid JWT: not three parts of base64url");
    let header, claims;
    try {
      [header, claims] = parts.slice(0, 2).map((part) => JSON.parse(Buffer.from(part, "base64url").toString("utf8")));
    } catch {
      return invalid("Invalid JWT: not JSON");
    }
    const account = this.accounts.get(claims.iss);
    if (header.alg !== "RS256" || header.typ !== "JWT") return invalid("Invalid JWT Header");
    if (!account || (header.kid !== undefined && header.kid !== account.keyId)) return invalid("Invalid grant: account not found");
    if (!verify("RSA-SHA256", Buffer.from(parts.slice(0, 2).join(".")), account.publicKey, Buffer.from(parts[2], "base64url"))) return invalid("Invalid JWT Signature.");
    const nowS = this.now() / 1000;
    if (!Number.isInteger(claims.iat) || !Number.isInteger(claims.exp) || claims.exp - claims.iat > LIFE_S || claims.exp <= nowS || claims.iat > nowS + SKEW_S || claims.iat < nowS - LIFE_S)
      return invalid("Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim.");
    if (claims.aud !== audience) return invalid(`Failed audience check. The right audience is ${audience}`);
    const asked = (claims.scope ?? "").split(" ").filter(Boolean);
    if (asked.length === 0 || asked.some((scope) => !Object.values(scopes).includes(scope))) return invalid("Empty or missing scope not allowed.", "invalid_scope");
    if (claims.sub !== undefined && claims.sub !== claims.iss) return { status: 401, value: { error: "unauthorized_client", error_description: "Client is unauthorized to retrieve access tokens using this method" } };
    return { status: 200, value: { access_token: this.issue(account.email, asked).text, expires_in: LIFE_S - 1, token_type: "Bearer" } };
  }
}
