/**
 * The steps with which an operator replaces a CA: the port that each kind of CA implements, and the preconditions and
 * effects of each step. The commands of `tlsboot ca rotate` use only the port.
 */
import type {
  CaRotation,
  CaRotationServer,
  CaRotationSpec,
  IssuedCertificate,
} from "../kube/kinds/tlsboot_v1alpha1.ts";
import { isAborting, isInProgress } from "./rotation_rules.ts";
import { type CensusRow, isNamed } from "./census.ts";

/** The commands that an operator runs. */
export type RotationVerb = "begin" | "status" | "switch" | "finish" | "abort";

/** The change of a rotation that a step makes. */
export type CaRotationChange =
  & Pick<CaRotationSpec, "step">
  & Partial<Pick<CaRotationSpec, "isLeaked" | "renewFrom" | "renewBy" | "leftBehind">>;

/** A CA that can be replaced: one of the servers of an installation, or one in files. */
export interface ReplaceableCa {
  /** The name of its file without the extension. */
  readonly name: string;
  /** The files of the CA that signs. */
  readonly paths: { readonly certificate: string; readonly key: string };
  /** Rejects when there is no such CA here. */
  assertPresent(): Promise<void>;
  /** Reads its rotation, also a finished one. */
  read(): Promise<CaRotation | undefined>;
  /** Takes the census: who trusts which CAs, and who has a certificate of the retiring one. */
  census(rotation: CaRotation): Promise<readonly CensusRow[]>;
  /** Reads the records of the certificates that are known. */
  records(): AsyncIterable<IssuedCertificate>;
  /** Begins a rotation, with the key of the new CA unless a program holds it, and waits as `advance` does. */
  begin(spec: CaRotationSpec, keyPem: string | undefined): Promise<CaRotation>;
  /** Makes the change, if one is given, and waits until every follower has adopted it. Repeating it is safe. */
  advance(rotation: CaRotation, change?: CaRotationChange): Promise<CaRotation>;
  /** Removes a rotation whose new CA does not sign, or its remains. Returns false if that CA is still trusted. */
  end(rotation: CaRotation | undefined): Promise<boolean>;
  /** Describes the followers of the rotation as a label and a text. */
  describeFollowers(rotation: CaRotation): readonly [label: string, text: string];
  /** Reports whether every follower of the rotation has adopted its step. */
  isAdopted(rotation: CaRotation): boolean;
  command(verb: RotationVerb): string;
  /** Describes where the key of a CA that is no longer trusted can be destroyed. */
  describeRetiredKey(sha256Fingerprint: string): string;
}

/** The servers of a rotation by their progress with its step. */
export interface ServerProgress {
  readonly adopted: readonly CaRotationServer[];
  readonly pending: readonly CaRotationServer[];
  /** The servers that have not adopted the step, and are down or left behind. */
  readonly down: readonly CaRotationServer[];
}

/** A server renews its entry about once a minute; one that has not done so for this long is down. */
const DOWN_AFTER_MS = 180_000;

export function sortServers({ spec, status: { servers = [] } }: CaRotation, now: Date): ServerProgress {
  const adopted = servers.filter(({ step }) => step === spec.step);
  const others = servers.filter(({ step }) => step !== spec.step);
  const isDown = ({ name, time }: CaRotationServer) =>
    now.getTime() - Date.parse(time ?? "") > DOWN_AFTER_MS || (spec.leftBehind ?? []).includes(name);
  return { adopted, pending: others.filter((server) => !isDown(server)), down: others.filter(isDown) };
}

/** Reports whether every row is ready for the next step, except those that are left behind. */
export function isEveryoneReady(rows: readonly CensusRow[]): boolean {
  return rows.every(({ state, isLeftBehind }) => state === "ready" || isLeftBehind);
}

/** Reports whether a rotation is ready for its next step, or finished and followed by everyone. */
export function isRotationReady(
  ca: Pick<ReplaceableCa, "isAdopted">,
  rotation: CaRotation,
  rows: readonly CensusRow[],
): boolean {
  return (!isInProgress(rotation) || ca.isAdopted(rotation)) && isEveryoneReady(rows);
}

/**
 * Returns the changed spec; undefined when the rotation is already beyond the change, or no longer at the step `from`
 * for which the change was decided. A leak is applied at any step.
 */
export function applyChange(
  spec: CaRotationSpec,
  change: CaRotationChange,
  from: CaRotationSpec["step"],
): CaRotationSpec | undefined {
  const isLate = spec.step === "Finish" || (spec.isLeaked === true && change.step === "Trust");
  const isDecidedAgain = spec.step !== from && change.isLeaked !== true;
  return isLate || isDecidedAgain ? undefined : { ...spec, ...change };
}

