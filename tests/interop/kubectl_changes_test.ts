/**
 * Runs the scripts of `kubectl_comparison` that change, approve, deny, wait and delete: stock kubectl 1.37 prints the
 * same with `tlsboot serve` as with kube-apiserver 1.37.
 */
import { test } from "node:test";
import { assertKubectlAgrees } from "../support/interop/kubectl_comparison/comparison.ts";
import { CHANGING } from "../support/interop/kubectl_comparison/scripts.ts";

test("kubectl changes and deletes with the same output as with kube-apiserver", () => assertKubectlAgrees(CHANGING));
