/** `-o` of commands that print facts of their own. */
import { choiceFlag } from "../framework/flags.ts";

/** Words without it. Keys of the JSON are only ever added. */
export const STRUCTURED_OUTPUT = choiceFlag({
  short: "o",
  choices: ["json", "yaml"],
  summary: "Output format. Words for people without it.",
});
