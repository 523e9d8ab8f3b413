/**
 * A running instance: a data directory, its storage and the API server over it, whose certificates are renewed in time.
 * `serve` and `up` run an instance; `up` adds controllers, a bootstrap token and its bindings.
 */
import { isIPv6 } from "node:net";
import { resolve } from "node:path";
import { parseCredentialPair } from "../../core/bootstrap/credential_pair.ts";
import { chooseAdvertisedHost, LOOPBACK } from "../../core/bootstrap/node_addresses.ts";
import { parseTokenFile, type TokenFile } from "../../core/bootstrap/token_file.ts";
import { AppError } from "../../core/errors.ts";
import type { Authority } from "../../core/pki/authority.ts";
import { chainNotAfter } from "../../core/pki/authority_chain.ts";
import type { Clock, Logger, Random } from "../../core/ports.ts";
import { planPermittedNames, type ServerNames } from "../../core/pki/serving_certificate.ts";
import type { FilePort } from "../../client/files.ts";
import { readInterfaces } from "../../client/host_facts.ts";
import type { BootstrapObject } from "../../server/bootstrap_objects.ts";
import { checkAddress, type ServingPair } from "../../server/connections/listener.ts";
import type { HealthCheck } from "../../server/http/health.ts";
import type { ControllerMetrics } from "../../server/metrics/controllers.ts";
import { IssuedCertificates } from "../../server/metrics/issued_certificates.ts";
import type { Server } from "../../server/server.ts";
import type { StoreContents } from "../../server/storage/etcd/contents.ts";
import type { Storage } from "../../server/storage/storage.ts";
import type { CaKeys } from "../authority/keys.ts";
import { checkSecretFolder } from "../../client/private_file.ts";
import { ensureAuthorities, type InstanceAuthorities } from "../authority/instance_authorities.ts";
import type { ServerFlags } from "../commands/server_flags.ts";
import type { FlagSet, Settings } from "../framework/flags.ts";
import { UsageError } from "../framework/usage_error.ts";
import type { Heap } from "../heap.ts";
import { type AuditLog, openAuditLog } from "./audit_log.ts";
import { type ClientCas, readTrustedCas } from "./client_cas.ts";
import { openIssuedFile } from "./issued_file.ts";
import {
  createInstanceMetrics,
  type InstanceMetrics,
  recordExpiry,
  recordServingExpiry,
  registerAuditDiskMetrics,
} from "./instance_metrics.ts";
import { createSpaceWatch, createStorageSpaceCheck } from "./storage_space.ts";
import { startApiServer } from "./control_plane.ts";
import { type DataDir, dataDirAt, FOLDER_MODE } from "./data_dir.ts";
import { ensureFormat } from "./data_format.ts";
import { assertEtcdPlace } from "./etcd_place.ts";
import { openStorage } from "./storage.ts";
import { ensureAdminKubeconfig, ensureServing, listServingNames } from "./instance_certificates.ts";
import { keepHeapSmall } from "./quiet_heap.ts";
import { readRequiredFile } from "./required_file.ts";

/** The adapters of an instance. */
export interface InstanceDeps {
  readonly files: FilePort;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly cwd: string;
  readonly keys: CaKeys;
  /** The heap; undefined when the runtime cannot collect on request. */
  readonly heap: Heap | undefined;
  /** Receives audit lines for `--audit-log-path -`. */
  readonly stdout: { write(text: string): void };
}

/** Returns the settings of a flag set with all defaults. */
export function getDefaultSettings<F extends FlagSet>(flags: F): Settings<F> {
  const entries = Object.entries(flags).map(([key, flag]) => [key, flag.default]);
  // Each value is the default of its flag, which has the type of the setting.
  return Object.fromEntries(entries) as Settings<F>;
}

