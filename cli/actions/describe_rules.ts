/** What the built-in rules say of a request: who would approve it, whether its signer would sign it. */
import { RECOGNIZERS } from "../../core/approval/recognizers.ts";
import { parseRequest } from "../../core/csr/request.ts";
import type { CertificateSigningRequest } from "../../core/kube/certificates_v1.ts";
import { BUILTIN_SIGNERS } from "../../core/signing/profile.ts";

/** Lines for a description; empty when the request cannot be read. */
export function describeRules(csr: CertificateSigningRequest): string[] {
  const request = parseRequest(csr.spec.request);
  if (!request.ok) return [];
  const facts = request.value;
  const approvers = RECOGNIZERS.map((recognizer) => {
    const verdict = recognizer.recognizes(csr, facts)
      ? `matches: approved by itself if the requester may create certificatesigningrequests/${recognizer.permission}`
      : "does not match";
    return `  ${recognizer.permission}\t${verdict}`;
  });
  return ["Approval rules:", ...approvers, "", ...profileLines(csr), ""];
}

function profileLines(csr: CertificateSigningRequest): string[] {
  const request = parseRequest(csr.spec.request);
  const profile = BUILTIN_SIGNERS.get(csr.spec.signerName);
  if (!request.ok || profile === undefined) {
    return ["Signer rules:", `  ${csr.spec.signerName}\tnot a built-in signer: its own profile decides`];
  }
  const verdicts = profile.rules.map((rule) => {
    const fault = rule.check(request.value, csr.spec.usages ?? []);
    return `  ${rule.name}\t${fault === undefined ? "ok" : `refused: ${fault}`}`;
  });
  return verdicts.length === 0
    ? ["Signer rules:", "  none\tthis signer promises nothing"]
    : ["Signer rules:", ...verdicts];
}
