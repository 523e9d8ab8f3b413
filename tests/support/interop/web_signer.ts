/** A custom signer for tests with real servers: its profile, and requests for it. */
import { writeFile } from "node:fs/promises";
import type { TempFolder } from "../temp.ts";
import { csrManifest } from "./openssl.ts";
import type { Kubectl } from "./kubectl.ts";

const WEB_SIGNER = "example.com/web";

const PROFILE = `apiVersion: tlsboot/v1alpha1
kind: SigningProfile
signerName: ${WEB_SIGNER}
subject: { commonName: { allowed: ["web-*"] } }
usages: { allowed: [server auth, client auth] }
lifetime: { max: 24h }
extensions: { ocsp: [http://ocsp.example.com] }
`;

/** Writes the profile and returns its path. */
export async function writeWebProfile(folder: TempFolder): Promise<string> {
  const path = folder.join("web.yaml");
  await writeFile(path, PROFILE);
  return path;
}

/** Creates and approves a request as the user of `kubectl`. */
export async function approveWebRequest(
  kubectl: Kubectl,
  name: string,
  { usages = ["server auth"], subject = `/CN=${name}` }: {
    readonly usages?: readonly string[];
    readonly subject?: string;
  } = {},
): Promise<void> {
  const manifest = await csrManifest(name, { subject, spec: { signerName: WEB_SIGNER, usages } });
  await kubectl.create(manifest);
  await kubectl.run("certificate", "approve", name);
}

/** Waits until a request has failed, and returns the message. */
export async function waitForFailure(kubectl: Kubectl, name: string): Promise<string> {
  await kubectl.run("wait", `csr/${name}`, "--for=condition=Failed");
  return await kubectl.run("get", "csr", name, '--output=jsonpath={.status.conditions[?(@.type=="Failed")].message}');
}
