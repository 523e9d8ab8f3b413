/**
 * The commands for certificate signing requests, `get csr`, `describe csr`, `approve`, `deny` and `delete csr`: flags,
 * help and examples.
 */
import { API_FLAGS } from "../../flags/common.ts";
import { PROFILE_FLAGS } from "../../flags/controller.ts";
import { LIST_FLAGS, LIST_RULES, REQUEST_OUTPUT_FLAG } from "../../flags/list.ts";
import { argument, defineCommand } from "../../framework/command.ts";
import { switchFlag, textFlag } from "../../framework/flags.ts";
import { atMostOneOf, exactlyOneOf, excludes, needs } from "../../framework/rules.ts";

/** The names of the resource in kubectl. */
const CSR_ALIASES: readonly string[] = [
  "certificatesigningrequest",
  "certificatesigningrequests",
  "certificatesigningrequests.certificates.k8s.io",
];

/** Shells complete the names of requests. */
const REQUEST_NAMES = { kind: "objects", objects: "requests" } as const;

export const getCsrCommand = defineCommand({
  path: ["get", "csr"],
  aliases: CSR_ALIASES,
  summary: "Display certificate signing requests",
  description: `Display certificate signing requests.

 STATE is pending, approved (without a certificate yet), issued, denied or failed. EXPIRES is the remaining lifetime of the certificate. On a terminal the table has colours, is cut to the width, and shows short names, which every command accepts; elsewhere nothing is cut. -o kubectl prints the same as kubectl get csr.

 Pending requests that the approver holds for a person are reported on stderr: another machine may be claiming the name of a node, or the machine is not in the inventory.`,
  group: "Request Commands",
  args: [argument("[NAME...]", "The requests or machines to show; all without a name", REQUEST_NAMES)],
  flags: {
    ...API_FLAGS,
    ...LIST_FLAGS,
    output: REQUEST_OUTPUT_FLAG,
    pending: switchFlag({ summary: "Only requests that no one has decided yet." }),
  },
  examples: {
    "List all requests": "tlsboot get csr",
    "List the requests that wait for a decision, the newest first": "tlsboot get csr --pending --sort-by age",
    "Watch the requests for serving certificates":
      "tlsboot get csr --field-selector spec.signerName=kubernetes.io/kubelet-serving -w",
    "Write the certificate of a request to a file":
      "tlsboot get csr n1 -o jsonpath='{.status.certificate}' | base64 -d > n1.crt",
  },
  rules: [atMostOneOf("pending", "NAME"), ...LIST_RULES],
});

export const describeCsrCommand = defineCommand({
  path: ["describe", "csr"],
  aliases: CSR_ALIASES,
  summary: "Show the details of a certificate signing request",
  description: `Show the details of a certificate signing request.

 Starts as kubectl describe csr does. Then it describes the request in a sentence, warns of unusual properties, and shows the requested identity next to the requester, the difference from the last certificate, other open requests for the same names, the rights of the certificate's holder, the conditions, the verdicts of the approval rules and of the signer's profile, and the certificate once there is one. Facts that the server does not have, or that you may not read, are left out. The verdict is that of the policies and the inventory that the approver has published; tlsboot policy explain shows that of others. NAME is the name of a request, or of the requesting machine.`,
  group: "Request Commands",
  args: [argument("[NAME...]", "The requests or machines to describe; all without a name", REQUEST_NAMES)],
  flags: { ...API_FLAGS, profile: PROFILE_FLAGS.profile },
  examples: {
    "Look before you approve": "tlsboot describe csr n1",
    "With the rules of a custom signer": "tlsboot describe csr web-1 --profile web.yaml",
  },
});

/** The flags of `approve` and `deny`. The message always has the user, as the server authenticated them, and the tool. */
const DECIDE_FLAGS = {
  ...API_FLAGS,
  reason: textFlag({
    summary: "Reason of the condition, one word for programs. Without it, TlsbootApprove or TlsbootDeny.",
  }),
  message: textFlag({
    summary: "Message of the condition, a sentence for people. The user and the tool that decided are added to it.",
  }),
} as const;

