// SPDX-License-Identifier: Apache-2.0
// A receiver of webhooks: keeps what came, byte for byte, and answers 204 unless told otherwise.
import { Rig } from "./rig.mjs";

export class Sink extends Rig {
  static operations = ["Post", "Unknown"];

  constructor(options) {
    super(options);
    this.deliveries = []; // { at, path, headers, body, json, entry }
  }

  classify(entry) {
    entry.operation = entry.method === "POST" ? "Post" : "Unknown";
  }

  async handle(entry, body) {
    if (entry.operation !== "Post") return { status: 405 };
    const text = (await body.bytes()).toString("utf8");
    this.deliveries.push({ at: entry.at, path: entry.path, headers: { ...entry.headers }, body: text, entry, get json() {
      return JSON.parse(text);
    } });
    return { status: 204 };
  }
}
