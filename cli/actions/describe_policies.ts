/** What the policies that come with tlsboot say of a request, each on its own and without an inventory. */
import { parseRequest } from "../../core/csr/request.ts";
import { AppError } from "../../core/errors.ts";
import type { CertificateSigningRequest } from "../../core/kube/certificates_v1.ts";
import { BUILTIN_POLICIES } from "../../core/policy/builtin.ts";
import { evaluatePolicies, isAbout, permissionsAsked, type PolicyVerdict } from "../../core/policy/evaluate.ts";
import { gatherPolicyInput } from "../../server/controllers/policy_input.ts";
import type { Connection, ConnectionSettings } from "../connection.ts";
import type { Io } from "../io.ts";
import { sourcesOver, without } from "./explain_evidence.ts";

const SHIPPED = [...BUILTIN_POLICIES.values()].filter(({ rules }) => rules.length > 0);

/** Asks them about one request after another; what the API knows is fetched once, when a request is about a policy. */
export function createPolicyAsker(
  connection: Connection,
  settings: ConnectionSettings,
  io: Io,
): (csr: CertificateSigningRequest, signal: AbortSignal) => Promise<readonly PolicyVerdict[]> {
  let gathered: ReturnType<typeof sourcesOver> | undefined;
  return async (csr, signal) => {
    const request = parseRequest(csr.spec.request);
    if (!request.ok || !SHIPPED.some((policy) => isAbout(policy, csr))) return [];
    try {
      gathered ??= sourcesOver(connection, undefined, settings, io, signal);
      const sources = without(csr, await gathered);
      const about = { csr, request: request.value };
      const asked = permissionsAsked(SHIPPED, csr);
      const input = await gatherPolicyInput(sources, { inventory: undefined }, about, asked, signal);
      return SHIPPED.map((policy) => evaluatePolicies([policy], input));
    } catch (error) {
      signal.throwIfAborted();
      // A description is of the request; whoever may read that alone still gets it.
      if (error instanceof AppError) return [];
      throw error;
    }
  };
}
