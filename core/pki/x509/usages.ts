/**
 * The usages of a request, their encoding in a certificate (`pkg/controller/certificates/authority/policies.go`), and the
 * default usages of a request.
 */
import {
  KEY_USAGES,
  KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
  KUBE_APISERVER_CLIENT_SIGNER,
  KUBELET_SERVING_SIGNER,
} from "../../kube/kinds/constants.ts";
import { isMlDsa } from "../keys/key_names.ts";
import type { PublicKeyAlgorithm } from "../keys/public_key.ts";
import type { AlternativeNames } from "./subject_alternative_names.ts";

/** The names of the KeyUsage bits in bit order (RFC 5280 §4.2.1.3). */
export const KEY_USAGE_BITS = [
  "digitalSignature",
  "contentCommitment",
  "keyEncipherment",
  "dataEncipherment",
  "keyAgreement",
  "keyCertSign",
  "cRLSign",
  "encipherOnly",
  "decipherOnly",
] as const;

type KeyUsageBit = (typeof KEY_USAGE_BITS)[number];

const BIT_OF: ReadonlyMap<string, KeyUsageBit> = new Map<string, KeyUsageBit>([
  ["signing", "digitalSignature"],
  ["digital signature", "digitalSignature"],
  ["content commitment", "contentCommitment"],
  ["key encipherment", "keyEncipherment"],
  ["key agreement", "keyAgreement"],
  ["data encipherment", "dataEncipherment"],
  ["cert sign", "keyCertSign"],
  ["crl sign", "cRLSign"],
  ["encipher only", "encipherOnly"],
  ["decipher only", "decipherOnly"],
]);

/** The extended key usages of TLS. */
export const TLS_USAGE_OID = {
  any: "2.5.29.37.0",
  server: "1.3.6.1.5.5.7.3.1",
  client: "1.3.6.1.5.5.7.3.2",
} as const;

/** The OIDs in their order in a certificate, which does not depend on the order in the request. */
const EXTENDED_OID_OF: ReadonlyMap<string, string> = new Map([
  ["any", TLS_USAGE_OID.any],
  ["server auth", TLS_USAGE_OID.server],
  ["client auth", TLS_USAGE_OID.client],
  ["code signing", "1.3.6.1.5.5.7.3.3"],
  ["email protection", "1.3.6.1.5.5.7.3.4"],
  ["s/mime", "1.3.6.1.5.5.7.3.4"],
  ["ipsec end system", "1.3.6.1.5.5.7.3.5"],
  ["ipsec tunnel", "1.3.6.1.5.5.7.3.6"],
  ["ipsec user", "1.3.6.1.5.5.7.3.7"],
  ["timestamping", "1.3.6.1.5.5.7.3.8"],
  ["ocsp signing", "1.3.6.1.5.5.7.3.9"],
  ["microsoft sgc", "1.3.6.1.4.1.311.10.3.3"],
  ["netscape sgc", "2.16.840.1.113730.4.1"],
]);

const EXTENDED_OIDS: readonly string[] = [...new Set(EXTENDED_OID_OF.values())];

const KNOWN: ReadonlySet<string> = new Set(KEY_USAGES);

/** Converts usages to KeyUsage bits, in bit order and once each; unknown usages add nothing. */
export function toKeyUsageBits(usages: readonly string[]): readonly KeyUsageBit[] {
  const asked = new Set(usages.map((usage) => BIT_OF.get(usage)));
  return KEY_USAGE_BITS.filter((bit) => asked.has(bit));
}

/** Converts usages to ExtendedKeyUsage OIDs, in the table's order and once each; unknown usages add nothing. */
export function toExtendedKeyUsageOids(usages: readonly string[]): readonly string[] {
  const asked = new Set(usages.map((usage) => EXTENDED_OID_OF.get(usage)));
  return EXTENDED_OIDS.filter((oid) => asked.has(oid));
}

/**
 * Lists the usages of a certificate by their names in Kubernetes: KeyUsage bits, then extended usages in the certificate's
 * order. An extended usage without a name is listed by its OID.
 */
export function listUsages(
  { keyUsages, extendedKeyUsages }: {
    readonly keyUsages: readonly string[];
    readonly extendedKeyUsages: readonly string[];
  },
): readonly string[] {
  return [
    ...keyUsages.map((bit) => NAME_OF.get(bit) ?? bit),
    ...extendedKeyUsages.map((oid) => NAME_OF.get(oid) ?? oid),
  ];
}

/** The names of bits and OIDs. Of several names in the table, a bit has the last one and an OID the first one. */
const NAME_OF: ReadonlyMap<string, string> = new Map([
  ...[...BIT_OF].map(([name, bit]): [string, string] => [bit, name]),
  ...[...EXTENDED_OID_OF].toReversed().map(([name, oid]): [string, string] => [oid, name]),
]);

/** Finds the usages that Kubernetes does not know, in the order of the request. */
export function findUnknownUsages(usages: readonly string[]): readonly string[] {
  return usages.filter((usage) => !KNOWN.has(usage));
}

/** The only bits that a certificate for an ML-DSA key may have; one is required (RFC 9881 §3). */
const SIGNING_BITS: readonly KeyUsageBit[] = ["digitalSignature", "contentCommitment", "keyCertSign", "cRLSign"];

/**
 * Finds out why a certificate for a key cannot have the usages: an ML-DSA key only signs (RFC 9881 §3; Kubernetes 1.38
 * plans the same rule for requests). Undefined for every other key.
 */
export function findKeyUsageFault(keyAlgorithm: PublicKeyAlgorithm, usages: readonly string[]): string | undefined {
  if (!isMlDsa(keyAlgorithm)) return undefined;
  const bits = toKeyUsageBits(usages);
  const [other] = bits.filter((bit) => !SIGNING_BITS.includes(bit));
  if (other !== undefined) return `an ML-DSA key must not have the usage "${NAME_OF.get(other)}"`;
  return bits.length > 0 ? undefined : 'an ML-DSA key must have a usage for signatures, such as "digital signature"';
}

const PURPOSE_OF: ReadonlyMap<string, string> = new Map([
  [KUBE_APISERVER_CLIENT_SIGNER, "client auth"],
  [KUBE_APISERVER_CLIENT_KUBELET_SIGNER, "client auth"],
  [KUBELET_SERVING_SIGNER, "server auth"],
]);

/** The usages that one of Kubernetes' signers expects; undefined for any other signer. */
export function signerUsages(signerName: string, keyAlgorithm: PublicKeyAlgorithm): readonly string[] | undefined {
  const purpose = PURPOSE_OF.get(signerName);
  return purpose === undefined ? undefined : usagesFor(purpose, keyAlgorithm);
}

/**
 * The default usages of a request: `digital signature`, `key encipherment` for RSA, and one purpose. The purpose is
 * that of the signer; for other signers it is `server auth` when there are DNS names or IP addresses, else `client
 * auth`.
 */
export function defaultUsages(
  signerName: string,
  keyAlgorithm: PublicKeyAlgorithm,
  names: Pick<AlternativeNames, "dnsNames" | "ipAddresses">,
): readonly string[] {
  const isServer = names.dnsNames.length + names.ipAddresses.length > 0;
  return signerUsages(signerName, keyAlgorithm) ?? usagesFor(isServer ? "server auth" : "client auth", keyAlgorithm);
}

function usagesFor(purpose: string, keyAlgorithm: PublicKeyAlgorithm): readonly string[] {
  return ["digital signature", ...(keyAlgorithm === "RSA" ? ["key encipherment"] : []), purpose];
}
