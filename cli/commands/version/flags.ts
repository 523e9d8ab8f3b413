/** The command `tlsboot version`: its flags, help and examples. */
import { STRUCTURED_OUTPUT } from "../../flags/common.ts";
import { defineCommand } from "../../framework/command.ts";
import { switchFlag } from "../../framework/flags.ts";

const VERSION_FLAGS = {
  output: STRUCTURED_OUTPUT,
  sbom: switchFlag({
    summary:
      "Print the software bill of materials instead: all components with version, licence and hash, as CycloneDX JSON.",
    isCommandLineOnly: true,
  }),
} as const;

/** The type of the flags of `version`. */
export type VersionFlags = typeof VERSION_FLAGS;

/** The command that prints the version of the program, without asking a server. */
export const versionCommand = defineCommand({
  path: ["version"],
  summary: "Print the version",
  description: `Print the version of tlsboot and the Kubernetes release whose API it implements.

 Also prints the commit that the program was built from, the runtime inside and its OpenSSL.`,
  group: "Other Commands",
  args: [],
  flags: VERSION_FLAGS,
  examples: [
    { comment: "Print the version for a script", command: "tlsboot version -o json" },
    { comment: "Write the bill of materials for a scanner", command: "tlsboot version --sbom > tlsboot.cdx.json" },
  ],
  exitCodes: {},
});
