// SPDX-License-Identifier: Apache-2.0
// A connection on which a test writes bytes as it likes, and reads replies one after the other. Strings are
// bytes (latin1). Works on TCP and TLS sockets.
import net from "node:net";
import tls from "node:tls";

export class Wire {
  static connect(base, options = {}) {
    const { protocol, hostname, port } = new URL(base);
    const target = { port: Number(port), host: hostname, allowHalfOpen: true };
    const isTls = protocol === "https:" && !options.plain;
    return new Promise((resolve, reject) => {
      const socket = isTls ? tls.connect({ ...target, rejectUnauthorized: false, ...options }) : net.connect(target);
      socket.once("error", reject);
      socket.once(isTls ? "secureConnect" : "connect", () => {
        socket.off("error", reject);
        resolve(new Wire(socket));
      });
    });
  }

  constructor(socket) {
    this.socket = socket;
    this.received = Buffer.alloc(0);
    this.isClosed = false;
    this.wake = () => {};
    socket.on("data", (bytes) => {
      this.received = Buffer.concat([this.received, bytes]);
      this.wake();
    });
    for (const event of ["end", "close", "error"]) {
      socket.on(event, () => {
        this.isClosed = true;
        this.wake();
      });
    }
  }

  send(bytes) {
    if (!this.socket.destroyed) this.socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
    return this;
  }

  finish() {
    this.socket.end();
    return this;
  }

  // Waits until ready() is true; false when the time is over.
  async until(ready, timeoutMs) {
    const end = Date.now() + timeoutMs;
    while (!ready()) {
      const left = end - Date.now();
      if (left <= 0) return false;
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, left);
        this.wake = () => { clearTimeout(timer); resolve(); };
      });
    }
    return true;
  }

  // { status, version, headers, body } of the next reply; undefined when the connection ends before it.
  async reply({ method = "GET", timeoutMs = 20_000 } = {}) {
    const headEnd = () => this.received.indexOf("\r\n\r\n");
    if (!await this.until(() => headEnd() >= 0 || this.isClosed, timeoutMs)) throw new Error(`no reply in ${timeoutMs} ms`);
    if (headEnd() < 0) return undefined;
    const [first, ...lines] = this.received.subarray(0, headEnd()).toString("latin1").split("\r\n");
    const [, version, status] = /^(HTTP\/1\.[01]) (\d{3}) /.exec(first) ?? [];
    if (!status) throw new Error(`not a reply: ${first}`);
    const headers = {};
    for (const line of lines) {
      const [, name, value] = /^([^:]+): ?(.*)$/.exec(line);
      if (name.toLowerCase() in headers) throw new Error(`header twice: ${name}`);
      headers[name.toLowerCase()] = value;
    }
    const start = headEnd() + 4;
    const hasBody = method !== "HEAD" && !/^(1..|204|304)$/.test(status);
    const size = hasBody ? Number(headers["content-length"]) : 0;
    if (!await this.until(() => this.received.length >= start + size || this.isClosed, timeoutMs)) throw new Error("half a reply");
    if (this.received.length < start + size) throw new Error("the reply was cut");
    const body = this.received.subarray(start, start + size).toString("utf8");
    this.received = this.received.subarray(start + size);
    return { status: Number(status), version, headers, body };
  }

  // True when the connection ends, with nothing more having come.
  async ends(timeoutMs = 5000) {
    await this.until(() => this.isClosed || this.received.length > 0, timeoutMs);
    return this.isClosed && this.received.length === 0;
  }

  close() {
    this.socket.destroy();
  }
}
