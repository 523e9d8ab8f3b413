/** `tlsboot bootstrap`. */
import { defineCommand } from "../framework/command.ts";
import { directoryFlag, durationFlag, fileFlag, switchFlag, textFlag } from "../framework/flags.ts";

/** Kubelet's flags, under kubelet's names. */
export const BOOTSTRAP_FLAGS = {
  bootstrapKubeconfig: fileFlag({
    isRequired: true,
    summary: "Kubeconfig with the credentials for the first request, such as a bootstrap token.",
  }),
  kubeconfig: fileFlag({
    isRequired: true,
    // TLSBOOT_KUBECONFIG says whom people's commands speak for; it must not become the file that is written here.
    isCommandLineOnly: true,
    summary: "Kubeconfig to write. When it exists and its certificate is good, there is nothing to do.",
  }),
  certDir: directoryFlag({
    isRequired: true,
    summary: "Folder for the key and the certificate. Never a running kubelet's: its link would be moved.",
  }),
  hostnameOverride: textFlag({ placeholder: "NAME", summary: "Node name. Without it, this machine's name." }),
  rotateCertificates: switchFlag({ summary: "Keep running, and renew the certificate at 70 to 90 % of its life." }),
  wait: durationFlag({ default: "1h", summary: "How long to wait for approval and certificate." }),
} as const;

/** Type of BOOTSTRAP_FLAGS, for the action. */
export type BootstrapFlags = typeof BOOTSTRAP_FLAGS;

/** The kubelet's bootstrap client. */
export const bootstrap = defineCommand({
  path: ["bootstrap"],
  summary: "Get this machine its certificate, as a kubelet does",
  description: `Get this machine its client certificate, as a kubelet does.

 Makes a key, asks the API with the bootstrap credentials, waits until the request is approved and issued, checks what
 comes back, and writes key, certificate and kubeconfig. Run again after an interruption it takes up its own request.`,
  group: "Role Commands",
  args: [],
  flags: BOOTSTRAP_FLAGS,
  examples: [
    {
      comment: "Bootstrap the machine n1 once",
      command:
        "tlsboot bootstrap --bootstrap-kubeconfig bootstrap.kubeconfig --kubeconfig n1/kubeconfig --cert-dir n1/pki --hostname-override n1",
    },
  ],
  exitCodes: { 3: "the request was denied, the signer refused, or nobody decided in time" },
  load: () => import("../actions/bootstrap.ts"),
});
