/** Decides about one request on a stick: by the rules of its signer, the policies, and the person on the terminal. */
import { withoutBrackets } from "../../../core/lib/ip_address.ts";
import { userInfo } from "node:os";
import type { PolicySettings } from "../../../controllers/evidence.ts";
import { splitHosts } from "../../../core/approval/node_names.ts";
import { AppError } from "../../../core/errors.ts";
import { formatTime } from "../../../core/kube/meta.ts";
import type { IssuedCertificate, IssuedCertificateApproval } from "../../../core/kube/kinds/tlsboot_v1alpha1.ts";
import {
  getOfflineRequester,
  type Judgement,
  judgeOfflineRequest,
  type OfflineRequester,
} from "../../../core/offline/judge_request.ts";
import { findRequesterFault, type OfflineRequest } from "../../../core/offline/request_file.ts";
import { canAsk, confirm } from "../../confirm.ts";
import type { Settings } from "../../framework/flags.ts";
import type { Io } from "../../io.ts";
import { type PlannedRequest, planRequest } from "../../sign_request.ts";
import type { SignFlags } from "./flags.ts";
import type { CasAround, OpenedSigner } from "./open_signer.ts";
import { describeOfflineRequest } from "./request_text.ts";

/** What decisions depend on beside the request. */
export interface DecisionDeps {
  readonly settings: Settings<SignFlags>;
  readonly policies: PolicySettings;
  /** The certificates that the CA signed before. */
  readonly records: readonly IssuedCertificate[];
  readonly io: Io;
}

/** The decision about a request; one that is approved has its plan. */
export type OfflineDecision =
  | {
    readonly kind: "approved";
    readonly planned: PlannedRequest;
    readonly approval: IssuedCertificateApproval;
    readonly requester: OfflineRequester;
  }
  | { readonly kind: "refused"; readonly reason: string }
  | { readonly kind: "left"; readonly reason: string };

/** Judges a request, shows it, and asks on a terminal. */
export async function decideOfflineRequest(
  name: string,
  request: OfflineRequest,
  signer: OpenedSigner,
  { clients }: Pick<CasAround, "clients">,
  { settings, policies, records, io }: DecisionDeps,
  signal: AbortSignal,
): Promise<OfflineDecision> {
  const now = io.clock.now();
  const fault = request.requester === undefined ? undefined : findRequesterFault(request, clients, now);
  const requester = getOfflineRequester(request, fault === undefined);
  const { facts, signerName, usages, expirationSeconds } = request;
  const asked = { signerName, usages, ...(expirationSeconds === undefined ? {} : { expirationSeconds }) };
  const show = (judgement: Judgement | undefined, refusal: string | undefined): void =>
    void io.stderr.write(
      describeOfflineRequest({ name, request, proofFault: fault, judgement, refusal, policies, now }),
    );
  let planned: PlannedRequest;
  try {
    planned = planRequest(facts.der, name, { ...signer, asked }, io);
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== "csr_denied") throw error;
    const reason = error.message.replace(`cannot sign "${name}": `, "");
    show(undefined, reason);
    return { kind: "refused", reason: `the signer's rules refuse it: ${reason}` };
  }
  const csr = { ...planned.csr, spec: { ...planned.csr.spec, ...requester } };
  const server = splitHosts(
    settings.server === undefined ? [] : [withoutBrackets(new URL(settings.server).hostname)],
  );
  const judgement = await judgeOfflineRequest({ csr, request: facts, ...policies, records, server, now });
  show(judgement, undefined);
  const { verdict } = judgement;
  if (verdict?.kind === "deny") return { kind: "refused", reason: verdict.message };
  const time = formatTime(now);
  const username = getUserName();
  const approved = (
    reason: string,
    message: string,
    by: object = username === undefined ? {} : { username },
  ): OfflineDecision => {
    return { kind: "approved", planned, requester, approval: { ...by, reason, message, time } };
  };
  if (settings.yes) return approved("OfflineApproved", "approved with --yes");
  if (canAsk(io)) {
    return await confirm("Sign it?", io, signal)
      ? approved("OfflineApproved", "approved on a terminal")
      : { kind: "left", reason: "not signed; the next run asks again" };
  }
  if (verdict?.kind === "approve") return approved(verdict.reason, verdict.message, {});
  const why = verdict === undefined ? "there is no terminal to ask on" : `no rule approves it: ${verdict.message}`;
  return { kind: "left", reason: `${why}; sign it on a terminal, or with --yes` };
}

/** Returns the name of the user who runs the program; undefined where the system does not know it. */
function getUserName(): string | undefined {
  try {
    return userInfo().username;
  } catch {
    return undefined;
  }
}
