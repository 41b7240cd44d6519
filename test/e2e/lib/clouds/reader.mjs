// SPDX-License-Identifier: Apache-2.0
// What comes in on a socket, pulled: nothing is read that nobody asks for, so a peer feels a stalled rig.

export class Closed extends Error {}

export class Reader {
  constructor(socket) {
    this.socket = socket;
    this.rest = Buffer.alloc(0);
    this.isEnded = false;
    this.error = undefined;
    this.received = 0;
    this.wake = () => {};
    socket.on("readable", () => this.wake());
    socket.on("end", () => this.end());
    socket.on("close", () => this.end());
    socket.on("error", (error) => {
      this.error = error;
      this.end();
    });
  }

  end() {
    this.isEnded = true;
    this.wake();
  }

  // The next bytes in whatever pieces they came; undefined at the end.
  async chunk(max = Infinity) {
    if (this.rest.length === 0) {
      const more = await this.pull();
      if (!more) return undefined;
      this.rest = more;
    }
    const taken = this.rest.subarray(0, max);
    this.rest = this.rest.subarray(taken.length);
    return taken;
  }

  async pull() {
    for (;;) {
      const bytes = this.socket.destroyed ? null : this.socket.read();
      if (bytes) {
        this.received += bytes.length;
        return bytes;
      }
      if (this.isEnded) return undefined;
      await new Promise((resolve) => (this.wake = resolve));
    }
  }

  // All up to and without the marker; undefined when the peer ended before the first byte.
  async until(marker, max) {
    for (;;) {
      const at = this.rest.indexOf(marker);
      if (at >= 0) {
        const found = this.rest.subarray(0, at);
        this.rest = this.rest.subarray(at + marker.length);
        return found;
      }
      if (this.rest.length > max) throw new Error(`more than ${max} bytes before ${JSON.stringify(marker)}`);
      const more = await this.pull();
      if (!more && this.rest.length === 0) return undefined;
      if (!more) throw new Closed("closed in the middle of a line");
      this.rest = Buffer.concat([this.rest, more]);
    }
  }

  async *exactly(count) {
    for (let left = count; left > 0; ) {
      const bytes = await this.chunk(left);
      if (!bytes) throw new Closed(`closed with ${left} of ${count} bytes to come`);
      left -= bytes.length;
      yield bytes;
    }
  }

  // Resolves when the peer has closed, or the rig its side. What comes until then is thrown away when asked for.
  async closed({ drains = false } = {}) {
    while (!this.isEnded && !this.socket.destroyed) {
      if (drains) await this.chunk();
      else await new Promise((resolve) => (this.wake = resolve)); // a close ends the reader and wakes it
    }
  }
}
