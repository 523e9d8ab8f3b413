import assert from "node:assert/strict";
import { test } from "node:test";
import {
  formatSshFingerprint,
  parseSshPublicKey,
  PROOF_NAMESPACE,
  verifySshSignature,
} from "../../core/attestation/ssh_signature.ts";
import { AppError } from "../../core/errors.ts";
import { decodeBase64 } from "../../core/lib/encodings.ts";
import { err, ok } from "../../core/lib/result.ts";
import { encodePem } from "../../core/pki/asn1/pem.ts";
import { createMemoryFiles } from "../../tests/support/memory_files.ts";
import { ENCRYPTED_PRIVATE_KEY, SSH_MESSAGE, SSH_VECTORS, type SshVector } from "../../tests/support/ssh_vectors.ts";
import { createSshProver, type SshProverOptions } from "./ssh_prover.ts";

const [ED25519, P256, , , RSA] = SSH_VECTORS as readonly [SshVector, SshVector, SshVector, SshVector, SshVector];
const message = new TextEncoder().encode(SSH_MESSAGE);

function toPem(base64: string, label = "OPENSSH PRIVATE KEY"): string {
  return encodePem(label, decodeBase64(base64) ?? new Uint8Array());
}

function createProver(
  texts: Readonly<Record<string, string>>,
  { path, run = () => assert.fail("a program was run") }: {
    readonly path?: string | undefined;
    readonly run?: SshProverOptions["run"] | undefined;
  } = {},
) {
  return createSshProver({ path, run, files: createMemoryFiles(texts) });
}

/** Proves, verifies the proof, and returns the fingerprint of the key. */
async function prove(prover: ReturnType<typeof createSshProver>): Promise<string> {
  const { hostKey } = await prover.evidence();
  const publicKey = parseSshPublicKey(hostKey);
  assert.ok(publicKey.ok);
  const { signature } = await prover.prove({ kind: "ssh" }, message);
  const signed = { publicKey: publicKey.value, signature, namespace: PROOF_NAMESPACE, message };
  assert.deepEqual(verifySshSignature(signed), ok(undefined));
  return formatSshFingerprint(publicKey.value);
}

for (
  const { name, texts, path, want } of [
    {
      name: "the Ed25519 key before others",
      texts: { rsa: RSA, ecdsa: P256, ed25519: ED25519 },
      want: ED25519,
    },
    { name: "the ECDSA key before RSA", texts: { rsa: RSA, ecdsa: P256 }, want: P256 },
    { name: "the RSA key if it is the only one", texts: { rsa: RSA }, want: RSA },
    {
      name: "the given key",
      texts: { ed25519: ED25519, rsa: RSA },
      path: "/etc/ssh/ssh_host_rsa_key",
      want: RSA,
    },
  ]
) {
  test(`createSshProver() proves with ${name}`, async () => {
    const files = Object.entries<SshVector>(texts as Readonly<Record<string, SshVector>>);
    const prover = createProver(
      Object.fromEntries(files.map(([type, vector]) => [`/etc/ssh/ssh_host_${type}_key`, toPem(vector.privateKey)])),
      { path },
    );
    assert.equal(await prove(prover), want.fingerprint);
  });
}

test("createSshProver() lets ssh-keygen sign for a .pub file", async () => {
  const calls: unknown[] = [];
  const prover = createProver({ "/root/key.pub": `${ED25519.type} ${ED25519.publicKey} root@n1\n` }, {
    path: "/root/key.pub",
    run: (program, args, { input }) => {
      calls.push([program, ...args, new TextDecoder().decode(input)]);
      return Promise.resolve(ok(toPem(ED25519.signature, "SSH SIGNATURE")));
    },
  });
  assert.equal(await prove(prover), ED25519.fingerprint);
  assert.deepEqual(calls, [["ssh-keygen", "-Y", "sign", "-n", "tlsboot-join", "-f", "/root/key.pub", SSH_MESSAGE]]);
});

for (
  const { name, texts = {}, path, run, error } of [
    {
      name: "a machine without host keys",
      error: {
        code: "not_found",
        message: "cannot prove by an SSH host key: there is none in /etc/ssh",
        hint: "create the host keys with: ssh-keygen -A",
      },
    },
    {
      name: "a missing file",
      path: "/root/key",
      error: { code: "not_found", message: 'cannot read the SSH host key "/root/key": file does not exist' },
    },
    {
      name: "an encrypted key",
      path: "/root/key",
      texts: { "/root/key": toPem(ENCRYPTED_PRIVATE_KEY) },
      error: {
        code: "key_invalid",
        message: 'cannot use the SSH host key "/root/key": the private key is encrypted; ' +
          "ssh-keygen -p removes the passphrase",
        hint: "give a key without a passphrase, or the .pub file of a key that ssh-add -l lists",
      },
    },
    {
      name: "a .pub file without a key",
      path: "/root/key.pub",
      texts: { "/root/key.pub": "ssh-ed25519 AAAA\n" },
      error: {
        code: "key_invalid",
        message: 'cannot use the SSH host key "/root/key.pub": the bytes end too early',
      },
    },
    {
      name: "an agent without the key",
      path: "/root/key.pub",
      texts: { "/root/key.pub": `${P256.type} ${P256.publicKey}` },
      run: () => Promise.resolve(err("Couldn't get agent socket")),
      error: {
        code: "key_program_failed",
        message: 'cannot sign with the key of "/root/key.pub" by ssh-keygen: Couldn\'t get agent socket',
        hint: "check with ssh-add -l that the agent has the key",
      },
    },
    {
      name: "a program that prints something else",
      path: "/root/key.pub",
      texts: { "/root/key.pub": `${P256.type} ${P256.publicKey}` },
      run: () => Promise.resolve(ok("Hello\n")),
      error: {
        code: "key_program_failed",
        message: 'cannot sign with the key of "/root/key.pub" by ssh-keygen: it printed no signature',
      },
    },
    {
      name: "a signature by another key",
      path: "/root/key.pub",
      texts: { "/root/key.pub": `${P256.type} ${P256.publicKey}` },
      run: () => Promise.resolve(ok(toPem(ED25519.signature, "SSH SIGNATURE"))),
      error: {
        code: "key_program_failed",
        message: 'cannot sign with the key of "/root/key.pub" by ssh-keygen: the signature is by another key',
      },
    },
  ]
) {
  test(`createSshProver() refuses ${name}`, async () => {
    const prover = createProver(texts as Readonly<Record<string, string>>, { path, run });
    await assert.rejects(prover.prove({ kind: "ssh" }, message), error);
  });
}

test("createSshProver() explains that only root can read a host key", async () => {
  const cause = Object.assign(new Error("EACCES"), { code: "EACCES" });
  const readText = () => Promise.reject(new AppError("io", 'cannot read "x": permission denied', { cause }));
  const prover = createSshProver({ files: { readText }, run: () => assert.fail() });
  await assert.rejects(prover.evidence(), {
    code: "io",
    message: 'cannot read "x": permission denied',
    hint: "run as root: only root can read an SSH host key",
  });
});
