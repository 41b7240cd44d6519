// SPDX-License-Identifier: Apache-2.0
// The JSON API of Google Cloud Storage: resumable uploads by offset, objects as resources. `this` is the Gcs.
import { randomBytes } from "node:crypto";

import { Content } from "./content.mjs";
import { CloudError } from "./errors.mjs";
import { jsonReply, readJson } from "./json_reply.mjs";
import { scopes } from "./tokens.mjs";

const STEP = 256 * 1024;
const writing = [scopes.cloud, scopes.write, scopes.full];
const reading = [...writing, scopes.read];
const permissions = { "s3:PutObject": "storage.objects.create", "s3:GetObject": "storage.objects.get", "s3:DeleteObject": "storage.objects.delete",
  "s3:ListBucket": "storage.objects.list" };

// The caller's right to do it, under the names that policies have in buckets.mjs.
function authorize(gcs, entry, action, wanted) {
  const token = gcs.tokens.find(entry.headers.authorization, wanted);
  entry.principal = token.email;
  const bucket = gcs.buckets.get(entry.bucket);
  if (!bucket) throw new CloudError(404, "notFound", "The specified bucket does not exist.");
  check(gcs, entry, bucket, action);
  return bucket;
}

function check(gcs, entry, bucket, action) {
  if (!gcs.isAllowed(entry, bucket, action))
    throw new CloudError(403, "forbidden", `${entry.principal} does not have ${permissions[action]} access to the Google Cloud Storage object. ` +
      `Permission '${permissions[action]}' denied on resource (or it may not exist).`);
}

function resource(bucket, object) {
  const { key, content, generation, contentType, metadata, at } = object;
  return { kind: "storage#object", id: `${bucket.name}/${key}/${generation}`, name: key, bucket: bucket.name, generation, metageneration: "1",
    contentType, size: String(content.size), md5Hash: Buffer.from(content.md5, "hex").toString("base64"), etag: "CJ==", metadata,
    timeCreated: at.toISOString(), updated: at.toISOString() };
}

const show = (bucket, object) => jsonReply(200, resource(bucket, object));

function find(gcs, entry, bucket) {
  const object = bucket.objects.get(entry.key);
  if (!object) throw new CloudError(404, "notFound", `No such object: ${bucket.name}/${entry.key}`);
  return object;
}

