/** The inventory (`kind: Inventory`), in which the operator assigns names and addresses to nodes. */
import {
  checkedText,
  listOf,
  mapping,
  optionalKey,
  parseConfigDocument,
  requiredKey,
  text,
} from "../../lib/config_file.ts";
import { canonicalIp, parseIpAddress } from "../../lib/ip_address.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import { findDnsNameFault } from "../../pki/x509/dns_name.ts";

/** The names of one node in lower case, and its addresses in canonical form. */
export interface NodeNames {
  readonly dns: readonly string[];
  readonly ips: readonly string[];
}

/** The names and addresses of each node, by the node's name. */
export type Inventory = ReadonlyMap<string, NodeNames>;

const INVENTORY_KIND = "Inventory";

const NODE = mapping({
  name: requiredKey(text),
  dns: optionalKey(listOf(checkedText((value) => findDnsNameFault(value)))),
  ips: optionalKey(
    listOf(checkedText((value) => parseIpAddress(value) === undefined ? `"${value}" is not an IP address` : undefined)),
  ),
});

const INVENTORY = mapping({ nodes: requiredKey(listOf(NODE)) });

/** Parses an inventory. The error lists every fault, including a name or address that two nodes share. */
export function parseInventory(fileText: string): Result<Inventory, readonly string[]> {
  const read = parseConfigDocument(fileText, INVENTORY_KIND, INVENTORY);
  if (!read.ok) return read;
  const nodes = new Map<string, NodeNames>();
  const owners = new Map<string, string>();
  const faults: string[] = [];
  for (const [index, { name, dns = [], ips = [] }] of read.value.nodes.entries()) {
    if (nodes.has(name)) faults.push(`nodes[${index}].name: "${name}" is listed twice`);
    const own = { dns, ips: ips.map((ip) => canonicalIp(ip) ?? ip) };
    for (const value of [...own.dns, ...own.ips]) {
      const owner = owners.get(value);
      if (owner !== undefined && owner !== name) {
        faults.push(`nodes[${index}]: "${value}" belongs to "${owner}" already`);
      }
      owners.set(value, name);
    }
    nodes.set(name, own);
  }
  return faults.length === 0 ? ok(nodes) : err(faults);
}
