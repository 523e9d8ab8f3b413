/** The command table: every command that exists, in the order of help. A new command is one file and one line here. */
import type { CommandTable } from "../framework/command.ts";
import { approve } from "./approve.ts";
import { approver } from "./approver.ts";
import { approverClear } from "./approver_clear.ts";
import { approverExplain } from "./approver_explain.ts";
import { approverFixtures } from "./approver_fixtures.ts";
import { backup } from "./backup.ts";
import { bootstrap } from "./bootstrap.ts";
import { caInit } from "./ca/init.ts";
import { caShow } from "./ca/show.ts";
import { completion } from "./completion.ts";
import { demo } from "./demo.ts";
import { deleteCsr } from "./delete_csr.ts";
import { deny } from "./deny.ts";
import { docsLicenses } from "./docs/licenses.ts";
import { docsMan } from "./docs/man.ts";
import { describeCsr } from "./describe_csr.ts";
import { FAMILIES } from "./families.ts";
import { getCsr } from "./get_csr.ts";
import { inspect } from "./inspect.ts";
import { kubeconfigAdmin } from "./kubeconfig/admin.ts";
import { kubeconfigBootstrap } from "./kubeconfig/bootstrap.ts";
import { request } from "./request.ts";
import { kubeconfigUser } from "./kubeconfig/user.ts";
import { tokenCreate } from "./token/create.ts";
import { tokenDelete } from "./token/delete.ts";
import { tokenList } from "./token/list.ts";
import { restore } from "./restore.ts";
import { serve } from "./serve.ts";
import { sign } from "./sign.ts";
import { signer } from "./signer.ts";
import { up } from "./up.ts";
import { version } from "./version.ts";

/** What `tlsboot` can do. */
export const COMMAND_TABLE: CommandTable = {
  program: "tlsboot",
  description: `tlsboot does Kubernetes TLS bootstrapping from both ends.

 A certificates.k8s.io API, a signer, an approver and a kubelet-style client in one file.`,
  families: FAMILIES,
  commands: [
    demo,
    up,
    serve,
    signer,
    approver,
    approverExplain,
    approverFixtures,
    approverClear,
    bootstrap,
    getCsr,
    describeCsr,
    approve,
    deny,
    deleteCsr,
    request,
    sign,
    caInit,
    caShow,
    backup,
    restore,
    tokenCreate,
    tokenList,
    tokenDelete,
    kubeconfigAdmin,
    kubeconfigBootstrap,
    kubeconfigUser,
    inspect,
    completion,
    docsMan,
    docsLicenses,
    version,
  ],
};
