/** Several servers behind HAProxy on an etcd of three members. Faults hit one server and one member at a time. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pick } from "../support/seeded_random.ts";
import { type Etcd, type EtcdMember, startEtcd } from "../support/interop/etcd.ts";
import { createNetwork, type Network, type Place } from "../support/interop/network_namespace.ts";
import { findServerPort } from "../support/temp.ts";
import { STORED_RESOURCES } from "../../server/registry/resources.ts";
import { createStoredValues } from "../../server/registry/stored_values.ts";
import { type Balancer, startBalancer } from "./balancer.ts";
import { type Clocks, createClocks } from "./clock_steps.ts";
import { ControllerTerms, findTermFaults, MAX_RENEWALS, type OwnWrite, TERMS_POLICY } from "./controller_terms.ts";
import type { FaultKind } from "./faults.ts";
import { findStoredFaults } from "./register_audit.ts";
import { createTorturedServer, startTogether, type TorturedServer } from "./server.ts";
import {
  type InstanceCounts,
  STARTING_KILLS,
  type TorturedInstance,
  type TorturedInstanceOptions,
} from "./instance.ts";

/** With three members, a majority remains when one fails. */
const MEMBERS = 3;
/** The longest time until the next fault, with all members up. */
const LONGEST_RUN_MS = 4_000;
/** The longest time until a killed program is started again. */
const LONGEST_ABSENCE_MS = 2_000;
/** The longest time until a start is interrupted. */
const LONGEST_START_MS = 2_000;
/** The share of pauses that stop a server, half of them the one that runs the controllers; the others stop a member. */
const SERVERS_SHARE = 0.7;
/** The longest time until another server has renewed the Lease so often that the previous holder must stop. */
const CLAIMED_WITHIN_MS = 60_000;
const CLAIMS_PAUSE_MS = 500;
/** How many further renewals expose a server that has not stopped. */
const EXPOSING_RENEWALS = 4;
/** Large enough that the audit log of a server is never rotated. */
const AUDIT_MEGABYTES = 1_000_000;
/** The share of partitions that lose only the answers of a member, for longer than a server waits for them. */
const SILENCES_SHARE = 0.4;
const SILENCE_MS = 12_000;
const POLICY_FILE = "audit_policy.json";
/** A time after the end of any storm. */
const FOREVER_MS = 1e12;
/** The largest number of revisions that a compaction keeps, so that some slow clients need no new list. */
const KEPT_REVISIONS = 50;

/** Creates an instance and starts its etcd; `begin` starts the servers and the load balancer. */
export async function createSharedInstance(
  options: TorturedInstanceOptions,
  servers: number,
): Promise<TorturedInstance> {
  const { folder, faults, clock } = options;
  await writeFile(join(folder, POLICY_FILE), TERMS_POLICY);
  const clocks = faults.has("clock") ? await createClocks(folder, servers, clock) : undefined;
  await using stack = new AsyncDisposableStack();
  const network = faults.has("partition") ? stack.use(await createNetwork(servers + MEMBERS)) : undefined;
  const etcd = stack.use(
    await startEtcd({
      members: MEMBERS,
      ...(network === undefined ? {} : { places: network.places.slice(servers) }),
    }),
  );
  const ports: number[] = [];
  while (ports.length < servers) ports.push(await findServerPort());
  return new SharedInstance(options, {
    etcd,
    clocks,
    network,
    ports,
    port: await findServerPort(),
    owned: stack.move(),
  });
}

interface SharedParts {
  readonly etcd: Etcd;
  readonly clocks: Clocks | undefined;
  /** The places of the servers, followed by those of the members. */
  readonly network: Network | undefined;
  /** The ports of the servers. */
  readonly ports: readonly number[];
  /** The port of the load balancer. */
  readonly port: number;
  /** Ends etcd and then the network when it is disposed. */
  readonly owned: AsyncDisposable;
}

class SharedInstance implements TorturedInstance {
  readonly #options: TorturedInstanceOptions;
  readonly #parts: SharedParts;
  readonly #etcd: Etcd;
  #balancer: Balancer | undefined;
  readonly #servers: readonly TorturedServer[];
  readonly #terms: ControllerTerms;
  readonly #counts = { killedStarting: 0, checks: 0 };
  readonly caPath: string;
  readonly adminKubeconfig: string;
  readonly bootstrapKubeconfig: string;

