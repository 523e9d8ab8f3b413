/**
 * Replaces the program's own file with that of a release, and restores the previous one if the new one does not work. The
 * new file is tested first; systemctl restarts the services that run the program.
 */
import { createHash } from "node:crypto";
import { chown, link, readFile, readlink, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import process from "node:process";
import { AppError, getErrorMessage } from "../../../core/errors.ts";
import { TLSBOOT_VERSION } from "../../../core/version.ts";
import type { Clock } from "../../../core/ports.ts";
import { err, ok, type Result } from "../../../core/lib/result.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import type { Io, Tools } from "../../io.ts";
import { createSteps } from "../../output/progress.ts";
import { readRelease, type Release } from "../../release.ts";
import { DATA_FORMATS } from "../../../instance/formats.ts";
import { isSystemdRunning, showUnits } from "../../systemd/install.ts";
import type { upgradeCommand } from "./flags.ts";
import { isRecord, tryParseJson } from "../../../core/lib/record.ts";
import { runToEnd } from "../../processes.ts";

/** The time limit for the new file to print its version, even on a slow and busy machine. */
const TEST_START_MS = 60_000;

export async function run({ args, settings }: Input<typeof upgradeCommand.flags>, tools: Tools): Promise<ExitCode> {
  const { files } = tools;
  const file = getInstalledFile(tools);
  const folder = resolve(tools.cwd, args[0] ?? "");
  const release = await readRelease(folder, settings.releaseKey, tools);
  if (!release.ok) return refuse(release.error, tools);
  const platform = `${process.platform}-${process.arch}`;
  const found = findReleasedFile(release.value, { platform, installed: TLSBOOT_VERSION });
  if (!found.ok) return refuse(found.error, tools);
  const { name, version, hash } = found.value;
  using steps = createSteps(tools);
  steps.step(`${release.value.name} is signed by ${release.value.keyId}`);

  const source = join(folder, name);
  const content = await readFile(source).catch((error: unknown) => {
    throw new AppError("io", `cannot read "${source}": ${getErrorMessage(error)}`, { cause: error });
  });
  if (hashBytes(content) !== hash) return refuse(`"${source}" is not the file that was signed: copy it again`, tools);
  const installed = await readFile(file);
  if (!isForSameProcessor(content, installed)) return refuse(`"${source}" is not a program for ${platform}`, tools);
  if (hashBytes(installed) === hash) {
    tools.stdout.write(`"${file}" is already tlsboot ${version} of this release\n`);
    return EXIT.done;
  }

  const next = `${file}.new`;
  try {
    const { mode, uid, gid } = await stat(file);
    await files.writeAtomic(next, content, mode & 0o7777);
    if (process.getuid?.() === 0) await chown(next, uid, gid);
    steps.step(`${name} is complete; starting it for a test`);
    const facts = await startForTest(next, tools.signal);
    if (facts.version !== version) return refuse(`"${source}" says that it is tlsboot ${facts.version}`, tools);
    const raised = findRaisedFormats(DATA_FORMATS, facts);
    if (raised.length > 0 && !settings.oneWay) {
      const formats = raised.join(", ");
      return refuse(`${version} raises the format of data (${formats}): only a backup lets you go back`, tools, [
        "make a backup with tlsboot backup, then add --one-way",
      ]);
    }
    const services = await findServices(file);
    const restarts = services.length === 0 ? "no service runs it" : `restarts ${services.join(", ")}`;
    if (settings.dryRun) {
      tools.stdout.write(`would replace "${file}" (${TLSBOOT_VERSION}) with ${version}: ${restarts}\n`);
      return EXIT.done;
    }
    const canGoBack = raised.length === 0;
    return await replace({ file, next, version, services, canGoBack }, (text) => steps.step(text), tools);
  } finally {
    await files.unlink(next);
  }
}

/** The facts before the installed file is replaced. */
interface Replacement {
  readonly file: string;
  readonly next: string;
  readonly version: string;
  readonly services: readonly string[];
  /** False when the previous file could not read the data that the new one writes. */
  readonly canGoBack: boolean;
}

async function replace(
  { file, next, version, services, canGoBack }: Replacement,
  step: (text: string) => void,
  tools: Tools,
): Promise<ExitCode> {
  const { files } = tools;
  const previous = `${file}.previous`;
  tools.signal.throwIfAborted();
  await files.unlink(previous);
  await link(file, previous);
  await files.rename(next, file);
  if (services.length > 0) step(`installed; restarting ${services.join(", ")}`);
  const restarted = await restartServices(services, tools.clock, tools.signal).catch((error: unknown) => ({
    ok: false as const,
    error: getErrorMessage(error),
  }));
  if (restarted.ok) {
    const byHand = services.length === 0 ? "; no service runs it: restart it yourself" : "";
    tools.stdout.write(`"${file}" is tlsboot ${version} now; ${TLSBOOT_VERSION} is kept as "${previous}"${byHand}\n`);
    return EXIT.done;
  }
  const doing = `cannot upgrade to tlsboot ${version}: ${restarted.error}`;
  const hint = `see why: journalctl --unit ${services.join(" --unit ")}`;
  if (!canGoBack) {
    throw new AppError("io", `${doing}; it is left in place, because "${previous}" cannot read its data`, { hint });
  }
  await files.rename(previous, file);
  step(`it does not work; ${TLSBOOT_VERSION} is restored, restarting ${services.join(", ")}`);
  // This is not interruptible, because the services must run again.
  const back = await restartServices(services, tools.clock, new AbortController().signal);
  const state = back.ok ? `${TLSBOOT_VERSION} runs again` : `${TLSBOOT_VERSION} is restored, but ${back.error}`;
  throw new AppError("io", `${doing}; ${state}`, { hint });
}

/** Returns the path of the running released file. Throws AppError `invalid` for sources, and for a file of a package. */
function getInstalledFile({ execPath }: Pick<Io, "execPath">): string {
  // Deno and an older Node have no such module.
  const sea = process.getBuiltinModule?.("node:sea");
  const refusal = (why: string, hint: string) =>
    new AppError("invalid", `cannot upgrade "${execPath}": ${why}`, { hint });
  if (sea?.isSea() !== true) {
    throw refusal(
      "it is the runtime of the sources or of the npm package",
      "upgrade the package, or run the released file",
    );
  }
  if (execPath.startsWith("/usr/bin/")) {
    throw refusal("files in /usr/bin belong to packages", "install the package of the release, with apt, dpkg or rpm");
  }
  return execPath;
}

async function startForTest(path: string, signal: AbortSignal): Promise<NewFacts> {
  const hint = "nothing was changed; see what a host needs in docs/engineering/building.md";
  const started = await runToEnd(path, ["version", "-o", "json"], { timeout: TEST_START_MS, signal });
  if (!started.ok) throw new AppError("invalid", `the new file does not start: ${started.error}`, { hint });
  const facts = parseFacts(started.value);
  if (facts === undefined) throw new AppError("invalid", "the new file does not print its version", { hint });
  return facts;
}

function hashBytes(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function refuse(why: string, io: Io, hints: readonly string[] = []): ExitCode {
  io.stdout.write(`not upgraded: ${why}\n`);
  for (const hint of hints) io.stderr.write(`tlsboot: hint: ${hint}\n`);
  return EXIT.no;
}

/** A service that cannot use its settings or its data fails at once. The upgrade does not cause later failures. */
const SETTLE_SECONDS = 10;

/** Finds the services of systemd whose main process runs a file; none without systemd. */
async function findServices(file: string): Promise<readonly string[]> {
  if (!isSystemdRunning()) return [];
  const running = await Promise.all([...await readMainPids("*.service")].map(async ([unit, pid]) => {
    if (pid === "0") return [];
    // The link of a kernel thread, of another user's process or of an ended process cannot be read.
    const program = await readlink(`/proc/${pid}/exe`).catch(() => "");
    return program === file ? [unit] : [];
  }));
  return running.flat().sort();
}

/**
 * Restarts services and waits until they have run for ten seconds. The error says why a service did not start, or that
 * it ended. systemctl waits until a service of `Type=notify` is ready.
 */
async function restartServices(
  units: readonly string[],
  clock: Pick<Clock, "sleep">,
  signal: AbortSignal,
): Promise<Result<undefined, string>> {
  if (units.length === 0) return ok(undefined);
  const restarted = await runToEnd("systemctl", ["restart", ...units], { signal });
  if (!restarted.ok) return restarted;
  const started = await readMainPids(...units);
  for (let second = 0; second <= SETTLE_SECONDS; second++) {
    const now = await readMainPids(...units);
    const ended = units.find((unit) => now.get(unit) === "0" || now.get(unit) !== started.get(unit));
    if (ended !== undefined) return err(`${ended} ended again`);
    if (second < SETTLE_SECONDS) await clock.sleep(1000, signal);
  }
  return ok(undefined);
}

/** Reads the id of the main process of each service; `0` for a service that does not run. */
async function readMainPids(...units: readonly string[]): Promise<ReadonlyMap<string, string>> {
  return new Map((await showUnits(...units)).map(({ Id = "", MainPID = "0" }) => [Id, MainPID]));
}

interface ReleasedFile {
  readonly name: string;
  readonly version: string;
  /** The SHA-256 of its bytes, in hexadecimal. */
  readonly hash: string;
}

/** The part of the output of `version -o json` that an upgrade needs. */
interface NewFacts {
  readonly version: string;
  /** The format in which it writes each kind of data. */
  readonly formats: Readonly<Record<string, number>>;
}

/**
 * Finds the file for a platform, such as `linux-x64`. The error says why there is none: the release is for other machines,
 * or older than `installed`. The version is that in the signed name, so a file of another release is not accepted.
 */
export function findReleasedFile(
  { name, hashes }: Release,
  { platform, installed }: { readonly platform: string; readonly installed: string },
): Result<ReleasedFile, string> {
  const [, version] = /^tlsboot ((?:\d+\.){2}\d\S*)$/.exec(name) ?? [];
  if (version === undefined) return err(`the signature is for "${name}", which is not a release of tlsboot`);
  if (compareVersions(version, installed) < 0) return err(`${name} is older than this file, which is ${installed}`);
  const prefix = `tlsboot-${version}-`;
  const hash = hashes.get(`${prefix}${platform}`);
  if (hash !== undefined) return ok({ name: `${prefix}${platform}`, version, hash });
  const others = [...hashes.keys()].filter((file) => file.startsWith(prefix) && !file.includes("image"));
  return err(`${name} has no file for ${platform}${others.length === 0 ? "" : `, only ${others.join(", ")}`}`);
}

/** The bytes of an ELF header for its class and its processor (elf(5): `EI_MAG` to `EI_DATA`, `e_machine`). */
const ELF_FIELDS = [[0, 6], [18, 20]] as const;

/**
 * Reports whether two files are programs for the same processor. A program for another processor must not be started:
 * if the kernel refuses it, the C library passes it to a shell (`execvp`).
 */
export function isForSameProcessor(one: Uint8Array, other: Uint8Array): boolean {
  return ELF_FIELDS.every(([start, end]) =>
    one.length >= end && one.subarray(start, end).every((byte, index) => byte === other[start + index])
  );
}

/** Parses the output of `version -o json`; undefined if it is not that of tlsboot. */
export function parseFacts(text: string): NewFacts | undefined {
  const facts = tryParseJson(text);
  if (!isRecord(facts) || typeof facts["version"] !== "string" || !isRecord(facts["formats"])) return undefined;
  const formats = Object.entries(facts["formats"]).filter((entry): entry is [string, number] =>
    typeof entry[1] === "number"
  );
  return { version: facts["version"], formats: Object.fromEntries(formats) };
}

/** Lists the kinds of data that a newer file writes in a format that the installed one cannot read. */
export function findRaisedFormats(installed: NewFacts["formats"], { formats }: NewFacts): readonly string[] {
  return Object.entries(formats).filter(([kind, format]) => format > (installed[kind] ?? 0)).map(([kind, format]) =>
    `${kind} from ${installed[kind] ?? 0} to ${format}`
  );
}

/** Compares versions by their three numbers. The rest of a version only distinguishes builds. */
function compareVersions(one: string, other: string): number {
  const [a, b] = [one, other].map((version) => version.split(/[.+-]/, 3).map(Number)) as [number[], number[]];
  return a.map((number, index) => number - (b[index] ?? 0)).find((difference) => difference !== 0) ?? 0;
}
