// Carries `sarapprove_test.go` and the shell's part of `controller_approval_test.go`.
import assert from "node:assert/strict";
import { test } from "node:test";
import { AppError } from "../../core/errors.ts";
import type { EventV1 } from "../../core/kube/kinds/events_v1.ts";
import { buildCsr, condition, type CsrOptions } from "../../tests/support/csr_builder.ts";
import { createFakeClock, settle } from "../../tests/support/fake_clock.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { createMemoryObjectStore, type MemoryObjectStore } from "../../tests/support/memory_object_store.ts";
import { createSeededRandom } from "../../tests/support/seeded_random.ts";
import { createVerdictEvents } from "./approver.ts";
import type { SubjectAccessReviewSpec } from "../../core/kube/kinds/authorization_v1.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import type { AccessReviewer } from "../../core/ports.ts";
import { createTestApprover } from "../../tests/support/test_approver.ts";
import { type Outcome, runController } from "../engine/loop.ts";

const NEVER = new AbortController().signal;
const own: CsrOptions = { username: "system:node:n1", groups: ["system:nodes"] };

interface Reviewer extends AccessReviewer {
  readonly asked: string[];
  readonly granted: Set<string>;
}

function createReviewer(...granted: string[]): Reviewer {
  const asked: string[] = [];
  const grants = new Set(granted);
  const isAllowed = (spec: SubjectAccessReviewSpec): Promise<boolean> => {
    const permission = spec.resourceAttributes?.subresource ?? "";
    asked.push(`${spec.user} ${permission}`);
    return Promise.resolve(grants.has(permission));
  };
  return { asked, granted: grants, isAllowed };
}

interface Run {
  readonly outcome: Outcome;
  readonly store: MemoryObjectStore<CertificateSigningRequest>;
}

async function run(edit: CsrOptions, reviewer: AccessReviewer): Promise<Run> {
  const store = createMemoryObjectStore({ objects: [await buildCsr(edit)] });
  const { reconcile } = createTestApprover({ store, sources: { reviewer } });
  return { outcome: await reconcile("csr-1", store.peek("csr-1"), NEVER), store };
}

for (
  const { name, edit, granted, asked, message } of [
    {
      name: "bootstrap user with nodeclient",
      edit: {},
      granted: ["nodeclient"],
      asked: ["nodeclient"],
      message: "Auto approving kubelet client certificate after SubjectAccessReview.",
    },
    {
      name: "node for itself with selfnodeclient",
      edit: own,
      granted: ["selfnodeclient"],
      asked: ["selfnodeclient"],
      message: "Auto approving self kubelet client certificate after SubjectAccessReview.",
    },
    {
      name: "node for itself with nodeclient only",
      edit: own,
      granted: ["nodeclient"],
      asked: ["selfnodeclient", "nodeclient"],
      message: "Auto approving kubelet client certificate after SubjectAccessReview.",
    },
  ]
) {
  test(`createApprover() approves: ${name}`, async () => {
    const reviewer = createReviewer(...granted);
    const { outcome, store } = await run({ ...edit, conditions: [condition("Custom")] }, reviewer);
    assert.deepEqual(outcome, { kind: "done" });
    assert.deepEqual(reviewer.asked.map((item) => item.split(" ")[1]), asked);
    assert.deepEqual(store.calls, ["update csr-1/approval"]);
    assert.deepEqual(store.peek("csr-1").status.conditions, [condition("Custom"), {
      type: "Approved",
      status: "True",
      reason: "AutoApproved",
      message,
      lastUpdateTime: null,
      lastTransitionTime: null,
    }]);
  });
}

for (
  const { name, edit } of [
    { name: "signer kube-apiserver-client", edit: { signerName: "kubernetes.io/kube-apiserver-client" } },
    { name: "organization system:notnodes", edit: { organizations: ["system:notnodes"] } },
    { name: "extra SAN", edit: { dnsNames: ["x"] } },
    { name: "Denied", edit: { conditions: [condition("Denied")] } },
    { name: "Approved", edit: { conditions: [condition("Approved")] } },
    { name: "issued", edit: { certificate: "eA==" } },
  ]
) {
  test(`createApprover() makes no call for: ${name}`, async () => {
    const reviewer = createReviewer("nodeclient", "selfnodeclient");
    const { outcome, store } = await run(edit, reviewer);
    assert.deepEqual(outcome, { kind: "done" });
    assert.deepEqual([...reviewer.asked, ...store.calls], []);
  });
}

