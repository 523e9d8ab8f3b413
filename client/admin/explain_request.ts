/**
 * Explains the verdict on one request, for `policy explain` and `describe csr`. It decides with the approver's code,
 * from the current state of the API or from files alone, and writes nothing.
 */
import { BUILTIN_POLICIES, type Policy } from "../../core/approval/policy.ts";
import type { Known, Verdict } from "../../core/approval/decide_request.ts";
import { findMatchingRules } from "../../core/approval/rules/evaluate_policies.ts";
import type { NodeNames } from "../../core/approval/evidence/inventory.ts";
import { listReportedNames, type Lookup, type ReportingNode } from "../../core/approval/evidence/ownership.ts";
import { findTokenId } from "../../core/token/token_secret.ts";
import { AppError, getErrorMessage, isAppError } from "../../core/errors.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { KUBE_APISERVER_CLIENT_KUBELET_SIGNER } from "../../core/kube/kinds/constants.ts";
import type { SecretObject } from "../../core/kube/kinds/core_v1.ts";
import { getName, type KubeObject } from "../../core/kube/meta.ts";
import type { IssuedCertificate, Revocation } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import type { RequestFacts } from "../../core/pki/x509/pkcs10.ts";
import type { Clock } from "../../core/ports.ts";
import { readRevocableRequest, RecordedCertificates, RevocationIndex } from "../../core/revocation/revocation_index.ts";
import { getCsrByName, listCsrs, parseCsrNames } from "./csrs.ts";
import { createCertificateLookup, createClaimLookup, listRecordsOfSigner } from "./holds.ts";
import { type ChosenSettings, createNoSettings, readApproverSettings } from "./published_settings.ts";
import { RECORD_COLLECTION, REVOCATION_COLLECTION, unlessAbsent } from "./records.ts";
import { tokenPath } from "./tokens.ts";
import { decideFrom, type EvidenceSources } from "../../core/approval/decide_from_sources.ts";
import { createAccessReviewer } from "../objects/access_reviews.ts";
import { type ApiClient, type ApiHandle, listAll } from "../objects/api.ts";

/** The verdicts of the policies on one request. */
export interface Explanation {
  /** The verdict of an approver with the chosen policies. */
  readonly verdict: Verdict;
  /** The verdict of each built-in policy that applies to the request, if no policies were chosen. */
  readonly others: readonly Verdict[];
}

/** Decides a request as the approver does, from the evidence of the sources. */
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
    : BUILTIN_POLICIES.values().toArray().filter((policy) => findMatchingRules([policy], csr).length > 0);
  const others = await Promise.all(shipped.map(async (policy) => {
    const other = await decide([policy]);
    return { ...other, trace: other.trace.filter((step) => step.policy === policy.name) };
  }));
  return { verdict, others };
}

/** A request and the sources of evidence about it. */
interface RequestEvidence {
  readonly csr: CertificateSigningRequest;
  readonly sources: EvidenceSources;
  /** Reads the settings that the approver has published. */
  readApproverSettings(): Promise<ChosenSettings>;
}

/** Gathers evidence from files alone, without permissions and earlier requests. */
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

/**
 * Gathers evidence from the API, including the request if `wanted` is a name. `nodes` replaces the nodes of the API.
 */
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
    sources: withoutOwnApproval(csr, await createApiEvidence(connection, ports, nodes).sources(signal)),
    readApproverSettings: () => readApproverSettings(connection.api, signal),
  };
}

/** Removes a request's own approval from the evidence, so that it does not justify itself. */
export function withoutOwnApproval(csr: CertificateSigningRequest, sources: EvidenceSources): EvidenceSources {
  return {
    ...sources,
    listApproved: (username) => [...sources.listApproved(username)].filter((other) => getName(other) !== getName(csr)),
  };
}

/** The evidence in an API. Each list is read once, at its first use and with the signal of that use. */
export interface ApiEvidence {
  readonly requests: Read<readonly CertificateSigningRequest[]>;
  /** The names and addresses that nodes report; failed when the user may not list nodes. */
  readonly reported: Read<Lookup<ReadonlyMap<string, NodeNames>>>;
  /** The sources of a verdict. Rejects for a user who may not list requests. */
  readonly sources: Read<EvidenceSources>;
  /** Lists the records of the certificates from one signer. */
  records(signerName: string, signal: AbortSignal): Promise<readonly IssuedCertificate[]>;
  /** Reads the bootstrap token with an id. */
  readonly readToken: NonNullable<EvidenceSources["readToken"]>;
  /** Returns the sources for a user who may not list requests: permissions and revocations are still checked. */
  withoutLists(error: AppError): EvidenceSources;
}

