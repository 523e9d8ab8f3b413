import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { assertNoActiveLease } from "./restore.ts";

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
      name: "was given back",
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
