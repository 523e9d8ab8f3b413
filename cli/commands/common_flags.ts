/** Flags that several commands share, said once. */
import { directoryFlag, fileFlag } from "../framework/flags.ts";

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
