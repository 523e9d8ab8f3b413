/** Stock programs that the interoperability suite runs to the end, for `docs/compatibility.md`. */
import type { ProvenClient } from "./compatibility.ts";

/** In the order of the page. */
export const PROVEN_CLIENTS: readonly ProvenClient[] = [
  {
    client: "kubectl",
    shown: "every command of a CSR's life, approval and denial, watches, waits",
    test: "kubectl_csr_commands_test.ts",
  },
  { client: "kubelet", shown: "TLS bootstrap that blocks on the certificate", test: "kubelet_test.ts" },
  { client: "client-go certificate manager", shown: "first certificate and rotation", test: "certmanager_test.ts" },
];
