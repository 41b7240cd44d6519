// SPDX-License-Identifier: Apache-2.0
// Custom exports as a client of Branch makes them: ask, poll, download. What comes is compared with the
// oracle, never with what the server says of itself.
import assert from "node:assert/strict";

import { readFile } from "./files.mjs";
import { waitFor } from "./wait.mjs";

export const scopeOf = (api) => `app_id=${api.appId}`;
export const organizationOf = (api) => `organization_id=${api.organizationId}`;

export function askExport(api, body, { scope = scopeOf(api), ...rest } = {}) {
  return api.raw("POST", `/v2/logs?${scope}`, { body, ...rest });
}

export function exportStatus(api, handle, { scope = scopeOf(api), ...rest } = {}) {
  return api.raw("GET", `/v2/logs/${handle}?${scope}`, rest);
}

export async function waitExport(api, handle, options) {
  let last;
  return waitFor(() => `export ${handle}; now ${JSON.stringify(last)}`, async () => {
    const reply = await exportStatus(api, handle, options);
    assert.equal(reply.status, 200, reply.text);
    last = reply.json;
    assert.notEqual(last.status, "fail", reply.text);
    return last.status === "complete" && last;
  }, 60_000);
}

export async function runExport(api, body, options) {
  const made = await askExport(api, body, options);
  assert.equal(made.status, 200, made.text);
  return waitExport(api, made.json.handle, options);
}

// -> [{ url, bytes, header, rows }] in the order of response_urls.
export async function readExport(api, status, body, types) {
  const report = { response_format_compression: "none", ...body };
  const files = [];
  for (const url of status.response_urls) {
    const bytes = await api.download(url);
    files.push({ url: decodeURIComponent(url), bytes, ...(await readFile(bytes, report, types)) });
  }
  return files;
}
