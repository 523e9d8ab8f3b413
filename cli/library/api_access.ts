/** Access to an API: to a cluster with a kubeconfig, or to an instance in this process as its administrator. */
import { encodeBootstrapKubeconfig } from "../../core/token/join_material.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { certificateSigningRequestKind } from "../../core/kube/kinds/mod.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import type { Kind } from "../../core/kube/schema.ts";
import { AUTHENTICATED_GROUP, MASTERS_GROUP, type UserInfo } from "../../core/kube/user.ts";
import { defaultUsages } from "../../core/pki/x509/usages.ts";
import type { CsrStore, ObjectStore, Transport } from "../../core/ports.ts";
import {
  type CertificateRequest,
  createObjectStore,
  type ObjectStoreOptions,
  readCluster,
  submitRequest,
  waitForCertificate,
} from "../../client/mod.ts";
import type { Server } from "../../server/mod.ts";
import { createSecretStore } from "../../instance/controllers/controllers.ts";
import { createBootstrapToken, type TokenOptions } from "../../instance/joining.ts";
import { createClientPorts, type SystemPorts } from "./defaults.ts";
import { formatBootstrapToken } from "../../core/token/token_secret.ts";
import { USER_AGENT } from "../../core/version.ts";

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
   * usages are those of the signer by default. AppError `csr_denied`, `csr_failed`, `csr_deleted` or `timeout`.
   */
  requestCertificate(request: CertificateSettings): Promise<string>;
}

/** An API of this process, and access to it as its administrator. */
export interface AdminAccess extends ApiAccess {
  /** The CA that signs the certificate of the API, PEM. */
  readonly caPem: string;
  /** The kubeconfig of an administrator (group `system:masters`), as text. */
  readonly kubeconfig: string;
  /** Creates a bootstrap token, `id.secret`, with which a machine may ask for its first certificate. */
  createToken(options?: TokenOptions): Promise<string>;
  /** Creates a bootstrap token and returns a kubeconfig that holds it, as text. */
  createBootstrapKubeconfig(options?: TokenOptions): Promise<string>;
}

/** The context of a kubeconfig, and the ports of a connection. */
export interface ConnectSettings extends Partial<SystemPorts> {
  /** The name of the context; by default the current one. */
  readonly context?: string;
}

/**
 * Connects to the cluster of a kubeconfig, through the proxy of HTTPS_PROXY or proxy-url if there is one. The kubeconfig is
 * given as a path or as text. It is text when it has a line break, `apiVersion:` or `{"`; relative paths in a text start
 * from the working directory. No error quotes the text. AppError `kubeconfig_invalid`, `key_invalid`, `ca_invalid`, or
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
