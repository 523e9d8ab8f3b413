/**
 * The profile of a custom signer as its file defines it, and the checks for contradictions and for rules that would
 * allow too much. It refuses everything that it does not list. A profile for pods can contain facts of the pod in
 * braces, such as `{namespace}`: kube-apiserver compares them with the pod and its node when a kubelet sends the
 * request (`plugin/pkg/admission/noderestriction`).
 */
import { isMlDsa, type PrivateKeyAlgorithm } from "../pki/keys/key_names.ts";
import type { PodCertificateRequest } from "../kube/kinds/certificates_v1.ts";
import { MIN_POD_EXPIRATION_SECONDS } from "../kube/kinds/constants.ts";
import { toExtendedKeyUsageOids } from "../pki/x509/usages.ts";
import { RESERVED_EXTENSIONS } from "../pki/x509/certificate_extensions.ts";
import { findNearest } from "../lib/nearest.ts";

/** A profile as it is read from a file. */
export interface ProfileSpec {
  /** The signer's name; by default the one on the command line. */
  readonly signerName?: string;
  /** The purpose of its certificates, in a sentence for users. */
  readonly description: string;
  readonly subject: SubjectRules;
  readonly names: NameRules;
  readonly usages: UsageRules;
  readonly lifetime: LifetimeRules;
  readonly keys: readonly KeyRule[];
  readonly extensions: ExtensionRules;
  /** Whether the intermediates follow each certificate. */
  readonly chain: boolean;
  /** The pods that may have certificates; present only in a profile for pod certificates. */
  readonly pods?: PodRules;
}

/** Patterns of the pods that may have certificates; a fact without patterns may have any value. */
export interface PodRules {
  readonly namespace?: readonly string[];
  readonly serviceAccount?: readonly string[];
  readonly pod?: readonly string[];
  readonly node?: readonly string[];
}

/** The keys of PodRules, in the order in which they are checked. */
export const RESTRICTED_POD_FACTS = ["namespace", "serviceAccount", "pod", "node"] as const;

/** The allowed values of one kind, and their number. */
export interface ValueRule {
  /** Patterns, or ranges for addresses; each value must match one. */
  readonly allowed: readonly string[];
  /** The exact set of values, instead of `allowed`. */
  readonly exactly?: readonly string[];
  readonly min: number;
  readonly max?: number;
  /** The values for a pod without the annotation. */
  readonly default?: readonly string[];
  /** The key of the annotation with which a pod sets its values. */
  readonly annotation?: string;
}

/** The attributes of a subject that a profile can allow, in the order in which they are checked. */
export const SUBJECT_FIELDS = [
  "commonName",
  "organizations",
  "organizationalUnits",
  "countries",
  "provinces",
  "localities",
  "streetAddresses",
  "postalCodes",
  "serialNumber",
] as const;

/** One of the names in SUBJECT_FIELDS. */
export type SubjectField = (typeof SUBJECT_FIELDS)[number];

/** The rules for the subject; an attribute without a rule must be absent. */
export type SubjectRules = { readonly [Field in SubjectField]?: ValueRule };

/** The rules for subject alternative names; a kind without a rule must be absent. */
export interface NameRules {
  readonly dns?: ValueRule;
  readonly ips?: ValueRule;
  readonly uris?: ValueRule;
  readonly emails?: ValueRule;
  /** Whether wildcard names are allowed where the first label of the pattern consists of stars. */
  readonly wildcards: boolean;
  readonly atLeastOne: boolean;
}

/** The rules for usages, by Kubernetes' names. */
export interface UsageRules {
  readonly allowed: readonly string[];
  readonly required: readonly string[];
  /** The default usages, for a request without any. */
  readonly default: readonly string[];
  /** The key of the annotation with which a pod sets its usages. */
  readonly annotation?: string;
}

/** How long certificates are valid. */
export interface LifetimeRules {
  /** The longest lifetime, also for requests for a longer one. */
  readonly maxMs: number;
  /** The lifetime of requests without one. */
  readonly defaultMs: number;
  /** The shortest lifetime; shorter requests are refused. */
  readonly minMs: number;
  /** How long before its end the kubelet begins to refresh a pod's certificate; a third of its lifetime by default. */
  readonly refreshBeforeMs?: number;
}

