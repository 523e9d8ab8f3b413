/**
 * Kubeconfig files (client-go `tools/clientcmd/api/v1`): read as kubectl reads them, written in the key order of Go's
 * YAML. `context.ts` picks the context in use.
 */
import { Secret } from "../../lib/brand.ts";
import { decodeBase64, encodeBase64 } from "../../lib/base64.ts";
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
  /** Facts for other programs, by name (client-go `NamedExtension`); kubectl and kubelet keep and ignore them. */
  readonly extensions?: readonly KubeconfigExtension[];
}

/** A fact for other programs: any JSON value with a name. */
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
    clusters: toNullIfEmpty(config.clusters.map(({ name, cluster }) => ({ cluster: clusterToPlain(cluster), name }))),
    contexts: toNullIfEmpty(config.contexts.map(({ name, context }) => ({ context: contextToPlain(context), name }))),
    "current-context": config.currentContext,
    ...(config.extensions === undefined
      ? {}
      : { extensions: config.extensions.map(({ name, extension }) => ({ extension, name })) }),
    kind: "Config",
    users: toNullIfEmpty(config.users.map(({ name, user }) => ({ name, user: userToPlain(user) }))),
  };
  return formatYaml(plain);
}

/** Returns null for a list without elements, as Go writes it. */
function toNullIfEmpty<T>(list: readonly T[]): readonly T[] | null {
  return list.length === 0 ? null : list;
}

/** Converts a cluster to the form of the file: keys in Go's order, without empty ones. */
function clusterToPlain(cluster: KubeconfigCluster): Record<string, unknown> {
  return withoutEmpty({
    "certificate-authority": cluster.certificateAuthority,
    "certificate-authority-data": toBase64(cluster.certificateAuthorityData),
    "insecure-skip-tls-verify": cluster.insecureSkipTlsVerify,
    "proxy-url": cluster.proxyUrl,
    server: { always: cluster.server },
    "tls-server-name": cluster.tlsServerName,
  });
}

/** Converts a context to the form of the file. */
function contextToPlain(context: KubeconfigContext): Record<string, unknown> {
  return withoutEmpty({
    cluster: { always: context.cluster },
    namespace: context.namespace,
    user: { always: context.user },
  });
}

/** Converts a user to the form of the file, which reveals its secrets. */
function userToPlain(user: KubeconfigUser): Record<string, unknown> {
  return withoutEmpty({
    "client-certificate": user.clientCertificate,
    "client-certificate-data": toBase64(user.clientCertificateData),
    "client-key": user.clientKey,
    "client-key-data": toBase64(user.clientKeyData?.reveal()),
    token: user.token?.reveal(),
    tokenFile: user.tokenFile,
  });
}

type PlainField = string | boolean | undefined | { readonly always: string };

function withoutEmpty(fields: Record<string, PlainField>): Record<string, unknown> {
  const plain: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(fields)) {
    if (typeof value === "object") plain[key] = value.always;
    else if (value !== undefined && value !== "" && value !== false) plain[key] = value;
  }
  return plain;
}

function toBase64(text: string | undefined): string | undefined {
  return text === undefined ? undefined : encodeBase64(new TextEncoder().encode(text));
}

/** Reports a value of the wrong type. It is caught in this file. */
class ShapeError extends Error {}

type Fields = Readonly<Record<string, unknown>>;

function decodeKubeconfig(value: unknown): Kubeconfig {
  const config = decodeFields(value, "");
  const kind = decodeText(config, "kind", "");
  if (kind !== "" && kind !== "Config") throw new ShapeError(`kind: "${kind}" found, "Config" expected`);
  const version = decodeText(config, "apiVersion", "");
  if (version !== "" && version !== "v1") throw new ShapeError(`apiVersion: "${version}" found, "v1" expected`);
  return {
    clusters: decodeNamedList(config, "clusters", "cluster").map(({ name, fields, path }) => ({
      name,
      cluster: decodeCluster(fields, path),
    })),
    contexts: decodeNamedList(config, "contexts", "context").map(({ name, fields, path }) => ({
      name,
      context: {
        cluster: decodeText(fields, "cluster", path),
        user: decodeText(fields, "user", path),
        ...optionalText("namespace", decodeText(fields, "namespace", path)),
      },
    })),
    users: decodeNamedList(config, "users", "user").map(({ name, fields, path }) => ({
      name,
      user: decodeUser(fields, path),
    })),
    currentContext: decodeText(config, "current-context", ""),
    ...decodeExtensions(config),
  };
}

