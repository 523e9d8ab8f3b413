/**
 * Shared parts of the examinations of machines and servers: adapters and results, and the evidence about disks, names,
 * files and the server's answer. Nothing is changed.
 */
import { lookup } from "node:dns/promises";
import { readdir, stat, statfs } from "node:fs/promises";
import { isIP } from "node:net";
import { dirname, join, resolve, sep } from "node:path";
import { type Finding, reportOn, type SeenCertificate } from "../../core/report/health/finding.ts";
import type { Clock, Logger, Random } from "../../core/ports.ts";
import type { FilePort } from "../files.ts";
import type { Connect } from "../transport/connect.ts";
import { checkDisk, checkServerName, type FolderWriters } from "../../core/report/health/host.ts";
import { withoutBrackets } from "../../core/lib/ip_address.ts";
import type { ServerAnswer } from "../../core/report/health/machine.ts";
import { AppError, isAppError } from "../../core/errors.ts";
import type { SelfSubjectReview } from "../../core/kube/kinds/authentication_v1.ts";
import type { ResolvedCluster } from "../../core/kube/kubeconfig/kubeconfig.ts";
import { ANONYMOUS_USER } from "../../core/kube/user.ts";
import type { FoundPair } from "../certificate/credential_store.ts";
import { createApiClient } from "../objects/api.ts";
import { isOpenToAll, isOpenToGroup } from "../private_file.ts";
import { limitTime } from "../transport/time_limit.ts";
import { observeServerTime } from "../transport/server_time.ts";
import type { TlsTransport } from "../transport/tls_transport.ts";

/** The adapters of an examination. */
export interface ExamineDeps {
  readonly files: FilePort;
  readonly connect: Connect;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The folder that relative paths start from. */
  readonly cwd: string;
  /** Returns a path as messages show it. */
  readonly show: (path: string) => string;
}

/** The results of one examination. */
export interface Examined {
  readonly findings: readonly Finding[];
  readonly certificates?: readonly SeenCertificate[];
  /** The files that should hold certificates but could not be read. */
  readonly unreadable?: readonly string[];
}

/** Files of interrupted writes (`client/files.ts`). */
const LEFTOVER = /^\..+\.\d+\.tmp$/;
/** A file of this age is no longer being written. */
const LEFTOVER_AGE_MS = 3_600_000;

/** Reads the free bytes of a disk for an unprivileged user. */
export async function readFreeBytes(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(path);
  return bavail * bsize;
}

/** Checks the free space of the disk that a folder is on. */
export async function examineDisk(folder: string, target: string, deps: ExamineDeps): Promise<readonly Finding[]> {
  if (await deps.files.stat(folder) === undefined) return [];
  const now = deps.clock.now().getTime();
  const leftovers: string[] = [];
  for (const name of await readdir(folder).catch(() => [])) {
    const path = join(folder, name);
    if (!LEFTOVER.test(name)) continue;
    if (now - (await stat(path)).mtimeMs > LEFTOVER_AGE_MS) leftovers.push(deps.show(path));
  }
  const freeBytes = await readFreeBytes(folder);
  const faults = checkDisk({ path: deps.show(folder), freeBytes, leftovers });
  return reportOn(target).check("disk", faults);
}

/** Checks that the name in a server's URL can be resolved. */
export async function examineName(
  server: string,
  { target, fix }: { readonly target: string; readonly fix?: (url: URL) => string | undefined },
): Promise<readonly Finding[]> {
  const url = URL.parse(server);
  const host = withoutBrackets(url?.hostname ?? "");
  if (url === null || isIP(host) !== 0) return [];
  const isResolved = await lookup(host).then(() => true, () => false);
  return reportOn(target).check(
    "dns",
    checkServerName({ host, isResolved, fix: isResolved ? undefined : fix?.(url) }),
    `the server's name "${host}" can be resolved`,
  );
}

/** How long to wait for the server's answer. A busy server lets a request wait for 15 s. */
export const ANSWER_MS = 20_000;
const REVIEW_PATH = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
const REVIEW = { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview", metadata: {} };

/** Requests this machine's user name from the server, as any authenticated user may. Throws only when aborted. */
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
      // A server that refuses or lacks the review names the user in its error.
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
