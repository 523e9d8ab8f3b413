/** Decides which requests of a bundle to sign: by the rules of their signers and by the policies. */
import { splitHosts } from "../../core/approval/evidence/ownership.ts";
import { AppError } from "../../core/errors.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { KUBE_APISERVER_CLIENT_KUBELET_SIGNER } from "../../core/kube/kinds/constants.ts";
import type { IssuedCertificate, IssuedCertificateApproval } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { withoutBrackets } from "../../core/lib/ip_address.ts";
import {
  computeRequestId,
  type MachineOrigin,
  type OfflineRequest,
  type RequestBundle,
} from "../../core/offline/bundle.ts";
import {
  decideOfflineRequest,
  findRequesterFault,
  getOfflineRequester,
  type OfflineDecision,
} from "../../core/offline/decide_offline_request.ts";
import { publicKeyPin } from "../../core/pki/keys/key_names.ts";
import { readIdentity } from "../../core/register/certificate_user.ts";
import { type PlannedRequest, planRequest } from "./sign_request.ts";
import {
  type OfflineSigningDeps,
  type OfflineSigningSettings,
  type OpenedSigner,
  readRelatedCas,
  type RelatedCas,
  type SignerOpener,
} from "./open_signer.ts";
import type { PolicySettings } from "../../core/approval/decide_from_sources.ts";

/** The rules, the records and the tools with which requests are decided. */
export interface DecisionContext extends OfflineSigningDeps {
  readonly settings: OfflineSigningSettings;
  readonly signers: SignerOpener;
  readonly policies: PolicySettings;
  /** What was signed before, also in this run, so that only one of two requests for a name counts as the first. */
  readonly records: IssuedCertificate[];
}

/** The decision about a request, before anything is signed. */
type SignDecision =
  /** The rules of the signer allow the request. The CSR object includes the requester. */
  | (PlannedRequest & { readonly kind: "sign"; readonly signer: OpenedSigner })
  | { readonly kind: "refused" | "skipped"; readonly message: string };

/** A request with its decision and the reasons that are shown to the user. */
export interface DecidedRequest {
  readonly request: OfflineRequest;
  readonly decision: SignDecision;
  /** The decision of the policies; undefined when the request does not reach them. */
  readonly opinion: OfflineDecision | undefined;
  /** Why the machine's certificate does not prove its identity; undefined when it does, and for a server's requests. */
  readonly requesterFault: string | undefined;
}

/** The CA that answers a machine, and the related CAs. */
export interface Site {
  readonly signer: OpenedSigner;
  readonly related: RelatedCas;
}

/** Opens the CA for a machine. Throws AppError `invalid` for a machine that expects another CA. */
export async function openSite(
  request: OfflineRequest,
  { site, requester }: MachineOrigin,
  context: DecisionContext,
): Promise<Site> {
  const { signers, settings } = context;
  const signer = await signers.open(request.signerName);
  const related = await readRelatedCas(settings, signer, context);
  const { authority: { certificate, issuers } } = signer;
  const own = [certificate, ...issuers, ...related.server].map((one) => publicKeyPin(one));
  if (site.length > 0 && !own.some((pin) => site.includes(pin))) {
    throw new AppError(
      "invalid",
      `cannot sign the request "${request.name}": its machine belongs to another site, whose CA is ${
        site.join(" or ")
      }; ` +
        `the CA here is ${publicKeyPin(certificate)}`,
      {
        hint:
          "take the stick to the CA of that site; if this site has a new CA, run the machine's command again with its " +
          "hash: the setting caCertHash, as tlsboot ca show prints it",
      },
    );
  }
  const isFirst = request.signerName === KUBE_APISERVER_CLIENT_KUBELET_SIGNER && requester.length === 0;
  if (settings.server === undefined && isFirst) {
    context.warn(
      "the answers do not say where the API server is, which a machine's kubeconfig needs: give the setting server URL",
    );
  }
  return { signer, related };
}

