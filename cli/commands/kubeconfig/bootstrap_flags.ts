/** The command `tlsboot kubeconfig bootstrap`: its flags, help and examples. */
import { defineCommand } from "../../framework/command.ts";
import { fileFlag, secretFlag, textFlag } from "../../framework/flags.ts";
import { KUBECONFIG_FLAGS } from "./flags.ts";

const flags = {
  ...KUBECONFIG_FLAGS,
  out: fileFlag({ summary: "File to write; - is stdout. Without it, bootstrap.kubeconfig in --data-dir." }),
  clusterName: textFlag({ default: "bootstrap", summary: "Name of the cluster and of the context in the file." }),
  token: secretFlag({
    placeholder: "TOKEN",
    summary: "Bootstrap token, as tlsboot token create prints it; - reads it from stdin.",
  }),
  tokenFile: fileFlag({ summary: "File that holds the token; its path is written instead of the token." }),
} as const;

/** The flags of `kubeconfig bootstrap`, for the action. */
export type KubeconfigBootstrapFlags = typeof flags;

/** The command that writes a bootstrap kubeconfig. */
export const kubeconfigBootstrapCommand = defineCommand({
  path: ["kubeconfig", "bootstrap"],
  summary: "Write a bootstrap kubeconfig",
  description: `Write a bootstrap kubeconfig, with which a machine requests its first certificate.

 The same result as kubectl config set-cluster, set-credentials and set-context.`,
  group: "Key and File Commands",
  args: [],
  flags,
  examples: [
    {
      comment: "Write one with a new token",
      command: "tlsboot token create | tlsboot kubeconfig bootstrap --token - --out bootstrap.kubeconfig",
    },
    {
      comment: "For a kubelet on another machine",
      command: "tlsboot kubeconfig bootstrap --server https://10.0.0.1:6443 --token abcdef.0123456789abcdef",
    },
  ],
  exitCodes: { 1: "failed, or the file exists" },
  load: () => import("./bootstrap.ts"),
});
