/** Flags of the commands that write kubeconfigs. */
import { fileFlag, switchFlag, textFlag } from "../../framework/flags.ts";
import { DATA_DIR_FLAG } from "../../flags/common.ts";

/** The flags for the file and its server. */
export const KUBECONFIG_FLAGS = {
  dataDir: DATA_DIR_FLAG,
  server: textFlag({
    placeholder: "URL",
    default: "https://127.0.0.1:6443",
    summary: "Address of the API server, as its users reach it.",
  }),
  certificateAuthority: fileFlag({
    summary: "CA bundle that signed the server's certificate. Without it, pki/ca.crt in --data-dir.",
  }),
  embedCerts: switchFlag({
    default: true,
    summary: "Put certificates and keys into the file; with =false, their absolute paths.",
  }),
  force: switchFlag({ isCommandLineOnly: true, summary: "Replace an existing file." }),
} as const;
