// SPDX-License-Identifier: Apache-2.0
// Servers of others, as small honest implementations with scripted faults: they check what the real ones check, keep what was
// stored and asked for, and fail in every way that a test wants. They need nothing installed.
import { stopRigs } from "./clouds/rig.mjs";
import { stopMailServers } from "./clouds/smtp.mjs";

export * as behaviours from "./clouds/behaviours.mjs";
export { policies } from "./clouds/buckets.mjs";
export { makeAuthority } from "./clouds/certificates.mjs";
export { S3Client, exchange } from "./clouds/client.mjs";
export { Gcs } from "./clouds/gcs.mjs";
export { Imds } from "./clouds/imds.mjs";
export { Keys } from "./clouds/keys.mjs";
export { readMail } from "./clouds/mime.mjs";
export { Proxy } from "./clouds/proxy.mjs";
export { Rig } from "./clouds/rig.mjs";
export { S3 } from "./clouds/s3.mjs";
export { dialects, presign, signHeaders } from "./clouds/sigv4.mjs";
export { Sink } from "./clouds/sink.mjs";
export { Smtp } from "./clouds/smtp.mjs";
export { Sts } from "./clouds/sts.mjs";
export { scopes } from "./clouds/tokens.mjs";

// For after(): ends all that a failing test left open.
export async function stopClouds() {
  await Promise.all([stopRigs(), stopMailServers()]);
}
