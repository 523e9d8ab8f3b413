/** A storm: its clients, the instance under faults, and the checks during the storm and at its end. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createApiClient, listAll } from "../../client/objects/api.ts";
import { type Connect, createConnector, readCluster } from "../../client/transport/connect.ts";
import { createFilePort } from "../../client/files.ts";
import { createSystemClock } from "../../cli/system.ts";
import { getErrorMessage } from "../../core/errors.ts";
import type { ResolvedCluster } from "../../core/kube/kubeconfig/kubeconfig.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import type { IssuedCertificate } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { encodeBase64 } from "../../core/lib/encodings.ts";
import type { CertificateFacts } from "../../core/pki/x509/certificate.ts";
import { parseCaBundle } from "../../core/pki/x509/ca_bundle.ts";
import type { Random } from "../../core/ports.ts";
import { createSeededRandom } from "../support/seeded_random.ts";
import {
  CONFIG_MAPS_PATH,
  NAMESPACES,
  REQUESTS_PATH,
  runApprover,
  runCleaner,
  runReader,
  runWriter,
  SELECTED,
  toConfigMapsPath,
} from "./clients.ts";
import { Ledger, type LedgerCounts, type Shown } from "./ledger.ts";
import { createSettableClock, type SettableClock } from "./clock_steps.ts";
import { type FaultCounts, type FaultKind, Faults, findMissingFaults, formatFaults } from "./faults.ts";
import { createLoneInstance } from "./lone_instance.ts";
import { startNode } from "./node.ts";
import { createHistoryWriter, HISTORY_FILE, type HistoryWriter, KEPT_MS, toHistoryTime } from "./history.ts";
import { createObserver, type Observe } from "./observed.ts";
import { findRegisterFaults, RegisterAudit } from "./register_audit.ts";
import { createRevoker, type RevocationCounts, type Revoker } from "./revoker.ts";
import { createSharedInstance } from "./shared_instance.ts";
import type { InstanceCounts, TorturedInstance, TorturedInstanceOptions } from "./instance.ts";
import { isTransient, startWatcher, type StormClientOptions, type Watcher } from "./watcher.ts";

interface StormOptions {
  readonly folder: string;
  readonly seed: number;
  readonly faults: readonly FaultKind[];
  /** The path of an earlier build, for upgrades and downgrades. */
  readonly earlierBuild: string | undefined;
  /** The largest number of kills within `seconds`. */
  readonly kills: number;
  readonly seconds: number;
  /** The required number of kills. A slow machine may take longer than `seconds` for them. */
  readonly minKills: number;
  readonly nodes: number;
  /** The number of servers; several share an etcd of three members, behind a load balancer. */
  readonly servers: number;
  /** The longest time for clients to settle, to which each node adds some. */
  readonly settleSeconds: number;
  readonly onProgress: (line: string) => void;
}

export interface StormReport extends LedgerCounts, InstanceCounts, RevocationCounts {
  readonly faults: FaultCounts;
  readonly violations: readonly string[];
  readonly seconds: number;
  readonly watchers: number;
  readonly connections: number;
  readonly pairs: number;
  /** The number of records of the register that were checked. */
  readonly records: number;
  /** The number of connections that the load balancer gave each server; empty without one. */
  readonly shares: readonly number[];
}

