/** Examines the computer that a server runs on: its disk, port, name, open files, database and backups. */
import { readdir, readFile } from "node:fs/promises";
import { setTimeout } from "node:timers/promises";
import { type ExamineDeps } from "../../../client/health/examine.ts";
import type { FoundFile } from "../../../client/health/files.ts";
import { readInterfaces } from "../../../client/host_facts.ts";
import { chooseAdvertisedHost, LOOPBACK } from "../../../core/machine/node_name.ts";
import { type Finding, reportOn } from "../../../core/report/health/finding.ts";
import {
  checkBackups,
  checkDatabase,
  checkOpenFiles,
  checkPort,
  checkServingNames,
  findNewest,
  type OpenFilesEvidence,
} from "../../../core/report/health/host.ts";
import { getErrorMessage, isAppError } from "../../../core/errors.ts";
import { withoutBrackets } from "../../../core/lib/ip_address.ts";
import { assertFileIntact } from "../../../server/storage/sqlite/check.ts";
import { findListener } from "../../port_listener.ts";
import { findBackups } from "../../../instance/backup/found_backups.ts";
import type { DataDir } from "../../../instance/data_dir.ts";

/** The words of a command line that is tlsboot: the file itself, or the sources. */
const OWN_PROGRAM = /(?:^|\/)(?:tlsboot(?:-\d[\w.-]*|\.m?js)?|cli\/main\.ts)$/;
/** A checkpoint of a running server may change pages while they are read, so a fault must be there each time. */
const DATABASE_ATTEMPTS = 3;
const DATABASE_PAUSE_MS = 100;

/** Checks that a server's certificate is for the host in its URL, and that this computer still has that address. */
export async function examineServingNames(
  { certificates: [leaf], shown }: Pick<FoundFile, "certificates" | "shown">,
  { target, server, isAnswered, renewal }: {
    readonly target: string;
    readonly server: string | undefined;
    readonly isAnswered: boolean;
    readonly renewal: string;
  },
  { files }: Pick<ExamineDeps, "files">,
): Promise<readonly Finding[]> {
  const host = withoutBrackets(URL.parse(server ?? "")?.hostname ?? "");
  if (leaf === undefined || host === "") return [];
  const own = chooseAdvertisedHost("0.0.0.0", undefined, await readInterfaces(files));
  const addresses = [own.host, ...own.others ?? []].filter((address) => address !== LOOPBACK);
  const faults = checkServingNames({
    path: shown,
    names: [...leaf.dnsNames, ...leaf.ipAddresses],
    host,
    addresses,
    isAnswered,
    renewal,
  });
  return reportOn(target).check("serving-names", faults, `the serving certificate is for "${host}"`);
}

/** The process on the port of a server on this computer, and the findings about both. */
export interface PortExamination {
  readonly findings: readonly Finding[];
  /** True when another program has the port. */
  readonly isTaken: boolean;
  /** True when the process is a server that was started with --signing-key-command. */
  readonly hasKeyProgram: boolean;
}

/** Checks which process listens on the port of a server, and how many files that process may open. */
export async function examinePort(
  server: string,
  { target, isAnswered }: { readonly target: string; readonly isAnswered: boolean },
): Promise<PortExamination> {
  const url = URL.parse(server);
  const port = Number(url?.port || 443);
  const listener = url === null ? undefined : await findListener(port);
  const isOwn = listener?.command.split(" ").some((word) => OWN_PROGRAM.test(word)) === true;
  const faults = checkPort({ port, listener, isAnswered: isAnswered || isOwn });
  const files = isAnswered && listener !== undefined ? await readOpenFiles(listener.pid) : undefined;
  const report = reportOn(target);
  return {
    isTaken: faults.length > 0,
    hasKeyProgram: isOwn && listener?.command.includes("--signing-key-command") === true,
    findings: [
      ...report.check("port", faults, `no other program uses port ${port}`),
      ...(files === undefined ? [] : report.check("open-files", checkOpenFiles(files))),
    ],
  };
}

/** Reads how many files a process has open, and its limits; undefined when they cannot be read. */
async function readOpenFiles(pid: number): Promise<OpenFilesEvidence | undefined> {
  const limits = await readFile(`/proc/${pid}/limits`, "utf8").catch(() => "");
  const [, soft = "", hard = ""] = /^Max open files\s+(\S+)\s+(\S+)/m.exec(limits) ?? [];
  const open = await readdir(`/proc/${pid}/fd`).catch(() => undefined);
  if (soft === "" || open === undefined) return undefined;
  const parse = (text: string): number => text === "unlimited" ? Infinity : Number(text);
  return { pid, open: open.length, softLimit: parse(soft), hardLimit: parse(hard) };
}

/** Checks the database and the backups of a data directory. */
export async function examineDatabase(
  dir: DataDir,
  { target, named }: { readonly target: string; readonly named: readonly string[] },
  deps: ExamineDeps,
): Promise<readonly Finding[]> {
  const dataDir = deps.show(dir.root);
  const backups = await findBackups(dir.root, named, deps);
  const report = reportOn(target);
  const hasDatabase = await deps.files.stat(dir.database) !== undefined;
  return [
    ...(hasDatabase
      ? report.check(
        "database",
        checkDatabase({
          path: deps.show(dir.database),
          fault: await findDatabaseFault(dir.database),
          dataDir,
          backups,
        }),
      )
      : report.skip("database", "the objects are not in a database here")),
    ...(backups.length === 0
      ? report.skip("backup", "no backup was found next to the data directory; name one with --backup")
      : report.check(
        "backup",
        checkBackups(backups, dataDir, deps.clock.now()),
        `the newest backup, "${findNewest(backups)?.path}", has the size of a whole one and is not older than a week`,
      )),
  ];
}

async function findDatabaseFault(path: string): Promise<string | undefined> {
  for (let attempt = 1;; attempt++) {
    try {
      assertFileIntact(path);
      return undefined;
    } catch (error) {
      const prefix = `cannot open storage "${path}": `;
      const message = getErrorMessage(error);
      if (attempt === DATABASE_ATTEMPTS) {
        return isAppError(error) && message.startsWith(prefix) ? message.slice(prefix.length) : message;
      }
      await setTimeout(DATABASE_PAUSE_MS);
    }
  }
}
