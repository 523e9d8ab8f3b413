import assert from "node:assert/strict";
import { test } from "node:test";
import { isAppError } from "../../core/errors.ts";
import { generatePrivateKey } from "../../core/pki/keys/keys.ts";
import { parseTokenKeys } from "../../core/service_accounts/jwt.ts";
import { createInstanceDeps } from "../../tests/support/instance_deps.ts";
import { createMemoryFiles, type MemoryFiles } from "../../tests/support/memory_files.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { dataDirAt } from "../data_dir.ts";
import { openServiceAccounts } from "./service_accounts.ts";
import { DEFAULT_SETTINGS } from "../settings.ts";

const DIR = dataDirAt("/data");
const logger = createMemoryLogger();

function open(files: MemoryFiles, edit: Partial<ReturnType<typeof getSettings>> = {}, isShared = false) {
  const place = { dir: DIR, isShared, url: () => "https://boot:6443" };
  return openServiceAccounts({ ...getSettings(), ...edit }, place, createInstanceDeps("/", { files, logger }));
}

const getSettings = () => DEFAULT_SETTINGS;
const newKey = async () => (await generatePrivateKey("ecdsa-p256")).toPem();

test("openServiceAccounts() creates a key for its owner only, and keeps it", async () => {
  const files = createMemoryFiles();
  const first = await open(files);
  assert.deepEqual([files.mode(DIR.tokenKey), files.mode(DIR.tokenPublicKeys)], [0o600, 0o644]);
  assert.equal(files.text(DIR.tokenPublicKeys), first.signer.key.toPem());
  const again = await open(files);
  assert.equal(again.signer.key.id, first.signer.key.id);
  assert.equal(first.jwksUri?.(), "https://boot:6443/openid/v1/jwks");
  assert.deepEqual(first.apiAudiences, ["https://kubernetes.default.svc"]);
  assert.deepEqual(logger.entries.filter(({ level }) => level === "warn"), []);
});

test("openServiceAccounts() accepts a deleted signing key until it is removed from pki/sa.pub", async () => {
  const files = createMemoryFiles();
  const { signer: { key: old } } = await open(files);
  await files.unlink(DIR.tokenKey);
  const rotated = await open(files);
  assert.notEqual(rotated.signer.key.id, old.id);
  assert.deepEqual(rotated.keys.map(({ id }) => id), [rotated.signer.key.id, old.id]);
  assert.ok(files.text(DIR.tokenPublicKeys)?.endsWith(old.toPem()), "the old key is the last block");
  await files.writeAtomic(DIR.tokenPublicKeys, rotated.signer.key.toPem(), 0o644);
  assert.deepEqual((await open(files)).keys.map(({ id }) => id), [rotated.signer.key.id]);
});

test("openServiceAccounts() uses the keys of the settings without creating one", async () => {
  const files = createMemoryFiles({ "/sign.key": await newKey(), "/old.key": await newKey() });
  const options = await open(files, {
    serviceAccountSigningKeyFile: "sign.key",
    serviceAccountKeyFile: ["old.key", "sign.key"],
    serviceAccountIssuer: ["https://new.example", "https://old.example"],
    apiAudiences: ["api"],
    serviceAccountJwksUri: "https://keys.example/jwks",
    serviceAccountMaxTokenExpiration: 7_200_000,
  });
  const [old] = parseKeys(files.text("/old.key"));
  assert.deepEqual(options.keys.map(({ id }) => id), [old?.id, options.signer.key.id]);
  assert.deepEqual([...files.entries.keys()], ["/sign.key", "/old.key"]);
  assert.deepEqual(options.issuers, ["https://new.example", "https://old.example"]);
  assert.deepEqual([options.apiAudiences, options.maxExpirationSeconds], [["api"], 7200]);
  assert.equal(options.jwksUri?.(), "https://keys.example/jwks");
});

function parseKeys(pem = "") {
  const keys = parseTokenKeys(pem);
  return keys.ok ? keys.value : [];
}

test("openServiceAccounts() warns about a key that other servers of the same etcd do not know", async () => {
  await open(createMemoryFiles(), {}, true);
  assert.match(logger.entries.at(-1)?.message ?? "", /copy pki\/sa.key and pki\/sa.pub/);
});

test("openServiceAccounts() publishes no documents for an issuer that is not an https URL", async () => {
  for (const issuer of ["kubernetes", "http://a.example", "https://a.example?x", "https://a.example#x"]) {
    assert.equal((await open(createMemoryFiles(), { serviceAccountIssuer: [issuer] })).jwksUri, undefined, issuer);
  }
});

for (
  const { name, edit, message } of [
    { name: "an issuer twice", edit: { serviceAccountIssuer: ["a", "a"] }, message: /"a" is given twice/ },
    { name: "no issuer", edit: { serviceAccountIssuer: [] }, message: /is empty/ },
    {
      name: "a malformed URL",
      edit: { serviceAccountIssuer: ["https://[x"] },
      message: /contains a colon but is not a URL/,
    },
    {
      name: "a short lifetime",
      edit: { serviceAccountMaxTokenExpiration: 60_000 },
      message: /want a duration from 1h/,
    },
  ]
) {
  test(`openServiceAccounts() refuses ${name} in the settings`, async () => {
    await assert.rejects(
      open(createMemoryFiles(), edit),
      (error) => isAppError(error, "usage") && message.test(error.message),
    );
  });
}

test("openServiceAccounts() refuses keys that it cannot use, and a key that others can read", async () => {
  const files = createMemoryFiles({ "/empty": "", "/text": "-----BEGIN X-----\nAAAA\n-----END X-----\n" });
  const ed25519 = await generatePrivateKey("ed25519");
  await files.writeAtomic("/ed25519", ed25519.toPem(), 0o600);
  await files.writeAtomic("/open", await newKey(), 0o644);
  const refuses = (edit: Parameters<typeof open>[1], code: Parameters<typeof isAppError>[1], message: RegExp) =>
    assert.rejects(open(files, edit), (error) => isAppError(error, code) && message.test(error.message));
  await refuses({ serviceAccountSigningKeyFile: "empty" }, "key_invalid", /"empty": no private key found/);
  await refuses({ serviceAccountSigningKeyFile: "ed25519" }, "key_invalid", /"ed25519": want an RSA key/);
  await refuses({ serviceAccountKeyFile: ["text"] }, "key_invalid", /"text": data does not contain any valid/);
  await refuses({ serviceAccountSigningKeyFile: "open" }, "file_permissions", /"\/open"/);
  await refuses({ serviceAccountKeyFile: ["none"] }, "io", /"none": no such file/);
});
