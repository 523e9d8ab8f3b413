/** Files are written for their owner only, at the requested place, and not through a link that another user planted. */
import assert from "node:assert/strict";
import { chmod, lstat, mkdir, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { generatePrivateKey } from "../../core/pki/keys/keys.ts";
import { type Finished, runTlsboot, startTlsboot } from "../support/child.ts";
import { buildCsr } from "../support/csr_builder.ts";
import { startInstance } from "../support/instance_process.ts";
import { runCaptured } from "../support/run_captured.ts";
import { createTempFolder, type TempFolder } from "../support/temp.ts";

/** The public files: certificates, CRLs, public keys, and files without a secret, such as the format number. */
const PUBLIC = /(?:^|\/)(?:[^/]*\.(?:cr[tl]|pub)|format|\.tlsboot-demo|refused\.yaml)$/;

/** Runs tlsboot and asserts that it succeeds. */
async function succeed(args: readonly string[], cwd: string): Promise<void> {
  const { code, stderr } = await runTlsboot(args, { cwd });
  assert.equal(code, 0, `${args.join(" ")}: ${stderr}`);
}

/** Lists every path below a folder without following links. */
async function walk(root: string): Promise<readonly string[]> {
  const entries = await readdir(root, { withFileTypes: true, recursive: true });
  return entries.map((entry) => join(entry.parentPath, entry.name));
}

test("with a umask of 0, other users can read only public files and write none", async () => {
  await using folder = await createTempFolder();
  const before = process.umask(0);
  using _umask = { [Symbol.dispose]: () => void process.umask(before) };
  const at = folder.path;
  await using _up = await startInstance(folder, ["--auto-approve", "--audit-log-path", "audit.log"]);
  const data = ["--data-dir", "data"];
  const bootstrap = ["--bootstrap-kubeconfig", "data/bootstrap.kubeconfig", "--kubeconfig", "n1/kubeconfig"];
  await succeed(["bootstrap", ...bootstrap, "--cert-dir", "n1/pki", "--hostname-override", "n1"], at);
  await succeed(["kubeconfig", "user", "bob", ...data], at);
  await succeed(["kubeconfig", "admin", ...data, "--out", "admin.kubeconfig"], at);
  await succeed([
    ...["request", "--kubeconfig", "data/admin.kubeconfig", "--signer", "example.com/a"],
    ...["--subject", "CN=a", "--out", "out", "--no-wait"],
  ], at);
  await writeFile(folder.join("passphrase"), "correct horse battery staple\n", { mode: 0o600 });
  await succeed(["ca", "init", "--data-dir", "ca", "--ca-passphrase-file", "passphrase"], at);
  await succeed(["token", "create", ...data], at);
  await succeed(["demo", "--nodes", "1", "--data-dir", "demo"], at);
  const wide: string[] = [];
  let files = 0;
  for (const path of await walk(at)) {
    const facts = await lstat(path);
    if (facts.isSymbolicLink()) continue;
    files++;
    const name = relative(at, path);
    const allowed = facts.isDirectory() ? 0o700 : PUBLIC.test(name) ? 0o644 : 0o600;
    if ((facts.mode & 0o777 & ~allowed) !== 0) wide.push(`${name} ${(facts.mode & 0o777).toString(8)}`);
    if (facts.isFile() && facts.nlink !== 1) wide.push(`${name} has ${facts.nlink} names`);
  }
  assert.deepEqual(wide, []);
  assert.ok(files > 25, `only ${files} files and folders were checked`);
});

/** The paths of secrets, and the commands that write them. */
const SECRETS: readonly { readonly path: string; readonly args: readonly string[]; readonly isServer?: true }[] = [
  ...[
    "pki/ca.key",
    "pki/apiserver.key",
    "pki/sa.key",
    "admin.kubeconfig",
    "bootstrap.kubeconfig",
    "tlsboot.db",
    "tlsboot.db-wal",
  ]
    .map((name) => ({
      path: `data/${name}`,
      args: ["up", "--data-dir", "data", "--secure-port", "0"],
      isServer: true as const,
    })),
  { path: "ca/pki/ca.key", args: ["ca", "init", "--data-dir", "ca"] },
  { path: "ca/pki/ca.crt", args: ["ca", "init", "--data-dir", "ca"] },
];

/** The targets of a planted link; a new database begins as an empty file. */
const TARGETS = { "nothing": undefined, "another user's file": "precious\n", "another user's empty file": "" } as const;

for (const { path, args, isServer } of SECRETS) {
  for (const [end, content] of Object.entries(TARGETS)) {
    if (content === "" && !path.includes(".db")) continue;
    test(`no secret is written through a link at ${path} to ${end}`, async () => {
      await using folder = await createTempFolder();
      await plant(folder, path, content);
      await using running = startTlsboot(args, { cwd: folder.path });
      if (isServer === true) await running.waitFor(/is up at|tlsboot: error/).catch(() => undefined);
      else await running.finished();
      await assertUntouched(folder, content);
    });
  }
}

async function plant(folder: TempFolder, path: string, content: string | undefined): Promise<void> {
  for (const name of [dirname(path).split("/")[0]!, dirname(path)]) {
    await mkdir(folder.join(name), { recursive: true, mode: 0o700 });
  }
  if (content !== undefined) await writeFile(folder.join("elsewhere"), content, { mode: 0o644 });
  await symlink(folder.join("elsewhere"), folder.join(path));
}

async function assertUntouched(folder: TempFolder, content: string | undefined): Promise<void> {
  if (content === undefined) {
    return assert.equal(await stat(folder.join("elsewhere")).catch(() => undefined), undefined);
  }
  assert.equal(await readFile(folder.join("elsewhere"), "utf8"), content);
  assert.equal((await stat(folder.join("elsewhere"))).mode & 0o777, 0o644);
}

test("a client writes no secret through a planted link", async () => {
  await using folder = await createTempFolder();
  await using _up = await startInstance(folder, ["--auto-approve"]);
  const bootstrap = ["bootstrap", "--bootstrap-kubeconfig", "data/bootstrap.kubeconfig", "--hostname-override", "n1"];
  const request = ["request", "--kubeconfig", "data/admin.kubeconfig", "--signer", "example.com/a", "--subject"];
  for (
    const [path, args] of [
      ["n1/kubeconfig", [...bootstrap, "--kubeconfig", "n1/kubeconfig", "--cert-dir", "n1/pki"]],
      ["n2/pki/kubelet-client.key.tmp", [...bootstrap, "--kubeconfig", "n2/kubeconfig", "--cert-dir", "n2/pki"]],
      ["out/tls.key", [...request, "CN=a", "--out", "out", "--no-wait"]],
      ["out2/tls.key.new", [...request, "CN=b", "--out", "out2", "--no-wait"]],
      ["bob.kubeconfig", ["kubeconfig", "user", "bob", "--data-dir", "data"]],
      ["bob.kubeconfig", ["kubeconfig", "user", "bob", "--data-dir", "data", "--force"]],
      ["admin", ["kubeconfig", "admin", "--data-dir", "data", "--out", "admin"]],
    ] as const
  ) {
    await using place = await createTempFolder();
    const target = place.join("elsewhere");
    await mkdir(dirname(folder.join(path)), { recursive: true });
    await symlink(target, folder.join(path)).catch(() => undefined);
    await runTlsboot(args, { cwd: folder.path });
    assert.equal(await stat(target).catch(() => undefined), undefined, `${args.join(" ")} followed ${path}`);
  }
});

for (const mode of [0o777, 0o707, 0o1777]) {
  test(`a data directory of mode ${mode.toString(8)} is refused, and nothing is written to it`, async () => {
    for (const args of [["up", "--secure-port", "0"], ["serve", "--secure-port", "0"], ["ca", "init"]]) {
      await using folder = await createTempFolder();
      await mkdir(folder.join("data"));
      await chmod(folder.join("data"), mode);
      const { code, stderr } = await runTlsboot([...args, "--data-dir", "data"], { cwd: folder.path });
      assert.equal(code, 1);
      assert.match(stderr, /every user may write to it/);
      assert.match(stderr, /hint: chmod 700/);
      assert.deepEqual(await readdir(folder.join("data")), []);
    }
  });
}

/** The paths of keys of pending requests, and the commands that would use them. No request is sent. */
const PENDING_KEYS: readonly { readonly key: string; readonly folder: string; readonly args: readonly string[] }[] = [
  {
    key: "n1/pki/kubelet-client.key.tmp",
    folder: "n1/pki",
    args: [
      ...["bootstrap", "--bootstrap-kubeconfig", "token.kubeconfig", "--kubeconfig", "n1/kubeconfig"],
      ...["--cert-dir", "n1/pki", "--hostname-override", "n1", "--timeout", "1s"],
    ],
  },
  {
    key: "out/tls.key.new",
    folder: "out",
    args: [
      ...["request", "--kubeconfig", "token.kubeconfig", "--signer", "example.com/a", "--subject", "CN=a"],
      ...["--out", "out", "--no-wait"],
    ],
  },
];

const UNREACHED = `apiVersion: v1
kind: Config
clusters: [{ name: c, cluster: { server: "https://127.0.0.1:1" } }]
users: [{ name: u, user: { token: abcdef.0123456789abcdef } }]
contexts: [{ name: x, context: { cluster: c, user: u } }]
current-context: x
`;

for (const { key, folder: keyFolder, args } of PENDING_KEYS) {
  const refusal = async (plantKey: (path: string, pem: string) => Promise<void>): Promise<Finished> => {
    await using folder = await createTempFolder();
    await writeFile(folder.join("token.kubeconfig"), UNREACHED, { mode: 0o600 });
    await mkdir(folder.join(keyFolder), { recursive: true, mode: 0o700 });
    const pem = (await generatePrivateKey("ecdsa-p256")).toPem();
    await plantKey(folder.join(key), pem);
    const refused = await runCaptured(args, { cwd: folder.path });
    assert.equal(refused.code, 1, refused.stderr);
    assert.doesNotMatch(refused.stderr, /cannot reach/);
    return refused;
  };

  for (
    const { name, want, plantKey } of [
      {
        name: "a link",
        want: /it is a symbolic link/,
        async plantKey(path: string, pem: string) {
          await writeFile(`${path}.elsewhere`, pem, { mode: 0o600 });
          await symlink(`${path}.elsewhere`, path);
        },
      },
      ...[0o644, 0o620].map((mode) => ({
        name: `readable by others (mode ${mode.toString(8)})`,
        want: /others may read it/,
        async plantKey(path: string, pem: string) {
          await writeFile(path, pem);
          await chmod(path, mode);
        },
      })),
    ]
  ) {
    test(`no certificate is requested for a planted ${key} that is ${name}`, async () => {
      const { stderr } = await refusal(plantKey);
      assert.match(stderr, want);
      assert.match(stderr, /cannot use the key in ".*": .*\n.*hint: .*remove it to begin with a new key/);
    });
  }

  test(`no certificate is requested for a key in ${keyFolder} if every user may write to it`, async () => {
    const { stderr } = await refusal(async (path, pem) => {
      await writeFile(path, pem, { mode: 0o600 });
      await chmod(dirname(path), 0o777);
    });
    assert.match(stderr, /cannot use folder ".*": every user may write to it \(mode 777\)\n.*hint: chmod 700/);
  });
}

test("a CA key that others may read or write is refused", async () => {
  await using folder = await createTempFolder();
  await succeed(["ca", "init", "--data-dir", "data"], folder.path);
  for (const mode of [0o640, 0o604, 0o660, 0o666]) {
    await chmod(folder.join("data/pki/ca.key"), mode);
    const { code, stderr } = await runTlsboot(["up", "--data-dir", "data", "--secure-port", "0"], { cwd: folder.path });
    assert.equal(code, 1, mode.toString(8));
    assert.match(stderr, /ca\.key".*(?:lets other users access it|others may read it)/);
  }
});

/** Names with parent directories, and commands that accept names. */
const ESCAPING: readonly (readonly string[])[] = [
  ["kubeconfig", "user", "../escaped", "--data-dir", "data"],
  ["kubeconfig", "user", "a/../../escaped", "--data-dir", "data"],
  ["get", "csr", "../../../api/v1/secrets", "--data-dir", "data"],
  ["describe", "csr", "..", "--data-dir", "data"],
  ["approve", "../namespaces", "--data-dir", "data"],
  ["delete", "csr", "%2e%2e%2fsecrets", "--data-dir", "data"],
  ["token", "delete", "../../a", "--data-dir", "data"],
  ["token", "delete", "..", "--data-dir", "data"],
  ...["../escaped", "..", "a/b", "a\\..\\b", "/etc"].map((name) => [
    ...["bootstrap", "--bootstrap-kubeconfig", "data/bootstrap.kubeconfig", "--kubeconfig", "n/kubeconfig"],
    ...["--cert-dir", "n/pki", "--hostname-override", name, "--timeout", "1s"],
  ]),
];

test("names with parent directories create no files and reach no other API paths", async () => {
  await using outer = await createTempFolder();
  const path = outer.join("work");
  const work = { ...outer, path, join: (...parts: readonly string[]) => join(path, ...parts) };
  await mkdir(work.path);
  await using instance = await startInstance(work, ["--audit-log-path", "audit.log"]);
  for (const args of ESCAPING) {
    const { code } = await runTlsboot(args, { cwd: work.path });
    assert.notEqual(code, 0, args.join(" "));
  }
  await instance.end("SIGTERM");
  assert.deepEqual(await readdir(outer.path), ["work"]);
  const audited = (await readFile(work.join("audit.log"), "utf8")).trim().split("\n").map((line) =>
    JSON.parse(line) as { requestURI: string; userAgent?: string; user?: { username?: string } }
  );
  const byAdmin = audited.filter(({ user }) => user?.username === "kubernetes-admin");
  for (const { requestURI } of byAdmin) {
    assert.match(requestURI, /^\/(?:apis\/certificates|api\/v1\/namespaces\/kube-system\/secrets\/bootstrap-token-)/);
  }
});

test("signing derives no path from the names in a request", async () => {
  await using folder = await createTempFolder();
  await succeed(["ca", "init", "--data-dir", "data"], folder.path);
  const csr = await buildCsr({ name: "../../escaped", signerName: "kubernetes.io/kube-apiserver-client-kubelet" });
  for (const file of ["a.json", "b.json"]) await writeFile(folder.join(file), JSON.stringify(csr));
  await mkdir(folder.join("deep/out"), { recursive: true });
  await runTlsboot(["sign", "a.json", "b.json", "--data-dir", "data", "--out", "deep/out"], { cwd: folder.path });
  const written = (await walk(folder.path)).map((path) => relative(folder.path, path));
  assert.deepEqual(written.filter((name) => name.includes("escaped")), []);
});
