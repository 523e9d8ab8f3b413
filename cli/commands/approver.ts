/** `tlsboot approver`. */
import { defineCommand } from "../framework/command.ts";
import { CONTROLLER_FLAGS } from "./controller_flags.ts";

/** Type of the approver's flags, for the action. */
export type ApproverFlags = typeof CONTROLLER_FLAGS;

/** The approving controller alone. */
export const approver = defineCommand({
  path: ["approver"],
  summary: "Run the approving controller",
  description: `Run the approving controller against any Kubernetes API.

 Approves kubelet client certificates, the first one and renewals, when a SubjectAccessReview says that the requester
 may have them (create certificatesigningrequests/nodeclient or /selfnodeclient). It never denies, and leaves every
 other request to people.`,
  group: "Role Commands",
  args: [],
  flags: CONTROLLER_FLAGS,
  examples: [{ comment: "Approve for a cluster", command: "tlsboot approver --kubeconfig approver.kubeconfig" }],
  exitCodes: { 0: "stopped by SIGINT or SIGTERM" },
  load: () => import("../actions/approver.ts"),
});
