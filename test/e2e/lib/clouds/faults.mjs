// SPDX-License-Identifier: Apache-2.0
// The fault language: at which requests which behaviour comes, and how often.
//
//   rig.faults.add(3, behaviours.slowDown())                                  the third request
//   rig.faults.add("UploadPart#2", behaviours.wrongEtag(), { times: 2 })      the second part, twice
//   rig.faults.add({ method: "PUT", query: { partNumber: "2" } }, ...)        by method and query
//   rig.faults.always("CompleteMultipartUpload", behaviours.closedAfter())    every time
//
// Rules are asked in the order in which they were added; the first that matches and is not used up acts. A test ends with
// assertAllHit(): a fault that never came is a test that shows nothing.
import assert from "node:assert/strict";

const conditions = {
  number: (entry, wanted) => entry.number === wanted,
  method: (entry, wanted) => entry.method === wanted,
  operation: (entry, wanted) => entry.operation === wanted,
  part: (entry, wanted) => entry.part === wanted,
  bucket: (entry, wanted) => entry.bucket === wanted,
  key: (entry, wanted) => entry.key !== undefined && matchesText(entry.key, wanted),
  path: (entry, wanted) => matchesText(entry.path, wanted),
  host: (entry, wanted) => matchesText(entry.host, wanted),
  query: (entry, wanted) => Object.entries(wanted).every(([name, value]) =>
    entry.query.has(name) && (value === true || matchesText(entry.query.get(name), value))),
  header: (entry, wanted) => Object.entries(wanted).every(([name, value]) =>
    entry.headers[name] !== undefined && (value === true || matchesText(entry.headers[name], value))),
  test: (entry, wanted) => wanted(entry),
};

function matchesText(text, wanted) {
  return wanted instanceof RegExp ? wanted.test(text) : text === wanted;
}

export class Faults {
  // operations: the names that a condition may use; others are mistakes of the test.
  constructor(operations) {
    this.operations = operations;
    this.rules = [];
  }

  add(when, behaviour, { times = 1, skip = 0 } = {}) {
    assert.ok(behaviour?.name, `no behaviour: ${JSON.stringify(behaviour)}`);
    const rule = { when: this.read(when), behaviour, times, skip, hits: 0, seen: 0 };
    this.rules.push(rule);
    return rule;
  }

  always(when, behaviour) {
    return this.add(when, behaviour, { times: Infinity });
  }

  clear() {
    this.rules = [];
  }

  read(when) {
    if (typeof when === "number") return { number: when };
    if (typeof when === "function") return { test: when };
    if (typeof when === "string") return this.readName(when);
    for (const name of Object.keys(when)) assert.ok(name in conditions, `no such condition: ${name}`);
    if (when.operation) this.checkOperation(when.operation);
    return when;
  }

  readName(text) {
    if (text === "*") return {};
    const [, operation, part] = /^(\w+)(?:#(\d+))?$/.exec(text) ?? assert.fail(`not a condition: ${text}`);
    this.checkOperation(operation);
    return { operation, ...(part ? { part: Number(part) } : {}) };
  }

  checkOperation(name) {
    assert.ok(this.operations.includes(name), `${name} is not one of ${this.operations.join(", ")}`);
  }

  // The behaviour for this request, if any.
  take(entry) {
    for (const rule of this.rules) {
      if (rule.hits >= rule.times || !matches(rule.when, entry)) continue;
      if (rule.seen++ < rule.skip) continue;
      rule.hits++;
      return rule.behaviour;
    }
    return undefined;
  }

  assertAllHit() {
    for (const { when, behaviour, hits } of this.rules) assert.ok(hits > 0, `${behaviour.name} at ${JSON.stringify(when)} never came`);
  }
}

function matches(when, entry) {
  return Object.entries(when).every(([name, wanted]) => conditions[name](entry, wanted));
}