/** An allowed type of key, with limits of its size. */
export interface KeyRule {
  readonly type: PrivateKeyAlgorithm;
  readonly minBits?: number;
  readonly maxBits?: number;
}

/** The extensions that every certificate gets. */
export interface ExtensionRules {
  /** The URLs of OCSP responders (authority information access). */
  readonly ocsp: readonly string[];
  /** The URLs of the CA's certificate (authority information access). */
  readonly caIssuers: readonly string[];
  /** The URLs of certificate revocation lists. */
  readonly crl: readonly string[];
  readonly policies: readonly PolicyExtension[];
  readonly raw: readonly RawExtension[];
}

/** A certificate policy, with the page of its practice statement. */
export interface PolicyExtension {
  readonly oid: string;
  readonly cps?: string;
}

/** Any other extension, as DER. */
export interface RawExtension {
  readonly oid: string;
  readonly critical: boolean;
  readonly der: Uint8Array<ArrayBuffer>;
}

/** The keys that a kubelet can generate for a pod (`pkg/kubelet/podcertificate`), by the names of `keyType`. */
const KUBELET_KEYS: readonly { readonly keyType: string; readonly type: string; readonly bits: number }[] = [
  { keyType: "RSA3072", type: "RSA", bits: 3_072 },
  { keyType: "RSA4096", type: "RSA", bits: 4_096 },
  { keyType: "ECDSAP256", type: "ECDSA", bits: 256 },
  { keyType: "ECDSAP384", type: "ECDSA", bits: 384 },
  { keyType: "ECDSAP521", type: "ECDSA", bits: 521 },
  { keyType: "ED25519", type: "Ed25519", bits: 256 },
];

export function isKeyAllowed(rules: readonly KeyRule[], keyAlgorithm: string, keyBits: number): boolean {
  return rules.some(({ type, minBits = 0, maxBits = Infinity }) =>
    type === keyAlgorithm && keyBits >= minBits && keyBits <= maxBits
  );
}

/** Lists the key types of kubelets that the rules allow. */
export function listKubeletKeyTypes(rules: readonly KeyRule[]): readonly string[] {
  return KUBELET_KEYS.filter(({ type, bits }) => isKeyAllowed(rules, type, bits)).map(({ keyType }) => keyType);
}

/** Finds every fault, with its place in the file. */
export function findProfileFaults(spec: ProfileSpec): string[] {
  const { names, usages, lifetime, keys, extensions } = spec;
  return [
    ...listValueRules(spec).flatMap(([place, rule]) => findValueFaults(place, rule)),
    ...findNameRuleFaults(names),
    ...findUsageFaults(usages),
    ...findLifetimeFaults(lifetime),
    ...keys.flatMap((rule, index) => findKeyRuleFaults(`keys[${index}]`, rule)),
    ...findExtensionFaults(extensions),
    ...(spec.pods === undefined ? findStrayPodKeys(spec) : findPodFaults(spec)),
  ];
}

/** Finds out why a profile does not fit a signer for pods, or one for CertificateSigningRequests. */
export function findPurposeFault({ pods }: ProfileSpec, isForPods: boolean): string | undefined {
  if (isForPods) {
    return pods === undefined ? "pods: missing; this section lists the pods that may have certificates" : undefined;
  }
  return pods === undefined
    ? undefined
    : "pods: only for pod certificates; use this profile with tlsboot signer --pod-certificates";
}

/** Finds the keys that only a profile for pods may have, in a profile for other requests. */
function findStrayPodKeys(spec: ProfileSpec): string[] {
  const only = (place: string) => `${place}: only for pod certificates; add the section pods, which lists the pods`;
  return [
    ...listValueRules(spec).flatMap(([place, { allowed, exactly = [], default: fallback, annotation }]) => [
      ...(fallback === undefined ? [] : [only(`${place}.default`)]),
      ...(annotation === undefined ? [] : [only(`${place}.annotation`)]),
      ...([...allowed, ...exactly].some((value) => listPlaceholders(value).some(isPodFact)) ? [only(place)] : []),
    ]),
    ...(spec.usages.annotation === undefined ? [] : [only("usages.annotation")]),
    ...(spec.lifetime.refreshBeforeMs === undefined ? [] : [only("lifetime.refreshBefore")]),
  ];
}