  constructor(options: TorturedInstanceOptions, parts: SharedParts) {
    const { folder, earlierBuild } = options;
    const { etcd, clocks, network, ports } = parts;
    this.#options = options;
    this.#parts = parts;
    this.#etcd = etcd;
    const logs = ports.map((_, index) => join(folder, `audit-${index}.log`));
    this.#terms = new ControllerTerms(logs);
    this.#servers = ports.map((port, index) =>
      createTorturedServer({
        dataDir: join(folder, `server-${index}`),
        port,
        // Each server prefers another member, so that one may be behind the others.
        flags: [
          "--etcd-servers",
          [...etcd.urls.slice(index % MEMBERS), ...etcd.urls.slice(0, index % MEMBERS)].join(","),
          ...["--audit-log-path", logs[index]!, "--audit-log-maxsize", `${AUDIT_MEGABYTES}`],
          ...["--audit-policy-file", join(folder, POLICY_FILE)],
        ],
        ...(network === undefined ? {} : { place: network.places[index]! }),
        ...(clocks === undefined ? {} : { env: clocks.envs[index]! }),
        earlierBuild,
      })
    );
    this.caPath = join(this.#servers[0]!.dataDir, "pki", "ca.crt");
    this.adminKubeconfig = join(folder, "admin.kubeconfig");
    this.bootstrapKubeconfig = join(folder, "bootstrap.kubeconfig");
  }

