/** The command `tlsboot delete csr`: its flags, help and examples. */
import { argument, defineCommand } from "../../framework/command.ts";
import { API_FLAGS } from "../../flags/common.ts";
import { CSR_ALIASES } from "./flags.ts";

const flags = { ...API_FLAGS } as const;

/** The flags of `delete csr`, for the action. */
export type DeleteCsrFlags = typeof flags;

/** The command that deletes requests. */
export const deleteCsrCommand = defineCommand({
  path: ["delete", "csr"],
  aliases: CSR_ALIASES,
  summary: "Delete certificate signing requests",
  description: `Delete certificate signing requests.

 Certificates that were issued stay valid.`,
  group: "Certificate Signing Request Commands",
  args: [argument("NAME", "The requests to delete", { variadic: true })],
  flags,
  examples: [{ comment: "Delete a request", command: "tlsboot delete csr n1" }],
  exitCodes: { 1: "failed for one or more requests" },
  load: () => import("./delete.ts"),
});
