/** Tests `tlsboot get trustbundles` and `trust fetch` against an API whose answers each test controls. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { createSystemClock } from "../../cli/system.ts";
import { createTestAuthority } from "../support/test_authority.ts";
import { type Finished, type Running, startCaptured } from "../support/child.ts";
import { eventually } from "../support/eventually.ts";
import { failure, type FakeApi, startFakeApi } from "../support/fake_api.ts";
import { runCaptured } from "../support/run_captured.ts";
import { createTempFolder, type TempFolder } from "../support/temp.ts";

const clock = createSystemClock();
const NOT_SERVED = "the server could not find the requested resource";

/** Creates a CA, and returns its certificate. */
async function createCaPem(commonName: string): Promise<string> {
  return (await createTestAuthority("ecdsa-p256", { commonName })).certificatePem;
}

/** Puts a ClusterTrustBundle into the fake API. */
function publish(api: FakeApi, name: string, trustBundle: string, signerName = "example.com/pods"): void {
  const spec = { signerName, trustBundle };
  api.put({ apiVersion: "certificates.k8s.io/v1", kind: "ClusterTrustBundle", metadata: { name }, spec } as never);
}

function tlsboot(folder: TempFolder, ...args: readonly string[]): Promise<Finished> {
  return runCaptured([...args, "--kubeconfig", "kubeconfig"], { cwd: folder.path, clock });
}

/** Starts `trust fetch bundle --out out.pem --watch`. */
function watch(folder: TempFolder, ...more: readonly string[]): Running {
  const line = ["trust", "fetch", "bundle", "--out", "out.pem", "--watch", "--kubeconfig", "kubeconfig", ...more];
  return startCaptured(line, { cwd: folder.path, clock });
}

/** Waits until the file has this content. */
async function untilFile(folder: TempFolder, want: string): Promise<void> {
  await eventually(
    "the content of the file",
    async () => (await readFile(folder.join("out.pem"), "utf8").catch(() => "")) === want ? true : undefined,
  );
}

test("get trustbundles counts the certificates of each bundle, and -o prints whole objects", async () => {
  await using folder = await createTempFolder();
  await using api = await startFakeApi();
  await writeFile(folder.join("kubeconfig"), api.kubeconfig);
  assert.deepEqual(await tlsboot(folder, "get", "trustbundles"), {
    code: 0,
    stdout: "",
    stderr: "No resources found\n",
  });
  const pem = await createCaPem("one");
  publish(api, "example.com:pods:v1", pem + await createCaPem("two"));
  api.put({ metadata: { name: "no-signer" }, spec: { trustBundle: "" } } as never);
  const table = await tlsboot(folder, "get", "trustbundles");
  assert.equal(
    table.stdout,
    "NAME                  SIGNER             CERTIFICATES   EXPIRES\n" +
      "example.com:pods:v1   example.com/pods   2              2026-11-26T12:00:00Z\n" +
      "no-signer             <none>             0              <unknown>\n",
  );
  assert.equal((await tlsboot(folder, "get", "trustbundles", "no-signer")).stdout.split("\n").length, 3);
  const names = await tlsboot(folder, "get", "trustbundles", "-o", "name");
  assert.equal(names.stdout.split("\n")[0], "clustertrustbundle.certificates.k8s.io/example.com:pods:v1");
  const env = { TLSBOOT_KUBECONFIG: "kubeconfig" };
  const completed = await runCaptured(["complete", "--", "trust", "fetch", "exa"], { cwd: folder.path, clock, env });
  assert.match(completed.stdout, /^example\.com:pods:v1\texample\.com\/pods\n/);
  const one = await tlsboot(folder, "get", "trustbundles", names.stdout.split("\n")[0] ?? "", "-o", "json");
  assert.equal(JSON.parse(one.stdout).spec.signerName, "example.com/pods");
});

test("trust fetch --out - prints the certificates, and nothing else", async () => {
  await using folder = await createTempFolder();
  await using api = await startFakeApi();
  await writeFile(folder.join("kubeconfig"), api.kubeconfig);
  const pem = await createCaPem("one");
  publish(api, "bundle", `# the CA\n${pem}`);
  const line = ["trust", "fetch", "bundle", "--out", "-"];
  assert.deepEqual(await tlsboot(folder, ...line), { code: 0, stdout: pem, stderr: "" });
  const watching = await tlsboot(folder, ...line, "--watch");
  assert.equal(watching.code, 2);
  assert.match(watching.stderr, /error: --out=- and --watch exclude each other\n/);
});

