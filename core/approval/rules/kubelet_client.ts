/** The two kubelet client rules, with a trace like that of a policy. */
import { AUTO_APPROVED, type Recognizer, RECOGNIZERS } from "../recognizers.ts";
import {
  type CertificateSigningRequest,
  KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
} from "../../kube/kinds/certificates_v1.ts";
import { BUILTIN_SIGNERS, type RequestPart } from "../../signing/profile.ts";
import type { RequestFacts } from "../../pki/x509/pkcs10.ts";
import { KUBELET_CLIENT } from "./builtin_policies.ts";
import { type Check, checkPermission, type PolicyInput } from "./checks.ts";
import type { PolicyVerdict, RuleTrace } from "./evaluate_policies.ts";

/**
 * Evaluates the rules in order. The first one whose checks and permission hold approves; otherwise the policies follow.
 *
 * @param proofs the checks of the proofs that policies require of the request
 */
export function evaluateKubeletClient(input: PolicyInput, proofs: readonly Check[]): PolicyVerdict {
  const trace: RuleTrace[] = [];
  for (const recognizer of RECOGNIZERS) {
    const one = traceRecognizer(recognizer, input, proofs);
    trace.push(one);
    const base = { policy: KUBELET_CLIENT, rule: recognizer.permission, trace };
    if (one.outcome === "approve") {
      return { ...base, kind: "approve", reason: AUTO_APPROVED, message: recognizer.message };
    }
    if (one.outcome === "unknown") {
      const fault = one.checks.find(({ outcome }) => outcome === "unknown")?.fault ?? "";
      return { ...base, kind: "unknown", message: `rule "${recognizer.permission}": ${fault}` };
    }
  }
  return { kind: "pending", policy: KUBELET_CLIENT, rule: undefined, message: "no rule approves it", trace };
}

/** Lists the permissions of the rules that recognize a request, in the order in which they are tried. */
export function listRecognizedPermissions(
  csr: CertificateSigningRequest,
  facts: RequestFacts,
): readonly Recognizer["permission"][] {
  return RECOGNIZERS.filter((recognizer) => recognizer.recognizes(csr, facts)).map(({ permission }) => permission);
}

function traceRecognizer(
  { permission, recognizes }: Recognizer,
  input: PolicyInput,
  proofs: readonly Check[],
): RuleTrace {
  const { csr, request } = input;
  const place = { policy: KUBELET_CLIENT, rule: permission };
  if (csr.spec.signerName !== KUBE_APISERVER_CLIENT_KUBELET_SIGNER) {
    return { ...place, mismatch: `signer ${csr.spec.signerName} does not match`, checks: [], outcome: "next" };
  }
  const shape = checkShape(permission, input);
  if (!recognizes(csr, request)) return { ...place, mismatch: undefined, checks: shape, outcome: "next" };
  const asked = [...proofs, checkPermission(permission, input)];
  const failing = asked.find(({ outcome }) => outcome !== "holds");
  const outcome = failing === undefined ? "approve" : failing.outcome === "unknown" ? "unknown" : "next";
  return { ...place, mismatch: undefined, checks: [...shape, ...asked], outcome };
}

/** Checks the requirements of the signer; for `selfnodeclient` also that the requester is the node itself. */
function checkShape(permission: Recognizer["permission"], { csr, request }: PolicyInput): readonly Check[] {
  const usages = csr.spec.usages ?? [];
  const rules = BUILTIN_SIGNERS.get(KUBE_APISERVER_CLIENT_KUBELET_SIGNER)?.rules ?? [];
  const checks = rules.map(({ name, check }): Check => {
    const fault = check(request, usages);
    const saw = formatActualValue(name, request, usages);
    if (fault === undefined) return { what: name, saw, outcome: "holds" };
    return { what: name, saw, outcome: "fails", fault, fix: "ask as a kubelet does: tlsboot bootstrap" };
  });
  if (permission !== "selfnodeclient") return checks;
  const username = csr.spec.username ?? "";
  const isSelf = username === request.subject.commonName;
  return [
    ...checks,
    isSelf ? { what: "requester", saw: username, outcome: "holds" } : {
      what: "requester",
      saw: username,
      outcome: "fails",
      fault: `the requester is not "${request.subject.commonName}", for which it asks`,
      fix: "renew with the node's own certificate; a first certificate is for rule nodeclient",
    },
  ];
}

function formatActualValue(rule: RequestPart, { subject, ...names }: RequestFacts, usages: readonly string[]): string {
  const lists: Readonly<Partial<Record<RequestPart, readonly string[]>>> = {
    organization: subject.organizations,
    commonName: [subject.commonName],
    dnsNames: names.dnsNames,
    emailAddresses: names.emailAddresses,
    ipAddresses: names.ipAddresses,
    uris: names.uris,
    usages,
  };
  const list = lists[rule] ?? [];
  return list.length === 0 ? "none" : list.join(", ");
}
