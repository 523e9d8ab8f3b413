/** `tlsboot signer`. */
import { defineCommand } from "../framework/command.ts";
import { fileFlag, switchFlag } from "../framework/flags.ts";
import { CA_KEY_FLAGS } from "./common_flags.ts";
import { CONTROLLER_FLAGS, PROFILE_FLAGS, SIGNING_FLAGS } from "./controller_flags.ts";

/** Flags of the signer. */
export const SIGNER_FLAGS = {
  ...CONTROLLER_FLAGS,
  // The two that ask for text need no server.
  kubeconfig: fileFlag({
    summary: "Kubeconfig of the API server to work for. Required but for --check and --print-rbac.",
  }),
  ...PROFILE_FLAGS,
  ...SIGNING_FLAGS,
  ...CA_KEY_FLAGS,
  check: fileFlag({
    isCommandLineOnly: true,
    summary: "Read a profile, say its rules in sentences, and end; wrong ones are told with every fault.",
  }),
  printRbac: switchFlag({
    isCommandLineOnly: true,
    summary: "Print the least rights for these signers as a manifest for kubectl apply, and end.",
  }),
} as const;

/** Type of SIGNER_FLAGS, for the action. */
export type SignerFlags = typeof SIGNER_FLAGS;

/** The signing controller alone. */
export const signerCommand = defineCommand({
  path: ["signer"],
  summary: "Run the signing controller",
  description: `Run the signing controller for the built-in signers, or for your own, against any Kubernetes API.

 Issues certificates to approved requests, by the rules of kube-controller-manager, from a CA on disk. One CA for all
 signers, or one per signer; a signer without a CA does not run then. Changed CA files are picked up while it runs.

 A signer of your own has a name such as example.com/web and a profile: a file that says which subjects, names, usages,
 keys and lifetimes it lets through and what it adds. What the profile does not name is refused. A changed profile is
 picked up too; one that is wrong is refused, loudly, and the old one stays in use. Client certificates for the API come
 from the two built-in client signers only: others are refused them where the API believes the CA for clients.

 It asks the API at the start for the rights of its user. It ends with what is missing when it could sign nothing, and
 warns of what is missing beside that; --print-rbac prints them all.`,
  group: "Role Commands",
  args: [],
  flags: SIGNER_FLAGS,
  examples: [
    {
      comment: "Sign for a cluster with the CA on this machine",
      command:
        "tlsboot signer --kubeconfig signer.kubeconfig --cluster-signing-cert-file ca.crt --cluster-signing-key-file ca.key",
    },
    {
      comment: "See what a profile says before it is used",
      command: "tlsboot signer --check web.yaml",
    },
    {
      comment: "Sign for a signer of your own, with the rules of a file",
      command:
        "tlsboot signer --kubeconfig signer.kubeconfig --signer-name example.com/web --profile web.yaml --cluster-signing-cert-file ca.crt --cluster-signing-key-file ca.key",
    },
    {
      comment: "Give it the rights it needs and no others",
      command: "tlsboot signer --print-rbac --signer-name example.com/web --profile web.yaml | kubectl apply -f -",
    },
  ],
  exitCodes: { 0: "stopped by SIGINT or SIGTERM, or the text is printed" },
  load: () => import("../actions/signer.ts"),
});
