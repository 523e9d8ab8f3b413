/** `tlsboot approver explain`. */
import { argument, defineCommand } from "../framework/command.ts";
import { durationFlag, fileFlag, listFlag, textFlag } from "../framework/flags.ts";
import { API_FLAGS, STRUCTURED_OUTPUT } from "./common_flags.ts";
import { POLICY_FLAGS } from "./controller_flags.ts";

const flags = {
  ...API_FLAGS,
  ...POLICY_FLAGS,
  nodes: fileFlag({
    summary:
      "File with the nodes, as kubectl get nodes -o yaml prints them. With a request from a file nothing is asked " +
      "of an API then. Without it, the nodes of the API.",
  }),
  user: textFlag({ placeholder: "NAME", summary: "Requester of a request from a file that does not name one." }),
  group: listFlag({ summary: "Groups of --user. system:nodes for a node when none is given." }),
  signerName: textFlag({ placeholder: "NAME", summary: "Signer of a request from a PEM file." }),
  usage: listFlag({
    default: ["digital signature", "server auth"],
    summary: "Usages of a request from a PEM file.",
  }),
  expiration: durationFlag({ summary: "Lifetime that a request from a PEM file asks for." }),
  output: STRUCTURED_OUTPUT,
} as const;

/** Its flags, for the action. */
export type ApproverExplainFlags = typeof flags;

/** Says what each rule makes of a request. */
export const approverExplainCommand = defineCommand({
  path: ["approver", "explain"],
  summary: "Say what each rule makes of a request, and why",
  description: `Say what each rule makes of a request, and why.

 Shows every rule that was asked: whether it is about the request, what it saw, what it found wrong and what would fix
 it. Then comes one verdict, which the exit code follows. Rules that deny are asked first, then the two kubelet client
 rules, then the policies in order. Give it the --policy and --inventory that the approver runs with; without --policy the
 verdict is that of an approver without one, and what each policy that comes with tlsboot would say stands below. Nothing
 is written.

 The request is one of the API, or a file: a CSR object, or PEM with the requester in --user and --group.`,
  group: "Role Commands",
  args: [argument("CSR|FILE", "The request; - for stdin", { completion: { kind: "file" } })],
  flags,
  examples: [
    {
      comment: "Ask why a request stays pending",
      command: "tlsboot approver explain csr-x7k2p --policy kubelet-serving --inventory inventory.yaml",
    },
    {
      comment: "Ask before anybody sends it, without an API",
      command:
        "tlsboot approver explain n1.csr --signer-name kubernetes.io/kubelet-serving --user system:node:n1 --nodes nodes.yaml --policy kubelet-serving-trusting",
    },
  ],
  exitCodes: { 0: "the verdict is approved", 3: "the verdict is denied, left pending, or not known now" },
  load: () => import("../actions/approver_explain.ts"),
});
