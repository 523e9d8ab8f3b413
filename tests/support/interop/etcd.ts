/** A real etcd with one or more members. */
import { Buffer } from "node:buffer";
import { encodeBase64 } from "../../../core/lib/encodings.ts";
import { peerPath } from "../peers/go.ts";
import { type Child, start } from "../child.ts";
import { eventually } from "../eventually.ts";
import { createTempFolder, findServerPort, type TempFolder } from "../temp.ts";
import { HERE, type Place } from "./network_namespace.ts";

export interface EtcdMember {
  readonly name: string;
  readonly url: string;
  /** Kills the member with SIGKILL. */
  kill(): Promise<void>;
  /** Starts the member again with its data. */
  restart(): void;
  /** Waits until the member knows a leader. */
  healthy(): Promise<void>;
  /** Makes a call through the JSON gateway, such as `kv/range`; without TLS. */
  call<T>(path: string, body: object): Promise<T>;
  /** The newest revision of the whole etcd; without TLS. */
  revision(): Promise<number>;
  /** Reads the keys with a prefix, and their values; without TLS. */
  read(prefix: string): Promise<ReadonlyMap<string, Uint8Array>>;
  /** Compacts all revisions before this one; without TLS. */
  compact(revision: number): Promise<void>;
  /** Writes a key; without TLS. */
  put(key: string, value: string): Promise<void>;
  /** Gives each key below a prefix the value that it has in `values`, and removes the others; without TLS. */
  restore(prefix: string, values: ReadonlyMap<string, Uint8Array>): Promise<void>;
  signal(signal: NodeJS.Signals): void;
  log(): string;
}

export interface Etcd extends AsyncDisposable {
  readonly members: readonly EtcdMember[];
  readonly urls: readonly string[];
  pids(): readonly number[];
  readonly folder: TempFolder;
}

export interface EtcdOptions {
  readonly members?: number;
  /** Further flags of each member. */
  readonly flags?: readonly string[];
  /** Where the members run, in turn; on loopback by default. */
  readonly places?: readonly Place[];
  /** The releases of the members, in turn. */
  readonly releases?: readonly ("etcd" | "etcd-3.5" | "etcd-3.5.12")[];
  /** Whether `flags` configure TLS certificates. */
  readonly isTls?: boolean;
}

/** A key of the JSON gateway, in base64. */
interface KeyValue {
  readonly key: string;
  readonly value?: string;
}

/** Flags that keep the leader on a busy machine. By default, one second without heartbeats starts an election. */
export const STEADY_LEADER: readonly string[] = ["--heartbeat-interval=500", "--election-timeout=5000"];

interface MemberPlan {
  readonly name: string;
  readonly wrap: Place["wrap"];
  readonly program: string;
  readonly client: string;
  /** The URL of the metrics, where no client certificate is required. */
  readonly metrics: string;
  readonly peer: string;
}

/** The largest number of operations in an etcd transaction. */
const MAX_OPERATIONS = 128;

/** Starts an etcd and waits until it has a leader. */
export async function startEtcd(options: EtcdOptions = {}): Promise<Etcd> {
  const { members = 1, flags = [], places = [HERE], releases = ["etcd"], isTls = false } = options;
  const folder = await createTempFolder();
  const plans: MemberPlan[] = [];
  for (let member = 0; member < members; member++) {
    const { address, wrap } = places[member % places.length]!;
    plans.push({
      wrap,
      name: `m${member}`,
      program: peerPath(releases[member % releases.length]!),
      client: `${isTls ? "https" : "http"}://${address}:${await findServerPort()}`,
      metrics: `http://${address}:${await findServerPort()}`,
      peer: `http://${address}:${await findServerPort()}`,
    });
  }
  const cluster = plans.map(({ name, peer }) => `${name}=${peer}`).join(",");
  const running = new Map<string, Child>();
  const launch = ({ name, wrap, program, client, metrics, peer }: MemberPlan) =>
    void running.set(
      name,
      start(...wrap(program, [
        ...[`--name=${name}`, `--data-dir=${folder.join(name)}`, `--listen-client-urls=${client}`],
        ...[`--advertise-client-urls=${client}`, `--listen-metrics-urls=${metrics}`],
        ...[`--listen-peer-urls=${peer}`, `--initial-advertise-peer-urls=${peer}`],
        `--initial-cluster=${cluster}`,
        // A slow sync could make the leader step down. Only a crash of the machine loses unsynced data.
        ...(members > 1 ? ["--unsafe-no-fsync"] : []),
        ...flags,
      ])),
    );
  plans.forEach(launch);
  const etcd: Etcd = {
    members: plans.map((plan) => ({
      name: plan.name,
      url: plan.client,
      async kill() {
        const member = running.get(plan.name)!;
        member.kill("SIGKILL");
        await member.finished();
      },
      restart: () => launch(plan),
      healthy: () => waitHealthy(plan.metrics, running.get(plan.name)!),
      async call(path, body) {
        const answer = await fetch(`${plan.client}/v3/${path}`, { method: "POST", body: JSON.stringify(body) });
        if (!answer.ok) throw new Error(`etcd ${path}: ${answer.status} ${await answer.text()}`);
        return await answer.json();
      },
      async revision() {
        const range = { key: btoa("/"), count_only: true };
        const { header } = await this.call<{ readonly header: { readonly revision: string } }>("kv/range", range);
        return Number(header.revision);
      },
      async read(prefix) {
        const end = `${prefix.slice(0, -1)}${String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1)}`;
        const range = { key: btoa(prefix), range_end: btoa(end) };
        const { kvs = [] } = await this.call<{ readonly kvs?: readonly KeyValue[] }>("kv/range", range);
        return new Map(kvs.map(({ key, value = "" }) => [atob(key), Buffer.from(value, "base64")]));
      },
      async compact(revision) {
        await this.call("kv/compaction", { revision: `${revision}` });
      },
      async put(key, value) {
        await this.call("kv/put", { key: btoa(key), value: encodeBase64(value) });
      },
      async restore(prefix, values) {
        const found = await this.read(prefix);
        const changes = [
          ...[...found.keys()].filter((key) => !values.has(key))
            .map((key) => ({ request_delete_range: { key: btoa(key) } })),
          ...[...values].filter(([key, value]) => Buffer.compare(found.get(key) ?? Buffer.alloc(0), value) !== 0)
            .map(([key, value]) => ({ request_put: { key: btoa(key), value: encodeBase64(value) } })),
        ];
        for (let at = 0; at < changes.length; at += MAX_OPERATIONS) {
          await this.call("kv/txn", { success: changes.slice(at, at + MAX_OPERATIONS) });
        }
      },
      signal: (signal) => running.get(plan.name)!.kill(signal),
      log: () => running.get(plan.name)!.stderr(),
    })),
    urls: plans.map((plan) => plan.client),
    pids: () => [...running.values()].map(({ pid }) => pid),
    folder,
    async [Symbol.asyncDispose]() {
      for (const member of running.values()) await member[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
  try {
    for (const { metrics, name } of plans) await waitHealthy(metrics, running.get(name)!);
    return etcd;
  } catch (error) {
    await etcd[Symbol.asyncDispose]();
    throw error;
  }
}

async function waitHealthy(url: string, member: Child): Promise<void> {
  await eventually(`etcd at ${url} is healthy`, async () => {
    if (member.hasEnded()) throw new Error("it has ended");
    return await fetch(`${url}/health`).then((response) => response.ok || undefined, () => undefined);
  }).catch((cause: unknown) => {
    throw new Error(`${cause}:\n${member.stderr().slice(-4000)}`);
  });
}
