/** The CAs that an installation trusts, from the places in which they are published. */
import type { CertificateFacts } from "../core/pki/x509/certificate.ts";
import { parseCaBundle } from "../core/pki/x509/ca_bundle.ts";
import type { RecordRow } from "../core/report/record_rows.ts";

/** CA certificates that are published for a purpose. */
export interface PublishedCas {
  /** What a certificate of these CAs is good for, in words, such as `clients of the API`. */
  readonly purpose: string;
  /** PEM of the CA certificates. */
  readonly pem: string;
}

/** One CA certificate, and what trusts it. */
export interface TrustedAuthority {
  readonly certificate: CertificateFacts;
  /** What a certificate of this CA is good for. */
  readonly purposes: readonly string[];
  /** The number of valid certificates that it has issued, as far as they are known. */
  readonly issued: number;
}

/** The CAs, the first to expire first, and the places whose text cannot be read. */
export interface TrustedAuthorities {
  readonly authorities: readonly TrustedAuthority[];
  readonly faults: readonly string[];
}

/** Lists each CA certificate once, with everything that trusts it. */
export function listAuthorities(places: readonly PublishedCas[], rows: Iterable<RecordRow>): TrustedAuthorities {
  const found = new Map<string, { readonly certificate: CertificateFacts; readonly purposes: Set<string> }>();
  const faults: string[] = [];
  for (const { purpose, pem } of places) {
    const bundle = parseCaBundle(pem);
    if (!bundle.ok) {
      faults.push(`the CAs for ${purpose} cannot be read: ${bundle.error}`);
      continue;
    }
    for (const certificate of bundle.value) {
      const known = found.get(certificate.sha256Fingerprint) ?? { certificate, purposes: new Set<string>() };
      known.purposes.add(purpose);
      found.set(certificate.sha256Fingerprint, known);
    }
  }
  const issued = new Map<string, number>();
  for (const { record: { spec: { issuerFingerprint = "" } }, status } of rows) {
    if (status === "valid") issued.set(issuerFingerprint, (issued.get(issuerFingerprint) ?? 0) + 1);
  }
  const authorities = [...found.values()].map(({ certificate, purposes }) => ({
    certificate,
    purposes: [...purposes],
    issued: issued.get(certificate.sha256Fingerprint) ?? 0,
  }));
  authorities.sort((a, b) => a.certificate.notAfter.getTime() - b.certificate.notAfter.getTime());
  return { authorities, faults };
}
