// SPDX-License-Identifier: Apache-2.0
// The rigs of lib/clouds.mjs themselves: a scripted server that is too kind would let any client pass.
import assert from "node:assert/strict";
import { createHash, createHmac, randomBytes, sign } from "node:crypto";
import net from "node:net";
import { after, before, beforeEach, describe, test } from "node:test";

import { behaviours, exchange, Gcs, Imds, Keys, makeAuthority, policies, presign, Proxy, readMail, Rig, S3, S3Client, scopes, signHeaders, Sink, stopClouds, Sts,
  dialects } from "./lib/clouds.mjs";
import { canonicalRequest, EMPTY_SHA256, signature } from "./lib/clouds/sigv4.mjs";
import { childText, readXml } from "./lib/clouds/xml.mjs";

const MIB = 1024 * 1024;
const code = (reply) => /<Code>([^<]*)<\/Code>/.exec(reply.text)?.[1];
const md5 = (bytes) => createHash("md5").update(bytes).digest("hex");
const expect = (reply, status, wanted) => assert.deepEqual([reply.status, code(reply)], [status, wanted], reply.text.slice(0, 500));

after(stopClouds);

// The examples that AWS publishes with its rules.
describe("signatures", () => {
  const secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
  const host = "examplebucket.s3.amazonaws.com";
  const date = "20130524T000000Z";
  const signed = ({ payloadHash = EMPTY_SHA256, headers, path, query = new Map(), method = "GET" }) => {
    const names = Object.keys(headers).sort();
    return signature({ canonical: canonicalRequest({ method, path, query, headers, names, payloadHash }), secret, date, region: "us-east-1", service: "s3" });
  };
  const base = { host, "x-amz-content-sha256": EMPTY_SHA256, "x-amz-date": date };

  test("the published examples of header signatures", () => {
    assert.equal(signed({ path: "/test.txt", headers: { ...base, range: "bytes=0-9" } }), "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
    const payloadHash = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
    assert.equal(signed({ method: "PUT", path: "/test%24file.text", payloadHash, headers: { ...base, "x-amz-content-sha256": payloadHash,
      date: "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY" } }), "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
    assert.equal(signed({ path: "/", query: new Map([["lifecycle", ""]]), headers: base }), "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
    assert.equal(signed({ path: "/", query: new Map([["max-keys", "2"], ["prefix", "J"]]), headers: base }), "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
  });

  test("the published example of a pre-signed URL", () => {
    const url = presign({ url: `https://${host}/test.txt`, key: { keyId: "AKIAIOSFODNN7EXAMPLE", secret }, now: Date.UTC(2013, 4, 24), expiresS: 86_400 });
    assert.match(url, /X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404$/);
  });
});

describe("S3", () => {
  let s3, key, client, bucket;

  before(async () => {
    s3 = await S3.start({ domain: "s3.example" });
    key = s3.keys.add({ principal: "user/one" });
    client = new S3Client({ endpoint: s3.endpoint, key });
  });
  beforeEach(() => {
    s3.faults.clear();
    s3.clearLog();
    bucket = s3.makeBucket("bucket");
  });

  async function upload(name, sizes, headers) {
    const id = await client.beginUpload("bucket", name, headers);
    const bytes = sizes.map((size, index) => Buffer.alloc(size, index + 1));
    const etags = [];
    for (const [index, part] of bytes.entries()) etags.push(await client.uploadPart("bucket", name, id, index + 1, part));
    return { id, etags, bytes: Buffer.concat(bytes) };
  }

  test("an object comes back as it was put, with tag, type and metadata", async () => {
    const bytes = randomBytes(3 * MIB);
    const put = await client.put("bucket", "a b/ü=&+.csv", bytes, { "content-type": "text/csv", "x-amz-meta-sha256": "abc" });
    assert.equal(put.headers.etag, `"${md5(bytes)}"`);
    const got = await client.must("GET", "bucket/a b/ü=&+.csv");
    assert.ok(got.body.equals(bytes));
    assert.deepEqual([got.headers["content-type"], got.headers["x-amz-meta-sha256"]], ["text/csv", "abc"]);
    assert.ok((await client.must("GET", "bucket/a b/ü=&+.csv", { headers: { range: "bytes=5-1048580" } })).body.equals(bytes.subarray(5, 1048581)));
    const head = await client.must("HEAD", "bucket/a b/ü=&+.csv");
    assert.deepEqual([head.headers["content-length"], head.body.length], [String(bytes.length), 0]);
    assert.deepEqual(bucket.keys, ["a b/ü=&+.csv"]);
    bucket.assertWrittenOnce();
    await client.put("bucket", "a b/ü=&+.csv", "again");
    assert.throws(() => bucket.assertWrittenOnce());
  });

  test("signatures: anything changed is refused", async () => {
    const url = `${s3.endpoint}/bucket/x?uploads=`;
    const good = (more) => signHeaders({ method: "POST", url, key, ...more });
    const send = (headers, { method = "POST", at = url, body = "" } = {}) => exchange(at, { method, headers, body });
    expect(await send({}), 403, "AccessDenied");
    expect(await send(good({ key: { ...key, secret: "x" } })), 403, "SignatureDoesNotMatch");
    expect(await send(good({ key: { ...key, keyId: "AKIANOBODY" } })), 403, "InvalidAccessKeyId");
    expect(await send(good({ region: "eu-west-1" })), 400, "AuthorizationHeaderMalformed");
    expect(await send(good({ service: "sts" })), 400, "AuthorizationHeaderMalformed");
    expect(await send(good({ now: Date.now() - 16 * 60_000 })), 403, "RequestTimeTooSkewed");
    expect(await send(good({ now: Date.now() + 16 * 60_000 })), 403, "RequestTimeTooSkewed");
    expect(await send({ ...good(), "x-amz-meta-more": "1" }), 403, "AccessDenied");
    expect(await send(good({ headers: { "x-amz-meta-more": "1" } }), { at: `${s3.endpoint}/bucket/y?uploads=` }), 403, "SignatureDoesNotMatch");
    expect(await send({ ...good({ headers: { "x-amz-meta-more": "1" } }), "x-amz-meta-more": "2" }), 403, "SignatureDoesNotMatch");
    const { "x-amz-content-sha256": _, ...without } = good();
    expect(await send(without), 400, "InvalidRequest");
    expect(await send(good({ body: "other" })), 400, "XAmzContentSHA256Mismatch");
    expect(await exchange(`${s3.endpoint}/bucket/x`, { method: "PUT", body: "damaged", headers: signHeaders({ method: "PUT", url: `${s3.endpoint}/bucket/x`, key, body: "intact!" }) }),
      400, "XAmzContentSHA256Mismatch");
    assert.equal(bucket.uploads.size, 0);
    assert.equal((await send(good())).status, 200);
    s3.assertSound();
  });

  test("session credentials need their token and end", async () => {
    const session = s3.keys.addSession({ principal: "role/x", expiresAtMs: Date.now() + 60_000 });
    const put = (as) => client.call("PUT", "bucket/s", { body: "1", key: as });
    assert.equal((await put(session)).status, 200);
    expect(await put({ ...session, token: undefined }), 403, "InvalidAccessKeyId");
    expect(await put({ ...session, token: "other" }), 400, "InvalidToken");
    s3.keys.expireSessions();
    expect(await put(session), 400, "ExpiredToken");
  });

  test("pre-signed URLs open one object until they expire", async () => {
    bucket.put("file", "content");
    const url = `${s3.endpoint}/bucket/file`;
    const get = (options) => exchange(presign({ url, key, ...options }));
    assert.equal((await get()).text, "content");
    expect(await get({ now: Date.now() - 3601_000 }), 403, "AccessDenied");
    expect(await get({ expiresS: 604_801 }), 400, "AuthorizationQueryParametersError");
    expect(await exchange(presign({ url, key }).replace("/file", "/other")), 403, "SignatureDoesNotMatch");
    expect(await exchange(presign({ url, key }), { method: "DELETE" }), 403, "SignatureDoesNotMatch");
  });

  test("lengths, digests and unknown calls", async () => {
    const chunked = { method: "PUT", headers: signHeaders({ method: "PUT", url: `${s3.endpoint}/bucket/x`, key, payloadHash: "UNSIGNED-PAYLOAD" }), body: (async function* () {
      yield Buffer.from("x");
    })() };
    expect(await exchange(`${s3.endpoint}/bucket/x`, chunked), 411, "MissingContentLength");
    const put = (headers) => client.call("PUT", "bucket/x", { body: "abc", headers });
    expect(await put({ "content-md5": Buffer.from(md5("abd"), "hex").toString("base64") }), 400, "BadDigest");
    expect(await put({ "content-md5": "x" }), 400, "InvalidDigest");
    expect(await put({ "x-amz-checksum-sha256": createHash("sha256").update("abd").digest("base64") }), 400, "BadDigest");
    assert.equal((await put({ "content-md5": Buffer.from(md5("abc"), "hex").toString("base64") })).status, 200);
    expect(await client.call("PUT", "bucket/x", { query: { tagging: "" }, body: "abc" }), 400, "InvalidArgument");
    expect(await client.call("POST", "bucket/x", {}), 501, "NotImplemented");
    expect(await client.call("PUT", `bucket/${"k".repeat(1025)}`, { body: "" }), 400, "KeyTooLongError");
    expect(await client.call("PUT", "other/x", { body: "" }), 404, "NoSuchBucket");
  });

  test("an upload in parts: tags, order, sizes, completing once", async () => {
    const { id, etags, bytes } = await upload("big", [5 * MIB, 6 * MIB, 1]);
    expect(await client.complete("bucket", "other", id, etags), 404, "NoSuchUpload");
    expect(await client.complete("bucket", "big", id, [etags[0], etags[2], etags[1]]), 400, "InvalidPart");
    expect(await client.complete("bucket", "big", id, [...etags, etags[0]]), 400, "InvalidPart");
    expect(await client.complete("bucket", "big", id, []), 400, "MalformedXML");
    expect(await client.call("POST", "bucket/big", { query: { uploadId: id }, body: "<CompleteMultipartUpload><Part>" }), 400, "MalformedXML");
    const part = (number, etag) => `<Part><PartNumber>${number}</PartNumber><ETag>${etag}</ETag></Part>`;
    expect(await client.call("POST", "bucket/big", { query: { uploadId: id }, body: `<CompleteMultipartUpload>${part(2, etags[1])}${part(1, etags[0])}</CompleteMultipartUpload>` }),
      400, "InvalidPartOrder");
    assert.deepEqual([bucket.keys, bucket.uploads.size], [[], 1]);
    const done = await client.complete("bucket", "big", id, etags);
    const sum = md5(Buffer.concat(etags.map((etag) => Buffer.from(etag.replaceAll('"', ""), "hex"))));
    assert.equal(childText(done.xml, "ETag"), `"${sum}-3"`);
    assert.ok((await client.get("bucket", "big")).equals(bytes));
    bucket.assertNothingOpen();
    expect(await client.complete("bucket", "big", id, etags), 404, "NoSuchUpload");

    const small = await upload("small", [5 * MIB - 1, 1]);
    expect(await client.complete("bucket", "small", small.id, small.etags), 400, "EntityTooSmall");
    assert.throws(() => bucket.assertNothingOpen());
    assert.equal((await client.call("DELETE", "bucket/small", { query: { uploadId: small.id } })).status, 204);
    expect(await client.call("DELETE", "bucket/small", { query: { uploadId: small.id } }), 404, "NoSuchUpload");
    expect(await client.call("PUT", "bucket/small", { query: { uploadId: small.id, partNumber: 10_001 }, body: "" }), 400, "InvalidArgument");
  });

  test("a part that is sent again counts as it was sent last", async () => {
    const { id, etags } = await upload("again", [5 * MIB, 5]);
    const other = await client.uploadPart("bucket", "again", id, 1, Buffer.alloc(5 * MIB, 9));
    expect(await client.complete("bucket", "again", id, etags), 400, "InvalidPart");
    assert.equal((await client.complete("bucket", "again", id, [other, etags[1]])).status, 200);
    assert.equal((await client.get("bucket", "again"))[0], 9);
  });

  test("checksums of parts are demanded when they were announced", async () => {
    const id = await client.beginUpload("bucket", "sums", { "x-amz-checksum-algorithm": "SHA256" });
    expect(await client.call("PUT", "bucket/sums", { query: { partNumber: 1, uploadId: id }, body: "x" }), 400, "InvalidRequest");
    const sum = createHash("sha256").update("x").digest("base64");
    const etag = await client.uploadPart("bucket", "sums", id, 1, "x", { "x-amz-checksum-sha256": sum });
    expect(await client.complete("bucket", "sums", id, [etag]), 400, "InvalidPart");
    const body = `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>${etag}</ETag><ChecksumSHA256>${sum}</ChecksumSHA256></Part></CompleteMultipartUpload>`;
    assert.equal((await client.call("POST", "bucket/sums", { query: { uploadId: id }, body })).status, 200);
  });

  test("If-None-Match on PUT and Complete, as each kind of store takes it", async () => {
    const put = () => client.call("PUT", "bucket/once", { body: "x", headers: { "if-none-match": "*" } });
    assert.equal((await put()).status, 200);
    expect(await put(), 412, "PreconditionFailed");
    const { id, etags } = await upload("once", [1]);
    const complete = () => client.complete("bucket", "once", id, etags, { "if-none-match": "*" });
    expect(await complete(), 412, "PreconditionFailed");
    s3.conditions = "refused";
    expect(await put(), 501, "NotImplemented");
    s3.conditions = "put";
    expect(await put(), 412, "PreconditionFailed");
    assert.equal((await complete()).status, 200);
    s3.conditions = "all";
    expect(await client.call("PUT", "bucket/once", { body: "x", headers: { "if-none-match": '"tag"' } }), 501, "NotImplemented");
  });

  test("policies: what is not allowed is denied, and hidden from who may not list", async () => {
    bucket.put("there", "x");
    bucket.policy = policies.putOnly;
    assert.equal((await client.call("PUT", "bucket/new", { body: "x" })).status, 200);
    expect(await client.call("GET", "bucket/there"), 403, "AccessDenied");
    assert.equal((await client.call("HEAD", "bucket/there")).status, 403);
    expect(await client.call("DELETE", "bucket/there"), 403, "AccessDenied");
    expect(await client.call("GET", "bucket", { query: { "list-type": 2 } }), 403, "AccessDenied");
    const id = await client.beginUpload("bucket", "parts");
    expect(await client.call("DELETE", "bucket/parts", { query: { uploadId: id } }), 403, "AccessDenied");
    bucket.policy = policies.noList;
    assert.equal((await client.call("HEAD", "bucket/absent")).status, 403);
    bucket.policy = policies.all;
    assert.equal((await client.call("HEAD", "bucket/absent")).status, 404);
    bucket.policy = policies.by("user/other", policies.all);
    expect(await client.call("PUT", "bucket/new", { body: "x" }), 403, "AccessDenied");
    bucket.policy = policies.below("mine/");
    expect(await client.call("PUT", "bucket/new", { body: "x" }), 403, "AccessDenied");
    assert.equal((await client.call("PUT", "bucket/mine/new", { body: "x" })).status, 200);
  });

  test("write-once buckets, buckets that demand the condition, encrypted buckets", async () => {
    s3.makeBucket("worm", { isWriteOnce: true });
    assert.equal((await client.call("PUT", "worm/a", { body: "x" })).status, 200);
    expect(await client.call("PUT", "worm/a", { body: "x" }), 403, "AccessDenied");
    expect(await client.call("DELETE", "worm/a"), 403, "AccessDenied");
    s3.makeBucket("careful", { requiresIfNoneMatch: true });
    expect(await client.call("PUT", "careful/a", { body: "x" }), 403, "AccessDenied");
    assert.equal((await client.call("PUT", "careful/a", { body: "x", headers: { "if-none-match": "*" } })).status, 200);
    s3.makeBucket("kms", { encryption: "aws:kms" });
    const put = await client.put("kms", "a", "x");
    assert.notEqual(put.headers.etag, `"${md5("x")}"`);
    assert.equal(put.headers["x-amz-server-side-encryption"], "aws:kms");
  });

  test("lists in pages, by prefix and delimiter, encoded", async () => {
    for (const name of ["a/1", "a/2", "a/b/3", "b", "c d&é"]) bucket.put(name, name);
    const list = async (query) => (await client.must("GET", "bucket", { query: { "list-type": 2, ...query } })).xml;
    const names = (xml, kind, tag) => xml.children.filter(({ name }) => name === kind).map((child) => childText(child, tag));
    assert.deepEqual((await client.list("bucket")).map((one) => one.key), ["a/1", "a/2", "a/b/3", "b", "c d&é"]);
    const grouped = await list({ prefix: "a/", delimiter: "/" });
    assert.deepEqual([names(grouped, "Contents", "Key"), names(grouped, "CommonPrefixes", "Prefix")], [["a/1", "a/2"], ["a/b/"]]);
    const first = await list({ "max-keys": 2 });
    assert.deepEqual([childText(first, "IsTruncated"), names(first, "Contents", "Key")], ["true", ["a/1", "a/2"]]);
    const second = await list({ "max-keys": 2, "continuation-token": childText(first, "NextContinuationToken") });
    assert.deepEqual(names(second, "Contents", "Key"), ["a/b/3", "b"]);
    assert.deepEqual(names(await list({ "encoding-type": "url", "start-after": "b" }), "Contents", "Key"), ["c%20d%26%C3%A9"]);
    for (let index = 0; index < 3; index++) await client.beginUpload("bucket", `up${index}`);
    assert.deepEqual((await client.openUploads("bucket")).map((one) => one.key), ["up0", "up1", "up2"]);
    const page = (await client.must("GET", "bucket", { query: { uploads: "", "max-uploads": 2 } })).xml;
    const next = (await client.must("GET", "bucket", { query: { uploads: "", "key-marker": childText(page, "NextKeyMarker"), "upload-id-marker": childText(page, "NextUploadIdMarker") } })).xml;
    assert.deepEqual(names(next, "Upload", "Key"), ["up2"]);
    const body = "<Delete><Object><Key>a/1</Key></Object><Object><Key>b</Key></Object></Delete>";
    expect(await client.call("POST", "bucket", { query: { delete: "" }, body }), 400, "InvalidRequest");
    await client.must("POST", "bucket", { query: { delete: "" }, body, headers: { "content-md5": createHash("md5").update(body).digest("base64") } });
    assert.deepEqual(bucket.keys, ["a/2", "a/b/3", "c d&é"]);
  });

  test("virtual-host style", async () => {
    bucket.put("file", "content");
    const url = "http://bucket.s3.example/file";
    const reply = await exchange(`${s3.endpoint}/file`, { headers: { ...signHeaders({ method: "GET", url, key }), host: "bucket.s3.example" } });
    assert.equal(reply.text, "content");
    assert.equal(s3.log.at(-1).style, "virtual");
  });

  test("a bucket of another region", async () => {
    s3.makeBucket("far", { region: "eu-central-1" });
    const reply = await client.call("PUT", "far/x", { body: "x" });
    expect(reply, 400, "AuthorizationHeaderMalformed");
    assert.match(reply.text, /<Region>eu-central-1<\/Region>/);
    assert.equal((await new S3Client({ endpoint: s3.endpoint, key, region: "eu-central-1" }).call("PUT", "far/x", { body: "x" })).status, 200);
  });

  test("what is large is kept in a file and comes back", async () => {
    const { id, etags, bytes } = await upload("large", [9 * MIB, 9 * MIB, 3]);
    await client.complete("bucket", "large", id, etags);
    assert.ok((await client.get("bucket", "large")).equals(bytes));
    assert.equal(bucket.objects.get("large").content.sha256, createHash("sha256").update(bytes).digest("hex"));
  });
});

describe("faults", () => {
  let s3, client, bucket;
  const put = (name = "x", body = "content") => client.call("PUT", `bucket/${name}`, { body });
  const rejected = async (promise, pattern) => assert.rejects(promise, pattern);

  before(async () => {
    s3 = await S3.start();
    client = new S3Client({ endpoint: s3.endpoint, key: s3.keys.add() });
  });
  beforeEach(() => {
    s3.faults.clear();
    s3.clearLog();
    bucket = s3.makeBucket("bucket");
  });

  test("come at the request that was named, as often as was said", async () => {
    s3.faults.add(2, behaviours.internalError());
    s3.faults.add("PutObject", behaviours.slowDown(), { times: 2, skip: 2 });
    s3.faults.add({ method: "PUT", query: { x: true } }, behaviours.tooMany());
    const seen = [];
    for (let index = 0; index < 6; index++) seen.push((await put()).status);
    assert.deepEqual(seen, [200, 500, 200, 503, 503, 200]);
    assert.throws(() => s3.faults.assertAllHit(), /429/);
    assert.throws(() => s3.faults.add("PutObjekt", behaviours.slowDown()), /PutObjekt is not one of/);
    assert.throws(() => s3.faults.add({ metod: "PUT" }, behaviours.slowDown()), /no such condition/);
    assert.throws(() => s3.faults.add(1, undefined), /no behaviour/);
  });

  test("before acting, nothing is stored; after acting, all of it", async () => {
    for (const [name, behaviour, isStored] of [["a", behaviours.closedBefore(), false], ["b", behaviours.closedAfter(), true], ["c", behaviours.resetInRequest(), false],
      ["d", behaviours.resetInRequest(3), false], ["e", behaviours.resetInReply(), true], ["f", behaviours.resetInReply(30), true],
      ["g", behaviours.truncatedReply(), true], ["h", behaviours.resetInRequest(1e6), false]]) {
      s3.faults.add({ key: name }, behaviour);
      await rejected(put(name), undefined, behaviour.name);
      const entry = s3.log.at(-1);
      assert.deepEqual([entry.fault, bucket.objects.has(name), entry.isApplied], [behaviour.name, isStored, isStored], behaviour.name);
    }
    s3.faults.assertAllHit();
    s3.assertSound();
  });

  test("a body that is cut tells its length and does not end well", async () => {
    bucket.put("big", Buffer.alloc(100_000));
    s3.faults.add("GetObject", behaviours.truncatedReply());
    await rejected(client.get("bucket", "big"), /cut|aborted/);
    const socket = net.connect(s3.port, "127.0.0.1");
    const request = new URL(presign({ url: `${s3.endpoint}/bucket/big`, key: client.key }));
    s3.faults.add("GetObject", behaviours.truncatedReply());
    socket.write(`GET ${request.pathname}${request.search} HTTP/1.1\r\nHost: ${request.host}\r\n\r\n`);
    let text = "";
    for await (const chunk of socket) text += chunk.toString("latin1");
    const [head, body] = [text.slice(0, text.indexOf("\r\n\r\n")), text.slice(text.indexOf("\r\n\r\n") + 4)];
    assert.match(head, /Content-Length: 100000/);
    assert.equal(body.length, 50_000);
  });

  test("stalls last until the client gives up, which is measured", async () => {
    for (const behaviour of [behaviours.stallBefore(), behaviours.stallAfter(), behaviours.stallInReply(), behaviours.stallUnread()]) {
      s3.faults.add("PutObject", behaviour);
      const url = `${s3.endpoint}/bucket/x`;
      await rejected(exchange(url, { method: "PUT", body: "x", headers: signHeaders({ method: "PUT", url, body: "x", key: client.key }), timeoutMs: 200 }), /no reply|cut/);
      const entry = s3.log.at(-1);
      for (let round = 0; round < 100 && entry.gaveUpAfterMs === undefined; round++) await new Promise((done) => setTimeout(done, 10));
      assert.ok(entry.gaveUpAfterMs >= 150 && entry.gaveUpAfterMs < 2000, `${behaviour.name} ${entry.gaveUpAfterMs}`);
    }
  });

  test("tags: wrong, missing, of damaged bytes", async () => {
    s3.faults.add("PutObject", behaviours.wrongEtag());
    s3.faults.add("PutObject", behaviours.missingEtag());
    s3.faults.add("PutObject", behaviours.damageStored());
    const good = `"${md5("content")}"`;
    const wrong = (await put()).headers.etag;
    assert.match(wrong, /^"[0-9a-f]{32}"$/);
    assert.notEqual(wrong, good);
    assert.equal((await put()).headers.etag, undefined);
    const damaged = (await put("damaged")).headers.etag;
    assert.notEqual(damaged, good);
    assert.equal(damaged, `"${md5(await bucket.bytes("damaged"))}"`);
    assert.equal((await put()).headers.etag, good);
    const id = await client.beginUpload("bucket", "parts");
    s3.faults.add("UploadPart", behaviours.damageStored());
    s3.faults.add("CompleteMultipartUpload", behaviours.wrongEtag());
    s3.faults.add("CompleteMultipartUpload", behaviours.missingEtag());
    const etag = await client.uploadPart("bucket", "parts", id, 1, "content");
    assert.notEqual(etag, good);
    assert.match((await client.complete("bucket", "parts", id, [etag])).text, /<ETag>&quot;00c0ffee/);
    const second = await client.beginUpload("bucket", "parts2");
    assert.doesNotMatch((await client.complete("bucket", "parts2", second, [await client.uploadPart("bucket", "parts2", second, 1, "x")])).text, /ETag/);
    s3.faults.assertAllHit();
  });

  test("a duplicate reply is two replies on the connection", async () => {
    s3.faults.add("PutObject", behaviours.duplicateReply());
    const socket = net.connect(s3.port, "127.0.0.1");
    const url = `${s3.endpoint}/bucket/x`;
    const headers = Object.entries(signHeaders({ method: "PUT", url, body: "x", key: client.key })).map(([name, value]) => `${name}: ${value}\r\n`).join("");
    socket.write(`PUT /bucket/x HTTP/1.1\r\nHost: ${s3.authority}\r\nContent-Length: 1\r\n${headers}\r\nx`);
    let text = "";
    socket.on("data", (chunk) => (text += chunk));
    await new Promise((done) => setTimeout(done, 150));
    socket.destroy();
    assert.equal(text.split("HTTP/1.1 200 OK").length, 3, text);
  });

  test("errors in the body of a 200, late 412, an upload that is gone", async () => {
    const id = await client.beginUpload("bucket", "parts");
    const etag = await client.uploadPart("bucket", "parts", id, 1, "content");
    s3.faults.add("CompleteMultipartUpload", behaviours.okWithError());
    const lying = await client.complete("bucket", "parts", id, [etag]);
    expect(lying, 200, "InternalError");
    readXml(lying.text);
    assert.equal(bucket.objects.has("parts"), false);
    s3.faults.add("CompleteMultipartUpload", behaviours.late412());
    expect(await client.complete("bucket", "parts", id, [etag]), 412, "PreconditionFailed");
    assert.equal(bucket.objects.has("parts"), true);
    const second = await client.beginUpload("bucket", "parts2");
    s3.faults.add("UploadPart", behaviours.noSuchUpload());
    for (let round = 0; round < 2; round++)
      expect(await client.call("PUT", "bucket/parts2", { query: { partNumber: 1, uploadId: second }, body: "x" }), 404, "NoSuchUpload");
    bucket.assertNothingOpen();
  });

  test("redirects, bombs, endless bodies, garbage", async () => {
    s3.faults.add("PutObject", behaviours.redirect(307, "http://169.254.169.254/latest/meta-data/", { region: "eu-west-1" }));
    const redirected = await put();
    assert.deepEqual([redirected.status, redirected.headers.location, redirected.headers["x-amz-bucket-region"]], [307, "http://169.254.169.254/latest/meta-data/", "eu-west-1"]);
    s3.faults.add("PutObject", behaviours.redirect(301, "http://other.example"));
    assert.equal((await put()).headers.location, "http://other.example/bucket/x");
    s3.faults.add("PutObject", behaviours.xmlBomb());
    assert.match((await put()).text, /<!ENTITY a30/);
    s3.faults.add("PutObject", behaviours.xmlDeep());
    assert.equal((await put()).text.split("<a>").length, 10_001);
    s3.faults.add("PutObject", behaviours.hugeReply());
    await takeSome("PUT", "Content-Length: 1073741824");
    s3.faults.add("PutObject", behaviours.endlessReply());
    await takeSome("PUT", "Transfer-Encoding: chunked");
    s3.faults.add("PutObject", behaviours.garbage());
    await rejected(put(), /Parse Error/);
    s3.faults.add("PutObject", behaviours.hugeHead());
    await rejected(put(), /Header|overflow|EPIPE|ECONNRESET/);
    s3.faults.assertAllHit();
  });

  // Takes a megabyte and hangs up: the rig does not go on.
  async function takeSome(method, header) {
    const url = `${s3.endpoint}/bucket/x`;
    const socket = net.connect(s3.port, "127.0.0.1");
    const headers = Object.entries(signHeaders({ method, url, body: "x", key: client.key })).map(([name, value]) => `${name}: ${value}\r\n`).join("");
    socket.write(`${method} /bucket/x HTTP/1.1\r\nHost: ${s3.authority}\r\nContent-Length: 1\r\n${headers}\r\nx`);
    let bytes = Buffer.alloc(0);
    for await (const chunk of socket) {
      bytes = Buffer.concat([bytes, chunk]);
      if (bytes.length > MIB) break; // destroys the socket
    }
    assert.ok(bytes.subarray(0, 500).toString("latin1").includes(header));
    await new Promise((done) => setTimeout(done, 100));
    assert.ok(s3.log.at(-1).replyBytes < 64 * MIB, "it does not write a gigabyte to who has gone");
  }

  test("early errors come before the body", async () => {
    s3.faults.add("PutObject", behaviours.early(403, "AccessDenied"));
    expect(await put("x", "short"), 403, "AccessDenied");
    assert.equal(s3.log.at(-1).bodyBytes, 0);
  });

  test("what is no HTTP fails the rig's own check", async () => {
    const strict = await Rig.start();
    for (const bad of ["GET /\r\n\r\n", "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", "GET / HTTP/1.1\r\n\r\n",
      "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nX : 1\r\n\r\n", "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n"]) {
      strict.failure = undefined;
      const socket = net.connect(strict.port, "127.0.0.1");
      socket.end(bad);
      let text = "";
      for await (const chunk of socket) text += chunk;
      assert.match(text, /^HTTP\/1\.1 400/, bad);
      assert.throws(() => strict.assertSound(), bad);
    }
  });
});

describe("TLS and proxies", () => {
  test("certificates: good, expired, of another name, of nobody", async () => {
    const authority = makeAuthority();
    const { readFileSync } = await import("node:fs");
    const ca = readFileSync(authority.file);
    for (const [options, trusted, pattern] of [[{}, ca, undefined], [{ days: -1 }, ca, /expired/], [{ names: ["other.example"] }, ca, /altnames|Hostname/], [{}, undefined, /self.signed|unable to verify|local issuer/]]) {
      const sink = await Sink.start({ certificate: authority.issue(options) });
      const call = exchange(`${sink.endpoint}/hook`, { method: "POST", body: "{}", ca: trusted });
      if (pattern) await assert.rejects(call, pattern);
      else assert.equal((await call).status, 204);
      assert.equal(sink.deliveries.length, pattern ? 0 : 1);
      await sink.stop();
    }
  });

  test("a proxy takes names to rigs, in absolute form and by CONNECT", async () => {
    const authority = makeAuthority();
    const s3 = await S3.start({ domain: "s3.eu-central-1.amazonaws.com" });
    s3.makeBucket("bucket").put("file", "content");
    const key = s3.keys.add();
    const secure = await Sink.start({ certificate: authority.issue({ names: ["hooks.example"] }) });
    const proxy = await Proxy.start({ routes: [[/\.amazonaws\.com$/, s3], ["hooks.example:443", secure]] });
    const url = "http://bucket.s3.eu-central-1.amazonaws.com/file";
    const viaProxy = (target, headers) => exchange(`${proxy.endpoint}/`, { headers: { ...headers, host: new URL(target).host }, connect: { path: target } });
    assert.equal((await viaProxy(url, signHeaders({ method: "GET", url, key }))).text, "content");
    assert.equal(s3.requests("GetObject").length, 1);
    s3.faults.add("GetObject", behaviours.slowDown());
    assert.equal((await viaProxy(url, signHeaders({ method: "GET", url, key }))).status, 503);
    assert.equal((await viaProxy("http://nowhere.example/", {})).status, 502);

    const socket = net.connect(proxy.port, "127.0.0.1");
    socket.write("CONNECT hooks.example:443 HTTP/1.1\r\nHost: hooks.example:443\r\n\r\n");
    await new Promise((done) => socket.once("data", done));
    const tls = await import("node:tls");
    const { readFileSync } = await import("node:fs");
    const inner = tls.connect({ socket, servername: "hooks.example", ca: readFileSync(authority.file) });
    inner.write("POST /hook HTTP/1.1\r\nHost: hooks.example\r\nContent-Length: 2\r\n\r\n{}");
    const reply = await new Promise((done) => inner.once("data", (bytes) => done(String(bytes))));
    assert.match(reply, /^HTTP\/1\.1 204/);
    inner.destroy();
    assert.equal(secure.deliveries.length, 1);
  });
});

describe("STS and metadata", () => {
  const arn = "arn:aws:iam::123456789012:role/exports";
  let sts, keys, base;

  before(async () => {
    keys = new Keys();
    base = keys.add({ principal: "user/milkrun" });
    sts = await Sts.start({ keys });
    sts.makeRole(arn, { externalId: "ext-1", trusts: ["user/milkrun"] });
  });

  async function assume(form, { key = base, more = {} } = {}) {
    const body = new URLSearchParams({ Action: "AssumeRole", Version: "2011-06-15", RoleArn: arn, RoleSessionName: "milkrun", ExternalId: "ext-1", ...form }).toString();
    const url = `${sts.endpoint}/`;
    const headers = { "content-type": "application/x-www-form-urlencoded; charset=utf-8" };
    return exchange(url, { method: "POST", body, headers: signHeaders({ method: "POST", url, body, headers, key, service: "sts", ...more }) });
  }

  test("a role is assumed by who is trusted, with its external id", async () => {
    const reply = await assume({});
    assert.equal(reply.status, 200, reply.text);
    const credentials = readXml(reply.text).children.find(({ name }) => name === "AssumeRoleResult").children.find(({ name }) => name === "Credentials");
    const session = { keyId: childText(credentials, "AccessKeyId"), secret: childText(credentials, "SecretAccessKey"), token: childText(credentials, "SessionToken") };
    const s3 = await S3.start({ keys });
    s3.makeBucket("bucket", { policy: policies.by(arn, policies.all) });
    const client = new S3Client({ endpoint: s3.endpoint, key: session });
    assert.equal((await client.call("PUT", "bucket/x", { body: "x" })).status, 200);
    expect(await client.call("PUT", "bucket/x", { body: "x", key: base }), 403, "AccessDenied");
    for (const form of [{ ExternalId: "other" }, { RoleArn: "arn:aws:iam::123456789012:role/other" }]) expect(await assume(form), 403, "AccessDenied");
    expect(await assume({}, { key: keys.add({ principal: "user/else" }) }), 403, "AccessDenied");
    expect(await assume({ RoleArn: "role" }), 400, "ValidationError");
    expect(await assume({ RoleSessionName: "a b" }), 400, "ValidationError");
    expect(await assume({ DurationSeconds: "60" }), 400, "ValidationError");
    expect(await assume({ Action: "Other" }), 400, "InvalidAction");
    expect(await assume({}, { key: { ...base, secret: "x" } }), 403, "SignatureDoesNotMatch");
    expect(await assume({}, { more: { service: "s3" } }), 400, "AuthorizationHeaderMalformed");
    assert.equal(sts.sessions.length, 1);
  });

  test("an instance's credentials come only with a token of version 2", async () => {
    const imds = await Imds.start({ keys });
    const path = "/latest/meta-data/iam/security-credentials/";
    assert.equal((await exchange(imds.endpoint + path)).status, 401);
    assert.equal((await exchange(`${imds.endpoint}/latest/api/token`, { method: "PUT" })).status, 400);
    const token = (await exchange(`${imds.endpoint}/latest/api/token`, { method: "PUT", headers: { "X-aws-ec2-metadata-token-ttl-seconds": "60" } })).text;
    const headers = { "X-aws-ec2-metadata-token": token };
    const role = (await exchange(imds.endpoint + path, { headers })).text;
    const found = JSON.parse((await exchange(imds.endpoint + path + role, { headers })).text);
    assert.equal(found.Code, "Success");
    assert.equal(keys.find(found.AccessKeyId, found.Token, Date.now()).principal, "role/milkrun-instance");
    assert.equal((await exchange(imds.endpoint + path + role, { headers: { ...headers, "X-Forwarded-For": "1.2.3.4" } })).status, 403);
    assert.equal((await exchange(imds.containerUrl)).status, 200);
    imds.containerToken = "secret";
    assert.equal((await exchange(imds.containerUrl)).status, 401);
    assert.equal((await exchange(imds.containerUrl, { headers: { Authorization: "secret" } })).status, 200);
    imds.clockOffsetMs = 61_000;
    assert.equal((await exchange(imds.endpoint + path, { headers })).status, 401);
  });
});

describe("Google", () => {
  let gcs, account, bucket;
  const email = "writer@project.iam.gserviceaccount.com";
  const json = (reply) => JSON.parse(reply.text);

  before(async () => {
    gcs = await Gcs.start();
    account = gcs.tokens.makeAccount(email);
  });
  beforeEach(() => {
    gcs.faults.clear();
    gcs.clearLog();
    bucket = gcs.makeBucket("bucket");
  });

  function assertion(claims, { header = { alg: "RS256", typ: "JWT", kid: account.keyId }, privateKey = account.privateKey } = {}) {
    const now = Math.floor(Date.now() / 1000);
    const text = [header, { iss: email, aud: gcs.tokenUri, scope: scopes.write, iat: now, exp: now + 3600, ...claims }]
      .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
    return `${text}.${sign("RSA-SHA256", Buffer.from(text), privateKey).toString("base64url")}`;
  }

  const ask = (text) => exchange(gcs.tokenUri, { method: "POST", headers: { "content-type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams({ grant_type: "urn:ietf:params:oauth:grant-type:jwt-bearer", assertion: text }).toString() });
  const bearer = async (claims) => ({ Authorization: `Bearer ${json(await ask(assertion(claims))).access_token}` });

  test("assertions: signature, audience, times and scope are checked", async () => {
    assert.equal((await ask(assertion({}))).status, 200);
    const other = gcs.tokens.makeAccount("other@project.iam.gserviceaccount.com");
    const now = Math.floor(Date.now() / 1000);
    for (const [claims, options] of [[{}, { privateKey: other.privateKey }], [{ aud: "https://oauth2.googleapis.com/token" }], [{ exp: now - 1 }], [{ exp: now + 3700 }], [{ iat: now + 400 }],
      [{ scope: "" }], [{ scope: "https://example.com/x" }], [{ iss: "nobody@x" }], [{}, { header: { alg: "none", typ: "JWT" } }], [{}, { header: { alg: "RS256", typ: "JWT", kid: "x" } }]]) {
      const reply = await ask(assertion(claims, options));
      assert.equal(reply.status, 400, JSON.stringify(claims));
      assert.ok(json(reply).error);
    }
    assert.equal((await ask("a.b")).status, 400);
  });

  test("impersonation: only by who may", async () => {
    gcs.tokens.makeAccount("target@customer.iam.gserviceaccount.com", { impersonators: [email] });
    const generate = (target, headers, body = { scope: [scopes.write], lifetime: "3600s" }) => exchange(
      `${gcs.endpoint}/v1/projects/-/serviceAccounts/${target}:generateAccessToken`, { method: "POST", headers: { ...headers, "content-type": "application/json" }, body: JSON.stringify(body) });
    const cloud = await bearer({ scope: scopes.cloud });
    const reply = await generate("target@customer.iam.gserviceaccount.com", cloud);
    assert.equal(reply.status, 200, reply.text);
    assert.equal(gcs.tokens.list.get(json(reply).accessToken).email, "target@customer.iam.gserviceaccount.com");
    assert.ok(Date.parse(json(reply).expireTime) > Date.now());
    assert.equal((await generate("target@customer.iam.gserviceaccount.com", {})).status, 401);
    assert.equal((await generate("target@customer.iam.gserviceaccount.com", await bearer({}))).status, 403, "scope");
    assert.equal((await generate(email, cloud)).status, 403);
    assert.equal((await generate("target@customer.iam.gserviceaccount.com", cloud, { scope: [], lifetime: "3600s" })).status, 400);
    assert.equal((await generate("target@customer.iam.gserviceaccount.com", cloud, { scope: [scopes.write], lifetime: "7200s" })).status, 400);
  });

  async function begin(name, { query = "&ifGenerationMatch=0", body = {}, headers } = {}) {
    return exchange(`${gcs.endpoint}/upload/storage/v1/b/bucket/o?uploadType=resumable&name=${encodeURIComponent(name)}${query}`,
      { method: "POST", headers: { ...(await bearer({})), "content-type": "application/json", ...headers }, body: JSON.stringify(body) });
  }
  const chunk = (session, bytes, from, total = "*") => exchange(session, { method: "PUT", body: bytes,
    headers: { "Content-Range": bytes.length ? `bytes ${from}-${from + bytes.length - 1}/${total}` : `bytes */${total}` } });

  test("a resumable upload goes on by offset, whatever was kept", async () => {
    const bytes = randomBytes(MIB + 5);
    const step = 256 * 1024;
    const session = (await begin("a/b.csv", { body: { contentType: "text/csv", metadata: { sha256: "x" } } })).headers.location;
    assert.equal((await chunk(session, bytes.subarray(0, 1000), 0)).status, 400, "not a multiple");
    const first = await chunk(session, bytes.subarray(0, step * 2), 0);
    assert.deepEqual([first.status, first.headers.range], [308, `bytes=0-${step * 2 - 1}`]);
    assert.equal((await chunk(session, bytes.subarray(step * 3, step * 4), step * 3)).status, 503, "a gap");
    gcs.faults.add("UploadChunk", behaviours.keepOnly(step));
    const second = await chunk(session, bytes.subarray(step * 2, step * 4), step * 2);
    assert.equal(second.headers.range, `bytes=0-${step * 3 - 1}`);
    assert.equal((await chunk(session, Buffer.alloc(0), 0, bytes.length)).headers.range, `bytes=0-${step * 3 - 1}`);
    assert.deepEqual(bucket.keys, [], "nothing appears before the end");
    const last = await chunk(session, bytes.subarray(step * 3), step * 3, bytes.length);
    assert.equal(last.status, 200, last.text);
    assert.deepEqual([json(last).size, json(last).md5Hash, json(last).contentType], [String(bytes.length), createHash("md5").update(bytes).digest("base64"), "text/csv"]);
    assert.ok((await bucket.bytes("a/b.csv")).equals(bytes));
    assert.equal((await chunk(session, Buffer.alloc(0), 0, bytes.length)).status, 200, "a query after the end");
    bucket.assertNothingOpen();
    assert.equal((await begin("a/b.csv")).status, 412);
    const empty = (await begin("empty")).headers.location;
    assert.equal((await chunk(empty, Buffer.alloc(0), 0, 0)).status, 200);
    assert.equal(bucket.objects.get("empty").content.size, 0);
  });

  test("the condition and the MD5 are checked when the object appears", async () => {
    const session = (await begin("x")).headers.location;
    bucket.put("x", "another was faster");
    assert.equal((await chunk(session, Buffer.from("late"), 0, 4)).status, 412);
    const wrong = (await begin("y", { body: { md5Hash: createHash("md5").update("other").digest("base64") } })).headers.location;
    assert.equal((await chunk(wrong, Buffer.from("this"), 0, 4)).status, 400);
    assert.deepEqual(bucket.keys, ["x"]);
    const cancelled = (await begin("z")).headers.location;
    assert.equal((await exchange(cancelled, { method: "DELETE" })).status, 499);
    assert.equal((await chunk(cancelled, Buffer.from("this"), 0, 4)).status, 410);
    gcs.faults.add("UploadChunk", behaviours.wrongEtag());
    const session3 = (await begin("w")).headers.location;
    const reply = await chunk(session3, Buffer.from("this"), 0, 4);
    assert.notEqual(json(reply).md5Hash, createHash("md5").update("this").digest("base64"));
  });

  test("tokens and rights", async () => {
    const read = (name, headers, query = "") => exchange(`${gcs.endpoint}/storage/v1/b/bucket/o/${encodeURIComponent(name)}${query}`, { headers });
    bucket.put("a/b", "content");
    const headers = await bearer({});
    assert.equal((await read("a/b", headers, "?alt=media")).text, "content");
    assert.equal(json(await read("a/b", headers)).name, "a/b");
    assert.equal((await read("a/c", headers)).status, 404);
    assert.equal((await read("a/b", {})).status, 401);
    gcs.tokens.expireAll();
    assert.equal((await read("a/b", headers)).status, 401);
    bucket.policy = policies.only("s3:PutObject");
    assert.equal((await read("a/b", await bearer({}))).status, 403);
    assert.equal((await begin("new")).status, 200);
    const over = (await begin("a/b", { query: "" })).headers.location;
    assert.equal((await chunk(over, Buffer.from("new"), 0, 3)).status, 403, "overwriting needs the right to delete");
    bucket.policy = policies.all;
    assert.equal((await exchange(`${gcs.endpoint}/storage/v1/b/bucket/o/a%2Fb`, { method: "DELETE", headers: await bearer({}) })).status, 204);
  });

  test("the XML API with HMAC keys: Google's condition, never both kinds of headers", async () => {
    const key = gcs.keys.add({ keyId: "GOOG1EXAMPLE" });
    const url = `${gcs.endpoint}/bucket/x`;
    const put = (headers, more = {}) => exchange(url, { method: "PUT", body: "content", headers: signHeaders({ method: "PUT", url, body: "content", headers, key, region: "auto", ...more }) });
    const google = { dialect: dialects.GOOG4, service: "storage" };
    assert.equal((await put({})).status, 200);
    expect(await put({ "x-goog-if-generation-match": "0" }), 400, "ExcessHeaderValues");
    assert.equal((await put({ "if-none-match": "*" })).status, 200, "is not looked at");
    assert.equal((await put({}, google)).status, 200);
    expect(await put({ "x-goog-if-generation-match": "0" }, google), 412, "PreconditionFailed");
    expect(await put({ "accept-encoding": "identity" }, google), 403, "SignatureDoesNotMatch");
    bucket.remove("x");
    const made = await put({ "x-goog-if-generation-match": "0" }, google);
    assert.equal(made.status, 200, made.text);
    assert.match(made.headers["x-goog-hash"], /^md5=/);
  });
});

describe("webhooks", () => {
  test("what came is kept byte for byte", async () => {
    const sink = await Sink.start();
    sink.faults.add(1, behaviours.internalError());
    const body = '{ "a" : 1 }';
    const headers = { "X-Signature": createHmac("sha256", "k").update(body).digest("hex") };
    assert.equal((await exchange(`${sink.endpoint}/hook`, { method: "POST", body, headers })).status, 500);
    assert.equal((await exchange(`${sink.endpoint}/hook`, { method: "POST", body, headers })).status, 204);
    assert.deepEqual(sink.deliveries.map(({ body: text, path, headers: { "x-signature": value } }) => [text, path, value]), [[body, "/hook", headers["X-Signature"]]]);
    assert.deepEqual(sink.deliveries[0].json, { a: 1 });
  });
});

describe("reading mails", () => {
  test("parts, encodings, encoded words; a header twice is an error", () => {
    const head = "From: a@b.example\r\nTo: c@d.example\r\nSubject: =?utf-8?Q?Z=C3=BC?=\r\n =?UTF-8?B?cmljaA==?=\r\nDate: x\r\nMessage-ID: <1@x>\r\nMIME-Version: 1.0\r\n";
    const mail = readMail(`${head}Content-Type: multipart/alternative; boundary="b;1"\r\n\r\n--b;1\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n` +
      `Z=C3=BC=\r\nrich\r\n--b;1\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n${Buffer.from("<p>x</p>").toString("base64")}\r\n--b;1--\r\n`);
    assert.deepEqual([mail.subject, mail.text, mail.html, mail.order], ["Zürich", "Zürich", "<p>x</p>", ["text/plain", "text/html"]]);
    assert.throws(() => readMail(`${head}To: evil@d.example\r\n\r\nx`), /to 2 times/);
    assert.throws(() => readMail(`${head}Content-Transfer-Encoding: base64\r\n\r\n<<<\r\n`), /bad base64/);
  });
});
