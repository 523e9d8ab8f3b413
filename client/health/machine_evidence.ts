/** Evidence about a machine's credentials, for `core/report/health/machine`. Nothing is changed. */
import { dirname, resolve, sep } from "node:path";
import type { ServerAnswer } from "../../core/report/health/machine.ts";
import type { FolderWriters } from "../../core/report/health/host.ts";
import { AppError, isAppError } from "../../core/errors.ts";
import type { SelfSubjectReview } from "../../core/kube/kinds/authentication_v1.ts";
import type { ResolvedCluster } from "../../core/kube/kubeconfig/context.ts";
import { ANONYMOUS_USER } from "../../core/kube/user.ts";
import type { Clock } from "../../core/ports.ts";
import type { FoundPair } from "../certificate/credential_store.ts";
import type { FilePort } from "../files.ts";
import { createApiClient } from "../objects/api.ts";
import { isOpenToAll, isOpenToGroup } from "../private_file.ts";
import { limitTime } from "../transport/time_limit.ts";
import { observeServerTime } from "../transport/server_time.ts";
import type { TlsTransport } from "../transport/tls_transport.ts";

/** How long to wait for an answer of the server. A busy one lets a request wait for 15 s. */
export const ANSWER_MS = 20_000;
const REVIEW_PATH = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
const REVIEW = { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview", metadata: {} };

/** Requests this machine's user name from the server, as any authenticated user may. Only an abort makes it throw. */
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
      // A server that refuses the review, or does not have it yet, names the user in its error.
      const username = isAppError(error, "access_denied") ? /User "([^"]*)"/.exec(error.message)?.[1] : undefined;
      if (username === ANONYMOUS_USER) {
        const reason = "it treats this machine as an anonymous user";
        return { kind: "refused", reason, isAnonymous: true, ...reading() };
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

/** Lists each file of a machine that holds a private key or a token, once. */
export function listSecretFiles(
  pairs: readonly (FoundPair | undefined)[],
  { path, cluster }: { readonly path: string; readonly cluster: ResolvedCluster | undefined },
): readonly string[] {
  const paths = new Set(pairs.flatMap((found) => found === undefined ? [] : [found.keyPath]));
  if (cluster?.clientKey?.kind === "file") paths.add(cluster.clientKey.path);
  if (cluster?.clientKey?.kind === "pem" || cluster?.token !== undefined) paths.add(path);
  return [...paths];
}

/** Reports which users besides the owner may write to a folder. */
export async function inspectFolder(path: string, files: FilePort): Promise<FolderWriters> {
  const facts = await files.stat(path);
  if (facts === undefined) return "none";
  return isOpenToAll(facts) ? "every user" : isOpenToGroup(facts) ? "group" : "none";
}

/**
 * Finds the target of a link when it is outside of the link's folder. kubelet's links are absolute, so the links of a
 * copied folder still lead to the original.
 */
export async function findStrayTarget(linkPath: string, files: FilePort): Promise<string | undefined> {
  const target = await files.readLink(linkPath);
  if (target === undefined) return undefined;
  const path = resolve(dirname(linkPath), target);
  const [folder, targetFolder] = [await files.realPath(dirname(linkPath)), await files.realPath(dirname(path))];
  const isInside = folder !== undefined && (targetFolder === folder || targetFolder?.startsWith(folder + sep) === true);
  return isInside ? undefined : path;
}
