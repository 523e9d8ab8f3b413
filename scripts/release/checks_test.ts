import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { TLSBOOT_VERSION } from "../../core/version.ts";
import { ROOT } from "../../tests/support/child.ts";
import { createTempFolder } from "../../tests/support/temp.ts";
import { formatChecksums } from "../package/released_files.ts";
import {
  checkChangelog,
  checkContact,
  checkFiles,
  checkFull,
  checkLicenses,
  type CheckOutcome,
  checkProjectAddress,
  checkSums,
  checkTag,
  checkTree,
  checkVersions,
  readVersioned,
  renderNotes,
  type Texts,
} from "./checks.ts";

/** Asserts the outcome of a check: `ok`, or the state and a pattern of the text. */
function assertOutcome({ state, text }: CheckOutcome, want: "ok" | readonly ["failed" | "not done", RegExp]): void {
  if (want === "ok") return assert.deepEqual([state, text === ""], ["ok", false], text);
  assert.equal(state, want[0], text);
  assert.match(text, want[1]);
}

const VERSIONS: Texts = {
  "core/version.ts": 'export const TLSBOOT_VERSION = "1.2.3";\n',
  "deno.json": '{\n  "version": "1.2.3",\n  "imports": { "hono": "npm:hono@4.13.19" }\n}\n',
  "packaging/helm/tlsboot/Chart.yaml": "apiVersion: v2\nversion: 1.2.3\nappVersion: 1.2.3\n",
  "docs/guides/install.md": "apt install ./tlsboot_1.2.3-1_amd64.deb, tlsboot-tlsboot-1.2.3.tgz, tlsboot:1.2.3\n",
};

for (
  const { name, texts, want } of [
    { name: "the same version everywhere", texts: {}, want: "ok" },
    {
      name: "another version in a guide",
      texts: { "docs/guides/containers.md": "podman load --input tlsboot-1.2.2-image.oci.tar\n" },
      want: ["failed", /^write 1\.2\.3 in docs\/guides\/containers\.md \(1\.2\.2\)$/],
    },
    {
      name: "another version of the program in the chart",
      texts: { "packaging/helm/tlsboot/Chart.yaml": "version: 1.2.3\nappVersion: 1.2.2\n" },
      want: ["failed", /Chart\.yaml \(1\.2\.2\)$/],
    },
    {
      name: "another version in a manifest",
      texts: { "packaging/kustomize/a.yaml": "    app.kubernetes.io/version: 1.2.2\n" },
      want: ["failed", /a\.yaml \(1\.2\.2\)$/],
    },
    {
      name: "no version in the sources",
      texts: { "core/version.ts": "" },
      want: ["failed", /write the version in core\/version\.ts$/],
    },
  ] as const
) {
  test(`checkVersions(): ${name}`, () => assertOutcome(checkVersions("1.2.3", { ...VERSIONS, ...texts }), want));
}

test("checkVersions() finds one version in this checkout", async () => {
  assertOutcome(checkVersions(TLSBOOT_VERSION, await readVersioned(ROOT)), "ok");
});

const CHANGELOG = `# Changelog

## 1.2.3, 2026-01-31

### The server

- It has [a page](docs/guides/browser.md#start), as [others](https://example.org/) have.

## 1.2.2, 2026-01-01

- Older.
`;

