/**
 * Rotates the CA of an installation's servers. The rotation is an API object that the servers follow. They replace their
 * certificates and admin.kubeconfig, so every wait connects again when a connection fails.
 */
import { join, resolve } from "node:path";
import type { ApiClient } from "../../../client/objects/api.ts";
import { AppError, isAppError } from "../../../core/errors.ts";
import { KUBE_APISERVER_SERVING_SIGNER } from "../../../core/kube/kinds/certificates_v1.ts";
import type { CaRotation } from "../../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { isAborting } from "../../../core/ca_rotation/rotation_rules.ts";
import { type ReplaceableCa, sortServers } from "../../../core/ca_rotation/steps.ts";
import { hasSplitAuthorities } from "../../../instance/authority/files.ts";
import { CA_PURPOSES, type CaPurpose, getCaName } from "../../../instance/authority/layout.ts";
import { warn } from "../../framework/report.ts";
import { dataDirAt } from "../../../instance/data_dir.ts";
import { readEtcdPlace } from "../../../instance/storage/etcd.ts";
import type { Tools } from "../../io.ts";
import { line } from "../../../core/lib/printable.ts";
import { findDeadline, startProgress } from "../../output/progress.ts";
import { describeServers } from "../../../core/report/ca_rotation.ts";
import {
  caRotationPath,
  changeRotation,
  createRotation,
  deleteIfPresent,
  findRotation,
  isBundlePublished,
  isNewCaPublished,
  readCensus,
  wrappedKeyPath,
} from "../../../client/admin/ca_rotations.ts";
import { connect, type ConnectionSettings } from "../../connection.ts";
import { formatRotate } from "./rotate_flags.ts";
import { flattenPages, listRecordPages } from "../../../client/admin/records.ts";
import { UsageError } from "../../exit_code.ts";

/** The pause between two reads of a rotation. */
const POLL_MS = 500;
/** How long to wait for what servers publish: a controller of `up` writes the trust bundle every two seconds. */
const PUBLISHED_WITHIN_MS = 15_000;
/** The time in which servers that share a storage report that they have seen a new rotation. */
const SETTLE_MS = 2_000;

/** The errors after which the connection is opened again. */
const RETRIED = ["unreachable", "unauthorized", "tls_untrusted", "kubeconfig_invalid", "timeout"] as const;

/** The limits of `retryUntil`, and its message when it gives up. */
interface RetryOptions {
  /** The maximum wait in milliseconds; 0 waits forever. */
  readonly timeoutMs: number;
  readonly describe: () => string;
  /** The pause after an attempt that did not fail. */
  readonly pauseMs?: () => number;
}

/** The settings of the connection, and of the key that encrypts a new CA's key on its way to the servers. */
export interface ServerCaSettings extends ConnectionSettings {
  /** Without it, `pki/sa.key` in the data directory. */
  readonly serviceAccountSigningKeyFile?: string | undefined;
}

/**
 * Repeats an attempt until it returns a value, also when the connection fails. Throws AppError `timeout` with the last
 * failure, or with what `describe` returns.
 */
export async function retryUntil<T>(
  attempt: () => Promise<T | undefined>,
  { timeoutMs, describe, pauseMs = () => POLL_MS }: RetryOptions,
  { clock, signal }: Pick<Tools, "clock" | "signal">,
): Promise<T> {
  const startedAt = clock.elapsedMs();
  while (true) {
    let failure: AppError | undefined;
    try {
      const result = await attempt();
      if (result !== undefined) return result;
    } catch (error) {
      signal.throwIfAborted();
      if (!isAppError(error, ...RETRIED)) throw error;
      failure = error;
    }
    if (timeoutMs !== 0 && clock.elapsedMs() - startedAt >= timeoutMs) {
      const why = failure === undefined ? describe() : failure.message;
      throw new AppError("timeout", `gave up after ${Math.round(timeoutMs / 1000)} s: ${why}`, {
        cause: failure,
        retryable: true,
        hint: "run the same command again: it continues where it stopped; the log of the server says more",
      });
    }
    await clock.sleep(failure === undefined ? pauseMs() : POLL_MS, signal);
  }
}

/**
 * Creates the access to a CA of the servers by the name of its file below `pki/`, without `.crt`. A step waits until every
 * server that is up has adopted it, for `timeoutMs` at most; 0 waits forever.
 */