function checkGeneration(entry, bucket, key, wanted) {
  if (wanted !== undefined && wanted !== (bucket.objects.get(key)?.generation ?? "0"))
    throw new CloudError(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.", { locationType: "header", location: "If-Match" });
}

// The object appears: only now, and only when all that was said of it is true.
function finish(gcs, entry, bucket, session, content) {
  checkGeneration(entry, bucket, session.key, session.ifGenerationMatch);
  const { md5Hash, contentType, metadata } = session.resource;
  const given = entry.headers["x-goog-hash"]?.match(/md5=([^,]+)/)?.[1] ?? md5Hash;
  const md5 = Buffer.from(content.md5, "hex").toString("base64");
  if (given !== undefined && given !== md5)
    throw new CloudError(400, "invalid", `Provided MD5 hash "${given}" doesn't match calculated MD5 hash "${md5}".`);
  if (bucket.objects.has(session.key)) {
    if (bucket.isWriteOnce) throw new CloudError(403, "retentionPolicyNotMet", "Object is subject to bucket's retention policy and cannot be deleted or overwritten");
    check(gcs, entry, bucket, "s3:DeleteObject");
  }
  const object = bucket.store(session.key, { content, etag: `"${content.md5}"`, contentType: contentType ?? session.contentType, metadata: metadata ?? {} }, entry, "upload");
  session.object = object;
  return show(bucket, object);
}

function findSession(gcs, entry) {
  const session = gcs.sessions.get(entry.query.get("upload_id"));
  if (!session || session.bucket !== entry.bucket) throw new CloudError(410, "gone", "the upload session is gone");
  const bucket = gcs.buckets.get(session.bucket);
  if (!bucket) throw new CloudError(404, "notFound", "The specified bucket does not exist.");
  entry.key = session.key;
  entry.principal = session.principal;
  return { session, bucket };
}

const incomplete = (session) => ({ status: 308, headers: { "X-GUploader-UploadID": session.id, ...(session.content.size > 0 ? { Range: `bytes=0-${session.content.size - 1}` } : {}) } });

export const jsonOperations = {
  async BeginUpload(entry, body) {
    const bucket = authorize(this, entry, "s3:PutObject", writing);
    const description = body.size === 0 ? {} : readJson(await body.bytes());
    if (body.size > 0 && !/^application\/json/.test(entry.headers["content-type"] ?? "")) throw new CloudError(400, "badContent", "Unsupported content with type");
    const key = entry.query.get("name") ?? description.name;
    if (!key) throw new CloudError(400, "required", "Required");
    const ifGenerationMatch = entry.query.get("ifGenerationMatch");
    const unknown = [...entry.query.keys()].filter((name) => !["uploadType", "name", "ifGenerationMatch", "fields", "prettyPrint"].includes(name));
    if (unknown.length) throw new CloudError(400, "invalidParameter", `Unknown parameters ${unknown.join(", ")}`);
    checkGeneration(entry, bucket, key, ifGenerationMatch);
    const length = entry.headers["x-upload-content-length"];
    const session = { id: randomBytes(40).toString("base64url"), bucket: bucket.name, key, principal: entry.principal, ifGenerationMatch, resource: description,
      contentType: entry.headers["x-upload-content-type"], total: length === undefined ? undefined : Number(length), content: new Content() };
    entry.key = key;
    this.sessions.set(session.id, session);
    bucket.uploads.set(session.id, { id: session.id, key, parts: new Map(), at: new Date() });
    return { status: 200, headers: { "X-GUploader-UploadID": session.id,
      Location: `${entry.isProxied ? "http" : this.certificate ? "https" : "http"}://${entry.host}${entry.path}?uploadType=resumable&upload_id=${session.id}` }, body: "" };
  },

  async UploadChunk(entry, body) {
    const { session, bucket } = findSession(this, entry);
    if (session.object) return show(bucket, session.object);
    const range = readRange(entry, body.size);
    const have = session.content.size;
    if (range.from > have)
      throw new CloudError(503, "backendError", `Invalid request. According to the Content-Range header, the upload offset is ${range.from} byte(s), which exceeds already uploaded size of ${have} byte(s).`);
    const isLast = range.total !== undefined && range.until === range.total;
    if (!isLast && (range.until - range.from) % STEP !== 0) throw new CloudError(400, "badRequest", "Invalid request.  The number of bytes uploaded is required to be equal or greater than 262144, except for the final request");
    if (session.total !== undefined && range.total !== undefined && range.total !== session.total) throw new CloudError(400, "badRequest", "the total differs from X-Upload-Content-Length");
    // keptBytes: of this chunk only so many were written, as a server may do (a multiple of the step).
    const keep = Math.min(body.size, session.keepNext ?? body.size);
    session.keepNext = undefined;
    for await (const bytes of body.chunks(have - range.from, keep)) session.content.append(bytes);
    body.discard();
    if (!isLast || session.content.size < range.total) return incomplete(session);
    return complete(this, entry, bucket, session);
  },

  async QueryUpload(entry, body) {
    const { session, bucket } = findSession(this, entry);
    if (body.size > 0) throw new CloudError(400, "badRequest", "a query has no body");
    if (session.object) return show(bucket, session.object);
    const total = /^bytes \*\/(\d+|\*)$/.exec(entry.headers["content-range"])?.[1];
    if (total === undefined) throw new CloudError(400, "badRequest", "Failed to parse Content-Range header.");
    if (total !== "*" && Number(total) === session.content.size) return complete(this, entry, bucket, session);
    return incomplete(session);
  },

  async CancelUpload(entry) {
    const { session, bucket } = findSession(this, entry);
    this.sessions.delete(session.id);
    bucket.uploads.delete(session.id);
    session.content.discard();
    return { status: 499, body: "" };
  },

  async UploadMedia(entry, body) {
    const bucket = authorize(this, entry, "s3:PutObject", writing);
    entry.key = entry.query.get("name");
    if (!entry.key) throw new CloudError(400, "required", "Required");
    return finish(this, entry, bucket, { key: entry.key, ifGenerationMatch: entry.query.get("ifGenerationMatch"), resource: {}, contentType: entry.headers["content-type"] }, body);
  },

  async ReadResource(entry) {
    const bucket = authorize(this, entry, "s3:GetObject", reading);
    return show(bucket, find(this, entry, bucket));
  },

  async ReadMedia(entry) {
    const bucket = authorize(this, entry, "s3:GetObject", reading);
    const { content, contentType, generation } = find(this, entry, bucket);
    const headers = { "Content-Type": contentType ?? "application/octet-stream", "X-Goog-Generation": generation, "X-Goog-Hash": `md5=${Buffer.from(content.md5, "hex").toString("base64")}` };
    const range = /^bytes=(\d+)-(\d*)$/.exec(entry.headers.range ?? "");
    if (!range) return { status: 200, headers, length: content.size, body: content.chunks() };
    const [from, until] = [Number(range[1]), Math.min(content.size, range[2] === "" ? content.size : Number(range[2]) + 1)];
    if (from >= until) throw new CloudError(416, "requestedRangeNotSatisfiable", "Request range not satisfiable");
    return { status: 206, headers: { ...headers, "Content-Range": `bytes ${from}-${until - 1}/${content.size}` }, length: until - from, body: content.chunks(from, until) };
  },

  async DeleteResource(entry) {
    const bucket = authorize(this, entry, "s3:DeleteObject", writing);
    const object = find(this, entry, bucket);
    checkGeneration(entry, bucket, entry.key, entry.query.get("ifGenerationMatch"));
    if (bucket.isWriteOnce) throw new CloudError(403, "retentionPolicyNotMet", `Object '${object.key}' is subject to bucket's retention policy`);
    bucket.remove(entry.key, entry);
    return { status: 204 };
  },

  async ListResources(entry) {
    const bucket = authorize(this, entry, "s3:ListBucket", reading);
    const prefix = entry.query.get("prefix") ?? "";
    const max = Math.min(1000, Number(entry.query.get("maxResults") ?? 1000));
    const after = Buffer.from(entry.query.get("pageToken") ?? "", "base64url").toString();
    const all = bucket.keys.filter((key) => key.startsWith(prefix) && Buffer.compare(Buffer.from(key), Buffer.from(after)) > 0);
    const page = all.slice(0, max);
    return jsonReply(200, { kind: "storage#objects", ...(page.length ? { items: page.map((key) => resource(bucket, bucket.objects.get(key))) } : {}),
      ...(all.length > page.length ? { nextPageToken: Buffer.from(page.at(-1)).toString("base64url") } : {}) });
  },

  async ReadBucket(entry) {
    const bucket = authorize(this, entry, "s3:ListBucket", reading);
    return jsonReply(200, { kind: "storage#bucket", id: bucket.name, name: bucket.name, location: "EU" });
  },
};

function complete(gcs, entry, bucket, session) {
  session.content.finish();
  bucket.uploads.delete(session.id);
  try {
    return finish(gcs, entry, bucket, session, session.content);
  } catch (error) {
    gcs.sessions.delete(session.id); // such a session cannot go on
    throw error;
  }
}

// "bytes 0-262143/1000000", "bytes 0-262143/*"; without the header all at once.
function readRange(entry, size) {
  const text = entry.headers["content-range"];
  if (text === undefined) return { from: 0, until: size, total: size };
  const match = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(text);
  const range = match && { from: Number(match[1]), until: Number(match[2]) + 1, total: match[3] === "*" ? undefined : Number(match[3]) };
  if (!range || range.until - range.from !== size || range.until > (range.total ?? Infinity)) throw new CloudError(400, "badRequest", "Failed to parse Content-Range header.");
  return range;
}
