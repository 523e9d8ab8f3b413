/** Formats a systemd unit that renews certificates, in a sandbox with only the rights that it needs. */
import { basename } from "node:path";
import { shellWord } from "../../core/lib/printable.ts";
import type { Io } from "../io.ts";
import { UsageError } from "../exit_code.ts";

/** The usual path of the program on a machine. */
export const INSTALLED_PROGRAM = "/usr/local/bin/tlsboot";
/** Matches a path in the folders that ProtectHome= hides, also after a colon as in `HUP:/run/nginx.pid`. */
const HOMES = /(^|:)\/(home|root|run\/user)(\/|$)/;

/** A service that renews certificates. */
interface RenewalUnit {
  readonly writtenBy: string;
  readonly description: string;
  /** The words after the program name, with absolute paths. */
  readonly words: readonly string[];
  readonly folders: readonly string[];
  /** A device that the program uses, and the group that may use it. */
  readonly device?: { readonly path: string; readonly group: string | undefined } | undefined;
}

/** Formats a unit. Throws UsageError for a program that the sandbox hides, or that a restart of the machine removes. */
export function formatSystemdUnit(unit: RenewalUnit, io: Pick<Io, "execPath">): string {
  const folders = [...new Set(unit.folders)];
  const seesHomes = unit.words.some((word) => HOMES.test(word));
  const command = [findUnitProgram(io, seesHomes), ...unit.words].map(quoteWord).join(" ");
  return `# Written by ${unit.writtenBy}.
[Unit]
Description=${unit.description}
Wants=network-online.target
After=network-online.target

[Service]
# The service has started when it has a certificate, which someone may have to approve. systemd-notify reports for it, and a
# process that does not report for a minute is killed and started again.
Type=notify
NotifyAccess=all
TimeoutStartSec=infinity
WatchdogSec=60s
# A folder that is missing is made first; ReadWritePaths= must not fail before that.
ExecStartPre=+/bin/mkdir -p ${folders.map(quoteWord).join(" ")}
ExecStart=${command}
Restart=always
RestartSec=10s
# 130: it was stopped. 2: its settings are wrong, and another start would fail too.
SuccessExitStatus=130
RestartPreventExitStatus=2
UMask=0077

# It writes only its own files, and uses the network and the routing tables.
ProtectSystem=strict
ReadWritePaths=${folders.map((folder) => quote(`-${folder}`)).join(" ")}
${seesHomes ? "" : "ProtectHome=yes\n"}PrivateTmp=${unit.words.some(isTemporary) ? "no" : "yes"}
${formatDevices(unit)}ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_INET AF_INET6 AF_NETLINK AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
NoNewPrivileges=yes
${formatCapabilities(unit)}# Its memory holds keys, which must not get into a core dump.
LimitCORE=0
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
# Not MemoryDenyWriteExecute: JavaScript is compiled while it runs.

[Install]
WantedBy=multi-user.target
`;
}

/** Returns the program for a unit to start. Throws UsageError for a program that systemd could not start (203/EXEC). */
export function findUnitProgram({ execPath }: Pick<Io, "execPath">, seesHomes = false): string {
  const program = basename(execPath) === "tlsboot" ? execPath : INSTALLED_PROGRAM;
  const why = isTemporary(program)
    ? "files there are removed when the machine restarts"
    : HOMES.test(program) && !seesHomes
    ? "the unit hides that folder from its program (ProtectHome=)"
    : undefined;
  if (why === undefined) return program;
  throw new UsageError(
    `a unit cannot start "${program}": ${why}`,
    `install it first: sudo install -m 755 ${shellWord(program)} ${INSTALLED_PROGRAM}; ` +
      "then run the same command with the installed program",
  );
}

/** Reports whether a unit with ProtectHome= and PrivateTmp= hides a path from its program. */
export function isHiddenByUnit(path: string): boolean {
  return HOMES.test(path) || isTemporary(path);
}

function isTemporary(path: string): boolean {
  return /(^|:)\/(var\/)?tmp(\/|$)/.test(path);
}

/** Formats the settings for access to the device, if there is one. */
function formatDevices({ device }: RenewalUnit): string {
  if (device === undefined) return "PrivateDevices=yes\n";
  const group = device.group === undefined ? "" : `SupplementaryGroups=${device.group}\n`;
  return `# The TPM is its only device.\nDevicePolicy=closed\nDeviceAllow=${quote(device.path)} rw\n${group}`;
}

/** Formats the capabilities. A shell command may need any, and signals to other processes need CAP_KILL. */
function formatCapabilities({ words }: RenewalUnit): string {
  if (words.includes("--exec")) return "# --exec runs within these limits too.\n";
  return `CapabilityBoundingSet=${words.includes("--signal") ? "CAP_KILL" : ""}\n`;
}

/** Quotes a word of a command line, where a dollar sign begins a variable (systemd.service(5)). */
function quoteWord(word: string): string {
  return quote(word.replaceAll("$", "$$$$"));
}

/** Quotes a word of a list (systemd.syntax(7)). */
function quote(word: string): string {
  if (/\p{Cc}/u.test(word)) {
    throw new UsageError("a unit cannot contain control characters: choose other paths and names");
  }
  const escaped = word.replaceAll("%", "%%");
  if (/^[A-Za-z0-9_@%+=:,./$[\]-]+$/.test(escaped)) return escaped;
  return `"${escaped.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}