  async begin(): Promise<void> {
    const servers = this.#servers as [TorturedServer, ...TorturedServer[]];
    await startTogether(servers);
    const { folder, random } = this.#options;
    const { port, clocks } = this.#parts;
    const hosts = servers.map(({ host }) => host);
    this.#balancer = await startBalancer({ folder, port, servers: hosts, caPath: this.caPath });
    for (const name of ["admin.kubeconfig", "bootstrap.kubeconfig"]) {
      const text = await readFile(join(servers[0].dataDir, name), "utf8");
      const balanced = text.replaceAll(/https:\/\/[^\s"]+/g, `https://127.0.0.1:${port}`);
      await writeFile(join(folder, name), balanced, { mode: 0o600 });
    }
    await clocks?.step(random);
  }

  async inflict(fault: FaultKind): Promise<void> {
    const { pause, random, faults } = this.#options;
    await pause(random.float() * LONGEST_RUN_MS);
    const server = pick(this.#options.random, this.#servers);
    const member = pick(this.#options.random, this.#etcd.members);
    switch (fault) {
      case "kill":
        await Promise.all([server.kill(), member.kill()]);
        faults.count("kill", 2);
        await pause(random.float() * LONGEST_ABSENCE_MS);
        member.restart();
        await Promise.all([this.#revive(server), member.healthy()]);
        break;
      case "pause":
        await this.#pause(server, member);
        break;
      case "clock":
        await this.#setClocks(server);
        break;
      case "partition":
        await this.#part(server, member);
        break;
      case "compact":
        await this.#compact();
        break;
      case "upgrade":
        await server.kill();
        server.change();
        faults.count("upgrade");
        await this.#revive(server);
    }
    await Promise.all([...this.#etcd.members.map((one) => one.healthy()), ...this.#servers.map((one) => one.up())]);
  }

  /** Stops a server or a member for a while. If the server runs the controllers, another one takes over meanwhile. */
  async #pause(server: TorturedServer, member: EtcdMember): Promise<void> {
    const { random, faults } = this.#options;
    const [share, isLeaderWanted] = [random.float(), random.float() < 0.5];
    const claims = await this.#terms.listClaims();
    const leader = this.#servers[claims.at(-1)?.server ?? -1];
    const held = isLeaderWanted ? leader ?? server : server;
    const victim = share < SERVERS_SHARE ? held : member;
    victim.signal("SIGSTOP");
    await faults.last("pause", () => victim.signal("SIGCONT"), async () => {
      await this.#disturb(held);
      if (isLeaderWanted && victim === leader) {
        await this.#awaitClaims((now) => this.#servers[now.at(-1)!.server] !== leader);
      }
    });
    if (victim !== leader) return;
    // Wait until the victim notices that its term is over: if stopped again earlier, it may write later than allowed.
    const { length } = await this.#terms.listClaims();
    await this.#awaitClaims((now) => now.length - length > MAX_RENEWALS + EXPOSING_RENEWALS);
  }

  /** Waits until the claims of the Lease meet a condition, but no longer than `CLAIMED_WITHIN_MS`. */
  async #awaitClaims(isWanted: (claims: readonly OwnWrite[]) => boolean): Promise<void> {
    const { clock, pause } = this.#options;
    const deadline = clock.elapsedMs() + CLAIMED_WITHIN_MS;
    while (!isWanted(await this.#terms.listClaims()) && clock.elapsedMs() < deadline) await pause(CLAIMS_PAUSE_MS);
  }

  /** Starts a server. In one of `STARTING_KILLS` cases it is killed once more before it is up. */
  async #revive(server: TorturedServer): Promise<void> {
    const { pause, random, hasTime, faults } = this.#options;
    server.start();
    if (faults.has("kill") && random.float() * STARTING_KILLS < 1 && hasTime()) {
      await pause(random.float() * LONGEST_START_MS);
      await server.kill();
      faults.count("kill");
      this.#counts.killedStarting++;
      server.start();
    }
    await server.up();
  }

  /** Compacts etcd and may kill another server while a fault of one server lasts. */
  async #disturb(held: TorturedServer): Promise<void> {
    const { pause, random, faults } = this.#options;
    await pause(random.float() * LONGEST_ABSENCE_MS);
    if (faults.has("compact")) await this.#compact();
    if (!faults.has("kill") || random.float() < 0.5) return;
    const other = pick(random, this.#servers.filter((server) => server !== held));
    await other.kill();
    faults.count("kill");
    await pause(random.float() * LONGEST_ABSENCE_MS);
    other.start();
  }

  async #setClocks(server: TorturedServer): Promise<void> {
    const { random, faults } = this.#options;
    const clocks = this.#parts.clocks!;
    if (random.float() < 0.5) {
      faults.count("clock");
      return await clocks.step(random);
    }
    const setRight = await clocks.strayClock(this.#servers.indexOf(server), random);
    await faults.last("clock", setRight, () => this.#disturb(server));
  }

  /** Cuts a server or a member off from one or all of its peers, or loses a member's answers. */
  async #part(server: TorturedServer, member: EtcdMember): Promise<void> {
    const { faults, random, pause } = this.#options;
    const network = this.#parts.network!;
    const own = network.places[this.#servers.indexOf(server)]!;
    const members = network.places.slice(this.#servers.length);
    const cut = members[this.#etcd.members.indexOf(member)]!;
    if (random.float() < SILENCES_SHARE) {
      // The servers do not learn which writes the member has done.
      const places = network.places.slice(0, this.#servers.length);
      await Promise.all(places.map((place) => network.mute(cut, place)));
      const heal = async () => void await Promise.all(places.map((place) => network.unmute(cut, place)));
      return await faults.last("partition", heal, () => pause(SILENCE_MS));
    }
    const cuts: readonly (readonly (readonly [Place, Place])[])[] = [
      [[network.host, own]],
      [[own, cut]],
      members.map((one) => [own, one]),
      members.filter((one) => one !== cut).map((one) => [cut, one]),
    ];
    const pairs = pick(random, cuts);
    for (const pair of pairs) await network.disconnect(...pair);
    await faults.last("partition", async () => {
      for (const pair of pairs) await network.reconnect(...pair);
    }, () => this.#disturb(server));
  }

  /** Compacts etcd, but keeps the last few revisions. A member that is down or cut off does not answer. */
  async #compact(): Promise<void> {
    const { random, faults, pause, clock, onCompaction } = this.#options;
    const member = pick(random, this.#etcd.members);
    const kept = Math.floor(random.float() * KEPT_REVISIONS);
    async function compact(): Promise<void> {
      const revision = Math.max(1, await member.revision() - kept);
      const beginMs = clock.elapsedMs();
      try {
        await member.compact(revision);
        onCompaction(revision, beginMs, clock.elapsedMs());
        faults.count("compact");
      } catch {
        // It may have happened, or may still happen.
        onCompaction(revision, beginMs, FOREVER_MS);
      }
    }
    await Promise.race([compact().catch(() => undefined), pause(LONGEST_RUN_MS)]);
  }

  async settle(): Promise<void> {
    await this.#parts.clocks?.settle();
  }

  async end(): Promise<void> {
    for (const server of this.#servers) await server.kill();
    const writes = await this.#terms.read();
    if (writes.every(({ isClaim }) => isClaim)) this.#options.onFault("the audit logs have no write of a controller");
    for (const fault of findTermFaults(writes)) this.#options.onFault(fault);
    for (const member of this.#etcd.members) {
      this.#counts.checks++;
      const newest = await member.revision();
      const shown = this.#options.newestShown();
      if (newest < shown) {
        this.#options.onFault(`etcd ${member.name} ends at revision ${newest}, but ${shown} was shown`);
      }
    }
    const values = createStoredValues(STORED_RESOURCES);
    const stored = await this.#etcd.members[0]!.read(values.root);
    const objects = [...stored].flatMap(([key, value]) => {
      const object = values.decode(key, value);
      return object === undefined ? [] : [[key, object] as const];
    });
    for (const fault of findStoredFaults(new Map(objects))) this.#options.onFault(`etcd: ${fault}`);
  }

  counts(): InstanceCounts {
    return this.#counts;
  }

  async shares(): Promise<readonly number[]> {
    return await this.#balancer?.counts() ?? [];
  }

  stderr(): string {
    return [...this.#servers, ...(this.#balancer === undefined ? [] : [this.#balancer])]
      .map((program) => program.stderr()).join("\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#servers) await server[Symbol.asyncDispose]();
    await this.#balancer?.[Symbol.asyncDispose]();
    await this.#parts.owned[Symbol.asyncDispose]();
  }
}