/** Finds the faults of the keys that only a profile for pods may have. */
function findPodFaults(spec: ProfileSpec): string[] {
  const { maxMs, defaultMs, minMs, refreshBeforeMs = 0 } = spec.lifetime;
  const rules = listValueRules(spec);
  const annotations = [...rules.map(([, { annotation }]) => annotation), spec.usages.annotation]
    .filter((key) => key !== undefined);
  const repeated = annotations.find((key, index) => annotations.indexOf(key) < index);
  return [
    ...rules.flatMap(([place, rule]) => findPodValueFaults(place, rule)),
    ...(repeated === undefined ? [] : [`annotation: ${repeated} is in two rules`]),
    ...(minMs < MIN_POD_EXPIRATION_SECONDS * 1_000 ? ["lifetime.min: the API requires at least 1h for pods"] : []),
    ...(maxMs < MIN_POD_EXPIRATION_SECONDS * 1_000 ? ["lifetime.max: the API requires at least 1h for pods"] : []),
    ...(defaultMs < maxMs ? ["lifetime.default: the request of a pod always has a lifetime; leave it out"] : []),
    ...(refreshBeforeMs >= maxMs ? ["lifetime.refreshBefore: is not below max"] : []),
    ...(listKubeletKeyTypes(spec.keys).length === 0 ? ["keys: no kubelet generates such a key"] : []),
  ];
}

function findPodValueFaults(place: string, rule: ValueRule): string[] {
  const { allowed, exactly, default: fallback = [], annotation } = rule;
  const isFixed = exactly !== undefined;
  const unknown = [...allowed, ...exactly ?? [], ...fallback].map(findPlaceholderFault);
  return [
    ...unknown.filter((fault) => fault !== undefined).map((fault) => `${place}: ${fault}`),
    ...(isFixed && (fallback.length > 0 || annotation !== undefined)
      ? [`${place}: every pod has exactly these values; leave default and annotation out`]
      : []),
  ];
}

/** Lists the rules of values with their places. */
function listValueRules({ subject, names: { dns, ips, uris, emails } }: ProfileSpec): (readonly [string, ValueRule])[] {
  const all = [
    ...SUBJECT_FIELDS.map((field) => [`subject.${field}`, subject[field]] as const),
    ...Object.entries({ dns, ips, uris, emails }).map(([kind, rule]) => [`names.${kind}`, rule] as const),
  ];
  return all.flatMap(([place, rule]) => rule === undefined ? [] : [[place, rule] as const]);
}

function findValueFaults(place: string, { allowed, exactly, min, max }: ValueRule): string[] {
  if (exactly === undefined) {
    const isTooMany = max !== undefined && min > max;
    return [
      ...(allowed.length === 0 ? [`${place}: want allowed or exactly`] : []),
      ...(isTooMany ? [`${place}.min: is above max`] : []),
    ];
  }
  return [
    ...(allowed.length > 0 ? [`${place}: exactly and allowed exclude each other`] : []),
    ...(min > 0 || max !== undefined
      ? [`${place}: exactly says how many there are; leave min, max and required out`]
      : []),
    ...(new Set(exactly).size < exactly.length ? [`${place}.exactly: a value occurs twice`] : []),
  ];
}

function findNameRuleFaults({ dns, ips, uris, emails, wildcards, atLeastOne }: NameRules): string[] {
  const faults: string[] = [];
  if (wildcards && dns?.allowed.some((pattern) => /^\*\*?\./.test(pattern)) !== true) {
    faults.push("names.dns.wildcards: no pattern begins with a label of stars, such as *.example.com");
  }
  if (atLeastOne && [dns, ips, uris, emails].every((rule) => rule === undefined)) {
    faults.push("names.atLeastOne: no kind of name is allowed");
  }
  return faults;
}

function findUsageFaults({ allowed, required, default: fallback }: UsageRules): string[] {
  const outside = (place: string, list: readonly string[]) =>
    list.filter((usage) => !allowed.includes(usage)).map((usage) => `usages.${place}: "${usage}" is not allowed above`);
  const faults = [...outside("required", required), ...outside("default", fallback)];
  if (fallback.length === 0) return faults;
  for (const usage of required.filter((name) => !fallback.includes(name))) {
    faults.push(`usages.default: "${usage}" is required`);
  }
  if (toExtendedKeyUsageOids(allowed).length > 0 && toExtendedKeyUsageOids(fallback).length === 0) {
    faults.push("usages.default: without an extended key usage, such as server auth, it is valid for every purpose");
  }
  return faults;
}