/** Decides about every request. The policies see only new requests that the rules of their signers allow. */
export async function decideAll(
  { origin, requests }: RequestBundle,
  site: Site | undefined,
  context: DecisionContext,
): Promise<readonly DecidedRequest[]> {
  const { records, policies, settings } = context;
  const now = context.clock.now();
  const signed = new Map(records.map((record) => [record.spec.request?.uid, record]));
  const byUser = Map.groupBy(records, (record) => readIdentity(record)?.username);
  const url = origin.kind === "export" ? origin.server : settings.server ?? "";
  const server = splitHosts(URL.canParse(url) ? [withoutBrackets(new URL(url).hostname)] : []);
  const decided: DecidedRequest[] = [];
  for (const request of requests) {
    const { facts, approved } = request;
    const requesterFault = origin.kind === "export"
      ? undefined
      : findRequesterFault(request, origin, site?.related.clients ?? [], now);
    const requester = origin.kind === "export" ? approved?.requester : getOfflineRequester(origin, requesterFault);
    const earlier = approved === undefined ? undefined : signed.get(approved.uid);
    const decision = earlier === undefined ? await planOne(request, context) : describeSigned(earlier);
    if (decision.kind !== "sign") {
      decided.push({ request, decision, opinion: undefined, requesterFault });
      continue;
    }
    const csr: CertificateSigningRequest = {
      ...decision.csr,
      metadata: { name: request.name, uid: computeRequestId(request) },
      spec: { ...decision.csr.spec, ...requester },
      status: approved === undefined ? {} : { conditions: [approved.approval] },
    };
    // Without policies only certificates of the same user and of unknown users matter, and the register may be very large.
    const ofUser = [facts.subject.commonName, undefined].flatMap((username) => byUser.get(username) ?? []);
    const seen = policies.policies.length > 0 ? records : ofUser;
    const opinion = await decideOfflineRequest({ csr, request: facts, ...policies, records: seen, server, now });
    decided.push({
      request,
      decision: findObjection(opinion, origin) ?? { ...decision, csr },
      opinion,
      requesterFault,
    });
  }
  return decided;
}

/** Finds why the policies do not allow a request. A server's requests need an approval, a machine's only no denial. */
function findObjection(
  { verdict }: OfflineDecision,
  origin: RequestBundle["origin"],
): SignDecision | undefined {
  if (verdict?.kind === "deny") return { kind: "refused", message: verdict.message };
  if (verdict === undefined || verdict.kind === "approve" || origin.kind === "machine") return undefined;
  return { kind: "skipped", message: `no policy of the CA approves it: ${verdict.message}` };
}

function describeSigned({ spec: { issuedAt, serialNumber } }: IssuedCertificate): SignDecision {
  const message =
    `it was signed at ${issuedAt}, serial number ${serialNumber}, for an earlier export: import the answer ` +
    "to that export, which has the certificate";
  return { kind: "skipped", message };
}

async function planOne(request: OfflineRequest, { signers, settings, clock }: DecisionContext): Promise<SignDecision> {
  const { name, facts, signerName, usages, expirationSeconds } = request;
  if (settings.signer !== undefined && !signers.chosen.includes(signerName)) {
    return { kind: "skipped", message: `it is for the signer "${signerName}", which was not named at the CA` };
  }
  try {
    const signer = await signers.open(signerName);
    const asked = { signerName, usages, expirationSeconds };
    return { kind: "sign", ...planRequest(facts.der, name, { ...signer, asked }, { clock }), signer };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const message = error.message.replace(`cannot sign "${name}": `, "");
    if (error.code === "csr_denied") return { kind: "refused", message };
    if (error.code !== "not_found") throw error;
    return { kind: "skipped", message: `the CA has no rules for the signer "${signerName}"` };
  }
}

/** The approval of the requests that the rules allow, or the reason why they are not signed. */
export type Consent =
  | { readonly kind: "given"; readonly approval: IssuedCertificateApproval }
  | { readonly kind: "left"; readonly reason: string };
