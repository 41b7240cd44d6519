// SPDX-License-Identifier: Apache-2.0
// A small Google Cloud Storage on one port: the token endpoint, impersonation, the JSON API with resumable uploads, and the XML API
// with HMAC keys, which is the S3 with Google's rules: its own precondition, its own header names, the two kinds never mixed.
import { CloudError } from "./errors.mjs";
import { jsonOperations } from "./gcs_json.mjs";
import { jsonReply, readJson } from "./json_reply.mjs";
import { readQuery } from "./rig.mjs";
import { S3 } from "./s3.mjs";
import { scopes, Tokens } from "./tokens.mjs";

export class Gcs extends S3 {
  static operations = [...S3.operations, "ExchangeToken", "GenerateAccessToken", ...Object.keys(jsonOperations)];

  constructor({ tokenLifeMs, ...rest } = {}) {
    super({ region: null, conditions: "none", ...rest });
    this.tokens = new Tokens(() => this.now());
    this.tokenLifeMs = tokenLifeMs; // how long impersonated tokens really live
    this.sessions = new Map();
    this.dialectNames = ["AWS4", "GOOG4"];
    this.frontEnd = (headers) => (headers["accept-encoding"] ? { ...headers, "accept-encoding": `${headers["accept-encoding"]},gzip(gfe)` } : headers);
  }

  get tokenUri() {
    return `${this.endpoint}/token`;
  }

  dropUpload(bucket, id) {
    super.dropUpload(bucket, id);
    this.sessions.delete(id);
  }

  readAddress(entry) {
    const { method, path } = entry;
    const object = /^\/storage\/v1\/b\/([^/]+)\/o\/([^/]+)$/.exec(path);
    const bucket = /^(?:\/upload)?\/storage\/v1\/b\/([^/]+)(\/o)?$/.exec(path);
    if (path === "/token") entry.operation = "ExchangeToken";
    else if (path.startsWith("/v1/projects/-/serviceAccounts/")) entry.operation = "GenerateAccessToken";
    else if (path.startsWith("/upload/") && entry.query.has("upload_id")) entry.operation = sessionOperation(entry);
    else if (path.startsWith("/upload/")) entry.operation = method === "POST" ? { resumable: "BeginUpload", media: "UploadMedia" }[entry.query.get("uploadType")] ?? "Unknown" : "Unknown";
    else if (object) entry.operation = method === "GET" ? (entry.query.get("alt") === "media" ? "ReadMedia" : "ReadResource") : method === "DELETE" ? "DeleteResource" : "Unknown";
    else if (bucket) entry.operation = method === "GET" ? (bucket[2] ? "ListResources" : "ReadBucket") : "Unknown";
    else return super.readAddress(entry);
    const found = object ?? bucket;
    if (found) entry.bucket = decodeURIComponent(found[1]);
    entry.key = object ? decodeURIComponent(object[2]) : this.sessions.get(entry.query.get("upload_id"))?.key ?? entry.query.get("name");
    entry.isJson = true;
    return undefined;
  }

  async handle(entry, body) {
    if (entry.problem) throw entry.problem;
    if (!entry.isJson) return this.handleXml(entry, body);
    if (entry.operation === "Unknown") throw new CloudError(404, "notFound", "Not Found");
    if (entry.operation === "ExchangeToken") return this.exchangeToken(entry, body);
    if (entry.operation === "GenerateAccessToken") return this.generateAccessToken(entry, body);
    return jsonOperations[entry.operation].call(this, entry, body);
  }

  async handleXml(entry, body) {
    const names = Object.keys(entry.headers);
    if (names.some((name) => name.startsWith("x-amz-")) && names.some((name) => name.startsWith("x-goog-")))
      throw new CloudError(400, "ExcessHeaderValues", "Requests cannot specify both x-amz and x-goog headers");
    return super.handle(entry, body);
  }

  metadataPrefix(entry) {
    return Object.keys(entry.headers).some((name) => name.startsWith("x-goog-")) ? "x-goog-meta-" : "x-amz-meta-";
  }

  checkWrite(entry, bucket, kind) {
    super.checkWrite(entry, bucket, kind);
    const wanted = entry.headers["x-goog-if-generation-match"];
    if (wanted !== undefined && wanted !== (bucket.objects.get(entry.key)?.generation ?? "0"))
      throw new CloudError(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold.", { Details: `The expected generation is ${wanted}` });
    if (bucket.objects.has(entry.key)) this.allow(entry, bucket, "s3:DeleteObject"); // overwriting needs it as well
  }

  objectHeaders(object) {
    return { "x-goog-generation": object.generation, "x-goog-hash": `md5=${Buffer.from(object.content.md5, "hex").toString("base64")}`,
      "x-goog-stored-content-length": object.content.size };
  }

  async exchangeToken(entry, body) {
    if (entry.method !== "POST" || !/^application\/x-www-form-urlencoded/.test(entry.headers["content-type"] ?? "")) throw new CloudError(400, "invalid_request", "a form is wanted");
    const { status, value } = this.tokens.exchange(readQuery((await body.bytes()).toString("latin1")), this.tokenAudience ?? this.tokenUri);
    return { status, headers: { "Content-Type": "application/json; charset=utf-8" }, body: JSON.stringify(value) };
  }

  async generateAccessToken(entry, body) {
    const email = /^\/v1\/projects\/-\/serviceAccounts\/([^/:]+):generateAccessToken$/.exec(decodeURIComponent(entry.path))?.[1];
    if (!email || entry.method !== "POST") throw new CloudError(404, "NOT_FOUND", "Not Found");
    const caller = this.tokens.find(entry.headers.authorization, [scopes.cloud, scopes.iam]);
    entry.principal = caller.email;
    const account = this.tokens.accounts.get(email);
    if (!account?.impersonators.includes(caller.email))
      throw new CloudError(403, "PERMISSION_DENIED", "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).");
    const asked = readJson(await body.bytes());
    const lifetime = /^(\d+)(?:\.\d+)?s$/.exec(asked.lifetime ?? "3600s");
    if (!Array.isArray(asked.scope) || asked.scope.length === 0 || !lifetime || Number(lifetime[1]) < 1 || Number(lifetime[1]) > 3600 || asked.delegates?.length)
      throw new CloudError(400, "INVALID_ARGUMENT", "Request contains an invalid argument.");
    const lifeMs = Number(lifetime[1]) * 1000;
    const token = this.tokens.issue(email, asked.scope, Math.min(lifeMs, this.tokenLifeMs ?? lifeMs));
    return jsonReply(200, { accessToken: token.text, expireTime: new Date(this.tokenLifeMs === undefined ? this.now() + lifeMs : token.expiresAtMs).toISOString().replace(/\.\d+/, "") });
  }

  writeError(error, entry) {
    if (!entry.isJson) return super.writeError(error, entry);
    entry.errorCode = error.code;
    const { status, code, text, headers, more } = error;
    return { ...jsonReply(status, { error: { code: status, message: text, ...(/^[A-Z_]+$/.test(code) ? { status: code } : {}),
      errors: [{ message: text, domain: "global", reason: code, ...more }] } }), headers: { "Content-Type": "application/json; charset=UTF-8", ...headers } };
  }
}

function sessionOperation(entry) {
  if (entry.method === "DELETE") return "CancelUpload";
  if (entry.method !== "PUT") return "Unknown";
  return /^bytes \*\//.test(entry.headers["content-range"] ?? "") ? "QueryUpload" : "UploadChunk";
}
