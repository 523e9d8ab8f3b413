/** Denies a pending request instead of revoking the certificate that it does not have yet. */
import type { ApiClient } from "../../../client/objects/api.ts";
import type { Tools } from "../../io.ts";
import { createDenial, decideOne } from "../../../client/admin/decisions.ts";
import { line } from "../../output/escape.ts";

/** Denies a request as the user of the connection; with `uid` only the object that was seen. */
export async function denyPending(
  { text, name, uid }: { readonly text: string; readonly name: string; readonly uid: string | undefined },
  api: ApiClient,
  message: string | undefined,
  tools: Tools,
): Promise<void> {
  const words = { reason: "Revoked", ...(message === undefined ? {} : { message }) };
  const decision = await createDenial(api, "tlsboot revoke", tools.signal, words);
  await decideOne(api, name, decision, tools, tools.signal, { uid });
  tools.stdout.write(line`${text} denied: it was pending, so it has no certificate\n`);
}
