/**
 * The name of a node, its address, and the contents of kubelet's requests: subject, usages, and the names of a serving
 * certificate, chosen as kubelet does (`pkg/kubelet/nodestatus/setters.go` NodeAddress, `pkg/kubelet/certificate/kubelet.go`,
 * apimachinery `util/net`).
 */
import type { Brand } from "../lib/brand.ts";
import { NODE_USER_PREFIX, NODES_GROUP } from "../kube/user.ts";
import { err, ok, type Result } from "../lib/result.ts";
import type { PrivateKeyAlgorithm } from "../pki/keys/key_names.ts";
import type { ServingNames } from "../pki/authority/serving_certificate.ts";
import type { CertificateTemplate } from "./renewal_schedule.ts";
import { canonicalIp, formatIpAddress, isSharedAddress, parseIpAddress } from "../lib/ip_address.ts";

/** The name of a node, a DNS-1123 subdomain in lower case. */
export type NodeName = Brand<string, "NodeName">;

const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
// apimachinery `DNS1123SubdomainMaxLength`.
const MAX_LENGTH = 253;

/**
 * Parses `--hostname-override` or the host's name as kubelet does (`nodeutil.GetHostname`: trimmed, lower-cased), and
 * checks it as the API server checks a node's name.
 */
export function parseNodeName(text: string): Result<NodeName, string> {
  const name = text.trim().toLowerCase();
  if (name === "") return err("empty hostname is invalid");
  if (name.length > MAX_LENGTH) {
    return err(`invalid node name "${name}": must be no more than ${MAX_LENGTH} characters`);
  }
  if (!SUBDOMAIN.test(name)) {
    return err(
      `invalid node name "${name}": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric ` +
        `characters, '-' or '.', and must start and end with an alphanumeric character`,
    );
  }
  return ok(name as NodeName);
}

/** The subject of a node's client certificate: CN `system:node:<name>`, O `system:nodes`. */
export function toNodeSubject(nodeName: NodeName): { readonly commonName: string; readonly organizations: string[] } {
  return { commonName: `${NODE_USER_PREFIX}${nodeName}`, organizations: [NODES_GROUP] };
}

/** A request of a kubelet: its first one, a renewal of its client certificate, or one for its serving certificate. */
export type KubeletRequest = "first" | "renewal" | "serving";

/**
 * Returns the usages of a request in kubelet's order, which is part of the name of the first one. Since Kubernetes 1.27
 * only RSA keys have key encipherment (`pkg/kubelet/certificate/bootstrap/bootstrap.go` requestNodeCertificate,
 * `pkg/kubelet/certificate/kubelet.go` NewKubeletClientCertificateManager and NewKubeletServerCertificateManager).
 */
export function getKubeletUsages(
  request: KubeletRequest,
  keyAlgorithm: PrivateKeyAlgorithm,
): readonly string[] {
  const purpose = request === "serving" ? "server auth" : "client auth";
  if (keyAlgorithm !== "RSA") return ["digital signature", purpose];
  return request === "first"
    ? ["digital signature", purpose, "key encipherment"]
    : ["digital signature", "key encipherment", purpose];
}

/** Creates the contents of a serving certificate; undefined without an address, because kubelet 1.31 requires one. */
export function createServingTemplate(nodeName: NodeName, names: ServingNames): CertificateTemplate | undefined {
  return names.ipAddresses.length === 0 ? undefined : { ...toNodeSubject(nodeName), ...names };
}

/** The host name, addresses and interfaces of a host. */
export interface HostFacts {
  readonly hostname: string;
  /** The addresses that the name resolves to, in the resolver's order. */
  readonly resolved: readonly string[];
  readonly interfaces: readonly HostInterface[];
  /** Names of the interfaces of the default routes, IPv4 first; empty where the system does not report them. */
  readonly defaultInterfaces: readonly string[];
}

/** A network interface that is up. */
export interface HostInterface {
  readonly name: string;
  readonly addresses: readonly string[];
}

/**
 * Chooses the node's address: the host name if it is an address; else the first address that the name resolves to and
 * an interface has; else that of the interface with the default route. IPv4 is preferred. Undefined when the host has
 * no usable address.
 */
export function chooseNodeIp(facts: HostFacts): string | undefined {
  const own = canonicalIp(facts.hostname);
  if (own !== undefined) return own;
  const held = new Set(facts.interfaces.flatMap(({ addresses }) => listUsable(addresses)));
  const resolved = preferIpv4(listUsable(facts.resolved).filter((address) => held.has(address)));
  if (resolved !== undefined) return resolved;
  const names = facts.defaultInterfaces.length > 0 ? facts.defaultInterfaces : facts.interfaces.map(({ name }) => name);
  return preferIpv4(
    names.flatMap((name) => facts.interfaces.filter((item) => item.name === name))
      .flatMap(({ addresses }) => listUsable(addresses)),
  );
}

