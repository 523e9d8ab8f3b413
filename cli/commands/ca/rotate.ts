/**
 * The commands `tlsboot ca rotate begin`, `status`, `switch`, `finish` and `abort`, for a CA of servers and for a CA in
 * files.
 */
import { AppError, isAppError } from "../../../core/errors.ts";
import { formatTime, getName } from "../../../core/kube/meta.ts";
import type { CaRotation } from "../../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { findNearest } from "../../../core/lib/nearest.ts";
import { line, shellWord } from "../../../core/lib/printable.ts";
import { isInProgress } from "../../../core/ca_rotation/rotation_rules.ts";
import { type CensusRow, describeState } from "../../../core/ca_rotation/census.ts";
import {
  type Blocking,
  decideStep,
  findUnknownName,
  isRotationReady,
  needsCensus,
  type ReplaceableCa,
  type RequestedStep,
} from "../../../core/ca_rotation/steps.ts";
import { getRotatedCas } from "../../../instance/authority/rotation_record.ts";
import {
  describeCa,
  describeCounts,
  describeNext,
  describeStep,
  nameHolders,
  toRotationFacts,
} from "../../../core/report/ca_rotation.ts";
import { listRotations } from "../../../client/admin/ca_rotations.ts";
import { connect, type ConnectionSettings } from "../../connection.ts";
import { createServerCa, retryUntil, type ServerCaSettings } from "../../../instance/ca_rotation/server_ca.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import type { Settings } from "../../framework/flags.ts";
import type { Io, Tools } from "../../io.ts";
import { warn } from "../../framework/report.ts";
import { displayPath } from "../../output/files.ts";
import { findDeadline, startProgress } from "../../output/progress.ts";
import { writeStructured } from "../../output/structured.ts";
import { type CaInFilesSettings, openCaInFiles } from "../../../instance/ca_rotation/ca_in_files.ts";
import { beginRotation, findContinued } from "../../../instance/authority/next_ca.ts";
import {
  type caRotateAbortCommand,
  type caRotateBeginCommand,
  type caRotateFinishCommand,
  type caRotateStatusCommand,
  type caRotateSwitchCommand,
  formatRotate,
} from "./rotate_flags.ts";
import { formatDescription } from "../../output/layout.ts";
import { createTablePrinter, type TableColumn } from "../../output/table_printer.ts";
import { type CaKeySettings, createCaKeys } from "../../passphrases/passphrase.ts";

/** Each attempt of a wait reads the whole register, so a pause is this many times as long as an attempt. */
const PAUSE_FACTOR = 10;
const MIN_PAUSE_MS = 1_000;
/** How long `status` without --wait retries a read that fails. */
const STATUS_WITHIN_MS = 10_000;

type NamedCaSettings =
  & ConnectionSettings
  & ServerCaSettings
  & Partial<CaKeySettings>
  & Omit<CaInFilesSettings, "caCert">
  & { readonly caCert: string | undefined };

/** Opens the CA that the arguments and the flags name. AppError `clock_not_set`. */
export function openReplaceableCa(
  { settings, args: [name = "ca"] }: { readonly settings: NamedCaSettings; readonly args: readonly string[] },
  timeoutMs: number,
  tools: Tools,
): ReplaceableCa {
  const { caCert, dataDir, kubeconfig, context } = settings;
  const deps = { ...tools, warn: (message: string) => warn(message, tools) };
  if (caCert === undefined) {
    const openApi = (asAdmin: boolean) => connect(asAdmin ? { ...settings, kubeconfig: undefined } : settings, tools);
    return {
      ...createServerCa(name, settings, timeoutMs, { ...deps, openApi, showWait: () => showWait(timeoutMs, tools) }),
      command: (verb) => formatRotate(verb, name === "ca" ? [] : [name], { dataDir, kubeconfig, context }),
    };
  }
  const openApi = kubeconfig === undefined ? undefined : () => connect(settings, tools);
  const keys = createCaKeys(settings, tools);
  const show = (path: string): string => displayPath(path, tools.cwd);
  return {
    ...openCaInFiles({ ...settings, caCert }, { ...deps, openApi, keys, show }),
    command: (verb) => formatRotate(verb, [], { ...settings, dataDir: undefined }),
  };
}

/** Shows the reasons of a wait for the servers: the last one next to a spinner, or each as a line without a terminal. */
function showWait(timeoutMs: number, io: Io): Disposable & { update(text: string): void } {
  const progress = startProgress(io, "waiting for the servers", findDeadline(timeoutMs, io.clock));
  const print = (text: string): void => io.stderr.write(line`${text}\n`);
  return io.stderr.isTerminal ? progress : { ...progress, update: print };
}

