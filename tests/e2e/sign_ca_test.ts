/** Tests `tlsboot sign` with every kind of CA that other commands can open. */
import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { test } from "node:test";
import { parseCertificateChain } from "../../core/machine/credential_pair.ts";
import { encodePem } from "../../core/pki/asn1/pem.ts";
import { createCertificationRequest, type RequestOptions } from "../../core/pki/x509/pkcs10.ts";
import type { CapturedIoOptions } from "../support/captured_io.ts";
import { sharedKey } from "../support/csr_builder.ts";
import type { Finished } from "../support/child.ts";
import { createFakeClock } from "../support/fake_clock.ts";
import { writeKeyProgram } from "../support/key_program.ts";
import { createSeededRandom } from "../support/seeded_random.ts";
import { createIntermediateCa, createSigningCa, writeCa } from "../support/signing_ca.ts";
import { createTempFolder, type TempFolder } from "../support/temp.ts";
import { runCaptured } from "../support/run_captured.ts";

const WEB = ["--profile", "web.yaml"];
const NAMED = ["--cluster-signing-cert-file", "ca.crt", "--cluster-signing-key-file", "ca.key"];

interface SignPlace {
  readonly folder: TempFolder;
  readonly tlsboot: (args: readonly string[], more?: CapturedIoOptions) => Promise<Finished>;
}

/** Creates a folder with a profile and requests, and a function that runs the program in it. */
async function withRequests(body: (place: SignPlace) => Promise<void>): Promise<void> {
  await using folder = await createTempFolder();
  await writeFile(folder.join("web.yaml"), createProfile(""));
  await writeFile(folder.join("alone.yaml"), createProfile("chain: false\n"));
  await writeFile(folder.join("web.csr"), await createRequest({ subject: {}, dnsNames: ["a.example.com"] }));
  const node = { commonName: "system:node:n1", organizations: ["system:nodes"] };
  await writeFile(folder.join("node.csr"), await createRequest({ subject: node }));
  await writeFile(folder.join("server.csr"), await createRequest({ subject: node, dnsNames: ["n1"] }));
  await writeFile(folder.join("alice.csr"), await createRequest({ subject: { commonName: "alice" } }));
  const options = { random: createSeededRandom(), clock: createFakeClock("2026-06-01T00:00:00Z") };
  await body({
    folder,
    tlsboot: (args, more = {}) =>
      runCaptured(args, { cwd: folder.path, env: { HOME: homedir() }, ...options, ...more }),
  });
}

const createProfile = (more: string) =>
  `apiVersion: tlsboot/v1alpha1
kind: SigningProfile
signerName: example.com/web
names: { dns: { allowed: ["*.example.com"] } }
usages: { allowed: [server auth, client auth], default: [server auth] }
lifetime: { max: 24h, min: 1h }
${more}`;

async function createRequest(options: RequestOptions): Promise<string> {
  return encodePem("CERTIFICATE REQUEST", createCertificationRequest(options, await sharedKey()));
}

/** Returns the common names of the issuer and of the certificates after the leaf. */
function readChain(
  { code, stdout, stderr }: Finished,
): { readonly issuer: string | undefined; readonly intermediates: string[] } {
  assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
  const chain = parseCertificateChain(stdout);
  assert.ok(chain.ok);
  const [leaf, ...intermediates] = chain.value;
  return { issuer: leaf?.issuer.commonName, intermediates: intermediates.map(({ subject }) => subject.commonName) };
}

test("tlsboot sign uses the signer's own CA if the data directory has a CA for each purpose", async () => {
  await withRequests(async ({ tlsboot }) => {
    assert.equal((await tlsboot(["ca", "init", "--split"])).code, 0);
    for (
      const [file, signer, issuer] of [
        ["web.csr", WEB, "tlsboot-ca-custom"],
        ["alice.csr", ["--signer", "kubernetes.io/kube-apiserver-client"], "tlsboot-ca-client"],
        ["node.csr", ["--signer", "kubernetes.io/kube-apiserver-client-kubelet"], "tlsboot-ca-kubelet-client"],
        ["server.csr", ["--signer", "kubernetes.io/kubelet-serving"], "tlsboot-ca-kubelet-serving"],
        ["server.csr", ["--signer", "kubernetes.io/legacy-unknown"], "tlsboot-ca-custom"],
      ] as const
    ) {
      assert.equal(readChain(await tlsboot(["sign", file, ...signer])).issuer, issuer);
    }

    // The API trusts the client CAs but not the CA of custom signers, even if flags select them.
    const asClient = ["sign", "web.csr", ...WEB, "--usage", "client-auth"];
    assert.equal(readChain(await tlsboot(asClient)).issuer, "tlsboot-ca-custom");
    const pki = "tlsboot-data/pki";
    for (const name of ["client-ca", "kubelet-client-ca"]) {
      const refused = await tlsboot([
        ...[...asClient, "--cluster-signing-cert-file", `${pki}/${name}.crt`],
        ...["--cluster-signing-key-file", `${pki}/${name}.key`],
      ]);
      assert.equal(refused.code, 3);
      assert.match(refused.stderr, /client auth is not allowed: the API trusts this CA for clients/);
    }
  });
});

