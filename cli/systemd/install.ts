/**
 * Installs a systemd service and waits until it works, or removes it. The files to write and the programs to run are
 * planned first, from what the machine already has.
 */
import { existsSync } from "node:fs";
import { basename, dirname } from "node:path";
import process from "node:process";
import { AppError } from "../../core/errors.ts";
import { err, ok, type Result } from "../../core/lib/result.ts";
import { shellWord } from "../../core/lib/printable.ts";
import { canAsk, confirm } from "../terminal.ts";
import { EXIT, type ExitCode, UsageError } from "../exit_code.ts";
import { type CommandSpec, formatCommand, formatCommandLine, formatWords } from "../framework/command.ts";
import type { FlagSet, Settings } from "../framework/flags.ts";
import type { Tools } from "../io.ts";
import { createSteps } from "../output/progress.ts";
import { findUnitProgram } from "./unit.ts";
import { runToEnd } from "../processes.ts";
import type { TextFile } from "../../core/lib/tar.ts";
import { PUBLIC_MODE } from "../../client/files.ts";

/** Reports whether systemd is the init system (sd_booted(3)). */
export function isSystemdRunning(): boolean {
  return existsSync("/run/systemd/system");
}

/**
 * Reads systemd's state of a unit, before anything is asked or done. Throws if this machine or user cannot install services,
 * if the unit is not tlsboot's, or if there is neither a terminal nor --yes.
 */
export async function checkHost<F extends FlagSet>(
  unit: string,
  command: Pick<CommandSpec<F>, "path" | "flags">,
  typed: { readonly args?: readonly string[]; readonly settings: Settings<F> & { readonly yes: boolean } },
  tools: Tools,
): Promise<UnitState> {
  const line = formatCommandLine(formatCommand(command, typed, (path) => path));
  const refusal = checkServiceHost({ hasSystemd: isSystemdRunning(), isRoot: process.getuid?.() === 0 }, line);
  if (refusal !== undefined) throw toError(refusal);
  if (!typed.settings.yes && !canAsk(tools)) {
    throw new UsageError("cannot ask before each change without a terminal: add --yes");
  }
  const [state = {}] = await showUnits(unit);
  required(planRemoval({ unit, files: [] }, await readService({ unit, files: [] }, state, tools)));
  return state;
}

/** How to install a service, and what to show to the user. */
interface InstallOptions {
  /** True to install it without asking. */
  readonly yes: boolean;
  /** How long to wait until the service works, in milliseconds. */
  readonly timeout: number;
  /** What the service does. It is shown before the installation. */
  readonly summary: string;
  /** Formats the next steps, from the status of the running service. */
  readonly next: (status: string) => string | Promise<string>;
  /** The command that removes the service. */
  readonly undo: string;
}

/** Installs a service, or changes what differs, and waits until it works. `state` is the result of `checkHost`. */
export async function installService(
  service: WantedService,
  state: UnitState,
  options: InstallOptions,
  tools: Tools,
): Promise<ExitCode> {
  const { unit, files } = service;
  const program = findUnitProgram(tools);
  if (!existsSync(program)) {
    const source = basename(tools.execPath).startsWith("tlsboot") ? shellWord(tools.execPath) : "FILE";
    throw toError({
      message: `the service starts "${program}", which does not exist`,
      hint: `install it first: sudo install -m 755 ${source} ${program}`,
    });
  }
  const found = await readService(service, state, tools);
  const plan = required(planInstallation(service, found));
  const written = plan.flatMap((step) => step.kind === "write" ? [step.file.path] : []);
  const kept = [...files.map(({ path }) => path), unitPath(unit)].filter((path) => !written.includes(path));
  tools.stderr.write(`${unit}: ${options.summary}\n`);
  if (plan.length === 0) tools.stderr.write("it is installed like this already, and runs: nothing is changed\n");
  else for (const path of kept) tools.stderr.write(`  unchanged: ${path}\n`);
  if (!await carryOut(plan, found, options.yes, tools)) return EXIT.no;
  const { isReady, status } = await waitUntilReady(unit, options.timeout, tools);
  const next = isReady
    ? `${unit} is ready: ${status}\n${await options.next(status)}`
    : `${unit} is installed, and continues by itself: ${status}\n`;
  tools.stdout.write(`${next}\nTo undo this: ${options.undo}\n`);
  return isReady ? EXIT.done : EXIT.no;
}

