/**
 * Profiles for pods. A kubelet's request for a pod holds a key and nothing else, so the profile says what the certificate
 * has: exact values, or those that the pod names in annotations, or defaults. The result is checked by the same rules as
 * any other request.
 */
import { matchesPattern } from "../lib/pattern.ts";
import { encodeName, type SubjectFields } from "../pki/x509/names.ts";
import type { RequestFacts } from "../pki/x509/pkcs10.ts";
import type { AlternativeNames } from "../pki/x509/subject_alternative_names.ts";
import { fillPlaceholders, type PodFacts } from "./pod_facts.ts";
import {
  type PodRules,
  type ProfileSpec,
  RESTRICTED_POD_FACTS,
  SUBJECT_FIELDS,
  type ValueRule,
} from "./profile_spec.ts";

/** The alternative names of a request, and the kinds of names of a profile. */
const NAME_KINDS = [
  ["dnsNames", "dns"],
  ["ipAddresses", "ips"],
  ["uris", "uris"],
  ["emailAddresses", "emails"],
] as const;

/** The rules on usages (`createCustomProfile`). */
const USAGE_RULES = ["usages", "requiredUsages", "extendedUsages"];

/** Finds out why a pod may have no certificate at all. */
export function findPodFault(rules: PodRules, facts: PodFacts): string | undefined {
  const bad = RESTRICTED_POD_FACTS.find((name) =>
    rules[name]?.some((pattern) => matchesPattern(facts[name], pattern)) === false
  );
  return bad === undefined ? undefined : `${bad} is not allowed: ${facts[bad]}`;
}

export function fillProfile(spec: ProfileSpec, facts: PodFacts): ProfileSpec {
  const fill = (values: readonly string[]) => values.map((value) => fillPlaceholders(value, facts));
  const fillRule = (rule: ValueRule): ValueRule => ({
    ...rule,
    allowed: fill(rule.allowed),
    ...(rule.exactly === undefined ? {} : { exactly: fill(rule.exactly) }),
    ...(rule.default === undefined ? {} : { default: fill(rule.default) }),
  });
  const fillRules = <Key extends string>(keys: readonly Key[], rules: { readonly [K in Key]?: ValueRule }) => {
    const filled: { [K in Key]?: ValueRule } = {};
    for (const key of keys) {
      const rule = rules[key];
      if (rule !== undefined) filled[key] = fillRule(rule);
    }
    return filled;
  };
  return {
    ...spec,
    subject: fillRules(SUBJECT_FIELDS, spec.subject),
    names: { ...spec.names, ...fillRules(NAME_KINDS.map(([, kind]) => kind), spec.names) },
  };
}

/** The request that a pod's annotations and the profile make of a kubelet's. */
export interface ComposedRequest {
  readonly facts: RequestFacts;
  readonly usages: readonly string[];
  /** The names of the rules that check values of annotations. */
  readonly annotatedRules: ReadonlySet<string>;
}

export function listAnnotations({ subject, names, usages }: ProfileSpec): readonly string[] {
  const rules = [
    ...SUBJECT_FIELDS.map((field) => subject[field]),
    ...NAME_KINDS.map(([, kind]) => names[kind]),
    usages,
  ];
  return rules.flatMap((rule) => rule?.annotation ?? []);
}

/** Adds to a kubelet's request what its profile, filled for the pod, and the pod's annotations name. */
export function composePodRequest(
  { subject, names, usages }: ProfileSpec,
  stub: RequestFacts,
  annotations: Readonly<Record<string, string>>,
): ComposedRequest {
  const annotatedRules = new Set<string>();
  function readValues(rule: FilledRule | undefined, checks: readonly string[], isSingle = false): readonly string[] {
    const text = rule?.annotation === undefined ? undefined : annotations[rule.annotation];
    if (text === undefined) return rule?.exactly ?? rule?.default ?? [];
    for (const name of checks) annotatedRules.add(name);
    return isSingle ? [text] : text.split(",").map((value) => value.trim());
  }
  const fields = Object.fromEntries(SUBJECT_FIELDS.map((field) => {
    const isSingle = field === "commonName" || field === "serialNumber";
    const values = readValues(subject[field], [field], isSingle);
    return [field, isSingle ? values[0] ?? "" : values];
  })) as Required<SubjectFields>;
  const alternatives = NAME_KINDS.map(([kind, key]) => [kind, readValues(names[key], [kind])]);
  return {
    facts: {
      ...stub,
      ...Object.fromEntries(alternatives) as AlternativeNames,
      subject: { ...stub.subject, ...fields, raw: encodeName(fields) },
    },
    usages: readValues(usages, USAGE_RULES),
    annotatedRules,
  };
}

type FilledRule = Pick<ValueRule, "annotation" | "exactly" | "default">;