test("tlsboot sign issues client certificates by a profile only if its CA is known not to be below a trusted one", async () => {
  await withRequests(async ({ folder, tlsboot }) => {
    const asClient = ["sign", "web.csr", ...WEB, "--usage", "client-auth", ...NAMED];
    const lower = await createIntermediateCa(await createSigningCa({ commonName: "elsewhere" }), "lower");
    await writeCa(folder.join("ca"), lower);
    assert.equal(readChain(await tlsboot(asClient)).issuer, "lower");
    assert.equal((await tlsboot(["ca", "init"])).code, 0);
    assert.equal(readChain(await tlsboot(asClient)).issuer, "lower");
    await writeFile(folder.join("ca.crt"), lower.certificatePem);
    const refused = await tlsboot(asClient);
    assert.equal(refused.code, 3);
    assert.match(refused.stderr, /it is unknown whether the API trusts this CA for clients/);
  });
});

test("tlsboot sign opens encrypted keys with a passphrase from a file or typed, of --data-dir and of named files", async () => {
  await withRequests(async ({ folder, tlsboot }) => {
    await writeFile(folder.join("pass"), "open sesame\n", { mode: 0o600 });
    const file = ["--ca-passphrase-file", "pass"];
    assert.equal((await tlsboot(["ca", "init", "--split", ...file])).code, 0);
    const named = [
      ...["--cluster-signing-cert-file", "tlsboot-data/pki/custom-ca.crt"],
      ...["--cluster-signing-key-file", "tlsboot-data/pki/custom-ca.key"],
    ];
    for (const ca of [[], named]) {
      const line = ["sign", "web.csr", ...WEB, ...ca];
      assert.equal(readChain(await tlsboot([...line, ...file])).issuer, "tlsboot-ca-custom");
      const typed = await tlsboot(line, { isTerminal: true, stdin: "open sesame\n" });
      // The spinner erases its lines.
      const rest = typed.stderr.split("\n").map((text) => text.split("\r\x1b[2K").at(-1));
      assert.deepEqual(rest, ["Passphrase of tlsboot-data/pki/custom-ca.key: ", ""]);
      assert.equal(readChain({ ...typed, stderr: "" }).issuer, "tlsboot-ca-custom");
      const silent = await tlsboot(line);
      assert.deepEqual({ code: silent.code, stdout: silent.stdout }, { code: 1, stdout: "" });
      assert.match(silent.stderr, /cannot open the key ".*custom-ca\.key": there is no passphrase/);
    }
  });
});

test("tlsboot sign uses the program that holds the key, for --data-dir and for a certificate file", async () => {
  await withRequests(async ({ folder, tlsboot }) => {
    const ca = await createSigningCa({ commonName: "held" });
    const held = ["--signing-key-command", await writeKeyProgram(folder, ca.keyPem)];
    await writeFile(folder.join("ca.crt"), ca.certificatePem);
    await mkdir(folder.join("tlsboot-data/pki"), { recursive: true, mode: 0o700 });
    await writeFile(folder.join("tlsboot-data/pki/ca.crt"), ca.certificatePem);
    for (const named of [[], NAMED.slice(0, 2)]) {
      assert.equal(readChain(await tlsboot(["sign", "web.csr", ...WEB, ...named, ...held])).issuer, "held");
    }
    const broken = ["--signing-key-command", await writeKeyProgram(folder, ca.keyPem, "exits with 3 when it signs")];
    const refused = await tlsboot(["sign", "web.csr", ...WEB, ...broken]);
    assert.deepEqual({ code: refused.code, stdout: refused.stdout }, { code: 1, stdout: "" });
    assert.match(refused.stderr, /it ended with exit code 3: the token is not there/);
  });
});

test("tlsboot sign appends intermediates to a certificate unless a profile or --chain=false disables that", async () => {
  await withRequests(async ({ folder, tlsboot }) => {
    const upper = await createIntermediateCa(await createSigningCa({ commonName: "root" }), "upper");
    await writeCa(folder.join("ca"), await createIntermediateCa(upper, "lower"));
    const alice = ["alice.csr", "--signer", "kubernetes.io/kube-apiserver-client"];
    for (
      const { args, intermediates } of [
        { args: ["web.csr", ...WEB], intermediates: ["lower", "upper"] },
        { args: ["web.csr", ...WEB, "--chain=false"], intermediates: [] },
        { args: ["web.csr", "--profile", "alone.yaml"], intermediates: [] },
        { args: ["web.csr", "--profile", "alone.yaml", "--chain"], intermediates: [] },
        { args: alice, intermediates: ["lower", "upper"] },
        { args: [...alice, "--chain=false"], intermediates: [] },
      ]
    ) {
      assert.deepEqual(
        readChain(await tlsboot(["sign", ...args, ...NAMED])),
        { issuer: "lower", intermediates },
        args.join(" "),
      );
    }
  });
});
