/**
 * Approval policies decide which requests, other than those for kubelet client certificates, are approved, denied or
 * pending. Names, usages and subjects that no rule allows are not approved. Users select a built-in policy by its name.
 */
import type { ProofKind } from "../attestation/proof.ts";
import { ML_DSA_NAMES, type PrivateKeyAlgorithm } from "../pki/keys/key_names.ts";
import { KUBELET_SERVING_SIGNER } from "../kube/kinds/constants.ts";
import { NODE_USER_PREFIX, NODES_GROUP } from "../kube/user.ts";

/** A policy. Rules that deny come first, then all rules in order; the first one that applies to a request decides. */
export interface Policy {
  readonly name: string;
  /** The effect of the policy, in a sentence for the operator. */
  readonly description: string;
  readonly evidence: EvidenceSettings;
  /**
   * Whether a client certificate is approved for a node that has a valid one with another key: always, only in the last
   * tenth of its lifetime, or never. The first policy with a value decides; the default is never.
   */
  readonly reissue?: "allow" | "whenExpiring" | "never";
  /** Whether client certificates are approved for any node; any policy can limit them to nodes in the inventory. */
  readonly machines?: "any" | "inventory";
  readonly rules: readonly ApprovalRule[];
}

/** The accepted evidence that a name or address belongs to a node, tried in the order of the fields. */
export interface EvidenceSettings {
  /** The inventory, which is the only evidence for a node that it contains. */
  readonly inventory: boolean;
  /** The current serving certificate of the node. */
  readonly heldCertificate: boolean;
  /** The node's own `status.addresses`, which every holder of the node's key can write. */
  readonly trustNodeStatus: boolean;
}

/** A rule of a policy. */
export interface ApprovalRule {
  readonly name: string;
  readonly match: RuleMatch;
  readonly require: Requirements;
  /** The outcome when every requirement holds; `next` continues with the next rule. */
  readonly then: "approve" | "deny" | "pending" | "next";
  /** The outcome otherwise; `next` continues with the next rule. The default is `pending`, and `next` in a rule that denies. */
  readonly otherwise: "pending" | "deny" | "next";
}

/** The requests that a rule applies to. In patterns, `*` matches one or more characters. */
export interface RuleMatch {
  /** The names of signers, exact or as `domain/*`. */
  readonly signerNames: readonly string[];
  /** Patterns of the requester's name, one of which must match. */
  readonly users?: readonly string[];
  /** Groups that the requester must all be in. */
  readonly groups?: readonly string[];
}

/** The requirements of a rule. */
export interface Requirements {
  /** The virtual subresource of certificatesigningrequests that the requester must be allowed to `create`. */
  readonly permission?: string;
  readonly subject?: SubjectRequirement;
  /** The allowed subject alternative names; without it none is allowed. */
  readonly names?: NamesRequirement;
  readonly usages?: UsagesRequirement;
  readonly keys?: readonly KeyRequirement[];
  readonly lifetime?: LifetimeRequirement;
  readonly hours?: HoursRequirement;
  readonly rate?: RateRequirement;
  /**
   * The proof for which the requester got its bootstrap token. Without that proof, neither the kubelet client rules nor
   * the token approve a request that `match` and `subject` cover.
   */
  readonly attested?: AttestationRequirement;
}

/**
 * The required common name and organizations; no other attribute is allowed. In a rule that denies: the denied subject.
 */
export interface SubjectRequirement {
  /**
   * Patterns, in which `${requester}` is replaced by the requester's name, and `${dns}` by one of the DNS names of the
   * request. Without patterns the common name must be empty.
   */
  readonly commonNames: readonly string[];
  /** The exact organizations, in any order. */
  readonly organizations: readonly string[];
}

/** The allowed subject alternative names. In a rule that denies, the denied names. */
export interface NamesRequirement {
  /** Whether every DNS name and address must belong to the requesting node. */
  readonly owned: boolean;
  /** Whether at least one DNS name or address is required. */
  readonly atLeastOne: boolean;
  /** Whether a name belongs to the first machine that requested it, as long as its certificate is valid. */
  readonly unclaimed?: boolean;
  /** Patterns in which `**` also matches dots, and `*` does not. They exclude `owned`. */
  readonly dns: readonly string[];
  /** Addresses and CIDR ranges. They exclude `owned`. */
  readonly ips: readonly string[];
  readonly uris: readonly string[];
  readonly emails: readonly string[];
}

/** The allowed and the required key usages. */
export interface UsagesRequirement {
  readonly allowed: readonly string[];
  readonly required: readonly string[];
}

