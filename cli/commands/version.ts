/** `tlsboot version`. */
import { defineCommand } from "../framework/command.ts";
import { switchFlag } from "../framework/flags.ts";
import { STRUCTURED_OUTPUT } from "./common_flags.ts";

const flags = {
  output: STRUCTURED_OUTPUT,
  sbom: switchFlag({
    summary: "Print the bill of materials instead: every part with its version, licence and hash, as CycloneDX JSON.",
    isCommandLineOnly: true,
  }),
} as const;

/** Its flags, for the action. */
export type VersionFlags = typeof flags;

/** Tells the version; asks no server. */
export const versionCommand = defineCommand({
  path: ["version"],
  summary: "Print the version",
  description: `Print the version of tlsboot and the Kubernetes release whose API it speaks.

 With it come the commit that the program was built from, the runtime inside and its OpenSSL.`,
  group: "Other Commands",
  args: [],
  flags,
  examples: [
    { comment: "Print the version for a script", command: "tlsboot version -o json" },
    { comment: "Write down what is inside, for a scanner", command: "tlsboot version --sbom > tlsboot.cdx.json" },
  ],
  exitCodes: {},
  load: () => import("../actions/version.ts"),
});
