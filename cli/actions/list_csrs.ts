/** All requests that a selector finds, each with its kind, as kubectl shows them. */
import type { ApiClient } from "../../client/api.ts";
import { listAll, type Listing } from "../../client/listing.ts";
import type { CertificateSigningRequest } from "../../core/kube/certificates_v1.ts";
import { CSR_COLLECTION } from "./csr_names.ts";

/** Lists requests; list items have no kind of their own on the wire. */
export async function listCsrs(
  api: ApiClient,
  selectors: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<Listing<CertificateSigningRequest>> {
  const { items, resourceVersion } = await listAll<CertificateSigningRequest>(api, CSR_COLLECTION, selectors, signal);
  const typed = items.map((item) => ({
    ...item,
    apiVersion: "certificates.k8s.io/v1",
    kind: "CertificateSigningRequest",
  }));
  return { items: typed, resourceVersion };
}
