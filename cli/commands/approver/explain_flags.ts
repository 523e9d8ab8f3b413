/** The command `tlsboot approver explain`: its flags, help and examples. */
import { argument, defineCommand } from "../../framework/command.ts";
import { durationFlag, fileFlag, listFlag, textFlag } from "../../framework/flags.ts";
import { API_FLAGS, STRUCTURED_OUTPUT } from "../../flags/common.ts";
import { POLICY_FLAGS } from "../../flags/controller.ts";

const flags = {
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

/** The flags of `approver explain`, for the action. */
export type ApproverExplainFlags = typeof flags;

/** The command that explains the verdict about a request. */
export const approverExplainCommand = defineCommand({
  path: ["approver", "explain"],
  summary: "Explain how each rule judges a request",
  description: `Explain how each rule judges a request, and why.

 Shows every rule that was evaluated: whether it applies to the request, what it found, what is wrong and how to fix it.
 One verdict follows, which determines the exit code. Rules that deny are evaluated first, then the two kubelet client
 rules, then the policies in order. Give it the --policy and --inventory that the approver runs with; without --policy the
 verdict is that of an approver without policies, followed by the verdict of each built-in policy. Nothing is written.

 The request is one of the API, or a file: a CSR object, or PEM with the requester in --user and --group.`,
  group: "Role Commands",
  args: [argument("CSR|FILE", "The request; - for stdin", { completion: { kind: "file" } })],
  flags,
  examples: [
    {
      comment: "See why a request stays pending",
      command: "tlsboot approver explain csr-x7k2p --policy kubelet-serving --inventory inventory.yaml",
    },
    {
      comment: "Check a request before it is sent, without an API",
      command:
        "tlsboot approver explain n1.csr --signer-name kubernetes.io/kubelet-serving --user system:node:n1 --nodes nodes.yaml --policy kubelet-serving-trusting",
    },
  ],
  exitCodes: { 0: "the verdict is approved", 3: "the verdict is denied, left pending, or not known now" },
  load: () => import("./explain.ts"),
});