for (
  const { name, changelog, want } of [
    { name: "the version with a date", changelog: CHANGELOG, want: "ok" },
    {
      name: "no date",
      changelog: CHANGELOG.replace("2026-01-31", "not released yet"),
      want: ["failed", /"## 1\.2\.3, YYYY-MM-DD" and not with "## 1\.2\.3, not released yet"$/],
    },
    { name: "an invalid date", changelog: CHANGELOG.replace("01-31", "13-31"), want: ["failed", /2026-13-31"$/] },
    { name: "an older version", changelog: CHANGELOG.replace("1.2.3", "1.2.1"), want: ["failed", /"## 1\.2\.1, /] },
    {
      name: "a section above the version",
      changelog: CHANGELOG.replace("## 1", "## Unreleased\n\n- More.\n\n## 1"),
      want: ["failed", /not with "## Unreleased"$/],
    },
    {
      name: "an empty section",
      changelog: "## 1.2.3, 2026-01-31\n",
      want: ["failed", /^write what is new in 1\.2\.3 /],
    },
  ] as const
) {
  test(`checkChangelog(): ${name}`, () => assertOutcome(checkChangelog("1.2.3", changelog), want));
}

test("renderNotes() has the newest section, with links into the repository at the tag", () => {
  assert.equal(
    renderNotes(CHANGELOG, { address: "https://git.example.org/o/tlsboot", version: "1.2.3" }),
    "### The server\n\n- It has [a page](https://git.example.org/o/tlsboot/blob/v1.2.3/docs/guides/browser.md#start), " +
      "as [others](https://example.org/) have.\n",
  );
});

const FULL = { commit: "c0ffee", isClean: true, passed: 9, failed: 0 };

for (
  const { name, edit, want } of [
    { name: "everything passed", edit: {}, want: "ok" },
    { name: "another commit", edit: { commit: "decaf" }, want: ["failed", /is for the commit decaf$/] },
    { name: "changed files", edit: { isClean: false }, want: ["failed", /changed/] },
    { name: "a failed test", edit: { failed: 1 }, want: ["failed", /9 passed, 1 failed$/] },
    { name: "no test at all", edit: { passed: 0 }, want: ["failed", /0 passed, 0 failed$/] },
  ] as const
) {
  test(`checkFull(): ${name}`, () => assertOutcome(checkFull("c0ffee", JSON.stringify({ ...FULL, ...edit })), want));
}

test("checkFull(): a missing report", () =>
  assertOutcome(checkFull("c0ffee", undefined), ["failed", /run \.ci\/full/]));

for (
  const { name, outcome, want } of [
    { name: "checkTree(): nothing changed", outcome: checkTree(""), want: "ok" },
    {
      name: "checkTree(): changes",
      outcome: checkTree("M README.md\n?? notes.txt"),
      want: ["failed", /^commit or remove M README\.md, \?\? notes\.txt$/],
    },
    { name: "checkTag(): the tag of the version", outcome: checkTag("1.2.3", ["nightly", "v1.2.3"]), want: "ok" },
    { name: "checkTag(): no tag yet", outcome: checkTag("1.2.3", [""]), want: ["not done", /^git tag -s v1\.2\.3$/] },
    { name: "checkTag(): another version", outcome: checkTag("1.2.3", ["v1.2.4"]), want: ["failed", /v1\.2\.4/] },
    {
      name: "checkProjectAddress(): no address",
      outcome: checkProjectAddress(""),
      want: ["failed", /^set ADDRESS in scripts\/docs\/pages\.ts/],
    },
    {
      name: "checkProjectAddress(): an address",
      outcome: checkProjectAddress("https://git.example.org/owner/tlsboot"),
      want: "ok",
    },
    {
      name: "checkProjectAddress(): a slash at the end",
      outcome: checkProjectAddress("https://h/o/tlsboot/"),
      want: ["failed", /OWNER/],
    },
    {
      name: "checkContact(): no address",
      outcome: checkContact(""),
      want: ["failed", /^set CONTACT in scripts\/docs\/pages\.ts/],
    },
    { name: "checkContact(): an address", outcome: checkContact("security@example.org"), want: "ok" },
  ] as const
) {
  test(name, () => assertOutcome(outcome, want));
}

test("checkLicenses(): cli/sbom agrees with deno.lock and the installed packages", async () => {
  assertOutcome(await checkLicenses(ROOT), "ok");
});

test("checkFiles() compares a second build with dist, byte for byte", async () => {
  await using folder = await createTempFolder();
  const [dist, again] = [folder.join("dist"), folder.join("again")];
  for (const path of [dist, again]) {
    await mkdir(path);
    for (const name of ["a", "b"]) await writeFile(`${path}/${name}`, name);
  }
  const files = [`${again}/a`, `${again}/b`];
  assertOutcome(await checkFiles(dist, files), "ok");
  await writeFile(`${dist}/b`, "c");
  assertOutcome(await checkFiles(dist, files), ["failed", /different bytes for b$/]);
  await writeFile(`${again}/c`, "c");
  assertOutcome(await checkFiles(dist, [...files, `${again}/c`]), ["failed", /^run deno task release: dist has no c$/]);
});

test("checkSums() wants every file of dist in SHA256SUMS", async () => {
  await using folder = await createTempFolder();
  for (const name of ["a", "b"]) await writeFile(folder.join(name), name);
  const [one, both] = [await formatChecksums(folder.path, ["a"]), await formatChecksums(folder.path, ["b", "a"])];
  assert.equal(one, "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb  a\n");
  assertOutcome(checkSums(both, both), "ok");
  for (const sums of [undefined, one]) assertOutcome(checkSums(sums, both), ["failed", /^run deno task release: /]);
});
