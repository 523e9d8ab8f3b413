/** The targets of the build: the platforms that the released file is built for. */
import { hostPlatform, type Platform, PLATFORMS } from "./node_runtime.ts";

/** Finds the targets that a `--target` names: `host`, `all` or one by its name. */
export function findTargets(name: string): readonly Platform[] {
  if (name === "all") return PLATFORMS;
  if (name === "host") return [hostPlatform()];
  const found = PLATFORMS.find((platform) => platform === name);
  if (found === undefined) throw new Error(`there is no target "${name}"; want host, all, ${PLATFORMS.join(", ")}`);
  return [found];
}

/** The name of a released file. */
export function toFileName(target: Platform, version: string): string {
  return `tlsboot-${version}-${target}`;
}
