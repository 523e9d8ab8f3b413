/**
 * A program that replaces key pairs on demand: `update_on_demand.ts FOLDER`. For each line on stdin, a target (`pki`,
 * `pair` or `kubeconfig`) and a common name, it stores a new pair with that name there, and prints `done` or `failed`.
 */
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { openCredentialStore } from "../../client/certificate/credential_store.ts";
import { createFilePort } from "../../client/files.ts";
import { openPairFolder } from "../../client/certificate/pair_folder.ts";
import { Secret } from "../../core/lib/brand.ts";
import { parseCredentialPair } from "../../core/machine/credential_pair.ts";
import { isAppError } from "../../core/errors.ts";
import { generatePrivateKey } from "../../core/pki/keys/keys.ts";
import { createFakeClock } from "./fake_clock.ts";
import { createIssuingCa } from "./issuing_ca.ts";

async function main(folder: string): Promise<void> {
  const files = createFilePort();
  const clock = createFakeClock();
  const ca = await createIssuingCa(clock.now());
  const targets = {
    async pki(certificatePem: string, keyPem: Secret<string>) {
      const options = { files, clock, certDir: join(folder, "pki"), prefix: "kubelet-client" };
      await (await openCredentialStore(options)).update(certificatePem, keyPem);
    },
    async pair(certificatePem: string, keyPem: Secret<string>) {
      const pair = parseCredentialPair(certificatePem, keyPem.reveal());
      if (!pair.ok) throw new Error(pair.error);
      await openPairFolder(join(folder, "pair"), files).update({ ...pair.value, certificatePem, keyPem });
    },
    kubeconfig: (certificatePem: string) => files.writeAtomic(join(folder, "kubeconfig"), certificatePem, 0o600),
  };
  for await (const line of createInterface({ input: process.stdin })) {
    const [target = "", commonName = ""] = line.split(" ");
    clock.jump(1_000);
    const key = await generatePrivateKey("ecdsa-p256");
    const certificatePem = await ca.issue({ publicKeyDer: key.publicKeyDer(), subject: { commonName } });
    try {
      await targets[target as keyof typeof targets](certificatePem, new Secret(key.toPem()));
      process.stdout.write(`${commonName} done\n`);
    } catch (error) {
      process.stdout.write(`${commonName} failed ${isAppError(error, "io") ? error.message : `badly ${error}`}\n`);
    }
  }
}

main(process.argv[2] ?? "");
