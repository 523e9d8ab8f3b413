/** Fetches the CRLs of the CAs from a running server, or makes them from the objects of a data directory. */
import { join, resolve } from "node:path";
import { buffer } from "node:stream/consumers";
import { type FilePort, PUBLIC_MODE } from "../../../client/files.ts";
import { createApiClient, withAccept } from "../../../client/objects/api.ts";
import { AppError, getErrorMessage, isAppError } from "../../../core/errors.ts";
import {
  CRL_REASONS,
  type CrlEntry,
  type CrlFacts,
  findCrlSignFault,
  isCrlOf,
  parseCrl,
  parseCrlEntries,
} from "../../../core/pki/authority/crl.ts";
import type { CertificateFacts } from "../../../core/pki/x509/certificate.ts";
import { encodePem, findPemBlock } from "../../../core/pki/asn1/pem.ts";
import { type RevokedCertificate, selectRevoked } from "../../../core/revocation/crl_plan.ts";
import { parseSerialNumber } from "../../../core/revocation/revocation.ts";
import { CRL_TYPE, toCrlTarget } from "../../../server/http/published_documents.ts";
import { listRevokedCertificates } from "../../../server/revocation/revocations.ts";
import { openSqliteStorage } from "../../../server/storage/sqlite/sqlite_storage.ts";
import {
  hasSplitAuthorities,
  readAuthority,
  readChain,
  readNamedAuthority,
} from "../../../instance/authority/files.ts";
import {
  authorityPaths,
  CA_PURPOSES,
  type CaPurpose,
  getCaName,
  getCrlPath,
} from "../../../instance/authority/layout.ts";
import { EXIT, type ExitCode, UsageError } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import { warn } from "../../framework/report.ts";
import { CRL_LABEL, writeNextCrl } from "../../../instance/parts/crl_files.ts";
import { type DataDir, dataDirAt } from "../../../instance/data_dir.ts";
import { readEtcdPlace } from "../../../instance/storage/etcd.ts";
import type { Io, Tools } from "../../io.ts";
import { displayPath } from "../../output/files.ts";
import { line } from "../../../core/lib/printable.ts";
import type { caCrlCommand } from "./flags.ts";
import { connect } from "../../connection.ts";
import { createCaKeys } from "../../passphrases/passphrase.ts";

type Bytes = Uint8Array<ArrayBuffer>;

interface WantedCa {
  readonly purpose: CaPurpose;
  /** False when all CAs are wanted, so that those without a key here may be missing. */
  readonly isNamed: boolean;
}

interface Context extends Tools {
  readonly settings: Input<typeof caCrlCommand.flags>["settings"];
  readonly dir: DataDir;
}

export async function run(input: Input<typeof caCrlCommand.flags>, tools: Tools): Promise<ExitCode> {
  const { settings, args: [name] } = input;
  const context = { ...tools, settings, dir: dataDirAt(resolve(tools.cwd, settings.dataDir)) };
  if (settings.caCert !== undefined) {
    await updateFileCrl(settings.caCert, context);
    return EXIT.done;
  }
  const wanted = await chooseCas(name, context);
  const crls = await readCrls(wanted, context);
  const [first] = crls;
  if (first === undefined) throw createNoKeysError(context);
  if (settings.output === "der" && crls.length > 1) {
    throw new UsageError("-o der is for one CRL, and there are several", "name the CA");
  }
  const content = settings.output === "der" ? first : crls.map((der) => encodePem(CRL_LABEL, der)).join("");
  if (settings.out !== undefined) {
    const path = resolve(tools.cwd, settings.out);
    await tools.files.writeAtomic(path, content, PUBLIC_MODE);
    tools.stdout.write(line`${displayPath(path, tools.cwd)}\n`);
  } else tools.stdout.write(content as string);
  return EXIT.done;
}

