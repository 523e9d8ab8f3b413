/** The description of an offline request, for the person who decides about it. */
import type { PolicySettings } from "../../../controllers/evidence.ts";
import { NODE_USER_PREFIX } from "../../../core/kube/user.ts";
import {
  KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
  KUBE_APISERVER_CLIENT_SIGNER,
  KUBELET_SERVING_SIGNER,
} from "../../../core/kube/kinds/certificates_v1.ts";
import { formatTime } from "../../../core/kube/meta.ts";
import { formatDuration } from "../../../core/lib/duration.ts";
import type { Judgement } from "../../../core/offline/judge_request.ts";
import { type OfflineRequest, toRequestFileName } from "../../../core/offline/request_file.ts";
import { toVerdictView } from "../../../core/review/rule_views.ts";
import { listAlternativeNames } from "../../../core/pki/subject_alternative_names.ts";
import { formatName } from "../../../core/pki/names.ts";
import { publicKeyPin } from "../../../core/pki/public_key_pin.ts";
import { formatKey } from "../../../core/pki/key_algorithm.ts";
import { line, oneLine } from "../../output/escape.ts";
import { alignTabs, DESCRIBE_TABS } from "../../output/tab_writer.ts";

/** A request and what is known about it. */
export interface DescribedRequest {
  readonly name: string;
  readonly request: OfflineRequest;
  /** Why the requester has not proved who it is, although it tried; undefined when it has, or did not try. */
  readonly proofFault: string | undefined;
  /** Undefined when the rules of the signer refuse the request, with `refusal`. */
  readonly judgement: Judgement | undefined;
  readonly refusal: string | undefined;
  readonly policies: PolicySettings;
  readonly now: Date;
}

/** Describes a request in words: what for, for whom, names, usages, key, lifetime, and what the rules say. */
export function describeOfflineRequest(described: DescribedRequest): string {
  const { name, request, judgement, refusal } = described;
  const { facts, signerName, usages, expirationSeconds } = request;
  const lines = [
    line`  Subject:\t${formatName(facts.subject) || "none"}`,
    line`  Names:\t${listAlternativeNames(facts).join(", ") || "none"}`,
    line`  Usages:\t${usages.join(", ") || "those of the signer"}`,
    line`  Lifetime:\t${
      expirationSeconds === undefined ? "chosen by the signer" : formatDuration(expirationSeconds * 1_000)
    }`,
    line`  Key:\t${formatKey(facts)}, ${publicKeyPin(facts)}`,
    line`  Signer:\t${signerName}`,
    line`  Requester:\t${describeRequester(described)}`,
    refusal === undefined ? "  Signer's rules:\tallow it" : line`  Signer's rules:\trefuse it: ${refusal}`,
    ...(judgement === undefined ? [] : describeJudgement(judgement)),
  ];
  const title = line`${toRequestFileName(name)}: ${describePurpose(request)}`;
  return `${title}\n${alignTabs(lines.map(oneLine).join("\n"), DESCRIBE_TABS)}\n`;
}

function describePurpose({ facts: { subject }, signerName }: OfflineRequest): string {
  const { commonName } = subject;
  const node = commonName.startsWith(NODE_USER_PREFIX) ? commonName.slice(NODE_USER_PREFIX.length) : undefined;
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

function describeRequester({ request: { requester }, proofFault }: DescribedRequest): string {
  const [leaf] = requester?.chain ?? [];
  if (leaf === undefined) return "unknown: it has no certificate yet";
  if (proofFault !== undefined) return `unknown: ${proofFault}`;
  return `holder of certificate ${leaf.serialNumber}, valid until ${formatTime(leaf.notAfter)}, proved by its key`;
}

function describeJudgement({ warning, verdict }: Judgement): readonly string[] {
  return [
    ...(warning === undefined ? [] : [line`  Warning:\t${warning}`]),
    ...(verdict === undefined ? [] : [line`  Policies:\t${toVerdictView(verdict).text}`]),
  ];
}
