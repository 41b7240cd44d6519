// SPDX-License-Identifier: Apache-2.0
// AssumeRole of the Security Token Service: checks who asks, the role's trust and the external id, and hands out session
// credentials that the S3 with the same keys demands in full, token included.
import { CloudError } from "./errors.mjs";
import { Keys } from "./keys.mjs";
import { Rig, readQuery } from "./rig.mjs";
import { verify } from "./sigv4.mjs";
import { documentXml } from "./xml.mjs";

const NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/";
const xml = { "Content-Type": "text/xml" };
const arnForm = /^arn:aws(-[a-z]+)*:iam::\d{12}:role\/[\w+=,.@\/-]{1,512}$/;

export class Sts extends Rig {
  static operations = ["AssumeRole", "GetCallerIdentity", "Unknown"];

  constructor({ keys = new Keys(), region = "us-east-1", ...rest } = {}) {
    super(rest);
    Object.assign(this, { keys, region });
    this.roles = new Map();
    this.sessions = []; // { role, sessionName, externalId, key }
  }

  // trusts: principals that may assume it (undefined: all); lifeMs: how long the sessions really last.
  makeRole(arn, { externalId, trusts, lifeMs } = {}) {
    this.roles.set(arn, { arn, externalId, trusts, lifeMs });
    return arn;
  }

  removeRole(arn) {
    this.roles.delete(arn);
  }

  classify(entry) {
    entry.operation = /(?:^|&)Action=AssumeRole(?:&|$)/.test(entry.rawQuery) ? "AssumeRole" : "Unknown";
    // Most clients send a form, whose body is not here yet.
    if (entry.method === "POST" && entry.path === "/" && entry.rawQuery === "") entry.operation = "AssumeRole";
  }

  async handle(entry, body) {
    const { key } = verify(entry, { keys: this.keys, region: this.region, service: "sts", now: this.now(), bodySha256: body.sha256 });
    Object.assign(entry, { principal: key.principal, keyId: key.keyId });
    const form = entry.method === "POST" ? readQuery((await body.bytes()).toString("latin1")) : entry.query;
    if (entry.method === "POST" && !/^application\/x-www-form-urlencoded/.test(entry.headers["content-type"] ?? ""))
      throw new CloudError(400, "InvalidRequest", "a form is sent as application/x-www-form-urlencoded");
    entry.form = Object.fromEntries(form);
    if (form.get("Version") !== "2011-06-15" || form.get("Action") !== "AssumeRole")
      throw new CloudError(400, "InvalidAction", `Could not find operation ${form.get("Action")} for version ${form.get("Version")}`);
    return this.assumeRole(entry, key, entry.form);
  }

  assumeRole(entry, caller, { RoleArn: arn, RoleSessionName: sessionName, ExternalId: externalId, DurationSeconds: duration = "3600", ...rest }) {
    const invalid = (message) => new CloudError(400, "ValidationError", `1 validation error detected: ${message}`);
    const unknown = Object.keys(rest).filter((name) => !["Action", "Version"].includes(name));
    if (unknown.length) throw invalid(`unexpected ${unknown.join(", ")}`);
    if (!arnForm.test(arn ?? "")) throw invalid(`Value '${arn}' at 'roleArn' failed to satisfy constraint`);
    if (!/^[\w+=,.@-]{2,64}$/.test(sessionName ?? "")) throw invalid(`Value '${sessionName}' at 'roleSessionName' failed to satisfy constraint`);
    if (externalId !== undefined && !/^[\w+=,.@:\/-]{2,1224}$/.test(externalId)) throw invalid(`Value '${externalId}' at 'externalId' failed to satisfy constraint`);
    if (!/^\d+$/.test(duration) || Number(duration) < 900 || Number(duration) > 43_200) throw invalid(`Value '${duration}' at 'durationSeconds' failed to satisfy constraint`);
    const role = this.roles.get(arn);
    if (!role || (role.externalId !== undefined && role.externalId !== externalId) || (role.trusts && !role.trusts.includes(caller.principal)))
      throw new CloudError(403, "AccessDenied", `User: arn:aws:iam::210987654321:${caller.principal} is not authorized to perform: sts:AssumeRole on resource: ${arn}`);
    const saidMs = Number(duration) * 1000;
    const key = this.keys.addSession({ principal: arn, expiresAtMs: this.now() + Math.min(saidMs, role.lifeMs ?? Infinity) });
    this.sessions.push({ role: arn, sessionName, externalId, key });
    const account = /::(\d{12}):/.exec(arn)[1];
    return { status: 200, headers: xml, body: documentXml("AssumeRoleResponse", { AssumeRoleResult: {
      AssumedRoleUser: { AssumedRoleId: `AROA123EXAMPLE123:${sessionName}`, Arn: `arn:aws:sts::${account}:assumed-role/${arn.split("/").pop()}/${sessionName}` },
      Credentials: { AccessKeyId: key.keyId, SecretAccessKey: key.secret, SessionToken: key.token,
        Expiration: new Date(role.lifeMs === undefined ? this.now() + saidMs : key.expiresAtMs).toISOString().replace(/\.\d+/, "") } },
    ResponseMetadata: { RequestId: `R${entry.number}` } }, NAMESPACE) };
  }

  writeError(error, entry) {
    entry.errorCode = error.code;
    return { status: error.status, headers: xml, body: documentXml("ErrorResponse", { Error: { Type: error.status >= 500 ? "Receiver" : "Sender", Code: error.code,
      Message: error.text }, RequestId: `R${entry.number}` }, NAMESPACE) };
  }
}
