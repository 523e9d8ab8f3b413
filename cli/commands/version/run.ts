/** Prints the version, the bill of materials or the licences, or checks the program's file against a release. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import type { versionCommand } from "./flags.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import type { Settings } from "../../framework/flags.ts";
import type { Io, Tools } from "../../io.ts";
import {
  BUILD,
  getRuntime,
  GIT_VERSION,
  KUBERNETES_VERSION,
  type RuntimeVersions,
  TLSBOOT_VERSION,
} from "../../../core/version.ts";

export async function run({ settings }: Input<typeof versionCommand.flags>, tools: Tools): Promise<ExitCode> {
  if (settings.sbom) return await printSbom(tools);
  if (settings.licenses) {
    tools.stdout.write((await import("../../sbom/licenses.ts")).renderLicenses());
    return EXIT.done;
  }
  if (settings.verify) return await verifyOwnFile(settings, tools);
  const facts = getVersionFacts(tools.versions);
  if (settings.output === undefined) {
    tools.stdout.write(words(facts));
    return EXIT.done;
  }
  const [{ writeStructured }, { DATA_FORMATS }] = await Promise.all([
    import("../../output/structured.ts"),
    import("../../../instance/formats.ts"),
  ]);
  writeStructured({ ...facts, formats: DATA_FORMATS }, settings.output, tools);
  return EXIT.done;
}

/** Returns the versions as `-o json` prints them. Keys may be added, but never removed or changed. */
function getVersionFacts(versions: RuntimeVersions) {
  const runtime = getRuntime(versions);
  return {
    version: TLSBOOT_VERSION,
    /** The Kubernetes release whose API this program implements and uses. */
    kubernetesVersion: KUBERNETES_VERSION,
    /** The version that tlsboot's API server reports at `/version`. */
    gitVersion: GIT_VERSION,
    /** The commit that this program was built from; `unknown` when the sources run directly. */
    commit: BUILD.commit,
    buildDate: BUILD.date,
    runtime,
    // Deno does not contain OpenSSL: the version that it reports is Node's.
    opensslVersion: runtime.name === "Deno" ? undefined : versions["openssl"],
  };
}

async function printSbom(io: Io): Promise<ExitCode> {
  const [{ createSbomContent, renderSbom }, { PACKAGES }] = await Promise.all([
    import("../../sbom/sbom.ts"),
    import("../../sbom/packages.ts"),
  ]);
  io.stdout.write(renderSbom(
    createSbomContent({ version: TLSBOOT_VERSION, build: BUILD, packages: PACKAGES, versions: io.versions }),
  ));
  return EXIT.done;
}

function words(
  { version, kubernetesVersion, commit, buildDate, runtime, opensslVersion }: ReturnType<typeof getVersionFacts>,
): string {
  const openssl = opensslVersion === undefined ? "" : `, OpenSSL ${opensslVersion}`;
  return [
    `tlsboot version: ${version}`,
    `Kubernetes API: ${kubernetesVersion}`,
    `Commit: ${commit}${buildDate === "unknown" ? "" : ` of ${buildDate}`}`,
    `Runtime: ${runtime.name} ${runtime.version}${openssl}`,
    "",
  ].join("\n");
}

/** Prints which file of a release the program is. Returns exit code 3 if it is not part of the release. */
async function verifyOwnFile(
  { release, releaseKey }: Settings<typeof versionCommand.flags>,
  tools: Tools,
): Promise<ExitCode> {
  const { readRelease } = await import("../../release.ts");
  const folder = release === undefined ? dirname(tools.execPath) : resolve(tools.cwd, release);
  const found = await readRelease(folder, releaseKey, tools);
  if (!found.ok) return refuse(found.error, tools);
  const { name, keyId, hashes } = found.value;
  const hash = createHash("sha256").update(await readFile(tools.execPath)).digest("hex");
  const file = [...hashes.keys()].find((one) => hashes.get(one) === hash);
  if (file === undefined) return refuse(`${tools.execPath} is not a file of ${name}`, tools);
  tools.stdout.write(`${tools.execPath} is ${file} of ${name}, signed by ${keyId}\n`);
  return EXIT.done;
}

function refuse(why: string, tools: Tools): ExitCode {
  tools.stdout.write(`not verified: ${why}\n`);
  return EXIT.no;
}
