/** The assets of the executable, which contain the scripts of the bundle, and the module system that runs them. */
import { Script } from "node:vm";

/** The name of the bundle's entry script. */
export const ENTRY = "main.js";

/** The `require` function of a script of the bundle. */
export type Require = (name: string) => unknown;

/** A script as a function that fills in a CommonJS module. */
type Main = (require: Require, module: { exports: unknown }) => void;

/** The value of an asset: scripts of the bundle by name, or the name of another asset that contains them. */
type Pack = Readonly<Record<string, Main | string>>;

/** Returns the name of the asset with another asset's code cache, which is empty if no cache can be made. */
export function toCodeCacheName(asset: string): string {
  return `${asset}.cache`;
}

/** Packs scripts into one asset. `elsewhere` maps other scripts to their assets. */
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

/** Compiles an asset. V8 ignores a cache from another version or processor. */
export function compileAsset(name: string, source: string, cachedData?: Uint8Array): Script {
  return new Script(source, { filename: name, ...(cachedData === undefined ? {} : { cachedData }) });
}

/** Creates the `require` of a bundle: scripts require each other as `./name`, and `requireOther` loads the rest. */
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
  /** Finds a script. If no compiled asset contains it or refers to it, it has its own asset. */
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
