/**
 * Creates the profiles of custom signers from their files. Everything that a profile does not list is refused. In a
 * pattern, `*` never crosses a separator, so it matches one label in `*.example.com` and one segment in
 * `spiffe://example.com/*`. `**` crosses separators where that is safe.
 */
import { toExtendedKeyUsageOids } from "../pki/x509/usages.ts";
import { formatDuration } from "../lib/duration.ts";
import {
  planInformationAccess,
  type PlannedExtension,
  planPolicies,
  planRevocationLists,
} from "../pki/x509/certificate_extensions.ts";
import type { RequestFacts } from "../pki/x509/pkcs10.ts";
import { type ProfileRule, type RequestPart, rule, type SigningProfile } from "./profile.ts";
import {
  type ExtensionRules,
  isKeyAllowed,
  type KeyRule,
  type LifetimeRules,
  type NameRules,
  type PodRules,
  type ProfileSpec,
  RESTRICTED_POD_FACTS,
  SUBJECT_FIELDS,
  type SubjectField,
  type SubjectRules,
  type UsageRules,
  type ValueRule,
} from "./profile_spec.ts";
import type { DistinguishedName } from "../pki/x509/names.ts";
import { isInNetwork } from "../lib/ip_address.ts";
import { matchesDeepPattern } from "../lib/linear_text.ts";
import { listAlternativeNames } from "../pki/x509/subject_alternative_names.ts";
import { findDnsNameFault } from "../pki/x509/name_syntax.ts";

/** Creates the profile of a signer. The rules are checked in this order: subject, names, key, usages, lifetime. */
export function createCustomProfile(signerName: string, spec: ProfileSpec): SigningProfile {
  const { subject, names, usages, lifetime, keys, extensions, chain } = spec;
  return {
    signerName,
    rules: [
      ...createSubjectRules(subject),
      ...createNameRules(names),
      keyRule(keys),
      ...usageRules(usages),
      lifetimeRule(lifetime),
    ],
    lifetime: {
      max: Math.floor(lifetime.maxMs / 1_000),
      default: Math.floor(lifetime.defaultMs / 1_000),
      min: Math.ceil(lifetime.minMs / 1_000),
    },
    defaultUsages: usages.default,
    extensions: planExtensions(extensions),
    chain,
    remarks: createRemarks(spec),
  };
}

function keyRule(keys: readonly KeyRule[]): ProfileRule {
  const wanted = keys.map(describeKey).join(" or ");
  return rule("key", `the key is ${wanted}`, ({ keyAlgorithm, keyBits }: RequestFacts) => {
    return isKeyAllowed(keys, keyAlgorithm, keyBits)
      ? undefined
      : `key is not allowed: ${keyAlgorithm} of ${keyBits} bits`;
  });
}

function describeKey({ type, minBits, maxBits }: KeyRule): string {
  if (minBits === undefined) return maxBits === undefined ? type : `${type} of at most ${maxBits} bits`;
  if (maxBits === undefined) return `${type} of at least ${minBits} bits`;
  return minBits === maxBits ? `${type} of ${minBits} bits` : `${type} of ${minBits} to ${maxBits} bits`;
}

function usageRules({ allowed, required }: UsageRules): readonly ProfileRule[] {
  const rules = [
    rule("usages", `the usages are among ${allowed.join(", ")}`, (_facts, usages) => {
      const bad = usages.find((usage) => !allowed.includes(usage));
      if (bad !== undefined) return `usage is not allowed: ${bad}`;
      return usages.length === 0 ? "usages are missing" : undefined;
    }),
  ];
  if (required.length > 0) {
    rules.push(rule("requiredUsages", `the usages have ${required.join(" and ")}`, (_facts, usages) => {
      const missing = required.find((usage) => !usages.includes(usage));
      return missing === undefined ? undefined : `usage is required: ${missing}`;
    }));
  }
  if (toExtendedKeyUsageOids(allowed).length > 0 && toExtendedKeyUsageOids(required).length === 0) {
    // RFC 5280 §4.2.1.12: without the extension a certificate is valid for every purpose.
    rules.push(rule("extendedUsages", "one of the usages is an extended key usage", (_facts, usages) => {
      return toExtendedKeyUsageOids(usages).length > 0
        ? undefined
        : "an extended key usage is required: without one the certificate would be valid for every purpose";
    }));
  }
  return rules;
}

