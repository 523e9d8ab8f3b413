/**
 * Explains the verdict about one request, for `policy explain` and `describe csr`. The verdict is the approver's own,
 * from the API as it is now or from files alone; nothing is written.
 */
import { BUILTIN_POLICIES } from "../../core/approval/rules/builtin_policies.ts";
import type { Verdict } from "../../core/approval/decide_request.ts";
import { findRulesAbout } from "../../core/approval/rules/evaluate_policies.ts";
import type { NodeNames } from "../../core/approval/evidence/inventory.ts";
import { listReportedNames, type ReportingNode } from "../../core/approval/evidence/node_names.ts";
import type { Lookup } from "../../core/approval/evidence/ownership.ts";
import type { Policy } from "../../core/approval/policy.ts";
import { findTokenId } from "../../core/token/token_secret.ts";
import { AppError, getErrorMessage, isAppError } from "../../core/errors.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import type { SecretObject } from "../../core/kube/kinds/core_v1.ts";
import { getName, type KubeObject } from "../../core/kube/meta.ts";
import type { IssuedCertificate, Revocation } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import type { RequestFacts } from "../../core/pki/x509/pkcs10.ts";
import type { Clock } from "../../core/ports.ts";
import { RecordedCertificates } from "../../core/revocation/recorded_certificates.ts";
import { readRevocableRequest, RevocationIndex } from "../../core/revocation/revocation_index.ts";
import type { ApiHandle } from "./connection.ts";
import { getCsrByName, listCsrs, parseCsrNames } from "./csrs.ts";
import { createCertificateLookup, createClaimLookup } from "./holds.ts";
import { type ChosenSettings, createNoSettings, readApproverSettings } from "./published_settings.ts";
import { RECORD_COLLECTION, REVOCATION_COLLECTION, unlessAbsent } from "./records.ts";
import { tokenPath } from "./tokens.ts";
import { decideFrom, type EvidenceSources } from "../../core/approval/evidence.ts";
import { createAccessReviewer } from "../objects/access_reviews.ts";
import { type ApiClient, listAll } from "../objects/api.ts";

/** The verdicts of the rules about one request. */
export interface Explanation {
  /** The verdict of an approver with the chosen policies. */
  readonly verdict: Verdict;
  /** Without chosen policies: the verdict of each built-in policy that applies to the request. */
  readonly others: readonly Verdict[];
}

/** Decides a request as the approver does, by the evidence of the sources. */
export async function explainRequest(
  csr: CertificateSigningRequest,
  request: RequestFacts,
  { policies, inventory, tokenLimits }: Pick<ChosenSettings, "policies" | "inventory" | "tokenLimits">,
  sources: EvidenceSources,
  signal: AbortSignal,
): Promise<Explanation> {
  const { readToken } = sources;
  const from: EvidenceSources = tokenLimits === "none" || readToken === undefined
    ? { ...sources, readToken: undefined }
    : {
      ...sources,
      async readToken(id, until) {
        const token = await readToken(id, until);
        return token.kind === "gone" && tokenLimits !== "by the approver" ? { kind: "none" } : token;
      },
    };
  const decide = (own: readonly Policy[]) => decideFrom(from, { csr, request, policies: own, inventory }, signal);
  const verdict = await decide(policies);
  const shipped = policies.length > 0 || verdict.stage !== "policies"
    ? []
    : BUILTIN_POLICIES.values().toArray().filter((policy) => findRulesAbout([policy], csr).length > 0);
  const others = await Promise.all(shipped.map(async (policy) => {
    const other = await decide([policy]);
    return { ...other, trace: other.trace.filter((one) => one.policy === policy.name) };
  }));
  return { verdict, others };
}

/** A request and the sources of evidence about it. */
export interface RequestEvidence {
  readonly csr: CertificateSigningRequest;
  readonly sources: EvidenceSources;
  /** Reads the settings that the approver has published. */
  readApproverSettings(): Promise<ChosenSettings>;
}

