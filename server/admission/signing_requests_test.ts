import assert from "node:assert/strict";
import { test } from "node:test";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { StatusError } from "../../core/kube/status/status.ts";
import { configMapKind } from "../../core/kube/kinds/mod.ts";
import { creation, update, validateWith } from "../../tests/support/admission_requests.ts";
import { buildCsr, condition, type CsrOptions, toBase64 } from "../../tests/support/csr_builder.ts";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import { createLossyStorage } from "../../tests/support/lossy_storage.ts";
import { testUser } from "../../tests/support/test_rbac.ts";
import { createMemoryStorage } from "../storage/memory/memory_storage.ts";
import { createSigningRequestPlugins, type SigningRequestLimits } from "./signing_requests.ts";

const PREFIX = "/registry/certificatesigningrequests/";

async function createWorld(limits: Partial<SigningRequestLimits>) {
  const clock = createFakeClock();
  const storage = createMemoryStorage({ clock });
  await storage.create(`${PREFIX}before`, await build("before"));
  const made = await createSigningRequestPlugins(
    { maxOpenPerRequester: 0, servedSigners: undefined, ...limits },
    { storage, clock },
  );
  const [plugin] = made.plugins;
  const warnings: string[] = [];
  const onWarning = (text: string): void => void warnings.push(text);
  return {
    clock,
    storage,
    plugins: made.plugins,
    warnings,
    /** Validates a creation as the API does; returns the refusal. */
    async admit(csr: CertificateSigningRequest): Promise<StatusError | undefined> {
      const user = testUser(csr.spec.username ?? "");
      try {
        await validateWith(plugin, creation(csr, { user, onWarning }));
        return undefined;
      } catch (error) {
        assert.ok(error instanceof StatusError, String(error));
        return error;
      }
    },
  };
}

function build(name: string, options: CsrOptions = {}): Promise<CertificateSigningRequest> {
  return buildCsr({ name, ...options });
}

test("createSigningRequestPlugins() creates no plugin by default", async () => {
  assert.deepEqual((await createWorld({})).plugins, []);
});

test("OpenRequestLimit refuses with 429 while a requester has as many open requests as are allowed", async () => {
  const { admit, storage, clock } = await createWorld({ maxOpenPerRequester: 2 });
  const second = await build("second");
  assert.equal(await admit(second), undefined);
  const stored = await storage.create(`${PREFIX}second`, second);
  const third = await build("third");
  const refusal = await admit(third);
  assert.deepEqual(refusal?.status, {
    metadata: {},
    status: "Failure",
    message:
      '"system:bootstrap:abcdef" has 2 open certificate signing requests, and this server allows 2: wait until ' +
      "one is decided; an administrator deletes them with tlsboot delete csr --pending --requester system:bootstrap:abcdef",
    reason: "TooManyRequests",
    details: { retryAfterSeconds: 1 },
    code: 429,
  });
  // Other requesters are not limited by it.
  assert.equal(await admit(await build("other", { username: "jane" })), undefined);
  // A decision makes room.
  await storage.update(
    stored.key,
    await build("second", { conditions: [condition("Denied")] }),
    stored.revision,
  );
  assert.equal(await admit(third), undefined);
  // Creations that were admitted count until their objects are seen, or until they must have failed.
  assert.equal((await admit(await build("fourth")))?.status.code, 429);
  await clock.advance(5_000);
  assert.equal(await admit(await build("fourth")), undefined);
});

for (
  const { limits, want } of [
    { limits: { maxOpenPerRequester: 2 }, want: ["OpenRequestLimit"] },
    { limits: { servedSigners: () => [] }, want: ["SignerWarning"] },
    { limits: { maxOpenPerRequester: 2, servedSigners: () => [] }, want: ["OpenRequestLimit", "SignerWarning"] },
  ]
) {
  test(`createSigningRequestPlugins() creates ${want.join(" and ")}`, async () => {
    const { plugins } = await createWorld(limits);
    assert.deepEqual(plugins.map(({ name }) => name), want);
  });
}

test("OpenRequestLimit counts all creations that were admitted and are not seen yet", async () => {
  const { admit } = await createWorld({ maxOpenPerRequester: 3 });
  assert.equal(await admit(await build("second")), undefined);
  assert.equal(await admit(await build("third")), undefined);
  assert.equal((await admit(await build("fourth")))?.status.code, 429);
  for (const name of ["a", "b", "c"]) assert.equal(await admit(await build(name, { username: "jane" })), undefined);
  assert.equal((await admit(await build("d", { username: "jane" })))?.status.code, 429);
});

test("OpenRequestLimit and SignerWarning look at creations of requests only", async () => {
  const { plugins, warnings } = await createWorld({ maxOpenPerRequester: 1, servedSigners: () => [] });
  const csr = await build("before");
  const edit = { user: testUser(csr.spec.username ?? ""), onWarning: (text: string) => void warnings.push(text) };
  for (const plugin of plugins) {
    assert.equal(await validateWith(plugin, update(csr, csr, edit)), undefined);
    assert.equal(await validateWith(plugin, creation(csr, { ...edit, kind: configMapKind })), undefined);
  }
  assert.deepEqual(warnings, []);
});

test("OpenRequestLimit counts again when its watch is lost", async () => {
  const clock = createFakeClock();
  const storage = createMemoryStorage({ clock });
  const stored = await storage.create(`${PREFIX}before`, await build("before"));
  const lossy = createLossyStorage(storage, PREFIX);
  const limits = { maxOpenPerRequester: 1, servedSigners: undefined };
  using made = await createSigningRequestPlugins(limits, { storage: lossy.storage, clock });
  const request = creation(await build("next"), { user: testUser("system:bootstrap:abcdef") });
  const admit = () => validateWith(made.plugins[0], request);
  await assert.rejects(admit(), /has 1 open certificate signing requests/);
  await storage.delete(stored.key, stored.revision);
  await lossy.loseWatch();
  assert.equal(await admit(), undefined);
});

test("OpenRequestLimit makes room when a request is deleted", async () => {
  const { admit, storage } = await createWorld({ maxOpenPerRequester: 1 });
  const csr = await build("next");
  assert.equal((await admit(csr))?.status.code, 429);
  const stored = await storage.get(`${PREFIX}before`);
  await storage.delete(`${PREFIX}before`, stored?.revision ?? 0);
  assert.equal(await admit(csr), undefined);
});

test("SignerWarning warns about a signer that does not run here", async () => {
  const { admit, warnings } = await createWorld({
    servedSigners: () => ["kubernetes.io/kube-apiserver-client-kubelet", "example.com/served"],
  });
  for (const signerName of ["kubernetes.io/kube-apiserver-client-kubelet", "example.com/served"]) {
    await admit(await build("served", { signerName }));
  }
  assert.deepEqual(warnings, []);
  await admit(await build("web", { signerName: "example.com/web" }));
  const text =
    'no signer for "example.com/web" runs in this server: without one the request gets no certificate; see ' +
    'that a signer for "example.com/web" runs and has a CA: tlsboot signer --signer example.com/web, or the ' +
    "program that the name belongs to, signs for it";
  assert.deepEqual(warnings, [text]);
});

test("SignerWarning does not warn about a signer that has issued", async () => {
  const { admit, warnings, storage } = await createWorld({ servedSigners: () => [] });
  const signerName = "example.com/web";
  const issued = await build("issued", {
    signerName,
    conditions: [condition("Approved")],
    certificate: toBase64("certificate"),
  });
  await storage.create(`${PREFIX}issued`, issued);
  await admit(await build("web", { signerName }));
  assert.deepEqual(warnings, []);
});
