/** Reads, begins and changes CARotations in the API, takes their census, and checks what servers publish. */
import { AppError, isAppError } from "../../core/errors.ts";
import { applyChange, type CaRotationChange, formatRotateCommand } from "../../core/ca_rotation/steps.ts";
import { isInProgress } from "../../core/ca_rotation/rotation_rules.ts";
import { KUBE_APISERVER_SERVING_SIGNER } from "../../core/kube/kinds/constants.ts";
import { getName, SYSTEM_NAMESPACE } from "../../core/kube/meta.ts";
import { CLUSTER_INFO_PATH } from "../../core/token/cluster_info.ts";
import { parseJoinTarget } from "../../core/token/join_material.ts";
import type { FilePort } from "../files.ts";
import { readPrivateFile } from "../private_file.ts";
import { readTrustBundles } from "./trust_bundles.ts";
import type { ConfigMap } from "../../core/kube/kinds/core_v1.ts";
import { caRotationKind, trustReportKind } from "../../core/kube/kinds/mod.ts";
import { formatApiVersion, formatCollectionPath, formatObjectPath, withType } from "../../core/kube/schema.ts";
import type { CaRotation, CaRotationSpec, TrustReport } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { listBundled, parseCaBundle } from "../../core/pki/x509/ca_bundle.ts";
import type { Clock, Random } from "../../core/ports.ts";
import { Census, type CensusRow } from "../../core/ca_rotation/census.ts";
import { isTrustPublished, listRetiredCas, type PublishedBundle } from "../../core/ca_rotation/trust.ts";
import { createWrappedKeySecret, toWrappedKeyName, wrapKey } from "../../core/ca_rotation/new_ca.ts";
import { explainMissingGroup, findObject, flattenPages, listRecordPages, unlessAbsent } from "./records.ts";
import { type ApiClient, changeObject, listAll } from "../objects/api.ts";
import { CLIENT_CA_PATH } from "../objects/read_client_trust.ts";

const CA_ROTATION_COLLECTION = formatCollectionPath(caRotationKind);
const TRUST_REPORT_COLLECTION = formatCollectionPath(trustReportKind);

/** The pause between two checks whether the command that created a Secret is still alive. */
const POLL_MS = 500;
/** A Secret that is older and has no rotation was abandoned, because a command creates the rotation right after it. */
const ABANDONED_AFTER_MS = 5_000;

export function caRotationPath(name: string): string {
  return formatObjectPath(caRotationKind, name);
}

/** Returns the path of the Secret with the new key of a CA. */
export function wrappedKeyPath(name: string): string {
  return `/api/v1/namespaces/${SYSTEM_NAMESPACE}/secrets/${toWrappedKeyName(name)}`;
}

/** Finds the rotation of a CA; undefined if there is none. AppError `not_found` when the server does not rotate CAs. */
export async function findRotation(
  api: ApiClient,
  name: string,
  signal: AbortSignal,
): Promise<CaRotation | undefined> {
  return await explainMissingGroup(
    () => findObject<CaRotation>(api, caRotationPath(name), signal),
    createMissingRotationsError,
  );
}

/** Lists the rotations of all CAs. AppError `not_found` when the server does not rotate CAs. */
export async function listRotations(api: ApiClient, signal: AbortSignal): Promise<readonly CaRotation[]> {
  const list = () => listAll<CaRotation>(api, CA_ROTATION_COLLECTION, {}, signal);
  return (await explainMissingGroup(list, createMissingRotationsError)).items;
}

/**
 * Reads the SHA-256 (hex) of the CAs that a rotation has removed; empty when the server does not rotate CAs or the user
 * may not read its rotations.
 */
export async function readRetiredCas(api: ApiClient, signal: AbortSignal): Promise<ReadonlySet<string>> {
  const rotations = await unlessAbsent(listAll<CaRotation>(api, CA_ROTATION_COLLECTION, {}, signal));
  return listRetiredCas(rotations?.items ?? []);
}

