/** The action of `tlsboot demo`: prepares the folder and runs the story in it. */
import { waitForAbort } from "../../../core/lib/waiting.ts";
import { readdir, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Logger } from "../../../core/ports.ts";
import { AppError } from "../../../core/errors.ts";
import { type FilePort, FOLDER_MODE, PUBLIC_MODE } from "../../../client/files.ts";
import type { demoCommand } from "./flags.ts";
import { type BoardMode, StoryBoard } from "../../../ui/story/board.ts";
import type { Audience, Pace } from "../../../ui/story/chapters.ts";
import { createEnterPace, createNarrator } from "./narrator.ts";
import { findPrograms, Stage } from "./stage.ts";
import { runStory } from "./story.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import type { Tools } from "../../io.ts";
import { openUi } from "../../open_ui.ts";
import { createLogger } from "../../logging.ts";
import { displayPath } from "../../output/files.ts";
import type { DataDir } from "../../../instance/data_dir.ts";

/** The file that marks the folder of a demo. Only a folder with it is replaced. */
const MARKER = ".tlsboot-demo";

export async function run(input: Input<typeof demoCommand.flags>, tools: Tools): Promise<ExitCode> {
  const { files } = tools;
  const { settings } = input;
  const root = resolve(tools.cwd, settings.dataDir);
  await prepareFolder(root, tools.cwd, files);
  const logger = createLogger({ ...tools, level: tools.isDebug ? "debug" : "error" });
  const narrator = createNarrator(tools, { explain: settings.explain });
  await using page = settings.ui ? await createPage(settings.step ? "step" : "auto", logger, tools) : undefined;
  const audience: Audience = (event) => {
    narrator(event);
    page?.board.show(event);
  };
  const withoutPauses: Pace = { wait: () => Promise.resolve() };
  await using stage = new Stage({
    root,
    tools,
    logger,
    run: input.run,
    audience,
    nodes: settings.nodes,
    pace: page?.board ?? (settings.step ? createEnterPace(tools) : withoutPauses),
    waitSeconds: 600,
    programs: await findPrograms(tools),
    onServing: async (dir) => await page?.open(dir),
  });
  await runStory(stage);
  if (!settings.keep && page === undefined) return EXIT.done;
  narrator({ kind: "fact", text: `Still serving at ${stage.instance.url}; Ctrl-C stops it.` });
  await waitForAbort(stage.signal);
  stage.instance.lost.throwIfAborted();
  return EXIT.done;
}

/** The page of a demo. It is opened as soon as the API is served. */
interface DemoPage extends AsyncDisposable {
  readonly board: StoryBoard;
  open(dir: DataDir): Promise<void>;
}

/** Creates the page of `--ui`. Loads its code only here, so that a demo without it starts faster. */
async function createPage(mode: BoardMode, logger: Logger, tools: Tools): Promise<DemoPage> {
  const { createStoryPage, STORY_ID } = await import("../../../ui/pages/story.tsx");
  const board = new StoryBoard(tools.clock, mode);
  const { page, actions } = createStoryPage(board);
  let ui: AsyncDisposable | undefined;
  return {
    board,
    async open({ root }) {
      const settings = { kubeconfig: undefined, dataDir: root };
      const opened = await openUi(
        settings,
        { logger, port: 0, pages: [page], actions, sources: { [STORY_ID]: board } },
        tools,
      );
      ui = opened;
      tools.stdout.write(
        `\n   The story begins on the page ${opened.url}.\n   This link opens it once:\n\n   ${opened.createLink()}\n`,
      );
    },
    [Symbol.asyncDispose]: async () => await ui?.[Symbol.asyncDispose](),
  };
}

/** Creates the folder, or empties that of an earlier demo. Throws AppError `file_exists` for other contents. */
async function prepareFolder(root: string, cwd: string, files: FilePort): Promise<void> {
  const isThere = await files.stat(root) !== undefined;
  const isEmpty = isThere && (await readdir(root).catch(() => undefined))?.length === 0;
  if (isThere && !isEmpty) {
    if (await files.stat(join(root, MARKER)) === undefined) {
      throw new AppError(
        "file_exists",
        `cannot use "${displayPath(root, cwd)}" for the demo: it is neither empty nor the folder of an earlier demo`,
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
