/** The server of the page: on loopback, for the user who started it. */
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { getRequestListener } from "@hono/node-server";
import { findOwnUsername } from "../client/objects/access_reviews.ts";
import { AppError, findErrorCode } from "../core/errors.ts";
import type { Logger } from "../core/ports.ts";
import { createUiApp } from "./app.ts";
import { createUiData, type UiSource } from "./data.ts";
import { createPeerCheck, createUiSessions, UI_HOST } from "./access.ts";
import type { CommandFlags, UiAction, UiPage, UiPorts } from "./page.ts";
import { UI_ACTIONS, UI_PAGES } from "./pages/mod.ts";
import { REQUESTS } from "./pages/requests.tsx";
import type { ApiConnection } from "../client/objects/api.ts";

export interface UiOptions {
  readonly connection: ApiConnection;
  readonly io: UiPorts;
  readonly logger: Logger;
  /** The flags with which commands use the same connection. */
  readonly flags: CommandFlags;
  /** The id of the user who may open the page; undefined on systems without user ids. */
  readonly uid: number | undefined;
  /** The port; 0 for a free one. */
  readonly port: number;
  /** Additional pages and actions, such as those of the demo. They come first in the navigation. */
  readonly pages?: readonly UiPage[];
  readonly actions?: readonly UiAction[];
  /** The sources that these pages show besides the API, by the ids in their `live`. */
  readonly sources?: Readonly<Record<string, UiSource>>;
}

export interface Ui extends AsyncDisposable {
  /** The address of the page, without a key. */
  readonly url: string;
  /** Creates a link that opens the page once. */
  createLink(): string;
}

/** The time in which a client must send its headers, in milliseconds. */
const HEADERS_TIMEOUT_MS = 10_000;
/** The time in which a client must send a whole request, in milliseconds. */
const REQUEST_TIMEOUT_MS = 30_000;
const MAX_HEADER_BYTES = 16 * 1024;
/** The largest number of connections: enough for some browsers with a few tabs each. */
const MAX_CONNECTIONS = 256;

/**
 * Starts the server, until it is disposed. Throws AppError when the API cannot be reached, and `port_in_use` when another
 * program has the port.
 */
export async function startUi(options: UiOptions, signal: AbortSignal): Promise<Ui> {
  const { connection, io, logger } = options;
  const username = await findOwnUsername(connection.api, signal);
  const stopping = new AbortController();
  const sessions = createUiSessions(io);
  const data = createUiData(
    { transport: connection.transport, logger, sources: options.sources, ...io },
    stopping.signal,
  );
  let port = options.port;
  const app = createUiApp({
    pages: [...options.pages ?? [], ...UI_PAGES],
    actions: [...options.actions ?? [], ...UI_ACTIONS],
    sessions,
    data,
    connection,
    io,
    logger,
    flags: options.flags,
    place: `${connection.cluster.server}, with the rights of ${username ?? "the kubeconfig's user"}`,
    findPeer: createPeerCheck({
      uid: options.uid,
      readText: (path) => readFile(path, "utf8").catch(() => undefined),
    }),
    port: () => port,
    signal: stopping.signal,
  });
  const server = createServer({
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionsCheckingInterval: 5_000,
  }, getRequestListener(app.fetch, { overrideGlobalObjects: false }));
  server.maxConnections = MAX_CONNECTIONS;
  server.listen(port, UI_HOST);
  try {
    await once(server, "listening");
  } catch (cause) {
    stopping.abort(cause);
    throw toListenError(cause, port);
  }
  const address = server.address();
  if (typeof address === "object" && address !== null) port = address.port;
  const url = `http://${UI_HOST}:${port}`;
  // Reading ten thousand requests takes a second, during which the user opens the link. The page reports a failure.
  data.read(REQUESTS, stopping.signal).catch(() => undefined);
  return {
    url,
    createLink: () => `${url}/login?key=${sessions.createKey()}`,
    async [Symbol.asyncDispose]() {
      stopping.abort(new AppError("aborted", "the page is closed"));
      sessions[Symbol.dispose]();
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function toListenError(cause: unknown, port: number): unknown {
  if (findErrorCode(cause) !== "EADDRINUSE") return cause;
  return new AppError("port_in_use", `cannot listen on ${UI_HOST}:${port}: another program does`, {
    cause,
    hint: "choose another port, or leave it out for a free one",
  });
}
