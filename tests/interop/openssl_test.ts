/**
 * OpenSSL verifies every certificate and key that tlsboot writes and speaks TLS with it, and zlint checks the
 * certificates.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { lstat, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { runProgram, spawnTlsbootToEnd, start, succeedProgram } from "../support/child.ts";
import {
  assertChain,
  assertKeyMatches,
  assertNodePair,
  csrManifest,
  openssl,
  readSubject,
} from "../support/interop/openssl.ts";
import { type RunningInstance, startInstance } from "../support/interop/instance.ts";
import { waitForCertificate } from "../support/interop/kubectl.ts";
import { assertLints } from "../support/interop/zlint.ts";

/** A PEM block and its file. */
interface FoundPem {
  readonly path: string;
  readonly label: string;
  readonly pem: string;
}

/**
 * Finds every PEM block in a folder, in PEM files and kubeconfigs. Links are skipped, because their targets are found.
 */
async function findPemBlocks(folder: string): Promise<readonly FoundPem[]> {
  const found: FoundPem[] = [];
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (!(await lstat(path)).isFile()) continue;
    const text = await readFile(path, "latin1");
    found.push(...parseBlocks(path, text));
    for (const [, base64 = ""] of text.matchAll(/-data: ([A-Za-z0-9+/=]+)/g)) {
      found.push(...parseBlocks(path, Buffer.from(base64, "base64").toString("latin1")));
    }
  }
  return found;
}

function parseBlocks(path: string, text: string): readonly FoundPem[] {
  // The database has requests and certificates as base64 of PEM, never as PEM.
  return [...text.matchAll(/-----BEGIN ([A-Z ]+)-----\n[A-Za-z0-9+/=\n]+-----END \1-----\n/g)]
    .map(([pem, label = ""]) => ({ path, label, pem }));
}

test("openssl and zlint accept everything that up and bootstrap write: chains, keys, and the key of each certificate", async () => {
  await using instance = await startInstance({ args: ["--auto-approve"] });
  await instance.succeed(
    ...["bootstrap", "--bootstrap-kubeconfig", instance.bootstrapKubeconfig, "--kubeconfig", "n1/kubeconfig"],
    ...["--cert-dir", "n1/pki", "--hostname-override", "n1"],
  );

  const blocks = [...await findPemBlocks(instance.dataDir), ...await findPemBlocks(instance.folder.join("n1"))];
  const block = instance.folder.join("block.pem");
  const keys = new Set<string>();
  for (const { path, label, pem } of blocks.filter(({ label }) => label.endsWith("PRIVATE KEY"))) {
    assert.match(label, /^(EC )?PRIVATE KEY$/, path);
    await openssl(["pkey", "-check", "-noout"], pem);
    keys.add(await openssl(["pkey", "-pubout"], pem));
  }
  await openssl(["crl", "-in", `${instance.dataDir}/pki/ca.crl`, "-noout", "-CAfile", instance.caPath]);
  const certificates = blocks.filter(({ label }) => label === "CERTIFICATE");
  for (const { path, pem } of certificates) {
    await writeFile(block, pem);
    await assertChain(instance.caPath, block);
    const publicKey = await openssl(["x509", "-noout", "-pubkey"], pem);
    assert.ok(keys.has(publicKey), `${path}: no key was written for this certificate`);
  }
  const named = new Map(certificates.map(({ path, pem }, index) => [`${index} ${path}`, pem]));
  assert.ok(named.size >= 5, [...named.keys()].join(", "));
  await assertLints(instance.folder, named);
  const files = new Set(blocks.map(({ path }) => path.slice(instance.folder.path.length + 1).replace(/-\d{4}.*/, "")));
  // The database has certificates too: in `cluster-info` and in each namespace's `kube-root-ca.crt`.
  assert.deepEqual([...files].filter((file) => !file.includes("tlsboot.db")).sort(), [
    "data/admin.kubeconfig",
    "data/bootstrap.kubeconfig",
    "data/pki/apiserver.crt",
    "data/pki/apiserver.key",
    "data/pki/ca.crt",
    "data/pki/ca.key",
    "data/pki/sa.key",
    "data/pki/sa.pub",
    "n1/kubeconfig",
    "n1/pki/kubelet-client",
  ]);
  await assertChain(instance.caPath, `${instance.dataDir}/pki/apiserver.crt`, "sslserver");
  await assertKeyMatches(`${instance.dataDir}/pki/apiserver.crt`, `${instance.dataDir}/pki/apiserver.key`);
  await assertKeyMatches(instance.caPath, `${instance.dataDir}/pki/ca.key`);
  await assertNodePair(instance.caPath, instance.folder.join("n1/pki/kubelet-client-current.pem"), "n1");
});

