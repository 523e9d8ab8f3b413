/** `--signal`: which process is told of a change, and how. */
import { err, ok, type Result } from "../../core/lib/result.ts";

/** A signal, and the file with the number of the process that gets it. */
export interface SignalHook {
  readonly signal: NodeJS.Signals;
  readonly pidFile: string;
}

/** Signals that programs take as "read your files again" or "end". */
const SIGNALS: readonly NodeJS.Signals[] = ["SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGWINCH"];

/** Reads `HUP:/run/nginx.pid`. */
export function parseSignalHook(text: string): Result<SignalHook, string> {
  const [, name = "", pidFile = ""] = /^([A-Za-z0-9]+):(.+)$/.exec(text) ?? [];
  const signal = SIGNALS.find((item) => item === name.toUpperCase() || item === `SIG${name.toUpperCase()}`);
  if (signal !== undefined && pidFile !== "") return ok({ signal, pidFile });
  return err(`want NAME:PIDFILE, such as HUP:/run/nginx.pid, with one of ${SIGNALS.join(", ")}`);
}
