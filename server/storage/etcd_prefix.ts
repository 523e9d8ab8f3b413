/** What the keys of a site in etcd begin with (`--etcd-prefix`), as kube-apiserver reads it. */

/** With a slash before it and none behind, however it is written. */
export function plainPrefix(prefix: string): string {
  return `/${prefix.replace(/^\/+|\/+$/g, "")}`;
}
