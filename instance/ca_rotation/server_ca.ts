/**
 * Rotates the CA of an installation's servers. The rotation is an API object that the servers follow. They replace their
 * certificates and admin.kubeconfig, so every wait connects again when a connection fails.
 */
import { join, resolve } from "node:path";
import type { ApiClient, ApiConnection } from "../../client/objects/api.ts";
import { AppError, isAppError } from "../../core/errors.ts";
import { KUBE_APISERVER_SERVING_SIGNER } from "../../core/kube/kinds/constants.ts";
import type { CaRotation } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { isAborting } from "../../core/ca_rotation/rotation_rules.ts";
import { type ReplaceableCa, sortServers } from "../../core/ca_rotation/steps.ts";
import { hasSplitAuthorities } from "../authority/files.ts";
import { CA_PURPOSES, type CaPurpose, getCaName } from "../authority/layout.ts";
import { dataDirAt } from "../data_dir.ts";
import { readEtcdPlace } from "../storage/etcd.ts";
import { describeServers } from "../../core/report/ca_rotation.ts";
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
} from "../../client/admin/ca_rotations.ts";
import { flattenPages, listRecordPages } from "../../client/admin/records.ts";
import type { InstanceDeps } from "../deps.ts";

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

/** The data directory, and the key that encrypts a new CA's key on its way to the servers. */
export interface ServerCaSettings {
  readonly dataDir: string;
  /** Without it, `pki/sa.key` in the data directory. */
  readonly serviceAccountSigningKeyFile?: string | undefined;
}

/** The adapters of a CA that can be replaced. */
export interface RotationDeps extends Pick<InstanceDeps, "files" | "clock" | "random" | "cwd"> {
  readonly signal: AbortSignal;
  readonly warn: (message: string) => void;
}

interface ServerCaDeps extends RotationDeps {
  /** Connects to the servers, `asAdmin` with the administrator's kubeconfig in the data directory. */
  readonly openApi: (asAdmin: boolean) => Promise<ApiConnection>;
  /** Shows that the servers are awaited, until the result is disposed. `update` shows why. */
  readonly showWait: () => Disposable & { update(text: string): void };
}

/**
 * Repeats an attempt until it returns a value, also when the connection fails. Throws AppError `timeout` with the last
 * failure, or with what `describe` returns.
 */
