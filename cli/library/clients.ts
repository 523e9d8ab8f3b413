/**
 * The client side of the library: access to a cluster by its kubeconfig or to an instance in this process, the first
 * certificate of a machine, and certificates without an API from a CA in a folder.
 */
import { encodeBootstrapKubeconfig } from "../../core/token/join_material.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { certificateSigningRequestKind } from "../../core/kube/kinds/mod.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import type { Kind } from "../../core/kube/schema.ts";
import { AUTHENTICATED_GROUP, MASTERS_GROUP, type UserInfo } from "../../core/kube/user.ts";
import { defaultUsages } from "../../core/pki/x509/usages.ts";
import type { CsrStore, ObjectStore, Transport } from "../../core/ports.ts";
import {
  bootstrap,
  type BootstrapOutcome,
  type BootstrapProgress,
  type CertificateRequest,
  createKubeconfigFinder,
  createObjectStore,
  type ObjectStoreOptions,
  readCluster,
  submitRequest,
  waitForCertificate,
} from "../../client/mod.ts";
import type { Server } from "../../server/mod.ts";
import { createSecretStore } from "../../instance/controllers/controllers.ts";
import { createBootstrapToken, type TokenOptions } from "../../instance/joining.ts";
import { createClientPorts, createLibraryDeps, createSystemPorts, type SystemPorts } from "./defaults.ts";
import { formatBootstrapToken } from "../../core/token/token_secret.ts";
import { USER_AGENT } from "../../core/version.ts";
import { dirname, join, resolve } from "node:path";
import { AppError } from "../../core/errors.ts";
import type { Authority } from "../../core/pki/authority/authority.ts";
import {
  BUILTIN_SIGNERS,
  decideClientTrust,
  DEFAULT_SIGNING_SECONDS,
  type SigningProfile,
} from "../../core/signing/profile.ts";
import { hasSplitAuthorities, readAuthority } from "../../instance/authority/files.ts";
import { ensureAuthorities } from "../../instance/authority/instance_authorities.ts";
import { authorityPaths, getSignerPurpose } from "../../instance/authority/layout.ts";
import { signRequest } from "../../instance/offline_signing/sign_request.ts";
import { hostname } from "node:os";
import { parseNodeName } from "../../core/machine/node_name.ts";

/** A request for a certificate, and how long to wait for the certificate. */
export type CertificateSettings =
  & Omit<CertificateRequest, "usages">
  & Partial<Pick<CertificateRequest, "usages">>
  & {
    /** How long to wait, in seconds; five minutes by default. */
    readonly waitSeconds?: number;
    readonly signal?: AbortSignal;
  };

/** An API and its objects. Disposing it closes the connection, or stops the API of this process. */
export interface ApiAccess extends AsyncDisposable {
  /** The address of the API, `https://host:port`. */
  readonly url: string;
  /** Sends requests to the API. */
  readonly transport: Transport;
  /** The certificate signing requests of the API. */
  readonly csrs: CsrStore;
  /** Returns the objects of another kind. */
  objects<T extends KubeObject>(kind: Kind, options?: Partial<ObjectStoreOptions>): ObjectStore<T>;
  /**
   * Creates a certificate signing request, waits until it is approved and signed, and returns the certificate, PEM. The
   * usages are those of the signer by default. Throws AppError `csr_denied`, `csr_failed`, `csr_deleted` or `timeout`.
   */
  requestCertificate(request: CertificateSettings): Promise<string>;
}

/** Access to an API in this process, as its administrator. */
export interface AdminAccess extends ApiAccess {
  /** The CA that signs the certificate of the API, PEM. */
  readonly caPem: string;
  /** The kubeconfig of an administrator (group `system:masters`), as text. */
  readonly kubeconfig: string;
  /** Creates a bootstrap token, `id.secret`, with which a machine can request its first certificate. */
  createToken(options?: TokenOptions): Promise<string>;
  /** Creates a bootstrap token and returns a kubeconfig with it, as text. */
  createBootstrapKubeconfig(options?: TokenOptions): Promise<string>;
}

/** The context of the kubeconfig, and the ports of the connection. */
export interface ConnectSettings extends Partial<SystemPorts> {
  /** The name of the context; by default the current context. */
  readonly context?: string;
}

