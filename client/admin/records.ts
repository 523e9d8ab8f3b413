/**
 * Reads the register of issued certificates from the API, page by page. Also defines the paths of records and
 * revocations.
 */
import { type ApiClient, type QueryParameters, readPages } from "../objects/api.ts";
import { AppError, isAppError } from "../../core/errors.ts";
import { issuedCertificateKind, revocationKind } from "../../core/kube/kinds/mod.ts";
import {
  formatApiVersion,
  formatCollectionPath,
  formatObjectPath,
  formatQualifiedKind,
  withType,
} from "../../core/kube/schema.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import type { IssuedCertificate } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";

export const RECORD_COLLECTION = formatCollectionPath(issuedCertificateKind);
/** The qualified kind of a record, which begins each line of `-o name`. */
export const RECORD_QUALIFIED_KIND = formatQualifiedKind({ ...issuedCertificateKind, kind: "issuedcertificate" });
export const REVOCATION_COLLECTION = formatCollectionPath(revocationKind);

/** A page of the register, in the order of issuance. */
export interface RecordPage {
  readonly records: readonly IssuedCertificate[];
  /** The version from which a watch continues. */
  readonly resourceVersion: string;
}

export function revocationPath(name: string): string {
  return formatObjectPath(revocationKind, name);
}

/**
 * Yields the register in the order of issuance, page by page. Each record gets its apiVersion and kind, which items of a
 * list do not have. Throws the error of `explainMissingGroup` when the server has no register.
 */
export async function* listRecordPages(
  api: ApiClient,
  parameters: QueryParameters,
  signal: AbortSignal,
): AsyncGenerator<RecordPage> {
  const read = (path: string) =>
    api.requestList<IssuedCertificate>({ method: "GET", path }, signal).catch((error: unknown) => {
      if (isAppError(error, "access_denied")) throw createForbiddenRegisterError(error);
      throw isGroupMissing(error) ? createMissingGroupError(error) : error;
    });
  for await (const { items, metadata } of readPages(RECORD_COLLECTION, parameters, read)) {
    const records = items.map((item) => withType(item, issuedCertificateKind));
    yield { records, resourceVersion: metadata.resourceVersion ?? "" };
  }
}

/** Yields the records of pages one by one. */
export async function* flattenPages(pages: AsyncIterable<RecordPage>): AsyncGenerator<IssuedCertificate> {
  for await (const { records } of pages) yield* records;
}

/** Reads one record by its name; undefined when there is none. */
export async function findRecord(
  api: ApiClient,
  name: string,
  signal: AbortSignal,
): Promise<IssuedCertificate | undefined> {
  return await explainMissingGroup(() => findObject(api, formatObjectPath(issuedCertificateKind, name), signal));
}

/** Reads an object; undefined when there is none. Throws AppError `not_found` when the server does not have the path. */
export async function findObject<T extends KubeObject>(
  api: ApiClient,
  path: string,
  signal: AbortSignal,
): Promise<T | undefined> {
  try {
    return await api.requestObject<T>({ method: "GET", path }, signal);
  } catch (error) {
    if (!isAppError(error, "not_found") || isGroupMissing(error)) throw error;
    return undefined;
  }
}

/** Returns the answer, or undefined for an object that does not exist or that the user may not read. */
export async function unlessAbsent<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (!isAppError(error, "not_found", "access_denied")) throw error;
    return undefined;
  }
}

/** Makes a request to the group `tlsboot`, and explains the failure when the server does not serve the group. */
export async function explainMissingGroup<T>(
  request: () => Promise<T>,
  explain: (cause: unknown) => AppError = createMissingGroupError,
): Promise<T> {
  try {
    return await request();
  } catch (error) {
    throw isGroupMissing(error) ? explain(error) : error;
  }
}

/** Reports whether an error means that the server does not know the path, and not only that there is no such object. */
export function isGroupMissing(error: unknown): boolean {
  // kube-apiserver and `serve` have the same text for an unknown path (apiserver `pkg/endpoints/handlers/responsewriters`).
  return isAppError(error, "not_found") && /could not find the requested resource|page not found/.test(error.message);
}

function createForbiddenRegisterError(cause: AppError): AppError {
  return new AppError("access_denied", cause.message, {
    cause,
    hint: "an administrator allows it with: kubectl create clusterrolebinding NAME --user=USER " +
      "--clusterrole=tlsboot:certificate-viewer",
  });
}

function createMissingGroupError(cause: unknown): AppError {
  const group = formatApiVersion(issuedCertificateKind);
  return new AppError("not_found", `cannot read the register: the server does not serve ${group}`, {
    cause,
    hint:
      "only a server of tlsboot has a register. For another API server, such as kube-apiserver, start the signer with the " +
      "setting issuedLog, and read that file with: tlsboot get certificates --issued-log FILE",
  });
}
