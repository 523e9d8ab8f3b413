/** The command table: all commands in the order of help. */
import { type CommandFamily, type CommandTable, withAction } from "../framework/command.ts";
import { approverCommand } from "./approver/flags.ts";
import { attestCommand } from "./attest/flags.ts";
import { attestorCommand } from "./attestor/flags.ts";
import { backupCommand, restoreCommand } from "./backup/flags.ts";
import { bootstrapCommand } from "./bootstrap/flags.ts";
import {
  caCrlCommand,
  caImportCommand,
  caInitCommand,
  caRequestCommand,
  caSharesCheckCommand,
  caSharesCombineCommand,
  caSharesSplitCommand,
  caShowCommand,
  caSignCommand,
} from "./ca/flags.ts";
import { describeCertificateCommand, getCertificatesCommand, verifyCertificatesCommand } from "./certificates/flags.ts";
import {
  caRotateAbortCommand,
  caRotateBeginCommand,
  caRotateFinishCommand,
  caRotateNowCommand,
  caRotateStatusCommand,
  caRotateSwitchCommand,
} from "./ca/rotate_flags.ts";
import { completionCommand } from "./completion/flags.ts";
import { approveCommand, deleteCsrCommand, denyCommand, describeCsrCommand, getCsrCommand } from "./csr/flags.ts";
import { demoCommand } from "./demo/flags.ts";
import { guideCommand, manCommand, mixinCommand } from "./docs/flags.ts";
import { doctorCommand } from "./doctor/flags.ts";
import { inspectCommand } from "./inspect/flags.ts";
import { kubeconfigAdminCommand, kubeconfigUserCommand } from "./kubeconfig/flags.ts";
import { exportCsrCommand, importCsrCommand } from "./offline/flags.ts";
import { policyCheckCommand, policyExplainCommand, policyTestCommand } from "./policy/flags.ts";
import { requestCommand, requestWebCommand } from "./request/flags.ts";
import { getRevocationsCommand, revokeCommand, unrevokeCommand } from "./revocation/flags.ts";
import { serveCommand } from "./serve/flags.ts";
import { signCommand } from "./sign/flags.ts";
import { signerCommand } from "./signer/flags.ts";
import { tokenCreateCommand, tokenDeleteCommand, tokenListCommand } from "./token/flags.ts";
import {
  getTrustBundlesCommand,
  trustFetchCommand,
  trustInstallCommand,
  trustShowCommand,
  trustUninstallCommand,
} from "./trust/flags.ts";
import { uiCommand } from "./ui/flags.ts";
import { upCommand } from "./up/flags.ts";
import { upgradeCommand } from "./upgrade/flags.ts";
import { versionCommand } from "./version/flags.ts";

/** The words that group commands. Their order does not matter, because help follows the order of the commands. */
const FAMILIES: readonly CommandFamily[] = [
  {
    word: "token",
    summary: "Create, list and delete bootstrap tokens",
    description: "Create, list and delete the bootstrap tokens with which machines request their first certificates.",
    group: "Machine Commands",
  },
  {
    word: "get",
    summary: "Display requests, certificates, revocations and trust bundles",
    group: "Request Commands",
  },
  {
    word: "describe",
    summary: "Show the details of a request or a certificate",
    group: "Request Commands",
  },
  {
    word: "delete",
    summary: "Delete certificate signing requests",
    group: "Request Commands",
  },
  {
    word: "verify",
    summary: "Check the register of issued certificates",
    group: "Certificate Commands",
  },
  {
    word: "trust",
    summary: "Trust a CA here, or fetch trust bundles",
    description: "Make the programs of this machine trust the CA, or keep a trust bundle in a file.",
    group: "Trust Commands",
  },
  {
    word: "ca",
    summary: "Make, show and replace the certificate authority",
    description:
      "Make, import, show and replace the certificate authority in --data-dir, get its revocation list, sign another CA " +
      "with it, and split the passphrase of its key.",
    group: "CA Commands",
  },
  {
    word: "offline",
    summary: "Carry requests to a CA without a network, and its answers back",
    group: "Offline Commands",
  },
  {
    word: "policy",
    summary: "Explain, test and check the rules of approval and signing",
    description: "Explain how the approval rules decide about a request, and test and check policies and profiles.",
    group: "Policy Commands",
  },
  {
    word: "kubeconfig",
    summary: "Write kubeconfig files",
    description:
      "Write kubeconfig files, which have the address of the API server, the CA to trust, and the credentials of a user.",
    group: "File Commands",
  },
];

