/** Deletes bootstrap tokens by their ids. */
import type { ApiClient } from "../../../client/objects/api.ts";
import { readTokenUse } from "../../../core/bootstrap/bound_token.ts";
import { parseBootstrapToken } from "../../../core/bootstrap/token.ts";
import { AppError, isAppError } from "../../../core/errors.ts";
import type { SecretObject } from "../../../core/kube/core_v1.ts";
import type { TokenDeleteFlags } from "./flags.ts";
import { connect } from "../../api/connection.ts";
import type { ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import { UsageError } from "../../framework/usage_error.ts";
import type { Io } from "../../io.ts";
import { forEachName } from "../../framework/for_each_name.ts";
import { tokenPath } from "../../api/tokens.ts";

/** The action of the command `tlsboot token delete`. */
export async function run(input: Input<TokenDeleteFlags>, io: Io, signal: AbortSignal): Promise<ExitCode> {
  const ids = input.args.map(parseId);
  await using connection = await connect(input.settings, io);
  return await forEachName(ids, async (id) => {
    const isUsed = await wasUsed(connection.api, id, signal);
    try {
      await connection.api.requestJson({ method: "DELETE", path: tokenPath(id) }, signal);
    } catch (error) {
      if (!isAppError(error, "not_found")) throw error;
      throw new AppError("not_found", `cannot delete token "${id}": there is no token with that id`, {
        cause: error,
        hint: "list the tokens with: tlsboot token list",
      });
    }
    io.stdout.write(`bootstrap token "${id}" deleted\n`);
    if (!isUsed) return;
    io.stderr.write(
      `certificates that were requested with it stay valid; to revoke them: tlsboot revoke token/${id} --certificates\n`,
    );
  }, { io, isDebug: input.isDebug, signal });
}

/** Reports whether a server of tlsboot recorded a use of the token. */
async function wasUsed(api: ApiClient, id: string, signal: AbortSignal): Promise<boolean> {
  try {
    const secret = await api.requestObject<SecretObject>({ method: "GET", path: tokenPath(id) }, signal);
    return readTokenUse(secret).lastUse !== undefined;
  } catch (error) {
    // A user who may only delete tokens deletes them without the hint.
    if (!isAppError(error, "not_found", "access_denied")) throw error;
    return false;
  }
}

/** Parses an id or a whole token. The error does not repeat the text, which may be a secret. */
function parseId(text: string): string {
  if (/^[a-z0-9]{6}$/.test(text)) return text;
  const token = parseBootstrapToken(text);
  if (token.ok) return token.value.id;
  throw new UsageError("cannot read a token: want its id, six characters of a-z or 0-9, or the whole token");
}
