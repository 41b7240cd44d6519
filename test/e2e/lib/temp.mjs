// SPDX-License-Identifier: Apache-2.0
// Temporary directories of a test file: made below the system's, removed when the process ends.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const made = [];

export function temporaryDirectory(label = "test") {
  const path = mkdtempSync(join(tmpdir(), `milkrun-e2e-${label}-`));
  made.push(path);
  return path;
}

export function removeTemporaryDirectories() {
  for (const path of made.splice(0)) rmSync(path, { recursive: true, force: true, maxRetries: 3 });
}

process.on("exit", removeTemporaryDirectories);