/** Lists the CAs whose CRLs are wanted. Throws UsageError for an unknown name. */
async function chooseCas(name: string | undefined, { settings, dir, files }: Context): Promise<readonly WantedCa[]> {
  if (name !== undefined) {
    const purpose = CA_PURPOSES.find((item) => getCaName(item) === name.replace(/\.cr[tl]$/, ""));
    if (purpose !== undefined) return [{ purpose, isNamed: true }];
    throw new UsageError(`there is no CA "${name}"`, `name one of ${CA_PURPOSES.map(getCaName).join(", ")}`);
  }
  const isSplit = settings.kubeconfig === undefined && await hasSplitAuthorities(dir.root, files);
  return (isSplit ? CA_PURPOSES : ["serving"] as const).map((purpose) => ({ purpose, isNamed: false }));
}

async function readCrls(wanted: readonly WantedCa[], context: Context): Promise<readonly Bytes[]> {
  const { settings, files, dir } = context;
  if (settings.kubeconfig !== undefined || await readEtcdPlace(dir, files) !== undefined) {
    return await fetchCrls(wanted, context);
  }
  if (await files.stat(dir.database) === undefined) {
    throw new AppError("not_found", `cannot make a CRL from "${dir.root}": there is no database in it`, {
      hint: "name the folder of a server with --data-dir: its objects list the revocations",
    });
  }
  try {
    await using storage = await openSqliteStorage({ path: dir.database, clock: context.clock });
    return await makeCrls(wanted, listRevokedCertificates((await storage.list("/registry/")).items), context);
  } catch (error) {
    if (!isAppError(error, "storage_locked")) throw error;
    return await fetchCrls(wanted, context);
  }
}

/** Makes the CRLs of the CAs whose keys are in the data directory. Throws as `readAuthority` if a named CA has no key. */
async function makeCrls(
  wanted: readonly WantedCa[],
  revoked: readonly RevokedCertificate[],
  context: Context,
): Promise<readonly Bytes[]> {
  const { settings, files, dir } = context;
  const keys = createCaKeys(settings, context);
  const crls: Bytes[] = [];
  for (const { purpose, isNamed } of wanted) {
    const paths = authorityPaths(dir.root, purpose);
    if (!isNamed && !keys.hasProgram && await files.stat(paths.key) === undefined) {
      warn(`no CRL of ${displayPath(paths.certificate, context.cwd)}: its key is not here`, context);
      continue;
    }
    const authority = await readAuthority(paths, files, keys);
    warnOfUsage(authority.certificate, context);
    const own = selectRevoked(revoked, authority.certificate.sha256Fingerprint);
    const { der } = await writeNextCrl({ path: getCrlPath(paths), authority, revoked: own }, context);
    crls.push(der);
  }
  return crls;
}

/** Fetches each CRL from the server. Throws AppError `unreachable`, `not_found`, or `ca_invalid` if another CA signed it. */
async function fetchCrls(wanted: readonly WantedCa[], context: Context): Promise<readonly Bytes[]> {
  const { settings, dir } = context;
  const kubeconfig = settings.kubeconfig ?? join(dir.root, "admin.kubeconfig");
  await using connection = await connect({ ...settings, kubeconfig }, context);
  const api = createApiClient(withAccept(connection.transport, CRL_TYPE), context);
  const crls: Bytes[] = [];
  for (const ca of wanted) {
    const crlName = `${getCaName(ca.purpose)}.crl`;
    try {
      const { body } = await api.open({ method: "GET", path: toCrlTarget(crlName) }, context.signal);
      crls.push(await checkCrl(new Uint8Array(await buffer(body)), ca, context));
    } catch (error) {
      if (isAppError(error, "unreachable")) throw createUnreachableError(error, context);
      if (!isAppError(error, "not_found", "access_denied", "unauthorized")) throw error;
      const what = `the server has no ${crlName}: it does not have the key of this CA, or is of an older version`;
      if (ca.isNamed || wanted.length === 1) throw new AppError("not_found", `cannot fetch the CRL: ${what}`);
      warn(what, context);
    }
  }
  return crls;
}

/** Checks a CRL of a server against the CA in the data directory, unless --kubeconfig names the server. */
async function checkCrl(der: Bytes, { purpose }: WantedCa, context: Context): Promise<Bytes> {
  const { settings, files, dir } = context;
  const facts = parseCrl(der);
  if (!facts.ok) throw new AppError("api_error", `cannot use the CRL of ${getCaName(purpose)}: ${facts.error}`);
  warnOfAge(facts.value, context);
  if (settings.kubeconfig !== undefined) return der;
  const { certificate } = await readChain(authorityPaths(dir.root, purpose), files);
  warnOfUsage(certificate, context);
  if (isCrlOf(facts.value, certificate)) return der;
  throw new AppError("ca_invalid", `cannot use the CRL of the server: the CA in "${dir.root}" did not sign it`, {
    hint: "the server was started before the files of its CA changed: restart it, or put back the old files",
  });
}

