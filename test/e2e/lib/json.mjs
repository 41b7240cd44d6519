// SPDX-License-Identifier: Apache-2.0
// JSON that keeps numbers exact: they are read as their text, and BigInt can be written.

export class NumberText {
  constructor(text) {
    this.text = text;
  }
}

const literals = [["true", true], ["false", false], ["null", null]];
const numberPattern = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const stringPattern = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;

export function parseExact(text) {
  const reader = { text, at: 0 };
  const value = readValue(reader);
  if (reader.at !== text.length) throw new SyntaxError(`bytes after the value at ${reader.at}`);
  return value;
}

function readValue(reader) {
  const first = reader.text[reader.at];
  if (first === "{") return readObject(reader);
  if (first === "[") return readList(reader);
  if (first === '"') return JSON.parse(readPattern(reader, stringPattern));
  for (const [word, value] of literals)
    if (reader.text.startsWith(word, reader.at)) {
      reader.at += word.length;
      return value;
    }
  return new NumberText(readPattern(reader, numberPattern));
}

function readPattern(reader, pattern) {
  pattern.lastIndex = reader.at;
  const match = pattern.exec(reader.text);
  if (!match) throw new SyntaxError(`unexpected byte at ${reader.at}: ${reader.text.slice(reader.at, reader.at + 20)}`);
  reader.at = pattern.lastIndex;
  return match[0];
}

function skip(reader, wanted) {
  if (reader.text[reader.at] !== wanted) return false;
  reader.at++;
  return true;
}

function expect(reader, wanted) {
  if (!skip(reader, wanted)) throw new SyntaxError(`${wanted} expected at ${reader.at}`);
}

function readObject(reader) {
  const result = Object.create(null);
  expect(reader, "{");
  if (skip(reader, "}")) return result;
  do {
    const key = JSON.parse(readPattern(reader, stringPattern));
    if (key in result) throw new SyntaxError(`duplicate key ${key}`);
    expect(reader, ":");
    result[key] = readValue(reader);
  } while (skip(reader, ","));
  expect(reader, "}");
  return result;
}

function readList(reader) {
  const result = [];
  expect(reader, "[");
  if (skip(reader, "]")) return result;
  do result.push(readValue(reader));
  while (skip(reader, ","));
  expect(reader, "]");
  return result;
}

export function writeExact(value) {
  if (value instanceof NumberText) return value.text;
  if (typeof value === "bigint") return value.toString();
  if (Array.isArray(value)) return `[${value.map(writeExact).join(",")}]`;
  if (value !== null && typeof value === "object")
    return `{${Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}:${writeExact(item)}`).join(",")}}`;
  return JSON.stringify(value);
}

// JSON text with sorted keys, for comparing documents whatever their layout.
export function canonicalJson(value) {
  if (value instanceof NumberText) return canonicalNumber(value.text);
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "number") return canonicalNumber(String(value));
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (value !== null && typeof value === "object")
    return `{${Object.keys(value).sort().map((key) => `${JSON.stringify(key)}:${canonicalJson(value[key])}`).join(",")}}`;
  return JSON.stringify(value);
}

function canonicalNumber(text) {
  return /^-?\d+$/.test(text) ? BigInt(text).toString() : String(Number(text));
}
