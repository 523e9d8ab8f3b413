/**
 * The stores of trusted CAs on this machine: those of Debian and RHEL for the whole system, Firefox's policies, the
 * databases of browsers (NSS), and Java's. The name of an entry contains the fingerprint of its certificate, so that the
 * entry can be found and removed again.
 */
import { execFile } from "node:child_process";
import { readdir } from "node:fs/promises";
import { basename, delimiter, join } from "node:path";
import { type FilePort, FOLDER_MODE, PUBLIC_MODE } from "../client/files.ts";
import { AppError, getErrorMessage } from "../core/errors.ts";
import { isRecord } from "../core/lib/record.ts";
import type { CertificateFacts } from "../core/pki/x509/certificate.ts";
import { encodePem } from "../core/pki/asn1/pem.ts";
import type { Tools } from "./io.ts";
import { findProgram, isExecutable } from "./processes.ts";
import process from "node:process";
import type { TrustStoreName } from "./commands/trust/flags.ts";

export interface TrustStore {
  readonly name: TrustStoreName;
  /** The programs that read the store, and its place, as text for the user. */
  readonly title: string;
  /** Lists the entries that tlsboot has created. */
  list(): Promise<readonly string[]>;
  install(certificates: readonly CertificateFacts[]): Promise<void>;
  /** Removes entries, by the names that `list` returns. */
  uninstall(entries: readonly string[]): Promise<void>;
}

type TrustStoreDeps = Pick<Tools, "env" | "files">;

const ENTRY = /^tlsboot-[0-9a-f]{16}$/;
const PUBLIC_FOLDER_MODE = 0o755;

/** Returns the name of the entry of a certificate, such as `tlsboot-0f9a31c27be84d65`. */
export function toEntryName({ sha256Fingerprint }: Pick<CertificateFacts, "sha256Fingerprint">): string {
  return `tlsboot-${sha256Fingerprint.slice(0, 16)}`;
}

/** Finds the stores of this machine. A browser database without its tool is found too, and throws when it is used. */
export async function findTrustStores(deps: TrustStoreDeps): Promise<readonly TrustStore[]> {
  const folders = FOLDER_STORES.map((store) => findFolderStore(store, deps));
  const found = await Promise.all([...folders, findFirefox(deps), findNss(deps), findJava(deps)]);
  return found.filter((store) => store !== undefined);
}

/** The stores that are a folder of PEM files, and the command that makes a change of the folder take effect. */
const FOLDER_STORES = [
  { name: "debian", folder: "/usr/local/share/ca-certificates", updater: ["update-ca-certificates"] },
  { name: "rhel", folder: "/etc/pki/ca-trust/source/anchors", updater: ["update-ca-trust", "extract"] },
] as const;

async function findFolderStore(
  { name, folder, updater: [updater, ...args] }: (typeof FOLDER_STORES)[number],
  deps: TrustStoreDeps,
): Promise<TrustStore | undefined> {
  const { files } = deps;
  const program = await findTool(updater, deps);
  if (program === undefined) return undefined;
  return {
    name,
    title: `programs of this system, by ${folder}`,
    list: async () => (await listNames(folder)).map(toEntry).filter(isEntry),
    async install(certificates) {
      await writeCertificates(folder, certificates, files);
      await runProgram(program, args, deps);
    },
    async uninstall(entries) {
      for (const entry of entries) await files.unlink(join(folder, `${entry}.crt`));
      await runProgram(program, args, deps);
    },
  };
}

/** The folders in which distributions install Firefox. */
const FIREFOX_FOLDERS = [
  "/usr/lib/firefox",
  "/usr/lib/firefox-esr",
  "/usr/lib64/firefox",
  "/opt/firefox",
  "/etc/firefox",
];
/** The folder from which Firefox reads the policies for all users (https://mozilla.github.io/policy-templates/). */
const FIREFOX_POLICIES = "/etc/firefox/policies";

