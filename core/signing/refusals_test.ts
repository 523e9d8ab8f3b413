import assert from "node:assert/strict";
import { test } from "node:test";
import { buildCsr } from "../../tests/support/csr_builder.ts";
import { findRefusals } from "./refusals.ts";

const CLIENT = "kubernetes.io/kube-apiserver-client";
const masters = { signerName: CLIENT, organizations: ["a", "system:masters"], usages: ["client auth"] };
const RESTRICTED = `use of ${CLIENT} signer with system:masters group is not allowed`;
const UNFIT = `the signer ${CLIENT} refuses it: missing required usage for client certificate: client auth`;

for (
  const { name, edit, want } of [
    { name: "a kubelet's request", edit: {}, want: [] },
    { name: "a request for administrators", edit: masters, want: [RESTRICTED] },
    { name: "administrators of another signer", edit: { ...masters, signerName: "example.com/x" }, want: [] },
    { name: "a request of another group", edit: { ...masters, organizations: ["a"] }, want: [] },
    {
      name: "what the signer and the admission refuse",
      edit: { ...masters, usages: ["digital signature"] },
      want: [RESTRICTED, UNFIT],
    },
    { name: "what the API refuses", edit: { ...masters, usages: [] }, want: ["spec.usages: Required value"] },
  ]
) {
  test(`findRefusals() predicts ${want.length} for ${name}`, async () => {
    assert.deepEqual(findRefusals(await buildCsr(edit)), want);
  });
}