test("trust fetch writes a world-readable file, runs --exec, and does neither again without a change", async () => {
  await using folder = await createTempFolder();
  await using api = await startFakeApi();
  await writeFile(folder.join("kubeconfig"), api.kubeconfig);
  const pem = await createCaPem("one");
  publish(api, "bundle", `# the CA\n${pem}`);
  const line = ["trust", "fetch", "bundle", "--out", "out.pem", "--exec", 'echo "$TLSBOOT_TRUST_BUNDLE_FILE" >> ran'];
  const first = await tlsboot(folder, ...line);
  assert.deepEqual(first, {
    code: 0,
    stdout: "out.pem: 1 certificate, valid until 2026-11-26T12:00:00Z\n",
    stderr: "",
  });
  assert.equal(await readFile(folder.join("out.pem"), "utf8"), pem);
  assert.equal((await stat(folder.join("out.pem"))).mode & 0o777, 0o644);
  const longAgo = new Date(1e12);
  await utimes(folder.join("out.pem"), longAgo, longAgo);
  const again = await tlsboot(folder, ...line);
  assert.deepEqual([again.code, again.stdout], [0, "nothing to do: out.pem already has these certificates\n"]);
  assert.equal((await stat(folder.join("out.pem"))).mtimeMs, longAgo.getTime());
  assert.equal(await readFile(folder.join("ran"), "utf8"), `${folder.join("out.pem")}\n`);

  publish(api, "bundle", await createCaPem("two"));
  const failed = await tlsboot(folder, ...line.slice(0, -1), "exit 7");
  assert.equal(failed.code, 1);
  assert.match(
    failed.stderr,
    /error: the bundle is stored, but cannot run "exit 7": exit code 7\ntlsboot: hint: fix the hook/,
  );
  assert.notEqual(await readFile(folder.join("out.pem"), "utf8"), pem);
});

for (
  const { name, args, intercept, error, hint } of [
    {
      name: "a bundle that does not exist",
      args: ["nothing"],
      error: /^there is no ClusterTrustBundle "nothing"$/,
      hint: /^list the existing ones with: tlsboot get trustbundles$/,
    },
    {
      name: "a signer without bundles",
      args: ["--signer", "example.com/web", "-l", "env=prod"],
      intercept: () => ({ status: 200, body: { metadata: {}, items: [] } }),
      error: /^there is no ClusterTrustBundle of the signer "example\.com\/web" with the labels "env=prod"$/,
      hint: /^list the existing ones with: tlsboot get trustbundles$/,
    },
    {
      name: "a bundle without certificates",
      args: ["empty"],
      error: /^there is no certificate in "empty"$/,
      hint: /^a bundle consists of PEM blocks of type CERTIFICATE: ask its publisher$/,
    },
    {
      name: "a user without permission",
      args: ["bundle"],
      intercept: () => failure(403, "Forbidden", 'clustertrustbundles.certificates.k8s.io "bundle" is forbidden'),
      error: /^clustertrustbundles\.certificates\.k8s\.io "bundle" is forbidden$/,
      hint:
        /^it needs the verbs get, list and watch on clustertrustbundles\.certificates\.k8s\.io; .*--clusterrole=system:cluster-trust-bundle-discovery$/,
    },
    {
      name: "an API without the kind",
      args: ["bundle"],
      intercept: () => failure(404, "NotFound", NOT_SERVED),
      error: /^the server does not serve ClusterTrustBundles of certificates\.k8s\.io\/v1$/,
      hint: /^Kubernetes serves them from version 1\.37 on; /,
    },
  ]
) {
  test(`trust fetch explains ${name}, and keeps the file`, async () => {
    await using folder = await createTempFolder();
    await using api = await startFakeApi();
    await writeFile(folder.join("kubeconfig"), api.kubeconfig);
    publish(api, "empty", "");
    if (intercept !== undefined) api.intercept = intercept;
    const lastGood = await createCaPem("last");
    await writeFile(folder.join("out.pem"), lastGood);
    const { code, stderr } = await tlsboot(folder, "trust", "fetch", ...args, "--out", "out.pem");
    assert.equal(code, 1);
    const [, foundError = "", foundHint = ""] = /^tlsboot: error: (.*)\ntlsboot: hint: (.*)\n$/.exec(stderr) ?? [];
    assert.match(foundError, error, stderr);
    assert.match(foundHint, hint);
    assert.equal(await readFile(folder.join("out.pem"), "utf8"), lastGood);
  });
}

test("trust fetch replaces only files that contain nothing but certificates", async () => {
  await using folder = await createTempFolder();
  await using api = await startFakeApi();
  await writeFile(folder.join("kubeconfig"), api.kubeconfig);
  const pem = await createCaPem("one");
  publish(api, "bundle", pem);
  const key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
  for (const content of [key, pem + key, "server: https://api.example.com"]) {
    for (const more of [[], ["--watch"]]) {
      await writeFile(folder.join("out.pem"), content);
      const { code, stderr } = await tlsboot(folder, "trust", "fetch", "bundle", "--out", "out.pem", ...more);
      assert.equal(code, 1);
      assert.match(
        stderr,
        /error: cannot write the bundle to ".*out\.pem": the file does not contain only certificates\n/,
      );
      assert.equal(await readFile(folder.join("out.pem"), "utf8"), content);
    }
  }
  await writeFile(folder.join("out.pem"), "\n");
  assert.equal((await tlsboot(folder, "trust", "fetch", "bundle", "--out", "out.pem")).code, 0);
});

