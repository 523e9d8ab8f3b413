/** Deletes certificate signing requests by their names or short names. */
import { isAppError } from "../../../core/errors.ts";
import type { DeleteCsrFlags } from "./flags.ts";
import { findByShortName } from "./targets.ts";
import { connect } from "../../api/connection.ts";
import type { ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import type { Io } from "../../io.ts";
import { line } from "../../output/escape.ts";
import { csrPath, parseCsrNames } from "../../api/csrs.ts";
import { forEachName } from "../../framework/for_each_name.ts";

/** The action of the command `tlsboot delete csr`. */
export async function run(input: Input<DeleteCsrFlags>, io: Io, signal: AbortSignal): Promise<ExitCode> {
  const names = parseCsrNames(input.args);
  await using connection = await connect(input.settings, io);
  const { api } = connection;
  const remove = async (name: string): Promise<void> => {
    const body = { propagationPolicy: "Background" };
    await api.requestJson({ method: "DELETE", path: csrPath(name), body }, signal);
    io.stdout.write(line`certificatesigningrequest.certificates.k8s.io "${name}" deleted\n`);
  };
  return await forEachName(names, async (name) => {
    try {
      await remove(name);
    } catch (error) {
      if (!isAppError(error, "not_found")) throw error;
      const whole = await findByShortName(api, name, io.clock, signal);
      if (whole === undefined) throw error;
      await remove(whole);
    }
  }, { io, isDebug: input.isDebug, signal });
}
