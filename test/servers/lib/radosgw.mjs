// SPDX-License-Identifier: Apache-2.0
// A Ceph of one monitor, one store and one S3 gateway on loopback, as an unnamed user would have it: no manager, no keys between
// the daemons. memstore keeps everything in memory (about a second to start), bluestore in a sparse file (about six).
import { randomUUID } from "node:crypto";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { exchange, S3Client } from "../../e2e/lib/clouds/client.mjs";
import { freePorts, Process, run, untilReady } from "./processes.mjs";

const START_MS = 60_000;

// Why each line: without "crc" the gateway waits for ever where nobody has keys; the intervals of paxos make a start of eleven
// seconds one; a disk that is almost full would stop the monitor.
const configuration = ({ directory, store, ports }) => `[global]
fsid = ${randomUUID()}
mon host = v2:127.0.0.1:${ports.mon2}/0,v1:127.0.0.1:${ports.mon1}/0
public addr = 127.0.0.1
public network = 127.0.0.0/8
cluster network = 127.0.0.0/8
auth cluster required = none
auth service required = none
auth client required = none
auth_allow_insecure_global_id_reclaim = true
ms bind msgr2 = true
ms_mon_client_mode = crc
ms_client_mode = crc
ms_cluster_mode = crc
ms_service_mode = crc
ms_mon_cluster_mode = crc
ms_mon_service_mode = crc
run dir = ${directory}/run
admin socket =
log file =
log to stderr = true
crash dir = ${directory}
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pgp num = 8
osd crush chooseleaf type = 0
mon allow pool size one = true
mon warn on pool no redundancy = false
mon data avail crit = 1
mon data avail warn = 2
mon_max_pg_per_osd = 1000
mon osdmap full prune enabled = false
paxos propose interval = 0.02
paxos min wait = 0.01
osd op queue = wpq
osd max pg per osd hard ratio = 10
[mon.a]
mon data = ${directory}/mon
[osd.0]
osd data = ${directory}/osd
osd objectstore = ${store}
memstore device bytes = 2147483648
bluestore block size = 8589934592
bluestore fsck on mount = false
osd memory target = 939524096
osd op num shards = 2
osd class load list = *
osd class default list = *
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:${ports.gateway}
rgw data = ${directory}/rgw
rgw thread pool size = 16
rgw enable usage log = false
rgw num rados handles = 1
rgw dynamic resharding = false
rgw override bucket index max shards = 1
rgw s3 auth use keystone = false
`;

export class Radosgw {
  static async start({ store = "memstore" } = {}) {
    const gateway = new Radosgw(store);
    try {
      await gateway.start();
    } catch (error) {
      await gateway.stop();
      throw error;
    }
    return gateway;
  }

  constructor(store) {
    this.store = store;
    this.directory = mkdtempSync(join(tmpdir(), "milkrun-radosgw-"));
    this.processes = [];
  }

  async start() {
    const { directory, store } = this;
    const [mon1, mon2, port] = await freePorts(3);
    this.port = port;
    for (const name of ["mon", "osd", "rgw", "run"]) mkdirSync(join(directory, name));
    const file = join(directory, "ceph.conf");
    const text = configuration({ directory, store, ports: { mon1, mon2, gateway: port } });
    writeFileSync(file, text);
    this.config = ["-c", file];
    const fsid = /fsid = (\S+)/.exec(text)[1];
    const map = join(directory, "monmap");
    await run("monmaptool", ["--create", "--clobber", "--fsid", fsid, "--addv", "a", `[v2:127.0.0.1:${mon2},v1:127.0.0.1:${mon1}]`, map]);
    await run("ceph-mon", [...this.config, "-i", "a", "--mkfs", "--monmap", map, "--mon-data", join(directory, "mon")]);
    this.spawn("ceph-mon", ["-i", "a", "--mon-data", join(directory, "mon")]);
    const uuid = randomUUID();
    await run("ceph", [...this.config, "--connect-timeout", "30", "osd", "new", uuid]);
    await run("ceph-osd", [...this.config, "-i", "0", "--osd-data", join(directory, "osd"), "--osd-uuid", uuid, "--mkfs"]);
    this.osd = this.spawn("ceph-osd", ["-i", "0", "--osd-data", join(directory, "osd")]);
    await this.startGateway();
  }

  spawn(command, args) {
    const child = new Process(command, [...this.config, ...args, "-f"]);
    this.processes.push(child);
    return child;
  }

  async startGateway() {
    this.gateway = this.spawn("radosgw", ["-n", "client.rgw"]);
    await untilReady("radosgw", () => exchange(`${this.endpoint}/`, { timeoutMs: 1000 }).then(({ status }) => status === 200, () => false), START_MS, [this.osd, this.gateway]);
  }

  // The gateway dies in the middle of whatever it does; startGateway() brings it back on the same port.
  async killGateway() {
    await this.gateway.kill();
    this.processes = this.processes.filter((one) => one !== this.gateway);
  }

  get endpoint() {
    return `http://127.0.0.1:${this.port}`;
  }

  // -> a client with keys of its own
  async makeUser(id, { keyId = `${id.toUpperCase()}ACCESSKEY`, secret = `${id}-secret+/${"x".repeat(20)}` } = {}) {
    await run("radosgw-admin", [...this.config, "user", "create", `--uid=${id}`, `--display-name=${id}`, `--access-key=${keyId}`, `--secret-key=${secret}`]);
    return Object.assign(new S3Client({ endpoint: this.endpoint, key: { keyId, secret } }), { id });
  }

  async suspendUser(id) {
    await run("radosgw-admin", [...this.config, "user", "suspend", `--uid=${id}`]);
  }

  // Everything of a bucket goes, whatever is in it.
  async deleteBucket(name) {
    await run("radosgw-admin", [...this.config, "bucket", "rm", `--bucket=${name}`, "--purge-objects", "--bypass-gc"]);
  }

  // Stands still, so that writes hang; goOn() ends it.
  standStill() {
    this.osd.signal("SIGSTOP");
  }

  goOn() {
    this.osd.signal("SIGCONT");
  }

  async stop() {
    await Promise.all(this.processes.map((one) => one.kill()));
    rmSync(this.directory, { recursive: true, force: true });
  }
}

// A policy of the bucket's owner for another user: may do these actions and no others.
export async function allow(owner, bucket, userId, actions, { prefix = "" } = {}) {
  const statement = (resource, list) => ({ Effect: "Allow", Principal: { AWS: [`arn:aws:iam:::user/${userId}`] }, Action: list, Resource: [resource] });
  const ofBucket = actions.filter((action) => /^s3:List|^s3:GetBucket/.test(action) && action !== "s3:ListMultipartUploadParts");
  const ofObject = actions.filter((action) => !ofBucket.includes(action));
  const body = JSON.stringify({ Version: "2012-10-17", Statement: [...(ofBucket.length ? [statement(`arn:aws:s3:::${bucket}`, ofBucket)] : []),
    ...(ofObject.length ? [statement(`arn:aws:s3:::${bucket}/${prefix}*`, ofObject)] : [])] });
  await owner.must("PUT", bucket, { query: { policy: "" }, body });
}
