/** What the rules say of a request: who would approve it, whether its signer would sign it. */
import { RECOGNIZERS } from "../../core/approval/recognizers.ts";
import { parseRequest } from "../../core/csr/request.ts";
import type { CertificateSigningRequest } from "../../core/kube/certificates_v1.ts";
import type { RequestFacts } from "../../core/pki/pkcs10.ts";
import type { PolicyVerdict } from "../../core/policy/evaluate.ts";
import { BUILTIN_SIGNERS, type SigningProfile } from "../../core/signing/profile.ts";
import { line } from "../output/escape.ts";
import { traceLines } from "./trace_text.ts";

/** Profiles of signers that are not Kubernetes', by signer name. */
export type KnownProfiles = ReadonlyMap<string, SigningProfile>;

/** Lines for a description; empty when the request cannot be read. */
export function describeRules(
  csr: CertificateSigningRequest,
  policies: readonly PolicyVerdict[],
  profiles: KnownProfiles = new Map(),
): string[] {
  const request = parseRequest(csr.spec.request);
  if (!request.ok) return [];
  const facts = request.value;
  const approvers = RECOGNIZERS.map((recognizer) => {
    const verdict = recognizer.recognizes(csr, facts)
      ? `matches: approved by itself if the requester may create certificatesigningrequests/${recognizer.permission}`
      : "does not match";
    return line`  ${recognizer.permission}\t${verdict}`;
  });
  const signer = profileLines(csr, facts, profiles);
  return ["Approval rules:", ...approvers, "", ...policyLines(policies), "Signer rules:", ...signer, ""];
}

/** The policies that come with tlsboot, each on its own; which of them an approver runs with is not known here. */
function policyLines(verdicts: readonly PolicyVerdict[]): string[] {
  const trace = verdicts.flatMap((verdict) => verdict.trace);
  return [...traceLines(trace), ...(trace.length === 0 ? [] : [""])];
}

/** One line for each rule of the profile, with its verdict before its sentence. */
function profileLines({ spec }: CertificateSigningRequest, facts: RequestFacts, profiles: KnownProfiles): string[] {
  const profile = BUILTIN_SIGNERS.get(spec.signerName) ?? profiles.get(spec.signerName);
  if (profile === undefined) {
    return [line`  ${spec.signerName}\tnot a built-in signer: its own profile decides (--profile)`];
  }
  const { rules, remarks = [] } = profile;
  if (rules.length === 0) return ["  none\tthis signer promises nothing"];
  const verdicts = rules.map((rule) => {
    const fault = rule.check(facts, spec.usages ?? [], spec.expirationSeconds);
    return fault === undefined ? line`  ok\t${rule.sentence}` : line`  refused\t${rule.sentence}; but ${fault}`;
  });
  return [...verdicts, ...remarks.map((remark) => line`  note\t${remark}`)];
}
