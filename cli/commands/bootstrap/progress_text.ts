/** The progress messages of a bootstrap, and its results. */
import { type BootstrapOutcome, HEALTH_WAIT_MS } from "../../../client/bootstrap.ts";
import type { ServingOutcome } from "../../../client/serving.ts";
import { KUBELET_SERVING_SIGNER } from "../../../core/kube/kinds/constants.ts";
import { formatTime } from "../../../core/kube/meta.ts";
import { shellWord } from "../../../core/lib/printable.ts";
import type { Clock } from "../../../core/ports.ts";
import { describeAttestProgress } from "../../attestation.ts";
import { displayPath } from "../../output/files.ts";
import { type AwaitedEvent, findDeadline } from "../../output/progress.ts";
import type { Machine, MachineProgress } from "./machine.ts";

/** Returns the message for a step; undefined when there is nothing to print. */
export function describeProgress(event: MachineProgress, cwd: string): string | undefined {
  switch (event.kind) {
    case "kubeconfigInvalid":
      return `the kubeconfig cannot be used: ${event.reason}`;
    case "recovering":
      return `the certificate expired at ${
        formatTime(event.expiredAt)
      }; requesting the next one with it from ${event.server}`;
    case "recoveryRefused":
      return `the server does not accept the expired certificate: ${event.reason}`;
    case "provingAgain":
      return `the certificate is valid until ${formatTime(event.expiresAt)}; a new one needs a new proof`;
    case "servingOutdated":
      return `requesting another serving certificate: ${event.reason}`;
    case "discovering":
      return `reading cluster-info of ${event.server}`;
    case "discoveryDelayed":
      return `trying again: ${event.reason}`;
    case "discovered":
      return `cluster-info is signed with the token, and its CA has the hash: the server is ${event.server}`;
    case "proving":
    case "provingDelayed":
    case "proven":
      return describeAttestProgress(event);
    case "keyKept":
      return event.reused
        ? `using the key in ${displayPath(event.path, cwd)}`
        : `key made: ${displayPath(event.path, cwd)}`;
    case "waitingForServer":
      return `waiting for ${event.server}`;
    case "clockSkew":
      return `this machine's clock differs: the server says ${formatTime(event.skew.serverTime)}`;
    case "submitted":
      return `${event.signerName === KUBELET_SERVING_SIGNER ? "serving " : ""}request ${event.name} ${
        event.adopted ? "taken up again" : "made"
      }; ` +
        `waiting for approval: tlsboot approve ${shellWord(event.name)}`;
    case "approved":
      return `approved (${event.reason}); waiting for the certificate`;
    case "issued":
      return `issued, valid until ${formatTime(event.notAfter)}`;
    case "stored":
    case "kubeconfigWritten":
      return undefined;
  }
}

/** Creates a function that returns what a step waits for, and until when; undefined for a step that does not wait. */
export function createAwaited(
  waitMs: number,
  clock: Pick<Clock, "now">,
): (event: MachineProgress) => AwaitedEvent | undefined {
  let until: Date | undefined;
  return ({ kind }) => {
    switch (kind) {
      case "discovering":
        until = findDeadline(waitMs, clock);
        return { what: "cluster-info", until };
      case "discoveryDelayed":
        return { what: "cluster-info", until };
      case "proving":
        until = findDeadline(waitMs, clock);
        return { what: "the server", until };
      case "provingDelayed":
        return { what: "the server", until };
      case "waitingForServer":
        return { what: "the server", until: findDeadline(Math.min(waitMs, HEALTH_WAIT_MS), clock) };
      case "submitted":
        until = findDeadline(waitMs, clock);
        return { what: "approval", until };
      case "approved":
        return { what: "the certificate", until };
      default:
        return undefined;
    }
  };
}

type DescribedOutcome =
  | Pick<BootstrapOutcome & { readonly kind: "alreadyValid" }, "kind" | "pair">
  | Pick<
    BootstrapOutcome & { readonly kind: "issued" },
    "kind" | "pair" | "certificatePath"
  >;

/** Describes the client certificate of a machine and its files. */
export function describeOutcome(
  outcome: DescribedOutcome,
  machine: Machine,
  cwd: string,
): string {
  const kubeconfig = displayPath(machine.kubeconfigPath, cwd);
  if (outcome.kind === "alreadyValid") {
    const { subject, notAfter } = outcome.pair.leaf;
    return `nothing to do: ${kubeconfig} of ${subject.commonName} is valid until ${formatTime(notAfter)}\n`;
  }
  return `certificate of ${machine.nodeName} issued, valid until ${formatTime(outcome.pair.leaf.notAfter)}
certificate and key: ${displayPath(outcome.certificatePath, cwd)}
kubeconfig: ${kubeconfig}
`;
}

/** Describes the serving certificate of a machine and its file. */
export function describeServing({ kind, pair, certificatePath }: ServingOutcome, cwd: string): string {
  const path = displayPath(certificatePath, cwd);
  const { dnsNames, ipAddresses, notAfter } = pair.leaf;
  if (kind === "alreadyValid") return `nothing to do: ${path} is valid until ${formatTime(notAfter)}\n`;
  return `serving certificate of ${[...dnsNames, ...ipAddresses].join(", ")} issued, valid until ${formatTime(notAfter)}
serving certificate and key: ${path}
`;
}
