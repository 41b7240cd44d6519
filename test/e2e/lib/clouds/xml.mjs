// SPDX-License-Identifier: Apache-2.0
// The little XML that the protocols need: a strict reader without DTD, and a writer.

const entities = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };

export class XmlError extends Error {}

// -> { name, children, text }
export function readXml(text) {
  const tokens = text.replace(/^\s*<\?xml [^?]*\?>/, "").matchAll(/<(\/?)([A-Za-z][\w.-]*)((?:\s+[\w:.-]+="[^"<]*")*)\s*(\/?)>|([^<]+)|(<)/g);
  const root = { name: "", children: [], text: "" };
  const stack = [root];
  for (const [, slash, name, , empty, words, broken] of tokens) {
    const top = stack[stack.length - 1];
    if (broken) throw new XmlError("not well-formed");
    if (words !== undefined) {
      top.text += decode(words);
    } else if (slash) {
      if (top.name !== name || stack.length === 1) throw new XmlError(`${name} closes ${top.name}`);
      stack.pop();
    } else {
      const element = { name, children: [], text: "" };
      top.children.push(element);
      if (!empty) stack.push(element);
    }
  }
  if (stack.length !== 1 || root.children.length !== 1 || root.text.trim() !== "") throw new XmlError("not one document");
  return root.children[0];
}

function decode(text) {
  return text.replace(/&([^;&]*);?/g, (whole, name) => {
    if (/^#\d+$/.test(name)) return String.fromCodePoint(Number(name.slice(1)));
    if (/^#x[0-9a-fA-F]+$/.test(name)) return String.fromCodePoint(parseInt(name.slice(2), 16));
    if (!(name in entities) || !whole.endsWith(";")) throw new XmlError(`entity ${whole}`);
    return entities[name];
  });
}

export const childText = (element, name) => element.children.find((child) => child.name === name)?.text;

export function escapeXml(value) {
  return String(value).replace(/[<>&"]/g, (letter) => ({ "<": "&lt;", ">": "&gt;", "&": "&amp;", '"': "&quot;" })[letter]);
}

// { A: "x", B: [{ C: 1 }, { C: 2 }] } -> <A>x</A><B><C>1</C></B><B><C>2</C></B>
export function writeXml(value) {
  if (value === undefined || value === null) return "";
  if (typeof value !== "object") return escapeXml(value);
  return Object.entries(value).map(([name, inner]) => (inner === undefined ? "" :
    (Array.isArray(inner) ? inner : [inner]).map((one) => `<${name}>${writeXml(one)}</${name}>`).join(""))).join("");
}

export const documentXml = (name, value, namespace = "http://s3.amazonaws.com/doc/2006-03-01/") =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<${name} xmlns="${namespace}">${writeXml(value)}</${name}>`;

export const errorXml = (code, message, entry, more = {}) => `<?xml version="1.0" encoding="UTF-8"?>\n<Error>${writeXml({ Code: code, Message: message,
  ...more, Resource: entry?.path, RequestId: `R${entry?.number}`, HostId: "rig" })}</Error>`;
