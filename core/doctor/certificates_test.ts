import assert from "node:assert/strict";
import { test } from "node:test";
import { createAuthority } from "../pki/authority.ts";
import { generatePrivateKey } from "../pki/keys.ts";
import { checkKeyPairs } from "./certificates.ts";

test("checkKeyPairs() names no command for a CA without its key: its replacement needs that key", async () => {
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
