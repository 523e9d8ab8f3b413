/** What the rules say of a request: whether an approver would approve it, and its signer would sign it. */
import { parseRequest } from "../../core/csr/request.ts";
import type { CertificateSigningRequest } from "../../core/kube/certificates_v1.ts";
import { nameOf } from "../../core/kube/meta.ts";
import type { RequestFacts } from "../../core/pki/pkcs10.ts";
import { BUILTIN_SIGNERS, type SigningProfile } from "../../core/signing/profile.ts";
import { line } from "../output/escape.ts";
import { shellWord } from "../../core/lib/shell_word.ts";
import type { Explanation } from "./explain_request.ts";
import { traceLines, verdictText } from "./trace_text.ts";

/** Profiles of signers that are not Kubernetes', by signer name. */
export type KnownProfiles = ReadonlyMap<string, SigningProfile>;

/** Lines for a description; empty when the request cannot be read. */
export function describeRules(
  csr: CertificateSigningRequest,
  explanation: Explanation | undefined,
  profiles: KnownProfiles = new Map(),
): string[] {
  const request = parseRequest(csr.spec.request);
  if (!request.ok || explanation === undefined) return [];
  const { verdict, others } = explanation;
  return [
    "Approval rules:",
    ...traceLines(verdict.trace, { isBrief: true }),
    line`Verdict:\t${verdictText(verdict)}`,
    ...others.map(({ policy = "" }) =>
      line`Other policies:\tsee tlsboot approver explain ${shellWord(nameOf(csr))} --policy ${policy}`
    ),
    "",
    "Signer rules:",
    ...profileLines(csr, request.value, profiles),
    "",
  ];
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
