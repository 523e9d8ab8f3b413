/**
 * Stock kubectl 1.37 cannot distinguish `tlsboot serve` from kube-apiserver 1.37: the scripts of `kubectl_comparison` that
 * change, decide, wait and delete.
 */
import { test } from "node:test";
import { assertKubectlAgrees } from "../support/interop/kubectl_comparison/comparison.ts";
import { CHANGING } from "../support/interop/kubectl_comparison/scripts.ts";

test("kubectl changes and deletes with the same output as against kube-apiserver", () => assertKubectlAgrees(CHANGING));