/** A running instance. Disposing it stops the server and closes the storage. */
export interface Instance extends AsyncDisposable {
  readonly dir: DataDir;
  readonly storage: Storage;
  readonly server: Server;
  readonly authorities: InstanceAuthorities;
  /** The URL in kubeconfigs, `https://host:port`. */
  readonly url: string;
  /** The names and addresses of the server. */
  readonly names: ServerNames;
  /** True when the storage was empty at the start. */
  readonly isNew: boolean;
  /** True when other servers may share the storage. */
  readonly isShared: boolean;
  /** All objects of a shared storage, including those that this server does not serve. */
  readonly contents: StoreContents | undefined;
  /** Aborts with the reason when nothing can be written until the program is started again. */
  readonly lost: AbortSignal;
  /** The metrics of the controllers. */
  readonly controllerMetrics: ControllerMetrics;
  /** Descriptions of what was created at this start. */
  readonly made: readonly string[];
  /** Checks the certificates of the instance and renews those that are due. */
  renew(): Promise<void>;
}

/** The options in which `serve` and `up` differ. */
export interface InstanceOptions {
  /** The custom signers, which get their own label in metrics. */
  readonly customSigners?: readonly string[];
}

/** Starts an instance. Faults of files and flags are an AppError with a hint. */
export async function startInstance(
  settings: Settings<ServerFlags>,
  deps: InstanceDeps,
  objects: (isNew: boolean) => readonly BootstrapObject[],
  { customSigners = [] }: InstanceOptions = {},
): Promise<Instance> {
  assertAuthorizationMode(settings.authorizationMode);
  const dir = dataDirAt(resolve(deps.cwd, settings.dataDir));
  const givenServing = await readGivenServing(settings, deps);
  const tokenFile = await readTokenFile(settings, deps);
  await using opened = new AsyncDisposableStack();
  const auditLog = opened.use(await openAuditLog(settings, deps));
  await deps.files.makeDirectory(dir.root, FOLDER_MODE);
  for (const folder of [dir.root, dir.pki]) {
    const { isForGroup } = await checkSecretFolder(folder, deps.files);
    if (isForGroup) deps.logger.warn("the group may write to a folder of secrets", { folder });
  }
  await assertEtcdPlace(dir, settings, "serve", deps.files);
  await ensureFormat(dir.root, deps.files);
  const { authorities, created } = await ensureAuthorities(dir.root, deps);
  const host = await findHost(settings, deps);
  const names = givenServing === undefined ? listPermittedNames(settings, host, authorities.serving, deps) : NO_NAMES;
  const readCas = () => readTrustedCas(authorities.clientCas, settings.clientCaFile, deps);
  const clientCas = await readCas();
  const metrics = createInstanceMetrics(deps.clock);
  const { storage, isNew, contents, lost } = await openStorage(settings, dir, { ...deps, registry: metrics.registry });
  const isShared = contents !== undefined;
  opened.use(storage);
  const issued = new IssuedCertificates(customSigners);
  const issuedFile = opened.use(await openIssuedFile({ path: dir.issued, issued, isShared }, deps));
  const disks = openDisks(dir, auditLog, metrics, settings, deps);
  await disks.check();
  // A start that fails must not replace the certificate of a running server.
  await checkAddress({ bindAddress: settings.bindAddress, port: settings.securePort });
  const serving = givenServing ?? (await ensureServing(dir, authorities.serving, names, deps)).serving;
  const server = opened.use(
    await startApiServer({
      bindAddress: settings.bindAddress,
      port: settings.securePort,
      serving,
      clientCaPem: clientCas.trusted,
      clientIssuersPem: clientCas.issuers,
      tokenFile,
      bootstrapTokens: settings.enableBootstrapTokenAuth,
      anonymous: settings.anonymousAuth,
      audit: auditLog.audit,
      maxRequestsInflight: settings.maxRequestsInflight + settings.maxMutatingRequestsInflight,
      objects: objects(isNew),
      registry: metrics.registry,
      issued,
      checks: [disks.health],
    }, { ...deps, storage }),
  );
  if (deps.heap !== undefined) opened.use(keepHeapSmall(deps.heap, deps));
  const url = `https://${isIPv6(host) ? `[${host}]` : host}:${server.port}`;
  const admin = await ensureAdminKubeconfig(dir, authorities, url, deps);
  recordExpiry(metrics.expiry, authorities, serving);
  const renew = createRenewal(
    {
      dir,
      authorities,
      names,
      url,
      server,
      serving,
      givenServing: givenServing !== undefined,
      clientCas,
      readCas,
      metrics,
    },
    deps,
  );
  const running = opened.move();
  return {
    dir,
    storage,
    server,
    authorities,
    url,
    names,
    isNew,
    isShared,
    contents,
    lost,
    controllerMetrics: metrics.controllers,
    made: [
      ...(created ? ["CA"] : []),
      ...(isNew && !isShared ? ["database"] : []),
      ...(admin.renewed ? ["admin kubeconfig"] : []),
    ],
    async renew() {
      await disks.check();
      await issuedFile.update();
      await renew();
    },
    async [Symbol.asyncDispose]() {
      await running.disposeAsync();
    },
  };
}

