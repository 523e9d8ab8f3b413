/**
 * An unmodified kubelet while the CA of its API server is replaced: it accepts a cross-signed server certificate, does
 * not reread its CA file while it rotates its own certificates, and works with the new CA after a restart.
 */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { spawnTlsboot } from "../../support/child.ts";
import { startInstance, waitUntilUp } from "../../support/interop/instance.ts";
import { createKubectl } from "../../support/interop/kubectl.ts";
import { CA_EXTENSIONS, makeCertificate, openssl } from "../../support/interop/openssl.ts";
import { startWholeKubelet, untilLease, untilReady } from "../../support/interop/whole_kubelet.ts";
import { createTempFolder, findServerPort, type TempFolder } from "../../support/temp.ts";

const NODE = "n1";
const UNKNOWN_CA = /x509: certificate signed by unknown authority/;

test("a kubelet survives a new CA with a cross-signed server certificate, and needs a restart before the old CA is removed", async () => {
  await using folder = await createTempFolder();
  const at = folder.join.bind(folder);
  const port = await findServerPort();
  const up = async (...serving: readonly string[]) => {
    const flags = ["--data-dir", at("data"), "--secure-port", String(port), "--auto-approve"];
    const running = spawnTlsboot(["up", ...flags, ...serving]);
    await waitUntilUp(running);
    return running;
  };
  const withPair = (chain: string) => ["--tls-cert-file", at(chain), "--tls-private-key-file", at("serving.key")];
  {
    await using _first = await up();
    await createServing(folder);
    await writeKubeconfigs(folder, port);
  }
  await using kubelet = await (async () => {
    await using _old = await up();
    const started = await startWholeKubelet(folder, NODE, at("bootstrap.kubeconfig"));
    await untilReady(createKubectl(folder, at("admin.kubeconfig")), NODE);
    return started;
  })();
  const kubectl = createKubectl(folder, at("admin.kubeconfig"));

  // The server has switched, and the kubelet trusts the old CA only.
  {
    await using _switched = await up(...withPair("chain.crt"));
    await untilLease(kubectl, NODE, new Date());
    assert.doesNotMatch(kubelet.running.stderr(), UNKNOWN_CA);
  }

  // The file has the new CA instead of the old one, but a kubelet that rotates certificates has not read it.
  await writeFile(at("trust.crt"), await readFile(at("new.crt")));
  await using _finished = await up(...withPair("serving.crt"));
  await kubelet.running.waitFor(UNKNOWN_CA);
  const before = new Date();
  await kubelet.restart();
  await untilLease(kubectl, NODE, before);
  assert.doesNotMatch(kubelet.running.stderr(), UNKNOWN_CA);
});

test("a kubelet survives the rotation of its instance's CA with one run of bootstrap after switch and one after finish", async () => {
  await using instance = await startInstance({ args: ["--auto-approve"] });
  const { folder, kubectl, dataDir } = instance;
  const tlsboot = async (...args: readonly string[]): Promise<string> => {
    const { stdout } = await instance.succeed(...args);
    return stdout;
  };
  const rotate = (...args: readonly string[]) => tlsboot("ca", "rotate", ...args, "--data-dir", dataDir);
  await using kubelet = await startWholeKubelet(folder, NODE, instance.bootstrapKubeconfig);
  await untilReady(kubectl, NODE);
  const files = ["--kubeconfig", kubelet.kubeconfig, "--cert-dir", kubelet.certDir, "--hostname-override", NODE];
  /** Runs bootstrap while the kubelet is stopped, to adopt the changes of the rotation. */
  const restart = async (): Promise<string> => {
    let printed = "";
    await kubelet.restart(async () => printed = await tlsboot("bootstrap", ...files));
    await untilLease(kubectl, NODE, new Date());
    return printed;
  };
  await rotate("begin");
  await rotate("switch", "--over", "1s");
  await untilLease(kubectl, NODE, new Date());
  assert.match(
    await restart(),
    /: 2 CAs are trusted now \(1 new, 0 removed\)\ncertificate renewed, valid until \S+\n$/,
  );
  assert.match(
    await openssl(["x509", "-noout", "-issuer", "-in", `${kubelet.certDir}/kubelet-client-current.pem`]),
    /tlsboot-ca-2/,
  );
  await rotate("finish");
  await untilLease(kubectl, NODE, new Date());
  assert.match(await restart(), /: 1 CA is trusted now \(0 new, 1 removed\)\nnothing to do: /);
  assert.doesNotMatch(kubelet.running.stderr(), UNKNOWN_CA);
});

/**
 * Creates a new CA, its serving certificate, and `chain.crt`: this certificate and the new CA, signed by the old one.
 */
async function createServing(folder: TempFolder): Promise<void> {
  const at = folder.join.bind(folder);
  await makeCertificate(folder, { name: "new", extensions: CA_EXTENSIONS });
  const extensions = ["subjectAltName=IP:127.0.0.1", "extendedKeyUsage=serverAuth", "authorityKeyIdentifier=keyid"];
  await makeCertificate(folder, { name: "serving", issuer: "new", extensions });
  await openssl([
    ...["x509", "-req", "-in", at("new.csr"), "-days", "30", "-extfile", at("new.ext"), "-out", at("cross.crt")],
    ...["-CA", at("data/pki/ca.crt"), "-CAkey", at("data/pki/ca.key"), "-set_serial", "9"],
  ]);
  await writeFile(at("chain.crt"), await readFile(at("serving.crt"), "utf8") + await readFile(at("cross.crt"), "utf8"));
  await writeFile(at("trust.crt"), await readFile(at("data/pki/ca.crt")));
  await writeFile(at("both.crt"), await readFile(at("new.crt"), "utf8") + await readFile(at("trust.crt"), "utf8"));
}

/** Writes the kubeconfigs of `up` with CA files: the kubelet's is trust.crt, and kubectl's has both CAs. */
async function writeKubeconfigs(folder: TempFolder, port: number): Promise<void> {
  for (const [name, ca] of [["bootstrap", "trust.crt"], ["admin", "both.crt"]] as const) {
    const text = await readFile(folder.join(`data/${name}.kubeconfig`), "utf8");
    const named = text.replace(/certificate-authority-data: \S+/, `certificate-authority: ${folder.join(ca)}`);
    assert.ok(named.includes(`:${port}`));
    await writeFile(folder.join(`${name}.kubeconfig`), named, { mode: 0o600 });
  }
}
