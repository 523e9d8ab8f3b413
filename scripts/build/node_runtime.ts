/** The Node 24 that the tests and the released file use: taken from npm by package name, once a machine. */
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { cacheDir, mustRun, runAside } from "../processes.ts";

/** A system and a processor, as Node's `process.platform` and `process.arch` name them. */
export type Platform = "linux-x64" | "linux-arm64";

/** The platforms that the released file is built for. */
export const PLATFORMS: readonly Platform[] = ["linux-x64", "linux-arm64"];

/** The Node of the released file. */
export const NODE_VERSION = "24.21.0";

/**
 * The flag of the released file for the size of V8's young generation. With 16 MB most objects of a storm are collected
 * before they move to the old generation, where they would stay longer: a tenth less CPU than with 4 MB, and no more
 * memory. 32 MB save another twentieth and take 50 MB more.
 */
export const YOUNG_GENERATION_FLAG = "--max-semi-space-size=16";

/** The platform of this process. */
export function hostPlatform(): Platform {
  const host = `${process.platform}-${process.arch}`;
  const platform = PLATFORMS.find((name) => name === host);
  if (platform === undefined) throw new Error(`this needs ${PLATFORMS.join(" or ")}, and this machine is ${host}`);
  return platform;
}

/** Returns the path of the Node executable of a platform, by default the host's; installs it when it is missing. */
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
      // npm refuses a package that is for another processor, unless it is forced.
      ...(isHost ? [] : ["--force"]),
      `${name}@${version}`,
    ]);
  }
  return executable;
}

/** Reads the versions of everything inside the Node of the released file. */
export async function readNodeVersions(): Promise<Readonly<Record<string, string>>> {
  const { code, output } = await runAside(await ensureNode(), ["-p", "JSON.stringify(process.versions)"]);
  if (code !== 0) throw new Error(`node -p ended with ${code}\n${output}`);
  return JSON.parse(output);
}
