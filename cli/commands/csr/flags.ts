/**
 * The commands for certificate signing requests, `get csr`, `describe csr`, `approve`, `deny` and `delete csr`: flags,
 * help and examples.
 */
import { API_FLAGS } from "../../flags/common.ts";
import { POLICY_FLAGS } from "../../flags/controller.ts";
import { LIST_FLAGS } from "../../flags/list.ts";
import { argument, defineCommand } from "../../framework/command.ts";
import { listFlag, textFlag } from "../../framework/flags.ts";

/** The names of the resource in kubectl. */
const CSR_ALIASES: readonly string[] = [
  "certificatesigningrequest",
  "certificatesigningrequests",
  "certificatesigningrequests.certificates.k8s.io",
];

const GET_CSR_FLAGS = { ...API_FLAGS, ...LIST_FLAGS } as const;

/** The type of the flags of `get csr`. */
export type GetCsrFlags = typeof GET_CSR_FLAGS;

/** The command that shows requests as kubectl does. */
export const getCsrCommand = defineCommand({
  path: ["get", "csr"],
  aliases: CSR_ALIASES,
  summary: "Display certificate signing requests",
  description: `Display certificate signing requests.

 Prints the table that the server makes, the same as kubectl get csr. On stderr it names the pending requests that the
 approver holds for a person: another machine may be claiming the name of a node, or the inventory lacks the machine.`,
  group: "Certificate Signing Request Commands",
  args: [argument("NAME", "Requests to show; all without a name", { optional: true, variadic: true })],
  flags: GET_CSR_FLAGS,
  examples: [
    { comment: "List all requests", command: "tlsboot get csr" },
    {
      comment: "List pending serving certificates and watch",
      command: "tlsboot get csr --field-selector spec.signerName=kubernetes.io/kubelet-serving -w",
    },
    {
      comment: "Write the certificate of a request to a file",
      command: "tlsboot get csr n1 -o jsonpath='{.status.certificate}' | base64 -d > n1.crt",
    },
  ],
  exitCodes: {},
});

const DESCRIBE_CSR_FLAGS = {
  ...API_FLAGS,
  ...POLICY_FLAGS,
  profile: listFlag({
    placeholder: "FILE",
    completion: { kind: "file" },
    summary: "Rules of custom signers (kind: SigningProfile), to show their verdicts about requests.",
  }),
} as const;

/** The type of the flags of `describe csr`. */
export type DescribeCsrFlags = typeof DESCRIBE_CSR_FLAGS;

/** The command that shows a request, its requester, and the verdicts of the rules. */
export const describeCsrCommand = defineCommand({
  path: ["describe", "csr"],
  aliases: CSR_ALIASES,
  summary: "Show the details of a certificate signing request",
  description: `Show the details of a certificate signing request.

 Starts as kubectl describe csr does, then shows the requested identity beside the requester, the conditions, the verdicts of the approval rules and of the signer's profile, and the certificate once there is one. The verdict is by the policies and the inventory that the approver has published, or by those of --policy and --inventory.`,
  group: "Certificate Signing Request Commands",
  args: [argument("NAME", "The requests to describe; all without a name", { optional: true, variadic: true })],
  flags: DESCRIBE_CSR_FLAGS,
  examples: [
    { comment: "Look before you approve", command: "tlsboot describe csr n1" },
    {
      comment: "With the rules of a custom signer",
      command: "tlsboot describe csr web-1 --profile web.yaml",
    },
  ],
  exitCodes: {},
});

/** The flags of both commands. The message always names the user, as the server knows them, and the tool. */
export const DECIDE_FLAGS = {
  ...API_FLAGS,
  reason: textFlag({
    isCommandLineOnly: true,
    summary: "Reason of the condition, one word for programs. Without it, TlsbootApprove or TlsbootDeny.",
  }),
  message: textFlag({
    isCommandLineOnly: true,
    summary: "Message of the condition, a sentence for people. The user and the tool that decided are added to it.",
  }),
} as const;

/** The command that approves requests, as `kubectl certificate approve` does. */
export const approveCommand = defineCommand({
  path: ["approve"],
  summary: "Approve certificate signing requests",
  description: `Approve certificate signing requests.

 The signer then issues the requested certificate. A certificate may let its holder act as another identity: check the request with tlsboot describe csr first. An approval cannot be taken back.

 The condition names the user and the tool that decided. When no signer has issued a certificate after a second, this is
 reported on stderr.`,
  group: "Certificate Signing Request Commands",
  args: [argument("NAME", "The requests to approve", { variadic: true })],
  flags: DECIDE_FLAGS,
  examples: [
    { comment: "Approve a request", command: "tlsboot approve csr-sqgzp" },
    {
      comment: "Give a reason",
      command: "tlsboot approve csr-sqgzp --reason Inventory --message 'Rack 4, checked by hand.'",
    },
  ],
  exitCodes: { 0: "every request is approved", 1: "failed for one or more requests" },
});

/** The command that denies requests, as `kubectl certificate deny` does. */
export const denyCommand = defineCommand({
  path: ["deny"],
  summary: "Deny certificate signing requests",
  description: `Deny certificate signing requests.

 No certificate is issued for a denied request. A denial cannot be taken back: the client has to send a new request. The condition names the user and the tool that decided.`,
  group: "Certificate Signing Request Commands",
  args: [argument("NAME", "The requests to deny", { variadic: true })],
  flags: DECIDE_FLAGS,
  examples: [{ comment: "Deny a request", command: "tlsboot deny csr-sqgzp --message 'Unknown machine.'" }],
  exitCodes: { 0: "every request is denied", 1: "failed for one or more requests" },
});

const DELETE_CSR_FLAGS = { ...API_FLAGS } as const;

/** The type of the flags of `delete csr`. */
export type DeleteCsrFlags = typeof DELETE_CSR_FLAGS;

/** The command that deletes requests. */
export const deleteCsrCommand = defineCommand({
  path: ["delete", "csr"],
  aliases: CSR_ALIASES,
  summary: "Delete certificate signing requests",
  description: `Delete certificate signing requests.

 Certificates that were issued stay valid.`,
  group: "Certificate Signing Request Commands",
  args: [argument("NAME", "The requests to delete", { variadic: true })],
  flags: DELETE_CSR_FLAGS,
  examples: [{ comment: "Delete a request", command: "tlsboot delete csr n1" }],
  exitCodes: { 1: "failed for one or more requests" },
});
