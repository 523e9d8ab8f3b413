/**
 * Tests CA rotation through the API of a running instance: step by step and back, without a restart, and across kills.
 */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { cp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { connect } from "node:tls";
import { parseKubeconfig } from "../../core/kube/kubeconfig/kubeconfig.ts";
import { parseCaBundle } from "../../core/pki/x509/ca_bundle.ts";
import type { CertificateFacts } from "../../core/pki/x509/certificate.ts";
import { formatName } from "../../core/pki/x509/names.ts";
import { parsePemBlocks } from "../../core/pki/asn1/pem.ts";
import {
  beginRotation,
  changeRotation,
  deleteRotation,
  finishRotation,
  getRotation,
  type TestRotation,
  waitUntilAdopted,
} from "../support/ca_rotation.ts";
import { eventually } from "../support/eventually.ts";
import {
  bootstrapLine,
  type Connected,
  connectWith,
  createWorkplace,
  spawnInstance,
  startInstance,
  whoIs,
} from "../support/instance_process.ts";
import { findServerPort, type TempFolder } from "../support/temp.ts";
import { parseCsv } from "../../core/token/token_file.ts";

const signal = new AbortController().signal;

const read = (folder: TempFolder, path: string) => readFile(folder.join(path), "utf8");
const countCas = (pem: string) => parsePemBlocks(pem).length;

async function withAdmin<T>(folder: TempFolder, use: (api: Connected["api"]) => Promise<T>): Promise<T> {
  await using admin = await connectWith(folder.join("data/admin.kubeconfig"));
  return await use(admin.api);
}

function parseCas(pem: string): readonly CertificateFacts[] {
  const bundle = parseCaBundle(pem);
  assert.ok(bundle.ok);
  return bundle.value;
}

/** Reports whether a client that trusts some CAs accepts the server's chain. */
async function isTrusted(folder: TempFolder, cas: string): Promise<boolean> {
  const { hostname, port } = new URL(await readServer(folder));
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect({ host: hostname, port: Number(port), ca: cas }, () => resolve(true));
  socket.once("error", () => resolve(false));
  return await promise.finally(() => socket.destroy());
}

async function readServer(folder: TempFolder): Promise<string> {
  const config = parseKubeconfig(await read(folder, "data/admin.kubeconfig"), "admin");
  return config.ok ? config.value.clusters[0]?.cluster.server ?? "" : "";
}

/** Reports whether the CA in one file signed the first certificate in another. */
async function isIssuedBy(folder: TempFolder, path: string, ca: string): Promise<boolean> {
  const certificate = new X509Certificate(await read(folder, path));
  const issuer = new X509Certificate(await read(folder, ca));
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

/** Counts the CAs in each place where they are published. */
async function countPublished(folder: TempFolder): Promise<Readonly<Record<string, number>>> {
  return await withAdmin(folder, async (api) => {
    const get = (path: string) => api.requestJson({ method: "GET", path }, signal) as Promise<Record<string, never>>;
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
      const config = parseKubeconfig(await read(folder, file), file);
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

async function assertPublished(folder: TempFolder, want: number): Promise<void> {
  const all = { clusterInfo: want, rootCa: want, clientCas: want, bundle: want, admin: want, bootstrap: want };
  let last = {};
  await eventually(`${want} CAs are published everywhere`, async () => {
    last = await countPublished(folder);
    return JSON.stringify(last) === JSON.stringify(all) || undefined;
  }).catch(() => assert.deepEqual(last, all));
}

/** Returns the sources of the register's records without an issuer. */
async function listWithoutIssuer(folder: TempFolder): Promise<readonly (string | undefined)[]> {
  const path = "/apis/tlsboot/v1alpha1/issuedcertificates";
  const { items } = await withAdmin(folder, (api) => api.requestJson({ method: "GET", path }, signal)) as {
    readonly items: readonly { readonly spec: { readonly issuerFingerprint?: string; readonly source?: string } }[];
  };
  assert.notEqual(items.length, 0);
  return items.filter(({ spec }) => spec.issuerFingerprint === undefined).map(({ spec }) => spec.source);
}

async function listPki(folder: TempFolder): Promise<readonly string[]> {
  return (await readdir(folder.join("data/pki"))).filter((name) => !/^(apiserver|sa)\./.test(name)).sort();
}

test("Trust, Switch and back: both CAs are trusted and published, and each step changes the signing CA", async () => {
  await using folder = await createWorkplace();
  await using _instance = await startInstance(folder, ["--auto-approve"]);
  await folder.succeed(...bootstrapLine("n1"));
  const rotation = await withAdmin(folder, (api) => beginRotation(api, folder.join("data")));
  await withAdmin(folder, (api) => waitUntilAdopted(api));
  await assertPublished(folder, 2);
  assert.equal(await read(folder, "data/pki/ca.crt"), rotation.oldCa);
  assert.equal(await read(folder, "data/pki/next-ca.crt"), rotation.newCa);
  assert.deepEqual(await listPki(folder), ["ca.crl", "ca.crt", "ca.key", "next-ca.crl", "next-ca.crt", "next-ca.key"]);
  assert.deepEqual([await isTrusted(folder, rotation.oldCa), await isTrusted(folder, rotation.newCa)], [true, false]);
  assert.equal(await whoIs(folder.join("n1/kubeconfig")), "system:node:n1");

  // The new CA signs, and clients that trust only one of the two are served.
  const window = { renewFrom: "2026-01-01T00:00:00Z", renewBy: "2026-01-01T01:00:00Z" };
  await withAdmin(folder, async (api) => {
    await changeRotation(api, { step: "Switch", ...window });
    await waitUntilAdopted(api);
  });
  await assertPublished(folder, 2);
  assert.deepEqual(await listPki(folder), ["ca.crl", "ca.crt", "ca.key", "old-ca.crl", "old-ca.crt", "old-ca.key"]);
  assert.equal(await read(folder, "data/pki/ca.crt"), rotation.newCa);
  assert.deepEqual([await isTrusted(folder, rotation.oldCa), await isTrusted(folder, rotation.newCa)], [true, true]);
  await folder.succeed(...bootstrapLine("n2"));
  assert.deepEqual([await whoIs(folder.join("n1/kubeconfig")), await whoIs(folder.join("n2/kubeconfig"))], [
    "system:node:n1",
    "system:node:n2",
  ]);
  assert.ok(await isIssuedBy(folder, "n2/pki/kubelet-client-current.pem", "data/pki/ca.crt"));
  const annotations = await withAdmin(folder, (api) =>
    eventually("clients are asked to renew", async () => {
      const path = "/apis/certificates.k8s.io/v1/clustertrustbundles";
      const { items } = await api.requestJson({ method: "GET", path }, signal) as {
        readonly items: readonly { readonly metadata: { readonly annotations?: Readonly<Record<string, string>> } }[];
      };
      return items.find(({ metadata }) => metadata.annotations !== undefined)?.metadata.annotations;
    }));
  const [retiring] = parseCas(rotation.oldCa);
  assert.deepEqual(annotations, {
    "tlsboot/retiring-ca": retiring?.subjectKeyId,
    "tlsboot/renew-from": window.renewFrom,
    "tlsboot/renew-by": window.renewBy,
  });

  // The old CA signs again, and what the new one has signed is still accepted.
  await withAdmin(folder, async (api) => {
    await changeRotation(api, { step: "Trust" });
    await waitUntilAdopted(api);
  });
  assert.equal(await read(folder, "data/pki/ca.crt"), rotation.oldCa);
  assert.deepEqual([await isTrusted(folder, rotation.oldCa), await isTrusted(folder, rotation.newCa)], [true, false]);
  assert.equal(await whoIs(folder.join("n2/kubeconfig")), "system:node:n2");
  await withAdmin(folder, (api) => deleteRotation(api));
  await assertPublished(folder, 1);
  assert.equal(await whoIs(folder.join("n2/kubeconfig")), "401");
  assert.match(
    (await listPki(folder)).join(),
    /^ca.crl,ca.crt,ca.key,retired-ca-[0-9a-f]{8}.crt,retired-ca-[0-9a-f]{8}.key$/,
  );
});

test("a server that is killed between or during steps continues, and trusts the old CA nowhere after the last one", async () => {
  await using folder = await createWorkplace();
  const args = ["--auto-approve", "--secure-port", String(await findServerPort())];
  let rotation: TestRotation;
  {
    await using instance = await spawnInstance(folder, args);
    await folder.succeed(...bootstrapLine("n1"));
    rotation = await withAdmin(folder, (api) => beginRotation(api, folder.join("data")));
    await withAdmin(folder, (api) => waitUntilAdopted(api));
    await withAdmin(folder, (api) => changeRotation(api, { step: "Switch" }));
    await instance.end("SIGKILL");
  }
  {
    await using instance = await spawnInstance(folder, args);
    await withAdmin(folder, (api) => waitUntilAdopted(api));
    assert.equal(await read(folder, "data/pki/ca.crt"), rotation.newCa);
    // A server that started after the switch goes back, and records the issuers of its next certificates.
    for (const step of ["Trust", "Switch"] as const) {
      await withAdmin(folder, async (api) => {
        await changeRotation(api, { step });
        await waitUntilAdopted(api);
      });
    }
    assert.deepEqual(await listWithoutIssuer(folder), []);
    // This is the state after a kill between renaming the key and renaming the certificate.
    await rename(folder.join("data/pki/ca.crt"), folder.join("data/pki/next-ca.crt"));
    await cp(folder.join("data/pki/old-ca.crt"), folder.join("data/pki/ca.crt"));
    await writeFile(folder.join("data/pki/.ca.swap"), "next\n");
    await instance.end("SIGKILL");
  }
  await using _instance = await startInstance(folder, args);
  assert.equal(await read(folder, "data/pki/ca.crt"), rotation.newCa);
  // A kill during a write leaves a temporary file, which `doctor` reports.
  const written = (await listPki(folder)).filter((name) => !/^retired-|\.\d+\.tmp$/.test(name));
  assert.deepEqual(written, ["ca.crl", "ca.crt", "ca.key", "old-ca.crl", "old-ca.crt", "old-ca.key"]);
  assert.deepEqual([await isTrusted(folder, rotation.oldCa), await isTrusted(folder, rotation.newCa)], [true, true]);
  await folder.succeed(...bootstrapLine("n3"));

  // Open watches of certificates of the old CA end at once.
  await using watching = folder.start("get", "nodes", "-w", "--kubeconfig", "n1/kubeconfig");
  assert.equal(await whoIs(folder.join("n1/kubeconfig")), "system:node:n1");
  await finishRotation(folder.join("data/admin.kubeconfig"));
  await watching.finished();
  assert.deepEqual([await whoIs(folder.join("n3/kubeconfig"))], ["system:node:n3"]);
  assert.deepEqual([await isTrusted(folder, rotation.oldCa), await isTrusted(folder, rotation.newCa)], [false, true]);
  await assertPublished(folder, 1);
  assert.equal((await listPki(folder)).some((name) => /^(old|next)-/.test(name)), false);
  const cas = (await listPki(folder)).filter((name) => name.endsWith(".crt"));
  const files = cas.flatMap((name) => ["--ca-file", `data/pki/${name}`]);
  assert.match(await folder.answer("verify", "certificates", ...files), /sealed/);

  // The old CA and its certificates are untrusted, and no list of expiring certificates has them.
  const get = (...flags: readonly string[]) => folder.answer("get", "certificates", ...flags);
  const csv = parseCsv(await get("-o", "csv"));
  assert.ok(csv.ok);
  const [heading = [], ...lines] = csv.value;
  const [issuer, subject, status] = ["issuer", "subject", "status"].map((name) => heading.indexOf(name));
  const states = new Map<string, Set<string>>();
  for (const line of lines) {
    const known = states.get(line[issuer!]!) ?? new Set();
    states.set(line[issuer!]!, known.add(line[status!]!));
  }
  const [oldCa, newCa] = [rotation.oldCa, rotation.newCa].map((pem) => formatName(parseCas(pem)[0]!.subject));
  assert.deepEqual([...states.get(oldCa!) ?? []], ["untrusted"]);
  assert.ok(states.get(newCa!)?.has("valid"));
  assert.equal(lines.find((line) => line[subject!] === oldCa)?.[status!], "untrusted");
  const ending = JSON.parse(await get("--expires-within", "100000d", "-o", "json")).items;
  assert.ok(ending.length > 0);
  assert.deepEqual(ending.filter(({ spec }: { spec: { issuer: string } }) => spec.issuer === oldCa), []);
});

test("each CA of a split instance is replaced on its own: the kubelets', the administrators' and the server's", async () => {
  await using folder = await createWorkplace();
  await folder.succeed("ca", "init", "--split");
  await using _instance = await startInstance(folder, ["--auto-approve"]);
  let newest = "n1";
  await folder.succeed(...bootstrapLine(newest));
  for (const name of ["kubelet-client-ca", "client-ca", "ca"]) {
    const { oldCa, newCa } = await withAdmin(folder, (api) => beginRotation(api, folder.join("data"), name));
    await withAdmin(folder, (api) => waitUntilAdopted(api, name));
    await withAdmin(folder, async (api) => {
      await changeRotation(api, { step: "Switch" }, name);
      await waitUntilAdopted(api, name);
    });
    assert.equal(await readFile(folder.join(`data/pki/${name}.crt`), "utf8"), newCa);
    assert.equal(await readFile(folder.join(`data/pki/old-${name}.crt`), "utf8"), oldCa);
    assert.equal(await whoIs(folder.join(`${newest}/kubeconfig`)), `system:node:${newest}`);
    if (name === "kubelet-client-ca") {
      newest = "n2";
      await folder.succeed(...bootstrapLine(newest));
      assert.ok(await isIssuedBy(folder, `${newest}/pki/kubelet-client-current.pem`, `data/pki/${name}.crt`));
      assert.equal(await whoIs(folder.join(`${newest}/kubeconfig`)), `system:node:${newest}`);
    }
    await finishRotation(folder.join("data/admin.kubeconfig"), name);
    if (name === "kubelet-client-ca") assert.equal(await whoIs(folder.join("n1/kubeconfig")), "401");
    // The kubeconfig of the node trusts only the server's old CA.
    if (name !== "ca") assert.equal(await whoIs(folder.join(`${newest}/kubeconfig`)), `system:node:${newest}`);
  }
  assert.ok(await isIssuedBy(folder, "data/pki/apiserver.crt", "data/pki/ca.crt"));
  const crls = (await readdir(folder.join("data/pki"))).filter((name) => name.endsWith(".crl")).sort();
  assert.deepEqual(crls, [
    "ca.crl",
    "client-ca.crl",
    "kubelet-client-ca.crl",
    "kubelet-serving-ca.crl",
  ]);
});

test("a server without the new key reports why, and adopts the step once it can", async () => {
  await using folder = await createWorkplace();
  await using _instance = await startInstance(folder, ["--auto-approve"]);
  const key = folder.join("data/pki/sa.key");
  const kept = await readFile(key, "utf8");
  await folder.succeed("ca", "init", "--data-dir", "other");
  await withAdmin(folder, async (api) => {
    await beginRotation(api, folder.join("data"));
    await waitUntilAdopted(api);
    for (const file of ["next-ca.key", "next-ca.crt"]) await rm(folder.join("data/pki", file));
    await writeFile(key, await readFile(folder.join("other/pki/ca.key"), "utf8"));
    await changeRotation(api, { step: "Switch" });
    const message = await eventually("the server reports a fault", async () => {
      return (await getRotation(api)).status.servers?.[0]?.message;
    });
    assert.match(
      message,
      /^the new key cannot be opened with the key of service account tokens: it was encrypted with another key/,
    );
    await writeFile(key, kept);
    await waitUntilAdopted(api);
  });
});
