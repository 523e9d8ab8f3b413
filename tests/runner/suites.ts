/**
 * The suite of each test, and the tests that a change needs. Every change needs the interoperability tests in
 * `tests/interop/` itself. Those in a folder there are a group, which only a change of the group's paths needs.
 */
import { execFileSync } from "node:child_process";
import { existsSync, globSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import { STEPS } from "./steps.ts";

/**
 * The folders with groups of interoperability tests, and the paths, or prefixes of paths, of the code that they cover.
 * A step of `.ci/run` may belong to a group too.
 */
export const GROUPS: Readonly<Record<string, readonly string[]>> = {
  storage: ["server/storage/", "instance/", "cli/commands/backup/", "client/files", "tests/torture/"],
  rotation: ["core/ca_rotation/", "instance/ca_rotation/", "instance/authority/", "cli/commands/ca/"],
  page: ["ui/", "cli/commands/ui/"],
  client: ["client/", "core/machine/", "cli/commands/bootstrap/", "cli/commands/request/", "cli/commands/kubeconfig/"],
  certificates: [
    "core/pki/",
    "core/request/",
    "core/signing/",
    "controllers/",
    "core/revocation/",
    "server/revocation/",
  ],
  approval: ["core/approval/", "core/report/", "core/token/", "controllers/", "core/register/", "server/register/"],
  attestation: ["core/attestation/", "client/attestation/", "server/attestation/", "cli/commands/attest"],
  commands: [
    "cli/",
    "client/health/",
    "instance/offline_signing/",
    "core/report/health/",
    "core/offline/",
    "docs/guides/",
  ],
  server: [
    "server/http/",
    "server/connections/",
    "server/metrics/",
    "server/flowcontrol/",
    "server/registry/",
    "server/authn/",
    "server/authz/",
    "server/admission/",
    "core/kube/",
    "core/rbac/",
    "core/service_accounts/",
    "core/audit/",
    "tests/overload/",
  ],
  packaging: ["packaging/", "scripts/", "docs/rbac/", "cli/systemd/", "tests/packages/", "tests/support/packages/"],
};

/** The paths of the tests of each suite, from the root and without `_test.ts`. All others are those of `test`. */
const SUITES: Readonly<Record<string, RegExp>> = {
  file: /^tests\/binary\//,
  interop: new RegExp(`^tests/interop/(?:(?:${Object.keys(GROUPS).join("|")})/)?\\w+$`),
  packages: /^tests\/packages\//,
  programs: /^tests\/programs\//,
  // They measure time, so they decide only before a release.
  times: /^tests\/bench\/times\//,
};

/** The names of the suites, which are also tasks of `deno.json`. */
export const SUITE_NAMES: readonly string[] = ["test", ...Object.keys(SUITES)];

/** End-to-end tests that show the whole product. They run on Deno too, and with the released file. */
export const SMOKE: readonly string[] = ["bootstrap", "cli_process", "offline", "post_quantum", "ui", "up", "upgrade"]
  .map((name) => `tests/e2e/${name}_test.ts`);

/** The files that take minutes, so that they start first, in different batches. */
const SLOWEST =
  /\/(?:ca_rotation|\w*comparison|kubectl_changes|privilege_matrix|real_control_plane|soak|whole_kubelet)_test/;

/** Finds the test files of a suite whose paths contain one of the words; without words, all of them. */
export function findFiles(suite: string, words: readonly string[] = []): readonly string[] {
  const findSuite = (file: string): string =>
    Object.keys(SUITES).find((name) => SUITES[name]?.test(file.replace(/_test\.ts$/, ""))) ?? "test";
  return globSync("{core,controllers,server,client,instance,ui,cli,scripts,tests}/**/*_test.ts").sort()
    .filter((file) => findSuite(file) === suite && (words.length === 0 || words.some((word) => file.includes(word))))
    .sort((a, b) => Number(SLOWEST.test(b)) - Number(SLOWEST.test(a)));
}

/** Paths whose change needs everything, because they decide what runs and how. */
const EVERYTHING = /^(?:\.ci\/|\.github\/|deno\.(?:json|lock)$|tests\/runner\/)/;

/** The files of the interoperability suite and the steps of `.ci/run` that a change needs. */
export interface Needed {
  readonly interop: readonly string[];
  readonly steps: readonly string[];
}

/**
 * Finds what a change needs: the core, the groups whose paths it touches, and the tests that have changed or import a
 * changed file. `changed` has the paths of the change, or is undefined if they are not known; `imports` reports whether
 * a test file imports a file of the tests, directly or through others.
 */
export function findNeeded(
  changed: readonly string[] | undefined,
  imports: (file: string, imported: string) => boolean = importsFile,
): Needed {
  const needsAll = changed === undefined || changed.some((path) => EVERYTHING.test(path));
  const touched = Object.keys(GROUPS).filter((group) =>
    needsAll || changed.some((path) => GROUPS[group]?.some((start) => path.startsWith(start)))
  );
  const folders = ["tests/interop", ...touched.map((group) => `tests/interop/${group}`)];
  const changedTests = (changed ?? []).filter((path) => path.startsWith("tests/"));
  return {
    interop: findFiles("interop").filter((file) =>
      folders.includes(posix.dirname(file)) || changedTests.some((path) => imports(file, path))
    ),
    steps: STEPS.filter(({ group }) => group !== undefined && touched.includes(group)).map(({ name }) => name),
  };
}

/** The file with the last commit that passed `.ci/full`. */
const BASE = ".ci/base";

/**
 * Lists the paths that differ from the commit in `.ci/base`. Returns undefined if the file is missing, or if the clone
 * is shallow and lacks the commit.
 */
export function listChanges(): readonly string[] | undefined {
  if (!existsSync(BASE)) return undefined;
  const args = ["diff", "--name-only", "--no-renames", readFileSync(BASE, "utf8").trim()];
  try {
    const paths = execFileSync("git", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
    return paths.split("\n").filter((path) => path !== "" && path !== BASE);
  } catch {
    return undefined;
  }
}

/** Reports whether a test file is another file or imports it, directly or through others. Type imports do not count. */
export function importsFile(file: string, imported: string, seen: Set<string> = new Set()): boolean {
  if (file === imported) return true;
  if (seen.has(file) || !file.startsWith("tests/") || !existsSync(file)) return false;
  seen.add(file);
  const names = readFileSync(file, "utf8").matchAll(/^(?:im|ex)port (?!type )[^;]*? from "(\.[^"]+)"/gm);
  return [...names].some(([, name = ""]) => importsFile(posix.join(posix.dirname(file), name), imported, seen));
}
