import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { request } from "node:https";
import { test } from "node:test";
import { inspect } from "node:util";
import { createCertificationRequest } from "../../core/pki/x509/pkcs10.ts";
import { withDenial } from "../../core/approval/conditions.ts";
import { createCustomProfile } from "../../core/signing/custom_profile.ts";
import { getCsrPhase } from "../../core/request/phase.ts";
import { KUBE_APISERVER_CLIENT_KUBELET_SIGNER, KUBE_APISERVER_CLIENT_SIGNER } from "../../core/kube/kinds/constants.ts";
import { secretKind } from "../../core/kube/kinds/mod.ts";
import { parseKubeconfig } from "../../core/kube/kubeconfig/kubeconfig.ts";
import { AppError } from "../../core/errors.ts";
import { encodeBase64 } from "../../core/lib/encodings.ts";
import { readYaml } from "../../core/lib/yaml/document.ts";
import { parseCertificate } from "../../core/pki/x509/certificate.ts";
import { verifyChain } from "../../core/pki/x509/chain.ts";
import { generatePrivateKey } from "../../core/pki/keys/keys.ts";
import { encodePem, findPemBlock } from "../../core/pki/asn1/pem.ts";
import { MINIMAL, parseProfileOrThrow } from "../../tests/support/test_profiles.ts";
import { createTempFolder } from "../../tests/support/temp.ts";
import { bootstrapMachine, connectToCluster, loadAuthority, signCertificateFor } from "./clients.ts";
import { openInstance, startTestServer } from "./servers.ts";

const NEVER = new AbortController().signal;

/** Sends a request over the network and returns its status. */
function getStatus(url: string, ca: string, token?: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const sent = request(url, { ca, headers }, (response) => {
      response.resume().on("end", () => resolve(response.statusCode));
    });
    sent.on("error", reject).end();
  });
}

async function createRequestPem(commonName: string, organizations?: readonly string[]): Promise<string> {
  const key = await generatePrivateKey("ecdsa-p256");
  const subject = { commonName, ...(organizations === undefined ? {} : { organizations }) };
  return encodePem("CERTIFICATE REQUEST", createCertificationRequest({ subject }, key));
}

test("startTestServer() accepts its token over the network, but no other token, and no request without one", async () => {
  await using server = await startTestServer();
  const csrs = `${server.url}/apis/certificates.k8s.io/v1/certificatesigningrequests`;
  assert.equal(await getStatus(csrs, server.caPem, server.token), 200);
  assert.equal(await getStatus(csrs, server.caPem), 403);
  assert.equal(await getStatus(csrs, server.caPem, "other"), 401);
  assert.equal(new URL(server.url).port, `${server.port}`);
});

test("startTestServer() starts many servers, each with its own CA, objects and token", async () => {
  await using stack = new AsyncDisposableStack();
  const servers = await Promise.all(Array.from({ length: 3 }, async () => stack.use(await startTestServer())));
  assert.equal(new Set(servers.map(({ url }) => url)).size, 3);
  assert.equal(new Set(servers.map(({ caPem }) => caPem)).size, 3);
  const [first, second] = servers;
  assert.equal(await getStatus(`${second!.url}/api`, second!.caPem, first!.token), 401);
});

test("startTestServer() stops listening when it is disposed", async () => {
  const server = await startTestServer();
  await server[Symbol.asyncDispose]();
  await assert.rejects(getStatus(`${server.url}/healthz`, server.caPem), { code: "ECONNREFUSED" });
});