/** The advertised address of a server on a host without any other address. */
export const LOOPBACK = "127.0.0.1";

/** The host in the URL for clients. */
export interface AdvertisedHost {
  /** Address or host name, without brackets. */
  readonly host: string;
  /** The host's other usable addresses; undefined unless this module chose the host. */
  readonly others?: readonly string[];
}

/**
 * Chooses the host that clients use for a server that listens on `bind`: the advertised one, else the bound one. For a
 * server that listens on every address it is the address of the interface with the default route, as in kube-apiserver
 * (`ResolveBindAddress` of apimachinery `util/net`), in the family that it listens on; `::` also accepts IPv4, so IPv6 is
 * only preferred. On a host without such an address it is 127.0.0.1, which no other machine can reach.
 */
export function chooseAdvertisedHost(
  bind: string,
  advertise: string | undefined,
  facts: Pick<HostFacts, "interfaces" | "defaultInterfaces">,
): AdvertisedHost {
  if (advertise !== undefined) return { host: advertise };
  if (!isUnspecified(bind)) return { host: bind };
  const isOnDefaultRoute = ({ name }: HostInterface): boolean => facts.defaultInterfaces.includes(name);
  const interfaces = [
    ...facts.interfaces.filter(isOnDefaultRoute),
    ...facts.interfaces.filter((item) => !isOnDefaultRoute(item)),
  ];
  const addresses = interfaces.flatMap((item) => listUsable(item.addresses));
  const ipv4 = addresses.filter((address) => !address.includes(":"));
  const ipv6 = addresses.filter((address) => address.includes(":"));
  const [host = LOOPBACK, ...others] = canonicalIp(bind) === "::" ? [...ipv6, ...ipv4] : ipv4;
  return { host, others };
}

/** Lists the addresses at which other machines may reach a server on `0.0.0.0`, the most likely one first. */
export function listReachableHosts(facts: Pick<HostFacts, "interfaces" | "defaultInterfaces">): readonly string[] {
  const { host, others = [] } = chooseAdvertisedHost("0.0.0.0", undefined, facts);
  return host === LOOPBACK ? [] : [host, ...others];
}

/** Reports whether an address is `0.0.0.0` or `::`, in any spelling. */
export function isUnspecified(address: string): boolean {
  return ["0.0.0.0", "::"].includes(canonicalIp(address) ?? "");
}

/**
 * Returns the given names and addresses, or else the host's, sorted and without duplicates, as kubelet requests them.
 */
export function decideServingNames(
  given: { readonly dnsNames: readonly string[]; readonly ipAddresses: readonly string[] },
  facts: HostFacts,
): ServingNames {
  const names = given.dnsNames.length > 0 ? given.dnsNames : [facts.hostname];
  const ip = given.ipAddresses.length > 0 ? undefined : chooseNodeIp(facts);
  const addresses = [...given.ipAddresses, ...(ip === undefined ? [] : [ip]), ...names].flatMap((text) =>
    canonicalIp(text) ?? []
  );
  return {
    dnsNames: distinct(names.filter((name) => canonicalIp(name) === undefined).map((name) => name.toLowerCase())),
    ipAddresses: distinct(addresses),
  };
}

/** Parses the interfaces of the default routes from Linux's `/proc/net/route` and `/proc/net/ipv6_route`. */
export function parseDefaultInterfaces(ipv4Routes: string, ipv6Routes: string): readonly string[] {
  const ipv4 = splitFields(ipv4Routes).filter((fields) => fields[1] === "00000000" && fields[7] === "00000000");
  const ipv6 = splitFields(ipv6Routes).filter((fields) => /^0{32}$/.test(fields[0] ?? "") && fields[1] === "00");
  const names = [...ipv4.map((fields) => fields[0] ?? ""), ...ipv6.map((fields) => fields[9] ?? "")];
  // IPv6 tables end with an unreachable route through the loopback interface.
  return [...new Set(names)].filter((name) => name !== "" && name !== "lo");
}

/** Lists the addresses that can identify a node. */
function listUsable(addresses: readonly string[]): readonly string[] {
  return addresses.flatMap((text) => {
    const bytes = parseIpAddress(text);
    return bytes === undefined || isSharedAddress(bytes) ? [] : [formatIpAddress(bytes)];
  });
}

function preferIpv4(addresses: readonly string[]): string | undefined {
  return addresses.find((address) => !address.includes(":")) ?? addresses[0];
}

function distinct(texts: readonly string[]): readonly string[] {
  return [...new Set(texts)].sort();
}

function splitFields(table: string): readonly (readonly string[])[] {
  return table.split("\n").map((line) => line.trim().split(/\s+/)).filter((fields) => fields.length > 7);
}
