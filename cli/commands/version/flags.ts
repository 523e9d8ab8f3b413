/** The command `tlsboot version`: its flags, help and examples. */
import { defineCommand } from "../../framework/command.ts";
import { switchFlag } from "../../framework/flags.ts";
import { STRUCTURED_OUTPUT } from "../../flags/common.ts";

const flags = {
  output: STRUCTURED_OUTPUT,
  sbom: switchFlag({
    summary:
      "Print the software bill of materials instead: all components with version, licence and hash, as CycloneDX JSON.",
    isCommandLineOnly: true,
  }),
} as const;

/** The flags of `version`, for the action. */
export type VersionFlags = typeof flags;

/** The command that prints the version of the program, without asking a server. */
export const versionCommand = defineCommand({
  path: ["version"],
  summary: "Print the version",
  description: `Print the version of tlsboot and the Kubernetes release whose API it implements.

 Also prints the commit that the program was built from, the runtime inside and its OpenSSL.`,
  group: "Other Commands",
  args: [],
  flags,
  examples: [
    { comment: "Print the version for a script", command: "tlsboot version -o json" },
    { comment: "Write the bill of materials for a scanner", command: "tlsboot version --sbom > tlsboot.cdx.json" },
  ],
  exitCodes: {},
  load: () => import("./run.ts"),
});
