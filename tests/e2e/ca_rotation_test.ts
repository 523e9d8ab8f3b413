/** A running instance replaces its CA, step by step and back, without a restart and in spite of kills. */
import assert from "node:assert/strict";
import { cp, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { createSystemClock, createSystemRandom } from "../../cli/system.ts";
import { parseKubeconfig } from "../../core/kube/kubeconfig.ts";
import { parseCsv } from "../../core/lib/csv.ts";
import { parseCaBundle } from "../../core/pki/ca_bundle.ts";
import { formatName } from "../../core/pki/names.ts";
import { parsePemBlocks } from "../../core/pki/pem.ts";
import {
  beginRotation,
  changeRotation,
  deleteRotation,
  finishRotation,
  type TestRotation,
  waitUntilAdopted,
} from "../support/ca_rotation.ts";
import { runProgram, startTlsboot } from "../support/child.ts";
import { eventually } from "../support/eventually.ts";
import {
  type Connected,
  connectWith,
  type Instance,
  readIdentity,
  startInstance,
} from "../support/instance_process.ts";
import { runCaptured } from "../support/run_captured.ts";
import { createTempFolder, type TempFolder } from "../support/temp.ts";

const quiet = new AbortController().signal;
let folder: TempFolder;
let instance: Instance;
let rotation: TestRotation;

before(async () => {
  folder = await createTempFolder();
  instance = await startInstance(folder, ["--auto-approve"]);
});

after(async () => {
  await instance[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

async function withAdmin<T>(use: (api: Connected["api"]) => Promise<T>): Promise<T> {
  await using admin = await connectWith(folder.join("data/admin.kubeconfig"));
  return await use(admin.api);
}

const read = (path: string) => readFile(folder.join(path), "utf8");
const countCas = (pem: string) => parsePemBlocks(pem).length;

/** Reads the subject of the first certificate of a bundle. */
function readSubject(pem: string): string {
  const bundle = parseCaBundle(pem);
  assert.ok(bundle.ok && bundle.value[0] !== undefined);
  return formatName(bundle.value[0].subject);
}

/** Starts the instance again on the same port, as a service manager does. */
async function restart(): Promise<void> {
  await instance.end("SIGKILL");
  instance = await startInstance(folder, ["--auto-approve", "--secure-port", `${instance.port}`]);
}

async function bootstrap(node: string): Promise<void> {
  const done = await runCaptured(
    [
      ...["bootstrap", "--bootstrap-kubeconfig", "data/bootstrap.kubeconfig", "--hostname-override", node],
      ...["--kubeconfig", `${node}/kubeconfig`, "--cert-dir", `${node}/pki`],
    ],
    { cwd: folder.path, clock: createSystemClock(), random: createSystemRandom() },
  );
  assert.equal(done.code, 0, done.stderr);
}

/** Reports the user that a kubeconfig identifies, or 401. */
async function whoIs(kubeconfig: string): Promise<string> {
  const identity = await readIdentity(folder.join(kubeconfig));
  return identity === "401" ? identity : identity.username;
}

/** Lets openssl judge the chain that the server presents, for a client that trusts some CAs. */
async function judge(cas: string): Promise<boolean> {
  const file = folder.join("trusted.pem");
  await writeFile(file, cas);
  const args = ["s_client", "-connect", `127.0.0.1:${instance.port}`, "-CAfile", file, "-verify_return_error"];
  const { code } = await runProgram("openssl", args, { stdin: "Q\n" });
  return code === 0;
}

/** Returns which of the two CAs trust whom, and what is published, as numbers of CAs. */
async function published(): Promise<Readonly<Record<string, number>>> {
  return await withAdmin(async (api) => {
    const get = (path: string) => api.requestJson({ method: "GET", path }, quiet) as Promise<Record<string, never>>;
    const data = async (path: string, key: string) => String(((await get(path))["data"] ?? {})[key] ?? "");
    const info = parseKubeconfig(
      await data("/api/v1/namespaces/kube-public/configmaps/cluster-info", "kubeconfig"),
      "x",
    );
    const clientCa = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication";
    const bundles = await get(
      "/apis/certificates.k8s.io/v1/clustertrustbundles?fieldSelector=spec.signerName%3Dkubernetes.io%2Fkube-apiserver-serving",
    ) as { readonly items?: readonly { readonly spec: { readonly trustBundle: string } }[] };
    const embedded = async (file: string) => {
      const config = parseKubeconfig(await read(file), file);
      return config.ok ? countCas(config.value.clusters[0]?.cluster.certificateAuthorityData ?? "") : 0;
    };
    return {
      clusterInfo: info.ok ? countCas(info.value.clusters[0]?.cluster.certificateAuthorityData ?? "") : 0,
      rootCa: countCas(await data("/api/v1/namespaces/default/configmaps/kube-root-ca.crt", "ca.crt")),
      clientCas: countCas(await data(clientCa, "client-ca-file")),
      bundle: countCas((bundles.items ?? []).map(({ spec }) => spec.trustBundle).join("")),
      admin: await embedded("data/admin.kubeconfig"),
      bootstrap: await embedded("data/bootstrap.kubeconfig"),
    };
  });
}

async function assertPublished(want: number): Promise<void> {
  const all = { clusterInfo: want, rootCa: want, clientCas: want, bundle: want, admin: want, bootstrap: want };
  let last = {};
  await eventually(`${want} CAs are published everywhere`, async () => {
    last = await published();
    return JSON.stringify(last) === JSON.stringify(all) || undefined;
  }).catch(() => assert.deepEqual(last, all));
}

/** Returns the sources of the certificates in the register that have no issuer. */
async function listWithoutIssuer(): Promise<readonly (string | undefined)[]> {
  const path = "/apis/tlsboot/v1alpha1/issuedcertificates";
  const { items } = await withAdmin((api) => api.requestJson({ method: "GET", path }, quiet)) as {
    readonly items: readonly { readonly spec: { readonly issuerFingerprint?: string; readonly source?: string } }[];
  };
  assert.notEqual(items.length, 0);
  return items.filter(({ spec }) => spec.issuerFingerprint === undefined).map(({ spec }) => spec.source);
}

async function listPki(): Promise<readonly string[]> {
  return (await readdir(folder.join("data/pki"))).filter((name) => !/^(apiserver|sa)\./.test(name)).sort();
}

test("Trust: both CAs are trusted and published, and the old one signs", async () => {
  await bootstrap("n1");
  rotation = await withAdmin((api) => beginRotation(api, folder.join("data")));
  await withAdmin((api) => waitUntilAdopted(api));
  await assertPublished(2);
  assert.equal(await read("data/pki/ca.crt"), rotation.oldCa);
  assert.equal(await read("data/pki/next-ca.crt"), rotation.newCa);
  assert.deepEqual(await listPki(), ["ca.crl", "ca.crt", "ca.key", "next-ca.crl", "next-ca.crt", "next-ca.key"]);
  assert.deepEqual([await judge(rotation.oldCa), await judge(rotation.newCa)], [true, false]);
  assert.equal(await whoIs("n1/kubeconfig"), "system:node:n1");
});

test("Switch: the new CA signs, and clients that trust only one of both are served", async () => {
  const window = { renewFrom: "2026-01-01T00:00:00Z", renewBy: "2026-01-01T01:00:00Z" };
  await withAdmin(async (api) => {
    await changeRotation(api, { step: "Switch", ...window });
    await waitUntilAdopted(api);
  });
  await assertPublished(2);
  assert.deepEqual(await listPki(), ["ca.crl", "ca.crt", "ca.key", "old-ca.crl", "old-ca.crt", "old-ca.key"]);
  assert.equal(await read("data/pki/ca.crt"), rotation.newCa);
  assert.deepEqual([await judge(rotation.oldCa), await judge(rotation.newCa)], [true, true]);
  await bootstrap("n2");
  assert.deepEqual([await whoIs("n1/kubeconfig"), await whoIs("n2/kubeconfig")], ["system:node:n1", "system:node:n2"]);
  const issued = await runProgram("openssl", [
    ...["verify", "-CAfile", folder.join("data/pki/ca.crt"), folder.join("n2/pki/kubelet-client-current.pem")],
  ]);
  assert.equal(issued.code, 0, issued.stderr);
  const annotations = await withAdmin((api) =>
    eventually("clients are asked to renew", async () => {
      const path = "/apis/certificates.k8s.io/v1/clustertrustbundles";
      const { items } = await api.requestJson({ method: "GET", path }, quiet) as {
        readonly items: readonly { readonly metadata: { readonly annotations?: Readonly<Record<string, string>> } }[];
      };
      return items.find(({ metadata }) => metadata.annotations !== undefined)?.metadata.annotations;
    })
  );
  const keyId = await runProgram("openssl", [
    ...["x509", "-in", folder.join("data/pki/old-ca.crt"), "-noout", "-ext", "subjectKeyIdentifier"],
  ]);
  assert.deepEqual(annotations, {
    "tlsboot/retiring-ca": keyId.stdout.split("\n")[1]?.trim().replaceAll(":", "").toLowerCase(),
    "tlsboot/renew-from": window.renewFrom,
    "tlsboot/renew-by": window.renewBy,
  });
});

test("abort: the old CA signs again, and what the new one has signed is still accepted", async () => {
  await withAdmin(async (api) => {
    await changeRotation(api, { step: "Trust" });
    await waitUntilAdopted(api);
  });
  assert.equal(await read("data/pki/ca.crt"), rotation.oldCa);
  assert.deepEqual([await judge(rotation.oldCa), await judge(rotation.newCa)], [true, false]);
  assert.equal(await whoIs("n2/kubeconfig"), "system:node:n2");
  await withAdmin((api) => deleteRotation(api));
  await assertPublished(1);
  assert.equal(await whoIs("n2/kubeconfig"), "401");
  assert.match(
    (await listPki()).join(),
    /^ca.crl,ca.crt,ca.key,retired-ca-[0-9a-f]{8}.crt,retired-ca-[0-9a-f]{8}.key$/,
  );
});

test("a server that is killed between and in the steps continues at its start", async () => {
  rotation = await withAdmin((api) => beginRotation(api, folder.join("data")));
  await withAdmin((api) => waitUntilAdopted(api));
  await withAdmin((api) => changeRotation(api, { step: "Switch" }));
  await restart();
  await withAdmin((api) => waitUntilAdopted(api));
  assert.equal(await read("data/pki/ca.crt"), rotation.newCa);
  // A server that was started since the switch goes back, and records who has issued its next certificates.
  for (const step of ["Trust", "Switch"] as const) {
    await withAdmin(async (api) => {
      await changeRotation(api, { step });
      await waitUntilAdopted(api);
    });
  }
  assert.deepEqual(await listWithoutIssuer(), []);
  // The state of a kill between the renames of the key and of the certificate.
  await rename(folder.join("data/pki/ca.crt"), folder.join("data/pki/next-ca.crt"));
  await cp(folder.join("data/pki/old-ca.crt"), folder.join("data/pki/ca.crt"));
  await writeFile(folder.join("data/pki/.ca.swap"), "next\n");
  await restart();
  assert.equal(await read("data/pki/ca.crt"), rotation.newCa);
  // A kill while a file is written leaves its temporary file, which `doctor` names.
  const written = (await listPki()).filter((name) => !/^retired-|\.\d+\.tmp$/.test(name));
  assert.deepEqual(written, ["ca.crl", "ca.crt", "ca.key", "old-ca.crl", "old-ca.crt", "old-ca.key"]);
  assert.deepEqual([await judge(rotation.oldCa), await judge(rotation.newCa)], [true, true]);
  await bootstrap("n3");
});

test("Finish: the old CA is trusted nowhere, and open watches of its certificates end at once", async () => {
  await using watching = startTlsboot(["get", "nodes", "-w", "--kubeconfig", "n1/kubeconfig"], { cwd: folder.path });
  assert.equal(await whoIs("n1/kubeconfig"), "system:node:n1");
  await finishRotation(folder.join("data/admin.kubeconfig"));
  await watching.finished();
  assert.deepEqual([await whoIs("n3/kubeconfig")], ["system:node:n3"]);
  assert.deepEqual([await judge(rotation.oldCa), await judge(rotation.newCa)], [false, true]);
  await assertPublished(1);
  assert.equal((await listPki()).some((name) => /^(old|next)-/.test(name)), false);
  const cas = (await listPki()).filter((name) => name.endsWith(".crt"));
  const verified = await runCaptured(
    ["verify", "certificates", ...cas.flatMap((name) => ["--ca-file", `data/pki/${name}`])],
    { cwd: folder.path, clock: createSystemClock(), random: createSystemRandom(), env: { TLSBOOT_DATA_DIR: "data" } },
  );
  assert.equal(verified.code, 0, verified.stderr);
  assert.match(verified.stdout, /sealed/);
});

test("Finish: what the old CA has signed, and the old CA itself, are untrusted and in no list of what expires", async () => {
  const get = async (...flags: readonly string[]) => {
    const { code, stdout, stderr } = await runCaptured(["get", "certificates", ...flags], {
      ...{ cwd: folder.path, clock: createSystemClock(), random: createSystemRandom() },
      env: { TLSBOOT_DATA_DIR: "data" },
    });
    assert.equal(code, 0, stderr);
    return stdout;
  };
  const csv = parseCsv(await get("-o", "csv"));
  assert.ok(csv.ok);
  const [heading = [], ...lines] = csv.value;
  const [issuer, subject, status] = ["issuer", "subject", "status"].map((name) => heading.indexOf(name));
  const states = new Map<string, Set<string>>();
  for (const line of lines) {
    const of = states.get(line[issuer!]!) ?? new Set();
    states.set(line[issuer!]!, of.add(line[status!]!));
  }
  const [oldCa, newCa] = [rotation.oldCa, rotation.newCa].map(readSubject);
  assert.deepEqual([...states.get(oldCa!) ?? []], ["untrusted"]);
  assert.ok(states.get(newCa!)?.has("valid"));
  assert.equal(lines.find((line) => line[subject!] === oldCa)?.[status!], "untrusted");
  const ending = JSON.parse(await get("--expires-within", "100000d", "-o", "json")).items;
  assert.ok(ending.length > 0);
  assert.deepEqual(ending.filter(({ spec }: { spec: { issuer: string } }) => spec.issuer === oldCa), []);
});