function createMissingRotationsError(cause: unknown): AppError {
  const group = formatApiVersion(caRotationKind);
  return new AppError("not_found", `cannot rotate a CA of this server: it does not serve carotations of ${group}`, {
    cause,
    hint: "it is kube-apiserver or an older tlsboot; docs/guides/new_ca.md describes what can be done there",
  });
}

/** Deletes an object, if it exists. */
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

/** The ports for beginning a rotation. */
interface NewRotationDeps {
  readonly files: FilePort;
  readonly clock: Clock;
  readonly random: Random;
  readonly signal: AbortSignal;
}

/** The key of a new CA, and the file of the key under which it travels to the other servers. */
interface TravellingKey {
  readonly pem: string;
  readonly wrappingKeyFile: string;
}

/**
 * Begins a rotation in place of a finished one of the same CA. AppError `already_exists` when another command has just
 * begun one.
 */
export async function createRotation(
  api: ApiClient,
  { name, spec, key }: {
    readonly name: string;
    readonly spec: CaRotationSpec;
    /** Absent when a program has the key. */
    readonly key: TravellingKey | undefined;
  },
  deps: NewRotationDeps,
): Promise<CaRotation> {
  const { signal } = deps;
  await clearEarlier(name, api, signal);
  if (key !== undefined) await createKeySecret(name, key, api, deps);
  const body = withType({ metadata: { name }, spec }, caRotationKind);
  try {
    return await api.requestObject<CaRotation>({ method: "POST", path: CA_ROTATION_COLLECTION, body }, signal);
  } catch (error) {
    if (!isAppError(error, "invalid", "access_denied", "not_found")) throw error;
    // The server refused the rotation, so the Secret is useless and would only delay the next attempt.
    await deleteIfPresent(api, wrappedKeyPath(name), new AbortController().signal).catch(() => {});
    throw error;
  }
}

/** Changes a rotation. After a conflict it tries again, unless the rotation has reached another step. */
export async function changeRotation(
  api: ApiClient,
  rotation: CaRotation,
  change: CaRotationChange,
  signal: AbortSignal,
): Promise<CaRotation> {
  let current = rotation;
  const apply = (stored: CaRotation): CaRotation | undefined => {
    current = stored;
    const spec = applyChange(stored.spec, change, rotation.spec.step);
    return spec && withType({ ...stored, spec }, caRotationKind);
  };
  const target = { path: caRotationPath(getName(rotation)), known: rotation };
  return await changeObject(api, target, apply, signal) ?? current;
}

/** Deletes the record of an earlier rotation, and the reports about earlier ones if no other rotation needs them. */
async function clearEarlier(name: string, api: ApiClient, signal: AbortSignal): Promise<void> {
  const rotations = await listRotations(api, signal);
  if (!rotations.some(isInProgress)) {
    await api.requestJson({ method: "DELETE", path: TRUST_REPORT_COLLECTION }, signal);
  }
  const earlier = rotations.find((rotation) => getName(rotation) === name);
  if (earlier === undefined) return;
  if (isInProgress(earlier)) throw createAlreadyBegunError(name);
  try {
    // Another command may have deleted it as well, and may have begun a rotation since.
    await deleteVersion(api, caRotationPath(name), earlier.metadata.uid, signal);
  } catch (error) {
    if (!isAppError(error, "not_found", "conflict")) throw error;
  }
}

async function deleteVersion(
  api: ApiClient,
  path: string,
  uid: string | undefined,
  signal: AbortSignal,
): Promise<void> {
  await api.requestJson({ method: "DELETE", path, body: uid === undefined ? {} : { preconditions: { uid } } }, signal);
}

