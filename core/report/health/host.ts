/**
 * Checks the host of a server or a machine: its disk and ports, the permissions of its secrets, and a server's database
 * and backups.
 */
import { isIP } from "node:net";
import { shellWord } from "../../lib/printable.ts";
import { formatTime } from "../../kube/meta.ts";
import type { Fault } from "./finding.ts";
import { DAY_MS } from "../../lib/duration.ts";

const MEGABYTE = 1_048_576;
/** The free space below which files and databases may soon fail to be written. */
const LOW_DISK_BYTES = 100 * MEGABYTE;
/** The free space below which a database with its log cannot grow. */
const FULL_DISK_BYTES = 4 * MEGABYTE;
/** The smallest useful limit of open files for a server: two for each of some hundred connections. */
const MIN_OPEN_FILES = 1_024;
const RECOMMENDED_OPEN_FILES = 65_536;
const BACKUP_AGE_MS = 7 * DAY_MS;

/** The free space of the disk that a folder is on. */
interface DiskEvidence {
  /** The path of the folder, as it is shown. */
  readonly path: string;
  readonly freeBytes: number;
  /** Unused files in the folder, such as those of interrupted writes. */
  readonly leftovers: readonly string[];
}

/** Reports a disk that is full or nearly full. The fix removes leftovers, if there are any. */
export function checkDisk({ path, freeBytes, leftovers }: DiskEvidence): readonly Fault[] {
  if (freeBytes >= LOW_DISK_BYTES) return [];
  return [{
    severity: freeBytes < FULL_DISK_BYTES ? "error" : "warning",
    message: `the disk of "${path}" has ${Math.floor(freeBytes / MEGABYTE)} MB left`,
    fix: leftovers.length === 0 ? undefined : `rm ${leftovers.map(shellWord).join(" ")}`,
    advice: `remove what is not needed from the disk; this lists the largest files: du -xa ${
      shellWord(path)
    } | sort -n`,
  }];
}

export interface ProcessEvidence {
  readonly pid: number;
  /** The command line of the process. */
  readonly command: string;
}

/** The process that listens on the port of a server. */
interface PortEvidence {
  readonly port: number;
  readonly listener: ProcessEvidence | undefined;
  /** True when the server itself answered. */
  readonly isAnswered: boolean;
}

/** Reports another program on the port of a server, which then cannot start. */
export function checkPort({ port, listener, isAnswered }: PortEvidence): readonly Fault[] {
  if (listener === undefined || isAnswered) return [];
  return [{
    severity: "error",
    message: `port ${port} is used by another program, process ${listener.pid}: ${listener.command.slice(0, 100)}`,
    fix: `kill ${listener.pid}`,
  }];
}

export interface OpenFilesEvidence {
  readonly pid: number;
  readonly open: number;
  readonly softLimit: number;
  readonly hardLimit: number;
}

/** Reports a server whose limit of open files is too low or nearly reached. */
export function checkOpenFiles({ pid, open, softLimit, hardLimit }: OpenFilesEvidence): readonly Fault[] {
  if (softLimit >= MIN_OPEN_FILES && open < softLimit * 0.8) return [];
  const wanted = Math.max(RECOMMENDED_OPEN_FILES, 2 * softLimit);
  // Only root may raise the hard limit.
  const limits = hardLimit > softLimit && hardLimit >= MIN_OPEN_FILES
    ? `${Math.min(wanted, hardLimit)}:`
    : `${wanted}:${wanted}`;
  return [{
    severity: open >= softLimit * 0.95 ? "error" : "warning",
    message: `the server (process ${pid}) has ${open} files open and may open ${softLimit}; ` +
      "for the next start, set LimitNOFILE of its systemd unit, or ulimit -n",
    fix: `prlimit --pid ${pid} --nofile=${limits}`,
  }];
}

/** Whether the name of a server can be resolved. */
interface NameEvidence {
  readonly host: string;
  readonly isResolved: boolean;
  /** The command that replaces the name by an address; undefined when none is known. */
  readonly fix: string | undefined;
}

export function checkServerName({ host, isResolved, fix }: NameEvidence): readonly Fault[] {
  if (isResolved) return [];
  return [{
    // A machine without a network works until its certificate has to be renewed.
    severity: "warning",
    message: `the server's name "${host}" cannot be resolved`,
    fix,
    advice: `add "${host}" to DNS or to /etc/hosts`,
  }];
}

/** The names in a server's certificate, and the addresses that clients use for the server. */
interface ServingNamesEvidence {
  /** The path of the certificate, as it is shown. */
  readonly path: string;
  /** The DNS names and IP addresses of the certificate. */
  readonly names: readonly string[];
  /** The host in the URL of the administrator's kubeconfig. */
  readonly host: string;
  /** The addresses of this computer that others can reach. */
  readonly addresses: readonly string[];
  /** True when the server answered at its URL. */
  readonly isAnswered: boolean;
  /** The command that makes the server create another certificate. */
  readonly renewal: string;
}

/** Reports a serving certificate that is not for the server's URL, and a URL that no longer leads to this computer. */
export function checkServingNames(
  { path, names, host, addresses, isAnswered, renewal }: ServingNamesEvidence,
): readonly Fault[] {
  if (!names.includes(host.toLowerCase())) {
    return [{
      severity: "error",
      message: `the certificate "${path}" is not for "${host}", the address in the administrator's kubeconfig`,
      fix: renewal,
    }];
  }
  const isAddress = isIP(host) !== 0 && !/^(?:127\.|::1$)/.test(host);
  // Behind a load balancer the address is not this computer's, and the server answers.
  if (!isAddress || isAnswered || addresses.includes(host)) return [];
  const present = addresses.length === 0 ? "no address that others can reach" : addresses.join(", ");
  return [{
    severity: "warning",
    message: `the certificate "${path}" is for ${host}, and this computer has ${present}`,
    advice: "start the server with the current address in the setting advertiseAddress; it makes another certificate",
  }];
}

