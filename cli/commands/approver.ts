/** `tlsboot approver`. */
import { BUILTIN_POLICIES } from "../../core/approval/builtin_policies.ts";
import { defineCommand } from "../framework/command.ts";
import { fileFlag, switchFlag } from "../framework/flags.ts";
import { CONTROLLER_FLAGS, POLICY_FLAGS } from "./controller_flags.ts";

const flags = {
  ...CONTROLLER_FLAGS,
  kubeconfig: fileFlag({ summary: "Kubeconfig of the API server to work for. Required, but for --print-rbac." }),
  ...POLICY_FLAGS,
  dryRun: switchFlag({
    summary: "Say in log and Events what would be approved or denied, and write nothing into requests. Stands for no " +
      "election.",
  }),
  printRbac: switchFlag({
    isCommandLineOnly: true,
    summary: "Print the least rights that an approver with these flags needs, as a manifest, and end.",
  }),
} as const;

/** Type of the approver's flags, for the action. */
export type ApproverFlags = typeof flags;

/** The approving controller alone. */
export const approverCommand = defineCommand({
  path: ["approver"],
  summary: "Run the approving controller",
  description: `Run the approving controller against any Kubernetes API.

 Approves kubelet client certificates, the first one and renewals, when a SubjectAccessReview says that the requester
 may have them (create certificatesigningrequests/nodeclient or /selfnodeclient). What else it approves or denies is for
 --policy to say; without it every other request is left to people. Its verdicts stand in the request's condition and in
 Events, with the reason. A question that could not be asked is never a denial: it is asked again.

 A rule with then: deny is asked before everything else, also before the two rules for kubelet client certificates.

 It asks the API at the start for the rights of its user. It ends with what is missing when it could approve nothing, and
 warns of what is missing beside that; --print-rbac prints them all.

 Policies that come with it, by name:

${describePolicies()}`,
  group: "Role Commands",
  args: [],
  flags,
  examples: [
    { comment: "Approve for a cluster", command: "tlsboot approver --kubeconfig approver.kubeconfig" },
    {
      comment: "Approve kubelet serving certificates too, for what an inventory gives to each node",
      command: "tlsboot approver --kubeconfig approver.kubeconfig --policy kubelet-serving --inventory inventory.yaml",
    },
    {
      comment: "See what a policy of your own would do",
      command: "tlsboot approver --kubeconfig approver.kubeconfig --policy web.yaml --dry-run",
    },
    {
      comment: "Grant it what it needs, and no more",
      command: "tlsboot approver --print-rbac --policy kubelet-serving --inventory inventory.yaml | kubectl apply -f -",
    },
  ],
  exitCodes: { 0: "stopped by SIGINT or SIGTERM" },
  load: () => import("../actions/approver.ts"),
});

function describePolicies(): string {
  return [...BUILTIN_POLICIES.values()].map(({ name, description }) => ` ${name}: ${description}`).join("\n\n");
}
