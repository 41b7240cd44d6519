// SPDX-License-Identifier: Apache-2.0
// The reference evaluator of filters, written from their description alone. A row is an object of
// canonical texts (or null) by field; types say how a field is compared.
//
// Null rule: a comparison with a null value never holds, and `not` holds for whatever does not, so that a
// filter and its negation part the rows in two. Asking for null itself (eq, in) is answered as asked.
export const matches = (filter, row, types) => evaluate(filter, row, types);

const orders = {
  gt: (order) => order > 0,
  gte: (order) => order >= 0,
  lt: (order) => order < 0,
  lte: (order) => order <= 0,
};

function evaluate(filter, row, types) {
  if (filter === undefined || filter === null || filter.length === 0) return true;
  if (Array.isArray(filter[0])) return all(filter, row, types);
  const [operator, ...operands] = filter;
  if (operator === "and") return all(operands, row, types);
  if (operator === "or") return operands.some((part) => evaluate(part, row, types));
  if (operator === "not") return !evaluate(operands[0], row, types);
  const [field, ...values] = operands;
  const actual = row[field] ?? null;
  if (operator === "eq") return isEqual(actual, values[0], types[field]);
  if (operator === "in") return isAnyEqual(actual, values.flat(), types[field]);
  if (!orders[operator]) throw new Error(`operator ${operator} is not in the reference`);
  return actual !== null && orders[operator](compare(actual, values[0], types[field]));
}

function all(parts, row, types) {
  return parts.every((part) => evaluate(part, row, types));
}

function isEqual(actual, wanted, type) {
  if (wanted === null) return actual === null;
  return actual !== null && compare(actual, wanted, type) === 0;
}

function isAnyEqual(actual, wanted, type) {
  return wanted.some((value) => isEqual(actual, value, type));
}

function compare(actual, wanted, type) {
  if (type === "long" || type === "timestamp") return order(BigInt(actual), wanted);
  if (type === "double") return order(Number(actual), Number(wanted));
  if (type === "boolean") return order(actual, String(wanted));
  return Buffer.compare(Buffer.from(actual), Buffer.from(String(wanted)));
}

function order(a, b) {
  return a < b ? -1 : a > b ? 1 : 0;
}
