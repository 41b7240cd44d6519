// SPDX-License-Identifier: Apache-2.0
// What a store holds, with the history of every key, for assertions: nothing written twice, nothing left open.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";

import { Content } from "./content.mjs";

export class Bucket {
  // policy: which actions are allowed, see policies; region: where it is, when not where the server is;
  // isWriteOnce: objects can be neither replaced nor deleted; requiresIfNoneMatch: writes without it are refused;
  // encryption: "aws:kms", then ETags are no MD5.
  constructor(name, { policy = policies.all, region, isWriteOnce = false, requiresIfNoneMatch = false, encryption } = {}) {
    Object.assign(this, { name, policy, region, isWriteOnce, requiresIfNoneMatch, encryption });
    this.objects = new Map();
    this.uploads = new Map();
    this.history = [];
    this.generation = 1_700_000_000_000_000;
  }

  get keys() {
    return [...this.objects.keys()].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  }

  store(key, object, entry, operation) {
    this.history.push({ operation, key, size: object.content.size, sha256: object.content.sha256, request: entry?.number, isOverwrite: this.objects.has(key) });
    const stored = { key, metadata: {}, at: new Date(), ...object, generation: String(++this.generation) };
    this.objects.set(key, stored);
    return stored;
  }

  remove(key, entry) {
    if (!this.objects.has(key)) return false;
    this.history.push({ operation: "delete", key, request: entry?.number });
    this.objects.delete(key);
    return true;
  }

  // For a test that prepares what is there.
  put(key, bytes, more = {}) {
    const content = Content.from(bytes);
    return this.store(key, { content, etag: `"${content.md5}"`, contentType: "application/octet-stream", ...more }, undefined, "prepared");
  }

  open(upload) {
    const id = upload.id ?? randomBytes(24).toString("base64url");
    this.uploads.set(id, { at: new Date(), ...upload, id, parts: new Map() });
    return this.uploads.get(id);
  }

  drop(id) {
    for (const part of this.uploads.get(id)?.parts.values() ?? []) part.content.discard();
    return this.uploads.delete(id);
  }

  writes(key) {
    return this.history.filter((item) => item.key === key && item.operation !== "delete");
  }

  async bytes(key) {
    const object = this.objects.get(key) ?? assert.fail(`no object ${key}; there are ${this.keys.join(", ") || "none"}`);
    return object.content.bytes();
  }

  // Every key was written once and is still there as it was written.
  assertWrittenOnce(keys = this.keys) {
    for (const key of keys) assert.equal(this.writes(key).length, 1, `writes of ${key}: ${JSON.stringify(this.writes(key))}`);
  }

  assertNothingOpen() {
    assert.deepEqual([...this.uploads.values()].map(({ id, key }) => `${key} ${id}`), [], `uploads left open in ${this.name}`);
  }
}

const only = (...actions) => ({ action }) => actions.includes(action);
const allBut = (...actions) => ({ action }) => !actions.includes(action);

// ({ action, principal, key }) -> whether it is allowed
export const policies = {
  all: () => true,
  none: () => false,
  only,
  allBut,
  writeOnly: only("s3:PutObject", "s3:AbortMultipartUpload"),
  putOnly: only("s3:PutObject"),
  readOnly: only("s3:GetObject", "s3:ListBucket"),
  noDelete: allBut("s3:DeleteObject"),
  noList: allBut("s3:ListBucket", "s3:ListBucketMultipartUploads"),
  below: (prefix) => ({ key }) => key === undefined || key.startsWith(prefix),
  by: (principal, policy) => (ask) => ask.principal === principal && policy(ask),
};
