/** Tests `up` with a CA for each purpose, and with a CA that has name constraints. */
import assert from "node:assert/strict";
import { readFile, stat } from "node:fs/promises";
import { test } from "node:test";
import { createFilePort } from "../../client/files.ts";
import { readAuthority } from "../../instance/authority/files.ts";
import { authorityPaths, type CaPurpose } from "../../instance/authority/layout.ts";
import { parseKubeconfig } from "../../core/kube/kubeconfig/kubeconfig.ts";
import type { ConfigMap } from "../../core/kube/kinds/core_v1.ts";
import { parseCertificateChain } from "../../core/machine/credential_pair.ts";
import { type CertificateFacts, verifyCertificateSignature } from "../../core/pki/x509/certificate.ts";
import { parsePemBlocks } from "../../core/pki/asn1/pem.ts";
import { createPlainKeys } from "../support/instance_deps.ts";
import { fromBase64 } from "../support/csr_builder.ts";
import { writeIntruder } from "../support/intruder.ts";
import { bootstrapLine, connectWith, createWorkplace, startInstance } from "../support/instance_process.ts";
import { requestAndApprove } from "../support/node_requests.ts";

const signal = new AbortController().signal;
const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";

function parseLeaf(pem: string): CertificateFacts {
  const chain = parseCertificateChain(pem);
  assert.ok(chain.ok && chain.value[0] !== undefined);
  return chain.value[0];
}

test("up with a split CA needs a folder as --crl-url, because each CA has its own CRL", async () => {
  await using folder = await createWorkplace();
  await folder.succeed("ca", "init", "--split");
  const line = ["up", "--data-dir", "data", "--secure-port", "0", "--crl-url", "http://pki.example.com/ca.crl"];
  assert.match(
    await folder.refuse(2, ...line),
    /--crl-url: "http:\/\/pki\.example\.com\/ca\.crl" is one URL, but each of the CAs /,
  );
  await using instance = await startInstance(folder, ["--auto-approve", "--crl-url", "http://pki.example.com/"]);
  await folder.succeed(...bootstrapLine("n1"));
  const names = async (path: string, url: string): Promise<boolean> => {
    const pem = parsePemBlocks(await readFile(path, "utf8")).find(({ label }) => label === "CERTIFICATE");
    return Buffer.from(pem?.bytes ?? []).includes(url);
  };
  assert.ok(await names(`${instance.data}/pki/apiserver.crt`, "http://pki.example.com/ca.crl"));
  const pair = folder.join("n1/pki/kubelet-client-current.pem");
  assert.ok(await names(pair, "http://pki.example.com/kubelet-client-ca.crl"));
});

