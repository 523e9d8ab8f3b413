/** Shows the CA on disk. */
import { resolve } from "node:path";
import { createFilePort } from "../../client/files.ts";
import { AppError } from "../../core/errors.ts";
import { parseCaBundle, publicKeyPin } from "../../core/pki/ca_bundle.ts";
import { formatName } from "../../core/pki/names.ts";
import { authorityPaths } from "../authority_files.ts";
import type { CaShowFlags } from "../commands/ca/show.ts";
import { EXIT, type ExitCode } from "../exit_code.ts";
import type { Input } from "../framework/command.ts";
import type { Io } from "../io.ts";
import { alignTabs, DESCRIBE_TABS } from "../output/tab_writer.ts";
import { writeStructured } from "../output/structured.ts";
import { fingerprintText, keyText, validityState, validityText } from "./certificate_text.ts";

/** Runs `tlsboot ca show`. */
export async function run({ settings }: Input<CaShowFlags>, io: Io): Promise<ExitCode> {
  const files = createFilePort();
  const paths = authorityPaths(settings.dataDir);
  const text = await files.readText(resolve(io.cwd, paths.certificate));
  if (text === undefined) {
    throw new AppError("not_found", `cannot read "${paths.certificate}": file does not exist`, {
      hint: `make a CA with: tlsboot ca init --data-dir ${settings.dataDir}`,
    });
  }
  const bundle = parseCaBundle(text);
  const certificate = bundle.ok ? bundle.value[0] : undefined;
  if (certificate === undefined) {
    throw new AppError("ca_invalid", `cannot use "${paths.certificate}": ${bundle.ok ? "it is empty" : bundle.error}`);
  }
  const now = io.clock.now();
  const facts = {
    certificate: paths.certificate,
    hasKey: await files.stat(resolve(io.cwd, paths.key)) !== undefined,
    subject: formatName(certificate.subject),
    serialNumber: certificate.serialNumber,
    keyAlgorithm: certificate.keyAlgorithm,
    keyBits: certificate.keyBits,
    notBefore: certificate.notBefore.toISOString(),
    notAfter: certificate.notAfter.toISOString(),
    sha256Fingerprint: certificate.sha256Fingerprint,
    publicKeyPin: publicKeyPin(certificate),
  };
  if (settings.output !== undefined) await writeStructured(facts, settings.output, io);
  else {
    const lines = [
      `Certificate:\t${facts.certificate}`,
      `Private key:\t${facts.hasKey ? paths.key : "not here"}`,
      `Subject:\t${facts.subject}`,
      `Serial number:\t${facts.serialNumber}`,
      `Key:\t${keyText(certificate)}`,
      `Validity:\t${validityText(certificate, now)}`,
      `SHA-256:\t${fingerprintText(facts.sha256Fingerprint)}`,
      `Public key pin:\t${facts.publicKeyPin}`,
    ];
    io.stdout.write(`${alignTabs(lines.join("\n"), DESCRIBE_TABS)}\n`);
  }
  return validityState(certificate, now) === "valid" ? EXIT.done : EXIT.no;
}
