/** Does a stored CSR ask for exactly what we ask for? Stricter than client-go, for requests whose name a person chose. */
import type { CertificateSigningRequest } from "../kube/certificates_v1.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { parseRequest } from "./request.ts";

/** Compares names, usages and life; the error names the first that differs. */
export function checkSame(stored: CertificateSigningRequest, own: CertificateSigningRequest): Result<true, string> {
  const [theirs, ours] = [parseRequest(stored.spec.request), parseRequest(own.spec.request)];
  if (!theirs.ok) return err(`unable to parse new csr: ${theirs.error}`);
  if (!ours.ok) return err(`unable to parse original csr: ${ours.error}`);
  const usages = (csr: CertificateSigningRequest): string => [...csr.spec.usages ?? []].sort().join(", ");
  if (usages(stored) !== usages(own)) return err(`csr usages differ: new: ${usages(stored)}, orig: ${usages(own)}`);
  if (stored.spec.expirationSeconds !== own.spec.expirationSeconds) return err("csr expirationSeconds differ");
  for (const field of ["dnsNames", "ipAddresses", "emailAddresses", "uris"] as const) {
    const [found, asked] = [theirs.value[field].join(", "), ours.value[field].join(", ")];
    if (found !== asked) return err(`csr ${field} differ: new: ${found}, orig: ${asked}`);
  }
  return ok(true);
}
