/** The checks of files of rules: whether tlsboot can use them, and whether each rule of a policy can apply to a request. */
import {
  KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
  KUBE_APISERVER_CLIENT_SIGNER,
  KUBELET_SERVING_SIGNER,
  LEGACY_UNKNOWN_SIGNER,
} from "../kube/kinds/certificates_v1.ts";
import { parseInventory } from "../approval/inventory.ts";
import { parsePolicy } from "../approval/parse_policy.ts";
import type { ApprovalRule, Policy, RuleMatch } from "../approval/policy.ts";
import { parsePolicyFixture } from "../approval/policy_fixture.ts";
import { parseAuditPolicy } from "../audit/policy_file.ts";
import type { Result } from "../lib/result.ts";
import { shellWord } from "../lib/shell_word.ts";
import { createCustomProfile } from "../signing/custom_profile.ts";
import { describeProfile } from "../signing/profile.ts";
import { parseProfile } from "../signing/profile_file.ts";
import type { Fault } from "./finding.ts";

/** The API's minimum of `expirationSeconds`. */
const LEAST_LIFE_MS = 600_000;

/** The signers of Kubernetes whose requests are CertificateSigningRequests. */
const KUBERNETES_SIGNERS: readonly string[] = [
  ...[KUBE_APISERVER_CLIENT_SIGNER, KUBE_APISERVER_CLIENT_KUBELET_SIGNER],
  ...[KUBELET_SERVING_SIGNER, LEGACY_UNKNOWN_SIGNER],
];

/** A file of rules that was checked. */
export interface RuleFileReport {
  /** The name of the check. */
  readonly check: string;
  readonly faults: readonly Fault[];
  readonly okMessage: string;
  /** What a profile demands and promises, in sentences. */
  readonly sentences: readonly string[];
}

/** How the files of one kind are checked. */
interface RuleFileKind {
  readonly check: string;
  readonly okMessage: string;
  readonly parse: (text: string, file: string) => Result<Partial<RuleFileReport>, readonly string[]>;
}

/** The kinds of files of rules. */
const RULE_FILE_KINDS: Readonly<Record<string, RuleFileKind>> = {
  ApprovalPolicy: {
    check: "policy",
    okMessage: "every rule can apply to a request",
    parse: (text, file) => map(parsePolicy(text), (policy) => ({ faults: checkPolicyRules(policy, { file, text }) })),
  },
  SigningProfile: {
    check: "profile",
    okMessage: "the profile can be used",
    parse: (text) =>
      map(parseProfile(text), (spec) => ({
        sentences: describeProfile(createCustomProfile(spec.signerName ?? "without a name", spec)),
      })),
  },
  PolicyTest: {
    check: "policy-test",
    okMessage: "the cases can be read; run them with: tlsboot policy test FILE",
    parse: (text) => map(parsePolicyFixture(text), () => ({})),
  },
  Inventory: {
    check: "inventory",
    okMessage: "the inventory can be used",
    parse: (text) => map(parseInventory(text), () => ({})),
  },
  Policy: {
    check: "audit-policy",
    okMessage: "the audit policy can be used",
    parse: (text) => map(parseAuditPolicy(text), () => ({})),
  },
};

/** Finds the kind of a file of rules in its text; undefined for any other file. */
export function findRuleFileKind(text: string): string | undefined {
  const kind = /(?:^|[{,])[ \t]*["']?kind["']?:[ \t]*["']?(\w+)/m.exec(text)?.[1] ?? "";
  return Object.hasOwn(RULE_FILE_KINDS, kind) ? kind : undefined;
}

/** Checks the text of a file of rules; undefined for a file of another kind. */
export function checkRuleFile(text: string, file: string): RuleFileReport | undefined {
  const kind = RULE_FILE_KINDS[findRuleFileKind(text) ?? ""];
  if (kind === undefined) return undefined;
  const { check, okMessage } = kind;
  const parsed = kind.parse(text, file);
  if (parsed.ok) return { check, okMessage, faults: [], sentences: [], ...parsed.value };
  const faults = parsed.error.map((fault): Fault => ({
    severity: "error",
    message: `"${file}" cannot be used: ${fault}`,
  }));
  return { check, okMessage, faults, sentences: [] };
}

function map<T, U>(result: Result<T, readonly string[]>, change: (value: T) => U): Result<U, readonly string[]> {
  return result.ok ? { ok: true, value: change(result.value) } : result;
}

/** Reports rules that no request reaches or can satisfy. The fix removes a rule that no request reaches. */
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
        severity: "warning",
        message: `${what} is never reached: rule "${earlier.name}" decides about all its requests before it; ` +
          "put it first, or remove it",
        fix: removeRule(rule.name, file, text),
        advice: `remove the rule from "${file}"`,
      }];
    }
    const reason = findImpossible(rule);
    if (reason === undefined) return [];
    return [{
      severity: "warning",
      message: `${what} never applies: ${reason}`,
      advice: `correct the rule in "${file}"`,
    }];
  });
}

/** Reports whether a rule decides about every request that it matches. */
function isDecisive({ require: wanted, then, otherwise }: ApprovalRule): boolean {
  return then !== "next" && (otherwise !== "next" || Object.keys(wanted).length === 0);
}

/** Reports whether one match applies to every request that the other one applies to. */
function coversMatch(wide: RuleMatch, narrow: RuleMatch): boolean {
  const coversSigner = (pattern: string): boolean =>
    wide.signerNames.some((one) => one === pattern || (one.endsWith("/*") && pattern.startsWith(one.slice(0, -1))));
  const coversUser = (pattern: string): boolean =>
    wide.users?.some((one) =>
      one === pattern || (one.endsWith("*") && pattern.length > one.length - 1 &&
        pattern.startsWith(one.slice(0, -1)) && !one.slice(0, -1).includes("*"))
    ) ?? true;
  return narrow.signerNames.every(coversSigner) &&
    (wide.users === undefined || (narrow.users?.every(coversUser) ?? false)) &&
    (wide.groups ?? []).every((group) => narrow.groups?.includes(group) === true);
}

/** Explains why no request can satisfy a rule; undefined when one can. */
function findImpossible({ match, require: { usages, lifetime, names } }: ApprovalRule): string | undefined {
  const missing = usages?.required.find((usage) => !usages.allowed.includes(usage));
  if (missing !== undefined) return `it requires the usage "${missing}", which it does not allow`;
  if (lifetime?.maxMs !== undefined && lifetime.maxMs < LEAST_LIFE_MS && !lifetime.mayBeAbsent) {
    return "it allows less than ten minutes, which is the shortest lifetime that a request may have";
  }
  const hasNames = names === undefined || names.owned || names.dns.length + names.ips.length > 0;
  if (names?.atLeastOne === true && !hasNames) return "it requires a DNS name or an address, and allows none";
  const unknown = match.signerNames.every((name) =>
    name.startsWith("kubernetes.io/") && !name.endsWith("/*") && !KUBERNETES_SIGNERS.includes(name)
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

/** The command that removes the lines of a rule; undefined when they are not certain. */
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