function warnOfAge({ nextUpdate }: CrlFacts, io: Io): void {
  if (nextUpdate !== undefined && nextUpdate < io.clock.now()) {
    warn("the CRL is too old, so programs refuse every certificate: see the log of the server", io);
  }
}

function warnOfUsage(certificate: CertificateFacts, io: Io): void {
  const fault = findCrlSignFault(certificate);
  if (fault !== undefined) warn(`openssl, Go and others refuse this CRL: ${fault}; a new CA has that right`, io);
}

function createUnreachableError(cause: AppError, { dir, settings }: Context): AppError {
  const whose = settings.kubeconfig === undefined ? ` that uses "${dir.root}"` : "";
  return new AppError("unreachable", `cannot reach the server${whose}: ${getErrorMessage(cause)}`, {
    cause,
    hint: "start it, and run the command again",
  });
}

function createNoKeysError({ dir }: Context): AppError {
  return new AppError("not_found", `cannot make a CRL from "${dir.root}": it has no key of a CA`, {
    hint: "run the command where the keys are, or fetch the CRLs from a running server with --kubeconfig",
  });
}

/** Adds entries to the CRL of a CA in files and renews it. Throws AppError `ca_invalid` for a CRL of another CA. */
async function updateFileCrl(certFile: string, context: Context): Promise<void> {
  const { settings, files, cwd } = context;
  const { out = "", revoke, caKey } = settings;
  const keys = createCaKeys(settings, context);
  const authority = await readNamedAuthority(resolve(cwd, certFile), caKey, files, keys);
  warnOfUsage(authority.certificate, context);
  const path = resolve(cwd, out);
  const listed = await readListed(path, authority.certificate, files);
  const known = new Set(listed.map(({ serialNumber }) => serialNumber));
  const now = context.clock.now();
  const wanted = new Map(revoke.map(parseRevoked).map((entry) => [entry.serialNumber, { ...entry, revokedAt: now }]));
  const added = [...wanted.values()].filter(({ serialNumber }) => !known.has(serialNumber));
  const revoked = [...listed, ...added].map((entry): RevokedCertificate => ({
    ...entry,
    issuerFingerprint: undefined,
    notAfter: authority.certificate.notAfter,
  }));
  await writeNextCrl({ path, authority, revoked }, context);
  context.stdout.write(line`${displayPath(path, cwd)}: ${revoked.length} revoked, ${added.length} of them now\n`);
}

/** Parses `SERIAL` or `SERIAL=REASON`. Throws UsageError. */
function parseRevoked(text: string): Pick<CrlEntry, "serialNumber" | "reason"> {
  const [digits = "", name = "unspecified"] = text.split("=");
  const serial = parseSerialNumber(digits);
  if (!serial.ok) throw new UsageError(`--revoke: "${text}" found: ${serial.error}`);
  const reason = CRL_REASONS.find((item) => item === name);
  if (reason !== undefined) return { serialNumber: serial.value, reason };
  throw new UsageError(`--revoke: "${text}" found, want one of these reasons: ${CRL_REASONS.join(", ")}`);
}

/** Reads the entries of the current CRL of a CA; none if there is no file. */
async function readListed(path: string, ca: CertificateFacts, files: FilePort): Promise<readonly CrlEntry[]> {
  const text = await files.readText(path);
  if (text === undefined) return [];
  const facts = parseCrl(findPemBlock(text)?.block.bytes ?? new Uint8Array());
  const entries = facts.ok && isCrlOf(facts.value, ca) ? parseCrlEntries(facts.value) : undefined;
  if (entries?.ok === true) return entries.value;
  throw new AppError("ca_invalid", `cannot add to "${path}": it is not a CRL of this CA, in PEM`, {
    hint: "name another file with --out, or the CA of this CRL",
  });
}
