/**
 * Evaluates the two kubelet client rules with a trace like that of a policy, for `explain`, `test` and `describe`. The
 * running approver uses `planApproval`, which follows upstream exactly; a test compares the two.
 */
import { AUTO_APPROVED, type Recognizer, RECOGNIZERS } from "./plan_approval.ts";
import { type CertificateSigningRequest, KUBE_APISERVER_CLIENT_KUBELET_SIGNER } from "../kube/certificates_v1.ts";
import { escapeControls } from "../lib/printable.ts";
import { BUILTIN_SIGNERS } from "../signing/profile.ts";
import type { RequestFacts } from "../pki/pkcs10.ts";
import { KUBELET_CLIENT } from "./builtin_policies.ts";
import { type Check, checkPermission, type PolicyInput } from "./checks.ts";
import type { PolicyVerdict, RuleTrace } from "./evaluate_policies.ts";
import { collectNodeClientSettings, decideHold, findRequestedNode, type NodeClientSettings } from "./node_claims.ts";
import type { Policy } from "./policy.ts";

/**
 * Evaluates the rules in order. The first one whose checks and permission hold approves; otherwise the policies follow. A
 * request that is held stays pending whatever other rules would decide.
 */
export function evaluateKubeletClient(policies: readonly Policy[], input: PolicyInput): PolicyVerdict {
  const settings = collectNodeClientSettings(policies);
  const trace: RuleTrace[] = [];
  for (const recognizer of RECOGNIZERS) {
    const one = traceRecognizer(recognizer, settings, input);
    trace.push(one);
    if (one.outcome === "next") continue;
    const base = { policy: KUBELET_CLIENT, rule: recognizer.permission, trace };
    if (one.outcome === "approve") {
      return { ...base, kind: "approve", reason: AUTO_APPROVED, message: recognizer.message };
    }
    const bad = one.checks.filter(({ outcome }) => outcome === (one.outcome === "pending" ? "fails" : "unknown"));
    const faults = bad.map(({ fault }) => fault).join("; ");
    if (one.outcome === "pending") return { ...base, kind: "pending", message: escapeControls(faults) };
    return { ...base, kind: "unknown", message: `rule "${recognizer.permission}": ${faults}` };
  }
  const isAbout = trace.some(({ notAbout }) => notAbout === undefined);
  const message = isAbout ? "the requester may not have it" : "it is not a kubelet client request";
  return { kind: "pending", policy: KUBELET_CLIENT, rule: undefined, message, trace };
}

/** Finds the permissions that the rules require for a request. */
export function findKubeletClientPermissions(
  csr: CertificateSigningRequest,
  facts: RequestFacts,
): readonly Recognizer["permission"][] {
  return RECOGNIZERS.filter((recognizer) => recognizer.recognizes(csr, facts)).map(({ permission }) => permission);
}

function traceRecognizer(
  { permission, recognizes }: Recognizer,
  settings: NodeClientSettings,
  input: PolicyInput,
): RuleTrace {
  const { csr, request } = input;
  const place = { policy: KUBELET_CLIENT, rule: permission };
  if (csr.spec.signerName !== KUBE_APISERVER_CLIENT_KUBELET_SIGNER) {
    return { ...place, notAbout: `signer ${csr.spec.signerName} is another`, checks: [], outcome: "next" };
  }
  const shape = checkShape(permission, input);
  if (!recognizes(csr, request)) return { ...place, notAbout: undefined, checks: shape, outcome: "next" };
  const machine = checkMachine(settings, input);
  if (machine.outcome !== "holds") {
    const outcome = machine.outcome === "fails" ? "pending" : "unknown";
    return { ...place, notAbout: undefined, checks: [...shape, machine], outcome };
  }
  const asked = checkPermission(permission, input);
  const outcome = asked.outcome === "holds" ? "approve" : asked.outcome === "unknown" ? "unknown" : "next";
  return { ...place, notAbout: undefined, checks: [...shape, machine, asked], outcome };
}

/** Checks that the request is not held: by the inventory, or because another machine may be claiming the name. */
function checkMachine(settings: NodeClientSettings, input: PolicyInput): Check {
  const hold = decideHold(settings, input);
  const what = "machine";
  switch (hold.kind) {
    case "none":
      return { what, saw: findRequestedNode(input.csr, input.request) ?? "", outcome: "holds" };
    case "found": {
      const { saw, fault, fix } = hold.value;
      return { what, saw, outcome: "fails", fault, fix };
    }
    case "failed":
      return { what, saw: "", outcome: "unknown", fault: hold.message, fix: "it is tried again by itself" };
  }
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

function formatActualValue(rule: string, { subject, ...names }: RequestFacts, usages: readonly string[]): string {
  const lists: Readonly<Record<string, readonly string[]>> = {
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
