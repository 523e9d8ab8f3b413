/**
 * The checks of a cluster's rights over certificates: who can create, approve and sign requests, for which signers, and
 * which of that amounts to being any node or an administrator.
 */
import { KUBE_APISERVER_CLIENT_KUBELET_SIGNER, KUBE_APISERVER_CLIENT_SIGNER } from "../kube/certificates_v1.ts";
import type { ResourceAttributesSpec } from "../kube/authorization_v1.ts";
import type { Subject } from "../kube/rbac_v1.ts";
import { MASTERS_GROUP } from "../kube/user.ts";
import { shellWord } from "../lib/shell_word.ts";
import { type Finding, reportCheck } from "./finding.ts";

/** A right over certificates. Approving and signing need two permissions: one on the request, one on the signer. */
export interface CertificateRight {
  /** The name of the check that reports the right. */
  readonly check: "csr-create" | "csr-approve" | "csr-sign" | "node-approval" | "impersonation";
  /** What a subject with the right may do, in words. */
  readonly what: string;
  readonly needs: readonly ResourceAttributesSpec[];
  /** What the right amounts to. */
  readonly power?: "any node" | "an administrator";
}

const REQUESTS = { group: "certificates.k8s.io", resource: "certificatesigningrequests" };

/** Lists the rights that are asked about, for Kubernetes' signers and for those that are named. */
export function listCertificateRights(signers: readonly string[]): readonly CertificateRight[] {
  const powerOf = (signer: string): Pick<CertificateRight, "power"> =>
    signer === KUBE_APISERVER_CLIENT_KUBELET_SIGNER
      ? { power: "any node" }
      : signer === KUBE_APISERVER_CLIENT_SIGNER
      ? { power: "an administrator" }
      : {};
  const signerRight = (verb: "approve" | "sign", subresource: string, signer: string): CertificateRight => ({
    check: `csr-${verb}`,
    what: `${verb} requests for ${signer}`,
    needs: [
      { ...REQUESTS, verb: "update", subresource },
      { group: REQUESTS.group, resource: "signers", verb, name: signer },
    ],
    // A certificate is only as good as the key that signed it, and the right to sign does not contain the key.
    ...(verb === "approve" ? powerOf(signer) : {}),
  });
  return [
    { check: "csr-create", what: "create requests", needs: [{ ...REQUESTS, verb: "create" }] },
    {
      check: "node-approval",
      what: "get a certificate for any node without a person's approval",
      needs: [{ ...REQUESTS, verb: "create" }, { ...REQUESTS, verb: "create", subresource: "nodeclient" }],
      power: "any node",
    },
    ...signers.map((signer) => signerRight("approve", "approval", signer)),
    ...signers.map((signer) => signerRight("sign", "status", signer)),
    {
      check: "impersonation",
      what: "act as any user",
      needs: [{ resource: "users", verb: "impersonate" }],
      power: "an administrator",
    },
  ];
}

/** A right that a subject has. */
export interface CertificateGrant {
  readonly right: CertificateRight;
  readonly subject: Subject;
  /** The binding that grants the right, as far as the server named it. */
  readonly binding: { readonly kind: string; readonly name: string } | undefined;
  /** True when the binding has no other subject. */
  readonly isAlone: boolean;
}

/** Bindings that Kubernetes, kubeadm and tlsboot make, for what they are meant for. */
const KNOWN_BINDING = /^(?:system:|kubeadm:|tlsboot:|cluster-admin$)/;
/** Groups that a client is in without any proof of who it is, or with any. */
const WIDE_GROUPS: readonly string[] = ["system:unauthenticated", "system:authenticated", "system:serviceaccounts"];
const ANONYMOUS = "system:anonymous";

/**
 * Reports each right with its subjects and bindings. A right that amounts to being any node or an administrator is a
 * warning when it comes from a binding that is not of Kubernetes, kubeadm or tlsboot, and an error for all clients.
 *
 * @param kubectl the words that reach the cluster: `kubectl --kubeconfig FILE`.
 */
export function checkCertificateRights(
  rights: readonly CertificateRight[],
  grants: readonly CertificateGrant[],
  { target, kubectl }: { readonly target: string; readonly kubectl: string },
): readonly Finding[] {
  return rights.flatMap((right): readonly Finding[] => {
    const own = grants.filter((grant) => grant.right === right);
    const faults = own.flatMap((grant) => {
      const isWide = isWideSubject(grant.subject);
      const isKnown = isMasters(grant.subject) ||
        (grant.binding !== undefined && KNOWN_BINDING.test(grant.binding.name));
      if (right.power === undefined || (isKnown && !isWide)) return [];
      return [{
        severity: isWide ? "error" as const : "warning" as const,
        message: `${describeGrant(grant)} may ${right.what}, and so be ${right.power}`,
        fix: grant.binding?.kind === "ClusterRoleBinding" && grant.isAlone
          ? `${kubectl} delete clusterrolebinding ${shellWord(grant.binding.name)}`
          : undefined,
        advice: `take the subject out of the binding, or make sure that it may be ${right.power}`,
      }];
    });
    const allowed = own.map(describeGrant).join(", ");
    const message = allowed === "" ? `no subject may ${right.what}` : `may ${right.what}: ${allowed}`;
    return reportCheck({ check: right.check, target }, faults, message);
  });
}

/** Reports whether a subject is the group of administrators, whose rights the API server never asks a binding about. */
function isMasters({ kind, name }: Subject): boolean {
  return kind === "Group" && name === MASTERS_GROUP;
}

function isWideSubject({ kind, name }: Subject): boolean {
  return kind === "Group" ? WIDE_GROUPS.includes(name) : kind === "User" && name === ANONYMOUS;
}

function describeGrant({ subject: { kind, name, namespace }, binding }: CertificateGrant): string {
  const who = kind === "ServiceAccount"
    ? `service account ${namespace ?? ""}/${name}`
    : `${kind.toLowerCase()} ${name}`;
  return binding === undefined ? who : `${who} (${binding.kind} ${binding.name})`;
}