async function findFirefox({ files }: TrustStoreDeps): Promise<TrustStore | undefined> {
  const found = await Promise.all(FIREFOX_FOLDERS.map((path) => files.stat(path)));
  if (found.every((facts) => facts === undefined)) return undefined;
  const path = join(FIREFOX_POLICIES, "policies.json");
  const toPath = (entry: string) => join(FIREFOX_POLICIES, `${entry}.crt`);
  const change = async (edit: (paths: readonly string[]) => readonly string[]): Promise<void> => {
    const { all, policies, certificates, installed } = await readPolicies(path, files);
    const Install = edit(installed);
    const next = { ...all, policies: { ...policies, Certificates: { ...certificates, Install } } };
    await files.makeDirectory(FIREFOX_POLICIES, PUBLIC_FOLDER_MODE);
    await files.writeAtomic(path, `${JSON.stringify(next, null, 2)}\n`, PUBLIC_MODE);
  };
  return {
    name: "firefox",
    title: `Firefox of every user, by ${path}`,
    list: async () => (await readPolicies(path, files)).installed.map(toEntry).filter(isEntry),
    async install(certificates) {
      await writeCertificates(FIREFOX_POLICIES, certificates, files);
      const added = certificates.map((certificate) => toPath(toEntryName(certificate)));
      await change((paths) => [...new Set([...paths, ...added])]);
    },
    async uninstall(entries) {
      await change((paths) => paths.filter((file) => !entries.includes(toEntry(file))));
      for (const entry of entries) await files.unlink(toPath(entry));
    },
  };
}

/** The content of Firefox's policies file: all of it, the parts that are changed, and the certificates to install. */
interface FirefoxPolicies
  extends Readonly<Record<"all" | "policies" | "certificates", Readonly<Record<string, unknown>>>> {
  readonly installed: readonly string[];
}

/** Reads the policies of Firefox. Throws AppError `config_invalid`. */
async function readPolicies(path: string, files: FilePort): Promise<FirefoxPolicies> {
  let all: unknown;
  try {
    all = JSON.parse(await files.readText(path) ?? "{}");
  } catch (error) {
    throw new AppError("config_invalid", `cannot read "${path}": ${getErrorMessage(error)}`, {
      hint: "correct the file",
    });
  }
  if (!isRecord(all)) throw new AppError("config_invalid", `cannot read "${path}": it is not a JSON object`);
  const policies = isRecord(all["policies"]) ? all["policies"] : {};
  const certificates = isRecord(policies["Certificates"]) ? policies["Certificates"] : {};
  const installed = Array.isArray(certificates["Install"]) ? certificates["Install"] : [];
  return { all, policies, certificates, installed: installed.filter((value) => typeof value === "string") };
}

/** The folders of Firefox profiles, below the home of a user. */
const PROFILE_FOLDERS = [".mozilla/firefox", "snap/firefox/common/.mozilla/firefox"];
/** The database of Chromium and its relatives, below the home of a user. */
const CHROMIUM_DATABASE = ".pki/nssdb";
const CHROMIUM_PROGRAMS = [
  "chromium",
  "chromium-browser",
  "google-chrome",
  "google-chrome-stable",
  "brave-browser",
  "microsoft-edge",
];

async function findNss(deps: TrustStoreDeps): Promise<TrustStore | undefined> {
  const { env, files } = deps;
  const home = env["HOME"] ?? "";
  if (home === "") return undefined;
  const own = join(home, CHROMIUM_DATABASE);
  const hasChromium = (await Promise.all(CHROMIUM_PROGRAMS.map((name) => findTool(name, deps)))).some(Boolean);
  const isThere = await files.stat(join(own, "cert9.db")) !== undefined;
  const databases = [...(hasChromium || isThere ? [own] : []), ...await listProfiles(home, files)];
  if (databases.length === 0) return undefined;
  const certutil = async (database: string, ...args: readonly string[]): Promise<string> => {
    const program = await findTool("certutil", deps);
    if (program === undefined) {
      throw new AppError("not_found", "cannot change the databases of browsers: there is no certutil", {
        hint: "install it: apt install libnss3-tools, or dnf install nss-tools",
      });
    }
    return await runProgram(program, ["-d", `sql:${database}`, ...args], deps);
  };
  const listIn = async (database: string): Promise<readonly string[]> => {
    if (await files.stat(join(database, "cert9.db")) === undefined) return [];
    return (await certutil(database, "-L")).split("\n").map((line) => line.split(/\s/)[0] ?? "").filter(isEntry);
  };
  return {
    name: "nss",
    title: `browsers of this user, by ${databases.join(" and ")}`,
    list: async () => [...new Set((await Promise.all(databases.map(listIn))).flat())],
    async install(certificates) {
      for (const database of databases) {
        if (await files.stat(join(database, "cert9.db")) === undefined) {
          await files.makeDirectory(database, FOLDER_MODE);
          await certutil(database, "-N", "--empty-password");
        }
        const present = await listIn(database);
        for (const certificate of certificates) {
          const entry = toEntryName(certificate);
          if (present.includes(entry)) continue;
          await withFile(
            certificate,
            database,
            files,
            (file) => certutil(database, "-A", "-n", entry, "-t", "C,,", "-i", file),
          );
        }
      }
    },
    async uninstall(entries) {
      for (const database of databases) {
        const present = await listIn(database);
        for (const entry of entries) if (present.includes(entry)) await certutil(database, "-D", "-n", entry);
      }
    },
  };
}

