/** Deletes bootstrap tokens by their ids. */
import { parseBootstrapToken } from "../../../core/token/token_secret.ts";
import type { tokenDeleteCommand } from "./flags.ts";
import type { ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import { UsageError } from "../../framework/usage_error.ts";
import type { Tools } from "../../io.ts";
import { forEachItem } from "../../framework/for_each_item.ts";
import { connect } from "../../connection.ts";
import { deleteToken } from "../../../client/admin/tokens.ts";

export async function run(input: Input<typeof tokenDeleteCommand.flags>, tools: Tools): Promise<ExitCode> {
  const ids = input.args.map(parseId);
  await using connection = await connect(input.settings, tools);
  return await forEachItem(ids, async (id) => {
    const { wasUsed } = await deleteToken(connection.api, id, tools.signal);
    tools.stdout.write(`bootstrap token "${id}" deleted\n`);
    if (!wasUsed) return;
    tools.stderr.write(
      `certificates that were requested with it stay valid; to revoke them: tlsboot revoke token/${id} --certificates\n`,
    );
  }, tools);
}

/** Parses an id or a whole token. The error does not repeat the text, which may be a secret. */
function parseId(text: string): string {
  if (/^[a-z0-9]{6}$/.test(text)) return text;
  const token = parseBootstrapToken(text);
  if (token.ok) return token.value.id;
  throw new UsageError("cannot read a token: want its id, six characters of a-z or 0-9, or the whole token");
}
