/**
 * Resolves a context of a kubeconfig and validates it (client-go `clientcmd/validation.go`). Paths are handled as text,
 * because core has no access to the file system.
 */
import type { Secret } from "../../lib/brand.ts";
import { type HttpProxy, parseProxyUrl } from "../../lib/proxy.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import type { Kubeconfig, KubeconfigCluster, KubeconfigUser } from "./kubeconfig.ts";

/** PEM text, or the absolute path of a file that holds it. */
export type PemSource<Pem = string> =
  | { readonly kind: "pem"; readonly pem: Pem }
  | { readonly kind: "file"; readonly path: string };

/** An API server and the credentials for it, with files that have not been read yet. */
export interface ResolvedCluster {
  /** The URL as client-go normalises it: without query and fragment if it has a path. */
  readonly server: string;
  /** The roots to trust; absent for those of the system. */
  readonly ca?: PemSource | undefined;
  readonly insecureSkipTlsVerify: boolean;
  readonly tlsServerName?: string | undefined;
  readonly proxy?: HttpProxy | undefined;
  readonly token?: Secret<string> | undefined;
  /** The absolute path of a file that holds the token. */
  readonly tokenFile?: string | undefined;
  readonly clientCertificate?: PemSource | undefined;
  readonly clientKey?: PemSource<Secret<string>> | undefined;
  readonly namespace?: string | undefined;
}

/**
 * Resolves the current context (or another one by name). Relative paths are taken from `baseDir`, the folder of the
 * kubeconfig. The error lists every fault in kubectl's words, joined by `, `.
 */
export function resolveContext(
  config: Kubeconfig,
  baseDir: string,
  contextName: string = config.currentContext,
): Result<ResolvedCluster, string> {
  if (contextName === "") {
    return err(
      isEmpty(config) ? "no configuration has been provided" : "no context chosen: current-context is not set",
    );
  }
  const context = config.contexts.find((item) => item.name === contextName)?.context;
  if (context === undefined) return err(`context was not found for specified context: ${contextName}`);
  const user = config.users.find((item) => item.name === context.user)?.user;
  const cluster = config.clusters.find((item) => item.name === context.cluster)?.cluster;
  const faults = [
    ...referenceFaults("user", context.user, user !== undefined, contextName),
    ...referenceFaults("cluster", context.cluster, cluster !== undefined, contextName),
    ...(user === undefined ? [] : userFaults(context.user, user)),
    ...(cluster === undefined ? [] : clusterFaults(context.cluster, cluster)),
  ];
  if (user === undefined || cluster === undefined || faults.length > 0) {
    return err(`invalid configuration: ${faults.join(", ")}`);
  }
  return ok({
    ...resolveCluster(cluster, baseDir),
    ...resolveUser(user, baseDir),
    namespace: context.namespace,
  });
}

function resolveCluster(
  cluster: KubeconfigCluster,
  baseDir: string,
): Pick<ResolvedCluster, "server" | "ca" | "insecureSkipTlsVerify" | "tlsServerName" | "proxy"> {
  const proxy = cluster.proxyUrl === undefined ? undefined : parseProxyUrl(cluster.proxyUrl);
  return {
    server: normaliseServer(cluster.server),
    ca: pemSource(cluster.certificateAuthorityData, cluster.certificateAuthority, baseDir),
    insecureSkipTlsVerify: cluster.insecureSkipTlsVerify ?? false,
    tlsServerName: cluster.tlsServerName,
    proxy: proxy?.ok === true ? proxy.value : undefined,
  };
}

function resolveUser(
  user: KubeconfigUser,
  baseDir: string,
): Pick<ResolvedCluster, "token" | "tokenFile" | "clientCertificate" | "clientKey"> {
  return {
    token: user.token,
    tokenFile: user.tokenFile === undefined ? undefined : joinPath(baseDir, user.tokenFile),
    clientCertificate: pemSource(user.clientCertificateData, user.clientCertificate, baseDir),
    clientKey: pemSource(user.clientKeyData, user.clientKey, baseDir),
  };
}

