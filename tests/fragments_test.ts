// The form of changelog fragments, which changes.d/README.md tells.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

const FORM = /^### (?:Added|Changed|Deprecated|Removed|Fixed|Security)\n\n- \S/;

test("every changelog fragment begins with a head of Keep a Changelog and a bullet", () => {
  for (const name of readdirSync("changes.d").filter((name) => name !== "README.md")) {
    assert.match(name, /^[a-z0-9-]+\.md$/);
    assert.match(readFileSync(`changes.d/${name}`, "utf8"), FORM, name);
  }
});
