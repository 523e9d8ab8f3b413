/** Imports a CA from files after checking it. */
import { resolve } from "node:path";
import { formatTime } from "../../../core/kube/meta.ts";
import { detectKeyEncryption } from "../../../core/pki/keys/encrypted_key.ts";
import { formatName } from "../../../core/pki/x509/names.ts";
import { writeImportedAuthority } from "../../../instance/authority/files.ts";
import { readImportedAuthority } from "../../../instance/authority/imported.ts";
import { authorityPaths } from "../../../instance/authority/layout.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import type { Tools } from "../../io.ts";
import { describeNameConstraints } from "../../output/certificate_text.ts";
import { oneLine } from "../../../core/lib/printable.ts";
import type { caImportCommand } from "./flags.ts";
import { createCaKeys } from "../../passphrases/ca_keys.ts";
import { formatFingerprint } from "../../../core/report/words.ts";
import type { CertificateChain } from "../../../core/pki/x509/ca_bundle.ts";

export async function run({ settings }: Input<typeof caImportCommand.flags>, tools: Tools): Promise<ExitCode> {
  const { files } = tools;
  const { dataDir, caCert = "", caKey, encryptKey } = settings;
  const keys = createCaKeys(settings, tools);
  const folder = resolve(tools.cwd, dataDir);
  const paths = authorityPaths(dataDir);
  const key = keys.hasProgram ? undefined : resolve(tools.cwd, caKey ?? paths.key);
  const given = { certificate: resolve(tools.cwd, caCert), key };
  const imported = await readImportedAuthority(given, tools.clock.now(), { files, keys });
  const { authority } = imported;
  const isEncrypted = encryptKey || keys.passphrases.isGiven;
  const keyPem = imported.key === undefined || !isEncrypted || detectKeyEncryption(imported.key.pem) !== "none"
    ? imported.key?.pem
    : await keys.encryptKey(imported.key.opened, await keys.passphrases.getForCreating(paths.key), tools.random);
  await writeImportedAuthority(folder, { chain: authority, keyPem, sourceKeyPem: imported.key?.pem }, files);
  const lines = [
    `certificate: ${paths.certificate}`,
    ...(keyPem === undefined ? [] : [`key: ${paths.key}`]),
    ...describeChain(authority),
  ];
  tools.stdout.write(`${lines.map(oneLine).join("\n")}\n`);
  return EXIT.done;
}

/** Describes a CA and its issuers, in the lines that a command prints. */
export function describeChain({ certificate, issuers }: CertificateChain): readonly string[] {
  return [
    `subject: ${formatName(certificate.subject)}`,
    ...(issuers.length === 0
      ? []
      : [`issued by: ${issuers.map(({ subject }) => formatName(subject)).join(", issued by ")}`]),
    ...[certificate, ...issuers].flatMap((one) =>
      one.nameConstraints === undefined ? [] : [
        `${one === certificate ? "may" : `"${formatName(one.subject)}" may`} issue for: ${
          describeNameConstraints(one.nameConstraints)
        }`,
      ]
    ),
    `valid until: ${formatTime(certificate.notAfter)}`,
    `SHA-256: ${formatFingerprint(certificate.sha256Fingerprint)}`,
  ];
}
