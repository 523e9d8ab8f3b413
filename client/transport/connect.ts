/**
 * Opens a transport from a kubeconfig: reads the files that it refers to, and reads credentials and CAs again when they
 * change. Also finds the names and addresses of its server, which no node may have.
 */
import { dirname, resolve } from "node:path";
import { type CredentialPair, parseCredentialPair } from "../../core/machine/credential_pair.ts";
import { Secret } from "../../core/lib/brand.ts";
import { AppError } from "../../core/errors.ts";
import { findProxy, type HttpProxy } from "../../core/lib/proxy.ts";
import {
  type Kubeconfig,
  parseKubeconfig,
  type PemSource,
  resolveContext,
  type ResolvedCluster,
} from "../../core/kube/kubeconfig/kubeconfig.ts";
import { parseCaBundle } from "../../core/pki/x509/ca_bundle.ts";
import type { Clock } from "../../core/ports.ts";
import { type FilePort, isContent } from "../files.ts";
import {
  type ClientPair,
  createTlsTransport,
  findServingCertificate,
  type TlsTransport,
  type TransportTimeouts,
} from "./tls_transport.ts";
import { withoutBrackets } from "../../core/lib/ip_address.ts";
import type { NodeNames } from "../../core/approval/evidence/inventory.ts";
import { splitHosts } from "../../core/approval/evidence/ownership.ts";

/** Opens a transport to a cluster. */
export type Connect = (cluster: ResolvedCluster) => Promise<TlsTransport>;

