// SPDX-License-Identifier: Apache-2.0
// Bodies in JSON, both ways.
import { CloudError } from "./errors.mjs";

export const jsonReply = (status, value) => ({ status, headers: { "Content-Type": "application/json; charset=UTF-8" }, body: JSON.stringify(value) });

export function readJson(bytes) {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch {
    throw new CloudError(400, "parseError", "Parse Error");
  }
}
