/** The steps of a rotation after its beginning: switch, finish and abort. */
import { AppError } from "../../../core/errors.ts";
import { formatTime, getName } from "../../../core/kube/meta.ts";
import type { CaRotation, CaRotationServer } from "../../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { findNearest } from "../../../core/lib/nearest.ts";
import { type CensusRow, isAborting, isNamed } from "../../../core/rotation/census.ts";
import {
  caRotationPath,
  changeRotation,
  deleteIfPresent,
  findRotation,
  readCensus,
  repeatUntilDone,
  type RotationWait,
  sortServers,
  waitForServers,
  waitUntilUntrusted,
  wrappedKeyPath,
} from "../../api/ca_rotations.ts";
import { connect } from "../../api/connection.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Action, Input } from "../../framework/command.ts";
import { warn } from "../../framework/report.ts";
import type { Io } from "../../io.ts";
import { line } from "../../output/escape.ts";
import {
  describeNext,
  describeServers,
  describeStep,
  formatCensus,
  formatRotation,
  isRotationReady,
} from "../../api/ca_rotation_text.ts";
import type { CaRotateAbortFlags, CaRotateFinishFlags, CaRotateSwitchFlags } from "./rotate_flags.ts";

/** The action of the command `tlsboot ca rotate switch`. */
export const switchAction: Action<CaRotateSwitchFlags> = { run: runSwitch };
/** The action of the command `tlsboot ca rotate finish`. */
export const finishAction: Action<CaRotateFinishFlags> = { run: runFinish };
/** The action of the command `tlsboot ca rotate abort`. */
export const abortAction: Action<CaRotateAbortFlags> = { run: runAbort };

async function runSwitch(input: Input<CaRotateSwitchFlags>, io: Io, signal: AbortSignal): Promise<ExitCode> {
  const { settings, origins, args: [name = "ca"] } = input;
  if (settings.clusterSigningCertFile !== undefined) {
    return await (await import("./rotate_files.ts")).switchOnFiles(input, io, signal);
  }
  const wait = { settings, io, timeoutMs: settings.timeout };
  const isOverGiven = origins["over"] !== "default";
  const before = await readRotation(name, wait, signal);
  if (before.spec.step === "Finish") return reportNothingToDo(before, io);
  // A server that does not trust the new CA yet would refuse what another one signs.
  if (before.spec.step === "Trust") warnOfDown(await waitForServers(name, wait, signal), io);
  const window = planWindow(io.clock.now(), settings.over);
  const change = ({ spec }: CaRotation) => {
    if (spec.step === "Finish" || (spec.step === "Switch" && !isOverGiven)) return undefined;
    return { ...spec, step: "Switch", ...window } as const;
  };
  await repeatUntilDone(wait, (api) => changeRotation(api, before, change, signal), signal);
  if (before.spec.step === "Switch" && !isOverGiven) reportNothingToDo(before, io);
  return await reportStep(await waitForServers(name, wait, signal), wait, signal);
}

async function runFinish(input: Input<CaRotateFinishFlags>, io: Io, signal: AbortSignal): Promise<ExitCode> {
  const { settings, args: [name = "ca"] } = input;
  if (settings.clusterSigningCertFile !== undefined) {
    return await (await import("./rotate_files.ts")).finishOnFiles(input, io, signal);
  }
  const wait = { settings, io, timeoutMs: settings.timeout };
  const before = await readRotation(name, wait, signal);
  if (before.spec.step === "Trust") {
    throw new AppError("invalid", `cannot finish the rotation of ${name}: the new CA does not sign yet`, {
      hint: isAborting(before)
        ? `it is being taken back: end it with: tlsboot ca rotate abort ${name}`
        : `let it sign with: tlsboot ca rotate switch ${name}`,
    });
  }
  if (before.spec.step === "Finish") {
    reportNothingToDo(before, io);
    return await endFinish(name, wait, signal);
  }
  const rows = await repeatUntilDone(wait, (api) => readCensus(api, before, io.clock, signal), signal);
  const leftBehind = [...new Set([...before.spec.leftBehind ?? [], ...settings.leaveBehind])];
  assertKnown(settings.leaveBehind, before, rows);
  const blocking = findBlocking(before, rows, leftBehind, io);
  if (blocking !== undefined) return reportBlocking("finish", before, blocking, io);
  const change = ({ spec }: CaRotation) =>
    spec.step === "Finish" ? undefined : { ...spec, step: "Finish", leftBehind } as const;
  await repeatUntilDone(wait, (api) => changeRotation(api, before, change, signal), signal);
  return await endFinish(name, wait, signal);
}

