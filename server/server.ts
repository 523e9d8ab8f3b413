/**
 * The API server: storage, default objects, authentication, authorization, admission, the app and its listener. Everything
 * that depends on the machine is passed in by `instance`.
 */
import { AppError } from "../core/errors.ts";
import { parseCaBundle } from "../core/pki/x509/ca_bundle.ts";
import type { CertificateFacts } from "../core/pki/x509/certificate.ts";
import type { Clock, Logger, Random, Transport } from "../core/ports.ts";
import type { TokenFile } from "../core/token/token_file.ts";
import { certificateSigningRequestKind } from "../core/kube/kinds/mod.ts";
import { DEFAULT_ISSUER } from "../core/service_accounts/issuer_documents.ts";
import type { TokenKey, TokenSigner } from "../core/service_accounts/jwt.ts";
import type { UserInfo } from "../core/kube/user.ts";
import { createAdmission, createDefaultPlugins } from "./admission/admission.ts";
import { type AttestationOptions, createNodeAttestations } from "./attestation/node_attestations.ts";
import {
  createBootstrapTokenPlugins,
  createSigningRequestPlugins,
  type SigningRequestLimits,
} from "./admission/certificates.ts";
import { createRevocationPlugins, openRevocations, type Revocations } from "./revocation/revocations.ts";
import { type App, createApp } from "./app.ts";
import type { Authenticator } from "./authn/authentication.ts";
import { createAuthenticator } from "./authn/authenticator.ts";
import { countTokenUses, createServiceAccountTokenAuthenticator } from "./authn/service_account_tokens.ts";
import { createAuthorizer, createRbacSource } from "./authz/authorizer.ts";
import { type BootstrapTokens, openBootstrapTokens } from "./authn/bootstrap_tokens.ts";
import {
  type BootstrapObject,
  createApiService,
  createDefaultRbacObjects,
  createSystemNamespaces,
  reconcileObjects,
} from "./bootstrap_objects.ts";
import { createFlowControl } from "./flowcontrol/flow_control.ts";
import { createHealthChecks, type HealthCheck } from "./http/health.ts";
import { prepareLists } from "./http/table.ts";
import type { Served } from "./http/resource_handler.ts";
import type { AuditOptions } from "./http/audit.ts";
import type { PublishedCrls } from "./http/published_documents.ts";
import type { GuardLimits } from "./connections/connection_guard.ts";
import { listen, type ServingPair } from "./connections/listener.ts";
import { countRejections, createMetrics, gaugeInflight, gaugeLevels, type Metrics } from "./metrics/api_requests.ts";
import { createLoopbackTransport } from "./loopback.ts";
import { addBuildInfo, createMetricsRegistry, type MetricsRegistry } from "./metrics/registry.ts";
import { addIssuedMetrics, followRequests, IssuedCertificates } from "./metrics/certificates.ts";
import { NodeRecovery, type NodeRecoveryLimits } from "./authn/node_recovery.ts";
import { countObjects } from "./metrics/storage.ts";
import { limitRepeats } from "./log_limiter.ts";
import { createPodRequestCommit, createRequestCommit, Register } from "./register/register.ts";
import { followUnrecorded } from "./register/upkeep.ts";
import { followSeenClients, type SeenClients } from "./authn/seen_clients.ts";
import { createResources } from "./registry/resources.ts";
import { createReviews } from "./registry/reviews.ts";
import { createTokenSubresource } from "./registry/serviceaccounts.ts";
import type { Storage } from "./storage/storage.ts";

