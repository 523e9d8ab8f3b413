/** Tests the documentation in the program: guides, manual pages, licences, the bill of materials. */
import assert from "node:assert/strict";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { COMMAND_TABLE } from "../../cli/commands/mod.ts";
import { GUIDE_GROUPS, MIXIN_NAMES } from "../../cli/commands/docs/flags.ts";
import { GUIDES } from "../../cli/commands/docs/guide_texts.ts";
import { MIXIN } from "../../cli/commands/docs/mixin_texts.ts";
import { SERVICE } from "../../cli/commands/up/service_texts.ts";
import { readGuides, readMixin, readService } from "../../scripts/docs/cli.ts";
import { NODE_FLAGS, ROOT, runProgram, runTlsboot } from "../support/child.ts";
import { runCaptured } from "../support/run_captured.ts";
import { createTempFolder } from "../support/temp.ts";

/** The arguments with which the runtime of this test runs a file. */
const RUN = process.versions["deno"] === undefined
  ? NODE_FLAGS
  : ["run", "-A", "--no-check", "--quiet", "--config", join(ROOT, "deno.json")];

test("tlsboot man prints a command's page, by its words or by its page name", async () => {
  const [words, name, program] = await Promise.all([
    runTlsboot(["man", "token", "create"]),
    runTlsboot(["man", "tlsboot-token-create"]),
    runTlsboot(["man"]),
  ]);
  assert.deepEqual({ code: words.code, stderr: words.stderr }, { code: 0, stderr: "" });
  assert.match(words.stdout, /^\.TH "TLSBOOT\\-TOKEN\\-CREATE" "1" /m);
  assert.deepEqual(name, words);
  assert.match(program.stdout, /^\.TH "TLSBOOT" "1" /m);
});

test("tlsboot man writes a page for each command into a folder, and overwrites them", async () => {
  await using folder = await createTempFolder();
  for (const directory of ["./share/man1", folder.join("share", "man1")]) {
    const { code, stdout } = await runTlsboot(["man", directory], { cwd: folder.path });
    assert.deepEqual({ code, stdout }, { code: 0, stdout: "" });
  }
  const pages = await readdir(folder.join("share", "man1"));
  for (const { path } of COMMAND_TABLE.commands) assert.ok(pages.includes(`tlsboot-${path.join("-")}.1`));
  assert.equal((await stat(folder.join("share", "man1", "tlsboot.1"))).mode & 0o777, 0o644);
  assert.match(await readFile(folder.join("share", "man1", "tlsboot-up.1"), "utf8"), /^\.SH NAME$/m);
});

test("tlsboot man creates no folder for a mistyped command", async () => {
  await using folder = await createTempFolder();
  const { code, stderr } = await runTlsboot(["man", "bootstap"], { cwd: folder.path });
  assert.equal(code, 2);
  assert.match(stderr, /no command and no folder is named "bootstap"\n.*did you mean bootstrap\?/);
  assert.deepEqual(await readdir(folder.path), []);
});

test("tlsboot guide lists the guides by group, with their titles", async () => {
  const { code, stdout, stderr } = await runTlsboot(["guide"]);
  assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
  const listed = [...stdout.matchAll(/^(?:(\S.*):| {2}(\w+) +\S.*)$/gm)].map(([, group, name]) => group ?? name);
  assert.deepEqual(listed, Object.entries(GUIDE_GROUPS).flatMap(([group, names]) => [group, ...names]));
});

test("the guides are listed in the groups and the order of docs/README.md", async () => {
  const page = await readFile(join(ROOT, "docs", "README.md"), "utf8");
  const sections = page.split(/^## /m).slice(1).map((section) => {
    const names = [...section.matchAll(/\]\(guides\/(\w+)\.md\)/g)].map(([, name]) => name);
    return [section.split("\n", 1)[0], [...new Set(names)]];
  });
  const [first, ...others] = Object.entries(GUIDE_GROUPS);
  assert.deepEqual(first, ["First steps", ["tutorial"]]);
  assert.deepEqual(others, sections.slice(0, others.length));
});