async function listProfiles(home: string, files: FilePort): Promise<readonly string[]> {
  const found: string[] = [];
  for (const folder of PROFILE_FOLDERS.map((path) => join(home, path))) {
    for (const name of await listNames(folder)) {
      if (await files.stat(join(folder, name, "cert9.db")) !== undefined) found.push(join(folder, name));
    }
  }
  return found;
}

/** The password of the store that comes with Java. It protects nothing, because the store has no secrets. */
const JAVA_PASSWORD = "changeit";

async function findJava(deps: TrustStoreDeps): Promise<TrustStore | undefined> {
  const { env, files } = deps;
  const { JAVA_HOME = "" } = env;
  const own = JAVA_HOME === "" ? undefined : join(JAVA_HOME, "bin", "keytool");
  const program = own !== undefined && await isExecutable(own) ? own : await findTool("keytool", deps);
  if (program === undefined) return undefined;
  const keytool = (...args: readonly string[]) =>
    runProgram(program, [...args, "-cacerts", "-storepass", JAVA_PASSWORD, "-J-Duser.language=en"], deps);
  const list = async () => (await keytool("-list")).split("\n").map((line) => line.split(",")[0] ?? "").filter(isEntry);
  return {
    name: "java",
    title: `Java programs, by the cacerts of ${program}`,
    list,
    async install(certificates) {
      const present = await list();
      for (const certificate of certificates) {
        const entry = toEntryName(certificate);
        if (present.includes(entry)) continue;
        const folder = env["TMPDIR"] ?? "/tmp";
        await withFile(
          certificate,
          folder,
          files,
          (file) => keytool("-importcert", "-noprompt", "-trustcacerts", "-alias", entry, "-file", file),
        );
      }
    },
    async uninstall(entries) {
      for (const entry of entries) await keytool("-delete", "-alias", entry);
    },
  };
}

/** Converts the path of a certificate file to the name of its entry. */
function toEntry(path: string): string {
  return basename(path, ".crt");
}

function isEntry(name: string): boolean {
  return ENTRY.test(name);
}

async function writeCertificates(
  folder: string,
  certificates: readonly CertificateFacts[],
  files: FilePort,
): Promise<void> {
  await files.makeDirectory(folder, PUBLIC_FOLDER_MODE);
  for (const certificate of certificates) {
    const path = join(folder, `${toEntryName(certificate)}.crt`);
    await files.writeAtomic(path, encodePem("CERTIFICATE", certificate.der), PUBLIC_MODE);
  }
}

/** Writes a certificate to a temporary file, calls `use` with its path, and removes the file. */
async function withFile(
  certificate: CertificateFacts,
  folder: string,
  files: FilePort,
  use: (path: string) => Promise<unknown>,
): Promise<void> {
  const path = join(folder, `.${toEntryName(certificate)}.${process.pid}.crt`);
  await files.createExclusive(path, encodePem("CERTIFICATE", certificate.der), PUBLIC_MODE);
  try {
    await use(path);
  } finally {
    await files.unlink(path);
  }
}

async function listNames(folder: string): Promise<readonly string[]> {
  return await readdir(folder).catch(() => []);
}

/** Finds a program on the PATH, or in the folders of administrators' programs. */
function findTool(name: string, { env }: TrustStoreDeps): Promise<string | undefined> {
  return findProgram(name, [env["PATH"] ?? "", "/usr/sbin", "/sbin"].join(delimiter));
}

/** Runs a program and returns its output. Throws AppError `io` with what it printed. */
function runProgram(program: string, args: readonly string[], { env }: TrustStoreDeps): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(program, [...args], { env: { ...env }, timeout: 120_000 }, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      reject(
        new AppError("io", `${program} failed: ${findCause(stderr, stdout) ?? getErrorMessage(error)}`, {
          cause: error,
        }),
      );
    });
    child.stdin?.end();
  });
}

/** Finds the reason of a failure in the output of a program. keytool prints errors on stdout, and other text on stderr. */
function findCause(...outputs: readonly string[]): string | undefined {
  const lines = outputs.flatMap((output) => output.split("\n")).map((text) => text.trim()).filter((text) =>
    text !== ""
  );
  const errors = lines.filter((text) => /error|exception|denied/i.test(text));
  const shown = errors.length > 0 ? errors : lines;
  return shown.length === 0 ? undefined : shown.slice(-3).join("; ");
}
