/** The command table: all commands in the order of help. */
import type { CommandFamily, CommandTable } from "../framework/command.ts";
import { approveCommand } from "./approve.ts";
import { approverCommand } from "./approver.ts";
import { approverClearCommand } from "./approver_clear.ts";
import { approverExplainCommand } from "./approver_explain.ts";
import { approverTestCommand } from "./approver_fixtures.ts";
import { backupCommand } from "./backup.ts";
import { bootstrapCommand } from "./bootstrap.ts";
import { caInitCommand } from "./ca/init.ts";
import { caShowCommand } from "./ca/show.ts";
import { completionCommand } from "./completion.ts";
import { deleteCsrCommand } from "./delete_csr.ts";
import { demoCommand } from "./demo.ts";
import { denyCommand } from "./deny.ts";
import { describeCsrCommand } from "./describe_csr.ts";
import { docsLicensesCommand } from "./docs/licenses.ts";
import { docsManCommand } from "./docs/man.ts";
import { getCsrCommand } from "./get_csr.ts";
import { inspectCommand } from "./inspect.ts";
import { kubeconfigAdminCommand } from "./kubeconfig/admin.ts";
import { kubeconfigBootstrapCommand } from "./kubeconfig/bootstrap.ts";
import { kubeconfigUserCommand } from "./kubeconfig/user.ts";
import { requestCommand } from "./request.ts";
import { restoreCommand } from "./restore.ts";
import { serveCommand } from "./serve.ts";
import { signCommand } from "./sign.ts";
import { signerCommand } from "./signer.ts";
import { tokenCreateCommand } from "./token/create.ts";
import { tokenDeleteCommand } from "./token/delete.ts";
import { tokenListCommand } from "./token/list.ts";
import { upCommand } from "./up.ts";
import { versionCommand } from "./version.ts";

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
