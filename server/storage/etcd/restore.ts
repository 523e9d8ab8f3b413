/**
 * Restores the objects of a backup into an etcd. A marker exists from the first write to the last, so that no server
 * uses a partial restore. An interrupted restore continues where it stopped. Nothing is overwritten or deleted: with
 * `force`, existing keys are moved to another prefix.
 */
import { Buffer } from "node:buffer";
import {
  findRestoreMarker,
  formatRestoreMarker,
  planEtcdRestore,
  RESTORE_MARKER_KEY,
  type RestoreMarker,
  type RestorePlan,
} from "./restore_marker.ts";
import { AppError } from "../../../core/errors.ts";
import type { Clock } from "../../../core/ports.ts";
import { EtcdClient, type EtcdClientParts, type EtcdEndpoints } from "./client.ts";
import { assertReleases, isCompacted, isLeaseGone } from "./errors.ts";
import { EventLeases } from "./leases.ts";
import { DEFAULT_STORAGE_TIMES } from "../memory/journaled_storage.ts";
import { releaseObject } from "../stored.ts";
import { createAsidePrefix, normalizePrefix } from "./prefix.ts";
import { readBelow } from "./snapshot.ts";
import type { Stored } from "../storage.ts";
import type { StoredValues } from "./contents.ts";
import type { Lease } from "../../../core/kube/kinds/nodes.ts";

export interface EtcdRestoreDeps extends Pick<EtcdClientParts, "members"> {
  readonly endpoints: EtcdEndpoints;
  readonly values: StoredValues;
  readonly clock: Clock;
  /** The digest of the backup's manifest. */
  readonly backup: string;
  readonly createdAt: string;
  /** Whether to move existing keys below the prefix aside. */
  readonly force: boolean;
}

export interface EtcdRestored {
  /** The newest revision, at which exactly the backup's objects are below the prefix. */
  readonly revision: number;
  /** The prefixes of the keys that were moved aside, the newest last. */
  readonly aside: readonly string[];
}

type Writing = Exclude<RestorePlan, { readonly kind: "refuse" }>;

export class EtcdRestore implements AsyncDisposable {
  readonly #client: EtcdClient;
  readonly #deps: EtcdRestoreDeps;
  readonly #plan: Writing;
  /** The revision of the marker; 0 before there is one. */
  #markerRevision: number;

  private constructor(client: EtcdClient, deps: EtcdRestoreDeps, plan: Writing, markerRevision: number) {
    this.#client = client;
    this.#deps = deps;
    this.#plan = plan;
    this.#markerRevision = markerRevision;
  }

  /**
   * Checks whether the restore may begin, and writes nothing. Throws AppError `file_exists` when keys are in the way,
   * `storage_locked` when a server uses the prefix, `unreachable`, or `io`.
   */
  static async open(deps: EtcdRestoreDeps): Promise<EtcdRestore> {
    const { endpoints, values, clock, backup, force } = deps;
    const client = new EtcdClient(endpoints, undefined, deps);
    try {
      assertReleases(await client.statuses());
      const found = await findRestoreMarker(client);
      const isTaken = await hasOtherKeys(client, values.root);
      const place = createAsidePrefix(endpoints.prefix, clock.now());
      const plan = planEtcdRestore({ marker: found?.marker, isTaken }, { backup, force, place });
      if (plan.kind === "refuse") throw refusal(plan.why, endpoints.prefix, found?.marker);
      if (plan.kind === "moveAside") await assertNoActiveLease(client, values, clock.now());
      return new EtcdRestore(client, deps, plan, found?.modRevision ?? 0);
    } catch (error) {
      client.close();
      throw error;
    }
  }

  /** True when an earlier restore of the same backup was interrupted. */
  get isResumed(): boolean {
    return this.#plan.kind === "write" && this.#plan.resumed;
  }

