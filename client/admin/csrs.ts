/** Finds and lists certificate signing requests in the API, and parses their names on the command line. */
import { type ApiClient, listAll, type Listing, type QueryParameters } from "../objects/api.ts";
import { AppError, isAppError } from "../../core/errors.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { certificateSigningRequestKind, requestRecordKind } from "../../core/kube/kinds/mod.ts";
import type { RequestRecord } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { getName } from "../../core/kube/meta.ts";
import { escapeControls } from "../../core/lib/printable.ts";
import { formatCollectionPath, formatObjectPath, withType } from "../../core/kube/schema.ts";
import { findShortened, isShortForm } from "../../core/report/request_summary.ts";
import { parseRequest } from "../../core/request/parse_request.ts";
import { formatConditionCell } from "../../core/request/phase.ts";

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

/** Calls `act` with a name and, when no object has that name, with the full name that `findWhole` finds for it. */
export async function withWholeName<T>(
  name: string,
  act: (name: string) => Promise<T>,
  findWhole: () => Promise<string | undefined> | undefined,
): Promise<T> {
  try {
    return await act(name);
  } catch (error) {
    if (!isAppError(error, "not_found")) throw error;
    const whole = await findWhole();
    if (whole === undefined) throw error;
    return await act(whole);
  }
}

/** Gets a request by its name or short name. Throws the errors of the API and of `findByShortName`. */
export function getCsrByName(api: ApiClient, name: string, signal: AbortSignal): Promise<CertificateSigningRequest> {
  return withWholeName(
    name,
    (whole) => api.requestObject<CertificateSigningRequest>({ method: "GET", path: csrPath(whole) }, signal),
    () => findByShortName(api, name, signal),
  );
}

/**
 * Finds the full name for a short name as `get csr` shows it on a terminal; undefined when no name matches. Throws
 * AppError `invalid` when several match.
 */
export async function findByShortName(
  api: ApiClient,
  text: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (!isShortForm(text)) return undefined;
  const { items } = await listCsrs(api, {}, signal);
  const found = chooseRequest(text, filterShortened(text, items));
  return found && getName(found);
}

/** Filters the requests for which a text is a short name, without the request of that name. */
export function filterShortened(
  text: string,
  csrs: readonly CertificateSigningRequest[],
): readonly CertificateSigningRequest[] {
  const names = new Set(findShortened(text, csrs.map(getName)));
  return csrs.filter((csr) => getName(csr) !== text && names.has(getName(csr)));
}

/** Returns the only candidate; undefined if there is none. Throws AppError `invalid`, which describes several. */
export function chooseRequest(
  text: string,
  candidates: readonly CertificateSigningRequest[],
): CertificateSigningRequest | undefined {
  const [only, ...more] = candidates;
  if (more.length === 0) return only;
  const list = candidates.map(describeCandidate).join("\n");
  throw new AppError("invalid", `"${text}" means more than one request:\n${list}`, {
    hint: "look at each with tlsboot describe csr NAME, then write csr/NAME",
  });
}

/** Describes a request on one line, whatever its requester wrote. */
function describeCandidate(csr: CertificateSigningRequest): string {
  const { signerName, username = "", request } = csr.spec;
  const parsed = parseRequest(request);
  const subject = parsed.ok ? parsed.value.subject.commonName : "a malformed request";
  const createdAt = csr.metadata.creationTimestamp ?? "an unknown time";
  const from = `${subject} from ${signerName}, requested by ${username}`;
  return `  csr/${getName(csr)}: ${escapeControls(from)} at ${createdAt}, ${formatConditionCell(csr)}`;
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
