/**
 * CARotations in the API: they are read and changed, and the servers are awaited that follow them. A rotation replaces the
 * certificates of the servers and of admin.kubeconfig, so every wait connects again when a connection fails.
 */
import { type ApiClient, listAll } from "../../client/objects/api.ts";
import { AppError, isAppError } from "../../core/errors.ts";
import { caRotationKind, clusterTrustBundleKind, trustReportKind } from "../../core/kube/kinds/mod.ts";
import { formatApiVersion, formatCollectionPath, formatObjectPath } from "../../core/kube/schema.ts";
import type { CaRotation, CaRotationServer, CaRotationSpec, TrustReport } from "../../core/kube/tlsboot_v1alpha1.ts";
import { type ClusterTrustBundle, KUBE_APISERVER_SERVING_SIGNER } from "../../core/kube/certificates_v1.ts";
import { getName } from "../../core/kube/meta.ts";
import type { ConfigMap } from "../../core/kube/core_v1.ts";
import { CLUSTER_INFO_PATH } from "../../core/bootstrap/cluster_info.ts";
import { parseJoinTarget } from "../../core/bootstrap/join_material.ts";
import { parseAuthorityChain } from "../../core/pki/authority_chain.ts";
import { parseCaBundle } from "../../core/pki/ca_bundle.ts";
import { toWrappedKeyName, WRAPPED_KEY_NAMESPACE } from "../../core/rotation/wrapped_key.ts";
import { isTrustPublished, listRetiredCas } from "../../core/rotation/trust.ts";
import { Census, type CensusRow } from "../../core/rotation/census.ts";
import type { Clock } from "../../core/ports.ts";
import type { Io } from "../io.ts";
import { warn } from "../framework/report.ts";
import { line } from "../output/escape.ts";
import { findDeadline, startProgress } from "../output/progress.ts";
import { type ApiConnection, connect, type ConnectionSettings } from "./connection.ts";
import { isGroupMissing, listRecordPages } from "./records.ts";

/** The path of the collection of CARotations. */
export const CA_ROTATION_COLLECTION = formatCollectionPath(caRotationKind);
/** The path of the collection of TrustReports. */
export const TRUST_REPORT_COLLECTION = formatCollectionPath(trustReportKind);

/** The pause between two reads of a rotation. */
const POLL_MS = 500;
/** A server renews its entry about once a minute; one that has not for this long is down. */
const DOWN_AFTER_MS = 180_000;
/** The number of repetitions when another user or a server changes the rotation at the same time. */
const MAX_CONFLICTS = 10;

/** Returns the path of the rotation of a CA. */
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
  try {
    return await api.requestObject<CaRotation>({ method: "GET", path: caRotationPath(name) }, signal);
  } catch (error) {
    if (isAppError(error, "not_found") && !isGroupMissing(error)) return undefined;
    throw isGroupMissing(error) ? missingRotations(error) : error;
  }
}

