/** The command `tlsboot token delete`: its flags, help and examples. */
import { argument, defineCommand } from "../../framework/command.ts";
import { API_FLAGS } from "../../flags/common.ts";

const flags = { ...API_FLAGS } as const;

/** The flags of `token delete`, for the action. */
export type TokenDeleteFlags = typeof flags;

/** The command that deletes bootstrap tokens. */
export const tokenDeleteCommand = defineCommand({
  path: ["token", "delete"],
  summary: "Delete bootstrap tokens",
  description: `Delete bootstrap tokens.

 Certificates that were requested with them stay valid.`,
  group: "Key and File Commands",
  args: [argument("TOKEN", "Ids or whole tokens", { variadic: true })],
  flags,
  examples: [{ comment: "Delete a token by its id", command: "tlsboot token delete abcdef" }],
  exitCodes: { 1: "failed for one or more tokens" },
  load: () => import("./delete.ts"),
});