type Read<T> = (signal: AbortSignal) => Promise<T>;

/** Creates the evidence of an API. `nodes` replaces the nodes of the API. */
export function createApiEvidence(
  { api, transport, serverNames }: ApiHandle,
  { clock }: { readonly clock: Clock },
  nodes?: readonly ReportingNode[],
): ApiEvidence {
  const readToken = onceEach((id, signal) => readTokenSecret(api, id, signal));
  const revocations = once((signal) => readRevocations(api, signal));
  const requests = once(async (signal) => (await listCsrs(api, {}, signal)).items);
  const records = onceEach((signerName, signal) => listRecordsOfSigner(api, signerName, signal));
  const reported = once((signal) =>
    nodes === undefined ? listReportedByNodes(api, signal) : Promise.resolve(createFoundLookup(nodes))
  );
  const shared: Pick<EvidenceSources, "clock" | "reviewer" | "findRevoked"> = {
    clock,
    reviewer: createAccessReviewer(transport, { clock }),
    // Nothing counts as revoked when the API has no revocations or the user may not read them.
    async findRevoked(csr, signal) {
      const index = await revocations(signal);
      if (index === undefined) return undefined;
      const id = findTokenId(csr.spec.username ?? "");
      const token = id === undefined ? undefined : await readToken(id, signal);
      const tokenSecret = token?.kind === "found" ? token.value : undefined;
      return index.findForRequest({ ...readRevocableRequest(csr), tokenSecret });
    },
  };
  return {
    requests,
    reported,
    records,
    readToken,
    sources: once(async (signal) => {
      const csrs = await requests(signal);
      const names = await reported(signal);
      const readRecords = () => records(KUBE_APISERVER_CLIENT_KUBELET_SIGNER, signal);
      return {
        ...shared,
        readToken,
        listApproved: (username) => csrs.filter(({ spec }) => spec.username === username),
        certificates: createCertificateLookup(api, csrs, clock, signal, readRecords),
        claims: createClaimLookup(api, csrs, signal),
        reported: () => names,
        serverNames,
      };
    }),
    withoutLists: ({ message }) => ({
      ...shared,
      listApproved: () => [],
      certificates: () => ({ kind: "failed", message }),
      reported: () => ({ kind: "failed", message }),
      serverNames: () => Promise.resolve({ dns: [], ips: [] }),
    }),
  };
}

function once<T>(read: Read<T>): Read<T> {
  let known: Promise<T> | undefined;
  return (signal) => known ??= read(signal);
}

function onceEach<T>(read: (name: string, signal: AbortSignal) => Promise<T>): typeof read {
  const known = new Map<string, Promise<T>>();
  return (name, signal) => {
    const value = known.get(name) ?? read(name, signal);
    known.set(name, value);
    return value;
  };
}

/** Reads a bootstrap token; failed for a user who may not read it. */
async function readTokenSecret(
  api: ApiClient,
  id: string,
  signal: AbortSignal,
): Promise<NonNullable<Known["token"]>> {
  try {
    const value = await api.requestObject<SecretObject>({ method: "GET", path: tokenPath(id) }, signal);
    return { kind: "found", value };
  } catch (error) {
    signal.throwIfAborted();
    if (isAppError(error, "not_found")) return { kind: "gone" };
    if (!(error instanceof AppError)) throw error;
    return { kind: "failed", message: `bootstrap token "${id}" cannot be read: ${error.message}` };
  }
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

async function listReportedByNodes(
  api: ApiClient,
  signal: AbortSignal,
): Promise<Lookup<ReadonlyMap<string, NodeNames>>> {
  try {
    return createFoundLookup((await listAll<ReportingNode>(api, "/api/v1/nodes", {}, signal)).items);
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof AppError)) throw error;
    return { kind: "failed", message: `the nodes cannot be listed: ${getErrorMessage(error)}` };
  }
}

function createFoundLookup(nodes: readonly ReportingNode[]): Lookup<ReadonlyMap<string, NodeNames>> {
  return { kind: "found", value: collectReportedNames(nodes) };
}

function collectReportedNames(nodes: readonly ReportingNode[]): ReadonlyMap<string, NodeNames> {
  return new Map(nodes.map((node) => [getName(node), listReportedNames(node)]));
}
