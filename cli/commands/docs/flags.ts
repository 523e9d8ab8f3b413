/** The command `tlsboot docs licenses`: its flags, help and examples. */
import { defineCommand } from "../../framework/command.ts";

const flags = {} as const;

/** The flags of `docs licenses`, for the action. */
export type DocsLicensesFlags = typeof flags;

/** The command that prints the licence texts of everything inside the file. */
export const docsLicensesCommand = defineCommand({
  path: ["docs", "licenses"],
  summary: "Print the licence texts of everything inside",
  description: `Print the licence texts of everything inside the single file.

 The licence of tlsboot, those of its packages, and that of Node with everything that Node is built from. For programs
 there is the software bill of materials: tlsboot version --sbom.`,
  group: "Other Commands",
  args: [],
  flags,
  examples: [{ comment: "Read them", command: "tlsboot docs licenses | less" }],
  exitCodes: {},
  load: () => import("./licenses.ts"),
});