/** Lists the rotations of all CAs. AppError `not_found` when the server does not rotate CAs. */
export async function listRotations(api: ApiClient, signal: AbortSignal): Promise<readonly CaRotation[]> {
  try {
    return (await listAll<CaRotation>(api, CA_ROTATION_COLLECTION, {}, signal)).items;
  } catch (error) {
    throw isGroupMissing(error) ? missingRotations(error) : error;
  }
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

/**
 * Changes the spec of a rotation and returns the stored rotation. `change` returns undefined when there is nothing to do;
 * it is called again when another writer was faster.
 */
export async function changeRotation(
  api: ApiClient,
  rotation: CaRotation,
  change: (rotation: CaRotation) => CaRotationSpec | undefined,
  signal: AbortSignal,
): Promise<CaRotation> {
  let current = rotation;
  for (let conflicts = 0;; conflicts++) {
    const spec = change(current);
    if (spec === undefined) return current;
    const body = { ...current, apiVersion: formatApiVersion(caRotationKind), kind: caRotationKind.kind, spec };
    try {
      return await api.requestObject<CaRotation>(
        { method: "PUT", path: caRotationPath(getName(current)), body },
        signal,
      );
    } catch (error) {
      if (!isAppError(error, "conflict") || conflicts >= MAX_CONFLICTS) throw error;
      const stored = await findRotation(api, getName(current), signal);
      if (stored === undefined) throw error;
      current = stored;
    }
  }
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
  for await (const { records } of listRecordPages(api, {}, signal)) {
    for (const record of records) census.add(record);
  }
  return census.take();
}

/** Reads which client CAs the servers accept; undefined when the user may not read it. */
async function readClientCaFingerprints(
  api: ApiClient,
  signal: AbortSignal,
): Promise<ReadonlySet<string> | undefined> {
  const published = await unlessAbsent(
    api.requestObject<ConfigMap>({ method: "GET", path: AUTHENTICATION_PATH }, signal),
  );
  const bundle = parseCaBundle(published?.data?.["client-ca-file"] ?? "");
  return bundle.ok ? new Set(bundle.value.map(({ sha256Fingerprint }) => sha256Fingerprint)) : undefined;
}

/** The servers of a rotation by what they have done of its step. */
export interface ServerProgress {
  readonly adopted: readonly CaRotationServer[];
  readonly pending: readonly CaRotationServer[];
  /** The servers that have not adopted the step, and have not written for some minutes or are left behind. */
  readonly down: readonly CaRotationServer[];
}

/** Sorts the servers of a rotation by their progress. */
export function sortServers({ spec, status: { servers = [] } }: CaRotation, now: Date): ServerProgress {
  const adopted = servers.filter(({ step }) => step === spec.step);
  const others = servers.filter(({ step }) => step !== spec.step);
  const isDown = ({ name, time }: CaRotationServer) =>
    now.getTime() - Date.parse(time ?? "") > DOWN_AFTER_MS || (spec.leftBehind ?? []).includes(name);
  return { adopted, pending: others.filter((one) => !isDown(one)), down: others.filter(isDown) };
}

/** The connection settings, the output and the longest time of a wait. */
export interface RotationWait {
  readonly settings: ConnectionSettings;
  readonly io: Io;
  /** The longest wait in milliseconds; 0 for one without an end. */
  readonly timeoutMs: number;
}

/**
 * Repeats an attempt until it returns something, and connects again, with the kubeconfig as it is then, when the
 * connection fails. AppError `timeout` with what `describe` returns.
 */
export async function attemptUntil<T>(
  { settings, io, timeoutMs }: RotationWait,
  attempt: (connection: ApiConnection) => Promise<T | undefined>,
  describe: () => string,
  signal: AbortSignal,
  pollMs: () => number = () => POLL_MS,
): Promise<T> {
  const startedAt = io.clock.elapsedMs();
  let failure: AppError | undefined;
  const assertTime = (): void => {
    if (timeoutMs === 0 || io.clock.elapsedMs() - startedAt < timeoutMs) return;
    const why = failure === undefined ? describe() : failure.message;
    throw new AppError("timeout", `gave up after ${Math.round(timeoutMs / 1000)} s: ${why}`, {
      cause: failure,
      retryable: true,
      hint: "run the same command again: it goes on where it stopped; the log of the server says more",
    });
  };
  while (true) {
    try {
      await using connection = await connect(settings, io);
      while (true) {
        const result = await attempt(connection);
        failure = undefined;
        if (result !== undefined) return result;
        assertTime();
        await io.clock.sleep(pollMs(), signal);
      }
    } catch (error) {
      signal.throwIfAborted();
      if (!isAppError(error, "unreachable", "unauthorized", "tls_untrusted", "kubeconfig_invalid")) throw error;
      failure = error;
      assertTime();
      await io.clock.sleep(POLL_MS, signal);
    }
  }
}

/** Runs an action that may be repeated, until the connection does not fail. AppError as in `attemptUntil`. */
export async function repeatUntilDone<T>(
  wait: RotationWait,
  action: (api: ApiClient) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const run = async ({ api }: ApiConnection) => ({ result: await action(api) });
  return (await attemptUntil(wait, run, () => "the server does not answer", signal)).result;
}

/**
 * Waits until every server that is up has adopted the step of a rotation, and reports each server that has not, once.
 * Returns the rotation as it is then. AppError `timeout`, and `not_found` when the rotation is deleted meanwhile.
 */
export async function waitForServers(name: string, wait: RotationWait, signal: AbortSignal): Promise<CaRotation> {
  const { io } = wait;
  using progress = startProgress(io, "waiting for the servers", findDeadline(wait.timeoutMs, io.clock));
  const reported = new Set<string>();
  let text = "no server follows the rotation";
  const done = await attemptUntil(
    wait,
    async ({ api }) => {
      const rotation = await findRotation(api, name, signal);
      if (rotation === undefined) throw new AppError("not_found", `the rotation of ${name} was deleted meanwhile`);
      const { adopted, pending } = sortServers(rotation, io.clock.now());
      const messages = pending.map((one) =>
        `server ${one.name}: ${one.message ?? `has not adopted ${rotation.spec.step}`}`
      );
      text = messages.length > 0 ? messages.join("; ") : "no server follows the rotation";
      for (const { name, message } of pending) {
        if (message === undefined || reported.has(name + message)) continue;
        reported.add(name + message);
        const status = `waiting for the server ${name}: ${message}`;
        if (io.stderr.isTerminal) progress.update(status);
        else io.stderr.write(line`${status}\n`);
      }
      return adopted.length > 0 && pending.length === 0 ? rotation : undefined;
    },
    () => text,
    signal,
  );
  await waitForTrustBundle(done, wait, signal);
  return done;
}

/** How long to wait for what servers publish: a controller of `up` writes the trust bundle every two seconds. */
const PUBLISHED_WITHIN_MS = 15_000;
/** The path of the ConfigMap with the CAs of clients that the servers accept. */
export const AUTHENTICATION_PATH = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication";
const API_SERVER_BUNDLES = { fieldSelector: `spec.signerName=${KUBE_APISERVER_SERVING_SIGNER}` };

/**
 * Waits until the servers publish the new CA of a deleted rotation no more: as a client CA, in their trust bundle, and in
 * cluster-info. Returns false when one of these still has it after a while.
 */
export async function waitUntilUntrusted(
  rotation: CaRotation,
  wait: RotationWait,
  signal: AbortSignal,
): Promise<boolean> {
  const newCa = parseAuthorityChain(rotation.spec.newCA);
  if (!newCa.ok) return true;
  const { sha256Fingerprint } = newCa.value.certificate;
  const hasIt = (pem: string) => listFingerprints(pem).includes(sha256Fingerprint);
  const path = formatCollectionPath(clusterTrustBundleKind);
  try {
    return await attemptUntil(
      { ...wait, timeoutMs: PUBLISHED_WITHIN_MS },
      async ({ api }) => {
        if ((await readClientCaFingerprints(api, signal))?.has(sha256Fingerprint) === true) return undefined;
        if (getName(rotation) !== "ca") return true;
        const bundles = await unlessAbsent(listAll<ClusterTrustBundle>(api, path, API_SERVER_BUNDLES, signal));
        const info = await unlessAbsent(
          api.requestObject<ConfigMap>({ method: "GET", path: CLUSTER_INFO_PATH }, signal),
        );
        const target = info === undefined ? undefined : parseJoinTarget(info);
        if (target?.ok === true && hasIt(target.value.caPem)) return undefined;
        return bundles?.items.some(({ spec }) => hasIt(spec.trustBundle)) === true ? undefined : true;
      },
      () => "the new CA is still published",
      signal,
    );
  } catch (error) {
    if (!isAppError(error, "timeout")) throw error;
    return false;
  }
}

function listFingerprints(pem: string): readonly string[] {
  const bundle = parseCaBundle(pem);
  return bundle.ok ? bundle.value.map(({ sha256Fingerprint }) => sha256Fingerprint) : [];
}

/** Returns the answer, or undefined for an object that is not there or that the user may not read. */
async function unlessAbsent<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (!isAppError(error, "not_found", "access_denied")) throw error;
    return undefined;
  }
}

/**
 * Waits until the trust bundle of the API server says what the rotation wants, so that machines follow at once. It is not
 * awaited where no bundle is published, as by `serve`.
 */
async function waitForTrustBundle(rotation: CaRotation, wait: RotationWait, signal: AbortSignal): Promise<void> {
  const isServingCa = getName(rotation) === "ca";
  const collection = formatCollectionPath(clusterTrustBundleKind);
  try {
    await attemptUntil(
      { ...wait, timeoutMs: PUBLISHED_WITHIN_MS },
      async ({ api }) => {
        const { items } = await listAll<ClusterTrustBundle>(api, collection, API_SERVER_BUNDLES, signal);
        const isPublished = items.every(({ metadata, spec }) => {
          const fingerprints = listFingerprints(spec.trustBundle);
          return isTrustPublished(rotation, isServingCa, { annotations: metadata.annotations ?? {}, fingerprints });
        });
        return isPublished ? true : undefined;
      },
      () => "the trust bundle has not changed",
      signal,
    );
  } catch (error) {
    if (!isAppError(error, "timeout", "access_denied")) throw error;
    warn(`the servers have followed, but their trust bundle (${KUBE_APISERVER_SERVING_SIGNER}) has not yet`, wait.io);
  }
}
