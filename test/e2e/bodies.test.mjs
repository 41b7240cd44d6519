// SPDX-License-Identifier: Apache-2.0
// Bodies that are no JSON, or JSON that is not meant: each is refused with its reason, changes nothing,
// and the next good request works.
import assert from "node:assert/strict";
import { after, before, beforeEach, afterEach, test } from "node:test";

import { Api } from "./lib/api.mjs";
import { Server, stopAll } from "./lib/server.mjs";

let server;
let api;

before(async () => {
  server = await Server.start({ args: { "api-subscription-limit": 0 } });
  api = new Api(server);
});
after(stopAll);

const post = (body, headers = {}) =>
  api.raw("POST", `/scheduled-exports/logs/subscribe?app_id=${api.appId}`, { body, headers });
const list = () => api.call("GET", `/v1/subscriptions`);

async function refuses(body, message, status = 400, headers) {
  const started = process.hrtime.bigint();
  const reply = await post(body, headers);
  const takenMs = Number(process.hrtime.bigint() - started) / 1e6;
  const shown = Buffer.isBuffer(body) ? body.toString("hex").slice(0, 200) : body.slice(0, 200);
  assert.equal(reply.status, status, `${shown}: ${reply.text}`);
  assert.deepEqual(Object.keys(reply.json.error), ["message", "code"]);
  if (message instanceof RegExp) assert.match(reply.json.error.message, message, shown);
  else assert.equal(reply.json.error.message, message, shown);
  assert.ok(takenMs < 2000, `${shown} took ${takenMs} ms`);
}

let known;
beforeEach(async () => {
  known = await list();
});
afterEach(async () => assert.deepEqual((await list()).map(({ subscription_id: id }) => id), known.map(({ subscription_id: id }) => id)));

// --- No JSON

const sample = '{"report":{"report_type":"eo_open","report_fields":["id","name"],"n":-1.5e+3},"x":[true,false,null]}';
const parses = (text) => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};

const strangeNumbers = ["NaN", "nan", "Infinity", "-Infinity", "+Infinity", "inf", "01", "-01", "00", "+1", "++1", "--1", "-", "+", ".5", "-.5", "1.", "-1.", "1.e5",
  "1..5", "1.5.5", "0x1", "0X1F", "0b1", "0o7", "1e", "1e+", "1e-", "1E", "1e5.5", "e5", "1e1e1", "1_000", "1,000,", "1 000", "1f", "1L", "1n", "0.1.2", "1/2", "١", "１", "∞", "-foo", "- 1", "1eE2", "0e", "0e+", "2.e+3"];
const strangeLiterals = ["True", "TRUE", "nul", "nulll", "tru", "truee", "fals", "None", "undefined", "nil", "yes", "a", "truefalse", "true false", "\\u0074rue"];
const strangeTexts = ["'a'", '"a', 'a"', '"', '"\\x41"', '"\\a"', '"\\0"', '"\\\'"', '"\\', '"\\"', '"\\u"', '"\\u1"', '"\\u12"', '"\\u123"', '"\\u12G4"', '"\\U0041"', '"\\u{41}"', '"\\ud83e\\u12"', '"\\\n"', '`a`', '"a" "b"', '"a"b', "“a”",
  ...Array.from({ length: 32 }, (_, code) => `"a${String.fromCharCode(code)}b"`)];
const strangeLists = ["[", "]", "[1", "[1,", "[,1]", "[1,]", "[1,,2]", "[,]", "[1 2]", "[1;2]", "[1:2]", '["a":1]', "[[]", "[]]", "[1}", "(1)", "[...]", "[1,2", "[-]", "[ ,]"];
const strangeObjects = ["{", "}", '{"a"}', '{"a":}', '{"a":1,}', '{,"a":1}', '{"a":1,,"b":2}', '{"a" 1}', '{"a"=1}', '{"a"::1}', "{a:1}", "{'a':1}", "{1:1}", "{null:1}", "{true:1}", "{[]:1}", '{"a":1 "b":2}', '{"a":1;"b":2}', '{"a":1]', '{"a":1', '{"a":', '{"a"', '{"a":1}}', '{"a":"b"', "{:1}", '{"":}', '{{}}', '{"a":1/* c */}', '{"a":1//c\n}', '{/**/}'];

