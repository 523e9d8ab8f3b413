/**
 * Prevents privilege escalation: finds the wanted rules that the held rules do not cover
 * (component-helpers `auth/rbac/validation/policy_comparator.go`, `pkg/registry/rbac/validation/rule.go`).
 */
import { goQuote, goQuoteList } from "../lib/go_text.ts";
import type { PolicyRule } from "../kube/kinds/rbac_v1.ts";
import type { UserInfo } from "../kube/user.ts";
import { matchesPath } from "./evaluate.ts";

/**
 * The limit of the broken-down rules, in characters of the refusal that lists them. A body of 3 MB could expand to
 * 10^15 parts, which kube-apiserver would print.
 */
const MAX_PART_CHARS = 4 * 1_048_576;
/** The characters of a part other than its names: the labels of its line. */
const LABEL_CHARS = 40;
/** The largest number of lookups in held rules for all wanted rules, which takes about 0.4 s. */
const MAX_LOOKUPS = 5_000_000;

/**
 * Finds the wanted rules that no held rule covers, broken down to one verb, group, resource and name each. After 4 MiB
 * of parts, a single held rule must cover each further rule. After 5 million lookups, no further rule counts as
 * covered.
 */
export function findUncoveredRules(
  held: readonly PolicyRule[],
  wanted: readonly PolicyRule[],
): readonly PolicyRule[] {
  const heldRules = new HeldRules(held);
  const missing: PolicyRule[] = [];
  let charsLeft = MAX_PART_CHARS;
  for (const rule of wanted) {
    if (heldRules.covers(rule)) continue;
    const chars = countPartChars(rule);
    if (chars > charsLeft) missing.push(rule);
    else {
      charsLeft -= chars;
      for (const part of breakDown(rule)) {
        if (!heldRules.covers(part)) missing.push(part);
      }
    }
  }
  return missing;
}

/** Counts the characters of all parts of a rule without creating them. */
function countPartChars(rule: PolicyRule): number {
  const { apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [] } = rule;
  const verbs = rule.verbs ?? [];
  return countCombined([apiGroups, resources, verbs, resourceNames.length === 0 ? [""] : resourceNames]) +
    countCombined([nonResourceURLs, verbs]);
}

function countCombined(lists: readonly (readonly string[])[]): number {
  const parts = lists.reduce((product, list) => product * list.length, 1);
  if (parts === 0) return 0;
  return lists.reduce(
    (sum, list) => sum + parts / list.length * list.reduce((chars, name) => chars + name.length, 0),
    parts * LABEL_CHARS,
  );
}

/** Formats the 403 message (after `is forbidden: `) for rules that the user does not hold. */
export function formatEscalationMessage(
  user: UserInfo,
  missing: readonly PolicyRule[],
  resolutionErrors: readonly string[] = [],
): string {
  const lines = [...new Set(compact(missing).map(formatPolicyRule))].sort();
  const errors = resolutionErrors.length === 0 ? "" : `; resolution errors: [${resolutionErrors.join(", ")}]`;
  return `user ${goQuote(user.username)} (groups=${
    goQuoteList(user.groups)
  }) is attempting to grant RBAC permissions ` +
    `not currently held:\n${lines.join("\n")}${errors}`;
}

/** Formats a rule in one line, such as `{APIGroups:[""], Resources:["pods"], Verbs:["get"]}`. */
function formatPolicyRule(rule: PolicyRule): string {
  const parts = [
    ["APIGroups", rule.apiGroups],
    ["Resources", rule.resources],
    ["NonResourceURLs", rule.nonResourceURLs],
    ["ResourceNames", rule.resourceNames],
    ["Verbs", rule.verbs],
  ] as const;
  const shown = parts.flatMap(([label, values]) =>
    values === undefined || values === null || values.length === 0 ? [] : [`${label}:${goQuoteList(values)}`]
  );
  return `{${shown.join(", ")}}`;
}

