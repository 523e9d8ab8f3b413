/**
 * Replaces time, randomness, threads and sockets in this Node process: timers, clocks, random numbers, keys and
 * signatures, compression and HTTPS. Anything else that would wait for the real world ends the run with an error.
 */
import { createHook } from "node:async_hooks";
import { EventEmitter } from "node:events";
import { createRequire, syncBuiltinESMExports } from "node:module";
import process from "node:process";
import type { KeyObject } from "node:crypto";
import type { Random } from "../../core/ports.ts";
import { deriveKey, ResultCache, signDeterministically } from "./crypto.ts";
import { EPOCH_MS, Process } from "./host.ts";
import { createHttpsModule } from "./https.ts";
import type { Network } from "./network.ts";
import { cancelEvent, type ScheduledEvent, type Scheduler } from "./scheduler.ts";

/** The `async_hooks` resources that end within the event that created them; OpenSSL verifies synchronously. */
const WITHIN_EVENT: ReadonlySet<string> = new Set(["TickObject", "Microtask", "PROMISE", "SIGNREQUEST"]);

type Callback = (...args: unknown[]) => void;

/** Installs the simulation in this process permanently. */
export function installRuntime(scheduler: Scheduler, network: Network): void {
  const owner = (): Process | undefined => {
    const current = scheduler.owner.getStore();
    return current instanceof Process ? current : undefined;
  };
  const random = (): Random => owner()?.random ?? scheduler.random;
  const require = createRequire(import.meta.url);
  const replace = (module: string, members: object): void => {
    // Some members are getters, which an assignment does not replace.
    for (const [name, value] of Object.entries(members)) {
      Object.defineProperty(require(module), name, { value, writable: true, enumerable: true, configurable: true });
    }
  };

  const timers = createTimers(scheduler);
  const wait = createWaits(scheduler);
  Object.assign(globalThis, timers);
  replace("node:timers", timers);
  replace("node:timers/promises", wait);
  Object.defineProperty(AbortSignal, "timeout", {
    value(ms: number): AbortSignal {
      const abort = new AbortController();
      scheduler.schedule(ms, () => abort.abort(new DOMException("The operation timed out", "TimeoutError")));
      return abort.signal;
    },
  });

  const wallMs = (): number => owner()?.host.wallMs() ?? EPOCH_MS + scheduler.nowMs;
  globalThis.Date = createDate(wallMs);
  const elapsedMs = (): number => owner()?.clock.elapsedMs() ?? scheduler.nowMs;
  Object.defineProperties(performance, { now: { value: elapsedMs }, timeOrigin: { value: EPOCH_MS } });
  Math.random = () => random().float();

  replaceCrypto(random, replace, scheduler);
  const soon = (run: Callback): Callback => (...args) => {
    const done = args.pop() as Callback;
    scheduler.schedule(0, () => done(null, run(...args)));
  };
  const zlib = require("node:zlib") as Record<string, Callback>;
  for (const name of ["gzip", "gunzip", "deflate", "inflate", "deflateRaw", "inflateRaw"]) {
    zlib[name] = soon(zlib[`${name}Sync`]!);
  }
  replace("node:os", { hostname: () => owner()?.name ?? "world", networkInterfaces: () => ({}) });
  replace("node:https", createHttpsModule(network, owner));
  // Clients use this only to improve the message about an untrusted server.
  replace("node:tls", {
    connect() {
      const socket = Object.assign(new EventEmitter(), { destroy() {}, setTimeout() {} });
      scheduler.schedule(0, () => socket.emit("error", new Error("the simulation has no such connection")));
      return socket;
    },
  });
  replace("node:perf_hooks", { monitorEventLoopDelay: () => NO_DELAY });
  syncBuiltinESMExports();
  refuseRealWork(scheduler);
}

/** An event loop delay histogram without any delay. */
const NO_DELAY = { enable() {}, disable() {}, reset() {}, percentile: () => 0, min: 0, max: 0, mean: 0, stddev: 0 };

/** A timer of the simulation, with the methods of Node's. */
class Timer {
  event: ScheduledEvent | undefined;
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }
  hasRef(): boolean {
    return true;
  }
  [Symbol.dispose](): void {
    cancelEvent(this.event);
  }
}

function createTimers(scheduler: Scheduler): object {
  const begin = (ms: unknown, run: () => void): Timer => {
    const timer = new Timer();
    timer.event = scheduler.schedule(Number(ms) || 0, run);
    return timer;
  };
  const clear = (timer: unknown): void => {
    if (timer instanceof Timer) cancelEvent(timer.event);
  };
  return {
    setTimeout: (run: Callback, ms?: number, ...args: unknown[]) => begin(Math.max(1, ms ?? 1), () => run(...args)),
    setImmediate: (run: Callback, ...args: unknown[]) => begin(0, () => run(...args)),
    setInterval(run: Callback, ms?: number, ...args: unknown[]) {
      const timer = new Timer();
      const again = (): void => {
        timer.event = scheduler.schedule(Math.max(1, ms ?? 1), again);
        run(...args);
      };
      timer.event = scheduler.schedule(Math.max(1, ms ?? 1), again);
      return timer;
    },
    clearTimeout: clear,
    clearInterval: clear,
    clearImmediate: clear,
  };
}