/** An allowed type of key. */
export interface KeyRequirement {
  readonly type: PrivateKeyAlgorithm;
  readonly minBits?: number;
}

/** The requirement on `spec.expirationSeconds` of a request. */
export interface LifetimeRequirement {
  readonly maxMs?: number;
  /** Whether a request without `expirationSeconds` is allowed, so that the signer chooses. */
  readonly mayBeAbsent: boolean;
}

/** The days and hours in UTC at which requests are approved. */
export interface HoursRequirement {
  readonly days: readonly Weekday[];
  /** The start and the end in minutes after midnight. */
  readonly from: number;
  readonly to: number;
}

/** The days of the week as policies write them. */
export const WEEKDAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"] as const;
/** One of the names in WEEKDAYS. */
export type Weekday = (typeof WEEKDAYS)[number];

/** How a machine must have proven its identity before it sent the request. */
export interface AttestationRequirement {
  /** The kind of proof; any when it is absent. */
  readonly kind?: ProofKind;
  /** The maximum age of the proof when the request is decided; by default, it may be as old as its token. */
  readonly maxAgeMs?: number;
}

/** The largest number of requests per requester that a rule approves within a period. */
export interface RateRequirement {
  readonly max: number;
  readonly perMs: number;
}

/** The policy name of the two kubelet client rules (`evaluateKubeletClient`). */
export const KUBELET_CLIENT = "kubelet-client";

const KUBELET_CLIENT_DESCRIPTION =
  "Approves a kubelet's client certificate when a SubjectAccessReview says that the requester may have it: for its own " +
  "node name with create on certificatesigningrequests/selfnodeclient, for any node name with /nodeclient. Always on, as " +
  "in kube-controller-manager.";

/** The policy that limits the kubelet client rules to the machines in the inventory. */
export const INVENTORY_ONLY: Policy = {
  name: "inventory-only",
  description:
    "Approves kubelet client certificates, first ones and renewals, only for machines that are in the inventory; those of " +
    "others stay pending. Needs an inventory. It is on in tlsboot up --auto-approve --inventory FILE.",
  evidence: { inventory: true, heldCertificate: false, trustNodeStatus: false },
  machines: "inventory",
  rules: [],
};

/** A node's serving certificate exactly as kubelet requests it, for names that belong to the node. */
const SERVING_RULE: ApprovalRule = {
  name: "kubelet-serving",
  match: { signerNames: [KUBELET_SERVING_SIGNER], users: [`${NODE_USER_PREFIX}*`], groups: [NODES_GROUP] },
  require: {
    subject: { commonNames: ["${requester}"], organizations: [NODES_GROUP] },
    names: { owned: true, atLeastOne: true, dns: [], ips: [], uris: [], emails: [] },
    usages: {
      allowed: ["digital signature", "key encipherment", "server auth"],
      required: ["digital signature", "server auth"],
    },
    keys: [
      { type: "ECDSA", minBits: 256 },
      { type: "RSA", minBits: 2048 },
      { type: "Ed25519" },
      // Such a request exists only if the API accepts ML-DSA.
      ...ML_DSA_NAMES.map((type) => ({ type })),
    ],
    rate: { max: 10, perMs: 3_600_000 },
  },
  then: "approve",
  otherwise: "pending",
};

function serving(name: string, description: string, evidence: EvidenceSettings): Policy {
  return { name, description, evidence, rules: [SERVING_RULE] };
}

/**
 * The built-in policies by name. `kubelet-client` has no rules here because every approver applies the two kubelet client
 * rules anyway, so naming it changes nothing.
 */
export const BUILTIN_POLICIES: ReadonlyMap<string, Policy> = new Map([
  {
    name: KUBELET_CLIENT,
    description: KUBELET_CLIENT_DESCRIPTION,
    evidence: { inventory: false, heldCertificate: false, trustNodeStatus: false },
    rules: [],
  },
  INVENTORY_ONLY,
  serving(
    "kubelet-serving",
    "Approves a kubelet's serving certificate when the inventory assigns every name and address in it to that node; for a " +
      "node that the inventory does not know, a renewal of the names it holds. A node cannot get a name by saying that it " +
      "is its own. Needs an inventory.",
    { inventory: true, heldCertificate: true, trustNodeStatus: false },
  ),
  serving(
    "kubelet-serving-trusting",
    "Approves a kubelet's serving certificate for the names and addresses that the node itself reports in its status. " +
      "A holder of a node's key can get a certificate for any name that no other node reports: choose it where nodes are " +
      "trusted. An inventory takes precedence where there is one.",
    { inventory: true, heldCertificate: true, trustNodeStatus: true },
  ),
].map((policy) => [policy.name, policy]));
