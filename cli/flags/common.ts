/** Flags that several commands share. */
import { choiceFlag, directoryFlag, fileFlag, integerFlag } from "../framework/flags.ts";

/** The flag `--data-dir`, the same in every command. */
export const DATA_DIR_FLAG = directoryFlag({
  default: "./tlsboot-data",
  summary: "Folder of the CA, the database and the kubeconfigs.",
});

/** The flags that name the API. ~/.kube/config is never used: a command must not reach a cluster that was not named. */
export const API_FLAGS = {
  dataDir: DATA_DIR_FLAG,
  kubeconfig: fileFlag({
    summary: "Kubeconfig for the API server. Without it, admin.kubeconfig in --data-dir.",
  }),
} as const;

/** The flags for the log of roles, under Kubernetes' names. */
export const LOG_FLAGS = {
  loggingFormat: choiceFlag({
    choices: ["text", "json"],
    summary: "Format of the log on stderr. Without it, text on a terminal and JSON elsewhere.",
  }),
  v: integerFlag({ short: "v", default: 0, max: 10, summary: "Verbosity of the log; from 4 on, each step is logged." }),
} as const;

/** The flags for the keys of CAs, for every command that opens one. */
export const CA_KEY_FLAGS = {
  caPassphraseFile: fileFlag({
    summary: "File with the passphrase of encrypted CA keys, one line, readable by its owner only; - reads it from " +
      "stdin. Without it, the passphrase is prompted for on a terminal.",
  }),
  signingKeyCommand: fileFlag({
    placeholder: "PROGRAM",
    summary:
      "Program that holds the CA key, instead of a key file: PROGRAM public-key prints the public key, PROGRAM sign " +
      "ALGORITHM signs its stdin. An HSM can be behind it; see docs/guides/ca.md.",
  }),
} as const;

/** The flag `-o` of commands with facts of their own. Keys of the JSON may be added, but never removed or changed. */
export const STRUCTURED_OUTPUT = choiceFlag({
  short: "o",
  choices: ["json", "yaml"],
  summary: "Output format. Without it, text.",
});
