/** Shows revocations as kubectl shows objects. */
import { revocationKind } from "../../../core/kube/kinds/mod.ts";
import { explainMissingGroup } from "../../../client/admin/records.ts";
import { showObjects } from "../../output/show_objects.ts";
import type { ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import type { Tools } from "../../io.ts";
import type { getRevocationsCommand } from "./flags.ts";

export async function run(input: Input<typeof getRevocationsCommand.flags>, tools: Tools): Promise<ExitCode> {
  const names = input.args.map((text) => text.replace(/^revocations?(\.tlsboot)?\//, ""));
  return await explainMissingGroup(() => showObjects({ kind: revocationKind, names }, input, tools));
}
