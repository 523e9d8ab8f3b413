import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeBase64 } from "../../core/lib/encodings.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { clusterTrustBundleKind, configMapKind } from "../../core/kube/kinds/mod.ts";
import { StatusError } from "../../core/kube/status/status.ts";
import { clusterRole, clusterRoleBinding, testUser, userSubject } from "../../tests/support/test_rbac.ts";
import { buildCsr, condition, type CsrOptions } from "../../tests/support/csr_builder.ts";
import { createRbacWorld, fakeAuthorizer } from "../../tests/support/test_authz.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { creation, update, validateWith } from "../../tests/support/admission_requests.ts";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import { createLossyStorage } from "../../tests/support/lossy_storage.ts";
import {
  certificateSubjectRestriction,
  createCertificateApproval,
  createCertificateSigning,
  createClusterTrustBundleAttest,
  createSigningRequestPlugins,
  type SigningRequestLimits,
} from "./certificates.ts";
import { createMemoryStorage } from "../storage/memory/journaled_storage.ts";
import { isAllowedForSigner } from "../authz/authorizer.ts";

// These tests check signer permissions against the real RBAC authorizer.
const logger = createMemoryLogger();
const jane = testUser("jane", "system:authenticated");
const failing = fakeAuthorizer(() => {
  throw new Error("the authorizer is broken");
});

async function authorizerGranting(verb: string, resourceName: string) {
  const rule = {
    verbs: [verb],
    apiGroups: ["certificates.k8s.io"],
    resources: ["signers"],
    resourceNames: [resourceName],
  };
  const world = await createRbacWorld([
    ["clusterroles", clusterRole("r", [rule])],
    ["clusterrolebindings", clusterRoleBinding("b", "r", userSubject("jane"))],
  ]);
  return world.authorizer;
}

const csrFor = (signerName: string, edit: Parameters<typeof buildCsr>[0] = {}) =>
  buildCsr({ name: "csr", signerName, request: "", ...edit });

const withStatus = (csr: CertificateSigningRequest, status: CertificateSigningRequest["status"]) => ({
  ...csr,
  status,
});

for (
  const { granted, isAllowed } of [
    { granted: "example.com/something", isAllowed: true },
    { granted: "example.com/*", isAllowed: true },
    { granted: "example.com/not-something", isAllowed: false },
    { granted: "*", isAllowed: false },
  ]
) {
  test(`createCertificateApproval() ${isAllowed ? "passes" : "refuses"}: approve on signers ${granted}`, async () => {
    const plugin = createCertificateApproval({ authorizer: await authorizerGranting("approve", granted), logger });
    const csr = await csrFor("example.com/something");
    const request = update(csr, withStatus(csr, { conditions: [condition("Approved")] }), { subresource: "approval" });
    assert.deepEqual(
      await validateWith(plugin, request),
      isAllowed
        ? undefined
        : { message: 'user not permitted to approve requests with signerName "example.com/something"' },
    );
  });

  test(`createCertificateSigning() ${isAllowed ? "passes" : "refuses"}: sign on signers ${granted}`, async () => {
    const plugin = createCertificateSigning({ authorizer: await authorizerGranting("sign", granted), logger });
    const csr = await csrFor("example.com/something");
    const request = update(csr, withStatus(csr, { certificate: "eA==" }), { subresource: "status" });
    assert.deepEqual(
      await validateWith(plugin, request),
      isAllowed
        ? undefined
        : { message: 'user not permitted to sign requests with signerName "example.com/something"' },
    );
  });
}

test("createCertificateApproval() refuses when the authorizer fails", async () => {
  const csr = await csrFor("example.com/a");
  const plugin = createCertificateApproval({ authorizer: failing, logger });
  assert.ok(await validateWith(plugin, update(csr, csr, { subresource: "approval" })) !== undefined);
});

test("createCertificateApproval() checks the stored signer, not the sent one", async () => {
  const plugin = createCertificateApproval({
    authorizer: await authorizerGranting("approve", "example.com/new"),
    logger,
  });
  const refusal = await validateWith(
    plugin,
    update(await csrFor("example.com/old"), await csrFor("example.com/new"), { subresource: "approval" }),
  );
  assert.deepEqual(refusal, { message: 'user not permitted to approve requests with signerName "example.com/old"' });
});

test("createCertificateApproval() passes everything but an update of /approval", async () => {
  const csr = await csrFor("example.com/a");
  const plugin = createCertificateApproval({ authorizer: failing, logger });
  assert.equal(await validateWith(plugin, update(csr, csr)), undefined);
  assert.equal(await validateWith(plugin, update(csr, csr, { subresource: "status" })), undefined);
  assert.equal(await validateWith(plugin, creation(csr)), undefined);
  assert.equal(
    await validateWith(plugin, update(csr, csr, { subresource: "approval", kind: configMapKind })),
    undefined,
  );
});