/** Formats the commands that show the state and the log of a service. */
export function formatServiceCommands(unit: string): string {
  return `  # see what the service does
  systemctl status ${unit}

  # read what it has done
  journalctl --unit ${unit}
`;
}

/** Removes a service with its files, and says which data stays. */
export async function uninstallService(
  service: Pick<WantedService, "unit" | "files">,
  state: UnitState,
  { yes }: { readonly yes: boolean },
  tools: Tools,
): Promise<ExitCode> {
  const found = await readService(service, state, tools);
  const plan = required(planRemoval(service, found));
  if (plan.length === 0) {
    tools.stdout.write(`there is no ${service.unit}: nothing is changed\n`);
    return EXIT.done;
  }
  if (!await carryOut(plan, found, yes, tools)) return EXIT.no;
  const data = findDataFolders(found.texts.get(unitPath(service.unit)) ?? "");
  tools.stdout.write(`${service.unit} is removed. Its data stays in ${data}\n`);
  return EXIT.done;
}

/** Shows the steps, asks, and carries them out. False if the user declines. */
async function carryOut(
  plan: readonly ServiceStep[],
  found: FoundService,
  yes: boolean,
  tools: Tools,
): Promise<boolean> {
  const { files, stderr, signal } = tools;
  if (plan.length === 0) return true;
  for (const step of plan) stderr.write(`  ${describeServiceStep(step, found)}\n`);
  if (!yes && !await confirm("Do this?", tools)) {
    stderr.write("none of this is done\n");
    return false;
  }
  for (const step of plan) {
    if (step.kind === "remove") await files.unlink(step.path);
    else if (step.kind === "write") {
      await files.makeDirectory(dirname(step.file.path), 0o755);
      await files.writeAtomic(step.file.path, step.file.text, step.file.mode);
    } else {
      const [program, ...args] = step.words;
      const done = await runToEnd(program, args, { signal });
      if (!done.ok) {
        throw new AppError("io", `cannot ${describeServiceStep(step, found)}: ${done.error}`, {
          hint: "fix this, and run the same command again: it continues",
        });
      }
    }
  }
  return true;
}

async function readService(
  { unit, files, user }: Omit<WantedService, "text">,
  { ActiveState: state = "inactive", UnitFileState: fileState }: UnitState,
  tools: Tools,
): Promise<FoundService> {
  const paths = [...files.map(({ path }) => path), unitPath(unit), ...listPackagedPaths(unit)];
  const texts = await Promise.all(paths.map(async (path) => [path, await tools.files.readText(path)] as const));
  const name = user?.split(" ")[1];
  return {
    texts: new Map(texts.flatMap(([path, text]) => text === undefined ? [] : [[path, text]])),
    hasUser: name === undefined || (await runToEnd("id", [name])).ok,
    isEnabled: fileState === "enabled",
    state,
  };
}

/** The properties of a unit in systemd, by name. Empty for an unknown unit. */
export type UnitState = Readonly<Record<string, string>>;

const PROPERTIES = "Id,ActiveState,SubState,UnitFileState,StatusText,InvocationID,Job,MainPID";

/** Reads systemd's properties of units, which are given by names or patterns. */
export async function showUnits(...units: readonly string[]): Promise<readonly UnitState[]> {
  const shown = await runToEnd("systemctl", ["show", `--property=${PROPERTIES}`, ...units]);
  if (!shown.ok) throw new AppError("io", `cannot ask systemd for ${units.join(", ")}: ${shown.error}`);
  return shown.value.trim().split("\n\n").map((block) =>
    Object.fromEntries(block.split("\n").map((line) => line.split(/=(.*)/s, 2)))
  );
}

const POLL_MS = 300;

