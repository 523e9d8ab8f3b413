/** Examines a running server through its API, with the kubeconfig of its administrator. */
import { createApiClient, listAll } from "../../../client/objects/api.ts";
import { readCluster } from "../../../client/transport/connect.ts";
import { BOOTSTRAP_TOKEN_TYPE, listTokenFacts } from "../../../core/bootstrap/token_secret.ts";
import { type Fault, type Finding, reportCheck, skipCheck } from "../../../core/doctor/finding.ts";
import {
  checkPendingRequests,
  checkRequestedSigners,
  checkServerPolicies,
  checkTokens,
  type ServerEvidence,
} from "../../../core/doctor/server.ts";
import { AppError, isAppError } from "../../../core/errors.ts";
import type { SecretObject } from "../../../core/kube/kinds/core_v1.ts";
import { listCsrs } from "../../api/csrs.ts";
import { readApproverSettings } from "../../api/published_settings.ts";
import { TOKEN_COLLECTION } from "../../api/tokens.ts";
import type { ExamineDeps } from "../../../client/health/examine.ts";

/** Examines the server of a kubeconfig, which is known to answer. */
export async function examineServer(
  kubeconfig: string,
  { target, flags }: { readonly target: string; readonly flags: string },
  { clock, files, connect }: ExamineDeps,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  try {
    await using transport = await connect(await readCluster(kubeconfig, files));
    const api = createApiClient(transport, { clock: clock });
    const requests = await readAllowed(async () => (await listCsrs(api, {}, signal)).items);
    const selectors = { fieldSelector: `type=${BOOTSTRAP_TOKEN_TYPE}` };
    const secrets = await readAllowed(async () =>
      (await listAll<SecretObject>(api, TOKEN_COLLECTION, selectors, signal)).items
    );
    const { policies, signers } = await readApproverSettings(api, signal);
    const evidence: ServerEvidence = {
      requests: requests.items,
      signers,
      policies,
      tokens: secrets.items.flatMap((secret) => listTokenFacts(secret) ?? []),
      flags,
      now: clock.now(),
    };
    const report = (
      name: string,
      { refusal }: { readonly refusal?: string },
      faults: readonly Fault[],
      okMessage: string,
    ): readonly Finding[] => {
      const check = { check: name, target };
      return refusal === undefined ? reportCheck(check, faults, okMessage) : [skipCheck(check, refusal)];
    };
    return [
      ...report("signers", requests, checkRequestedSigners(evidence), "each request has a signer"),
      ...report(
        "pending-requests",
        requests,
        checkPendingRequests(evidence),
        "no request has waited for more than a day",
      ),
      ...report("policy", {}, checkServerPolicies(evidence), "every rule can apply to a request"),
      ...report("tokens", secrets, checkTokens(evidence), "each bootstrap token has an end"),
    ];
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof AppError)) throw error;
    return [skipCheck({ check: "signers", target }, `the server cannot be examined: ${error.message}`)];
  }
}

/** Reads objects; none, and the server's words that name the right, when the user lacks the right to them. */
async function readAllowed<T>(
  read: () => Promise<readonly T[]>,
): Promise<{ readonly items: readonly T[]; readonly refusal?: string }> {
  try {
    return { items: await read() };
  } catch (error) {
    if (!isAppError(error, "access_denied")) throw error;
    return { items: [], refusal: error.message };
  }
}
