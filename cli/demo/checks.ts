/** What the demo checks for itself, beside what the server says. */
import { verifyChain } from "../../core/pki/chain.ts";
import { parseCredentialPair } from "../../core/bootstrap/credential_pair.ts";
import { AppError } from "../../core/errors.ts";
import type { Authority } from "../../core/pki/authority.ts";
import type { FilePort } from "../../client/files.ts";
import type { DemoMachine } from "./machines.ts";

/** Reads a machine's certificate and key from disk and verifies them against the CA. AppError `pki_invalid`. */
export async function verifyMachine(
  machine: DemoMachine,
  authority: Authority,
  files: FilePort,
  now: Date,
): Promise<Date> {
  const text = await files.readText(machine.certificatePath);
  if (text === undefined) throw new AppError("pki_invalid", `${machine.name} has no certificate`);
  const pair = parseCredentialPair(text, text);
  if (!pair.ok) throw new AppError("pki_invalid", `cannot use the certificate of ${machine.name}: ${pair.error}`);
  const { leaf } = pair.value;
  const chain = verifyChain(leaf, [], [authority.certificate], { at: now, usage: "client" });
  if (!chain.ok) throw new AppError("pki_invalid", `cannot verify the certificate of ${machine.name}: ${chain.error}`);
  const { commonName, organizations } = leaf.subject;
  if (commonName !== `system:node:${machine.name}` || organizations.join() !== "system:nodes") {
    throw new AppError("pki_invalid", `the certificate of ${machine.name} is for ${commonName}`);
  }
  return leaf.notAfter;
}
