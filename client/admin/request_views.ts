/**
 * Gathers what the view of a request shows, with the user's own rights, from any Kubernetes API. What the API does not
 * have or the user may not read is left out of the view: a real cluster has no register and no records of requests.
 */
import type { NodeNames } from "../../core/approval/evidence/inventory.ts";
import type { Lookup } from "../../core/approval/evidence/ownership.ts";
import { isSettled } from "../../core/approval/recognizers.ts";
import { findTokenId } from "../../core/token/token_secret.ts";
import { parseRequest } from "../../core/request/parse_request.ts";
import { AppError } from "../../core/errors.ts";
import {
  type CertificateSigningRequest,
  KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
  KUBE_APISERVER_CLIENT_SIGNER,
} from "../../core/kube/kinds/certificates_v1.ts";
import { getName } from "../../core/kube/meta.ts";
import type { IssuedCertificate, RequestRecord } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { AUTHENTICATED_GROUP, MASTERS_GROUP } from "../../core/kube/user.ts";
import type { RequestFacts } from "../../core/pki/x509/pkcs10.ts";
import { createRequestView, toTokenView } from "../../core/report/create_request_view.ts";
import type { RequestView, TokenView } from "../../core/report/request_view.ts";
import type { SigningProfile } from "../../core/signing/profile.ts";
import type { ApiHandle } from "./connection.ts";
import { findRequestRecords, listCsrs } from "./csrs.ts";
import {
  createReviewerOnlySources,
  createSources,
  createTokenReader,
  explainRequest,
  listReportedByNodes,
  type ReadToken,
  withoutOwnApproval,
} from "./explain_request.ts";
import { createCertificateLookup, createClaimLookup, listRecordsOfSigner } from "./holds.ts";
import type { ChosenSettings } from "./published_settings.ts";
import type { EvidenceSources } from "../../core/approval/evidence.ts";
import type { ApiClient } from "../objects/api.ts";
import type { Clock } from "../../core/ports.ts";

/** Creates the views of requests, over one connection. */
export interface RequestViews {
  /** Creates the view of a request as it is now. */
  view(csr: CertificateSigningRequest, signal: AbortSignal): Promise<RequestView>;
}

/** The rules by which requests are judged. */
export interface RequestViewRules {
  /** The policies and the inventory: those of flags, or those that the approver has published. */
  readonly chosen: ChosenSettings;
  /** The signers that run beside the approver; undefined when they are not known. */
  readonly signers?: readonly string[] | undefined;
  /** Profiles of custom signers, by signer name. */
  readonly profiles?: ReadonlyMap<string, SigningProfile> | undefined;
}

/**
 * Creates views over a connection. Lists are read once, at the first view, and the signal of that view ends them: create the
 * views again when they should follow changes.
 */
export function createRequestViews(
  connection: ApiHandle,
  { chosen, signers, profiles }: RequestViewRules,
  io: { readonly clock: Clock },
): RequestViews {
  const shared = new SharedLists(connection, io);
  return {
    async view(csr, signal) {
      const request = parseRequest(csr.spec.request);
      const facts = request.ok ? request.value : undefined;
      const [record, requests, register, token, reported, isAdministrator] = await Promise.all([
        findRecord(connection.api, csr, signal),
        shared.requests(signal).catch(ignoreAppError),
        shared.records(csr.spec.signerName, signal).catch(ignoreAppError),
        shared.token(csr, signal),
        shared.reported(signal),
        // Without an await here: while the list of promises is not complete, no one would catch their errors.
        facts === undefined
          ? undefined
          : shared.sources(signal).then((sources) => isAdministratorOf(sources, csr, facts, signal)),
      ]);
      const sources = withoutOwnApproval(csr, await shared.sources(signal));
      const explained = facts === undefined ? undefined : await explainRequest(csr, facts, chosen, sources, signal);
      const revoked = isSettled(csr) ? undefined : await sources.findRevoked?.(csr, signal).catch(ignoreAppError);
      return createRequestView({
        csr,
        now: io.clock.now(),
        rules: explained === undefined ? undefined : { ...explained, origin: chosen.origin },
        profiles,
        signers,
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

/** The lists that the views of all requests share, each read once. */
class SharedLists {
  readonly #connection: ApiHandle;
  readonly #io: { readonly clock: Clock };
  readonly #records = new Map<string, Promise<readonly IssuedCertificate[]>>();
  readonly #readToken: ReadToken;
  #requests: Promise<readonly CertificateSigningRequest[]> | undefined;
  #reported: Promise<Lookup<ReadonlyMap<string, NodeNames>>> | undefined;
  #sources: Promise<EvidenceSources> | undefined;

  constructor(connection: ApiHandle, io: { readonly clock: Clock }) {
    this.#connection = connection;
    this.#io = io;
    this.#readToken = createTokenReader(connection.api);
  }

  requests(signal: AbortSignal): Promise<readonly CertificateSigningRequest[]> {
    return this.#requests ??= listCsrs(this.#connection.api, {}, signal).then(({ items }) => items);
  }

  records(signerName: string, signal: AbortSignal): Promise<readonly IssuedCertificate[]> {
    const known = this.#records.get(signerName) ?? listRecordsOfSigner(this.#connection.api, signerName, signal);
    this.#records.set(signerName, known);
    return known;
  }

  /** Finds what is shown of the requester's token; undefined when the user may not read it. */
  async token({ spec }: CertificateSigningRequest, signal: AbortSignal): Promise<TokenView | undefined> {
    const id = findTokenId(spec.username ?? "");
    if (id === undefined) return undefined;
    const token = await this.#readToken(id, signal);
    if (token.kind === "failed") return undefined;
    return toTokenView(id, token.kind === "found" ? token.value : undefined);
  }

  reported(signal: AbortSignal): Promise<Lookup<ReadonlyMap<string, NodeNames>>> {
    return this.#reported ??= listReportedByNodes(this.#connection.api, signal);
  }

  /** Returns the sources of evidence; a user who may read the request but nothing else still gets a verdict. */
  sources(signal: AbortSignal): Promise<EvidenceSources> {
    return this.#sources ??= this.#createSources(signal);
  }

  async #createSources(signal: AbortSignal): Promise<EvidenceSources> {
    try {
      const requests = await this.requests(signal);
      const readRecords = () => this.records(KUBE_APISERVER_CLIENT_KUBELET_SIGNER, signal);
      const { api } = this.#connection;
      const certificates = createCertificateLookup(api, requests, this.#io.clock, signal, readRecords);
      const reported = await this.reported(signal);
      const claims = createClaimLookup(api, requests, signal);
      return createSources(
        this.#connection,
        { requests, reported, certificates, claims, readToken: this.#readToken },
        this.#io,
      );
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof AppError)) throw error;
      return createReviewerOnlySources(this.#connection, this.#readToken, this.#io, error);
    }
  }
}

function ignoreAppError(error: unknown): undefined {
  if (!(error instanceof AppError)) throw error;
  return undefined;
}

/** Finds what the server recorded about this very request, and not about an earlier one of its name. */
async function findRecord(
  api: ApiClient,
  csr: CertificateSigningRequest,
  signal: AbortSignal,
): Promise<RequestRecord | undefined> {
  const [record] = await findRequestRecords(api, [getName(csr)], signal) ?? [];
  const { requestUID = "" } = record?.spec ?? {};
  return requestUID === "" || requestUID === csr.metadata.uid ? record : undefined;
}

/** Asks whether roles grant everything to the requested user; undefined when that cannot be asked, or is no question. */
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
