/** A program that switches pairs in a folder until it is killed: `update_for_ever.ts FOLDER`. */
import { join } from "node:path";
import process from "node:process";
import { openCredentialStore } from "../../client/certificate/credential_store.ts";
import { createFilePort } from "../../client/files.ts";
import { createSystemClock } from "../../cli/system.ts";
import { Secret } from "../../core/lib/brand.ts";
import { generatePrivateKey } from "../../core/pki/keys/keys.ts";
import { createIssuingCa } from "./issuing_ca.ts";

/** More than any test lets it make. */
const ROUNDS = 10_000;

async function updateForEver(folder: string): Promise<void> {
  const ca = await createIssuingCa(new Date());
  const clock = createSystemClock();
  const certDir = join(folder, "pki");
  const store = await openCredentialStore({ files: createFilePort(), clock, certDir, prefix: "kubelet-client" });
  for (let round = 0; round < ROUNDS; round++) {
    const key = await generatePrivateKey("ecdsa-p256");
    const certificatePem = await ca.issue({ publicKeyDer: key.publicKeyDer(), subject: { commonName: `r${round}` } });
    await store.update(certificatePem, new Secret(key.toPem()));
    if (round === 0) process.stdout.write("first\n");
  }
}

updateForEver(process.argv[2] ?? "");
