/** `tlsboot version`. */
import { defineCommand } from "../framework/command.ts";
import { STRUCTURED_OUTPUT } from "./structured_output.ts";

const flags = { output: STRUCTURED_OUTPUT } as const;

/** Its flags, for the action. */
export type VersionFlags = typeof flags;

/** Tells the version; asks no server. */
export const version = defineCommand({
  path: ["version"],
  summary: "Print the version",
  description: "Print the version of tlsboot and the Kubernetes release whose API it speaks.",
  group: "Other Commands",
  args: [],
  flags,
  examples: [{ comment: "Print the version for a script", command: "tlsboot version -o json" }],
  exitCodes: {},
  load: () => import("../actions/version.ts"),
});
