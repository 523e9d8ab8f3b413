/** `tlsboot up`. */
import { defineCommand } from "../framework/command.ts";
import { switchFlag } from "../framework/flags.ts";
import { POLICY_FLAGS, PROFILE_FLAGS, SIGNING_FLAGS } from "./controller_flags.ts";
import { SERVER_FLAGS } from "./server_flags.ts";

/** Flags of `up`: those of the server, and what its signer and approver do. */
export const UP_FLAGS = {
  ...SERVER_FLAGS,
  autoApprove: switchFlag({
    summary: "Approve kubelet client certificates that machines with a bootstrap token of this command ask for. " +
      "Such a token then gets a certificate for any node name.",
  }),
  ...POLICY_FLAGS,
  ...PROFILE_FLAGS,
  signerName: {
    ...PROFILE_FLAGS.signerName,
    summary: "Signers of your own to run beside Kubernetes'; domain/path, each with a --profile.",
  },
  ...SIGNING_FLAGS,
} as const;

/** Type of UP_FLAGS, for the action. */
export type UpFlags = typeof UP_FLAGS;

/** Runs the whole control plane. */
export const upCommand = defineCommand({
  path: ["up"],
  summary: "Run server, signer and approver together",
  description: `Run server, signer, approver and cleaner together, until stopped.

 Makes what is missing in --data-dir: a CA for ten years, a serving certificate, a database, admin.kubeconfig and
 bootstrap.kubeconfig with a token for 24 hours. A second run on the same folder keeps the CA, the data and every token
 that is still good. Its own certificates are renewed while it runs.

 Nothing is approved by itself but a node's renewal and what an administrator asks for: approve requests with tlsboot approve or kubectl certificate approve, or start it with
 --auto-approve, for kubelet client certificates, and --policy, for others: tlsboot approver --help says what each policy
 grants.`,
  group: "Starting Commands",
  args: [],
  flags: UP_FLAGS,
  examples: [
    { comment: "Run everything on loopback", command: "tlsboot up" },
    {
      comment: "Open it to the network",
      command: "tlsboot up --bind-address 0.0.0.0 --advertise-address boot.example.com",
    },
    { comment: "Approve kubelets by themselves", command: "tlsboot up --auto-approve" },
    {
      comment: "Approve their serving certificates too, for what the inventory gives to each node",
      command: "tlsboot up --auto-approve --policy kubelet-serving --inventory inventory.yaml",
    },
    { comment: "Sign for a signer of your own too", command: "tlsboot up --profile web.yaml" },
  ],
  exitCodes: { 0: "stopped by SIGINT or SIGTERM" },
  load: () => import("../actions/up.ts"),
});
