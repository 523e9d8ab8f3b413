/**
 * Reports the state of a service to systemd (sd_notify(3)): ready, a line of status, stopping, and the heartbeat for the
 * watchdog. Neither Node nor Deno can write to a datagram socket, so systemd's program `systemd-notify` does it. Also finds
 * the listening socket that a socket unit passes (sd_listen_fds(3)).
 */
import { execFile } from "node:child_process";
import process from "node:process";
import type { Logger } from "../../core/ports.ts";
import type { Io } from "../io.ts";
import { escapeValue } from "../../core/lib/printable.ts";
import { UsageError } from "../exit_code.ts";

/** A service that reports its state. Without systemd, and in a unit without `Type=notify`, nothing is reported. */
export interface SystemdService extends Disposable {
  /** Reports that the service has started, and how `systemctl status` describes it. */
  ready(status: string): void;
  /** Changes the description in `systemctl status`. */
  describe(status: string): void;
}

/** The number of heartbeats in a watchdog interval, so that one late heartbeat does not end the service. */
const HEARTBEATS = 3;

/**
 * Connects to the systemd that started this process. `signal` aborts when the service stops. A failure to report does not
 * end the service and is logged once; systemd stops a unit with `Type=notify` after `TimeoutStartSec=`.
 */
export function connectService(
  { env }: Pick<Io, "env">,
  { logger, signal }: { readonly logger: Pick<Logger, "warn">; readonly signal: AbortSignal },
): SystemdService {
  if ((env["NOTIFY_SOCKET"] ?? "") === "") return { ready() {}, describe() {}, [Symbol.dispose]() {} };
  let isReady = false;
  let description = "starting";
  let isFailureLogged = false;
  let isSending = false;
  let isOutdated = false;
  // Each message has the whole state, so it replaces those that have not been sent yet.
  const listVariables = (): readonly string[] => [
    ...(signal.aborted ? ["STOPPING=1"] : isReady ? ["READY=1"] : []),
    `STATUS=${escapeValue(signal.aborted ? "stopping" : description)}`,
    "WATCHDOG=1",
  ];
  const report = (): void => {
    isOutdated = isSending;
    if (isSending) return;
    isSending = true;
    const child = execFile("systemd-notify", listVariables(), { env }, (error, _, stderr) => {
      isSending = false;
      if (error !== null && !isFailureLogged) {
        isFailureLogged = true;
        logger.warn("cannot report to systemd", { error: stderr.trim() || error.message });
      }
      if (isOutdated) report();
    });
    child.unref();
  };
  const heartbeatMs = findWatchdogMs(env, process.pid);
  const heart = heartbeatMs === undefined ? undefined : setInterval(report, heartbeatMs / HEARTBEATS);
  heart?.unref();
  signal.addEventListener("abort", report, { once: true });
  return {
    ready(status) {
      isReady = true;
      description = status;
      report();
    },
    describe(status) {
      description = status;
      report();
    },
    [Symbol.dispose]() {
      clearInterval(heart);
      signal.removeEventListener("abort", report);
    },
  };
}

/** Returns the interval of the watchdog in milliseconds; undefined without a watchdog, or if it is for another process. */
export function findWatchdogMs(env: Io["env"], pid: number): number | undefined {
  const { WATCHDOG_USEC: microseconds = "", WATCHDOG_PID: watched = String(pid) } = env;
  return /^[1-9]\d*$/.test(microseconds) && watched === String(pid) ? Number(microseconds) / 1000 : undefined;
}

/** The number of the first descriptor that is passed. */
const FIRST_DESCRIPTOR = 3;

/** Returns the descriptor of the passed socket; undefined without one. Throws UsageError for more than one. */
export function findPassedSocket({ env }: Pick<Io, "env">, pid: number = process.pid): number | undefined {
  const { LISTEN_PID: receiver, LISTEN_FDS: count = "" } = env;
  if (receiver !== String(pid) || !/^[1-9]\d*$/.test(count)) return undefined;
  if (count === "1") return FIRST_DESCRIPTOR;
  throw new UsageError(
    `systemd has passed ${count} sockets, and tlsboot listens on one`,
    "keep one ListenStream= in the socket unit",
  );
}
