/**
 * The world of a simulation: an etcd, servers, nodes and clients on hosts of one network, from their first start to the
 * checks at the end.
 */
import { Buffer } from "node:buffer";
import { DAY_MS } from "../../core/lib/duration.ts";
import type { CredentialPair } from "../../core/machine/credential_pair.ts";
import { type Authority, createAuthority } from "../../core/pki/authority/authority.ts";
import { verifyCertificateSignature } from "../../core/pki/x509/certificate.ts";
import { generatePrivateKey } from "../../core/pki/keys/keys.ts";
import { ABSENT_RESOURCES } from "../../server/registry/absent_kinds.ts";
import { STORED_RESOURCES } from "../../server/registry/resources.ts";
import { BACKDATE_MS } from "../../core/signing/profile.ts";
import { createStoredValues } from "../../server/registry/stored_values.ts";
import type { Api } from "../../server/server.ts";
import { openEtcdStorage } from "../../server/storage/etcd/storage.ts";
import type { Storage } from "../../server/storage/storage.ts";
import type { HistoryWriter } from "../torture/history.ts";
import { createObserver, type Observe } from "../torture/observed.ts";
import type { RevocationCounts, Revoker } from "../torture/revoker.ts";
import { createClientProgram, createRevokerProgram, ensureAdminKubeconfig } from "./client.ts";
import { createSimulatedFiles, type DiskDeps, SimulatedDatabase } from "./disk.ts";
import { EtcdModel } from "./etcd_model.ts";
import type { RunSettings } from "./flags.ts";
import { EPOCH_MS, Host, type Process } from "./host.ts";
import { type FaultPeriod, measureCalm } from "./faults.ts";
import { Invariants } from "./invariants.ts";
import { Network } from "./network.ts";
import { createNodeProgram, NODE_FILES } from "./node.ts";
import { installRuntime } from "./runtime.ts";
import { cancelEvent, Scheduler } from "./scheduler.ts";
import { API_HOST, BOOTSTRAP_KUBECONFIG, createServerProgram, type OpenStorage } from "./server.ts";

interface WorldOptions extends RunSettings {
  /** Whether clocks are set during the run. */
  readonly areClocksSet: boolean;
  /** Takes every call of kubelets and clients, in simulated time. */
  readonly history?: HistoryWriter | undefined;
  /** The file of the trace; undefined to compute only its digest. */
  readonly tracePath?: string | undefined;
}

const HOUR_MS = 3_600_000;
const YEAR_MS = 365 * DAY_MS;
/** One in this many nodes runs `tlsboot` and follows the CAs of the cluster; the others are kubelets, which do not. */
const TLSBOOT_EACH = 8;
/** The longest time until all nodes are switched on, and until a server has started. */
const ARRIVAL_MS = HOUR_MS;
const START_MS = 60_000;
/** The share of a certificate's lifetime after which its renewal has begun. */
const RENEWAL_BEGUN_SHARE = 0.9;
/** How long a renewal may take without faults, including the pauses after earlier failures. */
const RENEWED_WITHIN_MS = 180_000;
/** The number of attempts to list everything without a concurrent commit. */
const MAX_ATTEMPTS = 100;

const CLIENT_KINDS = ["writer", "reader", "watcher"] as const;

const VALUES = createStoredValues(STORED_RESOURCES, ABSENT_RESOURCES);

