// SPDX-License-Identifier: Apache-2.0
// A small strict CSV reader (RFC 4180): an empty field is null, `""` is the empty text.

export function parseCsv(text) {
  const rows = [];
  let row = [];
  let at = 0;
  while (at < text.length) {
    const [value, next] = text[at] === '"' ? readQuoted(text, at) : readPlain(text, at);
    row.push(value);
    at = next;
    if (text[at] === ",") {
      at++;
      if (text[at] === "\n") row.push(null);
    }
    if (text[at] === "\n") {
      rows.push(row);
      row = [];
      at++;
    }
  }
  return rows;
}

function readQuoted(text, start) {
  let value = "";
  let at = start + 1;
  for (;;) {
    const quote = text.indexOf('"', at);
    if (quote < 0) throw new Error("quoted field without an end");
    value += text.slice(at, quote);
    if (text[quote + 1] !== '"') return [value, quote + 1];
    value += '"';
    at = quote + 2;
  }
}

function readPlain(text, start) {
  let end = start;
  while (end < text.length && text[end] !== "," && text[end] !== "\n") end++;
  return [end === start ? null : text.slice(start, end), end];
}
