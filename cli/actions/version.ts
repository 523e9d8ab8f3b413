/** Prints the version. */
import type { VersionFlags } from "../commands/version.ts";
import { EXIT, type ExitCode } from "../exit_code.ts";
import type { Input } from "../framework/command.ts";
import type { Io } from "../io.ts";
import { getVersionFacts, type VersionFacts } from "../version.ts";

/** Runs `tlsboot version`. */
export async function run({ settings }: Input<VersionFlags>, io: Io): Promise<ExitCode> {
  const facts = getVersionFacts(io.versions);
  if (settings.output === undefined) {
    io.stdout.write(words(facts));
    return EXIT.done;
  }
  const { writeStructured } = await import("../output/structured.ts");
  await writeStructured(facts, settings.output, io);
  return EXIT.done;
}

function words({ version, kubernetesVersion, commit, buildDate, runtime, opensslVersion }: VersionFacts): string {
  const openssl = opensslVersion === undefined ? "" : `, OpenSSL ${opensslVersion}`;
  return [
    `tlsboot version: ${version}`,
    `Kubernetes API: ${kubernetesVersion}`,
    `Commit: ${commit}${buildDate === "unknown" ? "" : ` of ${buildDate}`}`,
    `Runtime: ${runtime.name} ${runtime.version}${openssl}`,
    "",
  ].join("\n");
}
