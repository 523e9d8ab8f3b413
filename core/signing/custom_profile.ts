/** Profiles of signers of one's own: everything that is not named is refused. */
import { matchesPattern } from "../pattern.ts";
import { type ProfileRule, rule, type SigningProfile } from "./profile.ts";

/**
 * What a custom signer lets through. In a pattern `*` stands for one or more characters, in a DNS name within one label;
 * it never stands for a star, so a wildcard name must be named as it is.
 */
export interface CustomProfileOptions {
  readonly signerName: string;
  /** Each usage of a request must be among these. */
  readonly allowedUsages: readonly string[];
  /** Each of these must be among a request's usages. */
  readonly requiredUsages?: readonly string[];
  /** Patterns of common names; without any, only an empty common name passes. */
  readonly commonNames?: readonly string[];
  /** Patterns, and so on: what is left out lets none through. */
  readonly organizations?: readonly string[];
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
  readonly emailAddresses?: readonly string[];
  readonly uris?: readonly string[];
  /** Longest life of a certificate. */
  readonly maxDurationSeconds?: number;
}

/** Makes the profile of a custom signer. Checked in this order: subject, names, usages. */
export function createCustomProfile(options: CustomProfileOptions): SigningProfile {
  const { signerName, maxDurationSeconds } = options;
  const rules: readonly ProfileRule[] = [
    rule("commonName", ({ subject }) => {
      const names = subject.commonName === "" ? [] : [subject.commonName];
      return findUnmatched("subject common name", names, options.commonNames);
    }),
    rule("organization", ({ subject }) => {
      return findUnmatched("subject organization", subject.organizations, options.organizations);
    }),
    rule("subject", ({ subject }) => {
      const { organizationalUnits, countries, localities, provinces, streetAddresses, postalCodes } = subject;
      const others = [organizationalUnits, countries, localities, provinces, streetAddresses, postalCodes];
      return others.every((values) => values.length === 0) && subject.serialNumber === ""
        ? undefined
        : "subject has attributes beside common name and organization";
    }),
    rule("dnsNames", ({ dnsNames }) => findUnmatched("DNS subjectAltName", dnsNames, options.dnsNames, ".")),
    rule("ipAddresses", (facts) => findUnmatched("IP subjectAltName", facts.ipAddresses, options.ipAddresses)),
    rule("emailAddresses", (facts) => {
      return findUnmatched("Email subjectAltName", facts.emailAddresses, options.emailAddresses);
    }),
    rule("uris", ({ uris }) => findUnmatched("URI subjectAltName", uris, options.uris)),
    rule("usages", (_facts, usages) => {
      const bad = usages.find((usage) => !options.allowedUsages.includes(usage));
      if (bad !== undefined) return `usage is not allowed: ${bad}`;
      const missing = options.requiredUsages?.find((usage) => !usages.includes(usage));
      return missing === undefined ? undefined : `usage is required: ${missing}`;
    }),
  ];
  return { signerName, rules, ...(maxDurationSeconds === undefined ? {} : { maxDurationSeconds }) };
}

function findUnmatched(
  what: string,
  values: readonly string[],
  patterns: readonly string[] = [],
  separator = "",
): string | undefined {
  const bad = values.find((value) => !patterns.some((pattern) => matchesPattern(value, pattern, separator)));
  return bad === undefined ? undefined : `${what} is not allowed: ${bad}`;
}
