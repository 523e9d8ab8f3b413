/** Sends notifications to a receiver over HTTPS. Errors and logs name its host only, because the URL may hold a credential. */
import { createHmac } from "node:crypto";
import { AppError, isAppError } from "../core/errors.ts";
import type { Secret } from "../core/lib/brand.ts";
import { readBasicAuthorization } from "../core/lib/proxy.ts";
import type { Clock } from "../core/ports.ts";
import { listNtfyHeaders, type Notification, type NotificationSender } from "../core/report/notification.ts";
import { USER_AGENT } from "../core/version.ts";
import { chooseProxy, type ConnectOptions } from "./transport/connect.ts";
import { limitTime } from "./transport/time_limit.ts";
import { createTlsTransport } from "./transport/tls_transport.ts";

export interface NotificationSenderOptions {
  /** The CAs that are trusted for the receiver; by default those of the system. */
  readonly caPem?: string | undefined;
  /** The key of the header X-Tlsboot-Signature; without one, notifications are not signed. */
  readonly signingKey?: Secret<string> | undefined;
  /** The variables of the environment, of which HTTPS_PROXY and NO_PROXY are read. */
  readonly env?: ConnectOptions["env"];
  readonly clock: Clock;
}

const TIME_LIMIT_MS = 30_000;
const CONNECT_MS = 10_000;

/** Creates a sender. AppError `config_invalid` for a proxy that cannot be used. */
export function createNotificationSender(url: URL, options: NotificationSenderOptions): NotificationSender {
  const { caPem, signingKey, clock } = options;
  const { host, origin, pathname, search } = url;
  const proxy = chooseProxy({ server: origin }, options.env);
  const authorization = readBasicAuthorization(url);

  async function post(notification: Notification, signal: AbortSignal): Promise<number> {
    const headers: Record<string, string> = {
      ...listNtfyHeaders(notification),
      "content-type": "application/json",
    };
    if (authorization.ok && authorization.value !== undefined) {
      headers["authorization"] = authorization.value.reveal();
    }
    const body = JSON.stringify(notification);
    if (signingKey !== undefined) {
      const digest = createHmac("sha256", signingKey.reveal()).update(body).digest("hex");
      headers["x-tlsboot-signature"] = `sha256=${digest}`;
    }
    const path = pathname + search;
    if (url.protocol === "http:") {
      const request = { method: "POST", headers, body, signal, redirect: "manual" } as const;
      const answer = await fetch(origin + path, request).catch((cause: unknown) => {
        signal.throwIfAborted();
        throw new AppError("unreachable", `cannot reach "${origin}"`, { cause, retryable: true });
      });
      await answer.body?.cancel();
      return answer.status;
    }
    const timeouts = { connectMs: CONNECT_MS };
    const connection = { server: origin, caPem, proxy, userAgent: USER_AGENT, clock, timeouts };
    await using transport = createTlsTransport(connection);
    try {
      return (await transport.send({ method: "POST", path, headers, body: notification }, signal)).status;
    } catch (cause) {
      // The receiver has no kubeconfig, which the hint for an unknown CA names.
      if (!isAppError(cause, "tls_untrusted") || !cause.message.endsWith("unknown authority")) throw cause;
      const hint = "give the CA of the receiver with the setting notifyCaFile";
      throw new AppError("tls_untrusted", cause.message, { cause, hint });
    }
  }

  return {
    host,
    async send(notification, signal) {
      const late = new AppError("unreachable", `"${host}" has not answered within ${TIME_LIMIT_MS / 1000} s`, {
        retryable: true,
      });
      await using limit = limitTime(clock, TIME_LIMIT_MS, () => late, signal);
      const status = await post(notification, limit.signal);
      if (status >= 200 && status < 300) return;
      throw new AppError("api_error", `"${host}" answered ${status}`, {
        hint: "check the path and the credential in the URL of the receiver",
        retryable: status >= 500 || status === 408 || status === 429,
      });
    },
  };
}
