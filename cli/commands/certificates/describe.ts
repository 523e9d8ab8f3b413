/** Describes certificates of the register in words. */
import { AppError } from "../../../core/errors.ts";
import { getName } from "../../../core/kube/meta.ts";
import type { IssuedCertificate } from "../../../core/kube/kinds/tlsboot_v1alpha1.ts";
import type { describeCertificateCommand } from "./flags.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import { reportError } from "../../framework/report.ts";
import type { Tools } from "../../io.ts";
import { openRecords } from "./open_records.ts";
import {
  describeRecordStatus,
  findNodeOfRecord,
  RECORD_SOURCE_TEXT,
  type RecordRow,
  shortenSerial,
  toRow,
} from "../../../core/report/record_rows.ts";
import { findReferences, findReplacements, parseRecordReference } from "../../../client/admin/record_source.ts";
import { describeStoredProof } from "../../../core/attestation/proof.ts";
import { formatHumanDuration } from "../../../core/lib/duration.ts";
import { shellWord } from "../../../core/lib/printable.ts";
import { formatFingerprint } from "../../../core/report/words.ts";
import { type DescribedLine, formatDescription } from "../../output/layout.ts";

export async function run(input: Input<typeof describeCertificateCommand.flags>, tools: Tools): Promise<ExitCode> {
  const { signal } = tools;
  input.args.forEach(parseRecordReference);
  await using records = await openRecords(input.settings, tools);
  const { source } = records;
  const found = await findReferences(source, input.args, signal);
  const replacements = await findReplacements(source, signal);
  const retiredCas = await source.readRetiredCas(signal);
  let isFirst = true;
  for (const item of found) {
    if (item instanceof AppError) {
      reportError(item, tools, tools.isDebug);
      continue;
    }
    const row = toRow(item, replacements, tools.clock.now(), retiredCas);
    const name = getName(item);
    const replaced = item.spec.replaces ?? [...replacements].find(([, newer]) => newer === name)?.[0];
    const neighbours = {
      before: replaced === undefined ? undefined : await source.findByName(replaced, signal),
      after: row.replacedBy === undefined ? undefined : await source.findByName(row.replacedBy, signal),
    };
    const page = describeCertificateRecord(row, neighbours, tools.clock.now());
    tools.stdout.write(`${isFirst ? "" : "\n\n"}${page}`);
    isFirst = false;
  }
  return found.some((item) => item instanceof AppError) ? EXIT.failed : EXIT.done;
}

/** The certificate that a certificate replaced, and the one that replaced it. */
interface Neighbours {
  readonly before: IssuedCertificate | undefined;
  readonly after: IssuedCertificate | undefined;
}

function describeCertificateRecord(row: RecordRow, neighbours: Neighbours, now: Date): string {
  const lines = [
    ...certificateLines(row, now),
    ...originLines(row.record),
    ...approvalLines(row.record),
    ...neighbourLines(row.record, neighbours),
    ...revocationLines(row),
  ];
  return `${formatDescription(lines)}\n`;
}

function certificateLines({ record, status, replacedBy }: RecordRow, now: Date): readonly DescribedLine[] {
  const { spec } = record;
  const notAfter = spec.notAfter === null ? undefined : new Date(spec.notAfter);
  return [
    ["Serial number", spec.serialNumber ?? "<unknown>"],
    ["Subject", spec.subject ?? "<none>"],
    ["DNS names", spec.dnsNames?.join(", ")],
    ["IP addresses", spec.ipAddresses?.join(", ")],
    ["Email addresses", spec.emailAddresses?.join(", ")],
    ["URIs", spec.uris?.join(", ")],
    ["Status", describeRecordStatus({ record, status, replacedBy }, now)],
    ["Validity", `${spec.notBefore ?? "<unknown>"} to ${spec.notAfter ?? "<unknown>"}${describeRest(notAfter, now)}`],
    ["Usages", `${spec.usages?.join(", ") ?? "<unknown>"}${spec.isCA === true ? ", as a CA" : ""}`],
    ["Issuer", spec.issuer ?? "<unknown>"],
    ["SHA-256", spec.fingerprint && formatFingerprint(spec.fingerprint)],
    ["SHA-256 of its key", spec.publicKeyFingerprint && formatFingerprint(spec.publicKeyFingerprint)],
    ["SHA-256 of its CA", spec.issuerFingerprint && formatFingerprint(spec.issuerFingerprint)],
    ["Register", `number ${spec.sequence}, record ${getName(record)}`],
    "",
  ];
}

