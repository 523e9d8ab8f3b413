/** Tells what a person may do, or how to let them do something. */
import { join } from "node:path";
import type { SubjectRulesReviewStatus } from "../../core/kube/authorization_v1.ts";
import { shellWord } from "../../core/lib/shell_word.ts";
import type { Io } from "../io.ts";
import { line } from "../output/escape.ts";
import { describeRights } from "./rights_text.ts";

/** Whose rights, and how the one who gives them calls kubectl. */
export interface RightsContext {
  readonly name: string;
  readonly settings: { readonly kubeconfig: string | undefined; readonly dataDir: string };
  readonly shownPath: string;
  readonly io: Pick<Io, "stderr">;
}

/** Prints it on stderr. Rights that the API did not tell are left to kubectl. */
export function reportRights(status: SubjectRulesReviewStatus | undefined, context: RightsContext): void {
  const { name, settings, shownPath, io } = context;
  if (status === undefined) {
    io.stderr.write(line`see what ${name} may do: kubectl --kubeconfig ${shellWord(shownPath)} auth can-i --list\n`);
    return;
  }
  const rights = describeRights(status);
  if (rights.length > 0) {
    io.stderr.write(
      line`${name} may, in the namespace default:\n` + rights.map((right) => line`  ${right}\n`).join(""),
    );
    return;
  }
  const admin = shellWord(settings.kubeconfig ?? join(settings.dataDir, "admin.kubeconfig"));
  const user = name.toLowerCase().replaceAll(/[^a-z0-9.-]+/g, "-").replace(/^[.-]+/, "");
  io.stderr.write(line`${name} may do nothing yet. To let them look around in the namespace default:
  kubectl --kubeconfig ${admin} create rolebinding ${user}${
    user === "" ? "" : "-"
  }view --namespace=default --clusterrole=view --user=${shellWord(name)}
`);
}
