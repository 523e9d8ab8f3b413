import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { encodeModelStatus, encodeModelTransaction } from "../../../tests/simulation/etcd_messages.ts";
import { EtcdModel } from "../../../tests/simulation/etcd_model.ts";
import { createRealAfter } from "../../../tests/support/fake_after.ts";
import { createFakeClock } from "../../../tests/support/fake_clock.ts";
import { createSeededRandom } from "../../../tests/support/seeded_random.ts";
import { JSON_VALUES, thing } from "../../../tests/support/stored_things.ts";
import { createStored } from "../stored.ts";
import { GRPC_STATUS, GrpcError, type GrpcServer } from "./grpc.ts";
import { assertNoActiveLease, EtcdRestore, inParallel, moveAside } from "./restore.ts";
import { RESTORE_MARKER_KEY } from "./restore_marker.ts";
import type { EtcdKeyValue } from "./wire.ts";

const now = new Date("2026-11-25T10:00:00Z");
const values = { decode: (_key: string, value: Uint8Array) => JSON.parse(Buffer.from(value).toString()) };

for (
  const { name, spec, isActive, when = /./ } of [
    {
      name: "was renewed a moment ago",
      spec: { renewTime: "2026-11-25T09:59:55.000000Z" },
      isActive: true,
      when: / 5 s ago$/,
    },
    {
      name: "was renewed by a clock that is ahead",
      spec: { renewTime: "2026-11-25T10:00:09.000000Z" },
      isActive: true,
      when: /"\/registry\/leases\/kube-system\/it" 9 s ahead of this machine's clock$/,
    },
    { name: "was renewed now", spec: { renewTime: "2026-11-25T10:00:00.000000Z" }, isActive: true, when: / 0 s ago$/ },
    { name: "was renewed half a minute ago", spec: { renewTime: "2026-11-25T09:59:30.000000Z" }, isActive: false },
    { name: "was renewed a minute ago", spec: { renewTime: "2026-11-25T09:59:00.000000Z" }, isActive: false },
    {
      name: "was released",
      spec: { renewTime: "2026-11-25T09:59:55.000000Z", holderIdentity: "" },
      isActive: false,
    },
    { name: "was never renewed", spec: {}, isActive: false },
  ]
) {
  test(`assertNoActiveLease() ${isActive ? "refuses" : "ignores"} a lease that ${name}`, async () => {
    const lease = { metadata: { name: "it" }, spec: { holderIdentity: "me", ...spec } };
    const value = Buffer.from(JSON.stringify(lease));
    const kvs = [{ key: "/registry/leases/kube-system/it", modRevision: 1, version: 1, value }];
    const asked = assertNoActiveLease(
      { range: async () => ({ revision: 1, kvs, more: false, count: 0 }) },
      values,
      now,
    );
    if (!isActive) return await asked;
    await assert.rejects(asked, { code: "storage_locked", message: /"me" has renewed/ });
    await assert.rejects(asked, { message: when });
  });
}

test("assertNoActiveLease() ignores a lease that cannot be read", async () => {
  const kvs = [{ key: "/registry/leases/kube-system/it", modRevision: 1, version: 1, value: Buffer.from("{") }];
  await assertNoActiveLease({ range: async () => ({ revision: 1, kvs, more: false, count: 0 }) }, values, now);
});

/** Creates an etcd with these keys, whose `move` may fail. */
function createEtcd(names: readonly string[], move: (key: string) => boolean | Error = () => true) {
  const keys = new Map(names.map((key) => [key, 1]));
  return {
    keys,
    client: {
      async range({ key, below = "", limit = 0 }: { key: string; below?: string; limit?: number }) {
        const found = [...keys.keys()].filter((name) => name >= key && name.startsWith(below)).sort();
        const kvs = found.slice(0, limit).map((name) => ({
          ...{ key: name, modRevision: 1, version: 1, value: new Uint8Array() },
        }));
        return { revision: 1, kvs, more: found.length > limit, count: found.length };
      },
      async move(kv: EtcdKeyValue, to: string) {
        const outcome = move(kv.key);
        if (outcome instanceof Error) throw outcome;
        if (outcome) keys.delete(kv.key);
        if (outcome) keys.set(to, 1);
        return outcome;
      },
    },
  };
}