test("up with a split CA uses each CA only for its purpose", async () => {
  await using folder = await createWorkplace();
  await folder.succeed("ca", "init", "--split", "--data-dir", "data");
  await using instance = await startInstance(folder, ["--auto-approve"]);
  const read = (purpose: CaPurpose) =>
    readAuthority(authorityPaths(instance.data, purpose), createFilePort(), createPlainKeys());
  const [serving, client, kubeletClient, kubeletServing] = await Promise.all([
    read("serving"),
    read("client"),
    read("kubelet-client"),
    read("kubelet-serving"),
  ]);
  const assertIssuedBy = (leaf: CertificateFacts, { certificate }: { readonly certificate: CertificateFacts }) =>
    assert.ok(verifyCertificateSignature(leaf, certificate), `not signed by ${certificate.subject.commonName}`);

  assertIssuedBy(parseLeaf(await readFile(`${instance.data}/pki/apiserver.crt`, "utf8")), serving);
  for (const name of ["admin", "bootstrap"]) {
    const text = await readFile(`${instance.data}/${name}.kubeconfig`, "utf8");
    const config = parseKubeconfig(text, name);
    assert.ok(config.ok);
    assert.equal(config.value.clusters[0]?.cluster.certificateAuthorityData, serving.certificatePem);
    if (name === "admin") assertIssuedBy(parseLeaf(config.value.users[0]?.user.clientCertificateData ?? ""), client);
  }
  await folder.succeed(...bootstrapLine("n1"));
  assertIssuedBy(parseLeaf(await readFile(folder.join("n1/pki/kubelet-client-current.pem"), "utf8")), kubeletClient);

  await using admin = await connectWith(`${instance.data}/admin.kubeconfig`);
  await using node = await connectWith(folder.join("n1/kubeconfig"));
  await node.api.requestJson({ method: "GET", path: `${CSRS}?limit=1` }, signal);
  const info = await admin.api.requestObject<ConfigMap>(
    { method: "GET", path: "/api/v1/namespaces/kube-public/configmaps/cluster-info" },
    signal,
  );
  const published = parseKubeconfig(info.data?.["kubeconfig"] ?? "", "cluster-info");
  assert.ok(published.ok);
  assert.equal(published.value.clusters[0]?.cluster.certificateAuthorityData, serving.certificatePem);
  const { status: user } = await requestAndApprove(admin.api, {
    name: "user",
    signerName: "kubernetes.io/kube-apiserver-client",
    commonName: "panda",
    usages: ["client auth"],
  });
  assertIssuedBy(parseLeaf(fromBase64(user.certificate ?? "")), client);
  const { status: kubelet } = await requestAndApprove(admin.api, {
    name: "serving",
    signerName: "kubernetes.io/kubelet-serving",
    commonName: "system:node:n1",
    organizations: ["system:nodes"],
    dnsNames: ["n1.example"],
    usages: ["digital signature", "server auth"],
  });
  assertIssuedBy(parseLeaf(fromBase64(kubelet.certificate ?? "")), kubeletServing);

  const cluster = { server: instance.url, caPem: serving.certificatePem };
  for (const authority of [serving, kubeletServing]) {
    await using intruder = await connectWith(await writeIntruder(folder.join("intruder"), cluster, authority));
    await assert.rejects(intruder.api.requestText({ method: "GET", path: "/version" }, signal), {
      code: "unauthorized",
    });
  }
  await folder.succeed("kubeconfig", "admin", "--data-dir", "data", "--server", instance.url, "--out", "k");
  await using second = await connectWith(folder.join("k"));
  await second.api.requestJson({ method: "GET", path: "/api/v1/namespaces/kube-system/secrets" }, signal);
});

test("up with a constrained CA serves under the permitted names, and issues for no others", async () => {
  await using folder = await createWorkplace();
  const flags = ["--permit-dns", "example.org", "--permit-ip", "127.0.0.0/8"];
  await folder.succeed("ca", "init", "--data-dir", "data", ...flags);
  await using instance = await startInstance(folder, ["--auto-approve", "--tls-san", "api.example.org"]);
  await instance.running.waitFor(/name constraints exclude names from the serving certificate.*localhost/);
  const leaf = parseLeaf(await readFile(`${instance.data}/pki/apiserver.crt`, "utf8"));
  assert.deepEqual([leaf.dnsNames, leaf.ipAddresses], [["api.example.org"], ["127.0.0.1"]]);
  await folder.succeed(...bootstrapLine("n1"));
  await using admin = await connectWith(`${instance.data}/admin.kubeconfig`);
  const request = {
    signerName: "kubernetes.io/kubelet-serving",
    commonName: "system:node:n1",
    organizations: ["system:nodes"],
    usages: ["digital signature", "server auth"],
  };
  const { status: inside } = await requestAndApprove(admin.api, {
    ...request,
    name: "inside",
    dnsNames: ["n1.example.org"],
  });
  assert.ok(inside.certificate !== undefined);
  const { status: outside } = await requestAndApprove(admin.api, {
    ...request,
    name: "outside",
    dnsNames: ["n1.example.com"],
  });
  assert.equal(outside.certificate, undefined);
  assert.match(JSON.stringify(outside.conditions), /name constraints forbid it: DNS name \\"n1\.example\.com\\"/);
});

test("up refuses to serve under a name that its CA may not certify, with a hint", async () => {
  await using folder = await createWorkplace();
  await folder.succeed("ca", "init", "--data-dir", "data", "--permit-ip", "10.0.0.0/8");
  const { code, stderr } = await folder.tlsboot("up", "--data-dir", "data", "--secure-port", "0");
  // The exit code is the same as for a wrong flag.
  assert.equal(code, 2);
  assert.match(stderr, /cannot serve as "127\.0\.0\.1": the CA's name constraints forbid it: IP address/);
  assert.match(stderr, /hint: serve under a name that the CA permits with --advertise-address/);
  await assert.rejects(stat(folder.join("data/pki/apiserver.crt")));
});