const signed = { conditions: [condition("Approved", "2026-01-01T00:00:00Z")], certificate: "eA==" };
for (
  const { name, before, after, isChecked } of [
    { name: "nothing", before: {}, after: {}, isChecked: false },
    { name: "the same status", before: signed, after: { ...signed }, isChecked: false },
    { name: "no conditions and an empty list", before: {}, after: { conditions: [] }, isChecked: false },
    { name: "a certificate", before: {}, after: { certificate: "eA==" }, isChecked: true },
    { name: "an empty certificate instead of none", before: {}, after: { certificate: "" }, isChecked: true },
    { name: "a Failed condition", before: {}, after: { conditions: [condition("Failed")] }, isChecked: true },
    {
      name: "the time of a condition",
      before: signed,
      after: { ...signed, conditions: [condition("Approved", "2026-01-01T00:00:01Z")] },
      isChecked: true,
    },
  ]
) {
  test(`createCertificateSigning() ${isChecked ? "checks" : "does not check"} the permission when this changes: ${name}`, async () => {
    const csr = await csrFor("example.com/a");
    const request = update(withStatus(csr, before), withStatus(csr, after), { subresource: "status" });
    const plugin = createCertificateSigning({ authorizer: failing, logger });
    assert.equal(await validateWith(plugin, request) !== undefined, isChecked);
  });
}

test("createCertificateSigning() lets system:masters sign without any binding", async () => {
  const { authorizer } = await createRbacWorld();
  const csr = await csrFor("example.com/a");
  const request = update(csr, withStatus(csr, signed), {
    subresource: "status",
    user: testUser("root", "system:masters"),
  });
  assert.equal(await validateWith(createCertificateSigning({ authorizer, logger }), request), undefined);
});

const bundle = (signerName: string, metadata: object = {}, trustBundle = "PEM") => ({
  metadata: { name: "b", ...metadata },
  spec: { ...(signerName === "" ? {} : { signerName }), trustBundle },
});
const trustBundleKind = { kind: clusterTrustBundleKind };
const held = { finalizers: ["example.com/hold"], ownerReferences: [], managedFields: [] };
for (
  const { name, request, granted, want } of [
    { name: "a new bundle", request: creation(bundle("example.com/a"), trustBundleKind), granted: "example.com/b" },
    {
      name: "a new bundle with permission",
      request: creation(bundle("example.com/a"), trustBundleKind),
      granted: "example.com/*",
      want: "pass",
    },
    { name: "no signer", request: creation(bundle(""), trustBundleKind), granted: "example.com/b", want: "pass" },
    {
      name: "changed certificates",
      request: update(bundle("example.com/a"), bundle("example.com/a", {}, "other"), trustBundleKind),
      granted: "example.com/b",
    },
    {
      name: "a changed label",
      request: update(bundle("example.com/a"), bundle("example.com/a", { labels: { a: "b" } }), trustBundleKind),
      granted: "example.com/b",
    },
    {
      name: "changed owners and finalizers",
      request: update(bundle("example.com/a"), bundle("example.com/a", held), trustBundleKind),
      granted: "example.com/b",
      want: "pass",
    },
    { name: "another kind", request: creation(bundle("example.com/a")), granted: "example.com/b", want: "pass" },
  ]
) {
  test(`createClusterTrustBundleAttest() ${want === "pass" ? "passes" : "refuses"}: ${name}`, async () => {
    const authorizer = await authorizerGranting("attest", granted);
    const refusal = await validateWith(createClusterTrustBundleAttest({ authorizer, logger }), request);
    const message = 'user not permitted to attest for signerName "example.com/a"';
    assert.deepEqual(refusal, want === "pass" ? undefined : { message });
  });
}

