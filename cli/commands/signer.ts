/** `tlsboot signer`. */
import { defineCommand } from "../framework/command.ts";
import { CONTROLLER_FLAGS, SIGNING_FLAGS } from "./controller_flags.ts";

/** Flags of the signer. */
export const SIGNER_FLAGS = { ...CONTROLLER_FLAGS, ...SIGNING_FLAGS } as const;

/** Type of SIGNER_FLAGS, for the action. */
export type SignerFlags = typeof SIGNER_FLAGS;

/** The signing controller alone. */
export const signer = defineCommand({
  path: ["signer"],
  summary: "Run the signing controller",
  description: `Run the signing controller for the built-in signers against any Kubernetes API.

 Issues certificates to approved requests, by the rules of kube-controller-manager, from a CA on disk. One CA for all
 signers, or one per signer; a signer without a CA does not run then. Changed CA files are picked up while it runs.`,
  group: "Role Commands",
  args: [],
  flags: SIGNER_FLAGS,
  examples: [
    {
      comment: "Sign for a cluster with the CA on this machine",
      command:
        "tlsboot signer --kubeconfig signer.kubeconfig --cluster-signing-cert-file ca.crt --cluster-signing-key-file ca.key",
    },
  ],
  exitCodes: { 0: "stopped by SIGINT or SIGTERM" },
  load: () => import("../actions/signer.ts"),
});
