/** Nodes: what stays as it is once set, taints and addresses (`pkg/apis/core/validation`, `pkg/apis/core/v1/defaults.go`). */
import { isIP } from "node:net";
import { duplicate, type FieldError, forbidden, invalid, notSupported, required } from "../field_error.ts";
import type { KubeObject } from "../meta.ts";
import { labelValueErrors } from "../names.ts";
import { validateLabelName } from "./object_meta.ts";

/** What is checked of a Node; everything else is the kubelet's word. */
export interface NodeShape extends KubeObject {
  readonly spec: {
    readonly podCIDR?: string;
    readonly podCIDRs?: readonly string[];
    readonly providerID?: string;
    readonly taints?: readonly TaintShape[];
  };
  readonly status: {
    readonly capacity?: Readonly<Record<string, string>>;
    readonly allocatable?: Readonly<Record<string, string>>;
    readonly addresses?: readonly { readonly type: string; readonly address: string }[];
  };
}

/** A taint. */
export interface TaintShape {
  readonly key: string;
  readonly value?: string;
  readonly effect: string;
}

const TAINT_EFFECTS: readonly string[] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

/** What can be allocated is the capacity, unless the node says otherwise; both forms of its networks agree. */
export function defaultNode<T extends NodeShape>(node: T): T {
  const agreed = withPodCidrs(node);
  const { capacity, allocatable, ...rest } = agreed.status;
  if (allocatable !== undefined || capacity === undefined) return agreed;
  return { ...agreed, status: { capacity, allocatable: capacity, ...rest } };
}

/** The single network is the first of all; where they differ it counts (`pkg/apis/core/v1/conversion.go`). */
function withPodCidrs<T extends NodeShape>(node: T): T {
  const { podCIDR = "", podCIDRs = [], ...rest } = node.spec;
  const networks = podCIDR === "" || podCIDR === podCIDRs[0] ? podCIDRs : [podCIDR];
  const [first] = networks;
  if (first === undefined || (first === podCIDR && networks === podCIDRs)) return node;
  return { ...node, spec: { podCIDR: first, podCIDRs: networks, ...rest } };
}

/** Faults of a new Node beside its metadata. */
export function validateNodeCreate(node: NodeShape): FieldError[] {
  return [...validateTaints(node.spec.taints ?? [], "metadata.taints"), ...validatePodCidrs(node.spec.podCIDRs ?? [])];
}

/** Faults of a changed Node beside its metadata: those of a new one, and of what may not change. */
export function validateNodeUpdate(node: NodeShape, old: NodeShape): FieldError[] {
  return [...validateNodeCreate(node), ...validateChange(node, old)];
}

/** Faults of a changed `/status`, whose spec was looked at when it was written. */
export function validateNodeStatusUpdate(node: NodeShape, old: NodeShape): FieldError[] {
  return [...validateChange(node, old), ...validateTaints(node.spec.taints ?? [], "metadata.taints")];
}

function validateChange(node: NodeShape, old: NodeShape): FieldError[] {
  return [...validateAddresses(node), ...validateSamePodCidrs(node, old), ...validateProviderId(node, old)];
}

function validatePodCidrs(networks: readonly string[]): FieldError[] {
  const families = networks.map(familyOf);
  const errors = networks.flatMap((network, index) =>
    families[index] === 0
      ? [invalid(`spec.podCIDRs[${index}]`, network, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)")]
      : []
  );
  const isPair = networks.length === 2 && families[0] !== families[1];
  if (networks.length > 1 && !families.includes(0) && !isPair) {
    errors.push(invalid("spec.podCIDRs", networks, "may specify no more than one CIDR for each IP family"));
  }
  return errors;
}

/** 4 or 6, the family of an address with the length of a prefix; 0 when it is none. */
function familyOf(network: string): number {
  const [address = "", length = "", ...rest] = network.split("/");
  const family = isIP(address);
  const isLength = rest.length === 0 && /^\d{1,3}$/.test(length) && Number(length) <= (family === 4 ? 32 : 128);
  return isLength ? family : 0;
}

function validateAddresses(node: NodeShape): FieldError[] {
  const seen = new Set<string>();
  return (node.status.addresses ?? []).flatMap((address, index) => {
    const key = JSON.stringify([address.type, address.address]);
    if (!seen.has(key)) {
      seen.add(key);
      return [];
    }
    const value = { Type: address.type, Address: address.address };
    return [duplicate(`status.addresses[${index}]`, value)];
  });
}

function validateSamePodCidrs(node: NodeShape, old: NodeShape): FieldError[] {
  const before = old.spec.podCIDRs ?? [];
  const after = node.spec.podCIDRs ?? [];
  if (before.length === 0) return [];
  const error = forbidden("spec.podCIDRs", 'node updates may not change podCIDR except from "" to valid');
  if (before.length !== after.length) return [error];
  return before.filter((value, index) => value !== after[index]).map(() => error);
}

function validateProviderId(node: NodeShape, old: NodeShape): FieldError[] {
  const before = old.spec.providerID ?? "";
  const after = node.spec.providerID ?? "";
  if (before === "" || before === after) return [];
  const verb = after === "" ? "cleared" : "modified";
  return [invalid("spec.providerID", null, `field cannot be ${verb} once set`)];
}

/** Upstream reports taints under `metadata`, and so do we. */
function validateTaints(taints: readonly TaintShape[], path: string): FieldError[] {
  const seen = new Set<string>();
  return taints.flatMap((taint, index) => {
    const at = `${path}[${index}]`;
    const { key, value = "", effect } = taint;
    const errors = validateLabelName(key, `${at}.key`);
    const valueErrors = labelValueErrors(value);
    if (valueErrors.length > 0) errors.push(invalid(`${at}.value`, value, valueErrors.join(";")));
    if (effect === "") errors.push(required(`${at}.effect`));
    else if (!TAINT_EFFECTS.includes(effect)) errors.push(notSupported(`${at}.effect`, effect, TAINT_EFFECTS));
    const identity = JSON.stringify([key, effect]);
    if (seen.has(identity)) {
      const found = duplicate(at, { Key: key, Value: value, Effect: effect, TimeAdded: null });
      errors.push({ ...found, message: `${found.message}: taints must be unique by key and effect pair` });
    }
    seen.add(identity);
    return errors;
  });
}
