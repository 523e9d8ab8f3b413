/** Stock kubectl 1.37 cannot distinguish `tlsboot serve` from kube-apiserver 1.37: scripts of commands, replayed on both. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { startPair } from "./comparison/sides.ts";
import { compareKubectl, formatStep } from "../support/interop/kubectl_comparison/comparison.ts";
import { SCRIPTS } from "../support/interop/kubectl_comparison/scripts.ts";

test("kubectl prints the same against tlsboot serve as against kube-apiserver", async () => {
  await using pair = await startPair();
  const compared = await compareKubectl(pair, SCRIPTS);
  const faults = compared.filter(({ isFault }) => isFault);
  assert.equal(faults.length, 0, `${faults.length} of ${compared.length}\n${faults.map(formatStep).join("\n")}`);
});
