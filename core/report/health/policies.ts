/** Checks rule files: whether tlsboot can use them, and whether each rule of a policy can apply to a request. */
import { KUBE_APISERVER_CLIENT_KUBELET_SIGNER, MIN_EXPIRATION_SECONDS } from "../../kube/kinds/constants.ts";
import { isKnownHosts } from "../../attestation/known_hosts.ts";
import { parseInventory } from "../../approval/evidence/inventory.ts";
import { parsePolicy } from "../../approval/parse_policy.ts";
import type { ApprovalRule, Policy, RuleMatch } from "../../approval/policy.ts";
import { parsePolicyFixture } from "../../approval/policy_fixture.ts";
import { parseAuditPolicy } from "../../audit/policy.ts";
import type { Result } from "../../lib/result.ts";
import { shellWord } from "../../lib/printable.ts";
import { createCustomProfile } from "../../signing/custom_profile.ts";
import { BUILTIN_SIGNERS, describeProfile } from "../../signing/profile.ts";
import { parseProfile } from "../../signing/profile_file.ts";
import { type Fault, type Finding, reportOn } from "./finding.ts";
import { matchesSigner } from "../../approval/rules/evaluate_policies.ts";

const RULE_FILE_KINDS = ["ApprovalPolicy", "SigningProfile", "PolicyTest", "Inventory", "Policy"] as const;

interface RuleFileReport {
  readonly findings: readonly Finding[];
  /** Sentences that describe the requirements and guarantees of a profile, or the effect of a policy on kubelets. */
  readonly sentences: readonly string[];
}