test("tlsboot guide prints a guide, with the commands that print the guides it links to", async () => {
  const [guide, hyphens] = await Promise.all([
    runTlsboot(["guide", "air_gap"]),
    runTlsboot(["guide", "air-gap"]),
  ]);
  assert.deepEqual({ code: guide.code, stderr: guide.stderr }, { code: 0, stderr: "" });
  assert.deepEqual(hyphens, guide);
  assert.match(guide.stdout, /^# /);
  assert.match(guide.stdout, /tlsboot guide custom_signer/);
  assert.doesNotMatch(guide.stdout, /<!--|\]\(/);
});

test("tlsboot guide searches for a word, and lists guides with it in their title first", async () => {
  const words = { nas: "web_server", rotate: "new_ca", Stolen: "stolen_machine", HTTPS_PROXY: "broken_machine" };
  for (const [word, want] of Object.entries(words)) {
    const { code, stdout } = await runCaptured(["guide", word], {});
    assert.equal(code, 0, word);
    assert.match(stdout, new RegExp(`^Guides with "${word}":\n(?:.*\n)* {2}${want} `), word);
  }
});

test("no guide in the terminal has markup for pictures, comments or links, or a page name without a path", async () => {
  for (const name of Object.keys(GUIDES)) {
    const { stdout } = await runCaptured(["guide", name], {});
    assert.doesNotMatch(stdout, /^!|<!--|-->|\]\(/m, name);
    assert.doesNotMatch(stdout, /(?<!\/)\b(?:cli|policies|metrics|measurements|building|profiles)\.md/, name);
  }
});

test("tlsboot guide suggests the nearest name for an unknown one", async () => {
  const { code, stdout, stderr } = await runTlsboot(["guide", "homelib"]);
  assert.deepEqual({ code, stdout }, { code: 2, stdout: "" });
  assert.match(stderr, /no guide is named "homelib"\n.*did you mean homelab\?/);
  assert.match((await runTlsboot(["guide", "zzzzzzzz"])).stderr, /hint: list them with: tlsboot guide/);
});

test("the guides in the program are those in docs/guides; otherwise run deno task docs", async () => {
  const guides = await readGuides(ROOT);
  assert.deepEqual(GUIDES, guides);
  assert.deepEqual(Object.keys(guides), Object.values(GUIDE_GROUPS).flat().sort());
});

test("the service in the program is the one in packaging/systemd; otherwise run deno task docs", async () => {
  assert.deepEqual(SERVICE, await readService(ROOT));
});

test("tlsboot mixin lists the files of packaging/mixin, and prints each unchanged", async () => {
  const mixin = await readMixin(ROOT);
  assert.deepEqual(MIXIN, mixin, "run deno task docs");
  assert.deepEqual(Object.keys(mixin), [...MIXIN_NAMES]);
  const list = await runTlsboot(["mixin"]);
  assert.deepEqual(list, { code: 0, stdout: MIXIN_NAMES.map((name) => `${name}\n`).join(""), stderr: "" });
  const name = "tlsboot.rules.yaml";
  assert.deepEqual(await runTlsboot(["mixin", name]), { code: 0, stdout: mixin[name], stderr: "" });
});

test("tlsboot mixin and guide refuse names from Object.prototype", async () => {
  for (const [kind, words] of [["mixin", "file of the mixin"], ["guide", "guide"]] as const) {
    const { code, stdout, stderr } = await runTlsboot([kind, "constructor"]);
    assert.deepEqual({ code, stdout }, { code: 2, stdout: "" });
    assert.match(stderr, new RegExp(`no ${words} is named "constructor"\n`));
  }
});

test("docs/guides/library.md: each example runs unchanged, and prints what its comments say", async () => {
  await using folder = await createTempFolder();
  const page = await readFile("docs/guides/library.md", "utf8");
  const examples = [...page.matchAll(/^```ts\n([^]*?)^```/gm)].map(([, code = ""]) => code);
  assert.ok(examples.length > 0);
  for (const [index, code] of examples.entries()) {
    const file = folder.join(`example-${index}.ts`);
    await writeFile(file, code.replaceAll('"@tlsboot/tlsboot"', `"${ROOT}/mod.ts"`));
    const { code: exit, stdout, stderr } = await runProgram(process.execPath, [...RUN, file], { cwd: ROOT });
    assert.equal(exit, 0, stderr);
    const printed = [...code.matchAll(/^console\.log\(.*\); \/\/ (.*)$/gm)].map(([, text]) => text);
    if (printed.length > 0) assert.equal(stdout, `${printed.join("\n")}\n`);
  }
});

test("tlsboot version --licenses has the licence of every component", async () => {
  const { code, stdout } = await runTlsboot(["version", "--licenses"]);
  assert.equal(code, 0);
  assert.match(stdout, /^hono \d[^]*^Node\.js 24[^]*OpenSSL, located at/m);
});

test("tlsboot version --sbom is a CycloneDX document with every component", async () => {
  const { code, stdout } = await runTlsboot(["version", "--sbom"]);
  assert.equal(code, 0);
  const { bomFormat, specVersion, components } = JSON.parse(stdout);
  assert.deepEqual([bomFormat, specVersion], ["CycloneDX", "1.6"]);
  const names = components.map(({ name }: { name: string }) => name);
  for (const name of ["hono", "prom-client", "age-encryption"]) assert.ok(names.includes(name), name);
  assert.equal((await runTlsboot(["version", "--sbom", "-o", "yaml"])).code, 2);
});
