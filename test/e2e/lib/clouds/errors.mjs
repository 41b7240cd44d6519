// SPDX-License-Identifier: Apache-2.0
// What a service answers instead of doing what was asked. Each kind of service writes it in its own form.
import { errorXml } from "./xml.mjs";

export class CloudError extends Error {
  constructor(status, code, message, more = {}) {
    super(`${status} ${code}: ${message}`);
    Object.assign(this, { status, code, text: message, more });
  }

  toReply(entry, rig) {
    entry.errorCode = this.code;
    if (rig.writeError) return rig.writeError(this, entry);
    return { status: this.status, headers: { "Content-Type": "application/xml", ...this.headers }, body: errorXml(this.code, this.text, entry, this.more) };
  }

  with(headers) {
    this.headers = headers;
    return this;
  }
}
