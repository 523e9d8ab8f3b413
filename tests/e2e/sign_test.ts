/** `tlsboot sign`: requests in files, by the rules of a signer and without a server. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { createSystemClock, createSystemRandom } from "../../cli/system.ts";
import { parseCertificate } from "../../core/pki/certificate.ts";
import { encodePem } from "../../core/pki/pem.ts";
import { createCertificationRequest, type RequestOptions } from "../../core/pki/pkcs10.ts";
import { sharedKey } from "../support/csr_builder.ts";
import { createTempFolder, type TempFolder } from "../support/temp.ts";
import { type CapturedRun, runCaptured } from "../support/run_captured.ts";

const PROFILE = `apiVersion: tlsboot/v1alpha1
kind: SigningProfile
signerName: example.com/web
names: { dns: { allowed: ["*.web.example.com"] } }
usages: { allowed: [server auth, client auth], default: [server auth] }
lifetime: { max: 24h, min: 1h }
`;
const API_CLIENT = "kubernetes.io/kube-apiserver-client";

describe("tlsboot sign", () => {
  let folder: TempFolder;

  before(async () => {
    folder = await createTempFolder();
    for (const dataDir of ["tlsboot-data", "other"]) {
      assert.equal((await tlsboot("ca", "init", "--data-dir", dataDir)).code, 0);
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

  async function tlsboot(...args: readonly string[]): Promise<CapturedRun> {
    const stdin = await readFile(folder.join("good.csr"), "utf8").catch(() => "");
    return await runCaptured(args, {
      cwd: folder.path,
      clock: createSystemClock(),
      random: createSystemRandom(),
      stdin,
    });
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
    const { code, stdout, stderr } = await tlsboot("sign", "good.csr", "--profile", "web.yaml", "--duration", "2h");
    assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
    const certificate = new X509Certificate(stdout);
    assert.equal(certificate.subjectAltName, "DNS:a.web.example.com");
    assert.deepEqual(getPurposes(certificate), ["1.3.6.1.5.5.7.3.1"]);
    const issuer = await readIssuer("tlsboot-data");
    assert.ok(certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey));
    assert.equal(Date.parse(certificate.validTo) - Date.parse(certificate.validFrom), 2 * 3_600_000 + 300_000);
  });

  test("tlsboot sign signs for Kubernetes' signers with their usages, also DER and stdin", async () => {
    const ca = ["--cluster-signing-cert-file", "other/pki/ca.crt", "--cluster-signing-key-file", "other/pki/ca.key"];
    const { code, stdout, stderr } = await tlsboot("sign", "alice.csr", "--signer-name", API_CLIENT, ...ca);
    assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
    const certificate = new X509Certificate(stdout);
    assert.equal(certificate.subject, "CN=alice");
    assert.deepEqual(getPurposes(certificate), ["1.3.6.1.5.5.7.3.2"]);
    assert.ok(certificate.checkIssued(await readIssuer("other")));
    const piped = await tlsboot("sign", "-", "--profile", "web.yaml");
    assert.equal(new X509Certificate(piped.stdout).subjectAltName, "DNS:a.web.example.com");
    await writeFile(folder.join("good.der"), await requestDer({ subject: {}, dnsNames: ["a.web.example.com"] }));
    assert.equal((await tlsboot("sign", "good.der", "--profile", "web.yaml")).code, 0);
  });

  test("tlsboot sign names the CRL of --crl-url, and adds the name of the CA's file to a folder", async () => {
    for (
      const [url, want] of [["http://pki.example.com/a.crl", "a.crl"], ["http://pki.example.com/", "ca.crl"]] as const
    ) {
      const { code, stdout, stderr } = await tlsboot("sign", "good.csr", "--profile", "web.yaml", "--crl-url", url);
      assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
      assert.ok(Buffer.from(new X509Certificate(stdout).raw).includes(`http://pki.example.com/${want}`));
    }
  });

  test("tlsboot sign issues client certificates by a profile only with a CA that the instance's server does not trust", async () => {
    const line = ["sign", "good.csr", "--profile", "web.yaml", "--usage", "client-auth"];
    const own = await tlsboot(...line);
    assert.deepEqual({ code: own.code, stdout: own.stdout }, { code: 3, stdout: "" });
    assert.match(own.stderr, /client auth is not allowed: the API trusts this CA for clients/);
    const files = (name: string) => [
      ...["--cluster-signing-cert-file", `${name}/pki/ca.crt`, "--cluster-signing-key-file", `${name}/pki/ca.key`],
    ];
    assert.equal((await tlsboot(...line, ...files("tlsboot-data"))).code, 3);
    assert.equal((await tlsboot(...line, ...files("other"))).code, 0);
  });

  test("tlsboot sign writes certificates into a folder, reports refusals, and overwrites only with --force", async () => {
    const line = ["sign", "good.csr", "bad.csr", "nowhere.csr", "--profile", "web.yaml", "--out", "out"];
    const first = await tlsboot(...line);
    assert.equal(first.code, 1);
    assert.equal(first.stdout, "out/good.crt\n");
    assert.match(first.stderr, /cannot sign "bad\.csr": DNS subjectAltName is not allowed: a\.db\.example\.com/);
    assert.match(first.stderr, /cannot read "nowhere\.csr": no such file/);
    assert.deepEqual(await readdir(folder.join("out")), ["good.crt"]);
    assert.equal((await stat(folder.join("out/good.crt"))).mode & 0o777, 0o644);

    const before = await readFile(folder.join("out/good.crt"), "utf8");
    const second = await tlsboot(...line);
    assert.deepEqual({ code: second.code, stdout: second.stdout }, { code: 1, stdout: "" });
    assert.match(second.stderr, /out\/good\.crt": it exists/);
    assert.equal(await readFile(folder.join("out/good.crt"), "utf8"), before);
    const refused = await tlsboot("sign", "good.csr", "bad.csr", "--profile", "web.yaml", "--out", "out", "--force");
    assert.deepEqual({ code: refused.code, stdout: refused.stdout }, { code: 3, stdout: "out/good.crt\n" });
    assert.notEqual(await readFile(folder.join("out/good.crt"), "utf8"), before);
  });

  for (
    const { name, args, code, want } of [
      { name: "no file", args: ["--profile", "web.yaml"], code: 2, want: /FILE/ },
      {
        name: "the URL of a CRL that is none",
        args: ["good.csr", "--profile", "web.yaml", "--crl-url", "pki.example.com/ca.crl"],
        code: 2,
        want:
          /--crl-url: "pki\.example\.com\/ca\.crl" found, want an http, https or ldap URL of at most 1024 characters/,
      },
      {
        name: "a URL of a CRL that is too long",
        args: ["good.csr", "--profile", "web.yaml", "--crl-url", `http://pki.example.com/${"a".repeat(1_024)}`],
        code: 2,
        want: /want an http, https or ldap URL of at most 1024 characters/,
      },
      {
        name: "no rules",
        args: ["good.csr"],
        code: 2,
        want: /no rules are named: neither --signer-name nor --profile/,
      },
      { name: "an unknown signer", args: ["good.csr", "--signer-name", "a.b/c"], code: 2, want: /has no profile/ },
      {
        name: "an unknown usage",
        args: ["good.csr", "--profile", "web.yaml", "--usage", "servr-auth"],
        code: 2,
        want: /--usage: "servr-auth" found, want one of/,
      },
      {
        name: "a usage that the profile refuses",
        args: ["good.csr", "--profile", "web.yaml", "--usage", "code-signing"],
        code: 3,
        want: /usage is not allowed: code signing/,
      },
      {
        name: "a lifetime that is too short",
        args: ["good.csr", "--profile", "web.yaml", "--duration", "10m"],
        code: 3,
        want: /lifetime is too short: 10m0s, at least 1h0m0s expected/,
      },
      {
        name: "a lifetime that Kubernetes' signers do not issue",
        args: ["alice.csr", "--signer-name", API_CLIENT, "--duration", "5m"],
        code: 2,
        want: /--duration: at least 10m expected/,
      },
      { name: "superusers", args: ["root.csr", "--signer-name", API_CLIENT], code: 3, want: /system:masters group/ },
      {
        name: "a forged signature",
        args: ["forged.der", "--signer-name", API_CLIENT],
        code: 3,
        want: /x509: ECDSA verification failure/,
      },
      { name: "an empty file", args: ["empty.csr", "--profile", "web.yaml"], code: 1, want: /the file is empty/ },
      { name: "noise", args: ["noise.csr", "--profile", "web.yaml"], code: 1, want: /cannot sign "noise\.csr": / },
      {
        name: "a key",
        args: ["key.csr", "--profile", "web.yaml"],
        code: 1,
        want: /it holds a PRIVATE KEY, not a CERTIFICATE REQUEST/,
      },
      { name: "two requests", args: ["two.csr", "--profile", "web.yaml"], code: 1, want: /more than one PEM block/ },
      { name: "half a request", args: ["half.csr", "--profile", "web.yaml"], code: 1, want: /a PEM block is damaged/ },
      {
        name: "a folder",
        args: ["other", "--profile", "web.yaml"],
        code: 1,
        want: /no file in it is called NAME\.request\.pem/,
      },
      {
        name: "no CA",
        args: ["good.csr", "--profile", "web.yaml", "--data-dir", "none"],
        code: 1,
        want: /ca\.crt": file does not exist/,
      },
      {
        name: "half a CA",
        args: ["good.csr", "--profile", "web.yaml", "--cluster-signing-cert-file", "other/pki/ca.crt"],
        code: 2,
        want: /--cluster-signing-key-file is missing/,
      },
      {
        name: "a pair that does not fit",
        args: [
          ...["good.csr", "--profile", "web.yaml", "--cluster-signing-cert-file", "other/pki/ca.crt"],
          ...["--cluster-signing-key-file", "tlsboot-data/pki/ca.key"],
        ],
        code: 1,
        want: /private key does not match public key/,
      },
      {
        name: "two requests for one file",
        args: ["good.csr", "./good.der", "--profile", "web.yaml", "--out", "both"],
        code: 2,
        want: /two requests would be written to/,
      },
      {
        name: "the request itself as its target",
        args: ["good.csr", "--profile", "web.yaml", "--out", "good.csr", "--force"],
        code: 2,
        want: /is a request that is to be signed/,
      },
    ] as readonly {
      readonly name: string;
      readonly args: readonly string[];
      readonly code: number;
      readonly want: RegExp;
    }[]
  ) {
    test(`tlsboot sign ends with ${code} for ${name}, and signs nothing`, async () => {
      const refused = await tlsboot("sign", ...args);
      assert.match(refused.stderr, want);
      assert.deepEqual({ code: refused.code, stdout: refused.stdout }, { code, stdout: "" });
    });
  }
});
