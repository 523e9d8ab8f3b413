import assert from "node:assert/strict";
import { test } from "node:test";
import { Secret } from "../../core/lib/brand.ts";
import { isAppError } from "../../core/errors.ts";
import { encryptPrivateKey } from "../../core/pki/keys/encrypted_key.ts";
import { parsePrivateKey } from "../../core/pki/keys/keys.ts";
import { createFakeClock, type FakeClock } from "../../tests/support/fake_clock.ts";
import { createSeededRandom } from "../../tests/support/seeded_random.ts";
import { createMemoryLogger, type MemoryLogger } from "../../tests/support/memory_logger.ts";
import {
  createIntermediateCa,
  createSigningCa,
  issueClientCertificate,
  type SigningCa,
} from "../../tests/support/signing_ca.ts";
import {
  createFileAuthoritySource,
  createKeyFileSource,
  createReloader,
  type FileAuthorityOptions,
} from "./ca_provider.ts";
import { encodeTrust } from "../../core/pki/x509/ca_bundle.ts";

const first = createSigningCa({ commonName: "first" });
const second = createSigningCa({ commonName: "second" });

interface Disk {
  "ca.crt": string | undefined;
  "ca.key": string | undefined;
  mode: number;
  reads: number;
}

function createDisk(ca: SigningCa): Disk {
  return { "ca.crt": ca.certificatePem, "ca.key": ca.keyPem, mode: 0o100600, reads: 0 };
}

function createOptions(
  disk: Disk,
): FileAuthorityOptions & { readonly clock: FakeClock; readonly logger: MemoryLogger } {
  const files = {
    read(path: string): Promise<string> {
      disk.reads += 1;
      const text = path === "ca.crt" ? disk["ca.crt"] : disk["ca.key"];
      if (text === undefined) return Promise.reject(new Error(`open ${path}: no such file or directory`));
      return Promise.resolve(text);
    },
    mode: () => Promise.resolve(disk.mode),
  };
  return { files, certFile: "ca.crt", keyFile: "ca.key", clock: createFakeClock(), logger: createMemoryLogger() };
}

const LOADER = "csr-controller::ca.crt::ca.key";

for (
  const { name, edit, want } of [
    {
      name: "no certificate file",
      edit: () => ({ "ca.crt": undefined }),
      want: 'error reading CA cert file "ca.crt": open ca.crt: no such file or directory',
    },
    {
      name: "no key file",
      edit: () => ({ "ca.key": undefined }),
      want: 'error reading CA cert file "ca.crt": open ca.key: no such file or directory',
    },
    {
      name: "a bundle",
      edit: async () => ({ "ca.crt": (await first).certificatePem + (await second).certificatePem }),
      want: `error reading CA cert file "${LOADER}": expected 1 certificate, found 2`,
    },
    {
      name: "no certificate",
      edit: () => ({ "ca.crt": "garbage" }),
      want: `error reading CA cert file "${LOADER}": expected 1 certificate, found 0`,
    },
    {
      name: "another CA's key",
      edit: async () => ({ "ca.key": (await second).keyPem }),
      want: 'error reading CA cert file "ca.crt": tls: private key does not match public key',
    },
    {
      name: "a certificate that is no CA",
      edit: async () => ({
        "ca.crt": await issueClientCertificate(await first, new Date("2026-01-01"), new Date("2027-01-01")),
      }),
      want: 'error reading CA cert file "ca.crt": the certificate is not a CA (basic constraints do not say CA:TRUE)',
    },
  ]
) {
  test(`createFileAuthoritySource() refuses to start with ${name}`, async () => {
    const disk = { ...createDisk(await first), ...await edit() };
    await assert.rejects(createFileAuthoritySource(createOptions(disk)), (error) => {
      assert.ok(isAppError(error, "ca_invalid"));
      assert.equal(error.message, want);
      return true;
    });
  });
}

test("createFileAuthoritySource() refuses to start with an invalid key", async () => {
  const disk = { ...createDisk(await first), "ca.key": "garbage" };
  await assert.rejects(createFileAuthoritySource(createOptions(disk)), (error) => {
    assert.ok(isAppError(error, "ca_invalid"));
    assert.match(error.message, /^error reading CA key file "csr-controller::ca\.crt::ca\.key": /);
    return true;
  });
});