function describeRest(notAfter: Date | undefined, now: Date): string {
  if (notAfter === undefined) return "";
  const rest = notAfter.getTime() - now.getTime();
  return rest < 0 ? `, expired ${formatHumanDuration(-rest)} ago` : `, ${formatHumanDuration(rest)} more`;
}

function originLines({ spec }: IssuedCertificate): readonly DescribedLine[] {
  const { request, requester } = spec;
  const how = spec.source === undefined ? "" : `, ${RECORD_SOURCE_TEXT[spec.source]}`;
  return [
    ["Issued", `${spec.issuedAt ?? "<unknown>"}${how}`],
    ["  Signer", spec.signerName],
    [
      "  Request",
      request && `${request.name ?? "<unknown>"}${request.uid === undefined ? "" : ` (uid ${request.uid})`}`,
    ],
    ["  Requester", requester?.username],
    ["  Groups", requester?.groups?.join(", ")],
    ["  Token", requester?.tokenID],
    ["  Proof", requester?.attested && describeStoredProof(requester.attested)],
    ["  Address", requester?.address],
    ["  Program", requester?.userAgent],
    "",
  ];
}

function approvalLines({ spec }: IssuedCertificate): readonly DescribedLine[] {
  const { approval } = spec;
  if (approval === undefined) return ["Approval:\t<none>", ""];
  return [
    ["Approval", approval.time ?? "<unknown time>"],
    ["  User", approval.username ?? "<unknown>"],
    ["  Groups", approval.groups?.join(", ")],
    ["  Address", approval.address],
    ["  Reason", approval.reason],
    ["  Message", approval.message],
    "",
  ];
}

function neighbourLines({ spec }: IssuedCertificate, { before, after }: Neighbours): readonly DescribedLine[] {
  const describe = (record: IssuedCertificate): string =>
    `${shortenSerial(record.spec.serialNumber ?? "<unknown>")}, issued ${record.spec.issuedAt ?? "<unknown>"}, record ${
      getName(record)
    }`;
  const replaced = before === undefined ? spec.replaces && `record ${spec.replaces}, removed` : describe(before);
  return [
    ["Replaces", replaced ?? "<none>"],
    ["Replaced by", after === undefined ? "<none>" : describe(after)],
    "",
  ];
}

function revocationLines({ record, status }: RecordRow): readonly DescribedLine[] {
  const { revocation } = record.status ?? {};
  if (revocation !== undefined) {
    return [
      ["Revocation", revocation.name],
      ["  Reason", revocation.reason],
      ["  Message", revocation.message],
      ["  User", revocation.revokedBy],
      ["  Time", revocation.time ?? undefined],
    ];
  }
  if (status === "expired") return ["Revocation:\t<none>; it has expired"];
  if (status === "untrusted") return ["Revocation:\t<none>; its CA was replaced"];
  const { source, isCA = false, serialNumber } = record.spec;
  if (isCA || source === "ca") return ["Revocation:\t<none>; a CA is replaced instead: tlsboot guide new_ca"];
  if (source === "serving") {
    return ["Revocation:\t<none>; the server makes a new certificate when it starts without the files of this one"];
  }
  const node = findNodeOfRecord(record);
  return [
    "Revocation:\t<none>",
    ["  To revoke it", serialNumber && `tlsboot revoke ${shellWord(serialNumber)} --reason keyCompromise`],
    ["  All of the node", node && `tlsboot revoke ${shellWord(`node/${node}`)}`],
  ];
}
