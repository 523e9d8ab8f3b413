/** The paths of the CAs in a data directory: one for everything, or one for each purpose. */
import { AppError } from "../../core/errors.ts";
import { basename, dirname, extname, join } from "node:path";
import {
  KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
  KUBE_APISERVER_CLIENT_SIGNER,
  KUBELET_SERVING_SIGNER,
} from "../../core/kube/kinds/constants.ts";

/** The purpose of a CA. `serving` is `pki/ca.crt`, which is used for everything when there are no others. */
export type CaPurpose = "serving" | "client" | "kubelet-client" | "kubelet-serving" | "custom";

/** The paths of the two files of a CA. */
export interface AuthorityPaths {
  readonly certificate: string;
  readonly key: string;
}

/** The purposes other than `serving`, each with a CA of its own in a split instance. */
export const SPLIT_PURPOSES: readonly CaPurpose[] = ["client", "kubelet-client", "kubelet-serving", "custom"];

/** The purposes of all CAs of a split instance, in the order in which help shows them. */
export const CA_PURPOSES: readonly CaPurpose[] = ["serving", ...SPLIT_PURPOSES];

export function getSignerPurpose(signerName: string): CaPurpose {
  switch (signerName) {
    case KUBE_APISERVER_CLIENT_SIGNER:
      return "client";
    case KUBE_APISERVER_CLIENT_KUBELET_SIGNER:
      return "kubelet-client";
    case KUBELET_SERVING_SIGNER:
      return "kubelet-serving";
    default:
      return "custom";
  }
}

/** Returns the name of the CRL of a CA from the path of its certificate: `ca.crl` for `pki/ca.crt`. */
function getCrlName(certificate: string): string {
  return `${basename(certificate).replace(/\.(?:crt|cer|pem)$/i, "")}.crl`;
}

/** Returns the path of the CRL of a CA, which is next to its certificate: `pki/ca.crl`. */
export function getCrlPath({ certificate }: Pick<AuthorityPaths, "certificate">): string {
  return join(dirname(certificate), getCrlName(certificate));
}

/**
 * Returns the URL of a CA's CRL. If `crlUrl` ends with a slash, it is a folder, and the name of the CRL is appended.
 */
export function toCrlUrl(crlUrl: string | undefined, certificate: string): string | undefined {
  return crlUrl?.endsWith("/") === true ? crlUrl + getCrlName(certificate) : crlUrl;
}

/** Throws AppError `usage` when several CAs would get the same CRL URL, because each CA has its own CRL. */
export function assertCrlUrls(crlUrl: string | undefined, certificates: readonly string[]): void {
  const urls = new Set(certificates.map((certificate) => toCrlUrl(crlUrl, certificate)));
  if (crlUrl === undefined || urls.size === new Set(certificates).size) return;
  throw new AppError(
    "usage",
    `the setting crlUrl: "${crlUrl}" is one URL, but each of the CAs ${certificates.join(", ")} has its own CRL`,
    { hint: "give the URL of a folder, which ends with /; the name of each CA's file is added to it" },
  );
}

/**
 * Returns the path of the file that exists while the files of a CA are swapped. It contains the slot of the CA that
 * takes over signing.
 */
export function getSwapMarker({ certificate }: AuthorityPaths): string {
  return join(dirname(certificate), `.${basename(certificate, extname(certificate))}.swap`);
}

/** Returns the name of a CA, which is its file name without `.crt`. */
export function getCaName(purpose: CaPurpose): string {
  return purpose === "serving" ? "ca" : `${purpose}-ca`;
}

/** Returns the paths of a CA below a data directory. */
export function authorityPaths(dataDir: string, purpose: CaPurpose = "serving"): AuthorityPaths {
  const name = getCaName(purpose);
  return { certificate: join(dataDir, "pki", `${name}.crt`), key: join(dataDir, "pki", `${name}.key`) };
}
