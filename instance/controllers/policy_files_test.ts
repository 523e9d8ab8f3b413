import assert from "node:assert/strict";
import { test } from "node:test";
import { isAppError } from "../../core/errors.ts";
import { createFakeClock, settle } from "../../tests/support/fake_clock.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { followPolicies, readPolicies } from "./policy_files.ts";

const INVENTORY = "apiVersion: tlsboot/v1alpha1\nkind: Inventory\nnodes: [{name: a, dns: [a.example]}]\n";

function createFiles(texts: Record<string, string>) {
  return { texts, readText: (path: string) => Promise.resolve(texts[path]) };
}

for (
  const { name, flags, fault } of [
    {
      name: "a name that is not a policy",
      flags: { policy: ["kubelet-serv"], inventory: undefined },
      fault: /"kubelet-serv" is neither a policy nor a file/,
    },
    {
      name: "a policy twice",
      flags: { policy: ["kubelet-client", "kubelet-client"], inventory: undefined },
      fault: /two policies are called "kubelet-client"/,
    },
    {
      name: "a missing inventory",
      flags: { policy: ["kubelet-serving"], inventory: undefined },
      fault: /the setting inventory is missing/,
    },
    {
      name: "an inventory file that does not exist",
      flags: { policy: ["kubelet-serving"], inventory: "gone" },
      fault: /the setting inventory: cannot read "gone": no such file/,
    },
  ]
) {
  test(`readPolicies() refuses ${name}`, async () => {
    await assert.rejects(
      readPolicies(flags, { files: createFiles({}), cwd: "/" }),
      (error: unknown) => isAppError(error, "config_invalid") && fault.test(error.message),
    );
  });
}

test("readPolicies() accepts a missing inventory when it is optional", async () => {
  const flags = { policy: ["kubelet-serving"], inventory: undefined };
  const { policies } = await readPolicies(flags, { files: createFiles({}), cwd: "/" }, { isInventoryOptional: true });
  assert.deepEqual(policies.map(({ name }) => name), ["kubelet-serving"]);
});

test("followPolicies() applies changes within a second, and logs a fault once", async () => {
  const clock = createFakeClock();
  const logger = createMemoryLogger();
  const files = createFiles({ "/inventory.yaml": INVENTORY });
  const flags = { policy: ["kubelet-serving"], inventory: "inventory.yaml" };
  const followed = await followPolicies(flags, { files, clock, logger, cwd: "/" });
  assert.ok(followed !== undefined);
  let changes = 0;
  const abort = new AbortController();
  const following = assert.rejects((async () => {
    for await (const _ of followed.changes(abort.signal)) changes += 1;
  })());
  await clock.advance(5_000);
  assert.equal(changes, 0);

  files.texts["/inventory.yaml"] = INVENTORY.replace("dns", "dsn");
  await clock.advance(5_000);
  assert.equal(changes, 0);
  assert.deepEqual([...followed.current().inventory?.keys() ?? []], ["a"]);
  delete files.texts["/inventory.yaml"];
  await clock.advance(5_000);
  assert.deepEqual(logger.entries.filter(({ level }) => level === "error").map(({ fields }) => fields["faults"]), [
    ["inventory.yaml: nodes[0].dsn: unknown key; did you mean dns?"],
    ['the setting inventory: cannot read "inventory.yaml": no such file'],
  ]);

  files.texts["/inventory.yaml"] = INVENTORY.replaceAll("a.example", "b.example").replace("name: a", "name: b");
  await clock.advance(1_000);
  await settle();
  assert.equal(changes, 1);
  assert.deepEqual([...followed.current().inventory?.keys() ?? []], ["b"]);
  abort.abort();
  await following;
});

test("followPolicies() delivers a change again to a receiver that failed", async () => {
  const clock = createFakeClock();
  const files = createFiles({ "/inventory.yaml": INVENTORY });
  const flags = { policy: ["kubelet-serving"], inventory: "inventory.yaml" };
  const followed = await followPolicies(flags, { files, clock, logger: createMemoryLogger(), cwd: "/" });
  assert.ok(followed !== undefined);
  const abort = new AbortController();
  let changes = 0;
  const follow = async (fault?: Error): Promise<void> => {
    for await (const _ of followed.changes(abort.signal)) {
      if (fault !== undefined) throw fault;
      changes += 1;
    }
  };
  const fails = assert.rejects(follow(new Error("cannot reach etcd")), /etcd/);
  files.texts["/inventory.yaml"] = INVENTORY.replaceAll("a.example", "b.example");
  await clock.advance(1_000);
  await fails;
  const following = assert.rejects(follow());
  await clock.advance(3_000);
  assert.equal(changes, 1);
  abort.abort();
  await following;
});

test("followPolicies() follows nothing without a policy, and refuses an inventory without a policy", async () => {
  const proofs = INVENTORY.replace("dns: [a.example]", `tpm: "sha256:${"a".repeat(64)}"`);
  const files = createFiles({ "/names.yaml": INVENTORY, "/proofs.yaml": proofs });
  const deps = { files, clock: createFakeClock(), logger: createMemoryLogger(), cwd: "/" };
  const follow = (inventory: string | undefined, isInventoryUsed: () => boolean) =>
    followPolicies({ policy: [], inventory }, deps, { isInventoryUsed });
  const isRefused = /the setting inventory has no effect without the setting policy/;
  assert.equal(await follow(undefined, () => true), undefined);
  await assert.rejects(follow("names.yaml", () => false), isRefused);
  await assert.rejects(followPolicies({ policy: [], inventory: "proofs.yaml" }, deps), isRefused);
  const followed = await follow("proofs.yaml", () => true);
  assert.deepEqual(followed?.current().policies, []);
  assert.equal(followed?.current().inventory?.get("a")?.proofs?.tpm, `sha256:${"a".repeat(64)}`);
});

test("followPolicies() reads its files again on request, and still follows later changes", async () => {
  const clock = createFakeClock();
  const files = createFiles({ "/inventory.yaml": INVENTORY });
  const deps = { files, clock, logger: createMemoryLogger(), cwd: "/" };
  const followed = await followPolicies({ policy: ["kubelet-serving"], inventory: "inventory.yaml" }, deps);
  assert.ok(followed);
  files.texts["/inventory.yaml"] = INVENTORY.replace("name: a,", "name: b,");
  await Promise.all([followed.refresh(), followed.refresh()]);
  assert.deepEqual([...followed.current().inventory?.keys() ?? []], ["b"]);
  const abort = new AbortController();
  const changes = followed.changes(abort.signal)[Symbol.asyncIterator]();
  const first = changes.next();
  await clock.advance(1_000);
  assert.equal((await first).done, false);
  abort.abort();
  await assert.rejects(changes.next());
});
