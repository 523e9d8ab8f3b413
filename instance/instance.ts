/**
 * A running instance: a data directory, its storage, and the API server over it, whose certificates are renewed in
 * time. `serve` runs an instance; `up` adds the parts of `full_instance.ts`.
 */
import { isIPv6 } from "node:net";
import { hostname } from "node:os";
import { resolve } from "node:path";
import { parseTokenFile, type TokenFile } from "../core/token/token_file.ts";
import type { AdvertisedHost } from "../core/machine/node_name.ts";
import { AppError } from "../core/errors.ts";
import type { ProofKind } from "../core/attestation/proof.ts";
import type { Authority } from "../core/pki/authority/authority.ts";
import type { ServingNames } from "../core/pki/authority/serving_certificate.ts";
import { checkSecretFolder } from "../client/private_file.ts";
import type { BootstrapObject, ControllerMetrics, Register, Server } from "../server/mod.ts";
import { publicKeyPin } from "../core/pki/keys/key_names.ts";
import { checkAddress } from "../server/connections/listener.ts";
import { IssuedCertificates } from "../server/metrics/certificates.ts";
import { ensureAuthorities, type LiveAuthorities } from "./authority/instance_authorities.ts";
import { authorityPaths } from "./authority/layout.ts";
import { keepAdminKubeconfig } from "./parts/admin_kubeconfig.ts";
import { type FollowedInventory, openAttestation, openSealingKey } from "./parts/attestation.ts";
import { openAuditLog } from "./parts/audit_log.ts";
import { createInstanceMetrics, recordServingExpiry, startApiServer, watchCaExpiry } from "./parts/api_server.ts";
import { InstanceRotations } from "./parts/rotation_follower.ts";
import { type CrlFiles, openCrlFiles } from "./parts/crl_files.ts";
import { FOLDER_MODE } from "../client/files.ts";
import { type DataDir, dataDirAt, ensureFormat } from "./data_dir.ts";
import type { InstanceDeps } from "./deps.ts";
import { attesterObjects } from "./instance_rbac.ts";
import { assertEtcdPlace } from "./storage/etcd.ts";
import { takeOverIssuedLog } from "./parts/issued_files.ts";
import { openRegister, parseLeaf, reportOverdue } from "./parts/register.ts";
import { Parts, runInBackground } from "./parts/parts.ts";
import { keepHeapSmall } from "./quiet_heap.ts";
import { keepRevocations, revocationObjects } from "./parts/revocation.ts";
import { openServiceAccounts } from "./parts/service_accounts.ts";
import {
  createServingRenewal,
  ensureServing,
  findHost,
  listPermittedNames,
  readGivenServing,
} from "./parts/serving.ts";
import { type InstanceStorage, openStorage, watchDisks } from "./storage/storage.ts";
import { openMlDsaGate } from "./feature_gates.ts";
import type { ServerSettings } from "./settings.ts";
import { readRequiredFile } from "./named_files.ts";
import { followClientCas, readTrustedCas } from "./parts/trusted_cas.ts";

/** A running instance. Disposing it stops the server and closes the storage. */
export interface Instance extends InstanceStorage {
  readonly dir: DataDir;
  readonly server: Server;
  readonly authorities: LiveAuthorities;
  /** The rotations of these CAs. */
  readonly rotations: InstanceRotations;
  /** Records the certificate of a CA that signs for the instance. */
  recordAuthority(authority: Authority): Promise<void>;
  /** The URL in kubeconfigs, `https://host:port`. */
  readonly url: string;
  /** The host in the URL, and the machine's other hosts if it was chosen automatically. */
  readonly advertised: AdvertisedHost;
  /** True when this start created the CA. */
  readonly isNewCa: boolean;
  /** Lists the kinds of proof that machines can now exchange for bootstrap tokens. */
  listExpectedProofs(): readonly ProofKind[];
  /** The names and addresses of the server. */
  readonly names: ServingNames;
  /** True when other servers may share the storage. */
  readonly isShared: boolean;
  /** The metrics of the controllers. */
  readonly controllerMetrics: ControllerMetrics;
  /** The register of issued certificates over the storage. */
  readonly register: Register;
  /** The CRLs of the CAs whose keys the instance has. */
  readonly crls: CrlFiles;
  /** Checks the certificates of the instance and renews those that are due. */
  renew(): Promise<void>;
}

/** The options that differ between `serve` and `up`. */
export interface InstanceOptions {
  /** The custom signers, which get their own label in metrics. */
  readonly customSigners?: readonly string[];
  /** Returns all signers that run in the process; undefined when none does, as in `serve`. */
  readonly servedSigners?: () => readonly string[];
  /** The inventory, whose machines may exchange proofs for bootstrap tokens; undefined for none. */
  readonly inventory?: FollowedInventory | undefined;
}

