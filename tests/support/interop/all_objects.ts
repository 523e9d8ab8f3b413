/** Reads all objects of a server, for a comparison with another server. */
import { csrManifest } from "./openssl.ts";
import { type Kubectl, waitForCertificate } from "./kubectl.ts";
import { SAMPLE_OBJECTS } from "./sample_objects.ts";

/** The paths of the collections of all served kinds. */
export const COLLECTIONS = [
  "/api/v1/configmaps",
  "/api/v1/events",
  "/api/v1/namespaces",
  "/api/v1/nodes",
  "/api/v1/secrets",
  "/api/v1/serviceaccounts",
  "/apis/certificates.k8s.io/v1/certificatesigningrequests",
  "/apis/certificates.k8s.io/v1/clustertrustbundles",
  "/apis/certificates.k8s.io/v1/podcertificaterequests",
  "/apis/coordination.k8s.io/v1/leases",
  "/apis/events.k8s.io/v1/events",
  "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
  "/apis/rbac.authorization.k8s.io/v1/clusterroles",
  "/apis/rbac.authorization.k8s.io/v1/rolebindings",
  "/apis/rbac.authorization.k8s.io/v1/roles",
  "/apis/storage.k8s.io/v1/csinodes",
];

interface Item {
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly resourceVersion: string };
}

/** Reads every object of every kind, as JSON text by collection and name. */
export async function readAllObjects(kubectl: Kubectl): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const collection of COLLECTIONS) {
    const { items } = JSON.parse(await kubectl.run("get", "--raw", collection)) as { readonly items: readonly Item[] };
    for (const item of items) {
      found.set(`${collection} ${item.metadata.namespace ?? ""}/${item.metadata.name}`, JSON.stringify(item));
    }
  }
  return found;
}

/** Removes the leases of servers and controllers, which are renewed all the time. */
export function withoutRenewedLeases(all: ReadonlyMap<string, string>): Record<string, string> {
  return Object.fromEntries(
    [...all].filter(([key]) => !/leases .*\/(apiserver-|tlsboot-controllers)/.test(key)).sort(),
  );
}

/** Writes and changes objects of every kind with names that end with `suffix`, and waits for a certificate. */
export async function writeSamples(kubectl: Kubectl, suffix: string): Promise<void> {
  const objects = SAMPLE_OBJECTS.replaceAll("SUFFIX", suffix);
  await kubectl.create(objects);
  await kubectl.create(await csrManifest(`sample-${suffix}`));
  await kubectl.run("certificate", "approve", `sample-${suffix}`);
  await kubectl.run("annotate", "configmap", "-n", `sample-${suffix}`, "sample", "note=änderung");
  await kubectl.run("delete", "secret", "-n", `sample-${suffix}`, "gone");
  await waitForCertificate(kubectl, `sample-${suffix}`);
}

/** Waits until the controllers have created the objects that every namespace has. */
export async function waitForNamespace(kubectl: Kubectl, namespace: string): Promise<void> {
  // One at a time, because kubectl does not wait for two objects that do not exist.
  for (const object of ["configmap/kube-root-ca.crt", "sa/default"]) {
    await kubectl.run("wait", "--for=create", "-n", namespace, object);
  }
}

/** Blanks resource versions, which each store assigns itself. */
export function withoutResourceVersions(all: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(all).map(([key, text]) => [key, text.replace(/"resourceVersion":"\d+"/, '"resourceVersion":""')]),
  );
}