/** A step after the beginning of a rotation, as the operator has requested it. */
export interface RequestedStep {
  readonly verb: "switch" | "finish" | "abort";
  /** The time in which nodes renew, where the step has one. */
  readonly window?: { readonly renewFrom: string; readonly renewBy: string } | undefined;
  /** Whether the operator chose the window, so that it also replaces one that has already begun. */
  readonly isWindowGiven?: boolean;
  /** The machines, users and servers that may lose access. */
  readonly leaveBehind?: readonly string[];
}

/** The reasons why the retiring CA must stay trusted. */
export interface Blocking {
  /** The machines, users and places that would lose access. */
  readonly losing: readonly CensusRow[];
  /** The servers that have not adopted the step, after which they could no longer get the key of the new CA. */
  readonly behind: readonly CaRotationServer[];
}

/** The effect of a step on the rotation, or the reason why it cannot be taken. */
export type StepDecision =
  | { readonly kind: "advance"; readonly change: CaRotationChange }
  /** The step was already taken; repeating it completes what an interrupted command left undone. */
  | { readonly kind: "repeat" }
  /** The rotation is removed, because its new CA does not sign. */
  | { readonly kind: "end" }
  | ({ readonly kind: "blocked" } & Blocking)
  /** The step is not possible; `next` is the command that is. */
  | { readonly kind: "refused"; readonly reason: string; readonly next: RotationVerb };

/** Reports whether a step depends on the census. After a leak it does not, because nothing trusts the old CA. */
export function needsCensus(verb: RequestedStep["verb"], rotation: CaRotation): boolean {
  const { step, isLeaked } = rotation.spec;
  return isLeaked !== true && (verb === "finish" ? step === "Switch" : verb === "abort" && isAborting(rotation));
}

/** Decides the effect of a step on a rotation. It needs the census only where `needsCensus` says so. */
export function decideStep(
  requested: RequestedStep,
  rotation: CaRotation,
  rows: readonly CensusRow[],
  now: Date,
): StepDecision {
  const { verb, window, isWindowGiven = false, leaveBehind = [] } = requested;
  const { step, isLeaked, leftBehind = [] } = rotation.spec;
  switch (verb) {
    case "switch":
      return step === "Trust" || (step === "Switch" && isWindowGiven)
        ? { kind: "advance", change: { step: "Switch", ...window } }
        : { kind: "repeat" };
    case "finish": {
      if (step === "Finish") return { kind: "repeat" };
      if (step === "Trust") {
        const reason = isAborting(rotation) ? "it is being aborted" : "the new CA does not sign yet";
        return { kind: "refused", reason, next: isAborting(rotation) ? "abort" : "switch" };
      }
      const allLeftBehind = [...new Set([...leftBehind, ...leaveBehind])];
      const blocking = findBlocking(rotation, rows, allLeftBehind, now);
      return blocking ?? { kind: "advance", change: { step: "Finish", leftBehind: allLeftBehind } };
    }
    case "abort": {
      if (step === "Finish") return { kind: "refused", reason: "it is finished", next: "begin" };
      if (isLeaked === true) {
        const reason = "the old key has leaked, so the old CA is not trusted again";
        return { kind: "refused", reason, next: "finish" };
      }
      if (step === "Switch") return { kind: "advance", change: { step: "Trust", ...window } };
      const blocking = isAborting(rotation)
        ? findBlocking(rotation, rows, [...leftBehind, ...leaveBehind], now)
        : undefined;
      if (blocking === undefined) return { kind: "end" };
      return isWindowGiven ? { kind: "advance", change: { step: "Trust", ...window } } : blocking;
    }
  }
}

function findBlocking(
  rotation: CaRotation,
  rows: readonly CensusRow[],
  leftBehind: readonly string[],
  now: Date,
): ({ readonly kind: "blocked" } & Blocking) | undefined {
  const losing = rows.filter((row) => row.losesAccess && !leftBehind.some((name) => isNamed(row, name)));
  const { pending, down } = sortServers(rotation, now);
  const behind = [...pending, ...down].filter(({ name }) => !leftBehind.includes(name));
  return losing.length === 0 && behind.length === 0 ? undefined : { kind: "blocked", losing, behind };
}

/** Finds a name that no machine, user, place or server has. */
export function findUnknownName(
  names: readonly string[],
  { status: { servers = [] } }: CaRotation,
  rows: readonly CensusRow[],
): string | undefined {
  return names.find((name) =>
    !servers.some((server) => server.name === name) && !rows.some((row) => isNamed(row, name))
  );
}

/** Returns the next commands of the operator, in their order; none when the rotation is finished. */
export function listNextVerbs(rotation: CaRotation, isReady: boolean): readonly RotationVerb[] {
  if (rotation.spec.step === "Finish") return [];
  const next = isAborting(rotation) ? "abort" : rotation.spec.step === "Trust" ? "switch" : "finish";
  return isReady ? [next] : ["status", next];
}

export function formatRotateCommand(verb: RotationVerb, caName: string): string {
  return `tlsboot ca rotate ${verb}${caName === "ca" ? "" : ` ${caName}`}`;
}
