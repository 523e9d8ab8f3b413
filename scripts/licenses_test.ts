import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { renderLicenses } from "../cli/sbom/licenses.ts";
import { PACKAGES } from "../cli/sbom/packages.ts";
import { NODE_LICENSE } from "../cli/sbom/license_texts.ts";
import { ROOT } from "../tests/support/child.ts";
import { importedPackages } from "./licenses.ts";

test("importedPackages() lists packages of deno.json, without those of tests", async () => {
  const { imports } = JSON.parse(await readFile("deno.json", "utf8"));
  const names = await importedPackages(ROOT);
  for (const name of names) assert.ok(name in imports, name);
  for (const name of ["fast-check", "@peculiar/x509", "@types/node"]) assert.ok(!names.includes(name), name);
});

test("renderLicenses() contains a text for every component", () => {
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