function breakDown(rule: PolicyRule): readonly PolicyRule[] {
  const names = (rule.resourceNames ?? []).map((name) => ({ resourceNames: [name] }));
  const parts: PolicyRule[] = [];
  for (const group of rule.apiGroups ?? []) {
    for (const resource of rule.resources ?? []) {
      for (const verb of rule.verbs ?? []) {
        const part: PolicyRule = { verbs: [verb], apiGroups: [group], resources: [resource] };
        if (names.length === 0) parts.push(part);
        else parts.push(...names.map((name) => ({ ...part, ...name })));
      }
    }
  }
  for (const url of rule.nonResourceURLs ?? []) {
    for (const verb of rule.verbs ?? []) parts.push({ verbs: [verb], nonResourceURLs: [url] });
  }
  return parts;
}

/** A rule that a user holds, as sets for fast lookups. */
interface HeldRule {
  readonly verbs: ReadonlySet<string>;
  readonly apiGroups: ReadonlySet<string>;
  readonly resources: ReadonlySet<string>;
  readonly resourceNames: ReadonlySet<string>;
  readonly nonResourceURLs: ReadonlySet<string>;
  /** The URLs that end in `*`. */
  readonly urlPatterns: readonly string[];
}

/** The rules that a user holds, with a limit of lookups. */
class HeldRules {
  readonly #rules: readonly HeldRule[];
  #lookupsLeft = MAX_LOOKUPS;

  constructor(rules: readonly PolicyRule[]) {
    this.#rules = rules.map((rule) => ({
      verbs: new Set(rule.verbs),
      apiGroups: new Set(rule.apiGroups),
      resources: new Set(rule.resources),
      resourceNames: new Set(rule.resourceNames),
      nonResourceURLs: new Set(rule.nonResourceURLs),
      urlPatterns: (rule.nonResourceURLs ?? []).filter((url) => url.endsWith("*")),
    }));
  }

  /** Reports whether a held rule covers a wanted one; always false after the last allowed lookup. */
  covers(wanted: PolicyRule): boolean {
    return this.#lookupsLeft > 0 &&
      this.#rules.some((rule) =>
        this.#hasAll(rule.verbs, wanted.verbs) && this.#hasAll(rule.apiGroups, wanted.apiGroups) &&
        this.#coversResources(rule.resources, wanted.resources) && this.#coversUrls(rule, wanted.nonResourceURLs) &&
        this.#coversNames(rule.resourceNames, wanted.resourceNames)
      );
  }

  #spend(): boolean {
    return this.#lookupsLeft-- > 0;
  }

  #hasAll(held: ReadonlySet<string>, wanted: readonly string[] | null | undefined): boolean {
    return this.#spend() && (held.has("*") || (wanted ?? []).every((name) => this.#spend() && held.has(name)));
  }

  #coversResources(held: ReadonlySet<string>, wanted: readonly string[] = []): boolean {
    return held.has("*") || wanted.every((name) => this.#spend() && (held.has(name) || coversSubresource(held, name)));
  }

  #coversUrls({ nonResourceURLs, urlPatterns }: HeldRule, wanted: readonly string[] = []): boolean {
    return wanted.every((url) =>
      nonResourceURLs.has(url) || urlPatterns.some((pattern) => this.#spend() && matchesPath(pattern, url))
    );
  }

  #coversNames(held: ReadonlySet<string>, wanted: readonly string[] = []): boolean {
    if (held.size === 0) return true;
    return wanted.length > 0 && wanted.every((name) => this.#spend() && held.has(name));
  }
}

function coversSubresource(held: ReadonlySet<string>, name: string): boolean {
  const slash = name.indexOf("/");
  return slash >= 0 && held.has(`*${name.slice(slash)}`);
}

/** Joins the verbs of broken-down rules that agree in everything else (`policy_compact.go`). */
function compact(rules: readonly PolicyRule[]): readonly PolicyRule[] {
  const merged = new Map<string, { readonly rule: PolicyRule; readonly verbs: string[] }>();
  const others: PolicyRule[] = [];
  for (const rule of rules) {
    if (rule.nonResourceURLs !== undefined) {
      others.push(rule);
      continue;
    }
    const key = JSON.stringify([rule.apiGroups, rule.resources, rule.resourceNames]);
    let known = merged.get(key);
    if (known === undefined) merged.set(key, known = { rule, verbs: [] });
    for (const verb of rule.verbs ?? []) known.verbs.push(verb);
  }
  return [...others, ...[...merged.values()].map(({ rule, verbs }) => ({ ...rule, verbs }))];
}
