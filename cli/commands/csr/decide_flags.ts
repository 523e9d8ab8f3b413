/** The flags of `approve` and `deny`. */
import { textFlag } from "../../framework/flags.ts";
import { API_FLAGS } from "../../flags/common.ts";

/** The flags of both commands. The message always names the user, as the server knows them, and the tool. */
export const DECIDE_FLAGS = {
  ...API_FLAGS,
  reason: textFlag({
    isCommandLineOnly: true,
    summary: "Reason of the condition, one word for programs. Without it, TlsbootApprove or TlsbootDeny.",
  }),
  message: textFlag({
    isCommandLineOnly: true,
    summary: "Message of the condition, a sentence for people. The user and the tool that decided are added to it.",
  }),
} as const;
