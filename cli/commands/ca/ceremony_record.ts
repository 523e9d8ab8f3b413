/** The record of a ceremony, `ceremony.json`: its settings, and when each step was done, also across interruptions. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import type { FilePort } from "../../../client/files.ts";
import { AppError } from "../../../core/errors.ts";
import { formatTime } from "../../../core/kube/meta.ts";
import { isRecord } from "../../../core/lib/record.ts";
import { TLSBOOT_API_VERSION, TLSBOOT_VERSION } from "../../../core/version.ts";
import { BUILD, UNKNOWN_BUILD } from "../../build.ts";
import { UsageError } from "../../framework/usage_error.ts";
import { FOLDER_MODE, PUBLIC_MODE } from "../../instance/data_dir.ts";
import type { Io } from "../../io.ts";
import { displayPath } from "../../output/display_path.ts";
import { line } from "../../output/escape.ts";
import { getRuntime } from "../../version.ts";

/** One run of the command: an interrupted ceremony has several. */
export interface CeremonyRun {
  readonly time: string;
  readonly host: string;
  readonly version: string;
  readonly runtime: string;
  /** The path of the executable. */
  readonly program: string;
  /** The hash of the executable in hexadecimal; undefined when it cannot be read. */
  readonly programSha256?: string;
  readonly present: readonly string[];
}

/** A step of a ceremony that was done. */
export interface CeremonyStep {
  readonly id: string;
  readonly time: string;
  readonly text: string;
}

/** The contents of `ceremony.json`, which has no secrets. */
export interface CeremonyRecord {
  readonly apiVersion: typeof TLSBOOT_API_VERSION;
  readonly kind: "Ceremony";
  readonly settings: Readonly<Record<string, string>>;
  readonly runs: readonly CeremonyRun[];
  readonly steps: readonly CeremonyStep[];
}

/** The record of the ceremony that is in progress. */
export interface CeremonyLog {
  readonly record: CeremonyRecord;
  /** Records a step once, with the time at which it was done, and reports it. */
  addStep(id: string, text: string): Promise<void>;
}

/**
 * Begins the record of a ceremony in a folder, or continues the one that is there. Throws UsageError when it was begun with
 * other settings, and AppError `file_exists` when the folder has files of something else.
 */
export async function openCeremonyLog(
  folder: string,
  settings: Readonly<Record<string, string>>,
  present: readonly string[],
  files: FilePort,
  io: Io,
): Promise<CeremonyLog> {
  const path = join(folder, "ceremony.json");
  const text = await files.readText(path);
  const earlier = text === undefined ? undefined : parseRecord(text, displayPath(path, io.cwd));
  if (earlier === undefined) await assertNoFiles(folder, files, io);
  else assertSameSettings(earlier.settings, settings, displayPath(folder, io.cwd));
  await files.makeDirectory(folder, FOLDER_MODE);
  const isComplete = await files.lstat(join(folder, "protocol.txt")) !== undefined;
  let record: CeremonyRecord = earlier ??
    { apiVersion: TLSBOOT_API_VERSION, kind: "Ceremony", settings, runs: [], steps: [] };
  const write = () => files.writeAtomic(path, `${JSON.stringify(record, null, 2)}\n`, PUBLIC_MODE);
  if (!isComplete) {
    record = { ...record, runs: [...record.runs, await describeRun(present, io)] };
    await write();
  }
  return {
    get record() {
      return record;
    },
    async addStep(id, text) {
      if (record.steps.some((step) => step.id === id)) return;
      record = { ...record, steps: [...record.steps, { id, time: formatTime(io.clock.now()), text }] };
      await write();
      io.stderr.write(line`${text}\n`);
    },
  };
}

function parseRecord(text: string, path: string): CeremonyRecord {
  try {
    const value: unknown = JSON.parse(text);
    if (
      isRecord(value) && value["kind"] === "Ceremony" && isRecord(value["settings"]) && Array.isArray(value["runs"]) &&
      Array.isArray(value["steps"])
    ) return value as unknown as CeremonyRecord; // written by this program, in a folder that only its user may write to
  } catch {
    // The message below says what to do.
  }
  throw new AppError("invalid", `cannot continue the ceremony: "${path}" is not a record of one`, {
    hint: "begin another ceremony in another folder",
  });
}

async function assertNoFiles(folder: string, files: FilePort, io: Io): Promise<void> {
  for (const name of ["root", "shares", "online", "protocol.txt", "protocol.html"]) {
    const path = join(folder, name);
    if (await files.lstat(path) === undefined) continue;
    throw new AppError("file_exists", `cannot begin a ceremony: "${displayPath(path, io.cwd)}" exists`, {
      hint: "nothing is ever overwritten: choose another folder with --out",
    });
  }
}

function assertSameSettings(
  earlier: Readonly<Record<string, string>>,
  now: Readonly<Record<string, string>>,
  folder: string,
): void {
  for (const flag of new Set([...Object.keys(earlier), ...Object.keys(now)])) {
    const [before = "", after = ""] = [earlier[flag], now[flag]];
    // The default name has the date of the first run.
    const isDefaultName = flag === "--intermediate-name" && [before, after].every((name) => DEFAULT_NAME.test(name));
    if (before === after || isDefaultName) continue;
    throw new UsageError(
      `the ceremony in "${folder}" was begun with ${describeSetting(flag, before)}, not with ${
        describeSetting(flag, after)
      }`,
      "give the same flags to continue it, or another --out to begin another one",
    );
  }
}

const DEFAULT_NAME = /^tlsboot-ca-\d{4}-\d{2}-\d{2}$/;

function describeSetting(flag: string, value: string): string {
  return value === "" ? `no ${flag}` : `${flag} ${value}`;
}

async function describeRun(present: readonly string[], io: Io): Promise<CeremonyRun> {
  const { name, version } = getRuntime(io.versions);
  const programSha256 = await hashFile(io.execPath);
  const build = BUILD.commit === UNKNOWN_BUILD.commit ? "sources" : `commit ${BUILD.commit}`;
  return {
    time: formatTime(io.clock.now()),
    host: hostname(),
    version: `${TLSBOOT_VERSION} (${build})`,
    runtime: `${name} ${version}`,
    program: io.execPath,
    ...(programSha256 === undefined ? {} : { programSha256 }),
    present,
  };
}

async function hashFile(path: string): Promise<string | undefined> {
  const hash = createHash("sha256");
  try {
    for await (const chunk of createReadStream(path)) hash.update(chunk);
    return hash.digest("hex");
  } catch {
    return undefined;
  }
}
