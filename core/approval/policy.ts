/**
 * Approval policies: which requests are approved, denied or left to a person, beyond kubelet's client certificates. What
 * a policy does not allow is not approved: names, usages and subjects that no rule speaks of are refused.
 */

/** A policy: rules that deny are asked first, then all in order; the first that is about a request decides it. */
export interface Policy {
  readonly name: string;
  /** What it grants, in a sentence for the operator who chooses it. */
  readonly description: string;
  readonly evidence: EvidenceSettings;
  readonly rules: readonly ApprovalRule[];
}

/** By what it may be proven that a name or address belongs to a node. Tried in the order of the fields. */
export interface EvidenceSettings {
  /** The operator's inventory file. Where it knows a node it alone decides. */
  readonly inventory: boolean;
  /** The serving certificate that the node holds now. */
  readonly heldCertificate: boolean;
  /** The node's own `status.addresses`: a node writes its own status, so whoever holds its key is believed. */
  readonly trustNodeStatus: boolean;
}

/** One rule. */
export interface ApprovalRule {
  readonly name: string;
  readonly match: RuleMatch;
  readonly require: Requirements;
  /** When everything that is required holds. */
  readonly then: "approve" | "deny" | "leave";
  /** When something does not hold; `next` goes on to the next rule. In a file `leave`, or `next` of a rule that denies. */
  readonly otherwise: "leave" | "deny" | "next";
}

/** Which requests a rule is about. Patterns know `*` for one or more characters. */
export interface RuleMatch {
  /** Signer names, or `domain/*`. */
  readonly signerNames: readonly string[];
  /** Patterns of the requester's name; any of them. */
  readonly users?: readonly string[];
  /** Groups of the requester; all of them. */
  readonly groups?: readonly string[];
}

/** What must hold. */
export interface Requirements {
  /** The requester may `create` this virtual subresource of certificatesigningrequests. */
  readonly permission?: string;
  readonly subject?: SubjectRequirement;
  /** Without it no subject alternative name is allowed. */
  readonly names?: NamesRequirement;
  readonly usages?: UsagesRequirement;
  readonly keys?: readonly KeyRequirement[];
  readonly lifetime?: LifetimeRequirement;
  readonly hours?: HoursRequirement;
  readonly rate?: RateRequirement;
}

/**
 * The subject: one common name and organizations; any other attribute is refused. Of a rule that denies: what is looked
 * for.
 */
export interface SubjectRequirement {
  /** Patterns; `${requester}` stands for the requester's name. None: the common name is empty. */
  readonly commonNames: readonly string[];
  /** Exactly these, in any order. */
  readonly organizations: readonly string[];
}

/** Subject alternative names. Of a rule that denies: patterns and ranges that are looked for. */
export interface NamesRequirement {
  /** Every DNS name and address must belong to the node that asks. */
  readonly owned: boolean;
  /** At least one DNS name or address. */
  readonly atLeastOne: boolean;
  /** Patterns; `*` stays within one label. Not with `owned`. */
  readonly dns: readonly string[];
  /** Addresses and CIDR ranges. Not with `owned`. */
  readonly ips: readonly string[];
  readonly uris: readonly string[];
  readonly emails: readonly string[];
}

/** Key usages. */
export interface UsagesRequirement {
  readonly allowed: readonly string[];
  readonly required: readonly string[];
}

/** A kind of key. */
export interface KeyRequirement {
  readonly type: "RSA" | "ECDSA" | "Ed25519";
  readonly minBits?: number;
}

/** `spec.expirationSeconds`. */
export interface LifetimeRequirement {
  readonly maxMs?: number;
  /** Whether a request may leave its lifetime to the signer. */
  readonly mayBeAbsent: boolean;
}

/** When requests are approved, in UTC. */
export interface HoursRequirement {
  readonly days: readonly Weekday[];
  /** Minutes after midnight. */
  readonly from: number;
  readonly to: number;
}

/** Days as they are written. */
export const WEEKDAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"] as const;
/** A day. */
export type Weekday = (typeof WEEKDAYS)[number];

/** How many requests of one requester a rule decides. */
export interface RateRequirement {
  readonly max: number;
  readonly perMs: number;
}
