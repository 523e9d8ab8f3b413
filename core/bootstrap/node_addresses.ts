/**
 * Which address a kubelet would call its node's own, and what its serving certificate is for
 * (`pkg/kubelet/nodestatus/setters.go` NodeAddress, `pkg/kubelet/certificate/kubelet.go`, apimachinery `util/net`).
 */
import { isWithin, parseCidr } from "../pki/cidr.ts";
import { canonicalIp, formatIpAddress, parseIpAddress } from "../pki/ip_address.ts";

/** What a host knows of itself. */
export interface HostFacts {
  /** The name of the node. */
  readonly hostname: string;
  /** What the name resolves to, in the resolver's order. */
  readonly resolved: readonly string[];
  readonly interfaces: readonly HostInterface[];
  /** Names of the interfaces that default routes lead through, IPv4 first; empty where the system does not tell. */
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
  /** In canonical form. */
  readonly ipAddresses: readonly string[];
}

/** Not a node's: loopback, multicast, link-local, unspecified. */
const unfitRanges = () =>
  ["127.0.0.0/8", "224.0.0.0/4", "169.254.0.0/16", "0.0.0.0", "::1", "ff00::/8", "fe80::/10", "::"]
    .flatMap((text) => parseCidr(text) ?? []);

/**
 * The node's address: the name when it is one; else the first one that the name resolves to and an interface has; else
 * that of the interface with the default route. IPv4 goes before IPv6. Undefined when the host has none.
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

/** What clients are told of a server on a host without any other address. */
export const LOOPBACK = "127.0.0.1";

/** How clients are told to call a server. */
export interface AdvertisedHost {
  /** Address or host name, without brackets. */
  readonly host: string;
  /** The host's other addresses that would do; undefined unless the host was chosen here. */
  readonly others?: readonly string[];
}

/**
 * The name that clients are given for a server that listens on `bind`: the advertised one, else the bound one. A server
 * that listens on every address takes the address of the interface with the default route, as kube-apiserver does
 * (`ResolveBindAddress` of apimachinery `util/net`): of the family that it listens on, IPv6 first for `::`, which
 * takes IPv4 connections too. On a host without any such address it is 127.0.0.1, which no other machine can call.
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

/** Whether an address stands for all of a host's: `0.0.0.0` and `::`, however they are written. */
export function isUnspecified(address: string): boolean {
  return ["0.0.0.0", "::"].includes(canonicalIp(address) ?? "");
}

/** The host's name and its address, or what was given instead; sorted and without repetition, as kubelet asks. */
export function servingNames(
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

/** The interfaces of default routes in Linux's `/proc/net/route` and `/proc/net/ipv6_route`. */
export function parseDefaultInterfaces(ipv4Routes: string, ipv6Routes: string): readonly string[] {
  const ipv4 = splitFields(ipv4Routes).filter((fields) => fields[1] === "00000000" && fields[7] === "00000000");
  const ipv6 = splitFields(ipv6Routes).filter((fields) => /^0{32}$/.test(fields[0] ?? "") && fields[1] === "00");
  const names = [...ipv4.map((fields) => fields[0] ?? ""), ...ipv6.map((fields) => fields[9] ?? "")];
  // IPv6 tables end with a route to nowhere through the loopback interface.
  return [...new Set(names)].filter((name) => name !== "" && name !== "lo");
}

function fit(addresses: readonly string[]): readonly string[] {
  const unfit = unfitRanges();
  return addresses.flatMap((text) => {
    const bytes = parseIpAddress(text);
    return bytes === undefined || unfit.some((range) => isWithin(bytes, range)) ? [] : [formatIpAddress(bytes)];
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
