/** Finds the contradictions in a well-formed profile, and rules that would allow too much. */
import { MIN_POD_EXPIRATION_SECONDS } from "../kube/kinds/certificates_v1.ts";
import { toExtendedKeyUsageOids } from "../pki/x509/usages.ts";
import { RESERVED_EXTENSIONS } from "../pki/x509/extra_extensions.ts";
import { isMlDsa } from "../pki/keys/key_algorithm.ts";
import { findPlaceholderFault, isPodFact, listPlaceholders } from "./pod_facts.ts";
import {
  type ExtensionRules,
  type KeyRule,
  type LifetimeRules,
  listKubeletKeyTypes,
  type NameRules,
  type ProfileSpec,
  SUBJECT_FIELDS,
  type UsageRules,
  type ValueRule,
} from "./profile_spec.ts";

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

/** Finds out why a profile is not for the requests of a signer: of pods, or CertificateSigningRequests. */
export function findPurposeFault({ pods }: ProfileSpec, isForPods: boolean): string | undefined {
  if (isForPods) return pods === undefined ? "pods: missing; it says which pods may have certificates" : undefined;
  return pods === undefined
    ? undefined
    : "pods: is for pod certificates; use it with tlsboot signer --pod-certificates";
}

/** Finds the keys that only a profile for pods may have, in a profile for other requests. */
function findStrayPodKeys(spec: ProfileSpec): string[] {
  const only = (place: string) =>
    `${place}: only for pod certificates; add the section pods, which says for which pods`;
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
    ...(defaultMs < maxMs ? ["lifetime.default: the request of a pod always names a lifetime; leave it out"] : []),
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
    ...(new Set(exactly).size < exactly.length ? [`${place}.exactly: a value is there twice`] : []),
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
  for (const usage of required.filter((one) => !fallback.includes(one))) {
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
    } else if (seen.has(oid)) faults.push(`${place}: ${oid} is there twice`);
    seen.add(oid);
  }
  return faults;
}
