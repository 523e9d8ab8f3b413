/** The profile of a custom signer as its file defines it. Everything that it does not name is refused. */

import type { PrivateKeyAlgorithm } from "../pki/keys/key_algorithm.ts";

/** A profile as it is read from a file. */
export interface ProfileSpec {
  /** The signer's name; by default the one on the command line. */
  readonly signerName?: string;
  /** The purpose of its certificates, in a sentence for users. */
  readonly description: string;
  readonly subject: SubjectRules;
  readonly names: NameRules;
  readonly usages: UsageRules;
  readonly lifetime: LifetimeRules;
  readonly keys: readonly KeyRule[];
  readonly extensions: ExtensionRules;
  /** Whether the intermediates follow each certificate. */
  readonly chain: boolean;
  /** The pods that the profile is for; present in a profile for pod certificates only. */
  readonly pods?: PodRules;
}

/** Patterns of the pods that may have certificates; a fact without patterns may have any value. */
export interface PodRules {
  readonly namespace?: readonly string[];
  readonly serviceAccount?: readonly string[];
  readonly pod?: readonly string[];
  readonly node?: readonly string[];
}

/** The keys of PodRules, in the order in which they are checked. */
export const RESTRICTED_POD_FACTS = ["namespace", "serviceAccount", "pod", "node"] as const;

/** The allowed values of one kind, and their number. */
export interface ValueRule {
  /** Patterns, or ranges for addresses; each value must match one. */
  readonly allowed: readonly string[];
  /** The exact set of values, instead of `allowed`. */
  readonly exactly?: readonly string[];
  readonly min: number;
  readonly max?: number;
  /** The values for a pod that names none. */
  readonly default?: readonly string[];
  /** The key of the annotation in which a pod names its values. */
  readonly annotation?: string;
}

/** The attributes of a subject that a profile can name, in the order in which they are checked. */
export const SUBJECT_FIELDS = [
  "commonName",
  "organizations",
  "organizationalUnits",
  "countries",
  "provinces",
  "localities",
  "streetAddresses",
  "postalCodes",
  "serialNumber",
] as const;

/** One of the names in SUBJECT_FIELDS. */
export type SubjectField = (typeof SUBJECT_FIELDS)[number];

/** The rules for the subject; an attribute without a rule must be absent. */
export type SubjectRules = { readonly [Field in SubjectField]?: ValueRule };

/** The rules for subject alternative names; a kind without a rule must be absent. */
export interface NameRules {
  readonly dns?: ValueRule;
  readonly ips?: ValueRule;
  readonly uris?: ValueRule;
  readonly emails?: ValueRule;
  /** Whether wildcard names are allowed where the first label of the pattern consists of stars. */
  readonly wildcards: boolean;
  readonly atLeastOne: boolean;
}

/** The rules for usages, by Kubernetes' names. */
export interface UsageRules {
  readonly allowed: readonly string[];
  readonly required: readonly string[];
  /** The usages of a request that names none. */
  readonly default: readonly string[];
  /** The key of the annotation in which a pod names its usages. */
  readonly annotation?: string;
}

/** How long certificates are valid. */
export interface LifetimeRules {
  /** The longest lifetime, which longer requests get. */
  readonly maxMs: number;
  /** The lifetime of requests that name none. */
  readonly defaultMs: number;
  /** The shortest lifetime; shorter requests are refused. */
  readonly minMs: number;
  /** How long before its end the kubelet begins to refresh a pod's certificate; a third of its lifetime by default. */
  readonly refreshBeforeMs?: number;
}

/** An allowed type of key, with limits of its size. */
export interface KeyRule {
  readonly type: PrivateKeyAlgorithm;
  readonly minBits?: number;
  readonly maxBits?: number;
}

/** The extensions that every certificate gets. */
export interface ExtensionRules {
  /** The URLs of OCSP responders (authority information access). */
  readonly ocsp: readonly string[];
  /** The URLs of the CA's certificate (authority information access). */
  readonly caIssuers: readonly string[];
  /** The URLs of certificate revocation lists. */
  readonly crl: readonly string[];
  readonly policies: readonly PolicyExtension[];
  readonly raw: readonly RawExtension[];
}

/** A certificate policy, with the page of its practice statement. */
export interface PolicyExtension {
  readonly oid: string;
  readonly cps?: string;
}

/** Any other extension, as DER. */
export interface RawExtension {
  readonly oid: string;
  readonly critical: boolean;
  readonly der: Uint8Array<ArrayBuffer>;
}

/** The keys that a kubelet can generate for a pod (`pkg/kubelet/podcertificate`), by the names of `keyType`. */
const KUBELET_KEYS: readonly { readonly keyType: string; readonly type: string; readonly bits: number }[] = [
  { keyType: "RSA3072", type: "RSA", bits: 3_072 },
  { keyType: "RSA4096", type: "RSA", bits: 4_096 },
  { keyType: "ECDSAP256", type: "ECDSA", bits: 256 },
  { keyType: "ECDSAP384", type: "ECDSA", bits: 384 },
  { keyType: "ECDSAP521", type: "ECDSA", bits: 521 },
  { keyType: "ED25519", type: "Ed25519", bits: 256 },
];

export function isKeyAllowed(rules: readonly KeyRule[], keyAlgorithm: string, keyBits: number): boolean {
  return rules.some(({ type, minBits = 0, maxBits = Infinity }) =>
    type === keyAlgorithm && keyBits >= minBits && keyBits <= maxBits
  );
}

/** Lists the key types of kubelets that the rules allow. */
export function listKubeletKeyTypes(rules: readonly KeyRule[]): readonly string[] {
  return KUBELET_KEYS.filter(({ type, bits }) => isKeyAllowed(rules, type, bits)).map(({ keyType }) => keyType);
}
