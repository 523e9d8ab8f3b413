/**
 * Runs scripts of commands with stock kubectl 1.37, which prints the same with `tlsboot serve` as with kube-apiserver
 * 1.37. These scripts read and create; `kubectl_changes_test.ts` has the others, so that both halves run in parallel.
 */
import { test } from "node:test";
import { assertKubectlAgrees } from "../support/interop/kubectl_comparison/comparison.ts";
import { READING } from "../support/interop/kubectl_comparison/scripts.ts";

test("kubectl reads and creates with the same output as with kube-apiserver", () => assertKubectlAgrees(READING));
