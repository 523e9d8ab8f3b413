/** The command `tlsboot token list`: its flags, help and examples. */
import { defineCommand } from "../../framework/command.ts";
import { switchFlag } from "../../framework/flags.ts";
import { API_FLAGS, STRUCTURED_OUTPUT } from "../../flags/common.ts";

const flags = {
  ...API_FLAGS,
  output: STRUCTURED_OUTPUT,
  showSecrets: switchFlag({ isCommandLineOnly: true, summary: "Show whole tokens instead of their ids." }),
} as const;

/** The flags of `token list`, for the action. */
export type TokenListFlags = typeof flags;

/** The command that lists bootstrap tokens. */
export const tokenListCommand = defineCommand({
  path: ["token", "list"],
  summary: "List bootstrap tokens",
  description: "List bootstrap tokens by their ids.",
  group: "Key and File Commands",
  args: [],
  flags,
  examples: [{ comment: "List tokens", command: "tlsboot token list" }],
  exitCodes: {},
  load: () => import("./list.ts"),
});
