/** What can be found out about a machine's credentials, for `core/bootstrap/machine_assessment`. Changes nothing. */
import { dirname, resolve, sep } from "node:path";
import type { MachineEvidence, SecretEvidence, ServerAnswer } from "../core/bootstrap/machine_assessment.ts";
import { AppError, isAppError } from "../core/errors.ts";
import type { SelfSubjectReview } from "../core/kube/authorization_v1.ts";
import type { ResolvedCluster } from "../core/kube/kubeconfig_context.ts";
import type { Clock } from "../core/ports.ts";
import { createApiClient } from "./api.ts";
import type { FoundPair } from "./credential_store.ts";
import { limitTime } from "./time_limit.ts";
import type { FilePort } from "./files.ts";
import { findSecretFault, groupMayWrite, isOpenToAll } from "./private_file.ts";
import { observeServerTime } from "./server_time.ts";
import type { TlsTransport } from "./transport.ts";

/** How long the server may take: it is asked by people who wait, and by scripts. */
const ANSWER_MS = 5_000;
const REVIEW_PATH = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
const REVIEW = { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview", metadata: {} };

/** Asks the server who this machine is: any authenticated user may. Never throws but for the signal. */
export async function askServer(
  connect: () => Promise<TlsTransport>,
  clock: Clock,
  signal: AbortSignal,
): Promise<ServerAnswer> {
  const tooLate = () => new AppError("timeout", `no answer within ${ANSWER_MS / 1000} s`, { retryable: true });
  try {
    await using connection = await connect();
    await using limit = limitTime(clock, ANSWER_MS, tooLate, signal);
    const transport = observeServerTime(connection, clock);
    const reading = () => {
      const skew = transport.findSkew();
      return skew === undefined ? {} : { clock: skew };
    };
    try {
      const request = { method: "POST", path: REVIEW_PATH, body: REVIEW } as const;
      const review = await createApiClient(transport, { clock }).requestObject<SelfSubjectReview>(
        request,
        limit.signal,
      );
      return { kind: "accepted", username: review.status.userInfo?.username, ...reading() };
    } catch (error) {
      if (isAppError(error, "unauthorized")) return { kind: "refused", reason: error.message, ...reading() };
      // An older server, or one that lets nobody ask: it says whom it refuses.
      const username = isAppError(error, "access_denied") ? /User "([^"]*)"/.exec(error.message)?.[1] : undefined;
      if (username === ANONYMOUS) {
        return { kind: "refused", reason: "it takes the machine for an anonymous user", ...reading() };
      }
      if (isAppError(error, "access_denied", "not_found")) return { kind: "accepted", username, ...reading() };
      throw error;
    }
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof AppError)) throw error;
    if (error.code === "tls_untrusted") return { kind: "untrusted", reason: error.message, hint: error.hint };
    const isLocal = ["kubeconfig_invalid", "key_invalid", "ca_invalid", "io"].includes(error.code);
    return { kind: isLocal ? "notAsked" : "unreachable", reason: error.message };
  }
}

const ANONYMOUS = "system:anonymous";

/** The files that hold private keys, each once, and whether they keep them. */
export async function inspectSecrets(
  pairs: readonly (FoundPair | undefined)[],
  kubeconfig: { readonly path: string; readonly cluster: ResolvedCluster | undefined },
  files: FilePort,
): Promise<readonly SecretEvidence[]> {
  const { path, cluster } = kubeconfig;
  const paths = new Set(pairs.flatMap((found) => found === undefined ? [] : [found.keyPath]));
  if (cluster?.clientKey?.kind === "file") paths.add(cluster.clientKey.path);
  if (cluster?.clientKey?.kind === "pem" || cluster?.token !== undefined) paths.add(path);
  return await Promise.all([...paths].map(async (secret): Promise<SecretEvidence> => {
    // Where the link of a store leads to.
    const facts = await files.stat(secret);
    return { path: secret, fault: facts === undefined ? undefined : findSecretFault(facts) };
  }));
}

/** Who may write to a folder beside its owner. */
export async function inspectFolder(path: string, files: FilePort): Promise<MachineEvidence["folderWriters"]> {
  const facts = await files.stat(path);
  if (facts === undefined) return "none";
  return isOpenToAll(facts) ? "everybody" : groupMayWrite(facts) ? "group" : "none";
}

/**
 * Where a link leads, when that is outside of its folder. kubelet's links are absolute, so a copy of the folder
 * still speaks of the machine, or the place, that it was copied from.
 */
export async function findStrayTarget(linkPath: string, files: FilePort): Promise<string | undefined> {
  const target = await files.readLink(linkPath);
  if (target === undefined) return undefined;
  const path = resolve(dirname(linkPath), target);
  const [folder, targetFolder] = [await files.realPath(dirname(linkPath)), await files.realPath(dirname(path))];
  const isInside = folder !== undefined && (targetFolder === folder || targetFolder?.startsWith(folder + sep) === true);
  return isInside ? undefined : path;
}
