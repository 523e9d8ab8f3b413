/** Shows the progress of rotations: the servers, and which machines and users are ready. */
import { AppError } from "../../../core/errors.ts";
import { isInProgress } from "../../../core/rotation/ca_rotation.ts";
import type { CaRotation } from "../../../core/kube/kinds/tlsboot_v1alpha1.ts";
import type { CensusRow } from "../../../core/rotation/census.ts";
import type { ApiClient } from "../../../client/objects/api.ts";
import { attemptUntil, findRotation, listRotations, readCensus } from "../../api/ca_rotations.ts";
import { connect } from "../../api/connection.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import type { Settings } from "../../framework/flags.ts";
import { UsageError } from "../../framework/usage_error.ts";
import type { Io } from "../../io.ts";
import { line } from "../../output/escape.ts";
import { findDeadline, startProgress } from "../../output/progress.ts";
import { writeStructured } from "../../output/structured.ts";
import {
  describeCounts,
  describeNext,
  formatCensus,
  formatRotation,
  isRotationReady,
  toRotationFacts,
} from "../../api/ca_rotation_text.ts";
import type { CaRotateStatusFlags } from "./rotate_flags.ts";

/** A rotation with its census. */
interface Report {
  readonly rotation: CaRotation;
  readonly rows: readonly CensusRow[];
}

/** A wait reads the whole register again and again, so its pauses are this many times as long as the reading. */
const PAUSE_FACTOR = 10;
const MIN_PAUSE_MS = 1_000;

/** The action of the command `tlsboot ca rotate status`. */
export async function run(input: Input<CaRotateStatusFlags>, io: Io, signal: AbortSignal): Promise<ExitCode> {
  const { settings, args: [name] } = input;
  if (settings.clusterSigningCertFile !== undefined) {
    if (settings.wait !== undefined) throw new UsageError("--wait is for the CA of a server", "run the command again");
    return await (await import("./rotate_files.ts")).showOnFiles(input, io, signal);
  }
  const reports = settings.wait === undefined
    ? await readReports(name, settings, io, signal)
    : await waitUntilReady(name, settings, settings.wait, io, signal);
  const now = io.clock.now();
  const { output } = settings;
  if (output === "json" || output === "yaml") {
    const [only] = reports;
    const facts = name === undefined || only === undefined
      ? reports.map(({ rotation, rows }) => toRotationFacts(rotation, rows, now))
      : toRotationFacts(only.rotation, only.rows, now);
    writeStructured(facts, output, io);
  } else for (const [index, report] of reports.entries()) print(report, output === "wide", index, now, io);
  if (reports.length === 0) io.stderr.write("no rotation is in progress; begin one with: tlsboot ca rotate begin\n");
  return reports.every(({ rotation, rows }) => isSettled(rotation, rows, now)) ? EXIT.done : EXIT.no;
}

async function readReports(
  name: string | undefined,
  settings: Settings<CaRotateStatusFlags>,
  io: Io,
  signal: AbortSignal,
): Promise<readonly Report[]> {
  await using connection = await connect(settings, io);
  return await collect(name, connection.api, io, signal);
}

/** Reads the rotation that is named, or those in progress. AppError `not_found` for a name without one. */
async function collect(
  name: string | undefined,
  api: ApiClient,
  io: Io,
  signal: AbortSignal,
): Promise<readonly Report[]> {
  const found = name === undefined
    ? (await listRotations(api, signal)).filter(isInProgress)
    : [await findRotation(api, name, signal)];
  const reports: Report[] = [];
  for (const rotation of found) {
    if (rotation === undefined) {
      throw new AppError("not_found", `the CA "${name}" is not being replaced`, {
        hint: "see what is with: tlsboot ca rotate status; begin with: tlsboot ca rotate begin",
      });
    }
    const rows = isInProgress(rotation) ? await readCensus(api, rotation, io.clock, signal) : [];
    reports.push({ rotation, rows });
  }
  return reports;
}

async function waitUntilReady(
  name: string | undefined,
  settings: Settings<CaRotateStatusFlags>,
  timeoutMs: number,
  io: Io,
  signal: AbortSignal,
): Promise<readonly Report[]> {
  using progress = startProgress(io, "waiting", findDeadline(timeoutMs, io.clock));
  let pauseMs = MIN_PAUSE_MS;
  let last: readonly Report[] = [];
  const wait = { settings, io, timeoutMs };
  const describe = () => last.map(({ rows }) => describeCounts(rows)).join("; ");
  try {
    return await attemptUntil(
      wait,
      async ({ api }) => {
        const startedAt = io.clock.elapsedMs();
        last = await collect(name, api, io, signal);
        pauseMs = Math.max(MIN_PAUSE_MS, (io.clock.elapsedMs() - startedAt) * PAUSE_FACTOR);
        progress.update(describe());
        return last.every(({ rotation, rows }) => isSettled(rotation, rows, io.clock.now())) ? last : undefined;
      },
      describe,
      signal,
      () => pauseMs,
    );
  } catch (error) {
    // Without an answer there is nothing to show; otherwise the state at the end of the wait is the answer.
    if (!(error instanceof AppError) || error.code !== "timeout" || last.length === 0) throw error;
    return last;
  }
}

function isSettled(rotation: CaRotation, rows: readonly CensusRow[], now: Date): boolean {
  return !isInProgress(rotation) || isRotationReady(rotation, rows, now);
}

function print({ rotation, rows }: Report, isWide: boolean, index: number, now: Date, io: Io): void {
  if (index > 0) io.stdout.write("\n");
  io.stdout.write(formatRotation(rotation, rows, now));
  const shown = isWide ? rows : rows.filter(({ state }) => state !== "ready");
  if (shown.length > 0) io.stdout.write(`\n${formatCensus(shown, isWide)}`);
  io.stderr.write(line`${describeNext(rotation, isRotationReady(rotation, rows, now))}\n`);
}
