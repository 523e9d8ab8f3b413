/** The command `tlsboot kubeconfig user`: its flags, help and examples. */
import { argument, defineCommand } from "../../framework/command.ts";
import { fileFlag, listFlag, switchFlag, textFlag } from "../../framework/flags.ts";
import { API_FLAGS } from "../../flags/common.ts";
import { KEY_TYPE, lifeFlag, REQUEST_TIMEOUT } from "../../flags/request.ts";

const flags = {
  ...API_FLAGS,
  group: listFlag({ placeholder: "NAME", summary: "Groups of the person; may be repeated." }),
  ttl: lifeFlag({ default: "8h", summary: "Life of the certificate, at least 10m; it cannot be revoked." }),
  noApprove: switchFlag({
    isCommandLineOnly: true,
    summary: "Send the request without approving it; the same command fetches the certificate after the approval.",
  }),
  out: fileFlag({ summary: "File to write. Without it, NAME.kubeconfig in the current folder." }),
  clusterName: textFlag({ default: "tlsboot", summary: "Name of the cluster and of the context in the file." }),
  server: textFlag({
    placeholder: "URL",
    summary: "Address of the API server for the person. Without it, the one in your own kubeconfig.",
  }),
  keyType: KEY_TYPE,
  timeout: REQUEST_TIMEOUT,
  force: switchFlag({ isCommandLineOnly: true, summary: "Replace an existing file." }),
} as const;

/** The flags of `kubeconfig user`, for the action. */
export type KubeconfigUserFlags = typeof flags;

/** The command that gets a certificate for a person and writes their kubeconfig. */
export const kubeconfigUserCommand = defineCommand({
  path: ["kubeconfig", "user"],
  summary: "Get a person a certificate and write their kubeconfig",
  description: `Get a person a certificate and write their kubeconfig.

 Makes a key, requests a certificate with the name and the groups from the signer kubernetes.io/kube-apiserver-client,
 approves the request if you may, waits for the signer, and writes a kubeconfig that contains everything. Then it shows
 what the person may do, or how to grant them permissions: a certificate is only an identity, and permissions come from
 role bindings.

 The same result as openssl, kubectl certificate approve and kubectl config set-cluster, set-credentials and set-context.`,
  group: "Key and File Commands",
  args: [argument("NAME", "The person's user name")],
  flags,
  examples: [
    { comment: "Let alice in for a working day", command: "tlsboot kubeconfig user alice --group dev" },
    {
      comment: "For another machine, at another cluster",
      command:
        "tlsboot kubeconfig user alice --group dev --ttl 1h --kubeconfig admin.conf --server https://10.0.0.1:6443",
    },
    {
      comment: "Send the request, and let another user approve it",
      command: "tlsboot kubeconfig user bob --kubeconfig my.kubeconfig --no-approve",
    },
  ],
  exitCodes: {
    0: "the file is written, or with --no-approve the request is made",
    1: "failed, or the file exists",
    3: "the request was denied, refused by the signer, or not decided in time",
  },
  load: () => import("./user.ts"),
});