/** The dependencies and settings of a server. */
export interface ServerOptions {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly bindAddress: string;
  /** The port; 0 selects a free one. */
  readonly port: number;
  /** The descriptor of a socket that already listens on this address. */
  readonly passedSocket?: number | undefined;
  readonly serving: ServingPair;
  /** The PEM bundle of the CAs whose client certificates are trusted; undefined for none. */
  readonly clientCaPem: string | undefined;
  /** The issuers of those CAs, for TLS stacks that need a chain up to a root. Nothing else that they issue is trusted. */
  readonly clientIssuersPem?: string;
  /** The static tokens; undefined for none. */
  readonly tokenFile: TokenFile | undefined;
  readonly bootstrapTokens: boolean;
  readonly anonymous: boolean;
  readonly audit: AuditOptions | undefined;
  /** The object that is served at `/version`. */
  readonly version: Readonly<Record<string, string>>;
  /** The number of requests that are served at the same time; 600 by default. */
  readonly maxRequestsInflight?: number;
  /** The limits of connections that differ from `GUARD_LIMITS`, such as their number. */
  readonly connectionLimits?: Partial<GuardLimits>;
  /** The objects that must exist in addition to the defaults. */
  readonly objects: readonly BootstrapObject[];
  /** The registry for metrics, if other parts of the process share it; by default a new one. */
  readonly registry?: MetricsRegistry;
  /**
   * The limit of open requests, and the signers that run here; by default there is no limit and no warning about
   * signers.
   */
  readonly signingRequests?: SigningRequestLimits;
  /** Whether requests and client certificates with ML-DSA keys are accepted (feature gate MLDSA). Default: false. */
  readonly allowMlDsa?: boolean;
  /** Lets nodes with an expired certificate request the next one with it; undefined for never. */
  readonly nodeRecovery?: NodeRecoveryLimits | undefined;
  /** Health checks in addition to the usual ones. */
  readonly checks?: readonly HealthCheck[];
  /** The revocation lists to serve at `/pki/<name>` without authentication; by default none. */
  readonly crls?: PublishedCrls;
  /** The custom signers, which have their own label in metrics. */
  readonly customSigners?: readonly string[];
  /** The register of issued certificates in the storage; its owner disposes it. By default, the server opens one. */
  readonly register?: Register;
  /** The tokens of service accounts; by default none are issued and none accepted. */
  readonly serviceAccounts?: ServiceAccountOptions;
  /** Lets machines exchange a proof of their identity for a bootstrap token; undefined for never. */
  readonly attestation?: AttestationOptions | undefined;
}

/** The settings of service account tokens, which correspond to kube-apiserver's flags. */
export interface ServiceAccountOptions {
  /** The accepted issuers; the first one is that of new tokens. */
  readonly issuers: readonly [string, ...string[]];
  readonly apiAudiences: readonly string[];
  readonly signer: TokenSigner;
  readonly keys: readonly TokenKey[];
  /** The longest lifetime of a token; 0 for no limit. */
  readonly maxExpirationSeconds: number;
  /** Whether the tokens that kubelets request for pods by default are valid for a year. */
  readonly extendsExpiration: boolean;
  /** Returns the URL of the key set; undefined when the issuer cannot be discovered. */
  readonly jwksUri: (() => string) | undefined;
}

/** A running server. Disposing it ends the watches and stops the listener; its owner disposes the storage. */
export interface Server extends AsyncDisposable {
  readonly address: string;
  readonly port: number;
  setServing(serving: ServingPair): void;
  /** Trusts only certificates of this bundle from now on, also on open connections. Throws AppError `ca_invalid`. */
  setClientCa(pem: string, issuersPem?: string): void;
  /** Returns the CAs whose client certificates are trusted now. */
  clientCas(): readonly CertificateFacts[];
  transportFor(user: UserInfo, userAgent: string): Transport;
  readonly revocations: Revocations;
}

/** The API without a listener; disposing it ends the watches. */
export interface Api extends AsyncDisposable {
  readonly app: App;
  transportFor(user: UserInfo, userAgent: string): Transport;
  readonly revocations: Revocations;
}

/** The dependencies and settings of the API, which has no listener. */
export type ApiOptions =
  & Omit<
    ServerOptions,
    "bindAddress" | "port" | "passedSocket" | "serving" | "clientCaPem" | "clientIssuersPem" | "connectionLimits"
  >
  & {
    /** Returns the CAs whose client certificates are trusted now; a changed set is a new array. */
    readonly clientCas: () => readonly CertificateFacts[];
    /** Registers a listener that is called when that set has changed, so that open streams are checked at once. */
    readonly onClientCasChange?: (listener: () => void) => void;
    /** Returns the `host:port` at which clients reach the API, for legacy discovery. */
    readonly serverAddress: () => string;
    /** The port of the listener; undefined or 0 when it is not known before the start. */
    readonly port?: number;
  };

/** The target port of the API's Service when the listener's port is not known: the port of the Service itself. */
const DEFAULT_PORT = 443;