/** Gathers evidence from files alone: permissions cannot be checked, and there are no earlier requests. */
export function gatherFromFile(
  csr: CertificateSigningRequest,
  nodes: readonly ReportingNode[],
  clock: Clock,
): RequestEvidence {
  return {
    csr,
    sources: {
      reviewer: { isAllowed: () => Promise.reject(new AppError("unreachable", "there is no API to ask")) },
      listApproved: () => [],
      certificates: () => ({ kind: "none" }),
      reported: () => ({ kind: "found", value: collectReportedNames(nodes) }),
      serverNames: () => Promise.resolve({ dns: [], ips: [] }),
      clock,
    },
    readApproverSettings: () => Promise.resolve(createNoSettings("there is no API to ask")),
  };
}

/** Gathers evidence from the API, also the request when `wanted` is a name. Nodes come from a file if one is given. */
export async function gatherFromApi(
  wanted: CertificateSigningRequest | string,
  nodes: readonly ReportingNode[] | undefined,
  connection: ApiHandle,
  ports: { readonly clock: Clock },
  signal: AbortSignal,
): Promise<RequestEvidence> {
  const csr = typeof wanted === "string" ? await getCsr(connection, wanted, signal) : wanted;
  return {
    csr,
    sources: withoutOwnApproval(csr, await gatherSources(connection, nodes, ports, signal)),
    readApproverSettings: () => readApproverSettings(connection.api, signal),
  };
}

/** Removes a request's own approval from the evidence, so that it does not count for itself. */
export function withoutOwnApproval(csr: CertificateSigningRequest, sources: EvidenceSources): EvidenceSources {
  return {
    ...sources,
    listApproved: (username) => [...sources.listApproved(username)].filter((other) => getName(other) !== getName(csr)),
  };
}

/** Creates sources with the present state of the API. */
export async function gatherSources(
  connection: ApiHandle,
  nodes: readonly ReportingNode[] | undefined,
  { clock }: { readonly clock: Clock },
  signal: AbortSignal,
): Promise<EvidenceSources> {
  const { items } = await listCsrs(connection.api, {}, signal);
  const reported = nodes === undefined ? await listReportedByNodes(connection.api, signal) : found(nodes);
  const certificates = createCertificateLookup(connection.api, items, clock, signal);
  const claims = createClaimLookup(connection.api, items, signal);
  const readToken = createTokenReader(connection.api);
  return createSources(connection, { requests: items, reported, certificates, claims, readToken }, { clock });
}

/** Creates sources from lists that were read before. */
export function createSources(
  { api, transport, serverNames }: ApiHandle,
  { requests, reported, certificates, claims, readToken }: {
    readonly requests: readonly CertificateSigningRequest[];
    readonly reported: Lookup<ReadonlyMap<string, NodeNames>>;
    readonly certificates: EvidenceSources["certificates"];
    readonly claims: NonNullable<EvidenceSources["claims"]>;
    readonly readToken: ReadToken;
  },
  { clock }: { readonly clock: Clock },
): EvidenceSources {
  return {
    reviewer: createAccessReviewer(transport, { clock }),
    findRevoked: createRevocationSearch(api, readToken),
    readToken,
    listApproved: (username) => requests.filter(({ spec }) => spec.username === username),
    certificates,
    claims,
    reported: () => reported,
    serverNames,
    clock,
  };
}

/** Reads the bootstrap token with an id from the API. */
export type ReadToken = NonNullable<EvidenceSources["readToken"]>;

