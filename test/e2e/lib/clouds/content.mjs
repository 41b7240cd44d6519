// SPDX-License-Identifier: Apache-2.0
// Bytes that a rig stores: small ones in memory, large ones in a file, so that gigabytes can be uploaded to it.
import { createHash } from "node:crypto";
import { closeSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";

import { temporaryDirectory } from "../temp.mjs";

const MEMORY_BYTES = 1024 * 1024;
const STEP_BYTES = 1024 * 1024;
let directory;
let lastFile = 0;

export class Content {
  constructor(pieces = []) {
    this.pieces = pieces; // { bytes } or { path, size }
    this.size = pieces.reduce((sum, piece) => sum + sizeOf(piece), 0);
    this.hashes = { md5: createHash("md5"), sha256: createHash("sha256") };
  }

  static from(bytes) {
    const content = new Content();
    content.append(Buffer.from(bytes));
    return content.finish();
  }

  // The parts of an upload as one object; their bytes are not copied.
  static async join(parts) {
    const content = new Content(parts.flatMap((part) => part.pieces));
    for await (const bytes of content.chunks()) content.hash(bytes);
    return content.finish();
  }

  hash(bytes) {
    this.hashes.md5.update(bytes);
    this.hashes.sha256.update(bytes);
  }

  append(bytes) {
    this.hash(bytes);
    this.size += bytes.length;
    if (this.file === undefined && this.size <= MEMORY_BYTES) {
      this.pieces.push({ bytes: Buffer.from(bytes) });
      return;
    }
    if (this.file === undefined) this.spill();
    writeSync(this.file.fd, bytes);
    this.file.piece.size += bytes.length;
  }

  spill() {
    directory ??= temporaryDirectory("stored");
    const path = join(directory, String(++lastFile));
    this.file = { fd: openSync(path, "w"), piece: { path, size: 0 } };
    for (const { bytes } of this.pieces) {
      writeSync(this.file.fd, bytes);
      this.file.piece.size += bytes.length;
    }
    this.pieces = [this.file.piece];
  }

  finish() {
    if (this.file) closeSync(this.file.fd);
    this.file = undefined;
    this.md5 = this.hashes.md5.digest("hex");
    this.sha256 = this.hashes.sha256.digest("hex");
    this.hashes = undefined;
    return this;
  }

  async *chunks(from = 0, until = this.size) {
    let at = 0;
    for (const piece of this.pieces) {
      const size = sizeOf(piece);
      const start = Math.max(from - at, 0);
      const end = Math.min(until - at, size);
      if (start < end) yield* readPiece(piece, start, end);
      at += size;
    }
  }

  async bytes(from, until) {
    const list = [];
    for await (const chunk of this.chunks(from, until)) list.push(chunk);
    return Buffer.concat(list);
  }

  discard() {
    if (this.file) closeSync(this.file.fd);
    this.file = undefined;
    for (const piece of this.pieces) if (piece.path) rmSync(piece.path, { force: true });
    this.pieces = [];
  }
}

const sizeOf = (piece) => piece.bytes?.length ?? piece.size;

function* readPiece(piece, start, end) {
  if (piece.bytes) {
    yield piece.bytes.subarray(start, end);
    return;
  }
  const fd = openSync(piece.path, "r");
  try {
    for (let at = start; at < end; ) {
      const bytes = Buffer.alloc(Math.min(STEP_BYTES, end - at));
      const count = readSync(fd, bytes, 0, bytes.length, at);
      if (count === 0) throw new Error(`${piece.path} is short`);
      at += count;
      yield bytes.subarray(0, count);
    }
  } finally {
    closeSync(fd);
  }
}