function strangeDocuments() {
  const inside = [...strangeNumbers, ...strangeLiterals, ...strangeTexts, ...strangeLists, ...strangeObjects];
  const documents = inside.flatMap((text) => [`{"x":${text}}`, `{"x":[${text}]}`]);
  documents.push("", " ", "\n", "\t\r\n ", "\ufeff{}", "\ufeff", "{}{}", "{} {}", "{},", "{};", "{}\0", "\0{}", "{}x", "x{}", "{}]", "{}}", "[]{}", "{}//", "#{}", "<json/>", "a=b", "{}\f", "\v{}", "\u00a0{}", "{}\u2028", "\u3000{}",
    '{"a":1}\u0000', "{\u00a0}", "{\f}", "---\na: 1", "%7B%7D", "{}\\n");
  for (let at = 0; at < sample.length; at++) {
    documents.push(sample.slice(0, at)); // cut
    documents.push(sample.slice(0, at) + sample.slice(at + 1)); // a byte lost
    documents.push(`${sample.slice(0, at)}\u0001${sample.slice(at)}`); // a byte come in
  }
  return [...new Set(documents)].filter((text) => !parses(text));
}

test("whatever is no JSON is refused", async () => {
  const documents = strangeDocuments();
  assert.ok(documents.length >= 500, `${documents.length}`);
  for (let at = 0; at < documents.length; at += 32)
    await Promise.all(documents.slice(at, at + 32).map((text) => refuses(text, /^Invalid (JSON|Unicode escape)$/)));
});

test("bytes that are no UTF-8 are refused, other encodings are no JSON", async () => {
  const around = (...bytes) => Buffer.concat([Buffer.from('{"x":"'), Buffer.from(bytes), Buffer.from('"}')]);
  const broken = [[0xff], [0xfe], [0x80], [0xbf], [0xc3, 0x28], [0xc0, 0x80], [0xc1, 0xbf], [0xe0, 0x80, 0x80], [0xe0, 0x9f, 0xbf], [0xed, 0xa0, 0x80], [0xed, 0xbf, 0xbf],
    [0xf0, 0x80, 0x80, 0x80], [0xf0, 0x8f, 0xbf, 0xbf], [0xf4, 0x90, 0x80, 0x80], [0xf5, 0x80, 0x80, 0x80], [0xe2, 0x82], [0xf0, 0x9f, 0xa6], [0xc3], [0xf8, 0x88, 0x80, 0x80, 0x80], [0xc3, 0xbc, 0xbc]];
  for (const bytes of broken) await refuses(around(...bytes), "Invalid UTF-8");
  for (const bytes of broken) // in a key
    await refuses(Buffer.concat([Buffer.from('{"'), Buffer.from(bytes), Buffer.from('":1}')]), "Invalid UTF-8");
  await refuses(Buffer.from('{"x":"\xe9"}', "latin1"), "Invalid UTF-8", 400, { "Content-Type": "application/json; charset=iso-8859-1" });
  for (const text of ["{}", '{"a":1}', "\ufeff{}"]) {
    const little = Buffer.from(text, "utf16le");
    await refuses(little, /^Invalid (JSON|UTF-8)$/);
    await refuses(Buffer.from(little).swap16(), /^Invalid (JSON|UTF-8)$/);
    const wide = Buffer.alloc(4 * text.length);
    for (let at = 0; at < text.length; at++) wide.writeUInt32LE(text.charCodeAt(at), 4 * at);
    await refuses(wide, /^Invalid (JSON|UTF-8)$/);
  }
});

