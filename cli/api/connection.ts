/**
 * Connects user commands to the API, with the kubeconfig that a flag names or the administrator's in the data
 * directory.
 */
import { join, resolve } from "node:path";
import { type ApiClient, createApiClient, withWarnings } from "../../client/objects/api.ts";
import { createConnector, readCluster } from "../../client/transport/connect.ts";
import { createServerNames } from "../../client/transport/server_names.ts";
import { createFilePort } from "../../client/files.ts";
import type { NodeNames } from "../../core/approval/evidence/inventory.ts";
import { AppError } from "../../core/errors.ts";
import type { ResolvedCluster } from "../../core/kube/kubeconfig/context.ts";
import type { Transport } from "../../core/ports.ts";
import { shellWord } from "../../core/lib/shell_word.ts";
import { DATA_DIR_FLAG } from "../flags/common.ts";
import type { Io } from "../io.ts";
import { escapeValue } from "../output/escape.ts";
import { USER_AGENT } from "../../core/version.ts";

/** The parts of a connection that reading an API and deciding in it need. */
export interface ApiHandle {
  readonly transport: Transport;
  readonly api: ApiClient;
  /** Looks up the names and addresses of the server, which no node may have; rejects while they cannot be found out. */
  readonly serverNames: () => Promise<NodeNames>;
}

/** A connection that was opened for a user of the command line. */
export interface ApiConnection extends ApiHandle, AsyncDisposable {
  /** The server and the credentials of the connection. */
  readonly cluster: ResolvedCluster;
}

/** The settings that name the API server. */
export interface ConnectionSettings {
  readonly kubeconfig: string | undefined;
  /** The context of the kubeconfig; its current one by default. */
  readonly context?: string | undefined;
  readonly dataDir: string;
}

/** The flags that name an API server in a command, each after a space; empty where the defaults name it. */
export interface CommandFlags {
  readonly tlsboot: string;
  readonly kubectl: string;
}

/** Formats the flags with which commands use the same connection. */
export function formatCommandFlags({ kubeconfig, context, dataDir }: ConnectionSettings): CommandFlags {
  const flag = (name: string, value: string | undefined): string =>
    value === undefined ? "" : ` --${name} ${shellWord(value)}`;
  const chosen = flag("context", context);
  const isDefault = dataDir === DATA_DIR_FLAG.default;
  return {
    tlsboot: (kubeconfig === undefined ? flag("data-dir", isDefault ? undefined : dataDir) : "") +
      flag("kubeconfig", kubeconfig) + chosen,
    kubectl: flag("kubeconfig", kubeconfig ?? join(dataDir, "admin.kubeconfig")) + chosen,
  };
}

/** Opens a connection. Throws AppError `kubeconfig_invalid`, with a hint, when there is no kubeconfig. */
export async function connect(settings: ConnectionSettings, io: Io): Promise<ApiConnection> {
  const path = resolve(io.cwd, settings.kubeconfig ?? join(settings.dataDir, "admin.kubeconfig"));
  const files = createFilePort();
  if (settings.kubeconfig === undefined && await files.stat(path) === undefined) {
    throw new AppError("kubeconfig_invalid", `cannot read kubeconfig "${path}": no such file`, {
      hint:
        `start a server with: tlsboot up${
          settings.dataDir === DATA_DIR_FLAG.default ? "" : ` --data-dir ${shellWord(settings.dataDir)}`
        }; or name the kubeconfig of another one with --kubeconfig or TLSBOOT_KUBECONFIG, or its folder with --data-dir` +
        describeIgnoredKubeconfig(io.env),
    });
  }
  const cluster = await readCluster(path, files, settings.context);
  const connection = await createConnector({ files, clock: io.clock, env: io.env, userAgent: USER_AGENT })(cluster);
  const transport = withWarnings(connection, (text) => io.stderr.write(`Warning: ${escapeValue(text)}\n`));
  return {
    transport,
    api: createApiClient(transport, { clock: io.clock }),
    serverNames: createServerNames(cluster, io),
    cluster,
    [Symbol.asyncDispose]: () => connection[Symbol.asyncDispose](),
  };
}

/** The end of a hint for users whose kubectl reads `KUBECONFIG`; empty when the variable is not set. */
export function describeIgnoredKubeconfig({ KUBECONFIG = "" }: Io["env"]): string {
  return KUBECONFIG === "" ? "" : '; KUBECONFIG is set, but tlsboot does not read it: give --kubeconfig "$KUBECONFIG"';
}
