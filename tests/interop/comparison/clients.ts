/** Stock programs that the interoperability suite runs, for `docs/reference/compatibility.md`. */
import type { ProvenClient } from "./compatibility.ts";

/** The programs in the order of the page. */
export const PROVEN_CLIENTS: readonly ProvenClient[] = [
  {
    client: "kubectl",
    shown: "a kubeconfig from a token and an approval; a denial, watches and waits",
    test: "interop/kubectl_csr_commands_test.ts",
  },
  {
    client: "kubectl",
    shown: "scripts with the exit codes and output of kube-apiserver: get in every format, describe, explain, " +
      "create, events, auth",
    test: "interop/kubectl_comparison_test.ts",
  },
  {
    client: "kubectl",
    shown: "scripts that change objects: client-side and server-side apply, patch, label, taint, certificate, wait, " +
      "watch, delete",
    test: "interop/kubectl_changes_test.ts",
  },
  {
    client: "kubeadm",
    shown: "token create, list and delete, init phases bootstrap-token and upload-config, join by token, file and " +
      "configuration with its refusals, reset: all as with a real control plane, and the node is Ready",
    test: "interop/kubeadm_test.ts",
  },
  { client: "kubelet", shown: "TLS bootstrap that blocks on the certificate", test: "interop/kubelet_test.ts" },
  {
    client: "kubelet",
    shown: "a whole kubelet for five minutes: its node stays Ready, renews its lease, and serves with the approved " +
      "certificate",
    test: "interop/client/whole_kubelet_test.ts",
  },
  {
    client: "client-go certificate manager",
    shown: "first certificate and rotation",
    test: "interop/certificates/certmanager_test.ts",
  },
  {
    client: "client-go informers and leader election",
    shown:
      "five minutes over two restarts of the server, one of them a crash: no change is lost or repeated, and there are never two leaders",
    test: "interop/client/soak_test.ts",
  },
  {
    client: "kube-controller-manager",
    shown: "its garbage collector and namespace controller watch every kind, and leave tlsboot's own kinds alone",
    test: "interop/approval/register_test.ts",
  },
  {
    client: "@kubernetes/client-node",
    shown:
      "lists, watches, approval, patches, an informer and refusals as with kube-apiserver, by certificate and token",
    test: "interop/client/client_node_test.ts",
  },
  {
    client: "kubectl 1.20, python3-kubernetes",
    shown:
      "an administrator's daily commands, with describe node, drain and reviews; objects, patches, pages, a watch; " +
      "deletions by every propagation policy: all print the same as with a real control plane and its controllers",
    test: "programs/programs_test.ts",
  },
  {
    client: "e2e.test, the conformance tests that need no pods",
    shown: "27 of 30 pass; the others need API groups that tlsboot does not serve",
    test: "interop/server/conformance_test.ts",
  },
];
