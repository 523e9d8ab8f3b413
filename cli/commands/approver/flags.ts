/**
 * The commands `tlsboot approver`, `approver explain`, `approver test` and `approver clear`: flags, help and examples.
 */
import { BUILTIN_POLICIES } from "../../../core/approval/builtin_policies.ts";
import { API_FLAGS, STRUCTURED_OUTPUT } from "../../flags/common.ts";
import { CONTROLLER_FLAGS, POLICY_FLAGS } from "../../flags/controller.ts";
import { argument, defineCommand } from "../../framework/command.ts";
import { choiceFlag, durationFlag, fileFlag, listFlag, switchFlag, textFlag } from "../../framework/flags.ts";

const APPROVER_FLAGS = {
  ...CONTROLLER_FLAGS,
  kubeconfig: fileFlag({ summary: "Kubeconfig of the API server to work for. Required, but for --print-rbac." }),
  ...POLICY_FLAGS,
  tokenLimits: switchFlag({
    summary: "Enforce the limits of bootstrap tokens that a kube-apiserver does not know: node, uses, public key and " +
      "approval of tlsboot token create. Reads and updates the Secrets of kube-system.",
  }),
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

/** The type of the flags of `approver`. */
export type ApproverFlags = typeof APPROVER_FLAGS;

/** The command that runs the approving controller alone. */
export const approverCommand = defineCommand({
  path: ["approver"],
  environment: "daemon",
  summary: "Run the approving controller",
  description: `Run the approving controller against any Kubernetes API.

 Approves kubelet client certificates, the first one and renewals, when a SubjectAccessReview says that the requester
 may have them (create certificatesigningrequests/nodeclient or /selfnodeclient). --policy decides about other requests;
 without it they stay pending for users to decide. Verdicts are recorded with their reason in the request's condition and
 in Events. A check that fails for technical reasons is never a denial: it is tried again.

 Rules with then: deny are evaluated before all others, also before the two rules for kubelet client certificates. A
 request for a node that has a valid certificate from another key stays pending, unless a policy allows it (reissue).

 It publishes its policies and its inventory in the ConfigMap kube-system/tlsboot-approver, for tlsboot approver explain
 and describe csr.

 At the start it asks the API for the permissions of its user. It ends with the missing ones when it could approve
 nothing, and warns about others that are missing; --print-rbac prints all of them.

 Built-in policies, by name:

${describePolicies()}`,
  group: "Role Commands",
  args: [],
  flags: APPROVER_FLAGS,
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
});

function describePolicies(): string {
  return [...BUILTIN_POLICIES.values()].map(({ name, description }) => ` ${name}: ${description}`).join("\n\n");
}

const APPROVER_EXPLAIN_FLAGS = {
  ...API_FLAGS,
  ...POLICY_FLAGS,
  nodes: fileFlag({
    summary:
      "File with the nodes, as kubectl get nodes -o yaml prints them. Together with a request from a file, no API is " +
      "needed. Without it, the nodes of the API.",
  }),
  user: textFlag({ placeholder: "NAME", summary: "Requester of a request from a file that does not name one." }),
  group: listFlag({ summary: "Groups of --user. system:nodes for a node when none is given." }),
  signerName: textFlag({ placeholder: "NAME", summary: "Signer of a request from a PEM file." }),
  usage: listFlag({
    default: ["digital signature", "server auth"],
    summary: "Usages of a request from a PEM file.",
  }),
  expiration: durationFlag({ summary: "Requested lifetime of a request from a PEM file." }),
  output: STRUCTURED_OUTPUT,
} as const;

/** The type of the flags of `approver explain`. */
export type ApproverExplainFlags = typeof APPROVER_EXPLAIN_FLAGS;

/** The command that explains the verdict about a request. */
export const approverExplainCommand = defineCommand({
  path: ["approver", "explain"],
  summary: "Explain how each rule judges a request",
  description: `Explain how each rule judges a request, and why.

 Shows every rule that was evaluated: whether it applies to the request, what it found, what is wrong and how to fix it.
 One verdict follows, which determines the exit code. Rules that deny are evaluated first, then the two kubelet client
 rules, then the policies in order. It uses the policies and the inventory that the approver has published, or those of
 --policy and --inventory. When there are no policies, the verdict of each built-in policy follows. Nothing is written.

 The request is one of the API, or a file: a CSR object, or PEM with the requester in --user and --group.`,
  group: "Role Commands",
  args: [argument("CSR|FILE", "The request; - for stdin", { completion: { kind: "file" } })],
  flags: APPROVER_EXPLAIN_FLAGS,
  examples: [
    {
      comment: "See why a request stays pending",
      command: "tlsboot approver explain csr-x7k2p",
    },
    {
      comment: "See what another policy would do",
      command: "tlsboot approver explain csr-x7k2p --policy kubelet-serving --inventory inventory.yaml",
    },
    {
      comment: "Check a request before it is sent, without an API",
      command:
        "tlsboot approver explain n1.csr --signer-name kubernetes.io/kubelet-serving --user system:node:n1 --nodes nodes.yaml --policy kubelet-serving-trusting",
    },
  ],
  exitCodes: { 0: "the verdict is approved", 3: "the verdict is denied, left pending, or not known now" },
});

const APPROVER_FIXTURES_FLAGS = {
  output: choiceFlag({
    short: "o",
    choices: ["tap", "junit"],
    summary: "Output format: the Test Anything Protocol, or JUnit XML. Without it, text.",
  }),
} as const;

/** The type of the flags of `approver test`. */
export type ApproverFixturesFlags = typeof APPROVER_FIXTURES_FLAGS;

/** The command that tests policies against fixtures. */
export const approverTestCommand = defineCommand({
  path: ["approver", "test"],
  summary: "Test policies against fixtures",
  description: `Test policies against fixtures.

 Reads every file of kind PolicyTest below the folder: requests with their requesters and nodes, and the verdict and rule
 that is expected for each. Needs no API. A case that fails is shown with every rule, what it found and why.`,
  group: "Role Commands",
  args: [argument("DIR", "Folder with fixtures, or one file", { completion: { kind: "directory" } })],
  flags: APPROVER_FIXTURES_FLAGS,
  examples: [
    { comment: "Test all policies in a folder", command: "tlsboot approver test policies/" },
    { comment: "Do so in CI", command: "tlsboot approver test policies/ -o junit >policies.xml" },
  ],
  exitCodes: { 0: "every case passed", 1: "a case failed", 2: "a fixture, policy or inventory is wrong" },
});

const APPROVER_CLEAR_FLAGS = { ...API_FLAGS } as const;

/** The type of the flags of `approver clear`. */
export type ApproverClearFlags = typeof APPROVER_CLEAR_FLAGS;

/** The command that deletes the pending requests of a requester. */
export const approverClearCommand = defineCommand({
  path: ["approver", "clear"],
  summary: "Delete the pending requests of a requester",
  description: `Delete the pending requests of a requester.

 An approver ignores a requester after a hundred of its requests stayed pending, and reports that in its log and in an
 Event. This command deletes all pending requests of the requester, so that the approver handles new ones again. Decided
 requests are kept.`,
  group: "Role Commands",
  args: [argument("REQUESTER", "The user name in the requests, such as system:node:n1")],
  flags: APPROVER_CLEAR_FLAGS,
  examples: [{ comment: "Let a node send requests again", command: "tlsboot approver clear system:node:n1" }],
  exitCodes: {},
});
