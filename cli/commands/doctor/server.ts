/** Examines a running server through its API, with the kubeconfig of its administrator. */
import { createApiClient, listAll } from "../../../client/objects/api.ts";
import { readCluster } from "../../../client/transport/connect.ts";
import { BOOTSTRAP_TOKEN_TYPE, listTokenFacts } from "../../../core/bootstrap/token_secret.ts";
import { type Finding, reportCheck, skipCheck } from "../../../core/doctor/finding.ts";
import {
  checkPendingRequests,
  checkRequestedSigners,
  checkServerPolicies,
  checkTokens,
  type ServerEvidence,
} from "../../../core/doctor/server.ts";
import { AppError } from "../../../core/errors.ts";
import type { SecretObject } from "../../../core/kube/core_v1.ts";
import { listCsrs } from "../../api/csrs.ts";
import { readApproverSettings } from "../../api/published_settings.ts";
import { TOKEN_COLLECTION } from "../../api/tokens.ts";
import type { ExamineDeps } from "./examine.ts";

/** Examines the server of a kubeconfig, which is known to answer. */
export async function examineServer(
  kubeconfig: string,
  { target, flags }: { readonly target: string; readonly flags: string },
  { io, files, connect }: ExamineDeps,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  try {
    await using transport = await connect(await readCluster(kubeconfig, files));
    const api = createApiClient(transport, { clock: io.clock });
    const selectors = { fieldSelector: `type=${BOOTSTRAP_TOKEN_TYPE}` };
    const secrets = await listAll<SecretObject>(api, TOKEN_COLLECTION, selectors, signal);
    const { policies, signers } = await readApproverSettings(api, signal);
    const evidence: ServerEvidence = {
      requests: (await listCsrs(api, {}, signal)).items,
      signers,
      policies,
      tokens: secrets.items.flatMap((secret) => listTokenFacts(secret) ?? []),
      flags,
      now: io.clock.now(),
    };
    return [
      ...reportCheck({ check: "signers", target }, checkRequestedSigners(evidence), "each request has a signer"),
      ...reportCheck(
        { check: "pending-requests", target },
        checkPendingRequests(evidence),
        "no request has waited for more than a day",
      ),
      ...reportCheck({ check: "policy", target }, checkServerPolicies(evidence), "every rule can apply to a request"),
      ...reportCheck({ check: "tokens", target }, checkTokens(evidence), "each bootstrap token has an end"),
    ];
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof AppError)) throw error;
    return [skipCheck({ check: "signers", target }, `the server cannot be examined: ${error.message}`)];
  }
}
