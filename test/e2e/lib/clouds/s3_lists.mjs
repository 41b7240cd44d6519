// SPDX-License-Identifier: Apache-2.0
// Lists of a bucket and what is done to many keys at once. `this` is the S3.
import { CloudError } from "./errors.mjs";
import { uriEncode } from "./sigv4.mjs";
import { childText, documentXml, readXml } from "./xml.mjs";

const xml = { "Content-Type": "application/xml" };
const compareBytes = (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b));

function readCount(entry, name, most = 1000) {
  const text = entry.query.get(name) ?? String(most);
  if (!/^\d{1,9}$/.test(text)) throw new CloudError(400, "InvalidArgument", `Provided ${name} not an integer or within integer range`);
  return Math.min(most, Number(text));
}

function encoder(entry) {
  const type = entry.query.get("encoding-type");
  if (type !== undefined && type !== "url") throw new CloudError(400, "InvalidArgument", "Invalid Encoding Method specified in Request");
  return type === "url" ? (text) => uriEncode(text, true) : (text) => text;
}

// Keys and common prefixes in order, as one list of { name, key? }.
function group(keys, prefix, delimiter) {
  const result = [];
  for (const key of keys.filter((one) => one.startsWith(prefix))) {
    const at = delimiter ? key.indexOf(delimiter, prefix.length) : -1;
    const name = at < 0 ? key : key.slice(0, at + delimiter.length);
    if (at < 0) result.push({ name, key });
    else if (result.at(-1)?.name !== name) result.push({ name });
  }
  return result;
}

export const bucketOperations = {
  async HeadBucket() {
    return { status: 200, headers: { "x-amz-bucket-region": this.region } };
  },

  async GetBucketLocation(entry, bucket) {
    const region = bucket.region ?? this.region;
    return { status: 200, headers: xml, body: documentXml("LocationConstraint", region === "us-east-1" ? "" : region) };
  },

  async ListObjectsV2(entry, bucket) {
    const { query } = entry;
    if (query.get("list-type") !== "2") throw new CloudError(501, "NotImplemented", "only list-type=2");
    const [prefix, delimiter, max, encode] = [query.get("prefix") ?? "", query.get("delimiter") ?? "", readCount(entry, "max-keys"), encoder(entry)];
    const token = query.get("continuation-token");
    const after = token !== undefined ? Buffer.from(token, "base64url").toString() : query.get("start-after") ?? "";
    const all = group(bucket.keys, prefix, delimiter).filter(({ name }) => compareBytes(name, after) > 0);
    const page = all.slice(0, max);
    const isTruncated = all.length > page.length;
    return { status: 200, headers: xml, body: documentXml("ListBucketResult", { Name: bucket.name, Prefix: encode(prefix), Delimiter: delimiter === "" ? undefined : encode(delimiter),
      MaxKeys: max, KeyCount: page.length, IsTruncated: isTruncated, ContinuationToken: token, EncodingType: query.get("encoding-type"),
      NextContinuationToken: isTruncated && max > 0 ? Buffer.from(page.at(-1).name).toString("base64url") : undefined,
      Contents: page.filter(({ key }) => key !== undefined).map(({ key }) => describeObject(bucket.objects.get(key), encode)),
      CommonPrefixes: page.filter(({ key }) => key === undefined).map(({ name }) => ({ Prefix: encode(name) })) }) };
  },

  async ListMultipartUploads(entry, bucket) {
    const { query } = entry;
    const [prefix, max, encode] = [query.get("prefix") ?? "", readCount(entry, "max-uploads"), encoder(entry)];
    const [keyMarker, idMarker] = [query.get("key-marker") ?? "", query.get("upload-id-marker") ?? ""];
    const order = (a, b) => compareBytes(a.key, b.key) || a.at - b.at || compareBytes(a.id, b.id);
    const all = [...bucket.uploads.values()].filter(({ key }) => key.startsWith(prefix)).sort(order);
    const start = keyMarker === "" ? 0 : all.findIndex((one) => compareBytes(one.key, keyMarker) > 0 || (one.key === keyMarker && idMarker !== ""
      && all.findIndex((other) => other.id === idMarker) < all.indexOf(one)));
    const rest = start < 0 ? [] : all.slice(start);
    const page = rest.slice(0, max);
    const isTruncated = rest.length > page.length;
    return { status: 200, headers: xml, body: documentXml("ListMultipartUploadsResult", { Bucket: bucket.name, KeyMarker: encode(keyMarker), UploadIdMarker: idMarker,
      NextKeyMarker: isTruncated ? encode(page.at(-1).key) : undefined, NextUploadIdMarker: isTruncated ? page.at(-1).id : undefined, MaxUploads: max,
      Prefix: encode(prefix), EncodingType: query.get("encoding-type"), IsTruncated: isTruncated,
      Upload: page.map(({ key, id, at }) => ({ Key: encode(key), UploadId: id, Initiated: at.toISOString(), StorageClass: "STANDARD" })) }) };
  },

  async DeleteObjects(entry, bucket, body) {
    if (entry.headers["content-md5"] === undefined && entry.headers["x-amz-checksum-sha256"] === undefined)
      throw new CloudError(400, "InvalidRequest", "Missing required header for this request: Content-MD5 OR x-amz-checksum-*");
    const root = readXml((await body.bytes()).toString("utf8"));
    const keys = root.children.filter((child) => child.name === "Object").map((child) => childText(child, "Key"));
    if (root.name !== "Delete" || keys.length === 0 || keys.length > 1000) throw new CloudError(400, "MalformedXML", "The XML you provided was not well-formed");
    const failed = keys.filter((key) => !this.isAllowed(entry, bucket, "s3:DeleteObject", key) || (bucket.isWriteOnce && bucket.objects.has(key)));
    const deleted = keys.filter((key) => !failed.includes(key));
    for (const key of deleted) bucket.remove(key, entry);
    return { status: 200, headers: xml, body: documentXml("DeleteResult", { Deleted: childText(root, "Quiet") === "true" ? [] : deleted.map((Key) => ({ Key })),
      Error: failed.map((Key) => ({ Key, Code: "AccessDenied", Message: "Access Denied" })) }) };
  },
};

function describeObject(object, encode) {
  return { Key: encode(object.key), LastModified: object.at.toISOString(), ETag: object.etag, Size: object.content.size, StorageClass: "STANDARD" };
}
