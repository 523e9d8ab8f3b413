/** The command `tlsboot kubeconfig admin`: its flags, help and examples. */
import { defineCommand } from "../../framework/command.ts";
import { fileFlag, textFlag } from "../../framework/flags.ts";
import { CA_KEY_FLAGS } from "../../flags/common.ts";
import { lifeFlag } from "../../flags/request.ts";
import { KUBECONFIG_FLAGS } from "./flags.ts";

const flags = {
  ...KUBECONFIG_FLAGS,
  ...CA_KEY_FLAGS,
  out: fileFlag({ summary: "File to write; - is stdout. Without it, admin.kubeconfig in --data-dir." }),
  clusterName: textFlag({ default: "tlsboot", summary: "Name of the cluster and of the context in the file." }),
  user: textFlag({ default: "kubernetes-admin", summary: "Name of the administrator." }),
  duration: lifeFlag({ default: "8760h", summary: "Life of the certificate; 8760h are a year." }),
} as const;

/** The flags of `kubeconfig admin`, for the action. */
export type KubeconfigAdminFlags = typeof flags;

/** The command that issues an administrator's certificate from the CA on disk. */
export const kubeconfigAdminCommand = defineCommand({
  path: ["kubeconfig", "admin"],
  summary: "Write an administrator's kubeconfig",
  description: `Write an administrator's kubeconfig.

 Makes a key and signs a certificate for the group system:masters with the CA in --data-dir. A holder of the file may do everything, and the certificate cannot be revoked.`,
  group: "Key and File Commands",
  args: [],
  flags,
  examples: [
    { comment: "Write admin.kubeconfig in ./tlsboot-data", command: "tlsboot kubeconfig admin" },
    {
      comment: "Write one that lasts a day, for another address",
      command: "tlsboot kubeconfig admin --duration 24h --server https://10.0.0.1:6443 --out ./admin.kubeconfig",
    },
  ],
  exitCodes: { 1: "failed, or the file exists" },
  load: () => import("./admin.ts"),
});
