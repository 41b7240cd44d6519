// SPDX-License-Identifier: Apache-2.0
// Waiting: always for a condition, never for a fixed time and a hope.

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Asks until the answer is truthy and returns it; after the time says what was waited for.
export async function waitFor(what, ask, timeoutMs = 20_000, everyMs = 50) {
  const until = Date.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > until) throw new Error(`waited ${timeoutMs} ms in vain for ${describe(what)}`);
    await sleep(everyMs);
  }
}

function describe(what) {
  return typeof what === "function" ? what() : what;
}
