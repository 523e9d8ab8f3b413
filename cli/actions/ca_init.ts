/** Makes a CA on disk. */
import { resolve } from "node:path";
import { createFilePort } from "../../client/files.ts";
import { authorityPaths, createAuthorityFiles } from "../authority_files.ts";
import type { CaInitFlags } from "../commands/ca/init.ts";
import { EXIT, type ExitCode } from "../exit_code.ts";
import type { Input } from "../framework/command.ts";
import { UsageError } from "../framework/usage_error.ts";
import type { Io } from "../io.ts";
import { startProgress } from "../output/progress.ts";

/** A day: a CA that ends sooner is a mistake. */
const MIN_LIFE_MS = 24 * 3_600_000;

/** Runs `tlsboot ca init`. */
export async function run({ settings }: Input<CaInitFlags>, io: Io): Promise<ExitCode> {
  const { commonName, keyAlgorithm, duration, dataDir } = settings;
  if (duration < MIN_LIFE_MS) throw new UsageError("--duration of a CA must be at least 24h");
  if (commonName === "") throw new UsageError("--common-name must not be empty");
  const folder = resolve(io.cwd, dataDir);
  {
    using _ = startProgress(io, "Making the key");
    const deps = { files: createFilePort(), clock: io.clock, random: io.random };
    await createAuthorityFiles(folder, { commonName, keyAlgorithm, lifeMs: duration }, deps);
  }
  const paths = authorityPaths(dataDir);
  io.stdout.write(`certificate: ${paths.certificate}\nkey: ${paths.key}\n`);
  return EXIT.done;
}
