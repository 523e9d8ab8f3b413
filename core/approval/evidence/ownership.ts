/**
 * Decides whether the names and addresses of a request belong to the requesting node, by the inventory, the node's
 * serving certificate and the reports of nodes. Evidence is checked in a fixed order, and DNS is not evidence. An
 * address that two nodes claim, or that the API server has, belongs to no node.
 */
import type { EvidenceSettings } from "../policy.ts";
import { findDnsNameFault } from "../../pki/x509/name_syntax.ts";
import { canonicalIp, isSharedAddress, parseIpAddress } from "../../lib/ip_address.ts";
import type { Inventory, NodeNames } from "./inventory.ts";
import { findLeafCertificate } from "../../request/issued_certificate.ts";
import { hasCertificate, isApproved, isFailed } from "../../request/phase.ts";
import type { CertificateSigningRequest } from "../../kube/kinds/certificates_v1.ts";
import { KUBELET_SERVING_SIGNER } from "../../kube/kinds/constants.ts";
import type { KubeObject } from "../../kube/meta.ts";
import { NODE_USER_PREFIX } from "../../kube/user.ts";
import type { CertificateFacts } from "../../pki/x509/certificate.ts";

/** The evidence at the time of a decision. */
export interface OwnershipEvidence {
  readonly inventory: Inventory | undefined;
  /** Names in the node's current serving certificate. */
  readonly held: Lookup<NodeNames>;
  /** The names and addresses in each node's `status.addresses`, by node. */
  readonly reported: Lookup<ReadonlyMap<string, NodeNames>>;
  /** Names and addresses of the API server itself. */
  readonly server: NodeNames;
  /** The unrevoked client certificates of the node whose first client certificate is requested. */
  readonly certificates: Lookup<readonly NodeCertificate[]>;
  /** The holders of the names in the request; absent where no register of issued certificates is read. */
  readonly claims?: Lookup<readonly NameClaim[]>;
}

/** A client certificate of a node, or an approved request for one. */
export interface NodeCertificate {
  /** The name of the node, without `system:node:`; undefined when unknown, in which case it may be any node. */
  readonly node: string | undefined;
  /** SHA-256 (hex) of the SubjectPublicKeyInfo in DER. */
  readonly publicKeyFingerprint: string;
  /** SHA-256 (hex) of the certificate in DER; undefined for a request that is approved and not signed yet. */
  readonly fingerprint: string | undefined;
  readonly notBefore: Date | undefined;
  readonly notAfter: Date | undefined;
}

/** One name that a user holds. */
export interface NameClaim {
  /** A DNS name in lower case, or an address in its canonical text. */
  readonly name: string;
  /** The user that the certificate identifies, or else its requester, or else its subject. Undefined when unknown. */
  readonly holder: string | undefined;
  /** SHA-256 (hex) of the SubjectPublicKeyInfo in DER. */
  readonly publicKeyFingerprint: string;
  /** The end of the certificate; undefined for a request that is approved and not signed yet. */
  readonly notAfter: Date | undefined;
}

/** The outcome of reading a fact from the API: found, not there, or failed. */
export type Lookup<T> =
  | { readonly kind: "found"; readonly value: T }
  | { readonly kind: "none" }
  | { readonly kind: "failed"; readonly message: string };

/** Whether one name or address belongs to the node. */
type Ownership =
  | { readonly kind: "owned"; readonly by: "inventory" | "held certificate" | "node status" }
  | { readonly kind: "foreign"; readonly fault: string; readonly fix: string }
  /** Ownership cannot be decided now, which is never a denial. */
  | { readonly kind: "unknown"; readonly message: string };

/** Decides whether a node owns a DNS name (`dns`) or an address in canonical form (`ips`). */
export function decideOwnership(
  node: string,
  field: keyof NodeNames,
  wanted: string,
  evidence: OwnershipEvidence,
  settings: EvidenceSettings,
): Ownership {
  if (field === "dns") {
    const fault = findDnsNameFault(wanted);
    if (fault !== undefined) return foreign(fault, "request the plain lower-case name");
  }
  if (isShared(wanted)) return foreign(`${wanted} belongs to no single machine`, LEAVE_OUT);
  if (evidence.server[field].includes(wanted)) return foreign(`${wanted} belongs to the API server`, LEAVE_OUT);
  const inventory = settings.inventory ? evidence.inventory : undefined;
  const owner = findClaim(inventory, node, field, wanted);
  if (owner !== undefined) {
    const fix = "correct the inventory, or the machine's address";
    return foreign(`${wanted} belongs to node ${owner}, by the inventory`, fix);
  }
  const known = inventory?.get(node);
  if (known !== undefined) {
    // No other node can take away an assignment by the operator.
    return known[field].includes(wanted)
      ? { kind: "owned", by: "inventory" }
      : foreign(`the inventory does not give ${wanted} to node ${node}`, formatAdvice(node, field, wanted, evidence));
  }
  return decideByNodes(node, field, wanted, evidence, settings);
}

/** Decides by certificates and node status, for nodes that are not in the inventory. */
function decideByNodes(
  node: string,
  field: keyof NodeNames,
  wanted: string,
  evidence: OwnershipEvidence,
  settings: EvidenceSettings,
): Ownership {
  const unproven = foreign(
    `nothing proves that ${wanted} belongs to node ${node}`,
    settings.inventory ? formatAdvice(node, field, wanted, evidence) : "if it does, approve by hand: tlsboot approve",
  );
  if (!usesNodeReports(settings)) return unproven;
  const { held, reported } = evidence;
  const reports = findValue(reported);
  const other = findClaim(reports, node, field, wanted);
  if (other !== undefined) {
    const fix = "find out which of the two machines has it: kubectl get nodes -o wide";
    return foreign(`${wanted} belongs to node ${other} too, by its own status`, fix);
  }
  // Without the list of nodes, another node's claim cannot be excluded.
  if (reported.kind === "failed") return { kind: "unknown", message: reported.message };
  if (settings.heldCertificate && findValue(held)?.[field].includes(wanted)) {
    return { kind: "owned", by: "held certificate" };
  }
  if (settings.trustNodeStatus && reports?.get(node)?.[field].includes(wanted)) {
    return { kind: "owned", by: "node status" };
  }
  if (settings.heldCertificate && held.kind === "failed") return { kind: "unknown", message: held.message };
  return unproven;
}