test("moveAside() moves every key but the marker, however many there are", async () => {
  const names = Array.from({ length: 1_234 }, (_, index) => `/registry/pods/${String(index).padStart(4, "0")}`);
  const { keys, client } = createEtcd([...names, RESTORE_MARKER_KEY, "/other/a"]);
  await moveAside(client, "/registry/", "/registry.old");
  const moved = names.map((name) => name.replace("/registry/", "/registry.old/"));
  assert.deepEqual([...keys.keys()].sort(), ["/other/a", ...moved, RESTORE_MARKER_KEY].sort());
});

test("moveAside() retries a key that was written or whose lease ended meanwhile, and gives up while others keep writing", async () => {
  let attempts = 0;
  const lease = new Error("etcdserver: requested lease not found");
  const { keys, client } = createEtcd(["/registry/a", "/registry/b"], (key) => {
    if (key !== "/registry/a") return true;
    attempts++;
    return attempts === 1 ? false : attempts === 2 ? lease : true;
  });
  await moveAside(client, "/registry/", "/old");
  assert.deepEqual([...keys.keys()].sort(), ["/old/a", "/old/b"]);
  const busy = createEtcd(["/registry/a"], () => false);
  await assert.rejects(moveAside(busy.client, "/registry/", "/old"), { code: "conflict" });
  const broken = createEtcd(["/registry/a"], () => new Error("no space"));
  await assert.rejects(moveAside(broken.client, "/registry/", "/old"), /no space/);
});

test("inParallel() runs a task for each item, a limited number at once, and stops at the first failure", async () => {
  let running = 0;
  let most = 0;
  const seen: number[] = [];
  await inParallel(Array.from({ length: 500 }, (_, index) => index), async (item) => {
    most = Math.max(most, ++running);
    await Promise.resolve();
    seen.push(item);
    running--;
  });
  assert.deepEqual(seen.sort((a, b) => a - b), Array.from({ length: 500 }, (_, index) => index));
  assert.ok(most > 1 && most <= 64, String(most));
  let begun = 0;
  const failing = inParallel(Array.from({ length: 500 }, (_, index) => index), async () => {
    begun++;
    throw new Error("first");
  });
  await assert.rejects(failing, /first/);
  assert.ok(begun <= 64, String(begun));
});

/** The answer of a member to a call that it does not pass on to the etcd; undefined to pass it on. */
type Intercept = (path: string, message: Uint8Array) => Buffer | GrpcError | undefined;

/** Opens restores on one simulated etcd, and records the changes of the etcd and each connection that was closed. */
function createRestores() {
  const timers = createRealAfter();
  const changed: string[] = [];
  const model = new EtcdModel({
    after: timers.after,
    random: createSeededRandom().float,
    onChange: ({ isDeletion, kv: { key, value } }) =>
      changed.push(isDeletion ? `${key} is gone` : `${key} ${Buffer.from(value)}`),
  });
  const clock = createFakeClock(now);
  let closed = 0;
  const open = (more: { readonly backup?: string; readonly force?: boolean } = {}, intercept?: Intercept) =>
    EtcdRestore.open({
      ...{ endpoints: { servers: ["etcd"], caPem: undefined, certificate: undefined, prefix: "/registry" } },
      ...{ values: JSON_VALUES, clock, backup: "one", createdAt: "2026-11-25", force: false, ...more },
      members: model.connect("restore").map((member): GrpcServer => ({
        begin(path, message, listener, isOpen) {
          const answer = intercept?.(path, message);
          if (answer === undefined) return member.begin(path, message, listener, isOpen);
          queueMicrotask(() => {
            if (answer instanceof Buffer) listener.onMessage(answer);
            listener.onEnd(answer instanceof GrpcError ? answer : undefined);
          });
          return { write: () => undefined, cancel: () => undefined };
        },
        close() {
          closed++;
          member.close();
        },
      })),
    });
  return { open, changed, closed: () => closed, [Symbol.dispose]: () => timers[Symbol.dispose]() };
}

