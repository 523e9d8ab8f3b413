import assert from "node:assert/strict";
import { chmod, mkdir, readdir, readFile, unlink, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { run } from "../../cli/run.ts";
import { Secret } from "../../core/lib/brand.ts";
import { encodeKubeconfig, parseKubeconfig } from "../../core/kube/kubeconfig/kubeconfig.ts";
import { generatePrivateKey } from "../../core/pki/keys/keys.ts";
import { encodePem } from "../../core/pki/asn1/pem.ts";
import { createCapturedIo } from "../support/captured_io.ts";
import { createFakeClock } from "../support/fake_clock.ts";
import { alternativeNames, encodeOddCertificate } from "../support/odd_certificate.ts";
import { createRunner } from "../support/run_captured.ts";
import { createTempFolder, readMode } from "../support/temp.ts";

const signal = new AbortController().signal;
const TOKEN = "abcdef.0123456789abcdef";

test("tlsboot version prints the version as text, JSON and YAML", async () => {
  const manifest = JSON.parse(await readFile("deno.json", "utf8"));
  const tlsboot = createRunner("/nowhere");
  const text = await tlsboot("version");
  assert.equal(
    text.stdout,
    `tlsboot version: ${manifest.version}\nKubernetes API: v1.37.2\nCommit: unknown\nRuntime: Node 24.0.0, OpenSSL 3.5.0\n`,
  );
  const json = JSON.parse((await tlsboot("version -o json")).stdout);
  assert.deepEqual(json, {
    version: manifest.version,
    kubernetesVersion: "v1.37.2",
    gitVersion: `v1.37.2+tlsboot.${manifest.version}`,
    commit: "unknown",
    buildDate: "unknown",
    runtime: { name: "Node", version: "24.0.0" },
    opensslVersion: "3.5.0",
    formats: { dataDir: 1, database: 1 },
  });
  const onDeno = await tlsboot("version -o json", { versions: { deno: "2.9.6", node: "26.3.0", openssl: "3.0.7" } });
  assert.deepEqual(JSON.parse(onDeno.stdout).runtime, { name: "Deno", version: "2.9.6" });
  assert.equal(JSON.parse(onDeno.stdout).opensslVersion, undefined);
  assert.match((await tlsboot("version -o yaml")).stdout, /^gitVersion: v1\.37\.2\+tlsboot/m);
  assert.deepEqual(await tlsboot("--version"), text);
  assert.deepEqual(JSON.parse((await tlsboot("--version -o json")).stdout), json);
});

test("tlsboot help accepts every word of a command, and reports an unknown one", async () => {
  const tlsboot = createRunner("/nowhere");
  for (const line of ["", "get", "get csr", "approve", "token create"]) {
    assert.deepEqual(await tlsboot(`help ${line}`.trim()), await tlsboot(`${line} --help`.trim()), line);
  }
  assert.deepEqual(await tlsboot("help get certificatesigningrequests"), await tlsboot("get csr --help"));
  for (
    const [line, fault] of [
      ["help frobnicate", 'unknown command "frobnicate" for "tlsboot"'],
      ["help get pods", 'unknown command "pods" for "tlsboot get"'],
      ["help get csr n1", 'unknown command "n1" for "tlsboot get csr"'],
    ] as const
  ) {
    assert.match(
      await tlsboot.refuse(2, line),
      new RegExp(`^tlsboot: error: ${fault}\ntlsboot: hint: see: tlsboot .*--help\n$`),
    );
  }
});

test("tlsboot ca init creates one CA for ten years, which ca show describes", async () => {
  await using folder = await createTempFolder();
  const tlsboot = createRunner(folder.path);
  const made = await tlsboot("ca init");
  assert.deepEqual(made, {
    code: 0,
    stdout: "certificate: tlsboot-data/pki/ca.crt\nkey: tlsboot-data/pki/ca.key\n",
    stderr: "",
  });
  assert.equal(await readMode(folder.join("tlsboot-data/pki/ca.key")), "600");
  assert.equal(await readMode(folder.join("tlsboot-data/pki")), "700");
  const shown = JSON.parse((await tlsboot("ca show -o json")).stdout);
  assert.equal(shown.subject, "CN=tlsboot-ca");
  assert.equal(shown.notAfter, "2035-12-30T00:00:00Z");
  assert.match(shown.publicKeyPin, /^sha256:[0-9a-f]{64}$/);
  assert.match((await tlsboot("ca show")).stdout, /Validity: +from 2025-12-31T23:55:00Z to .* valid for 10y more/);

  const before = await readFile(folder.join("tlsboot-data/pki/ca.key"), "utf8");
  assert.match(await tlsboot.refuse(1, "ca init"), /exists\ntlsboot: hint: an existing CA is never overwritten/);
  assert.equal(await readFile(folder.join("tlsboot-data/pki/ca.key"), "utf8"), before);
});

test("tlsboot ca init completes an interrupted run: a key without a certificate", async () => {
  await using folder = await createTempFolder();
  const tlsboot = createRunner(folder.path);
  await tlsboot("ca init");
  const key = await readFile(folder.join("tlsboot-data/pki/ca.key"), "utf8");
  await unlink(folder.join("tlsboot-data/pki/ca.crt"));
  assert.equal((await tlsboot("ca init")).code, 0);
  assert.equal(await readFile(folder.join("tlsboot-data/pki/ca.key"), "utf8"), key);
  assert.equal((await tlsboot("kubeconfig admin")).code, 0);
});

test("tlsboot ca show shows that the CA has expired, and tlsboot doctor ends with 1", async () => {
  await using folder = await createTempFolder();
  await createRunner(folder.path)("ca init --duration 24h");
  const later = createRunner(folder.path, { clock: createFakeClock("2026-01-03T00:00:00Z") });
  assert.match((await later.succeed("ca show")).stdout, /expired 24h ago/);
  assert.equal((await later("doctor tlsboot-data")).code, 1);
});

test("tlsboot kubeconfig admin writes a private file, and replaces it only with --force", async () => {
  await using folder = await createTempFolder();
  const tlsboot = createRunner(folder.path);
  await tlsboot("ca init");
  assert.deepEqual(await tlsboot("kubeconfig admin"), {
    code: 0,
    stdout: "tlsboot-data/admin.kubeconfig\n",
    stderr: "",
  });
  const path = folder.join("tlsboot-data/admin.kubeconfig");
  assert.equal(await readMode(path), "600");
  assert.match(await tlsboot.refuse(1, "kubeconfig admin"), /it exists\ntlsboot: hint: replace it with --force/);
  assert.equal((await tlsboot("kubeconfig admin --force")).code, 0);
  const seen = await tlsboot.succeed("inspect tlsboot-data/admin.kubeconfig");
  assert.match(seen.stdout, /Client certificate: +"CN=kubernetes-admin,O=system:masters" from .* valid for 365d more/);
});

test("tlsboot kubeconfig admin reports a CA that ends before the requested lifetime", async () => {
  await using folder = await createTempFolder();
  const tlsboot = createRunner(folder.path);
  await tlsboot("ca init");
  const { stderr } = await tlsboot.succeed("kubeconfig admin --duration 4000d");
  assert.match(
    stderr,
    /warning: the certificate expires with its CA at [\dT:-]+Z, earlier than the requested 4000d/,
  );
  assert.equal((await tlsboot("kubeconfig admin --duration 3000d --force")).stderr, "");
});

test("tlsboot kubeconfig admin refuses a CA key that others can read", async () => {
  await using folder = await createTempFolder();
  const tlsboot = createRunner(folder.path);
  await tlsboot("ca init");
  await chmod(folder.join("tlsboot-data/pki/ca.key"), 0o644);
  assert.match(
    await tlsboot.refuse(1, "kubeconfig admin"),
    /its mode 0644 lets other users access it\ntlsboot: hint: chmod 600 /,
  );
});

test("tlsboot kubeconfig admin writes the address in admin.kubeconfig into another file", async () => {
  await using folder = await createTempFolder();
  const tlsboot = createRunner(folder.path);
  await tlsboot("ca init");
  await tlsboot("kubeconfig admin --server https://10.0.0.9:6443");
  const other = await tlsboot("kubeconfig admin --user bob --out -");
  assert.match(other.stdout, /server: https:\/\/10\.0\.0\.9:6443\n/);
});

test("tlsboot token create -o yaml prints the Secret that kubeadm would create", async () => {
  const tlsboot = createRunner("/nowhere");
  const { stdout, stderr } = await tlsboot.succeed(`token create -o yaml --ttl 1h --description lab ${TOKEN}`);
  assert.equal(stderr, "");
  const encode = (text: string): string => btoa(text);
  assert.equal(
    stdout,
    `apiVersion: v1
data:
  auth-extra-groups: ${encode("system:bootstrappers:tlsboot")}
  description: ${encode("lab")}
  expiration: ${encode("2026-01-01T01:00:00Z")}
  token-id: ${encode("abcdef")}
  token-secret: ${encode("0123456789abcdef")}
  usage-bootstrap-authentication: ${encode("true")}
  usage-bootstrap-signing: ${encode("true")}
kind: Secret
metadata:
  name: bootstrap-token-abcdef
  namespace: kube-system
type: bootstrap.kubernetes.io/token
`,
  );
});

test("tlsboot token create --out - prints what would be written", async () => {
  const create = `token create -o yaml --ttl 1h ${TOKEN}`;
  const tlsboot = createRunner("/nowhere");
  assert.equal((await tlsboot.succeed(`${create} --out -`)).stdout, (await tlsboot.succeed(create)).stdout);
});

test("tlsboot token create --ttl 0 warns", async () => {
  const { code, stdout, stderr } = await createRunner("/nowhere")("token create -o yaml --ttl 0");
  assert.equal(code, 0);
  assert.match(stderr, /warning: this token never expires/);
  assert.doesNotMatch(stdout, /expiration/);
});

test("tlsboot inspect recognizes certificates, keys and requests, PEM and DER, and shows no key", async () => {
  await using folder = await createTempFolder();
  const tlsboot = createRunner(folder.path);
  await tlsboot("ca init");
  const key = await readFile(folder.join("tlsboot-data/pki/ca.key"), "utf8");
  const certificate = await readFile(folder.join("tlsboot-data/pki/ca.crt"), "utf8");
  await writeFile(folder.join("both.pem"), certificate + key);
  const body = certificate.split("\n").filter((line) => !line.startsWith("-----")).join("");
  await writeFile(folder.join("ca.der"), Uint8Array.from(atob(body), (char) => char.charCodeAt(0)));
  await writeFile(folder.join("broken.pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
  const seen = await tlsboot.succeed("inspect both.pem ca.der broken.pem");
  assert.match(seen.stdout, /^both\.pem: CA certificate "CN=tlsboot-ca"\n/);
  assert.match(seen.stdout, /both\.pem: private key ECDSA P-256\n {2}Belongs: +to certificate "CN=tlsboot-ca"\n/);
  assert.match(seen.stdout, /ca\.der: CA certificate/);
  assert.match(seen.stdout, /broken\.pem: unreadable certificate\n {2}Error: /);
  assert.ok(!seen.stdout.includes(key.split("\n")[1] ?? "?"));
});

test("tlsboot inspect shows the first SAN of a certificate without a subject", async () => {
  await using folder = await createTempFolder();
  const key = await generatePrivateKey("ecdsa-p256");
  const der = encodeOddCertificate({
    subject: "",
    issuer: "pods",
    key,
    signer: key,
    notBefore: new Date("2026-01-01T00:00:00Z"),
    notAfter: new Date("2046-01-01T00:00:00Z"),
    serial: Uint8Array.of(1),
    version: 3,
    extensions: [alternativeNames("DNS:shop.web.svc")],
  });
  await writeFile(folder.join("pod.pem"), encodePem("CERTIFICATE", der) + key.toPem());
  const { stdout } = await createRunner(folder.path)("inspect pod.pem");
  assert.match(stdout, /^pod\.pem: certificate "shop\.web\.svc"\n/);
  assert.match(stdout, /Belongs: +to certificate "shop\.web\.svc"\n/);
});

test("tlsboot inspect compares keys with certificates across files", async () => {
  await using folder = await createTempFolder();
  const tlsboot = createRunner(folder.path);
  await tlsboot("ca init");
  for (const name of ["alice", "bob"]) {
    await tlsboot.succeed(`kubeconfig admin --user ${name} --out ${name}.kubeconfig`);
    const config = parseKubeconfig(await readFile(folder.join(`${name}.kubeconfig`), "utf8"), name);
    assert.ok(config.ok);
    const { clientCertificateData = "", clientKeyData } = config.value.users[0]?.user ?? {};
    await writeFile(folder.join(`${name}.crt`), clientCertificateData);
    await writeFile(folder.join(`${name}.key`), clientKeyData?.reveal() ?? "", { mode: 0o600 });
  }
  const fits = await tlsboot.succeed("inspect alice.crt alice.key");
  assert.match(
    fits.stdout,
    /alice\.key: private key .*\n {2}Belongs: +to certificate "CN=alice\S*" in alice\.crt\n/,
  );
  const differs = await tlsboot.succeed("inspect alice.crt bob.key");
  assert.match(differs.stdout, /bob\.key: private key .*\n {2}Belongs: +to no certificate in these files\n/);

  assert.match((await tlsboot("inspect alice.kubeconfig")).stdout, /Client key: +belongs to the client certificate\n/);
  const mixed = parseKubeconfig(await readFile(folder.join("alice.kubeconfig"), "utf8"), "mixed");
  assert.ok(mixed.ok);
  const key = new Secret(await readFile(folder.join("bob.key"), "utf8"));
  const users = mixed.value.users.map(({ name, user }) => ({ name, user: { ...user, clientKeyData: key } }));
  await writeFile(folder.join("mixed.kubeconfig"), encodeKubeconfig({ ...mixed.value, users }), { mode: 0o600 });
  const wrong = await tlsboot.succeed("inspect mixed.kubeconfig");
  assert.match(wrong.stdout, /Client key: +does not belong to the client certificate\n/);
  const checked = await tlsboot("doctor mixed.kubeconfig");
  assert.equal(checked.code, 1);
  assert.match(checked.stdout, /error +key-pair +the key in "mixed\.kubeconfig" does not belong to certificate "alice/);

  const facts = JSON.parse((await tlsboot("inspect alice.crt alice.key -o json")).stdout);
  assert.equal(facts[1].belongsToCertificate, true);

  const whole = await tlsboot.succeed("inspect tlsboot-data/pki");
  assert.match(
    whole.stdout,
    /^tlsboot-data\/pki\/ca\.crt: CA certificate[^]*ca\.key: private key[^]*in tlsboot-data\/pki\/ca\.crt\n/,
  );
  await mkdir(folder.join("empty"));
  assert.match((await tlsboot("inspect empty")).stderr, /cannot inspect "empty": it contains no certificate, /);
});

test("tlsboot inspect continues after a file it cannot read, and ends with 1", async () => {
  await using folder = await createTempFolder();
  const tlsboot = createRunner(folder.path);
  await tlsboot("ca init");
  const seen = await tlsboot("inspect none.pem tlsboot-data/pki/ca.crt");
  assert.equal(seen.code, 1);
  assert.match(seen.stderr, /cannot read "none\.pem": no such file/);
  assert.match(seen.stdout, /CA certificate/);
});

test("tlsboot inspect shows that a certificate has expired, and tlsboot doctor ends with 1", async () => {
  await using folder = await createTempFolder();
  await createRunner(folder.path)("ca init --duration 24h");
  const later = createRunner(folder.path, { clock: createFakeClock("2027-01-01T00:00:00Z") });
  const seen = await later.succeed("inspect tlsboot-data/pki/ca.crt -o json");
  assert.equal(JSON.parse(seen.stdout)[0].state, "expired");
  assert.equal((await later("doctor tlsboot-data/pki/ca.crt")).code, 1);
});

test("settings come from the configuration file, and --debug shows the origin of each", async () => {
  await using folder = await createTempFolder();
  await writeFile(folder.join("c.yaml"), "apiVersion: tlsboot/v1alpha1\nkind: Config\ndataDir: elsewhere\n");
  const tlsboot = createRunner(folder.path);
  const made = await tlsboot.succeed("ca init --config c.yaml --debug --common-name lab");
  assert.match(made.stderr, /debug: --data-dir: "elsewhere" \(config file "c\.yaml": dataDir\)\n/);
  assert.match(made.stderr, /debug: --common-name: "lab" \(--common-name\)\n/);
  assert.match(made.stderr, /debug: --duration: 315360000000 \(default\)\n/);
  assert.match(made.stdout, /^certificate: elsewhere\/pki\/ca\.crt\n/);
});

test("faults of file, environment and flags are reported together", async () => {
  await using folder = await createTempFolder();
  await writeFile(folder.join("c.yaml"), "apiVersion: tlsboot/v1alpha1\nkind: Config\ndatadir: x\n");
  const { code, stderr } = await createRunner(folder.path)("up --config c.yaml --max-requests-inflight dsa", {
    env: { TLSBOOT_GC_DENIED: "long" },
  });
  assert.equal(code, 2);
  assert.equal(
    stderr,
    'tlsboot: error: config file "c.yaml": unknown key "datadir", did you mean "dataDir"?\n' +
      'tlsboot: error: --max-requests-inflight: "dsa" found, want a number from 1 to 100000\n' +
      'tlsboot: error: TLSBOOT_GC_DENIED: "long" found, want a duration such as 10m, 24h, 90d or 10y\n' +
      "tlsboot: hint: see: tlsboot up --help\n",
  );
});

test("a --config file may set a flag that another command accepts only on the command line", async () => {
  await using folder = await createTempFolder();
  const config = "apiVersion: tlsboot/v1alpha1\nkind: Config\nkubeconfig: cluster.kubeconfig\n";
  await writeFile(folder.join("role.yaml"), config);
  const tlsboot = createRunner(folder.path);
  for (const role of ["signer", "approver", "attestor"]) {
    const { code, stderr } = await tlsboot(`${role} --config role.yaml --print-rbac`);
    assert.deepEqual({ code, stderr }, { code: 0, stderr: "" }, role);
  }
  assert.match((await tlsboot("bootstrap --config role.yaml")).stderr, /--kubeconfig is for the command line only/);
});

for (
  const [line, key] of [
    ["backup x.backup", "force"],
    ["restore x.backup", "force"],
    ["request --signer example.com/web --out web", "force"],
    ["ca init", "duration"],
    ["get csr", "output"],
    ["up", "installService"],
  ] as const
) {
  test(`tlsboot ${line} takes ${key} from the command line only, not from a --config file`, async () => {
    await using folder = await createTempFolder();
    await writeFile(folder.join("c.yaml"), `apiVersion: tlsboot/v1alpha1\nkind: Config\n${key}: true\n`);
    const stderr = await createRunner(folder.path).refuse(2, `${line} --config c.yaml`);
    const name = key.replace("S", "-s");
    assert.match(
      stderr,
      new RegExp(`^tlsboot: error: config file "c\\.yaml": --${name} is for the command line only\n`),
    );
    assert.deepEqual(await readdir(folder.path), ["c.yaml"]);
  });
}

for (
  const [line, name, fault] of [
    ["ca init", "TLSBOOT_DURATION", "takes --duration from the command line only"],
    ["token create", "TLSBOOT_GROUPS", "takes --groups from the command line only"],
    ["ca init", "TLSBOOT_CONTEXT", "has no --context"],
    ["ca init", "TLSBOOT_CONFIG", "takes --config from the command line only"],
  ] as const
) {
  test(`tlsboot ${line} does nothing while ${name} is set`, async () => {
    await using folder = await createTempFolder();
    assert.equal(
      await createRunner(folder.path).refuse(2, line, { env: { [name]: "24h" } }),
      `tlsboot: error: ${name} is set, but "tlsboot ${line}" ${fault}\n` +
        `tlsboot: hint: a variable could change what this command signs or writes, so run: unset ${name}\n`,
    );
    assert.deepEqual(await readdir(folder.path), []);
  });
}

test("a connection variable applies to every command with its flag, and others ignore it", async () => {
  await using folder = await createTempFolder();
  const tlsboot = createRunner(folder.path, { env: { TLSBOOT_DATA_DIR: "elsewhere" } });
  assert.match((await tlsboot("ca init")).stdout, /^certificate: elsewhere\/pki\/ca\.crt\n/);
  const shown = await tlsboot("inspect elsewhere/pki/ca.crt");
  assert.deepEqual([shown.code, shown.stderr], [0, ""]);
});

test("only terminals without NO_COLOR get colours", async () => {
  const tlsboot = createRunner("/nowhere");
  const escape = "\x1b[31merror:";
  assert.ok((await tlsboot("nope", { isTerminal: true })).stderr.includes(escape));
  assert.ok(!(await tlsboot("nope", { isTerminal: true, env: { NO_COLOR: "1" } })).stderr.includes(escape));
  assert.ok(!(await tlsboot("nope")).stderr.includes(escape));
});

test("a bug is reported as a bug, with its causes only if --debug is set", async () => {
  const failing = {
    program: "tlsboot",
    description: "D.",
    families: [],
    firstDay: [],
    commands: [{
      path: ["fail"],
      summary: "F",
      description: "F.",
      group: "Program Commands" as const,
      args: [],
      flags: {},
      examples: {},
      exitCodes: {},
      load: () => Promise.reject(new TypeError("outer", { cause: new Error("inner") })),
    }],
  };
  const quiet = createCapturedIo();
  assert.equal(await run(["fail"], quiet, signal, failing), 1);
  assert.match(quiet.stderrText(), /^tlsboot: error: outer\ntlsboot: hint: this is a bug in tlsboot/);
  const debug = createCapturedIo();
  await run(["fail", "--debug"], debug, signal, failing);
  assert.match(debug.stderrText(), /tlsboot: cause: inner\n/);
});
