/** Names of requests on the command line. */
import type { ApiClient } from "../../client/api.ts";
import { listAll, type Listing } from "../../client/listing.ts";
import type { CertificateSigningRequest } from "../../core/kube/certificates_v1.ts";
import { UsageError } from "../framework/usage_error.ts";

/** Where requests live. */
export const CSR_COLLECTION = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
/** What `-o name` and the answers of approve, deny and delete start with. */
export const CSR_QUALIFIED_KIND = "certificatesigningrequest.certificates.k8s.io";

const PREFIX = /^(csr|certificatesigningrequests?(\.certificates\.k8s\.io)?)\//;

/** The names, with `csr/` or what `-o name` prints before them taken off. */
export function parseCsrNames(args: readonly string[]): readonly string[] {
  return args.map((arg) => {
    const name = arg.replace(PREFIX, "");
    if (name === "" || name.includes("/") || name === "." || name === "..") {
      throw new UsageError(`cannot use "${arg}" as the name of a certificate signing request`);
    }
    return name;
  });
}

/** The path of one request. */
export function csrPath(name: string): string {
  return `${CSR_COLLECTION}/${encodeURIComponent(name)}`;
}

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
