// SPDX-License-Identifier: Apache-2.0
// Reads the files of parquet_golden with two readers that are not ours, DuckDB and hyparquet, and
// compares every value with what was meant. MILKRUN_GOLDEN names the program that writes them.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { DuckDBInstance } from "@duckdb/node-api";
import { parquetMetadata, parquetRead } from "hyparquet";
import { compressors } from "hyparquet-compressors";

const program = process.env.MILKRUN_GOLDEN;
assert.ok(program, "set MILKRUN_GOLDEN to the program parquet_golden");
const directory = mkdtempSync(join(tmpdir(), "milkrun-golden-"));
execFileSync(program, [directory], { stdio: "inherit" });
after(() => rmSync(directory, { recursive: true, force: true }));

let instance;
let connection;
before(async () => {
  instance = await DuckDBInstance.create(":memory:", { threads: "1" });
  connection = await instance.connect();
});
after(() => {
  connection.closeSync();
  instance.closeSync();
});

const expectedByName = new Map();
function expectedOf(name) {
  if (!expectedByName.has(name)) {
    const lines = readFileSync(join(directory, `${name}.expected`), "utf8").split("\n");
    assert.equal(lines.pop(), "");
    const [columns, ...rows] = lines.map((line) => JSON.parse(line));
    expectedByName.clear(); // one at a time: some are large
    expectedByName.set(name, { columns, rows });
  }
  return expectedByName.get(name);
}

// A value as the expected text, whichever reader it comes from.
function textOf(value, type) {
  if (value === null || value === undefined) return null;
  switch (type) {
    case "string":
    case "json":
      assert.equal(typeof value, "string");
      return value;
    case "long":
      assert.equal(typeof value, "bigint");
      return value.toString();
    case "double":
      assert.equal(typeof value, "number");
      return Object.is(value, -0) ? "-0" : String(value);
    case "boolean":
      assert.equal(typeof value, "boolean");
      return String(value);
    case "timestamp":
      if (value instanceof Date) return String(value.getTime());
      assert.equal(value.micros % 1000n, 0n);
      return (value.micros / 1000n).toString();
    default:
      throw new Error(`no such type: ${type}`);
  }
}

function compare(expected, rows, reader) {
  assert.equal(rows.length, expected.rows.length, `${reader}: row count`);
  rows.forEach((row, at) => {
    expected.columns.forEach(([name, type], i) => {
      const wanted = expected.rows[at][i];
      const text = wanted === null || type !== "double" ? wanted : textOf(Number(wanted), type);
      const got = textOf(row[i], type);
      if (got !== text) assert.fail(`${reader}: row ${at}, ${name}: ${got} instead of ${text}`);
    });
  });
}

const duckdbTypes = {
  string: "VARCHAR",
  json: "VARCHAR",
  long: "BIGINT",
  double: "DOUBLE",
  boolean: "BOOLEAN",
  timestamp: "TIMESTAMP WITH TIME ZONE",
};

function checkMetadata(metadata, expected) {
  assert.equal(metadata.created_by, "milkrun version 1.0.0 (build parquet-1)");
  assert.equal(Number(metadata.num_rows), expected.rows.length);
  const leaves = metadata.schema.slice(1);
  assert.deepEqual(leaves.map((leaf) => leaf.name), expected.columns.map(([name]) => name));
  assert.ok(leaves.every((leaf) => leaf.repetition_type === "OPTIONAL"));
  leaves.forEach((leaf, i) => {
    const type = expected.columns[i][1];
    if (type === "string" || type === "json") assert.equal(leaf.logical_type.type, "STRING");
    if (type === "timestamp") {
      assert.equal(leaf.converted_type, "TIMESTAMP_MILLIS");
      assert.equal(leaf.logical_type.isAdjustedToUTC, true);
    }
  });
  const sizes = metadata.row_groups.map((group) => Number(group.num_rows));
  assert.equal(sizes.reduce((sum, size) => sum + size, 0), expected.rows.length);
  checkStatistics(metadata, expected);
}