export class World {
  readonly options: WorldOptions;
  readonly scheduler: Scheduler;
  readonly network: Network;
  /** The etcd of several servers; undefined for a single server. */
  readonly etcd: EtcdModel | undefined;
  readonly servers: readonly Host[];
  readonly nodes: readonly Host[];
  readonly clients: readonly Host[];
  /** The hosts of revokers, which are never cut off from a server, so that they see every answer. */
  readonly revokers: readonly Host[];
  /** The API of each running server. */
  readonly apis = new Map<Host, Api>();
  /** The newest pair of each node that has one. */
  readonly pairs = new Map<Host, CredentialPair>();
  readonly faultPeriods: FaultPeriod[] = [];
  /** The certificates that nodes have stored on their disks. */
  certificates = 0;
  /** The promises that were broken. */
  readonly faults: string[] = [];
  readonly #invariants = new Invariants((fault) => void this.faults.push(fault), () => this.scheduler.nowMs);
  /** The dependencies of all disks, and the database of a server without etcd. */
  readonly #disk: DiskDeps;
  readonly #database: SimulatedDatabase;
  #authority: Authority | undefined;
  #newest = 1;
  #lastPowerCutMs = -1;
  readonly #running: { readonly own: Process; readonly revoker: Revoker }[] = [];
  readonly #observe: Observe;
  /** The unfinished calls and watches of each client. */
  readonly #underway = new Map<string, Set<() => void>>();
  /** The storage of each running server. */
  readonly #storages = new Map<Host, Storage>();

