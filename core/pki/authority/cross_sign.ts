/** Cross-signing: the certificate of a new CA by the key of an old one, for programs that trust the old CA only. */
import { err, type Result } from "../../lib/result.ts";
import type { Authority } from "./authority.ts";
import { type CertificateFacts, parseCertificate } from "../x509/certificate.ts";
import { equalBytes } from "../asn1/der.ts";
import { issueCertificate } from "./issue.ts";
import { chainNotAfter } from "../x509/ca_bundle.ts";
import { NO_ALTERNATIVE_NAMES } from "../x509/subject_alternative_names.ts";
import { findUnknownUsages, listUsages } from "../x509/usages.ts";

/** The parts of a cross-signed certificate that do not come from the two CAs. */
export interface CrossSignOptions {
  readonly notBefore: Date;
  /** Big-endian bytes from a strong random source. */
  readonly serial: Uint8Array<ArrayBuffer>;
}

/**
 * Finds out why a CA cannot certify another one; undefined when it can. A path length of 0 allows no CA below it: RFC 5280
 * does not count a CA of the same name, but Go does.
 */
export function findCrossSignFault(newCa: CertificateFacts, oldCa: CertificateFacts): string | undefined {
  if (oldCa.maxPathLength === 0) return "the path length 0 of the old CA allows no CA below it";
  if (oldCa.subjectKeyId === undefined && equalBytes(newCa.subject.raw, oldCa.subject.raw)) {
    return "both CAs have the same name, and the old one has no subject key identifier that distinguishes them";
  }
  return undefined;
}

/**
 * Issues the certificate of a new CA by the key of an old one: subject, key, key identifier, usages and name constraints of
 * the new CA, the end of the old one, and no more CAs below it than both allow. A leaf of the new CA together with it is
 * accepted by everyone who trusts the old CA. Returns why the old CA cannot certify the new one (`findCrossSignFault`).
 */
export async function crossSign(
  newCa: CertificateFacts,
  oldCa: Authority,
  { notBefore, serial }: CrossSignOptions,
): Promise<Result<CertificateFacts, string>> {
  const fault = findCrossSignFault(newCa, oldCa.certificate);
  if (fault !== undefined) return err(fault);
  const usages = listUsages(newCa);
  const unknown = findUnknownUsages(usages);
  const der = await issueCertificate(
    {
      subject: newCa.subject,
      subjectDer: newCa.subject.raw,
      publicKeyDer: newCa.publicKeyDer,
      subjectKeyId: newCa.subjectKeyId,
      ...NO_ALTERNATIVE_NAMES,
      notBefore,
      notAfter: new Date(Math.min(chainNotAfter(oldCa).getTime(), newCa.notAfter.getTime())),
      // Nothing that is signed here needs an extended usage without a Kubernetes name.
      usages: usages.filter((usage) => !unknown.includes(usage)),
      isCa: true,
      maxPathLength: findPathLength(newCa, oldCa.certificate),
      nameConstraints: newCa.nameConstraints,
    },
    // A cross-signed certificate names no CRL.
    { certificate: oldCa.certificate, key: oldCa.key },
    serial,
  );
  return parseCertificate(der);
}

/** The old CA allows one CA fewer below the new one than below itself. */
function findPathLength(newCa: CertificateFacts, oldCa: CertificateFacts): number | undefined {
  const limits = [newCa.maxPathLength, oldCa.maxPathLength === undefined ? undefined : oldCa.maxPathLength - 1];
  const known = limits.filter((one) => one !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}
