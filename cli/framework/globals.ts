/** The flags that every command has. */
import { fileFlag, switchFlag } from "./flags.ts";

/** The flags of every command. They may be given before or after the command's words. */
export const GLOBAL_FLAGS = {
  config: fileFlag({
    summary: "Configuration file: YAML with apiVersion tlsboot/v1alpha1, kind Config and flags by name in camelCase.",
  }),
  debug: switchFlag({
    summary: "Print every setting with its origin, and the causes of a failure, on stderr.",
  }),
} as const;
