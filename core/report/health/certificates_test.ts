import assert from "node:assert/strict";
import { test } from "node:test";
import { createAuthority } from "../../pki/authority/authority.ts";
import { generatePrivateKey } from "../../pki/keys/keys.ts";
import { checkKeyPairs } from "./certificates.ts";

test("checkKeyPairs() has no command for a CA without its key, because its replacement needs that key", async () => {
  const [key, other] = [await generatePrivateKey("ecdsa-p256"), await generatePrivateKey("ecdsa-p256")];
  const [notBefore, notAfter] = [new Date("2026-01-01T00:00:00Z"), new Date("2036-01-01T00:00:00Z")];
  const { certificate } = await createAuthority({
    commonName: "ca",
    key,
    notBefore,
    notAfter,
    serial: Uint8Array.of(1),
  });
  const pair = { file: "ca.crt", keyFile: "ca.key", publicKeyDer: other.publicKeyDer(), chain: [certificate] };
  const renewal = "tlsboot ca rotate begin";

  assert.deepEqual(checkKeyPairs([{ ...pair, renewal }], []), [{
    severity: "error",
    message:
      'the key in "ca.key" does not belong to CA "ca" in "ca.crt"; put the right key back, for example from a backup',
  }]);
  const [found] = checkKeyPairs([{ ...pair, renewal }], [{ file: "old.key", publicKeyDer: key.publicKeyDer() }]);
  assert.equal(found?.fix, "cp old.key ca.key");
});

test("checkKeyPairs() warns of a CA whose key is missing", async () => {
  const key = await generatePrivateKey("ecdsa-p256");
  const [notBefore, notAfter] = [new Date("2026-01-01T00:00:00Z"), new Date("2036-01-01T00:00:00Z")];
  const ca = await createAuthority({ commonName: "ca", key, notBefore, notAfter, serial: Uint8Array.of(1) });
  const pair = { file: "ca.crt", keyFile: undefined, publicKeyDer: undefined, chain: [ca.certificate] };
  assert.deepEqual(checkKeyPairs([pair], []), []);
  const [fault] = checkKeyPairs([{ ...pair, needsKey: true }], []);
  assert.equal(fault?.severity, "warning");
  assert.equal(
    fault?.message,
    'the key of CA "ca" is not next to "ca.crt"; only a program that holds it can sign with this CA',
  );
  assert.match(fault?.advice ?? "", /^put the key back, .* the setting signingKeyCommand /);
});
