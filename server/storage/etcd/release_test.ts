import assert from "node:assert/strict";
import { test } from "node:test";
import { assertReleases } from "./release.ts";

test("assertReleases() refuses releases before 3.5.13", () => {
  for (const version of ["3.5.13", "3.5.35", "3.6.0", "3.6.0-rc.1", "3.7.3", "3.10.0", "4.0.0", ""]) {
    assertReleases([{ version }]);
  }
  for (const version of ["3.5.12", "3.5.0", "3.4.99", "2.9.20"]) {
    assert.throws(
      () => assertReleases([{ version: "3.7.0" }, { version }]),
      { code: "io", message: `cannot use etcd ${version}: 3.5.13 or later is needed` },
    );
  }
});