/** Starts a server. Throws AppError `port_in_use`, `io`, or `ca_invalid` for a malformed bundle of client CAs. */
export async function startServer(options: ServerOptions): Promise<Server> {
  let port = options.port;
  let clientCas = options.clientCaPem === undefined ? [] : readClientCas(options.clientCaPem);
  const listeners: (() => void)[] = [];
  const api = await createApi({
    ...options,
    clientCas: () => clientCas,
    onClientCasChange: (listener) => void listeners.push(listener),
    serverAddress: () => `${options.bindAddress}:${port}`,
  });
  const stopping = new AbortController();
  const listener = await listen({
    bindAddress: options.bindAddress,
    port: options.port,
    passedSocket: options.passedSocket,
    serving: options.serving,
    clientCaPem: options.clientCaPem === undefined
      ? undefined
      : joinBundles(options.clientCaPem, options.clientIssuersPem),
    answer: api.app,
    clock: options.clock,
    logger: limitRepeats(options.logger, options.clock, stopping.signal),
    limits: options.connectionLimits,
  });
  port = listener.port;
  return {
    address: listener.address,
    port,
    setServing: (serving) => listener.setServing(serving),
    setClientCa(pem, issuersPem) {
      clientCas = readClientCas(pem);
      listener.setClientCa(joinBundles(pem, issuersPem));
      for (const changed of listeners) changed();
    },
    clientCas: () => clientCas,
    transportFor: (user, userAgent) => api.transportFor(user, userAgent),
    revocations: api.revocations,
    async [Symbol.asyncDispose]() {
      // Watches end first, so that the listener need not wait for them.
      await api[Symbol.asyncDispose]();
      await listener[Symbol.asyncDispose]();
      stopping.abort(new Error("the server is stopping"));
    },
  };
}

/** The sum of the defaults of kube-apiserver's `--max-requests-inflight` and `--max-mutating-requests-inflight`. */
const DEFAULT_SEATS = 400 + 200;

function joinBundles(pem: string, issuersPem = ""): string {
  return issuersPem === "" ? pem : `${pem}\n${issuersPem}`;
}

function readClientCas(pem: string): readonly CertificateFacts[] {
  const bundle = parseCaBundle(pem);
  if (bundle.ok) return bundle.value;
  throw new AppError("ca_invalid", `cannot use the client CAs: ${bundle.error}`, {
    hint: "give one or more PEM CERTIFICATE blocks",
  });
}

