/** Prints the version. */
import type { VersionFlags } from "../commands/version.ts";
import { EXIT, type ExitCode } from "../exit_code.ts";
import type { Input } from "../framework/command.ts";
import type { Io } from "../io.ts";
import { getVersionFacts } from "../version.ts";

/** Runs `tlsboot version`. */
export async function run({ settings }: Input<VersionFlags>, io: Io): Promise<ExitCode> {
  const facts = getVersionFacts();
  if (settings.output === undefined) {
    io.stdout.write(`tlsboot version: ${facts.version}\nKubernetes API: ${facts.kubernetesVersion}\n`);
    return EXIT.done;
  }
  const { writeStructured } = await import("../output/structured.ts");
  await writeStructured(facts, settings.output, io);
  return EXIT.done;
}
