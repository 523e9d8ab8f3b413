/** Prints the licence texts of everything inside the single file. */
import { renderLicenses } from "../../sbom/licenses.ts";
import type { DocsLicensesFlags } from "./flags.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import type { Io } from "../../io.ts";

/** The action of the command `tlsboot docs licenses`. */
export function run(_input: Input<DocsLicensesFlags>, io: Io): Promise<ExitCode> {
  io.stdout.write(renderLicenses());
  return Promise.resolve(EXIT.done);
}