export const approveCommand = defineCommand({
  path: ["approve"],
  summary: "Approve certificate signing requests",
  description: `Approve certificate signing requests.

 The signer then issues the requested certificate. A certificate may let its holder act as another identity: check the request with tlsboot describe csr first. An approval cannot be taken back, but tlsboot revoke csr/NAME revokes the certificate.

 NAME is the name of a request or of the requesting machine. If more than one request matches, they are
 listed and none is approved; write csr/NAME or node/NAME to choose one.

 The warnings that tlsboot describe csr shows are shown here too, for example that the machine has a valid certificate with
 another key. A request with a warning is only approved when you confirm it on the terminal, or with --yes.

 With -i it shows each pending request, or those of NAME, with a sentence, warnings, the facts, the rights of the
 certificate's holder and the verdict of the approval rules. Then it asks what to do: y approves, n denies with a reason
 that is kept in the request, s skips, w shows the reasons of the rules and everything else that is known, q quits.
 Answers are whole lines, so this works over ssh without a terminal, in a pipe and with a screen reader; the end of the
 input quits. A request that changes while you look at it is not decided, but shown again.

 To approve the machines of a list automatically, start the server with tlsboot up --auto-approve --inventory FILE. The
 file can change while it runs.

 The condition names the user and the tool that decided. When no signer has issued a certificate after a second, this is
 reported on stderr.`,
  group: "Request Commands",
  args: [argument("[NAME...]", "The requests or machines to approve", REQUEST_NAMES)],
  flags: {
    ...DECIDE_FLAGS,
    interactive: switchFlag({
      short: "i",
      summary: "Show pending requests one by one, and ask about each. Required for --watch and the selectors.",
    }),
    watch: switchFlag({
      short: "w",
      summary: "With -i: wait for further requests, and ask about each as it arrives.",
    }),
    fieldSelector: LIST_FLAGS.fieldSelector,
    selector: LIST_FLAGS.selector,
    yes: switchFlag({ summary: "Approve requests with warnings without asking." }),
  },
  examples: {
    "Approve the machine n1": "tlsboot approve n1",
    "Approve a request": "tlsboot approve csr-sqgzp",
    "Approve a request in spite of its warnings": "tlsboot approve csr-sqgzp --yes",
    "Look at all pending requests, the oldest first": "tlsboot approve -i",
    "Look at serving certificates as they are requested":
      "tlsboot approve -i --watch --field-selector spec.signerName=kubernetes.io/kubelet-serving",
    "Give a reason": "tlsboot approve csr-sqgzp --reason Inventory --message 'Rack 4, checked by hand.'",
  },
  rules: [
    needs(["watch", "fieldSelector", "selector"], "interactive"),
    excludes("interactive", "yes", "reason", "message"),
    excludes("NAME", "watch", "fieldSelector", "selector"),
  ],
  exitCodes: {
    0: "every request is approved",
    1: "failed for one or more requests",
    3: "a request with warnings was not approved",
  },
});

export const denyCommand = defineCommand({
  path: ["deny"],
  summary: "Deny certificate signing requests",
  description: `Deny certificate signing requests.

 No certificate is issued for a denied request. A denial cannot be taken back: the client has to send a new request. The condition names the user and the tool that decided. NAME is the name of a request or of the requesting machine, as for tlsboot approve.`,
  group: "Request Commands",
  args: [argument("NAME...", "The requests or machines to deny", REQUEST_NAMES)],
  flags: DECIDE_FLAGS,
  examples: { "Deny a request": "tlsboot deny csr-sqgzp --message 'Unknown machine.'" },
  exitCodes: { 0: "every request is denied", 1: "failed for one or more requests" },
});

export const deleteCsrCommand = defineCommand({
  path: ["delete", "csr"],
  aliases: CSR_ALIASES,
  summary: "Delete certificate signing requests",
  description: `Delete certificate signing requests.

 Certificates that were issued stay valid; tlsboot revoke csr/NAME revokes them, even after the request was deleted.

 An approver ignores a requester after a hundred of its requests stayed pending, and reports that in its log and in an
 Event. --pending-of deletes them all, so that the approver handles new ones again; decided requests are kept.`,
  group: "Request Commands",
  args: [argument("[NAME...]", "The requests to delete", REQUEST_NAMES)],
  flags: {
    ...API_FLAGS,
    pendingOf: textFlag({
      placeholder: "USER",
      summary: "Instead of names: all pending requests of this user, such as system:node:n1.",
    }),
  },
  examples: {
    "Delete a request": "tlsboot delete csr n1",
    "Let a node send requests again": "tlsboot delete csr --pending-of system:node:n1",
  },
  rules: [exactlyOneOf("NAME", "pendingOf")],
  exitCodes: { 1: "failed for one or more requests" },
});
