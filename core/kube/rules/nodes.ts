/**
 * The rules of the objects that a kubelet writes for its node: the Node (`pkg/apis/core/validation`,
 * `pkg/apis/core/v1/defaults.go`) with networks in CIDR form (`apimachinery/pkg/util/validation/ip.go`), the CSINode
 * (`pkg/apis/storage/validation/validation.go`), and the Lease, which leaders write too (`pkg/apis/coordination/validation`,
 * `pkg/registry/coordination/lease/strategy.go`).
 */
import { isIPv4, isIPv6 } from "node:net";
import {
  checkEach,
  duplicate,
  type FieldError,
  forbiddenField,
  internal,
  invalid,
  notSupportedName,
  requiredField,
  tooLong,
} from "../status/field_error.ts";
import type { KubeObject } from "../meta.ts";
import { dns1123SubdomainErrors, labelValueErrors, qualifiedNameErrors } from "../names.ts";
import { byteLength, compareBytes, goQuote } from "../../lib/go_text.ts";
import { formatIpAddress, parseCidr, parseIpAddress } from "../../lib/ip_address.ts";
import { toMillis } from "../wire/scalars.ts";
import { validateLabelName } from "./meta_v1.ts";
import { isEqualJson } from "../json_value.ts";
import type { Lease } from "../kinds/nodes.ts";

/** The fields of a Node that are validated. */
export interface NodeShape extends KubeObject {
  readonly spec: {
    readonly podCIDR?: string;
    readonly podCIDRs?: readonly string[];
    readonly providerID?: string;
    readonly taints?: readonly TaintShape[];
    readonly externalID?: string;
    readonly configSource?: unknown;
    readonly podPreemptionPolicy?: unknown;
  };
  readonly status: {
    readonly capacity?: Readonly<Record<string, string>>;
    readonly allocatable?: Readonly<Record<string, string>>;
    readonly addresses?: readonly { readonly type: string; readonly address: string }[];
    readonly config?: unknown;
    readonly declaredFeatures?: readonly string[];
    readonly nodeInfo?: { readonly swap?: { readonly capacity?: number } };
  };
}

/** The fields of a taint that are validated. */
interface TaintShape {
  readonly key: string;
  readonly value?: string;
  readonly effect: string;
}

const TAINT_EFFECTS: readonly string[] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

/** Fills defaults: `allocatable` is the capacity unless it is set, and `podCIDR` and `podCIDRs` agree. */
export function defaultNode<T extends NodeShape>(node: T): T {
  const agreed = withPodCidrs(node);
  const { capacity, allocatable, ...rest } = agreed.status;
  if (allocatable !== undefined || capacity === undefined) return agreed;
  return { ...agreed, status: { capacity, allocatable: capacity, ...rest } };
}

/** Makes `podCIDR` the first of `podCIDRs`; where they differ, `podCIDR` wins (`pkg/apis/core/v1/conversion.go`). */
function withPodCidrs<T extends NodeShape>(node: T): T {
  const { podCIDR = "", podCIDRs = [], ...rest } = node.spec;
  const networks = podCIDR === "" || podCIDR === podCIDRs[0] ? podCIDRs : [podCIDR];
  const [first] = networks;
  if (first === undefined || (first === podCIDR && networks === podCIDRs)) return node;
  return { ...node, spec: { podCIDR: first, podCIDRs: networks, ...rest } };
}

/** Validates a new Node apart from its metadata. */
export function validateNodeCreate(node: NodeShape): FieldError[] {
  return [
    ...validateTaints(node.spec.taints ?? []),
    ...validateResources(node),
    ...validateSwap(node),
    ...validateDeclaredFeatures(node),
    ...validateNewPodCidrs(node.spec.podCIDRs ?? []),
  ];
}

/** Validates a changed Node apart from its metadata; the rules of a new one come first. */
export function validateNodeUpdate(node: NodeShape, old: NodeShape): FieldError[] {
  return [...validateNodeCreate(node), ...validateNodeStatusUpdate(node, old)];
}

