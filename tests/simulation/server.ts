/** A server of the simulation: the parts of `up`, with a given storage and the simulated network. */
import { ensureServing } from "../../instance/parts/serving.ts";
import {
  createSecretStore,
  createTrustLookup,
  type Election,
  runElected,
  runInProcess,
  SHARED_STORE_ELECTION,
  UP_SIGNERS,
} from "../../instance/controllers/controllers.ts";
import { dataDirAt } from "../../instance/data_dir.ts";
import type { InstanceDeps } from "../../instance/deps.ts";
import { autoApproveBinding, initialBindings, offeredRoles, ROOT_USER } from "../../instance/instance_rbac.ts";
import { ensureBootstrapKubeconfig, ensureClusterInfo } from "../../instance/joining.ts";
import { Parts, renewEachMinute, runInBackground } from "../../instance/parts/parts.ts";
import { openRegister, parseLeaf } from "../../instance/parts/register.ts";
import { isNewStorage } from "../../instance/storage/storage.ts";
import { keepRevocations, revocationObjects } from "../../instance/parts/revocation.ts";
import type { Authority } from "../../core/pki/authority/authority.ts";
import { planServingNames } from "../../core/pki/authority/serving_certificate.ts";
import { DEFAULT_SIGNING_SECONDS } from "../../core/signing/profile.ts";
import { GIT_VERSION, USER_AGENT } from "../../core/version.ts";
import { type Api, createApi } from "../../server/server.ts";
import type { StoreContents } from "../../server/storage/etcd/contents.ts";
import type { Storage } from "../../server/storage/storage.ts";
import type { Process, Program } from "./host.ts";
import { serveHttps } from "./https.ts";
import type { Network } from "./network.ts";
import { tokenApproverObjects } from "../../instance/controllers/run_approver.ts";

/** The port of every server. */
export const PORT = 6443;
/** The name that clients use for any of the servers. */
export const API_HOST = "api";

/** An open storage; `contents` is set if other servers share it. */
export interface OpenStorage {
  readonly storage: Storage;
  readonly contents: StoreContents | undefined;
}

/** The parts that the servers of a cluster share. */
interface Cluster {
  readonly network: Network;
  readonly authority: Authority;
  /** Opens the storage of a process that is starting. */
  readonly openStorage: (own: Process) => Promise<OpenStorage>;
  /** Called when a server has started. */
  readonly onReady: (own: Process, api: Api) => void;
}

/** The path of the bootstrap kubeconfig on the disk of a server. */
export const BOOTSTRAP_KUBECONFIG = "/var/lib/tlsboot/bootstrap.kubeconfig";
const DATA_DIR = "/var/lib/tlsboot";
const YEAR_MS = 365 * 86_400_000;

/** Twenty times slower than in `up`; otherwise servers would spend most of a run on the Lease. */
const ELECTION: Election = {
  ...SHARED_STORE_ELECTION,
  leaseDurationMs: 200_000,
  renewDeadlineMs: 140_000,
  retryPeriodMs: 30_000,
};

export function createServerProgram(cluster: Cluster): Program {
  return async (own) => {
    const { network, authority } = cluster;
    const signal = new AbortController().signal;
    const deps = createDeps(own);
    const { storage, contents } = await cluster.openStorage(own);
    const isNew = await isNewStorage(storage);
    const parts = new Parts();
    const { register, recordUsed, record } = parts.add(
      await openRegister({
        audit: undefined,
        storage,
        authority: () => authority,
        retentionMs: YEAR_MS,
        earlierFile: `${DATA_DIR}/issued`,
      }, deps),
    );
    await recordUsed(authority.certificate, "ca");
    const clientCas = [authority.certificate];
    const dir = dataDirAt(DATA_DIR);
    const names = planServingNames([own.name, API_HOST], () => false);
    let serving = await ensureServing(dir, authority, names, deps);
    await recordUsed(parseLeaf(serving.certificatePem), "serving");
    const api = await createApi({
      storage,
      ...deps,
      port: PORT,
      tokenFile: undefined,
      bootstrapTokens: true,
      anonymous: true,
      audit: undefined,
      version: { major: "1", minor: "37", gitVersion: GIT_VERSION },
      objects: [
        ...(isNew ? initialBindings() : []),
        ...offeredRoles(),
        autoApproveBinding(),
        ...tokenApproverObjects(false),
        ...revocationObjects(),
      ],
      register,
      nodeRecovery: undefined,
      clientCas: () => clientCas,
      serverAddress: () => `${API_HOST}:${PORT}`,
      signingRequests: { maxOpenPerRequester: 0, servedSigners: () => UP_SIGNERS },
    });
    parts.add(keepRevocations({ server: api, storage }, deps));
    serveHttps(own, network, PORT, { app: api.app, serving: () => serving, clientCas: () => clientCas });
    parts.add({
      async renew() {
        const next = await ensureServing(dir, authority, names, deps);
        if (next.certificatePem === serving.certificatePem) return;
        await record(parseLeaf(next.certificatePem), "serving");
        serving = next;
      },
    });
    const published = { server: `https://${API_HOST}:${PORT}`, caPem: authority.certificatePem };
    const isShared = contents !== undefined;
    await ensureClusterInfo({ server: api, isShared }, published, deps, signal);
    const secrets = createSecretStore(api.transportFor(ROOT_USER, `${USER_AGENT} up`), deps);
    const renew = async (): Promise<void> => {
      await ensureBootstrapKubeconfig({ path: BOOTSTRAP_KUBECONFIG }, secrets, published, deps, signal);
    };
    await renew();
    parts.add({ renew });
    const settings = {
      authorities: () => Promise.resolve(authority),
      signerNames: UP_SIGNERS,
      signingDurationSeconds: DEFAULT_SIGNING_SECONDS,
      isTrustedForClients: createTrustLookup({ clientCas: () => clientCas }),
      trust: {
        content: () => ({ trustBundle: authority.certificatePem, annotations: {} }),
        onChange: () => ({ [Symbol.dispose]() {} }),
      },
      storage,
      register,
      contents,
      without: [],
    };
    const runControllers = (life: AbortSignal): Promise<void> => runInProcess(api, settings, deps, life);
    const failure = Promise.withResolvers<never>();
    const background = { until: signal, onFailure: (error: unknown) => failure.reject(error) };
    const leases = api.transportFor(ROOT_USER, USER_AGENT);
    runInBackground(
      (life) => isShared ? runElected(leases, ELECTION, deps, runControllers, life) : runControllers(life),
      background,
    );
    runInBackground((life) => renewEachMinute(() => parts.renew(), deps, life), background);
    cluster.onReady(own, api);
    await failure.promise;
  };
}

/** Creates the adapters of a program that runs on a host. */
function createDeps(own: Process): InstanceDeps {
  const { clock, random, logger } = own;
  return {
    files: own.host.files,
    clock,
    random,
    logger,
    cwd: "/",
    // The CA of the simulation is in memory only.
    keys: undefined as unknown as InstanceDeps["keys"],
    heap: undefined,
    stdout: { write() {} },
  };
}
