// SPDX-License-Identifier: Apache-2.0
// A small S3: checks what the real one checks (signature, payload hash, lengths, order and size of parts, conditions, policies)
// and keeps everything for assertions. What it does not know it refuses.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";

import { Bucket } from "./buckets.mjs";
import { Content } from "./content.mjs";
import { CloudError } from "./errors.mjs";
import { Keys } from "./keys.mjs";
import { Rig } from "./rig.mjs";
import { bucketOperations } from "./s3_lists.mjs";
import { uploadOperations } from "./s3_uploads.mjs";
import { EMPTY_SHA256, verify } from "./sigv4.mjs";
import { documentXml } from "./xml.mjs";

const MIB = 1024 * 1024;

// What a request is: method, whether it has a key, and the parameters that tell it from others.
const table = [
  ["PUT", true, ["partNumber", "uploadId"], "UploadPart"],
  ["PUT", true, [], "PutObject"],
  ["POST", true, ["uploads"], "CreateMultipartUpload"],
  ["POST", true, ["uploadId"], "CompleteMultipartUpload"],
  ["DELETE", true, ["uploadId"], "AbortMultipartUpload"],
  ["DELETE", true, [], "DeleteObject"],
  ["GET", true, ["uploadId"], "ListParts"],
  ["GET", true, [], "GetObject"],
  ["HEAD", true, [], "HeadObject"],
  ["GET", false, ["list-type"], "ListObjectsV2"],
  ["GET", false, ["uploads"], "ListMultipartUploads"],
  ["GET", false, ["location"], "GetBucketLocation"],
  ["POST", false, ["delete"], "DeleteObjects"],
  ["HEAD", false, [], "HeadBucket"],
];

const actions = { UploadPart: "s3:PutObject", PutObject: "s3:PutObject", CreateMultipartUpload: "s3:PutObject", CompleteMultipartUpload: "s3:PutObject",
  AbortMultipartUpload: "s3:AbortMultipartUpload", DeleteObject: "s3:DeleteObject", ListParts: "s3:ListMultipartUploadParts", GetObject: "s3:GetObject",
  HeadObject: "s3:GetObject", ListObjectsV2: "s3:ListBucket", ListMultipartUploads: "s3:ListBucketMultipartUploads",
  GetBucketLocation: "s3:GetBucketLocation", DeleteObjects: "s3:DeleteObject", HeadBucket: "s3:ListBucket" };

const parameters = { UploadPart: ["partNumber", "uploadId"], CreateMultipartUpload: ["uploads"], CompleteMultipartUpload: ["uploadId"],
  AbortMultipartUpload: ["uploadId"], ListParts: ["uploadId", "max-parts", "part-number-marker"],
  ListObjectsV2: ["list-type", "prefix", "delimiter", "max-keys", "continuation-token", "start-after", "encoding-type", "fetch-owner"],
  ListMultipartUploads: ["uploads", "prefix", "max-uploads", "key-marker", "upload-id-marker", "encoding-type", "delimiter"],
  GetBucketLocation: ["location"], DeleteObjects: ["delete"] };

export class S3 extends Rig {
  static operations = [...table.map(([, , , name]) => name), "Unknown"];

  // domain: for virtual-host style, BUCKET.domain; conditions: which writes honour If-None-Match ("all", "put", "none": taken and
  // ignored, "refused": 501); isCompletedAgain: whether completing a second time is fine (Ceph) or NoSuchUpload.
  constructor({ keys = new Keys(), region = "us-east-1", domain, conditions = "all", isCompletedAgain = false, partBytesMin = 5 * MIB,
    objectBytesMax = 5 * 1024 ** 4, ...rest } = {}) {
    super(rest);
    Object.assign(this, { keys, region, domain, conditions, isCompletedAgain, partBytesMin, objectBytesMax });
    this.buckets = new Map();
    this.completed = new Map();
    this.dialectNames = ["AWS4"];
  }

  makeBucket(name, options) {
    const bucket = new Bucket(name, options);
    this.buckets.set(name, bucket);
    return bucket;
  }

  bucket(name) {
    return this.buckets.get(name) ?? assert.fail(`no bucket ${name}`);
  }

  deleteBucket(name) {
    this.buckets.delete(name);
  }

  dropUpload(bucket, id) {
    this.buckets.get(bucket)?.drop(id);
  }

  classify(entry) {
    try {
      this.readAddress(entry);
    } catch (error) {
      entry.problem = error;
      entry.operation = "Unknown";
    }
  }