const RECORDS_PATH = "/apis/tlsboot/v1alpha1/issuedcertificates";
/** Most watchers begin some connections with all objects. Two select objects, which start and stop matching. */
const WATCHERS = [
  ...[0, 0, 0.3].map((streamingShare, index) => ({ name: `requests-${index}`, path: REQUESTS_PATH, streamingShare })),
  { name: "records", path: RECORDS_PATH, streamingShare: 0.2 },
  ...[0, 0.3].map((streamingShare, index) => ({
    name: `config-maps-${index}`,
    path: CONFIG_MAPS_PATH,
    streamingShare,
  })),
  ...NAMESPACES.map((namespace) => ({
    name: `config-maps-${namespace}`,
    path: toConfigMapsPath(namespace),
    streamingShare: 0.1,
  })),
  ...[0, 0.3].map((streamingShare, index) => ({
    ...{ name: `selected-${index}`, path: CONFIG_MAPS_PATH, streamingShare, labelSelector: SELECTED },
  })),
];
const WRITERS = 4;
const READERS = 3;
const APPROVERS = 2;
/** The time limit of a storm, even with too few kills. */
const MAX_STORM_MS = 900_000;
/** The number of faults between two lines of progress, and between two checks of the register. */
const FAULTS_PER_LINE = 10;
/** The time limit for one call, and for all clients to end. */
const END_WITHIN_MS = 90_000;
/** The additional time to settle for each node, which gets its last pair. */
const SETTLE_PER_NODE_MS = 300;

/** Runs a storm to its end, or to the first broken promise. */
export async function runStorm(options: StormOptions): Promise<StormReport> {
  return await new Storm(options).run();
}

class Storm {
  readonly #options: StormOptions;
  readonly #random: Random;
  readonly #clock: SettableClock = createSettableClock(createSystemClock());
  readonly #faults: Faults;
  readonly #ledger = new Ledger();
  readonly #history: HistoryWriter;
  readonly #observe: Observe;
  readonly #connect: Connect;
  readonly #audit = new RegisterAudit();
  #revoker: Revoker | undefined;
  readonly #stop = new AbortController();
  /** Ends the writers, readers and approvers before the watchers. */
  readonly #calm = new AbortController();
  readonly #startedMs: number;
  readonly #watchers: (Watcher & { readonly path: string; readonly isWhole: boolean })[] = [];
  #pairs = 0;
  #instance: TorturedInstance | undefined;

