/** Tests `ca init`, `ca import` and `ca show`: constraints, a CA for each purpose, and imported CAs. */
import assert from "node:assert/strict";
import { chmod, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { encodeTrust } from "../../core/pki/x509/ca_bundle.ts";
import { NO_SUBTREES } from "../../core/pki/x509/name_constraints.ts";
import { createFakeClock } from "../support/fake_clock.ts";
import {
  createIntermediateCa,
  createSigningCa,
  issueClientCertificate,
  type SigningCa,
} from "../support/signing_ca.ts";
import { createTempFolder, type TempFolder } from "../support/temp.ts";
import { createRunner, type Runner } from "../support/run_captured.ts";
import { formatFingerprint } from "../../core/report/words.ts";

function createCaRunner(cwd: string): Runner {
  return createRunner(cwd, { clock: createFakeClock("2026-06-01T00:00:00Z") });
}

async function writeImportFiles(folder: TempFolder, certificatePem: string, keyPem: string): Promise<void> {
  await writeFile(folder.join("given.crt"), certificatePem);
  await writeFile(folder.join("given.key"), keyPem, { mode: 0o600 });
}

const IMPORT = "ca import --ca-cert given.crt --ca-key given.key";

test("tlsboot ca init --permit-dns --permit-ip creates a constrained CA, and ca show and inspect show its constraints", async () => {
  await using folder = await createTempFolder();
  const tlsboot = createCaRunner(folder.path);
  await tlsboot.succeed("ca init --permit-dns Example.org --permit-dns .lab.example --permit-ip 10.0.0.0/8,fd00::1");
  const text = "DNS names example.org and below, below lab.example; IP addresses 10.0.0.0/8, fd00::1/128; " +
    "other kinds of names freely";
  assert.ok((await tlsboot("ca show")).stdout.includes(`May issue for:   ${text}\n`));
  assert.ok((await tlsboot("inspect tlsboot-data/pki/ca.crt")).stdout.includes(text));
  const { nameConstraints } = JSON.parse((await tlsboot("ca show -o json")).stdout);
  assert.deepEqual(nameConstraints.permitted.dnsNames, ["example.org", ".lab.example"]);
  assert.deepEqual(nameConstraints.permitted.ipRanges, ["10.0.0.0/8", "fd00::1/128"]);
});

for (
  const [flag, value, want] of [
    ["--permit-dns", "*.example.org", "leave the asterisk out"],
    ["--permit-dns", "example.org.", "want a domain such as example.org"],
    ["--permit-ip", "10.0.0.1/8", "want a range such as 10.0.0.0/8"],
    ["--permit-ip", "example.org", "want a range such as 10.0.0.0/8"],
  ] as const
) {
  test(`tlsboot ca init refuses ${flag} ${value} and writes nothing`, async () => {
    await using folder = await createTempFolder();
    const { code, stderr } = await createCaRunner(folder.path)(`ca init ${flag} ${value}`);
    assert.equal(code, 2);
    assert.ok(stderr.includes(want), stderr);
    assert.deepEqual(await readdir(folder.path), []);
  });
}

test("tlsboot ca init --split creates a CA for each purpose, and ca show shows all of them", async () => {
  await using folder = await createTempFolder();
  const tlsboot = createCaRunner(folder.path);
  assert.equal((await tlsboot("ca init --split --permit-dns example.org")).code, 0);
  const names = ["ca", "client-ca", "custom-ca", "kubelet-client-ca", "kubelet-serving-ca"];
  const files = names.flatMap((name) => [`${name}.crt`, `${name}.key`]);
  assert.deepEqual((await readdir(folder.join("tlsboot-data/pki"))).sort(), files);
  const shown = await tlsboot.succeed("ca show");
  assert.equal(shown.stdout.match(/^For:/gm)?.length, 5);
  assert.equal(shown.stdout.match(/example\.org and below/g)?.length, 5);
  const json = JSON.parse((await tlsboot("ca show -o json")).stdout);
  const subjects = [json, ...json.split].map(({ subject }: { readonly subject: string }) => subject);
  assert.deepEqual(subjects, [
    "CN=tlsboot-ca",
    "CN=tlsboot-ca-client",
    "CN=tlsboot-ca-kubelet-client",
    "CN=tlsboot-ca-kubelet-serving",
    "CN=tlsboot-ca-custom",
  ]);
  const before = await Promise.all(files.map((file) => readFile(folder.join(`tlsboot-data/pki/${file}`), "utf8")));
  for (const again of ["ca init", "ca init --split"]) {
    assert.match(await tlsboot.refuse(1, again), /an existing CA is never overwritten/);
  }
  const after = await Promise.all(files.map((file) => readFile(folder.join(`tlsboot-data/pki/${file}`), "utf8")));
  assert.deepEqual(after, before);
});

test("only tlsboot ca init --split completes an interrupted --split", async () => {
  await using folder = await createTempFolder();
  const tlsboot = createCaRunner(folder.path);
  const at = (name: string) => folder.join(`tlsboot-data/pki/${name}`);
  await tlsboot("ca init --split");
  const kept = await readFile(at("client-ca.crt"), "utf8");
  const key = await readFile(at("kubelet-client-ca.key"), "utf8");
  for (const name of ["ca.crt", "ca.key", "kubelet-client-ca.crt"]) await rm(at(name));
  assert.match(
    await tlsboot.refuse(1, "ca init"),
    /client-ca\.crt" exists\ntlsboot: hint: complete .*: tlsboot ca init --split/,
  );
  assert.match(await tlsboot.refuse(1, "serve --secure-port 0"), /tlsboot ca init --split/);
  assert.equal((await tlsboot("ca init --split")).code, 0);
  assert.equal(await readFile(at("client-ca.crt"), "utf8"), kept);
  assert.equal(await readFile(at("kubelet-client-ca.key"), "utf8"), key);
});

test("a split instance with a missing CA is refused, and no other CA takes its place", async () => {
  await using folder = await createTempFolder();
  const tlsboot = createCaRunner(folder.path);
  await tlsboot("ca init --split");
  await rm(folder.join("tlsboot-data/pki/client-ca.crt"));
  for (const line of ["ca show", "kubeconfig admin", "serve --secure-port 0", "up --secure-port 0"]) {
    assert.match(
      await tlsboot.refuse(1, line),
      /cannot use the CAs in .* but not .*client-ca\.crt\ntlsboot: hint: restore the missing files/,
    );
  }
});

test("tlsboot ca import imports a chain with its key, and describes it", async () => {
  await using folder = await createTempFolder();
  const tlsboot = createCaRunner(folder.path);
  const nameConstraints = { permitted: { ...NO_SUBTREES, dnsNames: ["example.org"] }, excluded: NO_SUBTREES };
  const root = await createSigningCa({ commonName: "root" });
  const upper = await createIntermediateCa(root, "upper", { nameConstraints });
  const lower = await createIntermediateCa(upper, "lower", { maxPathLength: 0 });
  await writeImportFiles(folder, `text before\n${encodeTrust(lower)}`, lower.keyPem);
  const taken = await tlsboot(IMPORT);
  assert.deepEqual(taken, {
    code: 0,
    stdout: `certificate: tlsboot-data/pki/ca.crt
key: tlsboot-data/pki/ca.key
subject: CN=lower
issued by: CN=upper, issued by CN=root
"CN=upper" may issue for: DNS names example.org and below; other kinds of names freely
valid until: 2035-01-01T00:00:00Z
SHA-256: ${formatFingerprint(lower.certificate.sha256Fingerprint)}
`,
    stderr: "",
  });
  assert.equal(await readFile(folder.join("tlsboot-data/pki/ca.crt"), "utf8"), encodeTrust(lower));
  const shown = (await tlsboot("ca show")).stdout;
  assert.match(shown, /Issued by: +CN=upper, from .*\nIssued by: +CN=root, a root, from /);
  assert.match(shown, /May issue for: +DNS names example\.org and below.* \(set by CN=upper\)\nCAs below it: +none\n/);
  assert.equal((await tlsboot("doctor tlsboot-data", { clock: createFakeClock("2036-01-01T00:00:00Z") })).code, 1);
  assert.match(await tlsboot.refuse(1, IMPORT), /never overwritten/);
});

interface Refusal {
  readonly name: string;
  readonly given: () => Promise<{ readonly certificate: string; readonly key: string; readonly mode?: number }>;
  readonly time?: string;
  readonly want: RegExp;
}

const toPair = (ca: SigningCa) => ({ certificate: encodeTrust(ca), key: ca.keyPem });
const root = createSigningCa({ commonName: "root" });

const REFUSALS: readonly Refusal[] = [
  {
    name: "another CA's key",
    given: async () => ({ ...toPair(await createIntermediateCa(await root)), key: (await root).keyPem }),
    want: /private key does not match public key\ntlsboot: hint: give the CA first/,
  },
  {
    name: "a key that others can read",
    given: async () => ({ ...toPair(await root), mode: 0o644 }),
    want: /others may read it \(mode 644\)\ntlsboot: hint: chmod 600/,
  },
  {
    name: "a certificate that is not a CA",
    given: async () => ({
      certificate: await issueClientCertificate(await root, new Date("2026-01-01"), new Date("2027-01-01")),
      key: (await root).keyPem,
    }),
    want: /the certificate is not a CA/,
  },
  {
    name: "the wrong order",
    given: async () => {
      const lower = await createIntermediateCa(await root, "lower");
      return { certificate: (await root).certificatePem + lower.certificatePem, key: (await root).keyPem };
    },
    want: /certificate 1 "CN=root" signed itself, so 2 "CN=lower" after it is not its issuer/,
  },
  {
    name: "a chain without its root",
    given: async () => ({ ...toPair(await root), ...await issueWithoutRoot() }),
    want:
      /the issuer of "CN=lower" is missing: "CN=root"\ntlsboot: hint: put each issuer after the certificate that it issued/,
  },
  {
    name: "an expired CA",
    given: async () => toPair(await root),
    time: "2036-01-01T00:00:00Z",
    want: /"CN=root" expired at 2035-01-01T00:00:00Z\ntlsboot: hint: give a valid CA/,
  },
  {
    name: "a CA that is not valid yet",
    given: async () => toPair(await root),
    time: "2024-01-01T00:00:00Z",
    want: /"CN=root" is not valid before 2025-01-01T00:00:00Z/,
  },
  {
    name: "a CA for servers only",
    given: async () => toPair(await createIntermediateCa(await root, "web", { usages: ["cert sign", "server auth"] })),
    want:
      /the extended key usages of "CN=web" do not allow certificates of clients[^]*--cluster-signing-kubelet-serving-cert-file/,
  },
  {
    name: "no certificate",
    given: async () => ({ certificate: "garbage", key: (await root).keyPem }),
    want: /must contain at least one CERTIFICATE PEM block/,
  },
];

async function issueWithoutRoot(): Promise<{ readonly certificate: string; readonly key: string }> {
  const lower = await createIntermediateCa(await root, "lower");
  return { certificate: lower.certificatePem, key: lower.keyPem };
}

for (const { name, given, time, want } of REFUSALS) {
  test(`tlsboot ca import refuses ${name} and writes nothing`, async () => {
    await using folder = await createTempFolder();
    const { certificate, key, mode } = await given();
    await writeImportFiles(folder, certificate, key);
    await chmod(folder.join("given.key"), mode ?? 0o600);
    const options = time === undefined ? {} : { clock: createFakeClock(time) };
    const { code, stderr } = await createCaRunner(folder.path)(IMPORT, options);
    assert.equal(code, 1);
    assert.match(stderr, want);
    assert.equal((await readdir(folder.path)).includes("tlsboot-data"), false);
    assert.equal(stderr.includes("PRIVATE KEY"), false);
  });
}

test("tlsboot ca import refuses missing files and --common-name, and ca init has no --import-cert", async () => {
  await using folder = await createTempFolder();
  const tlsboot = createCaRunner(folder.path);
  for (
    const [line, code, want] of [
      ["ca init --import-cert a.crt", 2, /unknown flag "--import-cert"/],
      ["ca import --ca-key a.key", 2, /--ca-cert/],
      [`${IMPORT} --common-name x`, 2, /unknown flag "--common-name"/],
      [IMPORT, 1, /given\.crt": file does not exist\ntlsboot: hint: check the path of --ca-cert/],
    ] as const
  ) {
    assert.match(await tlsboot.refuse(code, line), want);
  }
});
