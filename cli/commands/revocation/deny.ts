/** Denies a pending request instead of revoking the certificate that it does not have yet. */
import type { ApiClient } from "../../../client/objects/api.ts";
import { findOwnUsername } from "../../../client/objects/access_reviews.ts";
import { createDecisionText, withDenial } from "../../../core/approval/conditions.ts";
import type { Io } from "../../io.ts";
import { line } from "../../output/escape.ts";
import { decideOne } from "../csr/decide.ts";

/** Denies a request as the user of the connection; with `uid` only the object that was seen. */
export async function denyPending(
  { text, name, uid }: { readonly text: string; readonly name: string; readonly uid: string | undefined },
  api: ApiClient,
  message: string | undefined,
  io: Pick<Io, "stdout" | "clock">,
  signal: AbortSignal,
): Promise<void> {
  const decider = { tool: "tlsboot revoke", username: await findOwnUsername(api, signal) };
  const words = { reason: "Revoked", ...(message === undefined ? {} : { message }) };
  const decision = { decide: withDenial, text: createDecisionText("deny", decider, words) };
  await decideOne(api, name, decision, io, signal, uid);
  io.stdout.write(line`${text} denied: it was pending, so it has no certificate\n`);
}
