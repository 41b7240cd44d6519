// SPDX-License-Identifier: Apache-2.0
// A server at another time, where names have other addresses (test/tools/elsewhere.c).
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

import { binary } from "./server.mjs";
import { temporaryDirectory } from "./temp.mjs";

const library = join(dirname(binary), "test/tools/elsewhere.so");

// The environment of a server whose clock is ahead by so much.
export const atOtherTime = (aheadMs) => ({ LD_PRELOAD: library, ELSEWHERE_CLOCK_MS: String(aheadMs) });

// Names of the test's own, which can move while servers run.
export class Names {
  constructor(addresses = {}) {
    this.file = join(temporaryDirectory("names"), "hosts");
    this.addresses = {};
    this.set(addresses);
  }

  // { name: address or [addresses] }; others stay.
  set(addresses) {
    Object.assign(this.addresses, addresses);
    const lines = Object.entries(this.addresses).flatMap(([name, list]) => [list].flat().map((address) => `${name} ${address}\n`));
    writeFileSync(this.file, lines.join(""));
  }

  get env() {
    return { LD_PRELOAD: library, ELSEWHERE_HOSTS: this.file };
  }
}