// Every range that is told holds exactly the smallest and the largest value, and null counts are right.
function checkStatistics(metadata, expected) {
  let first = 0;
  for (const group of metadata.row_groups) {
    const rows = expected.rows.slice(first, first + Number(group.num_rows));
    first += rows.length;
    group.columns.forEach((chunk, i) => {
      const statistics = chunk.meta_data.statistics;
      const values = rows.map((row) => row[i]).filter((value) => value !== null);
      assert.equal(Number(statistics.null_count), rows.length - values.length);
      if (values.length === 0) assert.equal(statistics.min_value, undefined);
      const type = expected.columns[i][1];
      if (type === "long") {
        const numbers = values.map(BigInt);
        const min = numbers.reduce((a, b) => (a < b ? a : b), numbers[0]);
        const max = numbers.reduce((a, b) => (a > b ? a : b), numbers[0]);
        assert.equal(statistics.min_value, min);
        assert.equal(statistics.max_value, max);
      }
      if ((type === "string" || type === "json") && values.length > 0) {
        const bytes = values.map((value) => Buffer.from(value));
        const min = bytes.reduce((a, b) => (Buffer.compare(a, b) <= 0 ? a : b));
        const max = bytes.reduce((a, b) => (Buffer.compare(a, b) >= 0 ? a : b));
        if (min.length > 64 || max.length > 64) {
          assert.equal(statistics.min_value, undefined);
          assert.equal(statistics.max_value, undefined);
        } else {
          assert.equal(String(statistics.min_value), min.toString());
          assert.equal(String(statistics.max_value), max.toString());
        }
      }
    });
  }
}

async function readWithDuckdb(path, expected) {
  const reader = await connection.runAndReadAll(`select * from read_parquet('${path}')`);
  assert.deepEqual(
    reader.columnTypes().map(String),
    expected.columns.map(([, type]) => duckdbTypes[type]),
  );
  return reader.getRows();
}

async function readWithHyparquet(path) {
  const bytes = readFileSync(path);
  const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  const metadata = parquetMetadata(file);
  let rows = [];
  if (Number(metadata.num_rows) > 0)
    await parquetRead({ file, metadata, compressors, rowFormat: "array", onComplete: (all) => (rows = all) });
  return { metadata, rows };
}

const files = readdirSync(directory).filter((name) => name.endsWith(".parquet")).sort();
assert.ok(files.length > 0);
for (const name of files) {
  test(name, async () => {
    const path = join(directory, name);
    const expected = expectedOf(name.replace(/-[a-z]+\.parquet$/, ""));
    const { metadata, rows } = await readWithHyparquet(path);
    checkMetadata(metadata, expected);
    compare(expected, rows, "hyparquet");
    compare(expected, await readWithDuckdb(path, expected), "DuckDB");
  });
}

test("row groups are cut at 122,880 rows, or 64 MiB", async () => {
  const groupRows = async (name) =>
    (await readWithHyparquet(join(directory, name))).metadata.row_groups.map((group) => Number(group.num_rows));
  assert.deepEqual(await groupRows("groups-snappy.parquet"), [122880, 122880, 4241]);
  const large = expectedOf("large");
  const sizes = [0];
  let bytes = 0;
  for (const row of large.rows) {
    for (const value of row) bytes += value === null ? 0 : 4 + value.length;
    sizes[sizes.length - 1]++;
    if (bytes >= 64 * 1024 * 1024) {
      sizes.push(0);
      bytes = 0;
    }
  }
  if (sizes.at(-1) === 0) sizes.pop();
  assert.ok(sizes.length > 1);
  assert.deepEqual(await groupRows("large-snappy.parquet"), sizes);
});

test("filters on ranges find their rows", async () => {
  const path = join(directory, "runs-snappy.parquet");
  const rows = expectedOf("runs").rows;
  const count = async (where) =>
    Number((await connection.runAndReadAll(`select count(*) from read_parquet('${path}') where ${where}`)).getRows()[0][0]);
  assert.equal(await count(`"text" = 'value 7'`), rows.filter((row) => row[0] === "value 7").length);
  assert.equal(await count(`"int" > 60000`), rows.filter((row) => row[1] !== null && Number(row[1]) > 60000).length);
  assert.equal(await count(`"double" = 0`), rows.filter((row) => row[2] !== null && Number(row[2]) === 0).length);
  assert.equal(await count(`"bool"`), rows.filter((row) => row[3] === "true").length);
});
