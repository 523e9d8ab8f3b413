/** Programs that an upgrade runs: the new file, for a test, and systemctl for the services that run the installed one. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { readlink } from "node:fs/promises";
import { promisify } from "node:util";
import type { Clock } from "../../../core/ports.ts";
import { getErrorMessage } from "../../../core/errors.ts";
import { err, ok, type Result } from "../../../core/lib/result.ts";

/** Where systemd is the init system (sd_booted(3)). */
const SYSTEMD = "/run/systemd/system";
/** A service that fails for its settings or its data does so at once; one that fails later would have failed before too. */
const SETTLE_SECONDS = 10;

/** Runs a program to its end; resolves with its stdout, or with the reason why it did not succeed. */
export async function runToEnd(
  program: string,
  args: readonly string[],
  options: { readonly timeout?: number; readonly signal?: AbortSignal } = {},
): Promise<Result<string, string>> {
  try {
    return ok((await promisify(execFile)(program, [...args], { ...options, cwd: "/" })).stdout);
  } catch (error) {
    options.signal?.throwIfAborted();
    const { stderr = "", killed = false, signal } = error as { stderr?: string; killed?: boolean; signal?: string };
    if (killed) return err("it does not end");
    return err(stderr.trim() || (signal ? `it ended by ${signal}` : getErrorMessage(error)));
  }
}

/** Finds the services of systemd whose main process runs a file; none where there is no systemd. */
export async function findServices(file: string): Promise<readonly string[]> {
  if (!existsSync(SYSTEMD)) return [];
  const services = await readMainPids(["*.service"]);
  const running = await Promise.all([...services].map(async ([unit, pid]) => {
    if (pid === "0") return [];
    // A process of a kernel thread, of another user or that has just ended has no link that can be read.
    const program = await readlink(`/proc/${pid}/exe`).catch(() => "");
    return program === file ? [unit] : [];
  }));
  return running.flat().sort();
}

/**
 * Restarts services and waits until they have run for ten seconds. Resolves with the reason when one does not start, or
 * ends. A service of `Type=notify` has then reported that it is ready.
 */
export async function restartServices(
  units: readonly string[],
  clock: Pick<Clock, "sleep">,
  signal: AbortSignal,
): Promise<Result<undefined, string>> {
  if (units.length === 0) return ok(undefined);
  const restarted = await runToEnd("systemctl", ["restart", ...units], { signal });
  if (!restarted.ok) return restarted;
  const started = await readMainPids(units);
  for (let second = 0; second <= SETTLE_SECONDS; second++) {
    const now = await readMainPids(units);
    const ended = units.find((unit) => now.get(unit) === "0" || now.get(unit) !== started.get(unit));
    if (ended !== undefined) return err(`${ended} ended again`);
    if (second < SETTLE_SECONDS) await clock.sleep(1000, signal);
  }
  return ok(undefined);
}

/** Reads the number of the main process of each service; `0` for one that does not run. */
async function readMainPids(units: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const shown = await runToEnd("systemctl", ["show", "--property=Id,MainPID", ...units]);
  if (!shown.ok) throw new Error(`cannot ask systemd for its services: ${shown.error}`);
  return new Map(
    shown.value.split("\n\n").flatMap((block) => {
      const [id, pid] = [/^Id=(.*)$/m.exec(block)?.[1], /^MainPID=(.*)$/m.exec(block)?.[1]];
      return id === undefined || pid === undefined ? [] : [[id, pid]];
    }),
  );
}
