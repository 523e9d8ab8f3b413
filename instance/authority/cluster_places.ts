/** Reads the places that the census of a cluster covers: files near the CA, objects of the cluster, a signer's log. */
import { readdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { FilePort } from "../../client/files.ts";
import type { ApiClient, ApiConnection } from "../../client/objects/api.ts";
import type { Connect } from "../../client/transport/connect.ts";
import { isAppError } from "../../core/errors.ts";
import {
  type Kubeconfig,
  parseKubeconfig,
  resolveContext,
  type ResolvedCluster,
} from "../../core/kube/kubeconfig/kubeconfig.ts";
import type { ClusterTrustBundle } from "../../core/kube/kinds/certificates_v1.ts";
import { KUBE_APISERVER_SERVING_SIGNER } from "../../core/kube/kinds/constants.ts";
import type { ConfigMap } from "../../core/kube/kinds/core_v1.ts";
import { getName, type KubeObject, SYSTEM_NAMESPACE } from "../../core/kube/meta.ts";
import type { CaRotation, IssuedCertificate } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { NODE_USER_PREFIX, parseNodeUser } from "../../core/kube/user.ts";
import { shellWord } from "../../core/lib/printable.ts";
import { type CertificateFacts, verifyCertificateSignature } from "../../core/pki/x509/certificate.ts";
import { equalBytes } from "../../core/pki/asn1/der.ts";
import { type CertificateChain, encodeTrust, findCertificates } from "../../core/pki/x509/ca_bundle.ts";
import { type ClusterPlace, listSubjects, SIGN_AGAIN } from "../../core/ca_rotation/census.ts";
import type { RotatedCa, RotatedCas } from "../../core/ca_rotation/rotation_rules.ts";
import { getRotatedCas, type RotationPaths } from "./rotation_record.ts";
import { listCsrs } from "../../client/admin/csrs.ts";
import { readTrustBundles } from "../../client/admin/trust_bundles.ts";
import { findObject } from "../../client/admin/records.ts";

/** The sources of the census. */
interface PlaceSources {
  readonly rotation: CaRotation;
  readonly paths: RotationPaths;
  /** The cluster that uses the CA; without one, only files and records are read. */
  readonly connection: ApiConnection | undefined;
  /** The records of an issued log; none without one. */
  readonly records: AsyncIterable<IssuedCertificate>;
  readonly files: FilePort;
  readonly connect: Connect;
  /** Formats a path for the operator. */
  readonly show: (path: string) => string;
  readonly signal: AbortSignal;
}

interface Sources extends PlaceSources {
  readonly cas: RotatedCas;
}

/** Reads all places. Throws as the API and the issued log do. */
export async function readPlaces(given: PlaceSources): Promise<readonly ClusterPlace[]> {
  const sources = { ...given, cas: getRotatedCas(given.rotation) };
  const holders = new Holders();
  const intermediates = new Holders();
  await addLogged(holders, intermediates, sources);
  const cluster = sources.connection === undefined ? [] : await readClusterPlaces(sources.connection, sources, holders);
  return [
    ...await readFilePlaces(sources),
    ...cluster,
    ...[...holders].map(toPlace),
    ...[...intermediates].map(toCaPlace),
  ];
}

/** The newest certificate of each user or CA; undefined for a node without a known certificate. */
class Holders extends Map<string, HeldCertificate | undefined> {
  add(username: string, certificate?: HeldCertificate): void {
    const known = this.get(username);
    const isNewer = certificate !== undefined && (known === undefined || known.from < certificate.from);
    this.set(username, isNewer ? certificate : known);
  }
}

interface HeldCertificate {
  readonly issuer: RotatedCa;
  readonly from: Date;
  readonly notAfter: Date;
}

function toPlace([username, held]: readonly [string, HeldCertificate | undefined]): ClusterPlace {
  const certificate = { issuer: held?.issuer, notAfter: held?.notAfter };
  const node = parseNodeUser(username);
  if (node === undefined) {
    return { kind: "user", name: username, ...certificate, fix: "make a new certificate or kubeconfig for the user" };
  }
  const fix = "renew its certificate: restart the tlsboot bootstrap that renews it, or let the kubelet bootstrap again";
  return { kind: "node", name: node, ...certificate, fix };
}

function toCaPlace([name, held]: readonly [string, HeldCertificate | undefined]): ClusterPlace {
  return { kind: "certificate", name, issuer: held?.issuer, notAfter: held?.notAfter, fix: SIGN_AGAIN };
}

async function addLogged(
  holders: Holders,
  intermediates: Holders,
  { rotation, cas: { oldCa, newCa }, records }: Sources,
): Promise<void> {
  const issuers: Readonly<Record<string, RotatedCa>> = {
    [oldCa.certificate.sha256Fingerprint]: "old",
    [newCa.certificate.sha256Fingerprint]: "new",
  };
  const own = listSubjects(rotation.spec.oldCA, rotation.spec.newCA);
  for await (const { spec } of records) {
    const { subject = "", issuerFingerprint = "", notBefore, notAfter, usages = [] } = spec;
    const issuer = issuers[issuerFingerprint];
    const [, username] = /(?:^|,)CN=([^,]*)/.exec(subject) ?? [];
    if (issuer === undefined || (spec.isCA === true && own.has(subject))) continue;
    const certificate = { issuer, from: new Date(notBefore ?? 0), notAfter: new Date(notAfter ?? 0) };
    if (spec.isCA === true) intermediates.add(subject, certificate);
    else if (username !== undefined && usages.includes("client auth")) holders.add(username, certificate);
  }
}

/** Reads the certificates in the folder of the CA, and the kubeconfigs one folder above it, where kubeadm puts them. */
async function readFilePlaces({ cas, paths, files, show }: Sources): Promise<readonly ClusterPlace[]> {
  const folder = dirname(paths.signing.certificate);
  const places: ClusterPlace[] = [];
  for (const name of await list(folder, /\.(?:crt|pem)$/)) {
    const path = join(folder, name);
    const [certificate] = findCertificates(await files.readText(path) ?? "");
    const issuer = certificate === undefined || certificate.isCa ? undefined : findIssuer(certificate, cas);
    if (certificate === undefined || issuer === undefined) continue;
    const fix = `kubeadm certs renew ${name.replace(/\.[^.]*$/, "")}`;
    places.push({ kind: "place", name: show(path), issuer, notAfter: certificate.notAfter, fix });
  }
  for (const name of await list(dirname(folder), /\.conf$/)) {
    const path = join(dirname(folder), name);
    const config = parseKubeconfig(await files.readText(path) ?? "", path);
    const cluster = config.ok ? resolveContext(config.value, dirname(path)) : config;
    if (!config.ok || !cluster.ok) continue;
    const { ca, clientCertificate } = cluster.value;
    const trusted = findTrusted(await readPem(ca, files), cas);
    if (trusted.length === 0) continue; // the kubeconfig of another cluster
    const fix = `kubectl config set-cluster ${shellWord(findClusterName(config.value))} --kubeconfig ${
      shellWord(show(path))
    } --embed-certs --certificate-authority ${shellWord(show(paths.bundle))}`;
    places.push({ kind: "place", name: show(path), trusted, fix });
    const [certificate] = findCertificates(await readPem(clientCertificate, files));
    const issuer = certificate === undefined ? undefined : findIssuer(certificate, cas);
    if (certificate === undefined || issuer === undefined) continue;
    places.push({
      kind: "place",
      name: `${show(path)} (certificate)`,
      issuer,
      notAfter: certificate.notAfter,
      fix: name === "kubelet.conf"
        ? "restart the kubelet after its certificate was renewed"
        : `kubeadm certs renew ${basename(name)}`,
    });
  }
  return places;
}

async function readClusterPlaces(
  { api, cluster }: ApiConnection,
  sources: Sources,
  holders: Holders,
): Promise<readonly ClusterPlace[]> {
  const { rotation, cas, paths, signal } = sources;
  const bundle = sources.show(paths.bundle);
  const places: ClusterPlace[] = [];
  const addTrust = (name: string, pem: string | undefined, fix: string): void => {
    if (pem !== undefined) places.push({ kind: "place", name, trusted: findTrusted(pem, cas), fix });
  };
  const authentication = await findConfigMap(api, SYSTEM_NAMESPACE, "extension-apiserver-authentication", signal);
  addTrust(
    "kube-apiserver, for clients",
    authentication?.data?.["client-ca-file"] ?? "",
    rotation.spec.step === "Finish"
      ? "kubectl delete configmap extension-apiserver-authentication -n kube-system"
      : `start kube-apiserver with --client-ca-file ${bundle}`,
  );
  places.push(await probeServer(cluster, sources));
  addTrust(
    "configmap kube-root-ca.crt",
    (await findConfigMap(api, SYSTEM_NAMESPACE, "kube-root-ca.crt", signal))?.data?.["ca.crt"],
    `restart kube-controller-manager with --root-ca-file ${bundle}`,
  );
  const info = (await findConfigMap(api, "kube-public", "cluster-info", signal))?.data?.["kubeconfig"];
  if (info !== undefined) {
    const config = parseKubeconfig(info, "cluster-info");
    const [first] = config.ok ? config.value.clusters : [];
    const sed = `s/\\(certificate-authority-data: \\).*/\\1'$(base64 -w0 ${shellWord(bundle)})'/`;
    addTrust(
      "configmap cluster-info",
      first?.cluster.certificateAuthorityData ?? "",
      `kubectl get configmap cluster-info -n kube-public -o yaml | sed '${sed}' | kubectl replace -f -`,
    );
  }
  const bundles = await findTrustBundles(api, signal);
  if (bundles.length > 0) {
    addTrust(
      `trust bundle of ${KUBE_APISERVER_SERVING_SIGNER}`,
      bundles.map(({ spec }) => spec.trustBundle).join(""),
      `restart kube-controller-manager with --root-ca-file ${bundle}`,
    );
  }
  const { items: nodes } = await api.requestList<KubeObject>({ method: "GET", path: "/api/v1/nodes" }, signal);
  for (const node of nodes) holders.add(NODE_USER_PREFIX + getName(node));
  for (const { spec, status } of (await listCsrs(api, {}, signal)).items) {
    const [certificate] = findCertificates(status.certificate === undefined ? "" : atob(status.certificate));
    const issuer = certificate === undefined ? undefined : findIssuer(certificate, cas);
    if (certificate === undefined || issuer === undefined || !spec.usages?.includes("client auth")) continue;
    const { notBefore, notAfter } = certificate;
    holders.add(certificate.subject.commonName, { issuer, from: notBefore, notAfter });
  }
  return places;
}

/** Checks whether clients that trust only one of the CAs accept the server. */
async function probeServer(
  cluster: ResolvedCluster,
  { rotation: { spec: { step } }, cas, paths, connect, show, signal }: Sources,
): Promise<ClusterPlace> {
  const isAccepted = async (ca: CertificateChain): Promise<boolean> => {
    await using transport = await connect({ ...cluster, ca: { kind: "pem", pem: encodeTrust(ca) } });
    try {
      const { body } = await transport.send({ method: "GET", path: "/version", headers: {} }, signal);
      for await (const _ of body); // read to the end, so that the connection can be closed
      return true;
    } catch (error) {
      if (isAppError(error, "tls_untrusted")) return false;
      throw error;
    }
  };
  const [byOld, byNew] = [await isAccepted(cas.oldCa), await isAccepted(cas.newCa)];
  const place = { kind: "place", name: "kube-apiserver, its certificate" } as const;
  const renew = "kubeadm certs renew apiserver";
  const append = `cat ${shellWord(show(paths.crossSigned))} >> apiserver.crt`;
  if (step === "Trust") return { ...place, issuer: byNew ? "new" : "old", fix: renew };
  if (!byNew) return { ...place, issuer: "old", fix: `${renew} && ${append}` };
  const fix = step === "Finish" ? `remove the cross-signed certificate from its chain: ${renew}` : append;
  return { ...place, trusted: byOld ? ["old", "new"] : ["new"], fix };
}

async function findConfigMap(
  api: ApiClient,
  namespace: string,
  name: string,
  signal: AbortSignal,
): Promise<ConfigMap | undefined> {
  return await findObject(api, `/api/v1/namespaces/${namespace}/configmaps/${name}`, signal);
}

/** Reads the bundles of the API server's signer; none if the API does not serve bundles. */
async function findTrustBundles(api: ApiClient, signal: AbortSignal): Promise<readonly ClusterTrustBundle[]> {
  const selection = { kind: "signer", signerName: KUBE_APISERVER_SERVING_SIGNER } as const;
  try {
    return await readTrustBundles(api, selection, signal);
  } catch (error) {
    if (isAppError(error, "not_found", "api_error", "invalid")) return [];
    throw error;
  }
}

function findIssuer(certificate: CertificateFacts, { oldCa, newCa }: RotatedCas): RotatedCa | undefined {
  for (const [name, { certificate: ca }] of [["new", newCa], ["old", oldCa]] as const) {
    const isOf = equalBytes(certificate.issuer.raw, ca.subject.raw) && verifyCertificateSignature(certificate, ca);
    if (isOf) return name;
  }
  return undefined;
}

function findTrusted(pem: string, { oldCa, newCa }: RotatedCas): readonly RotatedCa[] {
  const found = new Set(findCertificates(pem).map(({ sha256Fingerprint }) => sha256Fingerprint));
  return ([["old", oldCa], ["new", newCa]] as const)
    .filter(([, { certificate }]) => found.has(certificate.sha256Fingerprint)).map(([name]) => name);
}

function findClusterName({ contexts, currentContext }: Kubeconfig): string {
  return contexts.find(({ name }) => name === currentContext)?.context.cluster ?? "";
}

async function readPem(source: ResolvedCluster["ca"], files: FilePort): Promise<string> {
  if (source === undefined) return "";
  return source.kind === "pem" ? source.pem : await files.readText(source.path) ?? "";
}

async function list(folder: string, pattern: RegExp): Promise<readonly string[]> {
  const names = await readdir(folder).catch(() => []);
  return names.filter((name) => pattern.test(name)).sort();
}