export async function runBegin(input: Input<typeof caRotateBeginCommand.flags>, tools: Tools): Promise<ExitCode> {
  const { settings } = input;
  const ca = openReplaceableCa(input, settings.timeout, tools);
  const options = { ...tools, ca, settings, keys: createCaKeys(settings, tools), isLeaked: false };
  const continued = await findContinued(options);
  if (continued !== undefined) reportNothingToDo(continued, tools);
  const rotation = continued === undefined ? await beginRotation(options) : await ca.advance(continued);
  return await report(ca, rotation, tools);
}

interface StepInput extends Pick<Input, "args" | "origins"> {
  readonly settings: NamedCaSettings & {
    readonly timeout: number;
    readonly over?: number;
    readonly leaveBehind?: readonly string[];
  };
}

async function runStep(
  verb: RequestedStep["verb"],
  { settings, origins, args }: StepInput,
  tools: Tools,
): Promise<ExitCode> {
  const ca = openReplaceableCa({ settings, args }, settings.timeout, tools);
  const rotation = await ca.read();
  if (rotation === undefined) {
    if (verb !== "abort") throw createMissingError(ca);
    await ca.end(undefined);
    tools.stderr.write(line`nothing to do: the CA ${ca.name} is not being replaced\n`);
    return EXIT.done;
  }
  const now = tools.clock.now();
  const { over = 0, leaveBehind = [] } = settings;
  const window = { renewFrom: formatTime(now), renewBy: formatTime(new Date(now.getTime() + over)) };
  const isWindowGiven = (origins["over"] ?? "default") !== "default";
  return await takeStep({ verb, window, isWindowGiven, leaveBehind }, ca, rotation, tools);
}

export async function runSwitch(input: Input<typeof caRotateSwitchCommand.flags>, tools: Tools): Promise<ExitCode> {
  return await runStep("switch", input, tools);
}

export async function runFinish(input: Input<typeof caRotateFinishCommand.flags>, tools: Tools): Promise<ExitCode> {
  return await runStep("finish", input, tools);
}

export async function runAbort(input: Input<typeof caRotateAbortCommand.flags>, tools: Tools): Promise<ExitCode> {
  return await runStep("abort", input, tools);
}

/** Takes a step if nothing prevents it. */
export async function takeStep(
  requested: RequestedStep,
  ca: ReplaceableCa,
  rotation: CaRotation,
  io: Io,
): Promise<ExitCode> {
  const { verb, leaveBehind = [] } = requested;
  const isCounted = needsCensus(verb, rotation);
  // After the rotation has finished, the named machines may no longer exist.
  const isChecked = leaveBehind.length > 0 && isInProgress(rotation);
  const rows = isCounted || isChecked ? await ca.census(rotation) : [];
  if (isChecked) assertKnown(leaveBehind, ca, rotation, rows);
  const decision = decideStep(requested, rotation, isCounted ? rows : [], io.clock.now());
  switch (decision.kind) {
    case "refused":
      throw new AppError("invalid", `cannot ${verb} the rotation of ${ca.name}: ${decision.reason}`, {
        hint: `the next step is: ${ca.command(decision.next)}`,
      });
    case "blocked":
      return reportBlocking(verb, ca, rotation, decision, io);
    case "end": {
      const isUntrusted = await ca.end(rotation);
      const rest = isUntrusted ? ", and the new one is no longer trusted" : "";
      io.stdout.write(line`the rotation of ${ca.name} is deleted: the old CA signs${rest}\n`);
      const { newCa } = getRotatedCas(rotation);
      const where = ca.describeRetiredKey(newCa.certificate.sha256Fingerprint);
      io.stderr.write(line`next: destroy the new key, unless you need it, ${where}\n`);
      return EXIT.done;
    }
    case "repeat":
      reportNothingToDo(rotation, io);
      return await report(ca, await ca.advance(rotation), io);
    case "advance":
      return await report(ca, await ca.advance(rotation, decision.change), io);
  }
}

async function report(ca: ReplaceableCa, rotation: CaRotation, io: Io): Promise<ExitCode> {
  const rows = await takeReportedCensus(ca, rotation);
  print({ ca, rotation, rows }, rows.filter(({ kind, state }) => kind === "place" && state !== "ready"), false, io);
  return EXIT.done;
}

