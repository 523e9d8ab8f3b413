import assert from "node:assert/strict";
import { createHash, generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import {
  CERTIFIED_KEY,
  DSA_KEY,
  ED25519_SIGNATURE_SHA256,
  FOREIGN_SIGNATURE,
  SMALL_RSA_KEY,
  SSH_MESSAGE,
  SSH_VECTORS,
  type SshVector,
} from "../../tests/support/ssh_vectors.ts";
import { concatBytes, decodeBase64, encodeBase64, encodeUint } from "../lib/encodings.ts";
import type { Bytes } from "../pki/asn1/der.ts";
import { encodePem } from "../pki/asn1/pem.ts";
import { generatePrivateKey, parsePrivateKey } from "../pki/keys/keys.ts";
import { parseSshPrivateKey } from "./ssh_private_key.ts";
import {
  encodeStrings,
  findSshFingerprintFault,
  formatSshFingerprint,
  parseSshKeyText,
  parseSshPublicKey,
  PROOF_NAMESPACE,
  signSsh,
  type SshPublicKey,
  SshReader,
  toSshPublicKey,
  verifySshSignature,
} from "./ssh_signature.ts";

const [ED25519, P256, , , RSA] = SSH_VECTORS as readonly [SshVector, SshVector, SshVector, SshVector, SshVector];
const message = new TextEncoder().encode(SSH_MESSAGE);

function bytes(base64: string): Bytes {
  const decoded = decodeBase64(base64);
  assert.ok(decoded !== undefined);
  return decoded;
}

function read({ publicKey }: Pick<SshVector, "publicKey">): SshPublicKey {
  const key = parseSshPublicKey(bytes(publicKey));
  assert.ok(key.ok);
  return key.value;
}

function verify(vector: SshVector, signature: Bytes, changed: { namespace?: string; message?: Uint8Array } = {}) {
  const signed = { publicKey: read(vector), signature, namespace: PROOF_NAMESPACE, message, ...changed };
  const verified = verifySshSignature(signed);
  return verified.ok ? "valid" : verified.error;
}

for (const vector of SSH_VECTORS) {
  const { type, publicKey, fingerprint, privateKey, signature } = vector;

  test(`parseSshPublicKey() reads ${type}, with the fingerprint of ssh-keygen`, () => {
    const key = read(vector);
    assert.equal(key.type, type);
    assert.equal(formatSshFingerprint(key), fingerprint);
    assert.equal(findSshFingerprintFault(fingerprint), undefined);
    assert.deepEqual(toSshPublicKey({ publicKeyDer: () => key.facts.der }), { ok: true, value: key });
    assert.deepEqual(parseSshKeyText(type, publicKey), { ok: true, value: key });
  });

  test(`parseSshPublicKey() refuses ${type} that is cut off anywhere, or too long`, () => {
    const wire = bytes(publicKey);
    for (let length = 0; length < wire.length; length++) {
      assert.equal(parseSshPublicKey(wire.slice(0, length)).ok, false, `${length} bytes`);
    }
    assert.deepEqual(parseSshPublicKey(concatBytes(wire, "a")), { ok: false, error: "there are bytes after the end" });
  });

  test(`parseSshPrivateKey() reads ${type}`, () => {
    const pair = parseSshPrivateKey(encodePem("OPENSSH PRIVATE KEY", bytes(privateKey)));
    assert.ok(pair.ok);
    assert.equal(encodeBase64(pair.value.publicKey.wire), publicKey);
    const again = parsePrivateKey(pair.value.privateKey.toPem());
    assert.deepEqual(again.ok && toSshPublicKey(again.value), { ok: true, value: pair.value.publicKey });
  });

  test(`verifySshSignature() accepts ssh-keygen's signature by ${type}, and no changed signature`, () => {
    const blob = bytes(signature);
    assert.equal(verify(vector, blob), "valid");
    assert.equal(verify(vector, blob, { message: message.slice(1) }), "the key did not sign the message");
    assert.match(verify(vector, blob, { namespace: "file" }), /has the namespace "tlsboot-join", not "file"/);
    for (let at = 0; at < blob.length; at++) {
      assert.notEqual(verify(vector, blob.with(at, blob[at]! ^ 1)), "valid", `byte ${at}`);
      assert.notEqual(verify(vector, blob.slice(0, at)), "valid", `${at} bytes`);
    }
    assert.equal(verify(vector, concatBytes(blob, "a")), "there are bytes after the end");
  });

  test(`signSsh() signs with ${type}`, () => {
    const pair = parseSshPrivateKey(encodePem("OPENSSH PRIVATE KEY", bytes(privateKey)));
    assert.ok(pair.ok);
    const own = signSsh({ ...pair.value, namespace: PROOF_NAMESPACE, message });
    assert.equal(verify(vector, own), "valid");
    // ECDSA signatures are random; the others equal those of ssh-keygen.
    if (!type.startsWith("ecdsa")) assert.equal(encodeBase64(own), signature);
    const other = vector === ED25519 ? P256 : ED25519;
    assert.equal(verify(other, own), "the signature is by another key");
  });
}

for (
  const { name, wire, fault } of [
    { name: "a small RSA key", wire: bytes(SMALL_RSA_KEY), fault: /^an RSA key has 1024 bits: want 2048 to 8192$/ },
    { name: "a DSA key", wire: bytes(DSA_KEY), fault: /^keys of type "ssh-dss" are not supported; want one of ssh-ed/ },
    { name: "a certificate", wire: bytes(CERTIFIED_KEY), fault: /^keys of type "ecdsa-sha2-nistp256-cert-v01@openssh/ },
    { name: "nothing", wire: new Uint8Array(0), fault: /^the bytes end too early$/ },
    { name: "a length beyond the end", wire: encodeUint(4, 0xffff_ffff), fault: /^the bytes end too early$/ },
    {
      name: "terminal control characters in the type",
      wire: encodeStrings("\u001b[2J"),
      fault: /^keys of type "\?\[2J" are not/,
    },
    { name: "a type that is too long", wire: encodeStrings("a".repeat(65)), fault: /^a name has more than 64 bytes$/ },
    {
      name: "an Ed25519 key of 31 bytes",
      wire: encodeStrings("ssh-ed25519", new Uint8Array(31)),
      fault: /wrong Ed25519 public key size/,
    },
    {
      name: "a point that is not on its curve",
      wire: encodeStrings("ecdsa-sha2-nistp256", "nistp256", new Uint8Array(65).fill(4)),
      fault: /^P256 point not on curve$/,
    },
    {
      name: "the curve of another type",
      wire: encodeStrings("ecdsa-sha2-nistp256", "nistp384", new Uint8Array(97).fill(4)),
      fault: /^the curve of the key does not match its type$/,
    },
    {
      name: "an even RSA exponent",
      wire: encodeStrings("ssh-rsa", Uint8Array.of(2), new Uint8Array(256).fill(0x7f)),
      fault: /public exponent is even/,
    },
    {
      name: "an RSA modulus with a leading zero byte",
      wire: encodeStrings("ssh-rsa", Uint8Array.of(3), new Uint8Array(257).fill(0x7f).with(0, 0)),
      fault: /not minimally-encoded/,
    },
    {
      name: "a negative RSA modulus",
      wire: encodeStrings("ssh-rsa", Uint8Array.of(3), new Uint8Array(256).fill(0x80)),
      fault: /^a number is not positive$/,
    },
    {
      name: "a huge RSA key",
      wire: encodeStrings("ssh-rsa", Uint8Array.of(3), new Uint8Array(2048).fill(0x7f)),
      fault: /^an RSA key has 16383 bits: want 2048 to 8192$/,
    },
    {
      name: "an RSA modulus without digits",
      wire: encodeStrings("ssh-rsa", Uint8Array.of(3), ""),
      fault: /empty integer/,
    },
  ]
) {
  test(`parseSshPublicKey() refuses ${name}`, () => {
    const parsed = parseSshPublicKey(wire);
    assert.match(parsed.ok ? "accepted" : parsed.error, fault);
  });
}

test("parseSshKeyText() refuses text that is not base64, and the type of another key", () => {
  assert.deepEqual(parseSshKeyText("ssh-rsa", "A"), { ok: false, error: "the key is not valid base64" });
  assert.deepEqual(parseSshKeyText("ssh-rsa", ED25519.publicKey), {
    ok: false,
    error: 'the key is of type ssh-ed25519, not "ssh-rsa"',
  });
});

for (
  const text of [
    `256 ${ED25519.fingerprint} root@n1 (ED25519)`,
    ED25519.fingerprint.replace("SHA256", "sha256"),
    `${ED25519.fingerprint}=`,
    // The same 32 bytes for a decoder that ignores the last bits.
    ED25519.fingerprint.replace(/s$/, "t"),
    "MD5:16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48",
  ]
) {
  test(`findSshFingerprintFault() refuses ${text}`, () => {
    assert.match(findSshFingerprintFault(text) ?? "", /^want SHA256: and 43 characters, as ssh-keygen -l/);
  });
}

test("verifySshSignature() accepts a signature over the SHA-256 of the message, but none for another purpose", () => {
  assert.equal(verify(ED25519, bytes(ED25519_SIGNATURE_SHA256)), "valid");
  assert.match(verify(ED25519, bytes(FOREIGN_SIGNATURE)), /has the namespace "file", not "tlsboot-join"/);
});

/** Splits a signature into its fields, so that a test can change them. */
function dissect(signature: Bytes) {
  const reader = new SshReader(signature);
  reader.expectText("SSHSIG", "not a signature");
  assert.equal(reader.readUint32(), 1);
  const [key, namespace, reserved, digest] = [
    reader.readString(),
    reader.readName(),
    reader.readName(),
    reader.readName(),
  ];
  const inner = new SshReader(reader.readString());
  return { version: 1, key, namespace, reserved, digest, algorithm: inner.readName(), blob: inner.readString() };
}

for (
  const { name, vector, edit, fault } of [
    {
      name: "version 2",
      vector: ED25519,
      edit: { version: 2 },
      fault: /^version 2 of SSH signatures is not supported/,
    },
    {
      name: "a reserved field",
      vector: ED25519,
      edit: { reserved: "x" },
      fault: /^the reserved field .* is not empty/,
    },
    {
      name: "SHA-1 of the message",
      vector: ED25519,
      edit: { digest: "sha1" },
      fault: /^the hash "sha1" is not supported/,
    },
    { name: "another hash than the signed one", vector: ED25519, edit: { digest: "sha256" }, fault: /did not sign/ },
    {
      name: "RSA with SHA-1",
      vector: RSA,
      edit: { algorithm: "ssh-rsa" },
      fault: /^a key of type ssh-rsa does not sign with "ssh-rsa"$/,
    },
    { name: "RSA with the other hash", vector: RSA, edit: { algorithm: "rsa-sha2-256" }, fault: /did not sign/ },
    {
      name: "the algorithm of another key",
      vector: P256,
      edit: { algorithm: "ssh-ed25519" },
      fault: /^a key of type ecdsa-sha2-nistp256 does not sign with "ssh-ed25519"$/,
    },
    {
      name: "the name of an inherited property as the algorithm",
      vector: P256,
      edit: { algorithm: "constructor" },
      fault: /does not sign with "constructor"$/,
    },
    {
      name: "ECDSA numbers of one",
      vector: P256,
      edit: { blob: encodeStrings("\u0001", "\u0001") },
      fault: /did not sign/,
    },
    {
      name: "an ECDSA number of zero",
      vector: P256,
      edit: { blob: encodeStrings("\u0001", "\u0000") },
      fault: /positive/,
    },
    { name: "an ECDSA signature in DER", vector: P256, edit: { blob: new Uint8Array(71) }, fault: /^asn1: .*integer/ },
    {
      name: "an Ed25519 signature of 63 bytes",
      vector: ED25519,
      edit: { blob: new Uint8Array(63) },
      fault: /did not sign/,
    },
  ]
) {
  test(`verifySshSignature() refuses ${name}`, () => {
    const { version, key, namespace, reserved, digest, algorithm, blob } = {
      ...dissect(bytes(vector.signature)),
      ...edit,
    };
    const fields = encodeStrings(key, namespace, reserved, digest, encodeStrings(algorithm, blob));
    assert.match(verify(vector, concatBytes("SSHSIG", encodeUint(4, version), fields)), fault);
  });
}

test("verifySshSignature() accepts RSA with SHA-256", async () => {
  const privateKey = await generatePrivateKey("rsa-2048");
  const publicKey = toSshPublicKey(privateKey);
  assert.ok(publicKey.ok);
  const own = signSsh({ publicKey: publicKey.value, privateKey, namespace: PROOF_NAMESPACE, message });
  const { key, namespace, digest } = dissect(own);
  const data = concatBytes("SSHSIG", encodeStrings(namespace, "", digest, createHash(digest).update(message).digest()));
  const inner = encodeStrings("rsa-sha2-256", privateKey.sign(data, "sha256"));
  const signature = concatBytes("SSHSIG", encodeUint(4, 1), encodeStrings(key, namespace, "", digest, inner));
  const signed = { publicKey: publicKey.value, signature, namespace: PROOF_NAMESPACE, message };
  assert.deepEqual(verifySshSignature(signed), { ok: true, value: undefined });
});

test("toSshPublicKey() refuses keys that SSH does not have", () => {
  const { publicKey } = generateKeyPairSync("ec", { namedCurve: "secp224r1" });
  const publicKeyDer = () => new Uint8Array(publicKey.export({ format: "der", type: "spki" }));
  assert.deepEqual(toSshPublicKey({ publicKeyDer }), { ok: false, error: "SSH has no keys of P-224" });
});
