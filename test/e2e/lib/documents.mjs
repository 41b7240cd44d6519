// SPDX-License-Identifier: Apache-2.0
// Documentation as a test: the fenced blocks of a section of a page, the shell blocks run in their order in one shell's world, and
// the shape of a JSON reply (keys and types, words that are enumerations literally) compared with the printed one.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const repository = resolve(dirname(fileURLToPath(import.meta.url)), "../../..");

// -> [{ language, text }] of the section (its heading without the signs), or of the whole page.
export function blocksOf(page, heading) {
  const text = readFileSync(join(repository, page), "utf8");
  const from = heading ? new RegExp(`^(#+) ${heading}$`, "m").exec(text) : { index: 0, 1: "" };
  assert.ok(from, `${page} has no section ${heading}`);
  const rest = text.slice(from.index + (heading ? from[0].length : 0));
  const next = heading ? rest.search(new RegExp(`^#{1,${from[1].length}} `, "m")) : -1;
  const section = next < 0 ? rest : rest.slice(0, next);
  return [...section.matchAll(/^```(\w*)\n(.*?)^```$/gms)].map(([, language, body]) => ({ language, text: body }));
}

// -> [{ line, reply }] of blocks that show a prompt: a command (its continuation lines joined) and what is printed under it.
export function promptsOf(blocks) {
  const found = [];
  for (const { text } of blocks) {
    if (!text.startsWith("$ ")) continue;
    for (const line of text.replaceAll("\\\n", " ").split("\n"))
      if (line.startsWith("$ ")) found.push({ line: line.slice(2), reply: "" });
      else found.at(-1).reply += line;
  }
  return found;
}

// Ids that the page prints, and those that the server gave in their places.
export function learnIds(known, printed, reply) {
  const pattern = /"(\w*(?:_id|_key))":"?([^",}\]]+)/g;
  const seen = new Map([...reply.matchAll(pattern)].map(([, name, value]) => [name, value]));
  for (const [, name, value] of printed.matchAll(pattern)) if (seen.has(name) && value !== "null" && !value.includes("...")) known.set(value, seen.get(name));
}

export const replaceIds = (text, known) => text.replace(/[A-Za-z0-9-]+/g, (word) => known.get(word) ?? word);

// Names of a printed reply that may be cut at "...", in their order.
export const namesOf = (text) => [...text.matchAll(/"(\w+)":/g)].map(([, name]) => name);

// Runs a script in a folder; names that it sets are there for the next one. Answers its standard output.
export function runShell(folder, script, extra = {}) {
  const kept = join(folder, ".names");
  const whole = `set -eu\n${existsSync(kept) ? `. '${kept}'\n` : ""}set -a\n${assignments(extra)}${script}\nset +a\nexport -p > '${kept}'\n`;
  const file = join(folder, ".script");
  writeFileSync(file, whole);
  return execFileSync("bash", [file], { cwd: folder, encoding: "utf8", timeout: 60_000, stdio: ["ignore", "pipe", "ignore"] });
}

const assignments = (names) => Object.entries(names).map(([name, value]) => `${name}='${value}'\n`).join("");

const words = new Set(["PENDING", "ACTIVE", "SUCCEEDED", "FAILED", "SUCCESS", "INACTIVE", "OPEN"]);

// What of a reply must be as printed: keys in their order, types, documented words. "..." in the text stands for what was left out.
export function shapeOf(value) {
  if (Array.isArray(value)) return value.length ? [shapeOf(value[0])] : [];
  if (value !== null && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, shapeOf(item)]));
  if (typeof value === "string" && words.has(value)) return value;
  return value === null ? "null" : typeof value;
}

export function assertPrinted(reply, printed, label) {
  const [seen, wanted] = [JSON.parse(reply), JSON.parse(printed)];
  assert.deepEqual(shapeOf(seen), shapeOf(wanted), `${label}: ${reply}`);
}
