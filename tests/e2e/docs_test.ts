/** The documentation in the program: manual pages, licences, the bill of materials. */
import assert from "node:assert/strict";
import { readdir, readFile, stat } from "node:fs/promises";
import { test } from "node:test";
import { COMMAND_TABLE } from "../../cli/commands/mod.ts";
import { runTlsboot } from "../support/child.ts";
import { createTempFolder } from "../support/temp.ts";

test("tlsboot docs man prints the page of a command, by its words or its name", async () => {
  const [words, name, program] = await Promise.all([
    runTlsboot(["docs", "man", "token", "create"]),
    runTlsboot(["docs", "man", "tlsboot-token-create"]),
    runTlsboot(["docs", "man"]),
  ]);
  assert.deepEqual({ code: words.code, stderr: words.stderr }, { code: 0, stderr: "" });
  assert.match(words.stdout, /^\.TH "TLSBOOT\\-TOKEN\\-CREATE" "1" /m);
  assert.deepEqual(name, words);
  assert.match(program.stdout, /^\.TH "TLSBOOT" "1" /m);
});

test("tlsboot docs man writes a page for each command into a folder, and again over them", async () => {
  await using folder = await createTempFolder();
  for (const directory of ["./share/man1", folder.join("share", "man1")]) {
    const { code, stdout } = await runTlsboot(["docs", "man", directory], { cwd: folder.path });
    assert.deepEqual({ code, stdout }, { code: 0, stdout: "" });
  }
  const pages = await readdir(folder.join("share", "man1"));
  for (const { path } of COMMAND_TABLE.commands) assert.ok(pages.includes(`tlsboot-${path.join("-")}.1`));
  assert.equal((await stat(folder.join("share", "man1", "tlsboot.1"))).mode & 0o777, 0o644);
  assert.match(await readFile(folder.join("share", "man1", "tlsboot-up.1"), "utf8"), /^\.SH NAME$/m);
});

test("tlsboot docs man creates no folder for a mistyped command", async () => {
  await using folder = await createTempFolder();
  const { code, stderr } = await runTlsboot(["docs", "man", "bootstap"], { cwd: folder.path });
  assert.equal(code, 2);
  assert.match(stderr, /no command and no folder is named "bootstap"\n.*did you mean bootstrap\?/);
  assert.deepEqual(await readdir(folder.path), []);
});

test("tlsboot docs licenses has the texts of everything inside", async () => {
  const { code, stdout } = await runTlsboot(["docs", "licenses"]);
  assert.equal(code, 0);
  assert.match(stdout, /^hono \d[^]*^Node\.js 24[^]*OpenSSL, located at/m);
});

test("tlsboot version --sbom is CycloneDX with everything inside", async () => {
  const { code, stdout } = await runTlsboot(["version", "--sbom"]);
  assert.equal(code, 0);
  const { bomFormat, specVersion, components } = JSON.parse(stdout);
  assert.deepEqual([bomFormat, specVersion], ["CycloneDX", "1.6"]);
  const names = components.map(({ name }: { name: string }) => name);
  for (const name of ["hono", "commander", "yaml"]) assert.ok(names.includes(name), name);
  assert.equal((await runTlsboot(["version", "--sbom", "-o", "yaml"])).code, 2);
});
