/** Flags that several commands share, said once. */
import { choiceFlag, directoryFlag, fileFlag, integerFlag } from "../framework/flags.ts";

/** `--data-dir`, everywhere the same. */
export const DATA_DIR_FLAG = directoryFlag({
  default: "./tlsboot-data",
  summary: "Folder of the CA, the database and the kubeconfigs.",
});

/** How people's commands find the API. Never ~/.kube/config: a command must not reach a cluster that was not named. */
export const API_FLAGS = {
  dataDir: DATA_DIR_FLAG,
  kubeconfig: fileFlag({
    summary: "Kubeconfig for the API server. Without it, admin.kubeconfig in --data-dir.",
  }),
} as const;

/** How roles write their log, under Kubernetes' names. */
export const LOG_FLAGS = {
  loggingFormat: choiceFlag({
    choices: ["text", "json"],
    summary: "How lines of the log look, on stderr. Without it, text on a terminal and JSON elsewhere.",
  }),
  v: integerFlag({ short: "v", default: 0, max: 10, summary: "How much is logged: from 4 on each step." }),
} as const;

/** How the keys of CAs are opened, for every command that opens one. */
export const CA_KEY_FLAGS = {
  caPassphraseFile: fileFlag({
    summary: "File with the passphrase of encrypted CA keys, one line, readable by its owner only; - reads it from " +
      "stdin. Without it, it is asked for on a terminal.",
  }),
  signingKeyCommand: fileFlag({
    placeholder: "PROGRAM",
    summary: "Program that holds the CA key, in place of a key file: PROGRAM public-key prints it, PROGRAM sign " +
      "ALGORITHM signs what is on its stdin. An HSM can stand behind it; see docs/guides/ca.md.",
  }),
} as const;

/** Words without it. Keys of the JSON are only ever added. */
export const STRUCTURED_OUTPUT = choiceFlag({
  short: "o",
  choices: ["json", "yaml"],
  summary: "Output format. Words for people without it.",
});
