/** Profiles of signers of one's own, from what their files say. Everything that is not named is refused. */
import { extendedKeyUsagesOf } from "../csr/usages.ts";
import { formatDuration } from "../lib/duration.ts";
import {
  planInformationAccess,
  type PlannedExtension,
  planPolicies,
  planRevocationLists,
} from "../pki/extra_extensions.ts";
import type { RequestFacts } from "../pki/pkcs10.ts";
import { createNameRules, createSubjectRules } from "./name_rules.ts";
import { type ProfileRule, rule, type SigningProfile } from "./profile.ts";
import type { ExtensionRules, KeyRule, LifetimeRules, ProfileSpec, UsageRules } from "./profile_spec.ts";

/** Makes the profile of a signer. Checked in this order: subject, names, key, usages, lifetime. */
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
    remarks: remarksOf(spec),
  };
}

function keyRule(keys: readonly KeyRule[]): ProfileRule {
  const wanted = keys.map(describeKey).join(" or ");
  return rule("key", `the key is ${wanted}`, ({ keyAlgorithm, keyBits }: RequestFacts) => {
    const isGood = keys.some(({ type, minBits = 0, maxBits = Infinity }) =>
      type === keyAlgorithm && keyBits >= minBits && keyBits <= maxBits
    );
    return isGood ? undefined : `key is not allowed: ${keyAlgorithm} of ${keyBits} bits`;
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
  if (extendedKeyUsagesOf(allowed).length > 0 && extendedKeyUsagesOf(required).length === 0) {
    // RFC 5280 §4.2.1.12: without the extension a certificate is good for every purpose.
    rules.push(rule("extendedUsages", "one of the usages says for what purpose", (_facts, usages) => {
      return extendedKeyUsagesOf(usages).length > 0
        ? undefined
        : "an extended key usage is required: without one the certificate would be good for every purpose";
    }));
  }
  return rules;
}

function lifetimeRule({ minMs }: LifetimeRules): ProfileRule {
  const sentence = `the lifetime that is asked for, if any, is at least ${formatDuration(minMs)}`;
  return rule("lifetime", sentence, (_facts, _usages, seconds) => {
    if (seconds === undefined || seconds * 1_000 >= minMs) return undefined;
    return `lifetime is too short: ${formatDuration(seconds * 1_000)}, at least ${formatDuration(minMs)} expected`;
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

function remarksOf({ description, usages, lifetime, extensions, chain }: ProfileSpec): readonly string[] {
  const { ocsp, caIssuers, crl, policies, raw } = extensions;
  const { maxMs, defaultMs } = lifetime;
  return [
    ...(description === "" ? [] : [description]),
    `Certificates are good for at most ${formatDuration(maxMs)}, for ${
      formatDuration(defaultMs)
    } when a request does ` +
    `not say.`,
    ...(usages.default.length === 0 ? [] : [`A request file without usages gets ${usages.default.join(", ")}.`]),
    ...(ocsp.length === 0 ? [] : [`Revocation is answered at ${ocsp.join(" and ")}.`]),
    ...(caIssuers.length === 0 ? [] : [`The CA's certificate is at ${caIssuers.join(" and ")}.`]),
    ...(crl.length === 0 ? [] : [`Revoked certificates are listed at ${crl.join(" and ")}.`]),
    ...(policies.length === 0 ? [] : [`The policy is ${policies.map(({ oid }) => oid).join(" and ")}.`]),
    ...raw.map(({ oid, critical }) => `The extension ${oid} is added${critical ? ", as critical" : ""}.`),
    chain
      ? "Behind a certificate come the intermediate CAs, when there are any."
      : "A certificate comes alone, without the intermediate CAs.",
  ];
}
