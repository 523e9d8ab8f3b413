/** The commands `tlsboot policy explain`, `policy test` and `policy check`: flags, help and examples. */
import { API_FLAGS, STRUCTURED_OUTPUT } from "../../flags/common.ts";
import { POLICY_FLAGS } from "../../flags/controller.ts";
import { argument, defineCommand } from "../../framework/command.ts";
import { choiceFlag, fileFlag, listFlag, textFlag } from "../../framework/flags.ts";

export const policyExplainCommand = defineCommand({
  path: ["policy", "explain"],
  summary: "Show what each rule decides about a request, and why",
  description: `Show what each rule decides about a request, and why.

 Shows every rule that was evaluated: whether it applies to the request, what it found, what is wrong and how to fix
 it. The verdict at the end determines the exit code. Rules that deny are evaluated first, then the two kubelet client
 rules, then the policies in order. The policies and the inventory are those that the approver has published, or those
 of --policy and --inventory. Without policies, the verdict of each built-in policy follows. Nothing is written.

 The request is the name of one in the API, or a file: a CSR object, or PEM with the requester in --user and --group.`,
  group: "Policy Commands",
  args: [argument("CSR|FILE", "The request; - for stdin", { kind: "file" })],
  flags: {
    ...API_FLAGS,
    ...POLICY_FLAGS,
    nodes: fileFlag({
      summary: "File with the nodes, as kubectl get nodes -o yaml prints them. With a request from a file, no API is " +
        "needed then. Without it, the nodes of the API.",
    }),
    user: textFlag({ placeholder: "NAME", summary: "Requester, for a request from a file that does not name one." }),
    group: listFlag({ summary: "Groups of --user. Without it, system:nodes for a node." }),
    signer: textFlag({ placeholder: "NAME", summary: "Signer of a request from a PEM file." }),
    usage: listFlag({
      default: ["digital signature", "server auth"],
      summary: "Usages of a request from a PEM file.",
    }),
    output: STRUCTURED_OUTPUT,
  },
  examples: {
    "See why a request stays pending": "tlsboot policy explain csr-x7k2p",
    "See what another policy would do":
      "tlsboot policy explain csr-x7k2p --policy kubelet-serving --inventory inventory.yaml",
    "Check a request before you send it, without an API":
      "tlsboot policy explain n1.csr --signer kubernetes.io/kubelet-serving --user system:node:n1 --nodes nodes.yaml --policy kubelet-serving-trusting",
  },
  exitCodes: { 0: "the request would be approved", 3: "it would be denied or left pending, or the verdict is unknown" },
});

export const policyTestCommand = defineCommand({
  path: ["policy", "test"],
  summary: "Test policies against fixtures",
  description: `Test policies against fixtures.

 Reads every file of kind PolicyTest below the folder: requests with their requesters and nodes, each with the expected
 verdict and rule. Needs no API. A case that fails is shown with every rule, what it found and why.`,
  group: "Policy Commands",
  args: [argument("DIR", "Folder with fixtures, or one file", { kind: "directory" })],
  flags: {
    output: choiceFlag({
      short: "o",
      choices: ["junit"],
      summary: "Output format: JUnit XML. Without it, text.",
    }),
  },
  examples: {
    "Test all policies in a folder": "tlsboot policy test policies/",
    "Report the results in CI": "tlsboot policy test policies/ -o junit >policies.xml",
  },
  exitCodes: { 0: "every case passed", 1: "a case failed", 2: "a fixture, policy or inventory is wrong" },
});

export const policyCheckCommand = defineCommand({
  path: ["policy", "check"],
  summary: "Check policies, profiles and other files of rules",
  description: `Check policies, profiles and other files of rules.

 Reports every fault of a file with its position, and the rules of a policy that can never apply to a request. Describes
 the rules of a signing profile in sentences. Needs no API.

 The files are policies (kind ApprovalPolicy), signing profiles (SigningProfile), policy tests (PolicyTest), inventories
 (Inventory) and audit policies (Policy of audit.k8s.io/v1).`,
  group: "Policy Commands",
  args: [argument("FILE...", "Files of rules", { kind: "file" })],
  flags: {
    output: choiceFlag({ short: "o", choices: ["json"], summary: "Output format: JSON. Without it, text." }),
  },
  examples: {
    "See the rules of a profile before you use it": "tlsboot policy check web.yaml",
    "Check everything before you start a server": "tlsboot policy check rules/*.yaml",
  },
  exitCodes: {
    0: "every file can be used",
    1: "a file has a fault or cannot be read, or a rule can never apply to a request",
  },
});