/** A backup of a data directory. */
export interface BackupEvidence {
  /** The path of the file, as it is shown. */
  readonly path: string;
  readonly madeAt: Date;
  /** True when a passphrase decrypts the backup, false when the secret key of a recipient does. */
  readonly hasPassphrase: boolean;
  /** True when the file has the size of a complete archive. Checking more needs its key. */
  readonly isWhole: boolean;
}

// The format age-encryption.org/v1 has a nonce, then chunks of 64 KiB, each with a tag.
const [AGE_NONCE_BYTES, AGE_CHUNK_BYTES, AGE_TAG_BYTES] = [16, 65_536, 16];
const TAR_BLOCK_BYTES = 512;

/**
 * Reports whether the payload of an age file has the size of a complete tar. A tar consists of blocks of 512 bytes, so
 * nearly every truncation is found without the key.
 */
export function isWholeArchive(payloadBytes: number): boolean {
  const sealed = payloadBytes - AGE_NONCE_BYTES;
  const tar = sealed - AGE_TAG_BYTES * Math.ceil(sealed / (AGE_CHUNK_BYTES + AGE_TAG_BYTES));
  return tar > 0 && tar % TAR_BLOCK_BYTES === 0;
}

/** Reports truncated backups, and a newest complete backup that is more than a week old. */
export function checkBackups(
  backups: readonly BackupEvidence[],
  dataDir: string,
  now: Date,
): readonly Fault[] {
  const again = ({ path, hasPassphrase }: BackupEvidence): Pick<Fault, "fix" | "advice"> => {
    const key = hasPassphrase ? "" : " --recipient age1…";
    const command = `tlsboot backup ${shellWord(path)} --data-dir ${shellWord(dataDir)} --force${key}`;
    return hasPassphrase ? { fix: command } : { advice: `make another one for the same key: ${command}` };
  };
  const cut = backups.filter(({ isWhole }) => !isWhole).map((backup): Fault => ({
    severity: "warning",
    message: `the backup "${backup.path}" is cut off or damaged, and cannot be restored`,
    ...again(backup),
  }));
  const newest = findNewest(backups);
  if (newest === undefined || now.getTime() - newest.madeAt.getTime() <= BACKUP_AGE_MS) return cut;
  return [...cut, {
    severity: "warning",
    message: `the newest backup, "${newest.path}", is from ${formatTime(newest.madeAt)}: older than a week`,
    ...again(newest),
  }];
}

/** Finds the newest complete backup. */
export function findNewest(backups: readonly BackupEvidence[]): BackupEvidence | undefined {
  return backups.filter(({ isWhole }) => isWhole).sort((a, b) => b.madeAt.getTime() - a.madeAt.getTime())[0];
}

/** Reports a database that is damaged. The fix restores the newest backup. */
export function checkDatabase(
  { path, fault, dataDir, backups }: {
    readonly path: string;
    /** The fault of the database; undefined when it is intact. */
    readonly fault: string | undefined;
    readonly dataDir: string;
    readonly backups: readonly BackupEvidence[];
  },
): readonly Fault[] {
  if (fault === undefined) return [];
  const newest = findNewest(backups);
  const command = `tlsboot restore ${shellWord(newest?.path ?? "FILE")} --data-dir ${shellWord(dataDir)} --force`;
  return [{
    severity: "error",
    message: `"${path}" is damaged: ${fault}`,
    ...(newest?.hasPassphrase === true ? { fix: command } : {
      advice: `stop the server and restore a backup: ${command}${newest === undefined ? "" : " --identity FILE"}`,
    }),
  }];
}

/** A file that holds a private key or a token. */
export interface SecretFile {
  /** The path as it is shown. */
  readonly path: string;
  /** Why the file is not private, for example because others may read it; undefined when it is private. */
  readonly fault: string | undefined;
  /** The folder whose owner should own the file too; undefined when the file has the right owner. */
  readonly ownerOf: string | undefined;
}

/** The users other than the owner that may write to a folder. */
export type FolderWriters = "none" | "group" | "every user";

export interface SecretFolder {
  /** The path as it is shown. */
  readonly path: string;
  readonly writers: FolderWriters;
}

/** Reports secrets that other users can read, or that belong to another user. */
export function checkSecretFiles(secrets: readonly SecretFile[]): readonly Fault[] {
  return secrets.flatMap(({ path, fault, ownerOf }): readonly Fault[] => {
    if (fault === undefined) return [];
    const word = shellWord(path);
    return [{
      severity: "error",
      message: `the secret in "${path}" is not private: ${fault}; replace it if someone else may have read it`,
      fix: ownerOf === undefined
        ? `chmod 600 ${word}`
        : `chown --reference=${shellWord(ownerOf)} ${word} && chmod 600 ${word}`,
    }];
  });
}

/**
 * Reports folders in which other users can replace a secret. A group is only a warning, because container volumes have
 * one.
 */
export function checkSecretFolders(folders: readonly SecretFolder[]): readonly Fault[] {
  return folders.flatMap(({ path, writers }): readonly Fault[] => {
    if (writers === "none") return [];
    const isOpen = writers === "every user";
    return [{
      severity: isOpen ? "error" : "warning",
      message: `${isOpen ? "every user" : "the group"} may write to "${path}" and can replace its keys`,
      fix: `chmod go-w ${shellWord(path)}`,
    }];
  });
}
