/** OpenSSH and tlsboot verify each other's signatures, and agree on fingerprints and hashed machine names. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import type { Prover } from "../../../client/attestation/attest.ts";
import { createSshProver } from "../../../client/attestation/ssh_prover.ts";
import { createFilePort } from "../../../client/files.ts";
import { findExpectedProofs, parseInventory } from "../../../core/approval/evidence/inventory.ts";
import {
  formatSshFingerprint,
  parseSshKeyText,
  PROOF_NAMESPACE,
  type SshPublicKey,
  verifySshSignature,
} from "../../../core/attestation/ssh_signature.ts";
import type { NodeName } from "../../../core/machine/node_name.ts";
import { encodePem, findPemBlock } from "../../../core/pki/asn1/pem.ts";
import { start, succeedProgram } from "../../support/child.ts";
import { createTempFolder, type TempFolder } from "../../support/temp.ts";
import { runToEnd } from "../../../cli/processes.ts";

const KEYS = [
  { name: "ed25519", args: ["-t", "ed25519"] },
  { name: "ecdsa-256", args: ["-t", "ecdsa", "-b", "256"] },
  { name: "ecdsa-384", args: ["-t", "ecdsa", "-b", "384"] },
  { name: "ecdsa-521", args: ["-t", "ecdsa", "-b", "521"] },
  { name: "rsa-2048", args: ["-t", "rsa", "-b", "2048"] },
  { name: "rsa-4096", args: ["-t", "rsa", "-b", "4096"] },
] as const;

const MESSAGE = "tlsboot node attestation v1\nnode: n1\n";
const message = new TextEncoder().encode(MESSAGE);

describe("SSH keys", () => {
  let folder: TempFolder;

  before(async () => {
    folder = await createTempFolder();
    for (const { name, args } of KEYS) await sshKeygen("-q", "-N", "", ...args, "-f", folder.join(name));
  });
  after(() => folder[Symbol.asyncDispose]());

  async function sshKeygen(...args: readonly string[]): Promise<string> {
    return (await succeedProgram("ssh-keygen", args)).stdout;
  }

  async function readKey(name: string): Promise<SshPublicKey> {
    const [type = "", base64 = ""] = (await readFile(folder.join(`${name}.pub`), "utf8")).split(" ");
    const key = parseSshKeyText(type, base64);
    assert.ok(key.ok, JSON.stringify(key));
    return key.value;
  }

  function createProver(path: string, ...env: readonly string[]): Prover<"ssh"> {
    return createSshProver({
      path,
      files: createFilePort(),
      run: (program, args, options) => runToEnd("env", [...env, program, ...args], options),
    });
  }

  /** Verifies a signature with ssh-keygen, for a key that is listed for `n1`. */
  async function verifyByKeygen(name: string, signature: Uint8Array): Promise<void> {
    const [signers, file] = [folder.join(`${name}.signers`), folder.join(`${name}.own.sig`)];
    await writeFile(
      signers,
      `n1 namespaces="${PROOF_NAMESPACE}" ${await readFile(folder.join(`${name}.pub`), "utf8")}`,
    );
    await writeFile(file, encodePem("SSH SIGNATURE", signature));
    const args = ["-Y", "verify", "-f", signers, "-I", "n1", "-n", PROOF_NAMESPACE, "-s", file];
    await succeedProgram("ssh-keygen", args, { stdin: MESSAGE });
  }

  for (const { name } of KEYS) {
    test(`ssh-keygen verifies a proof with ${name}, and prints its fingerprint`, async () => {
      const prover = createProver(folder.join(name));
      const { hostKey } = await prover.evidence();
      const listed = await sshKeygen("-l", "-f", folder.join(`${name}.pub`));
      assert.equal(formatSshFingerprint({ wire: hostKey }), listed.split(" ")[1]);
      assert.deepEqual(hostKey, (await readKey(name)).wire);
      const { signature } = await prover.prove({ kind: "ssh" }, message);
      await verifyByKeygen(name, signature);
    });

    for (const digest of ["sha256", "sha512"]) {
      test(`a signature by ssh-keygen with ${name} and ${digest} is accepted`, async () => {
        const args = ["-Y", "sign", "-n", PROOF_NAMESPACE, "-O", `hashalg=${digest}`, "-f", folder.join(name)];
        const { stdout } = await succeedProgram("ssh-keygen", args, { stdin: MESSAGE });
        const signature = findPemBlock(stdout)?.block.bytes;
        assert.ok(signature !== undefined, stdout);
        const signed = { publicKey: await readKey(name), signature, namespace: PROOF_NAMESPACE, message };
        assert.deepEqual(verifySshSignature(signed), { ok: true, value: undefined });
        assert.equal(verifySshSignature({ ...signed, message: message.slice(1) }).ok, false);
      });
    }
  }

  test("a key that only ssh-agent holds makes a proof", async () => {
    const socket = folder.join("agent");
    await using agent = start("ssh-agent", ["-D", "-a", socket]);
    await agent.waitFor(/SSH_AUTH_SOCK/);
    for (const name of ["ed25519", "rsa-4096"]) {
      await succeedProgram("ssh-add", ["-q", folder.join(name)], { env: { SSH_AUTH_SOCK: socket } });
      const path = folder.join(`agent-${name}.pub`);
      await writeFile(path, await readFile(folder.join(`${name}.pub`)));
      const { signature } = await createProver(path, `SSH_AUTH_SOCK=${socket}`).prove({ kind: "ssh" }, message);
      await verifyByKeygen(name, signature);
      await assert.rejects(createProver(path, "-u", "SSH_AUTH_SOCK").prove({ kind: "ssh" }, message), {
        code: "key_program_failed",
      });
    }
  });

  test("a known_hosts file hashed by ssh-keygen is an inventory of the same machines", async () => {
    const path = folder.join("known_hosts");
    const names = KEYS.map(({ name }, index) => ({ node: `n${index}`, key: name }));
    const lines = await Promise.all(
      names.map(async ({ node, key }) => `${node},${node}.lan ${await readFile(folder.join(`${key}.pub`), "utf8")}`),
    );
    await writeFile(path, lines.join(""));
    const listed = parseInventory(await readFile(path, "utf8"));
    await sshKeygen("-q", "-H", "-f", path);
    const hashed = parseInventory(await readFile(path, "utf8"));
    assert.ok(listed.ok && hashed.ok);
    assert.deepEqual([...listed.value.keys()], names.map(({ node }) => node));
    assert.deepEqual([...hashed.value.keys()], []);
    for (const { node, key } of names) {
      const fingerprint = formatSshFingerprint(await readKey(key));
      for (const { value } of [listed, hashed]) {
        const proven = { kind: "ssh", key: fingerprint } as const;
        const expected = findExpectedProofs(value, node as NodeName, proven, new Date());
        assert.deepEqual(expected.ok && expected.value.ssh, [fingerprint]);
      }
      assert.equal(hashed.value.has(node), true);
      assert.match(await sshKeygen("-l", "-F", node, "-f", path), new RegExp(fingerprint.replace(/[+/]/g, "\\$&")));
    }
    assert.equal(hashed.value.has("n9"), false);
  });
});
