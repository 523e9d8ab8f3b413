/** The systems and processors that the released file exists for. */
import { hostPlatform, NODE_VERSIONS, type Platform } from "./node_runtime.ts";

/** One form of the released file. */
export interface Target {
  /** The end of the file's name. */
  readonly name: string;
  readonly platform: Platform;
  readonly format: "elf" | "pe" | "macho";
  /** The version of the Node that is embedded. */
  readonly nodeVersion: string;
}

export const TARGETS: readonly Target[] = [
  createTarget("linux-x64", "linux-x64", "elf"),
  createTarget("linux-arm64", "linux-arm64", "elf"),
  createTarget("win-x64", "win32-x64", "pe"),
  createTarget("darwin-arm64", "darwin-arm64", "macho"),
];

/** Finds the targets that a `--target` names: `host`, `all` or one by its name. */
export function findTargets(name: string): readonly Target[] {
  if (name === "all") return TARGETS;
  const found = TARGETS.filter((target) => name === "host" ? target.platform === hostPlatform() : target.name === name);
  if (found.length > 0) return found;
  throw new Error(`there is no target "${name}"; want host, all, ${TARGETS.map((target) => target.name).join(", ")}`);
}

/** The name of a released file. */
export function toFileName(target: Target, version: string): string {
  return `tlsboot-${version}-${target.name}${target.format === "pe" ? ".exe" : ""}`;
}

function createTarget(name: string, platform: Platform, format: Target["format"]): Target {
  return { name, platform, format, nodeVersion: NODE_VERSIONS[platform] };
}