const CLIENT = "kubernetes.io/kube-apiserver-client";
for (
  const { name, signerName, organizations, request, edit, want } of [
    {
      name: "system:masters for the client signer",
      signerName: CLIENT,
      organizations: ["a", "system:masters"],
      want: "use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed",
    },
    { name: "system:masters for kubelets", signerName: `${CLIENT}-kubelet`, organizations: ["system:masters"] },
    { name: "system:masters for another signer", signerName: "example.com/a", organizations: ["system:masters"] },
    { name: "system:admin for the client signer", signerName: CLIENT, organizations: ["system:admin"] },
    { name: "system:notmasters for the client signer", signerName: CLIENT, organizations: ["system:notmasters"] },
    {
      name: "a request that cannot be read",
      signerName: CLIENT,
      organizations: [],
      request: "eA==",
      want: "failed to parse CSR: PEM block type must be CERTIFICATE REQUEST",
    },
    {
      name: "a subresource",
      signerName: CLIENT,
      organizations: ["system:masters"],
      edit: { subresource: "approval" },
    },
    { name: "another resource", signerName: CLIENT, organizations: ["system:masters"], edit: { kind: configMapKind } },
  ]
) {
  test(`certificateSubjectRestriction ${want === undefined ? "passes" : "refuses"}: ${name}`, async () => {
    const csr = await buildCsr({
      name: "csr",
      signerName,
      organizations,
      ...(request === undefined ? {} : { request }),
    });
    const refusal = await validateWith(certificateSubjectRestriction, creation(csr, { user: jane, ...edit }));
    assert.deepEqual(refusal, want === undefined ? undefined : { message: want });
  });
}

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

test("createCertificateSigning() checks only writes of the status of a request", async () => {
  const plugin = createCertificateSigning({ authorizer: fakeAuthorizer(() => false), logger });
  const csr = await csrFor("example.com/something");
  const signed = withStatus(csr, { certificate: "eA==" });
  for (const subresource of ["", "approval"]) {
    assert.equal(await validateWith(plugin, update(csr, signed, { subresource })), undefined);
  }
  assert.equal(
    await validateWith(plugin, update(csr, signed, { subresource: "status", kind: configMapKind })),
    undefined,
  );
  assert.equal(await validateWith(plugin, creation(signed, { subresource: "status" })), undefined);
  assert.notEqual(await validateWith(plugin, update(csr, signed, { subresource: "status" })), undefined);
});

test("certificateSubjectRestriction does not read the requests of other signers", async () => {
  const csr = await csrFor("example.com/something", { request: "eA==" });
  assert.equal(await validateWith(certificateSubjectRestriction, creation(csr)), undefined);
});

for (
  const { signerName, want } of [
    { signerName: "example.com/a", want: ["example.com/a", "example.com/*"] },
    { signerName: "no-domain", want: ["no-domain", "no-domain/*"] },
    { signerName: "/a", want: ["/a", "/*"] },
  ]
) {
  test(`isAllowedForSigner() authorizes ${want.join(" and ")}`, async () => {
    const authorizer = fakeAuthorizer(() => false);
    assert.equal(await isAllowedForSigner({ authorizer, logger }, jane, "sign", signerName), false);
    assert.deepEqual(authorizer.asked.map((asked) => asked.kind === "resource" && asked.name), want);
  });
}

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
      "one is decided; an administrator deletes them with tlsboot delete csr --pending-of system:bootstrap:abcdef",
    reason: "TooManyRequests",
    details: { retryAfterSeconds: 1 },
    code: 429,
  });
  // Other requesters are not affected.
  assert.equal(await admit(await build("other", { username: "jane" })), undefined);
  // A request that is decided no longer counts.
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

test("OpenRequestLimit counts all creations that were admitted but have not been seen", async () => {
  const { admit } = await createWorld({ maxOpenPerRequester: 3 });
  assert.equal(await admit(await build("second")), undefined);
  assert.equal(await admit(await build("third")), undefined);
  assert.equal((await admit(await build("fourth")))?.status.code, 429);
  for (const name of ["a", "b", "c"]) assert.equal(await admit(await build(name, { username: "jane" })), undefined);
  assert.equal((await admit(await build("d", { username: "jane" })))?.status.code, 429);
});

test("OpenRequestLimit and SignerWarning apply only to creations of requests", async () => {
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

test("OpenRequestLimit no longer counts a request that is deleted", async () => {
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
    'no signer for "example.com/web" runs in this server: without one the request gets no certificate; make sure ' +
    'that a signer for "example.com/web" runs and has a CA: tlsboot signer --signer example.com/web, or the ' +
    "program that the name belongs to, signs for it";
  assert.deepEqual(warnings, [text]);
});

test("SignerWarning does not warn about a signer that has issued a certificate", async () => {
  const { admit, warnings, storage } = await createWorld({ servedSigners: () => [] });
  const signerName = "example.com/web";
  const issued = await build("issued", {
    signerName,
    conditions: [condition("Approved")],
    certificate: encodeBase64("certificate"),
  });
  await storage.create(`${PREFIX}pending`, await build("pending", { signerName }));
  await admit(await build("first", { signerName }));
  assert.equal(warnings.splice(0).length, 1);
  await storage.create(`${PREFIX}issued`, issued);
  await admit(await build("web", { signerName }));
  assert.deepEqual(warnings, []);
});
