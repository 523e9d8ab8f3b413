/**
 * The inventory: the operator's list of the expected machines, with their names, addresses, and the keys with which
 * they prove their identity. It is a file of kind Inventory, or a `known_hosts` file of SSH.
 */
import type { ProvenKey } from "../../attestation/exchange.ts";
import { type HashedHost, isHashOf, isKnownHosts, parseKnownHosts } from "../../attestation/known_hosts.ts";
import type { ExpectedProofs, ProofKind } from "../../attestation/proof.ts";
import { findSshFingerprintFault } from "../../attestation/ssh_signature.ts";
import {
  type EndorsementAuthority,
  parseEndorsementAuthority,
  verifyEndorsement,
} from "../../attestation/tpm_proof.ts";
import {
  checkedText,
  type ConfigPlace,
  fault,
  listOf,
  mapped,
  mapping,
  nonEmptyListOf,
  oneOf,
  optionalKey,
  parseConfigDocument,
  requiredKey,
  text,
} from "../../lib/config_file.ts";
import { FifoCache } from "../../lib/bounded.ts";
import { decodeHex } from "../../lib/encodings.ts";
import { canonicalIp, parseIpAddress } from "../../lib/ip_address.ts";
import { isRecord } from "../../lib/record.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import type { NodeName } from "../../machine/node_name.ts";
import { parsePublicKeyPin, publicKeyPin } from "../../pki/keys/key_names.ts";
import { findDnsNameFault } from "../../pki/x509/name_syntax.ts";

/** The names of one node in lower case, and its addresses in canonical form. */
export interface NodeNames {
  readonly dns: readonly string[];
  readonly ips: readonly string[];
}

/** The entry of one node. */
export interface InventoryNode extends NodeNames {
  /** Undefined when the entry lists no key. */
  readonly proofs?: ExpectedProofs;
}

/** The expected machines, by the name of their node. */
export interface Inventory extends ReadonlyMap<string, InventoryNode> {
  /** The machines whose names are hashed: `get` and `has` find them, without their proofs, but they are not listed. */
  readonly hashedHosts?: readonly HashedHost[];
  /** Only the listed machines. A search among them computes no hashes. */
  readonly named?: ReadonlyMap<string, InventoryNode>;
  /** The CAs whose endorsement certificates identify further machines. */
  readonly endorsementAuthorities?: readonly EndorsementAuthority[];
}

/** Lists the kinds of proof that machines of an inventory can give. */
export function listProofKinds(inventory: Inventory): readonly ProofKind[] {
  const { endorsementAuthorities, hashedHosts } = inventory;
  const listed = [...inventory.values()].flatMap(({ proofs }) => proofs ?? []);
  const hasTpm = endorsementAuthorities !== undefined || listed.some(({ tpm }) => tpm !== undefined);
  const hasSsh = hashedHosts !== undefined || listed.some(({ ssh }) => ssh.length > 0);
  return [...hasTpm ? ["tpm"] as const : [], ...hasSsh ? ["ssh"] as const : []];
}

/**
 * Finds the proofs that are expected of a node. If no TPM is listed for it, an endorsement certificate from a listed CA
 * admits the certificate's TPM. The error says why no proof is expected. The work does not depend on the node, so its
 * duration does not reveal which nodes are listed: a certificate is always verified, and the hash of a name is computed
 * only for the lines of the proven key.
 */
export function findExpectedProofs(
  inventory: Inventory,
  node: NodeName,
  proven: ProvenKey | undefined,
  now: Date,
): Result<ExpectedProofs, string> {
  const { named = inventory, hashedHosts = [], endorsementAuthorities } = inventory;
  const listed = named.get(node)?.proofs;
  const hashed = hashedHosts.filter((host) => host.fingerprint === proven?.key && isHashOf(host, node));
  const { endorsement } = proven ?? {};
  const endorsed = endorsement && endorsementAuthorities &&
    verifyEndorsement(endorsement.certificate, endorsement.key, endorsementAuthorities, now);
  const admitted = endorsed?.ok === true && endorsed.value === node ? endorsement : undefined;
  if (listed === undefined && hashed.length === 0 && admitted === undefined) {
    if (endorsed === undefined) return err("the inventory lists no proof of this node");
    return err(endorsed.ok ? `the endorsement certificate is for node "${endorsed.value}"` : endorsed.error);
  }
  const { tpm, ssh, pcrs }: ExpectedProofs = listed ?? { ssh: [], pcrs: NO_PCRS };
  return ok({
    tpm: tpm ?? (admitted && publicKeyPin({ publicKeyDer: admitted.key })),
    ssh: [...ssh, ...hashed.map(({ fingerprint }) => fingerprint)],
    pcrs,
  });
}

