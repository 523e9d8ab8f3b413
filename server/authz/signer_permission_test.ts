import assert from "node:assert/strict";
import { test } from "node:test";
import { testUser } from "../../tests/support/test_rbac.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { fakeAuthorizer } from "../../tests/support/test_authz.ts";
import { isAllowedForSigner } from "./signer_permission.ts";

const user = testUser("u");

test("isAllowedForSigner() checks the name, then the domain, with upstream's attributes", async () => {
  const authorizer = fakeAuthorizer(() => false);
  assert.equal(
    await isAllowedForSigner({ authorizer, logger: createMemoryLogger() }, user, "approve", "example.com/something"),
    false,
  );
  const attributes = (name: string) => ({
    kind: "resource",
    verb: "approve",
    apiGroup: "certificates.k8s.io",
    apiVersion: "*",
    resource: "signers",
    subresource: "",
    name,
    namespace: "",
  });
  assert.deepEqual(authorizer.asked, [attributes("example.com/something"), attributes("example.com/*")]);
});

test("isAllowedForSigner() skips the domain when the name is allowed", async () => {
  const authorizer = fakeAuthorizer(() => true);
  assert.equal(
    await isAllowedForSigner({ authorizer, logger: createMemoryLogger() }, user, "sign", "example.com/a"),
    true,
  );
  assert.equal(authorizer.asked.length, 1);
});

test("isAllowedForSigner() allows nothing when the authorizer fails, and still checks the domain", async () => {
  const failing = fakeAuthorizer(() => {
    throw new Error("broken");
  });
  const logger = createMemoryLogger();
  assert.equal(await isAllowedForSigner({ authorizer: failing, logger }, user, "sign", "example.com/a"), false);
  assert.equal(failing.asked.length, 2);
  assert.deepEqual(logger.messages("error"), Array(2).fill("signer permission could not be checked"));
});
