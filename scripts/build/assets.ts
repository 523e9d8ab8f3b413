/** The assets of the executable next to its first script, and how they are run. */
import { Script } from "node:vm";

/** Name of the script of the bundle to begin with. */
export const ENTRY = "main.js";

/** The `require` function of a script of the bundle. */
export type Require = (name: string) => unknown;

/** A script as a function that fills in a CommonJS module. */
type Main = (require: Require, module: { exports: unknown }) => void;

/** The value of an asset: scripts of the bundle by name, or the name of the other asset that has them. */
type Pack = Readonly<Record<string, Main | string>>;

/** The name under which the code cache of an asset is carried; empty where none can be made. */
export function toCodeCacheName(asset: string): string {
  return `${asset}.cache`;
}

/** Packs scripts into one asset with the name of the first; `elsewhere` names the assets of other scripts. */
export function packScripts(
  scripts: readonly (readonly [name: string, code: string])[],
  elsewhere: readonly (readonly [name: string, asset: string])[] = [],
): string {
  const members = [
    ...scripts.map(([name, code]) => `${JSON.stringify(name)}: function (require, module) {${code}\n}`),
    ...elsewhere.map(([name, asset]) => `${JSON.stringify(name)}: ${JSON.stringify(asset)}`),
  ];
  return `({${members.join(",\n")}})`;
}

/** Compiles an asset. V8 ignores a cache that was made by another version or for another processor. */
export function compileAsset(name: string, source: string, cachedData?: Uint8Array): Script {
  return new Script(source, { filename: name, ...(cachedData === undefined ? {} : { cachedData }) });
}

/** The module system of a bundle: scripts find each other as `./name`, everything else is for `requireOther`. */
export function createRequire(compile: (asset: string) => Script, requireOther: Require): Require {
  const modules = new Map<string, { exports: unknown }>();
  const packed = new Map<string, Main | string>();
  function require(path: string): unknown {
    if (!path.startsWith("./")) return requireOther(path);
    const name = path.slice(2);
    const known = modules.get(name);
    if (known !== undefined) return known.exports;
    const module = { exports: {} as unknown };
    modules.set(name, module);
    findMain(name)(require, module);
    return module.exports;
  }
  /** A script that no open asset contains or names has an asset of its own. */
  function findMain(name: string): Main {
    const place = packed.get(name) ?? name;
    if (typeof place !== "string") return place;
    for (const [member, main] of Object.entries(compile(place).runInThisContext() as Pack)) packed.set(member, main);
    const main = packed.get(name);
    if (typeof main === "function") return main;
    throw new Error(`the asset ${place} does not have the script ${name}`);
  }
  return require;
}