function lifetimeRule({ minMs }: LifetimeRules): ProfileRule {
  const sentence = `the requested lifetime, if any, is at least ${formatDuration(minMs)}`;
  return rule("lifetime", sentence, (_facts, _usages, seconds) => {
    if (seconds === undefined || seconds * 1_000 >= minMs) return undefined;
    return `lifetime is too short: ${formatDuration(seconds * 1_000)}, want at least ${formatDuration(minMs)}`;
  });
}

function planExtensions({ ocsp, caIssuers, crl, policies, raw }: ExtensionRules): readonly PlannedExtension[] {
  return [
    ...(ocsp.length + caIssuers.length === 0 ? [] : [planInformationAccess(ocsp, caIssuers)]),
    ...(policies.length === 0 ? [] : [planPolicies(policies)]),
    ...(crl.length === 0 ? [] : [planRevocationLists(crl)]),
    ...raw.map(({ oid, critical, der }) => ({ oid, critical, value: der })),
  ];
}

function createRemarks(spec: ProfileSpec): readonly string[] {
  const { description, extensions, chain, pods } = spec;
  const { ocsp, caIssuers, crl, policies, raw } = extensions;
  return [
    ...(description === "" ? [] : [description]),
    ...(pods === undefined ? describeDefaults(spec) : describePods(pods, spec)),
    ...(ocsp.length === 0 ? [] : [`OCSP responders are at ${ocsp.join(" and ")}.`]),
    ...(caIssuers.length === 0 ? [] : [`The CA's certificate is at ${caIssuers.join(" and ")}.`]),
    ...(crl.length === 0 ? [] : [`Revoked certificates are listed at ${crl.join(" and ")}.`]),
    ...(policies.length === 0 ? [] : [`The policy is ${policies.map(({ oid }) => oid).join(" and ")}.`]),
    ...raw.map(({ oid, critical }) => `The extension ${oid} is added${critical ? ", as critical" : ""}.`),
    chain
      ? "The intermediate CAs follow each certificate, when there are any."
      : "A certificate is issued without the intermediate CAs.",
  ];
}

function describeDefaults({ lifetime: { maxMs, defaultMs }, usages }: ProfileSpec): readonly string[] {
  return [
    `Certificates are valid for at most ${formatDuration(maxMs)}, for ${formatDuration(defaultMs)} by default.`,
    ...(usages.default.length === 0 ? [] : [`A request file without usages gets ${usages.default.join(", ")}.`]),
  ];
}

/** Describes which pods get certificates, the default contents of these, and the annotations that change them. */
function describePods(pods: PodRules, { subject, names, usages, lifetime }: ProfileSpec): readonly string[] {
  const conditions = RESTRICTED_POD_FACTS.flatMap((name) => {
    const allowed = pods[name];
    return allowed === undefined ? [] : [`${POD_WORDS[name]} is ${allowed.join(" or ")}`];
  });
  const named = [
    ...SUBJECT_FIELDS.map((field) => [SUBJECT_WORDS[field][1], subject[field]] as const),
    ["DNS names", names.dns] as const,
    ["IP addresses", names.ips] as const,
    ["URIs", names.uris] as const,
    ["e-mail addresses", names.emails] as const,
    ["usages", usages] as const,
  ];
  const { maxMs, refreshBeforeMs } = lifetime;
  const refresh = refreshBeforeMs === undefined ? "a third of its lifetime" : formatDuration(refreshBeforeMs);
  return [
    `It is for pods whose ${conditions.join(", whose ")}.`,
    ...named.flatMap(([words, rule]) => {
      if (rule?.annotation === undefined && rule?.default === undefined) return [];
      const { annotation, default: fallback = [] } = rule;
      const values = fallback.length === 0 ? "none" : fallback.join(", ");
      if (annotation === undefined) return [`A pod gets the ${words} ${values}.`];
      return [`The annotation ${annotation} of a pod sets its ${words}; by default it gets ${values}.`];
    }),
    `Certificates are valid for at most ${formatDuration(maxMs)}, and refreshed ${refresh} before the end.`,
  ];
}

const POD_WORDS: Readonly<Record<keyof PodRules, string>> = {
  namespace: "namespace",
  serviceAccount: "service account",
  pod: "name",
  node: "node",
};

/** The words for an attribute in faults and sentences. */
const SUBJECT_WORDS: Readonly<Record<SubjectField, readonly [singular: string, plural: string]>> = {
  commonName: ["subject common name", "subject common name"],
  organizations: ["subject organization", "subject organizations"],
  organizationalUnits: ["subject organizational unit", "subject organizational units"],
  countries: ["subject country", "subject countries"],
  provinces: ["subject province", "subject provinces"],
  localities: ["subject locality", "subject localities"],
  streetAddresses: ["subject street address", "subject street addresses"],
  postalCodes: ["subject postal code", "subject postal codes"],
  serialNumber: ["subject serial number", "subject serial number"],
};

