/** Finds the contradictions in a well-formed profile, and rules that would allow too much. */
import { toExtendedKeyUsageOids } from "../pki/usages.ts";
import { RESERVED_EXTENSIONS } from "../pki/extra_extensions.ts";
import { isMlDsa } from "../pki/key_algorithm.ts";
import {
  type ExtensionRules,
  type KeyRule,
  type LifetimeRules,
  type NameRules,
  type ProfileSpec,
  SUBJECT_FIELDS,
  type UsageRules,
  type ValueRule,
} from "./profile_spec.ts";

/** Finds every fault, with its place in the file. */
export function findProfileFaults({ subject, names, usages, lifetime, keys, extensions }: ProfileSpec): string[] {
  return [
    ...SUBJECT_FIELDS.flatMap((field) => findValueFaults(`subject.${field}`, subject[field])),
    ...findNameRuleFaults(names),
    ...findUsageFaults(usages),
    ...findLifetimeFaults(lifetime),
    ...keys.flatMap((rule, index) => findKeyRuleFaults(`keys[${index}]`, rule)),
    ...findExtensionFaults(extensions),
  ];
}

function findValueFaults(place: string, rule: ValueRule | undefined): string[] {
  if (rule === undefined) return [];
  const { allowed, exactly, min, max } = rule;
  if (exactly === undefined) {
    const isTooMany = max !== undefined && min > max;
    return [
      ...(allowed.length === 0 ? [`${place}: allowed or exactly expected`] : []),
      ...(isTooMany ? [`${place}.min: is above max`] : []),
    ];
  }
  return [
    ...(allowed.length > 0 ? [`${place}: exactly and allowed exclude each other`] : []),
    ...(min > 0 || max !== undefined ? [`${place}: exactly says how many there are; leave min and max out`] : []),
    ...(new Set(exactly).size < exactly.length ? [`${place}.exactly: a value stands there twice`] : []),
  ];
}

function findNameRuleFaults({ dns, ips, uris, emails, wildcards, atLeastOne }: NameRules): string[] {
  const rules = Object.entries({ dns, ips, uris, emails });
  const faults = rules.flatMap(([kind, rule]) => findValueFaults(`names.${kind}`, rule));
  const hasStars = dns?.allowed.some((pattern) => /^\*\*?\./.test(pattern)) ?? false;
  if (wildcards && !hasStars) {
    faults.push("names.dns.wildcards: no pattern begins with a label of stars, such as *.example.com");
  }
  if (atLeastOne && rules.every(([, rule]) => rule === undefined)) {
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
    faults.push("usages.default: without an extended key usage, such as server auth, it is good for everything");
  }
  return faults;
}

function findLifetimeFaults({ maxMs, defaultMs, minMs }: LifetimeRules): string[] {
  return [
    ...(maxMs < 1_000 ? ["lifetime.max: at least a second expected"] : []),
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
    } else if (seen.has(oid)) faults.push(`${place}: ${oid} stands there twice`);
    seen.add(oid);
  }
  return faults;
}
