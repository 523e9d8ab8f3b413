/** Finds and lists certificate signing requests in the API, and parses their names on the command line. */
import { type ApiClient, listAll, type Listing, type QueryParameters } from "../objects/api.ts";
import { AppError, isAppError } from "../../core/errors.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { certificateSigningRequestKind, requestRecordKind } from "../../core/kube/kinds/mod.ts";
import type { RequestRecord } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { getName } from "../../core/kube/meta.ts";
import { formatCollectionPath, formatObjectPath, withType } from "../../core/kube/schema.ts";
import { findShortened, isShortForm } from "../../core/report/request_summary.ts";

export const CSR_COLLECTION = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
/** The qualified kind that begins each line printed by `-o name`, approve, deny and delete. */
export const CSR_QUALIFIED_KIND = "certificatesigningrequest.certificates.k8s.io";

const PREFIX = /^(csr|certificatesigningrequests?(\.certificates\.k8s\.io)?)\//;

/** Parses names of requests, with or without `csr/` or the prefix that `-o name` prints. Throws AppError `usage`. */
export function parseCsrNames(args: readonly string[]): readonly string[] {
  return args.map((arg) => {
    const name = arg.replace(PREFIX, "");
    if (name === "" || name.includes("/") || name === "." || name === "..") {
      throw new AppError("usage", `cannot use "${arg}" as the name of a certificate signing request`);
    }
    return name;
  });
}

export function csrPath(name: string): string {
  return `${CSR_COLLECTION}/${encodeURIComponent(name)}`;
}

/**
 * Finds the full name for a short name as `get csr` shows it on a terminal; undefined when no name matches. Throws
 * AppError `invalid` when several names match.
 */
export function findWholeName(text: string, names: readonly string[]): string | undefined {
  const [only, ...more] = findShortened(text, names);
  if (more.length === 0) return only;
  throw new AppError("invalid", `"${text}" means more than one request: ${[only, ...more].join(", ")}`, {
    hint: "give the whole name",
  });
}

/** Gets a request by its name or short name. Throws the errors of the API and of `findWholeName`. */
export async function getCsrByName(
  api: ApiClient,
  name: string,
  signal: AbortSignal,
): Promise<CertificateSigningRequest> {
  try {
    return await api.requestObject<CertificateSigningRequest>({ method: "GET", path: csrPath(name) }, signal);
  } catch (error) {
    if (!isAppError(error, "not_found") || !isShortForm(name)) throw error;
    const whole = findWholeName(name, (await listCsrs(api, {}, signal)).items.map(getName));
    if (whole === undefined) throw error;
    return await api.requestObject<CertificateSigningRequest>({ method: "GET", path: csrPath(whole) }, signal);
  }
}

/** Lists the requests that selectors match. Each gets its apiVersion and kind, which items of a list do not have. */
export async function listCsrs(
  api: ApiClient,
  selectors: QueryParameters,
  signal: AbortSignal,
): Promise<Listing<CertificateSigningRequest>> {
  const { items, resourceVersion } = await listAll<CertificateSigningRequest>(api, CSR_COLLECTION, selectors, signal);
  return { items: items.map((item) => withType(item, certificateSigningRequestKind)), resourceVersion };
}

/** Reads the records of named requests; undefined when the server has none, or the user may not read them. */
export async function findRequestRecords(
  api: ApiClient,
  names: readonly string[],
  signal: AbortSignal,
): Promise<readonly RequestRecord[] | undefined> {
  try {
    const [name = "", ...others] = names;
    if (others.length > 0) {
      return (await listAll<RequestRecord>(api, formatCollectionPath(requestRecordKind), {}, signal)).items;
    }
    const path = formatObjectPath(requestRecordKind, name);
    return [await api.requestObject<RequestRecord>({ method: "GET", path }, signal)];
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof AppError)) throw error;
    return undefined;
  }
}