test("createFileAuthoritySource() refuses an empty path with upstream's message", async () => {
  const options = { ...createOptions(createDisk(await first)), certFile: "" };
  await assert.rejects(createFileAuthoritySource(options), {
    message: 'error reading CA cert file "": missing filename for serving cert',
  });
});

for (const mode of [0o100640, 0o100604, 0o100660]) {
  test(`createFileAuthoritySource() refuses a key of mode ${mode.toString(8)}`, async () => {
    const disk = { ...createDisk(await first), mode };
    await assert.rejects(createFileAuthoritySource(createOptions(disk)), (error) => {
      assert.ok(isAppError(error, "file_permissions"));
      assert.equal(error.hint, "chmod 600 ca.key");
      return true;
    });
  });
}

test("createFileAuthoritySource() checks the files once a second and uses a new pair", async () => {
  const disk = createDisk(await first);
  const options = createOptions(disk);
  const source = await createFileAuthoritySource(options);
  assert.equal((await source.current()).certificate.subject.commonName, "first");
  assert.equal(disk.reads, 2);
  Object.assign(disk, { ...createDisk(await second), reads: 2 });
  await options.clock.advance(999);
  assert.equal((await source.current()).certificate.subject.commonName, "first");
  await options.clock.advance(1);
  const [one, two] = await Promise.all([source.current(), source.current()]);
  assert.equal(one.certificate.subject.commonName, "second");
  assert.equal(one, two);
  assert.equal(disk.reads, 4);
  assert.deepEqual(options.logger.messages(), ["CA reloaded"]);
});

test("createFileAuthoritySource() keeps the old pair when the new one is broken, and logs that once", async () => {
  const disk = createDisk(await first);
  const options = createOptions(disk);
  const source = await createFileAuthoritySource(options);
  disk["ca.crt"] = (await second).certificatePem;
  for (let round = 0; round < 3; round += 1) {
    await options.clock.advance(1_000);
    assert.equal((await source.current()).certificate.subject.commonName, "first");
  }
  assert.deepEqual(options.logger.messages(), ["CA files changed but do not hold a CA, the old one stays in use"]);
  disk["ca.key"] = (await second).keyPem;
  await options.clock.advance(1_000);
  assert.equal((await source.current()).certificate.subject.commonName, "second");
  assert.equal(JSON.stringify(options.logger.entries).includes("PRIVATE KEY"), false);
});

test("createFileAuthoritySource() accepts a CA with its issuers when the option is set, and reloads it", async () => {
  const root = await first;
  const intermediate = await createIntermediateCa(root, "lower");
  const disk = { ...createDisk(intermediate), "ca.crt": encodeTrust(intermediate) };
  const options = { ...createOptions(disk), withIssuers: true };
  const source = await createFileAuthoritySource(options);
  const { issuers, intermediates } = await source.current();
  assert.deepEqual(issuers.map(({ subject }) => subject.commonName), ["first"]);
  assert.deepEqual(intermediates.map(({ subject }) => subject.commonName), ["lower"]);
  disk["ca.crt"] = root.certificatePem + intermediate.certificatePem;
  await options.clock.advance(1_000);
  assert.equal((await source.current()).certificate.subject.commonName, "lower");
  assert.match(JSON.stringify(options.logger.entries), /signed itself/);
  Object.assign(disk, createDisk(root));
  await options.clock.advance(1_000);
  assert.deepEqual((await source.current()).intermediates, []);
});

test("createFileAuthoritySource() issues certificates without the chain of an intermediate unless the option is set", async () => {
  const disk = createDisk(await createIntermediateCa(await first));
  const alone = await createFileAuthoritySource(createOptions(disk));
  assert.deepEqual((await alone.current()).intermediates, []);
  const chained = await createFileAuthoritySource({ ...createOptions(disk), withIssuers: true });
  assert.equal((await chained.current()).intermediates.length, 1);
});

