/** The texts of `tlsboot revoke`: its plan, its effects and the next steps. */
import type { IssuedCertificate, Revocation } from "../kube/kinds/tlsboot_v1alpha1.ts";
import { KUBE_APISERVER_CLIENT_SIGNER } from "../kube/kinds/constants.ts";
import { getName } from "../kube/meta.ts";
import { line, shellWord } from "../lib/printable.ts";
import type { RevocationTarget } from "../revocation/revocation.ts";
import { findNodeOfRecord, hasExpired, shortenSerial } from "./record_rows.ts";
import { readIdentity } from "../register/certificate_user.ts";

/** The step that revokes one target. */
export type RevocationPlan =
  | {
    readonly kind: "revoke";
    /** The target as it was typed. */
    readonly text: string;
    readonly target: RevocationTarget;
    readonly revocation: Revocation;
    /** The certificates that it covers, including expired and revoked ones. */
    readonly certificates: readonly IssuedCertificate[];
    /** The certificates of unknown users, which it does not mark but which may belong to its target. */
    readonly unidentified: readonly IssuedCertificate[];
    /** The Revocation that the new one replaces, because it covers fewer certificates. */
    readonly replaced: Revocation | undefined;
    readonly hasTokenSecret: boolean;
    /** Whether neither the register nor the server knows the target. */
    readonly isUnknown: boolean;
    /** Whether the command itself uses a credential that the revocation covers. */
    readonly isOwn: boolean;
  }
  | { readonly kind: "deny"; readonly text: string; readonly name: string; readonly uid: string | undefined };

type Revoke = Extract<RevocationPlan, { readonly kind: "revoke" }>;

/** The largest number of certificates that are listed before the question. */
const MAX_LISTED = 10;

/** Describes a plan before the user confirms it. */
export function describePlan(plan: RevocationPlan, now: Date): readonly string[] {
  if (plan.kind === "deny") return [line`${plan.text}: the request is pending and will be denied`];
  const affected = listAffectedCertificates(plan, now);
  const lines = [line`${plan.text}: ${describePlanEffect(plan, affected.length)}`];
  for (const { spec } of affected.slice(0, MAX_LISTED)) {
    lines.push(
      line`  ${shortenSerial(spec.serialNumber ?? "?")}  ${spec.subject ?? ""}, until ${spec.notAfter ?? "?"}`,
    );
  }
  if (affected.length > MAX_LISTED) lines.push(line`  and ${affected.length - MAX_LISTED} more`);
  lines.push(...describeUnidentified(plan, now).map((text) => `  ${text}`));
  if (plan.isUnknown) lines.push("  the register has no certificate for it: check the spelling");
  if (plan.isOwn) lines.push("  this command uses a credential that it covers: you lose your own access");
  return lines;
}

/** Describes the effect of a plan on `count` certificates. */
export function describePlanEffect({ target, revocation }: Revoke, count: number): string {
  const stop = `${countCertificates(count)} will stop working`;
  switch (target.kind) {
    case "serial":
    case "node":
      return stop;
    case "user":
    case "group":
      return `${stop}, and no new one is issued for the ${target.kind}`;
    case "token":
      return revocation.spec.includeCertificates === true ? `the token and ${stop}` : "the token will stop working";
  }
}

/** Describes a revocation that was made, in one line. */
export function describeDone(plan: Revoke, isTokenDeleted: boolean, now: Date): string {
  const { text, target } = plan;
  const effect = target.kind === "token" && plan.revocation.spec.includeCertificates !== true
    ? describeKeptCertificates(plan, now)
    : `${countCertificates(listAffectedCertificates(plan, now).length)} affected`;
  return line`${text} revoked${isTokenDeleted ? " and deleted" : ""}: ${effect}`;
}

/**
 * Describes what happens to the certificates that were requested with a token. `describeTokenUses` lists all of them.
 */
function describeKeptCertificates({ certificates }: Revoke, now: Date): string {
  const total = certificates.length;
  if (total === 0) return "no certificate was requested with it";
  const valid = certificates.filter((record) => isValid(record, now)).length;
  if (total === 1) return `the certificate that was requested with it ${valid === 1 ? "still works" : "is not valid"}`;
  const works = valid === 1 ? "1 still works" : valid === 0 ? "none still works" : `${valid} still work`;
  return valid === total
    ? `the ${total} certificates that were requested with it still work`
    : `of ${total} certificates that were requested with it, ${works}`;
}

