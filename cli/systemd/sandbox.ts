/**
 * Finds paths that the sandbox of a systemd unit hides from its program (systemd.exec(5)). Without this check a hidden
 * folder would just look empty or forbidden.
 */
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { FlagSet } from "../framework/flags.ts";
import type { Io } from "../io.ts";
import { UsageError } from "../exit_code.ts";

/** A hidden folder, and the setting of the unit that hides it. */
interface HiddenPath {
  readonly folder: string;
  readonly directive: "ProtectHome=" | "PrivateTmp=" | "InaccessiblePaths=";
}

interface ResolvedPaths {
  readonly flags: FlagSet;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly origins: Readonly<Record<string, string>>;
}

/** Throws UsageError for a path in a setting that the unit of this process hides. Does nothing outside of a unit. */
export function checkSandbox(
  { flags, settings, origins }: ResolvedPaths,
  { env, cwd }: Pick<Io, "env" | "cwd">,
  readMounts: () => string = () => readProcess("mountinfo"),
): void {
  if (env["INVOCATION_ID"] === undefined) return;
  const mounts = readMounts();
  const paths = Object.entries(flags).flatMap(([name, { completion: { kind } }]) => {
    if (kind !== "file" && kind !== "directory") return [];
    const value = settings[name];
    // Lists can also contain names of policies, which are not paths.
    const values = Array.isArray(value) ? value.filter((one) => String(one).includes("/")) : [value];
    return values.filter((one) => typeof one === "string").map((one) => ({ name, kind, path: resolve(cwd, one) }));
  });
  for (const { name, kind, path } of paths) {
    const hidden = findHiddenPath(path, mounts);
    // The unit itself may have put the file into its private /tmp.
    if (hidden === undefined || (kind === "file" && existsSync(path))) continue;
    const unit = findUnitName(readProcess("cgroup"));
    throw new UsageError(
      `${origins[name]}: ${unit ?? "the unit of this service"} hides ${hidden.folder} from its program ` +
        `(${hidden.directive}), so it cannot use "${path}"`,
      `choose another path, such as one in /var/lib, or make it visible: run systemctl edit ${unit ?? "UNIT"}, ` +
        `and add ${describeRemedy(hidden, path)} below [Service]`,
    );
  }
}

/** Finds what hides a path, by the text of `/proc/self/mountinfo` (proc_pid_mountinfo(5)); undefined for a visible path. */
export function findHiddenPath(path: string, mountinfo: string): HiddenPath | undefined {
  let found: { readonly root: string; readonly folder: string } | undefined;
  for (const line of mountinfo.split("\n")) {
    const [, , , root = "", point = ""] = line.split(" ");
    const folder = unescapeMount(point);
    const isAbove = path === folder || path.startsWith(folder.endsWith("/") ? folder : `${folder}/`);
    // If there are two mounts on a folder, the later one is visible.
    if (point !== "" && isAbove && folder.length >= (found?.folder.length ?? 0)) found = { root, folder };
  }
  if (found === undefined) return undefined;
  const { root, folder } = found;
  if (root.startsWith("/systemd/inaccessible/")) {
    return { folder, directive: HOMES.includes(folder) ? "ProtectHome=" : "InaccessiblePaths=" };
  }
  return /\/systemd-private-[^/]+\/tmp$/.test(root) ? { folder, directive: "PrivateTmp=" } : undefined;
}

/** The folders that ProtectHome= hides. */
const HOMES: readonly string[] = ["/home", "/root", "/run/user"];

function describeRemedy({ directive }: HiddenPath, path: string): string {
  switch (directive) {
    case "ProtectHome=":
      return `ProtectHome=tmpfs and BindPaths=${path}`;
    case "PrivateTmp=":
      return "PrivateTmp=no";
    case "InaccessiblePaths=":
      return "InaccessiblePaths= without a value";
  }
}

/** Finds the name of the service in the text of `/proc/self/cgroup`. */
export function findUnitName(cgroup: string): string | undefined {
  return /\/([^/\n]+\.service)$/m.exec(cgroup)?.[1];
}

/** Reads a file of `/proc/self`; empty where there is none. */
function readProcess(name: "mountinfo" | "cgroup"): string {
  try {
    return readFileSync(`/proc/self/${name}`, "utf8");
  } catch {
    return "";
  }
}

/** Reads the octal escapes of mountinfo for spaces, tabs, line breaks and backslashes. */
function unescapeMount(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