/**
 * Connects to the cluster of a kubeconfig, through the proxy of HTTPS_PROXY or proxy-url if there is one. The kubeconfig is
 * a path or a text. It is a text if it has a line break, `apiVersion:` or `{"`. Relative paths in a text start at the
 * working directory. No error quotes the text. Throws AppError `kubeconfig_invalid`, `key_invalid`, `ca_invalid`, or
 * `config_invalid` for the proxy.
 */
export async function connectToCluster(kubeconfig: string, settings: ConnectSettings = {}): Promise<ApiAccess> {
  const ports = createClientPorts(settings);
  const cluster = await readCluster(kubeconfig, ports.files, settings.context);
  const transport = await ports.connect(cluster);
  return {
    ...createObjectAccess(transport, ports),
    url: cluster.server,
    [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
  };
}

const WAIT_SECONDS = 300;
const ADMIN: UserInfo = {
  username: "kubernetes-admin",
  uid: "",
  groups: [MASTERS_GROUP, AUTHENTICATED_GROUP],
  extra: {},
};

/** Creates the access to a server in this process. */
export function createAdminAccess(
  { server, url, caPem, kubeconfig }: {
    readonly server: Pick<Server, "transportFor">;
    readonly url: string;
    readonly caPem: string;
    readonly kubeconfig: string;
  },
  ports: SystemPorts,
): Omit<AdminAccess, typeof Symbol.asyncDispose> {
  const transport = server.transportFor(ADMIN, USER_AGENT);
  const secrets = createSecretStore(transport, ports);
  const forever = new AbortController().signal;
  const create = (options: TokenOptions) => createBootstrapToken(secrets, options, ports, forever);
  return {
    ...createObjectAccess(transport, ports),
    url,
    caPem,
    kubeconfig,
    createToken: async (options = {}) => formatBootstrapToken((await create(options)).token),
    createBootstrapKubeconfig: async (options = {}) =>
      encodeBootstrapKubeconfig({ server: url, caPem }, (await create(options)).token),
  };
}

function createObjectAccess(
  transport: Transport,
  ports: SystemPorts,
): Pick<ApiAccess, "transport" | "csrs" | "objects" | "requestCertificate"> {
  const csrs = createObjectStore<CertificateSigningRequest>(transport, certificateSigningRequestKind, ports);
  return {
    transport,
    csrs,
    objects: (kind, options = {}) => createObjectStore(transport, kind, { ...ports, ...options }),
    async requestCertificate({ waitSeconds = WAIT_SECONDS, signal = new AbortController().signal, ...request }) {
      const { dnsNames = [], ipAddresses = [], signerName, key } = request;
      const usages = defaultUsages(signerName, key.algorithm, { dnsNames, ipAddresses });
      const submitted = await submitRequest(csrs, { usages, ...request }, ports.clock, signal);
      return await waitForCertificate({ ...ports, ...submitted, transport, timeoutSeconds: waitSeconds }, signal);
    },
  };
}

/** How to find and open a CA. */
export interface AuthoritySettings extends Partial<SystemPorts> {
  /** Creates the CA, valid for ten years, if there is none. */
  readonly create?: boolean;
  /** The signer whose CA to load, for a folder with a CA for each purpose (`tlsboot ca init --split`). */
  readonly signerName?: string;
  /** The path of a file with the passphrase of the key. */
  readonly passphraseFile?: string;
}

/**
 * Loads the CA of a data directory: `pki/ca.crt` and `pki/ca.key`, as `tlsboot ca init` writes them. Throws AppError
 * `not_found`, `ca_invalid`, `file_permissions`, `passphrase_missing` or `passphrase_wrong`.
 */
export async function loadAuthority(dir: string, settings: AuthoritySettings = {}): Promise<Authority> {
  const { create = false, signerName, passphraseFile } = settings;
  const root = resolve(dir);
  const deps = createLibraryDeps(settings, passphraseFile, new AbortController().signal);
  if (create) await ensureAuthorities(root, deps);
  const isSplit = await hasSplitAuthorities(root, deps.files);
  const purpose = isSplit && signerName !== undefined ? getSignerPurpose(signerName) : "serving";
  return await readAuthority(authorityPaths(root, purpose), deps.files, deps.keys);
}

/** A request, and the rules for its certificate. */
export interface SignSettings extends Partial<SystemPorts> {
  /** The request (PKCS#10): PEM, or DER. */
  readonly request: string | Uint8Array;
  /** One of Kubernetes' signers, or the signer of `profile`. */
  readonly signerName: string;
  /** The rules of a custom signer. */
  readonly profile?: SigningProfile;
  /** The usages of the certificate; by default those of the signer. */
  readonly usages?: readonly string[];
  /** The requested lifetime; by default the longest that the signer grants. */
  readonly expirationSeconds?: number;
  /** The longest lifetime that the signer grants; a year by default. */
  readonly signingDurationSeconds?: number;
  /**
   * Whether an API accepts client certificates of this CA. A custom signer with such a CA issues no client certificates,
   * because they could be for any user of that API. Unknown by default, which is treated as true.
   */
  readonly isTrustedForClients?: boolean;
  /** Whether requests for ML-DSA keys are signed. Default: false. */
  readonly allowMlDsa?: boolean;
}

/**
 * Signs a request by the rules of a signer, without approval, and returns the certificate and its intermediates, PEM.
 * Throws AppError `csr_denied` with the reason when the rules refuse it, `invalid` for other content, or `ca_expired`.
 */
export async function signCertificateFor(authority: Authority, settings: SignSettings): Promise<string> {
  const { request, signerName, usages = [], expirationSeconds, isTrustedForClients } = settings;
  const profile = settings.profile ?? BUILTIN_SIGNERS.get(signerName);
  if (profile === undefined) throw new AppError("invalid", `cannot sign for "${signerName}": it has no profile`);
  return await signRequest(
    typeof request === "string" ? new TextEncoder().encode(request) : request,
    "request",
    {
      profile,
      authority,
      clientTrust: decideClientTrust(signerName, isTrustedForClients),
      asked: { signerName, usages, expirationSeconds },
      signingDurationSeconds: settings.signingDurationSeconds ?? DEFAULT_SIGNING_SECONDS,
      allowMlDsa: settings.allowMlDsa ?? false,
      chain: profile.chain !== false,
    },
    createSystemPorts(settings),
  );
}

/** The files and the name of a machine. */
export interface MachineSettings extends Partial<SystemPorts> {
  /** A kubeconfig with a bootstrap token, as a path or as text, as for `connectToCluster`. */
  readonly bootstrapKubeconfig: string;
  /** The path of the kubeconfig to write. If it is already valid, nothing is done. */
  readonly kubeconfig: string;
  /** The folder for the key and the certificate; by default `pki` next to the kubeconfig. */
  readonly certDir?: string;
  /** The name of the node; by default the name of this host. */
  readonly nodeName?: string;
  /** How long to wait for the certificate, in seconds; an hour by default, like kubelet. */
  readonly waitSeconds?: number;
  /** The requested lifetime; by default the signer chooses. */
  readonly expirationSeconds?: number;
  readonly onProgress?: (event: BootstrapProgress) => void;
  readonly signal?: AbortSignal;
}

/**
 * Obtains the certificate of a machine as a kubelet does, and writes a kubeconfig that uses it. After an interruption,
 * call it again: it continues its own request.
 *
 * Throws AppError with a code and a hint, for example `unreachable`, `unauthorized`, `csr_denied` or `timeout`.
 */
export async function bootstrapMachine(settings: MachineSettings): Promise<BootstrapOutcome> {
  const { nodeName: name = hostname(), signal = new AbortController().signal } = settings;
  const { onProgress, waitSeconds, expirationSeconds } = settings;
  const nodeName = parseNodeName(name);
  if (!nodeName.ok) throw new AppError("invalid", nodeName.error);
  const ports = createClientPorts(settings);
  const kubeconfigPath = resolve(settings.kubeconfig);
  return await bootstrap({
    ...ports,
    findCluster: createKubeconfigFinder(settings.bootstrapKubeconfig, ports.files),
    kubeconfigPath,
    certDir: resolve(settings.certDir ?? join(dirname(kubeconfigPath), "pki")),
    nodeName: nodeName.value,
    onProgress,
    waitSeconds,
    expirationSeconds,
  }, signal);
}
