import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { packageId } from "../../cli/sbom/sbom.ts";
import { renderLicenses } from "../../cli/sbom/licenses.ts";
import { PACKAGES } from "../../cli/sbom/packages.ts";
import { NODE_LICENSE, NODE_VERSION, OWN_LICENSE, PACKAGE_LICENSES } from "../../cli/sbom/license_texts.ts";
import { ROOT } from "../../tests/support/child.ts";
import { importedPackages, readOwnLicense, readSbom } from "./sbom.ts";
import { NODE_VERSION as NODE_OF_THE_FILE } from "../build/node_runtime.ts";

const STALE = "run: deno task licenses";

test("cli/sbom agrees with deno.lock and the installed packages", async () => {
  const bill = await readSbom(ROOT);
  assert.deepEqual(PACKAGES, bill.map(({ text: _, ...facts }) => facts), STALE);
  assert.deepEqual(PACKAGE_LICENSES, Object.fromEntries(bill.map((item) => [packageId(item), item.text])), STALE);
  assert.equal(OWN_LICENSE, await readOwnLicense(ROOT), STALE);
  assert.equal(NODE_VERSION, NODE_OF_THE_FILE, STALE);
});

test("importedPackages() are packages of deno.json, without those of tests", async () => {
  const { imports } = JSON.parse(await readFile("deno.json", "utf8"));
  const names = await importedPackages(ROOT);
  for (const name of names) assert.ok(name in imports, name);
  for (const name of ["fast-check", "@peculiar/x509", "@types/node"]) assert.ok(!names.includes(name), name);
});

test("renderLicenses() has a text for everything inside", () => {
  const text = renderLicenses();
  for (const { name, version, license } of PACKAGES) {
    assert.match(text, new RegExp(`^${name} ${version}\n=+\n\nLicence: ${license}\n\n.{100}`, "ms"));
  }
  for (const part of ["OpenSSL", "V8", "libuv", "ICU", "llhttp", "nghttp2"]) {
    assert.ok(NODE_LICENSE.includes(`- ${part}, located at `), part);
  }
  assert.match(text, /^tlsboot \d/);
  assert.doesNotMatch(text, /\n{5}/);
});