/** Takes the census of a rotation in progress, and of a CA in files also afterwards: files may still trust the old CA. */
async function takeReportedCensus(ca: ReplaceableCa, rotation: CaRotation): Promise<readonly CensusRow[]> {
  return isInProgress(rotation) || rotation.status.servers === undefined ? await ca.census(rotation) : [];
}

interface Report {
  readonly ca: ReplaceableCa;
  readonly rotation: CaRotation;
  readonly rows: readonly CensusRow[];
}

export async function runStatus(input: Input<typeof caRotateStatusCommand.flags>, tools: Tools): Promise<ExitCode> {
  const { settings: { output, wait }, args: [name] } = input;
  const reports = wait === undefined ? await readReports(input, tools) : await waitUntilReady(input, wait, tools);
  const now = tools.clock.now();
  if (output === "json" || output === "yaml") {
    const facts = reports.map(({ ca, rotation, rows }) => toRotationFacts(ca, rotation, rows, now));
    writeStructured(name === undefined && input.settings.caCert === undefined ? facts : facts[0], output, tools);
  } else {
    for (const [index, one] of reports.entries()) {
      if (index > 0) tools.stdout.write("\n");
      const isWide = output === "wide";
      print(one, isWide ? one.rows : one.rows.filter(({ state }) => state !== "ready"), isWide, tools);
    }
  }
  if (reports.length === 0) tools.stderr.write("no rotation is in progress; begin one with: tlsboot ca rotate begin\n");
  return reports.every(({ ca, rotation, rows }) => isRotationReady(ca, rotation, rows)) ? EXIT.done : EXIT.no;
}

/** Reads the named rotation, or all in progress. Throws AppError `not_found` for a name without a rotation. */
async function readReports(
  { settings, args }: Input<typeof caRotateStatusCommand.flags>,
  tools: Tools,
): Promise<readonly Report[]> {
  const open = (name?: string): ReplaceableCa =>
    openReplaceableCa({ settings, args: name === undefined ? args : [name] }, STATUS_WITHIN_MS, tools);
  const isNamed = args.length > 0 || settings.caCert !== undefined;
  const named = open();
  const reports: Report[] = [];
  for (const ca of isNamed ? [named] : (await listNames(settings, tools)).map((name) => open(name))) {
    const rotation = await ca.read();
    if (rotation === undefined) throw createMissingError(ca);
    reports.push({ ca, rotation, rows: await takeReportedCensus(ca, rotation) });
  }
  return reports;
}

async function listNames(
  settings: Settings<typeof caRotateStatusCommand.flags>,
  tools: Tools,
): Promise<readonly string[]> {
  await using connection = await connect(settings, tools);
  return (await listRotations(connection.api, tools.signal)).filter(isInProgress).map(getName);
}

async function waitUntilReady(
  input: Input<typeof caRotateStatusCommand.flags>,
  timeoutMs: number,
  tools: Tools,
): Promise<readonly Report[]> {
  using progress = startProgress(tools, "waiting", findDeadline(timeoutMs, tools.clock));
  let pauseMs = MIN_PAUSE_MS;
  let last: readonly Report[] = [];
  const describe = () => last.map(({ rows }) => describeCounts(rows)).join("; ");
  const attempt = async () => {
    const startedAt = tools.clock.elapsedMs();
    last = await readReports(input, tools);
    pauseMs = Math.max(MIN_PAUSE_MS, (tools.clock.elapsedMs() - startedAt) * PAUSE_FACTOR);
    progress.update(describe());
    return last.every(({ ca, rotation, rows }) => isRotationReady(ca, rotation, rows)) ? last : undefined;
  };
  try {
    return await retryUntil(attempt, { describe, timeoutMs, pauseMs: () => pauseMs }, tools);
  } catch (error) {
    // If anything was read, the state at the end of the wait is the answer.
    if (!isAppError(error, "timeout") || last.length === 0) throw error;
    return last;
  }
}

/** Prints the state of a rotation, some rows of its census, and the next command. */
function print({ ca, rotation, rows }: Report, shown: readonly CensusRow[], isWide: boolean, io: Io): void {
  io.stdout.write(formatRotation(ca, rotation, rows));
  if (shown.length > 0) io.stdout.write(`\n${formatCensus(shown, isWide, ca.command("status"))}`);
  io.stderr.write(line`${describeNext(ca, rotation, rows)}\n`);
}

function createMissingError(ca: ReplaceableCa): AppError {
  return new AppError("not_found", `the CA "${ca.name}" is not being replaced`, {
    hint: `begin with: ${ca.command("begin")}`,
  });
}