const NO_NAMES: ServingNames = { dnsNames: [], ipAddresses: [] };

/** Starts the parts of an instance. AppError with a hint for faults of files and settings. */
export async function startInstance(
  settings: ServerSettings,
  deps: InstanceDeps,
  objects: (isNew: boolean) => readonly BootstrapObject[],
  { customSigners = [], servedSigners, inventory }: InstanceOptions = {},
): Promise<Instance> {
  assertAuthorizationMode(settings.authorizationMode);
  const allowMlDsa = openMlDsaGate(settings.featureGates);
  const dir = dataDirAt(resolve(deps.cwd, settings.dataDir));
  const given = await readGivenServing(settings, deps);
  const tokenFile = await readTokenFile(settings, deps);

  const { passedSocket } = deps;
  const address = { bindAddress: settings.bindAddress, port: settings.securePort };
  const hasCa = await deps.files.stat(authorityPaths(dir.root).certificate) !== undefined;
  // A failed first start must not leave a CA behind. Later starts first report that another server uses the folder.
  if (passedSocket === undefined && !hasCa) await checkAddress(address);
  await using starting = new Parts();
  const auditLog = starting.add(await openAuditLog(settings, deps));
  await openDataDir(dir, settings, deps);
  const { authorities, created: isNewCa } = await ensureAuthorities(dir.root, deps, settings.crlUrl);
  if (isNewCa) {
    const { certificate } = authorities.serving;
    deps.logger.info("new CA created, because there was none", {
      certFile: authorityPaths(dir.root).certificate,
      caCertHash: publicKeyPin(certificate),
      notAfter: certificate.notAfter,
    });
  }
  const advertised = await findHost(settings, deps);
  const { host } = advertised;
  const { registry, controllers: controllerMetrics, expiry } = createInstanceMetrics(deps.clock);
  const stored = starting.add(await openStorage(settings, dir, { ...deps, registry }));
  const { storage, isNew, contents } = stored;
  const isShared = contents !== undefined;
  const { register, record, recordUsed, sealIfOverdue } = starting.add(
    await openRegister({
      storage,
      authority: () => authorities.serving,
      retentionMs: settings.issuedRetention,
      earlierFile: dir.issued,
      audit: auditLog.audit,
    }, deps),
  );
  const crls = starting.add(await openCrlFiles(storage, deps));
  const tokenKey = resolve(deps.cwd, settings.serviceAccountSigningKeyFile ?? dir.tokenKey);
  const rotations = await InstanceRotations.open(
    { dir, tokenKey, storage, authorities, crls, record: recordUsed },
    deps,
  );
  await recordUsed(authorities.serving.certificate, "ca");
  await recordUsed(authorities.client.certificate, "ca");
  await sealIfOverdue();
  const names = given === undefined ? listPermittedNames(settings, host, authorities.serving, deps.logger) : NO_NAMES;
  const { clientCaFile } = settings;
  const readClientCas = () =>
    readTrustedCas({ own: authorities.clientCas, retired: rotations.listRetired(), clientCaFile }, deps);
  const clientCas = await readClientCas();
  starting.add(
    await takeOverIssuedLog({ path: dir.issuedLog, register, retentionMs: settings.issuedRetention }, deps),
  );
  starting.add(reportOverdue(new IssuedCertificates(register.index), deps));
  const disks = starting.add(
    await watchDisks({ root: dir.root, auditLog, registry, minFreeMegabytes: settings.storageMinFree }, deps),
  );
  // A failed start must not replace the certificate of a running server.
  if (passedSocket === undefined) await checkAddress(address);
  await crls.add(authorityPaths(dir.root), () => Promise.resolve(authorities.serving));
  if (authorities.purposes.includes("client")) {
    await crls.add(authorityPaths(dir.root, "client"), () => Promise.resolve(authorities.client));
  }
  const place = { url: "" };
  const serviceAccounts = await openServiceAccounts(settings, {
    dir,
    isShared: isShared && !isNew,
    url: () => place.url,
  }, deps);
  const attestation = await openAttestation(settings, {
    openKey: () => openSealingKey(dir, isShared, deps),
    isShared,
    inventory,
    caHash: () => publicKeyPin(authorities.serving.certificate),
  }, deps);
  const listExpectedProofs = (): readonly ProofKind[] => attestation.options.expected().kinds;
  const serving = given ?? await ensureServing(dir, authorities.serving, names, deps);
  if (given === undefined) await recordUsed(parseLeaf(serving.certificatePem), "serving");
  const server = starting.add(
    await startApiServer({
      ...deps,
      storage,
      ...address,
      passedSocket,
      serving,
      clientCaPem: clientCas.trusted,
      clientIssuersPem: clientCas.issuers,
      tokenFile,
      bootstrapTokens: settings.enableBootstrapTokenAuth,
      anonymous: settings.anonymousAuth,
      serviceAccounts,
      audit: auditLog.audit,
      maxRequestsInflight: settings.maxRequestsInflight + settings.maxMutatingRequestsInflight,
      objects: [
        ...objects(isNew),
        ...revocationObjects(),
        ...(listExpectedProofs().length > 0 ? attesterObjects() : []),
      ],
      attestation: inventory && attestation.options,
      registry,
      customSigners,
      register,
      checks: [disks.health],
      crls,
      allowMlDsa,
      nodeRecovery: settings.nodeRecovery === 0
        ? undefined
        : { graceMs: settings.nodeRecovery, perHour: settings.nodeRecoveryLimit },
      signingRequests: { maxOpenPerRequester: settings.maxOpenRequestsPerRequester, servedSigners },
    }),
  );
  starting.add(keepRevocations({ server, storage }, deps));
  const retired = () => rotations.listRetired();
  starting.add(await followClientCas({ server, storage, current: clientCas, read: readClientCas, retired }, deps));
  starting.add(watchCaExpiry(expiry, authorities, deps));
  recordServingExpiry(expiry, serving);
  if (given === undefined) {
    const onRenewed = async (next: typeof serving): Promise<void> => {
      await record(parseLeaf(next.certificatePem), "serving");
      server.setServing(next);
      recordServingExpiry(expiry, next);
    };
    starting.add(createServingRenewal({ dir, authority: () => authorities.serving, names, serving, onRenewed }, deps));
  }
  if (deps.heap !== undefined) starting.add(keepHeapSmall(deps.heap, deps));
  const url = `https://${isIPv6(host) ? `[${host}]` : host}:${server.port}`;
  place.url = url;
  const { revocations } = server;
  starting.add(await keepAdminKubeconfig(dir, { server: url, authorities, record: recordUsed, revocations }, deps));

  const lost = new AbortController();
  const background = { until: stored.lost, onFailure: (error: unknown) => lost.abort(error) };
  starting.add(runInBackground((life) => rotations.follow(`${hostname()}:${server.port}`, life), background));
  starting.add(runInBackground((life) => attestation.follow(storage, life), background));
  const parts = starting.move();
  rotations.onAdopted(() => parts.renew());
  return {
    dir,
    storage,
    server,
    recordAuthority: (authority) => recordUsed(authority.certificate, "ca"),
    authorities,
    url,
    advertised,
    isNewCa,
    listExpectedProofs,
    names,
    isNew,
    isShared,
    contents,
    lost: AbortSignal.any([stored.lost, lost.signal]),
    rotations,
    controllerMetrics,
    register,
    crls,
    renew: () => parts.renew(),
    [Symbol.asyncDispose]: () => parts[Symbol.asyncDispose](),
  };
}

