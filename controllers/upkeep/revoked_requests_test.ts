import assert from "node:assert/strict";
import { test } from "node:test";
import { AppError } from "../../core/errors.ts";
import { createRevocation } from "../../core/revocation/revocation.ts";
import { readRevocableRequest, RevocationIndex } from "../../core/revocation/revocation_index.ts";
import { buildCsr, condition, type CsrOptions } from "../../tests/support/csr_builder.ts";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { createMemoryObjectStore } from "../../tests/support/memory_object_store.ts";
import { createSeededRandom } from "../../tests/support/seeded_random.ts";
import { createSigningCa } from "../../tests/support/signing_ca.ts";
import { createTestApprover } from "../../tests/support/test_approver.ts";
import type { FindRevokedRequest } from "../../core/approval/decide_from_sources.ts";
import { settleRevokedRequests } from "./revoked_requests.ts";
import { createSigner } from "../signer/signer.ts";

const NEVER = new AbortController().signal;
const APPROVED = [condition("Approved", "2026-01-01T00:00:00Z")];
const logger = createMemoryLogger();

/** Refuses every request of the bootstrap token of `buildCsr`. */
function createFindRevoked(): FindRevokedRequest {
  const index = new RevocationIndex();
  index.put(createRevocation({ kind: "token", value: "abcdef" }, { reason: "keyCompromise" }));
  return (csr) => Promise.resolve(index.findForRequest({ ...readRevocableRequest(csr), tokenSecret: undefined }));
}

const findRevoked = createFindRevoked();

async function createStore(...options: readonly CsrOptions[]) {
  return createMemoryObjectStore({ objects: await Promise.all(options.map(buildCsr)) });
}

test("createApprover() denies what is revoked before any rule, without a review of permissions", async () => {
  const store = await createStore({});
  const reviewer = { isAllowed: () => assert.fail("no rule is asked") };
  const { reconcile } = createTestApprover({ store, sources: { reviewer, findRevoked } });
  assert.deepEqual(await reconcile("csr-1", store.peek("csr-1"), NEVER), { kind: "done" });
  const [denied] = store.peek("csr-1")?.status.conditions ?? [];
  assert.deepEqual([denied?.type, denied?.reason], ["Denied", "Revoked"]);
  assert.match(denied?.message ?? "", /^the requester: token "abcdef" is revoked/);
});

test("createSigner() fails what is revoked, and signs the rest", async () => {
  const store = await createStore(
    { name: "revoked", conditions: APPROVED },
    { name: "other", conditions: APPROVED, username: "system:bootstrap:bcdefg" },
  );
  const ca = await createSigningCa();
  const { reconcile } = createSigner({
    store,
    authorities: () => Promise.resolve(ca),
    signerNames: ["kubernetes.io/kube-apiserver-client-kubelet"],
    signingDurationSeconds: 3600,
    clock: createFakeClock("2026-03-04T05:06:07Z"),
    random: createSeededRandom(),
    logger,
    findRevoked,
  });
  for (const name of ["revoked", "other"]) await reconcile(name, store.peek(name), NEVER);
  const revoked = store.peek("revoked")?.status;
  assert.deepEqual([revoked?.certificate, revoked?.conditions?.at(-1)?.reason], [undefined, "Revoked"]);
  assert.deepEqual(revoked?.conditions?.map(({ type }) => type), ["Approved", "Failed"]);
  assert.notEqual(store.peek("other")?.status.certificate, undefined);
});

test("settleRevokedRequests() settles open requests only, and reports one that has changed meanwhile", async () => {
  const clock = createFakeClock("2026-03-04T05:06:07Z");
  const store = await createStore(
    { name: "pending" },
    { name: "approved", conditions: APPROVED },
    { name: "denied", conditions: [condition("Denied")] },
    { name: "issued", conditions: APPROVED, certificate: "eA==" },
    { name: "other", username: "system:bootstrap:bcdefg" },
  );
  const list = () => Promise.all(["pending", "approved", "denied", "issued", "other"].map((name) => store.peek(name)!));
  const deps = { store: { ...store, list }, findRevoked, clock, logger };
  assert.equal(await settleRevokedRequests(deps, NEVER), false);
  const types = (await list()).map(({ status }) => (status.conditions ?? []).map(({ type }) => type).join("+"));
  assert.deepEqual(types, ["Denied", "Approved+Failed", "Denied", "Approved", ""]);

  const conflict = () => Promise.reject(new AppError("conflict", "it was written in between"));
  const fresh = await createStore({ name: "pending" });
  const busy = { list: () => Promise.resolve([fresh.peek("pending")!]), update: conflict };
  assert.equal(await settleRevokedRequests({ ...deps, store: busy }, NEVER), true);
});
