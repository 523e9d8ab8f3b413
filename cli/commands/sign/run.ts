/** Signs requests in files by the rules of a signer, without an API. */
import { readFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { createFilePort, type FilePort } from "../../../client/files.ts";
import { AppError, findErrorCode, getErrorMessage } from "../../../core/errors.ts";
import { MIN_EXPIRATION_SECONDS } from "../../../core/kube/certificates_v1.ts";
import { BUILTIN_SIGNERS } from "../../../core/signing/profile.ts";
import { type RequestSigning, signRequest } from "../../sign_request.ts";
import { type IssuedLog, openIssuedLog } from "../../authority/issued_log.ts";
import { createCaKeys } from "../../authority/keys.ts";
import type { SignFlags } from "./flags.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import type { Settings } from "../../framework/flags.ts";
import { reportError, warn } from "../../framework/report.ts";
import { UsageError } from "../../framework/usage_error.ts";
import type { Io } from "../../io.ts";
import { createLogger } from "../../logging.ts";
import { displayPath } from "../../output/display_path.ts";
import { line } from "../../output/escape.ts";
import { dataDirAt, FOLDER_MODE, PUBLIC_MODE } from "../../instance/data_dir.ts";
import { openMlDsaGate } from "../../instance/ml_dsa_gate.ts";
import { openSignerProfiles } from "../../instance/signer_profiles.ts";
import {
  openInstanceCas,
  openSigningCas,
  type SigningCaDeps,
  signingDurationSeconds,
} from "../../instance/signing_cas.ts";
import type { Authority } from "../../../core/pki/authority.ts";
import type { CertificateFacts } from "../../../core/pki/certificate.ts";
import { decideClientTrust, findClientTrust } from "../../../core/signing/client_trust.ts";
import type { ClientTrust } from "../../../core/signing/plan.ts";
import { authorityPaths } from "../../authority/layout.ts";
import { readClientCas } from "../../authority/instance_authorities.ts";

/** The maximum size of a request in a file; real ones are much smaller. */
const MAX_BYTES = 1024 * 1024;
const STDIN = "-";
/** The minimum lifetime of certificates of Kubernetes' signers. A custom profile has a limit of its own. */
const MIN_LIFETIME_MS = MIN_EXPIRATION_SECONDS * 1_000;

/** The action of the command `tlsboot sign`. */
export async function run(input: Input<SignFlags>, io: Io, signal: AbortSignal): Promise<ExitCode> {
  const { settings, args } = input;
  const files = createFilePort();
  const targets = await planTargets(args, settings, files, io.cwd);
  const { issuedLog: log, ...signing } = await openSigning(settings, files, io, signal);
  using _ = log;
  await log?.check();
  const codes = new Set<ExitCode>();
  for (const [index, file] of args.entries()) {
    try {
      const pem = await signRequest(await readBytes(file, io, signal), file, signing, io);
      const target = targets?.[index];
      if (target === undefined) io.stdout.write(pem);
      else {
        await writeCertificate(target, pem, settings.force, files);
        io.stdout.write(line`${displayPath(target, io.cwd)}\n`);
      }
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof AppError)) throw error;
      reportError(error, io, input.isDebug);
      codes.add(error.code === "csr_denied" ? EXIT.no : EXIT.failed);
    }
  }
  // A failure that can be fixed takes precedence over a refusal of another request.
  if (codes.has(EXIT.failed)) return EXIT.failed;
  return codes.has(EXIT.no) ? EXIT.no : EXIT.done;
}

async function openSigning(
  settings: Settings<SignFlags>,
  files: FilePort,
  io: Io,
  signal: AbortSignal,
): Promise<RequestSigning & { readonly issuedLog: IssuedLog | undefined }> {
  const logger = createLogger({ stderr: io.stderr, clock: io.clock });
  const keys = createCaKeys(settings, io, files, signal);
  const deps = { files, clock: io.clock, logger, cwd: io.cwd, keys };
  const { signerNames: [signerName], profiles } = await openSignerProfiles({
    signerName: settings.signerName === undefined ? [] : [settings.signerName],
    profile: settings.profile === undefined ? [] : [settings.profile],
  }, deps);
  if (signerName === undefined) {
    throw new UsageError(
      "no rules are named: neither --signer-name nor --profile is given",
      "see: tlsboot sign --help",
    );
  }
  const profile = BUILTIN_SIGNERS.get(signerName) ?? await profiles.get(signerName)?.current();
  if (profile === undefined) throw new AppError("internal", `no profile for "${signerName}"`);
  const { authority, clientTrust } = await openOfflineCa(settings, signerName, { ...deps, crlUrl: settings.crlUrl });
  const { duration, usage } = settings;
  if (duration !== undefined && duration < MIN_LIFETIME_MS && profile.lifetime === undefined) {
    throw new UsageError("--duration: at least 10m expected", "Kubernetes' signers issue for ten minutes or longer");
  }
  const life = duration === undefined ? {} : { expirationSeconds: Math.floor(duration / 1_000) };
  const asked = { signerName, usages: usage, ...life };
  const issuedLog = openLog(settings, io);
  return {
    profile,
    authority,
    clientTrust,
    asked,
    signingDurationSeconds: signingDurationSeconds(settings, logger),
    allowMlDsa: openMlDsaGate(settings.featureGates),
    chain: settings.chain && profile.chain !== false,
    issuedLog,
    ...(issuedLog === undefined
      ? {}
      : { record: (certificate) => issuedLog.record(certificate, authority, { source: "sign", signerName }) }),
  };
}

