/**
 * Whether a machine's credentials work, and what is wrong with them otherwise: decided from what was found on its disk
 * and from what the server answered. `bootstrap` and `bootstrap --status` share it.
 */
import { NODE_USER_PREFIX } from "../kube/user.ts";
import { formatTime } from "../kube/meta.ts";
import { formatDuration } from "../lib/duration.ts";
import { shellWord } from "../lib/shell_word.ts";
import { type NodeName, nodeSubject } from "./node_name.ts";
import type { PairState } from "./pair_status.ts";

/** How a stored pair stands; `mismatched` is one for other names than are wanted. */
export type StoredPairState = PairState | "missing" | "broken" | "mismatched";

/** What the server answered when it was asked who this machine is. */
export type ServerAnswer =
  /** There is nothing to ask with; `reason` says why. */
  | { readonly kind: "notAsked"; readonly reason: string }
  /** It gave no answer that tells anything; `reason` says why. */
  | { readonly kind: "unreachable"; readonly reason: string }
  /** It is not the server that the kubeconfig's CA vouches for, or not at this time. */
  | { readonly kind: "untrusted"; readonly reason: string; readonly hint: string | undefined }
  /** It does not accept the client certificate. */
  | { readonly kind: "refused"; readonly reason: string; readonly clock?: ClockReading }
  /** It accepts the certificate; `username` is undefined where it does not say whose it is. */
  | { readonly kind: "accepted"; readonly username: string | undefined; readonly clock?: ClockReading };

/** Two clocks at one moment. */
export interface ClockReading {
  readonly serverTime: Date;
  readonly ourTime: Date;
}

/** A secret on disk. */
export interface SecretEvidence {
  readonly path: string;
  /** Why it is not private, such as that others may read it; undefined when it is. */
  readonly fault: string | undefined;
}

/** Everything that the assessment is made of. */
export interface MachineEvidence {
  readonly nodeName: NodeName;
  readonly certDir: string;
  readonly kubeconfigState: "valid" | "invalid" | "missing";
  readonly clientState: StoredPairState;
  /** Undefined where there is no serving certificate and none is wanted. */
  readonly servingState: StoredPairState | undefined;
  /** Each file that holds a private key. */
  readonly secrets: readonly SecretEvidence[];
  /** Who may write to the folder of the certificates, beside its owner. */
  readonly folderWriters: "none" | "group" | "everybody";
  /** Where the client certificate leads outside of the folder, as after a copy of the folder. */
  readonly strayTarget: string | undefined;
  readonly server: ServerAnswer;
}

/** What the assessment is about, by a name that stays. */
export type ProblemSubject = "certificate" | "server" | "clock" | "secret" | "folder" | "copy";

/** Something that is wrong. */
export interface Problem {
  readonly subject: ProblemSubject;
  /** A fault means that the machine is not ready. */
  readonly severity: "fault" | "warning";
  /** A sentence without its period. */
  readonly message: string;
  /** What to do about it: an imperative sentence without its period, or a command. */
  readonly fix: string;
}

/** The outcome. */
export interface MachineAssessment {
  readonly isReady: boolean;
  /** Beside what the states of kubeconfig and pairs say themselves; faults first. */
  readonly problems: readonly Problem[];
}

/** Beyond this certificates that are backdated by five minutes (Kubernetes' signer) start to look wrong. */
export const TOLERATED_SKEW_MS = 5 * 60_000;

/**
 * Judges a machine. It is ready when its kubeconfig and its pairs are valid and nothing of the rest is a fault. A server
 * that could not be asked is a warning: a machine without a network must be able to learn how it stands.
 *
 * @param commandAgain the command that gets a new certificate, for the fixes.
 */
export function assessMachine(evidence: MachineEvidence, commandAgain: string): MachineAssessment {
  const all = [
    ...judgeServer(evidence, commandAgain),
    ...judgeClock(evidence),
    ...judgeSecrets(evidence),
    ...judgeFolder(evidence),
    ...judgeCopy(evidence),
  ];
  const faults = all.filter(({ severity }) => severity === "fault");
  const { kubeconfigState, clientState, servingState } = evidence;
  const isStored = kubeconfigState === "valid" && clientState === "valid" &&
    (servingState === undefined || servingState === "valid");
  return {
    isReady: isStored && faults.length === 0,
    problems: [...faults, ...all.filter(({ severity }) => severity === "warning")],
  };
}

