/** Shell completion from the command table, with @bomb.sh/tab. */
import { type Complete, RootCommand, script } from "@bomb.sh/tab";
import { type Command, type CommandTable, getSpellings, GLOBAL_FLAGS } from "./command.ts";
import { type CompletedObjects, type Completion, type Flag, flagName } from "./flags.ts";
import { listExcluded } from "./rules.ts";

/** A shell that has a completion script. */
export type Shell = Parameters<typeof script>[0];

/** The directive that keeps the shell from offering file names (cobra's ShellCompDirective, which tab uses). */
const NO_FILES = ":4";
/** The directive that lets the shell offer file names. */
const FILES = ":0";

/** Renders the script with which a shell completes command lines of the program. */
export function renderCompletionScript(shell: Shell, program: string): string {
  const text = captureLog(() => script(shell, program, program));
  if (shell !== "bash") return text;
  return text
    // A .bashrc may be read twice, which is an error for read-only variables.
    .replaceAll(/^readonly /gm, "")
    // Only with this option, bash falls back to file names where the answer allows them.
    .replace(/^complete -F /m, "complete -o default -F ");
}

/** A name that completion offers, with a description. */
export interface CompletedName {
  readonly name: string;
  readonly description: string;
}

/** Finds the kind of objects to offer for the last word; undefined if it is something else. */
export function findCompletedObjects(words: readonly string[], table: CommandTable): CompletedObjects | undefined {
  if (words[words.length - 1]?.startsWith("-") === true) return undefined;
  const command = table.commands.find((item) =>
    getSpellings(item).some((spelling) =>
      words.length > spelling.length && spelling.every((word, index) => word === words[index])
    )
  );
  const completion = command?.args[0]?.completion;
  return completion?.kind === "objects" ? completion.objects : undefined;
}

/** Renders the answer to a completion script: a line for each candidate with its description, then the directive. */
export function completeWords(
  words: readonly string[],
  table: CommandTable,
  names: readonly CompletedName[] = [],
): string {
  const state = { offersFiles: false, names };
  const root = createRoot(table, words, state);
  const answer = captureLog(() => root.parse([...words]));
  const hasCandidates = !answer.startsWith(":");
  return state.offersFiles && !hasCandidates ? answer.replace(NO_FILES, FILES) : answer;
}

function createRoot(
  table: CommandTable,
  words: readonly string[],
  state: { offersFiles: boolean; readonly names: readonly CompletedName[] },
): RootCommand {
  const root = new RootCommand();
  const offer = (completion: Completion) => (complete: Complete): void => {
    if (completion.kind === "choices") completion.choices.forEach((choice) => complete(withoutPlaceholder(choice), ""));
    else if (completion.kind === "suggestions") completion.suggestions.forEach((text) => complete(text, ""));
    else if (completion.kind === "objects") {
      state.names.forEach(({ name, description }) => complete(name, description));
    } else if (completion.kind !== "none") state.offersFiles = true;
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
    for (const [key, flag] of getFlags(command, words)) addFlag(target, key, flag);
    for (const argument of command.args) {
      target.argument(argument.name, offer(argument.completion), argument.isVariadic);
    }
  }
  return root;
}

/** Returns the flags of a command without those that a typed flag excludes. */
function getFlags(
  { flags, rules = [] }: Command,
  words: readonly string[],
): readonly (readonly [string, Flag<unknown>])[] {
  const typed = Object.entries(flags)
    .filter(([key, { short }]) =>
      words.some((word) => [`--${flagName(key)}`, `-${short}`].includes(word.split("=")[0] ?? ""))
    )
    .map(([key]) => key);
  const excluded = listExcluded(rules, typed);
  return Object.entries({ ...flags, ...GLOBAL_FLAGS }).filter(([key]) => !excluded.includes(key));
}

/** Keeps the part of a choice that can be typed literally: `jsonpath=` of `jsonpath=TEMPLATE`. */
function withoutPlaceholder(choice: string): string {
  return choice.replace(/=[A-Z]+$/, "=");
}

function firstSentence(text: string): string {
  return text.replace(/\.(\s.*)?$/s, "");
}

/** Captures the output of tab, which uses only `console.log`. Nothing else can print meanwhile, because it is synchronous. */
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
