/**
 * TaintNodesByCondition: a new node has the taint `not-ready`, so that nothing is scheduled on it too early
 * (`plugin/pkg/admission/nodetaint`). The node lifecycle controller of a cluster removes the taint.
 */
import { nodeKind } from "../../core/kube/kinds/mod.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import type { AdmissionPlugin } from "./admission.ts";

/** The fields of a Node that the plugin reads. */
interface TaintedNode extends KubeObject {
  readonly spec?: {
    readonly taints?: readonly Taint[];
    readonly configSource?: unknown;
    readonly externalID?: unknown;
  };
}

interface Taint {
  readonly key: string;
  readonly effect: string;
}

const NOT_READY: Taint = { key: "node.kubernetes.io/not-ready", effect: "NoSchedule" };

/** Adds the taint `node.kubernetes.io/not-ready:NoSchedule` to every new node that has none. */
export const taintNodesByCondition: AdmissionPlugin = {
  name: "TaintNodesByCondition",
  mutate({ operation, kind, subresource, object }) {
    const isNewNode = operation === "CREATE" && kind === nodeKind && subresource === "";
    return Promise.resolve({ kind: "admitted", object: isNewNode ? withTaint(object) : object });
  },
};

function withTaint(node: TaintedNode): KubeObject {
  const { taints = [], configSource, externalID, ...rest } = node.spec ?? {};
  if (taints.some(({ key, effect }) => key === NOT_READY.key && effect === NOT_READY.effect)) return node;
  // Go's JSON has these two fields after the taints.
  const spec = {
    ...rest,
    taints: [...taints, NOT_READY],
    ...(configSource === undefined ? {} : { configSource }),
    ...(externalID === undefined ? {} : { externalID }),
  };
  const { metadata, spec: _spec, ...others } = node;
  return { metadata, spec, ...others } as KubeObject;
}
