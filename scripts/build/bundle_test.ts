import assert from "node:assert/strict";
import { cp } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { createTempFolder } from "../../tests/support/temp.ts";
import { bundle } from "./bundle.ts";

const INPUTS = ["cli", "client", "core", "server", "deno.json", "node_modules"];

test("bundle() makes the same bytes of the same sources in another folder", async () => {
  await using folder = await createTempFolder();
  for (const name of INPUTS) {
    await cp(join(process.cwd(), name), folder.join(name), { recursive: true, verbatimSymlinks: true });
  }
  const [here, there] = await Promise.all([bundle(), bundle(folder.path)]);
  assert.ok(here.code === there.code, "the bundles differ");
});

test("bundle() takes in no tool of the tests and of the build", async () => {
  const { metafile } = await bundle();
  const packages = Object.keys(metafile.inputs).flatMap((path) =>
    /\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? []
  );
  const tools = ["esbuild", "postject", "fast-check", "@peculiar/x509", "reflect-metadata"];
  assert.deepEqual(tools.filter((name) => packages.includes(name)), []);
  assert.ok(packages.includes("hono"));
});