/** Waits until no server trusts the old CA, and deletes what only an unfinished rotation needs. */
async function endFinish(name: string, wait: RotationWait, signal: AbortSignal): Promise<ExitCode> {
  const { io } = wait;
  const rotation = await waitForServers(name, wait, signal);
  await repeatUntilDone(wait, (api) => deleteIfPresent(api, wrappedKeyPath(name), signal), signal);
  io.stdout.write(formatRotation(rotation, [], io.clock.now()));
  io.stderr.write(
    line`next: destroy the old key on every server, in its data directory: shred -u pki/retired-${name}-*.key\n`,
  );
  return EXIT.done;
}

async function runAbort(input: Input<CaRotateAbortFlags>, io: Io, signal: AbortSignal): Promise<ExitCode> {
  const { settings, origins, args: [name = "ca"] } = input;
  if (settings.clusterSigningCertFile !== undefined) {
    return await (await import("./rotate_files.ts")).abortOnFiles(input, io, signal);
  }
  const wait = { settings, io, timeoutMs: settings.timeout };
  const before = await readPresentRotation(name, wait, signal);
  if (before === undefined) {
    io.stderr.write(line`nothing to do: the CA ${name} is not being replaced\n`);
    return EXIT.done;
  }
  if (before.spec.step === "Finish" || before.spec.isLeaked === true) throw noWayBack(name, before);
  if (before.spec.step === "Trust") {
    const blocking = isAborting(before) ? await findUsers(before, settings.leaveBehind, wait, signal) : undefined;
    if (blocking === undefined) return await deleteRotation(before, wait, signal);
    // As with switch, another --over changes the time in which nodes renew.
    if (origins["over"] === "default") return reportBlocking("abort", before, blocking, io);
  }
  const window = planWindow(io.clock.now(), settings.over);
  const change = ({ spec }: CaRotation) => {
    if (spec.step === "Finish" || spec.isLeaked === true) return undefined;
    return { ...spec, step: "Trust", ...window } as const;
  };
  await repeatUntilDone(wait, (api) => changeRotation(api, before, change, signal), signal);
  return await reportStep(await waitForServers(name, wait, signal), wait, signal);
}

/** Finds the rotation to abort. Without one, it deletes the Secret that a command has left which was killed. */
async function readPresentRotation(
  name: string,
  { settings, io }: RotationWait,
  signal: AbortSignal,
): Promise<CaRotation | undefined> {
  await using connection = await connect(settings, io);
  const rotation = await findRotation(connection.api, name, signal);
  if (rotation === undefined) await deleteIfPresent(connection.api, wrappedKeyPath(name), signal);
  return rotation;
}

/** Finds the machines, users and servers that still need the new CA of a rotation that is being taken back. */
async function findUsers(
  rotation: CaRotation,
  leaveBehind: readonly string[],
  wait: RotationWait,
  signal: AbortSignal,
): Promise<Blocking | undefined> {
  const { io } = wait;
  const rows = await repeatUntilDone(wait, (api) => readCensus(api, rotation, io.clock, signal), signal);
  assertKnown(leaveBehind, rotation, rows);
  return findBlocking(rotation, rows, [...rotation.spec.leftBehind ?? [], ...leaveBehind], io);
}

/** Deletes a rotation whose new CA does not sign, and waits until the servers do not trust that CA any more. */
async function deleteRotation(rotation: CaRotation, wait: RotationWait, signal: AbortSignal): Promise<ExitCode> {
  const name = getName(rotation);
  const { io } = wait;
  await repeatUntilDone(wait, async (api) => {
    await deleteIfPresent(api, caRotationPath(name), signal);
    await deleteIfPresent(api, wrappedKeyPath(name), signal);
  }, signal);
  if (await waitUntilUntrusted(rotation, wait, signal)) {
    io.stdout.write(line`the rotation of ${name} is deleted: the old CA signs, and the new one is trusted no more\n`);
  } else {
    io.stdout.write(line`the rotation of ${name} is deleted: the old CA signs\n`);
    warn("the servers were not seen to drop the new CA yet; their logs say more", io);
  }
  io.stderr.write(
    line`next: destroy the new key on every server, in its data directory, unless you need it: shred -u pki/retired-${name}-*.key\n`,
  );
  return EXIT.done;
}