function pemSource<Pem>(pem: Pem | undefined, path: string | undefined, baseDir: string): PemSource<Pem> | undefined {
  if (pem !== undefined) return { kind: "pem", pem };
  return path === undefined ? undefined : { kind: "file", path: joinPath(baseDir, path) };
}

function normaliseServer(server: string): string {
  const url = URL.parse(server);
  if (url === null || url.pathname.length <= 1) return server;
  url.search = "";
  url.hash = "";
  return url.href;
}

function isEmpty(config: Kubeconfig): boolean {
  return config.clusters.length + config.contexts.length + config.users.length === 0;
}

function referenceFaults(what: "user" | "cluster", name: string, found: boolean, contextName: string): string[] {
  if (name === "") return [`${what} was not specified for context "${contextName}"`];
  return found ? [] : [`${what} "${name}" was not found for context "${contextName}"`];
}

function clusterFaults(name: string, cluster: KubeconfigCluster): string[] {
  const faults: string[] = [];
  if (cluster.server === "") faults.push(`no server found for cluster "${name}"`);
  if (cluster.certificateAuthority !== undefined && cluster.certificateAuthorityData !== undefined) {
    faults.push(`certificate-authority-data and certificate-authority are both specified for ${name}`);
  }
  const hasCa = cluster.certificateAuthority !== undefined || cluster.certificateAuthorityData !== undefined;
  if (cluster.insecureSkipTlsVerify === true && hasCa) {
    // client-go's transport refuses this combination later; here the cluster can still be named.
    faults.push(`specifying a root certificates file with the insecure flag is not allowed for cluster "${name}"`);
  }
  const proxy = cluster.proxyUrl === undefined ? undefined : parseProxyUrl(cluster.proxyUrl);
  if (proxy?.ok === false) faults.push(`invalid proxy-url for cluster "${name}": ${proxy.error}`);
  return faults;
}

function userFaults(name: string, user: KubeconfigUser): string[] {
  const faults: string[] = [];
  const hasCertificate = user.clientCertificate !== undefined || user.clientCertificateData !== undefined;
  const hasKey = user.clientKey !== undefined || user.clientKeyData !== undefined;
  if (user.clientCertificate !== undefined && user.clientCertificateData !== undefined) {
    faults.push(`client-cert-data and client-cert are both specified for ${name}`);
  }
  if (hasCertificate && user.clientKey !== undefined && user.clientKeyData !== undefined) {
    faults.push(`client-key-data and client-key are both specified for ${name}`);
  }
  if (hasCertificate && !hasKey) {
    faults.push(
      `client-key-data or client-key must be specified for ${name} to use the clientCert authentication method`,
    );
  }
  for (const key of user.unsupported ?? []) faults.push(`${key} of user "${name}" is not supported`);
  return faults;
}

/** Joins a relative path to `baseDir` as Go's `filepath.Join` does; an absolute path is returned as it is. */
export function joinPath(baseDir: string, path: string): string {
  return isAbsolutePath(path) ? path : cleanPath(`${baseDir}/${path}`);
}

/** Reports whether a path is absolute: `/a`, `C:\a`, `C:/a` and `\\server\share` are. */
export function isAbsolutePath(path: string): boolean {
  return /^(?:\/|[A-Za-z]:[\\/]|\\\\)/.test(path);
}

/** Drops `.` and empty parts, and each `..` together with the part before it. */
function cleanPath(path: string): string {
  // Only a drive or a share makes a Windows path: elsewhere a backslash is an ordinary character.
  const isWindows = /^(?:[A-Za-z]:[\\/]|\\\\)/.test(path);
  const root = /^(?:[A-Za-z]:[\\/]|\\\\|\/)/.exec(path)?.[0] ?? "";
  const kept: string[] = [];
  for (const part of path.slice(root.length).split(isWindows ? /[\\/]+/ : /\/+/)) {
    if (part === "" || part === ".") continue;
    if (part !== "..") kept.push(part);
    else if (kept.length > 0 && kept.at(-1) !== "..") kept.pop();
    else if (root === "") kept.push(part);
  }
  return root + kept.join(isWindows ? "\\" : "/") || ".";
}
