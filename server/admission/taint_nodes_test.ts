import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeKind } from "../../core/kube/kinds/mod.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import { creation, update } from "../../tests/support/admission_requests.ts";
import { taintNodesByCondition } from "./taint_nodes.ts";

const NOT_READY = { key: "node.kubernetes.io/not-ready", effect: "NoSchedule" };
const node = (spec: object): KubeObject => ({ metadata: { name: "n1" }, spec, status: {} }) as KubeObject;

async function admitted(object: KubeObject): Promise<unknown> {
  const answer = await taintNodesByCondition.mutate?.(creation(object, { kind: nodeKind }));
  return answer?.kind === "admitted" ? answer.object : answer;
}

test("taintNodesByCondition taints a new node, after its own taints and before the fields that follow them", async () => {
  const own = { key: "a", effect: "NoExecute" };
  assert.equal(
    JSON.stringify(await admitted(node({ podCIDR: "10.0.0.0/24", taints: [own], externalID: "x" }))),
    JSON.stringify(node({ podCIDR: "10.0.0.0/24", taints: [own, NOT_READY], externalID: "x" })),
  );
});

test("taintNodesByCondition does not change a node that has the taint, with any value", async () => {
  const tainted = node({ taints: [{ ...NOT_READY, value: "x" }] });
  assert.equal(await admitted(tainted), tainted);
});

test("taintNodesByCondition changes only creations of nodes", async () => {
  const object = node({});
  const answers = [
    await taintNodesByCondition.mutate?.(creation(object)),
    await taintNodesByCondition.mutate?.(creation(object, { kind: nodeKind, subresource: "status" })),
    await taintNodesByCondition.mutate?.(update(object, object, { kind: nodeKind })),
  ];
  for (const answer of answers) assert.deepEqual(answer, { kind: "admitted", object });
});
