/** Certificate signing requests in the API: their names on the command line, their paths, and the list of them. */
import { type ApiClient, listAll, type Listing } from "../../client/objects/api.ts";
import type { CertificateSigningRequest } from "../../core/kube/certificates_v1.ts";
import { UsageError } from "../framework/usage_error.ts";

/** The path of the collection of requests. */
export const CSR_COLLECTION = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
/** The qualified kind, with which the output of `-o name`, approve, deny and delete starts. */
export const CSR_QUALIFIED_KIND = "certificatesigningrequest.certificates.k8s.io";

const PREFIX = /^(csr|certificatesigningrequests?(\.certificates\.k8s\.io)?)\//;

/** Parses names of requests, with or without `csr/` or the prefix that `-o name` prints. Throws UsageError. */
export function parseCsrNames(args: readonly string[]): readonly string[] {
  return args.map((arg) => {
    const name = arg.replace(PREFIX, "");
    if (name === "" || name.includes("/") || name === "." || name === "..") {
      throw new UsageError(`cannot use "${arg}" as the name of a certificate signing request`);
    }
    return name;
  });
}

/** Returns the path of one request. */
export function csrPath(name: string): string {
  return `${CSR_COLLECTION}/${encodeURIComponent(name)}`;
}

/** Lists the requests that selectors match. Each gets its apiVersion and kind, which items of a list do not have. */
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
