/** The value of `--signal`: a process to notify of a change, and its signal. */
import { err, ok, type Result } from "../../../core/lib/result.ts";

/** A signal, and the pid file of the process that gets it. */
export interface SignalHook {
  readonly signal: NodeJS.Signals;
  readonly pidFile: string;
}

/** The signals that programs use to reload their files or to end. */
const SIGNALS: readonly NodeJS.Signals[] = ["SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGWINCH"];

/** Parses a value such as `HUP:/run/nginx.pid`. */
export function parseSignalHook(text: string): Result<SignalHook, string> {
  const [, name = "", pidFile = ""] = /^([A-Za-z0-9]+):(.+)$/.exec(text) ?? [];
  const signal = SIGNALS.find((item) => item === name.toUpperCase() || item === `SIG${name.toUpperCase()}`);
  if (signal !== undefined && pidFile !== "") return ok({ signal, pidFile });
  return err(`want NAME:PIDFILE, such as HUP:/run/nginx.pid, with one of ${SIGNALS.join(", ")}`);
}