async function readRotation(name: string, { settings, io }: RotationWait, signal: AbortSignal): Promise<CaRotation> {
  await using connection = await connect(settings, io);
  const rotation = await findRotation(connection.api, name, signal);
  if (rotation !== undefined) return rotation;
  throw new AppError("not_found", `the CA "${name}" is not being replaced`, {
    hint: `begin with: tlsboot ca rotate begin ${name}`,
  });
}

function planWindow(now: Date, overMs: number): { readonly renewFrom: string; readonly renewBy: string } {
  return { renewFrom: formatTime(now), renewBy: formatTime(new Date(now.getTime() + overMs)) };
}

function reportNothingToDo(rotation: CaRotation, io: Io): ExitCode {
  io.stderr.write(line`nothing to do: the rotation of ${getName(rotation)} ${describeStep(rotation)}\n`);
  return EXIT.done;
}

function warnOfDown(rotation: CaRotation, io: Io): void {
  for (const { name, time } of sortServers(rotation, io.clock.now()).down) {
    warn(`the server ${name} was not seen since ${time}; it follows when it starts`, io);
  }
}

async function reportStep(
  rotation: CaRotation,
  { settings, io }: RotationWait,
  signal: AbortSignal,
): Promise<ExitCode> {
  await using connection = await connect(settings, io);
  const rows = await readCensus(connection.api, rotation, io.clock, signal);
  const now = io.clock.now();
  io.stdout.write(formatRotation(rotation, rows, now));
  io.stderr.write(`${describeNext(rotation, isRotationReady(rotation, rows, now))}\n`);
  return EXIT.done;
}

/** Throws AppError `not_found` for a name of `--leave-behind` that no machine, user or server has. */
function assertKnown(typed: readonly string[], { status }: CaRotation, rows: readonly CensusRow[]): void {
  const servers = (status.servers ?? []).map(({ name }) => name);
  for (const name of typed) {
    if (servers.includes(name) || rows.some((row) => isNamed(row, name))) continue;
    const nearest = findNearest(name, [...rows.map((row) => row.name), ...servers]);
    throw new AppError("not_found", `--leave-behind: there is no machine, user or server "${name}" in this rotation`, {
      hint: nearest === undefined ? "see who is with: tlsboot ca rotate status -o wide" : `did you mean "${nearest}"?`,
    });
  }
}

/** The reasons why the retiring CA must stay trusted. */
interface Blocking {
  /** The machines and users that would lose access. */
  readonly losing: readonly CensusRow[];
  /** The servers that have not followed: the key of the new CA no longer travels to them afterwards. */
  readonly behind: readonly CaRotationServer[];
}

/** Finds what depends on the retiring CA; undefined when it may lose its trust. */
function findBlocking(
  rotation: CaRotation,
  rows: readonly CensusRow[],
  leftBehind: readonly string[],
  io: Io,
): Blocking | undefined {
  // After `ca rotate now` nothing is left to lose.
  const isOver = rotation.spec.isLeaked === true;
  const losing = isOver ? [] : rows.filter((row) => row.losesAccess && !leftBehind.some((name) => isNamed(row, name)));
  const { pending, down } = sortServers(rotation, io.clock.now());
  const behind = [...pending, ...down].filter(({ name }) => !leftBehind.includes(name));
  return losing.length === 0 && behind.length === 0 ? undefined : { losing, behind };
}

function reportBlocking(
  verb: "finish" | "abort",
  rotation: CaRotation,
  { losing, behind }: Blocking,
  io: Io,
): ExitCode {
  if (losing.length > 0) {
    const who = losing.length === 1 ? "1 machine or user" : `${losing.length} machines and users`;
    io.stderr.write(`nothing is changed: ${who} would lose access\n`);
    io.stdout.write(formatCensus(losing, false));
  }
  if (behind.length > 0) {
    io.stderr.write(line`nothing is changed: servers: ${describeServers(rotation, io.clock.now())}\n`);
  }
  const [first] = [...losing, ...behind];
  const name = getName(rotation) === "ca" ? "" : ` ${getName(rotation)}`;
  io.stderr.write(
    line`${
      losing.length > 0 ? "run the commands" : "start the servers"
    }, or name those that may lose access: tlsboot ca rotate ${verb}${name} --leave-behind ${first?.name ?? ""}\n`,
  );
  return EXIT.no;
}

function noWayBack(name: string, { spec }: CaRotation): AppError {
  const why = spec.step === "Finish" ? "it is finished" : "the old key has leaked, so the old CA is not trusted again";
  return new AppError("invalid", `cannot abort the rotation of ${name}: ${why}`, {
    hint: `replace the new CA with another one: tlsboot ca rotate begin ${name}`,
  });
}
