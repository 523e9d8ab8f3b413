/**
 * `deno task licenses`: writes the modules with the packages and their licences, `cli/sbom/packages.ts` and
 * `cli/sbom/license_texts.ts`, from deno.lock, the installed packages and the Node of the released file. A test fails
 * if they are out of date.
 */
import { readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join, normalize } from "node:path";
import process from "node:process";
import { type BundledPackage, packageId } from "../cli/sbom/sbom.ts";
import { ensureNode, NODE_VERSION } from "./build/node_runtime.ts";
import { mustRun, runScript } from "./processes.ts";

async function main(): Promise<void> {
  const root = process.cwd();
  const bill = await readSbom(root);
  const own = await readOwnLicense(root);
  const nodeText = tidy(await readFile(join(dirname(await ensureNode()), "..", "LICENSE"), "utf8"));
  const files = ["cli/sbom/packages.ts", "cli/sbom/license_texts.ts"];
  await writeFile(files[0]!, packagesModule(bill));
  await writeFile(files[1]!, textsModule(own, bill, nodeText));
  await mustRun(process.execPath, ["fmt", "--quiet", ...files]);
}

function packagesModule(bill: readonly Licensed[]): string {
  const facts = bill.map(({ text: _, ...rest }) => rest);
  return `/** The packages inside; made by scripts/licenses.ts, do not edit. */
import type { BundledPackage } from "./sbom.ts";

/** What the single file contains in addition to Node and our own sources. */
export const PACKAGES: readonly BundledPackage[] = ${JSON.stringify(facts)};
`;
}

function textsModule(own: string, bill: readonly Licensed[], nodeText: string): string {
  const texts = Object.fromEntries(bill.map((item) => [packageId(item), item.text]));
  return `/** Licence texts; made by scripts/licenses.ts, do not edit. */

/** The licence of tlsboot itself, and its notice. */
export const OWN_LICENSE = ${JSON.stringify(own)};

/** The licence of each package, by name and version. */
export const PACKAGE_LICENSES: Readonly<Record<string, string>> = ${JSON.stringify(texts)};

/** The version of Node in the single file. */
export const NODE_VERSION = ${JSON.stringify(NODE_VERSION)};

/** The licences of Node and of what it is built from. */
export const NODE_LICENSE = ${JSON.stringify(nodeText)};
`;
}

/** The part of deno.lock that is read. */
interface Lock {
  /** The resolved versions, by specifiers such as `npm:hono@4.13.19`. */
  readonly specifiers: Readonly<Record<string, string>>;
  readonly npm: Readonly<Record<string, { readonly integrity: string; readonly dependencies?: readonly string[] }>>;
}

/** A package with the text of its licence. */
interface Licensed extends BundledPackage {
  readonly text: string;
}

/** Dependencies that only the command-line program of a package needs, here that of js-yaml. */
const NOT_BUNDLED: ReadonlySet<string> = new Set(["argparse"]);

/** Reads the packages that `cli/main.ts` needs, with their licence texts, from a checkout where they are installed. */
export async function readSbom(root: string): Promise<readonly Licensed[]> {
  const lock: Lock = JSON.parse(await readFile(join(root, "deno.lock"), "utf8"));
  const direct = await importedPackages(root);
  const found = new Map<string, Licensed>();
  const visit = async (key: string): Promise<string> => {
    const { name, version } = splitKey(key);
    const { integrity, dependencies: all = [] } = lock.npm[key]!;
    const dependencies = all.filter((wanted) => !NOT_BUNDLED.has(wanted));
    if (found.has(key)) return name;
    // Added before its dependencies, so that a cycle ends.
    found.set(key, await describe(root, { name, version, integrity, isDirect: direct.includes(name) }));
    const names = await Promise.all(dependencies.map((wanted) => visit(findKey(lock, wanted))));
    found.set(key, { ...found.get(key)!, dependencies: names.sort() });
    return name;
  };
  for (const name of direct) await visit(findKey(lock, findWanted(lock, name)));
  return [...found.values()].sort((a, b) => packageId(a) < packageId(b) ? -1 : 1);
}

/** Lists the packages that the program itself imports. */
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

/** Finds static and dynamic imports, but not those of types alone. */
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

/** Finds the version of a package that the project itself wants, `name@version`. Other packages may want another version. */
function findWanted({ specifiers }: Lock, name: string): string {
  const found = Object.entries(specifiers).find(([specifier]) => specifier.startsWith(`npm:${name}@`));
  if (found === undefined) throw new Error(`deno.lock has no ${name}; run deno install`);
  return `${name}@${found[1].split("_")[0]}`;
}

/** Finds the key of `name` or `name@version` in the lock file. Throws unless exactly one version matches. */
function findKey(lock: Lock, wanted: string): string {
  const isExact = wanted.lastIndexOf("@") > 0;
  const keys = Object.keys(lock.npm).filter((key) => {
    const { name, version } = splitKey(key);
    return (isExact ? `${name}@${version}` : name) === wanted;
  });
  if (keys.length !== 1) throw new Error(`deno.lock has ${keys.length} packages for ${wanted}`);
  return keys[0]!;
}

/** Splits a key such as `@hono/node-server@2.1.9_hono@4.13.19`, in which the peers follow the version. */
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
  if (typeof license !== "string") throw new Error(`${packageId(found)} has no licence`);
  // An expression does not need its own parentheses.
  const expression = license.replace(/^\((.*)\)$/, "$1");
  return { ...found, license: expression, dependencies: [], text: await licenseText(root, folder, found.name) };
}

/** Reads the package's licence file. For the few packages without such a file, reads it from scripts/licenses. */
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

/** Removes invisible differences, so that the same licence is the same text everywhere. */
function tidy(text: string): string {
  return text.replace(/^\uFEFF/, "").replaceAll("\r\n", "\n").replace(/[ \t]+$/gm, "").trim();
}

runScript(import.meta, main);
