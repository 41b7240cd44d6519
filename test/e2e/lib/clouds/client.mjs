// SPDX-License-Identifier: Apache-2.0
// An S3 client for tests: makes buckets, looks at what is there, and holds the rigs against the protocol. One connection per request.
import http from "node:http";
import https from "node:https";

import { signHeaders, uriEncode } from "./sigv4.mjs";
import { childText, escapeXml, readXml } from "./xml.mjs";

// -> { status, headers, body (Buffer), text, xml }; rejects when the reply does not come whole.
export function exchange(url, { method = "GET", headers = {}, body = "", ca, timeoutMs = 30_000, connect } = {}) {
  const { protocol, hostname, port, pathname, search } = new URL(url);
  const send = protocol === "https:" ? https.request : http.request;
  return new Promise((resolve, reject) => {
    const isStream = typeof body[Symbol.asyncIterator] === "function" && !Buffer.isBuffer(body);
    const length = isStream || method === "GET" || method === "HEAD" || method === "DELETE" ? {} : { "Content-Length": Buffer.byteLength(body) };
    const request = send({ hostname, port, method, path: pathname + search, headers: { ...length, ...headers }, agent: false, ca, timeout: timeoutMs, ...connect },
      (response) => {
        const chunks = [];
        response.on("data", (chunk) => chunks.push(chunk));
        response.on("error", reject);
        response.on("aborted", () => reject(new Error("reply was cut")));
        response.on("end", () => {
          const bytes = Buffer.concat(chunks);
          resolve({ status: response.statusCode, headers: response.headers, body: bytes, get text() {
            return bytes.toString("utf8");
          }, get xml() {
            return readXml(bytes.toString("utf8"));
          } });
        });
      });
    request.on("timeout", () => request.destroy(new Error(`no reply in ${timeoutMs} ms`)));
    request.on("error", reject);
    if (isStream) sendAll(request, body).catch(reject);
    else request.end(body);
  });
}

async function sendAll(request, body) {
  for await (const bytes of body) if (!request.write(bytes)) await new Promise((resolve) => request.once("drain", resolve).once("close", resolve));
  request.end();
}

export class S3Client {
  constructor({ endpoint, key, region = "us-east-1", ca }) {
    Object.assign(this, { endpoint, key, region, ca });
  }

  // path: "bucket/key", not encoded
  call(method, path, { query = {}, headers = {}, body = "", now, payloadHash, key = this.key } = {}) {
    const text = Object.entries(query).map(([name, value]) => `${uriEncode(name)}=${uriEncode(String(value))}`).join("&");
    const url = `${this.endpoint}/${uriEncode(path, true)}${text ? `?${text}` : ""}`;
    const isStream = typeof body[Symbol.asyncIterator] === "function" && !Buffer.isBuffer(body);
    const signed = signHeaders({ method, url, headers, ...(isStream ? { payloadHash: "UNSIGNED-PAYLOAD" } : { body }), ...(payloadHash ? { payloadHash } : {}),
      key, region: this.region, now });
    return exchange(url, { method, headers: signed, body, ca: this.ca });
  }

  async must(method, path, options) {
    const reply = await this.call(method, path, options);
    if (reply.status >= 300) throw new Error(`${method} ${path} answered ${reply.status}: ${reply.text}`);
    return reply;
  }

  put(bucket, key, body, headers) {
    return this.must("PUT", `${bucket}/${key}`, { body, headers });
  }

  async get(bucket, key) {
    return (await this.must("GET", `${bucket}/${key}`)).body;
  }

  async beginUpload(bucket, key, headers) {
    return childText((await this.must("POST", `${bucket}/${key}`, { query: { uploads: "" }, headers })).xml, "UploadId");
  }

  async uploadPart(bucket, key, uploadId, partNumber, body, headers) {
    return (await this.must("PUT", `${bucket}/${key}`, { query: { partNumber, uploadId }, body, headers })).headers.etag;
  }

  // etags: of parts 1, 2, ...; answers the reply, whatever it is
  complete(bucket, key, uploadId, etags, headers) {
    const parts = etags.map((etag, index) => `<Part><PartNumber>${index + 1}</PartNumber><ETag>${escapeXml(etag)}</ETag></Part>`);
    return this.call("POST", `${bucket}/${key}`, { query: { uploadId }, body: `<CompleteMultipartUpload>${parts.join("")}</CompleteMultipartUpload>`, headers });
  }

  // -> [{ key, size, etag }], all pages
  async list(bucket, prefix = "") {
    const result = [];
    for (let token; ; ) {
      const { xml } = await this.must("GET", bucket, { query: { "list-type": 2, prefix, ...(token ? { "continuation-token": token } : {}) } });
      for (const entry of xml.children.filter(({ name }) => name === "Contents"))
        result.push({ key: childText(entry, "Key"), size: Number(childText(entry, "Size")), etag: childText(entry, "ETag") });
      if (childText(xml, "IsTruncated") !== "true") return result;
      token = childText(xml, "NextContinuationToken");
    }
  }

  async openUploads(bucket) {
    const { xml } = await this.must("GET", bucket, { query: { uploads: "" } });
    return xml.children.filter(({ name }) => name === "Upload").map((entry) => ({ key: childText(entry, "Key"), uploadId: childText(entry, "UploadId") }));
  }
}