/** The node that a client certificate is for; undefined for any other certificate. */
export function parseNodeCommonName(commonName: string | undefined): string | undefined {
  return commonName?.startsWith(NODE_USER_PREFIX) === true ? commonName.slice(NODE_USER_PREFIX.length) : undefined;
}

/** How far two clocks are apart, when that is further than certificates tolerate. */
export function findSkewMs(clock: ClockReading | undefined): number | undefined {
  if (clock === undefined) return undefined;
  const skewMs = clock.ourTime.getTime() - clock.serverTime.getTime();
  return Math.abs(skewMs) > TOLERATED_SKEW_MS ? skewMs : undefined;
}

function judgeServer({ server, nodeName, clientState }: MachineEvidence, commandAgain: string): readonly Problem[] {
  const fault = (message: string, fix: string): Problem => ({ subject: "server", severity: "fault", message, fix });
  switch (server.kind) {
    // The state of the kubeconfig says it already.
    case "notAsked":
      return [];
    case "unreachable":
      return [{
        subject: "server",
        severity: "warning",
        message: `the server could not be asked whether it still accepts this machine: ${server.reason}`,
        fix: "check the network and the server, then ask again",
      }];
    case "untrusted":
      // A certificate that is not valid yet is a matter of this machine's clock, not of the CA.
      return [fault(
        server.reason,
        (server.hint ?? "compare the CA in the kubeconfig with the server's") +
          (clientState === "notYetValid"
            ? ""
            : `; if the server's CA was replaced, get a new certificate: ${commandAgain}`),
      )];
    case "refused":
      return [fault(
        `the server no longer accepts this machine's certificate: ${server.reason}`,
        `get a new one: ${commandAgain}`,
      )];
    case "accepted": {
      const { commonName } = nodeSubject(nodeName);
      if (server.username === undefined || server.username === commonName) return [];
      return [fault(
        `the server takes this machine for "${server.username}", not for "${commonName}"`,
        "check that the kubeconfig and the node's name belong together",
      )];
    }
  }
}

function judgeClock({ server }: MachineEvidence): readonly Problem[] {
  const clock = "clock" in server ? server.clock : undefined;
  const skewMs = findSkewMs(clock);
  if (clock === undefined || skewMs === undefined) return [];
  const apart = formatDuration(Math.round(Math.abs(skewMs) / 1000) * 1000);
  return [{
    subject: "clock",
    severity: "fault",
    message: `this machine's clock is ${apart} ${skewMs < 0 ? "behind" : "ahead of"} the server's, which says ` +
      formatTime(clock.serverTime),
    fix: "set this machine's clock",
  }];
}

function judgeSecrets({ secrets }: MachineEvidence): readonly Problem[] {
  return secrets.flatMap(({ path, fault }): readonly Problem[] =>
    fault === undefined ? [] : [{
      subject: "secret",
      severity: "fault",
      message: `the private key in "${path}" is not private: ${fault}`,
      fix: `make it the user's own that runs this, with mode 600, and replace it if someone else may have read it`,
    }]
  );
}

function judgeFolder({ folderWriters, certDir }: MachineEvidence): readonly Problem[] {
  if (folderWriters === "none") return [];
  const isFault = folderWriters === "everybody";
  return [{
    subject: "folder",
    severity: isFault ? "fault" : "warning",
    message: `${isFault ? "everybody" : "the group"} may write to "${certDir}", and so put another key there`,
    fix: "let its owner alone write to it (chmod 700)",
  }];
}

function judgeCopy({ strayTarget, certDir }: MachineEvidence): readonly Problem[] {
  if (strayTarget === undefined) return [];
  return [{
    subject: "copy",
    severity: "warning",
    message:
      `"${certDir}" looks like a copy: its certificate is "${strayTarget}", in the folder that it was copied from`,
    fix: `to use it here, run: ln -sfn ${shellWord(baseName(strayTarget))} ${
      shellWord(`${certDir}/kubelet-client-current.pem`)
    }, and let the kubeconfig name that link`,
  }];
}

function baseName(path: string): string {
  return path.slice(Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\")) + 1);
}
