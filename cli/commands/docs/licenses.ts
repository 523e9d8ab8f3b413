/** `tlsboot docs licenses`. */
import { defineCommand } from "../../framework/command.ts";

const flags = {} as const;

/** Its flags, for the action. */
export type DocsLicensesFlags = typeof flags;

/** Prints the licence texts of everything inside. */
export const docsLicensesCommand = defineCommand({
  path: ["docs", "licenses"],
  summary: "Print the licence texts of everything inside",
  description: `Print the licence texts of everything inside the single file.

 tlsboot's own, those of the packages it is made with, and that of Node with everything that Node is built from. For
 programs there is the bill of materials: tlsboot version --sbom.`,
  group: "Other Commands",
  args: [],
  flags,
  examples: [{ comment: "Read them", command: "tlsboot docs licenses | less" }],
  exitCodes: {},
  load: () => import("../../actions/docs_licenses.ts"),
});
