/**
 * `deno task release`: builds all files of a release in `dist/`, after it has removed everything but `full.json` there.
 *
 * `deno task release --check`: runs the checks of RELEASING.md, and prints a line for each: ok, failed with what to do,
 * or not done yet. It builds everything a second time in another folder, and compares the bytes. It does not change
 * `dist/`, and exits with 1 if a check fails.
 */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { TLSBOOT_VERSION } from "../core/version.ts";
import { buildReleasedFiles } from "./build.ts";
import { PLATFORMS } from "./build/node_runtime.ts";
import { ADDRESS, CONTACT } from "./docs/pages.ts";
import { formatChecksums } from "./package/released_files.ts";
import { writeDebianPackages } from "./package/debian.ts";
import { writeImages } from "./package/image.ts";
import { writeNpmPackage } from "./package/npm.ts";
import { writeRpmPackages } from "./package/rpm.ts";
import { checkSignature, listSigned, requireReleaseKey, writeDocuments } from "./package/sign.ts";
import { runAside, runScript } from "./processes.ts";
import * as checks from "./release/checks.ts";

const DIST = "dist";
const FULL = "full.json";
const NOTES = "NOTES.txt";
/** The dot is needed, because npm reads a path without it as a repository on GitHub. */
const NPM_PACKAGE = `./${DIST}/tlsboot-tlsboot-${TLSBOOT_VERSION}.tgz`;
/** The revision of the Debian and RPM packages. */
const REVISION = "1";

/** A step that makes files of a release in a folder, possibly from those of earlier steps, and returns their paths. */
interface ReleaseStep {
  readonly name: string;
  readonly make: (folder: string, imageBase?: string) => Promise<readonly string[]>;
}

const STEPS: readonly ReleaseStep[] = [
  { name: "program", make: (folder) => buildReleasedFiles(PLATFORMS, folder) },
  { name: "Debian packages", make: (folder) => writeDebianPackages({ dist: folder, revision: REVISION }) },
  { name: "RPM packages", make: (folder) => writeRpmPackages({ dist: folder, revision: REVISION }) },
  { name: "images", make: writeImages },
  { name: "npm package", make: async (folder) => [await writeNpmPackage(folder)] },
  { name: "notes", make: writeNotes },
  // This is the last step, because it lists the files of all others.
  { name: "documents", make: writeDocuments },
];

async function writeNotes(folder: string): Promise<readonly string[]> {
  const notes = checks.renderNotes(await readFile("CHANGELOG.md", "utf8"), {
    address: ADDRESS,
    version: TLSBOOT_VERSION,
  });
  await writeFile(join(folder, NOTES), notes);
  return [join(folder, NOTES)];
}

async function makeRelease(): Promise<readonly string[]> {
  await mkdir(DIST, { recursive: true });
  for (const name of await readdir(DIST)) {
    if (name !== FULL) await rm(join(DIST, name), { recursive: true });
  }
  const files: string[] = [];
  for (const { make } of STEPS) files.push(...await make(DIST));
  return files;
}

type Check = readonly [name: string, run: () => checks.CheckOutcome | Promise<checks.CheckOutcome>];

async function checkRelease(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "tlsboot-release-"));
  const counts = { ok: 0, failed: 0, "not done": 0 };
  try {
    for (const [name, run] of listChecks(folder)) {
      const { state, text } = await runCheck(run);
      counts[state]++;
      process.stdout.write(`${state.padEnd(8)} ${name}: ${text}\n`);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  process.stdout.write(`${counts.ok} ok, ${counts.failed} failed, ${counts["not done"]} not done\n`);
  if (counts.failed > 0) process.exitCode = 1;
}

/** Runs a check. An error, such as a missing program, fails it. */
async function runCheck(run: Check[1]): Promise<checks.CheckOutcome> {
  try {
    return await run();
  } catch (error) {
    return checks.fail(String(error instanceof Error ? error.message : error).split("\n")[0] ?? "");
  }
}

/** Lists the checks in order. The files are made again in `folder`. */
function listChecks(folder: string): readonly Check[] {
  /** Runs a check that needs the files of a release. */
  const withRelease = (run: Check[1]): Check[1] => () =>
    existsSync(join(DIST, NOTES)) ? run() : checks.fail(`run deno task release: ${DIST} has no release`);
  return [
    ["working tree", () => checks.checkTree(git("status", "--porcelain"))],
    ["versions", async () => checks.checkVersions(TLSBOOT_VERSION, await checks.readVersioned("."))],
    ["changelog", async () => checks.checkChangelog(TLSBOOT_VERSION, await readFile("CHANGELOG.md", "utf8"))],
    ["tests", async () => checks.checkFull(git("rev-parse", "HEAD"), await readOptional(join(DIST, FULL)))],
    ["address", () => checks.checkProjectAddress(ADDRESS)],
    ["security contact", () => checks.checkContact(CONTACT)],
    ["release key", () => checks.pass(requireReleaseKey())],
    ["licences", () => checks.checkLicenses(process.cwd())],
    ...STEPS.map(({ name, make }): Check => [
      name,
      withRelease(async () => {
        const base = join(DIST, "image-base");
        return await checks.checkFiles(DIST, await make(folder, existsSync(base) ? base : undefined));
      }),
    ]),
    [
      "checksums",
      withRelease(async () => {
        const wanted = await formatChecksums(DIST, await listSigned(DIST));
        return checks.checkSums(await readOptional(join(DIST, "SHA256SUMS")), wanted);
      }),
    ],
    ["signature", checkSigned],
    ["npm", withRelease(() => tryToPublish("npm", ["publish", "--dry-run", NPM_PACKAGE]))],
    ["JSR", () => tryToPublish(process.execPath, ["publish", "--dry-run", "--no-check", "--quiet"])],
    ["tag", () => checks.checkTag(TLSBOOT_VERSION, git("tag", "--points-at", "HEAD").split("\n"))],
  ];
}

async function checkSigned(): Promise<checks.CheckOutcome> {
  if (!existsSync(join(DIST, "SHA256SUMS.minisig"))) return checks.postpone("deno task sign --key FILE");
  await checkSignature(DIST);
  return checks.pass("SHA256SUMS is signed with the release key");
}

async function tryToPublish(command: string, args: readonly string[]): Promise<checks.CheckOutcome> {
  const { code, output } = await runAside(command, args, { NO_COLOR: "1" });
  const line = [basename(command), ...args].join(" ");
  if (code === 0) return checks.pass(line);
  return checks.fail(`${line} ended with ${code}: ${output.match(/^.*\berror\b.*$/gim)?.join("; ") ?? output.trim()}`);
}

function git(...args: readonly string[]): string {
  return execFileSync("git", [...args], { encoding: "utf8" }).trim();
}

async function readOptional(path: string): Promise<string | undefined> {
  return existsSync(path) ? await readFile(path, "utf8") : undefined;
}

runScript(import.meta, async () => {
  const { values } = parseArgs({ options: { check: { type: "boolean", default: false } } });
  return values.check ? await checkRelease() : await makeRelease();
});
