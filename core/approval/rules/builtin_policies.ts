/** The policies that tlsboot contains. Users select them by name, and each one describes what it grants. */
import { KUBELET_SERVING_SIGNER } from "../../kube/kinds/certificates_v1.ts";
import { NODE_USER_PREFIX, NODES_GROUP } from "../../kube/user.ts";
import { ML_DSA_NAMES } from "../../pki/keys/key_algorithm.ts";
import type { ApprovalRule, EvidenceSettings, Policy } from "../policy.ts";

/** The policy name of the two kubelet client rules in `kubelet_client.ts`. */
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
    "others stay pending. Needs --inventory. It is on in tlsboot up with --auto-approve and --inventory.",
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
      // Such a request exists only where the API accepts ML-DSA.
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
      "is its own. Needs --inventory.",
    { inventory: true, heldCertificate: true, trustNodeStatus: false },
  ),
  serving(
    "kubelet-serving-trusting",
    "Approves a kubelet's serving certificate for the names and addresses that the node itself reports in its status. " +
      "A holder of a node's key can get a certificate for any name that no other node reports: choose it where nodes are " +
      "trusted. An inventory, where there is one, counts more.",
    { inventory: true, heldCertificate: true, trustNodeStatus: true },
  ),
].map((policy) => [policy.name, policy]));
