/** The workflows in .github, checked by actionlint; they call the scripts of this repository and nothing else. */
import assert from "node:assert/strict";
import { glob, readFile } from "node:fs/promises";
import { test } from "node:test";
import { succeedProgram } from "../support/child.ts";
import { peerPath } from "../support/peers/go.ts";

/** What a step may run: our tasks and scripts, what prepares a machine for them, and what makes the draft of a release. */
const ALLOWED =
  /^(?:(?:sudo env "PATH=\$PATH" )?npx -y deno@\S+ (?:install|task) |bash \.ci\/|apt-get update |git config |gh release create )/;

test("the workflows are correct for actionlint, and run our scripts alone", async () => {
  const files: string[] = [];
  for await (const file of glob(".github/workflows/*.yml")) files.push(file);
  assert.ok(files.length > 0);
  await succeedProgram(peerPath("actionlint"), ["-shellcheck=", "-pyflakes=", ...files]);
  for (const file of files) {
    for (const [, command = ""] of (await readFile(file, "utf8")).matchAll(/^ *- run: (.*)$/gm)) {
      assert.match(command, ALLOWED, file);
    }
  }
});
