/** Signs the request of an intermediate CA with the CA of a data directory, or with one in files. */
import { Buffer } from "node:buffer";
import { dirname, resolve } from "node:path";
import type { FilePort } from "../../../client/files.ts";
import { type ParsedRequest, parseVerifiedRequest } from "../../../core/request/parse_request.ts";
import { AppError } from "../../../core/errors.ts";
import { type Authority, issueIntermediate } from "../../../core/pki/authority/authority.ts";
import { SERIAL_BYTES } from "../../../core/pki/authority/issue.ts";
import { permitNames } from "../../../core/pki/x509/name_constraints.ts";
import { BACKDATE_MS } from "../../../core/signing/plan.ts";
import { hasSplitAuthorities, readAuthority, readNamedAuthority } from "../../../instance/authority/files.ts";
import { openIssuedLog } from "../../../instance/authority/issued_log.ts";
import type { CaKeys } from "../../../instance/authority/keys.ts";
import { authorityPaths, CA_PURPOSES } from "../../../instance/authority/layout.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import { warn } from "../../framework/report.ts";
import { UsageError } from "../../framework/usage_error.ts";
import { dataDirAt, PUBLIC_MODE } from "../../../instance/data_dir.ts";
import type { Tools } from "../../io.ts";
import { oneLine } from "../../../core/lib/printable.ts";
import type { caSignCommand } from "./flags.ts";
import { describeChain } from "./import.ts";
import { createCaKeys } from "../../passphrases/ca_keys.ts";
import { encodeTrust } from "../../../core/pki/x509/ca_bundle.ts";

const MAKE_REQUEST = "the machine of the intermediate CA makes one with: tlsboot ca request --out FILE";

export async function run(
  { args: [file = ""], settings }: Input<typeof caSignCommand.flags>,
  tools: Tools,
): Promise<ExitCode> {
  const { files } = tools;
  const { duration, permitDns, permitIp, out = "" } = settings;
  const keys = createCaKeys(settings, tools);
  const request = await readRequest(file, files, tools.cwd);
  const commonName = settings.commonName ?? request.subject.commonName;
  if (commonName === "") throw new UsageError("the intermediate CA needs a name", "give one with --common-name");
  const path = resolve(tools.cwd, out);
  if (await files.lstat(path) !== undefined) {
    throw new AppError("file_exists", `cannot write "${out}": file exists`, { hint: "choose another file with --out" });
  }
  if (await files.stat(dirname(path)) === undefined) {
    throw new AppError("io", `cannot write "${out}": the folder does not exist`, { hint: "create the folder first" });
  }
  const authority = await readSigner(settings, tools, keys);
  const now = tools.clock.now().getTime();
  const signed = await issueIntermediate({
    commonName,
    publicKeyDer: request.publicKeyDer,
    notBefore: new Date(now - BACKDATE_MS),
    notAfter: new Date(now + duration),
    nameConstraints: permitNames(permitDns, permitIp),
    serial: tools.random.bytes(SERIAL_BYTES),
  }, authority);
  if (!signed.ok) {
    throw new AppError("invalid", `cannot sign the request "${file}": ${signed.error}`, {
      hint: "give another --common-name, --duration, --permit-dns or --permit-ip, or sign with another CA",
    });
  }
  if (isOfDataDir(settings, tools.cwd)) {
    const { issuedLog } = dataDirAt(resolve(tools.cwd, settings.dataDir));
    using log = openIssuedLog(issuedLog, { clock: tools.clock, warn: (message) => warn(message, tools) });
    await log.record(signed.value.certificate.der, authority, { source: "sign" });
  }
  await files.createExclusive(path, encodeTrust(signed.value), PUBLIC_MODE);
  tools.stdout.write(`${[`certificate: ${out}`, ...describeChain(signed.value)].map(oneLine).join("\n")}\n`);
  return EXIT.done;
}

function isOfDataDir({ caCert, dataDir }: Input<typeof caSignCommand.flags>["settings"], cwd: string): boolean {
  if (caCert === undefined) return true;
  const folder = resolve(cwd, dataDir);
  return CA_PURPOSES.some((purpose) => authorityPaths(folder, purpose).certificate === resolve(cwd, caCert));
}

/** Reads the request of an intermediate CA, and checks that its own key signed it and is strong enough. */
async function readRequest(file: string, files: FilePort, cwd: string): Promise<ParsedRequest> {
  const text = await files.readText(resolve(cwd, file));
  if (text === undefined) {
    throw new AppError("not_found", `cannot read the request "${file}": file does not exist`, {
      hint: `check its path; ${MAKE_REQUEST}`,
    });
  }
  const request = parseVerifiedRequest(Buffer.from(text).toString("base64"), { allowMlDsa: true });
  const fault = request.ok ? request.value.publicKey.weakness : request.error;
  if (request.ok && fault === undefined) return request.value;
  throw new AppError("invalid", `cannot use the request "${file}": ${fault}`, {
    hint: MAKE_REQUEST,
  });
}

/** Reads the CA that signs, with its key. */
async function readSigner(
  { caCert, caKey, dataDir }: Input<typeof caSignCommand.flags>["settings"],
  tools: Tools,
  keys: CaKeys,
): Promise<Authority> {
  const { files } = tools;
  if (caCert !== undefined) return await readNamedAuthority(resolve(tools.cwd, caCert), caKey, files, keys);
  const folder = resolve(tools.cwd, dataDir);
  if (await hasSplitAuthorities(folder, files)) {
    throw new UsageError(
      `"${dataDir}" has a CA for each purpose`,
      "name the one that signs with --ca-cert and --ca-key, the paths of its files below pki/",
    );
  }
  return await readAuthority(authorityPaths(folder), files, keys);
}
