/** Checks the release of etcd that a store needs. */
import { AppError } from "../../../core/errors.ts";
import type { EtcdStatus } from "./wire.ts";

/** Older releases may report progress before the changes that it covers, and reads would miss those. */
const OLDEST = [3, 5, 13] as const;

/** Throws AppError `io` when a member is too old. */
export function assertReleases(members: readonly Pick<EtcdStatus, "version">[]): void {
  const old = members.find(({ version }) => isOld(version));
  if (old === undefined) return;
  throw new AppError("io", `cannot use etcd ${old.version}: ${OLDEST.join(".")} or later is needed`, {
    hint: "upgrade etcd; the progress that older releases report cannot be relied upon",
  });
}

function isOld(version: string): boolean {
  const numbers = /^(\d+)\.(\d+)\.(\d+)/.exec(version)?.slice(1).map(Number) ?? [];
  const first = numbers.findIndex((number, index) => number !== OLDEST[index]);
  return first >= 0 && numbers[first]! < OLDEST[first]!;
}
