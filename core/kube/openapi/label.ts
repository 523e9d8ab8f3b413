/** What documents call their version. */

/** `1.37` of `v1.37.2+tlsboot.0.1.0`, as kube-apiserver labels its documents. */
export function apiVersionLabel(gitVersion: string): string {
  return /^v?(\d+\.\d+)/.exec(gitVersion)?.[1] ?? gitVersion;
}