/**
 * Creates the checks of the disks of the instance. The disk of the audit log affects the health only with a strict log,
 * which refuses requests that cannot be audited.
 */
function openDisks(
  dir: DataDir,
  { audit, folder }: AuditLog,
  { registry }: Pick<InstanceMetrics, "registry">,
  { storageMinFree }: Pick<Settings<ServerFlags>, "storageMinFree">,
  deps: InstanceDeps,
): { readonly health: HealthCheck; check(): Promise<void> } {
  const data = { path: dir.root, what: "data directory" };
  const log = folder === undefined ? [] : [{ path: folder, what: "audit log" }];
  for (const { path } of log) registerAuditDiskMetrics(registry, path);
  return {
    health: createStorageSpaceCheck([data, ...(audit?.isStrict === true ? log : [])], storageMinFree),
    check: createSpaceWatch([data, ...log], storageMinFree, deps),
  };
}

const NO_NAMES: ServerNames = { dnsNames: [], ipAddresses: [] };
const DAY_MS = 86_400_000;
const CA_WARNING_MS = 90 * DAY_MS;

/** Creates the renewal of the certificates of the instance. It also logs once a day that a CA expires soon. */
function createRenewal(
  instance: {
    readonly dir: DataDir;
    readonly authorities: InstanceAuthorities;
    readonly names: ServerNames;
    readonly url: string;
    readonly server: Server;
    readonly serving: ServingPair;
    readonly givenServing: boolean;
    readonly clientCas: ClientCas;
    readonly readCas: () => Promise<ClientCas>;
    readonly metrics: Pick<InstanceMetrics, "expiry">;
  },
  deps: InstanceDeps,
): () => Promise<void> {
  const { dir, authorities, names, url, server } = instance;
  const notAfter = findEarliestEnd(authorities);
  let warnedAt = -Infinity;
  let { clientCas, serving: { certificatePem } } = instance;
  return async () => {
    const cas = await instance.readCas();
    if (cas.trusted !== clientCas.trusted || cas.issuers !== clientCas.issuers) {
      clientCas = cas;
      server.setClientCa(cas.trusted, cas.issuers);
      deps.logger.info("client CAs changed");
    }
    const now = deps.clock.now().getTime();
    if (notAfter.getTime() - now < CA_WARNING_MS && now - warnedAt >= DAY_MS) {
      warnedAt = now;
      deps.logger.warn("the CA expires soon, and its certificates expire with it", { notAfter });
    }
    if (!instance.givenServing) {
      const { serving } = await ensureServing(dir, authorities.serving, names, deps);
      // An earlier renewal may have written the files and then failed.
      if (serving.certificatePem !== certificatePem) {
        ({ certificatePem } = serving);
        server.setServing(serving);
        recordServingExpiry(instance.metrics.expiry, serving);
      }
    }
    await ensureAdminKubeconfig(dir, authorities, url, deps);
  };
}

