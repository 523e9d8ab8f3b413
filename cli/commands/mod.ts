/** The command table: all commands in the order of help. */
import type { CommandFamily, CommandTable } from "../framework/command.ts";
import { approveCommand } from "./csr/approve_flags.ts";
import { approverCommand } from "./approver/flags.ts";
import { approverClearCommand } from "./approver/clear_flags.ts";
import { approverExplainCommand } from "./approver/explain_flags.ts";
import { approverTestCommand } from "./approver/fixtures_flags.ts";
import { backupCommand } from "./backup/flags.ts";
import { bootstrapCommand } from "./bootstrap/flags.ts";
import { caInitCommand } from "./ca/flags.ts";
import { caShowCommand } from "./ca/show_flags.ts";
import { completionCommand } from "./completion/flags.ts";
import { deleteCsrCommand } from "./csr/delete_flags.ts";
import { demoCommand } from "./demo/flags.ts";
import { denyCommand } from "./csr/deny_flags.ts";
import { describeCsrCommand } from "./csr/describe_flags.ts";
import { docsLicensesCommand } from "./docs/flags.ts";
import { docsManCommand } from "./docs/man_flags.ts";
import { getCsrCommand } from "./csr/flags.ts";
import { inspectCommand } from "./inspect/flags.ts";
import { kubeconfigAdminCommand } from "./kubeconfig/admin_flags.ts";
import { kubeconfigBootstrapCommand } from "./kubeconfig/bootstrap_flags.ts";
import { kubeconfigUserCommand } from "./kubeconfig/user_flags.ts";
import { requestCommand } from "./request/flags.ts";
import { restoreCommand } from "./backup/restore_flags.ts";
import { serveCommand } from "./serve/flags.ts";
import { signCommand } from "./sign/flags.ts";
import { signerCommand } from "./signer/flags.ts";
import { tokenCreateCommand } from "./token/flags.ts";
import { tokenDeleteCommand } from "./token/delete_flags.ts";
import { tokenListCommand } from "./token/list_flags.ts";
import { upCommand } from "./up/flags.ts";
import { versionCommand } from "./version/flags.ts";

/** The words that hold commands. Their order does not matter: help follows the order of the commands. */
const FAMILIES: readonly CommandFamily[] = [
  {
    word: "get",
    summary: "Display certificate signing requests",
    description: "Display certificate signing requests.",
    group: "Certificate Signing Request Commands",
  },
  {
    word: "describe",
    summary: "Show the details of a certificate signing request",
    description: "Show the details of a certificate signing request.",
    group: "Certificate Signing Request Commands",
  },
  {
    word: "delete",
    summary: "Delete certificate signing requests",
    description: "Delete certificate signing requests.",
    group: "Certificate Signing Request Commands",
  },
  {
    word: "ca",
    summary: "Make or show the certificate authority",
    description: "Make or show the certificate authority in --data-dir.",
    group: "Key and File Commands",
  },
  {
    word: "token",
    summary: "Create, list and delete bootstrap tokens",
    description: "Create, list and delete bootstrap tokens, with which a machine requests its first certificate.",
    group: "Key and File Commands",
  },
  {
    word: "kubeconfig",
    summary: "Write kubeconfig files",
    description: "Write kubeconfig files, which name the API server, the CA to trust, and the credentials of a user.",
    group: "Key and File Commands",
  },
  {
    word: "docs",
    summary: "Print manual pages and licences",
    description: "Print manual pages, and the licences of everything inside the file.",
    group: "Other Commands",
  },
];

/** All commands of `tlsboot`, in the order of help. */
export const COMMAND_TABLE: CommandTable = {
  program: "tlsboot",
  description: `tlsboot does Kubernetes TLS bootstrapping from both ends.

 A certificates.k8s.io API, a signer, an approver and a kubelet-style client in one file.`,
  families: FAMILIES,
  commands: [
    demoCommand,
    upCommand,
    serveCommand,
    signerCommand,
    approverCommand,
    approverExplainCommand,
    approverTestCommand,
    approverClearCommand,
    bootstrapCommand,
    getCsrCommand,
    describeCsrCommand,
    approveCommand,
    denyCommand,
    deleteCsrCommand,
    requestCommand,
    signCommand,
    caInitCommand,
    caShowCommand,
    backupCommand,
    restoreCommand,
    tokenCreateCommand,
    tokenListCommand,
    tokenDeleteCommand,
    kubeconfigAdminCommand,
    kubeconfigBootstrapCommand,
    kubeconfigUserCommand,
    inspectCommand,
    completionCommand,
    docsManCommand,
    docsLicensesCommand,
    versionCommand,
  ],
};
