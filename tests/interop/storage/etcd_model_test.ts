/** Compares the simulated etcd with a real one: both get the same random calls from the same client. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { createSecureContext } from "node:tls";
import { createRealAfter } from "../../support/fake_after.ts";
import { GrpcChannel, type GrpcServer } from "../../../server/storage/etcd/grpc.ts";
import {
  decodeLeaseGrant,
  decodeRange,
  decodeTransaction,
  decodeWatch,
  encodeCompaction,
  encodeLeaseGrant,
  encodeMove,
  encodeRange,
  encodeTransaction,
  encodeWatch,
  type EtcdEvent,
  type EtcdKeyValue,
  type GuardedWrite,
} from "../../../server/storage/etcd/wire.ts";
import { EtcdModel } from "../../simulation/etcd_model.ts";
import { eventually } from "../../support/eventually.ts";
import { startEtcd } from "../../support/interop/etcd.ts";
import { createSeededRandom } from "../../support/seeded_random.ts";

const ROOT = { key: "/r/", rangeEnd: "/r0" };
const KEYS = ["a", "a/b", "a-b", "a0", "b", "\uffee", "\u{1f600}"].map((name) => `/r/${name}`);
const CALLS = 1_500;

type Answer = { readonly code: number; readonly details: string } | { readonly bytes: Buffer };

/** One of the two etcds, with the leases and watches of the test. */
class Side {
  readonly #member: GrpcServer;
  readonly leases: bigint[] = [];
  readonly #watches: { readonly close: () => void; readonly seen: string[] }[] = [];

  constructor(member: GrpcServer) {
    this.#member = member;
  }

  call(path: string, message: Buffer): Promise<Answer> {
    const { promise, resolve } = Promise.withResolvers<Answer>();
    let answer: Answer | undefined;
    this.#member.begin(`/etcdserverpb.${path}`, message, {
      onMessage: (bytes) => answer = { bytes },
      onEnd: (error) => resolve(error === undefined ? answer! : { code: error.status, details: error.message }),
    }, false);
    return promise;
  }

  /** Starts a watch and records a line for each change and each other message. */
  watch(startRevision: number): void {
    const seen: string[] = [];
    const call = this.#member.begin("/etcdserverpb.Watch/Watch", encodeWatch({ ...ROOT, startRevision }), {
      onMessage: (bytes) => {
        const { created, canceled, compactRevision, events } = decodeWatch(bytes);
        if (created) seen.push("created");
        if (canceled) seen.push(`canceled ${compactRevision}`);
        seen.push(...events.map(describeEvent));
      },
      onEnd: () => undefined,
    }, true);
    this.#watches.push({ seen, close: () => call.cancel() });
  }

  get seen(): readonly (readonly string[])[] {
    return this.#watches.map(({ seen }) => seen);
  }

  close(): void {
    for (const { close } of this.#watches) close();
    this.#member.close();
  }
}

function describeEvent({ isDeletion, kv }: EtcdEvent): string {
  return `${isDeletion ? "delete" : "put"} ${describeKeyValue(kv)}`;
}

/** Describes a key without what differs between two etcds, such as lease ids. */
function describeKeyValue({ key, modRevision, version, value, lease }: EtcdKeyValue): string {
  return `${key} ${modRevision} ${version} ${Buffer.from(value).toString()} ${lease !== undefined}`;
}

