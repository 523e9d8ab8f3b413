/** Starts the page with a connection. Its code is loaded only here, so that other commands start faster. */
import { join } from "node:path";
import process from "node:process";
import type { CommandFlags } from "../ui/page.ts";
import type { Ui, UiOptions } from "../ui/server.ts";
import { connect, type ConnectionSettings, formatConnection } from "./connection.ts";
import type { Tools } from "./io.ts";

/** Opens a connection and starts the page. Disposing the page closes both. Throws as `connect` and `startUi` do. */
export async function openUi(
  settings: ConnectionSettings,
  options: Omit<UiOptions, "connection" | "flags" | "uid" | "io">,
  tools: Tools,
): Promise<Ui> {
  const { startUi } = await import("../ui/server.ts");
  await using opened = new AsyncDisposableStack();
  const connection = opened.use(await connect(settings, tools));
  const flags = formatCommandFlags(settings);
  const ui = opened.use(
    await startUi({ ...options, io: tools, flags, connection, uid: process.getuid?.() }, tools.signal),
  );
  const open = opened.move();
  return { ...ui, [Symbol.asyncDispose]: () => open.disposeAsync() };
}

/** Formats the flags with which tlsboot and kubectl use the same connection. */
export function formatCommandFlags({ kubeconfig, context, dataDir }: ConnectionSettings): CommandFlags {
  return {
    tlsboot: formatConnection(kubeconfig === undefined ? { dataDir, context } : { kubeconfig, context }),
    kubectl: formatConnection({ kubeconfig: kubeconfig ?? join(dataDir, "admin.kubeconfig"), context }),
  };
}
