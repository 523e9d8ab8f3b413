/**
 * Kubeconfig files (client-go `tools/clientcmd/api/v1`): read as kubectl reads them, written in the key order of Go's
 * YAML. The CAs in a file can be replaced without changing any other byte. The current context is resolved and validated
 * (client-go `clientcmd/validation.go`); paths are handled as text, because core has no access to files.
 */
import { Secret } from "../../lib/brand.ts";
import { decodeBase64, encodeBase64 } from "../../lib/encodings.ts";
import { type HttpProxy, parseProxyUrl } from "../../lib/proxy.ts";
import { isRecord, omitEmpty, omitUndefined } from "../../lib/record.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import { readYaml } from "../../lib/yaml/document.ts";
import { formatYaml } from "../../lib/yaml/format.ts";

/** The address of a server and how its certificate is verified. */
export interface KubeconfigCluster {
  readonly server: string;
  readonly tlsServerName?: string;
  readonly insecureSkipTlsVerify?: boolean;
  /** A path, relative to the file's folder unless absolute. */
  readonly certificateAuthority?: string;
  /** PEM text, which the file holds as base64. */
  readonly certificateAuthorityData?: string;
  readonly proxyUrl?: string;
}

/** The credentials of one user of a kubeconfig. */
export interface KubeconfigUser {
  /** A path, relative to the file's folder unless absolute. */
  readonly clientCertificate?: string;
  /** PEM text, which the file holds as base64. */
  readonly clientCertificateData?: string;
  /** A path, relative to the file's folder unless absolute. */
  readonly clientKey?: string;
  /** PEM text, which the file holds as base64. */
  readonly clientKeyData?: Secret<string>;
  readonly token?: Secret<string>;
  /** Path of a file that holds the token. */
  readonly tokenFile?: string;
  /** Keys of authentication methods that tlsboot does not support: `exec`, `auth-provider`, `username`, `as`. */
  readonly unsupported?: readonly string[];
}

/** A cluster, a user and a namespace under one name. */
export interface KubeconfigContext {
  readonly cluster: string;
  readonly user: string;
  readonly namespace?: string;
}

/** A decoded kubeconfig; names within each list are unique. */
export interface Kubeconfig {
  readonly clusters: readonly { readonly name: string; readonly cluster: KubeconfigCluster }[];
  readonly contexts: readonly { readonly name: string; readonly context: KubeconfigContext }[];
  readonly users: readonly { readonly name: string; readonly user: KubeconfigUser }[];
  readonly currentContext: string;
  /** Data for other programs, by name (client-go `NamedExtension`); kubectl and kubelet keep and ignore them. */
  readonly extensions?: readonly KubeconfigExtension[];
}

/** Data for other programs: any JSON value with a name. */
export interface KubeconfigExtension {
  readonly name: string;
  readonly extension: unknown;
}

/**
 * Parses a kubeconfig. Types are strict (a number where text is expected is an error), unknown keys are ignored as in
 * kubectl, and an empty text is an empty configuration. The error is one whole sentence that names the path.
 */
export function parseKubeconfig(text: string, path: string): Result<Kubeconfig, string> {
  try {
    const read = readYaml(text, "1.1");
    if (!read.ok) throw new ShapeError(`not YAML: ${read.error}`);
    return ok(decodeKubeconfig(read.value));
  } catch (error) {
    if (!(error instanceof ShapeError)) throw error;
    return err(`cannot parse kubeconfig "${path}": ${error.message}`);
  }
}

/** Encodes a kubeconfig as kubectl 1.37 writes it, without the `unsupported` keys. */
export function encodeKubeconfig(config: Kubeconfig): string {
  const plain = {
    apiVersion: "v1",
    clusters: toNullIfEmpty(config.clusters.map(({ name, cluster }) => ({ cluster: toPlain(CLUSTER, cluster), name }))),
    contexts: toNullIfEmpty(config.contexts.map(({ name, context }) => ({ context: toPlain(CONTEXT, context), name }))),
    "current-context": config.currentContext,
    ...omitUndefined({ extensions: config.extensions?.map(({ name, extension }) => ({ extension, name })) }),
    kind: "Config",
    users: toNullIfEmpty(config.users.map(({ name, user }) => ({ name, user: toPlain(USER, user) }))),
  };
  return formatYaml(plain);
}

/** Returns null for a list without elements, as Go writes it. */
function toNullIfEmpty<T>(list: readonly T[]): readonly T[] | null {
  return list.length === 0 ? null : list;
}

/** How a member is written: bytes are base64, and an empty value is left out unless it is always written. */
type Form = "text" | "always" | "bytes" | "flag" | "secret" | "secretBytes";

