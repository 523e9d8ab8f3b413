/**
 * Acts on revocations in a running instance: settles open requests, and marks the records of revoked certificates.
 * Every server of an installation can do this, because each write is guarded by a revision. The approver and the signer
 * check revocations themselves, so requests are settled only after a change.
 */
import { orAbort } from "../../core/lib/waiting.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { CERTIFICATES_GROUP } from "../../core/kube/kinds/constants.ts";
import { bindRole, toAccountSubject } from "../../core/rbac/manifest.ts";
import type { PolicyRule } from "../../core/kube/kinds/rbac_v1.ts";
import { type BootstrapObject, createRbacObject } from "../../server/bootstrap_objects.ts";
import { RecordMarks } from "../../server/revocation/record_marks.ts";
import { USER_AGENT } from "../../core/version.ts";
import { createCsrStore } from "../controllers/controllers.ts";
import type { ControllerDeps } from "../deps.ts";
import { controllerUser, exactRole, REVOCATION_CONTROLLER_ACCOUNT } from "../instance_rbac.ts";
import { type Part, runInBackground } from "./parts.ts";
import type { Server, Storage } from "../../server/mod.ts";
import { withCondition, withDenial } from "../../core/approval/conditions.ts";
import { REVOKED } from "../../core/approval/decide_request.ts";
import { getCsrPhase } from "../../core/request/phase.ts";
import { isAppError } from "../../core/errors.ts";
import { getName } from "../../core/kube/meta.ts";
import type { Clock, CsrStore, Logger } from "../../core/ports.ts";
import type { FindRevokedRequest } from "../../core/approval/decide_from_sources.ts";

const ROLE = "tlsboot:revocation-controller";
/** A second pass after this time finds requests that were being admitted when a revocation was created. */
const SECOND_PASS_MS = 5_000;
/** The pause after a pass that failed or met a conflict. */
const RETRY_MS = 1_000;

/** Creates the role and the binding of the service account that settles requests. */
export function revocationObjects(): readonly BootstrapObject[] {
  const resources = ["certificatesigningrequests/approval", "certificatesigningrequests/status"];
  const rules: readonly PolicyRule[] = [
    { verbs: ["list"], apiGroups: [CERTIFICATES_GROUP], resources: ["certificatesigningrequests"] },
    { verbs: ["update"], apiGroups: [CERTIFICATES_GROUP], resources },
    { verbs: ["approve", "sign"], apiGroups: [CERTIFICATES_GROUP], resources: ["signers"] },
  ];
  const role = { metadata: { name: ROLE }, rules };
  return [
    exactRole(role),
    createRbacObject("clusterrolebindings", bindRole(role, toAccountSubject(REVOCATION_CONTROLLER_ACCOUNT))),
  ];
}

/** Acts on revocations, at the start and after each change, until it is disposed. */
export function keepRevocations(
  { server, storage }: { readonly server: Pick<Server, "transportFor" | "revocations">; readonly storage: Storage },
  deps: ControllerDeps,
): Part {
  const { clock } = deps;
  const logger = deps.logger.with({ controller: "revocation" });
  const { revocations } = server;
  const store = createCsrStore(server.transportFor(controllerUser(REVOCATION_CONTROLLER_ACCOUNT), USER_AGENT), deps);
  const marks = new RecordMarks({ storage, revocations });
  let wake = Promise.withResolvers<void>();
  let isChanged = true;
  let secondPassAtMs = 0;
  revocations.onChange(() => {
    isChanged = true;
    wake.resolve();
  });
  revocations.onRecord(() => marks.isDue && wake.resolve());

  /** Does everything that is due. Returns how long to wait for the next pass; undefined to wait for a change. */
  async function pass(signal: AbortSignal): Promise<number | undefined> {
    const startedAtMs = clock.elapsedMs();
    if (isChanged) secondPassAtMs = startedAtMs + SECOND_PASS_MS;
    isChanged = false;
    try {
      const isIncomplete = revocations.index.size > 0 &&
        await settleRevokedRequests(
          { store, findRevoked: (csr) => revocations.findForRequest(csr), clock, logger },
          signal,
        );
      const changed = await marks.update(signal);
      if (changed > 0) logger.info("records of issued certificates marked or unmarked as revoked", { changed });
      if (isIncomplete || marks.isDue) return RETRY_MS;
      if (revocations.index.size === 0 || startedAtMs >= secondPassAtMs) return undefined;
      return Math.max(0, secondPassAtMs - clock.elapsedMs());
    } catch (error) {
      signal.throwIfAborted();
      isChanged = true;
      logger.warn("cannot settle revoked requests, trying again", { error });
      return RETRY_MS;
    }
  }

  async function run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      wake = Promise.withResolvers<void>();
      const waitMs = await pass(signal);
      const changed = orAbort(wake.promise, signal);
      if (waitMs === undefined) await changed;
      else await Promise.race([changed, clock.sleep(waitMs, signal)]);
    }
  }

  const never = new AbortController().signal;
  const endQuietly = (life: AbortSignal): Promise<void> =>
    run(life).catch((error: unknown) => {
      if (!life.aborted) throw error;
    });
  return runInBackground(endQuietly, {
    until: never,
    onFailure: (error) => logger.error("revocations no longer settle requests or mark records", { error }),
  });
}

interface RevokedRequestsDeps {
  readonly store: Pick<CsrStore, "list" | "update">;
  readonly findRevoked: FindRevokedRequest;
  readonly clock: Pick<Clock, "now">;
  readonly logger: Logger;
}

/**
 * Settles the open requests that are revoked: pending ones are denied, and approved ones without a certificate fail.
 * Returns whether a request changed in the meantime and must be checked again.
 */
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
