import { strict as assert } from "node:assert";
import { readFile } from "node:fs/promises";
import process from "node:process";
import { test } from "node:test";
import { isAppError } from "../../core/errors.ts";
import { joinAuthority, parseAuthorityCertificate } from "../../core/pki/authority/authority.ts";
import { type KeyAlgorithm, ML_DSA_KEY_ALGORITHMS } from "../../core/pki/keys/key_names.ts";
import { hasMlDsa } from "../../core/pki/keys/ml_dsa.ts";
import { type Breakage, writeKeyProgram } from "../../tests/support/key_program.ts";
import { createSigningCa } from "../../tests/support/signing_ca.ts";
import { createTempFolder } from "../../tests/support/temp.ts";
import { createKeyProgramSource, openKeyProgram } from "./keys.ts";

const certificate = "/pki/ca.crt";
const { env } = process;

const algorithms: readonly KeyAlgorithm[] = ["ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "rsa-2048", "ed25519"];

for (const keyAlgorithm of [...algorithms, ...hasMlDsa() ? ML_DSA_KEY_ALGORITHMS : []]) {
  test(`openKeyProgram() returns a key that signs: ${keyAlgorithm}`, async () => {
    await using folder = await createTempFolder();
    const ca = await createSigningCa({ keyAlgorithm });
    const program = await writeKeyProgram(folder, ca.keyPem);
    const source = createKeyProgramSource({ program, certificate, env });
    const key = await source.open(await source.state());
    assert.ok(key.ok, key.ok ? "" : key.error);
    const certificates = parseAuthorityCertificate(ca.certificatePem);
    assert.ok(certificates.ok);
    const authority = await joinAuthority(certificates.value, key.value);
    assert.ok(authority.ok, authority.ok ? "" : authority.error);
    assert.equal(await readFile(folder.join("runs"), "utf8"), `public-key ${certificate}\nsign ${certificate}\n`);
  });
}

for (
  const [breakage, want] of [
    [
      "exits with 3 when it signs",
      /"\S+hsm program sign ECDSA-SHA256": it ended with exit code 3: the token is not there$/,
    ],
    ["signs something else", /its answer \(\d+ bytes\) is not a signature by its public key$/],
    ["prints nothing for a signature", /its answer \(nothing\) is not a signature by its public key$/],
    ["prints too much", /it printed more than 16384 bytes$/],
    ["never ends", /it took longer than 5 s$/],
  ] as readonly (readonly [Breakage, RegExp])[]
) {
  test(`a key program that ${breakage} creates no signature`, async () => {
    await using folder = await createTempFolder();
    const program = await writeKeyProgram(folder, (await createSigningCa()).keyPem, breakage);
    // A runtime starts slowly on a busy machine, so only the program that never ends has a short timeout.
    const key = await openKeyProgram({
      program,
      certificate,
      env,
      timeoutMs: breakage === "never ends" ? 5_000 : 60_000,
    });
    assert.ok(key.ok);
    const { value } = key;
    await assert.rejects(value.sign(new TextEncoder().encode("data"), "ECDSA-SHA256"), (error) => {
      assert.ok(isAppError(error, "key_program_failed"));
      assert.match(error.message, want);
      assert.equal(error.hint, "run it by hand; docs/guides/ca.md describes what it must answer");
      return true;
    });
  });
}

test("a key program runs at most five times at once", async () => {
  await using folder = await createTempFolder();
  const program = await writeKeyProgram(folder, (await createSigningCa()).keyPem, "waits for four others");
  const key = await openKeyProgram({ program, certificate, env, timeoutMs: 120_000 });
  assert.ok(key.ok);
  const { value } = key;
  const data = new TextEncoder().encode("data");
  await Promise.all(Array.from({ length: 8 }, () => value.sign(data, "ECDSA-SHA256")));
  let running = 0;
  let most = 0;
  for (const line of (await readFile(folder.join("runs"), "utf8")).split("\n")) {
    running += line.startsWith("sign") ? 1 : line === "end" ? -1 : 0;
    most = Math.max(most, running);
  }
  assert.equal(most, 5);
});

test("openKeyProgram() refuses an answer that is not a public key", async () => {
  await using folder = await createTempFolder();
  const program = await writeKeyProgram(folder, (await createSigningCa()).keyPem, "prints no public key");
  const key = await openKeyProgram({ program, certificate, env });
  assert.match(key.ok ? "" : key.error, /must print one PEM block PUBLIC KEY, and printed 6 bytes$/);
});

test("openKeyProgram() reports a program that does not exist", async () => {
  await assert.rejects(openKeyProgram({ program: "/nowhere/hsm", certificate, env }), {
    code: "key_program_failed",
    message: 'cannot use the CA key of "/nowhere/hsm public-key": there is no such program',
  });
});
