// SPDX-License-Identifier: Apache-2.0
// Compares time zones with Node's Intl: another reader with a copy of the tz database of its own.
// The copies may be of different versions, so only years that are settled are asked for, in zones
// that both have. MILKRUN_ZONE_GOLDEN names the program that answers.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";

const program = process.env.MILKRUN_ZONE_GOLDEN;
assert.ok(program, "set MILKRUN_ZONE_GOLDEN to the program zone_golden");

const hour = 3_600_000;
const from = Date.UTC(2002, 0, 1);
const to = Date.UTC(2020, 0, 1);

let seed = 12345;
function random() {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return seed / 2 ** 32;
}

function reader(zone) {
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone: zone, hourCycle: "h23", era: "short", year: "numeric", month: "numeric", day: "numeric",
    hour: "numeric", minute: "numeric", second: "numeric",
  });
  return (time) => {
    const part = Object.fromEntries(format.formatToParts(time).map(({ type, value }) => [type, Number(value)]));
    const local = Date.UTC(part.year, part.month - 1, part.day, part.hour, part.minute, part.second);
    return local - Math.floor(time / 1000) * 1000;
  };
}

// The instant of a change between two instants with different offsets, to the second.
function change(offsetAt, low, high) {
  const before = offsetAt(low);
  while (high - low > 1000) {
    const middle = Math.floor((low + high) / 2000) * 1000;
    if (offsetAt(middle) === before) low = middle;
    else high = middle;
  }
  return high;
}

function instantsOf(offsetAt) {
  const instants = [];
  for (let i = 0; i < 20; i++) instants.push(from + Math.floor(random() * (to - from)));
  const start = Date.UTC(2002 + Math.floor(random() * 18), 0, 1);
  for (let time = start; time < start + 365 * 24 * hour; time += 14 * 24 * hour) {
    const next = time + 14 * 24 * hour;
    if (offsetAt(time) === offsetAt(next)) continue;
    const at = change(offsetAt, time, next);
    for (const step of [-2 * hour, -hour, -1800_000, -1000, -1, 0, 1, 1800_000 - 1, hour - 1, hour, 2 * hour])
      instants.push(at + step);
  }
  return instants;
}

test("offsets and both occurrences of local times are as Intl has them", () => {
  const zones = Intl.supportedValuesOf("timeZone");
  assert.ok(zones.length > 300);
  const asked = [];
  for (const zone of zones) {
    const offsetAt = reader(zone);
    for (const instant of instantsOf(offsetAt)) asked.push({ zone, offsetAt, instant });
  }
  const input = asked.map(({ zone, instant }) => `${zone} ${instant}\n`).join("");
  const lines = execFileSync(program, { input, encoding: "utf8", maxBuffer: 2 ** 28 }).trimEnd().split("\n");
  assert.equal(lines.length, asked.length);
  let twice = 0;
  const unknown = new Set();
  lines.forEach((line, i) => {
    const { zone, offsetAt, instant } = asked[i];
    if (line === "unknown") return unknown.add(zone);
    const [offset, first, last] = line.split(" ").map(Number);
    const where = `${zone} ${new Date(instant).toISOString()}`;
    assert.equal(offset, offsetAt(instant), where);
    const local = instant + offset;
    // What shows this local time is local minus an offset that is in force within a day.
    const offsets = new Set([-26, 0, 26].map((hours) => offsetAt(instant + hours * hour)).concat(offset));
    const shown = [...offsets].map((each) => local - each).filter((time) => time + offsetAt(time) === local);
    assert.equal(first, Math.min(...shown), where);
    assert.equal(last, Math.max(...shown), where);
    if (first !== last) twice++;
  });
  assert.ok(unknown.size < 10, [...unknown].join());
  assert.ok(twice > 500, `${twice} of ${asked.length} were shown twice`);
});
