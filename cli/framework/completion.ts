/** Shell completion from the command table. The only user of @bomb.sh/tab. */
import { type Complete, RootCommand, script } from "@bomb.sh/tab";
import type { Command, CommandTable } from "./command.ts";
import { type Completion, type Flag, flagName } from "./flags.ts";
import { GLOBAL_FLAGS } from "./globals.ts";

/** The shells that are spoken to. */
export const SHELLS = ["bash", "zsh", "fish", "powershell"] as const;

/** One of them. */
export type Shell = (typeof SHELLS)[number];

/** Candidates, then nothing else: the shell must not offer file names (cobra's ShellCompDirective, which tab speaks). */
const NO_FILES = ":4";
/** The shell may offer file names. */
const FILES = ":0";

/** The script that makes a shell complete the program's words. */
export function renderCompletionScript(shell: Shell, program: string): string {
  const text = captureLog(() => script(shell, program, program));
  if (shell !== "bash") return text;
  return text
    // Read twice, as a .bashrc is, read-only variables would be errors.
    .replaceAll(/^readonly /gm, "")
    // File names, where the answer allows them: bash falls back to them only when told so.
    .replace(/^complete -F /m, "complete -o default -F ");
}

/** Answers a completion script: candidates with descriptions, one a line, then the directive. */
export function completeWords(words: readonly string[], table: CommandTable): string {
  const state = { offersFiles: false };
  const root = createRoot(table, state);
  const answer = captureLog(() => root.parse([...words]));
  const hasCandidates = !answer.startsWith(":");
  return state.offersFiles && !hasCandidates ? answer.replace(NO_FILES, FILES) : answer;
}

function createRoot(table: CommandTable, state: { offersFiles: boolean }): RootCommand {
  const root = new RootCommand();
  const offer = (completion: Completion) => (complete: Complete): void => {
    if (completion.kind === "choices") completion.choices.forEach((choice) => complete(withoutPlaceholder(choice), ""));
    else if (completion.kind === "suggestions") completion.suggestions.forEach((text) => complete(text, ""));
    else if (completion.kind !== "none") state.offersFiles = true;
  };
  const addFlag = (target: { option: RootCommand["option"] }, key: string, flag: Flag<unknown>): void => {
    const name = flagName(key);
    if (flag.placeholder !== undefined) {
      target.option(name, firstSentence(flag.summary), offer(flag.completion), flag.short);
    } else if (flag.short === undefined) target.option(name, firstSentence(flag.summary));
    else target.option(name, firstSentence(flag.summary), flag.short);
  };
  for (const family of table.families) root.command(family.word, family.summary);
  for (const command of table.commands) {
    const target = root.command(command.path.join(" "), command.summary);
    for (const [key, flag] of getFlags(command)) addFlag(target, key, flag);
    for (const argument of command.args) {
      target.argument(argument.name, offer(argument.completion), argument.isVariadic);
    }
  }
  return root;
}

function getFlags(command: Command): readonly (readonly [string, Flag<unknown>])[] {
  return Object.entries({ ...command.flags, ...GLOBAL_FLAGS });
}

/** `jsonpath=` of `jsonpath=TEMPLATE`: what can be typed as it stands. */
function withoutPlaceholder(choice: string): string {
  return choice.replace(/=[A-Z]+$/, "=");
}

function firstSentence(text: string): string {
  return text.replace(/\.(\s.*)?$/s, "");
}

/** tab prints with `console.log` only; its work is synchronous, so nothing else can print meanwhile. */
function captureLog(run: () => void): string {
  const target = globalThis.console;
  const original = target.log;
  const lines: string[] = [];
  target.log = (text: unknown): void => void lines.push(String(text));
  try {
    run();
  } finally {
    target.log = original;
  }
  return lines.map((line) => `${line}\n`).join("");
}