/** Waits until a unit has started. `isReady` is false if it is still starting after `timeout`. */
async function waitUntilReady(
  unit: string,
  timeout: number,
  tools: Tools,
): Promise<{ readonly isReady: boolean; readonly status: string }> {
  const { clock, signal } = tools;
  using steps = createSteps(tools);
  const endsAt = clock.elapsedMs() + timeout;
  let shown = "";
  for (;;) {
    const [state = {}] = await showUnits(unit);
    const { ActiveState, SubState, StatusText: status = "", InvocationID, Job = "" } = state;
    if (ActiveState === "active") return { isReady: true, status };
    const isStarting = ActiveState === "activating" || Job !== "";
    if (!isStarting || SubState === "auto-restart") throw await findFailure(unit, InvocationID);
    if (clock.elapsedMs() >= endsAt) return { isReady: false, status };
    if (status !== shown && status !== "") steps.step(shown = status);
    await clock.sleep(POLL_MS, signal);
  }
}

/** Creates the error for a service that has ended, from what it logged. */
async function findFailure(unit: string, invocation: string | undefined): Promise<AppError> {
  const log = await runToEnd("journalctl", ["--no-pager", "-o", "cat", `_SYSTEMD_INVOCATION_ID=${invocation}`]);
  const [, why, hint] = /^tlsboot: error: (.*)\n(?:tlsboot: hint: (.*)$)?/m.exec(log.ok ? log.value : "") ?? [];
  const advice = `see: journalctl --unit ${unit}; then run the same command again, it continues`;
  return new AppError("io", `${unit} does not start: ${why ?? "it ended"}`, {
    hint: hint === undefined ? advice : `${hint}; ${advice}`,
  });
}

function required<T>(result: Result<T, ServiceRefusal>): T {
  if (result.ok) return result.value;
  throw toError(result.error);
}

function toError({ message, hint }: ServiceRefusal): AppError {
  return new AppError("invalid", message, { hint });
}

/** The unit and the files of a service to install. */
export interface WantedService {
  /** The name of the unit, such as `tlsboot.service`. */
  readonly unit: string;
  /** The text of the unit. Its first line says that tlsboot wrote it. */
  readonly text: string;
  /** The settings and secrets that it reads. */
  readonly files: readonly TextFile[];
  /** The user that the unit needs, as a line of sysusers.d(5). */
  readonly user?: string | undefined;
}

/** The parts of a service that the machine already has. */
export interface FoundService {
  /** The texts of the existing files by path: those of the service, and units with its name. */
  readonly texts: ReadonlyMap<string, string>;
  readonly hasUser: boolean;
  readonly isEnabled: boolean;
  /** systemd's ActiveState, such as `active`. */
  readonly state: string;
}

/** A step of an installation or a removal. */
type ServiceStep =
  | { readonly kind: "write"; readonly file: TextFile }
  | { readonly kind: "remove"; readonly path: string }
  | { readonly kind: "run"; readonly words: readonly [program: string, ...args: string[]] };

/** Why a service cannot be installed or removed, and what to do instead. */
interface ServiceRefusal {
  readonly message: string;
  readonly hint: string;
}

/** Returns the path of a unit that administrators, or tlsboot, write. */
export function unitPath(unit: string): string {
  return `/etc/systemd/system/${unit}`;
}

/** Lists the paths at which packages install a unit. */
function listPackagedPaths(unit: string): readonly string[] {
  return [`/usr/lib/systemd/system/${unit}`, `/lib/systemd/system/${unit}`];
}

/** Plans an installation. The plan is empty if the service is already installed like this, and runs. */
export function planInstallation(
  service: WantedService,
  found: FoundService,
): Result<readonly ServiceStep[], ServiceRefusal> {
  const { unit, user } = service;
  const refusal = findForeignUnit(unit, found) ?? findOtherService(service, found);
  if (refusal !== undefined) return err(refusal);
  // The unit is written first and removed last, so that an interrupted installation can be removed with its secrets.
  const wanted = [{ path: unitPath(unit), text: service.text, mode: PUBLIC_MODE }, ...service.files];
  const writes = wanted.filter(({ path, text }) => found.texts.get(path) !== text);
  if (writes.length === 0 && found.hasUser && found.isEnabled && found.state === "active") return ok([]);
  return ok([
    ...(found.hasUser || user === undefined ? [] : [run("systemd-sysusers", "--inline", user)]),
    ...writes.map((file): ServiceStep => ({ kind: "write", file })),
    run("systemctl", "daemon-reload"),
    run("systemctl", "enable", unit),
    ...(found.state === "inactive" ? [] : [run("systemctl", "stop", unit)]),
    run("systemctl", "start", "--no-block", unit),
  ]);
}

