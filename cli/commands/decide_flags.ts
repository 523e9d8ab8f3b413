/** The flags of `approve` and `deny`. */
import { textFlag } from "../framework/flags.ts";
import { API_FLAGS } from "./common_flags.ts";

/** The message always names who decided, as the server knows the user, and with what. */
export const DECIDE_FLAGS = {
  ...API_FLAGS,
  reason: textFlag({
    isCommandLineOnly: true,
    summary: "Reason of the condition, one word for programs. Without it, TlsbootApprove or TlsbootDeny.",
  }),
  message: textFlag({
    isCommandLineOnly: true,
    summary: "Message of the condition, a sentence for people. Who decided, and with what, is put behind it.",
  }),
} as const;
