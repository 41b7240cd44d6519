// SPDX-License-Identifier: Apache-2.0
// Holds every reply of the server against its own description (/openapi.json), which is read once for
// a process: an operation, status, header, media type or member that is not described is an error, and
// so is a request that succeeded although the description forbids its body.
import http from "node:http";
import { gunzipSync } from "node:zlib";

import Ajv2020 from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

const describedHeaders = ["etag", "idempotency-replayed", "link", "retry-after"]; // where they are named, and nowhere else
const twicePrefix = "/scheduled-exports/exports/logs/";

// Replies may gain members, so the description leaves objects open; here each must be described.
function close(schema) {
  if (schema === null || typeof schema !== "object") return;
  if (schema.properties && !("additionalProperties" in schema)) schema.additionalProperties = false;
  for (const part of Object.values(schema)) close(part);
}

function parse(text, fail) {
  try {
    return JSON.parse(text);
  } catch {
    return fail("not JSON");
  }
}

const pointer = (...parts) => parts.map((part) => `/${part.replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");

export class Description {
  constructor(document) {
    this.document = document;
    this.strict = this.compiler("strict", structuredClone(document), close);
    this.open = this.compiler("open", structuredClone(document), () => {});
    this.paths = Object.keys(document.paths)
      .map((pattern) => ({ pattern, literals: pattern.split("/").filter((part) => !part.startsWith("{")).length,
        test: new RegExp(`^${pattern.replaceAll(/[.]/g, "\\.").replaceAll(/\{key\}/g, ".*").replaceAll(/\{[a-z_]+\}/g, "[^/]+")}/?$`) }))
      .sort((a, b) => b.literals - a.literals);
  }

  compiler(id, document, prepare) {
    prepare(document.components.schemas);
    const ajv = new Ajv2020({ strict: false, allErrors: true });
    addFormats(ajv);
    ajv.addSchema({ $id: id, ...document });
    const known = new Map();
    return (path) => {
      if (!known.has(path)) known.set(path, ajv.compile({ $ref: `${id}#${path}` }));
      const validate = known.get(path);
      return (value) => (validate(value) ? null : validate.errors.map(({ instancePath, message, params }) =>
        `${instancePath || "/"} ${message} ${JSON.stringify(params)}`).join("; "));
    };
  }

  find(path, method) {
    const plain = path.startsWith(twicePrefix) ? `/scheduled-exports${path.slice(twicePrefix.length - "/logs/".length)}` : path;
    const found = this.paths.filter(({ test }) => test.test(plain));
    if (found.length === 0) return {};
    for (const name of method === "HEAD" ? ["head", "get"] : [method.toLowerCase()]) {
      const hit = found.find(({ pattern }) => this.document.paths[pattern][name]);
      if (hit) return { isPath: true, pattern: hit.pattern, name, operation: this.document.paths[hit.pattern][name] };
    }
    return { isPath: true };
  }

  resolve(value, path) {
    if (!value.$ref) return { value, path };
    const parts = value.$ref.slice(2).split("/");
    return { value: parts.reduce((at, part) => at[part], this.document), path: pointer(...parts) };
  }

  // Throws when the reply is not as described.
  check({ method, path, body }, reply) {
    const [plain] = path.split("?");
    const { isPath, pattern, name, operation } = this.find(plain, method);
    const fail = (what) => {
      throw new Error(`not as described: ${method} ${path.slice(0, 200)} answered ${reply.status}: ${what}; ${reply.text.slice(0, 500)}`);
    };
    if (!operation) {
      this.checkUnknown(isPath, method, reply, fail);
      return;
    }
    const described = operation.responses[reply.status];
    if (!described) fail(`${operation.operationId} does not name the status`);
    const response = this.resolve(described, pointer("paths", pattern, name, "responses", String(reply.status)));
    this.checkHeaders(response, reply, fail);
    if (reply.status !== 204 && reply.status !== 304) this.checkBody(response, method, reply, fail);
    const content = operation.requestBody?.content["application/json"];
    if (reply.status === 200 && content && typeof body === "string") {
      const fault = this.open(pointer("paths", pattern, name, "requestBody", "content", "application/json", "schema"))(JSON.parse(body));
      if (fault) fail(`the request is not as described: ${fault}`);
    }
  }

  // No such path, or not this method on it.
  checkUnknown(isPath, method, reply, fail) {
    if (method === "OPTIONS" && reply.status === 204) {
      if (!reply.headers.allow) fail("no Allow");
      return;
    }
    if (reply.status < 400) fail("the operation is not described");
    if (reply.status === 405 && !reply.headers.allow) fail("no Allow");
    if (isPath && reply.status === 404) fail("the path is described");
    const isXml = /^<\?xml [^>]*>\n<Error><Code>(MethodNotAllowed|NoSuchBucket)</.test(reply.text); // to clients of S3
    if (method !== "HEAD" && !isXml) {
      const fault = this.strict(pointer("components", "schemas", "Error"))(parse(reply.text, fail));
      if (fault) fail(fault);
    }
  }

  checkHeaders({ value, path }, reply, fail) {
    for (const [name, given] of Object.entries(value.headers ?? {})) {
      const header = this.resolve(given, path + pointer("headers", name));
      const text = reply.headers[name.toLowerCase()];
      if (text === undefined) {
        if (header.value.required) fail(`header ${name} is missing`);
        continue;
      }
      const fault = this.open(header.path + pointer("schema"))(header.value.schema.type === "integer" ? Number(text) : text);
      if (fault) fail(`header ${name}: ${fault}`);
    }
    const names = Object.keys(value.headers ?? {}).map((name) => name.toLowerCase());
    for (const name of describedHeaders)
      if (reply.headers[name] !== undefined && !names.includes(name)) fail(`header ${name} is not described`);
    if (!reply.headers["x-request-id"]) fail("no X-Request-Id");
  }

  checkBody({ value, path }, method, reply, fail) {
    const type = (reply.headers["content-type"] ?? "").split(";")[0];
    if (method === "HEAD") {
      if (reply.body.length !== 0) fail("HEAD has a body");
      return;
    }
    if (!value.content?.[type]) fail(`media type ${type} is not described`);
    if (type !== "application/json") return;
    const text = reply.headers["content-encoding"] === "gzip" ? gunzipSync(reply.body).toString() : reply.text;
    const fault = this.strict(path + pointer("content", type, "schema"))(parse(text, fail));
    if (fault) fail(fault);
  }
}

let known;

function fetchDocument(base) {
  return new Promise((resolve, reject) => {
    http.get(new URL("/openapi.json", base), { agent: false }, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => (response.statusCode === 200 ? resolve(JSON.parse(Buffer.concat(chunks))) : reject(new Error(`status ${response.statusCode}`))));
    }).on("error", reject);
  });
}

// A server that is gone by now (it was killed on purpose) cannot be asked: another reply will do.
export async function checkReply(base, asked, reply) {
  if (!base.startsWith("http://")) return;
  try {
    known ??= new Description(await fetchDocument(base));
  } catch {
    return;
  }
  known.check(asked, reply);
}
