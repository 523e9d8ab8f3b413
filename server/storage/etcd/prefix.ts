/** The prefix of an instance's keys in etcd (`--etcd-prefix`), which kube-apiserver reads with `path.Join("/", prefix)`. */
import { posix } from "node:path";

/** Normalizes a prefix to a leading slash, single slashes and no trailing slash; `/` stands for all of etcd. */
export function normalizePrefix(prefix: string): string {
  return posix.resolve("/", prefix);
}

/** Returns the normalized prefix with a trailing slash, which precedes keys. */
export function toKeysPrefix(prefix: string): string {
  const plain = normalizePrefix(prefix);
  return plain === "/" ? plain : `${plain}/`;
}

/** Returns the prefix to which keys are moved aside: next to the old one, and outside of `/` for all of etcd. */
export function createAsidePrefix(prefix: string, now: Date): string {
  const plain = normalizePrefix(prefix);
  return `${plain === "/" ? "" : `${plain}.`}replaced-${now.toISOString().replaceAll(/[:.]/g, "-")}`;
}
