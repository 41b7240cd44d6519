// SPDX-License-Identifier: Apache-2.0
// An HTTP proxy that takes every host name to a rig of the test: so real names (a bucket's own host, a provider's region)
// can be used without a resolver. Names that the test does not know are refused and kept in the log.
import net from "node:net";

import { Rig } from "./rig.mjs";

export class Proxy extends Rig {
  static operations = ["Connect", "Forward"];

  // routes: [[RegExp or text of HOST:PORT, rig]], the first that matches.
  constructor({ routes = [], ...rest } = {}) {
    super(rest);
    this.routes = routes;
  }

  classify(entry) {
    entry.operation = entry.method === "CONNECT" ? "Connect" : "Forward";
    entry.authority = entry.method === "CONNECT" ? entry.target : entry.host;
  }

  route(authority) {
    return this.routes.find(([pattern]) => (pattern instanceof RegExp ? pattern.test(authority) : pattern === authority))?.[1];
  }

  // A request in absolute form is one to the rig behind the name, with its faults and in its log as well.
  target(entry) {
    this.classify(entry);
    const rig = entry.isProxied && this.route(entry.authority);
    if (!rig) return this;
    entry.number = ++rig.numbered;
    rig.log.push(entry);
    return rig;
  }

  async handle(entry) {
    return { status: 502, body: `no way to ${entry.authority}\n` };
  }

  // Bytes both ways until one side ends. -> whether the connection is used up
  async tunnel({ entry, socket, reader }) {
    const rig = this.route(entry.authority);
    if (!rig) return false;
    socket.removeAllListeners("readable");
    entry.status = 200;
    const other = net.connect(rig.port, "127.0.0.1");
    this.keep(other);
    socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
    if (reader.rest.length) other.write(reader.rest);
    socket.pipe(other).pipe(socket);
    await new Promise((resolve) => {
      socket.on("close", resolve);
      other.on("close", resolve);
    });
    socket.destroy();
    other.destroy();
    return true;
  }
}
