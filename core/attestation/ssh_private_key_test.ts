import assert from "node:assert/strict";
import { test } from "node:test";
import {
  EC_PRIVATE_KEY,
  ENCRYPTED_PRIVATE_KEY,
  RSA_PRIVATE_KEY,
  SSH_VECTORS,
} from "../../tests/support/ssh_vectors.ts";
import { decodeBase64 } from "../lib/encodings.ts";
import type { Bytes } from "../pki/asn1/der.ts";
import { encodePem } from "../pki/asn1/pem.ts";
import { generatePrivateKey } from "../pki/keys/keys.ts";
import { parseSshPrivateKey } from "./ssh_private_key.ts";
import { formatSshFingerprint } from "./ssh_signature.ts";

const LABEL = "OPENSSH PRIVATE KEY";

function bytes(base64 = ""): Bytes {
  const decoded = decodeBase64(base64);
  assert.ok(decoded !== undefined);
  return decoded;
}

function findFault(text: string): string {
  const read = parseSshPrivateKey(text);
  return read.ok ? "none" : read.error;
}

for (
  const { label, base64, type } of [
    { label: "EC PRIVATE KEY", base64: EC_PRIVATE_KEY, type: "ecdsa-sha2-nistp256" },
    { label: "RSA PRIVATE KEY", base64: RSA_PRIVATE_KEY, type: "ssh-rsa" },
  ]
) {
  test(`parseSshPrivateKey() reads ${label}, as older versions wrote it`, () => {
    const pair = parseSshPrivateKey(encodePem(label, bytes(base64)));
    const vector = SSH_VECTORS.find((one) => one.type === type);
    assert.equal(pair.ok && formatSshFingerprint(pair.value.publicKey), vector?.fingerprint);
  });
}

for (const { type, privateKey } of SSH_VECTORS) {
  test(`parseSshPrivateKey() refuses ${type} with a changed byte, unless that byte is not used`, () => {
    const file = bytes(privateKey);
    const fingerprint = SSH_VECTORS.find((one) => one.type === type)?.fingerprint;
    for (let at = 0; at < file.length; at += type === "ssh-rsa" ? 7 : 1) {
      const read = parseSshPrivateKey(encodePem(LABEL, file.with(at, file[at]! ^ 0x80)));
      if (read.ok) assert.equal(formatSshFingerprint(read.value.publicKey), fingerprint, `byte ${at}`);
    }
    for (let length = 0; length < file.length; length += 7) {
      assert.notEqual(findFault(encodePem(LABEL, file.slice(0, length))), "none", `${length} bytes`);
    }
  });
}

test("parseSshPrivateKey() refuses a private part that does not match the public part", () => {
  const [ed25519] = SSH_VECTORS;
  const file = bytes(ed25519?.privateKey);
  // The first byte of the public key, which is in the file before the private part.
  const at = file.findIndex((_, index) => file.subarray(index, index + 4).join() === "0,0,0,32") + 4;
  assert.equal(
    findFault(encodePem(LABEL, file.with(at, file[at]! ^ 1))),
    "its private part does not match its public part: the key was changed",
  );
});

test("parseSshPrivateKey() explains how to convert an encrypted key, and refuses other files", async () => {
  assert.equal(
    findFault(encodePem(LABEL, bytes(ENCRYPTED_PRIVATE_KEY))),
    "the private key is encrypted; ssh-keygen -p removes the passphrase",
  );
  assert.equal(
    findFault("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n"),
    "the private key is encrypted in OpenSSL's old form; convert it with openssl pkcs8 -topk8",
  );
  assert.equal(findFault("ssh-ed25519 AAAA root@n1"), "no private key found in PEM data");
  assert.equal(findFault(encodePem(LABEL, new Uint8Array(64))), "it is not a key of OpenSSH");
  const key = await generatePrivateKey("ed25519");
  assert.equal(findFault(key.toPem()), "none");
});
