/** The clients of the API in a simulation: torture's writers, readers and watchers, with an administrator's credentials. */
import { createConnector, readCluster } from "../../client/transport/connect.ts";
import { issueClientPair } from "../../cli/authority/issue_pair.ts";
import { USER_AGENT } from "../../cli/version.ts";
import { encodeKubeconfig } from "../../core/kube/kubeconfig.ts";
import { MASTERS_GROUP } from "../../core/kube/user.ts";
import type { Authority } from "../../core/pki/authority.ts";
import type { Clock } from "../../core/ports.ts";
import { createSeededRandom } from "../support/seeded_random.ts";
import { CONFIG_MAPS_PATH, runReader, runWriter } from "../torture/clients.ts";
import type { Observe } from "../torture/observed.ts";
import { startWatcher } from "../torture/watcher.ts";
import { EPOCH_MS, type Host, type Program } from "./host.ts";
import { API_HOST, PORT } from "./server.ts";

const KUBECONFIG = "/root/.kube/config";
/** How much longer the pauses of the clients are than in torture. */
const STRETCHED = 500;
/** The share of watches that begin with all objects. */
const STREAMS = 0.2;
const EARLIER_MS = 43_200_000;
const YEAR_MS = 365 * 86_400_000;

/** Writes an administrator's kubeconfig to the disk of a client; it is valid for a server whose clock is set back, too. */
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

/** Where a client reports, and how its connections are recorded. */
export interface ClientOptions {
  readonly kind: "writer" | "reader" | "watcher";
  readonly observe: Observe;
  /** Returns the newest revision of a server that runs. */
  readonly newest: () => number;
  /** Called for each answer that no client may get. */
  readonly onFault: (fault: string) => void;
}

/** Creates the program of a client, which torture has too. */
export function createClientProgram({ kind, observe, newest, onFault }: ClientOptions): Program {
  return async (own) => {
    const { name, clock, random, host: { files } } = own;
    const connect = observe(createConnector({ files, clock, userAgent: USER_AGENT }), name);
    const cluster = await readCluster(KUBECONFIG, files);
    const options = { name, cluster, connect, clock: stretch(clock), random, onFault };
    const never = new AbortController().signal;
    if (kind === "writer") return await runWriter(options, never);
    if (kind === "reader") return await runReader({ ...options, oldest: newest(), newest }, never);
    await startWatcher({ ...options, path: CONFIG_MAPS_PATH, streams: STREAMS }, newest(), never).running;
  };
}

/** Lengthens the pauses, so that a client does in a day what those of torture do in minutes. */
function stretch(clock: Clock): Clock {
  return { ...clock, sleep: (ms, signal) => clock.sleep(ms * STRETCHED, signal) };
}