  constructor(options: WorldOptions) {
    this.options = options;
    const scheduler = new Scheduler(options.seed, options.tracePath);
    this.scheduler = scheduler;
    this.network = new Network(scheduler);
    installRuntime(scheduler, this.network);
    this.etcd = options.servers === 1 ? undefined : new EtcdModel({
      members: 3,
      random: () => scheduler.random.float(),
      after(ms, run) {
        const event = scheduler.schedule(ms, run, undefined);
        return () => cancelEvent(event);
      },
      onChange: ({ isDeletion, kv }) => this.#committed(kv.key, kv.modRevision, isDeletion ? undefined : kv.value),
    });
    const wait = (ms: number): Promise<void> => new Promise((resolve) => scheduler.schedule(ms, resolve));
    this.#disk = { random: scheduler.random, wait };
    this.#database = new SimulatedDatabase(
      this.#disk,
      ({ key, revision, current }) => this.#invariants.committed(key, revision, current?.object),
    );
    this.servers = this.#addHosts("server", options.servers);
    this.nodes = this.#addHosts("node", options.nodes);
    this.clients = this.#addHosts("client", options.clients);
    this.revokers = this.#addHosts("revoker", options.revokers);
    const { history } = options;
    const clock = { elapsedMs: () => scheduler.nowMs };
    this.#observe = createObserver({
      clock,
      onBegin: (client, kill) => {
        const underway = this.#underway.get(client) ?? new Set();
        this.#underway.set(client, underway.add(kill));
        return () => void underway.delete(kill);
      },
      history: {
        write: (record) => {
          if (record.kind === "call") this.#invariants.answered(record);
          history?.write(record);
        },
        [Symbol.dispose]() {},
      },
    });
    this.network.name(API_HOST, this.servers.map(({ name }) => name));
  }

  /** Starts the servers one after another, then the nodes and clients within an hour. */
  async start(): Promise<void> {
    const { scheduler, network } = this;
    const authority = await scheduler.perform(createClusterAuthority);
    const program = createServerProgram({
      network,
      authority,
      openStorage: async (own) => {
        const opened = await this.#openStorage(own);
        this.#storages.set(own.host, opened.storage);
        return opened;
      },
      onReady: ({ host }, api) => void this.apis.set(host, api),
    });
    this.servers[0]!.onEnd((_own, how) => how === "lost power" && this.#database.cutPower());
    for (const host of this.servers) {
      host.onEnd((_own, how) => {
        this.apis.delete(host);
        this.#storages.delete(host);
        if (how === "lost power") this.#lastPowerCutMs = scheduler.nowMs;
      });
      host.start(program);
      await scheduler.run(scheduler.nowMs + START_MS, () => this.apis.has(host));
      if (!this.apis.has(host)) throw new Error(`${host.name} has not started within a minute`);
    }
    const copied = await scheduler.perform(() => this.servers[0]!.files.readText(BOOTSTRAP_KUBECONFIG)) ?? "";
    this.nodes.forEach((host, number) => this.#switchOn(host, number, copied));
    for (const host of this.clients) {
      await scheduler.perform(() => ensureAdminKubeconfig(host, authority));
      const kind = CLIENT_KINDS[this.clients.indexOf(host) % CLIENT_KINDS.length]!;
      host.start(createClientProgram({
        kind,
        observe: this.#observe,
        newest: () => this.#findNewest(),
        onFault: (fault) => void this.faults.push(fault),
      }));
    }
    for (const host of this.revokers) {
      await scheduler.perform(() => ensureAdminKubeconfig(host, authority));
      await scheduler.perform(() => host.files.writeAtomic(NODE_FILES.bootstrapKubeconfig, copied, 0o600));
      host.start(createRevokerProgram({
        servers: this.options.servers,
        areClocksSet: this.options.areClocksSet,
        calmSinceMs: (openedMs) => openedMs <= this.#lastPowerCutMs ? Infinity : this.#faultyUntilMs,
        onStart: (own, revoker) => void this.#running.push({ own, revoker }),
        onFault: (fault) => void this.faults.push(fault),
      }));
    }
    this.#authority = authority;
  }

  /** All hosts by their names. */
  get hosts(): ReadonlyMap<string, Host> {
    return new Map(
      [...this.servers, ...this.nodes, ...this.clients, ...this.revokers].map((host) => [host.name, host]),
    );
  }

  /** Checks what must hold at the end. */
  async checkEnd(): Promise<void> {
    this.faults.push(...this.#findNodeFaults());
    for (const { own, revoker } of this.#running) {
      if (own.fate === "run") await this.scheduler.perform(() => revoker.useAll(new AbortController().signal), own);
    }
    for (const host of this.servers) {
      if (this.apis.has(host)) await this.scheduler.perform(() => this.#compareStorage(host), host.running);
      else this.faults.push(`${host.name} does not serve at the end`);
    }
    await this.scheduler.perform(() => this.#invariants.end([this.#authority!.certificate]));
  }

  /** Compares the content of a server that has caught up with what was committed. */
  async #compareStorage(host: Host): Promise<void> {
    const storage = this.#storages.get(host)!;
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      await storage.catchUp();
      const { items, revision } = await storage.list(VALUES.root);
      if (revision >= this.#invariants.revision) return this.#invariants.shown(host.name, items);
    }
    this.faults.push(`${host.name} does not catch up with what was committed`);
  }

  /** Returns the newest revision of any server, or the last known one while none runs. */
  #findNewest(): number {
    this.#newest = Math.max(this.#newest, ...this.#storages.values().map((storage) => storage.revision()));
    return this.#newest;
  }

  /** Passes a change of etcd to the invariants; its key is a string of bytes. */
  #committed(bytes: string, revision: number, value: Uint8Array | undefined): void {
    const key = Buffer.from(bytes, "latin1").toString();
    if (!key.startsWith(VALUES.root)) return;
    this.#invariants.committed(key, revision, value && VALUES.decode(key, value));
  }

  /** Runs the simulation for a time, or until a condition holds. */
  async pass(ms: number, isDone?: () => boolean): Promise<void> {
    await this.scheduler.run(this.scheduler.nowMs + ms, isDone);
  }

  /** Adds up the counts of all revokers. */
  countRevocations(): RevocationCounts {
    const counts = this.#running.map(({ revoker }) => revoker.counts());
    const sum = (name: keyof RevocationCounts): number => counts.reduce((total, one) => total + one[name], 0);
    return { revocations: sum("revocations"), refusals: sum("refusals"), endedWatches: sum("endedWatches") };
  }

  /** Lists the nodes without a valid certificate of the CA. */
  #findNodeFaults(): readonly string[] {
    const now = EPOCH_MS + this.scheduler.nowMs;
    return this.nodes.flatMap((host) => {
      const leaf = this.pairs.get(host)?.leaf;
      if (leaf === undefined) return `${host.name} has no certificate`;
      if (leaf.notAfter.getTime() < now) return `the certificate of ${host.name} has expired`;
      const isOurs = verifyCertificateSignature(leaf, this.#authority!.certificate);
      return isOurs ? [] : `the certificate of ${host.name} is from another CA`;
    });
  }

  #addHosts(kind: string, count: number): readonly Host[] {
    return Array.from({ length: count }, (_, number) => {
      const files = createSimulatedFiles(this.#disk);
      const host = new Host(`${kind}-${number}`, this.scheduler, files);
      host.onEnd((own, how) => {
        if (how === "lost power") files.cutPower();
        for (const kill of this.#underway.get(own.clientName) ?? []) kill();
        this.#underway.delete(own.clientName);
      });
      this.network.add(host);
      return host;
    });
  }

  async #openStorage(own: Process): Promise<OpenStorage> {
    const { etcd, scheduler } = this;
    const { clock, logger } = own;
    if (etcd === undefined) {
      const storage = this.#database.open({ clock, logger, values: VALUES });
      this.#invariants.started(await storage.list(VALUES.root));
      return { storage, contents: undefined };
    }
    own.host.onEnd((ended) => void (ended === own && etcd.disconnect(own.name)));
    return await openEtcdStorage({
      endpoints: { servers: etcd.members, caPem: undefined, certificate: undefined, prefix: "/registry" },
      members: etcd.connect(own.name, (run) => void scheduler.schedule(0, run, own)),
      values: VALUES,
      clock,
      logger,
    });
  }

  /** Copies the bootstrap kubeconfig from a server to a node, as a person would, and starts the node. */
  #switchOn(host: Host, number: number, bootstrapKubeconfig: string): void {
    const kind = number % TLSBOOT_EACH === 0 ? "tlsboot" : "kubelet";
    const program = createNodeProgram({
      kind,
      durationMs: this.options.lifetime * HOUR_MS,
      // The check of histories does not support the selector of the CAs, which `tlsboot` nodes follow.
      observe: kind === "kubelet" ? this.#observe : (connect) => connect,
      onPair: (own, pair) => this.#keepPair(own.host, pair),
    });
    const { scheduler, options } = this;
    scheduler.schedule(scheduler.random.float() * Math.min(ARRIVAL_MS, options.hours * HOUR_MS / 4), () => {
      host.files.writeAtomic(NODE_FILES.bootstrapKubeconfig, bootstrapKubeconfig, 0o600)
        .then(() => host.start(program), (error: unknown) => scheduler.fail(error));
    });
  }

  #keepPair(host: Host, pair: CredentialPair): void {
    const earlier = this.pairs.get(host);
    if (earlier?.certificatePem !== pair.certificatePem) this.certificates++;
    if (earlier !== undefined && this.#wasRenewedLate(earlier)) {
      this.faults.push(`the certificate of ${host.name} had expired when it was replaced`);
    }
    const { notBefore, notAfter } = pair.leaf;
    const hours = (notAfter.getTime() - notBefore.getTime() - BACKDATE_MS) / HOUR_MS;
    const { lifetime } = this.options;
    if (hours > lifetime) this.faults.push(`${host.name} has a certificate for ${hours} hours and wanted ${lifetime}`);
    this.pairs.set(host, pair);
  }

  /** Reports whether a certificate that is being replaced has expired although there was time to renew it. */
  #wasRenewedLate({ leaf: { notBefore, notAfter } }: CredentialPair): boolean {
    const [from, until] = [notBefore.getTime() - EPOCH_MS, notAfter.getTime() - EPOCH_MS];
    if (until > this.scheduler.nowMs) return false;
    // A certificate that was issued ahead of the clock cannot be used until the clock has caught up.
    if (this.options.areClocksSet && this.#faultyUntilMs > from) return false;
    const dueMs = from + RENEWAL_BEGUN_SHARE * (until - from);
    return measureCalm(this.faultPeriods, dueMs, until) >= RENEWED_WITHIN_MS;
  }

  /** The latest time at which the faults that have begun end. */
  get #faultyUntilMs(): number {
    return Math.max(0, ...this.faultPeriods.map(({ untilMs }) => untilMs));
  }
}

async function createClusterAuthority(): Promise<Authority> {
  return await createAuthority({
    commonName: "kubernetes",
    notBefore: new Date(EPOCH_MS - DAY_MS),
    notAfter: new Date(EPOCH_MS + 10 * YEAR_MS),
    key: await generatePrivateKey("ecdsa-p256"),
    serial: Uint8Array.of(1),
  });
}
