// SPDX-License-Identifier: Apache-2.0
// Who may sign: long-lived keys and session credentials, shared by the rigs of one provider.
import { randomBytes } from "node:crypto";

import { CloudError } from "./errors.mjs";

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const randomId = (prefix) => prefix + Array.from(randomBytes(16), (byte) => alphabet[byte % 32]).join("");

export class Keys {
  constructor() {
    this.list = new Map();
  }

  // -> { keyId, secret, principal, token, expiresAtMs }
  add({ keyId = randomId("AKIA"), secret = randomBytes(30).toString("base64"), principal = `user/${keyId}`, token, expiresAtMs } = {}) {
    const key = { keyId, secret, principal, token, expiresAtMs };
    this.list.set(keyId, key);
    return key;
  }

  // As STS and metadata endpoints give them: worth nothing without the token.
  addSession({ principal, expiresAtMs }) {
    return this.add({ keyId: randomId("ASIA"), principal, token: `IQoJ${randomBytes(90).toString("base64")}`, expiresAtMs });
  }

  revoke(keyId) {
    this.list.delete(keyId);
  }

  // Every session ends now, whatever was said of its expiry.
  expireSessions() {
    for (const key of this.list.values()) if (key.token) key.expiresAtMs = 0;
  }

  find(keyId, token, now) {
    const key = this.list.get(keyId);
    if (!key || (key.token && token === undefined))
      throw new CloudError(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.", { AWSAccessKeyId: keyId });
    if (token !== undefined && token !== key.token) throw new CloudError(400, "InvalidToken", "The provided token is malformed or otherwise invalid.");
    if (key.expiresAtMs !== undefined && now >= key.expiresAtMs) throw new CloudError(400, "ExpiredToken", "The provided token has expired.");
    return key;
  }
}
