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
  const ipv4 = fieldsOf(ipv4Routes).filter((fields) => fields[1] === "00000000" && fields[7] === "00000000");
  const ipv6 = fieldsOf(ipv6Routes).filter((fields) => /^0{32}$/.test(fields[0] ?? "") && fields[1] === "00");
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

function fieldsOf(table: string): readonly (readonly string[])[] {
  return table.split("\n").map((line) => line.trim().split(/\s+/)).filter((fields) => fields.length > 7);
}