/** All commands of `tlsboot`, in the order of help. */
export const COMMAND_TABLE: CommandTable = {
  program: "tlsboot",
  description: `tlsboot does Kubernetes TLS bootstrapping from both ends.

 A certificates.k8s.io API, a signer, an approver and a kubelet-style client in one file.`,
  families: FAMILIES,
  firstDay: [
    "demo",
    "up",
    "token create",
    "bootstrap",
    "get csr",
    "approve",
    "request",
    "get certificates",
    "revoke",
    "ui",
    "doctor",
    "guide",
  ],
  commands: [
    withAction(demoCommand, () => import("./demo/run.ts")),
    withAction(upCommand, () => import("./up/run.ts")),
    withAction(serveCommand, () => import("./serve/run.ts")),
    withAction(signerCommand, () => import("./signer/run.ts")),
    withAction(approverCommand, () => import("./approver/run.ts")),
    withAction(attestorCommand, () => import("./attestor/run.ts")),
    withAction(uiCommand, () => import("./ui/run.ts")),
    withAction(bootstrapCommand, () => import("./bootstrap/run.ts")),
    withAction(attestCommand, () => import("./attest/run.ts")),
    withAction(tokenCreateCommand, () => import("./token/create.ts")),
    withAction(tokenListCommand, async () => ({ run: (await import("./token/list.ts")).runListTokens })),
    withAction(tokenDeleteCommand, async () => ({ run: (await import("./token/list.ts")).runDeleteTokens })),
    withAction(doctorCommand, () => import("./doctor/run.ts")),
    withAction(getCsrCommand, () => import("./csr/get.ts")),
    withAction(describeCsrCommand, () => import("./csr/describe.ts")),
    withAction(approveCommand, () => import("./csr/approve.ts")),
    withAction(denyCommand, async () => ({ run: (await import("./csr/decide.ts")).runDeny })),
    withAction(deleteCsrCommand, () => import("./csr/delete.ts")),
    withAction(requestCommand, () => import("./request/run.ts")),
    withAction(requestWebCommand, () => import("./request/web.ts")),
    withAction(signCommand, () => import("./sign/run.ts")),
    withAction(getCertificatesCommand, () => import("./certificates/get.ts")),
    withAction(describeCertificateCommand, () => import("./certificates/describe.ts")),
    withAction(verifyCertificatesCommand, () => import("./certificates/verify.ts")),
    withAction(revokeCommand, async () => ({ run: (await import("./revocation/run.ts")).runRevoke })),
    withAction(unrevokeCommand, async () => ({ run: (await import("./revocation/run.ts")).runUnrevoke })),
    withAction(getRevocationsCommand, async () => ({ run: (await import("./revocation/run.ts")).runGet })),
    withAction(trustShowCommand, async () => ({ run: (await import("./trust/stores.ts")).runShow })),
    withAction(trustInstallCommand, async () => ({ run: (await import("./trust/stores.ts")).runInstall })),
    withAction(trustUninstallCommand, async () => ({ run: (await import("./trust/stores.ts")).runUninstall })),
    withAction(trustFetchCommand, async () => ({ run: (await import("./trust/bundles.ts")).runFetchBundle })),
    withAction(getTrustBundlesCommand, async () => ({ run: (await import("./trust/bundles.ts")).runListBundles })),
    withAction(caInitCommand, async () => ({ run: (await import("./ca/make.ts")).runInit })),
    withAction(caImportCommand, async () => ({ run: (await import("./ca/make.ts")).runImport })),
    withAction(caShowCommand, () => import("./ca/show.ts")),
    withAction(caCrlCommand, () => import("./ca/crl.ts")),
    withAction(caRequestCommand, async () => ({ run: (await import("./ca/make.ts")).runRequest })),
    withAction(caSignCommand, async () => ({ run: (await import("./ca/make.ts")).runSign })),
    withAction(caSharesSplitCommand, async () => ({ run: (await import("./ca/shares.ts")).runSplitShares })),
    withAction(caSharesCheckCommand, async () => ({ run: (await import("./ca/shares.ts")).runCheckShares })),
    withAction(caSharesCombineCommand, async () => ({ run: (await import("./ca/shares.ts")).runCombineShares })),
    withAction(caRotateBeginCommand, async () => ({ run: (await import("./ca/rotate.ts")).runBegin })),
    withAction(caRotateStatusCommand, async () => ({ run: (await import("./ca/rotate.ts")).runStatus })),
    withAction(caRotateSwitchCommand, async () => ({ run: (await import("./ca/rotate.ts")).runSwitch })),
    withAction(caRotateFinishCommand, async () => ({ run: (await import("./ca/rotate.ts")).runFinish })),
    withAction(caRotateAbortCommand, async () => ({ run: (await import("./ca/rotate.ts")).runAbort })),
    withAction(caRotateNowCommand, () => import("./ca/rotate_now.ts")),
    withAction(exportCsrCommand, async () => ({ run: (await import("./offline/run.ts")).runExport })),
    withAction(importCsrCommand, async () => ({ run: (await import("./offline/run.ts")).runImportAnswers })),
    withAction(policyExplainCommand, () => import("./policy/explain.ts")),
    withAction(policyTestCommand, async () => ({ run: (await import("./policy/test.ts")).runTestPolicies })),
    withAction(policyCheckCommand, async () => ({ run: (await import("./policy/test.ts")).runCheck })),
    withAction(backupCommand, () => import("./backup/backup.ts")),
    withAction(restoreCommand, () => import("./backup/restore.ts")),
    withAction(kubeconfigAdminCommand, () => import("./kubeconfig/admin.ts")),
    withAction(kubeconfigUserCommand, () => import("./kubeconfig/user.ts")),
    withAction(inspectCommand, () => import("./inspect/run.ts")),
    withAction(guideCommand, async () => ({ run: (await import("./docs/run.ts")).runPrintGuide })),
    withAction(manCommand, async () => ({ run: (await import("./docs/run.ts")).runPrintMan })),
    withAction(mixinCommand, async () => ({ run: (await import("./docs/run.ts")).runPrintMixin })),
    withAction(completionCommand, () => import("./completion/run.ts")),
    withAction(upgradeCommand, () => import("./upgrade/run.ts")),
    withAction(versionCommand, () => import("./version/run.ts")),
  ],
};