function reportNothingToDo(rotation: CaRotation, io: Io): void {
  io.stderr.write(line`nothing to do: the rotation of ${getName(rotation)} ${describeStep(rotation)}\n`);
}

/** Throws AppError `not_found` for a name of `--leave-behind` that is not in the rotation. */
function assertKnown(
  typed: readonly string[],
  ca: ReplaceableCa,
  rotation: CaRotation,
  rows: readonly CensusRow[],
): void {
  const unknown = findUnknownName(typed, rotation, rows);
  if (unknown === undefined) return;
  const servers = (rotation.status.servers ?? []).map(({ name }) => name);
  const nearest = findNearest(unknown, [...rows.map(({ name }) => name), ...servers]);
  throw new AppError("not_found", `--leave-behind: there is no machine, user or server "${unknown}" in this rotation`, {
    hint: nearest === undefined ? `list all with: ${ca.command("status")} -o wide` : `did you mean "${nearest}"?`,
  });
}

function reportBlocking(
  verb: RequestedStep["verb"],
  ca: ReplaceableCa,
  rotation: CaRotation,
  { losing, behind }: Blocking,
  io: Io,
): ExitCode {
  if (losing.length > 0) {
    io.stderr.write(`nothing is changed: ${losing.length} of the ${nameHolders(losing)} would lose access\n`);
    io.stdout.write(formatCensus(losing, false, ca.command("status")));
  }
  if (behind.length > 0) {
    io.stderr.write(line`nothing is changed: servers: ${ca.describeFollowers(rotation)[1]}\n`);
  }
  const [first] = [...losing, ...behind];
  io.stderr.write(
    line`${losing.length > 0 ? "run the commands" : "start the servers"}, or name those that may lose access: ` +
      line`${ca.command(verb)} --leave-behind ${shellWord(first?.name ?? "")}\n`,
  );
  return EXIT.no;
}

/** The maximum number of machines and users that a table lists without `-o wide`. */
const MAX_SHOWN = 50;

/** Formats the summary of a rotation: its step, its CAs, its followers, and the number of machines in each state. */
function formatRotation(
  ca: Pick<ReplaceableCa, "describeFollowers">,
  rotation: CaRotation,
  rows: readonly CensusRow[],
): string {
  const { step, renewBy } = rotation.spec;
  return `${
    formatDescription([
      ["Rotation", `${getName(rotation)}, ${describeStep(rotation)}`],
      ["Old CA", describeCa(rotation.spec.oldCA)],
      ["New CA", describeCa(rotation.spec.newCA)],
      ["Renewal", renewBy && step !== "Finish" ? `nodes renew until ${renewBy}` : undefined],
      ca.describeFollowers(rotation),
      ["Ready", step === "Finish" && rows.length === 0 ? undefined : describeCounts(rows)],
    ])
  }\n`;
}

const ON_MACHINE = "tlsboot bootstrap";
const ON_MACHINE_NOTE =
  "Run bootstrap on the machine, with the paths of its files, and while its kubelet is stopped.\n";

const RENEWING_NOTE = "Where bootstrap --rotate-certificates runs, a renewal that is due happens by itself.\n";

const COLUMNS: readonly TableColumn[] = [
  { name: "Name" },
  { name: "Kind" },
  { name: "State" },
  { name: "Last seen", priority: 1 },
  { name: "Command" },
];

/**
 * Formats machines and users as a table. Without `isWide`, it has only the first of them, and no times; `status` is the
 * command that shows all.
 */
function formatCensus(rows: readonly CensusRow[], isWide: boolean, status: string): string {
  if (rows.length === 0) return "";
  const shown = isWide ? rows : rows.slice(0, MAX_SHOWN);
  const table = createTablePrinter({ isWide }).print(
    COLUMNS,
    shown.map((row) => ({
      cells: [
        row.name,
        row.kind,
        `${describeState(row)}${row.isLeftBehind ? " (left behind)" : ""}`,
        row.lastSeen === undefined ? "<unknown>" : formatTime(row.lastSeen),
        row.command ?? "",
      ],
    })),
  );
  const more = rows.length - shown.length;
  const rest = more === 0 ? "" : `and ${more} more: see all with: ${status} -o wide\n`;
  const isOnMachine = shown.some(({ kind, command = "" }) => kind === "node" && command.startsWith(ON_MACHINE));
  const isRenewing = shown.some(({ state }) => state === "renewalDue");
  return `${table}${rest}${isOnMachine ? ON_MACHINE_NOTE : ""}${isRenewing ? RENEWING_NOTE : ""}`;
}