/** Creates a rule for each attribute that the profile lists, and one that refuses all others. */
function createSubjectRules(rules: SubjectRules): readonly ProfileRule[] {
  const listed = SUBJECT_FIELDS.flatMap((field) => {
    const values = rules[field];
    if (values === undefined) return [];
    const matches = field === "commonName" ? matchesCommonName : matchesSubjectText;
    return [
      valueRule(field, SUBJECT_WORDS[field], values, ({ subject }) => listSubjectValues(subject, field), matches),
    ];
  });
  const unlisted = SUBJECT_FIELDS.filter((field) => rules[field] === undefined);
  const named = SUBJECT_FIELDS.filter((field) => rules[field] !== undefined).map((field) => SUBJECT_WORDS[field][0]);
  const sentence = named.length === 0 ? "the subject is empty" : `the subject has nothing besides ${named.join(", ")}`;
  const others = rule("subject", sentence, ({ subject }) => {
    const field = unlisted.find((candidate) => listSubjectValues(subject, candidate).length > 0);
    if (field !== undefined) {
      return `${SUBJECT_WORDS[field][0]} is not allowed: ${listSubjectValues(subject, field)[0]}`;
    }
    const [other] = subject.otherAttributes;
    if (other !== undefined) return `subject attribute is not allowed: ${other.oid}`;
    const [repeated] = subject.overridden;
    return repeated === undefined ? undefined : `subject attribute is given several times: ${repeated.oid}`;
  });
  return [...listed, others];
}

function createNameRules({ dns, ips, uris, emails, wildcards, atLeastOne }: NameRules): readonly ProfileRule[] {
  const matchesDns = (value: string, pattern: string) => matchesDnsName(value, pattern, wildcards);
  const plain = valueRule(
    "dnsNames",
    ["DNS subjectAltName", "DNS names"],
    dns ?? NONE,
    (facts) => facts.dnsNames,
    matchesDns,
  );
  const rules = [
    wildcards ? { ...plain, sentence: `${plain.sentence}; wildcards too` } : plain,
    valueRule(
      "ipAddresses",
      ["IP subjectAltName", "IP addresses"],
      ips ?? NONE,
      (facts) => facts.ipAddresses,
      isInNetwork,
    ),
    valueRule("uris", ["URI subjectAltName", "URIs"], uris ?? NONE, (facts) => facts.uris, matchesUri),
    valueRule(
      "emailAddresses",
      ["Email subjectAltName", "e-mail addresses"],
      emails ?? NONE,
      (facts) => facts.emailAddresses,
      matchesEmail,
    ),
    rule("otherNames", "there are no names of other kinds", ({ otherNames }) => {
      return otherNames === 0 ? undefined : "a subjectAltName is neither DNS, IP, URI nor Email";
    }),
  ];
  if (!atLeastOne) return rules;
  const isNamed = rule("subjectAltNames", "there is at least one name", (facts) => {
    return listAlternativeNames(facts).length > 0 ? undefined : "a subjectAltName is required";
  });
  return [...rules, isNamed];
}

const NONE: ValueRule = { allowed: [], min: 0 };

function valueRule(
  name: RequestPart,
  [singular, plural]: readonly [singular: string, plural: string],
  wanted: ValueRule,
  read: (facts: RequestFacts) => readonly string[],
  matches: (value: string, pattern: string) => boolean,
): ProfileRule {
  const { allowed, exactly, min, max = Infinity } = wanted;
  return rule(name, describeValues(plural, wanted, singular === plural), (facts) => {
    const values = read(facts);
    if (exactly !== undefined) return findInexact(singular, values, exactly);
    const bad = values.find((value) => !allowed.some((pattern) => matches(value, pattern)));
    if (bad !== undefined) return `${singular} is not allowed: ${bad}`;
    if (values.length < min) return min === 1 ? `${singular} is required` : `${singular}: at least ${min} are required`;
    return values.length > max ? `${singular}: at most ${max} are allowed` : undefined;
  });
}

function findInexact(what: string, values: readonly string[], exactly: readonly string[]): string | undefined {
  const extra = values.find((value, index) => !exactly.includes(value) || values.indexOf(value) < index);
  if (extra !== undefined) return `${what} is not allowed: ${extra}`;
  const missing = exactly.find((value) => !values.includes(value));
  return missing === undefined ? undefined : `${what} is required: ${missing}`;
}

