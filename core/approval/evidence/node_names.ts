/** The names and addresses that nodes report, and those in their serving certificates. */
import { findLeafCertificate } from "../../request/issued_certificate.ts";
import { hasCertificate, isApproved, isFailed } from "../../request/phase.ts";
import { type CertificateSigningRequest, KUBELET_SERVING_SIGNER } from "../../kube/kinds/certificates_v1.ts";
import type { KubeObject } from "../../kube/meta.ts";
import { NODE_USER_PREFIX } from "../../kube/user.ts";
import type { CertificateFacts } from "../../pki/x509/certificate.ts";
import { canonicalIp } from "../../lib/ip_address.ts";
import type { NodeNames } from "./inventory.ts";
import type { Lookup } from "./ownership.ts";

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
