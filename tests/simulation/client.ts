/** The clients of a simulation: torture's writers, readers, watchers and revokers, as an administrator. */
import { createConnector, readCluster } from "../../client/transport/connect.ts";
import { issueClientPair } from "../../instance/authority/issue_pair.ts";
import { encodeKubeconfig } from "../../core/kube/kubeconfig/kubeconfig.ts";
import { isAppError } from "../../core/errors.ts";
import { MASTERS_GROUP } from "../../core/kube/user.ts";
import type { Authority } from "../../core/pki/authority/authority.ts";
import type { Clock } from "../../core/ports.ts";
import { createSeededRandom } from "../support/seeded_random.ts";
import { CONFIG_MAPS_PATH, runReader, runWriter } from "../torture/clients.ts";
import type { Observe } from "../torture/observed.ts";
import { createRevoker, type Revoker } from "../torture/revoker.ts";
import { startWatcher } from "../torture/watcher.ts";
import { EPOCH_MS, type Host, type Process, type Program } from "./host.ts";
import { NODE_FILES } from "./node.ts";
import { API_HOST, PORT } from "./server.ts";
import { USER_AGENT } from "../../core/version.ts";

const KUBECONFIG = "/root/.kube/config";
/** The factors by which the pauses of clients and revokers are longer than in torture. */
const [CLIENT_PACE, REVOKER_PACE] = [500, 600];
/** The folder of a revoker's victims. */
const VICTIMS = "/root/victims";
/** The share of watches that begin with all objects. */
const STREAMING_SHARE = 0.2;
const EARLIER_MS = 43_200_000;
const YEAR_MS = 365 * 86_400_000;

/** Writes an administrator's kubeconfig to a client's disk. It is also valid for a server whose clock is set back. */
export async function ensureAdminKubeconfig(host: Host, authority: Authority): Promise<void> {
  const identity = { commonName: host.name, organizations: [MASTERS_GROUP], lifetimeMs: 10 * YEAR_MS };
  const random = createSeededRandom(host.scheduler.seed);
  const pair = await issueClientPair(authority, identity, {
    clock: { now: () => new Date(EPOCH_MS - EARLIER_MS) },
    random,
  });
  const text = encodeKubeconfig({
    clusters: [{
      name: "c",
      cluster: { server: `https://${API_HOST}:${PORT}`, certificateAuthorityData: authority.certificatePem },
    }],
    contexts: [{ name: "c", context: { cluster: "c", user: "u" } }],
    users: [{
      name: "u",
      user: { clientCertificateData: pair.certificatePem, clientKeyData: pair.keyPem },
    }],
    currentContext: "c",
  });
  await host.files.writeAtomic(KUBECONFIG, text, 0o600);
}

interface ClientOptions {
  readonly kind: "writer" | "reader" | "watcher";
  readonly observe: Observe;
  /** Returns the newest revision of any running server. */
  readonly newest: () => number;
  /** Called for each answer that no client may receive. */
  readonly onFault: (fault: string) => void;
}

/** Creates the program of a client of torture. */
export function createClientProgram({ kind, observe, newest, onFault }: ClientOptions): Program {
  return async (own) => {
    const { clock, random, host: { files } } = own;
    // A writer numbers its writes from 1 after each start, so each start needs a new name.
    const name = own.clientName;
    const connect = observe(createConnector({ files, clock, userAgent: USER_AGENT }), name);
    const cluster = await readCluster(KUBECONFIG, files);
    const isOwnFault = (error: unknown): boolean =>
      own.host.isClockSet && isAppError(error, "clock_skew", "tls_untrusted");
    const options = { name, cluster, connect, clock: stretch(clock), random, onFault, isOwnFault };
    const never = new AbortController().signal;
    if (kind === "writer") return await runWriter(options, never);
    if (kind === "reader") return await runReader({ ...options, oldest: newest(), newest }, never);
    await startWatcher({ ...options, path: CONFIG_MAPS_PATH, streamingShare: STREAMING_SHARE }, newest(), never)
      .running;
  };
}

interface RevokerHostOptions {
  readonly servers: number;
  /** Whether clocks are set during the run. */
  readonly areClocksSet: boolean;
  /** Returns the time from which every server can end a watch; Infinity if it can never end. */
  readonly calmSinceMs: (openedMs: number) => number;
  readonly onStart: (own: Process, revoker: Revoker) => void;
  readonly onFault: (fault: string) => void;
}

/** Creates the program of a revoker: it steals credentials, revokes them, and uses them for the rest of the run. */
export function createRevokerProgram({ onStart, ...options }: RevokerHostOptions): Program {
  return async (own) => {
    const { name, random, logger, host: { files, scheduler } } = own;
    const clock = { ...own.clock, elapsedMs: () => scheduler.nowMs };
    const revoker = createRevoker({
      ...options,
      ...{ name, folder: VICTIMS, files, clock, random, logger },
      bootstrapKubeconfig: NODE_FILES.bootstrapKubeconfig,
      connect: createConnector({ files, clock, userAgent: USER_AGENT }),
      cluster: await readCluster(KUBECONFIG, files),
      hasServiceAccounts: false,
      pace: REVOKER_PACE,
    });
    onStart(own, revoker);
    await revoker.run(new AbortController().signal);
  };
}

/** Lengthens pauses, so that a client does in a day what it does in minutes in torture. */
function stretch(clock: Clock): Clock {
  return { ...clock, sleep: (ms, signal) => clock.sleep(ms * CLIENT_PACE, signal) };
}
