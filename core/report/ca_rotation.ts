/**
 * Describes the progress of a rotation: its step, its two CAs, the servers, the machines and users by state, and the
 * next commands.
 */
import { formatTime, getName } from "../kube/meta.ts";
import type { CaRotation } from "../kube/kinds/tlsboot_v1alpha1.ts";
import { type CensusRow, type CensusState, countStates } from "../ca_rotation/census.ts";
import { isAborting } from "../ca_rotation/rotation_rules.ts";
import {
  isEveryoneReady,
  isRotationReady,
  listNextVerbs,
  type ReplaceableCa,
  type ServerProgress,
  sortServers,
} from "../ca_rotation/steps.ts";
import { parseAuthorityChain } from "../pki/x509/ca_bundle.ts";
import { formatKey } from "../pki/keys/key_names.ts";
import { formatName } from "../pki/x509/names.ts";

/** The number of digits of the fingerprint in the names of a retired CA's files. */
const FINGERPRINT_DIGITS = 8;

/** Describes the step of a rotation. */
export function describeStep(rotation: CaRotation): string {
  const { step, isLeaked } = rotation.spec;
  const { beganAt, switchedAt, finishedAt } = rotation.status;
  if (step === "Finish") return `finished at ${finishedAt}: the old CA is no longer trusted`;
  if (isAborting(rotation)) return "is being aborted: both CAs are trusted, the old one signs again";
  const leaked = isLeaked === true ? ", certificates of the old one are refused" : ", both are trusted";
  return step === "Trust"
    ? `began at ${beganAt}: both CAs are trusted, the old one signs`
    : `switched at ${switchedAt}: the new CA signs${leaked}`;
}

/** Describes a CA by its subject, key, end, and the start of its fingerprint, which is also in the names of retired files. */
export function describeCa(pem: string): string {
  const chain = parseAuthorityChain(pem);
  if (!chain.ok) return `unreadable: ${chain.error}`;
  const { certificate } = chain.value;
  const { subject, notAfter, sha256Fingerprint } = certificate;
  const start = sha256Fingerprint.slice(0, FINGERPRINT_DIGITS);
  return `${formatName(subject)}, ${formatKey(certificate)}, until ${formatTime(notAfter)}, SHA-256 ${start}…`;
}

/** Describes how many servers have adopted the step, and the state of the others. */
export function describeServers(rotation: CaRotation, now: Date): string {
  const { adopted, pending, down } = sortServers(rotation, now);
  const total = adopted.length + pending.length + down.length;
  const waiting = pending.map(({ name, message }) => `; ${name}: ${message ?? "has not adopted it yet"}`);
  const lost = down.map(({ name, time }) => `; ${name}: not seen since ${time}, follows when it starts`);
  return `${adopted.length} of ${total} have adopted ${rotation.spec.step}${waiting.join("")}${lost.join("")}`;
}

const COUNT_TEXT: Readonly<Record<CensusState, string>> = {
  notSeen: "not seen since the rotation began",
  doesNotTrust: "without a report that they trust the new CA",
  oldCertificate: "with an old certificate",
  unknownCertificate: "without a known certificate",
  trustsNewOnly: "with the new CA only",
  trustsOld: "that still trust the old CA",
  renewalDue: "about to renew",
  ready: "ready",
};

/** Counts the machines, users and places in each state, the ready ones first. */
export function describeCounts(rows: readonly CensusRow[]): string {
  if (rows.length === 0) return "no machine or user is known to have a certificate of this CA";
  const counts = [...countStates(rows)].reverse().filter(([state, count]) => count > 0 && state !== "ready");
  const ready = rows.filter(({ state }) => state === "ready").length;
  const others = counts.map(([state, count]) => `, ${count} ${COUNT_TEXT[state]}`).join("");
  return `${ready} of ${rows.length} ${nameHolders(rows)}${others}`;
}

/** Returns the noun for the rows of a census. */
export function nameHolders(rows: readonly CensusRow[]): string {
  return rows.some(({ kind }) => kind === "place") ? "places, machines and users" : "machines and users";
}

/** Converts a rotation to the facts of `-o json` and `-o yaml`. Keys may be added, but never removed. */
export function toRotationFacts(
  ca: Pick<ReplaceableCa, "isAdopted">,
  rotation: CaRotation,
  rows: readonly CensusRow[],
  now: Date,
): Readonly<Record<string, unknown>> {
  const { step, isLeaked = false, renewFrom, renewBy } = rotation.spec;
  const { beganAt, switchedAt, finishedAt } = rotation.status;
  const progress = sortServers(rotation, now);
  const toServers = (state: keyof ServerProgress) =>
    progress[state].map(({ name, step, message, time }) => ({ name, state, step, message, time }));
  return {
    name: getName(rotation),
    step,
    isLeaked,
    isAborting: isAborting(rotation),
    isReady: isRotationReady(ca, rotation, rows),
    beganAt,
    switchedAt: switchedAt ?? undefined,
    finishedAt: finishedAt ?? undefined,
    renewFrom: renewFrom ?? undefined,
    renewBy: renewBy ?? undefined,
    oldCA: toCaFacts(rotation.spec.oldCA),
    newCA: toCaFacts(rotation.spec.newCA),
    servers: [...toServers("adopted"), ...toServers("pending"), ...toServers("down")],
    counts: Object.fromEntries(countStates(rows)),
    machines: rows.map(({ state, certificateUntil, lastSeen, ...row }) => ({
      ...row,
      state,
      isReady: state === "ready",
      certificateUntil: certificateUntil === undefined ? undefined : formatTime(certificateUntil),
      lastSeen: lastSeen === undefined ? undefined : formatTime(lastSeen),
    })),
  };
}

function toCaFacts(pem: string): Readonly<Record<string, unknown>> {
  const chain = parseAuthorityChain(pem);
  if (!chain.ok) return { error: chain.error };
  const { subject, notAfter, sha256Fingerprint } = chain.value.certificate;
  return { subject: formatName(subject), notAfter: formatTime(notAfter), sha256Fingerprint };
}

/** Returns the next commands of the operator. */
export function listNextCommands(
  command: ReplaceableCa["command"],
  rotation: CaRotation,
  isReady: boolean,
): readonly string[] {
  return listNextVerbs(rotation, isReady).map((verb) => `${command(verb)}${verb === "status" ? " --wait 1h" : ""}`);
}

/** Returns the next step of the operator, for the end of a command's output. */
export function describeNext(ca: ReplaceableCa, rotation: CaRotation, rows: readonly CensusRow[]): string {
  const commands = listNextCommands(ca.command, rotation, isRotationReady(ca, rotation, rows));
  if (commands.length > 0) return `next: ${commands.join(", and then: ")}`;
  const oldCa = parseAuthorityChain(rotation.spec.oldCA);
  const where = ca.describeRetiredKey(oldCa.ok ? oldCa.value.certificate.sha256Fingerprint : "");
  return `next: ${isEveryoneReady(rows) ? "" : "do what the table says, and then "}destroy the old key ${where}`;
}
