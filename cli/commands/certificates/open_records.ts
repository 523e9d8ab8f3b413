/** Opens the source of records that the flags choose: the register of a server, or the log of a signer. */
import { resolve } from "node:path";
import { connect, type ConnectionSettings } from "../../connection.ts";
import type { Tools } from "../../io.ts";
import { createApiSource, createLogSource, type RecordSource } from "../../../client/admin/record_source.ts";
import type { ApiConnection } from "../../../client/objects/api.ts";

export interface OpenRecords extends AsyncDisposable {
  readonly source: RecordSource;
  /** The connection to the server; absent for a log. */
  readonly connection: ApiConnection | undefined;
}

/** Opens the log that `--issued-log` names, or else a connection to the server. */
export async function openRecords(
  settings: ConnectionSettings & { readonly issuedLog: string | undefined },
  tools: Tools,
): Promise<OpenRecords> {
  if (settings.issuedLog !== undefined) {
    const source = createLogSource(resolve(tools.cwd, settings.issuedLog));
    return { source, connection: undefined, [Symbol.asyncDispose]: () => Promise.resolve() };
  }
  const connection = await connect(settings, tools);
  return {
    source: createApiSource(connection.api),
    connection,
    [Symbol.asyncDispose]: () => connection[Symbol.asyncDispose](),
  };
}
