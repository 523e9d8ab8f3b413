/** Shows the requests of a bundle to the user, and asks whether to sign those that the rules allow. */
import { userInfo } from "node:os";
import {
  KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
  KUBE_APISERVER_CLIENT_SIGNER,
  KUBELET_SERVING_SIGNER,
} from "../../../core/kube/kinds/constants.ts";
import { formatTime } from "../../../core/kube/meta.ts";
import { parseNodeUser } from "../../../core/kube/user.ts";
import { line } from "../../../core/lib/printable.ts";
import {
  formatOfflineLifetime,
  formatSubject,
  type OfflineRequest,
  type RequestBundle,
} from "../../../core/offline/bundle.ts";
import { formatKey, publicKeyPin } from "../../../core/pki/keys/key_names.ts";
import { listAlternativeNames } from "../../../core/pki/x509/subject_alternative_names.ts";
import { toVerdictView } from "../../../core/report/request_view.ts";
import type { Consent, DecidedRequest } from "../../../instance/offline_signing/decide.ts";
import type { Settings } from "../../framework/flags.ts";
import type { Tools } from "../../io.ts";
import { formatDescription } from "../../output/layout.ts";
import { canAsk, confirm } from "../../terminal.ts";
import type { signCommand } from "./flags.ts";

/** Shows each request, and asks whether to sign. Without a terminal, a machine's request needs the approval of a policy. */
export async function askForConsent(
  decided: readonly DecidedRequest[],
  { origin }: RequestBundle,
  { yes }: Pick<Settings<typeof signCommand.flags>, "yes">,
  tools: Tools,
): Promise<Consent> {
  for (const one of decided) tools.stderr.write(describeOfflineRequest(one, origin));
  const time = formatTime(tools.clock.now());
  const username = getUserName();
  const approve = (how: string): Consent => {
    const by = username === undefined ? {} : { username };
    return { kind: "given", approval: { ...by, reason: "OfflineApproved", message: `approved ${how}`, time } };
  };
  const [{ decision, opinion } = {}] = decided;
  if (origin.kind === "machine" && decision?.kind === "skipped") return { kind: "left", reason: decision.message };
  const count = decided.filter((one) => one.decision.kind === "sign").length;
  if (yes || count === 0) return approve("with --yes");
  if (canAsk(tools)) {
    const isYes = await confirm(count === 1 ? "Sign it?" : `Sign these ${count} requests?`, tools);
    return isYes ? approve("on a terminal") : { kind: "left", reason: "declined; the next run asks again" };
  }
  if (origin.kind === "export") return approve("at its server");
  const { verdict } = opinion ?? {};
  if (verdict?.kind === "approve") {
    return { kind: "given", approval: { reason: verdict.reason, message: verdict.message, time } };
  }
  const why = verdict === undefined ? "there is no terminal to ask on" : `no rule approves it: ${verdict.message}`;
  return { kind: "left", reason: `${why}; sign it on a terminal, or with --yes` };
}

/** Returns the name of the user who runs the program; undefined if the system does not know it. */
function getUserName(): string | undefined {
  try {
    return userInfo().username;
  } catch {
    return undefined;
  }
}

/** Describes a request for the user: its purpose, requester, names, usages, key and lifetime, and the decision. */
function describeOfflineRequest(decided: DecidedRequest, origin: RequestBundle["origin"]): string {
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

function describeDecision(decision: DecidedRequest["decision"]): string {
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
      return `machine ${node ?? commonName} requests its client certificate`;
    case KUBELET_SERVING_SIGNER:
      return `machine ${node ?? commonName} requests its serving certificate`;
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
