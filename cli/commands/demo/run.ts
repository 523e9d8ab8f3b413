/** Runs the demo: prepares its folder, runs the story, and keeps the files. */
import { once } from "node:events";
import { readdir, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { AppError } from "../../../core/errors.ts";
import { createFilePort, type FilePort } from "../../../client/files.ts";
import type { DemoFlags } from "./flags.ts";
import { findPrograms } from "./commands.ts";
import { createEnterPace, createNarrator } from "./narrator.ts";
import { Stage } from "./stage.ts";
import { runStory } from "./story.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import type { Io } from "../../io.ts";
import { createLogger } from "../../logging.ts";
import { displayPath } from "../../output/display_path.ts";
import { FOLDER_MODE, PUBLIC_MODE } from "../../instance/data_dir.ts";

/** The file that marks the folder of a demo. Only a folder with it is replaced. */
const MARKER = ".tlsboot-demo";

/** The action of the command `tlsboot demo`. */
export async function run(input: Input<DemoFlags>, io: Io, signal: AbortSignal): Promise<ExitCode> {
  const { settings, table } = input;
  const files = createFilePort();
  const root = resolve(io.cwd, settings.dataDir);
  await prepareFolder(root, io.cwd, files);
  const logger = createLogger({ stderr: io.stderr, clock: io.clock, level: input.isDebug ? "debug" : "error" });
  const audience = createNarrator(io, { explain: settings.explain });
  await using stage = new Stage({
    ...{ root, io, files, logger, table, audience },
    nodes: settings.nodes,
    pace: settings.step ? createEnterPace(io) : { wait: () => Promise.resolve() },
    waitSeconds: 600,
    programs: await findPrograms(io, files),
  }, signal);
  await runStory(stage);
  if (!settings.keep) return EXIT.done;
  audience({ kind: "fact", text: `Serving on at ${stage.instance.url}; Ctrl-C ends it.` });
  const until = stage.signal;
  if (!until.aborted) await once(until, "abort");
  stage.instance.lost.throwIfAborted();
  return EXIT.done;
}

/** Creates the folder, or replaces an empty one or that of an earlier demo. Throws AppError `file_exists` for any other. */
async function prepareFolder(root: string, cwd: string, files: FilePort): Promise<void> {
  const isThere = await files.stat(root) !== undefined;
  const isEmpty = isThere && (await readdir(root).catch(() => undefined))?.length === 0;
  if (isThere && !isEmpty) {
    if (await files.stat(join(root, MARKER)) === undefined) {
      throw new AppError(
        "file_exists",
        `cannot use "${displayPath(root, cwd)}" for the demo: it is not a demo's folder, and not empty`,
        { hint: "choose another folder with --data-dir, or remove this one" },
      );
    }
    await rm(root, { recursive: true, force: true });
  }
  await files.makeDirectory(root, FOLDER_MODE);
  await files.writeAtomic(
    join(root, MARKER),
    "Made by tlsboot demo; the next demo replaces this folder.\n",
    PUBLIC_MODE,
  );
}
