// SPDX-License-Identifier: Apache-2.0
// A strict CSV reader of RFC 4180 with LF line ends: header first, the same number of fields in each
// record, quotes only where needed. An empty field is null; `""` is the empty text.

export class CsvError extends Error {}

export function parseCsv(text) {
  if (text === "") return [];
  if (!text.endsWith("\n")) throw new CsvError("last record has no line end");
  const records = [];
  let record = [];
  let at = 0;
  while (at < text.length) {
    const { value, next } = text[at] === '"' ? readQuoted(text, at) : readBare(text, at);
    record.push(value);
    const separator = text[next];
    if (separator !== "," && separator !== "\n") throw new CsvError(`byte after a closing quote at ${next}`);
    at = next + 1;
    if (separator === "\n") {
      records.push(record);
      record = [];
    }
  }
  for (const [index, { length }] of records.entries())
    if (length !== records[0].length) throw new CsvError(`record ${index} has ${length} fields, header ${records[0].length}`);
  return records;
}

function readQuoted(text, start) {
  let at = start + 1;
  let value = "";
  for (;;) {
    const quote = text.indexOf('"', at);
    if (quote < 0) throw new CsvError(`quote at ${start} is never closed`);
    value += text.slice(at, quote);
    if (text[quote + 1] !== '"') {
      if (value !== "" && !/[",\r\n\u0000-\u001f]/.test(value)) throw new CsvError(`needless quotes around ${JSON.stringify(value)}`);
      return { value, next: quote + 1 };
    }
    value += '"';
    at = quote + 2;
  }
}

function readBare(text, start) {
  let end = start;
  while (text[end] !== "," && text[end] !== "\n") {
    if (text[end] === '"' || text[end] === "\r") throw new CsvError(`bare ${JSON.stringify(text[end])} at ${end}`);
    end++;
  }
  return { value: end === start ? null : text.slice(start, end), next: end };
}

// Records as objects by column name.
export function readCsv(text) {
  const [header, ...records] = parseCsv(text);
  const rows = records.map((record) => Object.fromEntries(header.map((name, index) => [name, record[index]])));
  return { header, rows };
}