test("createApprover() checks a recognized request again when no permission is granted", async () => {
  const reviewer = createReviewer("selfnodeclient");
  const { outcome, store } = await run({ username: "system:node:n2" }, reviewer);
  assert.deepEqual(outcome, { kind: "requeueAfter", ms: 200 });
  assert.deepEqual(reviewer.asked, ["system:node:n2 nodeclient"]);
  assert.deepEqual(store.calls, []);
});

test("createApprover() resets the back-off of a request that it approves", async () => {
  const reviewer = createReviewer();
  const store = createMemoryObjectStore({ objects: [await buildCsr()] });
  const { reconcile } = createTestApprover({ store, sources: { reviewer } });
  const pending = store.peek("csr-1");
  const check = () => reconcile("csr-1", pending, NEVER);
  assert.deepEqual([await check(), await check()].map((outcome) => outcome.kind === "requeueAfter" && outcome.ms), [
    200,
    400,
  ]);
  reviewer.granted.add("nodeclient");
  assert.deepEqual(await check(), { kind: "done" });
  // Another request has the name once this one is decided.
  await reconcile("csr-1", store.peek("csr-1"), NEVER);
  reviewer.granted.clear();
  assert.deepEqual(await check(), { kind: "requeueAfter", ms: 200 });
});

test("createApprover() reports and retries a request that it cannot parse", async () => {
  const { outcome } = await run({ request: "" }, createReviewer());
  assert.ok(outcome.kind === "retry" && outcome.error instanceof Error);
  assert.equal(outcome.error.message, 'unable to parse csr "csr-1": PEM block type must be CERTIFICATE REQUEST');
});

test("createApprover() tries again after a review fails", async () => {
  const reviewer: AccessReviewer = { isAllowed: () => Promise.reject(new AppError("unreachable", "cannot reach")) };
  const { outcome } = await run({}, reviewer);
  assert.ok(outcome.kind === "retry" && outcome.error instanceof AppError);
  assert.equal(outcome.error.message, 'rule "nodeclient": cannot check permission nodeclient: cannot reach');
});

test("createApprover() approves on a retry once the permission is granted, and survives a conflict", async () => {
  const clock = createFakeClock();
  const store = createMemoryObjectStore({ objects: [await buildCsr()] });
  const reviewer = createReviewer();
  const logger = createMemoryLogger();
  const abort = new AbortController();
  const approver = createTestApprover({ store, sources: { reviewer }, logger });
  const running = runController(
    { name: "approver", store, ...approver, clock, random: createSeededRandom(), logger },
    abort.signal,
  );
  await clock.advance(60_000);
  assert.equal(store.peek("csr-1").status.conditions, undefined);
  assert.deepEqual(logger.messages("error"), []);
  reviewer.granted.add("nodeclient");
  store.failNext("update csr-1/approval", new AppError("conflict", "cannot update"));
  await clock.advance(300_000);
  assert.equal(store.peek("csr-1").status.conditions?.[0]?.type, "Approved");
  assert.deepEqual(logger.messages("info"), ["CSR approved"]);
  assert.deepEqual(logger.messages("error"), []);
  const asked = reviewer.asked.length;
  await clock.advance(300_000);
  assert.equal(reviewer.asked.length, asked);
  abort.abort();
  await running;
  await settle();
});

test("createVerdictEvents() logs an Event that cannot be written, and shortens a long note", async () => {
  const clock = createFakeClock();
  const logger = createMemoryLogger();
  const events = createMemoryObjectStore<EventV1>();
  const { record } = createVerdictEvents({
    store: events,
    instance: "i",
    clock,
    random: createSeededRandom(),
    logger,
  });
  const signal = new AbortController().signal;
  const csr = await buildCsr({ name: "No DNS Name" });
  events.failNext("create", new AppError("access_denied", "forbidden"));
  await record(csr, { type: "Normal", reason: "X", note: "lost" }, signal);
  assert.deepEqual(logger.messages("warn"), ["event cannot be written"]);
  await record(csr, { type: "Normal", reason: "X", note: "ü".repeat(2_000) }, signal);
  const [event] = await events.list(signal);
  assert.match(event?.metadata.name ?? "", /^csr\.[0-9a-f]{16}$/);
  assert.ok(new TextEncoder().encode(event?.note).length <= 1_024);
  assert.match(event?.note ?? "", /^ü+…$/);
});
