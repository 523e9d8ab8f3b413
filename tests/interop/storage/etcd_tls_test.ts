/** An etcd that requires TLS client certificates: which clients it accepts, and which errors the others see. */
import assert from "node:assert/strict";
import { chmod, readFile, writeFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { createSystemClock } from "../../../cli/system.ts";
import { STORED_RESOURCES } from "../../../server/registry/resources.ts";
import { createStoredValues } from "../../../server/registry/stored_values.ts";
import { openEtcdStorage } from "../../../server/storage/etcd/storage.ts";
import { spawnTlsbootToEnd } from "../../support/child.ts";
import { eventually } from "../../support/eventually.ts";
import { createTempFolder, type TempFolder } from "../../support/temp.ts";
import { type Etcd, startEtcd } from "../../support/interop/etcd.ts";
import { CA_EXTENSIONS, makeCertificate } from "../../support/interop/openssl.ts";
import { startInstance } from "../../support/interop/instance.ts";

const CLIENT = ["extendedKeyUsage=clientAuth"];
const BOTH = "extendedKeyUsage=serverAuth,clientAuth";

let folder: TempFolder;
let etcd: Etcd;
let misnamedEtcd: Etcd;

function serving(name: string): readonly string[] {
  const pair = [`--cert-file=${folder.join(`${name}.crt`)}`, `--key-file=${folder.join(`${name}.key`)}`];
  return [...pair, "--client-cert-auth", `--trusted-ca-file=${folder.join("ca.crt")}`];
}

function ca(name = "ca"): readonly string[] {
  return ["--etcd-cafile", folder.join(`${name}.crt`)];
}

function pair(certificate: string, key = certificate): readonly string[] {
  return ["--etcd-certfile", folder.join(`${certificate}.crt`), "--etcd-keyfile", folder.join(`${key}.key`)];
}

describe("etcd with TLS", () => {
  before(async () => {
    folder = await createTempFolder();
    await makeCertificate(folder, { name: "ca", extensions: CA_EXTENSIONS });
    await makeCertificate(folder, { name: "other-ca", extensions: CA_EXTENSIONS });
    await makeCertificate(folder, { name: "etcd", issuer: "ca", extensions: ["subjectAltName=IP:127.0.0.1", BOTH] });
    await makeCertificate(folder, { name: "misnamed", issuer: "ca", extensions: ["subjectAltName=DNS:etcd-0", BOTH] });
    await makeCertificate(folder, { name: "client", issuer: "ca", extensions: CLIENT });
    await makeCertificate(folder, { name: "outsider", issuer: "other-ca", extensions: CLIENT });
    await writeFile(folder.join("exposed.key"), "", { mode: 0o644 });
    await chmod(folder.join("exposed.key"), 0o644);
    etcd = await startEtcd({ isTls: true, flags: serving("etcd") });
    misnamedEtcd = await startEtcd({ isTls: true, flags: serving("misnamed") });
  });

  after(async () => {
    await misnamedEtcd?.[Symbol.asyncDispose]();
    await etcd?.[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  });

  test("up works on an etcd that requires client certificates", async () => {
    await using instance = await startInstance({
      args: ["--etcd-servers", etcd.urls.join(","), ...ca(), ...pair("client")],
    });
    await instance.kubectl.run("create", "cm", "by-tls");
    assert.match(await instance.kubectl.run("get", "cm", "--output=name"), /configmap\/by-tls/);
    assert.equal((await instance.kubectl.run("get", "--raw", "/readyz")).trim(), "ok");
    const renewed = /^etcd_requests_total\{operation="update",group="coordination.k8s.io",resource="leases"\} [1-9]/m;
    const metrics = await eventually("a lease is renewed", async () => {
      const page = await instance.kubectl.run("get", "--raw", "/metrics");
      return renewed.test(page) ? page : undefined;
    });
    const labels = 'operation="create",group="",resource="configmaps"';
    assert.match(metrics, new RegExp(`^etcd_request_duration_seconds_count\\{${labels}\\} [1-9]`, "m"));
    assert.match(metrics, /^tlsboot_etcd_mirror_lag_seconds_count [1-9]/m);
    assert.doesNotMatch(metrics, /^tlsboot_storage_commit/m);
  });

  for (
    const { name, server = () => etcd.urls[0]!, flags, code = 1, want } of [
      {
        name: "an etcd of an unknown CA",
        flags: () => [...ca("other-ca"), ...pair("client")],
        want:
          /cannot read etcd: its certificate is signed by an unknown authority\n.*hint: check --etcd-cafile: it must/,
      },
      {
        name: "no CA at all",
        flags: () => pair("client"),
        want: /cannot read etcd: its certificate is signed by an unknown authority\n.*hint: check --etcd-cafile/,
      },
      {
        name: "an etcd whose certificate has another name",
        server: () => misnamedEtcd.urls[0]!,
        flags: () => [...ca(), ...pair("client")],
        want: /cannot read etcd: its certificate does not name the host in --etcd-servers\n.*hint: use a host that/,
      },
      {
        name: "no client certificate",
        flags: () => ca(),
        want: /cannot read etcd: it wants a client certificate\n.*hint: give --etcd-certfile and --etcd-keyfile/,
      },
      {
        name: "a client certificate of another CA",
        flags: () => [...ca(), ...pair("outsider")],
        want:
          /cannot read etcd: it refuses our client certificate\n.*hint: check --etcd-certfile: the CA that etcd trusts/,
      },
      {
        name: "a key of another certificate",
        flags: () => [...ca(), ...pair("client", "outsider")],
        want:
          /cannot connect to etcd with ".*client.crt" and ".*outsider.key": private key does not match public key\n.*hint: give/,
      },
      {
        name: "a key that others may read",
        flags: () => [...ca(), ...pair("client", "exposed")],
        want: /cannot use ".*exposed.key": others may read it \(mode 644\)\n.*hint: chmod 600/,
      },
      {
        name: "a certificate without its key",
        flags: () => ["--etcd-certfile", folder.join("client.crt")],
        code: 2,
        want: /--etcd-certfile and --etcd-keyfile go together\n/,
      },
      {
        name: "a CA file without a certificate",
        flags: () => ["--etcd-cafile", folder.join("client.key")],
        want: /cannot use etcd CA file ".*client.key": only CERTIFICATE PEM blocks are allowed/,
      },
      {
        name: "a file that does not exist",
        flags: () => ["--etcd-cafile", folder.join("nowhere")],
        want: /cannot read ".*nowhere": no such file\n/,
      },
      {
        name: "http to an etcd with TLS",
        server: () => etcd.urls[0]!.replace("https:", "http:"),
        flags: () => [],
        want: /cannot read etcd: it does not answer as .*\n.*hint: check --etcd-servers: https:\/\/ where/,
      },
      {
        name: "certificates for an etcd by http",
        server: () => etcd.urls[0]!.replace("https:", "http:"),
        flags: () => ca(),
        code: 2,
        want: /--etcd-cafile has no effect for an etcd without TLS\n.*hint: write https:/,
      },
      {
        name: "http and https together",
        server: () => `${etcd.urls[0]!},http://127.0.0.1:1`,
        flags: () => [],
        code: 2,
        want: /--etcd-servers: some servers are http and others https\n.*hint: use the same scheme for all/,
      },
    ]
  ) {
    test(`refused, with a hint: ${name}`, async () => {
      const data = ["--secure-port", "0", "--data-dir", folder.join("data")];
      const finished = await spawnTlsbootToEnd(["serve", "--etcd-servers", server(), ...flags(), ...data]);
      assert.equal(finished.code, code, finished.stderr);
      assert.match(finished.stderr, want);
      assert.doesNotMatch(finished.stderr, /BEGIN|MIG[\w+/]{9}/);
    });
  }

  test("an etcd is read by its IP address, but not if its certificate lacks the address", async () => {
    const read = async (name: string) => await readFile(folder.join(name), "utf8");
    const certificate = { certificatePem: await read("client.crt"), keyPem: await read("client.key") };
    const open = async ({ urls }: Etcd) =>
      await openEtcdStorage({
        endpoints: { servers: urls, caPem: await read("ca.crt"), certificate, prefix: "/by-address" },
        values: createStoredValues(STORED_RESOURCES),
        clock: createSystemClock(),
      });
    const key = "/registry/configmaps/default/by-address";
    await using storage = (await open(etcd)).storage;
    await storage.create(key, { metadata: { name: "by-address", namespace: "default" } });
    assert.deepEqual((await storage.list("/registry/")).items.map((item) => item.key), [key]);
    await assert.rejects(open(misnamedEtcd), /its certificate does not name the host in the setting etcdServers/);
  });

  test("https to an etcd without TLS is refused, with a hint", async () => {
    await using plain = await startEtcd();
    const server = plain.urls[0]!.replace("http:", "https:");
    const data = ["--secure-port", "0", "--data-dir", folder.join("data")];
    const { code, stderr } = await spawnTlsbootToEnd(["serve", "--etcd-servers", server, ...ca(), ...data]);
    assert.equal(code, 1);
    assert.match(
      stderr,
      /cannot read etcd: it (?:does not speak TLS|ended the connection where TLS begins)\n.*hint: .*write http:/,
    );
  });
});