// Documents that the standard leaves to the reader: what this one does.
const missing = "Missing required field: report"; // it was read
const choices = [
  ['{"x":1e400}', "Number out of range"], ['{"x":-1e400}', "Number out of range"], ['{"x":1e9999999999}', "Number out of range"],
  ['{"x":1.7976931348623159e308}', "Number out of range"], ['{"x":1.7976931348623157e308}', missing],
  ['{"x":1e-400}', missing], ['{"x":0e99999}', missing], ['{"x":-0}', missing], ['{"x":-0.0}', missing], ['{"x":5e-324}', missing],
  ['{"x":9223372036854775807}', missing], ['{"x":-9223372036854775808}', missing],
  ['{"x":9223372036854775808}', "Number out of range"], ['{"x":-9223372036854775809}', "Number out of range"], ['{"x":18446744073709551616}', "Number out of range"],
  [`{"x":${"1".repeat(60_000)}}`, "Number out of range"], [`{"x":-${"9".repeat(60_000)}}`, "Number out of range"],
  [`{"x":0.${"1".repeat(60_000)}}`, missing], [`{"x":1${"0".repeat(300)}.0}`, missing],
  ['{"x":"\\ud800"}', "Invalid Unicode escape"], ['{"x":"\\udc00"}', "Invalid Unicode escape"], ['{"x":"\\ud800\\ud800"}', "Invalid Unicode escape"],
  ['{"x":"\\ud800x"}', "Invalid Unicode escape"], ['{"x":"\\udc00\\ud800"}', "Invalid Unicode escape"], ['{"\\ud800":1}', "Invalid Unicode escape"],
  ['{"x":"\\ud83e\\udd8a"}', missing], ['{"x":"\\uFFFF\\ufffe"}', missing], ['{"x":"\u{10ffff}\u007f\u2028"}', missing],
  ['{"x":"\\u0000"}', "Invalid JSON"], ['{"\\u0000":1}', "Invalid JSON"],
  [`{"x":${"[".repeat(63)}${"]".repeat(63)}}`, missing], [`{"x":${"[".repeat(64)}${"]".repeat(64)}}`, "JSON nested too deeply"],
  [`${'{"x":'.repeat(64)}1${"}".repeat(64)}`, missing], [`${'{"x":'.repeat(65)}1${"}".repeat(65)}`, "JSON nested too deeply"],
  ["[".repeat(60_000), "JSON nested too deeply"], ['{"a":'.repeat(12_000), "JSON nested too deeply"],
  [`{"x":[${'"[",'.repeat(1000)}"]"]}`, missing], // brackets in texts are none
  [` \t\r\n{ \t\r\n"x" \t\r\n: \t\r\n1 \t\r\n} \t\r\n`, missing],
  ['{"":1}', missing], ['{"x":1,"X":2}', missing],
  ['{"x":1,"x":1}', "Duplicate field: x"], ['{"a":{"b":[{"c":1,"c":2}]}}', "Duplicate field: c"], ['{"report":{"cadence":"daily","cadence":"daily"}}', "Duplicate field: cadence"],
  ['{"x":1,"\\u0078":2}', /^Duplicate field: /],
  ["null", "JSON object expected"], ["[]", "JSON object expected"], ['"x"', "JSON object expected"], ["1", "JSON object expected"], ["true", "JSON object expected"], ["-0.5", "JSON object expected"], ["[{}]", "JSON object expected"],
];

test("what the standard leaves open is decided, once", async () => {
  for (const [text, message] of choices) await refuses(text, message);
});

test("sizes are bounded", async () => {
  await refuses("[".repeat(100_000), "Request body too large", 413);
  await refuses(`{"x":"${"x".repeat(65_536)}"}`, "Request body too large", 413);
  await refuses(" ".repeat(65_537), "Request body too large", 413);
  await refuses(`{"x":"${"x".repeat(65_528)}"}`, missing); // 64 KiB in all
  const keys = (count) => JSON.stringify(Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, 1])));
  await refuses(keys(5_000), "Too many fields");
  await refuses(keys(10_000), "Request body too large", 413);
  await refuses(keys(1_001), "Too many fields");
  await refuses(keys(1_000), missing);
  await refuses(`{"report":${keys(1_001)}}`, "Too many fields");
});

// --- JSON that is not meant

const report = { report_type: "eo_install", report_fields: ["id"] };
const destination = { subscription_type: "branch" };
const withReport = (changes) => JSON.stringify({ report: { ...report, ...changes }, destination });
const withDestination = (changes) => JSON.stringify({ report, destination: changes });

const wrongType = "Invalid type: string expected";