describe("openssl and a server", () => {
  let instance: RunningInstance;
  before(async () => {
    instance = await startInstance();
  });
  after(() => instance[Symbol.asyncDispose]());

  test("openssl s_client verifies the listener by its CA and its name, and negotiates nothing older than TLS 1.2", async () => {
    const address = instance.server.replace("https://", "");
    const connect = (...args: string[]) =>
      runProgram("openssl", [
        ...["s_client", "-connect", address, "-CAfile", instance.caPath, "-verify_return_error", ...args],
      ]);
    for (const version of ["-tls1_2", "-tls1_3"]) {
      const { code, stdout, stderr } = await connect(version, "-verify_hostname", "localhost");
      assert.equal(code, 0, stderr);
      assert.match(stdout, /Verify return code: 0 \(ok\)/);
    }
    assert.notEqual((await connect("-verify_hostname", "elsewhere.example")).code, 0);
    assert.notEqual((await connect("-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0")).code, 0);
  });

  for (const version of ["1.2", "1.3"]) {
    test(`openssl resumes a TLS ${version} session, which keeps its identity`, async () => {
      const kubeconfig = await readFile(instance.adminKubeconfig, "utf8");
      for (const name of ["certificate", "key"]) {
        const [, base64 = ""] = new RegExp(`client-${name}-data: (\\S+)`).exec(kubeconfig) ?? [];
        await writeFile(instance.folder.join(`admin.${name}`), Buffer.from(base64, "base64"), { mode: 0o600 });
      }
      const session = instance.folder.join("session");
      const body = "{}";
      const stdin = "POST /apis/authentication.k8s.io/v1/selfsubjectreviews HTTP/1.1\r\nHost: localhost\r\n" +
        `Content-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`;
      const whoami = async (...args: readonly string[]): Promise<string> => {
        const { stdout } = await succeedProgram("openssl", [
          ...["s_client", "-connect", instance.server.replace("https://", ""), "-CAfile", instance.caPath, "-ign_eof"],
          ...["-cert", instance.folder.join("admin.certificate"), "-key", instance.folder.join("admin.key")],
          ...[`-tls${version.replace(".", "_")}`, ...args],
        ], { stdin });
        assert.match(stdout, /"username":"kubernetes-admin"/);
        return /^(New|Reused), TLSv1\.[23]/m.exec(stdout)?.[1] ?? stdout;
      };
      assert.equal(await whoami("-sess_out", session), "New");
      assert.equal(await whoami("-sess_in", session), "Reused");
    });
  }

  test("tlsboot refuses an openssl server that speaks only TLS 1.1", async () => {
    await using old = start("openssl", [
      ...["s_server", "-accept", "127.0.0.1:0", "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0", "-www"],
      ...["-cert", `${instance.dataDir}/pki/apiserver.crt`, "-key", `${instance.dataDir}/pki/apiserver.key`],
    ]);
    const [, address = ""] = await old.waitFor(/ACCEPT (127\.0\.0\.1:\d+)/);
    const kubeconfig = await readFile(instance.adminKubeconfig, "utf8");
    const path = instance.folder.join("old.kubeconfig");
    await writeFile(path, kubeconfig.replace(instance.server, `https://${address}`), { mode: 0o600 });
    // Node itself would speak TLS 1.1 with these options.
    const env = { NODE_OPTIONS: "--tls-min-v1.0 --tls-cipher-list=DEFAULT@SECLEVEL=0" };
    const { code, stderr } = await spawnTlsbootToEnd(["get", "csr", "--kubeconfig", path], { env });
    assert.equal(code, 1, stderr);
    assert.match(stderr, /cannot trust "https:.*": it supports no secure TLS version: 1\.2 is the oldest/);
    assert.match(stderr, /hint: enable TLS 1\.2 or 1\.3 on the server/);
  });

  test("openssl verifies the certificate that the signer issues for a request made by openssl", async () => {
    const manifest = await csrManifest("robot", { subject: "/O=robots/CN=robot", spec: { expirationSeconds: 3600 } });
    await instance.kubectl.create(manifest);
    await instance.kubectl.run("certificate", "approve", "robot");
    const path = instance.folder.join("robot.crt");
    await writeFile(path, await waitForCertificate(instance.kubectl, "robot"));

    await assertChain(instance.caPath, path, "sslclient");
    assert.equal(await readSubject(path), "CN=robot,O=robots");
    assert.equal((await readFile(path, "utf8")).match(/BEGIN CERTIFICATE/g)?.length, 1);
    const text = await openssl(["x509", "-in", path, "-noout", "-text"]);
    assert.match(text, /X509v3 Key Usage: critical\n +Digital Signature\n/);
    assert.match(text, /X509v3 Extended Key Usage: \n +TLS Web Client Authentication\n/);
    assert.match(text, /X509v3 Basic Constraints: critical\n +CA:FALSE\n/);
    // One hour is requested, and the certificate is backdated by five minutes.
    const [, from = "", to = ""] = text.match(/Not Before: (.*)\n +Not After : (.*)\n/) ?? [];
    assert.equal(Date.parse(to) - Date.parse(from), 65 * 60_000);
  });
});