  constructor(options: StormOptions) {
    this.#options = options;
    this.#random = createSeededRandom(options.seed);
    this.#startedMs = this.#clock.elapsedMs();
    const { folder, seed, servers } = options;
    const title = `torture: seed ${seed}, ${servers} server${servers === 1 ? "" : "s"}`;
    // Setting a clock forward ages history. Early compactions are recorded in the history of the run.
    const isKept = !options.faults.includes("clock");
    this.#history = createHistoryWriter(join(folder, HISTORY_FILE), { title, ...(isKept ? { keptMs: KEPT_MS } : {}) });
    this.#observe = createObserver({ history: this.#history, clock: this.#clock, ledger: this.#ledger });
    this.#connect = createConnector({ files: createFilePort(), clock: this.#clock, userAgent: "tlsboot-torture" });
    this.#faults = new Faults({
      kinds: options.faults,
      seconds: options.seconds,
      clock: this.#clock,
      random: this.#random,
      pause: (ms) => this.#pause(ms),
      onInflicted: (kind) => this.#history.write({ kind: "note", at: this.#nowUs(), text: kind }),
    });
  }

  async run(): Promise<StormReport> {
    using _history = this.#history;
    await using instance = await this.#createInstance();
    this.#instance = instance;
    await instance.begin();
    const cluster = await readCluster(instance.adminKubeconfig, createFilePort());
    const running = await this.#startClients(instance, cluster);
    try {
      let inflicted = 0;
      let listed: Promise<unknown> = Promise.resolve();
      while (this.#hasTime() && this.#isSound()) {
        const fault = this.#faults.draw();
        // The next fault may happen while a list is read.
        const [healed, read] = await Promise.allSettled([instance.inflict(fault), listed]);
        for (const outcome of [healed, read]) if (outcome.status === "rejected") throw outcome.reason;
        listed = this.#list(cluster, `after a fault (${fault})`);
        listed.catch(() => {});
        if (++inflicted % FAULTS_PER_LINE === 0) {
          this.#options.onProgress(this.#formatProgress());
          await this.#auditRegister(instance, cluster);
        }
      }
      await listed;
      await instance.settle();
      if (this.#isSound()) await this.#settle(instance, cluster, running.nodes);
    } catch (error) {
      this.#addFault(`the storm ended: ${getErrorMessage(error)}\n${instance.stderr()}`);
    } finally {
      this.#stop.abort(new Error("the storm is over"));
      await this.#awaitEnd(running.tasks);
    }
    const shares = await instance.shares().catch((error: unknown) => {
      this.#addFault(`the load balancer is gone: ${getErrorMessage(error)}\n${instance.stderr()}`);
      return [];
    });
    await instance.end();
    return this.#report(shares);
  }

  /** Waits for all clients to end; a client that does not end is a fault. */
  async #awaitEnd(tasks: ReadonlyMap<string, Promise<void>>): Promise<void> {
    const running = new Set(tasks.keys());
    const over = new AbortController();
    const late = this.#clock.sleep(END_WITHIN_MS, over.signal).catch(() => {});
    const end = (name: string): void => void running.delete(name);
    const ended = Promise.all([...tasks].map(([name, task]) => task.then(() => end(name), () => end(name))));
    await Promise.race([ended, late]);
    over.abort();
    if (running.size > 0) this.#addFault(`${[...running].join(", ")} did not end in ${END_WITHIN_MS / 1000} s`);
  }

  async #createInstance(): Promise<TorturedInstance> {
    const { folder, kills, servers } = this.#options;
    const options: TorturedInstanceOptions = {
      folder,
      clock: this.#clock,
      faults: this.#faults,
      earlierBuild: this.#options.earlierBuild,
      random: this.#random,
      pause: (ms) => this.#pause(ms),
      hasTime: () => this.#hasTime(),
      newestShown: () => this.#ledger.newest,
      onCompaction: (revision, beginMs, endMs) =>
        this.#history.write({ kind: "compaction", begin: toHistoryTime(beginMs), end: toHistoryTime(endMs), revision }),
      onFault: (fault) => this.#addFault(fault),
    };
    return await (servers === 1 ? createLoneInstance(options, kills) : createSharedInstance(options, servers));
  }

  #nowUs(): number {
    return toHistoryTime(this.#clock.elapsedMs());
  }

  #hasTime(): boolean {
    const { kills, minKills, seconds, faults } = this.#options;
    const { counts } = this.#faults;
    const elapsedMs = this.#clock.elapsedMs() - this.#startedMs;
    const isProof = counts.kill >= minKills && findMissingFaults(counts, faults).length === 0;
    return counts.kill < kills && elapsedMs < (isProof ? seconds * 1000 : MAX_STORM_MS);
  }

  #counts(): InstanceCounts {
    return this.#instance?.counts() ?? { killedStarting: 0, checks: 0 };
  }

  #isSound(): boolean {
    return this.#ledger.violations.length === 0;
  }

  #addFault(violation: string): void {
    this.#ledger.violations.push(violation);
  }

  #pause(ms: number): Promise<void> {
    return this.#clock.sleep(ms, this.#stop.signal).catch(() => {});
  }

  async #startClients(instance: TorturedInstance, cluster: ResolvedCluster) {
    const { signal } = this.#stop;
    const rest = { cluster, clock: this.#clock };
    const observe = (name: string) => ({ name, connect: this.#observe(this.#connect, name) });
    // The actions of a client must not depend on the speed of the others.
    const createRandom = (index: number): Random => createSeededRandom(this.#options.seed * 1_000 + index);
    const onFault = (fault: string): void => this.#addFault(fault);
    const areClocksSet = this.#faults.has("clock");
    const firstRevision = await this.#list(cluster, "at the start");
    const tasks = new Map<string, Promise<void>>();
    for (const [index, { name, ...watched }] of WATCHERS.entries()) {
      const client = { ...rest, ...watched, ...observe(name), random: createRandom(index), onFault };
      const { watcher, running } = startWatcher(client, firstRevision, signal);
      this.#watchers.push({ ...watcher, path: watched.path, isWhole: !("labelSelector" in watched) });
      tasks.set(name, running);
    }
    const busy = AbortSignal.any([signal, this.#calm.signal]);
    const start = (
      kind: string,
      count: number,
      seed: number,
      run: (client: StormClientOptions) => Promise<void>,
    ): void => {
      for (let index = 0; index < count; index++) {
        const client = { ...rest, ...observe(`${kind}-${index}`), random: createRandom(seed + index), onFault };
        tasks.set(client.name, run(client));
      }
    };
    const newest = () => this.#ledger.newest;
    const stored = new Set<string>();
    start("writer", WRITERS, 100, (client) => runWriter(client, busy));
    start("cleaner", 1, 200, (client) => runCleaner({ ...client, stored }, signal));
    start("reader", READERS, 400, (client) => runReader({ ...client, oldest: firstRevision, newest }, busy));
    start("approver", APPROVERS, 500, (client) => runApprover(client, busy));
    const nodes = Array.from({ length: this.#options.nodes }, (_, index) =>
      startNode({
        ...rest,
        areClocksSet,
        ...observe(`node${index}`),
        folder: join(this.#options.folder, "nodes"),
        bootstrapKubeconfig: instance.bootstrapKubeconfig,
        random: createRandom(1_000 + index),
        onFault,
        onStored: (certificatePem) => void stored.add(encodeBase64(new TextEncoder().encode(certificatePem))),
      }, signal));
    this.#revoker = createRevoker({
      ...rest,
      areClocksSet,
      ...observe("victim"),
      folder: this.#options.folder,
      bootstrapKubeconfig: instance.bootstrapKubeconfig,
      servers: this.#options.servers,
      calmSinceMs: () => this.#faults.calmSinceMs(),
      files: createFilePort(),
      hasServiceAccounts: true,
      pace: 1,
      random: createRandom(300),
      onFault,
    });
    tasks.set("revoker", this.#revoker.run(signal));
    for (const [index, node] of nodes.entries()) tasks.set(`node${index}`, node.running);
    return { tasks, nodes };
  }

  /** Lists everything for the history. Returns the revision of the list of requests. */
  async #list(cluster: ResolvedCluster, when: string): Promise<number> {
    let revision = 0;
    for (const path of [CONFIG_MAPS_PATH, REQUESTS_PATH]) {
      const listing = await this.#ask(cluster, `list ${when}`, (api, signal) => listAll(api, path, {}, signal));
      revision = Number(listing.resourceVersion);
    }
    return revision;
  }

  /** Checks the register against the certificates that were shown before, and against the requests after. */
  async #auditRegister(instance: TorturedInstance, cluster: ResolvedCluster): Promise<void> {
    const issued = this.#ledger.listShownCertificates();
    const list = async <T extends KubeObject>(path: string) =>
      (await this.#ask(cluster, `list ${path}`, (api, signal) => listAll<T>(api, path, {}, signal))).items;
    const records = await list<IssuedCertificate>(RECORDS_PATH);
    const requests = await list<Shown>(REQUESTS_PATH);
    for (const fault of findRegisterFaults(records, { issued, requests })) this.#addFault(fault);
    for (const fault of await this.#audit.compare(records, await this.#readCas(instance))) this.#addFault(fault);
  }

  async #readCas({ caPath }: TorturedInstance): Promise<readonly CertificateFacts[]> {
    const cas = parseCaBundle(await readFile(caPath, "utf8"));
    if (!cas.ok) throw new Error(`the CA cannot be read: ${cas.error}`);
    return cas.value;
  }

  /** Calls the API until it answers. */
  async #ask<T>(
    cluster: ResolvedCluster,
    what: string,
    ask: (api: ReturnType<typeof createApiClient>, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(END_WITHIN_MS)]);
    await using transport = await this.#observe(this.#connect, "lister")(cluster);
    const api = createApiClient(transport, { clock: this.#clock });
    while (true) {
      try {
        return await ask(api, signal);
      } catch (error) {
        if (signal.aborted || !isTransient(error)) {
          throw new Error(`${what}: ${getErrorMessage(error)}`, { cause: error });
        }
        await this.#pause(20);
      }
    }
  }

  /** Waits until every watcher of a whole collection has seen the last write to it. */
  async #awaitWatchers(cluster: ResolvedCluster): Promise<void> {
    await this.#ask(cluster, "write a last time", async (api, signal) => {
      for (const namespace of NAMESPACES) {
        const metadata = { name: `last-${this.#ledger.newest}` };
        const body = { apiVersion: "v1", kind: "ConfigMap", metadata, data: { write: metadata.name } };
        await api.requestObject({ method: "POST", path: toConfigMapsPath(namespace), body }, signal);
      }
    });
    const { settleSeconds } = this.#options;
    const deadline = this.#clock.elapsedMs() + settleSeconds * 1000;
    const whole = this.#watchers.filter(({ isWhole }) => isWhole);
    for (const path of new Set(whole.map((watcher) => watcher.path))) {
      const watchers = whole.filter((watcher) => watcher.path === path);
      const listing = await this.#ask(cluster, `list ${path}`, (api, signal) => listAll(api, path, {}, signal));
      const last = Math.max(
        ...listing.items.map(({ metadata }) => Number(metadata.resourceVersion)),
        ...watchers.map((watcher) => watcher.position()),
      );
      while (watchers.some((watcher) => watcher.position() < last)) {
        if (this.#clock.elapsedMs() > deadline) {
          return this.#addFault(`a watch of ${path} has not delivered revision ${last} ${settleSeconds} s after it`);
        }
        await this.#pause(20);
      }
    }
  }

  /** Waits until every node has one more pair and every watcher has seen everything. */
  async #settle(
    instance: TorturedInstance,
    cluster: ResolvedCluster,
    nodes: readonly ReturnType<typeof startNode>[],
  ): Promise<void> {
    for (const node of nodes) node.settle();
    const withinMs = this.#options.settleSeconds * 1000 + nodes.length * SETTLE_PER_NODE_MS;
    const late = this.#clock.sleep(withinMs, this.#stop.signal).then(() => "late", () => "late");
    const outcome = await Promise.race([Promise.all(nodes.map((node) => node.running)), late]);
    if (outcome === "late") this.#addFault(`some nodes have no new pair ${withinMs / 1000} s after the last fault`);
    const [ca] = await this.#readCas(instance);
    for (const node of nodes) {
      const fault = await node.findFault(ca!, AbortSignal.timeout(END_WITHIN_MS)).catch(getErrorMessage);
      if (fault === undefined) this.#pairs++;
      else this.#addFault(fault);
    }
    await this.#awaitRevocations();
    await this.#revoker?.useAll(this.#stop.signal);
    this.#calm.abort(new Error("the storm calms down"));
    await this.#list(cluster, "at the end");
    await this.#auditRegister(instance, cluster);
    await this.#awaitWatchers(cluster);
  }

  /** Waits for each effect of a revocation, because a storm of a few faults may end before the first one. */
  async #awaitRevocations(): Promise<void> {
    const deadline = this.#clock.elapsedMs() + this.#options.settleSeconds * 1000;
    const isSeen = (): boolean => Object.values(this.#revoker?.counts() ?? {}).every((count) => count > 0);
    while (!isSeen() && this.#clock.elapsedMs() < deadline) await this.#pause(20);
  }

  #formatProgress(): string {
    const { certificates, writes, deletions } = this.#ledger.counts;
    return `${
      formatFaults(this.#faults.counts, this.#options.faults)
    }, ${certificates} certificates, ${writes} writes, ${deletions} deletions`;
  }

  #report(shares: readonly number[]): StormReport {
    return {
      ...this.#ledger.counts,
      violations: this.#ledger.violations,
      ...this.#counts(),
      faults: this.#faults.counts,
      seconds: (this.#clock.elapsedMs() - this.#startedMs) / 1000,
      watchers: this.#watchers.length,
      connections: this.#watchers.reduce((sum, watcher) => sum + watcher.connections(), 0),
      pairs: this.#pairs,
      records: this.#audit.records,
      ...this.#revoker?.counts() ?? { revocations: 0, refusals: 0, endedWatches: 0 },
      shares,
    };
  }
}
