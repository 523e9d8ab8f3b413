/** Serves the page until it is stopped. */
import { spawn } from "node:child_process";
import { waitForAbort } from "../../../core/lib/waiting.ts";
import { getErrorMessage } from "../../../core/errors.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import { warn } from "../../framework/report.ts";
import type { Io, Tools } from "../../io.ts";
import { createLogger } from "../../logging.ts";
import type { Ui } from "../../../ui/server.ts";
import { openUi } from "../../open_ui.ts";
import type { uiCommand } from "./flags.ts";

export async function run(input: Input<typeof uiCommand.flags>, tools: Tools): Promise<ExitCode> {
  const { settings } = input;
  // The page itself shows the failures of its watches.
  const logger = createLogger({ ...tools, level: tools.isDebug ? "debug" : "error" });
  await using ui = await openUi(settings, { logger, port: settings.port }, tools);
  const link = ui.createLink();
  tools.stdout.write(`The page is at ${ui.url}. This link opens it once:\n\n  ${link}\n`);
  if (settings.open) openBrowser(link, tools);
  await Promise.all([waitForAbort(tools.signal), printMoreLinks(ui, tools)]);
  return EXIT.done;
}

/** Prints another link whenever the user presses Enter on a terminal. */
async function printMoreLinks(ui: Ui, tools: Tools): Promise<void> {
  if (!tools.stdin.isTerminal || !tools.stdout.isTerminal) return;
  try {
    while (await tools.stdin.readLine(tools.signal) !== undefined) {
      tools.stdout.write(`Another link:\n\n  ${ui.createLink()}\n`);
    }
  } catch (error) {
    if (!tools.signal.aborted) throw error;
  }
}

/** Opens a link in the user's browser, and warns if that fails. */
function openBrowser(link: string, io: Io): void {
  const report = (why: string) => warn(`cannot open the browser: ${why}; open the link yourself`, io);
  const child = spawn("xdg-open", [link], { stdio: "ignore", detached: true });
  child.on("error", (error) => report(getErrorMessage(error)));
  child.on("exit", (code) => {
    if (code !== 0 && code !== null) report(`xdg-open ended with ${code}`);
  });
  child.unref();
}
