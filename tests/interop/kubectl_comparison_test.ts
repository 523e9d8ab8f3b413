/**
 * Stock kubectl 1.37 cannot distinguish `tlsboot serve` from kube-apiserver 1.37: scripts of commands, replayed on both.
 * These read and create; the others are in `kubectl_changes_test.ts`, so that both halves run side by side.
 */
import { test } from "node:test";
import { assertKubectlAgrees } from "../support/interop/kubectl_comparison/comparison.ts";
import { READING } from "../support/interop/kubectl_comparison/scripts.ts";

test("kubectl reads and creates with the same output as against kube-apiserver", () => assertKubectlAgrees(READING));
