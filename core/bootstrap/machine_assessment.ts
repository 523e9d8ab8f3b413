/**
 * Decides whether a machine's credentials work, from the files on its disk and the answer of the server. `bootstrap` and
 * `bootstrap --status` share the rules.
 */
import { NODE_USER_PREFIX } from "../kube/user.ts";
import { formatTime } from "../kube/meta.ts";
import { formatDuration } from "../lib/duration.ts";
import { shellWord } from "../lib/shell_word.ts";
import { type NodeName, toNodeSubject } from "./node_name.ts";
import type { PairState } from "./rotation.ts";

/** The state of a stored pair. A `mismatched` pair has other names than the requested ones. */
export type StoredPairState = PairState | "missing" | "broken" | "mismatched";

/** The outcome of asking the server who this machine is. */
export type ServerAnswer =
  /** The server was not asked, because there were no usable credentials; `reason` explains why. */
  | { readonly kind: "notAsked"; readonly reason: string }
  /** The server returned no usable response; `reason` explains why. */
  | { readonly kind: "unreachable"; readonly reason: string }
  /** The kubeconfig's CA does not vouch for the server, or the certificate is not valid at this time. */
  | { readonly kind: "untrusted"; readonly reason: string; readonly hint: string | undefined }
  /** The server does not accept the client certificate. */
  | { readonly kind: "refused"; readonly reason: string; readonly clock?: ClockReading }
  /** The server accepts the certificate; `username` is undefined when the answer does not contain it. */
  | { readonly kind: "accepted"; readonly username: string | undefined; readonly clock?: ClockReading };

/** The times of both clocks at the same moment. */
export interface ClockReading {
  readonly serverTime: Date;
  readonly ourTime: Date;
}

/** A file that holds a private key. */
export interface SecretEvidence {
  readonly path: string;
  /** Why the file is not private, for example because others may read it; undefined when it is private. */
  readonly fault: string | undefined;
}

/** The facts that the assessment is based on. */
export interface MachineEvidence {
  readonly nodeName: NodeName;
  readonly certDir: string;
  readonly kubeconfigState: "valid" | "invalid" | "missing";
  readonly clientState: StoredPairState;
  /** Undefined where there is no serving certificate and none is wanted. */
  readonly servingState: StoredPairState | undefined;
  /** Each file that holds a private key. */
  readonly secrets: readonly SecretEvidence[];
  /** Which users may write to the folder of the certificates, apart from its owner. */
  readonly folderWriters: "none" | "group" | "every user";
  /** The target of the client certificate's link when it is outside the folder, as after a copy of the folder. */
  readonly strayTarget: string | undefined;
  readonly server: ServerAnswer;
}

/** The subject of a problem, by a stable name. */
export type ProblemSubject = "certificate" | "server" | "clock" | "secret" | "folder" | "copy";

/** One problem that the assessment found. */
export interface Problem {
  readonly subject: ProblemSubject;
  /** A fault means that the machine is not ready. */
  readonly severity: "fault" | "warning";
  /** A sentence without its period. */
  readonly message: string;
  /** How to fix it: an imperative sentence without its period, or a command. */
  readonly fix: string;
}

/** The result of an assessment. */
export interface MachineAssessment {
  readonly isReady: boolean;
  /** Problems that the states of kubeconfig and pairs do not already express; faults first. */
  readonly problems: readonly Problem[];
}

/** Kubernetes' signer backdates certificates by five minutes, so a larger clock skew makes new ones invalid. */
const TOLERATED_SKEW_MS = 5 * 60_000;

/**
 * Assesses a machine. It is ready when its kubeconfig and its pairs are valid and there is no other fault. An unreachable
 * server is only a warning, because the status must also work on a machine without a network.
 *
 * @param commandAgain the command that gets a new certificate, for the fixes.
 */
export function assessMachine(evidence: MachineEvidence, commandAgain: string): MachineAssessment {
  const all = [
    ...assessServer(evidence, commandAgain),
    ...assessClock(evidence),
    ...assessSecrets(evidence),
    ...assessFolder(evidence),
    ...assessCopy(evidence),
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

/** Takes the node's name out of a client certificate's common name; undefined for any other certificate. */
export function parseNodeCommonName(commonName: string | undefined): string | undefined {
  return commonName?.startsWith(NODE_USER_PREFIX) === true ? commonName.slice(NODE_USER_PREFIX.length) : undefined;
}

/** The skew between two clocks in milliseconds, when it is larger than certificates tolerate. */
export function findSkewMs(clock: ClockReading | undefined): number | undefined {
  if (clock === undefined) return undefined;
  const skewMs = clock.ourTime.getTime() - clock.serverTime.getTime();
  return Math.abs(skewMs) > TOLERATED_SKEW_MS ? skewMs : undefined;
}

function assessServer({ server, nodeName, clientState }: MachineEvidence, commandAgain: string): readonly Problem[] {
  const fault = (message: string, fix: string): Problem => ({ subject: "server", severity: "fault", message, fix });
  switch (server.kind) {
    // The state of the kubeconfig already explains the problem.
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
      // A certificate that is not valid yet points to this machine's clock, not to the CA.
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
      const { commonName } = toNodeSubject(nodeName);
      if (server.username === undefined || server.username === commonName) return [];
      return [fault(
        `the server takes this machine for "${server.username}", not for "${commonName}"`,
        "check that the kubeconfig and the node's name belong together",
      )];
    }
  }
}

function assessClock({ server }: MachineEvidence): readonly Problem[] {
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

function assessSecrets({ secrets }: MachineEvidence): readonly Problem[] {
  return secrets.flatMap(({ path, fault }): readonly Problem[] =>
    fault === undefined ? [] : [{
      subject: "secret",
      severity: "fault",
      message: `the private key in "${path}" is not private: ${fault}`,
      fix: `give it to the user that runs this command, with mode 600, and replace it if someone else may have read it`,
    }]
  );
}

function assessFolder({ folderWriters, certDir }: MachineEvidence): readonly Problem[] {
  if (folderWriters === "none") return [];
  const isFault = folderWriters === "every user";
  return [{
    subject: "folder",
    severity: isFault ? "fault" : "warning",
    message: `${isFault ? "every user" : "the group"} may write to "${certDir}", and so put another key there`,
    fix: "let only its owner write to it (chmod 700)",
  }];
}

function assessCopy({ strayTarget, certDir }: MachineEvidence): readonly Problem[] {
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
