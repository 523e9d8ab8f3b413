/** A receiver on loopback that records notifications. Its certificate is also valid for `phone.example.com`. */
import { Buffer } from "node:buffer";
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import { createServer as createPlainServer } from "node:http";
import { createServer } from "node:https";
import type { Notification } from "../../core/report/notification.ts";
import { createIssuingCa, issueServing } from "./issuing_ca.ts";
import { listenOnLoopback } from "./loopback_server.ts";

export interface ReceivedNotification {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly notification: Notification;
}

export interface NotificationReceiver extends AsyncDisposable {
  /** The URL of the receiver, without a path. */
  readonly url: string;
  /** The CA of its serving certificate; it is empty for plain HTTP. */
  readonly caPem: string;
  readonly received: readonly ReceivedNotification[];
  /** The HTTP status of its answers. */
  status: number;
}

/** Starts a receiver on a free port, over HTTPS by default. */
export async function startNotificationReceiver(
  { isPlain = false }: { readonly isPlain?: boolean } = {},
): Promise<NotificationReceiver> {
  const received: ReceivedNotification[] = [];
  const state = { status: 200 };
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = Buffer.concat(await Array.fromAsync(request as AsyncIterable<Buffer>)).toString();
    received.push({ path: request.url ?? "", headers: request.headers, body, notification: JSON.parse(body) });
    response.writeHead(state.status, { "content-type": "application/json" }).end('{"ok":true}');
  };
  const ca = isPlain ? undefined : await createIssuingCa(new Date());
  const serving = ca === undefined
    ? undefined
    : await issueServing(ca, { dnsNames: ["localhost", "phone.example.com"] });
  const server = serving === undefined
    ? createPlainServer(answer)
    : createServer({ cert: serving.certificatePem, key: serving.keyPem }, answer);
  const listening = await listenOnLoopback(server);
  return Object.assign(state, {
    url: `${isPlain ? "http" : "https"}://127.0.0.1:${listening.port}`,
    caPem: ca?.caPem ?? "",
    received,
    [Symbol.asyncDispose]: () => listening[Symbol.asyncDispose](),
  });
}
