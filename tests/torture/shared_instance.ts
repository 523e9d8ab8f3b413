/** Several servers on an etcd of three members behind a load balancer: one server and one member die at a time. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Etcd, startEtcd } from "../support/interop/etcd.ts";
import { findServerPort } from "../support/temp.ts";
import { STORED_RESOURCES } from "../../server/registry/resources.ts";
import { createStoredValues } from "../../server/registry/stored_values.ts";
import { type Balancer, startBalancer } from "./balancer.ts";
import { findStoredFaults } from "./register_audit.ts";
import { createTorturedServer, startTogether, type TorturedServer } from "./server.ts";
import type { KillCounts, TorturedInstance, TorturedInstanceOptions } from "./instance.ts";

/** A majority of them stays. */
const MEMBERS = 3;
/** The longest time until the next kill, with all members up. */
const LONGEST_RUN_MS = 4_000;
/** The longest time until a killed member is started again. */
const LONGEST_ABSENCE_MS = 2_000;
/** One in this many kills happens while the server starts. */
const STARTING_KILLS = 5;
/** The longest time until a start is cut off. */
const LONGEST_START_MS = 2_000;

/** Starts etcd; the servers and the load balancer before them are started by `begin`. */
export async function createSharedInstance(
  options: TorturedInstanceOptions,
  servers: number,
): Promise<TorturedInstance> {
  const etcd = await startEtcd({ members: MEMBERS });
  try {
    const ports: number[] = [];
    while (ports.length < servers) ports.push(await findServerPort());
    return new SharedInstance(options, etcd, ports, await findServerPort());
  } catch (error) {
    await etcd[Symbol.asyncDispose]();
    throw error;
  }
}

class SharedInstance implements TorturedInstance {
  readonly #options: TorturedInstanceOptions;
  readonly #etcd: Etcd;
  readonly #port: number;
  readonly #ports: readonly number[];
  #balancer: Balancer | undefined;
  readonly #servers: readonly TorturedServer[];
  readonly #counts = { kills: 0, killedStarting: 0, checks: 0 };
  readonly caPath: string;
  readonly adminKubeconfig: string;
  readonly bootstrapKubeconfig: string;

  constructor(options: TorturedInstanceOptions, etcd: Etcd, ports: readonly number[], port: number) {
    const { folder } = options;
    this.#options = options;
    this.#etcd = etcd;
    this.#port = port;
    this.#ports = ports;
    const flags = ["--etcd-servers", etcd.urls.join(",")];
    this.#servers = ports.map((own, index) => createTorturedServer(join(folder, `server-${index}`), own, flags));
    this.caPath = join(this.#servers[0]!.dataDir, "pki", "ca.crt");
    this.adminKubeconfig = join(folder, "admin.kubeconfig");
    this.bootstrapKubeconfig = join(folder, "bootstrap.kubeconfig");
  }

  async begin(): Promise<void> {
    const servers = this.#servers as [TorturedServer, ...TorturedServer[]];
    await startTogether(servers);
    const { folder } = this.#options;
    this.#balancer = await startBalancer({ folder, port: this.#port, servers: this.#ports, caPath: this.caPath });
    for (const name of ["admin.kubeconfig", "bootstrap.kubeconfig"]) {
      const text = await readFile(join(servers[0].dataDir, name), "utf8");
      const balanced = text.replaceAll(/https:\/\/[^\s"]+/g, `https://127.0.0.1:${this.#port}`);
      await writeFile(join(folder, name), balanced, { mode: 0o600 });
    }
  }

  async killOnce(): Promise<void> {
    const { pause, random, hasTime } = this.#options;
    await pause(random.float() * LONGEST_RUN_MS);
    const server = this.#servers[Math.floor(random.float() * this.#servers.length)]!;
    const member = this.#etcd.members[Math.floor(random.float() * this.#etcd.members.length)]!;
    await Promise.all([server.kill(), member.kill()]);
    this.#counts.kills += 2;
    await pause(random.float() * LONGEST_ABSENCE_MS);
    member.restart();
    server.start();
    if (random.float() * STARTING_KILLS < 1 && hasTime()) {
      await pause(random.float() * LONGEST_START_MS);
      await server.kill();
      this.#counts.kills++;
      this.#counts.killedStarting++;
      server.start();
    }
    await Promise.all([member.healthy(), server.up()]);
  }

  async end(): Promise<void> {
    for (const server of this.#servers) await server.kill();
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

  counts(): KillCounts {
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
    await this.#etcd[Symbol.asyncDispose]();
  }
}
