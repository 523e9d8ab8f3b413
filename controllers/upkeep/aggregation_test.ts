import assert from "node:assert/strict";
import { test } from "node:test";
import { AppError } from "../../core/errors.ts";
import type { ClusterRole, PolicyRule } from "../../core/kube/kinds/rbac_v1.ts";
import { createFakeClock, settle } from "../../tests/support/fake_clock.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { createMemoryObjectStore } from "../../tests/support/memory_object_store.ts";
import { runAggregation } from "./aggregation.ts";

const READ: PolicyRule = { verbs: ["get"], apiGroups: [""], resources: ["secrets"] };
const WRITE: PolicyRule = { verbs: ["update"], apiGroups: [""], resources: ["secrets"] };

test("runAggregation() grants an aggregated role the rules of the selected roles, and removes them again", async () => {
  const clock = createFakeClock();
  const store = createMemoryObjectStore<ClusterRole>({ objects: [gathering("all"), part("a", READ)] });
  const logger = createMemoryLogger();
  const abort = new AbortController();
  const running = runAggregation({ store, clock, logger }, abort.signal);
  await settle();
  assert.deepEqual(store.peek("all").rules, [READ]);

  store.failNext("update all", new AppError("conflict", "cannot update"));
  store.put(part("b", WRITE));
  await settle();
  store.put(part("c", READ));
  await settle();
  assert.deepEqual(store.peek("all").rules, [READ, WRITE]);

  await store.delete("b", abort.signal);
  await settle();
  assert.deepEqual(store.peek("all").rules, [READ]);
  assert.deepEqual(logger.messages("error"), []);
  abort.abort();
  await running;
});

test("runAggregation() continues after the API was unreachable", async () => {
  const clock = createFakeClock();
  const store = createMemoryObjectStore<ClusterRole>({ objects: [gathering("all"), part("a", READ)] });
  store.failNext("update all", new AppError("unreachable", "cannot reach"));
  const logger = createMemoryLogger();
  const abort = new AbortController();
  const running = runAggregation({ store, clock, logger }, abort.signal);
  await settle();
  assert.deepEqual(logger.messages("error"), ["aggregation of cluster roles failed, starting it again"]);
  await clock.advance(1_000);
  assert.deepEqual(store.peek("all").rules, [READ]);
  abort.abort();
  await running;
});

function gathering(name: string): ClusterRole {
  return {
    metadata: { name },
    rules: [],
    aggregationRule: { clusterRoleSelectors: [{ matchLabels: { gather: "yes" } }] },
  };
}

function part(name: string, rule: PolicyRule): ClusterRole {
  return { metadata: { name, labels: { gather: "yes" } }, rules: [rule] };
}
