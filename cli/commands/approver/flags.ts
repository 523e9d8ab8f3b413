/** The command `tlsboot approver`: flags, help and examples. */
import { BUILTIN_POLICIES } from "../../../core/approval/policy.ts";
import { CONTROLLER_FLAGS, NOTIFY_FLAGS, NOTIFY_RULES, POLICY_FLAGS } from "../../flags/controller.ts";
import { defineCommand } from "../../framework/command.ts";
import { switchFlag } from "../../framework/flags.ts";

export const approverCommand = defineCommand({
  path: ["approver"],
  environment: "daemon",
  summary: "Run the approving controller",
  description: `Run the approving controller against any Kubernetes API.

 Approves kubelet client certificates, the first one and renewals, when a SubjectAccessReview says that the requester
 may have them (create certificatesigningrequests/nodeclient or /selfnodeclient). --policy decides about other requests;
 without it they stay pending for users to decide. Verdicts are recorded with their reason in the request's condition and
 in Events. A check that fails for technical reasons is never a denial: it is retried.

 Rules with then: deny are evaluated before all others, even before the two rules for kubelet client certificates. A
 request for a node that has a valid certificate from another key stays pending, unless a policy allows it (reissue).

 It publishes its policies and its inventory in the ConfigMap kube-system/tlsboot-approver, for tlsboot policy explain
 and describe csr.

 At the start it checks the permissions of its user. If they do not suffice to approve anything, it exits and
 lists the missing ones; otherwise it only warns about them. --print-rbac prints all of them.

 Built-in policies, by name:

${describePolicies()}`,
  group: "Running Commands",
  flags: {
    ...CONTROLLER_FLAGS,
    ...POLICY_FLAGS,
    ...NOTIFY_FLAGS,
    tokenLimits: switchFlag({
      summary:
        "Enforce the limits of bootstrap tokens that a kube-apiserver does not enforce: node, uses, public key and " +
        "approval of tlsboot token create. Reads and updates the Secrets of kube-system.",
    }),
    dryRun: switchFlag({
      summary:
        "Report in log and Events what would be approved or denied, and write nothing into requests. Takes part in " +
        "no leader election.",
    }),
  },
  examples: {
    "Approve for a cluster": "tlsboot approver --kubeconfig approver.kubeconfig",
    "Approve kubelet serving certificates too, for the names and addresses of each node in an inventory":
      "tlsboot approver --kubeconfig approver.kubeconfig --policy kubelet-serving --inventory inventory.yaml",
    "See what your own policy would do":
      "tlsboot approver --kubeconfig approver.kubeconfig --policy web.yaml --dry-run",
    "Grant it the permissions that it needs, and no more":
      "tlsboot approver --print-rbac --policy kubelet-serving --inventory inventory.yaml | kubectl apply -f -",
  },
  rules: NOTIFY_RULES,
  exitCodes: { 0: "stopped by SIGINT or SIGTERM" },
});

function describePolicies(): string {
  return [...BUILTIN_POLICIES.values()].map(({ name, description }) => ` ${name}: ${description}`).join("\n\n");
}
