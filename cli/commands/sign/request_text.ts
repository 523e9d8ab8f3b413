/** The description of an offline request, for the person who decides about it. */
import {
  KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
  KUBE_APISERVER_CLIENT_SIGNER,
  KUBELET_SERVING_SIGNER,
} from "../../../core/kube/kinds/certificates_v1.ts";
import { formatTime } from "../../../core/kube/meta.ts";
import { parseNodeUser } from "../../../core/kube/user.ts";
import {
  formatOfflineLifetime,
  formatSubject,
  type OfflineRequest,
  type RequestBundle,
} from "../../../core/offline/bundle.ts";
import { formatKey } from "../../../core/pki/keys/key_algorithm.ts";
import { publicKeyPin } from "../../../core/pki/keys/public_key_pin.ts";
import { listAlternativeNames } from "../../../core/pki/x509/subject_alternative_names.ts";
import { toVerdictView } from "../../../core/report/request_view.ts";
import { line } from "../../../core/lib/printable.ts";
import { formatDescription } from "../../output/tab_writer.ts";
import type { DecidedRequest, SignDecision } from "./decide.ts";

/** Describes a request in words: what for, for whom, names, usages, key, lifetime, and what the rules say. */
export function describeOfflineRequest(decided: DecidedRequest, origin: RequestBundle["origin"]): string {
  const { request, decision, opinion } = decided;
  const { facts, signerName, usages, expirationSeconds, approved } = request;
  const { reason = "", message = "" } = approved?.approval ?? {};
  const approval = [reason, message].filter((text) => text !== "").join(": ") || "without a reason";
  const lines = formatDescription([
    ["  Signer", signerName],
    ["  Subject", formatSubject(facts)],
    ["  Names", listAlternativeNames(facts).join(", ") || "none"],
    ["  Usages", usages.join(", ") || "those of the signer"],
    ["  Lifetime", formatOfflineLifetime(expirationSeconds)],
    ["  Key", `${formatKey(facts)}, ${publicKeyPin(facts)}`],
    ["  Requester", describeRequester(decided, origin)],
    ["  Approved", approved && approval],
    ["  Warning", opinion?.warning],
    ["  Policies", opinion?.verdict && toVerdictView(opinion.verdict).text],
    ["  Verdict", describeDecision(decision)],
  ]);
  const title = line`${request.name}: ${describePurpose(request)}`;
  return `${title}\n${lines}\n`;
}

function describeDecision(decision: SignDecision): string {
  switch (decision.kind) {
    case "sign":
      return "the signer's rules allow it";
    case "refused":
      return `refused: ${decision.message}`;
    case "skipped":
      return `not signed: ${decision.message}`;
  }
}

function describePurpose({ facts: { subject }, signerName }: OfflineRequest): string {
  const { commonName } = subject;
  const node = parseNodeUser(commonName);
  switch (signerName) {
    case KUBE_APISERVER_CLIENT_KUBELET_SIGNER:
      return `machine ${node ?? commonName} asks for its client certificate`;
    case KUBELET_SERVING_SIGNER:
      return `machine ${node ?? commonName} asks for its serving certificate`;
    case KUBE_APISERVER_CLIENT_SIGNER:
      return `a client certificate of the API for user ${commonName}`;
    default:
      return `a certificate of ${signerName}`;
  }
}

function describeRequester(
  { request: { approved }, requesterFault }: DecidedRequest,
  origin: RequestBundle["origin"],
): string {
  if (origin.kind === "export") {
    const { username, groups = [] } = approved?.requester ?? {};
    return `${username || "unknown"}${groups.length === 0 ? "" : ` of ${groups.join(", ")}`}`;
  }
  const [leaf] = origin.requester;
  if (leaf === undefined || requesterFault !== undefined) return `unknown: ${requesterFault ?? ""}`;
  return `holder of certificate ${leaf.serialNumber}, valid until ${formatTime(leaf.notAfter)}, proved by its key`;
}
