/** Tests `tlsboot sign`, which signs requests in files by a signer's rules, without a server. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { parseCertificate } from "../../core/pki/x509/certificate.ts";
import { encodePem } from "../../core/pki/asn1/pem.ts";
import { createCertificationRequest, type RequestOptions } from "../../core/pki/x509/pkcs10.ts";
import { sharedKey } from "../support/csr_builder.ts";
import { runTlsboot } from "../support/child.ts";
import { createWorkplace, type Workplace } from "../support/instance_process.ts";

const PROFILE = `apiVersion: tlsboot/v1alpha1
kind: SigningProfile
signerName: example.com/web
names: { dns: { allowed: ["*.web.example.com"] } }
usages: { allowed: [server auth, client auth], default: [server auth] }
lifetime: { max: 24h, min: 1h }
`;
const API_CLIENT = "kubernetes.io/kube-apiserver-client";

describe("tlsboot sign", () => {
  let folder: Workplace;

  before(async () => {
    folder = await createWorkplace();
    for (const dataDir of ["data", "other"]) {
      await folder.succeed("ca", "init", "--data-dir", dataDir);
    }
    await writeFile(folder.join("web.yaml"), PROFILE);
    await writeFile(folder.join("good.csr"), await createRequest({ subject: {}, dnsNames: ["a.web.example.com"] }));
    await writeFile(folder.join("bad.csr"), await createRequest({ subject: {}, dnsNames: ["a.db.example.com"] }));
    await writeFile(folder.join("alice.csr"), await createRequest({ subject: { commonName: "alice" } }));
    await writeFile(folder.join("root.csr"), await createRequest({ subject: { organizations: ["system:masters"] } }));
    const forged = (await requestDer({ subject: { commonName: "alice" } })).map((byte, at, der) => {
      return at === Buffer.from(der).indexOf("alice") ? byte + 1 : byte;
    });
    await writeFile(folder.join("forged.der"), forged);
    await writeFile(folder.join("empty.csr"), "");
    await writeFile(folder.join("noise.csr"), "noise");
    await writeFile(folder.join("key.csr"), encodePem("PRIVATE KEY", Uint8Array.of(5, 0)));
    const good = await readFile(folder.join("good.csr"), "utf8");
    await writeFile(folder.join("two.csr"), good + good);
    await writeFile(folder.join("half.csr"), good.slice(0, -40));
  });

  after(() => folder[Symbol.asyncDispose]());

  async function requestDer(options: RequestOptions): Promise<Uint8Array> {
    return createCertificationRequest(options, await sharedKey());
  }

  async function createRequest(options: RequestOptions): Promise<string> {
    return encodePem("CERTIFICATE REQUEST", await requestDer(options));
  }

  /** Returns the extended key usages, parsed by our own code because Deno's node:crypto reports other values. */
  function getPurposes(certificate: X509Certificate): readonly string[] {
    const facts = parseCertificate(new Uint8Array(certificate.raw));
    return facts.ok ? facts.value.extendedKeyUsages : [];
  }

  async function readIssuer(dataDir: string): Promise<X509Certificate> {
    return new X509Certificate(await readFile(folder.join(dataDir, "pki", "ca.crt")));
  }

  test("tlsboot sign prints a certificate that a profile allows, signed by the CA of the data directory", async () => {
    const line = ["sign", "good.csr", "--profile", "web.yaml", "--duration", "2h"];
    const { code, stdout, stderr } = await folder.tlsboot(...line);
    assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
    const certificate = new X509Certificate(stdout);
    assert.equal(certificate.subjectAltName, "DNS:a.web.example.com");
    assert.deepEqual(getPurposes(certificate), ["1.3.6.1.5.5.7.3.1"]);
    const issuer = await readIssuer("data");
    assert.ok(certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey));
    assert.equal(Date.parse(certificate.validTo) - Date.parse(certificate.validFrom), 2 * 3_600_000 + 300_000);
  });

  test("tlsboot sign signs for Kubernetes' signers with their usages, and reads DER and stdin", async () => {
    const ca = ["--cluster-signing-cert-file", "other/pki/ca.crt", "--cluster-signing-key-file", "other/pki/ca.key"];
    const { code, stdout, stderr } = await folder.tlsboot("sign", "alice.csr", "--signer", API_CLIENT, ...ca);
    assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
    const certificate = new X509Certificate(stdout);
    assert.equal(certificate.subject, "CN=alice");
    assert.deepEqual(getPurposes(certificate), ["1.3.6.1.5.5.7.3.2"]);
    assert.ok(certificate.checkIssued(await readIssuer("other")));
    const stdin = await readFile(folder.join("good.csr"), "utf8");
    const place = { cwd: folder.path, env: { TLSBOOT_DATA_DIR: "data" }, stdin };
    const piped = await runTlsboot(["sign", "-", "--profile", "web.yaml"], place);
    assert.equal(new X509Certificate(piped.stdout).subjectAltName, "DNS:a.web.example.com");
    await writeFile(folder.join("good.der"), await requestDer({ subject: {}, dnsNames: ["a.web.example.com"] }));
    assert.equal((await folder.tlsboot("sign", "good.der", "--profile", "web.yaml")).code, 0);
  });

  test("tlsboot sign adds the CRL URL of --crl-url, and to a folder the name of the CA's file", async () => {
    for (
      const [url, want] of [["http://pki.example.com/a.crl", "a.crl"], ["http://pki.example.com/", "ca.crl"]] as const
    ) {
      const line = ["sign", "good.csr", "--profile", "web.yaml", "--crl-url", url];
      const { code, stdout, stderr } = await folder.tlsboot(...line);
      assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
      assert.ok(Buffer.from(new X509Certificate(stdout).raw).includes(`http://pki.example.com/${want}`));
    }
  });

  test("tlsboot sign issues client certificates by a profile only with a CA that the instance's server does not trust", async () => {
    const line = ["sign", "good.csr", "--profile", "web.yaml", "--usage", "client-auth"];
    assert.match(await folder.refuse(3, ...line), /client auth is not allowed: the API trusts this CA for clients/);
    const files = (name: string) => [
      ...["--cluster-signing-cert-file", `${name}/pki/ca.crt`, "--cluster-signing-key-file", `${name}/pki/ca.key`],
    ];
    assert.equal((await folder.tlsboot(...line, ...files("data"))).code, 3);
    assert.equal((await folder.tlsboot(...line, ...files("other"))).code, 0);
  });

  test("tlsboot sign writes certificates into a folder, reports refusals, and overwrites only with --force", async () => {
    const line = ["sign", "good.csr", "bad.csr", "nowhere.csr", "--profile", "web.yaml", "--out", "out"];
    const first = await folder.tlsboot(...line);
    assert.equal(first.code, 1);
    assert.equal(first.stdout, "out/good.crt\n");
    assert.match(first.stderr, /cannot sign "bad\.csr": DNS subjectAltName is not allowed: a\.db\.example\.com/);
    assert.match(first.stderr, /cannot read "nowhere\.csr": no such file/);
    assert.deepEqual(await readdir(folder.join("out")), ["good.crt"]);
    assert.equal((await stat(folder.join("out/good.crt"))).mode & 0o777, 0o644);

    const before = await readFile(folder.join("out/good.crt"), "utf8");
    assert.match(await folder.refuse(1, ...line), /out\/good\.crt": it exists/);
    assert.equal(await readFile(folder.join("out/good.crt"), "utf8"), before);
    const again = ["sign", "good.csr", "bad.csr", "--profile", "web.yaml", "--out", "out", "--force"];
    const refused = await folder.tlsboot(...again);
    assert.deepEqual({ code: refused.code, stdout: refused.stdout }, { code: 3, stdout: "out/good.crt\n" });
    assert.notEqual(await readFile(folder.join("out/good.crt"), "utf8"), before);
  });

  for (
    const [line, code, want] of [
      ["--profile web.yaml", 2, /FILE/],
      [
        "good.csr --profile web.yaml --crl-url pki.example.com/ca.crl",
        2,
        /--crl-url: "pki\.example\.com\/ca\.crl" found, want an http, https or ldap URL of at most 1024 characters/,
      ],
      [
        `good.csr --profile web.yaml --crl-url http://pki.example.com/${"a".repeat(1_024)}`,
        2,
        /want an http, https or ldap URL of at most 1024 characters/,
      ],
      ["good.csr", 2, /no rules given: use --signer or --profile/],
      ["good.csr --signer a.b/c", 2, /has no profile/],
      ["good.csr --profile web.yaml --usage servr-auth", 2, /--usage: "servr-auth" found, want one of/],
      ["good.csr --profile web.yaml --usage code-signing", 3, /usage is not allowed: code signing/],
      ["good.csr --profile web.yaml --duration 10m", 3, /lifetime is too short: 10m0s, want at least 1h0m0s/],
      [`alice.csr --signer ${API_CLIENT} --duration 5m`, 2, /--duration: want at least 10m/],
      [`root.csr --signer ${API_CLIENT}`, 3, /system:masters group/],
      [`forged.der --signer ${API_CLIENT}`, 3, /x509: ECDSA verification failure/],
      ["empty.csr --profile web.yaml", 1, /the file is empty/],
      ["noise.csr --profile web.yaml", 1, /cannot sign "noise\.csr": /],
      ["key.csr --profile web.yaml", 1, /it contains a PRIVATE KEY, not a CERTIFICATE REQUEST/],
      ["two.csr --profile web.yaml", 1, /more than one PEM block/],
      ["half.csr --profile web.yaml", 1, /a PEM block is damaged/],
      ["other --profile web.yaml", 1, /it contains no file NAME\.request\.pem/],
      ["good.csr --profile web.yaml --data-dir none", 1, /ca\.crt": file does not exist/],
      [
        "good.csr --profile web.yaml --cluster-signing-cert-file other/pki/ca.crt",
        2,
        /--cluster-signing-key-file is missing/,
      ],
      [
        "good.csr --profile web.yaml --cluster-signing-cert-file other/pki/ca.crt --cluster-signing-key-file data/pki/ca.key",
        1,
        /private key does not match public key/,
      ],
      ["good.csr ./good.der --profile web.yaml --out both", 2, /two requests would be written to/],
      ["good.csr --profile web.yaml --out good.csr --force", 2, /is a request to be signed/],
    ] as const
  ) {
    test(`tlsboot sign ${line} is refused, and nothing is signed`, async () => {
      assert.match(await folder.refuse(code, "sign", ...line.split(" ")), want);
    });
  }
});
