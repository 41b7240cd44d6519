// SPDX-License-Identifier: Apache-2.0
// Reads a mail as a strict reader would: header fields once each, encoded words, parts, transfer encodings.

// raw: latin1 text with CRLF. -> { headers, header(name), subject, text, html, parts, attachments }
export function readMail(raw) {
  const root = readPart(raw);
  for (const name of ["from", "to", "subject", "date", "message-id", "mime-version"])
    if ((root.headers[name] ?? []).length !== 1) throw new Error(`${name} ${root.headers[name]?.length ?? 0} times`);
  const leaves = [];
  collect(root, leaves);
  const find = (type) => leaves.find((leaf) => leaf.type === type && leaf.disposition !== "attachment")?.content.toString("utf8");
  return { headers: root.headers, header: (name) => root.headers[name.toLowerCase()]?.[0], subject: decodeWords(root.headers.subject[0]), type: root.type,
    order: leaves.map((leaf) => leaf.type), text: find("text/plain"), html: find("text/html"), leaves,
    attachments: leaves.filter((leaf) => leaf.disposition === "attachment") };
}

function readPart(raw) {
  const end = raw.startsWith("\r\n") ? 0 : raw.indexOf("\r\n\r\n");
  if (end < 0) throw new Error("a part without a body");
  const headers = readHeaders(raw.slice(0, end));
  const body = raw.slice(end + (end === 0 ? 2 : 4));
  const { value: type, parameters } = readParameters(headers["content-type"]?.[0] ?? "text/plain");
  const disposition = readParameters(headers["content-disposition"]?.[0] ?? "inline");
  const part = { headers, type: type.toLowerCase(), parameters, disposition: disposition.value.toLowerCase(), filename: disposition.parameters.filename };
  if (part.type.startsWith("multipart/")) part.parts = split(body, parameters.boundary).map(readPart);
  else part.content = decodeBody(body, (headers["content-transfer-encoding"]?.[0] ?? "7bit").toLowerCase());
  return part;
}

function readHeaders(text) {
  const headers = Object.create(null);
  if (text === "") return headers;
  for (const line of text.replace(/\r\n(?=[ \t])/g, "").split("\r\n")) {
    const match = /^([!-9;-~]+):[ \t]*(.*)$/.exec(line);
    if (!match) throw new Error(`not a header field: ${JSON.stringify(line.slice(0, 80))}`);
    if (/[^\x20-\x7e\t]/.test(match[2])) throw new Error(`${match[1]} is not ASCII`);
    (headers[match[1].toLowerCase()] ??= []).push(match[2]);
  }
  return headers;
}

function readParameters(text) {
  const [value, ...rest] = text.split(/;\s*(?=(?:[^"]*"[^"]*")*[^"]*$)/);
  const parameters = {};
  for (const pair of rest.filter(Boolean)) {
    const [, name, quoted, bare] = /^([\w*-]+)=(?:"((?:[^"\\]|\\.)*)"|(\S+))$/.exec(pair.trim()) ?? [];
    if (!name) throw new Error(`not a parameter: ${pair}`);
    parameters[name.toLowerCase()] = quoted?.replace(/\\(.)/g, "$1") ?? bare;
  }
  return { value: value.trim(), parameters };
}

function split(body, boundary) {
  if (!boundary) throw new Error("multipart without boundary");
  const pieces = `\r\n${body}`.split(`\r\n--${boundary}`);
  const last = pieces.findIndex((piece) => piece.startsWith("--"));
  if (last < 2) throw new Error("multipart without parts or end");
  return pieces.slice(1, last).map((piece) => piece.replace(/^[ \t]*\r\n/, ""));
}

function decodeBody(body, encoding) {
  switch (encoding) {
    case "base64":
      if (/[^A-Za-z0-9+/=\r\n]/.test(body) || body.split("\r\n").some((line) => line.length > 76)) throw new Error("bad base64");
      return Buffer.from(body, "base64");
    case "quoted-printable":
      if (/[^\t\x20-\x7e\r\n]/.test(body) || body.split("\r\n").some((line) => line.length > 76)) throw new Error("bad quoted-printable");
      return Buffer.from(body.replace(/[ \t]+(?=\r\n)/g, "").replace(/=\r\n/g, "").replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16))), "latin1");
    case "7bit":
      if (/[^\x01-\x7f]/.test(body)) throw new Error("8 bits in 7bit");
      return Buffer.from(body, "latin1");
    case "8bit":
      return Buffer.from(body, "latin1");
    default:
      throw new Error(`unknown encoding ${encoding}`);
  }
}

export function decodeWords(text) {
  return text.replace(/(=\?[^?\s]+\?[BbQq]\?[^?\s]*\?=)\s+(?==\?)/g, "$1").replace(/(?:=\?utf-8\?[BbQq]\?[^?\s]*\?=)+/gi, (run) =>
    Buffer.concat([...run.matchAll(/=\?utf-8\?([BbQq])\?([^?\s]*)\?=/gi)].map(([, kind, word]) => (kind.toLowerCase() === "b" ? Buffer.from(word, "base64")
      : Buffer.from(word.replaceAll("_", " ").replace(/=([0-9A-Fa-f]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16))), "latin1")))).toString("utf8"));
}

function collect(part, leaves) {
  if (part.parts) for (const inner of part.parts) collect(inner, leaves);
  else leaves.push(part);
}