function createWaits(scheduler: Scheduler): object {
  const wait = (ms: number, value: unknown, signal?: AbortSignal): Promise<unknown> => {
    if (signal?.aborted === true) return Promise.reject(signal.reason);
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const onAbort = (): void => {
      cancelEvent(event);
      reject(signal?.reason);
    };
    const event = scheduler.schedule(ms, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve(value);
    });
    signal?.addEventListener("abort", onAbort, { once: true });
    return promise;
  };
  return {
    setTimeout: (ms: number, value?: unknown, { signal }: { readonly signal?: AbortSignal } = {}) =>
      wait(ms, value, signal),
    setImmediate: (value?: unknown, { signal }: { readonly signal?: AbortSignal } = {}) => wait(0, value, signal),
  };
}

/** Creates a `Date` that shows the clock of the host whose code is running. */
function createDate(wallMs: () => number): DateConstructor {
  const Real = Date;
  function Simulated(...args: readonly unknown[]): Date | string {
    if (new.target === undefined) return new Real(wallMs()).toString();
    return args.length === 0 ? new Real(wallMs()) : Reflect.construct(Real, args);
  }
  return Object.assign(Simulated as unknown as DateConstructor, {
    prototype: Real.prototype,
    now: wallMs,
    parse: Real.parse,
    UTC: Real.UTC,
  });
}

function toText(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}

function replaceCrypto(
  random: () => Random,
  replace: (module: string, members: object) => void,
  scheduler: Scheduler,
): void {
  const { sign, verify, KeyObject: Key, createPrivateKey, createPublicKey } = createRequire(import.meta.url)(
    "node:crypto",
  ) as typeof import("node:crypto");
  const fill = <T extends ArrayBufferView>(target: T): T => {
    new Uint8Array(target.buffer, target.byteOffset, target.byteLength).set(random().bytes(target.byteLength));
    return target;
  };
  const randomUUID = (): string => {
    const bytes = random().bytes(16);
    bytes[6] = bytes[6]! & 0x0f | 0x40;
    bytes[8] = bytes[8]! & 0x3f | 0x80;
    const hex = Buffer.from(bytes).toString("hex");
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
  };
  const randomBytes = (length: number, done?: Callback): Buffer | undefined => {
    const bytes = Buffer.from(random().bytes(length));
    if (done === undefined) return bytes;
    scheduler.schedule(0, () => done(null, bytes));
    return undefined;
  };
  // A server rereads its files each minute. Signatures are cached by key object, so equal bytes must give the same one.
  const privateKeys = new ResultCache<KeyObject>();
  const publicKeys = new WeakMap<KeyObject, KeyObject>();
  const verified = new WeakMap<KeyObject, ResultCache<boolean>>();
  const check = (hash: string | null, data: Uint8Array, key: KeyObject, signature: Uint8Array): boolean => {
    if (!(key instanceof Key)) return verify(hash, data, key, signature);
    let known = verified.get(key);
    if (known === undefined) verified.set(key, known = new ResultCache());
    return known.get(`${hash} ${toText(signature)} ${toText(data)}`, () => verify(hash, data, key, signature));
  };
  replace("node:crypto", {
    createPrivateKey(key: Parameters<typeof createPrivateKey>[0]): KeyObject {
      if (typeof key !== "object" || !("format" in key) || key.format !== "der") return createPrivateKey(key);
      const { key: der, type } = key;
      if (!(der instanceof Uint8Array)) return createPrivateKey(key);
      return privateKeys.get(`${type} ${toText(der)}`, () => createPrivateKey(key));
    },
    createPublicKey(key: Parameters<typeof createPublicKey>[0]): KeyObject {
      if (!(key instanceof Key)) return createPublicKey(key);
      let found = publicKeys.get(key);
      if (found === undefined) publicKeys.set(key, found = createPublicKey(key));
      return found;
    },
    verify(
      hash: string | null,
      data: Uint8Array,
      key: KeyObject,
      signature: Uint8Array,
      done?: Callback,
    ): boolean | undefined {
      const isValid = check(hash, data, key, signature);
      if (done === undefined) return isValid;
      scheduler.schedule(0, () => done(null, isValid));
      return undefined;
    },
    randomBytes,
    randomUUID,
    randomFillSync: fill,
    generateKeyPair(type: string, { namedCurve }: { readonly namedCurve?: string } = {}, done: Callback) {
      if (type !== "ec" || namedCurve !== "P-256") {
        throw new Error(`the simulation has no keys of ${type} ${namedCurve}`);
      }
      const key = deriveKey(random());
      scheduler.schedule(0, () => done(null, createPublicKey(key), key));
    },
    sign(hash: string | null, data: Uint8Array, key: KeyObject | { readonly key: KeyObject }) {
      const { key: own, dsaEncoding } = key instanceof Key ? { key, dsaEncoding: undefined } : {
        dsaEncoding: undefined,
        ...key,
      } as { readonly key: KeyObject; readonly dsaEncoding: "der" | undefined };
      if (own.asymmetricKeyType !== "ec" || hash === null) return sign(hash, data, own);
      return signDeterministically(hash, data, own, dsaEncoding);
    },
  });
  Object.defineProperties(globalThis.crypto, {
    getRandomValues: { value: fill },
    randomUUID: { value: randomUUID },
  });
}

/** Ends the run with an error when anything waits for a thread, a socket or a real timer. */
function refuseRealWork(scheduler: Scheduler): void {
  createHook(
    {
      init(_id, type) {
        if (WITHIN_EVENT.has(type) || scheduler.owner.getStore() === undefined) return;
        scheduler.fail(new Error(`the simulation cannot wait for the real world: ${type}`));
      },
      // Promises end within an event, and tracking them would double the time of a run.
      trackPromises: false,
    } as Parameters<typeof createHook>[0],
  ).enable();
  process.on("unhandledRejection", (error) => scheduler.fail(error));
}
