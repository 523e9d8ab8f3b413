/**
 * Reads a `known_hosts` file of SSH (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT") as a list of the expected machines. Each
 * line has the names of one machine, the node's name first, and one of its host keys.
 */
import { createHmac } from "node:crypto";
import { decodeBase64 } from "../lib/encodings.ts";
import { canonicalIp } from "../lib/ip_address.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { parseNodeName } from "../machine/node_name.ts";
import { type Bytes, equalBytes } from "../pki/asn1/der.ts";
import { findDnsNameFault } from "../pki/x509/name_syntax.ts";
import { formatSshFingerprint, parseSshKeyText } from "./ssh_signature.ts";

/** One host key of a machine. */
interface KnownHost {
  /** The number of the line, from 1. */
  readonly line: number;
  /** The names in the order of the file, addresses in canonical form. */
  readonly names: readonly string[];
  readonly fingerprint: string;
}

/** One host key of a machine whose name is known only as a hash. */
export interface HashedHost {
  readonly salt: Bytes;
  readonly hash: Bytes;
  readonly fingerprint: string;
}

/** The machines of a file, without the keys that it revokes. */
interface KnownHosts {
  readonly hosts: readonly KnownHost[];
  readonly hashedHosts: readonly HashedHost[];
}

/** The length of a hash by HMAC-SHA1, and of its salt. */
const HASH_BYTES = 20;

/** Reports whether a text is a `known_hosts` file, by its first line that is not a comment. */
export function isKnownHosts(text: string): boolean {
  const [first] = listEntries(text);
  return first !== undefined && /^(?:ssh|ecdsa|sk)-/.test(first.type);
}

/** Parses a `known_hosts` file. The error lists every fault with the number of its line. */
export function parseKnownHosts(text: string): Result<KnownHosts, readonly string[]> {
  const faults: string[] = [];
  const revoked = new Set<string>();
  const hosts: KnownHost[] = [];
  const hashedHosts: HashedHost[] = [];
  for (const { line, marker, host, type, key } of listEntries(text)) {
    const report = (fault: string): void => {
      faults.push(`line ${line}: ${fault}`);
    };
    if (marker === "@revoked") {
      // A revoked key proves nothing, whatever its type and its hosts are.
      const wire = decodeBase64(key);
      if (wire === undefined) report("the key is not valid base64");
      else revoked.add(formatSshFingerprint({ wire }));
      continue;
    }
    if (marker !== "") {
      report(`${marker} is not supported; list the host keys themselves`);
      continue;
    }
    const parsed = parseSshKeyText(type, key);
    if (!parsed.ok) {
      report(parsed.error);
      continue;
    }
    const fingerprint = formatSshFingerprint(parsed.value);
    if (host.startsWith("|")) {
      const hashed = parseHashedName(host);
      if (hashed === undefined) report(`"${host}" is not a hashed name; want |1|SALT|HASH, as ssh-keygen -H writes it`);
      else hashedHosts.push({ ...hashed, fingerprint });
      continue;
    }
    const names = host.split(",").map((name) => canonicalIp(name) ?? name);
    const wrong = names.map((name, index) => index === 0 ? findNodeNameFault(name) : findHostFault(name));
    for (const fault of wrong) if (fault !== undefined) report(fault);
    hosts.push({ line, names, fingerprint });
  }
  if (faults.length > 0) return err(faults);
  const isValid = ({ fingerprint }: { readonly fingerprint: string }): boolean => !revoked.has(fingerprint);
  return ok({ hosts: hosts.filter(isValid), hashedHosts: hashedHosts.filter(isValid) });
}

/** Reports whether a hashed host has this name. */
export function isHashOf({ salt, hash }: HashedHost, name: string): boolean {
  return equalBytes(createHmac("sha1", salt).update(name).digest(), hash);
}

interface HostEntry {
  readonly line: number;
  /** The marker, such as `@revoked`; empty without one. */
  readonly marker: string;
  /** The names, or the hash of one. */
  readonly host: string;
  readonly type: string;
  readonly key: string;
}

function* listEntries(text: string): Generator<HostEntry> {
  for (const [index, row] of text.split("\n").entries()) {
    const words = row.trim().split(/[ \t]+/);
    const [first = ""] = words;
    if (first === "" || first.startsWith("#")) continue;
    const marker = first.startsWith("@") ? first : "";
    const [host = "", type = "", key = ""] = marker === "" ? words : words.slice(1);
    yield { line: index + 1, marker, host, type, key };
  }
}

function parseHashedName(text: string): Pick<HashedHost, "salt" | "hash"> | undefined {
  const [, base64Salt = "", base64Hash = ""] = /^\|1\|([^|]+)\|([^|]+)$/.exec(text) ?? [];
  const [salt, hash] = [decodeBase64(base64Salt), decodeBase64(base64Hash)];
  if (salt?.length !== HASH_BYTES || hash?.length !== HASH_BYTES) return undefined;
  return { salt, hash };
}

function findNodeNameFault(name: string): string | undefined {
  const pattern = findPatternFault(name);
  if (pattern !== undefined) return pattern;
  const node = parseNodeName(name);
  if (!node.ok) return `the first name must be that of a node: ${node.error}`;
  return node.value === name ? undefined : `the first name must be that of a node: write "${name}" as "${node.value}"`;
}

function findHostFault(name: string): string | undefined {
  return findPatternFault(name) ?? (canonicalIp(name) === undefined ? findDnsNameFault(name) : undefined);
}

/** Explains why a text is not the name of one machine: it is a pattern, or has a port. */
function findPatternFault(name: string): string | undefined {
  if (/[*?]/.test(name)) return `"${name}" is a wildcard; list each machine by its name`;
  if (name.startsWith("!")) return `"${name}" excludes machines; list each machine by its name`;
  if (name.startsWith("[")) return `"${name}" has a port; write the name alone`;
  return undefined;
}
