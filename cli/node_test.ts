import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { chmod, chown, mkdir } from "node:fs/promises";
import process from "node:process";
import { test } from "node:test";
import { createTempFolder } from "../tests/support/temp.ts";
import { createCacheFolder, findNodeFault } from "./node.ts";

const host = (named: string) => ({ env: { XDG_CACHE_HOME: named }, getuid: () => process.getuid?.() ?? 0 });

test("createCacheFolder() creates the folder in the named cache folder, or in that of the home folder", async () => {
  await using folder = await createTempFolder();
  for (const named of [folder.path, folder.join("named")]) {
    assert.equal(createCacheFolder(host(named), "/nowhere"), `${named}/tlsboot/compiled`);
    assert.ok(existsSync(`${named}/tlsboot/compiled`));
  }
  assert.equal(createCacheFolder(host(""), folder.path), folder.join(".cache/tlsboot/compiled"));
});

test("createCacheFolder() creates nothing where another user could write to it", async () => {
  await using folder = await createTempFolder();
  for (const name of ["open", "planted/tlsboot", "foreign"]) await mkdir(folder.join(name), { recursive: true });
  for (const name of ["open", "planted/tlsboot"]) await chmod(folder.join(name), 0o777);
  const places = [
    { named: folder.join("open"), home: "/nowhere", cache: "open/tlsboot" },
    { named: folder.join("open/own"), home: "/nowhere", cache: "open/own" },
    { named: folder.join("planted"), home: "/nowhere", cache: "planted/tlsboot/compiled" },
    { named: "", home: folder.join("open"), cache: "open/.cache" },
    { named: "relative", home: "relative", cache: "relative" },
  ];
  if (process.getuid?.() === 0) {
    await chown(folder.join("foreign"), 65534, 65534);
    places.push({ named: "", home: folder.join("foreign"), cache: "foreign/.cache/tlsboot" });
  }
  for (const { named, home, cache } of places) {
    assert.equal(createCacheFolder(host(named), home), undefined, cache);
    assert.equal(existsSync(folder.join(cache)), false, cache);
  }
});

for (
  const [versions, want] of [
    [{ node: "20.20.2" }, "tlsboot needs Node 24 or newer, and this is Node 20.20.2"],
    [{ node: "23.11.0" }, "tlsboot needs Node 24 or newer, and this is Node 23.11.0"],
    [{ node: "24.0.0" }, undefined],
    [{ node: "100.0.0" }, undefined],
    [{ node: "22.0.0", deno: "2.9.6" }, undefined],
    [process.versions, undefined],
  ] as const
) {
  test(`findNodeFault() of Node ${versions.node} ${want === undefined ? "finds none" : "names the version that is needed"}`, () =>
    assert.equal(findNodeFault(versions), want));
}
