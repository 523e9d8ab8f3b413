/** Which releases of etcd a store can be built on. */
import { AppError } from "../../../core/errors.ts";
import type { EtcdStatus } from "./wire.ts";

/** Before it, progress may be told ahead of the changes that it stands for, and reads would miss them. */
const OLDEST = [3, 5, 13] as const;

/** Throws AppError `io` where a member is too old. */
export function assertReleases(members: readonly Pick<EtcdStatus, "version">[]): void {
  const old = members.find(({ version }) => isOld(version));
  if (old === undefined) return;
  throw new AppError("io", `cannot use etcd ${old.version}: ${OLDEST.join(".")} or later is needed`, {
    hint: "upgrade etcd; what older releases tell of their progress cannot be relied upon",
  });
}

function isOld(version: string): boolean {
  const numbers = /^(\d+)\.(\d+)\.(\d+)/.exec(version)?.slice(1).map(Number) ?? [];
  const first = numbers.findIndex((number, index) => number !== OLDEST[index]);
  return first >= 0 && numbers[first]! < OLDEST[first]!;
}
