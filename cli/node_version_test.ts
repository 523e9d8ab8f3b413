import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { findNodeFault } from "./node_version.ts";

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