function decodeExtensions(config: Fields): Pick<Kubeconfig, "extensions"> {
  const list = decodeNamedList(config, "extensions", "extension");
  return list.length === 0 ? {} : { extensions: list.map(({ name, fields }) => ({ name, extension: fields })) };
}

function decodeCluster(fields: Fields, path: string): KubeconfigCluster {
  const insecure = fields["insecure-skip-tls-verify"] ?? false;
  if (typeof insecure !== "boolean") {
    throw createShapeError(`${path}.insecure-skip-tls-verify`, "true or false", insecure);
  }
  return {
    server: decodeText(fields, "server", path),
    ...optionalText("tlsServerName", decodeText(fields, "tls-server-name", path)),
    ...(insecure ? { insecureSkipTlsVerify: true } : {}),
    ...optionalText("certificateAuthority", decodeText(fields, "certificate-authority", path)),
    ...optionalText("certificateAuthorityData", decodeBytes(fields, "certificate-authority-data", path)),
    ...optionalText("proxyUrl", decodeText(fields, "proxy-url", path)),
  };
}

function decodeUser(fields: Fields, path: string): KubeconfigUser {
  const keyPem = decodeBytes(fields, "client-key-data", path);
  const token = decodeText(fields, "token", path);
  const unsupported = ["exec", "auth-provider", "username", "password", "as", "as-uid", "as-groups", "as-user-extra"]
    .filter((key) => fields[key] !== undefined && fields[key] !== null && fields[key] !== "");
  return {
    ...optionalText("clientCertificate", decodeText(fields, "client-certificate", path)),
    ...optionalText("clientCertificateData", decodeBytes(fields, "client-certificate-data", path)),
    ...optionalText("clientKey", decodeText(fields, "client-key", path)),
    ...(keyPem === "" ? {} : { clientKeyData: new Secret(keyPem) }),
    ...(token === "" ? {} : { token: new Secret(token) }),
    ...optionalText("tokenFile", decodeText(fields, "tokenFile", path)),
    ...(unsupported.length === 0 ? {} : { unsupported }),
  };
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
    if (seen.has(name)) throw new ShapeError(`${list}[${index}].name: "${name}" is there twice`);
    seen.add(name);
    const path = `${list}[${index}].${member}`;
    return { name, fields: decodeFields(entry[member], path), path };
  });
}

function decodeFields(value: unknown, path: string): Fields {
  if (value === undefined || value === null) return {};
  if (typeof value !== "object" || Array.isArray(value)) throw createShapeError(path, "a mapping", value);
  return Object.fromEntries(Object.entries(value));
}

function decodeText(fields: Fields, key: string, path: string): string {
  const value = fields[key] ?? "";
  if (typeof value !== "string") throw createShapeError(path === "" ? key : `${path}.${key}`, "text", value);
  return value;
}

function decodeBytes(fields: Fields, key: string, path: string): string {
  const bytes = decodeBase64(decodeText(fields, key, path));
  if (bytes === undefined) throw new ShapeError(`${path}.${key}: not base64`);
  return new TextDecoder().decode(bytes);
}

function optionalText<Key extends string>(key: Key, value: string): { readonly [K in Key]?: string } {
  const none: { readonly [K in Key]?: string } = {};
  return value === "" ? none : { ...none, [key]: value };
}

function createShapeError(path: string, expected: string, found: unknown): ShapeError {
  const what = Array.isArray(found) ? "a list" : typeof found === "object" ? "a mapping" : `a ${typeof found}`;
  return new ShapeError(`${path === "" ? "the file" : path}: ${what} found, ${expected} expected`);
}

/** The contents of a kubeconfig with one user. */
export interface KubeconfigEntry {
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