test("a machine bootstraps at a test server, and its kubeconfig authenticates it as the node", async () => {
  await using folder = await createTempFolder();
  await using server = await startTestServer({ autoApprove: true, signingDurationSeconds: 3_600 });
  const first = folder.join("bootstrap.kubeconfig");
  await writeFile(first, await server.createBootstrapKubeconfig(), { mode: 0o600 });
  const machine = { bootstrapKubeconfig: first, kubeconfig: folder.join("n1/kubeconfig"), nodeName: "n1" };
  const outcome = await bootstrapMachine({ ...machine, waitSeconds: 60, signal: NEVER });
  assert.equal(outcome.kind, "issued");
  const { subject, notBefore, notAfter } = outcome.pair.leaf;
  assert.equal(subject.commonName, "system:node:n1");
  assert.ok(notAfter.getTime() - notBefore.getTime() <= 3_900_000);
  assert.equal((await bootstrapMachine(machine)).kind, "alreadyValid");
  await using node = await connectToCluster(machine.kubeconfig);
  await assert.rejects(node.objects(secretKind, { namespace: "kube-system" }).list(NEVER), { code: "access_denied" });
});

test("connectToCluster() and bootstrapMachine() take a kubeconfig as text, and no error quotes it", async () => {
  await using folder = await createTempFolder();
  await using server = await startTestServer({ autoApprove: true });
  const machine = { kubeconfig: folder.join("n1/kubeconfig"), nodeName: "n1", waitSeconds: 60, signal: NEVER };
  await bootstrapMachine({ ...machine, bootstrapKubeconfig: await server.createBootstrapKubeconfig() });
  const config = parseKubeconfig(server.kubeconfig, "k");
  assert.ok(config.ok);
  const yaml = readYaml(server.kubeconfig, "1.1");
  assert.ok(yaml.ok);
  const json = JSON.stringify(yaml.value);
  for (const text of [server.kubeconfig, json]) {
    await using cluster = await connectToCluster(text);
    assert.equal((await cluster.csrs.list(NEVER)).length, 1);
  }
  const keyPem = config.value.users[0]?.user.clientKeyData?.reveal() ?? "";
  const secret = encodeBase64(new TextEncoder().encode(keyPem)).slice(0, 40);
  assert.equal(secret.length, 40);
  assert.ok(server.kubeconfig.includes(secret) && json.includes(secret));
  for (const text of [server.kubeconfig, json]) {
    for (
      const [name, attempt] of Object.entries({
        "another context": () => connectToCluster(text, { context: "other" }),
        "a syntax error": () => connectToCluster(`${text} - {`),
        "another kind": () => connectToCluster(text.replace("Config", "Secret")),
        "a folder": () => loadAuthority(text),
        "a path to write": () => bootstrapMachine({ ...machine, bootstrapKubeconfig: text, kubeconfig: text }),
        "a data directory": () => openInstance({ dataDir: text, securePort: 0 }),
      })
    ) {
      await assert.rejects(attempt, (error) => {
        assert.ok(error instanceof AppError, name);
        assert.ok(!inspect(error).includes(secret), name);
        return true;
      });
    }
  }
});

test("bootstrapMachine() refuses a name that a node cannot have", async () => {
  const files = { bootstrapKubeconfig: "none", kubeconfig: "none" };
  await assert.rejects(bootstrapMachine({ ...files, nodeName: "a_b" }), { code: "invalid" });
});

test("startTestServer() without its approver leaves a request pending, and requestCertificate() reports its denial", async () => {
  await using server = await startTestServer({ without: ["approver"] });
  const key = await generatePrivateKey("ecdsa-p256");
  const asked = {
    key,
    subject: { commonName: "system:node:n1", organizations: ["system:nodes"] },
    signerName: KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
    name: { fixed: "n1" },
  };
  await assert.rejects(server.requestCertificate({ ...asked, waitSeconds: 0.2 }), { code: "timeout" });
  const csr = await server.csrs.get("n1", NEVER);
  assert.equal(getCsrPhase(csr!).kind, "pending");
  const denied = withDenial(csr!, { reason: "Test", message: "not today" });
  assert.ok(denied.ok);
  await server.csrs.update(denied.value, NEVER, "approval");
  await assert.rejects(server.requestCertificate(asked), { code: "csr_denied" });
});

