/** Servers that are killed again and again during a rotation: one on SQLite, or three on etcd. */
import { readFile, writeFile } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import type { Random } from "../../../core/ports.ts";
import { createTorturedServer, startTogether, type TorturedServer } from "../../torture/server.ts";
import { startEtcd } from "../interop/etcd.ts";
import { findServerPort, type TempFolder } from "../temp.ts";

/** The servers of one instance. Disposing it ends them. */
export interface KilledServers extends AsyncDisposable {
  /** The data directory of each server. */
  readonly dataDirs: readonly string[];
  /** The URL that clients use. */
  readonly url: string;
  readonly bootstrapKubeconfig: string;
  /** The number of kills so far. */
  kills(): number;
  /** Runs a part of a test while servers are killed at random times, and waits until all are up again. */
  disturb(part: () => Promise<void>): Promise<void>;
  /** Starts all servers again with other flags. */
  restart(flags: readonly string[]): Promise<void>;
  /** Returns what the servers last wrote to stderr. */
  stderr(): string;
}

/**
 * The number of kills in a part, and the longest times before each kill and until the restart. Restarts are quick,
 * because clients pause for up to half a minute after several failures.
 */
const KILLS = 1;
const LONGEST_RUN_MS = 4_000;
const LONGEST_DOWNTIME_MS = 800;

/** Starts one server on its own database. */
export async function startLoneServer(folder: TempFolder, random: Random): Promise<KilledServers> {
  const port = await findServerPort();
  const dataDir = folder.join("data");
  const servers = new Servers(folder, [{ dataDir, port }], [], random, new AsyncDisposableStack(), port);
  await servers.begin();
  return servers;
}

/** Starts three servers behind a load balancer, on an etcd of three members. */
export async function startSharedServers(folder: TempFolder, random: Random): Promise<KilledServers> {
  await using stack = new AsyncDisposableStack();
  const etcd = stack.use(await startEtcd({ members: 3 }));
  const places: { dataDir: string; port: number }[] = [];
  for (const name of ["a", "b", "c"]) places.push({ dataDir: folder.join(name), port: await findServerPort() });
  const port = await findServerPort();
  stack.use(await startRelay(port, places.map((place) => place.port)));
  const flags = ["--etcd-servers", etcd.urls.join(",")];
  const servers = new Servers(folder, places, flags, random, stack.move(), port);
  await servers.begin();
  return servers;
}

class Servers implements KilledServers {
  readonly dataDirs: readonly string[];
  readonly url: string;
  readonly bootstrapKubeconfig: string;
  readonly #places: readonly { readonly dataDir: string; readonly port: number }[];
  readonly #flags: readonly string[];
  readonly #random: Random;
  readonly #owned: AsyncDisposableStack;
  #servers: readonly TorturedServer[];
  #kills = 0;

  constructor(
    folder: TempFolder,
    places: readonly { readonly dataDir: string; readonly port: number }[],
    flags: readonly string[],
    random: Random,
    owned: AsyncDisposableStack,
    port: number,
  ) {
    this.#places = places;
    this.#flags = flags;
    this.#random = random;
    this.#owned = owned;
    this.#servers = this.#create([]);
    this.dataDirs = places.map(({ dataDir }) => dataDir);
    this.url = `https://127.0.0.1:${port}`;
    this.bootstrapKubeconfig = folder.join("bootstrap.kubeconfig");
  }

  #create(flags: readonly string[]): readonly TorturedServer[] {
    return this.#places.map(({ dataDir, port }) =>
      createTorturedServer({ dataDir, port, flags: [...this.#flags, ...flags] })
    );
  }

  async begin(): Promise<void> {
    const servers = this.#servers as [TorturedServer, ...TorturedServer[]];
    await startTogether(servers);
    const text = await readFile(join(servers[0].dataDir, "bootstrap.kubeconfig"), "utf8");
    await writeFile(this.bootstrapKubeconfig, text.replaceAll(/https:\/\/[^\s"]+/g, this.url), { mode: 0o600 });
  }

  async restart(flags: readonly string[]): Promise<void> {
    for (const server of this.#servers) await server.kill();
    this.#servers = this.#create(flags);
    for (const server of this.#servers) server.start();
    await Promise.all(this.#servers.map((server) => server.up()));
  }

  async disturb(part: () => Promise<void>): Promise<void> {
    await Promise.all([part(), this.#killSome()]);
  }

  async #killSome(): Promise<void> {
    for (let left = KILLS; left > 0; left--) {
      await setTimeout(this.#random.float() * LONGEST_RUN_MS);
      const server = this.#servers[Math.floor(this.#random.float() * this.#servers.length)]!;
      await server.kill();
      this.#kills++;
      await setTimeout(this.#random.float() * LONGEST_DOWNTIME_MS);
      server.start();
      await server.up();
    }
  }

  kills(): number {
    return this.#kills;
  }

  stderr(): string {
    return this.#servers.map((server) => `${server.dataDir}:\n${server.stderr()}`).join("\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#servers) await server[Symbol.asyncDispose]();
    await this.#owned.disposeAsync();
  }
}

/** A load balancer that accepts connections until it is disposed. */
interface Relay extends AsyncDisposable {
  readonly port: number;
}

/** Starts a TCP load balancer, which passes each connection to a server that accepts it. */
async function startRelay(port: number, servers: readonly number[]): Promise<Relay> {
  let turn = 0;
  const open = new Set<Socket>();
  const server = createServer((client) => {
    open.add(client);
    client.once("close", () => open.delete(client));
    client.on("error", () => client.destroy());
    forward(client, [...servers.slice(turn), ...servers.slice(0, turn)]);
    turn = (turn + 1) % servers.length;
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return {
    port,
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

function forward(client: Socket, [port, ...others]: readonly number[]): void {
  if (port === undefined) return void client.destroy();
  const upstream = connect({ host: "127.0.0.1", port });
  const next = (): void => forward(client, others);
  upstream.once("error", next);
  upstream.once("connect", () => {
    upstream.off("error", next);
    upstream.on("error", () => client.destroy());
    upstream.once("close", () => client.destroy());
    client.once("close", () => upstream.destroy());
    client.pipe(upstream);
    upstream.pipe(client);
  });
}
