/** What the profile of a signer of one's own says, as its file says it. Everything that it does not name is refused. */

/** A profile as it is read from a file. */
export interface ProfileSpec {
  /** Left out, it is the one that the command line names. */
  readonly signerName?: string;
  /** What its certificates are for, in a sentence for people. */
  readonly description: string;
  readonly subject: SubjectRules;
  readonly names: NameRules;
  readonly usages: UsageRules;
  readonly lifetime: LifetimeRules;
  /** A request's key is one of these. */
  readonly keys: readonly KeyRule[];
  readonly extensions: ExtensionRules;
  /** Whether the intermediates come behind each certificate. */
  readonly chain: boolean;
}

/** Which values of one kind a request may have, and how many. */
export interface ValueRule {
  /** Patterns, for addresses ranges; each value must match one. */
  readonly allowed: readonly string[];
  /** Instead of `allowed`: these values, all of them and no others. */
  readonly exactly?: readonly string[];
  readonly min: number;
  readonly max?: number;
}

/** The attributes of a subject that a profile can speak of, in the order in which they are checked. */
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

/** One of them. */
export type SubjectField = (typeof SUBJECT_FIELDS)[number];

/** The subject; an attribute without a rule must be absent. */
export type SubjectRules = { readonly [Field in SubjectField]?: ValueRule };

/** Subject alternative names; a kind without a rule must be absent. */
export interface NameRules {
  readonly dns?: ValueRule;
  readonly ips?: ValueRule;
  readonly uris?: ValueRule;
  readonly emails?: ValueRule;
  /** Whether `*.example.com` may be asked for where the pattern has a whole label of stars. */
  readonly wildcards: boolean;
  /** At least one name, of any kind. */
  readonly atLeastOne: boolean;
}

/** Usages, by Kubernetes' names. */
export interface UsageRules {
  readonly allowed: readonly string[];
  readonly required: readonly string[];
  /** Of a request that names none. */
  readonly default: readonly string[];
}

/** How long certificates are good. */
export interface LifetimeRules {
  /** What asks for longer gets this. */
  readonly maxMs: number;
  /** What asks for nothing gets this. */
  readonly defaultMs: number;
  /** What asks for less is refused. */
  readonly minMs: number;
}

/** A kind of key. */
export interface KeyRule {
  readonly type: "RSA" | "ECDSA" | "Ed25519";
  readonly minBits?: number;
  readonly maxBits?: number;
}

/** What stands in each certificate beside what was asked for. */
export interface ExtensionRules {
  /** Where revocation is answered (authority information access). */
  readonly ocsp: readonly string[];
  /** Where the CA's certificate is (authority information access). */
  readonly caIssuers: readonly string[];
  /** Where revoked certificates are listed. */
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
