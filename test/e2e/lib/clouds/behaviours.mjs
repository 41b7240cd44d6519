// SPDX-License-Identifier: Apache-2.0
// What a server may do to a request, as data for faults.mjs. The stages, each optional:
//   head(exchange)            before the body is read        cutRequestAt   reset after so many bytes of it
//   read(exchange, body)      after it was read, before it acts
//   instead(exchange, body)   a reply in place of acting      change(reply, exchange)   another reply after acting
//   send(exchange, reply)     how the reply goes out
import { sleep } from "../wait.mjs";
import { CloudError } from "./errors.mjs";
import { errorXml } from "./xml.mjs";

const GIGABYTE = 1024 ** 3;

export const delay = (ms) => ({ name: `delay ${ms} ms`, head: () => sleep(ms) });

// Nothing is read: the client's window fills.
export const stallUnread = () => ({ name: "stall without reading", head: (exchange) => exchange.stall() });
export const stallBefore = () => ({ name: "stall before acting", read: (exchange) => exchange.stall({ drains: true }) });
export const stallAfter = () => ({ name: "stall after acting", send: (exchange) => exchange.stall({ drains: true }) });

export const stallInReply = (at = 20) => ({ name: `stall after ${at} bytes of the reply`, async send(exchange, reply) {
  await exchange.write((await exchange.bytesOf(reply)).subarray(0, at));
  await exchange.stall({ drains: true });
} });

// A byte now and then: alive for who looks at silence, too slow for who looks at the rate.
export const drip = (everyMs = 200) => ({ name: `a byte each ${everyMs} ms`, async send(exchange, reply) {
  for (const byte of await exchange.bytesOf(reply)) {
    if (exchange.socket.destroyed || exchange.reader.isEnded) break;
    await exchange.write(Buffer.from([byte]));
    await sleep(everyMs);
  }
  exchange.close();
} });

export const resetInRequest = (at = 0) => at === 0
  ? { name: "reset at the head of the request", head: (exchange) => exchange.reset() }
  : { name: `reset after ${at} bytes of the request`, cutRequestAt: at };

export const resetInReply = (at = 0) => ({ name: `reset after ${at} bytes of the reply`, async send(exchange, reply) {
  await exchange.write((await exchange.bytesOf(reply)).subarray(0, at));
  if (at > 0) await sleep(20); // a reset overtakes what is not yet read
  exchange.reset();
} });

export const closedBefore = () => ({ name: "closed before acting", read: (exchange) => exchange.close() });
export const closedAfter = () => ({ name: "closed after acting", send: (exchange) => exchange.close() });

// The length is right and the body is not all there.
export const truncatedReply = () => ({ name: "truncated reply", async send(exchange, reply) {
  const bytes = await exchange.bytesOf(reply);
  const head = bytes.indexOf("\r\n\r\n") + 4;
  const hasBody = bytes.length > head;
  await exchange.write(hasBody ? bytes.subarray(0, head + ((bytes.length - head) >> 1)) : bytes.subarray(0, head - 10));
  exchange.close();
} });

// The reply comes twice: what follows on the connection is not the answer to the next request.
export const duplicateReply = () => ({ name: "duplicate reply", async send(exchange, reply) {
  const bytes = await exchange.bytesOf(reply);
  await exchange.write(Buffer.concat([bytes, bytes]));
  exchange.entry.isAnswered = true;
} });

// Each service says it in its own form.
const failing = (status, code, message, headers = {}) => ({ entry, rig }) => new CloudError(status, code, message).with(headers).toReply(entry, rig);
const retryable = (status, code, message, headers) => ({ name: `${status} ${code}`, instead: failing(status, code, message, headers) });

export const internalError = () => retryable(500, "InternalError", "We encountered an internal error. Please try again.");
export const slowDown = (retryAfter) => retryable(503, "SlowDown", "Please reduce your request rate.", retryAfter ? { "Retry-After": retryAfter } : {});
export const unavailable = () => retryable(503, "ServiceUnavailable", "Please reduce your request rate.");
export const tooMany = (retryAfter = "1") => retryable(429, "TooManyRequests", "Slow down.", { "Retry-After": retryAfter });
export const requestTimeout = () => retryable(400, "RequestTimeout", "Your socket connection to the server was not read from or written to within the timeout period.");
export const badGateway = () => ({ name: "502 with HTML", instead: () => ({ status: 502, headers: { "Content-Type": "text/html" },
  body: "<html><head><title>502 Bad Gateway</title></head><body><br>nginx</body></html>" }) });

// Any error in full; it is not acted upon.
export const answer = (status, code, message = code, headers = {}) => retryable(status, code, message, headers);
export const reply = (full) => ({ name: `reply ${full.status}`, instead: () => full });

// As the reply above, without waiting for the body: the connection closes under a client that still sends.
export const early = (status, code, message = code) => ({ name: `early ${status} ${code}`, async head(exchange) {
  await exchange.send({ status, headers: { "Content-Type": "application/xml" }, body: errorXml(code, message, exchange.entry), isLast: true });
  exchange.close();
} });

// Acted upon, and an error is said all the same.
export const errorAfter = (status, code, message = code) => ({ name: `${status} ${code} after acting`,
  change: (_, exchange) => failing(status, code, message)(exchange) });
