/** The products of Deno's tools: the package for JSR, and the script that `deno compile` embeds. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { mkdir, readFile, symlink } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { ROOT, start, succeedProgram } from "../support/child.ts";
import { parseGuide } from "../support/guide.ts";
import { createTempFolder } from "../support/temp.ts";

const { version, exports } = JSON.parse(readFileSync("deno.json", "utf8"));

test("deno publish includes the sources, but neither tests nor guides", async () => {
  const args = ["publish", "--dry-run", "--allow-dirty", "--no-check"];
  const { stdout, stderr } = await succeedProgram(process.execPath, args);
  const output = stdout + stderr;
  assert.match(output, new RegExp(`Simulating publish of @tlsboot/tlsboot@${version} with files:`));
  const files = [...output.matchAll(/^ +file:\/\/(\S+) /gm)].map(([, file = ""]) => file.slice(ROOT.length + 1));
  const rooms = new Set(files.map((file) => file.split("/")[0]));
  assert.deepEqual(
    [...rooms].sort(),
    [..."CHANGELOG.md LICENSE NOTICE README.md cli client controllers core deno.json instance mod.ts server ui".split(
      " ",
    )],
  );
  assert.deepEqual(files.filter((file) => /_test\.tsx?$|testdata/.test(file)), []);
  const entries = Object.values<string>(exports).map((file) => file.slice("./".length));
  assert.deepEqual(entries.filter((file) => !files.includes(file)), []);
});

test("deno compile embeds one script, which runs on Deno", async () => {
  await using folder = await createTempFolder();
  const page = parseGuide(await readFile(join(ROOT, "docs", "engineering", "building.md"), "utf8"));
  const block = page.blocks.find((text) => text.includes(" compile ")) ?? "";
  const lines = block.replaceAll("npx -y deno@2.9.6", "deno").replaceAll("dist/", `${folder.path}/`);
  await mkdir(folder.join("bin"));
  await symlink(process.execPath, folder.join("bin", "deno"));
  // Deno accepts any program instead of denort, which it would have to download.
  const env = { PATH: `${folder.join("bin")}:${process.env["PATH"]}`, DENORT_BIN: "/bin/true" };
  const built = await succeedProgram("sh", ["-ec", lines], { env });
  assert.match(built.stderr, /Embedded Files\s+tlsboot-deno\s+└── tlsboot\.mjs \([\d.]+MB\)\s+Files:/);
  await using server = start(process.execPath, [
    ...["run", "-A", folder.join("tlsboot.mjs"), "up", "--secure-port", "0", "--data-dir", folder.join("data")],
  ]);
  await server.waitFor(/tlsboot is up at https:/);
});
