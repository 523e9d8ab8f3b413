/** The progress of a rotation as text: the two CAs, who follows it, and the machines, users and places by their state. */
import { formatTime, getName } from "../../core/kube/meta.ts";
import type { CaRotation } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { parseAuthorityChain } from "../../core/pki/authority/authority_chain.ts";
import { formatName } from "../../core/pki/x509/names.ts";
import { type CensusRow, type CensusState, countStates, describeState } from "../../core/ca_rotation/census.ts";
import { isAborting } from "../../core/ca_rotation/rotation_rules.ts";
import {
  isEveryoneReady,
  isRotationReady,
  listNextVerbs,
  type ReplaceableCa,
  type ServerProgress,
  sortServers,
} from "../../core/ca_rotation/steps.ts";
import { formatKey } from "../../core/pki/keys/key_algorithm.ts";
import { oneLine } from "../output/escape.ts";
import { alignTabs, DESCRIBE_TABS } from "../output/tab_writer.ts";
import { createTablePrinter, type TableColumn } from "../output/table.ts";

/** The number of machines and users that are not ready, beyond which a text names no more of them without `-o wide`. */
const MAX_SHOWN = 50;
/** The digits of a fingerprint in the name of a retired CA's files. */
const FINGERPRINT_DIGITS = 8;

/** Describes what a rotation is doing. */
export function describeStep(rotation: CaRotation): string {
  const { step, isLeaked } = rotation.spec;
  const { beganAt, switchedAt, finishedAt } = rotation.status;
  if (step === "Finish") return `finished at ${finishedAt}: the old CA is trusted no more`;
  if (isAborting(rotation)) return "is being taken back: both CAs are trusted, the old one signs again";
  const leaked = isLeaked === true ? ", certificates of the old one are refused" : ", both are trusted";
  return step === "Trust"
    ? `began at ${beganAt}: both CAs are trusted, the old one signs`
    : `switched at ${switchedAt}: the new CA signs${leaked}`;
}

/** Formats the head of a rotation as lines: its step, its CAs, who follows it, and how many are in which state. */
export function formatRotation(
  ca: Pick<ReplaceableCa, "describeFollowers">,
  rotation: CaRotation,
  rows: readonly CensusRow[],
): string {
  const { step, renewBy } = rotation.spec;
  const lines = [
    `Rotation:\t${getName(rotation)}, ${describeStep(rotation)}`,
    `Old CA:\t${describeCa(rotation.spec.oldCA)}`,
    `New CA:\t${describeCa(rotation.spec.newCA)}`,
    ...((renewBy ?? null) !== null && step !== "Finish" ? [`Renewal:\tnodes renew until ${renewBy}`] : []),
    ca.describeFollowers(rotation).join(":\t"),
    ...(step === "Finish" && rows.length === 0 ? [] : [`Ready:\t${describeCounts(rows)}`]),
  ];
  return `${alignTabs(lines.map(oneLine).join("\n"), DESCRIBE_TABS)}\n`;
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

/** Describes how many servers have adopted the step, and what the others do. */
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

/** Describes how many machines, users and places are in which state, those that are ready first. */
export function describeCounts(rows: readonly CensusRow[]): string {
  if (rows.length === 0) return "no machine or user is known that has a certificate of this CA";
  const counts = [...countStates(rows)].reverse().filter(([state, count]) => count > 0 && state !== "ready");
  const ready = rows.filter(({ state }) => state === "ready").length;
  const others = counts.map(([state, count]) => `, ${count} ${COUNT_TEXT[state]}`).join("");
  return `${ready} of ${rows.length} ${nameHolders(rows)}${others}`;
}

/** Names what the rows of a census are. */
export function nameHolders(rows: readonly CensusRow[]): string {
  return rows.some(({ kind }) => kind === "place") ? "places, machines and users" : "machines and users";
}

const ON_MACHINE = "tlsboot bootstrap";
const ON_MACHINE_NOTE =
  "Run bootstrap on the machine, with the paths of its files, and while its kubelet is stopped.\n";

const RENEWING_NOTE = "Where bootstrap --rotate-certificates runs, a renewal that is due happens by itself.\n";

const COLUMNS: readonly TableColumn[] = [
  { name: "Name" },
  { name: "Kind" },
  { name: "State" },
  { name: "Last seen", priority: 1 },
  { name: "Command" },
];

/**
 * Formats machines and users as a table. Without `isWide`, only the first of them, and without the time; `status` is the
 * command that shows all.
 */
export function formatCensus(rows: readonly CensusRow[], isWide: boolean, status: string): string {
  if (rows.length === 0) return "";
  const shown = isWide ? rows : rows.slice(0, MAX_SHOWN);
  const table = createTablePrinter({ isWide }).print(
    COLUMNS,
    shown.map((row) => ({
      cells: [
        row.name,
        row.kind,
        `${describeState(row)}${row.isLeftBehind ? " (left behind)" : ""}`,
        row.lastSeen === undefined ? "<unknown>" : formatTime(row.lastSeen),
        row.command ?? "",
      ],
    })),
  );
  const more = rows.length - shown.length;
  const rest = more === 0 ? "" : `and ${more} more: see all with: ${status} -o wide\n`;
  const isOnMachine = shown.some(({ kind, command = "" }) => kind === "node" && command.startsWith(ON_MACHINE));
  const isRenewing = shown.some(({ state }) => state === "renewalDue");
  return `${table}${rest}${isOnMachine ? ON_MACHINE_NOTE : ""}${isRenewing ? RENEWING_NOTE : ""}`;
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
