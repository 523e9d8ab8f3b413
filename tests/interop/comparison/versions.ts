/** The releases of Kubernetes that the suite runs, for its tests and for `docs/reference/compatibility.md`. */
import { KUBERNETES, KUBERNETES_RELEASES } from "../../support/peers/go.ts";

/** A program of Kubernetes in several releases, and the test that runs once for each of them. */
export interface ProvenVersions {
  readonly program: string;
  /** The cells of the matrix by minor release: the exact version, or `emulated`. */
  readonly releases: ReadonlyMap<string, string>;
  readonly shown: string;
  /** The path of a file below `tests`. */
  readonly test: string;
}

/** The release of kube-apiserver, and older ones whose APIs it serves with `--emulated-version`. */
export const KUBE_APISERVER_VERSIONS = ["1.37", "1.36", "1.35", "1.34"] as const;

const CURRENT = toMinor(KUBERNETES);
const SERVERS = new Map(KUBE_APISERVER_VERSIONS.map((minor) => [minor, minor === CURRENT ? KUBERNETES : "emulated"]));
const CLIENTS = new Map(KUBERNETES_RELEASES.map((release) => [toMinor(release), release]));

/** The rows of the matrix. */
export const PROVEN_VERSIONS: readonly ProvenVersions[] = [
  {
    program: "kube-apiserver",
    releases: SERVERS,
    shown: "a machine gets its client and its serving certificate by `signer`, `approver --policy` and `bootstrap`",
    test: "interop/real_control_plane_test.ts",
  },
  {
    program: "kubectl",
    releases: CLIENTS,
    shown: "the commands around a request: create a binding, get, describe, approve, deny, watch",
    test: "interop/kubectl_csr_commands_test.ts",
  },
  {
    program: "kubelet",
    releases: CLIENTS,
    shown: "a whole kubelet: it bootstraps, is Ready, renews its lease, and serves with the approved certificate",
    test: "interop/client/whole_kubelet_test.ts",
  },
  {
    program: "client-go certificate manager",
    releases: CLIENTS,
    shown: "first certificate and rotation",
    test: "interop/certificates/certmanager_test.ts",
  },
  {
    program: "kubelet's manager of pod certificates, kube-apiserver",
    releases: new Map([[CURRENT, KUBERNETES]]),
    shown: "pods get certificates from `signer --pod-certificates`, refresh them, and see why others are denied",
    test: "interop/certificates/pod_certificates_test.ts",
  },
];

/** Cuts a version such as `v1.34.4` to its minor release, `1.34`. */
function toMinor(release: string): string {
  return release.replace(/^v(\d+\.\d+)\..*$/, "$1");
}
