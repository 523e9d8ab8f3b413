/**
 * Gathers the data for the view of a request from any Kubernetes API, with the user's own rights. The view leaves out
 * everything that the API does not have or that the user may not read: kube-apiserver, for example, has neither a
 * register nor records of requests.
 */
import { isSettled } from "../../core/approval/recognizers.ts";
import { findTokenId } from "../../core/token/token_secret.ts";
import { parseRequest } from "../../core/request/parse_request.ts";
import { AppError } from "../../core/errors.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { KUBE_APISERVER_CLIENT_SIGNER } from "../../core/kube/kinds/constants.ts";
import { getName } from "../../core/kube/meta.ts";
import type { RequestRecord } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { AUTHENTICATED_GROUP, MASTERS_GROUP } from "../../core/kube/user.ts";
import type { RequestFacts } from "../../core/pki/x509/pkcs10.ts";
import { createRequestView, toTokenView } from "../../core/report/create_request_view.ts";
import type { RequestView, TokenView } from "../../core/report/request_view.ts";
import type { SigningProfile } from "../../core/signing/profile.ts";
import { findRequestRecords } from "./csrs.ts";
import { type ApiEvidence, createApiEvidence, explainRequest, withoutOwnApproval } from "./explain_request.ts";
import type { ChosenSettings } from "./published_settings.ts";
import type { EvidenceSources } from "../../core/approval/decide_from_sources.ts";
import type { ApiClient, ApiHandle } from "../objects/api.ts";
import type { Clock } from "../../core/ports.ts";

/** Creates views of requests over one connection. */
export interface RequestViews {
  /** Creates the view of a request in its current state. */
  view(csr: CertificateSigningRequest, signal: AbortSignal): Promise<RequestView>;
}

/** The rules by which requests are decided. */
export interface RequestViewRules {
  /** The settings from flags or from the approver. */
  readonly chosen: ChosenSettings;
  /** Profiles of custom signers, by signer name. */
  readonly profiles?: ReadonlyMap<string, SigningProfile> | undefined;
}

/**
 * Creates views over a connection. Lists are read once, for the first view and with its signal; to see later changes,
 * call this function again.
 */
export function createRequestViews(
  connection: ApiHandle,
  { chosen, profiles }: RequestViewRules,
  io: { readonly clock: Clock },
): RequestViews {
  const evidence = createApiEvidence(connection, io);
  return {
    async view(csr, signal) {
      const request = parseRequest(csr.spec.request);
      const facts = request.ok ? request.value : undefined;
      const [record, requests, register, token, reported, isAdministrator] = await Promise.all([
        findRecord(connection.api, csr, signal),
        evidence.requests(signal).catch(ignoreAppError),
        evidence.records(csr.spec.signerName, signal).catch(ignoreAppError),
        findToken(evidence, csr, signal),
        evidence.reported(signal),
        // Not awaited here: a rejection of another promise would be unhandled until `Promise.all` has them all.
        facts === undefined
          ? undefined
          : readSources(evidence, signal).then((sources) => isAdministratorOf(sources, csr, facts, signal)),
      ]);
      const sources = withoutOwnApproval(csr, await readSources(evidence, signal));
      const explained = facts === undefined ? undefined : await explainRequest(csr, facts, chosen, sources, signal);
      const revoked = isSettled(csr) ? undefined : await sources.findRevoked?.(csr, signal).catch(ignoreAppError);
      return createRequestView({
        csr,
        now: io.clock.now(),
        rules: explained === undefined ? undefined : { ...explained, origin: chosen.origin },
        profiles,
        signers: chosen.signers,
        record,
        token,
        requests,
        register,
        reported: reported.kind === "found" ? reported.value : undefined,
        revocation: revoked?.message,
        isAdministrator,
      });
    },
  };
}

/** Finds the requester's token for the view; undefined when the user may not read it. */
async function findToken(
  { readToken }: ApiEvidence,
  { spec }: CertificateSigningRequest,
  signal: AbortSignal,
): Promise<TokenView | undefined> {
  const id = findTokenId(spec.username ?? "");
  const token = id === undefined ? undefined : await readToken(id, signal);
  if (id === undefined || token === undefined || token.kind === "failed") return undefined;
  return toTokenView(id, token.kind === "found" ? token.value : undefined);
}

/** Returns the sources of evidence. A user who may read only the request still gets a verdict. */
async function readSources(evidence: ApiEvidence, signal: AbortSignal): Promise<EvidenceSources> {
  try {
    return await evidence.sources(signal);
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof AppError)) throw error;
    return evidence.withoutLists(error);
  }
}

function ignoreAppError(error: unknown): undefined {
  if (!(error instanceof AppError)) throw error;
  return undefined;
}

/** Finds the record of this request, and not of an earlier one with the same name. */
async function findRecord(
  api: ApiClient,
  csr: CertificateSigningRequest,
  signal: AbortSignal,
): Promise<RequestRecord | undefined> {
  const [record] = await findRequestRecords(api, [getName(csr)], signal) ?? [];
  const { requestUID = "" } = record?.spec ?? {};
  return requestUID === "" || requestUID === csr.metadata.uid ? record : undefined;
}

/** Checks whether roles allow the requested user everything; undefined when that cannot be checked or is irrelevant. */
async function isAdministratorOf(
  { reviewer }: EvidenceSources,
  { spec }: CertificateSigningRequest,
  { subject }: RequestFacts,
  signal: AbortSignal,
): Promise<boolean | undefined> {
  const isApiUser = spec.signerName === KUBE_APISERVER_CLIENT_SIGNER && subject.commonName !== "";
  if (!isApiUser || subject.organizations.includes(MASTERS_GROUP)) return undefined;
  try {
    return await reviewer.isAllowed({
      user: subject.commonName,
      groups: [...subject.organizations, AUTHENTICATED_GROUP],
      resourceAttributes: { verb: "*", group: "*", version: "*", resource: "*" },
    }, signal);
  } catch (error) {
    signal.throwIfAborted();
    return ignoreAppError(error);
  }
}
