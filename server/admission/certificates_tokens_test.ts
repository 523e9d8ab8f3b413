import assert from "node:assert/strict";
import { test } from "node:test";
import type { TokenRefusal } from "../../core/token/bound_token.ts";
import { configMapKind, secretKind } from "../../core/kube/kinds/mod.ts";
import { creation, deletion, update, validateWith } from "../../tests/support/admission_requests.ts";
import { buildCsr } from "../../tests/support/csr_builder.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { fakeAuthorizer } from "../../tests/support/test_authz.ts";
import { createBootstrapTokenPlugins } from "./certificates.ts";

const logger = createMemoryLogger();
const csr = await buildCsr();
const REFUSAL = { kind: "node", message: "no" } as const;
const WRITE = { kind: "delete", key: "k", expectedRevision: 1 } as const;

/** Creates the plugins, with tokens that make the same decision about every request. */
function createPlugins(
  decision: { readonly refusal?: TokenRefusal; readonly write?: typeof WRITE },
  isAllowed = false,
) {
  const asked: string[] = [];
  const authorizer = fakeAuthorizer(() => isAllowed);
  const [limits, approval] = createBootstrapTokenPlugins({
    authorizer,
    logger,
    tokens: {
      decide(_object, username) {
        asked.push(username);
        return Promise.resolve(decision);
      },
    },
  });
  return { limits, approval, asked, authorizer };
}

for (
  const { name, request, want } of [
    { name: "a creation", request: creation(csr), want: ["jane"] },
    { name: "an update", request: update(csr, csr), want: [] },
    { name: "a write of the status", request: creation(csr, { subresource: "status" }), want: [] },
    { name: "another kind", request: creation(csr, { kind: configMapKind }), want: [] },
  ]
) {
  test(`BootstrapTokenLimits ${want.length === 0 ? "does not decide" : "decides"} about ${name}`, async () => {
    const { limits, asked } = createPlugins({ refusal: REFUSAL });
    const refusal = await validateWith(limits, request);
    assert.deepEqual(asked, want);
    assert.deepEqual(refusal, want.length === 0 ? undefined : REFUSAL);
  });
}

test("BootstrapTokenLimits writes the binding of the token together with the request, and otherwise nothing", async () => {
  for (const want of [[WRITE], []]) {
    const writes: unknown[] = [];
    const [write] = want;
    const { limits } = createPlugins(write === undefined ? {} : { write });
    const alsoWrite = (one: unknown) => void writes.push(one);
    assert.equal(await validateWith(limits, creation(csr, { alsoWrite })), undefined);
    assert.deepEqual(writes, want);
  }
});

const token = (annotations: Readonly<Record<string, string>>, type = "bootstrap.kubernetes.io/token") => ({
  metadata: { name: "bootstrap-token-abcdef", namespace: "kube-system", annotations },
  type,
});
const approving = token({ "tlsboot/node": "n1", "tlsboot/approve": "true" });
const secrets = { kind: secretKind };
const REFUSED = "user not permitted to make a token that approves requests with signerName " +
  '"kubernetes.io/kube-apiserver-client-kubelet"';

for (
  const { name, request, want } of [
    { name: "the creation of a token that approves", request: creation(approving, secrets), want: REFUSED },
    { name: "an update that makes a token approve", request: update(token({}), approving, secrets), want: REFUSED },
    { name: "the deletion of a token that approves", request: deletion(approving, secrets) },
    { name: "a deletion with a body", request: { ...deletion(approving, secrets), object: approving } },
    { name: "a token that does not approve", request: creation(token({ "tlsboot/node": "n1" }), secrets) },
    { name: "a Secret of another type", request: creation(token(approving.metadata.annotations, "Opaque"), secrets) },
    { name: "another kind", request: creation(approving, { kind: configMapKind }) },
  ]
) {
  test(`BootstrapTokenApproval ${want === undefined ? "passes" : "refuses"} ${name}`, async () => {
    const { approval, authorizer } = createPlugins({});
    assert.equal((await validateWith(approval, request))?.message, want);
    assert.equal(authorizer.asked.length > 0, want !== undefined);
  });
}

test("BootstrapTokenApproval passes a user who may approve", async () => {
  const { approval, authorizer } = createPlugins({}, true);
  assert.equal(await validateWith(approval, creation(approving, secrets)), undefined);
  const [asked] = authorizer.asked;
  assert.ok(asked?.kind === "resource");
  assert.deepEqual([asked.verb, asked.name], ["approve", "kubernetes.io/kube-apiserver-client-kubelet"]);
});