test("openInstance() keeps its CA and objects between runs, and its kubeconfig opens it", async () => {
  await using folder = await createTempFolder();
  // A program in JavaScript may give undefined for a setting that it leaves out.
  const unset: object = { bindAddress: undefined, policy: undefined, autoApprove: undefined };
  const settings = { dataDir: folder.join("data"), securePort: 0, ...unset };
  let caPem: string;
  let token: string;
  {
    await using instance = await openInstance(settings);
    ({ caPem } = instance);
    token = await instance.createToken({ description: "for the next run" });
    const path = folder.join("admin.kubeconfig");
    await writeFile(path, instance.kubeconfig, { mode: 0o600 });
    await using cluster = await connectToCluster(path);
    assert.equal(cluster.url, instance.url);
    assert.deepEqual(await cluster.csrs.list(NEVER), []);
    const text = await readFile(instance.bootstrapKubeconfigPath, "utf8");
    assert.ok(parseKubeconfig(text, "bootstrap.kubeconfig").ok);
    assert.equal(instance.lost.aborted, false);
    await assert.rejects(openInstance(settings), { code: "storage_locked" });
  }
  await using again = await openInstance(settings);
  assert.equal(again.caPem, caPem);
  const secrets = again.objects(secretKind, { namespace: "kube-system" });
  assert.ok(await secrets.get(`bootstrap-token-${token.split(".")[0]}`, NEVER) !== undefined);
});

test("openInstance() rejects settings with the error of the command", async () => {
  await using folder = await createTempFolder();
  const settings = { dataDir: folder.join("data"), securePort: 0 };
  await assert.rejects(openInstance({ ...settings, policy: ["no-such-policy"] }), { code: "config_invalid" });
  const inventory = folder.join("inventory.yaml");
  await writeFile(inventory, "apiVersion: tlsboot/v1alpha1\nkind: Inventory\nnodes: [{ name: n1 }]\n");
  await assert.rejects(openInstance({ ...settings, inventory }), /the setting inventory has no effect/);
});

test("signCertificateFor() signs with a CA that loadAuthority() created, by the rules of the signer", async () => {
  await using folder = await createTempFolder();
  await assert.rejects(loadAuthority(folder.join("ca")), { code: "not_found" });
  const authority = await loadAuthority(folder.join("ca"), { create: true });
  assert.equal((await loadAuthority(folder.join("ca"))).certificatePem, authority.certificatePem);
  const signerName = KUBE_APISERVER_CLIENT_SIGNER;
  const pem = await signCertificateFor(authority, {
    request: await createRequestPem("jane"),
    signerName,
    expirationSeconds: 3_600,
  });
  const leaf = parseCertificate(findPemBlock(pem)!.block.bytes);
  assert.ok(leaf.ok);
  assert.equal(leaf.value.subject.commonName, "jane");
  assert.ok(verifyChain(leaf.value, [], [authority.certificate], { at: leaf.value.notBefore, usage: "client" }).ok);
  const masters = await createRequestPem("mallory", ["system:masters"]);
  await assert.rejects(signCertificateFor(authority, { request: masters, signerName }), { code: "csr_denied" });
  await assert.rejects(signCertificateFor(authority, { request: "none", signerName }), { code: "invalid" });
});

test("signCertificateFor() signs for a custom signer with its profile only", async () => {
  await using folder = await createTempFolder();
  const authority = await loadAuthority(folder.join("ca"), { create: true });
  const request = await createRequestPem("web-1");
  const usages = ["digital signature", "server auth"];
  const signerName = "example.com/web";
  await assert.rejects(signCertificateFor(authority, { request, signerName }), { code: "invalid" });
  const rules = MINIMAL.replace("usages:", 'subject: { commonName: { allowed: ["web-*"] } }\nusages:');
  const profile = createCustomProfile(signerName, parseProfileOrThrow(rules));
  assert.match(await signCertificateFor(authority, { request, signerName, profile, usages }), /BEGIN CERTIFICATE/);
  const other = await createRequestPem("other");
  await assert.rejects(signCertificateFor(authority, { request: other, signerName, profile, usages }), {
    code: "csr_denied",
  });
});