function findLifetimeFaults({ maxMs, defaultMs, minMs }: LifetimeRules): string[] {
  return [
    ...(maxMs < 1_000 ? ["lifetime.max: want at least a second"] : []),
    ...(defaultMs > maxMs ? ["lifetime.default: is above max"] : []),
    ...(minMs > defaultMs ? ["lifetime.min: is above default, or above max where there is none"] : []),
  ];
}

function findKeyRuleFaults(place: string, { type, minBits, maxBits }: KeyRule): string[] {
  if (type === "Ed25519" || isMlDsa(type)) {
    return minBits === undefined && maxBits === undefined ? [] : [`${place}: ${type} has one size; leave the bits out`];
  }
  const least = type === "RSA" ? 2_048 : 256;
  return [
    ...(minBits !== undefined && minBits < least ? [`${place}.minBits: ${type} below ${least} bits is weak`] : []),
    ...(maxBits !== undefined && maxBits < (minBits ?? least) ? [`${place}.maxBits: is below the least bits`] : []),
  ];
}

function findExtensionFaults({ raw }: ExtensionRules): string[] {
  const faults: string[] = [];
  const seen = new Set<string>();
  for (const [index, { oid }] of raw.entries()) {
    const place = `extensions.raw[${index}].oid`;
    if (RESERVED_EXTENSIONS.has(oid)) {
      faults.push(`${place}: ${oid} follows from the rest of the profile, or is for CAs`);
    } else if (seen.has(oid)) faults.push(`${place}: ${oid} occurs twice`);
    seen.add(oid);
  }
  return faults;
}

const POD_FACTS = [
  "namespace",
  "serviceAccount",
  "serviceAccountUID",
  "pod",
  "podUID",
  "node",
  "nodeUID",
] as const;

/** The facts that a request states about its pod. */
export type PodFacts = Readonly<Record<(typeof POD_FACTS)[number], string>>;

/** The characters of names and UIDs in Kubernetes. None of them separates parts of a URI or is special in a pattern. */
const PLAIN = /^[A-Za-z0-9.-]+$/;
const PLACEHOLDER = /\{([^{}]*)\}/g;

export function toPodFacts({ metadata, spec }: PodCertificateRequest): PodFacts {
  return {
    namespace: metadata.namespace ?? "",
    serviceAccount: spec.serviceAccountName,
    serviceAccountUID: spec.serviceAccountUID,
    pod: spec.podName,
    podUID: spec.podUID,
    node: spec.nodeName,
    nodeUID: spec.nodeUID,
  };
}

/** Finds a fact that cannot replace its placeholder. The API restricts names, but not UIDs. */
export function findPodFactFault(facts: PodFacts): string | undefined {
  const bad = POD_FACTS.find((name) => !PLAIN.test(facts[name]));
  return bad === undefined ? undefined : `${bad} is not a plain name: ${facts[bad]}`;
}

export function fillPlaceholders(text: string, facts: PodFacts): string {
  return text.replace(PLACEHOLDER, (whole, name: string) => isPodFact(name) ? facts[name] : whole);
}

/** Finds the placeholders in a text, known or not. */
function listPlaceholders(text: string): readonly string[] {
  return [...text.matchAll(PLACEHOLDER)].map(([, name = ""]) => name);
}

function findPlaceholderFault(text: string): string | undefined {
  const unknown = listPlaceholders(text).find((name) => !isPodFact(name));
  if (unknown === undefined) return undefined;
  const nearest = findNearest(unknown, POD_FACTS);
  return `{${unknown}} is not a fact of a pod; ${
    nearest === undefined
      ? `known are ${POD_FACTS.map((name) => `{${name}}`).join(", ")}`
      : `did you mean {${nearest}}?`
  }`;
}

/** Reports whether a placeholder is known. */
function isPodFact(name: string): name is keyof PodFacts {
  return (POD_FACTS as readonly string[]).includes(name);
}