export async function retryUntil<T>(
  attempt: () => Promise<T | undefined>,
  { timeoutMs, describe, pauseMs = () => POLL_MS }: RetryOptions,
  { clock, signal }: Pick<RotationDeps, "clock" | "signal">,
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
  deps: ServerCaDeps,
): Omit<ReplaceableCa, "command"> {
  const { clock, files, signal, warn } = deps;
  let asAdmin = false;
  const root = resolve(deps.cwd, settings.dataDir);

  const call: Call = async (action) => {
    await using opened = await deps.openApi(asAdmin);
    return await action(opened.api);
  };

  /** Repeats an action until the connection does not fail. */
  const repeat: Call = async (action) => {
    const attempt = async () => ({ result: await call(action) });
    return (await retryUntil(attempt, { timeoutMs, describe: () => "the server does not answer" }, deps)).result;
  };

  async function follow(rotation: CaRotation): Promise<CaRotation> {
    // The server replaces the administrator's kubeconfig; any other credential of a leaked CA is refused by now.
    if (rotation.spec.isLeaked === true) asAdmin = true;
    let followed = await waitForServers(name, timeoutMs, call, deps);
    const isBeginning = rotation.spec.step === "Trust" && !isAborting(rotation);
    if (isBeginning && await readEtcdPlace(dataDirAt(root), files) !== undefined) {
      await clock.sleep(SETTLE_MS, signal);
      followed = await waitForServers(name, timeoutMs, call, deps);
    }
    await waitForTrustBundle(followed, call, deps);
    // No server needs the wrapped key any more.
    if (followed.spec.step === "Finish") await repeat((api) => deleteIfPresent(api, wrappedKeyPath(name), signal));
    return followed;
  }

  return {
    name,
    paths: { certificate: join(root, "pki", `${name}.crt`), key: join(root, "pki", `${name}.key`) },
    assertPresent: () => assertPresent(name, settings.dataDir, deps),
    read: () => call((api) => findRotation(api, name, signal)),
    census: (rotation) => repeat((api) => readCensus(api, rotation, clock, signal)),
    async *records() {
      await using opened = await deps.openApi(asAdmin);
      yield* flattenPages(listRecordPages(opened.api, {}, signal));
    },
    async begin(spec, keyPem) {
      const { serviceAccountSigningKeyFile = join(settings.dataDir, "pki", "sa.key") } = settings;
      const key = keyPem === undefined
        ? undefined
        : { pem: keyPem, wrappingKeyFile: resolve(deps.cwd, serviceAccountSigningKeyFile) };
      return await follow(await call((api) => createRotation(api, { name, spec, key }, deps)));
    },
    async advance(rotation, change) {
      if (change?.step === "Switch" && rotation.spec.step === "Trust" && change.isLeaked !== true) {
        // A server that does not trust the new CA yet would refuse what another one signs.
        for (const { name, time } of sortServers(await follow(rotation), clock.now()).down) {
          warn(`the server ${name} has not been seen since ${time}; it follows when it starts`);
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
      if (await waitUntilPublished(isWithdrawn, deps)) return true;
      warn("the servers still publish the new CA; their logs say more");
      return false;
    },
    describeFollowers: (rotation) => ["Servers", describeServers(rotation, clock.now())],
    isAdopted(rotation) {
      const { adopted, pending, down } = sortServers(rotation, clock.now());
      return adopted.length > 0 && pending.length + down.length === 0;
    },
    describeRetiredKey: () => `on every server, in its data directory: shred -u pki/retired-${name}-*.key`,
  };
}

/** Throws AppError `usage` for a CA that the data directory does not have. */
async function assertPresent(name: string, dataDir: string, { cwd, files }: RotationDeps): Promise<void> {
  const isSplit = await hasSplitAuthorities(resolve(cwd, dataDir), files);
  const purposes: readonly CaPurpose[] = isSplit ? CA_PURPOSES : ["serving"];
  const names = purposes.map(getCaName);
  if (names.includes(name)) return;
  throw new AppError("usage", `there is no CA "${name}" in "${dataDir}"`, {
    hint: isSplit ? `name one of ${names.join(", ")}` : "this data directory has one CA for everything, which is ca",
  });
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
  deps: ServerCaDeps,
): Promise<CaRotation> {
  const { clock, signal } = deps;
  using progress = deps.showWait();
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
      progress.update(`waiting for the server ${name}: ${message}`);
    }
    return adopted.length > 0 && pending.length === 0 ? rotation : undefined;
  };
  return await retryUntil(attempt, { timeoutMs, describe: () => text }, deps);
}

/** Repeats a check of what the servers publish for some seconds; returns false when it does not succeed. */
async function waitUntilPublished(check: () => Promise<boolean>, deps: RotationDeps): Promise<boolean> {
  const attempt = async () => await check() || undefined;
  try {
    return await retryUntil(attempt, { timeoutMs: PUBLISHED_WITHIN_MS, describe: () => "it is not published" }, deps);
  } catch (error) {
    if (!isAppError(error, "timeout", "access_denied")) throw error;
    return false;
  }
}

/** Waits until the trust bundle of the API server matches the rotation, so that machines follow at once. */
async function waitForTrustBundle(rotation: CaRotation, call: Call, deps: RotationDeps): Promise<void> {
  const check = () => call((api) => isBundlePublished(api, rotation, deps.signal));
  if (await waitUntilPublished(check, deps)) return;
  deps.warn(`the servers have followed, but their trust bundle (${KUBE_APISERVER_SERVING_SIGNER}) has not yet`);
}