/** Returns when the first CA expires, including the issuers of the CAs. */
function findEarliestEnd({ serving, clientCas }: InstanceAuthorities): Date {
  const ends = [serving, ...clientCas.map(({ chain }) => chain)].map((chain) => chainNotAfter(chain).getTime());
  return new Date(Math.min(...ends));
}

/**
 * Lists the names of the serving certificate that the CA may certify. AppError when it may not certify the host itself.
 */
function listPermittedNames(
  { bindAddress: bind, tlsSan: extra }: Settings<ServerFlags>,
  host: string,
  serving: Authority,
  deps: InstanceDeps,
): ServerNames {
  const { names, refused } = planPermittedNames(listServingNames({ bind, advertise: host, extra }), [
    serving.certificate,
    ...serving.issuers,
  ]);
  const fault = refused.get(host.toLowerCase());
  if (fault !== undefined) {
    throw new AppError("config_invalid", `cannot serve as "${host}": the CA's name constraints forbid it: ${fault}`, {
      hint: "serve under a name that the CA permits with --advertise-address; tlsboot ca show lists them",
    });
  }
  if (refused.size > 0) {
    deps.logger.warn("the CA's name constraints exclude names from the serving certificate", {
      names: [...refused.keys()],
    });
  }
  return names;
}

/** Refuses every mode except Node and RBAC, in any order. */
function assertAuthorizationMode(text: string): void {
  const modes = text.split(",").map((mode) => mode.trim()).sort().join(",");
  if (modes === "Node,RBAC") return;
  throw new UsageError(
    `--authorization-mode: "${text}" is not possible: tlsboot always authorizes by Node,RBAC`,
    "leave the flag out; grant rights with kubectl create clusterrolebinding",
  );
}

async function readGivenServing(settings: Settings<ServerFlags>, deps: InstanceDeps): Promise<ServingPair | undefined> {
  const { tlsCertFile, tlsPrivateKeyFile } = settings;
  if (tlsCertFile === undefined && tlsPrivateKeyFile === undefined) return undefined;
  if (tlsCertFile === undefined || tlsPrivateKeyFile === undefined) {
    throw new UsageError("--tls-cert-file and --tls-private-key-file go together", "give both, or neither");
  }
  const certificatePem = await readRequiredFile(tlsCertFile, deps);
  const privateKeyPem = await readRequiredFile(tlsPrivateKeyFile, deps);
  const pair = parseCredentialPair(certificatePem, privateKeyPem);
  if (pair.ok) return { certificatePem, privateKeyPem };
  throw new AppError("key_invalid", `cannot serve with "${tlsCertFile}" and "${tlsPrivateKeyFile}": ${pair.error}`, {
    hint: "give a certificate and the key that belongs to it, both PEM",
  });
}

async function readTokenFile(settings: Settings<ServerFlags>, deps: InstanceDeps): Promise<TokenFile | undefined> {
  const path = settings.tokenAuthFile;
  if (path === undefined) return undefined;
  const parsed = parseTokenFile(await readRequiredFile(path, deps), path);
  if (!parsed.ok) {
    throw new AppError("token_file_invalid", parsed.error, { hint: 'each line reads: token,user,uid,"group1,group2"' });
  }
  for (const warning of parsed.value.warnings) deps.logger.warn("token file", { warning });
  return parsed.value;
}

/** Finds the host of the server in kubeconfigs, and logs a warning when it was chosen automatically. */
async function findHost(
  { bindAddress, advertiseAddress }: Settings<ServerFlags>,
  { files, logger }: InstanceDeps,
): Promise<string> {
  const { host, others } = chooseAdvertisedHost(bindAddress, advertiseAddress, await readInterfaces(files));
  if (others === undefined) return host;
  if (host === LOOPBACK) {
    logger.warn("this host has no address that other machines can reach; give one with --advertise-address", {
      address: host,
    });
  } else {
    logger.warn("kubeconfigs and join commands name this host's address; choose another with --advertise-address", {
      address: host,
      others,
    });
  }
  return host;
}
