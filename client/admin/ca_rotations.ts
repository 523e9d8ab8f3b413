/** CARotations in the API: how they are found, and the census of one. */
import { AppError, isAppError } from "../../core/errors.ts";
import type { ConfigMap } from "../../core/kube/kinds/core_v1.ts";
import { caRotationKind, trustReportKind } from "../../core/kube/kinds/mod.ts";
import { formatApiVersion, formatCollectionPath, formatObjectPath } from "../../core/kube/schema.ts";
import type { CaRotation, TrustReport } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { parseCaBundle } from "../../core/pki/x509/ca_bundle.ts";
import type { Clock } from "../../core/ports.ts";
import { Census, type CensusRow } from "../../core/ca_rotation/census.ts";
import { listRetiredCas } from "../../core/ca_rotation/trust.ts";
import { toWrappedKeyName, WRAPPED_KEY_NAMESPACE } from "../../core/ca_rotation/wrapped_key.ts";
import { explainMissingGroup, findObject, flattenPages, listRecordPages, unlessAbsent } from "./records.ts";
import { type ApiClient, listAll } from "../objects/api.ts";
import { CLIENT_CA_PATH } from "../objects/read_client_trust.ts";

export const CA_ROTATION_COLLECTION = formatCollectionPath(caRotationKind);
export const TRUST_REPORT_COLLECTION = formatCollectionPath(trustReportKind);

export function caRotationPath(name: string): string {
  return formatObjectPath(caRotationKind, name);
}

/** Returns the path of the Secret with the new key of a CA. */
export function wrappedKeyPath(name: string): string {
  return `/api/v1/namespaces/${WRAPPED_KEY_NAMESPACE}/secrets/${toWrappedKeyName(name)}`;
}

/** Finds the rotation of a CA; undefined when there is none. AppError `not_found` when the server does not rotate CAs. */
export async function findRotation(
  api: ApiClient,
  name: string,
  signal: AbortSignal,
): Promise<CaRotation | undefined> {
  return await explainMissingGroup(() => findObject<CaRotation>(api, caRotationPath(name), signal), missingRotations);
}

/** Lists the rotations of all CAs. AppError `not_found` when the server does not rotate CAs. */
export async function listRotations(api: ApiClient, signal: AbortSignal): Promise<readonly CaRotation[]> {
  const list = () => listAll<CaRotation>(api, CA_ROTATION_COLLECTION, {}, signal);
  return (await explainMissingGroup(list, missingRotations)).items;
}

/**
 * Reads the SHA-256 (hex) of the CAs in which a rotation has ended the trust; none where the server does not rotate CAs, or
 * the user may not read it.
 */
export async function readRetiredCas(api: ApiClient, signal: AbortSignal): Promise<ReadonlySet<string>> {
  const rotations = await unlessAbsent(listAll<CaRotation>(api, CA_ROTATION_COLLECTION, {}, signal));
  return listRetiredCas(rotations?.items ?? []);
}

function missingRotations(cause: unknown): AppError {
  const group = formatApiVersion(caRotationKind);
  return new AppError("not_found", `cannot rotate a CA of this server: it does not serve carotations of ${group}`, {
    cause,
    hint: "it is kube-apiserver or an older tlsboot; docs/guides/new_ca.md describes what can be done there",
  });
}

/** Deletes an object; one that does not exist is fine. */
export async function deleteIfPresent(api: ApiClient, path: string, signal: AbortSignal): Promise<void> {
  try {
    await api.requestJson({ method: "DELETE", path }, signal);
  } catch (error) {
    if (!isAppError(error, "not_found")) throw error;
  }
}

/** Takes the census of a rotation from the register and the reports. */
export async function readCensus(
  api: ApiClient,
  rotation: CaRotation,
  clock: Pick<Clock, "now">,
  signal: AbortSignal,
): Promise<readonly CensusRow[]> {
  const reports = await listAll<TrustReport>(api, TRUST_REPORT_COLLECTION, {}, signal);
  const clientCas = await readClientCaFingerprints(api, signal);
  const census = new Census({ rotation, reports: reports.items, clientCas, now: clock.now() });
  for await (const record of flattenPages(listRecordPages(api, {}, signal))) census.add(record);
  return census.take();
}

/** Reads which client CAs the servers accept, as SHA-256 (hex); undefined when the user may not read it. */
export async function readClientCaFingerprints(
  api: ApiClient,
  signal: AbortSignal,
): Promise<ReadonlySet<string> | undefined> {
  const published = await unlessAbsent(
    api.requestObject<ConfigMap>({ method: "GET", path: CLIENT_CA_PATH }, signal),
  );
  const bundle = parseCaBundle(published?.data?.["client-ca-file"] ?? "");
  return bundle.ok ? new Set(bundle.value.map(({ sha256Fingerprint }) => sha256Fingerprint)) : undefined;
}