export const late412 = () => errorAfter(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold");
export const conflict = () => retryable(409, "ConditionalRequestConflict", "The conditional request cannot succeed due to a conflicting operation against this resource.");

// 200 on the status line and the truth in the body, after spaces that kept the connection alive.
export const okWithError = (code = "InternalError") => ({ name: `200 with <Error> ${code}`, instead: ({ entry }) => ({ status: 200,
  headers: { "Content-Type": "application/xml" }, body: errorXml(code, "We encountered an internal error. Please try again.", entry).replace("?>\n", `?>\n${" ".repeat(64)}\n`) }) });
export const okWithNothing = () => ({ name: "200 with no body", instead: () => ({ status: 200, body: "" }) });
export const okWithGarbage = () => ({ name: "200 with garbage", instead: () => ({ status: 200, headers: { "Content-Type": "application/xml" },
  body: Buffer.from("<CompleteMultipartUploadResult><ETag>\xff\xfe&nothing;</ETag", "latin1") }) });

// { host, path }: where to; the same path elsewhere when only a host is given.
export const redirect = (status, location, { region, endpoint } = {}) => ({ name: `${status} to ${location}`, instead: ({ entry }) => ({ status,
  headers: { "Content-Type": "application/xml", Location: location.includes("/", 8) ? location : location + entry.target, "x-amz-bucket-region": region },
  body: errorXml(status === 307 ? "TemporaryRedirect" : "PermanentRedirect", "The bucket you are attempting to access must be addressed using the specified endpoint.",
    entry, endpoint ? { Endpoint: endpoint } : {}) }) });

// The tag of what was stored, in the header, in the body of a completed upload, in a JSON resource.
const spoilTag = (name, spoil) => ({ name, change: (answered) => ({ ...answered,
  headers: Object.fromEntries(Object.entries(answered.headers ?? {}).flatMap(([key, value]) => (key.toLowerCase() === "etag" ? spoil(key, value) : [[key, value]]))),
  body: typeof answered.body !== "string" ? answered.body : answered.body
    .replace(/<ETag>([^<]*)<\/ETag>/, (_, value) => spoil("", value).map(([, spoiled]) => `<ETag>${spoiled}</ETag>`).join(""))
    .replace(/"md5Hash":"([^"]*)",?/, (_, value) => spoil("", value).map(([, spoiled]) => `"md5Hash":"${spoiled}",`).join("")) }) });
export const wrongEtag = () => spoilTag("wrong ETag", (key, value) => [[key, value.replace(/[0-9a-zA-Z+/]{8}/, "00c0ffee")]]);
export const missingEtag = () => spoilTag("missing ETag", () => []);

// One bit of what is stored differs from what was sent; the tag in the reply is the true one of the damaged bytes.
export const damageStored = () => ({ name: "damaged in the store", async change(answered, { rig, entry }) {
  const etag = await rig.damage(entry);
  return etag ? { ...answered, headers: { ...answered.headers, ETag: etag } } : answered;
} });

// As a rule of the bucket's life cycle does: the upload is gone.
export const noSuchUpload = () => ({ name: "NoSuchUpload", instead(exchange) {
  const { entry, rig } = exchange;
  rig.dropUpload(entry.bucket, entry.query.get("uploadId") ?? entry.query.get("upload_id"));
  return entry.isJson ? failing(404, "notFound", "Not Found")(exchange)
    : failing(404, "NoSuchUpload", "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.")(exchange);
} });

// Of a chunk of a resumable upload only so many bytes are kept; the reply says so.
export const keepOnly = (bytes) => ({ name: `keep ${bytes} bytes of the chunk`, read({ entry, rig }) {
  rig.sessions.get(entry.query.get("upload_id")).keepNext = bytes;
} });

const laughs = () => ["<!DOCTYPE l [", '<!ENTITY a0 "ha">', ...Array.from({ length: 30 }, (_, index) => `<!ENTITY a${index + 1} "&a${index};&a${index};">`),
  "]>", "<CompleteMultipartUploadResult><ETag>&a30;</ETag></CompleteMultipartUploadResult>"].join("\n");
const xmlReply = (name, make) => ({ name, instead: () => ({ status: 200, headers: { "Content-Type": "application/xml" }, body: make() }) });
export const xmlBomb = () => xmlReply("XML bomb", () => `<?xml version="1.0"?>\n${laughs()}`);
export const xmlDoctype = (url) => xmlReply("XML with an external entity", () =>
  `<?xml version="1.0"?>\n<!DOCTYPE r [<!ENTITY x SYSTEM "${url}">]>\n<CompleteMultipartUploadResult><ETag>&x;</ETag></CompleteMultipartUploadResult>`);
export const xmlDeep = (depth = 10_000) => xmlReply("deep XML", () => `<?xml version="1.0"?>\n${"<a>".repeat(depth)}${"</a>".repeat(depth)}`);

// entry.replyBytes tells how much the client took of it.
export const hugeReply = (bytes = GIGABYTE, status = 200) => ({ name: `${status} of ${bytes} bytes`, instead: () => ({ status, headers: { "Content-Type": "application/xml" },
  length: bytes, body: spaces(bytes) }) });
export const endlessReply = (status = 200) => ({ name: `${status} without an end`, instead: () => ({ status, headers: { "Content-Type": "application/xml" }, body: spaces(GIGABYTE) }) });

async function* spaces(bytes) {
  const block = Buffer.alloc(65536, 32);
  for (let left = bytes; left > 0; left -= block.length) yield block.subarray(0, Math.min(left, block.length));
}

export const hugeHead = (bytes = 16 * 1024 * 1024) => ({ name: `head of ${bytes} bytes`, async send(exchange) {
  await exchange.write("HTTP/1.1 200 OK\r\n");
  const line = `X-Filler: ${"x".repeat(8000)}\r\n`;
  for (let sent = 0; sent < bytes && !exchange.socket.destroyed; sent += line.length) await exchange.write(line);
  await exchange.write("\r\n");
  exchange.close();
} });
export const garbage = (text = "SSH-2.0-OpenSSH_9.2\r\n") => ({ name: "no HTTP", async send(exchange) {
  await exchange.write(text);
  exchange.close();
} });