/** Opens the log of a flag, or that of the data directory for its own CA; undefined for another CA. */
function openLog(settings: Settings<SignFlags>, io: Io): IssuedLog | undefined {
  const { issuedLog, clusterSigningCertFile, dataDir } = settings;
  const path = issuedLog ??
    (clusterSigningCertFile === undefined ? dataDirAt(resolve(io.cwd, dataDir)).issuedLog : undefined);
  if (path === undefined) return undefined;
  return openIssuedLog(resolve(io.cwd, path), { clock: io.clock, warn: (message) => warn(message, io) });
}

/** Returns the path for each certificate; undefined for stdout. All paths are checked before anything is signed. */
async function planTargets(
  sources: readonly string[],
  { out, force }: Settings<SignFlags>,
  files: FilePort,
  cwd: string,
): Promise<readonly string[] | undefined> {
  if (out === undefined || out === STDIN) return undefined;
  const folder = resolve(cwd, out);
  const isFolder = sources.length > 1 || (await files.stat(folder))?.kind === "directory";
  const targets = sources.map((source) => isFolder ? join(folder, `${getBaseName(source)}.crt`) : folder);
  for (const [index, target] of targets.entries()) {
    if (targets.indexOf(target) < index) {
      throw new UsageError(`--out: two requests would be written to "${target}"`, "sign them one by one");
    }
    if (sources.some((source) => source !== STDIN && resolve(cwd, source) === target)) {
      throw new UsageError(`--out: "${target}" is a request that is to be signed`);
    }
    if (!force) await refuseExisting(target, files);
  }
  if (isFolder) await files.makeDirectory(folder, FOLDER_MODE);
  return targets;
}

function getBaseName(source: string): string {
  return source === STDIN ? "stdin" : basename(source).replace(/\.(?:csr|req|pem|der|p10)$/i, "");
}

async function refuseExisting(target: string, files: FilePort): Promise<void> {
  if (await files.lstat(target) === undefined) return;
  throw new AppError("file_exists", `cannot write certificate "${target}": it exists`, {
    hint: "replace it with --force, or choose another place with --out",
  });
}

async function writeCertificate(target: string, pem: string, force: boolean, files: FilePort): Promise<void> {
  // Another program may have created the file while the certificate was signed.
  if (!force) await refuseExisting(target, files);
  await files.writeAtomic(target, pem, PUBLIC_MODE);
}

async function readBytes(file: string, io: Io, signal: AbortSignal): Promise<Uint8Array> {
  if (file === STDIN) return new TextEncoder().encode(await io.stdin.readAll(signal));
  try {
    const bytes = await readFile(resolve(io.cwd, file), { signal });
    if (bytes.length <= MAX_BYTES) return bytes;
  } catch (error) {
    signal.throwIfAborted();
    const code = findErrorCode(error);
    const why = code === "ENOENT" ? "no such file" : code === "EISDIR" ? "it is a folder" : getErrorMessage(error);
    throw new AppError("io", `cannot read "${file}": ${why}`, { cause: error });
  }
  throw new AppError("invalid", `cannot sign "${file}": it is larger than ${MAX_BYTES} bytes`);
}

/** The data directory, and the flags of a CA. */
interface OfflineCaSettings {
  readonly dataDir: string;
  readonly clusterSigningCertFile: string | undefined;
  readonly clusterSigningKeyFile: string | undefined;
}

/** A CA, and whether the server of the data directory trusts it for client certificates. */
interface OfflineCa {
  readonly authority: Authority;
  readonly clientTrust: ClientTrust;
}

const NONE = { certFile: undefined, keyFile: undefined };

/** Opens the CA as `up` does. UsageError for half a pair; AppError `not_found`, `ca_invalid`, `file_permissions`. */
async function openOfflineCa(
  settings: OfflineCaSettings,
  signerName: string,
  deps: SigningCaDeps & { readonly cwd: string },
): Promise<OfflineCa> {
  const dataDir = resolve(deps.cwd, settings.dataDir);
  const all = { certFile: settings.clusterSigningCertFile, keyFile: settings.clusterSigningKeyFile };
  const none = { kubeletServing: NONE, kubeletClient: NONE, kubeApiserverClient: NONE, legacyUnknown: NONE };
  const { authorities } = all.certFile === undefined && all.keyFile === undefined
    ? await openInstanceCas(dataDir, [signerName], deps)
    // Kubernetes has no such command, so a file with issuers is allowed.
    : await openSigningCas({ all, ...none, withIssuers: true }, [signerName], deps);
  const authority = await authorities(signerName);
  if (authority === undefined) throw new AppError("internal", `no CA for "${signerName}"`);
  // Only the server of the data directory can be checked here; no remote API is called.
  const isTrusted = findClientTrust(authority, await readTrustedCas(dataDir, deps.files));
  return { authority, clientTrust: decideClientTrust(signerName, isTrusted) };
}

async function readTrustedCas(dataDir: string, files: FilePort): Promise<readonly CertificateFacts[]> {
  if (await files.lstat(authorityPaths(dataDir).certificate) === undefined) return [];
  return (await readClientCas(dataDir, files)).map(({ chain }) => chain.certificate);
}