const meanings = [
  [JSON.stringify({ destination }), "Missing required field: report"], [JSON.stringify({ report: null, destination }), "Missing required field: report"],
  [JSON.stringify({ report }), "Missing required field: destination"], [JSON.stringify({ report, destination: null }), "Missing required field: destination"],
  [withReport({ report_type: undefined }), "Missing required field: report.report_type"], [withReport({ report_type: null }), "Missing required field: report.report_type"],
  [withReport({ report_fields: undefined }), "Missing required field: report.report_fields"], [withReport({ report_fields: null }), "Missing required field: report.report_fields"],
  [withDestination({}), "Missing required field: destination.subscription_type"],
  ...[[], ["eo_install", "eo_open"], "eo_unknown", ["eo_unknown"]].map((type) => [withReport({ report_type: type }), "Invalid report_type"]),
  ...[true, 0, 1.5, "", {}].map((type) => [withReport({ report_type: type }), "Invalid type: string expected"]),
  ...["xml", "CSV", 0, true, "", [], {}].map((format) => [withReport({ response_format: format }), typeof format === "string" ? "Invalid response_format" : wrongType]),
  ...["zip", "gzip", 0, ""].map((compression) => [withReport({ response_format_compression: compression }), typeof compression === "string" ? "Invalid response_format_compression" : wrongType]),
  ...["weekly", "Hourly", 60, false, ""].map((cadence) => [withReport({ cadence }), typeof cadence === "string" ? "Invalid cadence" : /^Invalid (cadence|type: string expected)$/]),
  ...[[1], [null], [true], [["id"]], [{}]].map((fields) => [withReport({ report_fields: fields }), "Invalid type: string expected"]),
  ...["id", 1, {}].map((fields) => [withReport({ report_fields: fields }), "Invalid type: array expected"]),
  ...["branch", 1, true, []].map((value) => [JSON.stringify({ report, destination: value }), "Invalid type: object expected"]),
  ...["x", 1, true, []].map((value) => [JSON.stringify({ report: value, destination }), "Invalid type: object expected"]),
  [withDestination({ subscription_type: "ftp" }), "Invalid subscription_type"],
  ...[0, true, ""].map((type) => [withDestination({ subscription_type: type }), "Invalid type: string expected"]),
  [withDestination({ subscription_type: "cloud" }), "Missing required field: destination.bucket"],
  [withDestination({ subscription_type: "cloud", bucket: "my-bucket" }), "Missing required field: destination.cloud"],
  [withDestination({ subscription_type: "cloud", bucket: "my-bucket", cloud: "s3" }), "Missing required field: destination.resource_access_id"],
  [withDestination({ subscription_type: "email" }), "Missing required field: destination.recipient_emails"],
  [withDestination({ subscription_type: "email", recipient_emails: [] }), "Missing required field: destination.recipient_emails"],
];

test("wrong and missing members are named", async () => {
  for (const [text, message] of meanings) await refuses(text, message);
});

test("other bodies of ours are read as strictly", async () => {
  const paths = [["/v1/topics", api.token], ["/v1/admin/organizations", server.account.admin_token], ["/v1/admin/apps", server.account.admin_token], ["/v1/admin/tokens", server.account.admin_token]];
  for (const [path, token] of paths) {
    for (const [body, message] of [["[]", "JSON object expected"], ['{"name":', "Invalid JSON"], ['{"name":"a","name":"b"}', "Duplicate field: name"], [Buffer.from('{"name":"\xff"}', "latin1"), "Invalid UTF-8"], ["", "Invalid JSON"]]) {
      const reply = await api.raw("POST", path, { body, token });
      assert.equal(reply.status, 400, path);
      assert.equal(reply.json.error.message, message, `${path} ${body}`);
    }
  }
});

test("a body is JSON whatever its type says", async (context) => {
  const cadences = ["hourly", "daily"];
  const types = [{ "Content-Type": "application/x-www-form-urlencoded" }, {}];
  for (const [index, headers] of types.entries()) {
    const reply = await post(withReport({ cadence: cadences[index], report_type: index ? ["eo_install"] : "eo_install" }), headers);
    assert.equal(reply.status, 200, reply.text);
    assert.equal(reply.json.status, "PENDING");
    await api.deactivate(reply.json.subscription_id);
  }
  context.diagnostic("a list of one report_type is taken as well");
});