test("createFileAuthoritySource() decrypts a key with a passphrase, and keeps the old pair when the next key cannot be decrypted", async () => {
  const ca = await first;
  const key = parsePrivateKey(ca.keyPem);
  assert.ok(key.ok);
  const encrypted = await encryptPrivateKey(key.value, "right", createSeededRandom(), 1_000);
  const disk = { ...createDisk(ca), "ca.key": encrypted };
  const options = createOptions(disk);
  let passphrase = "right";
  const source = (): ReturnType<typeof createFileAuthoritySource> =>
    createFileAuthoritySource({
      ...options,
      key: createKeyFileSource(options.files, "ca.key", () => Promise.resolve(new Secret(passphrase))),
    });
  const opened = await source();
  assert.equal((await opened.current()).certificate.subject.commonName, "first");
  passphrase = "wrong";
  await assert.rejects(source(), { code: "passphrase_wrong", message: /the passphrase does not fit/ });
  await assert.rejects(createFileAuthoritySource(options), { code: "ca_invalid", message: /there is no passphrase/ });
  disk.mode = 0o100640;
  await assert.rejects(source(), { code: "file_permissions" });
  disk.mode = 0o100600;

  disk["ca.key"] = await encryptPrivateKey(key.value, "right", createSeededRandom(7), 1_000);
  await options.clock.advance(1_000);
  assert.equal((await opened.current()).certificate.subject.commonName, "first");
  assert.deepEqual(options.logger.messages(), ["CA files changed but do not hold a CA, the old one stays in use"]);
  passphrase = "right";
  await options.clock.advance(1_000);
  await opened.current();
  assert.deepEqual(options.logger.messages().at(-1), "CA reloaded");
  assert.equal(/right|wrong/.test(JSON.stringify(options.logger.entries)), false);
});

interface Watched {
  text: string;
  loads: number;
  readonly clock: FakeClock;
  readonly changes: string[];
  readonly faults: string[];
  readonly current: () => Promise<{ readonly text: string }>;
}

/** A file whose text cannot be used when it begins with "bad". */
function watch(): Watched {
  const clock = createFakeClock();
  const watched: Omit<Watched, "current"> = { text: "one", loads: 0, clock, changes: [], faults: [] };
  const current = createReloader({
    first: { text: "one" },
    load(known) {
      watched.loads += 1;
      if (watched.text.startsWith("bad")) return Promise.reject(new Error(watched.text));
      return Promise.resolve(watched.text === known.text ? known : { text: watched.text });
    },
    clock,
    onChange: ({ text }) => watched.changes.push(text),
    onFault: (fault) => watched.faults.push(fault),
  });
  return Object.assign(watched, { current });
}

test("createReloader() checks at most once a second, for all callers at the same time", async () => {
  const watched = watch();
  watched.text = "two";
  await watched.clock.advance(999);
  assert.equal((await watched.current()).text, "one");
  assert.equal(watched.loads, 0);
  await watched.clock.advance(1);
  const [first, second] = await Promise.all([watched.current(), watched.current()]);
  assert.equal(first.text, "two");
  assert.equal(first, second);
  assert.deepEqual([watched.loads, watched.changes], [1, ["two"]]);
});

test("createReloader() checks at once when the files are known to have changed, also while an earlier check is under way", async () => {
  const clock = createFakeClock();
  let [version, text] = [0, "one"];
  const held = Promise.withResolvers<void>();
  const current = createReloader({
    first: "one",
    async load() {
      const read = text;
      if (version === 1) await held.promise;
      return read;
    },
    clock,
    version: () => version,
    onChange: () => undefined,
    onFault: () => undefined,
  });
  assert.equal(await current(), "one");
  [version, text] = [1, "two"];
  const early = current();
  [version, text] = [2, "three"];
  const late = current();
  held.resolve();
  assert.deepEqual([await early, await late], ["two", "three"]);
});

test("createReloader() reports nothing when nothing has changed, and checks again although the clock was set back", async () => {
  const watched = watch();
  await watched.clock.advance(1_000);
  const before = await watched.current();
  watched.clock.set(-3_600_000);
  await watched.clock.advance(1_000);
  assert.equal(await watched.current(), before);
  assert.deepEqual([watched.loads, watched.changes, watched.faults], [2, [], []]);
});

test("createReloader() keeps the old value, reports each fault once, and again when it was fixed in between", async () => {
  const watched = watch();
  for (const text of ["bad", "bad", "bad too", "one", "bad too", "three"]) {
    watched.text = text;
    await watched.clock.advance(1_000);
    assert.equal((await watched.current()).text, text === "three" ? "three" : "one");
  }
  assert.deepEqual([watched.faults, watched.changes], [["bad", "bad too", "bad too"], ["three"]]);
});
