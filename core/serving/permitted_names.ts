/** Which names of a server a constrained CA may certify. */
import type { CertificateFacts } from "../pki/certificate.ts";
import { findNameFault } from "../pki/name_constraints.ts";
import type { AlternativeNames } from "../pki/subject_alternative_names.ts";
import type { ServingNames } from "./renewal.ts";

/** The names that pass, and for each of the others what it fails at. */
export interface PermittedNames {
  readonly names: ServingNames;
  readonly refused: ReadonlyMap<string, string>;
}

/** Sorts names by the constraints of a CA and of those above it: one name outside spoils a certificate for all. */
export function planPermittedNames(wanted: ServingNames, issuers: readonly CertificateFacts[]): PermittedNames {
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
