/** Notifications: their settings, what ends soon in an instance or at a signer, and the notifier of a remote API. */
import { resolve } from "node:path";
import type { FilePort } from "../client/files.ts";
import { createNotificationSender } from "../client/notification_sender.ts";
import { createObjectStore } from "../client/objects/object_store.ts";
import { readPrivateFile } from "../client/private_file.ts";
import { type NotifierOptions, runNotifier } from "../controllers/upkeep/notifier.ts";
import { AppError } from "../core/errors.ts";
import type { Event } from "../core/kube/kinds/core_v1.ts";
import { eventKind } from "../core/kube/kinds/mod.ts";
import { Secret } from "../core/lib/brand.ts";
import { parseReceiver } from "../core/lib/proxy.ts";
import type { Authority } from "../core/pki/authority/authority.ts";
import { type CertificateChain, chainNotAfter, encodeCertificates } from "../core/pki/x509/ca_bundle.ts";
import type { Clock, Transport } from "../core/ports.ts";
import { checkBackups } from "../core/report/health/host.ts";
import {
  createCaNotice,
  createCertificateNotice,
  type NotificationSender,
  type NotifiedEvent,
} from "../core/report/notification.ts";
import { capitalize } from "../core/report/words.ts";
import { IssuedCertificates } from "../server/metrics/issued_certificates.ts";
import { findBackups } from "./backup/found_backups.ts";
import { createCsrStore } from "./controllers/controllers.ts";
import type { ControllerDeps } from "./deps.ts";
import type { Instance } from "./instance.ts";
import { readCaFile } from "./named_files.ts";
import type { NotificationSettings } from "./settings.ts";

interface NotificationDeps {
  readonly files: FilePort;
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  readonly clock: Clock;
}

/** An HMAC key of this length cannot be guessed when it is random text. */
const MIN_KEY_LENGTH = 16;

/** Opens the receiver that the settings name; undefined for none. AppError `usage`, and those of the files. */
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

/** Creates the function that finds the certificates, CAs and backups of an instance that end soon or are too old. */
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

/** Creates the function that finds the CAs of a signer that end soon. */
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

/** Runs the notifier of a controller that works for a remote API until the signal aborts; without a sender, nothing. */
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
