/** The flags of `approve` and `deny`. */
import { textFlag } from "../framework/flags.ts";
import { API_FLAGS } from "./common_flags.ts";

/** Without them the texts of kubectl are written, which other tools look for. */
export const DECIDE_FLAGS = {
  ...API_FLAGS,
  reason: textFlag({
    isCommandLineOnly: true,
    summary: "Reason of the condition, one word for programs. Without it, kubectl's.",
  }),
  message: textFlag({
    isCommandLineOnly: true,
    summary: "Message of the condition, a sentence for people. Without it, kubectl's.",
  }),
} as const;