/** Lists the certificates that were requested with a token, with the addresses of the machines, in columns after tabs. */
export function describeTokenUses({ target, certificates, revocation }: Revoke, now: Date): readonly string[] {
  if (target.kind !== "token" || certificates.length === 0) return [];
  const rows = certificates.map((record) => {
    const { spec, status } = record;
    const isRevoked = status?.revocation !== undefined || revocation.spec.includeCertificates === true;
    const state = hasExpired(record, now) ? "expired" : isRevoked ? "revoked" : "valid";
    const { address = "<unknown>" } = spec.requester ?? {};
    return line`${shortenSerial(spec.serialNumber ?? "<unknown>")}\t${spec.subject ?? "<none>"}\t${address}\t${
      spec.issuedAt ?? "<unknown>"
    }\t${state}`;
  });
  return ["SERIAL\tSUBJECT\tADDRESS\tISSUED\tSTATUS", ...rows];
}

/** Describes the next steps after a revocation, and the certificates that it may have missed. */
export function describeNextSteps(plan: Revoke, now: Date): readonly string[] {
  return [...describeUnidentified(plan, now), ...listNextSteps(plan, now)];
}

/** Lists the valid certificates of unknown users, which only a person can assign to the target. */
function describeUnidentified({ target, unidentified }: Revoke, now: Date): readonly string[] {
  const valid = unidentified.filter((record) => isValid(record, now));
  if (valid.length === 0) return [];
  const listed = valid.slice(0, MAX_LISTED).map((record) => record.spec.serialNumber ?? getName(record));
  const more = valid.length > MAX_LISTED ? ` and ${valid.length - MAX_LISTED} more` : "";
  return [
    line`the register does not identify the holder of ${countCertificates(valid.length)}, so ${
      valid.length === 1 ? "it is" : "they are"
    } not marked: ${listed.join(", ")}${more}; look at each with: tlsboot describe certificate, and ` +
    line`revoke those of the ${target.kind} with: tlsboot revoke SERIAL`,
  ];
}

function listNextSteps(plan: Revoke, now: Date): readonly string[] {
  const { target: { kind, value }, certificates, revocation } = plan;
  switch (kind) {
    case "node":
      return [
        line`to give the name to a replacement, make a token for it: tlsboot token create --node ${shellWord(value)}`,
      ];
    case "user":
    case "group": {
      const unrevoke = line`tlsboot unrevoke ${shellWord(`${kind}/${value}`)}`;
      if (listAffectedCertificates(plan, now).length === 0) return [`to let the ${kind} in again: ${unrevoke}`];
      const subject = shellWord(`${kind === "user" ? "CN" : "O"}=${value}`);
      return [
        line`to let the ${kind} in again with new certificates, first revoke each of the old ones:`,
        line`  tlsboot get certificates --subject ${subject} -o name | xargs tlsboot revoke`,
        `  ${unrevoke}`,
      ];
    }
    case "token": {
      const isWhole = revocation.spec.includeCertificates === true;
      const stillWorks = certificates.some((record) => isValid(record, now));
      return [
        ...(isWhole || !stillWorks
          ? []
          : [line`to revoke what was requested with it too: tlsboot revoke token/${value} --certificates`]),
        "to let machines join again, make another token: tlsboot token create",
      ];
    }
    case "serial":
      return certificates.flatMap(describeReplacement);
  }
}

/** Lists the commands that revoke a holder's other certificates and give the holder a new one. */
function describeReplacement(record: IssuedCertificate): readonly string[] {
  const node = findNodeOfRecord(record);
  if (node !== undefined) {
    return [
      line`to revoke all certificates of the machine: tlsboot revoke ${shellWord(`node/${node}`)}`,
      line`to give it a new certificate, make a token for it: tlsboot token create --node ${shellWord(node)}`,
    ];
  }
  const { username = "" } = readIdentity(record) ?? {};
  if (record.spec.signerName !== KUBE_APISERVER_CLIENT_SIGNER || username === "") return [];
  return [
    line`to revoke all certificates of the user: tlsboot revoke ${shellWord(`user/${username}`)}`,
    line`to give the user a new one: tlsboot kubeconfig user ${shellWord(username)} --force`,
  ];
}

/** Lists the certificates that a revocation stops: neither expired nor revoked before. */
export function listAffectedCertificates(
  { target, revocation, certificates }: Revoke,
  now: Date,
): readonly IssuedCertificate[] {
  if (target.kind === "token" && revocation.spec.includeCertificates !== true) return [];
  return certificates.filter((record) => isValid(record, now));
}

function isValid(record: IssuedCertificate, now: Date): boolean {
  return record.status?.revocation === undefined && !hasExpired(record, now);
}

function countCertificates(count: number): string {
  return count === 1 ? "1 certificate" : `${count} certificates`;
}
