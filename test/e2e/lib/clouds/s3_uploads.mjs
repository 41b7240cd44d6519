// SPDX-License-Identifier: Apache-2.0
// Uploads in parts. `this` is the S3.
import { createHash } from "node:crypto";

import { Content } from "./content.mjs";
import { CloudError } from "./errors.mjs";
import { childText, documentXml, readXml } from "./xml.mjs";

const PARTS_MAX = 10_000;
const PART_BYTES_MAX = 5 * 1024 ** 3;
const xml = { "Content-Type": "application/xml" };

function findUpload(entry, bucket) {
  const upload = bucket.uploads.get(entry.query.get("uploadId"));
  if (upload && upload.key === entry.key) return upload;
  throw new CloudError(404, "NoSuchUpload", "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.",
    { UploadId: entry.query.get("uploadId") });
}

export const uploadOperations = {
  async CreateMultipartUpload(entry, bucket, body) {
    if (body.size > 0) throw new CloudError(400, "MalformedXML", "The request has a body and takes none");
    const algorithm = entry.headers["x-amz-checksum-algorithm"];
    if (algorithm !== undefined && algorithm !== "SHA256") throw new CloudError(501, "NotImplemented", `Checksums by ${algorithm} are not implemented`);
    const upload = bucket.open({ key: entry.key, algorithm, contentType: entry.headers["content-type"], metadata: this.readMetadata(entry),
      principal: entry.principal });
    return { status: 200, headers: { ...xml, ...this.writeHeaders(bucket) },
      body: documentXml("InitiateMultipartUploadResult", { Bucket: bucket.name, Key: entry.key, UploadId: upload.id }) };
  },

  async UploadPart(entry, bucket, body) {
    const { part } = entry;
    if (!Number.isInteger(part) || part < 1 || part > PARTS_MAX)
      throw new CloudError(400, "InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive", { ArgumentName: "partNumber" });
    const upload = findUpload(entry, bucket);
    if (body.size > PART_BYTES_MAX) throw new CloudError(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size");
    if (upload.algorithm && entry.headers["x-amz-checksum-sha256"] === undefined)
      throw new CloudError(400, "InvalidRequest", "Checksum Type mismatch occurred, expected checksum Type: sha256, actual checksum Type: null");
    upload.parts.get(part)?.content.discard();
    const stored = { content: body, etag: this.etagOf(bucket, body), checksum: entry.headers["x-amz-checksum-sha256"] };
    upload.parts.set(part, stored);
    return { status: 200, headers: { ETag: stored.etag, ...this.writeHeaders(bucket), ...(stored.checksum ? { "x-amz-checksum-sha256": stored.checksum } : {}) } };
  },

  async CompleteMultipartUpload(entry, bucket, body) {
    const again = this.isCompletedAgain && this.completed.get(entry.query.get("uploadId"));
    if (again && bucket.objects.get(entry.key) === again) return completeReply(this, entry, bucket, again);
    const upload = findUpload(entry, bucket);
    const parts = await readParts(this, upload, body);
    this.checkWrite(entry, bucket, "complete");
    const content = await Content.join(parts.map((part) => part.content));
    if (content.size > this.objectBytesMax) throw new CloudError(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed object size.");
    if (bucket.uploads.get(upload.id) !== upload) return uploadOperations.CompleteMultipartUpload.call(this, entry, bucket, body); // another was faster
    const md5s = Buffer.concat(parts.map((part) => Buffer.from(part.etag.replaceAll('"', ""), "hex")));
    const object = bucket.store(entry.key, { content, etag: `"${createHash("md5").update(md5s).digest("hex")}-${parts.length}"`,
      contentType: upload.contentType, metadata: upload.metadata, partSizes: parts.map((part) => part.content.size) }, entry, "complete");
    bucket.uploads.delete(upload.id);
    this.completed.set(upload.id, object);
    return completeReply(this, entry, bucket, object);
  },

  async AbortMultipartUpload(entry, bucket) {
    bucket.drop(findUpload(entry, bucket).id);
    return { status: 204 };
  },

  async ListParts(entry, bucket) {
    const upload = findUpload(entry, bucket);
    const after = Number(entry.query.get("part-number-marker") ?? 0);
    const max = Math.min(1000, Number(entry.query.get("max-parts") ?? 1000));
    const all = [...upload.parts].sort(([a], [b]) => a - b).filter(([number]) => number > after);
    const page = all.slice(0, max);
    return { status: 200, headers: xml, body: documentXml("ListPartsResult", { Bucket: bucket.name, Key: upload.key, UploadId: upload.id, PartNumberMarker: after,
      NextPartNumberMarker: page.at(-1)?.[0] ?? 0, MaxParts: max, IsTruncated: all.length > page.length,
      Part: page.map(([number, { etag, content }]) => ({ PartNumber: number, LastModified: upload.at.toISOString(), ETag: etag, Size: content.size })) }) };
  },
};

function completeReply(s3, entry, bucket, object) {
  return { status: 200, headers: { ...xml, ...s3.writeHeaders(bucket), ...s3.objectHeaders(object) }, body: documentXml("CompleteMultipartUploadResult", {
    Location: `http://${entry.host}/${bucket.name}/${entry.key}`, Bucket: bucket.name, Key: entry.key, ETag: object.etag }) };
}

// The parts that the body lists, in its order, each as it was uploaded and large enough.
async function readParts(s3, upload, body) {
  const listed = readList((await body.bytes()).toString("utf8"));
  let last = 0;
  const parts = listed.map(({ number, etag, checksum }) => {
    if (number <= last) throw new CloudError(400, "InvalidPartOrder", "The list of parts was not in ascending order. Parts must be ordered by part number.");
    last = number;
    const part = upload.parts.get(number);
    if (!part || part.etag.replaceAll('"', "") !== etag.replaceAll('"', "") || (upload.algorithm && part.checksum !== checksum))
      throw new CloudError(400, "InvalidPart", "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag " +
        "may not match the part's entity tag.", { UploadId: upload.id, PartNumber: number, ETag: etag });
    return part;
  });
  for (const [index, part] of parts.slice(0, -1).entries())
    if (part.content.size < s3.partBytesMin)
      throw new CloudError(400, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size", { ProposedSize: part.content.size,
        MinSizeAllowed: s3.partBytesMin, PartNumber: listed[index].number, ETag: part.etag });
  return parts;
}

function readList(text) {
  const malformed = () => new CloudError(400, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema");
  let root;
  try {
    root = readXml(text);
  } catch {
    throw malformed();
  }
  const parts = root.children.map((child) => ({ number: Number(childText(child, "PartNumber")), etag: childText(child, "ETag"), checksum: childText(child, "ChecksumSHA256") }));
  const isGood = root.name === "CompleteMultipartUpload" && parts.length > 0 && parts.length <= PARTS_MAX && root.children.every((child) => child.name === "Part")
    && parts.every(({ number, etag }) => Number.isInteger(number) && etag !== undefined);
  if (!isGood) throw malformed();
  return parts;
}
