// SPDX-License-Identifier: Apache-2.0
// Reads delivered files back with readers that share nothing with the server, into canonical rows:
// null, or the text of the value (times in epoch ms, integers exact, doubles as JavaScript writes them).
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";

import { DuckDBInstance } from "@duckdb/node-api";
import { decompress as unzstd } from "fzstd";

import { readCsv } from "./csv.mjs";
import { NumberText, canonicalJson, parseExact } from "./json.mjs";
import { unframeSnappy } from "./snappy.mjs";
import { temporaryDirectory } from "./temp.mjs";

const decompressors = {
  gz: (bytes) => gunzipSync(bytes),
  snappy: unframeSnappy,
  zstd: (bytes) => Buffer.from(unzstd(bytes)),
  none: (bytes) => bytes,
};

export function canonical(value, type) {
  if (value === null || value === undefined) return null;
  if (value instanceof NumberText) return canonical(value.text, type);
  switch (type) {
    case "long":
      return BigInt(value).toString();
    case "timestamp":
      return readTime(value);
    case "double":
      return String(Number(value));
    case "boolean":
      return String(value);
    case "json":
      return canonicalJson(typeof value === "string" ? parseExact(value) : value);
    default:
      return String(value);
  }
}

function readTime(value) {
  if (typeof value === "object" && "micros" in value) return (value.micros / 1000n).toString();
  if (typeof value === "string" && value.includes("T")) return String(Math.floor(Date.parse(value.replace(/(\.\d{3})\d+/, "$1"))));
  return BigInt(value).toString();
}

function canonicalRow(row, fields, types) {
  return Object.fromEntries(fields.map((field) => [field, canonical(row[field], types[field])]));
}

// -> { header, rows } of one file as the subscription's report asks for it.
export async function readFile(bytes, report, types) {
  const { response_format: format = "csv", response_format_compression: compression = "gz" } = report;
  if (format === "parquet") return readParquet(bytes, types);
  const text = decodeText(decompressors[compression](bytes));
  const { header, rows } = format === "csv" ? readCsv(text) : readJsonLines(text);
  return { header, rows: rows.map((row) => canonicalRow(row, header ?? Object.keys(row), types)) };
}

function decodeText(bytes) {
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
}

function readJsonLines(text) {
  if (text !== "" && !text.endsWith("\n")) throw new Error("last line has no line end");
  const rows = text.split("\n").slice(0, -1).map(parseExact);
  for (const row of rows) for (const [field, value] of Object.entries(row)) checkJsonType(field, value);
  return { header: rows.length ? Object.keys(rows[0]) : undefined, rows };
}

function checkJsonType(field, value) {
  if (value instanceof NumberText && /^-?0\d/.test(value.text)) throw new Error(`${field} has a strange number`);
}

function decodeTexts(row) {
  return Object.fromEntries(Object.entries(row).map(([name, value]) =>
    [name, value !== null && typeof value === "object" && "bytes" in value ? decodeText(value.bytes) : value]));
}

let database;

async function readParquet(bytes, types) {
  if (bytes.subarray(0, 4).toString() !== "PAR1" || bytes.subarray(-4).toString() !== "PAR1") throw new Error("no Parquet magic");
  const path = join(temporaryDirectory("parquet"), "file.parquet");
  writeFileSync(path, bytes);
  const described = await query(`DESCRIBE SELECT * FROM read_parquet('${path}')`);
  const header = described.map((column) => column.column_name);
  // Texts are taken as bytes: the reader's own decoding would drop a leading byte order mark.
  const columns = described.map(({ column_name: name, column_type: type }) => {
    const quoted = `"${name.replaceAll('"', '""')}"`;
    return type === "VARCHAR" ? `encode(${quoted}) AS ${quoted}` : quoted;
  });
  const rows = await query(`SELECT ${columns.join(", ")} FROM read_parquet('${path}')`);
  return { header, rows: rows.map((row) => canonicalRow(decodeTexts(row), header, types)),
    types: described.map((column) => column.column_type) };
}

export async function query(sql) {
  database ??= await (await DuckDBInstance.create(":memory:", { threads: "1" })).connect();
  return (await database.runAndReadAll(sql)).getRowObjects();
}