/** Creates the Secret with the new key. The Secret is also a lock, because two commands must not send two keys. */
async function createKeySecret(
  name: string,
  { pem, wrappingKeyFile: path }: TravellingKey,
  api: ApiClient,
  deps: NewRotationDeps,
): Promise<void> {
  const { files, signal } = deps;
  const hint = "name the servers' key with the setting serviceAccountSigningKeyFile";
  const tokenKey = await readPrivateFile(path, files, { what: `"${path}"`, hint });
  const wrapped = wrapKey(pem, tokenKey, deps.random);
  if (!wrapped.ok) throw new AppError("key_invalid", `cannot send the new key to the servers: ${wrapped.error}`);
  const body = { apiVersion: "v1", kind: "Secret", ...createWrappedKeySecret(name, wrapped.value) };
  const collection = `/api/v1/namespaces/${SYSTEM_NAMESPACE}/secrets`;
  for (let isRepeated = false;; isRepeated = true) {
    try {
      await api.requestJson({ method: "POST", path: collection, body }, signal);
      return;
    } catch (error) {
      if (!isAppError(error, "already_exists") || isRepeated) throw error;
      await removeAbandoned(name, api, deps);
    }
  }
}

/**
 * Waits until the Secret is old enough to be abandoned, then deletes it. AppError `already_exists` when its command is
 * alive and creates the rotation.
 */
async function removeAbandoned(name: string, api: ApiClient, { clock, signal }: NewRotationDeps): Promise<void> {
  const { metadata } = await api.requestObject({ method: "GET", path: wrappedKeyPath(name) }, signal);
  const startedAt = clock.elapsedMs();
  const createdAt = Date.parse(metadata.creationTimestamp ?? "");
  // The server's clock may differ, so the time spent waiting counts too.
  const age = () => Math.max(clock.now().getTime() - createdAt, clock.elapsedMs() - startedAt);
  while (true) {
    if (await findRotation(api, name, signal) !== undefined) throw createAlreadyBegunError(name);
    if (age() >= ABANDONED_AFTER_MS) break;
    await clock.sleep(POLL_MS, signal);
  }
  await deleteVersion(api, wrappedKeyPath(name), metadata.uid, signal);
}

function createAlreadyBegunError(name: string): AppError {
  return new AppError("already_exists", `another command has just begun to replace the CA "${name}"`, {
    hint: `show its progress with: ${formatRotateCommand("status", name)}`,
  });
}

/** Reports whether the API server's trust bundles match a rotation; true if it publishes none, as with `serve`. */
export async function isBundlePublished(api: ApiClient, rotation: CaRotation, signal: AbortSignal): Promise<boolean> {
  const isServingCa = getName(rotation) === "ca";
  return (await listServerBundles(api, signal)).every((bundle) => isTrustPublished(rotation, isServingCa, bundle));
}

/** Reports whether servers still publish the new CA of a deleted rotation: for clients, in a bundle, or in cluster-info. */
export async function isNewCaPublished(api: ApiClient, rotation: CaRotation, signal: AbortSignal): Promise<boolean> {
  const [newCa = ""] = listFingerprints(rotation.spec.newCA);
  if ((await readClientCaFingerprints(api, signal))?.has(newCa) === true) return true;
  if (getName(rotation) !== "ca") return false;
  const bundles = await unlessAbsent(listServerBundles(api, signal));
  const info = await unlessAbsent(api.requestObject<ConfigMap>({ method: "GET", path: CLUSTER_INFO_PATH }, signal));
  const target = info === undefined ? undefined : parseJoinTarget(info);
  if (target?.ok === true && listFingerprints(target.value.caPem).includes(newCa)) return true;
  return bundles?.some(({ fingerprints }) => fingerprints.includes(newCa)) === true;
}

/** Reads the trust bundles of the API server, which publishes none with `serve`. */
async function listServerBundles(api: ApiClient, signal: AbortSignal): Promise<readonly PublishedBundle[]> {
  const selection = { kind: "signer", signerName: KUBE_APISERVER_SERVING_SIGNER } as const;
  const bundles = await readTrustBundles(api, selection, signal);
  return bundles.map(({ metadata: { annotations = {} }, spec: { trustBundle } }) => ({
    annotations,
    fingerprints: listFingerprints(trustBundle),
  }));
}

/** Returns the SHA-256 (hex) of each certificate. */
function listFingerprints(pem: string): readonly string[] {
  return listBundled(pem).map(({ sha256Fingerprint }) => sha256Fingerprint);
}
