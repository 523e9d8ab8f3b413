import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { assertNoActiveLease, inParallel, moveAside } from "./restore.ts";
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