export function createServerCa(
  name: string,
  settings: ServerCaSettings,
  timeoutMs: number,
  tools: Tools,
): ReplaceableCa {
  const { clock, files, signal } = tools;
  const { dataDir, kubeconfig, context } = settings;
  let connection: ConnectionSettings = settings;
  const root = resolve(tools.cwd, dataDir);

  const call: Call = async (action) => {
    await using opened = await connect(connection, tools);
    return await action(opened.api);
  };

  /** Repeats an action until the connection does not fail. */
  const repeat: Call = async (action) => {
    const attempt = async () => ({ result: await call(action) });
    return (await retryUntil(attempt, { timeoutMs, describe: () => "the server does not answer" }, tools)).result;
  };

  async function follow(rotation: CaRotation): Promise<CaRotation> {
    // The server replaces the administrator's kubeconfig; any other credential of a leaked CA is refused by now.
    if (rotation.spec.isLeaked === true) connection = { ...settings, kubeconfig: undefined };
    let followed = await waitForServers(name, timeoutMs, call, tools);
    const isBeginning = rotation.spec.step === "Trust" && !isAborting(rotation);
    if (isBeginning && await readEtcdPlace(dataDirAt(root), files) !== undefined) {
      await clock.sleep(SETTLE_MS, signal);
      followed = await waitForServers(name, timeoutMs, call, tools);
    }
    await waitForTrustBundle(followed, call, tools);
    // No server needs the wrapped key any more.
    if (followed.spec.step === "Finish") await repeat((api) => deleteIfPresent(api, wrappedKeyPath(name), signal));
    return followed;
  }

  return {
    name,
    paths: { certificate: join(root, "pki", `${name}.crt`), key: join(root, "pki", `${name}.key`) },
    assertPresent: () => assertPresent(name, settings.dataDir, tools),
    read: () => call((api) => findRotation(api, name, signal)),
    census: (rotation) => repeat((api) => readCensus(api, rotation, clock, signal)),
    async *records() {
      await using opened = await connect(connection, tools);
      yield* flattenPages(listRecordPages(opened.api, {}, signal));
    },
    async begin(spec, keyPem) {
      const { serviceAccountSigningKeyFile = join(settings.dataDir, "pki", "sa.key") } = settings;
      const key = keyPem === undefined
        ? undefined
        : { pem: keyPem, wrappingKeyFile: resolve(tools.cwd, serviceAccountSigningKeyFile) };
      return await follow(await call((api) => createRotation(api, { name, spec, key }, tools)));
    },
    async advance(rotation, change) {
      if (change?.step === "Switch" && rotation.spec.step === "Trust" && change.isLeaked !== true) {
        // A server that does not trust the new CA yet would refuse what another one signs.
        for (const { name, time } of sortServers(await follow(rotation), clock.now()).down) {
          warn(`the server ${name} has not been seen since ${time}; it follows when it starts`, tools);
        }
      }
      if (change === undefined) return await follow(rotation);
      return await follow(await repeat((api) => changeRotation(api, rotation, change, signal)));
    },
    async end(rotation) {
      await repeat(async (api) => {
        if (rotation !== undefined) await deleteIfPresent(api, caRotationPath(name), signal);
        await deleteIfPresent(api, wrappedKeyPath(name), signal);
      });
      if (rotation === undefined) return true;
      const isWithdrawn = () => call(async (api) => !await isNewCaPublished(api, rotation, signal));
      if (await waitUntilPublished(isWithdrawn, tools)) return true;
      warn("the servers still publish the new CA; their logs say more", tools);
      return false;
    },
    describeFollowers: (rotation) => ["Servers", describeServers(rotation, clock.now())],
    isAdopted(rotation) {
      const { adopted, pending, down } = sortServers(rotation, clock.now());
      return adopted.length > 0 && pending.length + down.length === 0;
    },
    command: (verb) => formatRotate(verb, name === "ca" ? [] : [name], { dataDir, kubeconfig, context }),
    describeRetiredKey: () => `on every server, in its data directory: shred -u pki/retired-${name}-*.key`,
  };
}

/** Throws UsageError for a CA that the data directory does not have. */
async function assertPresent(name: string, dataDir: string, { cwd, files }: Tools): Promise<void> {
  const isSplit = await hasSplitAuthorities(resolve(cwd, dataDir), files);
  const purposes: readonly CaPurpose[] = isSplit ? CA_PURPOSES : ["serving"];
  const names = purposes.map(getCaName);
  if (names.includes(name)) return;
  throw new UsageError(
    `there is no CA "${name}" in "${dataDir}"`,
    isSplit ? `name one of ${names.join(", ")}` : "this data directory has one CA for everything, which is ca",
  );
}

type Call = <T>(action: (api: ApiClient) => Promise<T>) => Promise<T>;

/**
 * Waits until every server that is up has adopted the step of a rotation, and reports each that has not once. Throws
 * AppError `timeout`, or `not_found` if the rotation is deleted meanwhile.
 */
async function waitForServers(
  name: string,
  timeoutMs: number,
  call: Call,
  tools: Tools,
): Promise<CaRotation> {
  const { clock, stderr, signal } = tools;
  using progress = startProgress(tools, "waiting for the servers", findDeadline(timeoutMs, clock));
  const reported = new Set<string>();
  let text = "no server follows the rotation";
  const attempt = async (): Promise<CaRotation | undefined> => {
    const rotation = await call((api) => findRotation(api, name, signal));
    if (rotation === undefined) throw new AppError("not_found", `the rotation of ${name} was deleted meanwhile`);
    const { adopted, pending } = sortServers(rotation, clock.now());
    if (pending.length > 0) text = describeServers(rotation, clock.now());
    for (const { name, message } of pending) {
      if (message === undefined || reported.has(name + message)) continue;
      reported.add(name + message);
      const status = `waiting for the server ${name}: ${message}`;
      if (stderr.isTerminal) progress.update(status);
      else stderr.write(line`${status}\n`);
    }
    return adopted.length > 0 && pending.length === 0 ? rotation : undefined;
  };
  return await retryUntil(attempt, { timeoutMs, describe: () => text }, tools);
}

/** Repeats a check of what the servers publish for some seconds; returns false when it does not succeed. */
async function waitUntilPublished(check: () => Promise<boolean>, tools: Tools): Promise<boolean> {
  const attempt = async () => await check() || undefined;
  try {
    return await retryUntil(attempt, { timeoutMs: PUBLISHED_WITHIN_MS, describe: () => "it is not published" }, tools);
  } catch (error) {
    if (!isAppError(error, "timeout", "access_denied")) throw error;
    return false;
  }
}

/** Waits until the trust bundle of the API server matches the rotation, so that machines follow at once. */
async function waitForTrustBundle(rotation: CaRotation, call: Call, tools: Tools): Promise<void> {
  const check = () => call((api) => isBundlePublished(api, rotation, tools.signal));
  if (await waitUntilPublished(check, tools)) return;
  warn(`the servers have followed, but their trust bundle (${KUBE_APISERVER_SERVING_SIGNER}) has not yet`, tools);
}