test("the simulated etcd answers 1,500 random calls like a real one, and its watches see the same events", async () => {
  await using etcd = await startEtcd();
  using timers = createRealAfter();
  const model = new EtcdModel({ after: timers.after, random: createSeededRandom(7).float });
  const real = new Side(new GrpcChannel(new URL(etcd.urls[0]!), createSecureContext()));
  const simulated = new Side(model.connect("test")[0]!);
  const sides = [real, simulated];
  const { float } = createSeededRandom(22);
  const pick = <T>(items: readonly T[]): T => items[Math.floor(float() * items.length)]!;
  const counts = new Map<string, number>();
  let revision = 1;
  /** Makes a call on both sides and compares the described answers. */
  const compare = async (
    path: string,
    message: (side: Side) => Buffer,
    describe: (bytes: Buffer, side: Side) => unknown,
  ): Promise<void> => {
    const answers = await Promise.all(sides.map(async (side) => {
      const answer = await side.call(path, message(side));
      return "bytes" in answer ? describe(answer.bytes, side) : answer;
    }));
    assert.deepEqual(answers[1], answers[0], path);
    const [answer] = answers;
    const name = `${path} ${
      typeof answer === "object" && answer !== null && "details" in answer ? answer.details : "ok"
    }`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  };
  const transact = (message: (side: Side) => Buffer): Promise<void> =>
    compare("KV/Txn", message, (bytes) => {
      const answer = decodeTransaction(bytes);
      revision = Math.max(revision, answer.revision);
      return { ...answer, current: answer.current.map((kv) => kv && describeKeyValue(kv)) };
    });
  const anyRevision = () => Math.max(0, Math.floor(float() * (revision + 3)));
  for (let index = 0; index < CALLS; index++) {
    const kind = pick(["write", "write", "write", "write", "range", "range", "move", "watch", "compact", "lease"]);
    if (kind === "write") {
      const leaseIndex = Math.floor(float() * 6);
      const writes = Array.from({ length: pick([1, 1, 1, 2, 3]) }, () => ({
        key: pick(KEYS),
        guard: pick([{ modRevision: pick([0, anyRevision()]) }, { version: pick([0, 1, 2]) }]),
        value: pick([undefined, Buffer.from(`v${index}`), Buffer.alloc(0)]),
        isLeased: float() < 0.3,
      }));
      await transact((side) =>
        encodeTransaction(writes.map(({ isLeased, ...write }): GuardedWrite => {
          // Until the test has granted leases, no lease has the id.
          const lease = side.leases[leaseIndex] ?? 4_711n;
          return isLeased && write.value !== undefined ? { ...write, lease } : write;
        }))
      );
    } else if (kind === "range") {
      const request = {
        ...pick([ROOT, ROOT, { key: pick(KEYS) }, { key: "/r/a", rangeEnd: "/r/b" }]),
        limit: pick([0, 0, 1, 3]),
        revision: pick([0, 0, anyRevision()]),
        countOnly: float() < 0.2,
      };
      await compare("KV/Range", () => encodeRange(request), (bytes) => {
        const answer = decodeRange(bytes);
        return { ...answer, kvs: answer.kvs.map(describeKeyValue) };
      });
    } else if (kind === "move") {
      const kv = { key: pick(KEYS), modRevision: anyRevision(), version: 1, value: Buffer.from("moved") };
      await transact(() => encodeMove(kv, `/moved/${index}`));
    } else if (kind === "compact" && float() < 0.4) {
      const at = float() < 0.8 ? Math.max(1, revision - Math.floor(float() * 40)) : anyRevision();
      await compare("KV/Compact", () => encodeCompaction(at), () => "ok");
    } else if (kind === "lease" && float() < 0.2) {
      await compare("Lease/LeaseGrant", () => encodeLeaseGrant(3_600), (bytes, side) => {
        side.leases.push(decodeLeaseGrant(bytes));
        return side.leases.length;
      });
    } else if (kind === "watch" && float() < 0.3) {
      const start = pick([revision + 1, revision + 4, Math.max(1, revision - 10), 1 + anyRevision()]);
      // A watch that begins exactly at the compacted revision may miss a deletion there; no client starts one.
      if (start === model.store.view.compacted) continue;
      for (const side of sides) side.watch(start);
      // A compaction during a watch of the past is a race in both etcds, so both watches must first reach the next
      // change.
      const key = `/r/watch-${index}`;
      const isOfPast = start <= revision;
      if (isOfPast) {
        await transact(() => encodeTransaction([{ key, guard: { modRevision: 0 }, value: Buffer.from("here") }]));
      }
      const hasBegun = (line: string | undefined): boolean =>
        line !== undefined && (!isOfPast || line.startsWith("canceled") || line.includes(key));
      await eventually("both watches to begin", () => {
        return Promise.resolve(sides.every(({ seen }) => hasBegun(seen.at(-1)!.at(-1))) || undefined);
      });
    }
  }
  const last = KEYS[0]!;
  await transact(() => encodeTransaction([{ key: last, guard: { modRevision: 0 }, value: Buffer.from("end") }]));
  await eventually("both to have sent everything", async () => {
    return real.seen.every((seen, index) => seen.length === simulated.seen[index]!.length) ? true : undefined;
  });
  assert.deepEqual(simulated.seen, real.seen);
  for (
    const name of [
      "KV/Range ok",
      "KV/Range etcdserver: mvcc: required revision has been compacted",
      "KV/Range etcdserver: mvcc: required revision is a future revision",
      "KV/Txn ok",
      "KV/Txn etcdserver: duplicate key given in txn request",
      "KV/Txn etcdserver: requested lease not found",
      "KV/Compact ok",
      "KV/Compact etcdserver: mvcc: required revision has been compacted",
    ]
  ) assert.ok((counts.get(name) ?? 0) > 0, `${name} in ${[...counts.keys()].join(", ")}`);
  assert.ok(real.seen.flat().some((line) => line.startsWith("canceled")));
  for (const side of sides) side.close();
});
