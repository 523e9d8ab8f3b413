/**
 * Decides an offline request as the approver decides a CSR, with the evidence of an offline CA: its own records, the
 * policies and the inventory.
 */
import { decideWith, type Known, type Verdict } from "../approval/decide_request.ts";
import type { Inventory, NodeNames } from "../approval/evidence/inventory.ts";
import {
  collectNodeClientSettings,
  decideHold,
  findClaimedNode,
  readRecordedNodeCertificate,
} from "../approval/evidence/claims.ts";
import type { Lookup } from "../approval/evidence/ownership.ts";
import { listPastApprovals } from "../approval/conditions.ts";
import type { Policy } from "../approval/policy.ts";
import type { CertificateSigningRequest } from "../kube/kinds/certificates_v1.ts";
import { KUBELET_SERVING_SIGNER } from "../kube/kinds/constants.ts";
import type { IssuedCertificate } from "../kube/kinds/tlsboot_v1alpha1.ts";
import {
  ANONYMOUS_USER,
  AUTHENTICATED_GROUP,
  CREDENTIAL_ID_KEY,
  CREDENTIAL_ID_PREFIX,
  UNAUTHENTICATED_GROUP,
} from "../kube/user.ts";
import { readIdentity } from "../register/certificate_user.ts";
import type { CertificateFacts } from "../pki/x509/certificate.ts";
import { verifyChain } from "../pki/x509/chain.ts";
import { formatSubject, type MachineOrigin, type OfflineRequest, type OfflineRequester } from "./bundle.ts";
import { TLS_USAGE_OID } from "../pki/x509/usages.ts";

/** The input of a decision at an offline CA. */
interface OfflineDecisionInput {
  /** The request as a CSR object, with its requester. */
  readonly csr: CertificateSigningRequest;
  readonly request: OfflineRequest["facts"];
  readonly policies: readonly Policy[];
  readonly inventory: Inventory | undefined;
  /** The records of the certificates that the CA has signed. */
  readonly records: readonly IssuedCertificate[];
  /** The names and addresses of the API server, which belong to no machine. */
  readonly server: NodeNames;
  readonly now: Date;
}

export interface OfflineDecision {
  /** The reason why a person should check the request, for example because another machine has the name. */
  readonly warning: string | undefined;
  /** The verdict of the policies; undefined when there are none. */
  readonly verdict: Verdict | undefined;
}

/**
 * Finds out why the machine that signed a request has no valid certificate with the same subject; undefined when it has
 * one. `cas` are the accepted issuers.
 */
export function findRequesterFault(
  { facts }: Pick<OfflineRequest, "facts">,
  { requester: [leaf, ...intermediates] }: Pick<MachineOrigin, "requester">,
  cas: readonly CertificateFacts[],
  now: Date,
): string | undefined {
  if (leaf === undefined) return "it has no certificate yet";
  const path = verifyChain(leaf, intermediates, cas, { at: now });
  if (!path.ok) return `its certificate is not valid here: ${path.error}`;
  return formatSubject(leaf) === formatSubject(facts) ? undefined : "its certificate has another subject";
}

/**
 * Returns the user of a machine's request. With a valid client certificate (`fault` is undefined) it is the subject, as
 * at the API server; otherwise it is the anonymous user.
 */
export function getOfflineRequester(
  { requester: [leaf] }: Pick<MachineOrigin, "requester">,
  fault: string | undefined,
): OfflineRequester {
  if (fault !== undefined || leaf === undefined || !leaf.extendedKeyUsages.includes(TLS_USAGE_OID.client)) {
    return { username: ANONYMOUS_USER, groups: [UNAUTHENTICATED_GROUP] };
  }
  return {
    username: leaf.subject.commonName,
    groups: [...leaf.subject.organizations, AUTHENTICATED_GROUP],
    extra: { [CREDENTIAL_ID_KEY]: [CREDENTIAL_ID_PREFIX + leaf.sha256Fingerprint] },
  };
}

/** Decides a request. A fact that only an API knows, such as a permission, counts as unreadable. */
export async function decideOfflineRequest(input: OfflineDecisionInput): Promise<OfflineDecision> {
  const { csr, request, policies, inventory, records, server, now } = input;
  const claimed = findClaimedNode(csr, request);
  const certificates = records.flatMap((record) => {
    if (record.status.revocation !== undefined) return [];
    const certificate = readRecordedNodeCertificate(record);
    return certificate === undefined || (certificate.node ?? claimed) !== claimed ? [] : [certificate];
  });
  const none = { kind: "none" } as const;
  const known: Known = {
    now,
    revocation: none,
    token: none,
    approvals: {
      before: listPastApprovals(records.flatMap((record) => toApproved(record, csr.spec.username ?? ""))),
      held: findHeldNames(records, csr, now),
    },
    reported: none,
    server,
    certificates: { kind: "found", value: certificates },
    claims: { kind: "absent" },
    room: true,
    excess: none,
  };
  const evidence = { inventory, certificates: { kind: "found", value: certificates } as const };
  const hold = decideHold({ reissue: "never", machines: "any" }, { csr, request, now, evidence });
  const warning = hold.kind === "found" ? hold.value.fault : undefined;
  if (policies.length === 0) return { warning, verdict: undefined };
  const verdict = await decideWith({ csr, request, policies, inventory }, known, (need) => ({
    permissions: new Map(
      need.kind === "permission" ? [[need.permission, lookUpPermission(need.permission, policies)]] : [],
    ),
  }));
  return { warning, verdict };
}

/**
 * A policy that admits only machines of the inventory replaces the permission for a first certificate, and an
 * authenticated machine may renew its own. Any other permission depends on an API.
 */
function lookUpPermission(permission: string, policies: readonly Policy[]): Lookup<boolean> {
  if (permission === "selfnodeclient") return { kind: "found", value: true };
  if (permission === "nodeclient") {
    return { kind: "found", value: collectNodeClientSettings(policies).machines === "inventory" };
  }
  return { kind: "failed", message: `no API can check permission ${permission}` };
}

/** Finds the names in the newest valid serving certificate of the requesting node. */
function findHeldNames(
  records: readonly IssuedCertificate[],
  { spec }: CertificateSigningRequest,
  now: Date,
): Lookup<NodeNames> {
  const held = records.findLast((record) =>
    record.spec.signerName === KUBELET_SERVING_SIGNER && record.spec.notAfter !== null &&
    now < new Date(record.spec.notAfter) && readIdentity(record)?.username === spec.username
  );
  if (held === undefined) return { kind: "none" };
  return { kind: "found", value: { dns: held.spec.dnsNames ?? [], ips: held.spec.ipAddresses ?? [] } };
}

/** Reads an approved request of a user from its record, for rules with a rate. */
function toApproved({ spec }: IssuedCertificate, username: string): readonly CertificateSigningRequest[] {
  const { approval, requester } = spec;
  if (approval === undefined || requester?.username !== username) return [];
  const { reason = "", message = "", time } = approval;
  return [{
    apiVersion: "certificates.k8s.io/v1",
    kind: "CertificateSigningRequest",
    metadata: {},
    spec: { request: "", signerName: spec.signerName ?? "", usages: [], username },
    status: {
      conditions: [{
        type: "Approved",
        status: "True",
        reason,
        message,
        lastUpdateTime: time,
        lastTransitionTime: time,
      }],
    },
  }];
}
