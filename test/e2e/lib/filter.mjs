// SPDX-License-Identifier: Apache-2.0
// The reference evaluator of filters, written from docs/filters.md alone. A row is an object of
// canonical texts (or null) by field: digits of longs and times, String() of doubles, "true" and
// "false", JSON text; types say how a field is compared. Values of a filter are what JSON.parse
// gives, or BigInt and NumberText for numbers that it would round.
import { NumberText, parseExact, writeExact } from "./json.mjs";

export const matches = (filter, row, types) => isNothing(filter) || evaluate(filter, row, types) === true;

const isNothing = (filter) => filter === undefined || filter === null || filter.length === 0;

// true, false, or null: unknown.
function evaluate(filter, row, types) {
  if (Array.isArray(filter[0])) return all(filter, row, types);
  const [operator, ...operands] = filter;
  if (operator === "and") return all(operands, row, types);
  if (operator === "or") return any(operands, row, types);
  if (operator === "not") return evaluate(operands[0], row, types) !== true;
  const [field, ...values] = operands;
  return compare(operator, row[field] ?? null, values, types[field]);
}

function all(parts, row, types) {
  const answers = parts.map((part) => evaluate(part, row, types));
  if (answers.includes(false)) return false;
  return answers.includes(null) ? null : true;
}

function any(parts, row, types) {
  const answers = parts.map((part) => evaluate(part, row, types));
  if (answers.includes(true)) return true;
  return answers.includes(null) ? null : false;
}

const orders = {
  gt: (order) => order > 0,
  gte: (order) => order >= 0,
  lt: (order) => order < 0,
  lte: (order) => order <= 0,
};

function compare(operator, actual, values, type) {
  if (operator === "eq" && values[0] === null) return actual === null;
  const list = operator === "in" ? (Array.isArray(values[0]) ? values[0] : values) : values;
  if (operator === "in" && actual === null && list.includes(null)) return true;
  if (actual === null) return null;
  const order = (value) => orderOf(actual, value, type);
  if (operator === "eq") return order(values[0]) === 0;
  if (operator === "in") return list.some((value) => value !== null && order(value) === 0);
  if (operator === "between") return order(values[0]) >= 0 && order(values[1]) <= 0;
  if (operator === "like") return isLike([...actual], readPattern(values[0]));
  if (operator === "array_contains") return hasElement(actual, values[0]);
  if (!orders[operator]) throw new Error(`operator ${operator} is not in the reference`);
  return orders[operator](order(values[0]));
}

// --- Values.

const isNumber = (value) => typeof value === "number" || typeof value === "bigint" || value instanceof NumberText;
const numberPattern = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

// A BigInt for 64 bits written without point and exponent, a double else; undefined: not a number.
function readNumber(text) {
  if (!numberPattern.test(text)) return undefined;
  if (/^-?\d+$/.test(text) && BigInt.asIntN(64, BigInt(text)) === BigInt(text)) return BigInt(text);
  return Number.isFinite(Number(text)) ? Number(text) : undefined;
}

// The text that files have for a double.
function printDouble(value) {
  if (Object.is(value, -0)) return "-0.0";
  const [digits, power] = value.toExponential().split("e");
  const exponent = Number(power);
  const isLong = exponent >= 15 && exponent >= digits.replace(/[-.]/g, "").length;
  if (exponent >= -4 && !isLong) return String(value);
  return `${digits}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
}

function textOf(value) {
  if (!isNumber(value)) return String(value);
  const number = readNumber(writeExact(value));
  return typeof number === "bigint" ? String(number) : printDouble(number);
}

function timeOf(text) {
  const [, day, clock = "00:00", seconds = "00", fraction = "", zone = "Z"] =
    /^(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d)(?::(\d\d)(?:[.:](\d+))?)?(Z|[+-]\d\d:\d\d)?)?$/.exec(text);
  return BigInt(Date.parse(`${day}T${clock}:${seconds}.${fraction.slice(0, 3).padEnd(3, "0")}${zone}`));
}

const sign = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

function orderOf(actual, value, type) {
  const text = isNumber(value) ? writeExact(value) : String(value);
  switch (type) {
    case "long":
      return sign(BigInt(actual), readNumber(text)); // JavaScript compares BigInt and Number exactly
    case "timestamp":
      return sign(BigInt(actual), readNumber(text) ?? timeOf(text));
    case "double":
      return sign(Number(actual), Number(text));
    case "boolean":
      return sign(actual === "true", text === "true");
    default:
      return Buffer.compare(Buffer.from(actual), Buffer.from(textOf(value)));
  }
}

// --- like.

const anyText = Symbol("%");
const anyCharacter = Symbol("_");

function readPattern(value) {
  const characters = [...textOf(value)];
  const result = [];
  for (let at = 0; at < characters.length; at++)
    if (characters[at] === "\\") result.push(characters[++at]);
    else result.push(characters[at] === "%" ? anyText : characters[at] === "_" ? anyCharacter : characters[at]);
  return result;
}

// Which beginnings of the pattern match the text so far.
function isLike(text, pattern) {
  let reached = step([true], pattern, undefined);
  for (const character of text) reached = step(reached, pattern, character);
  return reached[pattern.length] === true;
}

function step(before, pattern, character) {
  const after = [character === undefined];
  for (const [index, part] of pattern.entries()) {
    const takes = character !== undefined && (part === anyCharacter || part === character) && before[index];
    const stays = part === anyText && (after[index] || (character !== undefined && before[index + 1]));
    after.push(Boolean(takes || stays));
  }
  return after;
}

// --- array_contains.

function hasElement(actual, value) {
  let elements;
  try {
    JSON.parse(actual);
    elements = parseExact(actual.replace(/("(?:[^"\\]|\\.)*")|[ \t\r\n]+/g, "$1"));
  } catch {
    return false;
  }
  return Array.isArray(elements) && elements.some((element) => isElement(element, value));
}

function isElement(element, value) {
  const text = textOf(value);
  if (typeof element === "string") return element === text;
  if (typeof element === "boolean") return String(element) === text;
  if (!(element instanceof NumberText) || typeof value === "boolean") return false;
  const wanted = isNumber(value) ? readNumber(writeExact(value)) : readNumber(text);
  const found = readNumber(element.text);
  return wanted !== undefined && found !== undefined && sign(found, wanted) === 0;
}
