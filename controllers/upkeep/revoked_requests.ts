/**
 * Settles the open requests that are revoked: pending ones are denied, and approved ones without a certificate fail. No
 * request is created, approved or signed for what is revoked already, so this is done after each change only.
 */
import { withCondition, withDenial } from "../../core/approval/conditions.ts";
import { REVOKED } from "../../core/approval/decide_request.ts";
import { getCsrPhase } from "../../core/request/phase.ts";
import { isAppError } from "../../core/errors.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { getName } from "../../core/kube/meta.ts";
import type { Clock, CsrStore, Logger } from "../../core/ports.ts";
import type { FindRevokedRequest } from "../../core/approval/decide_from_sources.ts";

export interface RevokedRequestsDeps {
  readonly store: Pick<CsrStore, "list" | "update">;
  readonly findRevoked: FindRevokedRequest;
  readonly clock: Pick<Clock, "now">;
  readonly logger: Logger;
}

/** Settles all open requests that are revoked; returns whether a request changed meanwhile and has to be checked again. */
export async function settleRevokedRequests(deps: RevokedRequestsDeps, signal: AbortSignal): Promise<boolean> {
  let isIncomplete = false;
  for (const csr of await deps.store.list(signal)) {
    try {
      await settle(deps, csr, signal);
    } catch (error) {
      if (!isAppError(error, "conflict", "not_found")) throw error;
      isIncomplete = true;
    }
  }
  return isIncomplete;
}

async function settle(
  { store, findRevoked, clock, logger }: RevokedRequestsDeps,
  csr: CertificateSigningRequest,
  signal: AbortSignal,
): Promise<void> {
  const phase = getCsrPhase(csr).kind;
  if (phase !== "pending" && phase !== "approved") return;
  const match = await findRevoked(csr, signal);
  if (match === undefined) return;
  const text = { reason: REVOKED, message: match.message };
  const fields = { csr: getName(csr), signerName: csr.spec.signerName, reason: match.message };
  if (phase === "pending") {
    const denied = withDenial(csr, text);
    if (!denied.ok) return;
    await store.update(denied.value, signal, "approval");
    logger.info("CSR denied: revoked", fields);
  } else {
    await store.update(withCondition(csr, "Failed", text, clock.now()), signal, "status");
    logger.info("CSR failed: revoked", fields);
  }
}