const A = "/registry/things/a";

test("EtcdRestore.open() refuses an old etcd, and closes its connection", async () => {
  using restores = createRestores();
  const opening = restores.open({}, () => encodeModelStatus(1, "3.5.12"));
  await assert.rejects(opening, { code: "io", message: /^cannot use etcd 3\.5\.12/ });
  assert.equal(restores.closed(), 1);
});

test("EtcdRestore continues a restore of a Lease that is fresh, and closes its connection", async () => {
  using restores = createRestores();
  const spec = { holderIdentity: "me", renewTime: now.toISOString() };
  const lease = createStored("/registry/leases/kube-system/a", Object.assign(thing("a"), { spec }), 1);
  {
    await using first = await restores.open();
    await first.write([lease]);
  }
  assert.equal(restores.closed(), 1);
  await using again = await restores.open();
  assert.equal(again.isResumed, true);
  const { object } = lease;
  await again.write([lease]);
  assert.notEqual(lease.object, object, "the parsed object was dropped");
  assert.deepEqual(lease.object, object);
});

test("EtcdRestore marks the prefix before it moves the first key aside", async () => {
  using restores = createRestores();
  {
    await using earlier = await restores.open();
    await earlier.write([createStored(A, thing("a"), 1)]);
    await earlier.finish();
  }
  restores.changed.length = 0;
  await using forced = await restores.open({ backup: "two", force: true });
  await forced.write([]);
  const marked = restores.changed.map((change) => /"phase":"(\w+)"/.exec(change)?.[1] ?? change);
  assert.equal(marked[0], "puttingAside");
  assert.ok(marked.indexOf(`${A} is gone`) < marked.indexOf("writing"), marked.join("\n"));
  assert.ok(marked.includes(`${A} is gone`));
});

test("EtcdRestore refuses to write while another restore is running", async () => {
  using restores = createRestores();
  await using one = await restores.open();
  await using other = await restores.open();
  await one.write([]);
  const message = "cannot restore into etcd: another restore is running there";
  await assert.rejects(other.write([]), { code: "conflict", message });
  await assert.rejects(other.finish(), { code: "conflict", message });
});

test("EtcdRestore accepts a compacted history, and says how to continue after another failure", async () => {
  using restores = createRestores();
  const failing = (status: number, message: string) =>
    restores.open({}, (path) => path.endsWith("/Compact") ? new GrpcError(status, message) : undefined);
  await using late = await failing(
    GRPC_STATUS.outOfRange,
    "etcdserver: mvcc: required revision has been compacted",
  );
  assert.deepEqual((await late.write([])).aside, []);
  await using broken = await failing(GRPC_STATUS.internal, "odd");
  await assert.rejects(broken.write([]), {
    code: "io",
    message: "cannot finish the restore: cannot write etcd: odd",
    hint: "check etcd's log; then run the same command again, which continues",
  });
});

test("EtcdRestore reports a key that is gone after it was written", async () => {
  using restores = createRestores();
  await using restore = await restores.open({}, (path, message) => {
    const isLost = path.endsWith("/Txn") && Buffer.from(message).includes(A);
    return isLost ? encodeModelTransaction(9, true, []) : undefined;
  });
  await assert.rejects(restore.write([createStored(A, thing("a"), 1)]), {
    code: "conflict",
    message: `cannot restore into etcd: "${A}" was written but is gone`,
  });
});