for (const answer of [failure(403, "Forbidden", "forbidden"), failure(404, "NotFound", NOT_SERVED)]) {
  test(`trust fetch --watch ends if its first request gets ${answer.status}`, async () => {
    await using folder = await createTempFolder();
    await using api = await startFakeApi();
    await writeFile(folder.join("kubeconfig"), api.kubeconfig);
    api.intercept = () => answer;
    await using watching = watch(folder);
    const { code, stderr } = await watching.finished();
    assert.equal(code, 1);
    assert.match(stderr, /tlsboot: hint: (it needs the verbs|Kubernetes serves them)/);
  });
}

test("trust fetch --watch follows each change across broken watches, and keeps the file of a deleted bundle", async () => {
  await using folder = await createTempFolder();
  await using api = await startFakeApi();
  await writeFile(folder.join("kubeconfig"), api.kubeconfig);
  await using watching = watch(folder, "--exec", "echo ran >> ran; exit 3");
  await watching.waitFor(/cannot write the bundle, keeping the file as it is.*there is no ClusterTrustBundle/);
  const pems = await Promise.all(["one", "two", "three", "four"].map(createCaPem));
  const [one = "", two = "", three = "", four = ""] = pems;
  publish(api, "bundle", one);
  await untilFile(folder, one);
  await watching.waitFor(/the bundle is stored, but the command failed.*exit code 3/);

  api.endWatches("cut");
  publish(api, "bundle", two);
  await untilFile(folder, two);

  api.remove("bundle");
  await watching.waitFor(/(?:[^]*there is no ClusterTrustBundle){2}/);
  assert.equal(await readFile(folder.join("out.pem"), "utf8"), two);
  publish(api, "bundle", two);
  publish(api, "bundle", three);
  await untilFile(folder, three);

  // The API refuses the credentials for a while, and loses its history.
  api.intercept = () => failure(401, "Unauthorized", "Unauthorized");
  api.endWatches("clean");
  await watching.waitFor(/cannot read the bundles, reading the kubeconfig again/);
  await rm(folder.join("kubeconfig"));
  await mkdir(folder.join("kubeconfig"));
  await watching.waitFor(/cannot read the bundles, reading the kubeconfig again.*"code":"io"/);
  await rm(folder.join("kubeconfig"), { recursive: true });
  await writeFile(folder.join("kubeconfig"), api.kubeconfig);
  publish(api, "bundle", four);
  api.compact();
  api.intercept = undefined;
  await untilFile(folder, four);
  await eventually(
    "the last run of the command",
    async () => (await readFile(folder.join("ran"), "utf8")) === "ran\n".repeat(4) || undefined,
  );
});

test("trust fetch --watch waits for the API to start, and writes once a missing folder exists", async () => {
  await using folder = await createTempFolder();
  await using api = await startFakeApi();
  await writeFile(folder.join("kubeconfig"), api.kubeconfig);
  publish(api, "bundle", await createCaPem("one"));
  api.intercept = () => "destroy";
  await using watching = watch(folder, "--out", "folder/out.pem");
  await watching.waitFor(/watch failed, trying again/);
  api.intercept = undefined;
  await watching.waitFor(/cannot write the bundle, keeping the file as it is.*the folder does not exist/);
  await mkdir(folder.join("folder"));
  await eventually("the file", async () => (await stat(folder.join("folder/out.pem")).catch(() => undefined)) && true);
  await rm(folder.join("folder"), { recursive: true });
});

test("trust fetch reports the API server's CAs to the cluster after --exec has succeeded", async () => {
  await using folder = await createTempFolder();
  await using api = await startFakeApi();
  const reports: unknown[] = [];
  api.intercept = ({ method, path, body }) => {
    if (method !== "POST") return undefined;
    reports.push([path, (body as { spec: unknown }).spec]);
    return { status: 201, body };
  };
  await writeFile(folder.join("kubeconfig"), api.kubeconfig);
  const pem = await createCaPem("one");
  publish(api, "pods", pem);
  publish(api, "kubernetes.io:kube-apiserver-serving:a", pem, "kubernetes.io/kube-apiserver-serving");
  const selection = ["trust", "fetch", "--signer", "kubernetes.io/kube-apiserver-serving", "--out"];
  assert.equal((await tlsboot(folder, "trust", "fetch", "pods", "--out", "pods.pem")).code, 0);
  assert.equal((await tlsboot(folder, ...selection, "first.pem", "--exec", "exit 1")).code, 1);
  assert.deepEqual(reports, []);
  assert.equal((await tlsboot(folder, ...selection, "second.pem", "--exec", "true")).code, 0);
  const fingerprint = new X509Certificate(pem).fingerprint256.replaceAll(":", "").toLowerCase();
  assert.deepEqual(reports, [["/apis/tlsboot/v1alpha1/trustreports", { trusted: [fingerprint] }]]);
  api.intercept = ({ method }) => method === "POST" ? failure(500, "InternalError", "broken") : undefined;
  const refused = await tlsboot(folder, ...selection, "third.pem");
  assert.equal(refused.code, 0);
  assert.match(refused.stderr, /the file is written, but the cluster did not accept the report/);
});