/** Creates a reader of bootstrap tokens, each read once. It fails for a user who may not read them. */
export function createTokenReader(api: ApiClient): ReadToken {
  const known = new Map<string, ReturnType<ReadToken>>();
  const read: ReadToken = async (id, signal) => {
    try {
      const value = await api.requestObject<SecretObject>({ method: "GET", path: tokenPath(id) }, signal);
      return { kind: "found", value };
    } catch (error) {
      signal.throwIfAborted();
      if (isAppError(error, "not_found")) return { kind: "gone" };
      if (!(error instanceof AppError)) throw error;
      return { kind: "failed", message: `bootstrap token "${id}" cannot be read: ${error.message}` };
    }
  };
  return (id, signal) => {
    const token = known.get(id) ?? read(id, signal);
    known.set(id, token);
    return token;
  };
}

/** Creates a search for what is revoked. It finds nothing where the API has no revocations, or the user may not read them. */
function createRevocationSearch(
  api: ApiClient,
  readToken: ReadToken,
): NonNullable<EvidenceSources["findRevoked"]> {
  let read: Promise<RevocationIndex | undefined> | undefined;
  return async (csr, signal) => {
    const index = await (read ??= readRevocations(api, signal));
    if (index === undefined) return undefined;
    const id = findTokenId(csr.spec.username ?? "");
    const token = id === undefined ? undefined : await readToken(id, signal);
    const tokenSecret = token?.kind === "found" ? token.value : undefined;
    return index.findForRequest({ ...readRevocableRequest(csr), tokenSecret });
  };
}

async function readRevocations(api: ApiClient, signal: AbortSignal): Promise<RevocationIndex | undefined> {
  const list = async <T extends KubeObject>(path: string): Promise<readonly T[] | undefined> =>
    (await unlessAbsent(listAll<T>(api, path, {}, signal)))?.items;
  const revocations = await list<Revocation>(REVOCATION_COLLECTION);
  if (revocations === undefined || revocations.length === 0) return undefined;
  const records = await list<IssuedCertificate>(RECORD_COLLECTION);
  const recorded = new RecordedCertificates();
  for (const record of records ?? []) recorded.put(record);
  const index = new RevocationIndex(records === undefined ? undefined : recorded.findByFingerprint);
  index.replace(revocations);
  return index;
}

/** Creates sources for a user who may not read other requests and nodes. Permissions and revocations are still checked. */
export function createReviewerOnlySources(
  { api, transport }: ApiHandle,
  readToken: ReadToken,
  { clock }: { readonly clock: Clock },
  { message }: AppError,
): EvidenceSources {
  return {
    reviewer: createAccessReviewer(transport, { clock }),
    findRevoked: createRevocationSearch(api, readToken),
    listApproved: () => [],
    certificates: () => ({ kind: "failed", message }),
    reported: () => ({ kind: "failed", message }),
    serverNames: () => Promise.resolve({ dns: [], ips: [] }),
    clock,
  };
}

async function getCsr(
  { api }: ApiHandle,
  named: string,
  signal: AbortSignal,
): Promise<CertificateSigningRequest> {
  const [name = ""] = parseCsrNames([named]);
  try {
    return await getCsrByName(api, name, signal);
  } catch (error) {
    if (!isAppError(error, "not_found")) throw error;
    throw new AppError("not_found", `"${named}" is neither a file nor a request: ${error.message}`, { cause: error });
  }
}

/** Reads the names and addresses that nodes report; failed when the user may not list nodes. */
export async function listReportedByNodes(
  api: ApiClient,
  signal: AbortSignal,
): Promise<Lookup<ReadonlyMap<string, NodeNames>>> {
  try {
    return found((await listAll<ReportingNode>(api, "/api/v1/nodes", {}, signal)).items);
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof AppError)) throw error;
    return { kind: "failed", message: `the nodes cannot be listed: ${getErrorMessage(error)}` };
  }
}

function found(nodes: readonly ReportingNode[]): Lookup<ReadonlyMap<string, NodeNames>> {
  return { kind: "found", value: collectReportedNames(nodes) };
}

function collectReportedNames(nodes: readonly ReportingNode[]): ReadonlyMap<string, NodeNames> {
  return new Map(nodes.map((node) => [getName(node), listReportedNames(node)]));
}
