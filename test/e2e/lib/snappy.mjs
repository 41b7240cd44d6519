// SPDX-License-Identifier: Apache-2.0
// Reader of the Snappy framing format, checksums included.

const STREAM_ID = 0xff;
const COMPRESSED = 0x00;
const UNCOMPRESSED = 0x01;
const PADDING = 0xfe;

const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  return value;
});

function maskedCrc32c(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = crcTable[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  crc = ~crc >>> 0;
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

export function unframeSnappy(bytes) {
  const parts = [];
  let at = 0;
  let sawStreamId = false;
  while (at < bytes.length) {
    const type = bytes[at];
    const length = bytes.readUIntLE(at + 1, 3);
    const chunk = bytes.subarray(at + 4, at + 4 + length);
    if (chunk.length !== length) throw new Error("snappy chunk is cut");
    at += 4 + length;
    if (type === STREAM_ID) {
      if (chunk.toString("latin1") !== "sNaPpY") throw new Error("snappy stream identifier is wrong");
      sawStreamId = true;
    } else if (!sawStreamId) {
      throw new Error("no snappy stream identifier at the start");
    } else if (type === COMPRESSED || type === UNCOMPRESSED) {
      const data = type === COMPRESSED ? uncompress(chunk.subarray(4)) : chunk.subarray(4);
      if (data.length > 65536) throw new Error("snappy chunk holds more than 64 KiB");
      if (maskedCrc32c(data) !== chunk.readUInt32LE(0)) throw new Error("snappy checksum differs");
      parts.push(data);
    } else if (type !== PADDING && type < 0x80) {
      throw new Error(`snappy chunk of unknown type ${type}`);
    }
  }
  return Buffer.concat(parts);
}

function readVarint(bytes) {
  let value = 0;
  let shift = 0;
  let at = 0;
  do value += (bytes[at] & 0x7f) * 2 ** shift, (shift += 7);
  while (bytes[at++] & 0x80);
  return { value, at };
}

function uncompress(bytes) {
  let { value: size, at } = readVarint(bytes);
  const out = Buffer.alloc(size);
  let filled = 0;
  while (at < bytes.length) {
    const tag = bytes[at++];
    if ((tag & 3) === 0) {
      let length = tag >> 2;
      if (length >= 60) {
        const width = length - 59;
        length = bytes.readUIntLE(at, width);
        at += width;
      }
      length++;
      bytes.copy(out, filled, at, at + length);
      at += length;
      filled += length;
    } else {
      const { length, offset, width } = readCopy(tag, bytes, at);
      at += width;
      if (offset === 0 || offset > filled) throw new Error("snappy copy reaches before the start");
      for (let index = 0; index < length; index++) out[filled + index] = out[filled + index - offset];
      filled += length;
    }
  }
  if (filled !== size) throw new Error("snappy block has another size than it says");
  return out;
}

function readCopy(tag, bytes, at) {
  if ((tag & 3) === 1) return { length: ((tag >> 2) & 7) + 4, offset: ((tag >> 5) << 8) | bytes[at], width: 1 };
  const width = (tag & 3) === 2 ? 2 : 4;
  return { length: (tag >> 2) + 1, offset: bytes.readUIntLE(at, width), width };
}
