/** The world of a simulation: its hosts, who runs on them, and what happens to them until its end. */
import { createAuthority } from "../../core/pki/authority.ts";
import { verifyCertificateSignature } from "../../core/pki/certificate.ts";
import type { CredentialPair } from "../../core/bootstrap/credential_pair.ts";
import { generatePrivateKey } from "../../core/pki/keys.ts";
import { ABSENT_RESOURCES } from "../../server/registry/absent_kinds.ts";
import { STORED_RESOURCES } from "../../server/registry/resources.ts";
import { createStoredValues } from "../../server/registry/stored_values.ts";
import { openEtcdStorage } from "../../server/storage/etcd/open.ts";
import { createMemoryStorage } from "../../server/storage/memory/memory_storage.ts";
import { createMemoryFiles } from "../support/memory_files.ts";
import { EtcdModel } from "./etcd_model.ts";
import { EPOCH_MS, Host, type Process } from "./host.ts";
import { Network } from "./network.ts";
import { createNodeProgram, NODE_FILES } from "./node.ts";
import { installRuntime } from "./runtime.ts";
import { cancelEvent, Scheduler } from "./scheduler.ts";
import { API_HOST, BOOTSTRAP_KUBECONFIG, type Cluster, createServerProgram } from "./server.ts";

/** What a run simulates. */
export interface WorldOptions {
  readonly seed: number;
  readonly hours: number;
  /** The lifetime that nodes request for their certificates, in hours. */
  readonly lifetime: number;
  readonly nodes: number;
  /** One server has its objects in memory; several share an etcd of three members. */
  readonly servers: number;
  /** The file of the trace; undefined to keep its digest alone. */
  readonly tracePath?: string | undefined;
}

/** The account of a run. */
export interface WorldReport {
  readonly digest: string;
  readonly lines: number;
  readonly events: number;
  readonly certificates: number;
  /** The promises that were broken. */
  readonly faults: readonly string[];
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Every such node follows the CAs of the cluster; the others are kubelets, which do not. */
const TLSBOOT_EACH = 8;
/** The time in which the nodes of a run are switched on. */
const ARRIVAL_MS = 3_600_000;

/** How long a server may take to start. */
const START_MS = 60_000;

type OpenStorageOf = Cluster["openStorage"];

const openMemory: OpenStorageOf = ({ clock, logger }) =>
  Promise.resolve({
    storage: createMemoryStorage({ clock, logger, values: createStoredValues(STORED_RESOURCES) }),
    contents: undefined,
  });

/** Creates an etcd, and a function that opens the storage of a server on it. */
function createEtcdOpener(scheduler: Scheduler): OpenStorageOf {
  const etcd = new EtcdModel({
    members: 3,
    random: () => scheduler.random.float(),
    after(ms, run) {
      const event = scheduler.schedule(ms, run, undefined);
      return () => cancelEvent(event);
    },
  });
  return async (own) => {
    own.host.onEnd((ended) => ended === own && etcd.disconnect(own.name));
    return await openEtcdStorage({
      endpoints: { servers: etcd.members, caPem: undefined, certificate: undefined, prefix: "/registry" },
      members: etcd.connect(own.name, (run) => void scheduler.schedule(0, run, own)),
      values: createStoredValues(STORED_RESOURCES, ABSENT_RESOURCES),
      clock: own.clock,
      logger: own.logger,
    });
  };
}

/** Runs a world to its end. */
export async function runWorld(
  { seed, hours, lifetime, nodes, servers, tracePath }: WorldOptions,
): Promise<WorldReport> {
  const scheduler = new Scheduler(seed, tracePath);
  const network = new Network(scheduler);
  installRuntime(scheduler, network);
  const faults: string[] = [];
  const authority = await scheduler.perform(async () =>
    createAuthority({
      commonName: "kubernetes",
      notBefore: new Date(EPOCH_MS - DAY_MS),
      notAfter: new Date(EPOCH_MS + 10 * 365 * DAY_MS),
      key: await generatePrivateKey("ecdsa-p256"),
      serial: Uint8Array.of(1),
    })
  );
  const addHost = (name: string): Host => {
    const host = new Host(name, scheduler, createMemoryFiles());
    network.add(host);
    return host;
  };
  const names = Array.from({ length: servers }, (_, number) => `server-${number}`);
  network.name(API_HOST, names);
  const ready = new Set<string>();
  const program = createServerProgram({
    network,
    authority,
    openStorage: servers === 1 ? openMemory : createEtcdOpener(scheduler),
    onReady: (own) => void ready.add(own.name),
  });
  const all = names.map(addHost);
  const [server] = all;
  for (const host of all) {
    host.start(program);
    // As for a person: the first server makes what the others find.
    await scheduler.run(scheduler.nowMs + START_MS, () => ready.has(host.name));
    if (!ready.has(host.name)) throw new Error(`${host.name} has not started within a minute`);
  }
  const beginMs = scheduler.nowMs;

  let certificates = 0;
  const pairs = new Map<string, CredentialPair>();
  const onPair = (own: Process, pair: CredentialPair): void => {
    if (pairs.get(own.name)?.certificatePem !== pair.certificatePem) certificates++;
    pairs.set(own.name, pair);
  };
  for (let number = 0; number < nodes; number++) {
    const host = addHost(`node-${number}`);
    const kind = number % TLSBOOT_EACH === 0 ? "tlsboot" : "kubelet";
    const node = createNodeProgram({ kind, durationMs: lifetime * HOUR_MS, onPair });
    scheduler.schedule(scheduler.random.float() * ARRIVAL_MS, () => {
      const copied = server!.files.readText(BOOTSTRAP_KUBECONFIG).then((text) =>
        host.files.writeAtomic(NODE_FILES.bootstrapKubeconfig, text ?? "", 0o600)
      );
      copied.then(() => host.start(node), (error: unknown) => scheduler.fail(error));
    });
  }
  await scheduler.run(beginMs + hours * HOUR_MS);
  for (let number = 0; number < nodes; number++) {
    const name = `node-${number}`;
    const leaf = pairs.get(name)?.leaf;
    if (leaf === undefined) faults.push(`${name} has no certificate`);
    else if (leaf.notAfter.getTime() < EPOCH_MS + scheduler.nowMs) faults.push(`${name} has an expired certificate`);
    else if (!verifyCertificateSignature(leaf, authority.certificate)) faults.push(`${name}: another CA has signed`);
  }
  const { lines } = scheduler.trace;
  return { digest: scheduler.trace.end(), lines, events: scheduler.steps, certificates, faults };
}