/** Finds the kind of a rule file in its text; undefined for any other file. A `known_hosts` file is an inventory. */
export function findRuleFileKind(text: string): typeof RULE_FILE_KINDS[number] | undefined {
  if (isKnownHosts(text)) return "Inventory";
  const kind = /(?:^|[{,])[ \t]*["']?kind["']?:[ \t]*["']?(\w+)/m.exec(text)?.[1];
  return RULE_FILE_KINDS.find((known) => known === kind);
}

/** Checks the text of a rule file; undefined for any other file. */
export function checkRuleFile(text: string, file: string): RuleFileReport | undefined {
  const report = <T>(
    check: string,
    parsed: Result<T, readonly string[]>,
    { find = () => [], describe = () => [] }: {
      readonly find?: (value: T) => readonly Fault[];
      readonly describe?: (value: T) => readonly string[];
    } = {},
  ): RuleFileReport => {
    const faults = parsed.ok ? find(parsed.value) : parsed.error.map((fault): Fault => ({
      severity: "error",
      message: `"${file}" cannot be used: ${fault}`,
    }));
    return { findings: reportOn(file).check(check, faults), sentences: parsed.ok ? describe(parsed.value) : [] };
  };
  switch (findRuleFileKind(text)) {
    case "ApprovalPolicy":
      return report("policy", parsePolicy(text), {
        find: (policy) => checkPolicyRules(policy, { file, text }),
        describe: describeRequiredProofs,
      });
    case "SigningProfile":
      return report("profile", parseProfile(text), {
        describe: (spec) => describeProfile(createCustomProfile(spec.signerName ?? "of any name", spec)),
      });
    case "PolicyTest":
      return report("policy-test", parsePolicyFixture(text));
    case "Inventory":
      return report("inventory", parseInventory(text));
    case "Policy":
      return report("audit-policy", parseAuditPolicy(text));
    case undefined:
      return undefined;
  }
}

/** Reports rules that no request can reach or satisfy. The fix removes a rule that no request can reach. */
export function checkPolicyRules(
  policy: Policy,
  { file, text }: { readonly file: string; readonly text: string },
): readonly Fault[] {
  const inOrder = [
    ...policy.rules.filter(({ then }) => then === "deny"),
    ...policy.rules.filter(({ then }) => then !== "deny"),
  ];
  return inOrder.flatMap((rule, index): readonly Fault[] => {
    const what = `rule "${rule.name}" of policy "${policy.name}"`;
    const earlier = inOrder.slice(0, index).find((other) => isDecisive(other) && coversMatch(other.match, rule.match));
    if (earlier !== undefined) {
      return [{
        severity: "error",
        message: `${what} is never reached: rule "${earlier.name}" decides all its requests before it; ` +
          "put it first, or remove it",
        fix: removeRule(rule.name, file, text),
        advice: `remove the rule from "${file}"`,
      }];
    }
    const reason = findImpossible(rule);
    if (reason === undefined) return [];
    return [{
      severity: "error",
      message: `${what} never applies: ${reason}`,
      advice: `correct the rule in "${file}"`,
    }];
  });
}

/** Describes the effect of a rule that requires a proof on machines that cannot give one. */
function describeRequiredProofs({ name, rules }: Policy): readonly string[] {
  return rules.filter(({ require: { attested } }) => attested !== undefined).map((rule) =>
    `Rule "${rule.name}" of policy "${name}" requires a proof for every request, also for renewals. A stock kubelet gives ` +
    "no proof when it renews, so its renewals wait for a person; tlsboot bootstrap --attest gives one each time."
  );
}

/** Reports whether a rule decides every request that it matches. */
function isDecisive({ require: wanted, then, otherwise }: ApprovalRule): boolean {
  return then !== "next" && (otherwise !== "next" || Object.keys(wanted).length === 0);
}

/** Reports whether one match applies to every request that the other one applies to. */
function coversMatch(wide: RuleMatch, narrow: RuleMatch): boolean {
  const coversSigner = (name: string): boolean =>
    wide.signerNames.some((pattern) =>
      pattern === name || (pattern.endsWith("/*") && name.startsWith(pattern.slice(0, -1)))
    );
  const coversUser = (name: string): boolean =>
    wide.users?.some((pattern) =>
      pattern === name || (pattern.endsWith("*") && name.length > pattern.length - 1 &&
        name.startsWith(pattern.slice(0, -1)) && !pattern.slice(0, -1).includes("*"))
    ) ?? true;
  return narrow.signerNames.every(coversSigner) &&
    (wide.users === undefined || (narrow.users?.every(coversUser) ?? false)) &&
    (wide.groups ?? []).every((group) => narrow.groups?.includes(group) === true);
}

/** Explains why no request can satisfy a rule; undefined when one can. */
function findImpossible(
  { match, require: { usages, lifetime, names, attested } }: ApprovalRule,
): string | undefined {
  const missing = usages?.required.find((usage) => !usages.allowed.includes(usage));
  if (missing !== undefined) return `it requires the usage "${missing}", which it does not allow`;
  if (lifetime?.maxMs !== undefined && lifetime.maxMs < MIN_EXPIRATION_SECONDS * 1_000 && !lifetime.mayBeAbsent) {
    return "it allows less than ten minutes, which is the shortest lifetime that a request may have";
  }
  const hasNames = names === undefined || names.owned || names.dns.length + names.ips.length > 0;
  if (names?.atLeastOne === true && !hasNames) return "it requires a DNS name or an address, and allows none";
  const isOfKubelets = match.signerNames.some((name) => matchesSigner(KUBE_APISERVER_CLIENT_KUBELET_SIGNER, name));
  if (attested !== undefined && !isOfKubelets) {
    return `it requires a proof, which only requests for ${KUBE_APISERVER_CLIENT_KUBELET_SIGNER} have`;
  }
  const unknown = match.signerNames.every((name) =>
    name.startsWith("kubernetes.io/") && !name.endsWith("/*") && !BUILTIN_SIGNERS.has(name)
  );
  return unknown ? `Kubernetes has no signer ${match.signerNames.join(", ")}` : undefined;
}

/** Finds the name in the first line of a rule, such as `- name: "web" # for the web team`; undefined in other lines. */
function findRuleName(entry: string): string | undefined {
  const start = "- name:";
  if (!entry.startsWith(start)) return undefined;
  const [value = ""] = entry.slice(start.length).split("#");
  return value.trim().replace(/^["']|["']$/g, "");
}

/** Returns the command that removes the lines of a rule; undefined when the lines are ambiguous. */
function removeRule(name: string, file: string, text: string): string | undefined {
  const lines = text.split("\n");
  const starts = lines.flatMap((line, index) => {
    const entry = line.trimStart();
    return findRuleName(entry) === name ? [{ index, indent: line.length - entry.length }] : [];
  });
  const [start] = starts;
  if (start === undefined || starts.length > 1) return undefined;
  let end = start.index + 1;
  while (end < lines.length) {
    const line = lines[end] ?? "";
    if (line.trim() !== "" && line.length - line.trimStart().length <= start.indent) break;
    end++;
  }
  while (end > start.index + 1 && lines[end - 1]?.trim() === "") end--;
  return `sed -i ${start.index + 1},${end}d ${shellWord(file)}`;
}
