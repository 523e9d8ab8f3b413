/**
 * `deno task licenses`: writes what the program knows about its packages and their licences, `cli/sbom/packages.ts` and
 * `cli/sbom/license_texts.ts`, from deno.lock, the installed packages and the Node of the released file. A test fails when they
 * have parted.
 */
import { readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import process from "node:process";
import { packageId } from "../cli/sbom/sbom.ts";
import { mustRun, runScript } from "./processes.ts";
import { type Licensed, readOwnLicense, readSbom, tidy } from "./licenses/sbom.ts";
import { ensureNode, NODE_VERSION } from "./build/node_runtime.ts";

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

/** What the single file is made of beside Node and our own sources. */
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

runScript(import.meta, main);
