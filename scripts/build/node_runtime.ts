/** The platforms of the released file, and the Node 24 for each, which tests use too. npm installs it once per machine. */
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { TLSBOOT_VERSION } from "../../core/version.ts";
import { cacheDir, mustRun, runQuietly } from "../processes.ts";

/** A system and a processor, as Node's `process.platform` and `process.arch` name them. */
export type Platform = "linux-x64" | "linux-arm64";

/** The platforms that the released file is built for. */
export const PLATFORMS: readonly Platform[] = ["linux-x64", "linux-arm64"];

/** The Node of the released file. */
export const NODE_VERSION = "24.21.0";

/**
 * The flag of the released file for the size of V8's young generation. With 16 MB, most objects of a request burst are
 * collected before they move to the old generation, where they would stay longer. That takes a tenth less CPU time than
 * 4 MB and no more memory. 32 MB would save another twentieth but take 50 MB more.
 */
export const YOUNG_GENERATION_FLAG = "--max-semi-space-size=16";

/** The platform of this process. */
export function hostPlatform(): Platform {
  const host = `${process.platform}-${process.arch}`;
  const platform = PLATFORMS.find((name) => name === host);
  if (platform === undefined) throw new Error(`this needs ${PLATFORMS.join(" or ")}, and this machine is ${host}`);
  return platform;
}

/** Returns the path of the Node executable for a platform, by default the host's. Installs it if it is missing. */
export async function ensureNode(
  platform: Platform = hostPlatform(),
  version: string = NODE_VERSION,
): Promise<string> {
  const name = `node-${platform}`;
  const isHost = platform === hostPlatform();
  const folder = join(cacheDir(), isHost ? `node-${version}` : `node-${version}-${platform}`);
  const executable = join(folder, "node_modules", name, "bin", "node");
  if (!existsSync(executable)) {
    await mkdir(folder, { recursive: true });
    await mustRun("npm", [
      "install",
      "--prefix",
      folder,
      "--no-save",
      "--no-audit",
      "--no-fund",
      "--ignore-scripts",
      "--loglevel=error",
      // npm refuses packages for another processor unless it is forced.
      ...(isHost ? [] : ["--force"]),
      `${name}@${version}`,
    ]);
  }
  return executable;
}

/** Reads the versions of everything inside the Node of the released file. */
export async function readNodeVersions(): Promise<Readonly<Record<string, string>>> {
  return JSON.parse(await runQuietly(await ensureNode(), ["-p", "JSON.stringify(process.versions)"]));
}

/** Finds the targets of a `--target` value: `host`, `all` or a platform. */
export function findTargets(name: string): readonly Platform[] {
  if (name === "all") return PLATFORMS;
  if (name === "host") return [hostPlatform()];
  const found = PLATFORMS.find((platform) => platform === name);
  if (found === undefined) throw new Error(`there is no target "${name}"; want host, all, ${PLATFORMS.join(", ")}`);
  return [found];
}

/** Returns the name of a released file. */
export function toFileName(target: Platform, version: string): string {
  return `tlsboot-${version}-${target}`;
}

/**
 * Returns the path of the released file for this machine. That is the file in `TLSBOOT_TEST_BINARY`, or one that is
 * built into a folder, for `target` as in `findTargets`.
 */
export async function ensureReleasedFile(target: string, out: string): Promise<string> {
  const built = process.env["TLSBOOT_TEST_BINARY"];
  if (built !== undefined) return built;
  await runQuietly(process.execPath, ["run", "-A", "--no-check", "scripts/build.ts", "--target", target, "--out", out]);
  return join(out, toFileName(hostPlatform(), TLSBOOT_VERSION));
}
