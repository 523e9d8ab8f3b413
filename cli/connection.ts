/** Connects commands to the API, with the kubeconfig of a flag or the administrator's in the data directory. */
import { join, resolve } from "node:path";
import { type ApiConnection, createApiClient, withWarnings } from "../client/objects/api.ts";
import { createServerNames, readCluster } from "../client/transport/connect.ts";
import { AppError } from "../core/errors.ts";
import { API_FLAGS } from "./flags/common.ts";
import type { Io, Tools } from "./io.ts";
import { escapeValue } from "../core/lib/printable.ts";
import { formatCommand, formatWords } from "./framework/command.ts";
import { parseSetting } from "../instance/settings.ts";

/** The settings that say where the API server is, and what a list contains. */
export interface ConnectionSettings {
  readonly kubeconfig: string | undefined;
  /** The context of the kubeconfig; the current context by default. */
  readonly context?: string | undefined;
  readonly dataDir: string;
  readonly selector?: string | undefined;
  readonly fieldSelector?: string | undefined;
}

/** Opens a connection. AppError `kubeconfig_invalid` without a kubeconfig, and `usage` for a malformed selector. */
export async function connect(settings: ConnectionSettings, tools: Tools): Promise<ApiConnection> {
  await checkSelectors(settings);
  const { files, clock, stderr } = tools;
  const path = resolve(tools.cwd, settings.kubeconfig ?? join(settings.dataDir, "admin.kubeconfig"));
  if (settings.kubeconfig === undefined && await files.stat(path) === undefined) {
    throw new AppError("kubeconfig_invalid", `cannot read kubeconfig "${path}": no such file`, {
      hint:
        `start a server with: tlsboot up${
          formatConnection({ dataDir: settings.dataDir })
        }; or give the kubeconfig of another one ` +
        `with --kubeconfig or TLSBOOT_KUBECONFIG, or its folder with --data-dir${describeIgnoredKubeconfig(tools.env)}`,
    });
  }
  const cluster = await readCluster(path, files, settings.context);
  const connection = await tools.connect(cluster);
  const transport = withWarnings(connection, (text) => stderr.write(`Warning: ${escapeValue(text)}\n`));
  return {
    transport,
    api: createApiClient(transport, { clock }),
    serverNames: createServerNames(cluster, tools),
    cluster,
    files,
    [Symbol.asyncDispose]: () => connection[Symbol.asyncDispose](),
  };
}

/** Checks the selectors before they are sent. Few commands have one, so only these load the parsers. */
async function checkSelectors({ selector = "", fieldSelector = "" }: ConnectionSettings): Promise<void> {
  if (selector === "" && fieldSelector === "") return;
  const { parseFieldSelector, parseLabelSelector } = await import("../core/kube/selectors.ts");
  parseSetting("selector", [selector], parseLabelSelector);
  parseSetting("fieldSelector", [fieldSelector], parseFieldSelector);
}

/** Formats the flags of a connection, to be appended to a command: each after a space, and none for the default. */
export function formatConnection({ dataDir, kubeconfig, context }: Partial<ConnectionSettings>): string {
  const settings = { dataDir: dataDir ?? API_FLAGS.dataDir.default, kubeconfig, context };
  const words = formatCommand({ path: [], flags: API_FLAGS }, { settings }, String);
  return words.length === 0 ? "" : ` ${formatWords(words)}`;
}

/** Formats the end of a hint for users who have set `KUBECONFIG`; empty when they have not. */
export function describeIgnoredKubeconfig({ KUBECONFIG = "" }: Io["env"]): string {
  return KUBECONFIG === "" ? "" : '; KUBECONFIG is set, but tlsboot does not read it: give --kubeconfig "$KUBECONFIG"';
}
