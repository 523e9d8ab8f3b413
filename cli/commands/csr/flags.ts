/** The command `tlsboot get csr`: its flags, help and examples. */
import { parseFieldSelector } from "../../../core/kube/selectors/fields.ts";
import { parseLabelSelector } from "../../../core/kube/selectors/labels.ts";
import { ok, type Result } from "../../../core/lib/result.ts";
import { argument, defineCommand } from "../../framework/command.ts";
import { parsedFlag, switchFlag } from "../../framework/flags.ts";
import { OUTPUT_FLAG } from "../../output/format.ts";
import { API_FLAGS } from "../../flags/common.ts";

/** The names of the resource in kubectl. */
export const CSR_ALIASES: readonly string[] = [
  "certificatesigningrequest",
  "certificatesigningrequests",
  "certificatesigningrequests.certificates.k8s.io",
];

const flags = {
  ...API_FLAGS,
  output: OUTPUT_FLAG,
  watch: switchFlag({ short: "w", isCommandLineOnly: true, summary: "After listing, watch for changes." }),
  fieldSelector: parsedFlag({
    isCommandLineOnly: true,
    placeholder: "QUERY",
    summary: "Selector on fields, such as spec.signerName=kubernetes.io/kubelet-serving or metadata.name!=n1.",
    parse: (text) => asTyped(text, parseFieldSelector(text)),
  }),
  selector: parsedFlag({
    short: "l",
    isCommandLineOnly: true,
    placeholder: "QUERY",
    summary: "Selector on labels, such as team=blue or 'env in (test,stage)'.",
    parse: (text) => asTyped(text, parseLabelSelector(text)),
  }),
} as const;

/** Checks a selector, which is then sent to the server as it was typed. */
function asTyped(text: string, selector: Result<unknown, string>): Result<string, string> {
  return selector.ok ? ok(text) : selector;
}

/** The flags of `get csr`, for the action. */
export type GetCsrFlags = typeof flags;

/** The command that shows requests as kubectl does. */
export const getCsrCommand = defineCommand({
  path: ["get", "csr"],
  aliases: CSR_ALIASES,
  summary: "Display certificate signing requests",
  description: `Display certificate signing requests.

 Prints the table that the server makes, the same as kubectl get csr.`,
  group: "Certificate Signing Request Commands",
  args: [argument("NAME", "Requests to show; all without a name", { optional: true, variadic: true })],
  flags,
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
  load: () => import("./get.ts"),
});