/** Validates a Node that was written through `/status`. */
export function validateNodeStatusUpdate(node: NodeShape, old: NodeShape): FieldError[] {
  return [
    ...validateResources(node),
    ...validateDeclaredFeatures(node),
    ...validateAddresses(node),
    ...validatePodCidrs(node, old),
    ...validateProviderId(node, old),
    ...validateTaints(node.spec.taints ?? []),
    ...validateExternalId(node, old),
  ];
}

/**
 * Removes the fields of features that no longer exist or are off by default: the source of the kubelet's configuration,
 * and InPlacePodVerticalScalingSchedulerPreemption (`dropDisabledFields` of `pkg/registry/core/node/strategy.go`).
 */
export function withoutDisabledSpec<T extends NodeShape>(node: T): T {
  const { configSource: _, podPreemptionPolicy: __, ...spec } = node.spec;
  return { ...node, spec };
}

/** Removes the status of dynamic kubelet configuration, a feature that no longer exists. */
export function withoutConfigStatus<T extends NodeShape>(node: T): T {
  const { config: _, ...status } = node.status;
  return { ...node, status };
}

/** Creates the warnings about a valid Node. */
export function getWarningsForNode({ spec }: NodeShape): readonly string[] {
  return [
    ...(spec.externalID ? ["spec.externalID: this field is deprecated, and is unused by Kubernetes"] : []),
    ...(spec.podCIDRs ?? []).flatMap((network, index) => getWarningsForCidr(`spec.podCIDRs[${index}]`, network)),
  ];
}

function validateResources({ status }: NodeShape): FieldError[] {
  return (["capacity", "allocatable"] as const).flatMap((member) =>
    checkEach(
      Object.entries(status[member] ?? {}),
      ([name, amount]) => validateAmount(`status.${member}.${name}`, name, amount),
    )
  );
}

/** Validates the swap space, which upstream reports under `metadata`. */
function validateSwap({ status }: NodeShape): FieldError[] {
  const capacity = status.nodeInfo?.swap?.capacity;
  if (capacity === undefined || capacity > 0) return [];
  return [invalid("metadata.nodeSwapStatus.capacity", capacity, "must be greater than zero")];
}

const FEATURE = /^[A-Z][a-zA-Z0-9]*(\/[a-zA-Z][a-zA-Z0-9]*)*$/;
const FEATURE_MAX_LENGTH = 253;

function validateDeclaredFeatures({ status }: NodeShape): FieldError[] {
  const features = status.declaredFeatures ?? [];
  return checkEach(features, (feature, index) => {
    const path = `status.declaredFeatures[${index}]`;
    const errors = featureNameErrors(feature).map((text) => invalid(path, feature, text));
    const next = features[index + 1];
    const after = `status.declaredFeatures[${index + 1}]`;
    if (next === feature) errors.push(duplicate(after, next));
    else if (next !== undefined && compareBytes(feature, next) > 0) {
      errors.push(invalid(after, next, "list must be sorted alphabetically"));
    }
    return errors;
  });
}

function featureNameErrors(name: string): readonly string[] {
  const isTooLong = byteLength(name) > FEATURE_MAX_LENGTH;
  if (!isTooLong && FEATURE.test(name)) return [];
  const why = isTooLong
    ? `must be no more than ${FEATURE_MAX_LENGTH} characters`
    : "must start with an UpperCamelCase segment, with subsequent segments separated by '/' (e.g., MyFeature or " +
      "MyFeature/mySubFeature), and contain only alphanumeric characters and slashes";
  return [`invalid feature name ${goQuote(name)}: ${why}`];
}

