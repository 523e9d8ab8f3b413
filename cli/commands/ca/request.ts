/** Makes the key of an intermediate CA in a data directory, and the request for its certificate. */
import { resolve } from "node:path";
import { encodePem } from "../../../core/pki/asn1/pem.ts";
import { createCertificationRequest } from "../../../core/pki/x509/pkcs10.ts";
import { assertNoCa, ensureKey, prepareFolder } from "../../../instance/authority/files.ts";
import { authorityPaths } from "../../../instance/authority/layout.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import { UsageError } from "../../framework/usage_error.ts";
import { PUBLIC_MODE } from "../../../instance/data_dir.ts";
import type { Tools } from "../../io.ts";
import { line } from "../../../core/lib/printable.ts";
import { startProgress } from "../../output/progress.ts";
import type { caRequestCommand } from "./flags.ts";
import { createCaKeys } from "../../passphrases/ca_keys.ts";

export async function run({ settings }: Input<typeof caRequestCommand.flags>, tools: Tools): Promise<ExitCode> {
  const { files } = tools;
  const { dataDir, commonName, keyAlgorithm, out = "" } = settings;
  if (commonName === "") throw new UsageError("--common-name must not be empty");
  const keys = createCaKeys(settings, tools);
  const folder = resolve(tools.cwd, dataDir);
  const { key: path } = authorityPaths(folder);
  await assertNoCa(folder, files);
  await prepareFolder(folder, files);
  const key = await (async () => {
    using _ = keys.passphrases.isGiven ? undefined : startProgress(tools, "Making the key");
    return await ensureKey(path, { keyAlgorithm }, { ...tools, keys });
  })();
  const request = createCertificationRequest({ subject: { commonName } }, key);
  await files.createExclusive(resolve(tools.cwd, out), encodePem("CERTIFICATE REQUEST", request), PUBLIC_MODE);
  tools.stdout.write(line`key: ${authorityPaths(dataDir).key}\n`);
  tools.stdout.write(line`request: ${out}\n`);
  return EXIT.done;
}