function describeValues(plural: string, { allowed, exactly, min, max }: ValueRule, isSingle: boolean): string {
  if (exactly !== undefined) return `the ${plural} ${isSingle ? "is" : "are"} exactly ${exactly.join(", ")}`;
  if (allowed.length === 0) return `there are no ${plural}`;
  if (isSingle) {
    return `the ${plural} is ${allowed.join(" or ")}${min === 0 ? ", or is left out" : ""}`;
  }
  const count = min > 0 && max !== undefined
    ? `, ${min} to ${max} of them`
    : min > 0
    ? `, at least ${min} of them`
    : max !== undefined
    ? `, at most ${max} of them`
    : "";
  return `the ${plural} are ${allowed.join(" or ")}${count}`;
}

function listSubjectValues(subject: DistinguishedName, field: SubjectField): readonly string[] {
  const value = subject[field];
  return typeof value !== "string" ? value : value === "" ? [] : [value];
}

/**
 * Matches a common name. A star matches within one label, because many programs interpret a common name as a host name.
 */
function matchesCommonName(value: string, pattern: string): boolean {
  return matchesDeepPattern(value, pattern, ".");
}

/** Matches any other text of a subject. */
function matchesSubjectText(value: string, pattern: string): boolean {
  return matchesDeepPattern(value, pattern, "");
}

/**
 * Matches a DNS name, which must be in lower case and without a trailing dot. A wildcard name requires `wildcards` and a
 * pattern whose first label consists of stars.
 */
function matchesDnsName(value: string, pattern: string, wildcards: boolean): boolean {
  const isWildcard = value.startsWith("*.");
  if (isWildcard && !(wildcards && (pattern.startsWith("*.") || pattern.startsWith("**.")))) return false;
  const plain = isWildcard ? `x${value.slice(1)}` : value;
  return findDnsNameFault(plain) === undefined && matchesDeepPattern(plain, pattern, ".");
}

/** Matches a URI. With a star, the URI must contain no escapes, no user, query or fragment, and no `.` or `..` segments. */
function matchesUri(value: string, pattern: string): boolean {
  if (value === pattern && !pattern.includes("*")) return true;
  const [, path = ""] = /^[^:]*:(?:\/\/)?(.*)$/.exec(value) ?? [];
  const segments = path.split("/");
  const isPlain = !/[%\\?#@]/.test(value) && !segments.some((segment) => segment === "." || segment === "..") &&
    !segments.slice(1, -1).includes("");
  return isPlain && matchesDeepPattern(value, pattern, "/:[]");
}

/** Matches an e-mail address. A star matches neither an at sign nor characters that need quotes. */
function matchesEmail(value: string, pattern: string): boolean {
  if (value === pattern && !pattern.includes("*")) return true;
  return /^[^\s"(),:;<>@[\\\]]+@[^\s"(),:;<>@[\\\]]+$/.test(value) && matchesDeepPattern(value, pattern, "@");
}

/** Finds the fault of a pattern of DNS names; undefined when it is valid. */
export function findDnsPatternFault(pattern: string): string | undefined {
  const [first = "", ...rest] = pattern.split(".");
  if (rest.some((label) => label.includes("**")) || (first.includes("**") && first !== "**")) {
    return `"${pattern}": ** matches whole labels, and only at the start, as in **.example.com`;
  }
  if (pattern.startsWith("**") && rest.length === 0) return `"${pattern}" allows every name; add a domain`;
  const fault = findDnsNameFault(pattern.replaceAll("**", "x").replaceAll("*", "x"));
  return fault === undefined ? undefined : `"${pattern}" is not a pattern of DNS names in lower case`;
}

/** Finds the fault of a pattern of URIs; undefined when it is valid. */
export function findUriPatternFault(pattern: string): string | undefined {
  if (!/^[a-z][a-z0-9+.-]*:/.test(pattern)) return `"${pattern}" does not begin with a scheme, such as spiffe://`;
  const deep = pattern.indexOf("**");
  if (
    deep >= 0 && !(deep === pattern.length - 2 && pattern.at(deep - 1) === "/" && deep > pattern.indexOf("://") + 3)
  ) {
    return `"${pattern}": ** matches the rest of a path, and only at its end, as in spiffe://example.com/**`;
  }
  return undefined;
}

/** Finds the fault of a pattern of e-mail addresses; undefined when it is valid. */
export function findEmailPatternFault(pattern: string): string | undefined {
  const parts = pattern.split("@");
  const isAddress = parts.length === 2 && parts.every((part) => part !== "") && !pattern.includes("**");
  return isAddress ? undefined : `"${pattern}" is not a pattern of e-mail addresses, such as *@example.com`;
}
