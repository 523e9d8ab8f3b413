import assert from "node:assert/strict";
import { test } from "node:test";
import { caRotations } from "../../server/registry/tlsboot_v1alpha1.ts";
import { toKeyPrefix } from "../../server/registry/registry.ts";
import { createMemoryStorage } from "../../server/storage/memory/journaled_storage.ts";
import { encodePem } from "../../core/pki/asn1/pem.ts";
import { crossSign } from "../../core/ca_rotation/new_ca.ts";
import type { CaRotation } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { createInstanceDeps } from "../../tests/support/instance_deps.ts";
import { createSigningCa } from "../../tests/support/signing_ca.ts";
import type { LiveAuthorities } from "../authority/instance_authorities.ts";
import type { DataDir } from "../data_dir.ts";
import { InstanceRotations } from "./rotation_follower.ts";

const WINDOW = { renewFrom: "2026-06-01T00:00:00Z", renewBy: "2026-06-01T01:00:00Z" };

const TARGETS = {
  dir: { root: "/nowhere" } as DataDir,
  tokenKey: "/nowhere/sa.key",
  crls: { add: () => Promise.resolve(), remove: () => Promise.resolve() },
  record: () => Promise.resolve(),
};

/** A server without CAs of its own reads no file. */
function createAuthorities(reload: () => Promise<void>): LiveAuthorities {
  return { purposes: [], reload } as Partial<LiveAuthorities> as LiveAuthorities;
}

for (
  const { name, canReload, want } of [
    { name: "asks clients of the old CA to renew once the new one signs", canReload: true, want: true },
    { name: "asks for nothing while the new CA cannot be used", canReload: false, want: false },
  ]
) {
  test(`InstanceRotations.listAnnotations() ${name}`, async () => {
    const deps = createInstanceDeps("/nowhere");
    const storage = createMemoryStorage(deps);
    const [oldCa, newCa] = [await createSigningCa({ commonName: "old" }), await createSigningCa({ commonName: "new" })];
    const crossed = await crossSign(newCa.certificate, oldCa, {
      notBefore: newCa.certificate.notBefore,
      serial: Uint8Array.of(9),
    });
    assert.ok(crossed.ok);
    const rotation: CaRotation = {
      metadata: { name: "ca", uid: "1" },
      spec: {
        step: "Switch",
        oldCA: oldCa.certificatePem,
        newCA: newCa.certificatePem,
        crossSignedCA: encodePem("CERTIFICATE", crossed.value.der),
        ...WINDOW,
      },
      status: { beganAt: null },
    };
    await storage.create(`${toKeyPrefix(caRotations, "")}ca`, rotation);
    const reload = () => canReload ? Promise.resolve() : Promise.reject(new Error("no such file"));
    const rotations = await InstanceRotations.open(
      { ...TARGETS, storage, authorities: createAuthorities(reload) },
      deps,
    );
    assert.deepEqual(
      rotations.listAnnotations(),
      want
        ? {
          "tlsboot/retiring-ca": oldCa.certificate.subjectKeyId,
          "tlsboot/renew-from": WINDOW.renewFrom,
          "tlsboot/renew-by": WINDOW.renewBy,
        }
        : {},
    );
  });
}

test("InstanceRotations.follow() reports a server before it adopts a step", async () => {
  const deps = createInstanceDeps("/nowhere");
  const storage = createMemoryStorage(deps);
  const [reported, adopting] = [Promise.withResolvers<CaRotation>(), Promise.withResolvers<void>()];
  const observed = new Proxy(storage, {
    get(target, key) {
      const value = Reflect.get(target, key);
      if (typeof value !== "function") return value;
      return (...args: readonly unknown[]) => {
        if (key === "update") reported.resolve(args[1] as CaRotation);
        return value.apply(target, args);
      };
    },
  });
  let isAdopted = Promise.resolve();
  const authorities = createAuthorities(() => isAdopted);
  const rotations = await InstanceRotations.open({ ...TARGETS, storage: observed, authorities }, deps);
  isAdopted = adopting.promise;
  const stop = new AbortController();
  const following = rotations.follow("s1", stop.signal);
  const { certificatePem } = await createSigningCa({ commonName: "old" });
  const rotation: CaRotation = {
    metadata: { name: "ca", uid: "1" },
    spec: { step: "Trust", oldCA: certificatePem, newCA: certificatePem },
    status: { beganAt: null },
  };
  await storage.create(`${toKeyPrefix(caRotations, "")}ca`, rotation);
  const { status: { servers = [] } } = await reported.promise;
  assert.deepEqual(servers.map(({ name, step }) => [name, step]), [["s1", ""]]);
  adopting.resolve();
  stop.abort();
  await following;
});
