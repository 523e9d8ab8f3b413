/** Flags that every command has. */
import { fileFlag, switchFlag } from "./flags.ts";

/** Before or after the command, in any order. */
export const GLOBAL_FLAGS = {
  config: fileFlag({
    summary: "Configuration file: YAML with apiVersion tlsboot/v1alpha1, kind Config and flags by name in camelCase.",
  }),
  debug: switchFlag({
    summary: "Print every setting with its origin, and the causes of a failure, on stderr.",
  }),
} as const;