/** Why the machines of an inventory cannot be listed. */
export const HASHED_NAMES_FAULT = "the names of the machines are hashed; give their names";

const INVENTORY_KIND = "Inventory";

const FINGERPRINT = checkedText(findSshFingerprintFault);

const NODE = mapping({
  name: requiredKey(text),
  dns: optionalKey(listOf(checkedText((value) => findDnsNameFault(value)))),
  ips: optionalKey(
    listOf(checkedText((value) => parseIpAddress(value) === undefined ? `"${value}" is not an IP address` : undefined)),
  ),
  tpm: optionalKey(mapped(text, (value, place) => {
    const pin = parsePublicKeyPin(value);
    return pin.ok ? pin.value : fault(place, "want sha256: and 64 hexadecimal digits, the pin of the endorsement key");
  })),
  ssh: optionalKey((value: unknown, place: ConfigPlace): readonly string[] | undefined => {
    if (Array.isArray(value)) return nonEmptyListOf(FINGERPRINT)(value, place);
    const fingerprint = FINGERPRINT(value, place);
    return fingerprint === undefined ? undefined : [fingerprint];
  }),
  pcrs: optionalKey(readPcrs),
});

/** The values of PCRs by index, as hexadecimal digits: `{ 7: "…" }`. */
function readPcrs(value: unknown, place: ConfigPlace): ReadonlyMap<number, Uint8Array> | undefined {
  if (!isRecord(value)) return fault(place, "a mapping of PCR numbers to hexadecimal values expected");
  const pcrs = new Map<number, Uint8Array>();
  for (const [key, digest] of Object.entries(value)) {
    const at = { ...place, path: `${place.path}.${key}` };
    const [, digits] = typeof digest === "string" ? /^(?:0x)?([0-9a-f]{64})$/i.exec(digest) ?? [] : [];
    if (!/^(?:\d|1\d|2[0-3])$/.test(key)) fault(at, "want the number of a PCR, from 0 to 23");
    // YAML reads unquoted digits as a number.
    else if (digits === undefined) fault(at, "want a SHA-256 hash, 64 hexadecimal digits in quotes");
    else pcrs.set(Number(key), decodeHex(digits));
  }
  return pcrs;
}

const NO_PCRS: ReadonlyMap<number, Uint8Array> = new Map();
const NO_NAMES: NodeNames = { dns: [], ips: [] };

const AUTHORITY = mapped(
  mapping({ certificates: requiredKey(text), nodeName: requiredKey(oneOf(["commonName", "dnsName"])) }),
  ({ certificates, nodeName }, place) => {
    const parsed = parseEndorsementAuthority(certificates, nodeName);
    return parsed.ok ? parsed.value : fault({ ...place, path: `${place.path}.certificates` }, parsed.error);
  },
);

const INVENTORY = mapping({
  nodes: requiredKey(listOf(NODE)),
  endorsementAuthorities: optionalKey(nonEmptyListOf(AUTHORITY)),
});

/** Parses an inventory. The error lists every fault, including a name, an address or a key that two nodes share. */
export function parseInventory(fileText: string): Result<Inventory, readonly string[]> {
  return isKnownHosts(fileText) ? parseHostInventory(fileText) : parseNodeInventory(fileText);
}

