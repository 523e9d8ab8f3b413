/** Writes decisions about requests as `kubectl certificate approve` and `deny` do, with the user's own rights. */
import { findOwnUsername } from "../objects/access_reviews.ts";
import { type ApiClient, changeObject } from "../objects/api.ts";
import {
  createDecisionText,
  type DecisionText,
  type OwnDecisionText,
  withApproval,
  withDenial,
} from "../../core/approval/conditions.ts";
import { AppError } from "../../core/errors.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import type { Clock } from "../../core/ports.ts";
import { csrPath } from "./csrs.ts";

/** A decision about requests: the condition to add, with its reason and message. */
export interface CsrDecision {
  readonly decide: typeof withApproval;
  readonly text: DecisionText;
}

/** Creates a decision by the user of a connection; `tool` is the program that the user decides with. */
export async function createDecision(
  verb: "approve" | "deny",
  api: ApiClient,
  tool: string,
  signal: AbortSignal,
  own: OwnDecisionText = {},
): Promise<CsrDecision> {
  const username = await findOwnUsername(api, signal);
  const text = createDecisionText(verb, { tool, username }, own);
  return { decide: verb === "approve" ? withApproval : withDenial, text };
}

/** The request that a person saw: the object and, with `resourceVersion`, its version. */
export interface SeenRequest {
  readonly uid: string | undefined;
  readonly resourceVersion?: string;
}

/**
 * Reads a request, adds the decision and writes it; a conflict restarts this. Returns false without writing when the
 * request already has the same decision. With `seen`, throws AppError `csr_deleted` for another object of the same
 * name, and `conflict` when the object has changed since that version.
 */
export async function decideOne(
  api: ApiClient,
  name: string,
  decision: CsrDecision,
  { clock }: { readonly clock: Clock },
  signal: AbortSignal,
  seen: SeenRequest = { uid: undefined },
): Promise<boolean> {
  const change = (csr: CertificateSigningRequest): CertificateSigningRequest | undefined => {
    if (seen.uid !== undefined && csr.metadata.uid !== seen.uid) {
      throw new AppError("csr_deleted", `csr "${name}" changed UIDs`, { hint: "run the command again" });
    }
    if (seen.resourceVersion !== undefined && csr.metadata.resourceVersion !== seen.resourceVersion) {
      throw new AppError("conflict", `request "${name}" has changed since it was shown: nothing was decided`, {
        hint: "review it again, then decide",
      });
    }
    const decided = decision.decide(csr, decision.text, clock.now());
    if (!decided.ok) {
      throw new AppError("invalid", decided.error.message, {
        hint: "a decision cannot be undone: delete the request and let the client send a new one",
      });
    }
    return decided.value === csr ? undefined : decided.value;
  };
  // With a seen version, the attempt after a conflict reports the change.
  return await changeObject(api, { path: csrPath(name), subresource: "/approval" }, change, signal) !== undefined;
}