/** Creates the API on a storage, and writes the default objects to it. */
export async function createApi(options: ApiOptions): Promise<Api> {
  const { storage, clock, random } = options;
  const stopping = new AbortController();
  const logger = limitRepeats(options.logger, clock, stopping.signal);
  const isComplete = await reconcileObjects(options, [
    createApiService(options.port === undefined || options.port === 0 ? DEFAULT_PORT : options.port),
    ...createDefaultRbacObjects(),
    ...options.objects,
  ]);
  // These come last: a storage without them counts as new, so the start after an interrupted one writes everything.
  if (isComplete) await reconcileObjects(options, createSystemNamespaces());
  const { registry = createMetricsRegistry() } = options;
  const metrics = createMetrics(registry);
  addBuildInfo(registry, options);
  const rbac = await createRbacSource(storage);
  const authorizer = createAuthorizer({ rbac, storage });
  const tokens = await openBootstrapTokens({ storage, clock, random, logger, registry });
  const { register = await Register.open(options), clientCas } = options;
  const revocations = await openRevocations({ storage, clock, random, logger, registry, register });
  const issued = new IssuedCertificates(register.index, options.customSigners);
  addIssuedMetrics(registry, clock, issued);
  const requests = await followRequests(storage, registry, clock, issued);
  const nodeRecovery = options.nodeRecovery === undefined
    ? undefined
    : new NodeRecovery({ storage, register, clock, random, logger, registry, ...options.nodeRecovery });
  const seenClients = await followSeenClients({ storage, clock, random, logger, clientCas });
  const { serviceAccounts, allowMlDsa = false } = options;
  const apiAudiences = serviceAccounts?.apiAudiences ?? [DEFAULT_ISSUER];
  const authenticate = createApiAuthenticator({ ...options, logger }, {
    tokens,
    revocations,
    metrics,
    registry,
    apiAudiences,
    nodeRecovery,
    seenClients,
  });
  const limits = options.signingRequests ?? { maxOpenPerRequester: 0, servedSigners: undefined };
  const signingRequests = await createSigningRequestPlugins(limits, options);
  const commitRequest = createRequestCommit({ storage, register, random, clientCas });
  const unrecorded = await followUnrecorded({ storage, register, clientCas, clock, logger });
  const resources = createResources({
    authorizer,
    rbac,
    revocations,
    storage,
    clientCas,
    logger,
    commitRequest,
    commitPodRequest: createPodRequestCommit({ storage, register, clientCas }),
    allowMlDsa,
    serviceAccountToken: serviceAccounts &&
      createTokenSubresource({ storage, random, issuer: { ...serviceAccounts, issuer: serviceAccounts.issuers[0] } }),
  });
  countObjects(registry, storage, resources);
  const requestResource = resources.find(({ kind }) => kind === certificateSigningRequestKind)!;
  const preparedLists = await prepareLists(storage, requestResource, clock);
  const seats = options.maxRequestsInflight ?? DEFAULT_SEATS;
  const flowControl = createFlowControl({ clock, seats, onRejected: countRejections(registry) });
  gaugeLevels(registry, flowControl);
  const served: Served = { resources, reviews: createReviews({ authorizer, authenticate, apiAudiences }) };
  const { attestation } = options;
  const attesting = attestation && {
    resources,
    reviews: [
      ...served.reviews,
      createNodeAttestations({ storage, clock, random, logger, registry, stopping: stopping.signal, ...attestation }),
    ],
  };
  const app: App = createApp({
    storage,
    clock,
    random,
    logger,
    admission: createAdmission([
      ...createDefaultPlugins({ authorizer, storage, logger }),
      ...createBootstrapTokenPlugins({ authorizer, logger, tokens }),
      ...signingRequests.plugins,
      ...createRevocationPlugins({ revocations, storage, logger }),
      ...(nodeRecovery === undefined ? [] : [nodeRecovery.plugin]),
    ]),
    served: () => attesting === undefined || attestation?.expected().kinds.length === 0 ? served : attesting,
    authenticate,
    authorizer,
    revocations,
    onClientCasChange: options.onClientCasChange,
    nodeRecovery,
    flowControl,
    audit: options.audit,
    metrics,
    inflight: gaugeInflight(registry, clock),
    checks: createHealthChecks({ storage, stopping: stopping.signal, more: options.checks ?? [] }),
    version: options.version,
    serverAddress: options.serverAddress,
    crls: options.crls ?? { find: () => undefined },
    openid: serviceAccounts?.jwksUri &&
      { issuer: serviceAccounts.issuers[0], keys: serviceAccounts.keys, jwksUri: serviceAccounts.jwksUri },
    stopping: stopping.signal,
  });
  return {
    app,
    transportFor: (user, userAgent) => createLoopbackTransport(app, user, userAgent),
    revocations,
    async [Symbol.asyncDispose]() {
      stopping.abort(new Error("the server is stopping"));
      await seenClients[Symbol.asyncDispose]();
      requests[Symbol.dispose]();
      signingRequests[Symbol.dispose]();
      preparedLists[Symbol.dispose]();
      tokens[Symbol.dispose]();
      revocations[Symbol.dispose]();
      rbac[Symbol.dispose]();
      unrecorded[Symbol.dispose]();
      if (options.register === undefined) register[Symbol.dispose]();
    },
  };
}

function createApiAuthenticator(
  options: ApiOptions,
  { tokens, revocations, metrics, registry, apiAudiences, nodeRecovery, seenClients }: {
    readonly tokens: BootstrapTokens;
    readonly revocations: Revocations;
    readonly metrics: Metrics;
    readonly registry: MetricsRegistry;
    readonly apiAudiences: readonly string[];
    readonly nodeRecovery: NodeRecovery | undefined;
    readonly seenClients: Pick<SeenClients, "note">;
  },
): Authenticator {
  const { storage, clock, logger, serviceAccounts, allowMlDsa = false } = options;
  return createAuthenticator({
    apiAudiences,
    allowMlDsa,
    serviceAccountTokens: serviceAccounts &&
      createServiceAccountTokenAuthenticator({
        clock,
        storage,
        countUse: countTokenUses(registry),
        ...serviceAccounts,
      }),
    revocations,
    clock,
    logger,
    nodeRecovery,
    clientCas: options.clientCas,
    anonymous: options.anonymous,
    onClientCertificate(leaf) {
      metrics.clientCertificate((leaf.notAfter.getTime() - clock.now().getTime()) / 1000);
      seenClients.note(leaf);
      return tokens.certificateUsed(leaf);
    },
    tokenFile: options.tokenFile,
    bootstrapTokens: options.bootstrapTokens ? tokens : undefined,
  });
}
