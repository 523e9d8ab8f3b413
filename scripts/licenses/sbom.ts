/**
 * The content of the single file: the packages that `cli/main.ts` reaches, from deno.lock, with their licence texts.
 */
import { readdir, readFile } from "node:fs/promises";
import { dirname, join, normalize } from "node:path";
import { type BundledPackage, packageId } from "../../cli/sbom/sbom.ts";

/** The part of deno.lock that is read. */
interface Lock {
  /** Versions by what is wanted: `npm:hono@4.13.19`. */
  readonly specifiers: Readonly<Record<string, string>>;
  readonly npm: Readonly<Record<string, { readonly integrity: string; readonly dependencies?: readonly string[] }>>;
}

/** A package with the text of its licence. */
export interface Licensed extends BundledPackage {
  readonly text: string;
}

/** What only the command-line program of a package needs, here that of js-yaml. */
const NOT_BUNDLED: ReadonlySet<string> = new Set(["argparse"]);

/** Reads the bill of a checkout whose packages are installed. */
export async function readSbom(root: string): Promise<readonly Licensed[]> {
  const lock: Lock = JSON.parse(await readFile(join(root, "deno.lock"), "utf8"));
  const direct = await importedPackages(root);
  const found = new Map<string, Licensed>();
  const visit = async (key: string): Promise<string> => {
    const { name, version } = splitKey(key);
    const { integrity, dependencies: all = [] } = lock.npm[key]!;
    const dependencies = all.filter((wanted) => !NOT_BUNDLED.has(wanted));
    if (found.has(key)) return name;
    // Before its dependencies, so that a circle ends.
    found.set(key, await describe(root, { name, version, integrity, isDirect: direct.includes(name) }));
    const names = await Promise.all(dependencies.map((wanted) => visit(findKey(lock, wanted))));
    found.set(key, { ...found.get(key)!, dependencies: names.sort() });
    return name;
  };
  for (const name of direct) await visit(findKey(lock, findWanted(lock, name)));
  return [...found.values()].sort((a, b) => packageId(a) < packageId(b) ? -1 : 1);
}

/** The names of the packages that the program itself imports. */
export async function importedPackages(root: string): Promise<readonly string[]> {
  const names = new Set<string>();
  const seen = new Set<string>();
  const visit = async (path: string): Promise<void> => {
    if (seen.has(path)) return;
    seen.add(path);
    for (const specifier of findImports(await readFile(join(root, path), "utf8"))) {
      if (specifier.startsWith(".")) await visit(normalize(join(dirname(path), specifier)));
      else if (!specifier.startsWith("node:")) names.add(toPackageName(specifier));
    }
  };
  await visit("cli/main.ts");
  return [...names].sort();
}

/** Static and dynamic imports that are there when the program runs; those of types alone are not. */
function findImports(text: string): readonly string[] {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
  const statements = code.matchAll(
    /^(?:import|export)\s(?!type\s)[^"';]*?from\s*"([^"]+)"|^import\s+"([^"]+)"|\bimport\(\s*"([^"]+)"/gm,
  );
  return [...statements].map(([, from, bare, dynamic]) => (from ?? bare ?? dynamic)!);
}

/** Returns the package of a specifier: `@hono/node-server` for `@hono/node-server/x`. */
function toPackageName(specifier: string): string {
  return specifier.split("/").slice(0, specifier.startsWith("@") ? 2 : 1).join("/");
}

/**
 * Finds the version of a package that the project itself wants, `name@version`: other packages may want another
 * version.
 */
function findWanted({ specifiers }: Lock, name: string): string {
  const found = Object.entries(specifiers).find(([specifier]) => specifier.startsWith(`npm:${name}@`));
  if (found === undefined) throw new Error(`deno.lock has no ${name}; run deno install`);
  return `${name}@${found[1].split("_")[0]}`;
}

/** Finds the lock file's key of `name` or `name@version`, which may hold several versions of one name. */
function findKey(lock: Lock, wanted: string): string {
  const isExact = wanted.lastIndexOf("@") > 0;
  const keys = Object.keys(lock.npm).filter((key) => {
    const { name, version } = splitKey(key);
    return (isExact ? `${name}@${version}` : name) === wanted;
  });
  if (keys.length !== 1) throw new Error(`deno.lock has ${keys.length} packages for ${wanted}`);
  return keys[0]!;
}

/** `@hono/node-server@2.1.9_hono@4.13.19`: the peers follow the version. */
function splitKey(key: string): { readonly name: string; readonly version: string } {
  const at = key.indexOf("@", 1);
  return { name: key.slice(0, at), version: key.slice(at + 1).split("_")[0]! };
}

async function describe(
  root: string,
  found: Pick<BundledPackage, "name" | "version" | "integrity" | "isDirect">,
): Promise<Licensed> {
  const folder = join(
    ...[root, "node_modules", ".deno", `${packageId(found).replace("/", "+")}`, "node_modules", found.name],
  );
  const { license } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
  if (typeof license !== "string") throw new Error(`${packageId(found)} names no licence`);
  // An expression needs no brackets of its own.
  const expression = license.replace(/^\((.*)\)$/, "$1");
  return { ...found, license: expression, dependencies: [], text: await licenseText(root, folder, found.name) };
}

/** The package's own file; for the few that have none what scripts/licenses holds. */
async function licenseText(root: string, folder: string, name: string): Promise<string> {
  const file = (await readdir(folder)).find((entry) => /^licen[cs]e([.-]|$)/i.test(entry));
  const path = file === undefined
    ? join(root, "scripts", "licenses", `${name.replace(/^@/, "").replace("/", "+")}.txt`)
    : join(folder, file);
  return tidy(await readFile(path, "utf8"));
}

/** Reads the licence of tlsboot and its notice. */
export async function readOwnLicense(root: string): Promise<string> {
  const read = async (name: string) => tidy(await readFile(join(root, name), "utf8"));
  return `${await read("LICENSE")}\n\n${await read("NOTICE")}`;
}

/** The text without what cannot be seen, so that the same licence is the same text everywhere. */
export function tidy(text: string): string {
  return text.replace(/^\uFEFF/, "").replaceAll("\r\n", "\n").replace(/[ \t]+$/gm, "").trim();
}
