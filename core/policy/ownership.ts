/**
 * Whether the names and addresses of a request belong to the node that asks. Evidence is looked at in a fixed order; DNS
 * is none. An address that two nodes claim, or that is the server's, belongs to nobody.
 */
import type { EvidenceSettings } from "./policy.ts";
import { dnsNameFault } from "./dns_name.ts";
import { canonicalIp, type Inventory, type NodeNames } from "./inventory.ts";

/** What is known at the time of a decision. Everything may be missing. */
export interface Evidence {
  readonly inventory: Inventory | undefined;
  /** Names of the serving certificate that a node holds now. */
  readonly held: Lookup<NodeNames>;
  /** What every node writes into its own `status.addresses`, by node. */
  readonly reported: Lookup<ReadonlyMap<string, NodeNames>>;
  /** Names and addresses of the API server itself. */
  readonly server: NodeNames;
}

/** Something that had to be asked for: there, not there, or the asking failed. */
export type Lookup<T> =
  | { readonly kind: "found"; readonly value: T }
  | { readonly kind: "none" }
  | { readonly kind: "failed"; readonly message: string };

/** Whether one value belongs to the node. */
export type Ownership =
  | { readonly kind: "owned"; readonly by: "inventory" | "held certificate" | "node status" }
  | { readonly kind: "foreign"; readonly fault: string; readonly fix: string }
  /** Nobody could say just now; never a denial. */
  | { readonly kind: "unknown"; readonly message: string };

/** Decides about one DNS name (`dns`) or address (`ips`). */
export function decideOwnership(
  node: string,
  field: keyof NodeNames,
  value: string,
  evidence: Evidence,
  settings: EvidenceSettings,
): Ownership {
  if (field === "dns") {
    const fault = dnsNameFault(value);
    if (fault !== undefined) return foreign(fault, "ask for the plain lower-case name");
  }
  const wanted = field === "ips" ? canonicalIp(value) : value;
  if (evidence.server[field].includes(wanted)) {
    return foreign(`${wanted} belongs to the API server`, "leave it out of the request");
  }
  const other = findOtherOwner(node, field, wanted, evidence);
  if (other !== undefined) return foreign(`${wanted} belongs to node ${other.node} too, by ${other.by}`, other.fix);

  const known = settings.inventory ? evidence.inventory?.get(node) : undefined;
  if (known !== undefined) {
    return known[field].includes(wanted) ? { kind: "owned", by: "inventory" } : foreign(
      `the inventory does not give ${wanted} to node ${node}`,
      `add it to ${field} of ${node} in the inventory`,
    );
  }
  const failures: string[] = [];
  if (settings.heldCertificate) {
    if (evidence.held.kind === "failed") failures.push(evidence.held.message);
    if (evidence.held.kind === "found" && evidence.held.value[field].includes(wanted)) {
      return { kind: "owned", by: "held certificate" };
    }
  }
  if (settings.trustNodeStatus) {
    if (evidence.reported.kind === "failed") failures.push(evidence.reported.message);
    if (evidence.reported.kind === "found" && evidence.reported.value.get(node)?.[field].includes(wanted) === true) {
      return { kind: "owned", by: "node status" };
    }
  }
  if (failures.length > 0) return { kind: "unknown", message: failures.join("; ") };
  return foreign(`nothing proves that ${wanted} belongs to node ${node}`, fixOf(node, settings));
}

function findOtherOwner(
  node: string,
  field: keyof NodeNames,
  wanted: string,
  { inventory, reported }: Evidence,
): { readonly node: string; readonly by: string; readonly fix: string } | undefined {
  const claims = (names: ReadonlyMap<string, NodeNames>) =>
    [...names].find(([other, own]) => other !== node && own[field].includes(wanted))?.[0];
  const listed = inventory === undefined ? undefined : claims(inventory);
  if (listed !== undefined) {
    return { node: listed, by: "the inventory", fix: "correct the inventory, or the machine's address" };
  }
  // What the operator has given to this node cannot be taken from it by another that only says so.
  if (inventory?.get(node)?.[field].includes(wanted) === true) return undefined;
  const told = reported.kind === "found" ? claims(reported.value) : undefined;
  return told === undefined
    ? undefined
    : { node: told, by: "its own status", fix: `find out which of the two machines has it: kubectl get nodes -o wide` };
}

function fixOf(node: string, settings: EvidenceSettings): string {
  if (settings.inventory) return `add it to ${node} in the inventory (--inventory)`;
  return "approve by hand when you know better: tlsboot approve";
}

function foreign(fault: string, fix: string): Ownership {
  return { kind: "foreign", fault, fix };
}
