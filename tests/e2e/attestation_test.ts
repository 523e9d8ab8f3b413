/** Machines that prove by their SSH host keys which ones they are, without a token: the exchange over the wire. */
import assert from "node:assert/strict";
import { access, readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { createProofMessage } from "../../core/attestation/exchange.ts";
import {
  formatSshFingerprint,
  PROOF_NAMESPACE,
  signSsh,
  toSshPublicKey,
} from "../../core/attestation/ssh_signature.ts";
import type { NodeAttestation } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { encodeBase64 } from "../../core/lib/base64.ts";
import type { NodeName } from "../../core/machine/node_name.ts";
import { generatePrivateKey } from "../../core/pki/keys/keys.ts";
import { type PublicKeyPin, publicKeyPin } from "../../core/pki/keys/public_key_pin.ts";
import { buildCsr, sharedKey } from "../support/csr_builder.ts";
import { eventually } from "../support/eventually.ts";
import { ask, type Reply } from "../support/https_request.ts";
import { describeInstance } from "../support/instance_process.ts";

const ATTESTATIONS = "/apis/tlsboot/v1alpha1/nodeattestations";
const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";

const hostKey = await generatePrivateKey("ed25519");
const sshKey = toSshPublicKey(hostKey);
assert.ok(sshKey.ok);
const publicKey = sshKey.value;
const fingerprint = formatSshFingerprint(publicKey);
const inventory = (nodes: string) => `apiVersion: tlsboot/v1alpha1\nkind: Inventory\nnodes: [${nodes}]\n`;
const LISTED = inventory(`{ name: n1, ssh: "${fingerprint}" }`);

describeInstance("proofs of machines", {
  args: ["--inventory", "machines.yaml"],
  prepare: (folder) => writeFile(folder.join("machines.yaml"), LISTED),
}, (instance) => {
  async function post(path: string, body: object, token?: string): Promise<Reply> {
    const ca = await readFile(`${instance.data}/pki/ca.crt`);
    return await ask({ port: instance.port, path, body, ca, token });
  }

  async function call(node: string, spec: object): Promise<Reply> {
    const key = encodeBase64((await sharedKey()).publicKeyDer());
    return await post(ATTESTATIONS, {
      apiVersion: "tlsboot/v1alpha1",
      kind: "NodeAttestation",
      spec: { nodeName: node, publicKey: key, ...spec },
    });
  }

  const begin = (node: string) => call(node, { evidence: { ssh: { hostKey: encodeBase64(publicKey.wire) } } });

  /** Makes both calls as a node. */
  async function prove(node: string): Promise<Reply> {
    const begun = await begin(node);
    assert.equal(begun.code, 201, begun.text);
    const { status: { challenge, state } } = JSON.parse(begun.text) as NodeAttestation;
    assert.ok(challenge);
    const message = createProofMessage({
      caHash: challenge.caCertHash as PublicKeyPin,
      node: node as NodeName,
      key: publicKeyPin({ publicKeyDer: (await sharedKey()).publicKeyDer() }),
      challenge: challenge.nonce,
    });
    const signature = signSsh({ publicKey, privateKey: hostKey, namespace: PROOF_NAMESPACE, message });
    return await call(node, { answer: { ssh: { signature: encodeBase64(signature) } }, state });
  }

  test("there is no token that all machines share", async () => {
    await assert.rejects(access(`${instance.data}/bootstrap.kubeconfig`));
    const greeting = instance.running.stdout();
    assert.match(greeting, /^no shared token: the machines in machines\.yaml prove which ones they are$/m);
    assert.match(
      greeting,
      /^ {2}sudo tlsboot bootstrap --attest ssh --server \S+ --ca-cert-hash sha256:\S+ --rotate-certificates$/m,
    );
  });

  test("a machine exchanges its proof for a token, and gets the certificate of its node alone", async () => {
    const proven = await prove("n1");
    assert.equal(proven.code, 201, proven.text);
    const { status: { token } } = JSON.parse(proven.text) as NodeAttestation;
    const other = await post(CSRS, await buildCsr({ name: "n2", commonName: "system:node:n2" }), token);
    assert.equal(other.code, 403, other.text);
    const created = await post(CSRS, await buildCsr({ name: "n1" }), token);
    assert.equal(created.code, 201, created.text);
    const issued = await eventually("the certificate of n1", async () => {
      const { stdout } = await instance.tlsboot("get", "csr", "n1", "-o", "json");
      return JSON.parse(stdout).status.certificate === undefined ? undefined : stdout;
    });
    assert.match(issued, /"TokenApproved"/);
  });

  test("a machine that is not listed is refused in one sentence, and the server says why in its log and an Event", async () => {
    const refused = await prove("n9");
    assert.equal(refused.code, 403);
    assert.match(JSON.parse(refused.text).message, /the proof was not accepted: /);
    assert.match(instance.running.stderr(), /node attestation refused.*the inventory lists no proof of this node/);
    const admin = await instance.tlsboot("token", "list", "-o", "json");
    assert.equal(JSON.parse(admin.stdout).filter((token: { readonly node?: string }) => token.node === "n9").length, 0);
  });

  test("the right to prove follows the inventory", async () => {
    const path = instance.folder.join("machines.yaml");
    await writeFile(path, inventory("{ name: n1 }"));
    const answers = async (code: number) => (await begin("n1")).code === code || undefined;
    await eventually("the end of the right", () => answers(403));
    await writeFile(path, LISTED);
    await eventually("the right", () => answers(201));
  });
});
