/**
 * When a control plane's own certificates are made anew: at 70 % of their life, when the names change, or when the CA
 * is another one.
 */
import { isSameSet } from "../lib/sets.ts";
import { type CertificateFacts, verifyCertificateSignature } from "./certificate.ts";
import { findNameFault } from "./name_constraints.ts";
import type { AlternativeNames } from "./subject_alternative_names.ts";

/** Part of its life after which a certificate is replaced. */
const RENEW_AT = 0.7;

/** The names a serving certificate has to have. */
export interface ServerNames {
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
}

/** Why a certificate must be replaced, in words, or undefined while it is good. */
export function findRenewalReason(
  certificate: CertificateFacts,
  issuer: CertificateFacts,
  names: ServerNames | undefined,
  now: Date,
): string | undefined {
  if (!verifyCertificateSignature(certificate, issuer)) return "it is from another CA";
  if (now >= renewalDate(certificate)) return "it has reached 70 % of its life";
  if (certificate.notBefore > now) return "it is not valid yet";
  if (names === undefined) return undefined;
  const same = isSameSet(certificate.dnsNames, names.dnsNames) && isSameSet(certificate.ipAddresses, names.ipAddresses);
  return same ? undefined : "its names have changed";
}

/** When a certificate reaches 70 % of its life. */
export function renewalDate(certificate: CertificateFacts): Date {
  const start = certificate.notBefore.getTime();
  return new Date(start + (certificate.notAfter.getTime() - start) * RENEW_AT);
}

/** Splits the names and addresses of a server into what a certificate has for each; duplicates and empty ones go. */
export function planServingNames(hosts: readonly string[], isAddress: (host: string) => boolean): ServerNames {
  const known = [...new Set(hosts.map((host) => host.trim().toLowerCase()).filter((host) => host !== ""))];
  return {
    dnsNames: known.filter((host) => !isAddress(host)),
    // An unspecified address is where a server listens, not what anybody calls.
    ipAddresses: known.filter((host) => isAddress(host) && host !== "0.0.0.0" && host !== "::"),
  };
}

/** The names that pass, and for each of the others what it fails at. */
export interface PermittedNames {
  readonly names: ServerNames;
  readonly refused: ReadonlyMap<string, string>;
}

/** Sorts names by the constraints of a CA and of those above it: one name outside spoils a certificate for all. */
export function planPermittedNames(wanted: ServerNames, issuers: readonly CertificateFacts[]): PermittedNames {
  const refused = new Map<string, string>();
  const isPermitted = (name: string, names: AlternativeNames): boolean => {
    const fault = findIssuersFault(issuers, names);
    if (fault !== undefined) refused.set(name, fault);
    return fault === undefined;
  };
  const names = {
    dnsNames: wanted.dnsNames.filter((name) => isPermitted(name, { ...NO_NAMES, dnsNames: [name] })),
    ipAddresses: wanted.ipAddresses.filter((name) => isPermitted(name, { ...NO_NAMES, ipAddresses: [name] })),
  };
  return { names, refused };
}

/** Why a CA, or one above it, may not issue for these names; undefined when it may. */
export function findIssuersFault(issuers: readonly CertificateFacts[], names: AlternativeNames): string | undefined {
  for (const { nameConstraints } of issuers) {
    const fault = nameConstraints === undefined ? undefined : findNameFault(nameConstraints, names);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

const NO_NAMES: AlternativeNames = { dnsNames: [], emailAddresses: [], ipAddresses: [], uris: [] };
