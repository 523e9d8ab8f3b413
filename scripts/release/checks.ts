/** The checks of a release. Each returns its result, or what to do. */
import { existsSync } from "node:fs";
import { glob, readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { NODE_VERSION, OWN_LICENSE, PACKAGE_LICENSES } from "../../cli/sbom/license_texts.ts";
import { PACKAGES } from "../../cli/sbom/packages.ts";
import { packageId } from "../../cli/sbom/sbom.ts";
import { NODE_VERSION as NODE_OF_THE_FILE } from "../build/node_runtime.ts";
import { readOwnLicense, readSbom } from "../licenses.ts";
import { formatChecksums } from "../package/released_files.ts";

/** The outcome of a check. A step that is not done yet does not fail the release. */
export interface CheckOutcome {
  readonly state: "ok" | "failed" | "not done";
  readonly text: string;
}

/** Texts of the checkout by their paths. */
export type Texts = Readonly<Record<string, string>>;

/** Returns the outcome of a check that passed. The text is its result. */
export function pass(text: string): CheckOutcome {
  return { state: "ok", text };
}

/** Returns the outcome of a check that failed. The text says what to do. */
export function fail(text: string): CheckOutcome {
  return { state: "failed", text };
}

/** Returns the outcome for a step that comes later. The text says how to do it. */
export function postpone(text: string): CheckOutcome {
  return { state: "not done", text };
}

/** The files that contain the version. */
const VERSIONED = ["core/version.ts", "deno.json", "README.md", "docs/guides/*.md", "packaging/**/*.*"];

/** Reads every file of a checkout that may contain the version. */
export async function readVersioned(root: string): Promise<Texts> {
  const texts: Record<string, string> = {};
  for await (const path of glob(VERSIONED, { cwd: root })) texts[path] = await readFile(join(root, path), "utf8");
  return texts;
}

/** The files that define the version; the others refer to released files and images. */
const VERSION_SOURCES = ["core/version.ts", "deno.json", "packaging/helm/tlsboot/Chart.yaml"];

/**
 * Matches the version of tlsboot after what precedes it in those files, in manifests, and in names of files and images.
 */
const NAMED_VERSION =
  /(?:^ {2}"version": "|\bTLSBOOT_VERSION = "|^(?:version|appVersion): |\/version: |\bnewTag: |\btlsboot[-_:])(\d+\.\d+\.\d+)/gm;

/** Checks that every text has the same version. */
export function checkVersions(version: string, texts: Texts): CheckOutcome {
  const found = Object.entries(texts).flatMap(([path, text]) =>
    [...text.matchAll(NAMED_VERSION)].map(([, named = ""]) => ({ path, named }))
  );
  const missing = VERSION_SOURCES.filter((file) => !found.some(({ path }) => path === file));
  if (missing.length > 0) return fail(`write the version in ${missing.join(", ")}`);
  const different = new Set(
    found.filter(({ named }) => named !== version).map(({ path, named }) => `${path} (${named})`),
  );
  if (different.size > 0) return fail(`write ${version} in ${[...different].join(", ")}`);
  return pass(`${version} in ${new Set(found.map(({ path }) => path)).size} files`);
}

/** The newest section of the changelog: its heading, as in `## 1.2.3, 2026-01-31`, and its text. */
const SECTION = /^## (.+)\n([^]*?)(?=^## |(?![^]))/m;

/** Checks that the newest section of the changelog has the version, and a date. */
export function checkChangelog(version: string, changelog: string): CheckOutcome {
  const [, heading = "", notes = ""] = SECTION.exec(changelog) ?? [];
  const date = heading.slice(`${version}, `.length);
  if (heading !== `${version}, ${date}` || !/^\d{4}-\d\d-\d\d$/.test(date) || Number.isNaN(Date.parse(date))) {
    return fail(`begin CHANGELOG.md with the section "## ${version}, YYYY-MM-DD" and not with "## ${heading}"`);
  }
  return notes.trim() === "" ? fail(`write what is new in ${version} in CHANGELOG.md`) : pass(heading);
}

/** Renders the notes of a release: the newest section of the changelog, with links that work outside of a checkout. */
export function renderNotes(changelog: string, { address, version }: { address: string; version: string }): string {
  const [, , notes = ""] = SECTION.exec(changelog) ?? [];
  return `${notes.trim()}\n`.replaceAll(/\]\((?![a-z]+:|#)/g, `](${address}/blob/v${version}/`);
}

/** Checks that `.ci/full` passed for a commit. `report` is the text of `dist/full.json`. */
export function checkFull(commit: string, report: string | undefined): CheckOutcome {
  if (report === undefined) return fail("run .ci/full, or take dist/full.json from the workflow full");
  const full: { readonly commit: string; readonly isClean: boolean; readonly passed: number; readonly failed: number } =
    JSON.parse(report);
  if (full.commit !== commit) return fail(`run .ci/full: dist/full.json is for the commit ${full.commit}`);
  if (!full.isClean) return fail("run .ci/full without changed files: dist/full.json is for changed files");
  if (full.failed > 0 || full.passed === 0) {
    return fail(`fix what .ci/full reports: dist/full.json has ${full.passed} passed, ${full.failed} failed`);
  }
  return pass(`${full.passed} passed`);
}

/** Checks the output of `git status --porcelain`. */
export function checkTree(status: string): CheckOutcome {
  return status === "" ? pass("no changed files") : fail(`commit or remove ${status.replaceAll(/\n */g, ", ")}`);
}

/** Checks the tags of the commit. */
export function checkTag(version: string, tags: readonly string[]): CheckOutcome {
  const [wanted, other] = [`v${version}`, tags.find((tag) => /^v\d/.test(tag))];
  if (tags.includes(wanted)) return pass(wanted);
  return other === undefined
    ? postpone(`git tag -s ${wanted}`)
    : fail(`remove the tag ${other}: the version is ${version}`);
}

/** Checks the address of the repository. */
export function checkProjectAddress(address: string): CheckOutcome {
  if (/^https:\/\/[\w.-]+\/[\w.-]+\/[\w.-]+$/.test(address)) return pass(address);
  return fail(
    `set ADDRESS in scripts/docs/pages.ts to https://github.com/OWNER/NAME, and run deno task docs; it is "${address}"`,
  );
}

/** Checks the address for reports of vulnerabilities. */
export function checkContact(contact: string): CheckOutcome {
  if (/^[^@\s]+@[^@\s]+$/.test(contact)) return pass(contact);
  return fail(`set CONTACT in scripts/docs/pages.ts to an e-mail address, and run deno task docs; it is "${contact}"`);
}

/** Checks that the modules with the packages and their licences describe what is installed. */
export async function checkLicenses(root: string): Promise<CheckOutcome> {
  const bill = await readSbom(root);
  const isCurrent = isDeepStrictEqual(
    [PACKAGES, PACKAGE_LICENSES, OWN_LICENSE, NODE_VERSION],
    [
      bill.map(({ text: _, ...facts }) => facts),
      Object.fromEntries(bill.map((item) => [packageId(item), item.text])),
      await readOwnLicense(root),
      NODE_OF_THE_FILE,
    ],
  );
  return isCurrent ? pass(`${bill.length} packages`) : fail("run deno task licenses");
}

/** Checks that the files of a second build equal those of `dist`, byte for byte. */
export async function checkFiles(dist: string, files: readonly string[]): Promise<CheckOutcome> {
  const names = files.map((file) => basename(file));
  const missing = names.filter((name) => !existsSync(join(dist, name)));
  if (missing.length > 0) return fail(`run deno task release: dist has no ${missing.join(", ")}`);
  const sums = async (folder: string): Promise<readonly string[]> => (await formatChecksums(folder, names)).split("\n");
  const [first, second] = await Promise.all([sums(dist), sums(dirname(files[0] ?? ""))]);
  const different = first.filter((line) => !second.includes(line)).map((line) => line.split("  ").at(-1));
  return different.length === 0
    ? pass(`${names.length} files, the same when built again`)
    : fail(`run deno task release again: another build gives different bytes for ${different.join(", ")}`);
}

/** Checks that `SHA256SUMS` lists the files of `dist` with their hashes. `wanted` is the text that it must have. */
export function checkSums(sums: string | undefined, wanted: string): CheckOutcome {
  return sums === wanted
    ? pass(`${wanted.split("\n").length - 1} files`)
    : fail("run deno task release: dist/SHA256SUMS does not match the files in dist");
}