/** Plans a removal. The plan is empty if there is no such service. */
export function planRemoval(
  { unit, files }: Pick<WantedService, "unit" | "files">,
  found: FoundService,
): Result<readonly ServiceStep[], ServiceRefusal> {
  const refusal = findForeignUnit(unit, found);
  if (refusal !== undefined) return err(refusal);
  if (!found.texts.has(unitPath(unit))) return ok([]);
  return ok([
    run("systemctl", "disable", "--now", unit),
    ...files.filter(({ path }) => found.texts.has(path)).map(({ path }): ServiceStep => ({ kind: "remove", path })),
    { kind: "remove", path: unitPath(unit) },
    run("systemctl", "daemon-reload"),
  ]);
}

function run(...words: readonly [program: string, ...args: string[]]): ServiceStep {
  return { kind: "run", words };
}

/** Refuses to change a unit that a package or an administrator has written. */
function findForeignUnit(unit: string, { texts }: FoundService): ServiceRefusal | undefined {
  const packaged = listPackagedPaths(unit).find((path) => texts.has(path));
  if (packaged !== undefined) {
    return {
      message: `${unit} belongs to a package: ${packaged}`,
      hint: `change /etc/tlsboot/up.yaml, then run: sudo systemctl enable ${unit} && sudo systemctl restart ${unit}`,
    };
  }
  const text = texts.get(unitPath(unit));
  if (text === undefined || text.startsWith("# Written by tlsboot ")) return undefined;
  return {
    message: `"${unitPath(unit)}" was not written by tlsboot`,
    hint:
      `manage this service with systemctl, or remove it: sudo systemctl disable --now ${unit}, then delete the file`,
  };
}

/** Refuses to replace the service of another machine or purpose. */
function findOtherService({ unit, text }: WantedService, { texts }: FoundService): ServiceRefusal | undefined {
  const [has, wants] = [texts.get(unitPath(unit)) ?? text, text].map((one) => /^Description=(.*)$/m.exec(one)?.[1]);
  if (has === wants) return undefined;
  return { message: `${unit} exists for something else: ${has}`, hint: "remove it first, with --uninstall-service" };
}

/** Describes a step for the user. The content of a file is not shown, because it may be secret. */
export function describeServiceStep(step: ServiceStep, { texts }: FoundService): string {
  switch (step.kind) {
    case "write":
      return `${texts.has(step.file.path) ? "change" : "write"} ${step.file.path}`;
    case "remove":
      return `remove ${step.path}`;
    case "run":
      return `run ${formatWords(step.words)}`;
  }
}

/** Reads the folders in which the program keeps data from the text of a unit, as text for the user. */
export function findDataFolders(unit: string): string {
  const [, state, folders] = /^(?:StateDirectory=(.*)|ReadWritePaths=(.*))$/m.exec(unit) ?? [];
  return state === undefined ? (folders ?? "").replaceAll(/(?<=^|[ "])-/g, "") : `/var/lib/${state}`;
}

/** Finds why services cannot be installed on this machine or by this user. `line` is the command line of the user. */
export function checkServiceHost(
  { hasSystemd, isRoot }: { readonly hasSystemd: boolean; readonly isRoot: boolean },
  line: string,
): ServiceRefusal | undefined {
  if (!hasSystemd) {
    return {
      message: "this machine does not run systemd, so it cannot have a service of systemd",
      hint: "start tlsboot from the init system that it has; the units in packaging/systemd, and those that " +
        "--print-systemd-unit prints, show how",
    };
  }
  return isRoot ? undefined : { message: "only root can install or remove a service", hint: `run: sudo ${line}` };
}
