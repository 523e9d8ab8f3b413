/** What the executable carries beside its first script, and how that is read. */
import { Script } from "node:vm";

/** The bundle, as `wrapBundle()` makes it. */
export const BUNDLE_ASSET = "tlsboot.cjs";

/** V8's code cache for the bundle; empty where it cannot be made. */
export const CODE_CACHE_ASSET = "tlsboot.cache";

/** Runs a bundle with the `require` that it is given. */
export type BundleMain = (require: (name: string) => unknown) => void;

/** The bundle as an expression, a `BundleMain`. */
export function wrapBundle(code: string): string {
  return `(function (require) {${code}\n})`;
}

/** Compiles a wrapped bundle. V8 refuses a cache that is not for it, and compiles as if there were none. */
export function compileBundle(source: string, cachedData?: Uint8Array): Script {
  return new Script(source, { filename: BUNDLE_ASSET, ...(cachedData === undefined ? {} : { cachedData }) });
}

/** Evaluates a compiled bundle: runs nothing of it yet. */
export function mainOf(script: Script): BundleMain {
  return script.runInThisContext() as BundleMain;
}
