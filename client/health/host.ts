/** Examines what machines and servers have in common: the space on their disk, and the name of the server. */
import { lookup } from "node:dns/promises";
import { readdir, stat, statfs } from "node:fs/promises";
import { isIP } from "node:net";
import { join } from "node:path";
import { type Finding, reportOn } from "../../core/report/health/finding.ts";
import { checkDisk, checkServerName } from "../../core/report/health/host.ts";
import { withoutBrackets } from "../../core/lib/ip_address.ts";
import type { ExamineDeps } from "./examine.ts";

/** Files of interrupted writes (`client/files.ts`). */
const LEFTOVER = /^\..+\.\d+\.tmp$/;
/** A file of this age is no longer being written. */
const LEFTOVER_AGE_MS = 3_600_000;

/** Reads the free bytes of a disk for an unprivileged user. */
export async function readFreeBytes(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(path);
  return bavail * bsize;
}

/** Checks the free space of the disk that a folder is on. */
export async function examineDisk(folder: string, target: string, deps: ExamineDeps): Promise<readonly Finding[]> {
  if (await deps.files.stat(folder) === undefined) return [];
  const now = deps.clock.now().getTime();
  const leftovers: string[] = [];
  for (const name of await readdir(folder).catch(() => [])) {
    const path = join(folder, name);
    if (!LEFTOVER.test(name)) continue;
    if (now - (await stat(path)).mtimeMs > LEFTOVER_AGE_MS) leftovers.push(deps.show(path));
  }
  const freeBytes = await readFreeBytes(folder);
  const faults = checkDisk({ path: deps.show(folder), freeBytes, leftovers });
  return reportOn(target).check("disk", faults);
}

/** Checks that the name in a server's URL can be resolved. */
export async function examineName(
  server: string,
  { target, fix }: { readonly target: string; readonly fix?: (url: URL) => string | undefined },
): Promise<readonly Finding[]> {
  const url = URL.parse(server);
  const host = withoutBrackets(url?.hostname ?? "");
  if (url === null || isIP(host) !== 0) return [];
  const isResolved = await lookup(host).then(() => true, () => false);
  return reportOn(target).check(
    "dns",
    checkServerName({ host, isResolved, fix: isResolved ? undefined : fix?.(url) }),
    `the server's name "${host}" can be resolved`,
  );
}
