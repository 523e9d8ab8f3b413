/** `tlsboot describe csr`. */
import { argument, defineCommand } from "../framework/command.ts";
import { listFlag } from "../framework/flags.ts";
import { API_FLAGS } from "./common_flags.ts";
import { POLICY_FLAGS } from "./controller_flags.ts";
import { CSR_ALIASES } from "./get_csr.ts";

const flags = {
  ...API_FLAGS,
  ...POLICY_FLAGS,
  profile: listFlag({
    placeholder: "FILE",
    completion: { kind: "file" },
    summary: "Rules of signers of your own (kind: SigningProfile), to say what they make of their requests.",
  }),
} as const;

/** Its flags, for the action. */
export type DescribeCsrFlags = typeof flags;

/** Shows what is asked for, by whom, and what the built-in rules say of it. */
export const describeCsrCommand = defineCommand({
  path: ["describe", "csr"],
  aliases: CSR_ALIASES,
  summary: "Show the details of a certificate signing request",
  description: `Show the details of a certificate signing request.

 Starts as kubectl describe csr does, then shows the requested identity beside the requester, the conditions, what the approval rules and the signer's profile say of the request, and the certificate once there is one. Give it the --policy and --inventory that the approver runs with: the verdict is then the approver's own.`,
  group: "Certificate Signing Request Commands",
  args: [argument("NAME", "The requests to describe; all without a name", { optional: true, variadic: true })],
  flags,
  examples: [
    { comment: "Look before you approve", command: "tlsboot describe csr n1" },
    {
      comment: "With the rules of a signer of your own",
      command: "tlsboot describe csr web-1 --profile web.yaml",
    },
  ],
  exitCodes: {},
  load: () => import("../actions/describe_csr.ts"),
});