/**
 * Creates the data directory. Refuses one that other users may write to, that a newer build wrote, or whose objects are
 * elsewhere.
 */
async function openDataDir(dir: DataDir, settings: ServerSettings, deps: InstanceDeps): Promise<void> {
  const { files, logger } = deps;
  await files.makeDirectory(dir.root, FOLDER_MODE);
  for (const folder of [dir.root, dir.pki]) {
    const { isForGroup } = await checkSecretFolder(folder, files);
    if (isForGroup) logger.warn("the group may write to a folder of secrets", { folder });
  }
  await assertEtcdPlace(dir, settings, "serve", files);
  await ensureFormat(dir.root, files);
}

/** Refuses every mode except Node and RBAC, in any order. */
function assertAuthorizationMode(text: string): void {
  const modes = text.split(",").map((mode) => mode.trim()).sort().join(",");
  if (modes === "Node,RBAC") return;
  throw new AppError(
    "usage",
    `the setting authorizationMode: "${text}" is not supported: tlsboot always authorizes by Node,RBAC`,
    { hint: "omit it, and grant rights with kubectl create clusterrolebinding" },
  );
}

async function readTokenFile(settings: ServerSettings, deps: InstanceDeps): Promise<TokenFile | undefined> {
  const path = settings.tokenAuthFile;
  if (path === undefined) return undefined;
  const parsed = parseTokenFile(await readRequiredFile(path, deps), path);
  if (!parsed.ok) {
    throw new AppError("token_file_invalid", parsed.error, { hint: 'each line reads: token,user,uid,"group1,group2"' });
  }
  for (const warning of parsed.value.warnings) deps.logger.warn("token file", { warning });
  return parsed.value;
}