function validateNewPodCidrs(networks: readonly string[]): FieldError[] {
  const path = "spec.podCIDRs";
  const errors = checkEach(networks, (network, index) => validateCidr(`${path}[${index}]`, network));
  if (networks.length < 2) return errors;
  const families = networks.map(networkFamily);
  const malformed = families.indexOf(undefined);
  if (malformed >= 0) {
    const why = `invalid CIDR[${malformed}]: <nil> (invalid CIDR address: ${networks[malformed]})`;
    errors.push(internal(path, `invalid PodCIDRs. failed to check with dual stack with error:${why}`));
  }
  const isPair = malformed < 0 && families.length === 2 && families[0] !== families[1];
  return isPair ? errors : [...errors, invalid(path, networks, "may specify no more than one CIDR for each IP family")];
}

function validateAddresses(node: NodeShape): FieldError[] {
  const seen = new Set<string>();
  return checkEach(node.status.addresses ?? [], (address, index) => {
    const key = JSON.stringify([address.type, address.address]);
    if (!seen.has(key)) {
      seen.add(key);
      return [];
    }
    const value = { Type: address.type, Address: address.address };
    return [duplicate(`status.addresses[${index}]`, value)];
  });
}

function validatePodCidrs(node: NodeShape, old: NodeShape): FieldError[] {
  const before = old.spec.podCIDRs ?? [];
  const after = node.spec.podCIDRs ?? [];
  if (before.length === 0) return [];
  const error = forbiddenField("spec.podCIDRs", 'node updates may not change podCIDR except from "" to valid');
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

function validateExternalId(node: NodeShape, old: NodeShape): FieldError[] {
  const isSame = (node.spec.externalID ?? "") === (old.spec.externalID ?? "");
  return isSame ? [] : [forbiddenField("spec.externalID", "may not be updated")];
}

/** Validates taints, which upstream reports under `metadata`. */
function validateTaints(taints: readonly TaintShape[]): FieldError[] {
  const seen = new Set<string>();
  return checkEach(taints, (taint, index) => {
    const at = `metadata.taints[${index}]`;
    const { key, value = "", effect } = taint;
    const errors = validateLabelName(key, `${at}.key`);
    const valueErrors = labelValueErrors(value);
    if (valueErrors.length > 0) errors.push(invalid(`${at}.value`, value, valueErrors.join(";")));
    if (effect === "") errors.push(requiredField(`${at}.effect`));
    else if (!TAINT_EFFECTS.includes(effect)) errors.push(notSupportedName(`${at}.effect`, effect, TAINT_EFFECTS));
    const identity = JSON.stringify([key, effect]);
    if (seen.has(identity)) {
      const found = { Key: key, Value: value, Effect: effect, TimeAdded: null };
      errors.push(duplicate(at, found, "taints must be unique by key and effect pair"));
    }
    seen.add(identity);
    return errors;
  });
}

/** The resources whose amounts are whole numbers. */
const COUNTED: readonly string[] = [
  "pods",
  "resourcequotas",
  "services",
  "replicationcontrollers",
  "secrets",
  "configmaps",
  "persistentvolumeclaims",
  "services.nodeports",
  "services.loadbalancers",
];

/** Validates an amount: it is not negative, and it is a whole number for resources that are counted. */
export function validateAmount(field: string, name: string, amount: string): FieldError[] {
  const millis = toMillis(amount);
  return [
    ...(millis < 0n ? [invalid(field, amount, "must be greater than or equal to 0")] : []),
    ...(isCounted(name) && millis % 1_000n !== 0n ? [invalid(field, amount, "must be an integer")] : []),
  ];
}

function isCounted(name: string): boolean {
  return COUNTED.includes(name) || isExtended(name);
}

/** Reports whether a resource is an extended one, which has a domain: `example.com/gpu`. */
function isExtended(name: string): boolean {
  if (!name.includes("/") || name.includes("kubernetes.io/") || name.startsWith("requests.")) return false;
  return qualifiedNameErrors(`requests.${name}`).length === 0;
}

/** Validates a network in CIDR form, which has no leading zeros, no mapped IPv4 address and no host bits. */
export function validateCidr(field: string, value: string): FieldError[] {
  const detail = cidrFault(value);
  return detail === undefined ? [] : [invalid(field, value, detail)];
}

/** Creates the warnings about a valid network: IPv6 addresses should be written as in RFC 5952. */
export function getWarningsForCidr(field: string, value: string): string[] {
  const { address, prefix } = split(value);
  const bytes = parseIpAddress(address);
  if (bytes?.length !== 16) return [];
  const canonical = `${formatIpAddress(bytes)}/${prefix}`;
  if (canonical === value) return [];
  const [is, should] = [goQuote(value), goQuote(canonical)];
  return [`${field}: IPv6 CIDR value ${is} should be in RFC 5952 canonical format (${should})`];
}

/** Finds the address family of a network, also of one that is not in canonical form; undefined for other text. */
export function networkFamily(value: string): 4 | 6 | undefined {
  const { address, prefix } = split(value);
  const plain = withoutLeadingZeros(address);
  if (plain.length > MAX_ADDRESS_LENGTH) return undefined;
  const width = isIPv4(plain) ? 32 : isIPv6(plain) && !plain.includes("%") ? 128 : 0;
  if (width === 0 || !/^\d+$/.test(prefix) || Number(prefix) > width) return undefined;
  return width === 32 || isMapped(plain) ? 4 : 6;
}

/** The length of the longest address: six groups of an IPv6 address before the four numbers of an IPv4 one. */
const MAX_ADDRESS_LENGTH = "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255".length;

function cidrFault(value: string): string | undefined {
  if (networkFamily(value) === undefined) return "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
  const { address, prefix } = split(value);
  if (withoutLeadingZeros(address) !== address || /^0\d/.test(prefix)) {
    return "must not have leading 0s in IP or prefix length";
  }
  if (isMapped(address)) return "must not have an IPv4-mapped IPv6 address";
  return parseCidr(value) === undefined ? "must not have bits set beyond the prefix length" : undefined;
}

function split(value: string): { readonly address: string; readonly prefix: string } {
  const at = value.indexOf("/");
  return at < 0 ? { address: value, prefix: "" } : { address: value.slice(0, at), prefix: value.slice(at + 1) };
}

/** Removes leading zeros from the numbers of an IPv4 address, because Go once read `010.0.0.1` as `10.0.0.1`. */
function withoutLeadingZeros(address: string): string {
  const start = address.lastIndexOf(":") + 1;
  const numbers = address.slice(start).split(".");
  if (numbers.length === 1) return address;
  return address.slice(0, start) + numbers.map((number) => number.replace(/^0+(?=\d)/, "")).join(".");
}

function isMapped(address: string): boolean {
  return address.includes(":") && parseIpAddress(address)?.length === 4;
}

/** The fields of a CSINode that are validated. */
export interface CsiNodeShape extends KubeObject {
  readonly spec: { readonly drivers: readonly CsiDriverShape[] | null };
}

/** The fields of a storage driver that are validated. */
export interface CsiDriverShape {
  readonly name: string;
  readonly nodeID: string;
  readonly topologyKeys?: readonly string[] | null;
  readonly allocatable?: { readonly count?: number };
}

const DRIVER_NAME_MAX_LENGTH = 63;
const NODE_ID_MAX_LENGTH = 256;

/** Validates a new CSINode apart from its metadata. */
export function validateCsiNodeCreate(node: CsiNodeShape): FieldError[] {
  const seen = new Set<string>();
  return checkEach(node.spec.drivers ?? [], (driver, index) => {
    const path = `spec.drivers[${index}]`;
    const errors = validateDriver(driver, path);
    if (seen.has(driver.name)) errors.push(duplicate(`${path}.name`, driver.name));
    seen.add(driver.name);
    return [...errors, ...validateTopologyKeys(driver.topologyKeys ?? [], path)];
  });
}

/** Validates a changed CSINode: of a driver that stays, only `allocatable` may change. */
export function validateCsiNodeUpdate(node: CsiNodeShape, old: CsiNodeShape): FieldError[] {
  const errors = validateCsiNodeCreate(node);
  const now = Map.groupBy(node.spec.drivers ?? [], ({ name }) => name);
  const changed = checkEach(old.spec.drivers ?? [], (before) =>
    checkEach(now.get(before.name) ?? [], (after) => {
      if (isEqualJson(withoutAllocatable(after), withoutAllocatable(before))) return [];
      return [invalid("spec.drivers", internalDriver(after), "field is immutable")];
    }));
  return [...errors, ...changed];
}

function validateDriver(driver: CsiDriverShape, path: string): FieldError[] {
  const { name, nodeID, allocatable } = driver;
  const errors: FieldError[] = [];
  if (name === "") errors.push(requiredField(`${path}.name`));
  else {
    if (byteLength(name) > DRIVER_NAME_MAX_LENGTH) errors.push(tooLong(`${path}.name`, DRIVER_NAME_MAX_LENGTH));
    errors.push(...dns1123SubdomainErrors(name.toLowerCase()).map((text) => invalid(`${path}.name`, name, text)));
  }
  if (nodeID === "") errors.push(requiredField(`${path}.nodeID`));
  if (byteLength(nodeID) > NODE_ID_MAX_LENGTH) {
    errors.push(invalid(`${path}.nodeID`, nodeID, `must be ${NODE_ID_MAX_LENGTH} characters or less`));
  }
  const count = allocatable?.count ?? 0;
  if (count < 0) errors.push(invalid(`${path}.allocatable.count`, count, "must be greater than or equal to 0"));
  return errors;
}

function validateTopologyKeys(keys: readonly string[], path: string): FieldError[] {
  const seen = new Set<string>();
  return checkEach(keys, (key) => {
    const isRepeated = seen.has(key);
    seen.add(key);
    return [
      ...(key === "" ? [requiredField(path)] : []),
      ...(isRepeated ? [duplicate(path, key)] : []),
      ...qualifiedNameErrors(key).map((text) => invalid(path, key, text)),
    ];
  });
}

function withoutAllocatable(driver: CsiDriverShape): unknown {
  return { name: driver.name, nodeID: driver.nodeID, topologyKeys: driver.topologyKeys ?? [] };
}

/** Names the fields as Go's internal type does, which the error prints. */
function internalDriver(driver: CsiDriverShape): unknown {
  return { Name: driver.name, NodeID: driver.nodeID, TopologyKeys: driver.topologyKeys ?? null, Allocatable: null };
}

/** Drops the fields of coordinated leader election, which is off by default. */
export function prepareLeaseForCreate(lease: Lease): Lease {
  const { strategy: _strategy, preferredHolder: _holder, ...spec } = lease.spec;
  return { ...lease, spec };
}

/** Drops the fields of coordinated leader election unless they are stored already. */
export function prepareLeaseForUpdate(lease: Lease, old: Lease): Lease {
  const { strategy, preferredHolder, ...spec } = lease.spec;
  return {
    ...lease,
    spec: {
      ...spec,
      ...(strategy === undefined || old.spec.strategy === undefined ? {} : { strategy }),
      ...(preferredHolder === undefined || old.spec.preferredHolder === undefined ? {} : { preferredHolder }),
    },
  };
}

/** Validates a new or a changed Lease apart from its metadata. */
export function validateLease(lease: Lease): FieldError[] {
  const { leaseDurationSeconds, leaseTransitions } = lease.spec;
  const errors: FieldError[] = [];
  if (leaseDurationSeconds !== undefined && leaseDurationSeconds <= 0) {
    errors.push(invalid("spec.leaseDurationSeconds", leaseDurationSeconds, "must be greater than 0"));
  }
  if (leaseTransitions !== undefined && leaseTransitions < 0) {
    errors.push(invalid("spec.leaseTransitions", leaseTransitions, "must be greater than or equal to 0"));
  }
  return errors;
}
