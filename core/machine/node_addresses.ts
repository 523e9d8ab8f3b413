/**
 * Chooses the address of a node and the names of its serving certificate as kubelet does
 * (`pkg/kubelet/nodestatus/setters.go` NodeAddress, `pkg/kubelet/certificate/kubelet.go`, apimachinery `util/net`).
 */
import { canonicalIp, formatIpAddress, isSharedAddress, parseIpAddress } from "../lib/ip_address.ts";

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

/** The names in a serving certificate. */
export interface ServingNames {
  readonly dnsNames: readonly string[];
  /** The IP addresses in canonical form. */
  readonly ipAddresses: readonly string[];
}

/**
 * Chooses the node's address: the host name when it is an address; else the first address that the name resolves to and an
 * interface has; else the address of the interface with the default route. IPv4 is preferred. Undefined when the host has
 * no usable address.
 */
export function chooseNodeIp(facts: HostFacts): string | undefined {
  const own = canonicalIp(facts.hostname);
  if (own !== undefined) return own;
  const held = new Set(facts.interfaces.flatMap(({ addresses }) => fit(addresses)));
  const resolved = preferIpv4(fit(facts.resolved).filter((address) => held.has(address)));
  if (resolved !== undefined) return resolved;
  const names = facts.defaultInterfaces.length > 0 ? facts.defaultInterfaces : facts.interfaces.map(({ name }) => name);
  return preferIpv4(
    names.flatMap((name) => facts.interfaces.filter((item) => item.name === name))
      .flatMap(({ addresses }) => fit(addresses)),
  );
}

/** The advertised address of a server on a host without any other address. */
export const LOOPBACK = "127.0.0.1";

/** The host in the URL that clients get. */
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
  const addresses = interfaces.flatMap((item) => fit(item.addresses));
  const ipv4 = addresses.filter((address) => !address.includes(":"));
  const ipv6 = addresses.filter((address) => address.includes(":"));
  const [host = LOOPBACK, ...others] = canonicalIp(bind) === "::" ? [...ipv6, ...ipv4] : ipv4;
  return { host, others };
}

/** Lists the addresses of a host under which other machines can reach a server on `0.0.0.0`, the most likely one first. */
export function listReachableHosts(facts: Pick<HostFacts, "interfaces" | "defaultInterfaces">): readonly string[] {
  const { host, others = [] } = chooseAdvertisedHost("0.0.0.0", undefined, facts);
  return host === LOOPBACK ? [] : [host, ...others];
}

/** Reports whether an address is `0.0.0.0` or `::`, in whatever spelling. */
export function isUnspecified(address: string): boolean {
  return ["0.0.0.0", "::"].includes(canonicalIp(address) ?? "");
}

/**
 * Returns the host's name and address, or the given ones instead, sorted and without duplicates, as kubelet requests
 * them.
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

/** Parses the interfaces of default routes out of Linux's `/proc/net/route` and `/proc/net/ipv6_route`. */
export function parseDefaultInterfaces(ipv4Routes: string, ipv6Routes: string): readonly string[] {
  const ipv4 = splitFields(ipv4Routes).filter((fields) => fields[1] === "00000000" && fields[7] === "00000000");
  const ipv6 = splitFields(ipv6Routes).filter((fields) => /^0{32}$/.test(fields[0] ?? "") && fields[1] === "00");
  const names = [...ipv4.map((fields) => fields[0] ?? ""), ...ipv6.map((fields) => fields[9] ?? "")];
  // IPv6 tables end with an unreachable route through the loopback interface.
  return [...new Set(names)].filter((name) => name !== "" && name !== "lo");
}

/** Lists the addresses that can identify a node. */
function fit(addresses: readonly string[]): readonly string[] {
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