  readAddress(entry) {
    const host = entry.host.replace(/:\d+$/, "");
    const isVirtual = this.domain !== undefined && host.endsWith(`.${this.domain}`);
    const parts = entry.path.slice(1).split("/");
    entry.bucket = isVirtual ? host.slice(0, -this.domain.length - 1) : decode(parts.shift());
    entry.style = isVirtual ? "virtual" : "path";
    const key = decode(parts.join("/"));
    entry.key = key === "" ? undefined : key;
    const row = table.find(([method, hasKey, wanted]) => method === entry.method && hasKey === (entry.key !== undefined) && wanted.every((name) => entry.query.has(name)));
    entry.operation = row?.[3] ?? "Unknown";
    if (entry.query.has("partNumber")) entry.part = Number(entry.query.get("partNumber"));
  }

  async handle(entry, body) {
    const { operation } = entry;
    if (entry.problem) throw entry.problem;
    const bucket = this.buckets.get(entry.bucket);
    const { key, payloadHash, isPresigned } = verify(entry, { keys: this.keys, region: bucket?.region ?? this.region, service: "s3", now: this.now(),
      names: this.dialectNames, isPresignedAllowed: true, frontEnd: this.frontEnd });
    Object.assign(entry, { principal: key.principal, keyId: key.keyId, payloadHash, isPresigned });
    this.checkForm(entry, body);
    if (!bucket) throw new CloudError(404, "NoSuchBucket", "The specified bucket does not exist", { BucketName: entry.bucket });
    this.allow(entry, bucket, actions[operation]);
    const call = this[operation] ?? uploadOperations[operation] ?? bucketOperations[operation];
    return call.call(this, entry, bucket, body);
  }

  checkForm(entry, body) {
    const { operation, payloadHash, headers, isPresigned } = entry;
    if (operation === "Unknown") throw new CloudError(501, "NotImplemented", `A header or query you provided implies functionality that is not implemented: ${entry.method} ${entry.target}`);
    const extra = [...entry.query.keys()].filter((name) => !(parameters[operation] ?? []).includes(name) && !(isPresigned && /^X-(Amz|Goog)-/.test(name)));
    if (extra.length) throw new CloudError(400, "InvalidArgument", `Unexpected query parameters ${extra.join(", ")}`);
    if (Buffer.byteLength(entry.key ?? "") > 1024) throw new CloudError(400, "KeyTooLongError", "Your key is too long");
    if (["PUT", "POST"].includes(entry.method) && headers["content-length"] === undefined && operation !== "CreateMultipartUpload")
      throw new CloudError(411, "MissingContentLength", "You must provide the Content-Length HTTP header.");
    if (/^STREAMING-/.test(payloadHash)) throw new CloudError(501, "NotImplemented", "Chunked signatures are not implemented");
    if (payloadHash !== "UNSIGNED-PAYLOAD" && payloadHash !== body.sha256)
      throw new CloudError(400, "XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed.",
        { ClientComputedContentSHA256: payloadHash, S3ComputedContentSHA256: body.sha256 });
    checkDigest(headers["content-md5"], body.md5, 16);
    checkDigest(headers["x-amz-checksum-sha256"], body.sha256, 32);
    if (headers["x-amz-copy-source"] || headers["x-amz-tagging"] || headers["x-amz-acl"])
      throw new CloudError(501, "NotImplemented", "Copies, tags and ACLs are not implemented");
  }

  // key: another than the request's own.
  isAllowed(entry, bucket, action, key = entry.key) {
    return Boolean(bucket.policy({ action, principal: entry.principal, key, entry }));
  }

  allow(entry, bucket, action, key) {
    if (this.isAllowed(entry, bucket, action, key)) return;
    throw new CloudError(403, "AccessDenied", `User: arn:aws:iam::123456789012:${entry.principal} is not authorized to perform: ${action} on resource: ` +
      `"arn:aws:s3:::${bucket.name}${entry.key ? `/${entry.key}` : ""}" because no identity-based policy allows the ${action} action`);
  }

