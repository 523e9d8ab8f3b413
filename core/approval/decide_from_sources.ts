/** Reads the facts that a verdict needs, for both the running approver and `policy explain`. */
import { getErrorMessage } from "../errors.ts";
import type { CertificateSigningRequest } from "../kube/kinds/certificates_v1.ts";
import { getName } from "../kube/meta.ts";
import type { AccessReviewer, Clock } from "../ports.ts";
import { findTokenId } from "../token/token_secret.ts";
import { decideWith, type Known, type Need, type Question, type Verdict } from "./decide_request.ts";
import { findRequestingNode } from "./rules/evaluate_policies.ts";
import type { Inventory, NodeNames } from "./evidence/inventory.ts";
import { findClaimedNode, listClaimedNames } from "./evidence/claims.ts";
import { findHeldNames, type Lookup, type NameClaim, type NodeCertificate } from "./evidence/ownership.ts";
import { listPastApprovals } from "./conditions.ts";
import type { Policy } from "./policy.ts";
import { createAccessReviewSpec } from "./recognizers.ts";

/** The policies and the inventory that the operator has configured. */
export interface PolicySettings {
  readonly policies: readonly Policy[];
  readonly inventory: Inventory | undefined;
}

/** The sources of evidence about requests. A fact that cannot be read is `failed`, and no decision relies on it. */
export interface EvidenceSources {
  readonly clock: Clock;
  readonly reviewer: AccessReviewer;
  /** Finds the Revocation that forbids the approval of a request; absent where nothing is revoked. */
  readonly findRevoked?: FindRevokedRequest | undefined;
  /** Reads the bootstrap token with an id; absent where the limits of tokens do not apply. */
  readonly readToken?: ((id: string, signal: AbortSignal) => Promise<NonNullable<Known["token"]>>) | undefined;
  /** Lists the approved requests of a requester. */
  listApproved(username: string): Iterable<CertificateSigningRequest>;
  /** Returns the names and addresses that nodes report; `none` when no policy needs them. */
  reported():
    | Lookup<ReadonlyMap<string, NodeNames>>
    | Promise<Lookup<ReadonlyMap<string, NodeNames>>>;
  /** Lists the client certificates of a node that are not revoked, except that of one request. */
  certificates(
    node: string,
    exceptRequest: string,
  ): Lookup<readonly NodeCertificate[]> | Promise<Lookup<readonly NodeCertificate[]>>;
  /** Lists the holders of names, for policies with `names.unclaimed`; absent without a register of certificates. */
  claims?(names: readonly string[]): Promise<Lookup<readonly NameClaim[]>>;
  /** Returns the names and addresses of the API server. Errors propagate, because nothing is approved without them. */
  serverNames(signal: AbortSignal): Promise<NodeNames>;
  /** Reports whether the requester is below the limit of pending requests; absent where no states are kept. */
  hasRoom?(csr: CertificateSigningRequest): boolean;
  /** Explains why a request for some names may not be held; absent where no states are kept. */
  findExcess?(csr: CertificateSigningRequest, names: readonly string[]): Promise<string | undefined>;
}

/** Finds the Revocation that forbids the approval and the signing of a request. */
export type FindRevokedRequest = (
  csr: CertificateSigningRequest,
  signal: AbortSignal,
) => Promise<{ readonly message: string } | undefined>;

/** Decides a request with facts from the sources. It reads only the facts that the decision needs. */
export function decideFrom(sources: EvidenceSources, question: Question, signal: AbortSignal): Promise<Verdict> {
  return decideWith(question, { now: sources.clock.now() }, (need) => findAnswer(sources, question, need, signal));
}

async function findAnswer(
  sources: EvidenceSources,
  { csr, request }: Question,
  need: Need,
  signal: AbortSignal,
): Promise<Partial<Known>> {
  const { username = "" } = csr.spec;
  switch (need.kind) {
    case "revocation":
      return { revocation: await findRevocation(sources, csr, signal) };
    case "token":
      return { token: await sources.readToken?.(findTokenId(username) ?? "", signal) ?? NONE };
    case "permission":
      return { permissions: new Map([[need.permission, await review(sources, csr, need.permission, signal)]]) };
    case "certificates":
      return { certificates: await sources.certificates(findClaimedNode(csr, request) ?? "", getName(csr)) };
    case "approvals": {
      const node = findRequestingNode(csr);
      const approved = [...sources.listApproved(username)];
      const held = node === undefined ? NONE : findHeldNames(approved, node, sources.clock.now());
      return { approvals: { before: listPastApprovals(approved), held } };
    }
    case "reported":
      return { reported: await sources.reported() };
    case "server":
      return { server: await sources.serverNames(signal) };
    case "claims": {
      const names = listClaimedNames(request);
      return { claims: names.length === 0 ? NONE : await sources.claims?.(names) ?? { kind: "absent" } };
    }
    case "room":
      return { room: sources.hasRoom?.(csr) ?? true };
    case "excess":
      return { excess: toLookup(await sources.findExcess?.(csr, need.names)) };
  }
}

const NONE = { kind: "none" } as const;

function toLookup<T>(value: T | undefined): Lookup<T> {
  return value === undefined ? NONE : { kind: "found", value };
}

async function findRevocation(
  { findRevoked }: EvidenceSources,
  csr: CertificateSigningRequest,
  signal: AbortSignal,
): Promise<Lookup<string>> {
  try {
    return toLookup((await findRevoked?.(csr, signal))?.message);
  } catch (error) {
    signal.throwIfAborted();
    return { kind: "failed", message: `cannot read what is revoked: ${getErrorMessage(error)}` };
  }
}

async function review(
  { reviewer }: EvidenceSources,
  csr: CertificateSigningRequest,
  permission: string,
  signal: AbortSignal,
): Promise<Lookup<boolean>> {
  try {
    return { kind: "found", value: await reviewer.isAllowed(createAccessReviewSpec(csr, permission), signal) };
  } catch (error) {
    signal.throwIfAborted();
    return { kind: "failed", message: `cannot check permission ${permission}: ${getErrorMessage(error)}` };
  }
}
