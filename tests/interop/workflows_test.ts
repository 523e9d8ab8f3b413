/** actionlint checks the workflows in .github, which call only the scripts of this repository. */
import assert from "node:assert/strict";
import { glob, readFile } from "node:fs/promises";
import { test } from "node:test";
import { succeedProgram } from "../support/child.ts";
import { peerPath } from "../support/peers/go.ts";

/**
 * The commands that a step may run: our tasks and scripts, their preparation, and the draft of a release.
 */
const ALLOWED =
  /^(?:(?:sudo env "PATH=\$PATH" )?npx -y deno@\S+ (?:install|task) |bash \.ci\/|apt-get update |git config |gh release create )/;

test("the workflows pass actionlint, and run only our scripts", async () => {
  const files: string[] = [];
  for await (const file of glob(".github/workflows/*.yml")) files.push(file);
  assert.ok(files.length > 0);
  await succeedProgram(peerPath("actionlint"), ["-shellcheck=", "-pyflakes=", ...files]);
  for (const file of files) {
    for (const [, command = ""] of (await readFile(file, "utf8")).matchAll(/^ *(?:- )?run: (.*)$/gm)) {
      assert.match(command, ALLOWED, file);
    }
  }
});
