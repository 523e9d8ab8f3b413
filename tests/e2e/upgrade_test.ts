/** Tests data directories of other builds: earlier ones open, later ones are refused and not changed. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { chmod, cp, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import { ROOT, runTlsboot } from "../support/child.ts";
import { connectWith, startInstance } from "../support/instance_process.ts";
import { createTempFolder, type TempFolder } from "../support/temp.ts";

const signal = new AbortController().signal;
const CONFIG_MAPS = "/api/v1/namespaces/site/configmaps";
const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";

/** Copies a data directory of the first format, and sets the modes, which a checkout does not keep. */
async function copyFormat1(folder: TempFolder): Promise<string> {
  const data = folder.join("data");
  await cp(join(ROOT, "tests", "e2e", "testdata", "data_dir_1"), data, { recursive: true });
  for (const entry of await readdir(data, { recursive: true, withFileTypes: true })) {
    await chmod(join(entry.parentPath, entry.name), entry.isDirectory() ? 0o700 : 0o600);
  }
  return data;
}

async function listContents(data: string): Promise<readonly string[]> {
  const entries = await readdir(data, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return await Promise.all(
    files.sort().map(async (path) => `${path} ${createHash("sha256").update(await readFile(path)).digest("hex")}`),
  );
}

interface ConfigMap extends KubeObject {
  readonly data: Readonly<Record<string, string>>;
}

test("a data directory of the first format opens: objects, revisions, CA", async () => {
  await using folder = await createTempFolder();
  const data = await copyFormat1(folder);
  const ca = await readFile(join(data, "pki", "ca.crt"), "utf8");
  await using instance = await startInstance(folder, [], "serve");
  await using connected = await connectWith(join(data, "admin.kubeconfig"));
  const get = async <T extends KubeObject>(path: string) =>
    await connected.api.requestObject<T>({ method: "GET", path }, signal);
  const kept = await get<ConfigMap>(`${CONFIG_MAPS}/kept`);
  assert.deepEqual(kept.data, { a: "1" });
  assert.deepEqual((await get<ConfigMap>(`${CONFIG_MAPS}/changed`)).data, { a: "2" });
  await assert.rejects(get(`${CONFIG_MAPS}/gone`), { code: "not_found" });
  const csrs = await connected.api.requestJson({ method: "GET", path: CSRS }, signal) as {
    readonly items: readonly CertificateSigningRequest[];
  };
  assert.deepEqual(csrs.items.map(({ metadata }) => metadata.name), ["jane-8631f88da82f6ccda63f"]);
  assert.notEqual(csrs.items[0]?.status?.certificate, undefined);
  const added = await connected.api.requestObject<ConfigMap>({
    method: "POST",
    path: CONFIG_MAPS,
    body: { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "added" }, data: {} },
  }, signal);
  assert.ok(Number(added.metadata.resourceVersion) > Number(kept.metadata.resourceVersion));
  assert.equal(await readFile(join(data, "pki", "ca.crt"), "utf8"), ca);
  assert.equal(await readFile(join(data, "format"), "utf8"), "1\n");
  assert.equal((await instance.end("SIGINT")).code, 0);
});

test("up continues in a data directory of the first format, and again after it has written to it", async () => {
  await using folder = await createTempFolder();
  const data = await copyFormat1(folder);
  for (let start = 0; start < 2; start++) {
    await using instance = await startInstance(folder);
    await using connected = await connectWith(join(data, "admin.kubeconfig"));
    assert.notEqual(await connected.api.requestJson({ method: "GET", path: `${CONFIG_MAPS}/kept` }, signal), undefined);
    assert.equal((await instance.end("SIGINT")).code, 0);
  }
});

test("a data directory of a newer format is refused by every command, and not changed", async () => {
  await using folder = await createTempFolder();
  const data = await copyFormat1(folder);
  await writeFile(join(data, "format"), "2\n");
  const before = await listContents(data);
  for (
    const args of [
      ["up"],
      ["serve"],
      ["ca", "init"],
      ["ca", "init", "--split"],
      ["ca", "show"],
      ["kubeconfig", "admin", "--out", "admin"],
      ["sign", "--signer", "kubernetes.io/kube-apiserver-client", join(ROOT, "README.md")],
    ]
  ) {
    const { code, stdout, stderr } = await runTlsboot([...args, "--data-dir", data], { cwd: folder.path });
    assert.deepEqual({ code, stdout }, { code: 1, stdout: "" }, args.join(" "));
    assert.match(
      stderr,
      /^tlsboot: error: cannot use data directory "[^"]+": it has format 2, but this program knows only 1\ntlsboot: hint: use the newer tlsboot that wrote it, or another folder with --data-dir\n$/m,
      args.join(" "),
    );
  }
  assert.deepEqual(await listContents(data), before);
});

test("a database of a newer format is refused, and not changed", async () => {
  await using folder = await createTempFolder();
  const data = await copyFormat1(folder);
  await writeFile(join(data, "format"), "1\n");
  const database = new DatabaseSync(join(data, "tlsboot.db"));
  database.exec("PRAGMA user_version = 2");
  database.close();
  const before = await listContents(data);
  const { code, stderr } = await runTlsboot(["up", "--data-dir", data, "--secure-port", "0"], { cwd: folder.path });
  assert.equal(code, 1);
  assert.match(
    stderr,
    /cannot open storage "[^"]+": the file has format 2, but this program knows only 1\ntlsboot: hint: use the newer tlsboot that wrote it\n/,
  );
  assert.deepEqual(await listContents(data), before);
});
