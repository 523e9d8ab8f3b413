/** Names of requests on the command line. */
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
