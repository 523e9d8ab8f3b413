/** The command `tlsboot describe csr`: its flags, help and examples. */
import { argument, defineCommand } from "../../framework/command.ts";
import { listFlag } from "../../framework/flags.ts";
import { API_FLAGS } from "../../flags/common.ts";
import { POLICY_FLAGS } from "../../flags/controller.ts";
import { CSR_ALIASES } from "./flags.ts";

const flags = {
  ...API_FLAGS,
  ...POLICY_FLAGS,
  profile: listFlag({
    placeholder: "FILE",
    completion: { kind: "file" },
    summary: "Rules of custom signers (kind: SigningProfile), to show how they judge their requests.",
  }),
} as const;

/** The flags of `describe csr`, for the action. */
export type DescribeCsrFlags = typeof flags;

/** The command that shows a request, its requester, and the verdicts of the rules. */
export const describeCsrCommand = defineCommand({
  path: ["describe", "csr"],
  aliases: CSR_ALIASES,
  summary: "Show the details of a certificate signing request",
  description: `Show the details of a certificate signing request.

 Starts as kubectl describe csr does, then shows the requested identity beside the requester, the conditions, the verdicts of the approval rules and of the signer's profile, and the certificate once there is one. Give it the --policy and --inventory that the approver runs with: the verdict is then the approver's own.`,
  group: "Certificate Signing Request Commands",
  args: [argument("NAME", "The requests to describe; all without a name", { optional: true, variadic: true })],
  flags,
  examples: [
    { comment: "Look before you approve", command: "tlsboot describe csr n1" },
    {
      comment: "With the rules of a custom signer",
      command: "tlsboot describe csr web-1 --profile web.yaml",
    },
  ],
  exitCodes: {},
  load: () => import("./describe.ts"),
});
