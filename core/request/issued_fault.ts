/** Compares an issued certificate with its request. A signer may add names and usages, but not omit them. */
import type { CertificateFacts } from "../pki/x509/certificate.ts";
import { formatName, type SubjectFields } from "../pki/x509/names.ts";
import { canonicalIp } from "../lib/ip_address.ts";
import type { AlternativeNames } from "../pki/x509/subject_alternative_names.ts";
import { toExtendedKeyUsageOids, toKeyUsageBits } from "../pki/x509/usages.ts";

/** The requested subject, names and usages; absent parts are not compared. */
export interface RequestedCertificate extends Partial<AlternativeNames> {
  readonly subject: SubjectFields;
  readonly usages?: readonly string[];
}

const ANY_PURPOSE = "2.5.29.37.0";
const NAMES = ["dnsNames", "ipAddresses", "emailAddresses", "uris"] as const;

/** Describes the first requested property that the certificate lacks; undefined when it lacks none. */
export function findIssuedFault(leaf: CertificateFacts, asked: RequestedCertificate): string | undefined {
  return subjectFault(leaf, asked.subject) ?? namesFault(leaf, asked) ?? usagesFault(leaf, asked.usages ?? []);
}

function subjectFault(leaf: CertificateFacts, subject: SubjectFields): string | undefined {
  const { commonName = "", serialNumber = "", ...lists } = subject;
  const fields = Object.entries(lists) as [keyof typeof lists, readonly string[]][];
  const lacks = fields.some(([field, values]) => {
    const given = new Set(leaf.subject[field]);
    return values.some((value) => !given.has(value));
  });
  if (leaf.subject.commonName === commonName && !lacks && ["", leaf.subject.serialNumber].includes(serialNumber)) {
    return undefined;
  }
  return `it is for "${formatName(leaf.subject)}", but the request was for "${formatName(subject)}"`;
}

function namesFault(leaf: CertificateFacts, asked: RequestedCertificate): string | undefined {
  for (const field of NAMES) {
    const given = new Set(leaf[field].map(spelling));
    const missing = asked[field]?.find((name) => !given.has(spelling(name)));
    if (missing !== undefined) return `it lacks ${missing}`;
  }
  return undefined;
}

/** An absent extension restricts nothing (RFC 5280 §4.2.1.3, §4.2.1.12). */
function usagesFault(leaf: CertificateFacts, usages: readonly string[]): string | undefined {
  const purposes = leaf.extendedKeyUsages;
  for (const usage of usages) {
    const [bit] = toKeyUsageBits([usage]);
    const [purpose] = toExtendedKeyUsageOids([usage]);
    const isFree = purposes.length === 0 || purposes.includes(ANY_PURPOSE);
    const lacksBit = bit !== undefined && leaf.keyUsages.length > 0 && !leaf.keyUsages.includes(bit);
    if (lacksBit || (purpose !== undefined && !isFree && !purposes.includes(purpose))) {
      return `it lacks the usage "${usage}"`;
    }
  }
  return undefined;
}

/** Normalizes host names and addresses, which have more than one spelling. */
function spelling(name: string): string {
  return canonicalIp(name) ?? name.toLowerCase();
}
