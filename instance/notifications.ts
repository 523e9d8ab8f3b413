/**
 * Notifications: reads their settings, searches an instance or a signer for what expires soon, runs the notifier of a
 * remote API, and sends them. Errors and logs have only the host of a receiver, because its URL may contain a
 * credential.
 */
import { capitalize } from "../core/lib/printable.ts";
import { resolve } from "node:path";
import { createHmac } from "node:crypto";
import type { FilePort } from "../client/files.ts";
import { createObjectStore } from "../client/objects/object_store.ts";
import { readPrivateFile } from "../client/private_file.ts";
import { type NotifierOptions, runNotifier } from "../controllers/upkeep/notifier.ts";
import { AppError, isAppError } from "../core/errors.ts";
import type { Event } from "../core/kube/kinds/core_v1.ts";
import { eventKind } from "../core/kube/kinds/mod.ts";
import { Secret } from "../core/lib/brand.ts";
import { readBasicAuthorization } from "../core/lib/encodings.ts";
import type { Authority } from "../core/pki/authority/authority.ts";
import { type CertificateChain, chainNotAfter, encodeCertificates } from "../core/pki/x509/ca_bundle.ts";
import type { Clock, Transport } from "../core/ports.ts";
import { checkBackups } from "../core/report/health/host.ts";
import {
  createCaNotice,
  createCertificateNotice,
  listNtfyHeaders,
  type Notification,
  type NotificationSender,
  type NotifiedEvent,
} from "../core/report/notification.ts";
import { IssuedCertificates } from "../server/metrics/certificates.ts";
import { findBackups } from "./backup/found_backups.ts";
import { createCsrStore } from "./controllers/controllers.ts";
import type { ControllerDeps } from "./deps.ts";
import type { Instance } from "./instance.ts";
import { readCaFile } from "./named_files.ts";
import { type NotificationSettings, parseReceiver } from "./settings.ts";
import { USER_AGENT } from "../core/version.ts";
import { chooseProxy, type ConnectOptions } from "../client/transport/connect.ts";
import { limitTime } from "../client/transport/time_limit.ts";
import { createTlsTransport } from "../client/transport/tls_transport.ts";

interface NotificationDeps {
  readonly files: FilePort;
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  readonly clock: Clock;
}

/** A random HMAC key of this length cannot be guessed. */
const MIN_KEY_LENGTH = 16;

/** Opens the receiver of the settings; undefined if they have none. AppError `usage`, and those of the files. */
export async function openNotifications(
  settings: NotificationSettings,
  deps: NotificationDeps,
): Promise<NotificationSender | undefined> {
  const { notify, notifyFile, notifyInsecure, notifyKeyFile, notifyCaFile } = settings;
  const readSecret = (path: string, what: string): Promise<string> =>
    readPrivateFile(resolve(deps.cwd, path), deps.files, { what: `${what} "${path}"`, hint: "check the path" });
  const text = notifyFile === undefined ? notify : await readSecret(notifyFile, "the URL for notifications from");
  if (text === undefined) return undefined;
  const setting = `the setting ${notifyFile === undefined ? "notify" : "notifyFile"}`;
  const url = parseReceiver(text);
  if (!url.ok) throw new AppError("usage", `${setting}: ${url.error}`);
  if (notifyFile === undefined && (url.value.username !== "" || url.value.password !== "")) {
    throw new AppError("usage", `${setting}: the URL contains a password, which other users of this machine can see`, {
      hint: "write the URL to a file that only its owner may read, and name it in the setting notifyFile",
    });
  }
  if (url.value.protocol === "http:" && !notifyInsecure) {
    throw new AppError("usage", `${setting}: http:// sends notifications to "${url.value.host}" in plain text`, {
      hint: "use an https URL, or allow it with the setting notifyInsecure",
    });
  }
  const key = notifyKeyFile === undefined ? undefined : (await readSecret(notifyKeyFile, "the key")).trim();
  if (key !== undefined && key.length < MIN_KEY_LENGTH) {
    throw new AppError("key_invalid", `cannot sign notifications with "${notifyKeyFile}": the key is too short`, {
      hint: `write at least ${MIN_KEY_LENGTH} random characters to it: openssl rand -hex 32`,
    });
  }
  return createNotificationSender(url.value, {
    ...deps,
    caPem: notifyCaFile && encodeCertificates(await readCaFile(notifyCaFile, "the CA for notifications", deps)),
    signingKey: key === undefined ? undefined : new Secret(key),
  });
}