function parseNodeInventory(fileText: string): Result<Inventory, readonly string[]> {
  const read = parseConfigDocument(fileText, INVENTORY_KIND, INVENTORY);
  if (!read.ok) return read;
  const nodes = new Map<string, InventoryNode>();
  const faults: string[] = [];
  const owners = new Map<string, string>();
  for (const [index, { name, dns = [], ips = [], tpm, ssh = [], pcrs }] of read.value.nodes.entries()) {
    const place = `nodes[${index}]`;
    if (nodes.has(name)) faults.push(`${place}.name: "${name}" is listed twice`);
    if (pcrs !== undefined && tpm === undefined) faults.push(`${place}.pcrs: needs tpm, because a TPM reports them`);
    const names = { dns, ips: ips.map((ip) => canonicalIp(ip) ?? ip) };
    const keys = tpm === undefined ? ssh : [tpm, ...ssh];
    const shared = claim(owners, name, [...names.dns, ...names.ips, ...keys]);
    faults.push(...shared.map((what) => `${place}: ${what}`));
    nodes.set(name, keys.length === 0 ? names : { ...names, proofs: { tpm, ssh, pcrs: pcrs ?? NO_PCRS } });
  }
  if (faults.length > 0) return err(faults);
  const { endorsementAuthorities } = read.value;
  return ok(endorsementAuthorities === undefined ? nodes : Object.assign(nodes, { endorsementAuthorities }));
}

/** Parses a `known_hosts` file. A line has names of one node, and a node may have several lines. */
function parseHostInventory(fileText: string): Result<Inventory, readonly string[]> {
  const read = parseKnownHosts(fileText);
  if (!read.ok) return read;
  const { hosts, hashedHosts } = read.value;
  const hostsByName = new Map<string, Readonly<Record<"names" | "keys", Set<string>>>>();
  const owners = new Map<string, string>();
  const faults: string[] = [];
  for (const { line, names, fingerprint } of hosts) {
    const [name = ""] = names;
    faults.push(...claim(owners, name, [...names, fingerprint]).map((shared) => `line ${line}: ${shared}`));
    const node = hostsByName.get(name) ?? { names: new Set(), keys: new Set() };
    for (const host of names) node.names.add(host);
    node.keys.add(fingerprint);
    hostsByName.set(name, node);
  }
  if (faults.length > 0) return err(faults);
  const nodes = Array.from(hostsByName, ([node, { names, keys }]): readonly [string, InventoryNode] => {
    const ips = [...names].filter((name) => parseIpAddress(name) !== undefined);
    const dns = [...names].filter((name) => parseIpAddress(name) === undefined);
    return [node, { dns, ips, proofs: { ssh: [...keys], pcrs: NO_PCRS } }];
  });
  const named = new Map(nodes);
  return ok(hashedHosts.length === 0 ? named : new HashedInventory(named, hashedHosts));
}

/** An inventory in which the names of some machines are hashed. */
class HashedInventory extends Map<string, InventoryNode> implements Inventory {
  readonly named: ReadonlyMap<string, InventoryNode>;
  readonly hashedHosts: readonly HashedHost[];
  /** The results of searches among the hashed names. */
  readonly #isHashed = new FifoCache<boolean>({ maxEntries: 10_000, maxKeyLength: 253 });

  constructor(named: ReadonlyMap<string, InventoryNode>, hashedHosts: readonly HashedHost[]) {
    super(named);
    this.named = named;
    this.hashedHosts = hashedHosts;
  }

  override get(name: string): InventoryNode | undefined {
    return super.get(name) ?? (this.#findHashed(name) ? NO_NAMES : undefined);
  }

  override has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  #findHashed(name: string): boolean {
    const known = this.#isHashed.get(name);
    if (known !== undefined) return known;
    const isHashed = this.hashedHosts.some((host) => isHashOf(host, name));
    this.#isHashed.set(name, isHashed);
    return isHashed;
  }
}

/** Assigns names, addresses and keys to a node, and reports those that already belong to another node. */
function claim(owners: Map<string, string>, node: string, values: readonly string[]): readonly string[] {
  return values.flatMap((value) => {
    const owner = owners.get(value);
    owners.set(value, node);
    return owner === undefined || owner === node ? [] : [`"${value}" already belongs to "${owner}"`];
  });
}
