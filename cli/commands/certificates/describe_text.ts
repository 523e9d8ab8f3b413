/** The description of one certificate of the register, in words. */
import { formatHumanDuration } from "../../../core/kube/human_duration.ts";
import { getName } from "../../../core/kube/meta.ts";
import type { IssuedCertificate } from "../../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { shellWord } from "../../../core/lib/shell_word.ts";
import { formatFingerprint } from "../../../core/report/words.ts";
import { line, oneLine } from "../../../core/lib/printable.ts";
import { alignTabs, DESCRIBE_TABS } from "../../output/tab_writer.ts";
import {
  describeRecordStatus,
  findNodeOfRecord,
  RECORD_SOURCE_TEXT,
  type RecordRow,
  shortenSerial,
} from "../../../core/report/record_rows.ts";

/** The neighbours of a certificate in time: the one that it replaced, and the one that replaced it. */
export interface Neighbours {
  readonly before: IssuedCertificate | undefined;
  readonly after: IssuedCertificate | undefined;
}

export function describeCertificateRecord(row: RecordRow, neighbours: Neighbours, now: Date): string {
  const lines = [
    ...certificateLines(row, now),
    ...originLines(row.record),
    ...approvalLines(row.record),
    ...neighbourLines(row.record, neighbours),
    ...revocationLines(row),
  ];
  return `${alignTabs(lines.map(oneLine).join("\n"), DESCRIBE_TABS)}\n`;
}

function certificateLines({ record, status, replacedBy }: RecordRow, now: Date): string[] {
  const { spec } = record;
  const notAfter = spec.notAfter === null ? undefined : new Date(spec.notAfter);
  const names: readonly (readonly [string, readonly string[] | undefined])[] = [
    ["DNS names", spec.dnsNames],
    ["IP addresses", spec.ipAddresses],
    ["Email addresses", spec.emailAddresses],
    ["URIs", spec.uris],
  ];
  return [
    line`Serial number:\t${spec.serialNumber ?? "<unknown>"}`,
    line`Subject:\t${spec.subject ?? "<none>"}`,
    ...names.flatMap(([title, values]) => values === undefined ? [] : [line`${title}:\t${values.join(", ")}`]),
    line`Status:\t${describeRecordStatus({ record, status, replacedBy }, now)}`,
    line`Validity:\t${spec.notBefore ?? "<unknown>"} to ${spec.notAfter ?? "<unknown>"}${describeRest(notAfter, now)}`,
    line`Usages:\t${spec.usages?.join(", ") ?? "<unknown>"}${spec.isCA === true ? ", as a CA" : ""}`,
    line`Issuer:\t${spec.issuer ?? "<unknown>"}`,
    ...fingerprintLines(record),
    line`Register:\tnumber ${spec.sequence}, record ${getName(record)}`,
    "",
  ];
}

function fingerprintLines({ spec }: IssuedCertificate): string[] {
  const rows: readonly (readonly [string, string | undefined])[] = [
    ["SHA-256", spec.fingerprint],
    ["SHA-256 of its key", spec.publicKeyFingerprint],
    ["SHA-256 of its CA", spec.issuerFingerprint],
  ];
  return rows.flatMap(([title, hex]) => hex === undefined ? [] : [line`${title}:\t${formatFingerprint(hex)}`]);
}

function describeRest(notAfter: Date | undefined, now: Date): string {
  if (notAfter === undefined) return "";
  const rest = notAfter.getTime() - now.getTime();
  return rest < 0 ? `, expired ${formatHumanDuration(-rest)} ago` : `, ${formatHumanDuration(rest)} more`;
}

function originLines({ spec }: IssuedCertificate): string[] {
  const { request, requester } = spec;
  return [
    line`Issued:\t${spec.issuedAt ?? "<unknown>"}${
      spec.source === undefined ? "" : `, ${RECORD_SOURCE_TEXT[spec.source]}`
    }`,
    ...(spec.signerName === undefined ? [] : [line`  Signer:\t${spec.signerName}`]),
    ...(request === undefined
      ? []
      : [line`  Request:\t${request.name ?? "<unknown>"}${inBrackets("uid", request.uid)}`]),
    ...optionalLine("  Requester", requester?.username),
    ...optionalLine("  Groups", requester?.groups?.join(", ")),
    ...optionalLine("  Token", requester?.tokenID),
    ...optionalLine("  Address", requester?.address),
    ...optionalLine("  Program", requester?.userAgent),
    "",
  ];
}

function approvalLines({ spec }: IssuedCertificate): string[] {
  const { approval } = spec;
  if (approval === undefined) return ["Approval:\t<none>", ""];
  return [
    line`Approval:\t${approval.time ?? "<unknown time>"}`,
    line`  User:\t${approval.username ?? "<unknown>"}`,
    ...optionalLine("  Groups", approval.groups?.join(", ")),
    ...optionalLine("  Address", approval.address),
    ...optionalLine("  Reason", approval.reason),
    ...optionalLine("  Message", approval.message),
    "",
  ];
}

function neighbourLines({ spec }: IssuedCertificate, { before, after }: Neighbours): string[] {
  const describe = (record: IssuedCertificate): string =>
    `${shortenSerial(record.spec.serialNumber ?? "<unknown>")}, issued ${record.spec.issuedAt ?? "<unknown>"}, record ${
      getName(record)
    }`;
  const replaced = before === undefined ? spec.replaces && `record ${spec.replaces}, removed` : describe(before);
  return [
    line`Replaces:\t${replaced ?? "<none>"}`,
    line`Replaced by:\t${after === undefined ? "<none>" : describe(after)}`,
    "",
  ];
}

function revocationLines({ record, status }: RecordRow): string[] {
  const { revocation } = record.status ?? {};
  if (revocation !== undefined) {
    return [
      line`Revocation:\t${revocation.name}`,
      line`  Reason:\t${revocation.reason}`,
      ...optionalLine("  Message", revocation.message),
      ...optionalLine("  User", revocation.revokedBy),
      ...optionalLine("  Time", revocation.time ?? undefined),
    ];
  }
  if (status === "expired") return ["Revocation:\t<none>; it has expired"];
  if (status === "untrusted") return ["Revocation:\t<none>; its CA was replaced"];
  const { source, isCA = false } = record.spec;
  if (isCA || source === "ca") return ["Revocation:\t<none>; a CA is replaced instead: tlsboot guide new_ca"];
  if (source === "serving") {
    return ["Revocation:\t<none>; the server makes a new certificate when it starts without the files of this one"];
  }
  const node = findNodeOfRecord(record);
  return [
    "Revocation:\t<none>",
    ...(record.spec.serialNumber === undefined
      ? []
      : [line`  To revoke it:\ttlsboot revoke ${shellWord(record.spec.serialNumber)} --reason keyCompromise`]),
    ...(node === undefined ? [] : [line`  All of the node:\ttlsboot revoke ${shellWord(`node/${node}`)}`]),
  ];
}

function optionalLine(title: string, value: string | undefined): string[] {
  return value === undefined || value === "" ? [] : [line`${title}:\t${value}`];
}

function inBrackets(title: string, value: string | undefined): string {
  return value === undefined ? "" : ` (${title} ${value})`;
}