/**
 * Creates the function that finds an instance's certificates and CAs that expire soon, and its backups that are too
 * old.
 */
export function createEndingSearch(
  { authorities, register, dir }: Pick<Instance, "authorities" | "register" | "dir">,
  { clock, cwd }: Pick<NotificationDeps, "clock" | "cwd">,
): () => Promise<readonly NotifiedEvent[]> {
  const issued = new IssuedCertificates(register.index);
  let searchedUntil = new Date(0);
  return async () => {
    const now = clock.now();
    const overdue = [...issued.becameOverdue(searchedUntil, now)];
    searchedUntil = now;
    const backups = await findBackups(dir.root, [], { cwd, show: (path) => path });
    return [
      ...overdue.map(({ subject, signerName, until }) =>
        createCertificateNotice(subject, signerName, new Date(until * 1000))
      ),
      ...listCaNotices([authorities.serving, ...authorities.clientCas.map(({ chain }) => chain)], now),
      ...checkBackups(backups, dir.root, now).map(({ message, fix }): NotifiedEvent => ({
        kind: "BackupOld",
        sentence: capitalize(message),
        object: { kind: "DataDirectory", name: dir.root },
        next: fix && `To make one: ${fix}`,
      })),
    ];
  };
}

/** Creates the function that finds a signer's CAs that expire soon. */
export function createCaSearch(
  { signerNames, authorities }: {
    readonly signerNames: readonly string[];
    readonly authorities: (signerName: string) => Promise<Authority | undefined>;
  },
  clock: Clock,
): () => Promise<readonly NotifiedEvent[]> {
  return async () => {
    const found = await Promise.all(signerNames.map((name) => authorities(name)));
    return listCaNotices(found.filter((one) => one !== undefined), clock.now());
  };
}

function listCaNotices(chains: readonly CertificateChain[], now: Date): readonly NotifiedEvent[] {
  return chains.flatMap((chain) => createCaNotice(chain.certificate, chainNotAfter(chain), now) ?? []);
}

/** Runs the notifier of a controller for a remote API until the signal aborts. Does nothing without a sender. */
export async function runRemoteNotifier(
  { sender, server, hasRequests = true, findEnding }: {
    readonly sender: NotificationSender | undefined;
    readonly server: string;
    readonly hasRequests?: boolean;
    readonly findEnding?: NotifierOptions["findEnding"];
  },
  transport: Transport,
  deps: ControllerDeps,
  signal: AbortSignal,
): Promise<void> {
  if (sender === undefined) return;
  const events = createObjectStore<Event>(transport, eventKind, { ...deps, fieldSelector: "type=Warning" });
  const requests = hasRequests ? createCsrStore(transport, deps) : undefined;
  const { clock, logger, metrics } = deps;
  const onResult: NotifierOptions["onResult"] = (result) => metrics?.notified(result);
  await runNotifier({ sender, server, requests, events, findEnding, clock, logger, onResult }, signal);
}

export interface NotificationSenderOptions {
  /** The CAs that are trusted for the receiver. Default: those of the system. */
  readonly caPem?: string | undefined;
  /** The key of the header X-Tlsboot-Signature; without one, notifications are not signed. */
  readonly signingKey?: Secret<string> | undefined;
  /** The variables of the environment, of which HTTPS_PROXY and NO_PROXY are read. */
  readonly env?: ConnectOptions["env"];
  readonly clock: Clock;
}

const TIME_LIMIT_MS = 30_000;
const CONNECT_MS = 10_000;

/** Creates a sender over HTTPS. AppError `config_invalid` for a proxy that cannot be used. */
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
      // The hint for an unknown CA mentions a kubeconfig, but a receiver has none.
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
