/** What the keys of an instance in etcd begin with (`--etcd-prefix`), as kube-apiserver reads it (`path.Join("/", prefix)`). */
import { posix } from "node:path";

/** With a slash before it, single ones in it and none behind, however it is written; `/` for all of etcd. */
export function plainPrefix(prefix: string): string {
  return posix.resolve("/", prefix);
}

/** What stands before the keys themselves: with a slash behind it. */
export function keysPrefix(prefix: string): string {
  const plain = plainPrefix(prefix);
  return plain === "/" ? plain : `${plain}/`;
}

/** Where what is below a prefix goes when it is put aside: beside it, and below `/` is all that begins with a slash. */
export function asidePrefix(prefix: string, now: Date): string {
  const plain = plainPrefix(prefix);
  return `${plain === "/" ? "" : `${plain}.`}replaced-${now.toISOString().replaceAll(/[:.]/g, "-")}`;
}
