/** The decisions of the approval rules and the demands of the signer in words, and what would change a verdict. */
import type { PolicyVerdict, RuleTrace } from "../approval/rules/evaluate_policies.ts";
import type { CertificateSigningRequest } from "../kube/kinds/certificates_v1.ts";
import type { RequestFacts } from "../pki/x509/pkcs10.ts";
import { BUILTIN_SIGNERS, type SigningProfile } from "../signing/profile.ts";
import type { RuleView, SignerRuleView, VerdictView } from "./request_view.ts";

const OUTCOMES: Readonly<Record<RuleTrace["outcome"], string>> = {
  approve: "approves",
  deny: "denies",
  pending: "leaves it pending",
  next: "passes it on",
  unknown: "cannot decide now, and is retried",
};

export function toRuleViews(trace: readonly RuleTrace[]): readonly RuleView[] {
  return trace.map(({ mismatch, ...rule }) =>
    mismatch === undefined
      ? { ...rule, text: OUTCOMES[rule.outcome] }
      : { ...rule, text: `does not apply: ${mismatch}`, mismatch }
  );
}

export function toVerdictView({ kind, message }: PolicyVerdict): VerdictView {
  return { kind, message, text: `${VERDICTS[kind]}: ${message}` };
}

const VERDICTS: Readonly<Record<PolicyVerdict["kind"], string>> = {
  approve: "approved",
  deny: "denied",
  pending: "left pending",
  unknown: "undecided, and retried",
};

/**
 * Lists what would change a verdict: the fixes of the checks that failed in the rule that decided or else in the last rule of
 * each policy that applies to the request, and the built-in policies that would approve the request if the approver had them. A
 * request that the rules approve needs no change.
 */
export function listChanges(verdict: PolicyVerdict, others: readonly PolicyVerdict[]): readonly string[] {
  if (verdict.kind === "approve") return [];
  const applying = verdict.trace.filter(({ mismatch }) => mismatch === undefined);
  const deciding = applying.filter(({ policy, rule }) => policy === verdict.policy && rule === verdict.rule);
  const last = [...new Map(applying.map((one) => [one.policy, one])).values()];
  const fixes = (deciding.length > 0 ? deciding : last)
    .flatMap(({ checks }) => checks)
    .filter(({ outcome }) => outcome !== "holds")
    .map(({ fix }) => fix)
    .filter((fix) => fix !== undefined);
  const policies = others.filter(({ kind }) => kind === "approve")
    .map(({ policy = "" }) =>
      `the built-in policy "${policy}" would approve it: start the approver with --policy ${policy}`
    );
  return [...new Set([...fixes, ...policies])];
}

/** Checks a request against what its signer demands. Profiles of custom signers are given by signer name. */
export function toSignerRuleViews(
  { spec }: CertificateSigningRequest,
  facts: RequestFacts,
  profiles: ReadonlyMap<string, SigningProfile>,
): readonly SignerRuleView[] {
  const profile = BUILTIN_SIGNERS.get(spec.signerName) ?? profiles.get(spec.signerName);
  if (profile === undefined) {
    return [{ outcome: "unknown", sentence: "not a built-in signer: its own profile decides" }];
  }
  const { rules, remarks = [] } = profile;
  if (rules.length === 0) return [{ outcome: "unknown", sentence: "this signer guarantees nothing" }];
  const verdicts = rules.map((rule): SignerRuleView => {
    const fault = rule.check(facts, spec.usages ?? [], spec.expirationSeconds);
    return fault === undefined
      ? { outcome: "ok", sentence: rule.sentence }
      : { outcome: "refused", sentence: rule.sentence, fault };
  });
  return [...verdicts, ...remarks.map((sentence): SignerRuleView => ({ outcome: "note", sentence }))];
}