/**
 * Explains how to add a name or address that the inventory assigns to no node. The advice never assigns another node's
 * name, or a name that another node reports.
 */
function formatAdvice(
  node: string,
  field: keyof NodeNames,
  wanted: string,
  { inventory, reported }: OwnershipEvidence,
): string {
  const reports = findValue(reported);
  const isNodesName = (name: string): boolean => name !== node && (wanted === name || wanted.startsWith(`${name}.`));
  const other = findClaim(reports, node, field, wanted) ??
    [...inventory?.keys() ?? [], ...reports?.keys() ?? []].find(isNodesName);
  if (other !== undefined) {
    return `find out why node ${node} requests what looks like node ${other}'s; deny the request if you cannot`;
  }
  const known = reports === undefined ? "" : ", which no other node reports,";
  return `if ${wanted}${known} is this machine's, add it to ${field} of node ${node} in the inventory`;
}

/** Reports whether node status is read, either as evidence or to detect that a second node claims the same name. */
export function usesNodeReports({ heldCertificate, trustNodeStatus }: EvidenceSettings): boolean {
  return heldCertificate || trustNodeStatus;
}

const LEAVE_OUT = "leave it out of the request";

/** Reports whether a certificate for a name or an address would be valid for other machines too. */
function isShared(wanted: string): boolean {
  const bytes = parseIpAddress(wanted);
  return bytes === undefined ? wanted === "localhost" || wanted.endsWith(".localhost") : isSharedAddress(bytes);
}

function findClaim(
  names: ReadonlyMap<string, NodeNames> | undefined,
  node: string,
  field: keyof NodeNames,
  wanted: string,
): string | undefined {
  for (const [other, own] of names ?? []) if (other !== node && own[field].includes(wanted)) return other;
  return undefined;
}

function findValue<T>(lookup: Lookup<T>): T | undefined {
  return lookup.kind === "found" ? lookup.value : undefined;
}

function foreign(fault: string, fix: string): Ownership {
  return { kind: "foreign", fault, fix };
}

/** The part of a Node that an approver reads. */
export interface ReportingNode extends KubeObject {
  readonly status?: { readonly addresses?: readonly { readonly type?: string; readonly address?: string }[] };
}

const NAME_TYPES: readonly string[] = ["Hostname", "InternalDNS", "ExternalDNS"];
const ADDRESS_TYPES: readonly string[] = ["InternalIP", "ExternalIP"];

/**
 * Splits the addresses in a node's status into names and IP addresses as kubelet does for its request
 * (`pkg/kubelet/certificate/kubelet.go` addressesToHostnamesAndIPs); names in lower case, addresses in canonical form.
 */
export function listReportedNames({ status }: ReportingNode): NodeNames {
  const dns = new Set<string>();
  const ips = new Set<string>();
  for (const { type = "", address = "" } of status?.addresses ?? []) {
    const ip = canonicalIp(address);
    if (ip !== undefined && [...NAME_TYPES, ...ADDRESS_TYPES].includes(type)) ips.add(ip);
    else if (address !== "" && NAME_TYPES.includes(type)) dns.add(canonicalName(address));
  }
  return { dns: [...dns], ips: [...ips] };
}

/** Splits a list of hosts, such as the names of a server, into DNS names and addresses. */
export function splitHosts(hosts: Iterable<string>): NodeNames {
  const dns = new Set<string>();
  const ips = new Set<string>();
  for (const host of hosts) {
    const ip = canonicalIp(host);
    if (ip !== undefined) ips.add(ip);
    else if (host !== "") dns.add(canonicalName(host));
  }
  return { dns: [...dns], ips: [...ips] };
}

/**
 * Finds the names of the newest valid serving certificate that was issued to a node. An approver knows it from the CSRs in
 * the API, where Kubernetes keeps an issued CSR for one hour.
 */
export function findHeldNames(csrs: Iterable<CertificateSigningRequest>, node: string, now: Date): Lookup<NodeNames> {
  let newest: CertificateFacts | undefined;
  for (const csr of csrs) {
    const certificate = findHeldCertificate(csr, node, now);
    if (certificate !== undefined && (newest === undefined || certificate.notBefore >= newest.notBefore)) {
      newest = certificate;
    }
  }
  if (newest === undefined) return { kind: "none" };
  return { kind: "found", value: splitHosts([...newest.dnsNames, ...newest.ipAddresses]) };
}

function findHeldCertificate(csr: CertificateSigningRequest, node: string, now: Date): CertificateFacts | undefined {
  const user = NODE_USER_PREFIX + node;
  if (csr.spec.signerName !== KUBELET_SERVING_SIGNER || csr.spec.username !== user) return undefined;
  if (!hasCertificate(csr) || !isApproved(csr) || isFailed(csr)) return undefined;
  const certificate = findLeafCertificate(csr.status.certificate ?? "");
  if (certificate === undefined || certificate.subject.commonName !== user) return undefined;
  return certificate.notBefore <= now && now < certificate.notAfter ? certificate : undefined;
}

function canonicalName(name: string): string {
  return name.toLowerCase().replace(/\.$/, "");
}