/** The keys of a mapping in Go's order, each with its member in memory. */
type Members<T> = Readonly<Record<string, readonly [member: keyof T & string, form: Form]>>;

const CLUSTER: Members<KubeconfigCluster> = {
  "certificate-authority": ["certificateAuthority", "text"],
  "certificate-authority-data": ["certificateAuthorityData", "bytes"],
  "insecure-skip-tls-verify": ["insecureSkipTlsVerify", "flag"],
  "proxy-url": ["proxyUrl", "text"],
  server: ["server", "always"],
  "tls-server-name": ["tlsServerName", "text"],
};

const CONTEXT: Members<KubeconfigContext> = {
  cluster: ["cluster", "always"],
  namespace: ["namespace", "text"],
  user: ["user", "always"],
};

const USER: Members<KubeconfigUser> = {
  "client-certificate": ["clientCertificate", "text"],
  "client-certificate-data": ["clientCertificateData", "bytes"],
  "client-key": ["clientKey", "text"],
  "client-key-data": ["clientKeyData", "secretBytes"],
  token: ["token", "secret"],
  tokenFile: ["tokenFile", "text"],
};

/** Keys of authentication methods that tlsboot does not support. */
const UNSUPPORTED = ["exec", "auth-provider", "username", "password", "as", "as-uid", "as-groups", "as-user-extra"];

/** Converts a cluster, a context or a user to the form of the file, which reveals its secrets. */
function toPlain<T extends object>(members: Members<T>, value: T): Record<string, unknown> {
  const plain: Record<string, unknown> = {};
  for (const [key, [member, form]] of Object.entries(members)) {
    const stored: unknown = value[member];
    const revealed: unknown = stored instanceof Secret ? stored.reveal() : stored;
    if (form !== "always" && (revealed === undefined || revealed === "" || revealed === false)) continue;
    const isBytes = form === "bytes" || form === "secretBytes";
    plain[key] = isBytes ? encodeBase64(String(revealed)) : revealed;
  }
  return plain;
}

/** Reports a value of the wrong type. It is caught in this file. */
class ShapeError extends Error {}

type Fields = Readonly<Record<string, unknown>>;

function decodeKubeconfig(value: unknown): Kubeconfig {
  const config = decodeFields(value, "");
  const kind = decodeText(config, "kind", "");
  if (kind !== "" && kind !== "Config") throw new ShapeError(`kind: want "Config", found "${kind}"`);
  const version = decodeText(config, "apiVersion", "");
  if (version !== "" && version !== "v1") throw new ShapeError(`apiVersion: want "v1", found "${version}"`);
  return {
    clusters: decodeNamedList(config, "clusters", "cluster").map(({ name, fields, path }) => ({
      name,
      cluster: decodeMembers(CLUSTER, fields, path),
    })),
    contexts: decodeNamedList(config, "contexts", "context").map(({ name, fields, path }) => ({
      name,
      context: decodeMembers(CONTEXT, fields, path),
    })),
    users: decodeNamedList(config, "users", "user").map(({ name, fields, path }) => ({
      name,
      user: {
        ...decodeMembers(USER, fields, path),
        ...omitEmpty({ unsupported: UNSUPPORTED.filter((key) => (fields[key] ?? "") !== "") }),
      },
    })),
    currentContext: decodeText(config, "current-context", ""),
    ...omitEmpty({
      extensions: decodeNamedList(config, "extensions", "extension").map(({ name, fields }) => ({
        name,
        extension: fields,
      })),
    }),
  };
}

/** Decodes a cluster, a context or a user. A member that is empty is absent unless it is always written. */
function decodeMembers<T>(members: Members<T>, fields: Fields, path: string): T {
  const decoded: Record<string, unknown> = {};
  for (const [key, [member, form]] of Object.entries(members)) {
    const value = decodeMember(fields, key, path, form);
    if (value === "" ? form !== "always" : value === false) continue;
    decoded[member] = form === "secret" || form === "secretBytes" ? new Secret(value) : value;
  }
  // Each member has the form that the table names for its type.
  return decoded as T;
}

function decodeMember(fields: Fields, key: string, path: string, form: Form): string | boolean {
  if (form === "flag") {
    const flag = fields[key] ?? false;
    if (typeof flag !== "boolean") throw createShapeError(`${path}.${key}`, "true or false", flag);
    return flag;
  }
  const text = decodeText(fields, key, path);
  if (form !== "bytes" && form !== "secretBytes") return text;
  const bytes = decodeBase64(text);
  if (bytes === undefined) throw new ShapeError(`${path}.${key}: not base64`);
  return new TextDecoder().decode(bytes);
}