  /**
   * Writes the objects, reads everything back, and compacts the earlier history, so that no watch resumes before the
   * restore. The marker stays. Throws AppError `conflict` when another program writes below the prefix, `unreachable`,
   * or `io`.
   */
  async write(objects: readonly Stored[]): Promise<EtcdRestored> {
    const { aside } = this.#plan;
    const wanted = new Map(objects.map((stored) => [stored.key, this.#encode(stored)]));
    try {
      if (this.#plan.kind === "moveAside") {
        await this.#mark("puttingAside");
        await moveAside(this.#client, this.#deps.values.root, aside.at(-1)!);
      }
      await this.#mark("writing");
      await this.#writeAll(wanted);
      const revision = await this.#verify(wanted);
      await this.#forgetBefore(revision);
      return { revision, aside };
    } catch (error) {
      throw unfinished(error);
    }
  }

  /** Removes the marker, so that the prefix can be used. Throws AppError `conflict`, `unreachable` or `io`. */
  async finish(): Promise<void> {
    const guard = { modRevision: this.#markerRevision };
    const { succeeded } = await this.#client.write([{ key: RESTORE_MARKER_KEY, guard, value: undefined }])
      .catch((error: unknown) => {
        throw unfinished(error);
      });
    if (!succeeded) throw elsewhereError();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client.close();
  }

  async #mark(phase: RestoreMarker["phase"]): Promise<void> {
    const { backup, createdAt } = this.#deps;
    const { succeeded, revision } = await this.#client.write([{
      key: RESTORE_MARKER_KEY,
      guard: { modRevision: this.#markerRevision },
      value: Buffer.from(formatRestoreMarker({ backup, createdAt, phase, aside: this.#plan.aside })),
    }]);
    if (!succeeded) throw elsewhereError();
    this.#markerRevision = revision;
  }

  /** Compacts the history, unless another program has already compacted more. */
  async #forgetBefore(revision: number): Promise<void> {
    try {
      await this.#client.compact(revision);
    } catch (error) {
      if (!isCompacted(error)) throw error;
    }
  }

  /** Encodes an object and drops its parsed form, which takes several times the memory of its bytes. */
  #encode(stored: Stored): Uint8Array {
    const value = this.#deps.values.encode(stored.key, stored.object);
    releaseObject(stored);
    return value;
  }

  /** Writes the keys that do not exist yet; the existing ones are verified at the end. */
  async #writeAll(wanted: ReadonlyMap<string, Uint8Array>): Promise<void> {
    const leases = new EventLeases(this.#client, this.#deps.clock, DEFAULT_STORAGE_TIMES.eventTtlMs);
    await inParallel([...wanted], async ([key, value]) => {
      const lease = await leases.leaseFor(key);
      await this.#client.write([{ key, guard: { modRevision: 0 }, value, lease }]);
    });
  }

  async #verify(wanted: ReadonlyMap<string, Uint8Array>): Promise<number> {
    const { revision, kvs } = await readBelow(this.#client, this.#deps.values.root);
    const found = new Map(kvs.map(({ key, value }) => [key, value]));
    if (!found.delete(RESTORE_MARKER_KEY)) throw elsewhereError();
    const unexpected = [...found].find(([key, value]) => !isSame(value, wanted.get(key)));
    if (unexpected !== undefined) {
      // Unlike an interrupted restore, this cannot be fixed by running the same command again.
      await this.#mark("spoiled");
      throw new AppError("conflict", `cannot restore into etcd: "${unexpected[0]}" is not what the backup has`, {
        hint: `${OTHERS_WRITE}, then move aside what is there with the setting forceEtcd`,
      });
    }
    const missing = [...wanted.keys()].find((key) => !found.has(key));
    if (missing === undefined) return revision;
    throw new AppError("conflict", `cannot restore into etcd: "${missing}" was written but is gone`, {
      hint: `${OTHERS_WRITE}, then run the same command again, which continues`,
    });
  }
}

const OTHERS_WRITE = "another program writes below the prefix: stop every server there, tlsboot's and kube-apiservers";

function isSame(value: Uint8Array, wanted: Uint8Array | undefined): boolean {
  return wanted !== undefined && Buffer.compare(value, wanted) === 0;
}

async function hasOtherKeys(client: Pick<EtcdClient, "range">, root: string): Promise<boolean> {
  const { kvs } = await client.range({ key: root, below: root, limit: 2 });
  return kvs.some(({ key }) => key !== RESTORE_MARKER_KEY);
}

function refusal(
  why: Extract<RestorePlan, { readonly kind: "refuse" }>["why"],
  prefix: string,
  marker: RestoreMarker | undefined,
): AppError {
  const place = `"${normalizePrefix(prefix)}" in etcd`;
  switch (why) {
    case "taken":
      return new AppError("file_exists", `cannot restore below ${place}: there are already keys`, {
        hint:
          "choose another value of the setting etcdPrefix; or stop every server there and move it aside with the setting forceEtcd",
      });
    case "otherBackup":
      return new AppError(
        "file_exists",
        `cannot restore below ${place}: a restore of the backup of ${marker?.createdAt} is not finished`,
        { hint: "run it again with that backup, or move aside what it has written with the setting forceEtcd" },
      );
    case "spoiled":
      return new AppError(
        "file_exists",
        `cannot restore below ${place}: another program wrote while the backup of ${marker?.createdAt} was restored`,
        { hint: "stop every server there and move aside what is there with the setting forceEtcd" },
      );
    case "halfAside":
      return new AppError("file_exists", `cannot restore: the keys below ${place} are only partly moved aside`, {
        hint: "continue with the setting forceEtcd",
      });
  }
}

function elsewhereError(): AppError {
  return new AppError("conflict", "cannot restore into etcd: another restore is running there", {
    hint: "wait until it ends, then try again",
  });
}

/** Adds to an error that the next run continues the restore. */
function unfinished(error: unknown): unknown {
  if (!(error instanceof AppError) || error.code === "conflict") return error;
  const hint = `${error.hint === undefined ? "" : `${error.hint}; `}then run the same command again, which continues`;
  return new AppError(error.code, `cannot finish the restore: ${error.message}`, { cause: error, hint });
}

/** The Leases of `up`, kube-apiserver and kube-controller-manager; those of nodes are elsewhere. */
const LEASES = "/registry/leases/kube-system/";
/** kube-apiserver renews every ten seconds, the others more often. */
const FRESH_MS = 30_000;

/** Throws AppError `storage_locked`, with the name of the holder, if a Lease was renewed recently. */
export async function assertNoActiveLease(
  client: Pick<EtcdClient, "range">,
  values: Pick<StoredValues, "decode">,
  now: Date,
): Promise<void> {
  const { kvs } = await client.range({ key: LEASES, below: LEASES });
  for (const { key, value } of kvs) {
    const { holderIdentity = "", renewTime = "" } = decodeLease(values, key, value)?.spec ?? {};
    const ageMs = now.getTime() - Date.parse(renewTime);
    if (holderIdentity === "" || !(Math.abs(ageMs) < FRESH_MS)) continue;
    const seconds = Math.abs(Math.round(ageMs / 1000));
    const when = ageMs < 0 ? `${seconds} s ahead of this machine's clock` : `${seconds} s ago`;
    throw new AppError(
      "storage_locked",
      `cannot move aside what is in etcd: "${holderIdentity}" has renewed "${key}" ${when}`,
      { hint: "stop every server and controller that uses it, wait for half a minute, and try again" },
    );
  }
}

/** Decodes a Lease; undefined for a value that cannot be read, which is moved aside unchanged. */
function decodeLease(values: Pick<StoredValues, "decode">, key: string, value: Uint8Array): Lease | undefined {
  try {
    return values.decode(key, value) as Lease | undefined;
  } catch {
    return undefined;
  }
}

/** How many tasks run at the same time; etcd syncs its disk once for all requests that arrive together. */
const WIDTH = 64;
/** The number of keys that one read returns. */
const PAGE = 500;
/** How many times to move keys that were written meanwhile, before assuming another writer. */
const ROUNDS = 3;

/**
 * Moves all keys below `root`, except the marker, to `place`. Throws AppError `conflict` when another program keeps
 * writing.
 */
export async function moveAside(
  client: Pick<EtcdClient, "range" | "move">,
  root: string,
  place: string,
): Promise<void> {
  for (let round = 1; round <= ROUNDS; round++) {
    if (await moveOnce(client, root, place)) return;
  }
  throw new AppError("conflict", `cannot move aside what is below "${root}": another program writes there`, {
    hint: "stop every server there, tlsboot's and kube-apiservers, and try again",
  });
}

/** Moves all keys once; returns whether none is left. */
async function moveOnce(client: Pick<EtcdClient, "range" | "move">, root: string, place: string): Promise<boolean> {
  let isClear = true;
  for (let key = root;;) {
    const { kvs, more } = await client.range({ key, below: root, limit: PAGE });
    await inParallel(kvs.filter((kv) => kv.key !== RESTORE_MARKER_KEY), async (kv) => {
      // A key whose lease has expired in the meantime need not be moved.
      const isMoved = await client.move(kv, `${place}/${kv.key.slice(root.length)}`).catch((error: unknown) => {
        if (!isLeaseGone(error)) throw error;
        return false;
      });
      if (!isMoved) isClear = false;
    });
    if (!more) return isClear;
    key = `${kvs.at(-1)!.key}\u0000`;
  }
}

/** Runs a task for each item, a limited number at once. The first failure rejects after the running tasks have ended. */
export async function inParallel<T>(items: readonly T[], run: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values();
  const failures: unknown[] = [];
  const work = async () => {
    for (const item of rest) {
      if (failures.length > 0) return;
      await run(item).catch((error: unknown) => void failures.push(error));
    }
  };
  await Promise.all(Array.from({ length: Math.min(WIDTH, items.length) }, work));
  if (failures.length > 0) throw failures[0];
}