/** The adapters and settings of a connection. */
export interface ConnectOptions {
  readonly files: FilePort;
  readonly clock: Clock;
  readonly userAgent: string;
  /** The variables of the environment, of which HTTPS_PROXY and NO_PROXY are read; by default none. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly timeouts?: TransportTimeouts;
}

/**
 * Reads a kubeconfig, given as a path or as text (`isContent`). AppError `kubeconfig_invalid` when it is missing or
 * malformed.
 */
export async function readKubeconfig(pathOrText: string, files: FilePort): Promise<Kubeconfig> {
  const isGiven = isContent(pathOrText);
  const text = isGiven ? pathOrText : await files.readText(pathOrText);
  if (text === undefined) {
    throw new AppError("kubeconfig_invalid", `cannot read kubeconfig "${pathOrText}": file does not exist`, {
      hint: "give the path of an existing kubeconfig with the setting kubeconfig",
    });
  }
  const config = parseKubeconfig(text, isGiven ? GIVEN_TEXT : pathOrText);
  if (config.ok) return config.value;
  throw new AppError("kubeconfig_invalid", config.error, { hint: "correct the file, or write a new one" });
}

/** Takes the place of the path in messages about a kubeconfig that was given as text. */
const GIVEN_TEXT = "(text)";

/**
 * Reads a kubeconfig, given as a path or as text, and resolves its current context or the named one. Relative paths in a
 * file start from its folder, those in a text from the working directory. AppError `kubeconfig_invalid`.
 */
export async function readCluster(
  pathOrText: string,
  files: FilePort,
  contextName?: string,
): Promise<ResolvedCluster> {
  const config = await readKubeconfig(pathOrText, files);
  const path = isContent(pathOrText) ? GIVEN_TEXT : pathOrText;
  const cluster = resolveContext(config, dirname(resolve(path)), contextName);
  if (cluster.ok) return cluster.value;
  throw new AppError("kubeconfig_invalid", `cannot use kubeconfig "${path}": ${cluster.error}`, {
    hint: "correct the file, or write a new one",
  });
}

/**
 * Creates a `Connect` over TLS. AppError `kubeconfig_invalid`, `key_invalid` or `ca_invalid` for files that cannot be
 * used.
 */
export function createConnector(options: ConnectOptions): Connect {
  return async (cluster) =>
    createTlsTransport({
      server: cluster.server,
      tlsServerName: cluster.tlsServerName,
      caPem: cluster.ca && await createCaReader(cluster.ca, options.files),
      clientPair: cluster.clientCertificate && await createPairReader(cluster, options.files),
      proxy: chooseProxy(cluster, options.env),
      timeouts: options.timeouts,
      insecureSkipTlsVerify: cluster.insecureSkipTlsVerify,
      userAgent: options.userAgent,
      clock: options.clock,
      token: createTokenReader(cluster, options.files),
    });
}

/**
 * Returns the proxy for a cluster: that of its kubeconfig for any server, as in client-go, else that of the environment.
 * AppError `config_invalid` for one that cannot be used.
 */
export function chooseProxy(
  { server, proxy }: Pick<ResolvedCluster, "server" | "proxy">,
  env: ConnectOptions["env"] = {},
): HttpProxy | undefined {
  const url = URL.parse(server);
  if (proxy !== undefined || url === null) return proxy;
  const found = findProxy(url, env);
  if (found.ok) return found.value;
  throw new AppError("config_invalid", found.error, { hint: "correct the variable, or unset it" });
}

/** Reads the client certificate and key that a kubeconfig refers to. AppError `kubeconfig_invalid` or `key_invalid`. */
export async function readClientPair(cluster: ResolvedCluster, files: FilePort): Promise<CredentialPair> {
  return parseClientPair(cluster, await readPairTexts(cluster, files));
}

/** The PEM texts of a client certificate and its key. */
interface PairTexts {
  readonly certificate: string;
  readonly key: string;
}

async function readPairTexts({ clientCertificate, clientKey }: ResolvedCluster, files: FilePort): Promise<PairTexts> {
  if (clientCertificate === undefined || clientKey === undefined) {
    throw new AppError("kubeconfig_invalid", "cannot read the client certificate: the kubeconfig names none");
  }
  const certificate = await readSource(clientCertificate, files);
  return { certificate, key: clientKey.kind === "pem" ? clientKey.pem.reveal() : await readSource(clientKey, files) };
}

function parseClientPair({ clientCertificate }: ResolvedCluster, { certificate, key }: PairTexts): CredentialPair {
  const pair = parseCredentialPair(certificate, key);
  if (pair.ok) return pair.value;
  const where = clientCertificate?.kind === "file" ? `"${clientCertificate.path}"` : "in the kubeconfig";
  throw new AppError("key_invalid", `cannot use the client certificate ${where}: ${pair.error}`);
}

async function createPairReader(
  cluster: ResolvedCluster,
  files: FilePort,
): Promise<() => Promise<ClientPair | undefined>> {
  let texts = await readPairTexts(cluster, files);
  let last = parseClientPair(cluster, texts);
  if (cluster.clientCertificate?.kind !== "file" && cluster.clientKey?.kind !== "file") {
    return () => Promise.resolve(last);
  }
  return async () => {
    try {
      const found = await readPairTexts(cluster, files);
      // Most reads find the same texts, which are not parsed again.
      if (found.certificate === texts.certificate && found.key === texts.key) return last;
      last = parseClientPair(cluster, found);
      texts = found;
    } catch (error) {
      // In the middle of a renewal the files may not match; the previous pair still works.
      if (!(error instanceof AppError)) throw error;
    }
    return last;
  };
}

/** Reads the CAs. A file of CAs is read again before each request, because it may be replaced at any time. */
async function createCaReader(source: PemSource, files: FilePort): Promise<string | (() => Promise<string>)> {
  let last = await readCa(source, files);
  if (source.kind === "pem") return last;
  return async () => {
    try {
      // Most reads find the same text, which is not parsed again.
      if (await files.readText(source.path) !== last) last = await readCa(source, files);
    } catch (error) {
      // A file that is missing, empty or broken does not replace CAs that work.
      if (!(error instanceof AppError)) throw error;
    }
    return last;
  };
}

function createTokenReader(cluster: ResolvedCluster, files: FilePort): () => Promise<Secret<string> | undefined> {
  const path = cluster.tokenFile;
  if (path === undefined) return () => Promise.resolve(cluster.token);
  return async () => {
    const text = (await files.readText(path))?.trim() ?? "";
    // As in client-go, the file takes precedence, and the token in the kubeconfig is used when the file cannot be read.
    if (text !== "") return new Secret(text);
    if (cluster.token !== undefined) return cluster.token;
    throw new AppError("kubeconfig_invalid", `cannot read token file "${path}": it is missing or empty`);
  };
}

/** Reads the CAs of a kubeconfig, PEM. AppError `kubeconfig_invalid` or `ca_invalid`. */
export async function readCa(source: PemSource, files: FilePort): Promise<string> {
  const pem = await readSource(source, files);
  const bundle = parseCaBundle(pem);
  if (bundle.ok) return pem;
  const where = source.kind === "file" ? `"${source.path}"` : "certificate-authority-data";
  throw new AppError("ca_invalid", `cannot use ${where} as certificate authority: ${bundle.error}`);
}

async function readSource(source: PemSource | PemSource<Secret<string>>, files: FilePort): Promise<string> {
  if (source.kind === "pem") return typeof source.pem === "string" ? source.pem : source.pem.reveal();
  const text = await files.readText(source.path);
  if (text !== undefined) return text;
  throw new AppError("kubeconfig_invalid", `cannot read "${source.path}": file does not exist`);
}

/** The time limit on reading the certificate of the server. */
const TIMEOUT_MS = 10_000;
/** How long the names are kept: a server's certificate rarely changes. */
const KEEP_MS = 600_000;
/** The names by which pods reach the server, even if its certificate does not have them. */
const SERVICE_NAMES: readonly string[] = [
  "kubernetes",
  "kubernetes.default",
  "kubernetes.default.svc",
  "kubernetes.default.svc.cluster.local",
];

/**
 * Creates a lookup of the names in the server's certificate and of the host in the kubeconfig. The result is cached for
 * ten minutes. The lookup rejects with AppError `unreachable` (retryable) when the certificate cannot be read.
 */
export function createServerNames(
  cluster: Pick<ResolvedCluster, "server" | "tlsServerName" | "proxy">,
  { clock, env = {} }: { readonly clock: Clock; readonly env?: ConnectOptions["env"] },
): () => Promise<NodeNames> {
  const url = new URL(cluster.server);
  const proxy = chooseProxy(cluster, env);
  const hosts = [...SERVICE_NAMES, withoutBrackets(url.hostname), cluster.tlsServerName ?? ""];
  let known: { readonly names: NodeNames; readonly until: number } | undefined;
  return async () => {
    const now = clock.elapsedMs();
    if (known !== undefined && now < known.until) return known.names;
    const certificate = await findServingCertificate(url, { ...cluster, proxy, timeoutMs: TIMEOUT_MS });
    if (certificate === undefined) {
      throw new AppError("unreachable", `cannot read the serving certificate of "${cluster.server}"`, {
        retryable: true,
      });
    }
    const names = splitHosts([...hosts, ...certificate.dnsNames, ...certificate.ipAddresses]);
    known = { names, until: now + KEEP_MS };
    return names;
  };
}