function decodeNamedList(
  config: Fields,
  list: string,
  member: string,
): readonly { readonly name: string; readonly fields: Fields; readonly path: string }[] {
  const value = config[list] ?? [];
  if (!Array.isArray(value)) throw createShapeError(list, "a list", value);
  const seen = new Set<string>();
  return value.map((item: unknown, index) => {
    const entry = decodeFields(item, `${list}[${index}]`);
    const name = decodeText(entry, "name", `${list}[${index}]`);
    if (seen.has(name)) throw new ShapeError(`${list}[${index}].name: "${name}" occurs twice`);
    seen.add(name);
    const path = `${list}[${index}].${member}`;
    return { name, fields: decodeFields(entry[member], path), path };
  });
}

function decodeFields(value: unknown, path: string): Fields {
  if (value === undefined || value === null) return {};
  if (!isRecord(value)) throw createShapeError(path, "a mapping", value);
  return value;
}

function decodeText(fields: Fields, key: string, path: string): string {
  const value = fields[key] ?? "";
  if (typeof value !== "string") throw createShapeError(path === "" ? key : `${path}.${key}`, "text", value);
  return value;
}

function createShapeError(path: string, expected: string, found: unknown): ShapeError {
  const what = Array.isArray(found) ? "a list" : typeof found === "object" ? "a mapping" : `a ${typeof found}`;
  return new ShapeError(`${path === "" ? "the file" : path}: want ${expected}, found ${what}`);
}

/** The contents of a kubeconfig with one user. */
interface KubeconfigEntry {
  readonly cluster: KubeconfigCluster;
  readonly userName: string;
  readonly user: KubeconfigUser;
}

/** Encodes a kubeconfig with one cluster, one user, and one context that has the name of the cluster. */
export function encodeKubeconfigEntry(name: string, { cluster, userName, user }: KubeconfigEntry): string {
  return encodeKubeconfig({
    clusters: [{ name, cluster }],
    contexts: [{ name, context: { cluster: name, user: userName } }],
    users: [{ name: userName, user }],
    currentContext: name,
  });
}

/**
 * Replaces embedded CAs (PEM) wherever they are the `certificate-authority-data` of a cluster: entries with the same CAs
 * are addresses of the same cluster. The result is read again, and differs in nothing else. The error is one sentence
 * that names the path.
 */
export function replaceEmbeddedCa(
  text: string,
  path: string,
  { from, to }: { readonly from: string; readonly to: string },
): Result<string, string> {
  const config = parseKubeconfig(text, path);
  if (!config.ok) return config;
  const expected = withCa(config.value, from, to);
  // The value may be wrapped over several lines, and its characters may also occur within a longer value.
  const characters = [...encodeBase64(from)].map((character) => character.replace("+", "\\+")).join("\\s*");
  const value = new RegExp(`(?<![A-Za-z0-9+/=])${characters}(?![A-Za-z0-9+/=])`, "g");
  const replaced = text.replace(value, () => encodeBase64(to));
  const read = parseKubeconfig(replaced, path);
  if (read.ok && encodeKubeconfig(read.value) === encodeKubeconfig(expected)) return ok(replaced);
  return err(`cannot replace the CA in kubeconfig "${path}": the value of certificate-authority-data was not found`);
}

function withCa(config: Kubeconfig, from: string, to: string): Kubeconfig {
  return {
    ...config,
    clusters: config.clusters.map(({ name, cluster }) => ({
      name,
      cluster: cluster.certificateAuthorityData === from ? { ...cluster, certificateAuthorityData: to } : cluster,
    })),
  };
}

/** PEM text, or the absolute path of a file that holds it. */
export type PemSource<Pem = string> =
  | { readonly kind: "pem"; readonly pem: Pem }
  | { readonly kind: "file"; readonly path: string };

/** An API server and the credentials for it, with files that have not been read yet. */
export interface ResolvedCluster {
  /** The URL as client-go normalizes it: without query and fragment if it has a path. */
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
 * Resolves the current context (or another one by name). Paths are relative to `baseDir`, the folder of the kubeconfig. The
 * error lists every fault in kubectl's words, joined by `, `.
 */
export function resolveContext(
  config: Kubeconfig,
  baseDir: string,
  contextName: string = config.currentContext,
): Result<ResolvedCluster, string> {
  if (contextName === "") {
    const isEmpty = config.clusters.length + config.contexts.length + config.users.length === 0;
    return err(isEmpty ? "no configuration has been provided" : "no context chosen: current-context is not set");
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
    server: normalizeServer(cluster.server),
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

function normalizeServer(server: string): string {
  const url = URL.parse(server);
  if (url === null || url.pathname.length <= 1) return server;
  url.search = "";
  url.hash = "";
  return url.href;
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