  // Whether the object may be written: conditions, and buckets that take nothing twice.
  checkWrite(entry, bucket, kind) {
    const condition = entry.headers["if-none-match"];
    if (condition !== undefined && (this.conditions === "refused" || condition !== "*"))
      throw new CloudError(501, "NotImplemented", "A header you provided implies functionality that is not implemented", { Header: "If-None-Match" });
    if (bucket.requiresIfNoneMatch && condition === undefined) throw new CloudError(403, "AccessDenied", "Access Denied");
    const isHonoured = this.conditions === "all" || (this.conditions === "put" && kind === "put");
    if (condition === "*" && isHonoured && bucket.objects.has(entry.key))
      throw new CloudError(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold", { Condition: "If-None-Match" });
    if (bucket.isWriteOnce && bucket.objects.has(entry.key))
      throw new CloudError(403, "AccessDenied", "Access Denied because object protected by object lock.");
  }

  metadataPrefix() {
    return "x-amz-meta-";
  }

  readMetadata(entry) {
    const prefix = this.metadataPrefix(entry);
    return Object.fromEntries(Object.entries(entry.headers).filter(([name]) => name.startsWith(prefix)).map(([name, value]) => [name.slice(prefix.length), value]));
  }

  etagOf(bucket, content) {
    return bucket.encryption === "aws:kms" ? `"${createHash("md5").update(content.md5).digest("hex")}"` : `"${content.md5}"`;
  }

  writeHeaders(bucket) {
    return bucket.encryption ? { "x-amz-server-side-encryption": bucket.encryption } : {};
  }

  async PutObject(entry, bucket, body) {
    if (body.size > Math.min(5 * 1024 ** 3, this.objectBytesMax))
      throw new CloudError(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size");
    this.checkWrite(entry, bucket, "put");
    const object = bucket.store(entry.key, { content: body, etag: this.etagOf(bucket, body), contentType: entry.headers["content-type"],
      metadata: this.readMetadata(entry) }, entry, "put");
    return { status: 200, headers: { ETag: object.etag, ...this.writeHeaders(bucket), ...this.objectHeaders(object) } };
  }

  objectHeaders() {
    return {};
  }

  // As a disk does behind the back of the store: what is there has another bit; answers its true tag.
  async damage(entry) {
    const bucket = this.bucket(entry.bucket);
    const holder = entry.operation === "UploadPart" ? bucket.uploads.get(entry.query.get("uploadId"))?.parts.get(entry.part) : bucket.objects.get(entry.key);
    if (!holder || holder.content.size === 0) return undefined;
    const bytes = await holder.content.bytes();
    bytes[bytes.length >> 1] ^= 1;
    holder.content = Content.from(bytes);
    holder.etag = this.etagOf(bucket, holder.content);
    entry.isDamaged = true;
    return holder.etag;
  }

  find(entry, bucket) {
    const object = bucket.objects.get(entry.key);
    if (object) return object;
    // Who may not list is not told what is not there.
    this.allow(entry, bucket, "s3:ListBucket");
    throw new CloudError(404, "NoSuchKey", "The specified key does not exist.", { Key: entry.key });
  }

  async HeadObject(entry, bucket) {
    return this.GetObject(entry, bucket);
  }

  async GetObject(entry, bucket) {
    const object = this.find(entry, bucket);
    const { content } = object;
    const headers = { "Content-Type": object.contentType ?? "binary/octet-stream", ETag: object.etag, "Last-Modified": object.at.toUTCString(),
      "Accept-Ranges": "bytes", ...this.writeHeaders(bucket), ...this.objectHeaders(object),
      ...Object.fromEntries(Object.entries(object.metadata).map(([name, value]) => [this.metadataPrefix(entry) + name, value])) };
    const range = /^bytes=(\d*)-(\d*)$/.exec(entry.headers.range ?? "");
    if (!range || range[1] + range[2] === "") return { status: 200, headers, length: content.size, body: content.chunks() };
    const from = range[1] === "" ? Math.max(0, content.size - Number(range[2])) : Number(range[1]);
    const until = range[1] === "" || range[2] === "" ? content.size : Math.min(content.size, Number(range[2]) + 1);
    if (from >= until) throw new CloudError(416, "InvalidRange", "The requested range is not satisfiable").with({ "Content-Range": `bytes */${content.size}` });
    headers["Content-Range"] = `bytes ${from}-${until - 1}/${content.size}`;
    return { status: 206, headers, length: until - from, body: content.chunks(from, until) };
  }

  async DeleteObject(entry, bucket) {
    if (bucket.isWriteOnce && bucket.objects.has(entry.key)) throw new CloudError(403, "AccessDenied", "Access Denied because object protected by object lock.");
    bucket.remove(entry.key, entry);
    return { status: 204 };
  }

  writeError(error, entry) {
    entry.errorCode = error.code;
    const { status, headers, code, text, more } = error;
    const body = documentXml("Error", { Code: code, Message: text, ...more, RequestId: `R${entry.number}`, HostId: "rig" }).replace(/ xmlns="[^"]*"/, "");
    // A HEAD tells nothing but the status.
    return { status, headers: { "Content-Type": "application/xml", "x-amz-request-id": `R${entry.number}`, ...headers }, body: entry.method === "HEAD" ? "" : body };
  }
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new CloudError(400, "InvalidURI", "Couldn't parse the specified URI.");
  }
}

export function checkDigest(given, hex, size) {
  if (given === undefined) return;
  const bytes = Buffer.from(given, "base64");
  if (bytes.length !== size || bytes.toString("base64") !== given) throw new CloudError(400, "InvalidDigest", "The Content-MD5 you specified was invalid.");
  if (bytes.toString("hex") !== hex) throw new CloudError(400, "BadDigest", "The digest you specified did not match what we received.");
}

export { EMPTY_SHA256 };
