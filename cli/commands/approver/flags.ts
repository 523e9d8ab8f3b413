/** The command `tlsboot approver`: its flags, help and examples. */
import { BUILTIN_POLICIES } from "../../../core/approval/builtin_policies.ts";
import { defineCommand } from "../../framework/command.ts";
import { fileFlag, switchFlag } from "../../framework/flags.ts";
import { CONTROLLER_FLAGS, POLICY_FLAGS } from "../../flags/controller.ts";

const flags = {
  ...CONTROLLER_FLAGS,
  kubeconfig: fileFlag({ summary: "Kubeconfig of the API server to work for. Required, but for --print-rbac." }),
  ...POLICY_FLAGS,
  dryRun: switchFlag({
    summary:
      "Report in log and Events what would be approved or denied, and write nothing into requests. Takes part in " +
      "no leader election.",
  }),
  printRbac: switchFlag({
    isCommandLineOnly: true,
    summary: "Print the minimal permissions of an approver with these flags as a manifest, and end.",
  }),
} as const;

/** The flags of `approver`, for the action. */
export type ApproverFlags = typeof flags;

/** The command that runs the approving controller alone. */
export const approverCommand = defineCommand({
  path: ["approver"],
  summary: "Run the approving controller",
  description: `Run the approving controller against any Kubernetes API.

 Approves kubelet client certificates, the first one and renewals, when a SubjectAccessReview says that the requester
 may have them (create certificatesigningrequests/nodeclient or /selfnodeclient). --policy decides about other requests;
 without it they stay pending for users to decide. Verdicts are recorded with their reason in the request's condition and
 in Events. A check that fails for technical reasons is never a denial: it is tried again.

 Rules with then: deny are evaluated before all others, also before the two rules for kubelet client certificates.

 At the start it asks the API for the permissions of its user. It ends with the missing ones when it could approve
 nothing, and warns about others that are missing; --print-rbac prints all of them.

 Built-in policies, by name:

${describePolicies()}`,
  group: "Role Commands",
  args: [],
  flags,
  examples: [
    { comment: "Approve for a cluster", command: "tlsboot approver --kubeconfig approver.kubeconfig" },
    {
      comment: "Approve kubelet serving certificates too, for the names and addresses of each node in an inventory",
      command: "tlsboot approver --kubeconfig approver.kubeconfig --policy kubelet-serving --inventory inventory.yaml",
    },
    {
      comment: "See what your own policy would do",
      command: "tlsboot approver --kubeconfig approver.kubeconfig --policy web.yaml --dry-run",
    },
    {
      comment: "Grant it the permissions that it needs, and no more",
      command: "tlsboot approver --print-rbac --policy kubelet-serving --inventory inventory.yaml | kubectl apply -f -",
    },
  ],
  exitCodes: { 0: "stopped by SIGINT or SIGTERM" },
  load: () => import("./run.ts"),
});

function describePolicies(): string {
  return [...BUILTIN_POLICIES.values()].map(({ name, description }) => ` ${name}: ${description}`).join("\n\n");
}
